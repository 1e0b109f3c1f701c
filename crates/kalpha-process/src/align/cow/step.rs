//! Step `align.cow`.

use super::{Cow, CowScratch, Criterion};
use crate::{
    align::dtw::step::area_change,
    reference,
    row_method::{Block, RowMethod, RowStatus, Treat},
};
use kalpha_core::{Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `align.cow`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CowParams {
    /// `mean`, or the number of the row that is the reference.
    pub reference: String,
    /// Segments of the reference.
    pub segments: usize,
    /// Channels by which a segment may grow or shrink.
    pub slack: usize,
    /// What the warp is chosen by.
    pub criterion: Criterion,
    /// What a relative change of length costs, in units of the variance of the spectrum.
    pub stiffness: f64,
    /// Multiply by the local stretch, so that areas stay and heights change.
    pub conserve_area: bool,
}

impl Default for CowParams {
    fn default() -> Self {
        Self {
            reference: "mean".into(),
            segments: 10,
            slack: 5,
            criterion: Criterion::LeastSquares,
            stiffness: 2.0,
            conserve_area: false,
        }
    }
}

impl CowParams {
    fn check_lengths(&self, channels: usize) -> Result<(), StepError> {
        let ramp: Vec<f64> = (0..channels).map(|i| i as f64).collect();
        if !(self.stiffness.is_finite() && self.stiffness >= 0.0) {
            return Err(StepError::Parameter {
                parameter: "stiffness",
                got: self.stiffness.to_string(),
                expected: "zero or a positive number".into(),
            });
        }
        Cow::new(&ramp, self.segments, self.slack, self.criterion, self.stiffness)
            .map(|_| ())
            .map_err(StepError::method)
    }
}

impl Treat for CowParams {
    const ID: &'static str = "align.cow";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Stretches segments of each spectrum onto a reference";
    type Method = CowMethod;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        reference::check(&self.reference, rows.rows)?;
        rows.signal.ascending()?;
        self.check_lengths(rows.channels)
    }

    fn method(
        self,
        rows: &Rows,
        _: &Metadata,
        passes: &dyn Passes,
    ) -> Result<CowMethod, StepError> {
        let reference = reference::reference(&self.reference, rows, passes)?;
        let cow = Cow::new(&reference, self.segments, self.slack, self.criterion, self.stiffness)
            .map_err(StepError::method)?;
        Ok(CowMethod { cow, slack: self.slack, conserve_area: self.conserve_area })
    }

    fn noise(&self, _: &NoiseModel) -> NoiseModel {
        NoiseModel::Correlated
    }
}

/// `align.cow` against a known reference.
pub struct CowMethod {
    cow: Cow,
    slack: usize,
    conserve_area: bool,
}

impl RowMethod for CowMethod {
    type Scratch = CowScratch;

    fn columns(&self) -> Vec<(&'static str, String)> {
        ["largest_move", "area_change"].map(|name| (name, String::new())).to_vec()
    }

    fn apply(&self, block: &mut Block<'_>, scratch: &mut CowScratch) {
        block.each(|y, z, table| {
            if !self.cow.search(y, scratch) {
                z.fill(f64::NAN);
                table.fill(f64::NAN);
                return RowStatus::Constant;
            }
            self.cow.warp(y, scratch.nodes(), self.conserve_area, z);
            let nodes = scratch.nodes().iter().zip(self.cow.nodes());
            let moved = nodes.map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0);
            table.copy_from_slice(&[moved as f64, area_change(y, z)]);
            if z.iter().any(|v| !v.is_finite()) {
                z.fill(f64::NAN);
                return RowStatus::Refused;
            }
            let stretched = |w: &[usize], v: &[usize]| (w[1] - w[0]).abs_diff(v[1] - v[0]);
            let (found, own) = (scratch.nodes().windows(2), self.cow.nodes().windows(2));
            match found.zip(own).all(|(w, v)| stretched(w, v) == self.slack) && self.slack > 0 {
                true => RowStatus::AtBound,
                false => RowStatus::Fine,
            }
        });
    }
}
