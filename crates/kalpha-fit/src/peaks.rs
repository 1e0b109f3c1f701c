//! Peak fitting: any sum of line shapes, with bounds, ties and honest errors.
//!
//! A [`PeakModel`] is a list of named [`Component`]s, each a [`LineShape`] with parameters that are
//! free (within bounds), fixed, or tied by an expression to others; [`PeakModel::fit`] gives a
//! [`PeakFit`]: values, covariance, what is at a bound or not identified, and how well it fits.
//!
//! ```
//! use kalpha_fit::peaks::{Component, FitOptions, Noise, PeakModel};
//! # fn main() -> Result<(), kalpha_fit::peaks::PeakError> {
//! let main = Component::new("main", "pseudo_voigt")?.start("center", 71.2)?.start("fwhm", 0.9)?;
//! // The other line of a doublet: 3.35 above, three quarters of the area, the same shape.
//! let other = main.partner("other", "3.35", "0.75")?;
//! let model = PeakModel::new(vec![main, other, Component::new("offset", "constant")?])?;
//! # let x: Vec<f64> = (0..200).map(|i| 66.0 + 0.07 * f64::from(i)).collect();
//! # let y: Vec<f64> = x.iter().map(|x| {
//! #     let bell = |c: f64| (-2.0 * (x - c).powi(2)).exp();
//! #     5.0 + 100.0 * bell(71.0) + 75.0 * bell(74.35)
//! # }).collect();
//! let fit = model.fit(&x, &y, Noise::Unknown, &FitOptions::default())?;
//! assert!((fit.value("main.center").unwrap_or(0.0) - 71.0).abs() < 1e-3);
//! # Ok(())
//! # }
//! ```

mod automatic;
mod batch;
pub mod coverage;
mod data;
mod diagnostics;
mod error;
mod expression;
mod find;
mod fit;
mod interval;
mod linear;
mod model;
mod objective;
pub mod shape;
mod start;
mod step;

pub use automatic::{Automatic, Background, automatic};
pub use batch::{BatchFit, BatchFitter, BatchStatus};
pub use data::Noise;
pub use diagnostics::{Comparison, Diagnostics, compare};
pub use error::PeakError;
pub use find::{FindOptions, FoundPeak, find_peaks};
pub use fit::{FitOptions, Fitted, FittedParameter, PeakFit, PeakRow, PeakWarning, State};
pub use interval::Interval;
pub use model::{Component, Constraint, Parameter, PeakModel};
pub use shape::{LineShape, Measures, SHAPES, Scatterer, Seen, shape};
pub use step::{ComponentParams, FitCurves, PeakFits, PeaksParams, PeaksStep, RowPeaks};
