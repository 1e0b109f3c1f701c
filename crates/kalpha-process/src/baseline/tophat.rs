//! Top-hat baseline: the opening of the spectrum.
//!
//! Follows the valleys in steps. Source: Perez-Pueyo, Soneira and Ruiz-Moreno (2010), Appl.
//! Spectrosc. 64, 595, doi:10.1366/000370210791414281. O(n) for a given window. Tested against
//! pybaselines 1.2.1 `tophat`.

use super::{
    morphology::{self, opening, optimal_half_window},
    whittaker::{at_least, parameter},
};
use crate::row_method::{Block, RowMethod, RowStatus, Treat};
use kalpha_core::{Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `baseline.tophat`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tophat {
    /// Half-width of the window, in channels: wider than the widest peak. Found for each
    /// spectrum if absent.
    pub half_window: Option<usize>,
}

impl Treat for Tophat {
    const ID: &'static str = "baseline.tophat";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Top-hat baseline: morphological opening";
    type Method = Self;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        if self.half_window == Some(0) {
            return Err(parameter("half_window", 0, "at least 1"));
        }
        at_least(rows.channels, 2 * self.half_window.unwrap_or(1) + 1)
    }

    fn method(self, _: &Rows, _: &Metadata, _: &dyn Passes) -> Result<Self, StepError> {
        Ok(self)
    }

    fn noise(&self, _: &NoiseModel) -> NoiseModel {
        NoiseModel::Correlated
    }
}

impl RowMethod for Tophat {
    type Scratch = morphology::Scratch;

    fn columns(&self) -> Vec<(&'static str, String)> {
        vec![("half_window", "channels".into())]
    }

    fn apply(&self, block: &mut Block<'_>, morphology: &mut morphology::Scratch) {
        block.each(|y, z, table| {
            let half = self.half_window.unwrap_or_else(|| optimal_half_window(y, morphology));
            table[0] = half as f64;
            opening(y, half, z, morphology);
            RowStatus::Fine
        });
    }
}
