//! Normalisation to the total: each spectrum is divided by the sum of its channels.
//!
//! `z_i = area y_i / sum_j y_j`, the sum over `first..=last` (axis values) where given. A sum
//! that is zero, or not positive, has no meaning as a dose: the row is refused. Counts divided
//! by a total are counts no more, and their noise differs from row to row: it becomes unknown.
//!
//! Complexity O(n). Tested against the formula.

use crate::row_method::{Block, RowMethod, RowStatus, Treat};
use kalpha_core::{Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Parameters of `normalize.total`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Total {
    /// Sum of each spectrum afterwards.
    pub area: f64,
    /// Where the sum begins, in units of the axis; the first channel if absent.
    pub first: Option<f64>,
    /// Where the sum ends, in units of the axis; the last channel if absent.
    pub last: Option<f64>,
}

impl Default for Total {
    fn default() -> Self {
        Self { area: 1.0, first: None, last: None }
    }
}

impl Treat for Total {
    const ID: &'static str = "normalize.total";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Divides each spectrum by its sum";
    type Method = TotalMethod;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        if !self.area.is_finite() || self.area == 0.0 {
            return Err(StepError::Parameter {
                parameter: "area",
                got: self.area.to_string(),
                expected: "a finite number other than zero".into(),
            });
        }
        rows.signal.window("first, last", self.first, self.last).map(|_| ()).map_err(Into::into)
    }

    fn method(self, rows: &Rows, _: &Metadata, _: &dyn Passes) -> Result<Self::Method, StepError> {
        let window = rows.meta().signal.window("first, last", self.first, self.last)?;
        Ok(TotalMethod { area: self.area, window })
    }

    fn noise(&self, _: &NoiseModel) -> NoiseModel {
        NoiseModel::Unknown
    }
}

/// `normalize.total` on known channels.
pub struct TotalMethod {
    area: f64,
    window: Range<usize>,
}

impl RowMethod for TotalMethod {
    type Scratch = ();

    fn columns(&self) -> Vec<(&'static str, String)> {
        vec![("total", String::new())]
    }

    fn apply(&self, block: &mut Block<'_>, (): &mut ()) {
        block.each(|y, z, table| {
            let total: f64 = y[self.window.clone()].iter().sum();
            table[0] = total;
            if total <= 0.0 {
                z.fill(f64::NAN);
                return RowStatus::Constant;
            }
            z.iter_mut().zip(y).for_each(|(z, y)| *z = y * self.area / total);
            RowStatus::Fine
        });
    }
}
