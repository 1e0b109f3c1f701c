//! The document of treated spectra: schema `kalpha.spectra/1`.

use crate::document::{DocumentError, Output, finite_json, without_nulls};
use kalpha_core::{Axis, Diagnostic, Metadata, Source};
use kalpha_process::row_method::{RowFlag, RowStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The result of a run that treats spectra.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SpectraDocument {
    /// `kalpha.spectra/1`.
    pub schema: String,
    /// Program and version that made it.
    pub program: String,
    /// Where the data come from.
    pub source: Source,
    /// Title of the measurement; the file name where the file has none.
    pub title: String,
    /// What is known of the measurement. Keys the file does not give are absent.
    #[serde(serialize_with = "without_nulls")]
    pub metadata: Metadata,
    /// Number of spectra.
    pub spectra: usize,
    /// Navigation axes, slowest first.
    pub navigation: Vec<AxisSummary>,
    /// The axis along a spectrum, as read.
    pub signal: AxisSummary,
    /// What was done, in order.
    pub steps: Vec<StepSummary>,
    /// Row artefacts that were made.
    pub rows: Vec<RowsSummary>,
    /// What was found for each spectrum, summed up.
    pub columns: Vec<ColumnSummary>,
    /// How many spectra each step could not treat as asked, and why.
    pub statuses: Vec<StatusCount>,
    /// Spectra not treated as asked; at most the first 1,000.
    pub flagged: Vec<RowFlag>,
    /// Fitted peaks; at most about 1,000, all of them are in peaks.csv.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peaks: Vec<super::PeakSummary>,
    /// How well they fit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fits: Vec<super::FitSummary>,
    /// Atomic percent by photoelectron lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub surface: Vec<super::SurfaceSummary>,
    /// Warnings and notes, as the run met them.
    pub warnings: Vec<Diagnostic>,
    /// Files of the output folder.
    pub outputs: Vec<Output>,
}

/// An axis in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AxisSummary {
    /// Name.
    pub name: String,
    /// Unit; empty for none.
    pub unit: String,
    /// Points.
    pub points: usize,
    /// First value; absent where there is no point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<f64>,
    /// Last value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<f64>,
}

impl From<&Axis> for AxisSummary {
    fn from(axis: &Axis) -> Self {
        let at = |i: Option<usize>| i.map(|i| axis.at(i)).filter(|x| x.is_finite());
        let n = axis.len();
        Self {
            name: axis.name.clone(),
            unit: axis.unit.symbol().to_owned(),
            points: n,
            first: at((n > 0).then_some(0)),
            last: at(n.checked_sub(1)),
        }
    }
}

impl AxisSummary {
    /// `Energy, 1024 points, 0 to 10.23 keV`.
    pub fn words(&self, style: crate::number::Style) -> String {
        let range = match (self.first, self.last) {
            (Some(first), Some(last)) => {
                format!(", {} to {} {}", style.short(first), style.short(last), self.unit)
            }
            _ => String::new(),
        };
        format!("{}, {} points{range}", self.name, self.points).trim_end().to_owned()
    }
}

/// A step that ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepSummary {
    /// Id.
    pub id: String,
    /// Revision of its numbers.
    pub revision: u32,
    /// What it does.
    pub about: String,
    /// Parameters that differ from the defaults, as `name = value`.
    pub given: Vec<String>,
}

/// Rows that were made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RowsSummary {
    /// Name of the artefact.
    pub name: String,
    /// The axis along a row.
    pub signal: AxisSummary,
    /// What is known of the noise.
    pub noise: String,
}

/// A column of the row table in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ColumnSummary {
    /// Step that found it.
    pub step: String,
    /// Name.
    pub name: String,
    /// Unit; empty for none.
    pub unit: String,
    /// Spectra with a finite value.
    pub values: usize,
    /// Smallest value; absent where no value is finite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Median.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub median: Option<f64>,
    /// Largest value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
}

/// How many spectra fared so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatusCount {
    /// Step that says it.
    pub step: String,
    /// How they fared.
    pub status: RowStatus,
    /// How many.
    pub spectra: usize,
}

impl SpectraDocument {
    /// Name and version of the schema.
    pub const SCHEMA: &'static str = "kalpha.spectra/1";

    /// The document as indented JSON, with a final newline.
    ///
    /// # Errors
    /// When a number is not finite, naming the field.
    pub fn to_json(&self) -> Result<String, DocumentError> {
        finite_json(self)
    }

    /// The JSON schema of the document.
    pub fn json_schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }
}
