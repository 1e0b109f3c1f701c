//! Absorption of X-rays on their way out of a thin film.
//!
//! Electrons make X-rays evenly through the film, so a line of mass attenuation coefficient
//! `mu` (cm2/g, of the film) that leaves at take-off angle `alpha` through mass thickness
//! `rho t` is weakened to `(1 - exp(-chi)) / chi` with `chi = mu rho t / sin(alpha)`. The
//! correction factor is the inverse:
//!
//! `A = chi / (1 - exp(-chi))`
//!
//! (Philibert 1963; Watanabe and Williams 2006, doi:10.1111/j.1365-2818.2006.01549.x). `mu`
//! and `rho` depend on the composition, so the composition is found by fixed-point iteration.
//!
//! Density: elements are mixed at constant volume, `1/rho = sum w_i / rho_i`, or the user gives
//! it. eXSpy averages densities by mass, `rho = sum w_i rho_i`, which is too dense; that is kept
//! as [`Density::Exspy`] to compare with it.
//!
//! Tested against eXSpy 0.3.2 on FePt at 10-200 nm (`CL_abs_t*nm_atomic`).

use crate::error::QuantifyError;
use serde::{Deserialize, Serialize};

/// Below this density (g/cm3) a pure element is a gas and says nothing of a solid film.
const GAS_DENSITY: f64 = 0.02;

/// How the density of the film is found.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Density {
    /// `1/rho = sum w_i / rho_i`: elements side by side at their own density.
    #[default]
    Harmonic,
    /// `rho = sum w_i rho_i`, as eXSpy does.
    Exspy,
    /// A known density, g/cm3.
    Value(f64),
}

/// The film and its tables. `n` lines belong to `n` elements, in the same order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThinFilm {
    /// Thickness, nm.
    pub thickness_nm: f64,
    /// One-sigma uncertainty of the thickness, nm.
    pub thickness_sigma_nm: f64,
    /// Take-off angle, degree.
    pub take_off_angle_deg: f64,
    /// How the density is found.
    pub density: Density,
    /// Symbols of the elements, for messages.
    pub elements: Vec<String>,
    /// Density of each pure element, g/cm3.
    pub element_density: Vec<f64>,
    /// Mass attenuation `[line][absorber]`, cm2/g, `n x n` row-major.
    pub mass_attenuation: Vec<f64>,
    /// Relative one-sigma uncertainty of all attenuation coefficients together.
    pub mass_attenuation_relative_sigma: f64,
    /// The iteration stops when no weight percent moves by more than this.
    pub tolerance_percent: f64,
    /// Iterations before it is given up.
    pub max_iterations: usize,
}

impl ThinFilm {
    /// Relative uncertainty of tabulated attenuation coefficients where none is given.
    pub const ATTENUATION_SIGMA: f64 = 0.05;

    /// A film with default iteration limits, 5 % on the attenuation coefficients and an exactly
    /// known thickness.
    pub fn new(
        thickness_nm: f64,
        take_off_angle_deg: f64,
        elements: Vec<String>,
        element_density: Vec<f64>,
        mass_attenuation: Vec<f64>,
    ) -> Self {
        Self {
            thickness_nm,
            thickness_sigma_nm: 0.0,
            take_off_angle_deg,
            density: Density::Harmonic,
            elements,
            element_density,
            mass_attenuation,
            mass_attenuation_relative_sigma: Self::ATTENUATION_SIGMA,
            tolerance_percent: 1e-9,
            max_iterations: 100,
        }
    }

    /// Checks lengths and ranges for `n` lines.
    ///
    /// # Errors
    /// On a wrong length, a non-positive thickness or angle, or a gas without a given density.
    pub fn validate(&self, n: usize) -> Result<(), QuantifyError> {
        for (what, got, expected) in [
            ("elements of the film", self.elements.len(), n),
            ("element densities", self.element_density.len(), n),
            ("mass attenuation table", self.mass_attenuation.len(), n * n),
        ] {
            if got != expected {
                return Err(QuantifyError::Length { what, got, expected });
            }
        }
        let in_range = |what, value: f64, low: f64, high: f64, range| {
            if value > low && value <= high {
                Ok(())
            } else {
                Err(QuantifyError::OutOfRange { what, value, range })
            }
        };
        in_range("thickness", self.thickness_nm, 0.0, f64::MAX, "(0, inf) nm")?;
        in_range("take-off angle", self.take_off_angle_deg, 0.0, 90.0, "(0, 90] degree")?;
        match self.density {
            Density::Value(value) => {
                in_range("density", value, 0.0, 30.0, "(0, 30] g/cm3")?;
            }
            Density::Harmonic | Density::Exspy => {
                for (element, &density) in self.elements.iter().zip(&self.element_density) {
                    if density < GAS_DENSITY {
                        return Err(QuantifyError::DensityNeeded { element: element.clone() });
                    }
                }
            }
        }
        Ok(())
    }

