//! Identification of elements from the sum and the maximum-pixel spectrum.
//!
//! 1. Strong families are found by forward selection on the file's energy scale and calibrate
//!    energy, resolution and tail; an absurd calibration is refused and said.
//! 2. Every family of Z >= 5 that the beam excites competes in a forward selection under
//!    non-negativity, with pile-up and escape in the model.
//! 3. The chosen families are fitted on every background model. Significance is the estimate
//!    over `sigma sqrt(max(1, chi²))`, in quadrature with the spread between backgrounds and
//!    the uncertainty of the peak model. The least significant family goes, and the rest is
//!    fitted again, until all reach the threshold and are positive on every background that
//!    the data do not refute.
//! 4. An outer family without the inner one that the beam must excite is no detection.
//!
//! What looks like a line and is not is returned with the reason.
//!
//! Sources: Keenan (2009), doi:10.1002/sia.2949, and Statham (2014),
//! doi:10.1017/S143192761400107X, on why automatic peak lists fail.
//! Tested on a silicate rock, Ag-Al-Cu, Pd on TiN/SiO2 and FePt maps.

mod candidates;
mod maximum;
mod rejected;
mod role;
mod selection;
mod step;

pub use candidates::{candidate_families, rough_composition};
pub use maximum::{MaximumPixel, MaximumPixelHit};
pub use rejected::{Reason, Rejected};
pub use role::{ROLE_RULE, Role};
pub use step::{
    CalibrateParams, CalibrateStep, Calibration, IdentifyParams, IdentifyStep, take_off_angle,
};

use kalpha_core::Passes;
use kalpha_physics::bremsstrahlung::Source;
use kalpha_physics::lines::LineFamily;
use kalpha_physics::profile::{PeakShape, Response, Tail};
use kalpha_process::calibrate::energy::{EnergyCalibration, calibrate_energy};
use serde::{Deserialize, Serialize};

use super::FitError;
use super::families::{
    BackgroundModel, FamilyEstimate, FitOptions, SumFit, all_finite, background_columns,
    fit_all_backgrounds_on, fit_families,
};

/// What identification needs besides the spectra.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IdentifyOptions {
    /// Beam energy, keV.
    pub beam_energy: f64,
    /// True for a film the beam passes through.
    pub thin: bool,
    /// Take-off angle in degrees.
    pub take_off_angle: f64,
    /// Resolution at Mn K-alpha that the file states, eV.
    pub resolution_mn_ka: Option<f64>,
    /// Smallest significance of a detection.
    pub threshold: f64,
    /// Calibrate energy and resolution on the lines found.
    pub calibrate: bool,
    /// A calibration to start from; otherwise the strong lines give one.
    pub calibration: Option<EnergyCalibration>,
    /// Elements that a user or the file names; they are reported when absent.
    pub listed: Vec<String>,
}

impl IdentifyOptions {
    /// Defaults: threshold 4, calibration on, 130 eV where the file states nothing.
    pub fn new(beam_energy: f64, thin: bool) -> Self {
        Self {
            beam_energy,
            thin,
            take_off_angle: 35.0,
            resolution_mn_ka: None,
            threshold: 4.0,
            calibrate: true,
            calibration: None,
            listed: Vec::new(),
        }
    }
}

/// A detected element.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detected {
    /// Symbol.
    pub symbol: String,
    /// The family that is most significant, `Fe_K`.
    pub family: String,
    /// All detected families of the element.
    pub families: Vec<String>,
    /// Counts of the main family in the sum spectrum.
    pub counts: f64,
    /// Standard deviation of the counts, systematics included.
    pub sigma: f64,
    /// Significance of the main family.
    pub significance: f64,
    /// Seen in the sum spectrum.
    pub in_sum: bool,
    /// Seen in the maximum-pixel spectrum.
    pub in_max_pixel: bool,
    /// Part of the specimen, or of what holds it.
    pub role: Role,
}

