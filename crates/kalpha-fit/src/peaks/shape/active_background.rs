//! Backgrounds that the peaks themselves make, fitted with them: active Shirley and Tougaard.
//!
//! `shirley`: `B(E) = scatter * integral of the peaks below E`; `tougaard`:
//! `B(E) = integral of b T / (c + T²)² P(E - T) dT` over losses T, P being the sum of all peaks.
//! Energies are binding energies: electrons that have lost energy appear above the peaks. The names
//! with `_kinetic` look down the axis instead. Both are linear in P, so that every derivative of a
//! peak is scattered as the peak is. No end points have to be chosen: the background is part of the
//! model, and its uncertainty part of the errors.
//!
//! Sources: Shirley (1972), Phys. Rev. B 5, 4709, doi:10.1103/PhysRevB.5.4709; Tougaard (1988), Surf.
//! Interface Anal. 11, 453, doi:10.1002/sia.740110902; active: Herrera-Gomez et al. (2014), Surf.
//! Interface Anal. 46, 897, doi:10.1002/sia.5453. Complexity O(n) and O(n²). Tested against spectra made by
//! the definitions, and by differences.

use super::*;

/// What scatters the sum of the peaks.
pub trait Scatterer {
    /// Scattered part of `source`, linear in it.
    fn scatter(&self, x: &[f64], p: &[f64], source: &[f64], out: &mut [f64]);
    /// Derivative of it to parameter `k`.
    fn slope(&self, x: &[f64], p: &[f64], k: usize, source: &[f64], out: &mut [f64]);
}

/// Active Shirley background.
pub(super) struct Shirley {
    pub(super) kinetic: bool,
}

/// Active Tougaard background with the two-parameter loss function.
pub(super) struct Tougaard {
    pub(super) kinetic: bool,
}

const SCATTER: ShapeParameter =
    ShapeParameter::new("scatter", Role::Other).within(0.0, f64::INFINITY, 0.02);
const B: ShapeParameter = ShapeParameter::new("b", Role::Other).within(0.0, f64::INFINITY, 2866.0);
const C: ShapeParameter = ShapeParameter::new("c", Role::Other).within(1e-3, 1e6, 1643.0);

/// Integral of `source` from the end where nothing is lost, by the trapezoidal rule.
fn cumulative(x: &[f64], kinetic: bool, source: &[f64], out: &mut [f64]) {
    let m = x.len();
    let mut sum = 0.0;
    let mut before: Option<usize> = None;
    for i in 0..m {
        let at = if kinetic { m - 1 - i } else { i };
        if let Some(b) = before {
            sum += 0.5 * (source[at] + source[b]) * (x[at] - x[b]).abs();
        }
        out[at] = sum;
        before = Some(at);
    }
}

impl Scatterer for Shirley {
    fn scatter(&self, x: &[f64], p: &[f64], source: &[f64], out: &mut [f64]) {
        cumulative(x, self.kinetic, source, out);
        let scatter = p.first().copied().unwrap_or(f64::NAN);
        out.iter_mut().for_each(|v| *v *= scatter);
    }

    fn slope(&self, x: &[f64], _: &[f64], _: usize, source: &[f64], out: &mut [f64]) {
        cumulative(x, self.kinetic, source, out);
    }
}

impl Tougaard {
    fn convolve(&self, x: &[f64], loss: impl Fn(f64) -> f64, source: &[f64], out: &mut [f64]) {
        let m = x.len();
        let width = |j: usize| {
            let (low, high) = (j.saturating_sub(1), (j + 1).min(m - 1));
            0.5 * (x[high] - x[low])
        };
        for i in 0..m {
            let from = if self.kinetic { i + 1..m } else { 0..i };
            out[i] = from.map(|j| loss((x[i] - x[j]).abs()) * source[j] * width(j)).sum();
        }
    }
}

impl Scatterer for Tougaard {
    fn scatter(&self, x: &[f64], p: &[f64], source: &[f64], out: &mut [f64]) {
        let [b, c] = array(p);
        self.convolve(x, |t| b * t / (c + t * t).powi(2), source, out);
    }

    fn slope(&self, x: &[f64], p: &[f64], k: usize, source: &[f64], out: &mut [f64]) {
        let [b, c] = array(p);
        match k {
            0 => self.convolve(x, |t| t / (c + t * t).powi(2), source, out),
            _ => self.convolve(x, |t| -2.0 * b * t / (c + t * t).powi(3), source, out),
        }
    }
}

