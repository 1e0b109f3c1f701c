//! The EDS document: what `kalpha run --json` prints, schema `kalpha.eds/1`.
//!
//! Absent is absent: a number that does not exist is left out, never written as `null`, and
//! a NaN or an infinity is an error that names its place ([`EdsDocument::to_json`]).

mod amounts;
mod elements;
mod evidence;

pub use amounts::*;
pub use elements::*;
pub use evidence::*;

pub use crate::document::{DocumentError, Output};

use crate::document::{finite_json, without_nulls};
use kalpha_core::{Diagnostic, Metadata, Source, Specimen};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The result of one EDS run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EdsDocument {
    /// `kalpha.eds/1`.
    pub schema: String,
    /// Program and version that made it, such as `kalpha 0.1.0`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub program: String,
    /// Where the counts come from.
    pub source: Source,
    /// Title of the measurement; the file name where the file has none.
    pub title: String,
    /// What is known of the measurement. Keys the file does not give are absent.
    #[serde(serialize_with = "without_nulls")]
    pub metadata: Metadata,
    /// What the specimen was taken for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub specimen: Option<SpecimenKind>,
    /// Size of the map.
    pub shape: Shape,
    /// Totals.
    pub counts: Counts,
    /// Elements detected, strongest evidence first.
    pub elements: Vec<Element>,
    /// Candidates looked at and not reported, with the reason.
    #[serde(default)]
    pub rejected: Vec<Rejected>,
    /// Energy calibration.
    pub calibration: Calibration,
    /// Phases, largest first.
    pub phases: Vec<Phase>,
    /// Share of the pixels on boundaries, which belong to no phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixed_fraction: Option<Interval>,
    /// `composition` or `not_quantified`, of the whole map.
    #[serde(flatten)]
    pub quantification: Quantification,
    /// Line family intensities of the whole map.
    pub intensities: Vec<Intensity>,
    /// The k-factors used; empty where nothing was quantified.
    #[serde(default)]
    pub k_factors: Vec<KFactor>,
    /// Number of components and the evidence for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank: Option<Rank>,
    /// Pixels that the model of the map does not explain, most significant first.
    pub flagged: Vec<Flagged>,
    /// How the rare-phase guard was calibrated on this map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<Guard>,
    /// Warnings and notes, as the run met them.
    pub warnings: Vec<Diagnostic>,
    /// Files of the output folder.
    #[serde(default)]
    pub outputs: Vec<Output>,
    /// Comparison with the truth; simulated data only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truth: Option<Truth>,
}

/// What the specimen was taken for, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SpecimenKind {
    /// The kind.
    pub kind: Specimen,
    /// The evidence in one sentence.
    pub because: String,
    /// Inferred from the microscope, not stated.
    pub inferred: bool,
}

/// Size of the map.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Shape {
    /// Lines of the map; 1 for a single spectrum.
    pub rows: usize,
    /// Pixels of a line.
    pub cols: usize,
    /// Channels of a spectrum.
    pub channels: usize,
    /// Size of a pixel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixel_size: Option<PixelSize>,
}

/// Size of a pixel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PixelSize {
    /// Along a line.
    pub x: f64,
    /// From line to line.
    pub y: f64,
    /// Unit of both, such as `nm`.
    pub unit: String,
}

/// Totals of the counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Every count of the file.
    pub total: u64,
    /// Counts without the strobe peak and masked pixels.
    pub used: u64,
    /// Used counts per used pixel.
    pub per_pixel: f64,
    /// Share of the voxels that hold a count, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occupied: Option<f64>,
    /// Pixels left out by a mask.
    #[serde(default)]
    pub masked_pixels: usize,
    /// The zero peak, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strobe: Option<Strobe>,
}

/// The zero (strobe) peak of the pulse processor: no photons.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Strobe {
    /// First channel left out.
    pub first_channel: usize,
    /// Last channel left out.
    pub last_channel: usize,
    /// Counts left out.
    pub counts: u64,
    /// Share of all counts, 0 to 1.
    pub fraction: f64,
}

/// Found against true, for simulated data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Truth {
    /// What was simulated, in one sentence.
    pub about: String,
    /// One row per quantity.
    pub rows: Vec<TruthRow>,
}

/// One quantity, found against true.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TruthRow {
    /// The quantity, such as `Fe at.% in the shell`.
    pub what: String,
    /// Its unit; empty for a pure number.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// The true value.
    pub truth: f64,
    /// The value found; absent where it was missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<f64>,
    /// Standard deviation of the value found, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sigma: Option<f64>,
    /// Found and true agree.
    pub agrees: bool,
}

impl EdsDocument {
    /// Name and version of the schema.
    pub const SCHEMA: &'static str = "kalpha.eds/1";

    /// An empty document of `source`, to be filled.
    pub fn new(source: Source, title: impl Into<String>, shape: Shape) -> Self {
        Self {
            schema: Self::SCHEMA.to_owned(),
            program: String::new(),
            source,
            title: title.into(),
            metadata: Metadata::default(),
            specimen: None,
            shape,
            counts: Counts::default(),
            elements: Vec::new(),
            rejected: Vec::new(),
            calibration: Calibration::AsFile,
            phases: Vec::new(),
            mixed_fraction: None,
            quantification: Quantification::NotQuantified(NotQuantified {
                reason: "not_run".to_owned(),
                message: "the recipe holds no quantification step".to_owned(),
                hint: String::new(),
            }),
            intensities: Vec::new(),
            k_factors: Vec::new(),
            rank: None,
            flagged: Vec::new(),
            guard: None,
            warnings: Vec::new(),
            outputs: Vec::new(),
            truth: None,
        }
    }

    /// True when a step looked for elements: an empty list then means that none is there.
    pub fn elements_sought(&self) -> bool {
        !(self.elements.is_empty() && self.rejected.is_empty() && self.intensities.is_empty())
    }

    /// True when a step looked for unexpected pixels: an empty list then means that none is.
    pub fn pixels_tested(&self) -> bool {
        self.guard.is_some() || !self.flagged.is_empty()
    }

    /// One spectrum, no map: nothing to compare pixels with.
    pub fn single_spectrum(&self) -> bool {
        self.shape.rows == 1 && self.shape.cols == 1
    }

    /// The document as indented JSON, with a final newline.
    ///
    /// # Errors
    /// When a number is not finite, naming the field.
    pub fn to_json(&self) -> Result<String, DocumentError> {
        finite_json(self)
    }

    /// Reads a document back.
    ///
    /// # Errors
    /// When the text is not JSON, not this schema, or a newer version of it.
    pub fn from_json(text: &str) -> Result<Self, DocumentError> {
        let value: serde_json::Value = serde_json::from_str(text)?;
        let schema = value.get("schema").and_then(|s| s.as_str()).unwrap_or_default();
        if schema != Self::SCHEMA {
            return Err(DocumentError::Schema { got: schema.to_owned(), expected: Self::SCHEMA });
        }
        Ok(serde_json::from_value(value)?)
    }

    /// The JSON schema of the document.
    pub fn json_schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }
}
