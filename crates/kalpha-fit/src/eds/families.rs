//! Linear fit of line families on a background: the default line intensities.
//!
//! `y = sum_j a_j F_j + sum_k b_k B_k + t P + noise`, with family profiles F (normalised, with
//! escape), background columns B and the pile-up P of the fitted content. Weights are inverse
//! variances of the fitted model, iterated, so estimates stay unbiased for Poisson counts.
//! Estimates are signed and come with their full covariance; nothing is clipped at zero.
//!
//! Sources: Statham (1977), Anal. Chem. 49, 2149, doi:10.1021/ac50022a014 (linear fits);
//! Currie (1968), Anal. Chem. 40, 586, doi:10.1021/ac60259a007 (detection limits).
//! Tested by coverage on simulated Ti:Ba overlaps and on the reference maps.

mod background;
mod combine;
pub mod coverage;
mod map;
mod phase_fit;
mod step;

pub use background::{BackgroundModel, background_columns};
pub(crate) use combine::fit_all_backgrounds_on;
pub use combine::{FamilyEstimate, SumFit, fit_all_backgrounds};
pub use map::{MapEstimator, MapVariance};
pub use phase_fit::{PhaseFitParams, PhaseFitStep, PhaseFits};
pub use step::{FamilyFitParams, FamilyFitStep, Lines};

use std::ops::Range;

use kalpha_num::least_squares::{
    LeastSquaresError, LinearFit, weighted_coefficients, weighted_linear,
};
use kalpha_physics::PhysicsError;
use kalpha_physics::bremsstrahlung::Source;
use kalpha_physics::detector::Detector;
use kalpha_physics::lines::LineFamily;
use kalpha_physics::pileup::{Content, pileup_spectrum, pileup_spectrum_on};
use kalpha_physics::profile::{PeakShape, Response, family_profile, observed_lines};
use serde::{Deserialize, Serialize};

use super::FitError;

/// Everything a family fit needs besides the spectrum and the families.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FitOptions {
    /// Beam energy, keV.
    pub beam_energy: f64,
    /// Start of the fitted range, keV.
    pub low: f64,
    /// End of the fitted range, keV.
    pub high: f64,
    /// Peak shape on the axis of the spectrum.
    pub shape: PeakShape,
    /// Window and crystal.
    pub detector: Detector,
    /// Where the continuum comes from.
    pub source: Source,
    /// Degree of the polynomial on the continuum.
    pub polynomial_degree: usize,
    /// Model silicon escape peaks.
    pub escape: bool,
    /// Model pile-up of two photons.
    pub pileup: bool,
}

impl FitOptions {
    /// Options for a thin or bulk specimen with everything modelled.
    pub fn new(beam_energy: f64, low: f64, high: f64, shape: PeakShape, source: Source) -> Self {
        let detector = match source {
            Source::Thin => Detector::windowless(),
            Source::Bulk { .. } => Detector::polymer_window(),
        };
        Self {
            beam_energy,
            low,
            high,
            shape,
            detector,
            source,
            // One degree per 3 keV follows the continuum and no single peak.
            polynomial_degree: (((high - low) / 3.0).ceil() as usize).clamp(2, 7),
            escape: true,
            pileup: true,
        }
    }

    /// Channels of the fitted range.
    pub fn range(&self, energies: &[f64]) -> Range<usize> {
        let first = energies.partition_point(|&e| e < self.low);
        let last = energies.partition_point(|&e| e <= self.high);
        first..last.max(first)
    }
}

/// A fitted pile-up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PileUp {
    /// Probability that a given pair of counts coincides (spectrum counts squared to counts).
    pub scale: f64,
    /// Its standard deviation.
    pub sigma: f64,
    /// Counts of the pile-up spectrum in the fitted range.
    pub counts: f64,
}

/// The curves of a fit, counts per channel of the fitted range.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curves {
    /// First channel of the range on the spectrum's axis.
    pub first_channel: usize,
    /// Channel energies, keV.
    pub energies: Vec<f64>,
    /// The spectrum.
    pub counts: Vec<f64>,
    /// The whole model.
    pub total: Vec<f64>,
    /// The background.
    pub background: Vec<f64>,
    /// The pile-up.
    pub pileup: Vec<f64>,
    /// One curve per family, escape peaks included.
    pub families: Vec<Vec<f64>>,
}

impl Curves {
    /// `(counts - total) / sqrt(total)`.
    pub fn residual(&self) -> Vec<f64> {
        let pairs = self.counts.iter().zip(&self.total);
        pairs.map(|(y, m)| (y - m) / m.max(MIN_VARIANCE).sqrt()).collect()
    }
}

