//! Poisson weighting: counts are scaled so that noise is about equal everywhere.
//!
//! `z_ij = y_ij / sqrt(gain g_i h_j)` with `h` the mean spectrum and `g_i` the total of spectrum i
//! over the mean total. Where all spectra share one shape the variance is 1 less the share of the
//! channel in the total (the total is measured too); elsewhere it is the ratio of true to shared
//! intensity. Linear, unlike the Anscombe transform:
//! components stay sums. Channels and spectra without counts become 0.
//!
//! Source: Keenan and Kotula (2004), Surf. Interface Anal. 36, 203, doi:10.1002/sia.1657.
//! Complexity O(rows x channels), two passes. Tested against the formula and Monte Carlo.

use super::{
    anscombe::gain,
    scale::{finished, refused},
};
use crate::{
    reference,
    row_method::{Block, RowMethod, RowStatus, Treat},
};
use kalpha_core::{Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `normalize.poisson`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Poisson {
    /// Signal units per count, where the noise of the data does not say so.
    pub gain: Option<f64>,
}

impl Treat for Poisson {
    const ID: &'static str = "normalize.poisson";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Weights counts by the root of their expected variance";
    type Method = PoissonMethod;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        gain(self.gain, &rows.noise).map(|_| ())
    }

    fn method(
        self,
        rows: &Rows,
        _: &Metadata,
        passes: &dyn Passes,
    ) -> Result<PoissonMethod, StepError> {
        let gain = gain(self.gain, &rows.meta().noise)?;
        let mean = reference::mean(rows, passes)?;
        let total: f64 = mean.iter().sum();
        // Root of the mean spectrum times root of 1 / mean total: the row's total is still to come.
        let weights =
            mean.iter().map(|m| if *m > 0.0 { (total / (gain * m)).sqrt() } else { 0.0 }).collect();
        Ok(PoissonMethod { weights })
    }

    fn noise(&self, _: &NoiseModel) -> NoiseModel {
        NoiseModel::Gaussian { sigma: 1.0 }
    }
}

/// `normalize.poisson` on a known mean spectrum.
pub struct PoissonMethod {
    weights: Vec<f64>,
}

impl RowMethod for PoissonMethod {
    type Scratch = ();

    fn columns(&self) -> Vec<(&'static str, String)> {
        vec![("total", String::new())]
    }

    fn apply(&self, block: &mut Block<'_>, (): &mut ()) {
        block.each(|y, z, table| {
            let total: f64 = y.iter().sum();
            table[0] = total;
            if y.iter().any(|v| *v < 0.0) {
                return refused(z, RowStatus::Negative);
            }
            if total == 0.0 {
                z.fill(0.0);
                return RowStatus::Constant;
            }
            let root = total.sqrt();
            for c in 0..y.len() {
                z[c] = y[c] * self.weights[c] / root;
            }
            finished(z)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row_method::treat;
    use kalpha_core::{Axis, DType, DenseRows, DenseValues, Serial};
    use kalpha_num::rng::Stream;
    use std::sync::Arc;

    /// Spectra of one shape and different dose: variance 1 less the channel's share.
    #[test]
    fn noise_is_even() {
        let (n, m) = (4000, 12);
        let noise = Stream::new(11, "poisson weighting", 0);
        let mean = |r: usize, c: usize| (5.0 + 20.0 * (c as f64 % 5.0)) * (0.5 + (r % 4) as f64);
        let values: Vec<f64> =
            (0..n * m).map(|i| noise.at(i / m, i % m).poisson(mean(i / m, i % m)) as f64).collect();
        let meta = RowsMeta {
            rows: n,
            channels: m,
            dtype: DType::F64,
            navigation: vec![Axis::index("y", n)],
            signal: Axis::index("Energy", m),
            noise: NoiseModel::COUNTS,
        };
        let rows: Rows = Arc::new(DenseRows::new(meta, DenseValues::F64(values.into())).unwrap());
        let passes = Serial::default();
        let method = Poisson::default().method(&rows, &Metadata::default(), &passes).unwrap();
        let weights = method.weights.clone();
        let noise = NoiseModel::Gaussian { sigma: 1.0 };
        let signal = rows.meta().signal.clone();
        let treated = treat(method, &rows, signal, noise, &passes).unwrap();
        let mut buffer = kalpha_core::CellBuffer::default();
        let mut z = Vec::new();
        treated.rows.cell(0..n, &mut buffer).unwrap().to_f64(&mut z);
        for c in 0..m {
            let square: f64 = (0..n)
                .map(|r| {
                    let total: f64 = (0..m).map(|c| mean(r, c)).sum();
                    (z[r * m + c] - mean(r, c) * weights[c] / total.sqrt()).powi(2)
                })
                .sum();
            let share = mean(0, c) / (0..m).map(|c| mean(0, c)).sum::<f64>();
            let variance = square / n as f64;
            // Four standard deviations of a variance from 4,000 draws.
            assert!((variance - 1.0 + share).abs() < 0.09, "{c}: {variance}");
        }
    }
}
