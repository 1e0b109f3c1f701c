//! Asymmetric least squares baseline (AsLS).
//!
//! Minimises `sum w_i (y_i - z_i)² + lam sum (difference of z)²` with `w = p` where the data lie
//! above z and `1 - p` elsewhere, repeated until the weights rest.
//!
//! Source: Eilers (2003), Anal. Chem. 75, 3631, doi:10.1021/ac034173t. Complexity O(n) per
//! iteration. Tested against pybaselines 1.2.1 `asls` to 1e-6 of the range.

use super::whittaker::{
    Control, Judged, Pass, Rule, Scratch, Smoother, Whittaker, fraction, weights,
};
use crate::row_method::RowStatus;
use kalpha_core::StepError;
use kalpha_num::lanes::{Lanes, Mask};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `baseline.asls`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Asls {
    /// Smoothness.
    pub lam: f64,
    /// Weight of channels above the baseline, 0 to 1.
    pub p: f64,
    /// Order of the penalised difference, 1 to 3.
    pub diff_order: usize,
    /// Iterations allowed.
    pub max_iter: usize,
    /// Relative change of the weights at which iteration stops.
    pub tol: f64,
}

impl Default for Asls {
    fn default() -> Self {
        Self { lam: 1e6, p: 1e-2, diff_order: 2, max_iter: 50, tol: 1e-3 }
    }
}

impl Whittaker for Asls {
    const ID: &'static str = "baseline.asls";
    const ABOUT: &'static str = "Asymmetric least squares baseline";
    type Rule = AslsRule;

    fn control(&self) -> Control {
        let Self { lam, diff_order, max_iter, tol, .. } = *self;
        Control { lam, diff_order, max_iter, tol }
    }

    fn check_own(&self) -> Result<(), StepError> {
        fraction("p", self.p)
    }

    fn rule(&self, _: &[f64]) -> AslsRule {
        AslsRule { p: self.p }
    }
}

/// Weights of asls.
pub struct AslsRule {
    p: f64,
}

impl AslsRule {
    /// The rule with weight `p` above the baseline.
    pub fn new(p: f64) -> Self {
        Self { p }
    }
}

impl Rule for AslsRule {
    #[inline(always)]
    fn reweight<const L: usize>(&self, pass: Pass<'_, L>) -> Judged<L> {
        asls_weights(self.p, pass)
    }
}

/// `p` above the baseline, `1 - p` elsewhere.
#[inline(always)]
pub(crate) fn asls_weights<const L: usize>(p: f64, pass: Pass<'_, L>) -> Judged<L> {
    let (above, rest) = (Lanes::splat(p), Lanes::splat(1.0 - p));
    let (change, norm) =
        weights::replace(pass.y, pass.z, pass.w, |y, z, _| y.gt(z).select(above, rest));
    Judged { change, norm, stop: Mask([false; L]) }
}

/// A baseline and how it was reached.
#[derive(Debug, Clone, PartialEq)]
pub struct AslsFit {
    /// The baseline, one value per channel.
    pub baseline: Vec<f64>,
    /// Solves done.
    pub iterations: usize,
    /// False when `max_iterations` was met first.
    pub converged: bool,
}

/// Fits the baseline of `y`, with second differences.
///
/// `lam` is the smoothness, `p` the weight of points above the baseline (0 to 1), `tolerance`
/// the relative change of the weights at which iteration stops. Fewer than three points, or a
/// point that is not finite, give the data themselves and `converged = false`.
pub fn asls(y: &[f64], lam: f64, p: f64, max_iterations: usize, tolerance: f64) -> AslsFit {
    let n = y.len();
    if n < 3 || y.iter().any(|v| !v.is_finite()) {
        return AslsFit { baseline: y.to_vec(), iterations: 0, converged: false };
    }
    let control = Control { lam, diff_order: 2, max_iter: max_iterations, tol: tolerance };
    let mut baseline = vec![0.0; n];
    let (mut status, mut iterations) = ([RowStatus::Fine], [0.0]);
    Smoother::new(AslsRule { p }, control, n).fit(
        y,
        &mut baseline,
        &mut status,
        &mut iterations,
        &mut Scratch::default(),
    );
    if status[0] == RowStatus::Refused {
        baseline.copy_from_slice(y);
    }
    let converged = status[0] == RowStatus::Fine;
    AslsFit { baseline, iterations: iterations[0] as usize, converged }
}

