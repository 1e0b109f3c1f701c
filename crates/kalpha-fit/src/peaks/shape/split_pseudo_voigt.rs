//! Split pseudo-Voigt: two halves of equal height with their own widths.
//!
//! `f = height [fraction / (1 + 4 u²) + (1 - fraction) exp(-4 ln 2 u²)]`,
//! `u = (x - center) / fwhm_left` below the center and `/ fwhm_right` above.
//!
//! Source: Toraya (1990), J. Appl. Cryst. 23, 485, doi:10.1107/S0021889890008704. Tested by the
//! conformance test of all shapes.

use super::*;

/// Split pseudo-Voigt by height, center, fwhm_left, fwhm_right, fraction.
pub(super) struct SplitPseudoVoigt;

#[derive(Clone, Copy)]
struct At {
    height: f64,
    center: f64,
    left: f64,
    right: f64,
    fraction: f64,
}

impl Pointwise<5> for At {
    #[inline(always)]
    fn at(&self, x: V) -> (V, [V; 5]) {
        let s = V::splat;
        let d = x - s(self.center);
        let below = d.lt(V::ZERO);
        let inverse = below.select(s(self.left), s(self.right));
        let u = d * inverse;
        let square = u * u;
        let gauss = (s(-FOUR_LN2) * square).exp();
        let bell = s(1.0) / (s(1.0) + s(4.0) * square);
        let (g, l) = (s(1.0 - self.fraction) * gauss, s(self.fraction) * bell);
        let unit = g + l;
        let height = s(self.height);
        let center = height * inverse * u * (s(2.0 * FOUR_LN2) * g + s(8.0) * l * bell);
        let width = u * center;
        let (left, right) = (below.select(width, V::ZERO), below.select(V::ZERO, width));
        (height * unit, [unit, center, left, right, height * (bell - gauss)])
    }
}

const LEFT: ShapeParameter = ShapeParameter::new("fwhm_left", Role::Width);
const RIGHT: ShapeParameter = ShapeParameter::new("fwhm_right", Role::Width);

impl LineShape for SplitPseudoVoigt {
    fn id(&self) -> &'static str {
        "split_pseudo_voigt"
    }

    fn about(&self) -> &'static str {
        "pseudo_voigt_height with fwhm_left below the center and fwhm_right above"
    }

    fn parameters(&self) -> &'static [ShapeParameter] {
        &[HEIGHT, CENTER, LEFT, RIGHT, FRACTION]
    }

    fn evaluate(&self, x: &[f64], p: &[f64], value: &mut [f64], slopes: Option<&mut [f64]>) {
        let [height, center, left, right, fraction] = array(p);
        fill(
            At { height, center, left: left.recip(), right: right.recip(), fraction },
            x,
            value,
            slopes,
        );
    }

    fn start(&self, seen: Seen) -> Vec<f64> {
        vec![seen.height, seen.center, seen.fwhm, seen.fwhm, 0.5]
    }

    fn measures(&self, p: &[f64]) -> Option<Measures> {
        let [height, position, left, right, fraction] = array(p);
        let fwhm = 0.5 * (left + right);
        let unit = fraction * LORENTZIAN_AREA + (1.0 - fraction) * gaussian_area();
        Some(Measures { position, height, area: height * fwhm * unit, fwhm })
    }
}