/// Result of an identification.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Identification {
    /// Detected elements by atomic number.
    pub elements: Vec<Detected>,
    /// Candidates that look present or were named, and why they are not reported.
    pub rejected: Vec<Rejected>,
    /// What the maximum-pixel spectrum shows; its new families are candidates for a rare phase.
    pub max_pixel: MaximumPixel,
    /// Families of the final fit.
    pub families: Vec<LineFamily>,
    /// The final fit of the sum spectrum.
    pub fit: SumFit,
    /// Channel energies on the corrected scale, keV.
    pub energies: Vec<f64>,
    /// Options of the final fit, for fits of other spectra of the same measurement.
    pub options: FitOptions,
    /// Calibration; `None` when it was refused or not asked for.
    pub calibration: Option<EnergyCalibration>,
    /// Why the calibration was refused.
    pub calibration_refused: Option<String>,
}

/// Rounds of selection and elimination; the second sees the right continuum and scale.
const ROUNDS: usize = 3;
/// Smallest counts of a family that takes part in the calibration.
const CALIBRATION_COUNTS: f64 = 300.0;

/// Identifies the elements of a measurement.
///
/// `energies` are equally spaced channel centres in keV on the file's scale, `sum` and
/// `max_pixel` the spectra of the map (`max_pixel` empty for a single spectrum).
///
/// # Errors
/// [`FitError`] when the spectrum is empty or the axis unusable, or the run is cancelled.
pub fn identify(
    passes: &dyn Passes,
    energies: &[f64],
    sum: &[f64],
    max_pixel: &[f64],
    options: &IdentifyOptions,
) -> Result<Identification, FitError> {
    if energies.len() != sum.len() {
        return Err(FitError::Length { energies: energies.len(), counts: sum.len() });
    }
    all_finite(sum)?;
    let mut fit_options = start_options(energies, options);
    let mut energies = energies.to_vec();
    let candidates = candidate_families(&fit_options, &options.listed)?;
    let file_scale = energies.clone();
    let (mut calibration, mut refused) = (None, None);
    if options.calibrate {
        let first = match &options.calibration {
            Some(given) => Ok(given.clone()),
            None => {
                let strong = strong_families(&energies, sum, &candidates, &fit_options)?;
                calibrated(&energies, sum, &strong, &fit_options)?
            }
        };
        match first {
            Ok(found) => {
                energies = found.correct(&file_scale);
                fit_options.shape = found.shape;
                calibration = Some(found);
            }
            Err(reason) => refused = Some(reason),
        }
    }
    let mut failed = Vec::new();
    let mut state: Option<(Vec<LineFamily>, SumFit)> = None;
    for round in 0..ROUNDS {
        let start = state.as_ref().map_or(Vec::new(), |s| s.0.clone());
        let chosen =
            selection::forward(&energies, sum, &candidates, &start, &fit_options, 4.0, 40)?;
        let tried = |f: &LineFamily| {
            start.iter().any(|s| s.name() == f.name()) || (round > 1 && gone_with(&failed, f))
        };
        if round > 0 && chosen.iter().all(tried) {
            break;
        }
        let (families, fit, gone) =
            eliminate(passes, &energies, sum, chosen, &mut fit_options, options)?;
        failed.extend(gone);
        if calibration.is_some() && round == 0 {
            // The first calibration did not know the weak lines and the continuum.
            if let Ok(found) = calibrated(&file_scale, sum, &families, &fit_options)? {
                energies = found.correct(&file_scale);
                fit_options.shape = found.shape;
                calibration = Some(found);
            }
        }
        state = Some((families, fit));
    }
    let (mut families, fit) = match state {
        Some(state) => state,
        None => return Err(FitError::NoCounts { low: fit_options.low, high: fit_options.high }),
    };
    families.retain(|f| fit.estimate(&f.name()).is_some());
    let max_pixel =
        maximum::families_seen(&energies, max_pixel, &families, &candidates, &fit_options)?;
    let elements = detected(&families, &fit, &max_pixel.seen, options);
    let rejected = rejected::explain(
        &energies,
        sum,
        &candidates,
        &families,
        &fit,
        &mut failed,
        &fit_options,
        options,
    )?;
    Ok(Identification {
        elements,
        rejected,
        max_pixel,
        families,
        fit,
        energies,
        options: fit_options,
        calibration,
        calibration_refused: refused,
    })
}

