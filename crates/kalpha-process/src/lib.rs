//! Preprocessing of rows: baselines, alignment, normalisation, denoising, transfer, calibration.

pub mod align;
pub mod baseline;
pub mod calibrate;
pub mod denoise;
mod instructions;
pub mod normalize;
pub mod reference;
pub mod row_method;
pub mod strobe;
pub mod totals;
pub mod transfer;
