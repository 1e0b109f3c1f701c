//! Intervals for shares and counts; detection limits.

use super::{chi2_quantile, normal_quantile, regularized_beta};

/// Wilson's score interval for a share of `k` in `n` at two-sided `confidence`.
///
/// `(0, 1)` for n = 0. Source: Wilson (1927), doi:10.1080/01621459.1927.10502953.
pub fn wilson_interval(k: f64, n: f64, confidence: f64) -> (f64, f64) {
    if n.is_nan() || n <= 0.0 {
        return (0.0, 1.0);
    }
    let z = normal_quantile(0.5 + 0.5 * confidence);
    let (p, z2) = (k / n, z * z);
    let centre = (p + 0.5 * z2 / n) / (1.0 + z2 / n);
    let half = z * (p * (1.0 - p) / n + 0.25 * z2 / (n * n)).sqrt() / (1.0 + z2 / n);
    let low = if k <= 0.0 { 0.0 } else { (centre - half).max(0.0) };
    (low, if k >= n { 1.0 } else { (centre + half).min(1.0) })
}

/// Exact (Clopper and Pearson 1934) interval for a share of `k` in `n`.
pub fn clopper_pearson_interval(k: u64, n: u64, confidence: f64) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    let tail = 0.5 * (1.0 - confidence);
    let (k, n) = (k.min(n) as f64, n as f64);
    let solve = |target: f64, a: f64, b: f64| {
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..100 {
            let middle = 0.5 * (low + high);
            if regularized_beta(middle, a, b) < target {
                low = middle;
            } else {
                high = middle;
            }
        }
        0.5 * (low + high)
    };
    let low = if k == 0.0 { 0.0 } else { solve(tail, k, n - k + 1.0) };
    let high = if k == n { 1.0 } else { solve(1.0 - tail, k + 1.0, n - k) };
    (low, high)
}

/// Exact (Garwood 1936) interval for the mean of a Poisson count.
pub fn poisson_interval(n: u64, confidence: f64) -> (f64, f64) {
    let tail = 0.5 * (1.0 - confidence);
    let n = n as f64;
    let low = if n == 0.0 { 0.0 } else { 0.5 * chi2_quantile(tail, 2.0 * n) };
    (low, 0.5 * chi2_quantile(1.0 - tail, 2.0 * n + 2.0))
}

/// Decision and detection limits in net counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Currie {
    /// A net signal above it is called detected (error of the first kind alpha).
    pub critical: f64,
    /// A true signal of this size is detected with probability 1 - beta.
    pub detection: f64,
}

/// Limits for a net signal whose blank has standard deviation `sigma_blank`.
///
/// `L_C = z_alpha sigma_0`; `L_D = L_C + z_beta sigma(L_D)` with `sigma(L)^2 = sigma_0^2 + L`,
/// solved for L_D. Source: Currie (1968), doi:10.1021/ac60259a007; at alpha = beta = .05 it is
/// his `2.71 + 3.29 sigma_0`.
pub fn currie(sigma_blank: f64, alpha: f64, beta: f64) -> Currie {
    let (za, zb) = (normal_quantile(1.0 - alpha), normal_quantile(1.0 - beta));
    let critical = za * sigma_blank;
    // (L - c)^2 = z^2 (s^2 + L)
    let b = critical + 0.5 * zb * zb;
    let c = critical * critical - zb * zb * sigma_blank * sigma_blank;
    Currie { critical, detection: b + (b * b - c).max(0.0).sqrt() }
}
