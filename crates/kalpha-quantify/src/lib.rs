//! From line intensities to compositions with error budgets.
//!
//! - [`specimen`] decides what the specimen allows, and refuses the rest.
//! - [`k_factors`] are given or computed, always with a sigma.
//! - [`cliff_lorimer`] turns intensities into weight and atomic percent.
//! - [`absorption`] corrects a thin film for its own absorption.
//! - [`sensitivity_factors`] turns photoelectron areas into atomic percent.
//! - [`xps`] names photoelectron peaks and their elements.
//! - [`budget`] says where the uncertainty comes from.
//! - [`interaction`] says how far a bulk spectrum reaches.

pub mod absorption;
pub mod budget;
pub mod cliff_lorimer;
mod error;
pub mod interaction;
pub mod k_factors;
pub mod sensitivity_factors;
pub mod specimen;
pub mod xps;

pub use error::{NotQuantified, QuantifyError, RefusalReason};
