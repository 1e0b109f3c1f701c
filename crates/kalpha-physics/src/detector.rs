//! Energy-dispersive silicon detector: resolution, efficiency, escape and geometry.

use serde::{Deserialize, Serialize};
use xraydb::CrossSectionKind;

use crate::PhysicsError;
use crate::attenuation::mass_attenuation;
use crate::elements::database;

/// Energy of Mn K-alpha in keV, where resolution is quoted.
pub const MN_KA: f64 = 5.8987;
/// Energy of Si K-alpha in keV, the energy lost by escape.
pub const SI_KA: f64 = 1.7397;
/// Si K edge in keV.
pub const SI_K_EDGE: f64 = 1.8389;
/// Fluorescence yield of the Si K shell, Krause (1979), doi:10.1063/1.555594. Elam's value is a
/// quarter lower and gives escape peaks that are too weak.
const SI_K_YIELD: f64 = 0.050;
/// Full width at half maximum over standard deviation of a Gaussian, `2 sqrt(2 ln 2)`.
pub const FWHM_PER_SIGMA: f64 = 2.354_820_045_030_949;

/// FWHM in keV at `energy` keV for a resolution of `mn_ka_ev` eV at Mn K-alpha.
///
/// `FWHM² = 2.5 (E - E_MnKa) + FWHM_MnKa²`, all in eV. Where the right side is not positive
/// the width is zero. Tested against eXSpy 0.3.2, 18 values, to 1e-12.
///
/// Source: Fiori and Newbury (1978), Scanning Electron Microscopy 1, 401.
pub fn fwhm(mn_ka_ev: f64, energy: f64) -> f64 {
    let square = 2.5 * (energy - MN_KA) * 1e3 + mn_ka_ev * mn_ka_ev;
    square.max(0.0).sqrt() * 1e-3
}

/// Width of a peak as a function of energy: `FWHM² = noise² + slope E`, in eV.
///
/// `noise` is the electronic noise, `slope = 8 ln 2 F eps` the charge statistics (2.5 eV for
/// a Fano factor near 0.12 in silicon).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Resolution {
    /// Square of the FWHM at zero energy, eV². May be negative for a poor quoted value.
    pub noise_squared: f64,
    /// Increase of FWHM² per eV of photon energy, eV.
    pub slope: f64,
}

impl Resolution {
    /// From the FWHM in eV at Mn K-alpha, with the conventional slope of 2.5 eV.
    pub fn from_mn_ka(mn_ka_ev: f64) -> Self {
        Self { noise_squared: mn_ka_ev * mn_ka_ev - 2.5 * MN_KA * 1e3, slope: 2.5 }
    }

    /// FWHM in keV at `energy` keV; never below 10 eV.
    pub fn fwhm(&self, energy: f64) -> f64 {
        let square = self.noise_squared + self.slope * energy * 1e3;
        square.max(100.0).sqrt() * 1e-3
    }

    /// Standard deviation in keV at `energy` keV.
    pub fn sigma(&self, energy: f64) -> f64 {
        self.fwhm(energy) / FWHM_PER_SIGMA
    }

    /// FWHM in eV at Mn K-alpha.
    pub fn mn_ka_ev(&self) -> f64 {
        self.fwhm(MN_KA) * 1e3
    }
}

/// A layer in front of or inside the detector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// Chemical formula, `Al`, `C22H10N2O5`.
    pub formula: String,
    /// Density in g/cm³.
    pub density: f64,
    /// Thickness in µm.
    pub thickness_um: f64,
}

impl Layer {
    /// Fraction of photons of each energy (keV) that pass.
    ///
    /// # Errors
    /// [`PhysicsError::MissingData`] for a formula that cannot be read.
    pub fn transmissions(&self, energies: &[f64]) -> Result<Vec<f64>, PhysicsError> {
        let ev: Vec<f64> = energies.iter().map(|e| e * 1e3).collect();
        let mu = database()?
            .material_mu(&self.formula, self.density, &ev, CrossSectionKind::Photo)
            .map_err(|_| PhysicsError::MissingData {
                element: self.formula.clone(),
                what: "attenuation of the layer",
            })?;
        Ok(mu.into_iter().map(|m| (-m * self.thickness_um * 1e-4).exp()).collect())
    }
}

