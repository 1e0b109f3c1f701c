//! Whittaker smoothing.
//!
//! Minimises `sum (y_i - z_i)² + lambda sum (second difference of z)²`. Lambda is given, or found by
//! generalised cross-validation of each spectrum: the least `n sum (y - z)² / (n - trace H)²`.
//!
//! Source: Eilers (2003), Anal. Chem. 75, 3631, doi:10.1021/ac034173t; Craven and Wahba (1978),
//! Numer. Math. 31, 377, doi:10.1007/BF01404567. Complexity O(n) for each lambda tried (trace:
//! Hutchinson and de Hoog 1985, doi:10.1007/BF01389878). Tested against the normal equations.

use crate::row_method::{Block, RowMethod, RowStatus, Treat};
use kalpha_core::{Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError};
use kalpha_num::banded::{Pentadiagonal, solve_pentadiagonal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `denoise.whittaker`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Whittaker {
    /// Smoothness; by cross-validation of each spectrum if absent.
    pub lambda: Option<f64>,
}

impl Whittaker {
    /// The method.
    pub fn planned(self) -> WhittakerMethod {
        WhittakerMethod { lambda: self.lambda }
    }
}

impl Treat for Whittaker {
    const ID: &'static str = "denoise.whittaker";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Penalised least squares smoothing, smoothness by cross-validation";
    type Method = WhittakerMethod;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        if rows.channels < 5 {
            return Err(StepError::TooLittle {
                what: format!("{} channels are too few to smooth", rows.channels),
                hint: "5 channels are needed".into(),
            });
        }
        match self.lambda {
            Some(lambda) if !lambda.is_finite() || lambda < 0.0 => Err(StepError::Parameter {
                parameter: "lambda",
                got: lambda.to_string(),
                expected: "zero or a positive number; absent for cross-validation".into(),
            }),
            _ => Ok(()),
        }
    }

    fn method(self, _: &Rows, _: &Metadata, _: &dyn Passes) -> Result<WhittakerMethod, StepError> {
        Ok(self.planned())
    }

    fn noise(&self, _: &NoiseModel) -> NoiseModel {
        NoiseModel::Correlated
    }
}

/// `denoise.whittaker`.
pub struct WhittakerMethod {
    lambda: Option<f64>,
}

/// Working memory.
#[derive(Clone, Debug, Default)]
pub struct WhittakerScratch {
    bands: [Vec<f64>; 3],
    z: Vec<f64>,
    solver: Pentadiagonal,
    inverse: [Vec<f64>; 3],
}

/// Smooths `y` with `lambda`; the result is left in `scratch.z`. False where it cannot be solved.
fn smooth(y: &[f64], lambda: f64, scratch: &mut WhittakerScratch) -> bool {
    let n = y.len();
    let [d0, d1, d2] = &mut scratch.bands;
    for (band, start) in [(&mut *d0, 1.0), (&mut *d1, 0.0), (&mut *d2, 0.0)] {
        band.clear();
        band.resize(n, start);
    }
    for i in 0..n - 2 {
        d0[i] += lambda;
        d0[i + 1] += 4.0 * lambda;
        d0[i + 2] += lambda;
        d1[i] -= 2.0 * lambda;
        d1[i + 1] -= 2.0 * lambda;
        d2[i] += lambda;
    }
    scratch.z.clear();
    scratch.z.extend_from_slice(y);
    solve_pentadiagonal(d0, d1, d2, &mut scratch.z, &mut scratch.solver)
}

/// Trace of `(I + lambda D'D)⁻¹` from the bands left by [`smooth`]: the central five bands of the
/// inverse follow backwards from the factor.
fn trace(scratch: &mut WhittakerScratch) -> f64 {
    let [d0, d1, d2] = &scratch.bands;
    let n = d0.len();
    let [pivots, l1, l2] = &mut scratch.inverse;
    for v in [&mut *pivots, &mut *l1, &mut *l2] {
        v.clear();
        v.resize(n + 2, 0.0);
    }
    // L D L': L has unit diagonal, l1[i] = L[i+1, i], l2[i] = L[i+2, i].
    for i in 0..n {
        let mut d = d0[i];
        if i >= 1 {
            d -= l1[i - 1] * l1[i - 1] * pivots[i - 1];
        }
        if i >= 2 {
            d -= l2[i - 2] * l2[i - 2] * pivots[i - 2];
        }
        pivots[i] = d;
        if i + 1 < n {
            let mixed = if i >= 1 { l2[i - 1] * l1[i - 1] * pivots[i - 1] } else { 0.0 };
            l1[i] = (d1[i] - mixed) / d;
        }
        if i + 2 < n {
            l2[i] = d2[i] / d;
        }
    }
    // s0 = S[i,i], s1 = S[i,i+1], s2 = S[i,i+2] of the inverse S, for i + 1 and i + 2.
    let (mut s0, mut s1) = ([0.0; 2], 0.0);
    let mut sum = 0.0;
    for i in (0..n).rev() {
        let one = -l1[i] * s0[0] - l2[i] * s1;
        let two = -l1[i] * s1 - l2[i] * s0[1];
        let own = 1.0 / pivots[i] - l1[i] * one - l2[i] * two;
        sum += own;
        (s0, s1) = ([own, s0[0]], one);
    }
    sum
}

