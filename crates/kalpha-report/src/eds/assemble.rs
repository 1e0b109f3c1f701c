//! From the artefacts of a run to the document and the figures.
//!
//! Nothing is computed here that a step computes: artefacts are renamed, not improved. A part
//! whose artefact the recipe does not make stays empty.

use super::{Counts, EdsDocument, EdsFigures, PixelSize, ScreeFigure, Shape, SpecimenKind, Strobe};
use kalpha_core::{Artefact, ArtefactType, DType, Dataset, Unit};
use kalpha_decompose::pca::Pca;
use kalpha_process::{strobe, totals::Totals};
use kalpha_quantify::specimen;
use kalpha_recipe::{RecipeError, RunResult};
use std::path::Path;

/// The document cannot be assembled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AssembleError {
    /// The recipe cannot be written.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The provenance cannot be written.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// An axis is no energy axis.
    #[error(transparent)]
    Axis(#[from] kalpha_core::AxisError),
    /// Rows cannot be read back.
    #[error(transparent)]
    Rows(#[from] kalpha_core::RowsError),
}

/// A whole artefact of a run, where the recipe makes it.
pub(crate) fn whole<'a, T: ArtefactType>(result: &'a RunResult, name: &str) -> Option<&'a T> {
    result.session.get(name).and_then(Artefact::get)
}

/// Document and figures of a run.
///
/// # Errors
/// When rows cannot be read back or a text cannot be written.
pub fn assemble(
    result: &RunResult,
    dataset: &Dataset,
) -> Result<(EdsDocument, EdsFigures), AssembleError> {
    let metadata = result.provenance.metadata.clone();
    let path = Path::new(&dataset.source.path);
    let name = path
        .file_name()
        .map_or_else(|| dataset.source.path.clone(), |n| n.to_string_lossy().into_owned());
    let title = metadata.title.clone().filter(|t| !t.trim().is_empty()).unwrap_or(name);
    let mut document = EdsDocument::new(dataset.source.clone(), title, shape(dataset));
    document.program = format!("kalpha {}", result.provenance.kalpha);
    let decision = specimen::decide(&metadata);
    document.specimen = decision.specimen.map(|kind| SpecimenKind {
        kind,
        because: decision.because,
        inferred: decision.inferred,
    });
    document.metadata = metadata;
    document.warnings = result.diagnostics.clone();

    let mut figures = EdsFigures {
        energies: dataset.meta().signal.energies_kev()?,
        recipe_toml: result.recipe.to_toml()?,
        provenance_json: serde_json::to_string_pretty(&result.provenance)? + "\n",
        ..EdsFigures::default()
    };
    counts(result, dataset, &mut document, &mut figures);
    if let Some(pca) = whole::<Pca>(result, "pca") {
        figures.scree =
            Some(ScreeFigure { eigenvalues: pca.eigenvalues.clone(), noise: Vec::new() });
    }
    Ok((document, figures))
}

/// Lines, pixels per line, channels: a spectrum is one pixel, a series one line.
fn shape(dataset: &Dataset) -> Shape {
    let meta = dataset.meta();
    let grid = meta.grid();
    let cols = grid.last().copied().unwrap_or(1);
    let rows = meta.rows.checked_div(cols).unwrap_or(0);
    let step = |axis: &kalpha_core::Axis| axis.offset_scale().map(|(_, scale)| scale.abs());
    let pixel_size = match meta.navigation.as_slice() {
        [y, x] if x.unit == y.unit && x.unit != Unit::None => match (step(x), step(y)) {
            (Some(x_step), Some(y_step)) => {
                Some(PixelSize { x: x_step, y: y_step, unit: x.unit.symbol().to_owned() })
            }
            _ => None,
        },
        _ => None,
    };
    Shape { rows, cols, channels: meta.channels, pixel_size }
}

fn counts(
    result: &RunResult,
    dataset: &Dataset,
    document: &mut EdsDocument,
    figures: &mut EdsFigures,
) {
    let Some(totals) = whole::<Totals>(result, "totals") else { return };
    let used = totals.total();
    let strobe = whole::<strobe::Strobe>(result, "strobe").filter(|s| s.found());
    let left_out = strobe.map_or(0.0, |s| s.counts);
    let voxels = (dataset.meta().rows * dataset.meta().channels).max(1);
    let occupied = match (dataset.rows.as_csr(), dataset.meta().dtype) {
        (Some(csr), DType::Csr) => Some(csr.nnz() as f64 / voxels as f64),
        _ => None,
    };
    document.counts = Counts {
        total: (used + left_out) as u64,
        used: used as u64,
        per_pixel: totals.counts_per_row(),
        occupied,
        masked_pixels: dataset.mask.as_ref().map_or(0, |m| m.iter().filter(|x| **x).count()),
        strobe: strobe.map(|s| Strobe {
            first_channel: 0,
            last_channel: s.end - 1,
            counts: s.counts as u64,
            fraction: s.fraction,
        }),
    };
    figures.excluded = strobe.map(|s| (0, s.end - 1));
    figures.sum.counts = totals.sum.clone();
    figures.max_pixel = (totals.rows > 1).then(|| totals.max_pixel.clone());
}