fn gone_with(failed: &[FamilyEstimate], family: &LineFamily) -> bool {
    failed.iter().any(|e| e.family == family.name())
}

fn start_options(energies: &[f64], options: &IdentifyOptions) -> FitOptions {
    let low = energies.first().copied().unwrap_or(0.0).max(0.2);
    let high = energies.last().copied().unwrap_or(0.0).min(0.95 * options.beam_energy).min(20.0);
    let source = match options.thin {
        true => Source::Thin,
        // Until lines are known: the mean rock.
        false => Source::Bulk {
            mass_fractions: vec![("O".into(), 0.5), ("Si".into(), 0.5)],
            take_off_angle: options.take_off_angle,
        },
    };
    let shape = PeakShape {
        tail: Some(Tail { depth_um: 0.2, slope: 0.12 }),
        ..PeakShape::gaussian(options.resolution_mn_ka.unwrap_or(130.0))
    };
    FitOptions::new(options.beam_energy, low, high, shape, source)
}

/// Families that stand out on the file's scale.
fn strong_families(
    energies: &[f64],
    sum: &[f64],
    candidates: &[LineFamily],
    options: &FitOptions,
) -> Result<Vec<LineFamily>, FitError> {
    selection::forward(energies, sum, candidates, &[], options, 15.0, 12)
}

/// Calibrates energy scale, resolution and tail on the strong lines of a spectrum.
///
/// The inner error says why a result was refused; the file's scale then stays in force.
///
/// # Errors
/// [`FitError`] when the spectrum is empty or the axis unusable.
pub fn calibrate_on_lines(
    energies: &[f64],
    sum: &[f64],
    options: &IdentifyOptions,
) -> Result<Result<EnergyCalibration, String>, FitError> {
    if energies.len() != sum.len() {
        return Err(FitError::Length { energies: energies.len(), counts: sum.len() });
    }
    all_finite(sum)?;
    let fit_options = start_options(energies, options);
    let candidates = candidate_families(&fit_options, &options.listed)?;
    let strong = strong_families(energies, sum, &candidates, &fit_options)?;
    calibrated(energies, sum, &strong, &fit_options)
}

/// Calibrates on the strong ones of `families`; the inner error is the reason of a refusal.
fn calibrated(
    energies: &[f64],
    sum: &[f64],
    families: &[LineFamily],
    options: &FitOptions,
) -> Result<Result<EnergyCalibration, String>, FitError> {
    if families.is_empty() {
        return Ok(Err("no line stands out".into()));
    }
    let fit = fit_families(energies, sum, families, BackgroundModel::Bremsstrahlung, options)?;
    let strong = |f: &&LineFamily| {
        let position = fit.families.iter().position(|n| *n == f.name());
        position.is_some_and(|i| fit.counts[i] > CALIBRATION_COUNTS)
    };
    let used: Vec<LineFamily> = families.iter().filter(strong).cloned().collect();
    let mut fixed = vec![0.0; energies.len()];
    for (k, v) in fit.curves.pileup.iter().enumerate() {
        fixed[fit.curves.first_channel + k] = *v;
    }
    let background = background_columns(BackgroundModel::Bremsstrahlung, energies, sum, options)?;
    let result = calibrate_energy(
        energies,
        sum,
        options.range(energies),
        &used,
        &background,
        &fixed,
        &options.shape,
        &options.detector,
    );
    Ok(result.map_err(|e| e.to_string()))
}

