//! A model for a spectrum nobody has described: how many peaks, on what background.
//!
//! Peaks that stand out of the noise ([`find_peaks`]) make the first model. Then the strongest
//! excess of the residuals is tried as one more peak, as long as Schwarz's criterion falls by more
//! than 10 (very strong evidence on the scale of Kass and Raftery 1995,
//! doi:10.1080/01621459.1995.10476572), the new peak stands 5 standard deviations out, all parameters
//! are determined, and no two peaks come closer than half of their width. A criterion compares
//! models; it does not make one true: more peaks than chemistry knows are possible where the shape
//! is wrong.
//!
//! The active Shirley background `B(x) = k sum_j int_-inf^x peak_j` is part of the model: of a
//! pseudo-Voigt its integral is a sum of an error function and an arctangent, tied to the peak, so
//! that areas and background are fitted together with one covariance.
//!
//! Source of the background: Herrera-Gomez, Bravo-Sanchez, Ceballos-Sanchez and Vazquez-Lepe (2014),
//! Surf. Interface Anal. 46, 897, doi:10.1002/sia.5453.
//! Tested on simulated spectra of one, two and three peaks.

use super::{
    Component, FindOptions, FitOptions, Noise, Parameter, PeakError, PeakFit, PeakModel, Seen,
    find::{find_peaks, noise_of},
    fit::State,
    shape::shape,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What lies under the peaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Background {
    /// Nothing: it was taken off before.
    None,
    /// A constant.
    Constant,
    /// A straight line.
    #[default]
    Linear,
    /// A parabola.
    Quadratic,
    /// A cubic.
    Cubic,
    /// A constant and a step under every peak in proportion to its area, towards higher binding
    /// energy. The axis must be in binding energy, the peaks Gaussian, Lorentzian or pseudo-Voigt
    /// by area.
    Shirley,
}

/// How a model is built.
#[derive(Clone, Debug, PartialEq)]
pub struct Automatic {
    /// Line shape of the peaks.
    pub shape: String,
    /// What lies under them.
    pub background: Background,
    /// Most peaks.
    pub most: usize,
    /// Significance of a peak.
    pub significance: f64,
    /// Largest full width at half maximum, in units of the axis.
    pub widest: f64,
}

/// A peak whose area is less than this many standard deviations is taken out again.
const LEAST_AREA: f64 = 3.0;
/// Widths stay within these factors of the narrowest and the widest that the search saw.
const WIDTHS: (f64, f64) = (0.2, 4.0);

/// Fall of Schwarz's criterion that pays for a peak.
const VERY_STRONG: f64 = 10.0;
/// Peaks closer than this share of the wider one's width are one line of another shape.
const APART: f64 = 0.5;
/// Name of the variable that scales the active Shirley background.
pub(super) const SHIRLEY: &str = "shirley";

/// Components of the background under `peaks`, and its variable if it has one. `step` is a first
/// guess of its rise over the sum of the areas.
///
/// # Errors
/// [`PeakError::Shape`] where an active Shirley background has no closed form for a shape.
pub(super) fn background_of(
    background: Background,
    peaks: &[Component],
    step: f64,
) -> Result<(Vec<Component>, Vec<Parameter>), PeakError> {
    let one = |id: &str| Ok((vec![Component::new("background", id)?], Vec::new()));
    match background {
        Background::None => Ok((Vec::new(), Vec::new())),
        Background::Constant => one("constant"),
        Background::Linear => one("linear"),
        Background::Quadratic => one("quadratic"),
        Background::Cubic => one("cubic"),
        Background::Shirley => {
            let mut parts = vec![Component::new("background", "constant")?];
            for peak in peaks {
                let id = peak.shape.id();
                let name = &peak.name;
                let mut part = |suffix: &str, shape: &str, share: &str| -> Result<(), PeakError> {
                    parts.push(
                        Component::new(&format!("{SHIRLEY}_{name}_{suffix}"), shape)?
                            .tie("height", &format!("{SHIRLEY} * {name}.area{share}"))?
                            .tie("center", &format!("{name}.center"))?
                            .tie("fwhm", &format!("{name}.fwhm"))?,
                    );
                    Ok(())
                };
                match id {
                    "gaussian" => part("erf", "erf_step", "")?,
                    "lorentzian" => part("atan", "arctan_step", "")?,
                    "pseudo_voigt" => {
                        part("erf", "erf_step", &format!(" * (1 - {name}.fraction)"))?;
                        part("atan", "arctan_step", &format!(" * {name}.fraction"))?;
                    }
                    // A partner or a shape without its integral: no step under it.
                    _ if !peak.shape.is_peak() => {}
                    _ => {
                        return Err(PeakError::Shape {
                            shape: id.to_owned(),
                            known: "gaussian, lorentzian and pseudo_voigt over an active Shirley \
                                    background"
                                .to_owned(),
                        });
                    }
                }
            }
            let scale = Parameter::variable(SHIRLEY, step.max(0.0), 0.0, f64::INFINITY);
            Ok((parts, vec![scale]))
        }
    }
}

/// Rise of the ends of a spectrum over what lies above them: a start for the Shirley scale.
pub(super) fn shirley_start(x: &[f64], y: &[f64]) -> f64 {
    let n = y.len();
    let edge = (n / 40).clamp(1, 10).min(n);
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len().max(1) as f64;
    let (low, high) = (mean(&y[..edge]), mean(&y[n - edge..]));
    let width = (x[n - 1] - x[0]) / (n.max(2) - 1) as f64;
    let above: f64 = y.iter().map(|v| (v - 0.5 * (low + high)).max(0.0)).sum::<f64>() * width;
    if above > 0.0 { ((high - low) / above).max(0.0) } else { 0.0 }
}

/// Builds a model for `y` over the ascending axis `x` and fits it; `None` where nothing stands out.
///
/// # Errors
/// Those of [`find_peaks`] and [`PeakModel::fit`].
pub fn automatic(
    x: &[f64],
    y: &[f64],
    noise: Noise<'_>,
    options: &Automatic,
) -> Result<Option<(PeakModel, PeakFit)>, PeakError> {
    shape(&options.shape)?;
    let sigma = match noise {
        Noise::Poisson => y.iter().map(|v| v.max(1.0).sqrt()).collect(),
        Noise::InverseVariance(w) => {
            w.iter().map(|w| if *w > 0.0 { w.sqrt().recip() } else { f64::INFINITY }).collect()
        }
        Noise::Unknown => vec![noise_of(y); y.len()],
    };
    let find = FindOptions {
        significance: options.significance,
        most: options.most,
        ..FindOptions::default()
    };
    let found = find_peaks(x, y, &sigma, &find)?;
    if found.is_empty() {
        return Ok(None);
    }
    let seen: Vec<Seen> = found
        .iter()
        .filter(|f| f.fwhm <= options.widest)
        .map(|f| Seen { center: f.center, height: f.height, fwhm: f.fwhm })
        .collect();
    if seen.is_empty() {
        return Ok(None);
    }
    let first = fitted(x, y, noise, &seen, options)?;
    let Some((mut model, mut fit)) = pruned(x, y, noise, first, options)? else {
        return Ok(None);
    };
    while fit.peaks.len() < options.most {
        let spread = match noise {
            Noise::Unknown => sigma.first().copied().unwrap_or(0.0),
            _ => 1.0,
        };
        let residual_sigma = vec![spread.max(f64::MIN_POSITIVE); y.len()];
        let widths: Vec<f64> = fit.peaks.iter().map(|p| p.fwhm.value).collect();
        let narrowest = widths.iter().copied().fold(f64::INFINITY, f64::min);
        let left = find_peaks(x, &fit.residuals, &residual_sigma, &find)?;
        let Some(candidate) = left.first() else { break };
        let at = (x.partition_point(|v| *v < candidate.center)).min(x.len() - 1);
        let unit = match noise {
            Noise::Unknown => 1.0,
            _ => sigma[at],
        };
        // The peaks as they are fitted now, and the new one.
        let mut next = seen_in(&fit);
        next.push(Seen {
            center: candidate.center,
            height: candidate.height * unit,
            fwhm: candidate.fwhm.max(0.5 * narrowest).min(options.widest),
        });
        let Ok((larger, tried)) = fitted(x, y, noise, &next, options) else { break };
        let better = tried.diagnostics.bic < fit.diagnostics.bic - VERY_STRONG;
        if !better || !sound(&tried) {
            break;
        }
        (model, fit) = (larger, tried);
    }
    Ok(Some((model, fit)))
}

/// The peaks of a fit as starts of another.
fn seen_in(fit: &PeakFit) -> Vec<Seen> {
    fit.peaks
        .iter()
        .map(|p| Seen { center: p.position.value, height: p.height.value, fwhm: p.fwhm.value })
        .collect()
}

/// The fit without peaks that turn out to be none, the weakest first; `None` where none is left.
fn pruned(
    x: &[f64],
    y: &[f64],
    noise: Noise<'_>,
    (mut model, mut fit): (PeakModel, PeakFit),
    options: &Automatic,
) -> Result<Option<(PeakModel, PeakFit)>, PeakError> {
    loop {
        let strength = |k: usize| {
            let area = &fit.peaks[k].area_in_range;
            let ratio = area.sigma.map_or(0.0, |s| area.value / s);
            if ratio.is_finite() { ratio } else { 0.0 }
        };
        let weakest = (0..fit.peaks.len()).min_by(|a, b| strength(*a).total_cmp(&strength(*b)));
        let Some(weakest) = weakest else { return Ok(None) };
        if strength(weakest) >= LEAST_AREA {
            return Ok(Some((model, fit)));
        }
        let mut next = seen_in(&fit);
        next.remove(weakest);
        if next.is_empty() {
            return Ok(None);
        }
        (model, fit) = fitted(x, y, noise, &next, options)?;
    }
}

/// Every peak determined, standing out, and apart from the others.
fn sound(fit: &PeakFit) -> bool {
    let determined = fit.converged
        && fit.parameters.iter().all(|p| match p.state {
            State::Unidentified => false,
            State::AtBound => !p.name.ends_with(".center") && !p.name.ends_with(".fwhm"),
            _ => true,
        })
        && fit.peaks.iter().all(|p| {
            let area = &p.area_in_range;
            area.sigma.is_some_and(|s| area.value > 5.0 * s)
        });
    let apart = fit.peaks.iter().enumerate().all(|(i, a)| {
        fit.peaks[..i].iter().all(|b| {
            (a.position.value - b.position.value).abs() > APART * a.fwhm.value.max(b.fwhm.value)
        })
    });
    determined && apart
}

fn fitted(
    x: &[f64],
    y: &[f64],
    noise: Noise<'_>,
    seen: &[Seen],
    options: &Automatic,
) -> Result<(PeakModel, PeakFit), PeakError> {
    let (first, last) = (x[0], x[x.len() - 1]);
    let mut order: Vec<&Seen> = seen.iter().collect();
    order.sort_by(|a, b| a.center.total_cmp(&b.center));
    let widths = || order.iter().map(|s| s.fwhm);
    let widest = widths().fold(0.0, f64::max);
    let narrowest = widths().fold(f64::INFINITY, f64::min);
    let mut peaks = Vec::with_capacity(order.len());
    for (i, seen) in order.iter().enumerate() {
        let mut peak = Component::new(&format!("p{}", i + 1), &options.shape)?;
        let start = peak.shape.start(**seen);
        for (parameter, value) in peak.parameters.iter_mut().zip(start) {
            parameter.value = value;
        }
        let reach = 1.5 * seen.fwhm;
        let (low, high) = (first.max(seen.center - reach), last.min(seen.center + reach));
        let has = |peak: &Component, name: &str| peak.parameters.iter().any(|p| p.name == name);
        if has(&peak, "center") {
            peak = peak.between("center", low, high)?;
        }
        if has(&peak, "fwhm") {
            let most = (WIDTHS.1 * widest).min(options.widest).max(seen.fwhm);
            peak = peak.between("fwhm", WIDTHS.0 * seen.fwhm.min(narrowest), most)?;
        }
        peaks.push(peak);
    }
    let (background, variables) = background_of(options.background, &peaks, shirley_start(x, y))?;
    peaks.extend(background);
    let model = PeakModel::with_variables(peaks, variables)?;
    let fit = model.fit(x, y, noise, &FitOptions::default())?;
    Ok((model, fit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kalpha_num::rng::Stream;

    fn options(background: Background) -> Automatic {
        Automatic {
            shape: "pseudo_voigt".into(),
            background,
            most: 8,
            significance: 5.0,
            widest: f64::INFINITY,
        }
    }

    fn draw(seed: u64, mean: impl Fn(f64) -> f64) -> (Vec<f64>, Vec<f64>) {
        let stream = Stream::new(seed, "automatic", 0);
        let x: Vec<f64> = (0..400).map(|i| 60.0 + 0.1 * f64::from(i)).collect();
        let y = x.iter().enumerate().map(|(i, x)| stream.at(0, i).poisson(mean(*x)) as f64);
        let y = y.collect();
        (x, y)
    }

    fn bell(x: f64, center: f64, fwhm: f64) -> f64 {
        (-2.772_588_722 * ((x - center) / fwhm).powi(2)).exp()
    }

    #[test]
    fn as_many_peaks_as_there_are() {
        for (seed, truth) in [
            (1, vec![(75.0, 1.2, 3000.0)]),
            (2, vec![(71.1, 1.0, 4000.0), (74.4, 1.0, 3000.0)]),
            // The third is a shoulder that no filter resolves.
            (3, vec![(71.1, 1.2, 5000.0), (72.3, 1.2, 2000.0), (80.0, 2.0, 1500.0)]),
        ] {
            let (x, y) = draw(seed, |x| {
                200.0 + 2.0 * x + truth.iter().map(|(c, w, h)| h * bell(x, *c, *w)).sum::<f64>()
            });
            let (_, fit) =
                automatic(&x, &y, Noise::Poisson, &options(Background::Linear)).unwrap().unwrap();
            assert_eq!(fit.peaks.len(), truth.len(), "{:?}", fit.peaks);
            for (peak, (center, fwhm, _)) in fit.peaks.iter().zip(&truth) {
                assert!((peak.position.value - center).abs() < 0.06, "{peak:?}");
                assert!((peak.fwhm.value / fwhm - 1.0).abs() < 0.1, "{peak:?}");
            }
        }
    }

    #[test]
    fn the_active_background_gives_area_and_step_together() {
        // A Gaussian of area 5000 with a step of 0.02 of it.
        let area = 5000.0;
        let height = area / (1.0 * (std::f64::consts::PI / 2.772_588_722).sqrt());
        let (x, y) = draw(4, |x| {
            let step = 0.5 * kalpha_num::statistics::erfc(-1.665_109_222 * (x - 75.0));
            150.0 + height * bell(x, 75.0, 1.0) + 0.02 * area * step
        });
        let (_, fit) =
            automatic(&x, &y, Noise::Poisson, &options(Background::Shirley)).unwrap().unwrap();
        assert_eq!(fit.peaks.len(), 1, "{:?}", fit.peaks);
        let found = fit.peaks[0].area.unwrap();
        assert!((found.value - area).abs() < 4.0 * found.sigma.unwrap(), "{found:?}");
        let scale = fit.value(SHIRLEY).unwrap();
        assert!((scale - 0.02).abs() < 5.0 * fit.sigma(SHIRLEY).unwrap(), "{scale}");
        assert!(fit.diagnostics.reduced_chi2 < 1.3, "{:?}", fit.diagnostics);
    }

    #[test]
    fn nothing_stands_out_of_nothing() {
        let (x, y) = draw(5, |_| 300.0);
        let found = automatic(&x, &y, Noise::Poisson, &options(Background::Linear)).unwrap();
        assert!(found.is_none());
        let voigt = Automatic { shape: "voigt".into(), ..options(Background::Shirley) };
        let (x, y) = draw(6, |x| 100.0 + 4000.0 * bell(x, 75.0, 1.0));
        assert!(matches!(automatic(&x, &y, Noise::Poisson, &voigt), Err(PeakError::Shape { .. })));
    }
}