    /// Density of a film of these weight fractions, g/cm3.
    pub fn density(&self, weight: &[f64]) -> f64 {
        let mean = |value: &dyn Fn(f64) -> f64| -> f64 {
            weight.iter().zip(&self.element_density).map(|(w, &rho)| w * value(rho)).sum()
        };
        match self.density {
            Density::Value(value) => value,
            Density::Harmonic => 1.0 / mean(&|rho| 1.0 / rho),
            Density::Exspy => mean(&|rho| rho),
        }
    }

    /// Mass thickness of a film of these weight fractions, kg/m2.
    pub fn mass_thickness(&self, weight: &[f64]) -> f64 {
        // g/cm3 = 1e3 kg/m3, nm = 1e-9 m.
        self.density(weight) * self.thickness_nm * 1e-6
    }

    /// Correction factor of each line for a film of these weight fractions; all >= 1.
    ///
    /// Negative fractions (noise) count as zero here: a film has no negative mass.
    pub fn factors(&self, weight: &[f64]) -> Vec<f64> {
        let positive: Vec<f64> = weight.iter().map(|w| w.max(0.0)).collect();
        let total: f64 = positive.iter().sum();
        let film: Vec<f64> = positive.iter().map(|w| w / total).collect();
        // cm2/g = 0.1 m2/kg.
        let path = self.mass_thickness(&film) * 0.1 / self.take_off_angle_deg.to_radians().sin();
        self.mass_attenuation
            .chunks_exact(film.len())
            .map(|row| correction(path * row.iter().zip(&film).map(|(m, w)| m * w).sum::<f64>()))
            .collect()
    }
}

/// `chi / (1 - exp(-chi))`, 1 at zero.
pub fn correction(chi: f64) -> f64 {
    if chi.abs() < 1e-12 { 1.0 } else { -chi / (-chi).exp_m1() }
}

/// What the iteration did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AbsorptionReport {
    /// Correction factor of each line.
    pub factors: Vec<f64>,
    /// Density used, g/cm3.
    pub density_g_cm3: f64,
    /// Mass thickness, kg/m2.
    pub mass_thickness_kg_m2: f64,
    /// Iterations.
    pub iterations: usize,
    /// Whether it settled within the tolerance.
    pub converged: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn film() -> ThinFilm {
        ThinFilm::new(
            100.0,
            18.0,
            vec!["Fe".into(), "Pt".into()],
            vec![7.874, 21.09],
            vec![63.98, 324.59, 196.42, 122.11],
        )
    }

    #[test]
    fn correction_is_smooth_at_zero_and_linear_far_out() {
        assert_eq!(correction(0.0), 1.0);
        assert!((correction(1e-6) - (1.0 + 0.5e-6)).abs() < 1e-12);
        assert!((correction(50.0) - 50.0).abs() < 1e-12);
    }

    #[test]
    fn harmonic_density_is_below_the_mass_average() {
        let mut film = film();
        let weight = [0.5, 0.5];
        let harmonic = film.density(&weight);
        film.density = Density::Exspy;
        let averaged = film.density(&weight);
        assert!((averaged - 14.482).abs() < 1e-9);
        assert!((harmonic - 1.0 / (0.5 / 7.874 + 0.5 / 21.09)).abs() < 1e-12);
        assert!(harmonic < averaged);
        film.density = Density::Value(15.0);
        assert_eq!(film.density(&weight), 15.0);
    }

    #[test]
    fn negative_fractions_do_not_absorb() {
        let film = film();
        assert_eq!(film.factors(&[1.2, -0.2]), film.factors(&[1.0, 0.0]));
    }

    #[test]
    fn a_gas_needs_a_density() {
        let mut film = film();
        film.elements[0] = "O".into();
        film.element_density[0] = 0.001429;
        assert_eq!(film.validate(2), Err(QuantifyError::DensityNeeded { element: "O".into() }));
        film.density = Density::Value(3.9);
        assert_eq!(film.validate(2), Ok(()));
        film.take_off_angle_deg = 0.0;
        assert!(film.validate(2).is_err());
    }
}