/// A fit with one background model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FamilyFit {
    /// The background model.
    pub background: BackgroundModel,
    /// Fitted families, in the order of all per-family vectors.
    pub families: Vec<String>,
    /// Families that could not be told from the others and were left out.
    pub dropped: Vec<String>,
    /// Counts of each family, signed.
    pub counts: Vec<f64>,
    /// Statistical covariance of `counts`, row-major.
    pub covariance: Vec<f64>,
    /// Standard deviation each estimate would have if the family were absent.
    pub sigma_absent: Vec<f64>,
    /// Reduced chi² in the channels of each family's lines.
    pub local_chi2: Vec<f64>,
    /// Pile-up; `None` when it is not modelled or comes out negative.
    pub pileup: Option<PileUp>,
    /// Sum of squared weighted residuals.
    pub chi2: f64,
    /// Degrees of freedom.
    pub dof: usize,
    /// Curves for plots and for the null model of pixel scans.
    pub curves: Curves,
    /// Rows of the linear estimator over the fitted range, one per family.
    #[serde(skip)]
    pub(crate) estimator: Vec<Vec<f64>>,
}

impl FamilyFit {
    /// Reduced chi² of the whole range.
    pub fn reduced_chi2(&self) -> f64 {
        self.chi2 / self.dof.max(1) as f64
    }

    /// Statistical standard deviation of family `i`.
    pub fn sigma(&self, i: usize) -> f64 {
        self.covariance[i * self.counts.len() + i].max(0.0).sqrt()
    }
}

/// Smallest variance of a channel, counts²: keeps empty stretches from infinite weight.
const MIN_VARIANCE: f64 = 0.3;
/// Rounds of model-based weights; the change of estimates is below 1e-3 sigma after three.
const ROUNDS: usize = 4;

/// Profiles of `families` over all channels, normalised to one full-energy count.
///
/// # Errors
/// Those of [`family_profile`].
pub fn family_columns(
    energies: &[f64],
    families: &[LineFamily],
    options: &FitOptions,
) -> Result<Vec<Vec<f64>>, PhysicsError> {
    families
        .iter()
        .map(|f| family_profile(energies, f, &options.shape, &options.detector, options.escape))
        .collect()
}

/// Fits `families` to one spectrum on one background model.
///
/// `energies` are equally spaced channel centres in keV on the calibrated scale, `counts` the
/// counts per channel. A family that depends on others is dropped and named.
///
/// # Errors
/// [`FitError`] for an empty range or spectrum, or unequal lengths.
pub fn fit_families(
    energies: &[f64],
    counts: &[f64],
    families: &[LineFamily],
    model: BackgroundModel,
    options: &FitOptions,
) -> Result<FamilyFit, FitError> {
    fit_families_on(None, energies, counts, families, model, options)
}

/// [`fit_families`] with the response of `options.shape` on `energies` at hand: many fits on one
/// axis share it.
pub(super) fn fit_families_on(
    response: Option<&Response>,
    energies: &[f64],
    counts: &[f64],
    families: &[LineFamily],
    model: BackgroundModel,
    options: &FitOptions,
) -> Result<FamilyFit, FitError> {
    let range = checked_range(energies, counts, options)?;
    let y = &counts[range.clone()];
    let background = cut(&background_columns(model, energies, counts, options)?, &range);
    let background: Vec<Vec<f64>> =
        background.into_iter().filter(|c| c.iter().any(|v| *v != 0.0)).collect();
    let mut kept: Vec<usize> = (0..families.len()).collect();
    let mut columns = cut(&family_columns(energies, families, options)?, &range);
    let empty = |c: &Vec<f64>| c.iter().sum::<f64>() < 0.02;
    let mut dropped = Vec::new();
    for i in (0..columns.len()).rev() {
        if empty(&columns[i]) {
            dropped.push(families[kept.remove(i)].name());
            columns.remove(i);
        }
    }
    let mut pileup: Option<Vec<f64>> = None;
    let mut fit = solve(y, &mut columns, &mut kept, &background, None, families, &mut dropped)?;
    if options.pileup {
        // The content that piles up is what was fitted: twice is enough for 1e-3 of a peak.
        for _ in 0..2 {
            let content = content(&fit, &kept, families, &background, &range, energies, options)?;
            let spectrum = match response {
                Some(response) => pileup_spectrum_on(response, &content),
                None => pileup_spectrum(energies, &content, &options.shape),
            };
            let column = spectrum[range.clone()].to_vec();
            pileup = None;
            if column.iter().all(|v| *v == 0.0) {
                break;
            }
            let (c, k, d) = (&mut columns, &mut kept, &mut dropped);
            let next = solve(y, c, k, &background, Some(&column), families, d)?;
            if next.pileup().is_none_or(|t| t <= 0.0) {
                break;
            }
            pileup = Some(column);
            fit = next;
        }
        if pileup.is_none() {
            fit = solve(y, &mut columns, &mut kept, &background, None, families, &mut dropped)?;
        }
    }
    let all: Vec<&[f64]> = in_order(&background, &columns, pileup.as_ref());
    let linear = weighted_linear(&all, y, &fit.weights)?;
    Ok(assemble(
        model,
        energies,
        y,
        range,
        families,
        kept,
        columns,
        &background,
        pileup,
        linear,
        dropped,
    ))
}

