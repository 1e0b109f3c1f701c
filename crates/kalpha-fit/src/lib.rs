//! Fits of spectra: line families and integration windows.

pub mod eds;
