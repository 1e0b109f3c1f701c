//! Study: do the intervals of a fit hold the truth as often as they say.
//!
//! Overlapping doublets, one width apart, are drawn with Poisson noise and fitted by maximum
//! likelihood from the data alone but for rough places. Counted are the draws in which intervals
//! of one and of 1.96 standard deviations cover, among those in which the fit gives a standard
//! deviation, and the draws in which it refuses to.

use super::{Component, FitOptions, Noise, PeakError, PeakFit, PeakModel};
use kalpha_num::rng::Stream;
use serde::{Deserialize, Serialize};

/// Counts of the stronger line of the three doses.
pub const DOSES: [f64; 3] = [500.0, 5_000.0, 50_000.0];
/// Parameters that are counted.
pub const PARAMETERS: [&str; 5] = ["a.area", "b.area", "a.center", "b.center", "a.fwhm"];

/// What became of one dose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DoubletCoverage {
    /// Counts of the stronger line.
    pub dose: f64,
    /// Draws.
    pub draws: usize,
    /// Draws in which the fit gives a standard deviation, per parameter.
    pub given: [usize; 5],
    /// Of those, draws in which one standard deviation covers.
    pub covered_68: [usize; 5],
    /// Of those, draws in which 1.96 standard deviations cover.
    pub covered_95: [usize; 5],
    /// Draws that were refused or did not converge.
    pub failed: usize,
}

/// Fits `draws` spectra of one dose, keyed by `seed`.
///
/// # Errors
/// Those of [`PeakModel::new`].
pub fn doublet_coverage(dose: f64, draws: usize, seed: u64) -> Result<DoubletCoverage, PeakError> {
    let x: Vec<f64> = (0..160).map(|i| 0.1 * f64::from(i)).collect();
    let truth = [dose, 0.6 * dose, 7.0, 9.0, 2.0];
    let mean: Vec<f64> = x
        .iter()
        .map(|x| {
            let bell = |area: f64, center: f64| {
                let u = (x - center) / truth[4];
                let unit = (4.0 * std::f64::consts::LN_2 / std::f64::consts::PI).sqrt() / truth[4];
                // Counts per channel of 0.1.
                0.1 * area * unit * (-4.0 * std::f64::consts::LN_2 * u * u).exp()
            };
            0.002 * dose + bell(truth[0], truth[2]) + bell(truth[1], truth[3])
        })
        .collect();
    let a = Component::new("a", "gaussian")?.start("center", 6.8)?.start("fwhm", 1.7)?;
    let a = a.between("area", 0.0, f64::INFINITY)?;
    let b = Component::new("b", "gaussian")?.start("center", 9.3)?.tie("fwhm", "a.fwhm")?;
    let b = b.between("area", 0.0, f64::INFINITY)?;
    let base = Component::new("base", "constant")?.between("c0", 0.0, f64::INFINITY)?;
    let model = PeakModel::new(vec![a, b, base])?;
    let stream = Stream::new(seed, "doublet coverage", 0);
    let mut found = DoubletCoverage {
        dose,
        draws,
        given: [0; 5],
        covered_68: [0; 5],
        covered_95: [0; 5],
        failed: 0,
    };
    for draw in 0..draws {
        let y: Vec<f64> = mean
            .iter()
            .enumerate()
            .map(|(i, mean)| stream.at(draw, i).poisson(*mean) as f64)
            .collect();
        let fit = model.fit(&x, &y, Noise::Poisson, &FitOptions::default());
        let Some(fit) = fit.ok().filter(|fit: &PeakFit| fit.converged) else {
            found.failed += 1;
            continue;
        };
        for (k, name) in PARAMETERS.iter().enumerate() {
            let (Some(value), Some(sigma)) = (fit.value(name), fit.sigma(name)) else { continue };
            // An area is counts times the width of a channel.
            let unit = if k < 2 { 10.0 } else { 1.0 };
            let pull = (unit * value - truth[k]).abs() / (unit * sigma);
            found.given[k] += 1;
            found.covered_68[k] += usize::from(pull <= 0.994_457_883);
            found.covered_95[k] += usize::from(pull <= 1.959_963_985);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kalpha_num::statistics::clopper_pearson_interval;

    #[test]
    fn intervals_cover_in_a_twentieth_of_the_study() {
        for dose in DOSES {
            let found = doublet_coverage(dose, 100, 1).unwrap();
            assert_eq!(found.failed, 0, "{found:?}");
            for k in 0..5 {
                assert!(found.given[k] >= 95, "{found:?}");
                for (covered, level) in [(found.covered_68[k], 0.68), (found.covered_95[k], 0.95)] {
                    let (low, high) =
                        clopper_pearson_interval(covered as u64, found.given[k] as u64, 0.999);
                    assert!((low..=high).contains(&level), "{} {found:?}", PARAMETERS[k]);
                }
            }
        }
    }
}
