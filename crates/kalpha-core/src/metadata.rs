//! What a file says of its measurement, in the field's terms.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The kind of spectroscopy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Modality {
    Eds,
    Eels,
    Xrf,
    Xas,
    Xrd,
    Xps,
    Raman,
}

/// The kind of microscope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum Mode {
    Sem,
    Tem,
    Stem,
}

/// What the beam meets. It decides which quantification is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Specimen {
    /// Electrons pass through: Cliff-Lorimer holds.
    Thin,
    /// Electrons stop inside: a matrix correction is needed.
    Bulk,
    /// A film on a substrate: neither holds.
    Layered,
}

macro_rules! text_enum {
    ($type:ident, $what:literal, $($name:literal => $variant:ident),+) => {
        impl FromStr for $type {
            type Err = MetadataError;
            fn from_str(text: &str) -> Result<Self, MetadataError> {
                match text.trim().to_ascii_lowercase().as_str() {
                    $($name => Ok(Self::$variant),)+
                    _ => Err(MetadataError::Value {
                        key: $what,
                        got: text.to_owned(),
                        expected: concat!("one of" $(, " ", $name)+),
                    }),
                }
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $name,)+ })
            }
        }
    };
}
text_enum!(Specimen, "specimen", "thin" => Thin, "bulk" => Bulk, "layered" => Layered);
text_enum!(Mode, "acquisition_mode", "sem" => Sem, "tem" => Tem, "stem" => Stem);
text_enum!(Modality, "modality", "eds" => Eds, "eels" => Eels, "xrf" => Xrf, "xas" => Xas,
    "xrd" => Xrd, "xps" => Xps, "raman" => Raman);

/// Metadata is missing or wrong.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// A step needs a key the file does not give.
    #[error("{key} is not in the file and {needed_by} needs it (hint: {flag})")]
    Missing {
        /// The key.
        key: &'static str,
        /// The step.
        needed_by: String,
        /// The flag that gives it.
        flag: &'static str,
    },
    /// `--set` was given something else than `key=value`.
    #[error("{got:?} is not key=value (hint: --set beam_energy_keV=200)")]
    NotKeyValue {
        /// What was given.
        got: String,
    },
    /// `--set` was given an unknown key.
    #[error("unknown metadata key {got:?} (hint: known keys are {known})")]
    UnknownKey {
        /// What was given.
        got: String,
        /// Keys that can be set.
        known: String,
    },
    /// A value cannot be understood.
    #[error("{key} = {got:?} is not possible (hint: {expected} is needed)")]
    Value {
        /// The key.
        key: &'static str,
        /// What was given.
        got: String,
        /// What would do.
        expected: &'static str,
    },
}

/// What is known of the measurement. `None` means the file does not say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Metadata {
    /// Title of the measurement.
    pub title: Option<String>,
    /// Kind of spectroscopy.
    pub modality: Option<Modality>,
    /// Kind of microscope.
    pub acquisition_mode: Option<Mode>,
    /// Microscope or beamline.
    pub instrument: Option<String>,
    /// What the beam meets.
    pub specimen: Option<Specimen>,
    /// Beam energy in keV.
    #[serde(rename = "beam_energy_keV")]
    pub beam_energy_kev: Option<f64>,
    /// Beam current in nA.
    #[serde(rename = "beam_current_nA")]
    pub beam_current_na: Option<f64>,
    /// Live time in s.
    pub live_time_s: Option<f64>,
    /// Real time in s.
    pub real_time_s: Option<f64>,
    /// Detector elevation above the specimen plane, degree.
    pub elevation_angle: Option<f64>,
    /// Detector azimuth, degree.
    pub azimuth_angle: Option<f64>,
    /// Specimen tilt about the microscope's first axis, degree.
    pub tilt_stage: Option<f64>,
    /// Take-off angle, degree; where absent it follows from elevation, azimuth and tilt.
    pub take_off_angle: Option<f64>,
    /// FWHM of the detector at Mn Ka (5.895 keV), eV.
    #[serde(rename = "energy_resolution_MnKa_eV")]
    pub energy_resolution_mn_ka_ev: Option<f64>,
    /// Detector.
    pub detector: Option<String>,
    /// Convergence semi-angle of the beam, mrad.
    pub convergence_angle_mrad: Option<f64>,
    /// Collection semi-angle of the spectrometer, mrad.
    pub collection_angle_mrad: Option<f64>,
    /// Exposure of one spectrum or frame, s.
    pub exposure_s: Option<f64>,
    /// Wavelength of the exciting light, nm.
    pub laser_wavelength_nm: Option<f64>,
    /// Specimen thickness in nm.
    pub thickness_nm: Option<f64>,
    /// Specimen density in g/cm3.
    pub density_g_cm3: Option<f64>,
    /// Wavelength of the beam in angstrom; of a tube, that of its K alpha 1 line.
    #[serde(rename = "wavelength_A")]
    pub wavelength_a: Option<f64>,
    /// Elements the file lists; a claim, not evidence.
    pub listed_elements: Vec<String>,
}

