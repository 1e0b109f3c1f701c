//! Fits of spectra: line families and integration windows.
