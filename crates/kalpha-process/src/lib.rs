//! Preprocessing: baselines and calibration.

pub mod baseline;
pub mod calibrate;
pub mod strobe;
pub mod totals;
