//! Asymmetric least squares baseline.
//!
//! Minimises `sum w_i (y_i - z_i)² + lam sum (second difference of z)²` with `w = p` where the
//! data lie above z and `1 - p` elsewhere, repeated until the weights rest.
//!
//! Source: Eilers (2003), Anal. Chem. 75, 3631, doi:10.1021/ac034173t. Complexity O(n) per
//! iteration. Tested against pybaselines 1.2.1 `asls` to 1e-9 of the range.

use kalpha_num::banded::{Pentadiagonal, solve_pentadiagonal};

/// A baseline and how it was reached.
#[derive(Debug, Clone, PartialEq)]
pub struct Asls {
    /// The baseline, one value per channel.
    pub baseline: Vec<f64>,
    /// Solves done.
    pub iterations: usize,
    /// False when `max_iterations` was met first.
    pub converged: bool,
}

/// Fits the baseline of `y`.
///
/// `lam` is the smoothness, `p` the weight of points above the baseline (0 to 1), `tolerance`
/// the relative change of the weights at which iteration stops. Fewer than three points, or a
/// point that is not finite, give the data themselves and `converged = false`.
pub fn asls(y: &[f64], lam: f64, p: f64, max_iterations: usize, tolerance: f64) -> Asls {
    let n = y.len();
    if n < 3 || y.iter().any(|v| !v.is_finite()) {
        return Asls { baseline: y.to_vec(), iterations: 0, converged: false };
    }
    let (mut d0, mut d1, mut d2) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    for i in 0..n - 2 {
        d0[i] += lam;
        d0[i + 1] += 4.0 * lam;
        d0[i + 2] += lam;
        d1[i] -= 2.0 * lam;
        d1[i + 1] -= 2.0 * lam;
        d2[i] += lam;
    }
    let mut weights = vec![1.0; n];
    let mut diagonal = vec![0.0; n];
    let mut z = y.to_vec();
    let mut scratch = Pentadiagonal::default();
    for iteration in 1..=max_iterations + 1 {
        for i in 0..n {
            diagonal[i] = d0[i] + weights[i];
            z[i] = weights[i] * y[i];
        }
        if !solve_pentadiagonal(&diagonal, &d1, &d2, &mut z, &mut scratch) {
            return Asls { baseline: y.to_vec(), iterations: iteration, converged: false };
        }
        let (mut change, mut norm) = (0.0, 0.0);
        for i in 0..n {
            let new = if y[i] > z[i] { p } else { 1.0 - p };
            change += (new - weights[i]) * (new - weights[i]);
            norm += weights[i] * weights[i];
            weights[i] = new;
        }
        if change.sqrt() < tolerance * norm.sqrt() {
            return Asls { baseline: z, iterations: iteration, converged: true };
        }
    }
    Asls { baseline: z, iterations: max_iterations + 1, converged: false }
}

/// Two peaks and a ripple on a slope, without random numbers.
#[cfg(test)]
pub(crate) fn test_spectrum() -> Vec<f64> {
    (0..400)
        .map(|i| {
            let x = f64::from(i);
            let peak = |c: f64, s: f64| (-0.5 * ((x - c) / s).powi(2)).exp();
            500.0 * (-x / 250.0).exp()
                + 900.0 * peak(120.0, 4.0)
                + 300.0 * peak(260.0, 6.0)
                + 3.0 * (1.7 * x).sin()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_pybaselines() {
        // pybaselines 1.2.1, Baseline().asls(y, lam=1e5, p=0.01, max_iter=50, tol=1e-3).
        let expected = include!("asls_expected.in");
        let fit = asls(&test_spectrum(), 1e5, 0.01, 50, 1e-3);
        assert!(fit.converged);
        for (i, want) in expected {
            let got: f64 = fit.baseline[i];
            assert!((got - want).abs() < 5e-7, "{i}: {got} {want}");
        }
    }

    #[test]
    fn short_and_broken_input() {
        assert_eq!(asls(&[1.0, 2.0], 1e3, 0.01, 10, 1e-3).baseline, [1.0, 2.0]);
        assert!(!asls(&[1.0, f64::NAN, 2.0, 3.0], 1e3, 0.01, 10, 1e-3).converged);
        let line: Vec<f64> = (0..50).map(f64::from).collect();
        let fit = asls(&line, 1e6, 0.01, 50, 1e-3);
        assert!(fit.baseline.iter().zip(&line).all(|(a, b)| (a - b).abs() < 1e-6));
    }
}