/// What stands between the specimen and the counted pulse.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detector {
    /// Entrance window, outermost first; empty for a windowless detector.
    pub window: Vec<Layer>,
    /// Open fraction of a support grid that stops soft photons (1 without grid).
    pub open_fraction: f64,
    /// Grid bars, transparent only to hard photons.
    pub grid: Option<Layer>,
    /// Front contact and dead silicon.
    pub dead_layers: Vec<Layer>,
    /// Active silicon, mm.
    pub thickness_mm: f64,
}

impl Detector {
    /// The default: a silicon drift detector of 0.45 mm with a polymer window on a silicon
    /// grid (0.3 µm polyimide, 0.03 µm Al, 380 µm grid with 77 % open area), 30 nm Al contact
    /// and 50 nm dead silicon.
    pub fn polymer_window() -> Self {
        Self {
            window: vec![layer("C22H10N2O5", 1.42, 0.3), layer("Al", 2.70, 0.03)],
            open_fraction: 0.77,
            grid: Some(layer("Si", 2.33, 380.0)),
            ..Self::windowless()
        }
    }

    /// A windowless silicon drift detector: contact, dead layer and 0.45 mm of silicon.
    pub fn windowless() -> Self {
        Self {
            window: Vec::new(),
            open_fraction: 1.0,
            grid: None,
            dead_layers: vec![layer("Al", 2.70, 0.03), layer("Si", 2.33, 0.05)],
            thickness_mm: 0.45,
        }
    }

    /// Fraction of photons of `energy` keV that enter and are counted.
    ///
    /// Zero below 0.1 keV, where the attenuation tables end.
    ///
    /// # Errors
    /// Those of [`Layer::transmissions`].
    pub fn efficiency(&self, energy: f64) -> Result<f64, PhysicsError> {
        Ok(self.efficiencies(&[energy])?[0])
    }

    /// [`Detector::efficiency`] of many energies; one look-up per layer.
    ///
    /// # Errors
    /// Those of [`Layer::transmissions`].
    pub fn efficiencies(&self, energies: &[f64]) -> Result<Vec<f64>, PhysicsError> {
        let mut eff = vec![self.open_fraction; energies.len()];
        if let Some(grid) = &self.grid {
            let through = grid.transmissions(energies)?;
            eff.iter_mut().zip(through).for_each(|(e, t)| *e += (1.0 - self.open_fraction) * t);
        }
        for l in self.window.iter().chain(&self.dead_layers) {
            let through = l.transmissions(energies)?;
            eff.iter_mut().zip(through).for_each(|(e, t)| *e *= t);
        }
        let active = layer("Si", 2.33, self.thickness_mm * 1e3).transmissions(energies)?;
        eff.iter_mut().zip(active).for_each(|(e, t)| *e *= 1.0 - t);
        let usable = |e: f64| e.is_finite() && e >= 0.1;
        eff.iter_mut().zip(energies).filter(|(_, e)| !usable(**e)).for_each(|(v, _)| *v = 0.0);
        Ok(eff)
    }
}

fn layer(formula: &str, density: f64, thickness_um: f64) -> Layer {
    Layer { formula: formula.into(), density, thickness_um }
}

/// Escape peak over full-energy peak for photons of `energy` keV that hit silicon normally.
///
/// `e = w (1 - 1/r) [1 - (m'/m) ln(1 + m/m')] / 2`, ratio `e / (1 - e)`, with K yield w, jump
/// ratio r, and m, m' the attenuation of silicon for the photon and for Si K-alpha.
/// Zero below the Si K edge.
///
/// Source: Reed and Ware (1972), J. Phys. E 5, 582, doi:10.1088/0022-3735/5/6/029.
///
/// # Errors
/// Those of [`mass_attenuation`].
pub fn escape_ratio(energy: f64) -> Result<f64, PhysicsError> {
    if energy.is_nan() || energy <= SI_K_EDGE {
        return Ok(0.0);
    }
    let edge = database()?
        .xray_edge("Si", "K")
        .map_err(|_| PhysicsError::MissingData { element: "Si".into(), what: "K edge" })?;
    let photon = mass_attenuation("Si", energy)?;
    let fluorescence = mass_attenuation("Si", SI_KA)?;
    let ratio = fluorescence / photon;
    let escape =
        0.5 * SI_K_YIELD * (1.0 - 1.0 / edge.jump_ratio) * (1.0 - ratio * (1.0 / ratio).ln_1p());
    Ok(escape / (1.0 - escape))
}

