//! Peaked signal's asymmetric least squares (psalsa).
//!
//! `w_i = p exp(-r_i / k)` above the baseline and `1 - p` elsewhere: a high peak counts less
//! than a small one. k is about the height at which something is a peak; by default a tenth of
//! the standard deviation of the spectrum.
//!
//! Source: Oller-Moreno, Pardo, Jimenez-Soto, Samitier and Marco (2014), 11th IEEE SSD, 1,
//! doi:10.1109/SSD.2014.6808837. O(n) per iteration. Tested against pybaselines 1.2.1 `psalsa`
//! to 1e-6 of the range.

use super::whittaker::{Control, Judged, Pass, Rule, Whittaker, fraction, positive, weights};
use kalpha_core::StepError;
use kalpha_num::lanes::{Lanes, Mask};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `baseline.psalsa`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Psalsa {
    /// Smoothness.
    pub lam: f64,
    /// Weight of channels just above the baseline, 0 to 1.
    pub p: f64,
    /// Height at which something is a peak; a tenth of the standard deviation if absent.
    pub k: Option<f64>,
    /// Order of the penalised difference, 1 to 3.
    pub diff_order: usize,
    /// Iterations allowed.
    pub max_iter: usize,
    /// Relative change of the weights at which iteration stops.
    pub tol: f64,
}

impl Default for Psalsa {
    fn default() -> Self {
        Self { lam: 1e5, p: 0.5, k: None, diff_order: 2, max_iter: 50, tol: 1e-3 }
    }
}

impl Whittaker for Psalsa {
    const ID: &'static str = "baseline.psalsa";
    const ABOUT: &'static str = "Peaked signal's asymmetric least squares baseline";
    type Rule = PsalsaRule;

    fn control(&self) -> Control {
        let Self { lam, diff_order, max_iter, tol, .. } = *self;
        Control { lam, diff_order, max_iter, tol }
    }

    fn check_own(&self) -> Result<(), StepError> {
        fraction("p", self.p)?;
        self.k.map_or(Ok(()), |k| positive("k", k))
    }

    fn rule(&self, _: &[f64]) -> PsalsaRule {
        PsalsaRule { p: self.p, k: self.k }
    }
}

/// Weights of psalsa.
pub struct PsalsaRule {
    p: f64,
    k: Option<f64>,
}

impl Rule for PsalsaRule {
    fn scale(&self, y: &[f64]) -> f64 {
        self.k.unwrap_or_else(|| {
            let n = y.len() as f64;
            let mean = y.iter().sum::<f64>() / n;
            let variance = y.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
            0.1 * variance.sqrt()
        })
    }

    #[inline(always)]
    fn reweight<const L: usize>(&self, pass: Pass<'_, L>) -> Judged<L> {
        let (p, rest) = (Lanes::splat(self.p), Lanes::splat(1.0 - self.p));
        let zero = Lanes::<L>::ZERO;
        let steep = Lanes::splat(-1.0) / pass.scale;
        let (change, norm) = weights::replace(pass.y, pass.z, pass.w, |_, _, residual| {
            residual.gt(zero).select(p * (residual * steep).exp(), rest)
        });
        Judged { change, norm, stop: Mask([false; L]) }
    }
}
