//! Least squares: weighted linear fits with covariance, and nonlinear ones by
//! Levenberg-Marquardt with bounds, robust losses and a verdict on what the data identify.

mod bounded;
mod covariance;
mod householder;
mod linear;
mod loss;
mod marquardt;
#[cfg(test)]
mod nist_strd;
mod problem;
mod products;
#[cfg(test)]
mod tests;

use thiserror::Error;

pub use bounded::{Bounds, LevenbergMarquardt, Minimum, Options, Reason};
pub use covariance::Covariance;
pub use linear::{Cholesky, LinearFit, weighted_coefficients, weighted_linear};
pub use loss::{Loss, Robust};
pub use marquardt::{NonlinearFit, levenberg_marquardt};
pub use problem::{Numerical, Problem};

/// Why a fit has no answer.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum LeastSquaresError {
    /// A column is zero or depends on the ones before it.
    #[error("column {column} cannot be told from the others (hint: leave it out)")]
    Dependent {
        /// Index of the column.
        column: usize,
    },
    /// Lengths do not agree.
    #[error("{what} has length {got}, {expected} is needed")]
    Length {
        /// Which argument.
        what: &'static str,
        /// Length found.
        got: usize,
        /// Length needed.
        expected: usize,
    },
    /// The starting point gives no finite residuals.
    #[error(
        "the residuals are not finite at the starting point (hint: other start values, or points \
         without NaN)"
    )]
    NotFinite,
    /// More parameters than residuals.
    #[error(
        "{residuals} residuals cannot determine {parameters} parameters (hint: fix or tie some)"
    )]
    Few {
        /// Residuals.
        residuals: usize,
        /// Parameters.
        parameters: usize,
    },
    /// A lower bound above the upper one, or NaN.
    #[error("the bounds of parameter {parameter} leave no room: {lower} to {upper}")]
    Bounds {
        /// Index of the parameter.
        parameter: usize,
        /// Lower bound.
        lower: f64,
        /// Upper bound.
        upper: f64,
    },
}
