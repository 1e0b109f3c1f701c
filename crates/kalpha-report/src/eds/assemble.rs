//! From the artefacts of a run to the document and the figures.
//!
//! Nothing is computed here that a step computes: artefacts are renamed, not improved. A part
//! whose artefact the recipe does not make stays empty.

mod components;
mod elements;
mod guard;
mod phases;
mod quantification;
mod spectra;

use super::{
    Counts, EdsDocument, EdsFigures, MapFigure, PixelSize, ScreeFigure, Shape, SpecimenKind, Strobe,
};
use crate::colour_scale::ColourScale;
use crate::number::line_name;
use kalpha_core::{
    Artefact, ArtefactType, CellBuffer, CellGrid, DType, Dataset, Rows, RowsError, Unit,
};
use kalpha_decompose::{pca::Pca, rank::Rank};
use kalpha_fit::eds::{families::Lines, identify::Identification};
use kalpha_process::{strobe, totals::Totals};
use kalpha_quantify::{cliff_lorimer::Quantified, specimen};
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
    let mut document = EdsDocument::new(dataset.source.without_folder(), title, shape(dataset));
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
    if let Some(lines) = whole::<Identification>(result, "identification") {
        elements::fill(lines, &dataset.meta().signal, &given(result), &mut document);
        // Drawn on the energy scale the lines imply.
        figures.energies = lines.energies.clone();
        if let Some(fit) = lines.fit.default_fit() {
            figures.sum = spectra::figure(&figures.sum.counts, fit, lines, 1.0);
        }
        line_maps(result, dataset, lines, &mut figures)?;
    }
    let lines = whole::<Identification>(result, "identification");
    phases::fill(result, dataset, lines, &mut document, &mut figures)?;
    if let Some(quantified) = whole::<Quantified>(result, "composition") {
        quantification::fill(quantified, &mut document);
    }
    guard::fill(result, dataset, &mut document, &mut figures)?;
    let found_rank = whole::<Rank>(result, "rank");
    document.rank = found_rank.map(components::rank);
    if let Some(pca) = whole::<Pca>(result, "pca") {
        let edge = found_rank.map(|rank| vec![rank.noise_edge; pca.eigenvalues.len()]);
        figures.scree = Some(ScreeFigure {
            eigenvalues: pca.eigenvalues.clone(),
            noise: edge.unwrap_or_default(),
        });
    }
    Ok((document, figures))
}

/// Elements the user named.
fn given(result: &RunResult) -> Vec<String> {
    let step = result.recipe.step.iter().find(|step| step.id == "eds.identify");
    let list = step.and_then(|s| s.params.get("elements")).and_then(|v| v.as_array());
    list.into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

/// All values of some rows, row after row.
fn values(rows: &Rows) -> Result<Vec<f64>, RowsError> {
    let grid = CellGrid::new(rows.meta().rows, rows.meta().channels);
    let (mut buffer, mut cell, mut all) = (CellBuffer::default(), Vec::new(), Vec::new());
    for i in 0..grid.cells() {
        rows.cell(grid.rows(i), &mut buffer)?.to_f64(&mut cell);
        all.extend_from_slice(&cell);
    }
    Ok(all)
}

/// One map per family, the strongest first.
fn line_maps(
    result: &RunResult,
    dataset: &Dataset,
    lines: &Identification,
    figures: &mut EdsFigures,
) -> Result<(), AssembleError> {
    let (Some(fits), Some(Artefact::Rows(rows))) =
        (whole::<Lines>(result, "lines"), result.session.get("line_maps"))
    else {
        return Ok(());
    };
    let (n, Shape { rows: height, cols, .. }) = (fits.estimator.families.len(), shape(dataset));
    if rows.meta().rows < 2 || n == 0 {
        return Ok(());
    }
    let all = values(rows)?;
    for (k, family) in fits.estimator.families.iter().enumerate() {
        let line = lines.fit.estimate(family).map_or_else(|| family.clone(), |e| e.line.clone());
        figures.maps.push(MapFigure {
            title: line_name(&line),
            name: line,
            unit: "net counts".to_owned(),
            rows: height,
            cols,
            values: all.iter().skip(k).step_by(n).copied().collect(),
            scale: ColourScale::Sequential,
        });
    }
    let total = |map: &MapFigure| map.values.iter().sum::<f64>();
    figures.maps.sort_by(|a, b| total(b).total_cmp(&total(a)));
    Ok(())
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
                Some(readable(PixelSize { x: x_step, y: y_step, unit: x.unit.symbol().to_owned() }))
            }
            _ => None,
        },
        _ => None,
    };
    Shape { rows, cols, channels: meta.channels, pixel_size }
}

/// A length in the unit people would use: 0.77 nm, not 7.7e-4 um.
fn readable(size: PixelSize) -> PixelSize {
    const UNITS: [&str; 3] = ["nm", "um", "mm"];
    let Some(mut at) = UNITS.iter().position(|unit| *unit == size.unit) else { return size };
    let (mut x, mut y) = (size.x, size.y);
    while x.max(y) > 0.0 && x.max(y) < 0.1 && at > 0 {
        (x, y, at) = (x * 1e3, y * 1e3, at - 1);
    }
    while x.min(y) >= 1e3 && at + 1 < UNITS.len() {
        (x, y, at) = (x / 1e3, y / 1e3, at + 1);
    }
    PixelSize { x, y, unit: UNITS[at].to_owned() }
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
