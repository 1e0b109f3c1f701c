//! Preprocessing: baselines and calibration.
