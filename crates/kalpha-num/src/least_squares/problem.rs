//! What is minimised.

/// A sum of squares, or another objective with the same local shape.
///
/// The minimiser needs an objective `F` and, at the same place, residuals `r` and their Jacobian
/// `J` such that `2 Jᵀr` is the gradient of `F` and `2 JᵀJ` stands for its second derivatives.
/// For least squares `F = |r|²`; for a Poisson likelihood `F` is the deviance and `r` holds Pearson
/// residuals; robust losses scale both.
pub trait Problem {
    /// Fills the residuals at `x` and gives the objective. NaN or infinity marks an `x` outside
    /// the domain of the model; the minimiser then tries a shorter step.
    fn evaluate(&mut self, x: &[f64], residuals: &mut [f64]) -> f64;

    /// Fills `jacobian[j * m + i] = d residual_i / d x_j` at `x`, and may rescale the residuals,
    /// which are those [`Problem::evaluate`] gave at the same `x`.
    fn jacobian(&mut self, x: &[f64], residuals: &mut [f64], jacobian: &mut [f64]);

    /// Moves parameters that enter linearly to their best values with the others held: variable
    /// projection. Called for every trial. Does nothing unless the problem knows better.
    fn project(&mut self, _x: &mut [f64]) {}
}

/// A problem given by its residuals alone: the Jacobian is taken by central differences.
///
/// Steps are the cube root of the rounding error times the parameter, or times `scale` where the
/// parameter is smaller: errors of the derivatives are about 1e-10 relative.
pub struct Numerical<F> {
    residuals: F,
    scale: f64,
    shifted: Vec<f64>,
    ahead: Vec<f64>,
    behind: Vec<f64>,
}

impl<F: FnMut(&[f64], &mut [f64])> Numerical<F> {
    /// `residuals(x, r)` fills `r`. Parameters are expected to be of the order of `scale` or
    /// larger.
    pub fn new(residuals: F, scale: f64) -> Self {
        let empty = Vec::new;
        Self { residuals, scale, shifted: empty(), ahead: empty(), behind: empty() }
    }
}

impl<F: FnMut(&[f64], &mut [f64])> Problem for Numerical<F> {
    fn evaluate(&mut self, x: &[f64], residuals: &mut [f64]) -> f64 {
        (self.residuals)(x, residuals);
        residuals.iter().map(|r| r * r).sum()
    }

    fn jacobian(&mut self, x: &[f64], residuals: &mut [f64], jacobian: &mut [f64]) {
        let m = residuals.len();
        self.ahead.resize(m, 0.0);
        self.behind.resize(m, 0.0);
        self.shifted.clear();
        self.shifted.extend_from_slice(x);
        for (j, column) in jacobian.chunks_exact_mut(m).enumerate() {
            let step = f64::EPSILON.cbrt() * x[j].abs().max(self.scale);
            self.shifted[j] = x[j] + step;
            let up = self.shifted[j] - x[j];
            (self.residuals)(&self.shifted, &mut self.ahead);
            self.shifted[j] = x[j] - step;
            let down = x[j] - self.shifted[j];
            (self.residuals)(&self.shifted, &mut self.behind);
            self.shifted[j] = x[j];
            for (slot, (a, b)) in column.iter_mut().zip(self.ahead.iter().zip(&self.behind)) {
                *slot = (a - b) / (up + down);
            }
        }
    }
}
