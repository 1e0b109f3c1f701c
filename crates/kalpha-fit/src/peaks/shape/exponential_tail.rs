//! Gaussian with an exponential tail: what a detector or a column makes of a sharp line.
//!
//! `f = area / (2 tail) exp(d / tail + sigma² / (2 tail²)) erfc((d / sigma + sigma / tail) / sqrt 2)`,
//! `d = x - center` for `exponential_tail` (tail down the axis) and `center - x` for
//! `exponential_tail_up`; `sigma = fwhm / 2.3548` is that of the Gaussian, `tail` the decay length.
//!
//! Source: Phillips and Marlow (1976), Nucl. Instrum. Methods 137, 525,
//! doi:10.1016/0029-554X(76)90472-9. Tested by the conformance test of all shapes.

use super::*;
use kalpha_num::{faddeeva::erfcx, statistics::erfc};

/// Exponentially modified Gaussian by area, center, fwhm, tail.
pub(super) struct ExponentialTail {
    pub(super) up: bool,
}

const TAIL: ShapeParameter = ShapeParameter::new("tail", Role::Width);
/// Full width over standard deviation of a Gaussian.
const WIDTHS: f64 = 2.354_820_045_030_949_3;

impl LineShape for ExponentialTail {
    fn id(&self) -> &'static str {
        if self.up { "exponential_tail_up" } else { "exponential_tail" }
    }

    fn about(&self) -> &'static str {
        "a Gaussian (area, center, fwhm) convolved with a one-sided exponential of decay length tail"
    }

    fn parameters(&self) -> &'static [ShapeParameter] {
        &[AREA, CENTER, FWHM, TAIL]
    }

    fn evaluate(&self, x: &[f64], p: &[f64], value: &mut [f64], mut slopes: Option<&mut [f64]>) {
        let [area, center, fwhm, tail] = array(p);
        let (m, sigma) = (x.len(), fwhm / WIDTHS);
        let sign = if self.up { -1.0 } else { 1.0 };
        for (i, x) in x.iter().enumerate() {
            let d = sign * (x - center);
            let u = d / sigma;
            let bell = (-0.5 * u * u).exp() / (sigma * (2.0 * std::f64::consts::PI).sqrt());
            let v = (u + sigma / tail) * std::f64::consts::FRAC_1_SQRT_2;
            let unit = if v >= 0.0 {
                // exp(d/tail + sigma²/(2 tail²)) erfc(v) = exp(-u²/2) erfcx(v), without overflow.
                (-0.5 * u * u).exp() * erfcx(v) / (2.0 * tail)
            } else {
                (d / tail + 0.5 * (sigma / tail).powi(2)).exp() * erfc(v) / (2.0 * tail)
            };
            let f = area * unit;
            value[i] = f;
            if let Some(slopes) = slopes.as_deref_mut() {
                let g = area * bell;
                slopes[i] = unit;
                slopes[m + i] = -sign * (f - g) / tail;
                slopes[2 * m + i] =
                    (f * sigma / tail.powi(2) + g * (u / tail - sigma / tail.powi(2))) / WIDTHS;
                slopes[3 * m + i] = -f / tail - f * (d + sigma * sigma / tail) / tail.powi(2)
                    + g * sigma * sigma / tail.powi(3);
            }
        }
    }

    fn start(&self, seen: Seen) -> Vec<f64> {
        let area = 1.2 * seen.height * seen.fwhm * gaussian_area();
        vec![area, seen.center, 0.9 * seen.fwhm, 0.2 * seen.fwhm]
    }

    fn measures(&self, p: &[f64]) -> Option<Measures> {
        let [area, center, fwhm, tail] = array(p);
        let unit = [1.0, center, fwhm, tail];
        let profile = |x: f64| value_at(self, x, &unit);
        // One maximum, between the center and a tail below it: golden section.
        let sign = if self.up { 1.0 } else { -1.0 };
        let (mut a, mut b) = (-fwhm, tail + fwhm);
        for _ in 0..80 {
            let (c, d) = (b - 0.618_033_988_75 * (b - a), a + 0.618_033_988_75 * (b - a));
            match profile(center + sign * c) > profile(center + sign * d) {
                true => b = d,
                false => a = c,
            }
        }
        let position = center + sign * 0.5 * (a + b);
        let top = profile(position);
        let width = half_width(profile, position, top, fwhm + tail);
        Some(Measures { position, height: area * top, area, fwhm: width })
    }
}