impl WhittakerMethod {
    /// Smooths `y` into `out`; gives the lambda used, or `None` where there is none.
    pub fn row(&self, y: &[f64], out: &mut [f64], scratch: &mut WhittakerScratch) -> Option<f64> {
        let n = y.len() as f64;
        let lambda = match self.lambda {
            Some(lambda) => lambda,
            None => {
                let mut score = |log: f64| {
                    if !smooth(y, 10f64.powf(log), scratch) {
                        return f64::INFINITY;
                    }
                    let left: f64 = y.iter().zip(&scratch.z).map(|(a, b)| (a - b) * (a - b)).sum();
                    let free = n - trace(scratch);
                    match free > 1e-9 * n {
                        true => n * left / (free * free),
                        false => f64::INFINITY,
                    }
                };
                // A coarse scan, because there may be several minima, then by golden section.
                let grid: Vec<f64> = (0..=26).map(|k| -2.0 + 0.5 * f64::from(k)).collect();
                let scores: Vec<f64> = grid.iter().map(|log| score(*log)).collect();
                let best = (0..grid.len()).min_by(|a, b| scores[*a].total_cmp(&scores[*b]))?;
                let golden = 0.618_033_988_749_895;
                let (mut a, mut b) = (grid[best] - 0.5, grid[best] + 0.5);
                for _ in 0..12 {
                    let (c, d) = (b - golden * (b - a), a + golden * (b - a));
                    if score(c) < score(d) { b = d } else { a = c }
                }
                10f64.powf(0.5 * (a + b))
            }
        };
        if !smooth(y, lambda, scratch) {
            return None;
        }
        out.copy_from_slice(&scratch.z);
        Some(lambda)
    }
}

impl RowMethod for WhittakerMethod {
    type Scratch = WhittakerScratch;

    fn columns(&self) -> Vec<(&'static str, String)> {
        vec![("lambda", String::new())]
    }

    fn apply(&self, block: &mut Block<'_>, scratch: &mut WhittakerScratch) {
        block.each(|y, z, table| {
            let lambda = self.row(y, z, scratch);
            table[0] = lambda.unwrap_or(f64::NAN);
            match lambda.is_some() && z.iter().all(|v| v.is_finite()) {
                true => RowStatus::Fine,
                false => {
                    z.fill(f64::NAN);
                    RowStatus::Refused
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kalpha_num::rng::Stream;

    /// The smoother as a dense matrix, column by column.
    #[test]
    fn the_trace_is_that_of_the_smoother() {
        let n = 23;
        for lambda in [0.01, 3.0, 1e4] {
            let mut scratch = WhittakerScratch::default();
            let mut diagonal = 0.0;
            for i in 0..n {
                let mut unit = vec![0.0; n];
                unit[i] = 1.0;
                assert!(smooth(&unit, lambda, &mut scratch));
                diagonal += scratch.z[i];
            }
            let got = trace(&mut scratch);
            assert!((got - diagonal).abs() < 1e-10 * diagonal, "{lambda} {got} {diagonal}");
        }
    }

    #[test]
    fn cross_validation_is_near_the_best() {
        let n = 300;
        let truth: Vec<f64> = (0..n).map(|i| (0.05 * i as f64).sin()).collect();
        let noise = Stream::new(9, "whittaker", 0);
        let y: Vec<f64> = (0..n).map(|i| truth[i] + 0.1 * noise.at(0, i).normal()).collect();
        let rmse = |lambda: Option<f64>| {
            let mut out = vec![0.0; n];
            WhittakerMethod { lambda }.row(&y, &mut out, &mut WhittakerScratch::default()).unwrap();
            (out.iter().zip(&truth).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / n as f64).sqrt()
        };
        let best = (0..40)
            .map(|k| rmse(Some(10f64.powf(0.25 * f64::from(k)))))
            .fold(f64::INFINITY, f64::min);
        assert!(rmse(None) < 1.15 * best, "{} {best}", rmse(None));
    }
}
