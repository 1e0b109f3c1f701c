//! Standard normal variate (SNV): each spectrum gets mean 0 and standard deviation 1.
//!
//! `z_i = (y_i - mean) / s`, `s² = sum (y_i - mean)² / (n - 1)`. Removes offset and gain of each
//! spectrum, as scattering makes them in reflectance.
//!
//! Source: Barnes, Dhanoa and Lister (1989), Appl. Spectrosc. 43, 772,
//! doi:10.1366/0003702894202201. Complexity O(n). Tested against the formula.

use super::scale::{finished, refused};
use crate::row_method::{Block, RowMethod, RowStatus, Treat};
use kalpha_core::{Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `normalize.snv`: none.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Snv {}

impl Treat for Snv {
    const ID: &'static str = "normalize.snv";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Gives each spectrum mean 0 and standard deviation 1";
    type Method = SnvMethod;

    fn check(&self, _: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        Ok(())
    }

    fn method(self, _: &Rows, _: &Metadata, _: &dyn Passes) -> Result<SnvMethod, StepError> {
        Ok(SnvMethod)
    }

    fn noise(&self, _: &NoiseModel) -> NoiseModel {
        NoiseModel::Unknown
    }
}

/// `normalize.snv`.
pub struct SnvMethod;

impl RowMethod for SnvMethod {
    type Scratch = ();

    fn columns(&self) -> Vec<(&'static str, String)> {
        vec![("mean", String::new()), ("standard_deviation", String::new())]
    }

    fn apply(&self, block: &mut Block<'_>, (): &mut ()) {
        block.each(|y, z, table| {
            let n = y.len() as f64;
            let mean = y.iter().sum::<f64>() / n;
            let square: f64 = y.iter().map(|v| (v - mean) * (v - mean)).sum();
            let spread = (square / (n - 1.0)).sqrt();
            table.copy_from_slice(&[mean, spread]);
            if spread.is_nan() || spread <= 1e-14 * mean.abs() {
                return refused(z, RowStatus::Constant);
            }
            z.iter_mut().zip(y).for_each(|(z, y)| *z = (y - mean) / spread);
            finished(z)
        });
    }
}
