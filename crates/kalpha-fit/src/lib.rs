//! Fits of spectra: combinations of references, peaks of any shape, line families and integration
//! windows.

pub mod eds;
pub mod lcf;
pub mod peaks;
