//! Energy scale, resolution and tail of a detector, fitted to identified lines.
//!
//! The model of a sum spectrum is linear in family counts and background, and nonlinear in six
//! numbers: offset, gain, noise, slope of the width, depth and slope of the tail. For each
//! trial of the six the linear part is solved (variable projection; Golub and Pereyra 1973,
//! doi:10.1137/0710036), the six are found by Levenberg-Marquardt.
//!
//! Offset and gain say where a line of true energy E appears on the file's scale,
//! `E_file = offset + (1 + gain) E`. Weights are inverse Poisson variances of the model.
//! A result that leaves the plausible range is refused, never returned: a peer turns 133 eV
//! into 1479 eV on one of the reference spectra without a word.

use kalpha_num::least_squares::{LeastSquaresError, levenberg_marquardt, weighted_coefficients};
use kalpha_physics::PhysicsError;
use kalpha_physics::detector::{Detector, Resolution};
use kalpha_physics::lines::LineFamily;
use kalpha_physics::profile::{PeakShape, Tail, family_profile};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Largest |offset| that is believed, keV.
pub const MAX_OFFSET: f64 = 0.030;
/// Largest |gain| that is believed.
pub const MAX_GAIN: f64 = 0.02;
/// Resolutions at Mn K-alpha that are believed, eV.
pub const RESOLUTION_RANGE: (f64, f64) = (110.0, 250.0);

/// What is known of the decay of a tail before any is seen, over the photon energy: without it
/// a spectrum that has no tail leaves its decay free.
const SLOPE_SIGMA: f64 = 0.1;

/// Longest decay of a tail over the photon energy. A longer one is a background, not a tail: it
/// would hold counts below the fitted range that nobody measured.
const MAX_SLOPE: f64 = 0.5;

/// Why a calibration was refused.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum CalibrationError {
    /// Too little to calibrate on.
    #[error("{found} lines with more than {counts} counts; {needed} are needed")]
    TooFewLines {
        /// Lines found.
        found: usize,
        /// Counts demanded of a line.
        counts: f64,
        /// Lines needed.
        needed: usize,
    },
    /// A fitted number is not plausible.
    #[error(
        "fitted {quantity} = {value} is outside {low} to {high}; the scale of the file is kept"
    )]
    Implausible {
        /// What was fitted.
        quantity: &'static str,
        /// Fitted value.
        value: f64,
        /// Lowest believed value.
        low: f64,
        /// Highest believed value.
        high: f64,
    },
    /// The fit did not settle.
    #[error("the fit did not converge in {iterations} iterations; the scale of the file is kept")]
    NotConverged {
        /// Iterations done.
        iterations: usize,
    },
    /// The linear part has no solution.
    #[error(transparent)]
    LeastSquares(#[from] LeastSquaresError),
    /// A line or attenuation could not be computed.
    #[error(transparent)]
    Physics(#[from] PhysicsError),
}

/// A number with its standard deviation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Fitted {
    /// Estimate.
    pub value: f64,
    /// Standard deviation, inflated by the root of reduced chi² where that exceeds one.
    pub sigma: f64,
}

/// What is known of a measurement's spectra once elements are identified.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnergyScale {
    /// Channel energies in force, keV.
    pub energies: Vec<f64>,
    /// FWHM at Mn K-alpha, eV.
    pub resolution_mn_ka_ev: f64,
    /// Symbols of the elements identified.
    pub elements: Vec<String>,
}

impl kalpha_core::ArtefactType for EnergyScale {
    const KIND: &'static str = "energy_scale";
}

/// Result of a calibration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnergyCalibration {
    /// Where zero energy appears on the file's scale, keV.
    pub offset: Fitted,
    /// Relative error of the file's scale.
    pub gain: Fitted,
    /// FWHM at Mn K-alpha, eV.
    pub resolution_mn_ka: Fitted,
    /// The peak shape on the corrected scale.
    pub shape: PeakShape,
    /// Reduced chi² of the fit.
    pub reduced_chi2: f64,
}

impl EnergyCalibration {
    /// Channel energies on the corrected scale.
    pub fn correct(&self, energies: &[f64]) -> Vec<f64> {
        let factor = 1.0 + self.gain.value;
        energies.iter().map(|e| (e - self.offset.value) / factor).collect()
    }
}

