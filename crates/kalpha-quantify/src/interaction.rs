//! How far electrons and X-rays reach in a bulk specimen.
//!
//! - Electron range (Kanaya and Okayama 1972, doi:10.1088/0022-3727/5/1/308):
//!   `R = 0.0276 A E^1.67 / (Z^0.89 rho)` in micrometres, E in keV, A in g/mol, rho in g/cm3.
//! - X-ray range (Anderson and Hasler 1966, Proc. 4th Int. Conf. X-ray Optics and
//!   Microanalysis, p. 310): `R = 0.064 (E0^1.68 - Ec^1.68) / rho` in micrometres.
//!
//! Tested against eXSpy 0.3.2 (`electron_range_um`, `xray_range_um`). eXSpy puts the line
//! energy where the paper has the critical excitation energy; the caller chooses which to pass.

use crate::error::QuantifyError;
use kalpha_core::{Code, Diagnostic, Metadata, RowsMeta, Specimen, Unit};
use kalpha_fit::eds::identify::Identification;
use kalpha_physics::specimen::decide;

/// One element of a bulk mixture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BulkElement {
    /// Atomic number.
    pub z: u8,
    /// Molar mass, g/mol.
    pub molar_mass: f64,
    /// Weight fraction.
    pub weight_fraction: f64,
}

fn positive(what: &'static str, value: f64) -> Result<f64, QuantifyError> {
    if value.is_finite() && value > 0.0 {
        Ok(value)
    } else {
        Err(QuantifyError::OutOfRange { what, value, range: "(0, inf)" })
    }
}

/// Electron range in micrometres of a mixture at normal incidence times cos(tilt).
///
/// `A / Z^0.89` is averaged by weight fraction, which is the sum of the elements'
/// stopping contributions inverted: `1/R = sum_i w_i / R_i` at common density.
///
/// # Errors
/// [`QuantifyError::OutOfRange`] for non-positive energy, density or total fraction.
pub fn electron_range_um(
    elements: &[BulkElement],
    density_g_cm3: f64,
    beam_energy_kev: f64,
    tilt_deg: f64,
) -> Result<f64, QuantifyError> {
    positive("density", density_g_cm3)?;
    positive("beam energy", beam_energy_kev)?;
    let total =
        positive("sum of weight fractions", elements.iter().map(|e| e.weight_fraction).sum())?;
    let inverse: f64 = elements
        .iter()
        .map(|e| e.weight_fraction / total * f64::from(e.z).powf(0.89) / e.molar_mass)
        .sum();
    let inverse = positive("stopping power", inverse)?;
    Ok(0.0276 / inverse / density_g_cm3 * beam_energy_kev.powf(1.67) * tilt_deg.to_radians().cos())
}

/// X-ray production range in micrometres; 0 when the beam cannot excite the line.
///
/// # Errors
/// [`QuantifyError::OutOfRange`] for a non-positive energy or density.
pub fn xray_range_um(
    critical_energy_kev: f64,
    beam_energy_kev: f64,
    density_g_cm3: f64,
) -> Result<f64, QuantifyError> {
    positive("density", density_g_cm3)?;
    positive("beam energy", beam_energy_kev)?;
    positive("critical energy", critical_energy_kev)?;
    let excess = beam_energy_kev.powf(1.68) - critical_energy_kev.powf(1.68);
    Ok((0.064 / density_g_cm3 * excess).max(0.0))
}

/// Says whether neighbouring pixels of a bulk map share their X-ray source volume.
///
/// Returns the ratio range / pixel size where it exceeds one: each spectrum then averages
/// over about that many pixels in each direction.
pub fn pixels_overlap(xray_range_um: f64, pixel_size_um: f64) -> Option<f64> {
    let ratio = xray_range_um / pixel_size_um;
    (ratio.is_finite() && pixel_size_um > 0.0 && ratio > 1.0).then_some(ratio)
}

/// Density in g/cm3 of a bulk specimen that states none: that of common rocks.
const ASSUMED_DENSITY: f64 = 2.7;

