//! Baselines under peaks: SNIP, asymmetric least squares, bremsstrahlung.

pub mod asls;
pub mod bremsstrahlung;
pub mod snip;