fn checked_range(
    energies: &[f64],
    counts: &[f64],
    options: &FitOptions,
) -> Result<Range<usize>, FitError> {
    if energies.len() != counts.len() {
        return Err(FitError::Length { energies: energies.len(), counts: counts.len() });
    }
    let (low, high) = (options.low, options.high);
    let range = options.range(energies);
    if range.len() < 20 {
        return Err(FitError::TooFewChannels { channels: range.len(), low, high, needed: 20 });
    }
    all_finite(counts)?;
    let total: f64 = counts[range.clone()].iter().sum();
    if total.is_nan() || total <= 0.0 {
        return Err(FitError::NoCounts { low, high });
    }
    Ok(range)
}

/// Refuses NaN and infinite counts.
pub(crate) fn all_finite(counts: &[f64]) -> Result<(), FitError> {
    match counts.iter().position(|v| !v.is_finite()) {
        Some(channel) => Err(FitError::NotFinite { channel, value: counts[channel] }),
        None => Ok(()),
    }
}

fn cut(columns: &[Vec<f64>], range: &Range<usize>) -> Vec<Vec<f64>> {
    columns.iter().map(|c| c[range.clone()].to_vec()).collect()
}

/// A solution with coefficients in the order background (b), families (n), pile-up (0 or 1).
struct Solved {
    x: Vec<f64>,
    weights: Vec<f64>,
    b: usize,
    n: usize,
}

impl Solved {
    fn family(&self, i: usize) -> f64 {
        self.x[self.b + i]
    }

    fn pileup(&self) -> Option<f64> {
        self.x.get(self.b + self.n).copied()
    }
}

/// Background first, so that a family that imitates it is the one to go.
fn in_order<'a>(
    background: &'a [Vec<f64>],
    columns: &'a [Vec<f64>],
    pileup: Option<&'a Vec<f64>>,
) -> Vec<&'a [f64]> {
    background.iter().chain(columns).chain(pileup).map(Vec::as_slice).collect()
}

/// Iteratively reweighted fit; columns that depend on earlier ones are dropped.
fn solve(
    y: &[f64],
    columns: &mut Vec<Vec<f64>>,
    kept: &mut Vec<usize>,
    background: &[Vec<f64>],
    pileup: Option<&Vec<f64>>,
    families: &[LineFamily],
    dropped: &mut Vec<String>,
) -> Result<Solved, FitError> {
    let mut weights: Vec<f64> = smooth(y).iter().map(|v| 1.0 / v.max(1.0)).collect();
    loop {
        let all = in_order(background, columns, pileup);
        let mut outcome = weighted_coefficients(&all, y, &weights);
        for _ in 1..ROUNDS {
            let Ok(x) = &outcome else { break };
            let total = model_of(&all, x, y.len());
            weights = total.iter().map(|v| 1.0 / v.max(MIN_VARIANCE)).collect();
            outcome = weighted_coefficients(&all, y, &weights);
        }
        match outcome {
            Ok(x) => return Ok(Solved { x, weights, b: background.len(), n: columns.len() }),
            Err(LeastSquaresError::Dependent { column })
                if (background.len()..background.len() + columns.len()).contains(&column) =>
            {
                let i = column - background.len();
                columns.remove(i);
                dropped.push(families[kept.remove(i)].name());
            }
            Err(e) => return Err(e.into()),
        }
    }
}

fn model_of(columns: &[impl AsRef<[f64]>], x: &[f64], m: usize) -> Vec<f64> {
    let mut total = vec![0.0; m];
    for (c, x) in columns.iter().zip(x) {
        total.iter_mut().zip(c.as_ref()).for_each(|(t, v)| *t += x * v);
    }
    total
}

