//! From the artefacts of a run to document and figures.

use super::{
    ColumnSummary, RowsSummary, Shown, SpectraDocument, SpectraFigures, StatusCount, StepSummary,
};
use kalpha_core::{
    Artefact, ArtefactType, CellBuffer, CellGrid, Dataset, NoiseModel, Rows, RowsError,
};
use kalpha_process::row_method::{RowFlags, RowStatus, RowTable};
use kalpha_recipe::{RecipeError, RunResult, find};
use std::{collections::BTreeMap, path::Path};

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
    /// Rows cannot be read back.
    #[error(transparent)]
    Rows(#[from] RowsError),
}

/// Spectra drawn, besides flagged ones.
const DRAWN: usize = 6;
/// Flagged spectra drawn, one per kind of trouble.
const FLAGGED_DRAWN: usize = 4;
/// Flagged spectra in the document.
const FLAGGED_LISTED: usize = 1000;

/// Document and figures of a run.
///
/// # Errors
/// When rows cannot be read back or a text cannot be written.
pub fn assemble(
    result: &RunResult,
    dataset: &Dataset,
) -> Result<(SpectraDocument, SpectraFigures), AssembleError> {
    let metadata = result.provenance.metadata.clone();
    let path = Path::new(&dataset.source.path);
    let name = path
        .file_name()
        .map_or_else(|| dataset.source.path.clone(), |n| n.to_string_lossy().into_owned());
    let title = metadata.title.clone().filter(|t| !t.trim().is_empty()).unwrap_or(name);
    let flags = whole::<RowFlags>(result, "row_flags").map(|f| f.0.as_slice()).unwrap_or_default();
    let table = whole::<RowTable>(result, "row_table").map(|t| t.0.as_slice()).unwrap_or_default();
    let mut counts: BTreeMap<(String, RowStatus), usize> = BTreeMap::new();
    for flag in flags {
        *counts.entry((flag.step.clone(), flag.status)).or_default() += 1;
    }
    let meta = dataset.meta();
    let peaks = super::peaks::summaries(result);
    let document = SpectraDocument {
        schema: SpectraDocument::SCHEMA.to_owned(),
        program: format!("kalpha {}", result.provenance.kalpha),
        source: dataset.source.without_folder(),
        title,
        metadata,
        spectra: meta.rows,
        navigation: meta.navigation.iter().map(Into::into).collect(),
        signal: (&meta.signal).into(),
        steps: steps(result),
        rows: made(result)
            .map(|(name, rows)| RowsSummary {
                name: name.to_owned(),
                signal: (&rows.meta().signal).into(),
                noise: noise(&rows.meta().noise),
            })
            .collect(),
        columns: table.iter().map(column).collect(),
        statuses: counts
            .into_iter()
            .map(|((step, status), spectra)| StatusCount { step, status, spectra })
            .collect(),
        flagged: flags.iter().take(FLAGGED_LISTED).cloned().collect(),
        peaks: peaks.peaks,
        fits: peaks.fits,
        surface: peaks.surface,
        warnings: result.diagnostics.clone(),
        outputs: Vec::new(),
    };
    let figures = figures(result, dataset, flags)?;
    Ok((document, figures))
}

fn whole<'a, T: ArtefactType>(result: &'a RunResult, name: &str) -> Option<&'a T> {
    result.session.get(name).and_then(Artefact::get)
}

/// Row artefacts that steps made.
pub(super) fn made(result: &RunResult) -> impl Iterator<Item = (&str, &Rows)> {
    result.session.artefacts().filter_map(|(name, artefact)| match artefact {
        Artefact::Rows(rows) if name != "counts" => Some((name, rows)),
        _ => None,
    })
}

fn steps(result: &RunResult) -> Vec<StepSummary> {
    let summary = |step: &kalpha_recipe::RecipeStep| {
        let registered = find(&step.id);
        let defaults =
            registered.and_then(|s| s.resolve(&serde_json::json!({})).ok()).unwrap_or_default();
        let given = step
            .params
            .iter()
            .filter(|(name, value)| defaults.get(name.as_str()) != Some(*value))
            .map(|(name, value)| match value.as_array() {
                // A model given part by part is in the recipe.
                Some(parts) if parts.iter().any(serde_json::Value::is_object) => {
                    format!("{name}: {} given", parts.len())
                }
                _ => format!("{name} = {value}"),
            })
            .collect();
        StepSummary {
            id: step.id.clone(),
            revision: registered.map_or(0, |s| s.revision()),
            about: registered.map_or("", |s| s.about()).to_owned(),
            given,
        }
    };
    result.recipe.step.iter().map(summary).collect()
}

