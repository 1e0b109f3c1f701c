//! Adaptive iteratively reweighted penalised least squares (airPLS).
//!
//! Channels above the baseline get no weight; channels below get
//! `w_i = exp(t |r_i| / sum |r below|)` in iteration t (at most 50), r the residual. Iteration
//! ends when the residuals below sum to less than `tol` of `sum |y|`.
//!
//! Source: Zhang, Chen and Liang (2010), Analyst 135, 1138, doi:10.1039/b922045c; the sign of
//! equation 9 as its authors corrected it. O(n) per iteration. Tested against pybaselines 1.2.1
//! `airpls` to 1e-6 of the range.

use super::whittaker::{
    Control, Judged, Pass, Rule, Whittaker,
    weights::{self, Below},
};
use kalpha_num::lanes::Lanes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `baseline.airpls`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Airpls {
    /// Smoothness.
    pub lam: f64,
    /// Order of the penalised difference, 1 to 3.
    pub diff_order: usize,
    /// Iterations allowed.
    pub max_iter: usize,
    /// Residuals below the baseline, as a part of the data, at which iteration stops.
    pub tol: f64,
    /// Scale the weights to at most 1.
    pub normalize_weights: bool,
}

impl Default for Airpls {
    fn default() -> Self {
        Self { lam: 1e6, diff_order: 2, max_iter: 50, tol: 1e-3, normalize_weights: false }
    }
}

impl Whittaker for Airpls {
    const ID: &'static str = "baseline.airpls";
    const REVISION: u32 = 2;
    const ABOUT: &'static str = "Adaptive iteratively reweighted penalised least squares baseline";
    type Rule = AirplsRule;

    fn control(&self) -> Control {
        let Self { lam, diff_order, max_iter, tol, .. } = *self;
        Control { lam, diff_order, max_iter, tol }
    }

    fn rule(&self, _: &[f64]) -> AirplsRule {
        AirplsRule { normalize: self.normalize_weights }
    }
}

/// Weights of airPLS.
pub struct AirplsRule {
    normalize: bool,
}

impl Rule for AirplsRule {
    fn scale(&self, y: &[f64]) -> f64 {
        y.iter().map(|v| v.abs()).sum()
    }

    #[inline(always)]
    fn reweight<const L: usize>(&self, pass: Pass<'_, L>) -> Judged<L> {
        let below = weights::below(pass.y, pass.z);
        let law = self.learn(&below, pass.iteration);
        let mut largest = Lanes::<L>::ZERO;
        weights::replace(pass.y, pass.z, pass.w, |_, _, residual| {
            let new = self.weight(&law, residual);
            largest = largest.max(new);
            new
        });
        if self.normalize {
            for w in pass.w {
                *w = (Lanes(*w) / largest).0;
            }
        }
        Judged { change: below.sum.abs(), norm: pass.scale, stop: below.too_few }
    }

    fn two_sweeps(&self) -> bool {
        !self.normalize
    }

    const RESTS_BY_WEIGHTS: bool = false;

    #[inline(always)]
    fn learn<const L: usize>(&self, below: &Below<L>, iteration: Lanes<L>) -> [Lanes<L>; 2] {
        [iteration.min(Lanes::splat(50.0)) / below.sum, Lanes::ZERO]
    }

    #[inline(always)]
    fn weight<const L: usize>(&self, law: &[Lanes<L>; 2], residual: Lanes<L>) -> Lanes<L> {
        let zero = Lanes::<L>::ZERO;
        residual.lt(zero).select((law[0] * residual).exp(), zero)
    }
}
