//! Preprocessing: baselines and calibration.

pub mod baseline;
pub mod calibrate;
pub mod normalize;
pub mod row_method;
pub mod strobe;
pub mod totals;