/// What is the same for all: nothing of their own without peaks.
macro_rules! active {
    ($shape:ty, $up:literal, $down:literal, $about:literal, $parameters:expr) => {
        impl LineShape for $shape {
            fn id(&self) -> &'static str {
                if self.kinetic { $down } else { $up }
            }

            fn about(&self) -> &'static str {
                $about
            }

            fn parameters(&self) -> &'static [ShapeParameter] {
                $parameters
            }

            fn evaluate(&self, _: &[f64], _: &[f64], v: &mut [f64], slopes: Option<&mut [f64]>) {
                v.fill(0.0);
                if let Some(slopes) = slopes {
                    slopes.fill(0.0);
                }
            }

            fn start(&self, _: Seen) -> Vec<f64> {
                self.parameters().iter().map(|p| p.start).collect()
            }

            fn measures(&self, _: &[f64]) -> Option<Measures> {
                None
            }

            fn is_peak(&self) -> bool {
                false
            }

            fn scatterer(&self) -> Option<&dyn Scatterer> {
                Some(self)
            }
        }
    };
}
active!(
    Shirley,
    "shirley",
    "shirley_kinetic",
    "scatter times the integral of all peaks from the end without loss",
    &[SCATTER]
);
active!(
    Tougaard,
    "tougaard",
    "tougaard_kinetic",
    "all peaks convolved with the losses b T / (c + T²)²",
    &[B, C]
);

#[cfg(test)]
mod tests {
    use crate::peaks::{Component, FitOptions, Noise, PeakModel};
    use kalpha_num::rng::Stream;

    fn gauss(x: f64, area: f64, c: f64) -> f64 {
        area / 1.277_360_4 * (-2.772_588_7 * ((x - c) / 1.2).powi(2)).exp()
    }

    /// A spectrum made by the definition on a fine grid, integrals and all.
    fn spectrum(x: &[f64], kinetic: bool, loss: impl Fn(f64) -> f64) -> Vec<f64> {
        let stream = Stream::new(3, "active background", 0);
        let line = |x: f64| gauss(x, 5000.0, 10.0) + gauss(x, 3000.0, 14.0);
        let fine: Vec<f64> = (0..6000).map(|i| 0.005 * f64::from(i)).collect();
        x.iter()
            .enumerate()
            .map(|(i, x)| {
                let scattered: f64 = fine
                    .iter()
                    .filter(|e| if kinetic { *e > x } else { *e < x })
                    .map(|e| 0.005 * loss((x - e).abs()) * line(*e))
                    .sum();
                let mean = 50.0 + line(*x) + scattered;
                mean + mean.sqrt() * stream.at(0, i).normal()
            })
            .collect()
    }

    #[test]
    fn backgrounds_are_found_with_the_peaks() {
        let x: Vec<f64> = (0..300).map(|i| 0.1 * f64::from(i)).collect();
        for kinetic in [false, true] {
            let suffix = if kinetic { "_kinetic" } else { "" };
            let peak = |name: &str, center: f64| {
                let p = Component::new(name, "gaussian").unwrap();
                p.start("center", center).unwrap().start("fwhm", 1.0).unwrap()
            };
            let fit = |background: Component, y: &[f64]| {
                let base = Component::new("base", "constant").unwrap();
                let all = vec![peak("a", 10.3), peak("b", 13.8), base, background];
                let model = PeakModel::new(all).unwrap();
                let weights: Vec<f64> = y.iter().map(|v| v.max(1.0).recip()).collect();
                let noise = Noise::InverseVariance(&weights);
                let fit = model.fit(&x, y, noise, &FitOptions::default()).unwrap();
                assert!(
                    fit.converged && fit.diagnostics.reduced_chi2 < 1.3,
                    "{:?}",
                    fit.diagnostics
                );
                for (name, want) in [("a.area", 5000.0), ("b.area", 3000.0), ("a.center", 10.0)] {
                    let pull = (fit.value(name).unwrap() - want) / fit.sigma(name).unwrap();
                    assert!(pull.abs() < 4.0, "{name} {pull}");
                }
                let sum: f64 = fit.components.iter().map(|c| c[200]).sum();
                assert!((sum - fit.model[200]).abs() < 1e-9 * sum);
                fit
            };
            let y = spectrum(&x, kinetic, |_| 0.03);
            let shirley = Component::new("s", &format!("shirley{suffix}")).unwrap();
            let found = fit(shirley, &y);
            let pull =
                (found.value("s.scatter").unwrap() - 0.03) / found.sigma("s.scatter").unwrap();
            assert!(pull.abs() < 4.0, "{pull}");
            let y = spectrum(&x, kinetic, |t| 300.0 * t / (200.0 + t * t).powi(2));
            let tougaard = Component::new("s", &format!("tougaard{suffix}")).unwrap();
            let tougaard = tougaard.fix("c", 200.0).unwrap().start("b", 100.0).unwrap();
            let found = fit(tougaard, &y);
            let pull = (found.value("s.b").unwrap() - 300.0) / found.sigma("s.b").unwrap();
            assert!(pull.abs() < 4.0, "{pull}");
        }
    }
}
