//! Alignment: shift by cross-correlation, dynamic time warping, correlation-optimised warping.

pub mod cow;
pub mod dtw;
pub mod shift;
