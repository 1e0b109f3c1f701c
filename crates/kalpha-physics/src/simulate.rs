//! Measurements made up from known truth.
//!
//! [`mixture`] draws Poisson counts of end-members with given abundances, straight into sparse
//! rows. [`eds`] builds EDS spectrum images with it: known compositions, k-factors, rare pixels.

pub mod eds;
pub mod mixture;
