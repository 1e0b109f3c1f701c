//! The folder of treated spectra.

use super::Said;
use kalpha_core::{Artefact, Dataset, Event, Rows, Source};
use kalpha_io::write::{write_bytes, write_dataset};
use kalpha_recipe::RunResult;
use kalpha_report::{
    document::Output,
    spectra::{answer, assemble, peaks_csv, report_html, row_table_csv, spectra_csv},
};
use std::path::Path;

/// Writes the folder.
pub(super) fn write(folder: &Path, result: &RunResult, dataset: &Dataset) -> anyhow::Result<Said> {
    let (mut document, figures) = assemble(result, dataset)?;
    let mut outputs = Vec::new();
    let mut note = |file: &str, about: &str| {
        outputs.push(Output { file: file.to_owned(), about: about.to_owned() });
    };
    note("report.html", "the whole answer, one file, no network needed");
    note("result.json", "the same as --json prints");
    note("rows.csv", "one line per spectrum: place, flags, what was found");
    note("spectra.csv", "the spectra of the report, before and after");
    if let Some(peaks) = peaks_csv(result) {
        write_bytes(&folder.join("peaks.csv"), peaks.as_bytes())?;
        note("peaks.csv", "one line per peak and spectrum: position, width, area, errors");
    }
    for rows in &document.rows {
        let file = format!("{}.zarr", rows.name);
        if let Some(Artefact::Rows(made)) = result.session.get(&rows.name) {
            let treated = again(dataset, made, &rows.name);
            write_dataset(&folder.join(&file), &treated, Some("zarr"), true)?;
            note(&file, "every row, Zarr version 3; kalpha reads it back");
        }
    }
    for (name, artefact) in result.session.artefacts() {
        let listed = matches!(name, "row_flags" | "row_table");
        if let (Artefact::Whole { kind, .. }, false) = (artefact, listed) {
            let file = format!("{name}.json");
            let text = serde_json::to_string_pretty(&artefact.to_json())? + "\n";
            write_bytes(&folder.join(&file), text.as_bytes())?;
            note(&file, &format!("{kind}, as the step made it"));
        }
    }
    note("recipe.toml", "the recipe with every parameter");
    note("provenance.json", "what the numbers come from");
    document.outputs = outputs;

    let text = |name: &str, text: &str| write_bytes(&folder.join(name), text.as_bytes());
    text("report.html", &report_html(&document, &figures))?;
    text("result.json", &document.to_json()?)?;
    text("rows.csv", &row_table_csv(result, dataset))?;
    text("spectra.csv", &spectra_csv(&figures))?;
    text("recipe.toml", &figures.recipe_toml)?;
    text("provenance.json", &figures.provenance_json)?;
    Ok(Said {
        json: document.to_json()?,
        answer: Box::new(move |color, report| answer(&document, color, Some(report))),
    })
}

/// The dataset with other rows, and what was done to it in its history.
fn again(dataset: &Dataset, rows: &Rows, name: &str) -> Dataset {
    let mut source = Source { dtype: None, ..dataset.source.clone() };
    source.history.push(Event {
        program: concat!("kalpha ", env!("CARGO_PKG_VERSION")).to_owned(),
        action: format!("made {name}, see recipe.toml"),
        path: dataset.source.without_folder().path,
        format: dataset.source.format.clone(),
    });
    Dataset { rows: Rows::clone(rows), source, diagnostics: Vec::new(), ..dataset.clone() }
}
