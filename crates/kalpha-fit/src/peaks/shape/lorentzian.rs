//! Lorentzian: `f = h / (1 + 4 u²)`, `u = (x - center) / fwhm`, `area = h fwhm pi / 2`.
//!
//! By area or by height. Tested by the conformance test of all shapes.

use super::*;

/// Lorentzian by area or height, center, fwhm.
pub(super) struct Lorentzian {
    pub(super) by_height: bool,
}

#[derive(Clone, Copy)]
struct At {
    amplitude: f64,
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
        let bell = s(1.0) / (s(1.0) + s(4.0) * u * u);
        let unit = s(self.unit) * bell;
        let f = s(self.amplitude) * unit;
        let center = s(8.0) * u * f * bell * inverse;
        let width = u * center;
        let width = if self.by_height { width } else { width - f * inverse };
        (f, [unit, center, width])
    }
}

impl LineShape for Lorentzian {
    fn id(&self) -> &'static str {
        if self.by_height { "lorentzian_height" } else { "lorentzian" }
    }

    fn about(&self) -> &'static str {
        "h / (1 + 4 u²), u = (x - center) / fwhm"
    }

    fn parameters(&self) -> &'static [ShapeParameter] {
        if self.by_height { &[HEIGHT, CENTER, FWHM] } else { &[AREA, CENTER, FWHM] }
    }

    fn evaluate(&self, x: &[f64], p: &[f64], value: &mut [f64], slopes: Option<&mut [f64]>) {
        let [amplitude, center, fwhm] = array(p);
        let inverse = fwhm.recip();
        let unit = if self.by_height { 1.0 } else { inverse / LORENTZIAN_AREA };
        fill(At { amplitude, unit, center, inverse, by_height: self.by_height }, x, value, slopes);
    }

    fn start(&self, seen: Seen) -> Vec<f64> {
        let per_height = if self.by_height { 1.0 } else { seen.fwhm * LORENTZIAN_AREA };
        vec![seen.height * per_height, seen.center, seen.fwhm]
    }

    fn measures(&self, p: &[f64]) -> Option<Measures> {
        let [amplitude, position, fwhm] = array(p);
        let unit = fwhm * LORENTZIAN_AREA;
        let (height, area) = match self.by_height {
            true => (amplitude, amplitude * unit),
            false => (amplitude / unit, amplitude),
        };
        Some(Measures { position, height, area, fwhm })
    }
}
