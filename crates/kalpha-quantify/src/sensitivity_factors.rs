//! Atomic percent from areas of photoelectron peaks.
//!
//! For a homogeneous surface region, `x_i = (A_i / s_i) / sum_j (A_j / s_j)` with the sensitivity
//! `s = sigma(h nu) lambda(E_K) T(E_K)`: cross-section, attenuation length and transmission. The
//! cross-sections are Scofield's for Al K-alpha; `lambda ~ E_K^0.75`, and the transmission follows
//! another power of the kinetic energy, 0 where areas are corrected for it already.
//!
//! The budget holds counting (with the covariance of the areas), one independent relative error per
//! cross-section (backgrounds and shake-up losses included: 10 % as published round robins show),
//! and the error of the exponent, fully correlated between lines. A real composition differs where
//! the surface is layered or contaminated; no budget knows.
//!
//! Sources: Scofield (1976), doi:10.1016/0368-2048(76)80015-1; exponent: Powell and Jablonski
//! (1999), J. Phys. Chem. Ref. Data 28, 19, doi:10.1063/1.556035; accuracy: Brundle and Crist
//! (2020), J. Vac. Sci. Technol. A 38, 041001, doi:10.1116/1.5143897.
//! Tested against its own equation and by moving every input.

use crate::QuantifyError;
use kalpha_core::{Cause, Quantity, Systematics};
use kalpha_physics::photoemission::{AL_KA, photoelectron_line};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What turns areas into atoms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sensitivity {
    /// Photon energy, eV. Cross-sections are those of Al K-alpha whatever it is.
    pub photon_energy: f64,
    /// Power of the kinetic energy that the attenuation length follows.
    pub attenuation_exponent: f64,
    /// Power of the kinetic energy that the transmission follows: 0 where areas are corrected.
    pub transmission_exponent: f64,
    /// Standard deviation of the two powers together.
    pub exponent_sigma: f64,
    /// Relative standard deviation of a cross-section.
    pub cross_section_sigma: f64,
    /// Sensitivities of the instrument, by line (`C 1s`), in place of all the above; relative to
    /// one another.
    pub factors: BTreeMap<String, f64>,
}

impl Default for Sensitivity {
    fn default() -> Self {
        Self {
            photon_energy: AL_KA,
            attenuation_exponent: 0.75,
            transmission_exponent: 0.0,
            exponent_sigma: 0.2,
            cross_section_sigma: 0.1,
            factors: BTreeMap::new(),
        }
    }
}

/// Atomic percent of each line's element, in the order of the lines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SurfaceComposition {
    /// Lines: `O 1s`.
    pub lines: Vec<String>,
    /// Sensitivity of each, relative to C 1s unless given.
    pub sensitivity: Vec<f64>,
    /// Atomic percent.
    pub atomic_percent: Vec<Quantity>,
}

