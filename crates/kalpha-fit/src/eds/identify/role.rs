//! Which lines belong to the specimen and which to what holds it.

use serde::{Deserialize, Serialize};

use super::IdentifyOptions;

/// The printed rule.
pub const ROLE_RULE: &str = "In a thin specimen, elements that neither the user nor the file \
names are taken for the holder: Cu, Ni, Mo, Au, Be for the grid; C, N, O, Si for support film \
and detector; Al, Zr, Co, Cr for the instrument. They are deconvolved and left out of the \
normalisation. Naming an element with --elements makes it part of the specimen.";

/// Where an element's lines come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The specimen.
    Specimen,
    /// The grid or holder.
    Grid,
    /// The support film or the detector.
    Support,
    /// Pole piece, collimator and other parts near the beam.
    Instrument,
}

impl Role {
    /// Where the lines come from, in a few words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Specimen => "specimen",
            Self::Grid => "grid or holder",
            Self::Support => "support film or detector",
            Self::Instrument => "parts near the beam",
        }
    }

    /// The role of an element by [`ROLE_RULE`].
    pub fn of(symbol: &str, options: &IdentifyOptions) -> Self {
        if !options.thin || options.listed.iter().any(|s| s == symbol) {
            return Self::Specimen;
        }
        Self::usual(symbol)
    }

    /// Where an element of a thin specimen comes from when nobody names it.
    pub fn usual(symbol: &str) -> Self {
        match symbol {
            "Cu" | "Ni" | "Mo" | "Au" | "Be" => Self::Grid,
            "C" | "N" | "O" | "Si" => Self::Support,
            "Al" | "Zr" | "Co" | "Cr" => Self::Instrument,
            _ => Self::Specimen,
        }
    }
}
