//! Morphological baseline: the lower of the opening and of its smoothed self.
//!
//! `z = min(O, (dilation(O) + erosion(O)) / 2)`, O the opening. Source: Perez-Pueyo, Soneira and
//! Ruiz-Moreno (2010), Appl. Spectrosc. 64, 595, doi:10.1366/000370210791414281. O(n) for a
//! given window. Tested against pybaselines 1.2.1 `mor`.

use super::{
    morphology::{self, dilation, erosion, opening, optimal_half_window},
    whittaker::{at_least, parameter},
};
use crate::row_method::{Block, RowMethod, RowStatus, Treat};
use kalpha_core::{Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `baseline.mor`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mor {
    /// Half-width of the window, in channels: wider than the widest peak. Found for each
    /// spectrum if absent.
    pub half_window: Option<usize>,
}

impl Treat for Mor {
    const ID: &'static str = "baseline.mor";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Morphological baseline: opening, smoothed and bounded";
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

impl RowMethod for Mor {
    type Scratch = (morphology::Scratch, Vec<f64>, Vec<f64>);

    fn columns(&self) -> Vec<(&'static str, String)> {
        vec![("half_window", "channels".into())]
    }

    fn apply(
        &self,
        block: &mut Block<'_>,
        scratch: &mut (morphology::Scratch, Vec<f64>, Vec<f64>),
    ) {
        let (morphology, high, low) = scratch;
        block.each(|y, z, table| {
            let half = self.half_window.unwrap_or_else(|| optimal_half_window(y, morphology));
            table[0] = half as f64;
            opening(y, half, z, morphology);
            for plane in [&mut *high, &mut *low] {
                plane.resize(y.len(), 0.0);
            }
            dilation(z, half, high, morphology);
            erosion(z, half, low, morphology);
            for ((z, high), low) in z.iter_mut().zip(&*high).zip(&*low) {
                let mean = 0.5 * (high + low);
                *z = if mean < *z { mean } else { *z };
            }
            RowStatus::Fine
        });
    }
}
