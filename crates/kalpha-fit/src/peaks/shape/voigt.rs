//! Voigt: a Gaussian of standard deviation `sigma` convolved with a Lorentzian of half width
//! `gamma`.
//!
//! `f = area Re w(z) / (sigma sqrt(2 pi))`, `z = (x - center + i gamma) / (sigma sqrt 2)`, w the
//! Faddeeva function, whose derivative gives all others.
//!
//! Source: Armstrong (1967), J. Quant. Spectrosc. Radiat. Transfer 7, 61,
//! doi:10.1016/0022-4073(67)90057-X; width: Olivero and Longbothum (1977),
//! doi:10.1016/0022-4073(77)90161-3, then bisection. Tested by the conformance test of all shapes,
//! and on the silicon line against scipy.

use super::*;
use kalpha_num::faddeeva::w_with_slope;
use std::f64::consts::{PI, SQRT_2};

/// Voigt by area, center, sigma, gamma.
pub(super) struct Voigt;

const SIGMA: ShapeParameter = ShapeParameter::new("sigma", Role::Width);
const GAMMA: ShapeParameter = ShapeParameter::new("gamma", Role::Width);

#[derive(Clone, Copy)]
struct At {
    area: f64,
    center: f64,
    sigma: f64,
    gamma: f64,
}

impl Pointwise<4> for At {
    #[inline(always)]
    fn at(&self, x: V) -> (V, [V; 4]) {
        let s = V::splat;
        let inverse = 1.0 / (SQRT_2 * self.sigma);
        let re = (x - s(self.center)) * s(inverse);
        let im = s(self.gamma * inverse);
        let ([k, _], [slope_re, slope_im]) = w_with_slope(re, im);
        let norm = 1.0 / (self.sigma * (2.0 * PI).sqrt());
        let unit = s(norm) * k;
        let f = s(self.area) * unit;
        // dK/dx = Re w', dK/dy = -Im w'.
        let scale = s(self.area * norm * inverse);
        let center = V::ZERO - scale * slope_re;
        let gamma = V::ZERO - scale * slope_im;
        // z and the norm both go as 1 / sigma.
        let along = (x - s(self.center)) * center + s(-self.gamma) * gamma;
        let sigma = (along - f) * s(1.0 / self.sigma);
        (f, [unit, center, sigma, gamma])
    }
}

impl LineShape for Voigt {
    fn id(&self) -> &'static str {
        "voigt"
    }

    fn about(&self) -> &'static str {
        "area Re w(z) / (sigma sqrt(2 pi)), z = (x - center + i gamma) / (sigma sqrt 2)"
    }

    fn parameters(&self) -> &'static [ShapeParameter] {
        &[AREA, CENTER, SIGMA, GAMMA]
    }

    fn evaluate(&self, x: &[f64], p: &[f64], value: &mut [f64], slopes: Option<&mut [f64]>) {
        let [area, center, sigma, gamma] = array(p);
        fill(At { area, center, sigma, gamma }, x, value, slopes);
    }

    fn start(&self, seen: Seen) -> Vec<f64> {
        // Two curves of 0.6 of the width each make one of about the whole.
        let (sigma, gamma) = (0.6 * seen.fwhm / 2.355, 0.3 * seen.fwhm);
        let unit = value_at(self, 0.0, &[1.0, 0.0, sigma, gamma]);
        vec![seen.height / unit, seen.center, sigma, gamma]
    }

    fn measures(&self, p: &[f64]) -> Option<Measures> {
        let [area, position, sigma, gamma] = array(p);
        let unit = [1.0, 0.0, sigma, gamma];
        let profile = |x: f64| value_at(self, x, &unit);
        let top = profile(0.0);
        let fwhm = half_width(profile, 0.0, top, sigma + gamma);
        Some(Measures { position, height: area * top, area, fwhm })
    }
}
