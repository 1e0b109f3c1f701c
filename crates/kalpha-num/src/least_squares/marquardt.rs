//! Levenberg-Marquardt with forward differences, for few parameters and plain residuals.

use super::{Cholesky, LeastSquaresError};

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
