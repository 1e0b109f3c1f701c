//! Pseudo-Voigt whose width changes smoothly across the line:
//! `f = height pv(u)`, `u = (x - center) / w(x)`, `w = 2 fwhm / (1 + exp(asymmetry (x - center)))`.
//!
//! A positive asymmetry (per unit of the axis) makes the low side wide and the high side steep.
//!
//! Source: Stancik and Brauns (2008), Vib. Spectrosc. 47, 66, doi:10.1016/j.vibspec.2008.02.009.
//! Tested by the conformance test of all shapes.

use super::*;

/// Sigmoidal pseudo-Voigt by height, center, fwhm, fraction, asymmetry.
pub(super) struct SigmoidPseudoVoigt;

#[derive(Clone, Copy)]
struct At {
    height: f64,
    center: f64,
    inverse: f64,
    fraction: f64,
    asymmetry: f64,
}

impl Pointwise<5> for At {
    #[inline(always)]
    fn at(&self, x: V) -> (V, [V; 5]) {
        let s = V::splat;
        let d = x - s(self.center);
        // exp(a d) / 2, kept from overflow: there the line is nothing.
        let grow = (s(self.asymmetry) * d).min(s(300.0)).exp();
        let half = s(0.5) * (s(1.0) + grow);
        let inverse = s(self.inverse);
        let u = d * inverse * half;
        let square = u * u;
        let gauss = (s(-FOUR_LN2) * square).exp();
        let bell = s(1.0) / (s(1.0) + s(4.0) * square);
        let (g, l) = (s(1.0 - self.fraction) * gauss, s(self.fraction) * bell);
        let unit = g + l;
        let height = s(self.height);
        // -df/du.
        let fall = height * u * (s(2.0 * FOUR_LN2) * g + s(8.0) * l * bell);
        let bend = s(0.5) * grow * d * inverse;
        let center = fall * (inverse * half + s(self.asymmetry) * bend);
        let width = fall * u * inverse;
        let asymmetry = V::ZERO - fall * bend * d;
        (height * unit, [unit, center, width, height * (bell - gauss), asymmetry])
    }
}

const ASYMMETRY: ShapeParameter = ShapeParameter::new("asymmetry", Role::Other);

impl LineShape for SigmoidPseudoVoigt {
    fn id(&self) -> &'static str {
        "sigmoid_pseudo_voigt"
    }

    fn about(&self) -> &'static str {
        "pseudo_voigt_height with fwhm 2 fwhm / (1 + exp(asymmetry (x - center)))"
    }

    fn parameters(&self) -> &'static [ShapeParameter] {
        &[HEIGHT, CENTER, FWHM, FRACTION, ASYMMETRY]
    }

    fn evaluate(&self, x: &[f64], p: &[f64], value: &mut [f64], slopes: Option<&mut [f64]>) {
        let [height, center, fwhm, fraction, asymmetry] = array(p);
        fill(At { height, center, inverse: fwhm.recip(), fraction, asymmetry }, x, value, slopes);
    }

    fn start(&self, seen: Seen) -> Vec<f64> {
        vec![seen.height, seen.center, seen.fwhm, 0.5, 0.0]
    }

    fn measures(&self, p: &[f64]) -> Option<Measures> {
        let [height, position, fwhm, fraction, asymmetry] = array(p);
        let unit = [1.0, 0.0, fwhm, fraction, asymmetry];
        let profile = |x: f64| value_at(self, x, &unit);
        let width = half_width(profile, 0.0, 1.0, fwhm);
        // Where the sigmoid widens a Lorentzian tail without end the area has no limit.
        let wide = fraction > 0.0 && asymmetry != 0.0;
        let area = match wide {
            true => f64::INFINITY,
            false => {
                let step = fwhm / 200.0;
                (-20_000..=20_000).map(|k| profile(f64::from(k) * step)).sum::<f64>() * step
            }
        };
        let area = match asymmetry == 0.0 {
            true => fwhm * (fraction * LORENTZIAN_AREA + (1.0 - fraction) * gaussian_area()),
            false => area,
        };
        Some(Measures { position, height, area: height * area, fwhm: width })
    }
}
