//! Losses that let outliers pull less.
//!
//! `F = sum rho(r²)` with `rho(z) = z` near zero. At each place the problem is that of residuals
//! and Jacobian times `sqrt(rho')`: the gradient is exact, and the second derivative of rho is left
//! out, as in iteratively reweighted least squares.
//!
//! Source: Huber (1964), Ann. Math. Stat. 35, 73, doi:10.1214/aoms/1177703732; Triggs et al. (2000),
//! doi:10.1007/3-540-44480-7_21. Tested against the derivative of rho and on a line with outliers.

use super::Problem;

/// How residuals count; residuals are in units of their standard deviations.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Loss {
    /// `rho = z`: least squares.
    #[default]
    Square,
    /// Like squares up to `scale`, like magnitudes beyond.
    Huber {
        /// Residual at which outliers begin.
        scale: f64,
    },
    /// `2 s² (sqrt(1 + z/s²) - 1)`: Huber's without a corner.
    SoftL1 {
        /// Residual at which outliers begin.
        scale: f64,
    },
    /// `s² ln(1 + z/s²)`: far outliers hardly count.
    Cauchy {
        /// Residual at which outliers begin.
        scale: f64,
    },
}

impl Loss {
    /// `rho(z)` and its derivative at `z = r²`.
    pub fn rho(self, z: f64) -> (f64, f64) {
        match self {
            Self::Square => (z, 1.0),
            Self::Huber { scale } if z <= scale * scale => (z, 1.0),
            Self::Huber { scale } => (2.0 * scale * z.sqrt() - scale * scale, scale / z.sqrt()),
            Self::SoftL1 { scale } => {
                let root = (1.0 + z / (scale * scale)).sqrt();
                // As z / (root + 1), free of cancellation.
                (2.0 * z / (root + 1.0), root.recip())
            }
            Self::Cauchy { scale } => {
                let u = z / (scale * scale);
                (scale * scale * u.ln_1p(), (1.0 + u).recip())
            }
        }
    }
}

/// A problem with another loss than the square.
pub struct Robust<P> {
    /// Gives plain residuals.
    pub problem: P,
    /// How they count.
    pub loss: Loss,
}

impl<P: Problem> Problem for Robust<P> {
    fn evaluate(&mut self, x: &[f64], residuals: &mut [f64]) -> f64 {
        let plain = self.problem.evaluate(x, residuals);
        match self.loss {
            Loss::Square => plain,
            loss => residuals.iter().map(|r| loss.rho(r * r).0).sum(),
        }
    }

    fn jacobian(&mut self, x: &[f64], residuals: &mut [f64], jacobian: &mut [f64]) {
        self.problem.jacobian(x, residuals, jacobian);
        if self.loss == Loss::Square {
            return;
        }
        let m = residuals.len();
        for (i, r) in residuals.iter_mut().enumerate() {
            let root = self.loss.rho(*r * *r).1.sqrt();
            *r *= root;
            jacobian.iter_mut().skip(i).step_by(m).for_each(|v| *v *= root);
        }
    }
}
