//! Numerical kernels: Gram matrices, eigenpairs, least squares, statistics, random numbers.

pub mod rng;
