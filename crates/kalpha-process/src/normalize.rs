//! Spectra on a common scale.
//!
//! Dividing counts by anything ends their being counts: every step here says what noise is left.

pub mod anscombe;
pub mod edge_step;
pub mod max;
pub mod min_max;
pub mod msc;
pub mod poisson;
pub mod reference_peak;
mod scale;
pub mod snv;
pub mod total;
