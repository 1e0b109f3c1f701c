//! Shape of the continuum that electrons make in a thick or thin specimen.
//!
//! Emitted continuum after Kramers (1923) with Lifshin's (1974) second term,
//! `k1 (E0 - E)/E + k2 (E0 - E)²/E`; both terms are returned so that a fit finds k1 and k2.
//! Each is multiplied by the specimen's self-absorption, which carries its absorption edges,
//! and by the detector's efficiency.

use serde::{Deserialize, Serialize};

use crate::PhysicsError;
use crate::attenuation::mass_attenuation_mixtures;
use crate::detector::Detector;
use crate::elements::element;

/// Where the continuum comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Source {
    /// A specimen thicker than the electron range.
    Bulk {
        /// Mass fractions; they decide absorption edges and the depth of generation.
        mass_fractions: Vec<(String, f64)>,
        /// Take-off angle in degrees.
        take_off_angle: f64,
    },
    /// A film so thin that absorption in it is neglected.
    Thin,
}

/// The continuum's basis functions, counts per channel up to a factor.
///
/// `energies` are channel centres in keV. Both functions are zero below 0.1 keV and above the
/// beam energy. In a thin film Kramers' `(E0 - E)/E` becomes `1/E`, and the second term is
/// `(E0 - E)/(E0 E)`.
///
/// # Errors
/// [`PhysicsError::OutOfRange`] for a beam energy or take-off angle that makes no sense, and
/// those of [`mass_attenuation_mixtures`].
pub fn continuum_basis(
    energies: &[f64],
    beam_energy: f64,
    source: &Source,
    detector: &Detector,
) -> Result<[Vec<f64>; 2], PhysicsError> {
    if !(beam_energy > 0.0 && beam_energy.is_finite()) {
        return Err(PhysicsError::OutOfRange {
            quantity: "beam energy in keV",
            value: beam_energy,
            range: "positive numbers",
        });
    }
    let efficiency = detector.efficiencies(energies)?;
    let escaping = match source {
        Source::Thin => vec![1.0; energies.len()],
        Source::Bulk { mass_fractions, take_off_angle } => {
            self_absorption(energies, beam_energy, mass_fractions, *take_off_angle)?
        }
    };
    let mut basis = [vec![0.0; energies.len()], vec![0.0; energies.len()]];
    for (k, &e) in energies.iter().enumerate() {
        if e.is_nan() || e < 0.1 || e >= beam_energy {
            continue;
        }
        let rest = (beam_energy - e) / beam_energy;
        let first = match source {
            Source::Thin => 1.0 / e,
            Source::Bulk { .. } => escaping[k] * rest / e,
        };
        basis[0][k] = efficiency[k] * first;
        basis[1][k] = efficiency[k] * first * rest;
    }
    Ok(basis)
}

/// Fraction of continuum photons of each energy (keV) that leave a bulk specimen.
///
/// Generation is uniform down to the depth z at which electrons fall below the photon energy,
/// `f = (1 - exp(-x)) / x`, `x = (mu/rho) csc(toa) z`, with the Kanaya-Okayama mass range
/// `z = 0.0276 A / Z^0.89 (E0^1.67 - E^1.67)` in units of 1e-4 g/cm².
///
/// Source: Kanaya and Okayama (1972), J. Phys. D 5, 43, doi:10.1088/0022-3727/5/1/308.
///
/// # Errors
/// [`PhysicsError::OutOfRange`] for a take-off angle outside (0, 90] degrees; those of
/// [`mass_attenuation_mixtures`].
pub fn self_absorption(
    energies: &[f64],
    beam_energy: f64,
    mass_fractions: &[(String, f64)],
    take_off_angle: f64,
) -> Result<Vec<f64>, PhysicsError> {
    if !(take_off_angle > 0.0 && take_off_angle <= 90.0) {
        return Err(PhysicsError::OutOfRange {
            quantity: "take-off angle in degrees",
            value: take_off_angle,
            range: "above 0, up to 90",
        });
    }
    let mu = mass_attenuation_mixtures(mass_fractions, energies)?;
    let (mut a, mut z, mut total) = (0.0, 0.0, 0.0);
    for (symbol, w) in mass_fractions {
        let e = element(symbol)?;
        a += w * e.atomic_weight;
        z += w * f64::from(e.z);
        total += w;
    }
    let (a, z) = (a / total, z / total);
    let depth = 0.0276e-4 * a / z.powf(0.89) / take_off_angle.to_radians().sin();
    let fraction = |(e, mu): (&f64, f64)| {
        let x = mu * depth * (beam_energy.powf(1.67) - e.max(0.0).powf(1.67)).max(0.0);
        if x < 1e-6 { 1.0 } else { -(-x).exp_m1() / x }
    };
    Ok(energies.iter().zip(mu).map(fraction).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn falls_with_energy_and_ends_at_the_beam() {
        let e: Vec<f64> = (0..3000).map(|i| -0.1 + 0.01 * f64::from(i)).collect();
        let d = Detector::windowless();
        let [a, b] = continuum_basis(&e, 20.0, &Source::Thin, &d).unwrap();
        assert!(e.iter().zip(&a).all(|(x, v)| (*x >= 0.1 && *x < 20.0) == (*v > 0.0)));
        let at = |v: &[f64], x: f64| v[((x + 0.1) / 0.01_f64).round() as usize];
        assert!(at(&a, 3.0) > at(&a, 6.0) && at(&a, 6.0) > at(&a, 12.0));
        assert!(at(&b, 18.0) / at(&a, 18.0) < 0.2);
    }

    #[test]
    fn bulk_continuum_has_the_absorption_edge() {
        let iron = vec![("Fe".to_string(), 1.0)];
        let f = self_absorption(&[7.05, 7.20], 20.0, &iron, 35.0).unwrap();
        let (below, above) = (f[0], f[1]);
        assert!(above < 0.9 * below, "{above} {below}");
        assert!(self_absorption(&[7.0], 20.0, &iron, 0.0).is_err());
        assert!(self_absorption(&[7.0], 20.0, &[], 35.0).is_err());
        let source = Source::Bulk { mass_fractions: iron, take_off_angle: 35.0 };
        assert!(continuum_basis(&[1.0], -1.0, &source, &Detector::windowless()).is_err());
    }
}
