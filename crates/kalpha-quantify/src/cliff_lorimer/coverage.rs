//! Study: do the error bars of compositions cover?
//!
//! A thin Fe-Pt specimen with chromium at its detection limit and no nickel, 200 kV. Spectra are
//! drawn, fitted and quantified; the at.% of every element is compared with the truth.
//!
//! - **Statistical**: the true model is that of the fit and k-factors are exact. 95 % intervals
//!   of the statistical part should cover 93.3 to 96.7 % of 1,000 draws, with a median width of
//!   at most 1.2 times the Cramer-Rao bound.
//! - **Total**: k-factors, energy offset and peak width are drawn anew from their stated priors,
//!   and the continuum is a power law with a bend that no background model of the fit contains.
//!   95 % intervals of the whole budget should cover 92 to 98 %.

use super::{LineIntensities, Outcome, cliff_lorimer, step};
use crate::error::QuantifyError;
use crate::k_factors::{KFactor, KOrigin};
use kalpha_core::Quantity;
use kalpha_fit::eds::FitError;
use kalpha_fit::eds::families::{
    BackgroundModel, FitOptions, SumFit, background_columns, family_columns, fit_all_backgrounds,
    fit_families,
};
use kalpha_num::least_squares::weighted_linear;
use kalpha_num::rng::Stream;
use kalpha_physics::PhysicsError;
use kalpha_physics::bremsstrahlung::Source;
use kalpha_physics::elements::element;
use kalpha_physics::lines::{LineFamily, Shell, line_family};
use kalpha_physics::profile::PeakShape;
use serde::{Deserialize, Serialize};

