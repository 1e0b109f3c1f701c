//! Straight line through the ends of the spectrum, or of a part of it.
//!
//! The line passes through the means of the first and last `points` channels from `first` to
//! `last`; outside this part the background is the spectrum itself, so that nothing is left
//! there. The usual choice for an XPS region without inelastic step. O(n). Tested against its
//! definition.

use super::whittaker::{at_least, parameter};
use crate::row_method::{Block, RowMethod, RowStatus, Treat};
use kalpha_core::{Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Parameters of `baseline.linear`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Linear {
    /// Channels averaged at each end.
    pub points: usize,
    /// Where the line begins, in units of the axis; the first channel if absent.
    pub first: Option<f64>,
    /// Where the line ends, in units of the axis; the last channel if absent.
    pub last: Option<f64>,
}

impl Default for Linear {
    fn default() -> Self {
        Self { points: 5, first: None, last: None }
    }
}

impl Treat for Linear {
    const ID: &'static str = "baseline.linear";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Straight line through the averaged ends";
    type Method = LinearMethod;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        if self.points == 0 {
            return Err(parameter("points", 0, "at least 1"));
        }
        let window = rows.signal.window("first, last", self.first, self.last)?;
        at_least(window.len(), 2 * self.points)
    }

    fn method(self, rows: &Rows, _: &Metadata, _: &dyn Passes) -> Result<LinearMethod, StepError> {
        let axis = &rows.meta().signal;
        let window = axis.window("first, last", self.first, self.last)?;
        let x: Vec<f64> = window.clone().map(|i| axis.at(i)).collect();
        Ok(LinearMethod { points: self.points, window, x })
    }

    fn noise(&self, _: &NoiseModel) -> NoiseModel {
        NoiseModel::Correlated
    }
}

/// `baseline.linear` on known channels.
pub struct LinearMethod {
    points: usize,
    window: Range<usize>,
    x: Vec<f64>,
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

impl RowMethod for LinearMethod {
    type Scratch = ();

    fn apply(&self, block: &mut Block<'_>, (): &mut ()) {
        let (n, points) = (self.x.len(), self.points);
        let (x0, x1) = (mean(&self.x[..points]), mean(&self.x[n - points..]));
        block.each(|y, z, _| {
            z.copy_from_slice(y);
            let part = &y[self.window.clone()];
            let (y0, y1) = (mean(&part[..points]), mean(&part[n - points..]));
            for (z, x) in z[self.window.clone()].iter_mut().zip(&self.x) {
                *z = y0 + (y1 - y0) * ((x - x0) / (x1 - x0));
            }
            RowStatus::Fine
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_through_the_means() {
        let method =
            LinearMethod { points: 2, window: 1..7, x: vec![1.0, 2.0, 4.0, 5.0, 7.0, 8.0] };
        let y = [100.0, 1.0, 3.0, 50.0, 60.0, 5.0, 9.0, 100.0];
        let (mut z, mut status, mut table) = (vec![0.0; 8], [RowStatus::Fine], []);
        method.apply(
            &mut Block {
                first_row: 0,
                rows: 1,
                channels: 8,
                values: &y,
                out: &mut z,
                status: &mut status,
                table: &mut table,
            },
            &mut (),
        );
        // Through (1.5, 2) and (7.5, 7).
        let line = |x: f64| 2.0 + 5.0 / 6.0 * (x - 1.5);
        for (i, x) in [1.0, 2.0, 4.0, 5.0, 7.0, 8.0].iter().enumerate() {
            assert!((z[i + 1] - line(*x)).abs() < 1e-14);
        }
        assert_eq!((z[0], z[7]), (100.0, 100.0));
    }
}