/// Edge of a pixel in micrometres, the smaller of both, where the axes state a length.
fn pixel_size_um(meta: &RowsMeta) -> Option<f64> {
    let sizes = meta.navigation.iter().filter(|axis| axis.len() > 1).map(|axis| {
        let per_um = match axis.unit {
            Unit::Nanometre => 1e-3,
            Unit::Micrometre => 1.0,
            _ => return None,
        };
        axis.offset_scale().map(|(_, scale)| per_um * scale.abs())
    });
    sizes.collect::<Option<Vec<f64>>>()?.into_iter().reduce(f64::min)
}

/// Warns where the pixels of a bulk map are smaller than the range of its X-rays.
///
/// The range is that of the line with the lowest critical energy (it reaches farthest before
/// absorption), at the stated density or at 2.7 g/cm3, which is then said. `None` for thin
/// specimens, single spectra, and where pixels are large enough or of unknown size.
pub fn small_pixels(
    meta: &RowsMeta,
    metadata: &Metadata,
    found: &Identification,
) -> Option<Diagnostic> {
    if decide(metadata).specimen != Some(Specimen::Bulk) {
        return None;
    }
    let (pixel, beam) = (pixel_size_um(meta)?, metadata.beam_energy_kev?);
    let family = found.families.iter().min_by(|a, b| a.edge.total_cmp(&b.edge))?;
    let density = metadata.density_g_cm3.unwrap_or(ASSUMED_DENSITY);
    let range = xray_range_um(family.edge, beam, density).ok()?;
    let ratio = pixels_overlap(range, pixel)?;
    let assumed = if metadata.density_g_cm3.is_some() { "" } else { " assumed" };
    let message = format!(
        "X-rays ({}) come from about {range:.1} um at {beam} kV and {density} g/cm3{assumed}, and \
         pixels are {pixel:.2} um: each spectrum averages over about {ratio:.1} pixels in each \
         direction",
        family.name()
    );
    let said = Diagnostic::warning(Code::PixelSize, message);
    Some(said.hint("phases smaller than that are mixtures; --set density_g_cm3=.. for the range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Symbol, Z, molar mass and density as eXSpy 0.3.2 tabulates them.
    const PURE: [(&str, u8, f64, f64); 3] =
        [("Al", 13, 26.9815386, 2.7), ("Cu", 29, 63.546, 8.92), ("Au", 79, 196.966569, 19.3)];

    #[test]
    fn ranges_equal_exspy() {
        let Some(path) = kalpha_reference::path("reference/eds/ref_eds.json") else { return };
        let json: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let formulae = &json["formulae"];
        for (symbol, z, molar_mass, density) in PURE {
            for energy in [5.0, 10.0, 20.0] {
                let element = BulkElement { z, molar_mass, weight_fraction: 1.0 };
                let got = electron_range_um(&[element], density, energy, 0.0).unwrap();
                let key = format!("('{symbol}', {energy})");
                let want = formulae["electron_range_um"][&key].as_f64().unwrap();
                assert!((got - want).abs() < 1e-9 * want, "{key}: {got} {want}");
            }
        }
        for (line, energy, density) in
            [("Al_Ka", 1.4865, 2.7), ("Cu_Ka", 8.0478, 8.92), ("Au_La", 9.713, 19.3)]
        {
            for beam in [20.0, 30.0] {
                let got = xray_range_um(energy, beam, density).unwrap();
                let key = format!("('{line}', {beam})");
                let want = formulae["xray_range_um"][&key].as_f64().unwrap();
                assert!((got - want).abs() < 1e-9 * want, "{key}: {got} {want}");
            }
        }
    }

    #[test]
    fn unexcited_line_has_no_range() {
        assert_eq!(xray_range_um(8.979, 5.0, 8.92).unwrap(), 0.0);
    }

    #[test]
    fn overlap_is_reported_only_for_small_pixels() {
        assert_eq!(pixels_overlap(2.0, 0.5), Some(4.0));
        assert_eq!(pixels_overlap(0.4, 0.5), None);
        assert_eq!(pixels_overlap(2.0, f64::NAN), None);
        assert_eq!(pixels_overlap(2.0, 0.0), None);
    }

    #[test]
    fn nonsense_is_refused() {
        let e = BulkElement { z: 13, molar_mass: 27.0, weight_fraction: 1.0 };
        assert!(electron_range_um(&[e], 0.0, 20.0, 0.0).is_err());
        assert!(electron_range_um(&[], 2.7, 20.0, 0.0).is_err());
        assert!(xray_range_um(1.5, f64::NAN, 2.7).is_err());
    }
}