/// Fits and drops the least significant family until all stand.
fn eliminate(
    passes: &dyn Passes,
    energies: &[f64],
    sum: &[f64],
    mut families: Vec<LineFamily>,
    fit_options: &mut FitOptions,
    options: &IdentifyOptions,
) -> Result<(Vec<LineFamily>, SumFit, Vec<FamilyEstimate>), FitError> {
    let mut failed = Vec::new();
    let response = Response::new(energies, &fit_options.shape);
    loop {
        let fit = fit_all_backgrounds_on(passes, &response, sum, &families, fit_options)?;
        if let Source::Bulk { mass_fractions, .. } = &mut fit_options.source {
            let composition = rough_composition(&fit.estimates, &fit_options.detector, options);
            if !composition.is_empty() {
                *mass_fractions = composition;
            }
        }
        let weak = |e: &FamilyEstimate| score(e, &fit) < options.threshold;
        let worst = fit.estimates.iter().filter(|e| weak(e)).map(|e| score(e, &fit));
        let worst = worst.fold(f64::INFINITY, f64::min);
        let remove: Vec<String> = match worst {
            w if w.is_finite() => fit
                .estimates
                .iter()
                // Hopeless ones go together, the others one at a time.
                .filter(|e| score(e, &fit) <= w.max(0.5))
                .map(|e| e.family.clone())
                .collect(),
            _ => orphan(&families, &fit, fit_options).into_iter().collect(),
        };
        if remove.is_empty() {
            return Ok((families, fit, failed));
        }
        failed.extend(fit.estimates.iter().filter(|e| remove.contains(&e.family)).cloned());
        families.retain(|f| !remove.contains(&f.name()));
    }
}

/// Significance, zero for a family that a valid background model makes negative.
fn score(estimate: &FamilyEstimate, fit: &SumFit) -> f64 {
    let refuted = fit.refuted();
    let negative = estimate.by_background.iter().any(|(m, v)| *v <= 0.0 && !refuted.contains(m));
    if negative { estimate.significance.min(0.0) } else { estimate.significance }
}

/// A family whose inner family should be visible and is not.
fn orphan(families: &[LineFamily], fit: &SumFit, options: &FitOptions) -> Option<String> {
    let orphans = families.iter().filter(|f| {
        let Some(inner) = candidates::inner_family(f, options) else { return false };
        let seen = fit.estimate(&inner.name()).map_or(0.0, |e| e.counts);
        let outer = fit.estimate(&f.name()).map_or(0.0, |e| e.counts);
        seen < candidates::INNER_FRACTION * outer
    });
    orphans.map(LineFamily::name).next()
}

fn detected(
    families: &[LineFamily],
    fit: &SumFit,
    hits: &[MaximumPixelHit],
    options: &IdentifyOptions,
) -> Vec<Detected> {
    let mut elements: Vec<(u16, Detected)> = Vec::new();
    for f in families {
        let Some(e) = fit.estimate(&f.name()) else { continue };
        let sigma = e.counts / e.significance.max(f64::MIN_POSITIVE);
        match elements.iter_mut().find(|(z, _)| *z == f.z) {
            Some((_, d)) => {
                d.families.push(f.name());
                if e.significance > d.significance {
                    d.family = f.name();
                    (d.counts, d.sigma, d.significance) = (e.counts, sigma, e.significance);
                }
            }
            None => elements.push((
                f.z,
                Detected {
                    symbol: f.symbol.clone(),
                    family: f.name(),
                    families: vec![f.name()],
                    counts: e.counts,
                    sigma,
                    significance: e.significance,
                    in_sum: true,
                    in_max_pixel: false,
                    role: Role::of(&f.symbol, options),
                },
            )),
        }
    }
    for hit in hits {
        for (_, d) in elements.iter_mut().filter(|(_, d)| d.symbol == hit.symbol) {
            d.in_max_pixel = true;
        }
    }
    elements.sort_by_key(|(z, _)| *z);
    elements.into_iter().map(|(_, d)| d).collect()
}
