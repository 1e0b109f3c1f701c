//! Baselines under peaks: SNIP, asymmetric least squares, bremsstrahlung.

pub mod asls;
pub mod bremsstrahlung;
pub mod energy_scale;
pub mod shirley;
pub mod snip;
pub mod tougaard;
