//! How well a model fits, and which of two fits better.
//!
//! Reduced chi-square with its expectation and spread: for counts Pearson's terms have variance
//! `2 + 1/mu`, so that low counts are not taken for a bad fit. Runs test (Wald and Wolfowitz 1940,
//! doi:10.1214/aoms/1177731909) and Durbin-Watson statistic (1950, doi:10.1093/biomet/37.3-4.409) look at
//! the order of the residuals: a model that is wrong leaves waves. Akaike's and Schwarz's criteria
//! (doi:10.1109/TAC.1974.1100705, doi:10.1214/aos/1176344136) up to a constant of the data.

use kalpha_num::statistics::{chi2_sf, regularized_beta};
use serde::{Deserialize, Serialize};

/// How well a model fits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Diagnostics {
    /// Points less free parameters.
    pub freedom: usize,
    /// Pearson's chi-square: squares of residuals over their standard deviations.
    pub chi2: f64,
    /// Chi-square over degrees of freedom; the variance of the noise where that is unknown, NaN
    /// without a degree of freedom.
    pub reduced_chi2: f64,
    /// Standard deviation of the reduced chi-square if the model holds; its expectation is 1.
    pub reduced_chi2_sigma: f64,
    /// Chance of a larger chi-square if the model holds; absent where the noise is unknown.
    pub p_value: Option<f64>,
    /// Runs of equal sign of the residuals, in standard deviations from what chance gives:
    /// negative for waves.
    pub runs_z: f64,
    /// Durbin-Watson statistic: 2 for independent residuals, below for waves.
    pub durbin_watson: f64,
    /// Akaike's criterion.
    pub aic: f64,
    /// Schwarz's criterion.
    pub bic: f64,
}

/// What diagnostics are made of.
pub(super) struct Residuals<'a> {
    /// In standard deviations, or plain where the noise is unknown; points that count.
    pub(super) values: &'a [f64],
    /// Expected counts, for a Poisson fit.
    pub(super) expected: Option<&'a [f64]>,
    /// Deviance, for a Poisson fit.
    pub(super) deviance: Option<f64>,
    pub(super) unknown_noise: bool,
    pub(super) parameters: usize,
}

impl Residuals<'_> {
    pub(super) fn diagnose(&self) -> Diagnostics {
        let r = self.values;
        let points = r.len();
        let freedom = points.saturating_sub(self.parameters);
        let chi2: f64 = r.iter().map(|v| v * v).sum();
        let nu = freedom as f64;
        let spread: f64 = match self.expected {
            // Scaled to the degrees of freedom that are left.
            Some(mu) => {
                mu.iter().map(|f| 2.0 + f.recip().min(1e6)).sum::<f64>() * nu / points as f64
            }
            None => 2.0 * nu,
        };
        let (k, n) = (self.parameters as f64, points as f64);
        let misfit = match (self.deviance, self.unknown_noise) {
            (Some(deviance), _) => deviance,
            (None, false) => chi2,
            // The variance is one parameter more.
            (None, true) => n * (chi2 / n).max(f64::MIN_POSITIVE).ln(),
        };
        let k = if self.unknown_noise { k + 1.0 } else { k };
        let known = !self.unknown_noise && freedom > 0;
        Diagnostics {
            freedom,
            chi2,
            reduced_chi2: chi2 / nu,
            reduced_chi2_sigma: spread.sqrt() / nu,
            p_value: known.then(|| chi2_sf(2.0 * chi2 * nu / spread, 2.0 * nu * nu / spread)),
            runs_z: runs_z(r),
            durbin_watson: r.windows(2).map(|w| (w[1] - w[0]).powi(2)).sum::<f64>() / chi2,
            aic: misfit + 2.0 * k,
            bic: misfit + k * n.ln(),
        }
    }
}

/// Number of runs of equal sign, standardised.
fn runs_z(r: &[f64]) -> f64 {
    let signs: Vec<bool> = r.iter().filter(|v| **v != 0.0).map(|v| *v > 0.0).collect();
    let up = signs.iter().filter(|s| **s).count() as f64;
    let n = signs.len() as f64;
    let down = n - up;
    let runs = 1.0 + signs.windows(2).filter(|w| w[0] != w[1]).count() as f64;
    let mean = 1.0 + 2.0 * up * down / n;
    let variance = (mean - 1.0) * (mean - 2.0) / (n - 1.0);
    (runs - mean) / variance.sqrt()
}

