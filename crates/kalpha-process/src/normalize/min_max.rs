//! Min-max scaling of each channel over all spectra.
//!
//! `z_ij = (y_ij - min_i y_ij) / (max_i y_ij - min_i y_ij)`: every channel runs from 0 to 1. A
//! channel without spread becomes 0. Weights channels of noise like channels of signal: meant
//! for learners that want bounded inputs, not for physics.
//!
//! Complexity O(rows x channels), two passes. Tested against the formula.

use super::scale::{finished, refused};
use crate::row_method::{Block, RowMethod, RowStatus, Treat};
use kalpha_core::{Cell, Fold, Merge, Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `normalize.min_max`: none.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MinMax {}

/// Least and largest finite value of each channel.
struct Extremes(usize);

impl Fold for Extremes {
    type State = (Vec<f64>, Vec<f64>);
    type Scratch = Vec<f64>;
    const MERGE: Merge = Merge::Exact;

    fn start(&self) -> Self::State {
        (vec![f64::INFINITY; self.0], vec![f64::NEG_INFINITY; self.0])
    }

    fn absorb(&self, state: &mut Self::State, cell: &Cell<'_>, values: &mut Vec<f64>) {
        cell.to_f64(values);
        for row in values.chunks_exact(self.0.max(1)) {
            if row.iter().all(|v| v.is_finite()) {
                for (c, v) in row.iter().enumerate() {
                    state.0[c] = state.0[c].min(*v);
                    state.1[c] = state.1[c].max(*v);
                }
            }
        }
    }

    fn merge(&self, state: &mut Self::State, later: Self::State) {
        state.0.iter_mut().zip(later.0).for_each(|(a, b)| *a = a.min(b));
        state.1.iter_mut().zip(later.1).for_each(|(a, b)| *a = a.max(b));
    }
}

impl Treat for MinMax {
    const ID: &'static str = "normalize.min_max";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Scales each channel to run from 0 to 1 over all spectra";
    type Method = MinMaxMethod;

    fn check(&self, _: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        Ok(())
    }

    fn method(
        self,
        rows: &Rows,
        _: &Metadata,
        passes: &dyn Passes,
    ) -> Result<MinMaxMethod, StepError> {
        let (low, high) = passes.fold(&Extremes(rows.meta().channels), rows)?;
        let spread: Vec<f64> = low.iter().zip(&high).map(|(a, b)| b - a).collect();
        Ok(MinMaxMethod { flat: spread.iter().all(|s| *s <= 0.0), low, spread })
    }

    fn noise(&self, _: &NoiseModel) -> NoiseModel {
        NoiseModel::Unknown
    }
}

/// `normalize.min_max` on known extremes.
pub struct MinMaxMethod {
    low: Vec<f64>,
    spread: Vec<f64>,
    flat: bool,
}

impl RowMethod for MinMaxMethod {
    type Scratch = ();

    fn apply(&self, block: &mut Block<'_>, (): &mut ()) {
        block.each(|y, z, _| {
            if self.flat {
                return refused(z, RowStatus::Constant);
            }
            for c in 0..y.len() {
                z[c] =
                    if self.spread[c] > 0.0 { (y[c] - self.low[c]) / self.spread[c] } else { 0.0 };
            }
            finished(z)
        });
    }
}
