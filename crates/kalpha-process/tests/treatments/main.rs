//! Kernels against their peers, on the reference data.

#![allow(clippy::unwrap_used)]

mod align;
mod arrays;
mod denoise;
mod transfer;
mod xps;
