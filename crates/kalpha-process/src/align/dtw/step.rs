//! Step `align.dtw`.

use super::{DtwScratch, dtw, memory, warp};
use crate::{
    reference,
    row_method::{Block, RowMethod, RowStatus, Treat},
};
use kalpha_core::{Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Working memory above which a radius is asked for.
const MAX_BYTES: usize = 1 << 30;

/// Parameters of `align.dtw`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DtwParams {
    /// `mean`, or the number of the row that is the reference.
    pub reference: String,
    /// Channels by which a point may move; without limit if absent.
    pub radius: Option<usize>,
}

impl Default for DtwParams {
    fn default() -> Self {
        Self { reference: "mean".into(), radius: Some(20) }
    }
}

impl Treat for DtwParams {
    const ID: &'static str = "align.dtw";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Warps each spectrum onto a reference along the path of least cost";
    type Method = DtwMethod;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        reference::check(&self.reference, rows.rows)?;
        rows.signal.ascending()?;
        if memory(rows.channels, rows.channels, self.radius) > MAX_BYTES {
            return Err(StepError::Parameter {
                parameter: "radius",
                got: format!("{:?}", self.radius),
                expected: format!(
                    "a radius: all pairs of {} channels take more than 1 GB",
                    rows.channels
                ),
            });
        }
        Ok(())
    }

    fn method(
        self,
        rows: &Rows,
        _: &Metadata,
        passes: &dyn Passes,
    ) -> Result<DtwMethod, StepError> {
        let reference = reference::reference(&self.reference, rows, passes)?;
        Ok(DtwMethod { reference, radius: self.radius })
    }

    fn noise(&self, _: &NoiseModel) -> NoiseModel {
        NoiseModel::Correlated
    }
}

/// `align.dtw` against a known reference.
pub struct DtwMethod {
    reference: Vec<f64>,
    radius: Option<usize>,
}

/// Change of the sum, in units of the sum of sizes.
pub(crate) fn area_change(before: &[f64], after: &[f64]) -> f64 {
    let size: f64 = before.iter().map(|v| v.abs()).sum();
    (after.iter().sum::<f64>() - before.iter().sum::<f64>()) / size
}

impl RowMethod for DtwMethod {
    type Scratch = DtwScratch;

    fn columns(&self) -> Vec<(&'static str, String)> {
        ["distance", "largest_move", "area_change"].map(|name| (name, String::new())).to_vec()
    }

    fn apply(&self, block: &mut Block<'_>, scratch: &mut DtwScratch) {
        block.each(|y, z, table| {
            let distance = dtw(&self.reference, y, self.radius, scratch).unwrap_or(f64::NAN);
            warp(y, scratch.path(), z);
            let moved = scratch.path().iter().map(|(i, j)| i.abs_diff(*j)).max().unwrap_or(0);
            let change = area_change(y, z);
            table.copy_from_slice(&[distance, moved as f64, change]);
            if !distance.is_finite() || z.iter().any(|v| !v.is_finite()) {
                z.fill(f64::NAN);
                return RowStatus::Refused;
            }
            match y.iter().all(|v| *v == y[0]) {
                true => RowStatus::Constant,
                false if Some(moved) == self.radius && moved > 0 => RowStatus::AtBound,
                false => RowStatus::Fine,
            }
        });
    }
}
