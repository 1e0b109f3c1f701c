//! Steps and edges: `erf_step` (a resolution-broadened step) and `arctan_step` (a lifetime-broadened
//! one, the edge of absorption spectra).
//!
//! `erf_step = height / 2 erfc(-(x - center) / (sigma sqrt 2))`, `sigma = fwhm / 2.3548`;
//! `arctan_step = height (1/2 + atan(2 (x - center) / fwhm) / pi)`. `fwhm` is that of the
//! derivative. Tested by the conformance test of all shapes.

use super::*;
use kalpha_num::statistics::erfc;
use std::f64::consts::PI;

/// Step with a Gaussian derivative.
pub(super) struct ErfStep;
/// Step with a Lorentzian derivative.
pub(super) struct ArctanStep;

impl LineShape for ErfStep {
    fn id(&self) -> &'static str {
        "erf_step"
    }

    fn about(&self) -> &'static str {
        "height / 2 erfc(-2 sqrt(ln 2) (x - center) / fwhm)"
    }

    fn parameters(&self) -> &'static [ShapeParameter] {
        &[HEIGHT, CENTER, FWHM]
    }

    fn evaluate(&self, x: &[f64], p: &[f64], value: &mut [f64], slopes: Option<&mut [f64]>) {
        let [height, center, fwhm] = array(p);
        for (v, x) in value.iter_mut().zip(x) {
            *v = 0.5 * height * erfc(-FOUR_LN2.sqrt() * (x - center) / fwhm);
        }
        if let Some(slopes) = slopes {
            let m = x.len();
            for (i, x) in x.iter().enumerate() {
                let u = (x - center) / fwhm;
                let bell = (-FOUR_LN2 * u * u).exp() / (fwhm * gaussian_area());
                slopes[i] = 0.5 * erfc(-FOUR_LN2.sqrt() * u);
                slopes[m + i] = -height * bell;
                slopes[2 * m + i] = -height * bell * u;
            }
        }
    }

    fn start(&self, seen: Seen) -> Vec<f64> {
        vec![seen.height, seen.center, seen.fwhm]
    }

    fn measures(&self, _: &[f64]) -> Option<Measures> {
        None
    }

    fn is_peak(&self) -> bool {
        false
    }
}

impl LineShape for ArctanStep {
    fn id(&self) -> &'static str {
        "arctan_step"
    }

    fn about(&self) -> &'static str {
        "height (1/2 + atan(2 (x - center) / fwhm) / pi)"
    }

    fn parameters(&self) -> &'static [ShapeParameter] {
        &[HEIGHT, CENTER, FWHM]
    }

    fn evaluate(&self, x: &[f64], p: &[f64], value: &mut [f64], slopes: Option<&mut [f64]>) {
        let [height, center, fwhm] = array(p);
        let step = |u: f64| 0.5 + (2.0 * u).atan() / PI;
        for (v, x) in value.iter_mut().zip(x) {
            *v = height * step((x - center) / fwhm);
        }
        if let Some(slopes) = slopes {
            let m = x.len();
            for (i, x) in x.iter().enumerate() {
                let u = (x - center) / fwhm;
                let bell = 2.0 / (PI * fwhm * (1.0 + 4.0 * u * u));
                slopes[i] = step(u);
                slopes[m + i] = -height * bell;
                slopes[2 * m + i] = -height * bell * u;
            }
        }
    }

    fn start(&self, seen: Seen) -> Vec<f64> {
        vec![seen.height, seen.center, seen.fwhm]
    }

    fn measures(&self, _: &[f64]) -> Option<Measures> {
        None
    }

    fn is_peak(&self) -> bool {
        false
    }
}
