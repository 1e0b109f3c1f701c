//! Preprocessing: baselines and calibration.

pub mod strobe;
pub mod totals;
