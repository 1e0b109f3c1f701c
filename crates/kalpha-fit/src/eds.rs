//! Energy-dispersive X-ray spectra: line intensities and identification.

mod error;
pub mod families;
pub mod identify;
pub mod windows;

pub use error::FitError;
