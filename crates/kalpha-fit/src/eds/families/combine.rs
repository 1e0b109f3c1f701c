//! One estimate per family from the fits with all background models.
//!
//! The value is that of the bremsstrahlung model. Half the range between models over the root
//! of three is a fully correlated systematic; a model whose reduced chi² exceeds that of the
//! default by half is refuted by the data, is reported, and has no part in the range, unless it
//! is the best alternative. A second systematic propagates what is not known of the peak model
//! through the linear estimator: energies of single families (1 eV), their minor lines (10 %,
//! in M families 25 %), the width (0.5 %) and the tail (10 %). It keeps a weak line beside a
//! strong one from being believed on counting statistics alone.

use kalpha_core::{Passes, Serial};
use kalpha_physics::lines::{LineFamily, Shell};
use kalpha_physics::profile::{PeakShape, Response, Tail, family_profile};
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, PoisonError};

use super::{BackgroundModel, FamilyFit, FitOptions, fit_families_on};
use crate::eds::FitError;

/// A background model is refuted when its chi² exceeds the default's by this factor.
const REFUTED: f64 = 1.5;
/// Uncertainty of one family's energy, keV.
const ENERGY_ERROR: f64 = 0.001;
/// Relative uncertainty of the lines of a family other than its alpha line.
const MINOR_LINE_ERROR: f64 = 0.10;
/// The same for M families, whose tables differ most.
const MINOR_M_LINE_ERROR: f64 = 0.25;
/// Relative uncertainty of peak widths.
const WIDTH_ERROR: f64 = 0.005;
/// Relative uncertainty of the depth of incomplete charge collection.
const TAIL_ERROR: f64 = 0.10;

/// The intensity of one line family with its budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FamilyEstimate {
    /// `Fe_K`.
    pub family: String,
    /// `Fe_Ka`, the field's name for the family's intensity.
    pub line: String,
    /// Element symbol.
    pub symbol: String,
    /// Energy of the alpha line, keV.
    pub energy: f64,
    /// Counts of the whole family, signed.
    pub counts: f64,
    /// Counts of its alpha line.
    pub alpha_counts: f64,
    /// Statistical standard deviation of `counts`.
    pub stat: f64,
    /// Signed shift of `counts` by the choice of background model, one sigma.
    pub background: f64,
    /// Shift of `counts` by the peak model and energy scale, one sigma.
    pub calibration: f64,
    /// Root of the local reduced chi², at least one; it multiplies `stat` in `significance`.
    pub inflation: f64,
    /// `counts` over the root of all variances, the statistical one inflated.
    pub significance: f64,
    /// Currie's critical level: counts above it are seen (5 % false alarms), systematics in.
    pub critical_level: f64,
    /// Currie's detection limit: a true value that is seen in 95 % of cases.
    pub detection_limit: f64,
    /// Counts by background model, refuted ones included.
    pub by_background: Vec<(BackgroundModel, f64)>,
}

/// Fits of one spectrum with every background model, and the estimates they lead to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SumFit {
    /// The fits; the first is the default and gives the values.
    pub fits: Vec<FamilyFit>,
    /// One estimate per family of the default fit.
    pub estimates: Vec<FamilyEstimate>,
}

impl SumFit {
    /// Background models that the data refute.
    pub fn refuted(&self) -> Vec<BackgroundModel> {
        refuted(&self.fits)
    }

    /// The fit whose values are reported.
    pub fn default_fit(&self) -> Option<&FamilyFit> {
        self.fits.first()
    }

    /// The estimate of a family, `Fe_K`.
    pub fn estimate(&self, family: &str) -> Option<&FamilyEstimate> {
        self.estimates.iter().find(|e| e.family == family)
    }
}

/// Fits `families` on every background model and combines the results.
///
/// # Errors
/// Those of [`fit_families`](super::fit_families) for the default background; another model that fails is left out.
pub fn fit_all_backgrounds(
    energies: &[f64],
    counts: &[f64],
    families: &[LineFamily],
    options: &FitOptions,
) -> Result<SumFit, FitError> {
    let response = Response::new(energies, &options.shape);
    fit_all_backgrounds_on(&Serial::default(), &response, counts, families, options)
}

/// [`fit_all_backgrounds`] on all threads, with the response of `options.shape` at hand.
///
/// # Errors
/// Those of [`fit_all_backgrounds`], and [`FitError::Cancelled`].
pub(crate) fn fit_all_backgrounds_on(
    passes: &dyn Passes,
    response: &Response,
    counts: &[f64],
    families: &[LineFamily],
    options: &FitOptions,
) -> Result<SumFit, FitError> {
    let energies = response.energies();
    let slots = BackgroundModel::ALL.map(|_| Mutex::new(None));
    passes
        .parallel(slots.len(), &|job| {
            let model = BackgroundModel::ALL[job];
            let on = Some(response);
            let fit = fit_families_on(on, energies, counts, families, model, options);
            *slots[job].lock().unwrap_or_else(PoisonError::into_inner) = Some(fit);
            Ok(())
        })
        .map_err(|_| FitError::Cancelled)?;
    let mut fits = Vec::with_capacity(BackgroundModel::ALL.len());
    for slot in slots {
        match slot.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(Ok(fit)) => fits.push(fit),
            Some(Err(error)) if fits.is_empty() => return Err(error),
            _ => {}
        }
    }
    let shifts = peak_model_shifts(&fits[0], families, options)?;
    let estimates = (0..fits[0].families.len())
        .filter_map(|i| estimate(&fits, i, shifts[i], families))
        .collect();
    Ok(SumFit { fits, estimates })
}