/// Take-off angle in degrees of a detector seen from a tilted specimen.
///
/// All angles in degrees: `tilt` about the stage axis alpha, `beta_tilt` about the second
/// axis, `azimuth` of the detector from the alpha axis, `elevation` of the detector.
/// `sin(toa) = n . d` with the specimen normal n and the detector direction d.
/// Tested against eXSpy 0.3.2 to 1e-9 for beta_tilt = 0.
pub fn take_off_angle(tilt: f64, azimuth: f64, elevation: f64, beta_tilt: f64) -> f64 {
    let (a, b) = (tilt.to_radians(), beta_tilt.to_radians());
    let (phi, theta) = (azimuth.to_radians(), elevation.to_radians());
    let normal = [a.sin() * b.cos(), b.sin(), a.cos() * b.cos()];
    let detector = [theta.cos() * phi.cos(), theta.cos() * phi.sin(), theta.sin()];
    let sine: f64 = normal.iter().zip(&detector).map(|(n, d)| n * d).sum();
    sine.clamp(-1.0, 1.0).asin().to_degrees()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formulae() -> Option<serde_json::Value> {
        let path = kalpha_reference::path("reference/eds/ref_eds.json")?;
        let text = std::fs::read_to_string(path).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        Some(json["formulae"].clone())
    }

    #[test]
    fn width_as_exspy() {
        let Some(json) = formulae() else { return };
        let table = json["FWHM_at_E"].as_object().unwrap();
        assert_eq!(table.len(), 18);
        for (key, value) in table {
            let (res, e) = key.trim_matches(['(', ')']).split_once(", ").unwrap();
            // The peer looks a line up; 0.277, 0.525, ... stand for the nearest tabulated ones.
            let ours = fwhm(res.parse().unwrap(), e.parse().unwrap());
            let theirs = value.as_f64().unwrap();
            assert!((ours - theirs).abs() < 1e-12, "{key}: {ours} {theirs}");
        }
    }

    #[test]
    fn take_off_as_exspy() {
        let Some(json) = formulae() else { return };
        for case in json["take_off"].as_array().unwrap() {
            let f = |k: &str| case[k].as_f64().unwrap();
            let ours = take_off_angle(f("tilt_stage"), f("azimuth"), f("elevation"), 0.0);
            assert!((ours - f("toa")).abs() < 1e-9, "{case}: {ours}");
        }
    }

    #[test]
    fn resolution_agrees_with_the_formula() {
        let r = Resolution::from_mn_ka(130.0);
        assert!((r.fwhm(8.0478) - fwhm(130.0, 8.0478)).abs() < 1e-12);
        assert!((r.mn_ka_ev() - 130.0).abs() < 1e-9);
        assert_eq!(fwhm(50.0, 0.2), 0.0);
        assert!(Resolution::from_mn_ka(50.0).sigma(0.2) > 0.0);
    }

    #[test]
    fn escape_is_below_two_percent_and_falls() {
        assert_eq!(escape_ratio(1.5).unwrap(), 0.0);
        let p = escape_ratio(2.0137).unwrap();
        let fe = escape_ratio(6.4039).unwrap();
        // Published for Si(Li) at normal incidence: P about 1.5-2 %, Fe 0.3-0.4 %.
        assert!((0.010..0.025).contains(&p), "{p}");
        assert!((0.0025..0.005).contains(&fe), "{fe}");
    }

    #[test]
    fn efficiency_rises_from_soft_to_hard_and_falls_again() {
        let d = Detector::polymer_window();
        let at = |e| d.efficiency(e).unwrap();
        assert_eq!(at(0.05), 0.0);
        assert_eq!(at(f64::NAN), 0.0);
        assert!(at(0.277) > 0.2 && at(0.277) < 0.8);
        assert!(at(5.9) > 0.75 && at(5.9) <= 1.0);
        assert!(at(30.0) < at(10.0));
        assert!(Detector::windowless().efficiency(0.277).unwrap() > at(0.277));
    }
}
