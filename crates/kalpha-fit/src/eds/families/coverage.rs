//! Study: coverage of Ti and Ba intensities in their overlap.
//!
//! Ti K (4.51 keV) and Ba L (4.47 keV) overlap at 130 eV resolution. Poisson spectra are drawn
//! from the model of the fit, both intensities are estimated with [`fit_families`], and the
//! study asks whether 95 % intervals cover, how wide they are against the Cramér-Rao bound,
//! and whether p-values of an absent Ba are uniform.

use kalpha_num::least_squares::weighted_linear;
use kalpha_num::rng::Stream;
use kalpha_num::statistics::normal_sf;
use kalpha_physics::bremsstrahlung::Source;
use kalpha_physics::lines::{LineFamily, Shell, line_family};
use kalpha_physics::profile::PeakShape;
use serde::{Deserialize, Serialize};

use super::{BackgroundModel, FitOptions, background_columns, family_columns, fit_families};
use crate::eds::FitError;

/// Counts of Ti and Ba of the cases: 1:1, 10:1, 1:10 at 200 and 2,000 counts, and Ba absent.
pub const CASES: [(f64, f64); 8] = [
    (100.0, 100.0),
    (182.0, 18.0),
    (18.0, 182.0),
    (1000.0, 1000.0),
    (1818.0, 182.0),
    (182.0, 1818.0),
    (200.0, 0.0),
    (2000.0, 0.0),
];
/// Continuum counts per channel of 10 eV at 4.5 keV.
const CONTINUUM: f64 = 4.0;

/// What became of one case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OverlapCoverage {
    /// True counts of Ti K and Ba L.
    pub truth: [f64; 2],
    /// Draws.
    pub draws: usize,
    /// Draws in which the 95 % interval of each covers.
    pub covered: [usize; 2],
    /// Mean estimates.
    pub mean: [f64; 2],
    /// Median standard deviation over the Cramér-Rao bound.
    pub width_over_bound: [f64; 2],
    /// One-sided p-values of "Ba is absent", in the order of the draws.
    pub p_values: Vec<f64>,
}

/// Runs one case with `draws` spectra keyed by `seed`.
///
/// # Errors
/// Those of [`fit_families`].
pub fn overlap_coverage(
    truth: (f64, f64),
    draws: usize,
    seed: u64,
) -> Result<OverlapCoverage, FitError> {
    let beam = 200.0;
    let energies: Vec<f64> = (0..400).map(|i| 3.0 + 0.01 * f64::from(i)).collect();
    let mut options = FitOptions::new(beam, 3.0, 7.0, PeakShape::gaussian(130.0), Source::Thin);
    options.pileup = false;
    options.polynomial_degree = 1;
    let mut families: Vec<LineFamily> = Vec::new();
    for (symbol, shell) in [("Ti", Shell::K), ("Ba", Shell::L)] {
        families.extend(line_family(symbol, shell, beam)?);
    }
    let profiles = family_columns(&energies, &families, &options)?;
    let model = BackgroundModel::Bremsstrahlung;
    let background = background_columns(model, &energies, &[], &options)?;
    let scale = CONTINUUM / background[0][150];
    let truth = [truth.0, truth.1];
    let mean: Vec<f64> = (0..energies.len())
        .map(|k| scale * background[0][k] + truth[0] * profiles[0][k] + truth[1] * profiles[1][k])
        .collect();
    let columns: Vec<Vec<f64>> = profiles.iter().chain(&background).cloned().collect();
    let weights: Vec<f64> = mean.iter().map(|v| v.recip()).collect();
    let bound = weighted_linear(&columns, &mean, &weights)?;
    let n = columns.len();
    let bound = [0, 1].map(|i| bound.covariance[i * n + i].sqrt());

    let stream = Stream::new(seed, "overlap_coverage", (truth[0] * 1e4 + truth[1]) as u32);
    let mut covered = [0; 2];
    let mut sum = [0.0; 2];
    let mut widths = [Vec::with_capacity(draws), Vec::with_capacity(draws)];
    let mut p_values = Vec::with_capacity(draws);
    for draw in 0..draws {
        let counts: Vec<f64> =
            mean.iter().enumerate().map(|(k, &m)| stream.at(draw, k).poisson(m) as f64).collect();
        let fit = fit_families(&energies, &counts, &families, model, &options)?;
        for i in 0..2 {
            let sigma = fit.sigma(i);
            covered[i] += usize::from((fit.counts[i] - truth[i]).abs() <= 1.959_964 * sigma);
            sum[i] += fit.counts[i];
            widths[i].push(sigma / bound[i]);
        }
        p_values.push(normal_sf(fit.counts[1] / fit.sigma_absent[1]));
    }
    let median = |v: &mut Vec<f64>| {
        v.sort_by(f64::total_cmp);
        v.get(v.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let [mut a, mut b] = widths;
    Ok(OverlapCoverage {
        truth,
        draws,
        covered,
        mean: sum.map(|s| s / draws as f64),
        width_over_bound: [median(&mut a), median(&mut b)],
        p_values,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The study at a twentieth of its size: intervals pooled over cases.
    #[test]
    fn intervals_cover_and_p_values_are_uniform() {
        let draws = 50;
        let (mut covered, mut total) = (0, 0);
        let mut p: Vec<f64> = Vec::new();
        for case in CASES {
            let got = overlap_coverage(case, draws, 7).unwrap();
            covered += got.covered.iter().sum::<usize>();
            total += 2 * draws;
            assert!(got.width_over_bound.iter().all(|w| *w < 1.2), "{got:?}");
            if case.1 == 0.0 {
                p.extend(&got.p_values);
            }
        }
        let coverage = covered as f64 / total as f64;
        // Three standard deviations of a binomial fraction of 800.
        assert!((coverage - 0.95).abs() < 0.023, "{coverage}");
        p.sort_by(f64::total_cmp);
        let n = p.len() as f64;
        let distance = p
            .iter()
            .enumerate()
            .map(|(i, p)| ((i as f64 + 1.0) / n - p).abs().max((p - i as f64 / n).abs()))
            .fold(0.0, f64::max);
        // Kolmogorov-Smirnov at 0.1 %.
        assert!(distance < 1.95 / n.sqrt(), "{distance}");
    }

    /// Full size; run with `--ignored`.
    #[test]
    #[ignore = "1,000 draws per case"]
    fn full_study() {
        for case in CASES {
            let got = overlap_coverage(case, 1000, 11).unwrap();
            let share = got.covered.map(|c| c as f64 / 1000.0);
            let mut p = got.p_values.clone();
            p.sort_by(f64::total_cmp);
            let ks = p
                .iter()
                .enumerate()
                .map(|(i, p)| ((i as f64 + 1.0) / 1e3 - p).abs().max((p - i as f64 / 1e3).abs()))
                .fold(0.0, f64::max);
            eprintln!(
                "{:?} covered {share:?} mean {:?} width {:?} ks {ks:.4}",
                got.truth, got.mean, got.width_over_bound
            );
            assert!(share.iter().all(|s| (0.933..=0.967).contains(s)), "{share:?}");
            assert!(got.width_over_bound.iter().all(|w| *w < 1.2));
            if case.1 == 0.0 {
                assert!(ks < 1.63 / 1000f64.sqrt(), "{ks}");
            }
        }
    }
}
