//! Rolling-ball baseline: the opening, smoothed by a moving mean.
//!
//! Source: Kneen and Annegarn (1996), Nucl. Instrum. Methods B 109, 209,
//! doi:10.1016/0168-583X(95)00908-6; with the flat window of Liland (2015), MethodsX 2, 135,
//! doi:10.1016/j.mex.2015.02.009. O(n) for a given window. Tested against pybaselines 1.2.1
//! `rolling_ball`.

use super::{
    edges::{Padded, smoothed},
    morphology::{self, opening, optimal_half_window},
    whittaker::{at_least, parameter},
};
use crate::row_method::{Block, RowMethod, RowStatus, Treat};
use kalpha_core::{Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `baseline.rolling_ball`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RollingBall {
    /// Half-width of the window, in channels: wider than the widest peak. Found for each
    /// spectrum if absent.
    pub half_window: Option<usize>,
    /// Half-width of the moving mean, in channels; as `half_window` if absent, 0 for none.
    pub smooth_half_window: Option<usize>,
}

impl Treat for RollingBall {
    const ID: &'static str = "baseline.rolling_ball";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Rolling-ball baseline: smoothed opening";
    type Method = Self;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        if self.half_window == Some(0) {
            return Err(parameter("half_window", 0, "at least 1"));
        }
        at_least(rows.channels, 2 * self.smooth_half_window.unwrap_or(0) + 1)?;
        at_least(rows.channels, 2 * self.half_window.unwrap_or(1) + 1)
    }

    fn method(self, _: &Rows, _: &Metadata, _: &dyn Passes) -> Result<Self, StepError> {
        Ok(self)
    }

    fn noise(&self, _: &NoiseModel) -> NoiseModel {
        NoiseModel::Correlated
    }
}

impl RowMethod for RollingBall {
    type Scratch = (morphology::Scratch, Vec<f64>, Padded);

    fn columns(&self) -> Vec<(&'static str, String)> {
        vec![("half_window", "channels".into())]
    }

    fn apply(&self, block: &mut Block<'_>, scratch: &mut (morphology::Scratch, Vec<f64>, Padded)) {
        let (morphology, rough, padded) = scratch;
        block.each(|y, z, table| {
            let half = self.half_window.unwrap_or_else(|| optimal_half_window(y, morphology));
            table[0] = half as f64;
            rough.resize(y.len(), 0.0);
            opening(y, half, rough, morphology);
            smoothed(rough, self.smooth_half_window.unwrap_or(half), z, padded);
            RowStatus::Fine
        });
    }
}
