//! Pseudo-Voigt: `f = fraction L + (1 - fraction) G`, both of one full width at half maximum.
//!
//! `pseudo_voigt` mixes curves of equal area, `pseudo_voigt_height` curves of equal height (the sum
//! form of photoelectron spectroscopy, there called GL sum). `fraction` is the Lorentzian share.
//!
//! Source: Wertheim et al. (1974), Rev. Sci. Instrum. 45, 1369, doi:10.1063/1.1686503. Tested by
//! the conformance test of all shapes, and in the silicon line against scipy.

use super::*;

/// Pseudo-Voigt by area or height, center, fwhm, fraction.
pub(super) struct PseudoVoigt {
    pub(super) by_height: bool,
}

#[derive(Clone, Copy)]
struct At {
    amplitude: f64,
    center: f64,
    inverse: f64,
    fraction: f64,
    /// Heights of the two curves for unit amplitude.
    gauss: f64,
    lorentz: f64,
    by_height: bool,
}

impl Pointwise<4> for At {
    #[inline(always)]
    fn at(&self, x: V) -> (V, [V; 4]) {
        let s = V::splat;
        let inverse = s(self.inverse);
        let u = (x - s(self.center)) * inverse;
        let square = u * u;
        let gauss = s(self.gauss) * (s(-FOUR_LN2) * square).exp();
        let bell = s(1.0) / (s(1.0) + s(4.0) * square);
        let lorentz = s(self.lorentz) * bell;
        let (g, l) = (s(1.0 - self.fraction) * gauss, s(self.fraction) * lorentz);
        let unit = g + l;
        let amplitude = s(self.amplitude);
        let f = amplitude * unit;
        let center = amplitude * inverse * u * (s(2.0 * FOUR_LN2) * g + s(8.0) * l * bell);
        let width = u * center;
        let width = if self.by_height { width } else { width - f * inverse };
        (f, [unit, center, width, amplitude * (lorentz - gauss)])
    }
}

impl LineShape for PseudoVoigt {
    fn id(&self) -> &'static str {
        if self.by_height { "pseudo_voigt_height" } else { "pseudo_voigt" }
    }

    fn about(&self) -> &'static str {
        if self.by_height {
            "height [fraction / (1 + 4 u²) + (1 - fraction) exp(-4 ln 2 u²)], u = (x - center) / fwhm"
        } else {
            "area [fraction L + (1 - fraction) G], both of unit area and one fwhm"
        }
    }

    fn parameters(&self) -> &'static [ShapeParameter] {
        match self.by_height {
            true => &[HEIGHT, CENTER, FWHM, FRACTION],
            false => &[AREA, CENTER, FWHM, FRACTION],
        }
    }

    fn evaluate(&self, x: &[f64], p: &[f64], value: &mut [f64], slopes: Option<&mut [f64]>) {
        let [amplitude, center, fwhm, fraction] = array(p);
        let inverse = fwhm.recip();
        let (gauss, lorentz) = match self.by_height {
            true => (1.0, 1.0),
            false => (inverse / gaussian_area(), inverse / LORENTZIAN_AREA),
        };
        let by_height = self.by_height;
        fill(
            At { amplitude, center, inverse, fraction, gauss, lorentz, by_height },
            x,
            value,
            slopes,
        );
    }

    fn start(&self, seen: Seen) -> Vec<f64> {
        let unit = self.measures(&[1.0, seen.center, seen.fwhm, 0.5]);
        vec![seen.height / unit.map_or(1.0, |m| m.height), seen.center, seen.fwhm, 0.5]
    }

    fn measures(&self, p: &[f64]) -> Option<Measures> {
        let [amplitude, position, fwhm, fraction] = array(p);
        let (g, l) = (fwhm * gaussian_area(), fwhm * LORENTZIAN_AREA);
        let (height, area) = match self.by_height {
            true => (amplitude, amplitude * (fraction * l + (1.0 - fraction) * g)),
            false => (amplitude * (fraction / l + (1.0 - fraction) / g), amplitude),
        };
        Some(Measures { position, height, area, fwhm })
    }
}
