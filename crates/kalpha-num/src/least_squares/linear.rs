//! Weighted linear least squares with covariance, by normal equations of scaled columns.

use super::LeastSquaresError;
use crate::simd::{self, Kernel};

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
}
