//! Weighted linear least squares with covariance, and Levenberg-Marquardt for few parameters.

use crate::simd::{self, Kernel};
use thiserror::Error;

/// Why a fit has no answer.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum LeastSquaresError {
    /// A column is zero or depends on the ones before it.
    #[error("column {column} cannot be told from the others (hint: leave it out)")]
    Dependent {
        /// Index of the column.
        column: usize,
    },
    /// Lengths do not agree.
    #[error("{what} has length {got}, {expected} is needed")]
    Length {
        /// Which argument.
        what: &'static str,
        /// Length found.
        got: usize,
        /// Length needed.
        expected: usize,
    },
    /// The starting point gives no finite residuals.
    #[error("the residuals are not finite at the starting point")]
    NotFinite,
}

/// Cholesky factor of a symmetric positive definite matrix.
#[derive(Debug, Clone)]
pub struct Cholesky {
    n: usize,
    l: Vec<f64>,
}

impl Cholesky {
    /// Factorises an n x n row-major matrix.
    ///
    /// A pivot below 1e-11 of its diagonal element counts as dependent.
    ///
    /// # Errors
    /// [`LeastSquaresError::Dependent`] with the first such column.
    pub fn new(matrix: &[f64], n: usize) -> Result<Self, LeastSquaresError> {
        if matrix.len() != n * n {
            return Err(LeastSquaresError::Length {
                what: "matrix",
                got: matrix.len(),
                expected: n * n,
            });
        }
        let mut l = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let dot: f64 = (0..j).map(|k| l[i * n + k] * l[j * n + k]).sum();
                let v = matrix[i * n + j] - dot;
                if i == j {
                    if v.is_nan() || v <= 1e-11 * matrix[i * n + i].abs() {
                        return Err(LeastSquaresError::Dependent { column: i });
                    }
                    l[i * n + i] = v.sqrt();
                } else {
                    l[i * n + j] = v / l[j * n + j];
                }
            }
        }
        Ok(Self { n, l })
    }

    /// Solves `A x = b`.
    pub fn solve(&self, b: &[f64]) -> Vec<f64> {
        let (n, l) = (self.n, &self.l);
        let mut x = b.to_vec();
        for i in 0..n {
            let dot: f64 = (0..i).map(|k| l[i * n + k] * x[k]).sum();
            x[i] = (x[i] - dot) / l[i * n + i];
        }
        for i in (0..n).rev() {
            let dot: f64 = (i + 1..n).map(|k| l[k * n + i] * x[k]).sum();
            x[i] = (x[i] - dot) / l[i * n + i];
        }
        x
    }

    /// The inverse, n x n row-major.
    pub fn inverse(&self) -> Vec<f64> {
        let n = self.n;
        let mut inverse = vec![0.0; n * n];
        let mut unit = vec![0.0; n];
        for j in 0..n {
            unit[j] = 1.0;
            let column = self.solve(&unit);
            unit[j] = 0.0;
            for i in 0..n {
                inverse[i * n + j] = column[i];
            }
        }
        inverse
    }
}

/// Result of a weighted linear fit of n columns to m points.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearFit {
    /// Coefficients.
    pub x: Vec<f64>,
    /// Covariance of the coefficients for weights that are inverse variances, n x n row-major.
    pub covariance: Vec<f64>,
    /// Estimator: `x = estimator y`, n x m row-major.
    pub estimator: Vec<f64>,
    /// `sum w (y - A x)²`.
    pub chi2: f64,
}

/// Minimises `sum_i weights[i] (y[i] - sum_j columns[j][i] x[j])²`.
///
/// The normal equations are solved with columns scaled to unit weighted norm.
/// Complexity O(m n²). Tested against its own definition and by Monte Carlo of the covariance.
///
/// # Errors
/// [`LeastSquaresError::Dependent`] for a column without independent content,
/// [`LeastSquaresError::Length`] for unequal lengths.
pub fn weighted_linear(
    columns: &[impl AsRef<[f64]>],
    y: &[f64],
    weights: &[f64],
) -> Result<LinearFit, LeastSquaresError> {
    let (n, m) = (columns.len(), y.len());
    let Normal { scaled, scale, root, factor } = normal(columns, y, weights)?;
    let inverse = factor.inverse();
    let mut estimator = vec![0.0; n * m];
    for i in 0..n {
        let row = &mut estimator[i * m..(i + 1) * m];
        for k in 0..n {
            let share = scale[i] * inverse[i * n + k];
            row.iter_mut().zip(&scaled[k]).for_each(|(e, s)| *e += share * s);
        }
        row.iter_mut().zip(&root).for_each(|(e, w)| *e *= w);
    }
    let x: Vec<f64> = (0..n)
        .map(|i| estimator[i * m..(i + 1) * m].iter().zip(y).map(|(e, v)| e * v).sum())
        .collect();
    let covariance = (0..n * n).map(|k| inverse[k] * scale[k / n] * scale[k % n]).collect();
    let mut chi2 = 0.0;
    for i in 0..m {
        let model: f64 = columns.iter().zip(&x).map(|(c, v)| c.as_ref()[i] * v).sum();
        chi2 += weights[i] * (y[i] - model).powi(2);
    }
    Ok(LinearFit { x, covariance, estimator, chi2 })
}