/// Mean over five channels.
fn smooth(y: &[f64]) -> Vec<f64> {
    let n = y.len();
    (0..n)
        .map(|i| {
            let window = &y[i.saturating_sub(2)..(i + 3).min(n)];
            window.iter().sum::<f64>() / window.len() as f64
        })
        .collect()
}

/// What the fitted spectrum consists of before the detector's resolution.
fn content(
    fit: &Solved,
    kept: &[usize],
    families: &[LineFamily],
    background: &[Vec<f64>],
    range: &Range<usize>,
    energies: &[f64],
    options: &FitOptions,
) -> Result<Content, PhysicsError> {
    let mut lines = Vec::new();
    for (i, &f) in kept.iter().enumerate() {
        let counts = fit.family(i);
        if counts > 0.0 {
            let members = observed_lines(&families[f], &options.detector)?;
            lines.extend(members.into_iter().map(|(e, w)| (e, counts * w)));
        }
    }
    let mut continuum = vec![0.0; energies.len()];
    for (column, x) in background.iter().zip(&fit.x) {
        for (k, v) in range.clone().zip(column) {
            continuum[k] += x * v;
        }
    }
    continuum.iter_mut().for_each(|v| *v = v.max(0.0));
    Ok(Content { lines, continuum })
}

fn assemble(
    model: BackgroundModel,
    energies: &[f64],
    y: &[f64],
    range: Range<usize>,
    families: &[LineFamily],
    kept: Vec<usize>,
    columns: Vec<Vec<f64>>,
    background: &[Vec<f64>],
    pileup: Option<Vec<f64>>,
    fit: LinearFit,
    mut dropped: Vec<String>,
) -> FamilyFit {
    let (n, m, b) = (columns.len(), y.len(), background.len());
    let total = model_of(&in_order(background, &columns, pileup.as_ref()), &fit.x, m);
    let between = |i: usize, j: usize| fit.covariance[i * fit.x.len() + j];
    let counts: Vec<f64> = fit.x[b..b + n].to_vec();
    let covariance = (0..n * n).map(|k| between(b + k / n, b + k % n)).collect();
    let estimator: Vec<Vec<f64>> =
        (0..n).map(|i| fit.estimator[(b + i) * m..(b + i + 1) * m].to_vec()).collect();
    let residual2: Vec<f64> =
        y.iter().zip(&total).map(|(y, t)| (y - t).powi(2) / t.max(MIN_VARIANCE)).collect();
    let mut sigma_absent = Vec::with_capacity(n);
    let mut local_chi2 = Vec::with_capacity(n);
    for i in 0..n {
        let without = total.iter().zip(&columns[i]).map(|(t, c)| t - counts[i].max(0.0) * c);
        let variance: f64 =
            estimator[i].iter().zip(without).map(|(e, v)| e * e * v.max(MIN_VARIANCE)).sum();
        sigma_absent.push(variance.sqrt());
        let top = columns[i].iter().fold(0.0, |a: f64, v| a.max(*v));
        let seen = columns[i].iter().zip(&residual2).filter(|(c, _)| **c > 0.05 * top);
        let (sum, points) = seen.fold((0.0, 0), |(s, p), (_, r)| (s + r, p + 1));
        local_chi2.push(sum / f64::from(points.max(1)));
    }
    dropped.sort();
    dropped.dedup();
    let curve = |x: f64, c: &Vec<f64>| c.iter().map(|v| x * v).collect::<Vec<f64>>();
    let pile = pileup.as_ref().map(|column| {
        let scale = fit.x[b + n];
        let sigma = between(b + n, b + n).max(0.0).sqrt();
        let counts = scale * column.iter().sum::<f64>();
        (PileUp { scale, sigma, counts }, curve(scale, column))
    });
    FamilyFit {
        background: model,
        families: kept.iter().map(|&k| families[k].name()).collect(),
        dropped,
        chi2: residual2.iter().sum(),
        dof: m.saturating_sub(fit.x.len()),
        pileup: pile.as_ref().map(|p| p.0),
        curves: Curves {
            first_channel: range.start,
            energies: energies[range].to_vec(),
            counts: y.to_vec(),
            background: model_of(background, &fit.x[..b], m),
            pileup: pile.map_or(vec![0.0; m], |p| p.1),
            families: counts.iter().zip(&columns).map(|(x, c)| curve(*x, c)).collect(),
            total,
        },
        counts,
        covariance,
        sigma_absent,
        local_chi2,
        estimator,
    }
}
