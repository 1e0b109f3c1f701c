//! Fits of spectra: peaks of any shape, line families and integration windows.

pub mod eds;
pub mod peaks;