/// The coefficients of [`weighted_linear`] alone, at half its cost.
///
/// # Errors
/// As [`weighted_linear`].
pub fn weighted_coefficients(
    columns: &[impl AsRef<[f64]>],
    y: &[f64],
    weights: &[f64],
) -> Result<Vec<f64>, LeastSquaresError> {
    let Normal { scaled, scale, root, factor } = normal(columns, y, weights)?;
    let rhs: Vec<f64> = scaled
        .iter()
        .map(|c| c.iter().zip(y).zip(&root).map(|((s, v), w)| s * v * w).sum())
        .collect();
    Ok(factor.solve(&rhs).iter().zip(&scale).map(|(x, s)| x * s).collect())
}

/// Normal equations of scaled columns.
struct Normal {
    /// Columns times root weight over norm.
    scaled: Vec<Vec<f64>>,
    /// Inverse norms.
    scale: Vec<f64>,
    /// Root weights.
    root: Vec<f64>,
    factor: Cholesky,
}

fn normal(
    columns: &[impl AsRef<[f64]>],
    y: &[f64],
    weights: &[f64],
) -> Result<Normal, LeastSquaresError> {
    let (n, m) = (columns.len(), y.len());
    let length = |what, got| match got == m {
        true => Ok(()),
        false => Err(LeastSquaresError::Length { what, got, expected: m }),
    };
    length("weights", weights.len())?;
    let root: Vec<f64> = weights.iter().map(|w| w.sqrt()).collect();
    let mut scaled = Vec::with_capacity(n);
    let mut scale = Vec::with_capacity(n);
    for (column, c) in columns.iter().map(AsRef::as_ref).enumerate() {
        length("column", c.len())?;
        let mut w: Vec<f64> = c.iter().zip(&root).map(|(v, w)| w * v).collect();
        let norm = dot(&w, &w).sqrt();
        if norm.is_nan() || norm <= 0.0 || norm.is_infinite() {
            return Err(LeastSquaresError::Dependent { column });
        }
        w.iter_mut().for_each(|v| *v /= norm);
        scale.push(norm.recip());
        scaled.push(w);
    }
    let gram = simd::run(Products { columns: &scaled });
    let factor = Cholesky::new(&gram, n)?;
    Ok(Normal { scaled, scale, root, factor })
}

/// Products of all columns with one another, n x n.
struct Products<'a> {
    columns: &'a [Vec<f64>],
}

impl Kernel for Products<'_> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn run(self) -> Vec<f64> {
        let n = self.columns.len();
        let mut gram = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let g = dot(&self.columns[i], &self.columns[j]);
                gram[i * n + j] = g;
                gram[j * n + i] = g;
            }
        }
        gram
    }
}

/// Dot product in eight independent sums: a fixed order that the compiler can vectorise.
#[inline(always)]
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (ca, cb) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f64 = ca.remainder().iter().zip(cb.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in ca.zip(cb) {
        for k in 0..8 {
            sums[k] += x[k] * y[k];
        }
    }
    sums.iter().sum::<f64>() + tail
}

/// Result of a nonlinear fit.
#[derive(Debug, Clone, PartialEq)]
pub struct NonlinearFit {
    /// Parameters.
    pub x: Vec<f64>,
    /// `(JᵀJ)⁻¹` at the solution, n x n row-major; NaN where a parameter has no effect.
    pub covariance: Vec<f64>,
    /// Sum of squared residuals.
    pub chi2: f64,
    /// Steps taken.
    pub iterations: usize,
    /// True when the last step changed chi² by less than the tolerance.
    pub converged: bool,
}

