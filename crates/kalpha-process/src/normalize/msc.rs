//! Multiplicative scatter correction (MSC).
//!
//! Each spectrum is regressed on a reference, `y_i = a + b r_i`, and becomes `z_i = (y_i - a) / b`.
//! The reference is the mean spectrum, or one row.
//!
//! Source: Geladi, MacDougall and Martens (1985), Appl. Spectrosc. 39, 491,
//! doi:10.1366/0003702854248656. Complexity O(n). Tested against the formula.

use super::scale::{finished, refused};
use crate::{
    reference,
    row_method::{Block, RowMethod, RowStatus, Treat},
};
use kalpha_core::{Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `normalize.msc`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Msc {
    /// `mean`, or the number of the row that is the reference.
    pub reference: String,
}

impl Default for Msc {
    fn default() -> Self {
        Self { reference: "mean".into() }
    }
}

impl Treat for Msc {
    const ID: &'static str = "normalize.msc";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Fits offset and gain of each spectrum against a reference";
    type Method = MscMethod;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        reference::check(&self.reference, rows.rows)
    }

    fn method(
        self,
        rows: &Rows,
        _: &Metadata,
        passes: &dyn Passes,
    ) -> Result<MscMethod, StepError> {
        let reference = reference::reference(&self.reference, rows, passes)?;
        let mean = reference.iter().sum::<f64>() / reference.len() as f64;
        let centred: Vec<f64> = reference.iter().map(|v| v - mean).collect();
        let square: f64 = centred.iter().map(|v| v * v).sum();
        if square.is_nan() || square <= 1e-28 * mean * mean {
            return Err(StepError::TooLittle {
                what: "the reference spectrum is constant".into(),
                hint: "name a row with structure as the reference".into(),
            });
        }
        Ok(MscMethod { mean, centred, square })
    }

    fn noise(&self, _: &NoiseModel) -> NoiseModel {
        NoiseModel::Unknown
    }
}

/// `normalize.msc` against a known reference.
pub struct MscMethod {
    mean: f64,
    centred: Vec<f64>,
    square: f64,
}

impl RowMethod for MscMethod {
    type Scratch = ();

    fn columns(&self) -> Vec<(&'static str, String)> {
        vec![("offset", String::new()), ("gain", String::new())]
    }

    fn apply(&self, block: &mut Block<'_>, (): &mut ()) {
        block.each(|y, z, table| {
            let mean = y.iter().sum::<f64>() / y.len() as f64;
            let dot: f64 = y.iter().zip(&self.centred).map(|(y, r)| (y - mean) * r).sum();
            let gain = dot / self.square;
            let offset = mean - gain * self.mean;
            table.copy_from_slice(&[offset, gain]);
            let size = y.iter().fold(0.0, |a: f64, v| a.max(v.abs()));
            let span = (self.square / y.len() as f64).sqrt();
            if gain.is_nan() || gain <= 1e-12 * size / span {
                // Constant, or the reference upside down: no gain that scattering could make.
                return refused(z, RowStatus::Constant);
            }
            z.iter_mut().zip(y).for_each(|(z, y)| *z = (y - offset) / gain);
            finished(z)
        });
    }
}
