//! Normalisation to a reference peak: each spectrum is divided by the net area of one peak.
//!
//! The area in `first..=last` above the straight line between the means of the `ends` channels at
//! both ends of the window: `z_i = y_i / sum_j (y_j - line_j)`. An internal standard, a substrate
//! line or an elastic peak thus cancels dose and thickness. An area that is not positive, or lies
//! within its own counting noise, is no reference: the row is flagged.
//!
//! Complexity O(n). Tested against the formula.

use super::scale::{finished, refused};
use crate::row_method::{Block, RowMethod, RowStatus, Treat};
use kalpha_core::{Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Parameters of `normalize.reference_peak`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReferencePeak {
    /// Where the window around the peak begins, in units of the axis.
    pub first: Option<f64>,
    /// Where it ends, in units of the axis.
    pub last: Option<f64>,
    /// Channels averaged at each end of the window for the line below the peak; 0 for no line.
    pub ends: usize,
}

impl Default for ReferencePeak {
    fn default() -> Self {
        Self { first: None, last: None, ends: 2 }
    }
}

impl ReferencePeak {
    fn window(&self, rows: &RowsMeta) -> Result<Range<usize>, StepError> {
        let (Some(first), Some(last)) = (self.first, self.last) else {
            return Err(StepError::Parameter {
                parameter: "first, last",
                got: "nothing".into(),
                expected: "the window around the reference peak, in units of the axis".into(),
            });
        };
        let window = rows.signal.window("first, last", Some(first), Some(last))?;
        if window.len() < 2 * self.ends + 1 {
            return Err(StepError::Parameter {
                parameter: "ends",
                got: self.ends.to_string(),
                expected: format!("the window has {} channels: fewer at its ends", window.len()),
            });
        }
        Ok(window)
    }
}

impl Treat for ReferencePeak {
    const ID: &'static str = "normalize.reference_peak";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Divides each spectrum by the net area of one of its peaks";
    type Method = ReferencePeakMethod;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        self.window(rows).map(|_| ())
    }

    fn method(
        self,
        rows: &Rows,
        _: &Metadata,
        _: &dyn Passes,
    ) -> Result<ReferencePeakMethod, StepError> {
        let window = self.window(rows.meta())?;
        Ok(ReferencePeakMethod { window, ends: self.ends })
    }

    fn noise(&self, _: &NoiseModel) -> NoiseModel {
        NoiseModel::Unknown
    }
}

/// `normalize.reference_peak` on known channels.
pub struct ReferencePeakMethod {
    window: Range<usize>,
    ends: usize,
}

impl RowMethod for ReferencePeakMethod {
    type Scratch = ();

    fn columns(&self) -> Vec<(&'static str, String)> {
        vec![("reference_area", String::new())]
    }

    fn apply(&self, block: &mut Block<'_>, (): &mut ()) {
        block.each(|y, z, table| {
            let here = &y[self.window.clone()];
            let (n, ends) = (here.len(), self.ends);
            let sum: f64 = here.iter().sum();
            let line = match ends {
                0 => 0.0,
                _ => {
                    let outer: f64 = here[..ends].iter().chain(&here[n - ends..]).sum();
                    outer / (2 * ends) as f64 * n as f64
                }
            };
            let (area, size) = (sum - line, here.iter().fold(0.0, |a: f64, v| a.max(v.abs())));
            table[0] = area;
            if area.is_nan() || area <= 1e-12 * size * n as f64 {
                return refused(z, RowStatus::Refused);
            }
            z.iter_mut().zip(y).for_each(|(z, y)| *z = y / area);
            finished(z)
        });
    }
}