/// Two peaks and a ripple on a slope, without random numbers.
#[cfg(test)]
pub(crate) fn test_spectrum() -> Vec<f64> {
    (0..400)
        .map(|i| {
            let x = f64::from(i);
            let peak = |c: f64, s: f64| (-0.5 * ((x - c) / s).powi(2)).exp();
            500.0 * (-x / 250.0).exp()
                + 900.0 * peak(120.0, 4.0)
                + 300.0 * peak(260.0, 6.0)
                + 3.0 * (1.7 * x).sin()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kalpha_num::banded::{Pentadiagonal, solve_pentadiagonal};

    /// The method written down for one spectrum.
    fn plain(y: &[f64], lam: f64, p: f64, max_iterations: usize, tolerance: f64) -> AslsFit {
        let n = y.len();
        let (mut d0, mut d1, mut d2) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
        for i in 0..n - 2 {
            d0[i] += lam;
            d0[i + 1] += 4.0 * lam;
            d0[i + 2] += lam;
            d1[i] -= 2.0 * lam;
            d1[i + 1] -= 2.0 * lam;
            d2[i] += lam;
        }
        let mut weights = vec![1.0; n];
        let mut diagonal = vec![0.0; n];
        let mut z = y.to_vec();
        let mut scratch = Pentadiagonal::default();
        for iteration in 1..=max_iterations + 1 {
            for i in 0..n {
                diagonal[i] = d0[i] + weights[i];
                z[i] = weights[i] * y[i];
            }
            assert!(solve_pentadiagonal(&diagonal, &d1, &d2, &mut z, &mut scratch));
            let (mut change, mut norm) = (0.0, 0.0);
            for i in 0..n {
                let new = if y[i] > z[i] { p } else { 1.0 - p };
                change += (new - weights[i]) * (new - weights[i]);
                norm += weights[i] * weights[i];
                weights[i] = new;
            }
            if change.sqrt() < tolerance * norm.sqrt() {
                return AslsFit { baseline: z, iterations: iteration, converged: true };
            }
        }
        AslsFit { baseline: z, iterations: max_iterations + 1, converged: false }
    }

    #[test]
    fn interleaved_equals_plain_to_the_bit() {
        for (lam, p, max_iterations) in [(1e5, 0.01, 50), (123.456, 0.005, 50), (7.7e6, 0.1, 3)] {
            let want = plain(&test_spectrum(), lam, p, max_iterations, 1e-3);
            let got = asls(&test_spectrum(), lam, p, max_iterations, 1e-3);
            assert_eq!((got.iterations, got.converged), (want.iterations, want.converged));
            assert!(
                got.baseline.iter().zip(&want.baseline).all(|(a, b)| a.to_bits() == b.to_bits())
            );
        }
    }

    #[test]
    fn equals_pybaselines() {
        // pybaselines 1.2.1, Baseline().asls(y, lam=1e5, p=0.01, max_iter=50, tol=1e-3).
        let expected = include!("asls_expected.in");
        let fit = asls(&test_spectrum(), 1e5, 0.01, 50, 1e-3);
        assert!(fit.converged);
        for (i, want) in expected {
            let got: f64 = fit.baseline[i];
            assert!((got - want).abs() < 5e-7, "{i}: {got} {want}");
        }
    }

    #[test]
    fn short_and_broken_input() {
        assert_eq!(asls(&[1.0, 2.0], 1e3, 0.01, 10, 1e-3).baseline, [1.0, 2.0]);
        assert!(!asls(&[1.0, f64::NAN, 2.0, 3.0], 1e3, 0.01, 10, 1e-3).converged);
        let line: Vec<f64> = (0..50).map(f64::from).collect();
        let fit = asls(&line, 1e6, 0.01, 50, 1e-3);
        assert!(fit.baseline.iter().zip(&line).all(|(a, b)| (a - b).abs() < 1e-6));
    }
}