/// Composition from areas of `lines` with their covariance (row-major).
///
/// # Errors
/// [`QuantifyError::Length`] for unequal lengths; for an unknown line, for a line that the photon
/// does not reach, and where the areas do not add up to a positive number of atoms.
pub fn sensitivity_factors(
    lines: &[String],
    areas: &[f64],
    covariance: &[f64],
    options: &Sensitivity,
) -> Result<SurfaceComposition, QuantifyError> {
    let n = lines.len();
    for (what, got, expected) in
        [("areas", areas.len(), n), ("covariance of areas", covariance.len(), n * n)]
    {
        if got != expected {
            return Err(QuantifyError::Length { what, got, expected });
        }
    }
    let carbon = options.photon_energy - photoelectron_line("C 1s")?.binding_energy;
    // Sensitivity, and its logarithmic derivative by the exponent.
    let mut sensitivity = Vec::with_capacity(n);
    let mut slope = Vec::with_capacity(n);
    for name in lines {
        if let Some(factor) = options.factors.get(name) {
            sensitivity.push(*factor);
            slope.push(0.0);
            continue;
        }
        let line = photoelectron_line(name)?;
        let kinetic = options.photon_energy - line.binding_energy;
        if kinetic <= 0.0 {
            return Err(QuantifyError::OutOfReach {
                line: line.name(),
                photon_energy: options.photon_energy,
            });
        }
        let ratio = (kinetic / carbon).ln();
        let power = options.attenuation_exponent + options.transmission_exponent;
        sensitivity.push(line.cross_section * (power * ratio).exp());
        slope.push(ratio);
    }
    if let Some(i) = sensitivity.iter().position(|s| !(s.is_finite() && *s > 0.0)) {
        return Err(QuantifyError::Sensitivity { line: lines[i].clone(), value: sensitivity[i] });
    }
    let atoms: Vec<f64> = areas.iter().zip(&sensitivity).map(|(a, s)| a / s).collect();
    let total: f64 = atoms.iter().sum();
    if !(total.is_finite() && total > 0.0) {
        return Err(QuantifyError::NoAtoms { total });
    }
    let x: Vec<f64> = atoms.iter().map(|a| a / total).collect();
    // d x_i / d ln(atoms_j) = x_i (delta_ij - x_j)
    let by_log = |i: usize, j: usize| x[i] * (f64::from(u8::from(i == j)) - x[j]);
    let by_area =
        |i: usize, j: usize| (f64::from(u8::from(i == j)) - x[i]) / (sensitivity[j] * total);
    let mut atomic_percent = Vec::with_capacity(n);
    for i in 0..n {
        let mut variance = 0.0;
        for a in 0..n {
            for b in 0..n {
                variance += by_area(i, a) * covariance[a * n + b] * by_area(i, b);
            }
        }
        let mut syst = Systematics::none();
        for (j, line) in lines.iter().enumerate() {
            let shift = -100.0 * by_log(i, j) * options.cross_section_sigma;
            syst.add(Cause::Other(format!("cross_section:{line}")), shift);
        }
        let exponent: f64 = (0..n).map(|j| -by_log(i, j) * slope[j]).sum();
        let cause = Cause::Other("energy_dependence".to_owned());
        syst.add(cause, 100.0 * exponent * options.exponent_sigma);
        let stat = 100.0 * variance.max(0.0).sqrt();
        atomic_percent.push(Quantity::measured(100.0 * x[i], stat, syst));
    }
    Ok(SurfaceComposition { lines: lines.to_vec(), sensitivity, atomic_percent })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Vec<String> {
        ["C 1s", "O 1s", "Ti 2p"].map(String::from).to_vec()
    }

    fn of(areas: &[f64], options: &Sensitivity) -> Vec<f64> {
        let zero = vec![0.0; areas.len() * areas.len()];
        let found = sensitivity_factors(&lines(), areas, &zero, options).unwrap();
        found.atomic_percent.iter().map(|q| q.value().unwrap()).collect()
    }

    #[test]
    fn titanium_dioxide_comes_back() {
        let options = Sensitivity::default();
        let zero = [0.0; 9];
        let s = sensitivity_factors(&lines(), &[1.0; 3], &zero, &options).unwrap().sensitivity;
        assert!((s[0] - 1.0).abs() < 1e-12);
        // Kinetic energies 956 and 1203 eV.
        assert!((s[1] / 2.93 - (955.6f64 / 1202.6).powf(0.75)).abs() < 2e-3, "{s:?}");
        let areas: Vec<f64> = [0.1, 0.6, 0.3].iter().zip(&s).map(|(x, s)| 1e4 * x * s).collect();
        let x = of(&areas, &options);
        for (got, want) in x.iter().zip([10.0, 60.0, 30.0]) {
            assert!((got - want).abs() < 1e-9, "{x:?}");
        }
    }

    #[test]
    fn budgets_are_what_moving_the_inputs_does() {
        let (areas, options) = ([900.0, 5200.0, 6100.0], Sensitivity::default());
        let covariance = [400.0, -50.0, 0.0, -50.0, 2500.0, 10.0, 0.0, 10.0, 3600.0];
        let found = sensitivity_factors(&lines(), &areas, &covariance, &options).unwrap();
        let x = of(&areas, &options);
        let step = 1e-4;
        for i in 0..3 {
            let Quantity::Measured { stat, syst, .. } = &found.atomic_percent[i] else { panic!() };
            let slope = |j: usize| {
                let mut moved = areas;
                moved[j] *= 1.0 + step;
                (of(&moved, &options)[i] - x[i]) / (areas[j] * step)
            };
            let mut variance = 0.0;
            for a in 0..3 {
                for b in 0..3 {
                    variance += slope(a) * covariance[3 * a + b] * slope(b);
                }
            }
            assert!((stat / variance.sqrt() - 1.0).abs() < 1e-3, "{stat} {}", variance.sqrt());
            let moved = Sensitivity { attenuation_exponent: 0.75 + step, ..options.clone() };
            let want = (of(&areas, &moved)[i] - x[i]) / step * options.exponent_sigma;
            let shift = |name: &str| {
                syst.iter().find(|(c, _)| c.to_string() == name).map(|(_, s)| s).unwrap()
            };
            assert!((shift("energy_dependence") - want).abs() < 1e-3 * want.abs().max(0.01));
            let want = -0.1 * slope(1) * areas[1];
            let got = shift("cross_section:O 1s");
            assert!((got - want).abs() < 1e-3 * want.abs(), "{got} {want}");
        }
        // Everything adds to 100 %: no error of the sum.
        let sum: f64 = found.atomic_percent.iter().map(|q| q.value().unwrap()).sum();
        assert!((sum - 100.0).abs() < 1e-9);
    }

    #[test]
    fn nonsense_is_refused() {
        let options = Sensitivity::default();
        let zero = [0.0; 9];
        for areas in [[0.0; 3], [-1.0, -2.0, -3.0], [f64::NAN, 1.0, 1.0]] {
            assert!(sensitivity_factors(&lines(), &areas, &zero, &options).is_err());
        }
        assert!(sensitivity_factors(&lines(), &[1.0; 2], &zero, &options).is_err());
        let unknown = ["C 9s".to_owned()];
        assert!(sensitivity_factors(&unknown, &[1.0], &[0.0], &options).is_err());
        let slow = Sensitivity { photon_energy: 300.0, ..options.clone() };
        assert!(sensitivity_factors(&lines(), &[1.0; 3], &zero, &slow).is_err());
        let given = Sensitivity { factors: [("C 1s".into(), 0.0)].into(), ..options };
        assert!(sensitivity_factors(&lines(), &[1.0; 3], &zero, &given).is_err());
    }
}
