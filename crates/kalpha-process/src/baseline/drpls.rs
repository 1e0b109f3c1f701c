//! Doubly reweighted penalised least squares (drPLS).
//!
//! `(W + D₁'D₁ + lam (I - eta W) D₂'D₂) z = W y`, so that the penalty is weaker where the data
//! are baseline, with `w_i = (1 - u / (1 + |u|)) / 2`, `u = exp(t) (r_i - (2 s - m)) / s` in
//! iteration t (at most 100), m and s the mean and standard deviation of the residuals below.
//!
//! Source: Xu, Liu, Cai, Chen and Yang (2019), Applied Optics 58, 3913,
//! doi:10.1364/AO.58.003913. O(n) per iteration. Tested against pybaselines 1.2.1 `drpls` to
//! 1e-6 of the range.

use super::whittaker::{Control, Form, Judged, Pass, Rule, Whittaker, parameter, weights};
use kalpha_core::StepError;
use kalpha_num::lanes::Lanes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `baseline.drpls`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Drpls {
    /// Smoothness.
    pub lam: f64,
    /// How much the weights loosen the penalty, 0 to 1.
    pub eta: f64,
    /// Iterations allowed.
    pub max_iter: usize,
    /// Relative change of the weights at which iteration stops.
    pub tol: f64,
}

impl Default for Drpls {
    fn default() -> Self {
        Self { lam: 1e5, eta: 0.5, max_iter: 50, tol: 1e-3 }
    }
}

impl Whittaker for Drpls {
    const ID: &'static str = "baseline.drpls";
    const ABOUT: &'static str = "Doubly reweighted penalised least squares baseline";
    type Rule = DrplsRule;

    fn control(&self) -> Control {
        let Self { lam, max_iter, tol, .. } = *self;
        Control { lam, diff_order: 2, max_iter, tol }
    }

    fn check_own(&self) -> Result<(), StepError> {
        if (0.0..=1.0).contains(&self.eta) {
            return Ok(());
        }
        Err(parameter("eta", self.eta, "0 to 1"))
    }

    fn rule(&self, _: &[f64]) -> DrplsRule {
        DrplsRule { eta: self.eta }
    }
}

/// Weights of drpls.
pub struct DrplsRule {
    eta: f64,
}

impl Rule for DrplsRule {
    const FORM: Form = Form::ScaledRows;

    fn first_row_factor(&self) -> f64 {
        1.0 - self.eta
    }

    fn first_difference(&self) -> f64 {
        1.0
    }

    #[inline(always)]
    fn reweight<const L: usize>(&self, pass: Pass<'_, L>) -> Judged<L> {
        let b = weights::below(pass.y, pass.z);
        let (half, one) = (Lanes::splat(0.5), Lanes::splat(1.0));
        let slope = pass.iteration.min(Lanes::splat(100.0)).exp() / b.std;
        let middle = Lanes::splat(2.0) * b.std - b.mean;
        let (change, norm) = weights::replace(pass.y, pass.z, pass.w, |_, _, residual| {
            let u = slope * (residual - middle);
            half * (one - u / (one + u.abs()))
        });
        let eta = Lanes::splat(self.eta);
        for (s, w) in pass.s.iter_mut().zip(&*pass.w) {
            *s = (one - eta * Lanes(*w)).0;
        }
        Judged { change, norm, stop: b.too_few }
    }
}