/// Which of two models of the same data is better.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// AIC of the larger model less that of the smaller: negative if it is worth its parameters.
    pub aic: f64,
    /// BIC of the larger model less that of the smaller.
    pub bic: f64,
    /// `[(chi2 - chi2') / (nu - nu')] / (chi2' / nu')`.
    pub f: f64,
    /// Chance of such an F if the smaller model holds and is part of the larger one.
    pub p_value: f64,
}

/// Compares a model with a smaller one that is part of it. For a peak more the p-value is a guide
/// only: its position means nothing where its area is zero (Protassov 2002, doi:10.1086/339856).
pub fn compare(smaller: &Diagnostics, larger: &Diagnostics) -> Comparison {
    let more = smaller.freedom as f64 - larger.freedom as f64;
    let nu = larger.freedom as f64;
    let f = (smaller.chi2 - larger.chi2) / more / (larger.chi2 / nu);
    let p_value = match f > 0.0 {
        true => regularized_beta(nu / (nu + more * f), 0.5 * nu, 0.5 * more),
        false => 1.0,
    };
    Comparison { aic: larger.aic - smaller.aic, bic: larger.bic - smaller.bic, f, p_value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kalpha_num::rng::Stream;

    fn residuals(values: &[f64]) -> Diagnostics {
        let known = Residuals {
            values,
            expected: None,
            deviance: None,
            unknown_noise: false,
            parameters: 0,
        };
        known.diagnose()
    }

    #[test]
    fn white_residuals_look_white_and_waves_do_not() {
        let stream = Stream::new(1, "diagnostics", 0);
        let (mut runs, mut chi2, mut low) = (0.0, 0.0, 0);
        for draw in 0..400 {
            let r: Vec<f64> = (0..200).map(|i| stream.at(draw, i).normal()).collect();
            let d = residuals(&r);
            runs += d.runs_z * d.runs_z / 400.0;
            chi2 += ((d.reduced_chi2 - 1.0) / d.reduced_chi2_sigma).powi(2) / 400.0;
            low += usize::from(d.p_value.unwrap() < 0.1);
        }
        // Variances of 400 draws: 1 within 4 times sqrt(2 / 400).
        assert!((runs - 1.0_f64).abs() < 0.3 && (chi2 - 1.0_f64).abs() < 0.3, "{runs} {chi2}");
        assert!((15..=65).contains(&low), "{low}");
        let wave: Vec<f64> = (0..200).map(|i| (0.2 * f64::from(i)).sin()).collect();
        let d = residuals(&wave);
        assert!(d.runs_z < -8.0 && d.durbin_watson < 0.2, "{d:?}");
    }

    #[test]
    fn low_counts_are_no_bad_fit() {
        let stream = Stream::new(2, "diagnostics", 0);
        let mut square = 0.0;
        for draw in 0..400 {
            let mu = [0.2; 300];
            let r: Vec<f64> = (0..300)
                .map(|i| (stream.at(draw, i).poisson(0.2) as f64 - 0.2) / 0.2f64.sqrt())
                .collect();
            let counts = Residuals {
                values: &r,
                expected: Some(&mu),
                deviance: Some(0.0),
                unknown_noise: false,
                parameters: 0,
            };
            let d = counts.diagnose();
            square += ((d.reduced_chi2 - 1.0) / d.reduced_chi2_sigma).powi(2) / 400.0;
        }
        assert!((square - 1.0_f64).abs() < 0.3, "{square}");
    }

    #[test]
    fn f_test() {
        let d = |chi2, freedom| Diagnostics { chi2, freedom, ..residuals(&[1.0, -1.0, 1.0]) };
        // scipy.stats.f.sf(2.5, 3, 60) = 0.06802185218030711
        let c = compare(&d(112.5, 63), &d(100.0, 60));
        assert!((c.f - 2.5).abs() < 1e-12);
        assert!((c.p_value - 0.06802185218030711).abs() < 1e-9, "{}", c.p_value);
        assert_eq!(compare(&d(100.0, 63), &d(100.0, 60)).p_value, 1.0);
    }
}
