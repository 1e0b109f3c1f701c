//! Numerical kernels: Gram matrices, eigenpairs, least squares, statistics, random numbers.

pub mod banded;
pub mod dual;
pub mod eigen;
pub mod faddeeva;
pub mod gram;
pub mod lanes;
pub mod least_squares;
pub mod nnls;
pub mod pls;
pub mod quadratic;
pub mod rng;
pub mod simd;
pub mod spline;
pub mod statistics;
pub mod svd;
