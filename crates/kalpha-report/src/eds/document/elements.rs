//! What is there: elements, rejected candidates, the energy scale.

use super::Estimate;
use kalpha_core::Quantity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an element is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The specimen: it is quantified.
    Specimen,
    /// Grid or holder.
    Grid,
    /// Support film.
    Support,
    /// Detector or column.
    Detector,
}

impl Role {
    /// The role in one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Specimen => "specimen",
            Self::Grid => "grid",
            Self::Support => "support",
            Self::Detector => "detector",
        }
    }
}

/// The spectrum in which the evidence is strongest: `sum`, `max pixel` or `phase 2`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "String", into = "String")]
#[schemars(with = "String")]
pub enum FoundIn {
    /// The sum of all pixels.
    Sum,
    /// The maximum of every channel over the pixels.
    MaxPixel,
    /// The spectrum of the phase with this label, zero-based; written one-based.
    Phase(usize),
    /// Elsewhere, in words.
    Other(String),
}

impl std::fmt::Display for FoundIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sum => f.write_str("sum"),
            Self::MaxPixel => f.write_str("max pixel"),
            Self::Phase(label) => write!(f, "phase {}", label + 1),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl From<String> for FoundIn {
    fn from(text: String) -> Self {
        let label = text.strip_prefix("phase ").and_then(|n| n.parse::<usize>().ok());
        match (text.as_str(), label) {
            ("sum", _) => Self::Sum,
            ("max pixel", _) => Self::MaxPixel,
            (_, Some(n)) if n > 0 => Self::Phase(n - 1),
            _ => Self::Other(text),
        }
    }
}

impl From<FoundIn> for String {
    fn from(place: FoundIn) -> Self {
        place.to_string()
    }
}

/// An element that was detected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Element {
    /// Chemical symbol.
    pub symbol: String,
    /// Atomic number.
    pub z: u8,
    /// The family that carries the evidence, such as `Fe_Ka`.
    pub family: String,
    /// Estimate over its standard deviation, background spread included.
    pub significance: f64,
    /// Counts of the family, signed.
    pub counts: Quantity,
    /// The spectrum with the strongest evidence.
    #[serde(rename = "where")]
    pub found_in: FoundIn,
    /// What it is part of.
    pub role: Role,
    /// Why it has that role, where it is not the specimen.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rule: String,
    /// The user named it with `--elements`.
    #[serde(default)]
    pub given: bool,
    /// Lines that were fitted.
    #[serde(default)]
    pub lines: Vec<Line>,
}

/// An X-ray line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// Name such as `Fe_Ka1`.
    pub name: String,
    /// Energy in keV.
    #[serde(rename = "energy_keV")]
    pub energy_kev: f64,
    /// Intensity over that of the strongest line of the family.
    pub relative: f64,
}

/// A candidate that is not reported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rejected {
    /// Element or family, such as `Cl` or `S_Ka`.
    pub candidate: String,
    /// Why not, in one sentence.
    pub reason: String,
    /// Its significance, where it was fitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub significance: Option<f64>,
}

/// Energy calibration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "status")]
pub enum Calibration {
    /// Fitted to identified lines and used.
    Fitted {
        /// Energy of channel 0, eV.
        #[serde(rename = "offset_eV")]
        offset_ev: Estimate,
        /// Width of a channel, eV.
        #[serde(rename = "gain_eV")]
        gain_ev: Estimate,
        /// FWHM at Mn Ka (5.895 keV), eV.
        #[serde(rename = "resolution_MnKa_eV")]
        resolution_mn_ka_ev: Estimate,
        /// Lines it was fitted to.
        lines: Vec<String>,
    },
    /// Fitted and not used: the file's axis stands.
    Refused {
        /// What is wrong with the fit.
        reason: String,
        /// What to do.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        hint: String,
    },
    /// Not tried: the file's axis stands.
    AsFile,
}
