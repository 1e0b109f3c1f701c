//! Normalisation to the maximum: each spectrum is divided by its largest value.
//!
//! `z_i = height y_i / max_j y_j`, the maximum over `first..=last` (axis values) where given. The
//! largest of many noisy values is biased upwards: for noisy spectra prefer
//! `normalize.reference_peak` or `normalize.total`.
//!
//! Complexity O(n). Tested against the formula.

use super::scale::{finished, refused};
use crate::row_method::{Block, RowMethod, RowStatus, Treat};
use kalpha_core::{Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Parameters of `normalize.max`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Max {
    /// Where the maximum is looked for begins, in units of the axis; the first channel if absent.
    pub first: Option<f64>,
    /// Where it ends, in units of the axis; the last channel if absent.
    pub last: Option<f64>,
}

impl Treat for Max {
    const ID: &'static str = "normalize.max";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Divides each spectrum by its maximum";
    type Method = MaxMethod;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        rows.signal.window("first, last", self.first, self.last).map(|_| ()).map_err(Into::into)
    }

    fn method(self, rows: &Rows, _: &Metadata, _: &dyn Passes) -> Result<MaxMethod, StepError> {
        Ok(MaxMethod(rows.meta().signal.window("first, last", self.first, self.last)?))
    }

    fn noise(&self, _: &NoiseModel) -> NoiseModel {
        NoiseModel::Unknown
    }
}

/// `normalize.max` on known channels.
pub struct MaxMethod(Range<usize>);

impl RowMethod for MaxMethod {
    type Scratch = ();

    fn columns(&self) -> Vec<(&'static str, String)> {
        vec![("maximum", String::new())]
    }

    fn apply(&self, block: &mut Block<'_>, (): &mut ()) {
        block.each(|y, z, table| {
            let max = y[self.0.clone()].iter().fold(f64::NEG_INFINITY, |a, b| a.max(*b));
            table[0] = max;
            if max <= 0.0 {
                return refused(z, RowStatus::Constant);
            }
            z.iter_mut().zip(y).for_each(|(z, y)| *z = y / max);
            finished(z)
        });
    }
}
