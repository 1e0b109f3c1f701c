//! Asymmetrically reweighted penalised least squares (arPLS).
//!
//! `w_i = 1 / (1 + exp(2 (r_i - (2 s - m)) / s))` with m and s the mean and standard deviation
//! of the residuals below the baseline: channels within the noise count fully, on either side.
//!
//! Source: Baek, Park, Ahn and Choo (2015), Analyst 140, 250, doi:10.1039/C4AN01061B. O(n) per
//! iteration. Tested against pybaselines 1.2.1 `arpls` to 1e-6 of the range.

use super::whittaker::{
    Control, Judged, Pass, Rule, Whittaker,
    weights::{self, Below},
};
use kalpha_num::lanes::Lanes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `baseline.arpls`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Arpls {
    /// Smoothness.
    pub lam: f64,
    /// Order of the penalised difference, 1 to 3.
    pub diff_order: usize,
    /// Iterations allowed.
    pub max_iter: usize,
    /// Relative change of the weights at which iteration stops.
    pub tol: f64,
}

impl Default for Arpls {
    fn default() -> Self {
        Self { lam: 1e5, diff_order: 2, max_iter: 50, tol: 1e-3 }
    }
}

impl Whittaker for Arpls {
    const ID: &'static str = "baseline.arpls";
    const REVISION: u32 = 2;
    const ABOUT: &'static str = "Asymmetrically reweighted penalised least squares baseline";
    type Rule = ArplsRule;

    fn control(&self) -> Control {
        let Self { lam, diff_order, max_iter, tol, .. } = *self;
        Control { lam, diff_order, max_iter, tol }
    }

    fn rule(&self, _: &[f64]) -> ArplsRule {
        ArplsRule
    }
}

/// Weights of arpls.
pub struct ArplsRule;

impl Rule for ArplsRule {
    #[inline(always)]
    fn reweight<const L: usize>(&self, pass: Pass<'_, L>) -> Judged<L> {
        let below = weights::below(pass.y, pass.z);
        let law = self.learn(&below, pass.iteration);
        let (change, norm) =
            weights::replace(pass.y, pass.z, pass.w, |_, _, residual| self.weight(&law, residual));
        Judged { change, norm, stop: below.too_few }
    }

    fn two_sweeps(&self) -> bool {
        true
    }

    #[inline(always)]
    fn learn<const L: usize>(&self, below: &Below<L>, _: Lanes<L>) -> [Lanes<L>; 2] {
        let two = Lanes::splat(2.0);
        [-(two / below.std), two * below.std - below.mean]
    }

    #[inline(always)]
    fn weight<const L: usize>(&self, law: &[Lanes<L>; 2], residual: Lanes<L>) -> Lanes<L> {
        let [slope, middle] = *law;
        (slope * (residual - middle)).logistic()
    }
}
