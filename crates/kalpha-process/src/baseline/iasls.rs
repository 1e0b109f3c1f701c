//! Improved asymmetric least squares (IAsLS).
//!
//! Penalises the first difference of the residual as well:
//! `(W² + lam D₂'D₂ + lam_1 D₁'D₁) z = W² y + lam_1 D₁'D₁ y`, weights as in asls, the first
//! ones from the residuals of a parabola.
//!
//! Source: He, Zhang, Liu, Cheng, Zhou and Li (2014), Analytical Methods 6, 4402,
//! doi:10.1039/C4AY00068D. O(n) per iteration. Tested against pybaselines 1.2.1 `iasls` to 1e-6
//! of the range.

use super::{
    asls::asls_weights,
    polynomial::Polynomial,
    whittaker::{Control, Form, Judged, Pass, Rule, Whittaker, fraction, parameter, positive},
};
use kalpha_core::StepError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `baseline.iasls`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Iasls {
    /// Smoothness.
    pub lam: f64,
    /// Weight of channels above the baseline, 0 to 1.
    pub p: f64,
    /// Smoothness of the residual.
    pub lam_1: f64,
    /// Order of the penalised difference, 2 or 3.
    pub diff_order: usize,
    /// Iterations allowed.
    pub max_iter: usize,
    /// Relative change of the weights at which iteration stops.
    pub tol: f64,
}

impl Default for Iasls {
    fn default() -> Self {
        Self { lam: 1e6, p: 1e-2, lam_1: 1e-4, diff_order: 2, max_iter: 50, tol: 1e-3 }
    }
}

impl Whittaker for Iasls {
    const ID: &'static str = "baseline.iasls";
    const ABOUT: &'static str = "Improved asymmetric least squares baseline";
    type Rule = IaslsRule;

    fn control(&self) -> Control {
        let Self { lam, diff_order, max_iter, tol, .. } = *self;
        Control { lam, diff_order, max_iter, tol }
    }

    fn check_own(&self) -> Result<(), StepError> {
        fraction("p", self.p)?;
        positive("lam_1", self.lam_1)?;
        if self.diff_order == 1 {
            return Err(parameter("diff_order", 1, "2 or 3 for this method"));
        }
        Ok(())
    }

    fn rule(&self, x: &[f64]) -> IaslsRule {
        IaslsRule { p: self.p, lam_1: self.lam_1, parabola: Polynomial::new(x, 2) }
    }
}

/// Weights of iasls.
pub struct IaslsRule {
    p: f64,
    lam_1: f64,
    parabola: Polynomial,
}

impl Rule for IaslsRule {
    const FORM: Form = Form::Squared;

    fn first_weights(&self, y: &[f64], w: &mut [f64]) {
        self.parabola.smooth(y, w);
        for (w, y) in w.iter_mut().zip(y) {
            *w = if *y > *w { self.p } else { 1.0 - self.p };
        }
    }

    fn first_difference(&self) -> f64 {
        self.lam_1
    }

    #[inline(always)]
    fn reweight<const L: usize>(&self, pass: Pass<'_, L>) -> Judged<L> {
        asls_weights(self.p, pass)
    }
}