fn noise(noise: &NoiseModel) -> String {
    match noise {
        NoiseModel::Poisson { gain } if *gain == 1.0 => "Poisson counts".to_owned(),
        NoiseModel::Poisson { gain } => format!("Poisson, gain {gain}"),
        NoiseModel::Gaussian { sigma } => format!("Gaussian, sigma {sigma}"),
        NoiseModel::PoissonGaussian { gain, sigma } => {
            format!("Poisson, gain {gain}, with read-out noise {sigma}")
        }
        NoiseModel::Variance(name) => format!("variances in {name}"),
        NoiseModel::Correlated => "correlated between channels".to_owned(),
        NoiseModel::Unknown => "unknown".to_owned(),
    }
}

fn column(column: &kalpha_process::row_method::RowColumn) -> ColumnSummary {
    let mut finite: Vec<f64> = column.values.iter().copied().filter(|x| x.is_finite()).collect();
    finite.sort_by(f64::total_cmp);
    let n = finite.len();
    let median = match n {
        0 => None,
        n if n % 2 == 1 => Some(finite[n / 2]),
        n => Some(0.5 * (finite[n / 2 - 1] + finite[n / 2])),
    };
    ColumnSummary {
        step: column.step.clone(),
        name: column.name.clone(),
        unit: column.unit.clone(),
        values: n,
        min: finite.first().copied(),
        median,
        max: finite.last().copied(),
    }
}

/// One row of some rows.
fn row(rows: &Rows, row: usize) -> Result<Vec<f64>, RowsError> {
    let meta = rows.meta();
    let grid = CellGrid::new(meta.rows, meta.channels);
    let cell_rows = grid.rows(row / grid.rows_per_cell());
    let (mut buffer, mut values) = (CellBuffer::default(), Vec::new());
    rows.cell(cell_rows.clone(), &mut buffer)?.to_f64(&mut values);
    let at = (row - cell_rows.start) * meta.channels;
    Ok(values.get(at..at + meta.channels).map(<[f64]>::to_vec).unwrap_or_default())
}

fn figures(
    result: &RunResult,
    dataset: &Dataset,
    flags: &[kalpha_process::row_method::RowFlag],
) -> Result<SpectraFigures, AssembleError> {
    let n = dataset.meta().rows;
    let of = |name: &str| match result.session.get(name) {
        Some(Artefact::Rows(rows)) => Some(rows),
        _ => None,
    };
    let background = of("background");
    let treated = of("spectra").unwrap_or(&dataset.rows);
    let mut chosen: BTreeMap<usize, String> = BTreeMap::new();
    for k in 0..DRAWN.min(n) {
        let at = if DRAWN >= n { k } else { k * (n - 1) / (DRAWN - 1) };
        chosen.insert(at, String::new());
    }
    let mut seen: Vec<RowStatus> = Vec::new();
    for flag in flags {
        if !seen.contains(&flag.status) && seen.len() < FLAGGED_DRAWN {
            seen.push(flag.status);
            chosen.insert(flag.row, status_words(flag.status));
        }
    }
    let shown = chosen
        .into_iter()
        .map(|(at, why)| {
            Ok(Shown {
                row: at,
                why,
                raw: row(&dataset.rows, at)?,
                background: background.map(|rows| row(rows, at)).transpose()?,
                treated: row(treated, at)?,
            })
        })
        .collect::<Result<Vec<_>, RowsError>>()?;
    Ok(SpectraFigures {
        axis: dataset.meta().signal.to_vec(),
        treated_axis: treated.meta().signal.to_vec(),
        complete: shown.len() == n,
        peaks: super::peaks::fits(result).cloned(),
        shown,
        recipe_toml: result.recipe.to_toml()?,
        provenance_json: serde_json::to_string_pretty(&result.provenance)? + "\n",
    })
}

/// `NotConverged` as `not converged`.
pub(super) fn status_words(status: RowStatus) -> String {
    crate::page::words(&format!("{status:?}"))
}
