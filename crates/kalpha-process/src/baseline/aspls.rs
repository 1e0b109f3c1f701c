//! Adaptive smoothness penalised least squares (asPLS).
//!
//! `(W + lam diag(a) D₂'D₂) z = W y` with `a_i = |r_i| / max |r|`, so that the baseline bends
//! less under peaks, and `w_i = 1 / (1 + exp(k (r_i - s) / s))`, s the standard deviation of the
//! residuals below.
//!
//! Source: Zhang, Tang, Tong, Wang, Wang, Lv, Tang and Wang (2020), Spectroscopy Letters 53,
//! 222, doi:10.1080/00387010.2020.1730908; k = 0.5 as in pybaselines, which found it to agree
//! with the paper's tables where its text says 2. O(n) per iteration. Tested against
//! pybaselines 1.2.1 `aspls` to 1e-6 of the range.

use super::whittaker::{Control, Form, Judged, Pass, Rule, Whittaker, positive, weights};
use kalpha_core::StepError;
use kalpha_num::lanes::Lanes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `baseline.aspls`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Aspls {
    /// Smoothness.
    pub lam: f64,
    /// Steepness k of the weights.
    pub asymmetric_coef: f64,
    /// Iterations allowed.
    pub max_iter: usize,
    /// Relative change of the weights at which iteration stops.
    pub tol: f64,
}

impl Default for Aspls {
    fn default() -> Self {
        Self { lam: 1e5, asymmetric_coef: 0.5, max_iter: 100, tol: 1e-3 }
    }
}

impl Whittaker for Aspls {
    const ID: &'static str = "baseline.aspls";
    const ABOUT: &'static str = "Adaptive smoothness penalised least squares baseline";
    type Rule = AsplsRule;

    fn control(&self) -> Control {
        let Self { lam, max_iter, tol, .. } = *self;
        Control { lam, diff_order: 2, max_iter, tol }
    }

    fn check_own(&self) -> Result<(), StepError> {
        positive("asymmetric_coef", self.asymmetric_coef)
    }

    fn rule(&self, _: &[f64]) -> AsplsRule {
        AsplsRule { k: self.asymmetric_coef }
    }
}

/// Weights of aspls.
pub struct AsplsRule {
    k: f64,
}

impl Rule for AsplsRule {
    const FORM: Form = Form::ScaledRows;

    #[inline(always)]
    fn reweight<const L: usize>(&self, pass: Pass<'_, L>) -> Judged<L> {
        let b = weights::below(pass.y, pass.z);
        let slope = -(Lanes::splat(self.k) / b.std);
        let mut largest = Lanes::<L>::ZERO;
        let (change, norm) = weights::replace(pass.y, pass.z, pass.w, |_, _, residual| {
            largest = largest.max(residual.abs());
            (slope * (residual - b.std)).logistic()
        });
        for ((s, y), z) in pass.s.iter_mut().zip(pass.y).zip(pass.z) {
            *s = ((Lanes(*y) - Lanes(*z)).abs() / largest).0;
        }
        Judged { change, norm, stop: b.too_few }
    }
}
