//! What the beam meets: thin, bulk or layered.
//!
//! It decides the shape of the continuum, which lines may come from a grid or a support, and
//! which quantification is allowed.

use kalpha_core::{Metadata, Mode, Specimen};
use serde::{Deserialize, Serialize};

/// Below this energy (keV) no transmission microscope works; above it no scanning one does.
const TRANSMISSION_ENERGY: f64 = 60.0;

/// What the specimen was taken for, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpecimenDecision {
    /// The specimen; `None` if it must be asked for.
    pub specimen: Option<Specimen>,
    /// The evidence in one sentence.
    pub because: String,
    /// It was inferred from the microscope, not stated.
    pub inferred: bool,
}

impl SpecimenDecision {
    /// Electrons pass through it.
    pub fn is_thin(&self) -> bool {
        self.specimen == Some(Specimen::Thin)
    }
}

/// Decides from what is stated, else from the microscope and its beam energy.
///
/// A statement (`--specimen`) always wins. TEM or STEM implies thin and SEM implies bulk, unless
/// the beam energy contradicts it. Without a mode, only a beam energy that no SEM reaches decides.
pub fn decide(metadata: &Metadata) -> SpecimenDecision {
    if let Some(specimen) = metadata.specimen {
        let because = format!("the specimen is stated to be {specimen}");
        return SpecimenDecision { specimen: Some(specimen), because, inferred: false };
    }
    let fast = metadata.beam_energy_kev.map(|e| e >= TRANSMISSION_ENERGY);
    let energy = metadata.beam_energy_kev.map_or_else(|| "?".to_owned(), |e| e.to_string());
    let (specimen, because) = match (metadata.acquisition_mode, fast) {
        (Some(mode @ (Mode::Tem | Mode::Stem)), _) => (
            Some(Specimen::Thin),
            format!("the data were taken in {} mode", mode.to_string().to_uppercase()),
        ),
        (Some(Mode::Sem), Some(true)) => (
            None,
            format!("the file says SEM, but {energy} keV is a transmission microscope's energy"),
        ),
        (Some(Mode::Sem), _) => (Some(Specimen::Bulk), "the data were taken in an SEM".to_owned()),
        (None, Some(true)) => {
            (Some(Specimen::Thin), format!("at {energy} keV only a transmission microscope works"))
        }
        (None, Some(false)) => (
            None,
            format!("at {energy} keV the specimen may be bulk or a film, and no mode is recorded"),
        ),
        (None, None) => (None, "neither mode nor beam energy is recorded".to_owned()),
    };
    SpecimenDecision { specimen, because, inferred: specimen.is_some() }
}
