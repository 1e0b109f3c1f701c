//! Denoising: wavelets, local polynomials, penalised smoothing, spikes.
//!
//! A smoothed spectrum is for looking at and for steps that need a smooth curve. Fits and
//! likelihoods want the data as recorded: smoothing ties neighbours together, and the noise is
//! declared correlated.

pub mod despike;
pub mod savitzky_golay;
pub mod wavelet;
pub mod whittaker;
