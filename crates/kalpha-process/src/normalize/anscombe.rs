//! Anscombe transform of counts, and its exact unbiased inverse.
//!
//! `z = 2 sqrt(y + 3/8)` turns Poisson counts y into values of nearly unit variance: 1 % off at a
//! mean of 4, 10 % at a mean of 1.6, useless below 1. Algebraic inversion of a *mean* of z is
//! biased; the exact unbiased inverse maps `E[z | lambda] = sum_k 2 sqrt(k + 3/8) e^-lambda
//! lambda^k / k!` back to lambda. It is tabulated up to a mean of 100 and follows its limit `z²/4 - 1/8`
//! beyond, 1e-4 counts off.
//!
//! Source: Anscombe (1948), Biometrika 35, 246, doi:10.1093/biomet/35.3-4.246; Mäkitalo and Foi
//! (2011), IEEE Trans. Image Process. 20, 99, doi:10.1109/TIP.2010.2056693 (exact inverse). Complexity O(n). Tested against sums
//! over the Poisson distribution and Monte Carlo.

use super::scale::{finished, refused};
use crate::row_method::{Block, RowMethod, RowStatus, Treat};
use kalpha_core::{Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Mean counts per channel below which the variance is no longer near 1.
const FEW: f64 = 4.0;

/// Parameters of `normalize.anscombe`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Anscombe {
    /// Signal units per count, where the noise of the data does not say so.
    pub gain: Option<f64>,
}

/// Signal units per count: the noise model's, or the parameter's where it does not know.
pub(crate) fn gain(given: Option<f64>, noise: &NoiseModel) -> Result<f64, StepError> {
    let gain = match (noise, given) {
        (NoiseModel::Poisson { gain }, None) => *gain,
        (NoiseModel::Poisson { gain }, Some(given)) if *gain == given => *gain,
        (NoiseModel::Unknown, Some(given)) => given,
        (other, _) => {
            return Err(StepError::Noise {
                port: "spectra".into(),
                got: other.clone(),
                expected: "Poisson counts",
                hint: "put this step before normalisation, subtraction and smoothing: after them \
                       variance and mean are no longer proportional. Counts whose file does not \
                       say so: give gain, the signal units per count",
            });
        }
    };
    match gain.is_finite() && gain > 0.0 {
        true => Ok(gain),
        false => Err(StepError::Parameter {
            parameter: "gain",
            got: gain.to_string(),
            expected: "a positive number of signal units per count".into(),
        }),
    }
}

impl Treat for Anscombe {
    const ID: &'static str = "normalize.anscombe";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Anscombe transform: Poisson counts to unit variance";
    type Method = AnscombeMethod;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        gain(self.gain, &rows.noise).map(|_| ())
    }

    fn method(
        self,
        rows: &Rows,
        _: &Metadata,
        _: &dyn Passes,
    ) -> Result<AnscombeMethod, StepError> {
        Ok(AnscombeMethod { gain: gain(self.gain, &rows.meta().noise)? })
    }

    fn noise(&self, _: &NoiseModel) -> NoiseModel {
        NoiseModel::Gaussian { sigma: 1.0 }
    }
}

/// `normalize.anscombe` with a known gain.
pub struct AnscombeMethod {
    gain: f64,
}

impl RowMethod for AnscombeMethod {
    type Scratch = ();

    fn columns(&self) -> Vec<(&'static str, String)> {
        vec![("mean_counts", "counts".into())]
    }

    fn apply(&self, block: &mut Block<'_>, (): &mut ()) {
        block.each(|y, z, table| {
            let mean = y.iter().sum::<f64>() / (self.gain * y.len() as f64);
            table[0] = mean;
            if y.iter().any(|v| *v < 0.0) {
                return refused(z, RowStatus::Negative);
            }
            z.iter_mut().zip(y).for_each(|(z, y)| *z = 2.0 * (y / self.gain + 0.375).sqrt());
            match finished(z) {
                RowStatus::Fine if mean < FEW => RowStatus::LowCounts,
                status => status,
            }
        });
    }
}

/// Parameters of `normalize.anscombe_inverse`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AnscombeInverse {
    /// Signal units per count of the result.
    pub gain: f64,
}

impl Default for AnscombeInverse {
    fn default() -> Self {
        Self { gain: 1.0 }
    }
}

impl Treat for AnscombeInverse {
    const ID: &'static str = "normalize.anscombe_inverse";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Exact unbiased inverse of the Anscombe transform";
    type Method = InverseMethod;

    fn check(&self, _: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        gain(Some(self.gain), &NoiseModel::Unknown).map(|_| ())
    }

    fn method(self, _: &Rows, _: &Metadata, _: &dyn Passes) -> Result<InverseMethod, StepError> {
        Ok(InverseMethod { gain: self.gain, table: UnbiasedInverse::new() })
    }

    fn noise(&self, noise: &NoiseModel) -> NoiseModel {
        match noise {
            NoiseModel::Correlated => NoiseModel::Correlated,
            _ => NoiseModel::Unknown,
        }
    }
}

/// `normalize.anscombe_inverse`.
pub struct InverseMethod {
    gain: f64,
    table: UnbiasedInverse,
}