/// Minimises the sum of squared residuals by Levenberg-Marquardt with forward differences.
///
/// `step[j]` is the difference and the natural scale of parameter j. Stops when chi² falls by
/// less than `tolerance` relatively, or after `max_iterations`.
///
/// Source: Marquardt (1963), J. SIAM 11, 431, doi:10.1137/0111030.
///
/// # Errors
/// [`LeastSquaresError::NotFinite`], [`LeastSquaresError::Length`].
pub fn levenberg_marquardt(
    mut residuals: impl FnMut(&[f64]) -> Vec<f64>,
    start: &[f64],
    step: &[f64],
    max_iterations: usize,
    tolerance: f64,
) -> Result<NonlinearFit, LeastSquaresError> {
    let n = start.len();
    if step.len() != n {
        return Err(LeastSquaresError::Length { what: "step", got: step.len(), expected: n });
    }
    let square = |r: &[f64]| r.iter().map(|v| v * v).sum::<f64>();
    let mut x = start.to_vec();
    let mut r = residuals(&x);
    let mut chi2 = square(&r);
    if !chi2.is_finite() {
        return Err(LeastSquaresError::NotFinite);
    }
    let mut lambda = 1e-3;
    let mut converged = false;
    let mut iterations = 0;
    let mut normal = vec![0.0; n * n];
    while iterations < max_iterations && !converged {
        iterations += 1;
        let mut jacobian = Vec::with_capacity(n);
        for j in 0..n {
            let mut shifted = x.clone();
            shifted[j] += step[j];
            let moved = residuals(&shifted);
            jacobian.push(moved.iter().zip(&r).map(|(a, b)| a - b).collect::<Vec<f64>>());
        }
        let mut gradient = vec![0.0; n];
        for i in 0..n {
            gradient[i] = jacobian[i].iter().zip(&r).map(|(a, b)| a * b).sum();
            for j in 0..n {
                normal[i * n + j] = jacobian[i].iter().zip(&jacobian[j]).map(|(a, b)| a * b).sum();
            }
        }
        let mut accepted = false;
        for _ in 0..12 {
            let mut damped = normal.clone();
            for i in 0..n {
                damped[i * n + i] *= 1.0 + lambda;
                if damped[i * n + i] == 0.0 {
                    damped[i * n + i] = 1.0;
                }
            }
            let Ok(factor) = Cholesky::new(&damped, n) else {
                lambda *= 10.0;
                continue;
            };
            let move_by = factor.solve(&gradient);
            let trial: Vec<f64> = (0..n).map(|i| x[i] - move_by[i] * step[i]).collect();
            let trial_r = residuals(&trial);
            let trial_chi2 = square(&trial_r);
            if trial_chi2.is_finite() && trial_chi2 <= chi2 {
                converged = chi2 - trial_chi2 <= tolerance * chi2.max(f64::MIN_POSITIVE);
                (x, r, chi2) = (trial, trial_r, trial_chi2);
                lambda = (lambda * 0.2).max(1e-9);
                accepted = true;
                break;
            }
            lambda *= 5.0;
        }
        if !accepted {
            // No direction improves: a minimum to within rounding.
            converged = true;
        }
    }
    let covariance = match Cholesky::new(&normal, n) {
        Ok(factor) => {
            let inverse = factor.inverse();
            (0..n * n).map(|k| inverse[k] * step[k / n] * step[k % n]).collect()
        }
        Err(_) => vec![f64::NAN; n * n],
    };
    Ok(NonlinearFit { x, covariance, chi2, iterations, converged })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_through_points() {
        let columns = [vec![1.0; 4], vec![0.0, 1.0, 2.0, 3.0]];
        let y = [1.0, 3.1, 4.9, 7.0];
        let w = [1.0, 2.0, 1.0, 0.5];
        let fit = weighted_linear(&columns, &y, &w).unwrap();
        for c in &columns {
            let g: f64 =
                (0..4).map(|i| w[i] * c[i] * (y[i] - fit.x[0] - fit.x[1] * i as f64)).sum();
            assert!(g.abs() < 1e-12);
        }
        let alone = weighted_coefficients(&columns, &y, &w).unwrap();
        assert!(alone.iter().zip(&fit.x).all(|(a, b)| (a - b).abs() < 1e-12));
        let product: f64 = fit.estimator[0..4].iter().zip(&y).map(|(a, b)| a * b).sum();
        assert!((product - fit.x[0]).abs() < 1e-12);
        // Variance of the slope of a weighted line: sum w / (sum w sum w x² - (sum w x)²).
        let (s, sx, sxx) = (4.5, 5.5, 10.5);
        assert!((fit.covariance[3] - s / (s * sxx - sx * sx)).abs() < 1e-12);
    }

    #[test]
    fn dependent_columns_are_named() {
        let c = vec![1.0, 2.0, 3.0];
        let twice: Vec<f64> = c.iter().map(|v| 2.0 * v).collect();
        let error = weighted_linear(&[c.clone(), twice], &[1.0; 3], &[1.0; 3]).unwrap_err();
        assert_eq!(error, LeastSquaresError::Dependent { column: 1 });
        let error = weighted_linear(&[vec![0.0; 3]], &[1.0; 3], &[1.0; 3]).unwrap_err();
        assert_eq!(error, LeastSquaresError::Dependent { column: 0 });
        assert!(weighted_linear(&[c], &[1.0; 3], &[1.0; 2]).is_err());
    }

    #[test]
    fn finds_a_gaussian() {
        let data: Vec<f64> = (0..50)
            .map(|i| 7.0 * (-0.5 * ((f64::from(i) - 21.3) / 4.2_f64).powi(2)).exp())
            .collect();
        let fit = levenberg_marquardt(
            |p| {
                (0..50)
                    .map(|i| p[0] * (-0.5 * ((f64::from(i) - p[1]) / p[2]).powi(2)).exp())
                    .zip(&data)
                    .map(|(m, y)| m - y)
                    .collect()
            },
            &[5.0, 19.0, 6.0],
            &[1e-4, 1e-4, 1e-4],
            50,
            1e-12,
        )
        .unwrap();
        assert!(fit.converged);
        for (got, want) in fit.x.iter().zip([7.0, 21.3, 4.2]) {
            assert!((got - want).abs() < 1e-5, "{got} {want}");
        }
        let bad = levenberg_marquardt(|_| vec![f64::NAN], &[0.0], &[1.0], 5, 1e-9);
        assert_eq!(bad, Err(LeastSquaresError::NotFinite));
    }
}
