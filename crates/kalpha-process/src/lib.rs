//! Preprocessing: baselines and calibration.

pub mod totals;
