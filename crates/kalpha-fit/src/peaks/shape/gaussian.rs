//! Gaussian: `f = h exp(-4 ln 2 u²)`, `u = (x - center) / fwhm`, `area = h fwhm sqrt(pi / (4 ln 2))`.
//!
//! By area or by height. Tested against scipy's values through the pseudo-Voigt of fraction 0 and
//! the conformance test of all shapes.

use super::*;

/// Gaussian by area or height, center, fwhm.
pub(super) struct Gaussian {
    pub(super) by_height: bool,
}

#[derive(Clone, Copy)]
struct At {
    amplitude: f64,
    /// Height for unit amplitude.
    unit: f64,
    center: f64,
    inverse: f64,
    by_height: bool,
}

impl Pointwise<3> for At {
    #[inline(always)]
    fn at(&self, x: V) -> (V, [V; 3]) {
        let s = V::splat;
        let inverse = s(self.inverse);
        let u = (x - s(self.center)) * inverse;
        let unit = s(self.unit) * (s(-FOUR_LN2) * u * u).exp();
        let f = s(self.amplitude) * unit;
        let center = s(2.0 * FOUR_LN2) * u * f * inverse;
        let width = u * center;
        // By area the height falls as the width grows.
        let width = if self.by_height { width } else { width - f * inverse };
        (f, [unit, center, width])
    }
}

impl LineShape for Gaussian {
    fn id(&self) -> &'static str {
        if self.by_height { "gaussian_height" } else { "gaussian" }
    }

    fn about(&self) -> &'static str {
        "h exp(-4 ln 2 u²), u = (x - center) / fwhm"
    }

    fn parameters(&self) -> &'static [ShapeParameter] {
        if self.by_height { &[HEIGHT, CENTER, FWHM] } else { &[AREA, CENTER, FWHM] }
    }

    fn evaluate(&self, x: &[f64], p: &[f64], value: &mut [f64], slopes: Option<&mut [f64]>) {
        let [amplitude, center, fwhm] = array(p);
        let inverse = fwhm.recip();
        let unit = if self.by_height { 1.0 } else { inverse / gaussian_area() };
        fill(At { amplitude, unit, center, inverse, by_height: self.by_height }, x, value, slopes);
    }

    fn start(&self, seen: Seen) -> Vec<f64> {
        let per_height = if self.by_height { 1.0 } else { seen.fwhm * gaussian_area() };
        vec![seen.height * per_height, seen.center, seen.fwhm]
    }

    fn measures(&self, p: &[f64]) -> Option<Measures> {
        let [amplitude, position, fwhm] = array(p);
        let unit = fwhm * gaussian_area();
        let (height, area) = match self.by_height {
            true => (amplitude, amplitude * unit),
            false => (amplitude / unit, amplitude),
        };
        Some(Measures { position, height, area, fwhm })
    }
}