impl RowMethod for InverseMethod {
    type Scratch = ();

    fn apply(&self, block: &mut Block<'_>, (): &mut ()) {
        block.each(|y, z, _| {
            z.iter_mut().zip(y).for_each(|(z, y)| *z = self.gain * self.table.at(*y));
            finished(z)
        });
    }
}

/// `E[2 sqrt(k + 3/8)]` for Poisson k with mean `lambda`, and its derivative.
fn expected(lambda: f64) -> (f64, f64) {
    let centre = lambda.floor();
    // Beyond ten standard deviations on either side nothing is left.
    let reach = 10.0 * lambda.sqrt() + 25.0;
    let (low, high) = ((centre - reach).max(0.0), centre + reach);
    let log_weight = centre * lambda.max(f64::MIN_POSITIVE).ln()
        - lambda
        - (1..=centre as usize).map(|k| (k as f64).ln()).sum::<f64>();
    let (mut value, mut slope) = (0.0, 0.0);
    let mut add = |k: f64, weight: f64| {
        let (here, next) = (2.0 * (k + 0.375).sqrt(), 2.0 * (k + 1.375).sqrt());
        value += weight * here;
        slope += weight * (next - here);
    };
    let (mut k, mut weight) = (centre, log_weight.exp());
    while k <= high {
        add(k, weight);
        k += 1.0;
        weight *= lambda / k;
    }
    (k, weight) = (centre, log_weight.exp());
    while k > low {
        weight *= k / lambda;
        k -= 1.0;
        add(k, weight);
    }
    (value, slope)
}

/// Table of the exact unbiased inverse.
#[derive(Clone, Debug)]
pub struct UnbiasedInverse {
    first: f64,
    step: f64,
    /// Mean counts and their derivative by z, at equal steps of z.
    nodes: Vec<(f64, f64)>,
}

impl UnbiasedInverse {
    /// Tabulates means from 0 to 100.
    pub fn new() -> Self {
        let (first, last) = (expected(0.0).0, expected(100.0).0);
        let steps = 1200;
        let step = (last - first) / f64::from(steps);
        let mut lambda = 0.0;
        let nodes = (0..=steps)
            .map(|i| {
                let z = first + step * f64::from(i);
                for _ in 0..50 {
                    let (value, slope) = expected(lambda);
                    let change = (z - value) / slope;
                    lambda = (lambda + change).max(0.0);
                    if change.abs() < 1e-13 * (1.0 + lambda) {
                        break;
                    }
                }
                (lambda, 1.0 / expected(lambda).1)
            })
            .collect();
        Self { first, step, nodes }
    }

    /// The mean counts whose transform has the mean `z`; 0 where no mean has.
    pub fn at(&self, z: f64) -> f64 {
        let x = (z - self.first) / self.step;
        if x <= 0.0 {
            return 0.0;
        }
        let i = x.min(self.nodes.len() as f64) as usize;
        if let (Some((a, da)), Some((b, db))) = (self.nodes.get(i), self.nodes.get(i + 1)) {
            let (t, h) = (x - i as f64, self.step);
            let (t2, t3) = (t * t, t * t * t);
            return (2.0 * t3 - 3.0 * t2 + 1.0) * a
                + (t3 - 2.0 * t2 + t) * h * da
                + (3.0 * t2 - 2.0 * t3) * b
                + (t3 - t2) * h * db;
        }
        0.25 * z * z - 0.125
    }
}

impl Default for UnbiasedInverse {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kalpha_num::rng::Stream;

    #[test]
    fn the_inverse_is_unbiased() {
        let inverse = UnbiasedInverse::new();
        for lambda in [0.0, 1e-3, 0.1, 0.7, 1.0, 3.3, 10.0, 47.0, 99.0] {
            let back = inverse.at(expected(lambda).0);
            assert!((back - lambda).abs() < 1e-7 * (1.0 + lambda), "{lambda} {back}");
        }
        // The limit beyond the table: its error falls with the mean.
        for lambda in [101.0, 150.0, 1000.0] {
            let back = inverse.at(expected(lambda).0);
            assert!((back - lambda).abs() < 2e-4, "{lambda} {back}");
        }
        assert_eq!((inverse.at(0.0), inverse.at(-3.0)), (0.0, 0.0));
        // The algebraic inverse of the same mean is a quarter of a count low.
        let z = expected(10.0).0;
        assert!((0.25 * z * z - 0.375 - (10.0 - 0.25)).abs() < 0.02);
    }

    /// The declared noise against Monte Carlo.
    #[test]
    fn the_variance_is_one_from_four_counts_on() {
        let noise = Stream::new(5, "anscombe", 0);
        for (lambda, off) in [(4.0, 0.05), (20.0, 0.03), (300.0, 0.03)] {
            let z: Vec<f64> = (0..40_000)
                .map(|i| 2.0 * (noise.at(i, lambda as usize).poisson(lambda) as f64 + 0.375).sqrt())
                .collect();
            let mean = z.iter().sum::<f64>() / z.len() as f64;
            let variance = z.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / z.len() as f64;
            assert!((variance - 1.0).abs() < off, "{lambda}: {variance}");
        }
    }
}
