//! Product of a Gaussian and a Lorentzian, as photoelectron spectra are fitted:
//! `f = height exp(-4 ln 2 (1 - fraction) u²) / (1 + 4 fraction u²)`, `u = (x - center) / fwhm`.
//!
//! `fwhm` is the width at half maximum only for fraction 0 and 1, and within 2 % between.
//!
//! Source: Briggs and Seah, Practical Surface Analysis, 2nd ed. (1990), appendix 3. Tested by the
//! conformance test of all shapes.

use super::*;

/// Product form by height, center, fwhm, fraction.
pub(super) struct GlProduct;

#[derive(Clone, Copy)]
struct At {
    height: f64,
    center: f64,
    inverse: f64,
    fraction: f64,
}

impl Pointwise<4> for At {
    #[inline(always)]
    fn at(&self, x: V) -> (V, [V; 4]) {
        let s = V::splat;
        let inverse = s(self.inverse);
        let u = (x - s(self.center)) * inverse;
        let square = u * u;
        let bell = s(1.0) / (s(1.0) + s(4.0 * self.fraction) * square);
        let unit = (s(-FOUR_LN2 * (1.0 - self.fraction)) * square).exp() * bell;
        let f = s(self.height) * unit;
        // d ln f / du = -u (8 ln 2 (1 - fraction) + 8 fraction bell).
        let steep = s(2.0 * FOUR_LN2 * (1.0 - self.fraction)) + s(8.0 * self.fraction) * bell;
        let center = f * u * steep * inverse;
        let fraction = f * square * (s(FOUR_LN2) - s(4.0) * bell);
        (f, [unit, center, u * center, fraction])
    }
}

impl LineShape for GlProduct {
    fn id(&self) -> &'static str {
        "gl_product"
    }

    fn about(&self) -> &'static str {
        "height exp(-4 ln 2 (1 - fraction) u²) / (1 + 4 fraction u²), u = (x - center) / fwhm"
    }

    fn parameters(&self) -> &'static [ShapeParameter] {
        &[HEIGHT, CENTER, FWHM, FRACTION]
    }

    fn evaluate(&self, x: &[f64], p: &[f64], value: &mut [f64], slopes: Option<&mut [f64]>) {
        let [height, center, fwhm, fraction] = array(p);
        fill(At { height, center, inverse: fwhm.recip(), fraction }, x, value, slopes);
    }

    fn start(&self, seen: Seen) -> Vec<f64> {
        vec![seen.height, seen.center, seen.fwhm, 0.3]
    }

    fn measures(&self, p: &[f64]) -> Option<Measures> {
        let [height, position, fwhm, fraction] = array(p);
        if fraction <= 0.0 {
            let area = height * fwhm * gaussian_area();
            return Some(Measures { position, height, area, fwhm });
        }
        // int exp(-a u²) / (1 + b u²) du = pi / sqrt(b) exp(a/b) erfc(sqrt(a/b)).
        let (a, b) = (FOUR_LN2 * (1.0 - fraction), 4.0 * fraction);
        let unit = std::f64::consts::PI / b.sqrt() * kalpha_num::faddeeva::erfcx((a / b).sqrt());
        let profile = |x: f64| value_at(self, x, &[1.0, 0.0, fwhm, fraction]);
        let width = half_width(profile, 0.0, 1.0, fwhm);
        Some(Measures { position, height, area: height * fwhm * unit, fwhm: width })
    }
}