/// The study cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CoverageError {
    /// Tables.
    #[error(transparent)]
    Physics(#[from] PhysicsError),
    /// A fit.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// A quantification.
    #[error(transparent)]
    Quantify(#[from] QuantifyError),
    /// The bound.
    #[error(transparent)]
    LeastSquares(#[from] kalpha_num::least_squares::LeastSquaresError),
}

/// Elements, shells and true counts of the families; chromium is at its detection limit.
const TRUTH: [(&str, Shell, f64); 4] = [
    ("Cr", Shell::K, 170.0),
    ("Fe", Shell::K, 8000.0),
    ("Ni", Shell::K, 0.0),
    ("Pt", Shell::L, 4000.0),
];
/// k-factors on weight basis.
const K: [f64; 4] = [1.35, 1.45, 1.57, 5.08];
/// Continuum counts per channel of 20 eV at 5 keV.
const CONTINUUM: f64 = 25.0;
/// Priors of the nuisances: energy offset (keV) and relative peak width.
const OFFSET_SIGMA: f64 = 0.001;
const WIDTH_SIGMA: f64 = 0.005;
/// FWHM at Mn K-alpha, eV.
const RESOLUTION: f64 = 130.0;
/// Half width of a 95 % interval in standard deviations.
const HALF_WIDTH: f64 = 1.959_964;

/// What became of one element.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ElementCoverage {
    /// Symbol.
    pub symbol: String,
    /// True at.%.
    pub truth: f64,
    /// Mean estimate, at.%.
    pub mean: f64,
    /// Draws whose 95 % interval covers.
    pub covered: usize,
    /// Draws.
    pub draws: usize,
    /// Median standard deviation over the Cramer-Rao bound; absent in the total study.
    pub width_over_bound: Option<f64>,
}

struct World {
    energies: Vec<f64>,
    families: Vec<LineFamily>,
    lines: Vec<String>,
    options: FitOptions,
    masses: Vec<f64>,
}

fn world() -> Result<World, CoverageError> {
    let energies: Vec<f64> = (0..600).map(|i| 2.8 + 0.02 * f64::from(i)).collect();
    let shape = PeakShape::gaussian(RESOLUTION);
    let mut options = FitOptions::new(200.0, 3.0, 14.0, shape, Source::Thin);
    options.pileup = false;
    options.polynomial_degree = 2;
    let (mut families, mut masses) = (Vec::new(), Vec::new());
    for (symbol, shell, _) in TRUTH {
        families.extend(line_family(symbol, shell, 200.0)?);
        masses.push(element(symbol)?.atomic_weight);
    }
    let lines = families.iter().map(LineFamily::line_name).collect();
    Ok(World { energies, families, lines, options, masses })
}

impl World {
    fn k(&self, relative_sigma: Option<[f64; 4]>) -> Result<Vec<KFactor>, QuantifyError> {
        self.lines
            .iter()
            .enumerate()
            .map(|(i, line)| {
                let sigma = relative_sigma.map_or(0.0, |s| s[i] * K[i]);
                KFactor::new(line, K[i], Some(sigma), KOrigin::Given)
            })
            .collect()
    }

    /// At.% of true alpha counts under k-factors `k`.
    fn atomic_percent(&self, k: &[f64]) -> Vec<f64> {
        let amounts: Vec<f64> = self
            .families
            .iter()
            .zip(TRUTH)
            .enumerate()
            .map(|(i, (f, (.., counts)))| counts * f.alpha_fraction() * k[i] / self.masses[i])
            .collect();
        let total: f64 = amounts.iter().sum();
        amounts.iter().map(|a| 100.0 * a / total).collect()
    }

    fn quantities(
        &self,
        intensities: &LineIntensities,
        k: &[KFactor],
    ) -> Result<Option<Vec<Quantity>>, QuantifyError> {
        Ok(match cliff_lorimer(intensities, k, &self.masses, None)? {
            Outcome::Composition(composition) => Some(composition.atomic_percent),
            Outcome::NotQuantified(_) => None,
        })
    }
}

fn draw(mean: &[f64], stream: &Stream, row: usize) -> Vec<f64> {
    mean.iter().enumerate().map(|(k, &m)| stream.at(row, k).poisson(m) as f64).collect()
}

fn tally(truth: &[f64], draws: usize) -> Vec<ElementCoverage> {
    let one = |((symbol, ..), &truth): ((&str, Shell, f64), &f64)| ElementCoverage {
        symbol: symbol.to_owned(),
        truth,
        mean: 0.0,
        covered: 0,
        draws,
        width_over_bound: None,
    };
    TRUTH.into_iter().zip(truth).map(one).collect()
}

/// The statistical part: true model, exact k-factors.
///
/// # Errors
/// When tables or a fit fail.
pub fn statistical(draws: usize, seed: u64) -> Result<Vec<ElementCoverage>, CoverageError> {
    let w = world()?;
    let model = BackgroundModel::Bremsstrahlung;
    let profiles = family_columns(&w.energies, &w.families, &w.options)?;
    let background = background_columns(model, &w.energies, &[], &w.options)?;
    let scale = CONTINUUM / background[0][110];
    let mean: Vec<f64> = (0..w.energies.len())
        .map(|c| {
            let lines: f64 = profiles.iter().zip(TRUTH).map(|(p, (.., n))| n * p[c]).sum();
            scale * background[0][c] + lines
        })
        .collect();
    let k = w.k(None)?;
    let truth = w.atomic_percent(&K);
    let mut out = tally(&truth, draws);

    // Cramer-Rao: the covariance of the fit with the true weights, carried to at.%.
    let inside: Vec<usize> = (0..mean.len()).filter(|&c| mean[c] > 0.0).collect();
    let columns: Vec<Vec<f64>> = profiles
        .iter()
        .chain(&background)
        .map(|column| inside.iter().map(|&c| column[c]).collect())
        .collect();
    let at: Vec<f64> = inside.iter().map(|&c| mean[c]).collect();
    let weights: Vec<f64> = at.iter().map(|m| m.recip()).collect();
    let fit = weighted_linear(&columns, &at, &weights)?;
    let (n, all) = (TRUTH.len(), columns.len());
    let alpha: Vec<f64> = w.families.iter().map(LineFamily::alpha_fraction).collect();
    let exact = LineIntensities {
        lines: w.lines.clone(),
        counts: (0..n).map(|i| TRUTH[i].2 * alpha[i]).collect(),
        covariance: (0..n * n)
            .map(|e| alpha[e / n] * alpha[e % n] * fit.covariance[(e / n) * all + e % n])
            .collect(),
        shifts: Vec::new(),
    };
    let bound: Vec<f64> = w.quantities(&exact, &k)?.iter().flatten().map(stat).collect();

    let stream = Stream::new(seed, "composition.statistical", 0);
    let mut widths = vec![Vec::with_capacity(draws); n];
    for row in 0..draws {
        let counts = draw(&mean, &stream, row);
        let fit = fit_families(&w.energies, &counts, &w.families, model, &w.options)?;
        let position =
            |f: &LineFamily| fit.families.iter().position(|name| *name == f.name()).unwrap_or(0);
        let at: Vec<usize> = w.families.iter().map(position).collect();
        let m = fit.counts.len();
        let intensities = LineIntensities {
            lines: w.lines.clone(),
            counts: (0..n).map(|i| fit.counts[at[i]] * alpha[i]).collect(),
            covariance: (0..n * n)
                .map(|e| {
                    let (i, j) = (e / n, e % n);
                    alpha[i] * alpha[j] * fit.covariance[at[i] * m + at[j]]
                })
                .collect(),
            shifts: Vec::new(),
        };
        for (i, q) in w.quantities(&intensities, &k)?.iter().flatten().enumerate() {
            let (value, sigma) = (q.value().unwrap_or(f64::NAN), stat(q));
            out[i].mean += value / draws as f64;
            out[i].covered += usize::from((value - truth[i]).abs() <= HALF_WIDTH * sigma);
            widths[i].push(sigma / bound[i]);
        }
    }
    for (element, widths) in out.iter_mut().zip(&mut widths) {
        widths.sort_by(f64::total_cmp);
        element.width_over_bound = widths.get(widths.len() / 2).copied();
    }
    Ok(out)
}

fn stat(quantity: &Quantity) -> f64 {
    match quantity {
        Quantity::Measured { stat, .. } => *stat,
        Quantity::UpperLimit { .. } => f64::NAN,
    }
}

/// The whole budget: nuisances drawn anew, a continuum that the fit does not contain.
///
/// # Errors
/// When tables or a fit fail.
pub fn total(draws: usize, seed: u64) -> Result<Vec<ElementCoverage>, CoverageError> {
    let w = world()?;
    // As assumed for k-factors without a sigma: 10 % (K), 15 % (L).
    let relative = [0.10, 0.10, 0.10, 0.15];
    let k = w.k(Some(relative))?;
    let truth = w.atomic_percent(&K);
    let mut out = tally(&truth, draws);
    let (counts_of, nuisances) =
        (Stream::new(seed, "composition.total", 0), Stream::new(seed, "composition.nuisances", 0));
    for row in 0..draws {
        let mut nuisance = nuisances.row(row);
        let offset = OFFSET_SIGMA * nuisance.normal();
        let width = 1.0 + WIDTH_SIGMA * nuisance.normal();
        let exponent = 1.0 + 0.3 * nuisance.normal();
        let bend = 0.25 * nuisance.uniform();
        let true_k: Vec<f64> =
            (0..4).map(|i| K[i] * (relative[i] * nuisance.normal()).exp()).collect();

        let mut options = w.options.clone();
        options.shape = PeakShape::gaussian(RESOLUTION * width);
        let shifted: Vec<f64> = w.energies.iter().map(|e| e + offset).collect();
        let profiles = family_columns(&shifted, &w.families, &options)?;
        let mean: Vec<f64> = shifted
            .iter()
            .enumerate()
            .map(|(c, e)| {
                let lines: f64 = profiles.iter().zip(TRUTH).map(|(p, (.., n))| n * p[c]).sum();
                let continuum = (e / 5.0).powf(-exponent) * (1.0 + bend * (-e / 3.0).exp());
                CONTINUUM * continuum + lines
            })
            .collect();
        let counts = draw(&mean, &counts_of, row);
        let fit: SumFit = fit_all_backgrounds(&w.energies, &counts, &w.families, &w.options)?;
        let intensities = step::intensities(&fit, &w.lines);
        // The k-factors at hand are K; the specimen's composition follows from the true ones.
        let truth = w.atomic_percent(&true_k);
        for (i, q) in w.quantities(&intensities, &k)?.iter().flatten().enumerate() {
            let (value, sigma) = (q.value().unwrap_or(f64::NAN), q.sigma().unwrap_or(0.0));
            out[i].mean += value / draws as f64;
            out[i].covered += usize::from((value - truth[i]).abs() <= HALF_WIDTH * sigma);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A twentieth of the studies, coverage pooled over elements.
    #[test]
    fn intervals_of_compositions_cover() {
        for (found, low, high) in
            [(statistical(50, 1).unwrap(), 0.90, 0.99), (total(50, 1).unwrap(), 0.88, 1.0)]
        {
            let covered: usize = found.iter().map(|e| e.covered).sum();
            let share = covered as f64 / (50 * found.len()) as f64;
            assert!((low..=high).contains(&share), "{share} {found:?}");
            let narrow = |e: &ElementCoverage| e.width_over_bound.is_none_or(|w| w <= 1.2);
            assert!(found.iter().all(narrow), "{found:?}");
        }
    }
}
