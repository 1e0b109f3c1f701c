//! Numerical kernels: Gram matrices, eigenpairs, least squares, statistics, random numbers.

pub mod eigen;
pub mod gram;
pub mod rng;
pub mod simd;
pub mod statistics;