/// Fits scale and shape to `counts` (one spectrum) over channels `range`.
///
/// `energies` are channel centres in keV on the file's scale, `families` what is known to be
/// in the spectrum, `background` columns of a linear background and `fixed` counts per channel
/// that are not fitted (pile-up; empty for none), `start` the shape to start from.
///
/// # Errors
/// [`CalibrationError`]; nothing is ever clipped into the plausible range.
pub fn calibrate_energy(
    energies: &[f64],
    counts: &[f64],
    range: std::ops::Range<usize>,
    families: &[LineFamily],
    background: &[Vec<f64>],
    fixed: &[f64],
    start: &PeakShape,
    detector: &Detector,
) -> Result<EnergyCalibration, CalibrationError> {
    if families.len() < 2 {
        return Err(CalibrationError::TooFewLines {
            found: families.len(),
            counts: 0.0,
            needed: 2,
        });
    }
    let window = &energies[range.clone()];
    let y: Vec<f64> =
        range.clone().map(|k| counts[k] - fixed.get(k).copied().unwrap_or(0.0)).collect();
    let mut weights: Vec<f64> = range.clone().map(|k| 1.0 / counts[k].max(4.0)).collect();
    let tail = start.tail.unwrap_or(Tail { depth_um: 0.1, slope: 0.1 });
    let first = [
        0.0,
        0.0,
        start.resolution.noise_squared,
        start.resolution.slope,
        tail.depth_um.max(0.02),
        tail.slope,
    ];
    // Steps: 0.2 eV, 1e-4, 40 eV², 0.02 eV, 5 nm, 0.005.
    let step = [2e-4, 1e-4, 40.0, 0.02, 0.005, 0.005];
    let columns = |p: &[f64]| -> Result<Vec<Vec<f64>>, CalibrationError> {
        let true_energies: Vec<f64> = window.iter().map(|e| (e - p[0]) / (1.0 + p[1])).collect();
        let shape = shape_of(p);
        let mut columns = Vec::with_capacity(families.len() + background.len());
        for family in families {
            columns.push(family_profile(&true_energies, family, &shape, detector, true)?);
        }
        columns.extend(background.iter().map(|b| b[range.clone()].to_vec()));
        Ok(columns)
    };
    let model = |p: &[f64], weights: &[f64]| -> Result<Vec<f64>, CalibrationError> {
        let columns = columns(p)?;
        let coefficients = weighted_coefficients(&columns, &y, weights)?;
        let mut model = vec![0.0; y.len()];
        for (c, x) in columns.iter().zip(&coefficients) {
            model.iter_mut().zip(c).for_each(|(m, v)| *m += x * v);
        }
        Ok(model)
    };
    let mut best = first.to_vec();
    let mut last = None;
    for _ in 0..2 {
        let expected = model(&best, &weights)?;
        for (i, k) in range.clone().enumerate() {
            let total = expected[i] + fixed.get(k).copied().unwrap_or(0.0);
            weights[i] = 1.0 / total.max(1.0);
        }
        let residuals = |p: &[f64]| -> Vec<f64> {
            let allowed = p[4] >= 0.0 && (0.01..=MAX_SLOPE).contains(&p[5]) && p[3] > 0.0;
            match (allowed, model(p, &weights)) {
                (true, Ok(m)) => y
                    .iter()
                    .zip(&m)
                    .zip(&weights)
                    .map(|((y, m), w)| (y - m) * w.sqrt())
                    .chain([(p[5] - tail.slope) / SLOPE_SIGMA])
                    .collect(),
                _ => vec![f64::NAN; y.len() + 1],
            }
        };
        let fit = levenberg_marquardt(residuals, &best, &step, 20, 1e-5)?;
        best.clone_from(&fit.x);
        last = Some(fit);
    }
    let Some(fit) = last else {
        return Err(CalibrationError::NotConverged { iterations: 0 });
    };
    let dof = y.len().saturating_sub(families.len() + background.len() + 6).max(1);
    let reduced_chi2 = fit.chi2 / dof as f64;
    let inflate = reduced_chi2.max(1.0).sqrt();
    let sigma = |i: usize| inflate * fit.covariance[i * 6 + i].max(0.0).sqrt();
    let shape = shape_of(&fit.x);
    let mn = shape.resolution.mn_ka_ev();
    let at_mn = kalpha_physics::detector::MN_KA * 1e3;
    let variance = fit.covariance[2 * 6 + 2]
        + 2.0 * at_mn * fit.covariance[2 * 6 + 3]
        + at_mn * at_mn * fit.covariance[3 * 6 + 3];
    plausible("offset in keV", fit.x[0], -MAX_OFFSET, MAX_OFFSET)?;
    plausible("gain error", fit.x[1], -MAX_GAIN, MAX_GAIN)?;
    plausible("resolution at Mn Ka in eV", mn, RESOLUTION_RANGE.0, RESOLUTION_RANGE.1)?;
    plausible("noise at 0.28 keV in eV", shape.resolution.fwhm(0.2774) * 1e3, 20.0, 160.0)?;
    if !fit.converged {
        return Err(CalibrationError::NotConverged { iterations: fit.iterations });
    }
    Ok(EnergyCalibration {
        offset: Fitted { value: fit.x[0], sigma: sigma(0) },
        gain: Fitted { value: fit.x[1], sigma: sigma(1) },
        resolution_mn_ka: Fitted {
            value: mn,
            sigma: inflate * variance.max(0.0).sqrt() / (2.0 * mn),
        },
        shape,
        reduced_chi2,
    })
}

