//! Spectra on a common scale.

pub mod total;