/// Models far worse than the default. The best alternative always stays: one model alone would
/// have no spread and look certain.
fn refuted(fits: &[FamilyFit]) -> Vec<BackgroundModel> {
    let Some((default, others)) = fits.split_first() else { return Vec::new() };
    let best = others.iter().map(FamilyFit::reduced_chi2).fold(f64::INFINITY, f64::min);
    let limit = best.max(REFUTED * default.reduced_chi2());
    others.iter().filter(|f| f.reduced_chi2() > limit).map(|f| f.background).collect()
}

fn estimate(
    fits: &[FamilyFit],
    i: usize,
    calibration: f64,
    families: &[LineFamily],
) -> Option<FamilyEstimate> {
    let fit = &fits[0];
    let name = &fit.families[i];
    let family = families.iter().find(|f| f.name() == *name)?;
    let by_background: Vec<(BackgroundModel, f64)> = fits
        .iter()
        .filter_map(|f| {
            let k = f.families.iter().position(|n| n == name)?;
            Some((f.background, f.counts[k]))
        })
        .collect();
    let out = refuted(fits);
    let usable: Vec<f64> = fits
        .iter()
        .filter(|f| !out.contains(&f.background))
        .filter_map(|f| by_background.iter().find(|(m, _)| *m == f.background))
        .map(|(_, v)| *v)
        .collect();
    let values = || usable.iter().copied();
    let (low, high) = values().fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
    let counts = fit.counts[i];
    let mean = values().sum::<f64>() / usable.len().max(1) as f64;
    let background = (0.5 * (high - low) / 3f64.sqrt()).copysign(mean - counts);
    let stat = fit.sigma(i);
    let inflation = fit.local_chi2[i].max(1.0).sqrt();
    let systematic = background.hypot(calibration);
    let absent = (inflation * fit.sigma_absent[i]).hypot(systematic);
    Some(FamilyEstimate {
        family: name.clone(),
        line: family.line_name(),
        symbol: family.symbol.clone(),
        energy: family.energy,
        counts,
        alpha_counts: counts * family.alpha_fraction(),
        stat,
        background,
        calibration,
        inflation,
        significance: counts / (inflation * stat).hypot(systematic).max(f64::MIN_POSITIVE),
        critical_level: 1.645 * absent,
        detection_limit: 2.71 + 3.29 * absent,
        by_background,
    })
}

/// One-sigma shift of every estimate by the peak model: the estimator applied to how the
/// fitted spectrum would change, each cause in quadrature.
fn peak_model_shifts(
    fit: &FamilyFit,
    families: &[LineFamily],
    options: &FitOptions,
) -> Result<Vec<f64>, FitError> {
    let e = &fit.curves.energies;
    let mut variance = vec![0.0; fit.families.len()];
    let mut add = |change: &[f64]| {
        for (v, row) in variance.iter_mut().zip(&fit.estimator) {
            let shift: f64 = row.iter().zip(change).map(|(a, b)| a * b).sum();
            *v += shift * shift;
        }
    };
    let mut shape = options.shape;
    let mut wide = vec![0.0; e.len()];
    let mut tailed = vec![0.0; e.len()];
    for (j, name) in fit.families.iter().enumerate() {
        let Some(family) = families.iter().find(|f| f.name() == *name) else { continue };
        let counts = fit.counts[j].max(0.0);
        let profile = |f: &LineFamily, s: &PeakShape| {
            family_profile(e, f, s, &options.detector, options.escape)
        };
        let plain = profile(family, &options.shape)?;
        let difference = |other: &[f64]| -> Vec<f64> {
            other.iter().zip(&plain).map(|(a, b)| counts * (a - b)).collect()
        };
        let mut moved = family.clone();
        moved.lines.iter_mut().for_each(|l| l.energy += ENERGY_ERROR);
        add(&difference(&profile(&moved, &options.shape)?));
        let mut minor = family.clone();
        let alpha = family.line_name();
        let alpha = alpha.rsplit('_').next().unwrap_or_default().to_owned();
        for l in minor.lines.iter_mut().filter(|l| !l.name.starts_with(&alpha)) {
            l.weight *= match family.shell {
                Shell::M => 1.0 + MINOR_M_LINE_ERROR,
                _ => 1.0 + MINOR_LINE_ERROR,
            };
        }
        add(&difference(&profile(&minor, &options.shape)?));
        shape.resolution.noise_squared =
            options.shape.resolution.noise_squared * (1.0 + WIDTH_ERROR).powi(2);
        shape.resolution.slope = options.shape.resolution.slope * (1.0 + WIDTH_ERROR).powi(2);
        let change = difference(&profile(family, &shape)?);
        wide.iter_mut().zip(&change).for_each(|(w, c)| *w += c);
        if let Some(tail) = options.shape.tail {
            let deeper = Tail { depth_um: tail.depth_um * (1.0 + TAIL_ERROR), ..tail };
            let s = PeakShape { tail: Some(deeper), ..options.shape };
            let change = difference(&profile(family, &s)?);
            tailed.iter_mut().zip(&change).for_each(|(t, c)| *t += c);
        }
    }
    add(&wide);
    add(&tailed);
    Ok(variance.into_iter().map(f64::sqrt).collect())
}
