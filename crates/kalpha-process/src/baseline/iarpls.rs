//! Improved asymmetrically reweighted penalised least squares (iarPLS).
//!
//! `w_i = (1 - u / sqrt(1 + u²)) / 2`, `u = exp(t) (r_i - 2 s) / s` in iteration t (at most
//! 100), s the standard deviation of the residuals below: a step that sharpens.
//!
//! Source: Ye, Tian, Wei and Li (2020), Applied Optics 59, 10933, doi:10.1364/AO.404863. O(n)
//! per iteration. Tested against pybaselines 1.2.1 `iarpls` to 1e-6 of the range.

use super::whittaker::{Control, Judged, Pass, Rule, Whittaker, weights};
use kalpha_num::lanes::Lanes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `baseline.iarpls`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Iarpls {
    /// Smoothness.
    pub lam: f64,
    /// Order of the penalised difference, 1 to 3.
    pub diff_order: usize,
    /// Iterations allowed.
    pub max_iter: usize,
    /// Relative change of the weights at which iteration stops.
    pub tol: f64,
}

impl Default for Iarpls {
    fn default() -> Self {
        Self { lam: 1e5, diff_order: 2, max_iter: 50, tol: 1e-3 }
    }
}

impl Whittaker for Iarpls {
    const ID: &'static str = "baseline.iarpls";
    const ABOUT: &'static str =
        "Improved asymmetrically reweighted penalised least squares baseline";
    type Rule = IarplsRule;

    fn control(&self) -> Control {
        let Self { lam, diff_order, max_iter, tol, .. } = *self;
        Control { lam, diff_order, max_iter, tol }
    }

    fn rule(&self, _: &[f64]) -> IarplsRule {
        IarplsRule
    }
}

/// Weights of iarpls.
pub struct IarplsRule;

impl Rule for IarplsRule {
    #[inline(always)]
    fn reweight<const L: usize>(&self, pass: Pass<'_, L>) -> Judged<L> {
        let b = weights::below(pass.y, pass.z);
        let (half, one) = (Lanes::splat(0.5), Lanes::splat(1.0));
        let slope = pass.iteration.min(Lanes::splat(100.0)).exp() / b.std;
        let middle = Lanes::splat(2.0) * b.std;
        let (change, norm) = weights::replace(pass.y, pass.z, pass.w, |_, _, residual| {
            let u = slope * (residual - middle);
            half * (one - u / (one + u * u).sqrt())
        });
        Judged { change, norm, stop: b.too_few }
    }
}
