//! Spectra of any modality, treated row by row: one document, its faces.
//!
//! A recipe without a modality of its own (a baseline, an alignment, a normalisation) ends here:
//! what was done, how each spectrum fared, what was found for each, and the spectra themselves.

mod assemble;
mod document;
mod html;
mod peaks;
mod tables;
mod terminal;

pub use assemble::{AssembleError, assemble};
pub use document::{
    AxisSummary, ColumnSummary, RowsSummary, SpectraDocument, StatusCount, StepSummary,
};
pub use html::report_html;
pub use peaks::{FitSummary, PeakSummary, SurfaceSummary, Value, peaks_csv};
pub use tables::{row_table_csv, spectra_csv};
pub use terminal::answer;

/// A spectrum before and after.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// Row, zero-based.
    pub row: usize,
    /// Why this one: `first`, `not converged`.
    pub why: String,
    /// Values as read, on the axis of the file.
    pub raw: Vec<f64>,
    /// The background, where a step finds one.
    pub background: Option<Vec<f64>>,
    /// Values after the last step.
    pub treated: Vec<f64>,
}

/// What the report draws.
#[derive(Clone, Debug, Default)]
pub struct SpectraFigures {
    /// Axis of the file.
    pub axis: Vec<f64>,
    /// Axis after the last step.
    pub treated_axis: Vec<f64>,
    /// Some spectra.
    pub shown: Vec<Shown>,
    /// Every spectrum: all of them are shown.
    pub complete: bool,
    /// Fitted peaks with curves of some spectra, where peaks were fitted.
    pub peaks: Option<kalpha_fit::peaks::PeakFits>,
    /// The recipe with every parameter.
    pub recipe_toml: String,
    /// What the numbers come from.
    pub provenance_json: String,
}