impl Metadata {
    const NUMBERS: [&str; 16] = [
        "beam_energy_keV",
        "beam_current_nA",
        "live_time_s",
        "real_time_s",
        "elevation_angle",
        "azimuth_angle",
        "tilt_stage",
        "take_off_angle",
        "energy_resolution_MnKa_eV",
        "convergence_angle_mrad",
        "collection_angle_mrad",
        "exposure_s",
        "laser_wavelength_nm",
        "thickness_nm",
        "density_g_cm3",
        "wavelength_A",
    ];

    /// Numbers of any sign.
    const ANGLES: [&str; 4] = ["elevation_angle", "azimuth_angle", "tilt_stage", "take_off_angle"];

    /// Keys that [`Metadata::set`] takes.
    pub fn keys() -> impl Iterator<Item = &'static str> {
        Self::NUMBERS.into_iter().chain([
            "specimen",
            "acquisition_mode",
            "modality",
            "detector",
            "title",
        ])
    }

    /// Sets one key from `key=value`, as `--set` does.
    ///
    /// # Errors
    /// When the key is unknown or the value does not fit it.
    pub fn set(&mut self, assignment: &str) -> Result<(), MetadataError> {
        let (key, value) = assignment
            .split_once('=')
            .ok_or_else(|| MetadataError::NotKeyValue { got: assignment.to_owned() })?;
        let (key, value) = (key.trim(), value.trim());
        let number = |key: &'static str| {
            let (positive, expected) = match Self::ANGLES.contains(&key) {
                true => (false, "a finite number"),
                false => (true, "a finite number above 0"),
            };
            let number = value.parse::<f64>().ok();
            let number = number.filter(|x| x.is_finite() && (*x > 0.0 || !positive));
            number.ok_or_else(|| MetadataError::Value { key, got: value.to_owned(), expected })
        };
        let slot = match key {
            "beam_energy_keV" => &mut self.beam_energy_kev,
            "beam_current_nA" => &mut self.beam_current_na,
            "live_time_s" => &mut self.live_time_s,
            "real_time_s" => &mut self.real_time_s,
            "elevation_angle" => &mut self.elevation_angle,
            "azimuth_angle" => &mut self.azimuth_angle,
            "tilt_stage" => &mut self.tilt_stage,
            "take_off_angle" => &mut self.take_off_angle,
            "energy_resolution_MnKa_eV" => &mut self.energy_resolution_mn_ka_ev,
            "convergence_angle_mrad" => &mut self.convergence_angle_mrad,
            "collection_angle_mrad" => &mut self.collection_angle_mrad,
            "exposure_s" => &mut self.exposure_s,
            "laser_wavelength_nm" => &mut self.laser_wavelength_nm,
            "thickness_nm" => &mut self.thickness_nm,
            "density_g_cm3" => &mut self.density_g_cm3,
            "wavelength_A" => &mut self.wavelength_a,
            "specimen" => {
                self.specimen = Some(value.parse()?);
                return Ok(());
            }
            "acquisition_mode" => {
                self.acquisition_mode = Some(value.parse()?);
                return Ok(());
            }
            "modality" => {
                self.modality = Some(value.parse()?);
                return Ok(());
            }
            "detector" => {
                self.detector = Some(value.to_owned());
                return Ok(());
            }
            "title" => {
                self.title = Some(value.to_owned());
                return Ok(());
            }
            _ => {
                return Err(MetadataError::UnknownKey {
                    got: key.to_owned(),
                    known: Self::keys().collect::<Vec<_>>().join(", "),
                });
            }
        };
        let known = Self::NUMBERS.into_iter().find(|name| *name == key).unwrap_or_default();
        *slot = Some(number(known)?);
        Ok(())
    }

    /// Beam energy in keV, or the error that names the flag.
    ///
    /// # Errors
    /// When the file does not give it.
    pub fn need_beam_energy_kev(&self, needed_by: &str) -> Result<f64, MetadataError> {
        self.beam_energy_kev.filter(|e| *e > 0.0).ok_or_else(|| MetadataError::Missing {
            key: "beam_energy_keV",
            needed_by: needed_by.to_owned(),
            flag: "--set beam_energy_keV=200",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_can_be_set_and_serialises_under_its_name() {
        for key in Metadata::keys() {
            let value = match key {
                "specimen" => "thin",
                "acquisition_mode" => "stem",
                "modality" => "eds",
                "detector" | "title" => "text",
                _ => "12.5",
            };
            let mut metadata = Metadata::default();
            metadata.set(&format!("{key}={value}")).unwrap();
            let json = serde_json::to_value(&metadata).unwrap();
            assert!(!json[key].is_null(), "{key}");
        }
    }

    #[test]
    fn wrong_assignments_say_what_would_do() {
        let mut metadata = Metadata::default();
        for (wrong, says) in [
            ("beam_energy", "--set beam_energy_keV=200"),
            ("beam=200", "beam_energy_keV"),
            ("beam_energy_keV=NaN", "finite number"),
            ("beam_energy_keV=-5", "above 0"),
            ("thickness_nm=0", "above 0"),
            ("specimen=thick", "thin"),
        ] {
            let error = metadata.set(wrong).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        assert_eq!(metadata, Metadata::default());
    }
}
