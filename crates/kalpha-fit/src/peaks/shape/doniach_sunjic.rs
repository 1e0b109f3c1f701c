//! Doniach-Sunjic: a Lorentzian with the tail of electron-hole pairs in a metal.
//!
//! `f = amplitude sigma^(gamma - 1) cos(pi gamma / 2 + (1 - gamma) atan t) (1 + t²)^((gamma - 1) / 2)`,
//! `t = -(x - center) / sigma` for `doniach_sunjic`, whose tail points up the axis (binding
//! energies), and `t = (x - center) / sigma` for `doniach_sunjic_kinetic` (lmfit's). `sigma` is half
//! the width at half maximum for gamma = 0; the maximum stands beside `center` for other gamma.
//! The area diverges for gamma > 0.
//!
//! Source: Doniach and Sunjic (1970), J. Phys. C 3, 285, doi:10.1088/0022-3719/3/2/010. Tested by the
//! conformance test of all shapes and against values of lmfit 1.3.4.

use super::*;
use std::f64::consts::PI;

/// Doniach-Sunjic by amplitude, center, sigma, gamma.
pub(super) struct DoniachSunjic {
    pub(super) tail_up: bool,
}

const AMPLITUDE: ShapeParameter = ShapeParameter::new("amplitude", Role::Amplitude);
const SIGMA: ShapeParameter = ShapeParameter::new("sigma", Role::Width);
const GAMMA: ShapeParameter = ShapeParameter::new("gamma", Role::Other).within(-0.5, 0.5, 0.05);

impl DoniachSunjic {
    fn sign(&self) -> f64 {
        if self.tail_up { -1.0 } else { 1.0 }
    }
}

impl LineShape for DoniachSunjic {
    fn id(&self) -> &'static str {
        if self.tail_up { "doniach_sunjic" } else { "doniach_sunjic_kinetic" }
    }

    fn about(&self) -> &'static str {
        "amplitude sigma^(gamma - 1) cos(pi gamma / 2 + (1 - gamma) atan t) (1 + t²)^((gamma - 1) / 2), \
         t = ∓(x - center) / sigma"
    }

    fn parameters(&self) -> &'static [ShapeParameter] {
        &[AMPLITUDE, CENTER, SIGMA, GAMMA]
    }

    fn evaluate(&self, x: &[f64], p: &[f64], value: &mut [f64], mut slopes: Option<&mut [f64]>) {
        let [amplitude, center, sigma, gamma] = array(p);
        let (m, sign) = (x.len(), self.sign());
        let g = 1.0 - gamma;
        let scale = sigma.powf(-g);
        for (i, x) in x.iter().enumerate() {
            let t = sign * (x - center) / sigma;
            let square = 1.0 + t * t;
            let atan = t.atan();
            let phase = 0.5 * PI * gamma + g * atan;
            let fall = scale * square.powf(-0.5 * g);
            let (sine, cosine) = phase.sin_cos();
            let unit = fall * cosine;
            value[i] = amplitude * unit;
            if let Some(slopes) = slopes.as_deref_mut() {
                // d/dt of cos(phase) square^(-g/2).
                let along = -amplitude * fall * g * (sine + t * cosine) / square;
                slopes[i] = unit;
                slopes[m + i] = -along * sign / sigma;
                slopes[2 * m + i] = -(along * t + g * amplitude * unit) / sigma;
                // Through the phase, the power of the square and the scale.
                let phase_slope = 0.5 * PI - atan;
                slopes[3 * m + i] = amplitude
                    * fall
                    * (-sine * phase_slope + cosine * (0.5 * square.ln() + sigma.ln()));
            }
        }
    }

    fn start(&self, seen: Seen) -> Vec<f64> {
        let sigma = 0.5 * seen.fwhm;
        vec![seen.height * sigma.powf(0.95), seen.center, sigma, 0.05]
    }

    fn measures(&self, p: &[f64]) -> Option<Measures> {
        let [amplitude, center, sigma, gamma] = array(p);
        // The derivative vanishes where sine + t cosine does: phase = -atan t.
        let t = -(0.5 * PI * gamma / (2.0 - gamma)).tan();
        let position = center + self.sign() * t * sigma;
        let height = value_at(self, position, p);
        let unit = [1.0, center, sigma, gamma];
        let profile = |x: f64| value_at(self, x, &unit);
        let fwhm = half_width(profile, position, profile(position), 2.0 * sigma);
        let area = match gamma {
            0.0 => amplitude * PI,
            _ => amplitude * f64::INFINITY * gamma.signum(),
        };
        Some(Measures { position, height, area, fwhm })
    }
}