fn shape_of(p: &[f64]) -> PeakShape {
    PeakShape {
        resolution: Resolution { noise_squared: p[2], slope: p[3] },
        tail: (p[4] > 0.0).then_some(Tail { depth_um: p[4], slope: p[5] }),
    }
}

fn plausible(
    quantity: &'static str,
    value: f64,
    low: f64,
    high: f64,
) -> Result<(), CalibrationError> {
    if value >= low && value <= high {
        return Ok(());
    }
    Err(CalibrationError::Implausible { quantity, value, low, high })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kalpha_physics::lines::{Shell, line_family};

    fn axis() -> Vec<f64> {
        (0..1100).map(|i| 0.2 + 0.01 * f64::from(i)).collect()
    }

    fn families() -> Vec<LineFamily> {
        ["O", "Al", "Si", "K", "Fe"]
            .iter()
            .map(|s| line_family(s, Shell::K, 20.0).unwrap().unwrap())
            .collect()
    }

    /// A spectrum on a file's scale that is off by `offset` and `gain`.
    fn spectrum(offset: f64, gain: f64, shape: &PeakShape) -> Vec<f64> {
        let e = axis();
        let true_e: Vec<f64> = e.iter().map(|x| (x - offset) / (1.0 + gain)).collect();
        let d = Detector::polymer_window();
        let mut y: Vec<f64> = e.iter().map(|x| 200.0 * (-x / 4.0).exp()).collect();
        for (f, area) in families().iter().zip([8e4, 7e4, 3e5, 3e4, 6e3]) {
            let p = family_profile(&true_e, f, shape, &d, true).unwrap();
            y.iter_mut().zip(&p).for_each(|(y, p)| *y += area * p);
        }
        y
    }

    fn background() -> Vec<Vec<f64>> {
        let e = axis();
        vec![
            e.iter().map(|x| (-x / 4.0).exp()).collect(),
            e.iter().map(|x| x * (-x / 4.0).exp()).collect(),
        ]
    }

    #[test]
    fn recovers_scale_resolution_and_tail() {
        let truth = PeakShape {
            resolution: Resolution { noise_squared: 1700.0, slope: 2.3 },
            tail: Some(Tail { depth_um: 0.2, slope: 0.12 }),
        };
        let y = spectrum(0.006, 0.0011, &truth);
        let fit = calibrate_energy(
            &axis(),
            &y,
            0..1100,
            &families(),
            &background(),
            &[],
            &PeakShape::gaussian(130.0),
            &Detector::polymer_window(),
        )
        .unwrap();
        assert!((fit.offset.value - 0.006).abs() < 1e-4, "{fit:?}");
        assert!((fit.gain.value - 0.0011).abs() < 5e-5);
        assert!((fit.resolution_mn_ka.value - truth.resolution.mn_ka_ev()).abs() < 0.2);
        assert!(fit.offset.sigma > 0.0 && fit.offset.sigma < 1e-3);
        assert!(fit.resolution_mn_ka.sigma > 0.0 && fit.resolution_mn_ka.sigma < 2.0);
        let corrected = fit.correct(&axis());
        assert!((corrected[500] - (5.2 - 0.006) / 1.0011).abs() < 1e-3);
    }

    #[test]
    fn absurd_results_are_refused() {
        let wide = PeakShape::gaussian(400.0);
        let y = spectrum(0.0, 0.0, &wide);
        let result = calibrate_energy(
            &axis(),
            &y,
            0..1100,
            &families(),
            &background(),
            &[],
            &PeakShape::gaussian(130.0),
            &Detector::polymer_window(),
        );
        assert!(matches!(result, Err(CalibrationError::Implausible { .. })), "{result:?}");
        let one = calibrate_energy(
            &axis(),
            &y,
            0..1100,
            &families()[..1],
            &background(),
            &[],
            &PeakShape::gaussian(130.0),
            &Detector::polymer_window(),
        );
        assert!(matches!(one, Err(CalibrationError::TooFewLines { .. })));
    }
}
