//! The folder of an EDS run.

use super::Said;
use kalpha_core::Dataset;
use kalpha_io::write::{Compression, Values, write_bytes, write_zarr, write_zarr_group};
use kalpha_recipe::RunResult;
use kalpha_report::eds::{
    EdsDocument, EdsFigures, Output, answer, assemble, composition_csv, flagged_csv,
    intensities_csv, label_png, map_png, phases_csv, report_html,
};
use serde_json::{Map, json};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Width of map images, in pixels.
const MAP_WIDTH: usize = 512;

/// Writes the folder.
pub(super) fn write(folder: &Path, result: &RunResult, dataset: &Dataset) -> anyhow::Result<Said> {
    let (mut document, figures) = assemble(result, dataset)?;
    crate::demo::compare(dataset, &mut document)?;
    document.outputs = list(&document, &figures);
    write_all(folder, &document, &figures, dataset)?;
    Ok(Said {
        json: document.to_json()?,
        answer: Box::new(move |color, report| answer(&document, color, Some(report))),
    })
}

/// The files of the folder and what they hold.
fn list(document: &EdsDocument, figures: &EdsFigures) -> Vec<Output> {
    let mut files = vec![
        ("report.html", "the whole answer, one file, no network needed"),
        ("result.json", "the same as --json prints"),
        ("intensities.csv", "line family intensities with errors and limits"),
        ("composition.csv", "compositions with budgets"),
        ("flagged.csv", "pixels that nobody expected"),
        ("spectra.csv", "sum spectrum, model, background, residual"),
        ("recipe.toml", "the recipe with every parameter"),
        ("provenance.json", "what the numbers come from"),
    ];
    if !document.phases.is_empty() {
        files.insert(4, ("phases.csv", "phases with area fractions"));
    }
    if !figures.maps.is_empty() {
        files.push(("maps.zarr", "every map as numbers, Zarr version 3"));
        files.push(("maps", "every map as an image"));
    }
    let file = |(file, about): (&str, &str)| Output { file: file.into(), about: about.into() };
    files.into_iter().map(file).collect()
}

/// Something to write.
type Job<'a> = Box<dyn FnOnce() -> anyhow::Result<()> + Send + 'a>;

fn write_all(
    folder: &Path,
    document: &EdsDocument,
    figures: &EdsFigures,
    dataset: &Dataset,
) -> anyhow::Result<()> {
    let text = |name: &str, text: &str| write_bytes(&folder.join(name), text.as_bytes());
    text("result.json", &document.to_json()?)?;
    text("intensities.csv", &intensities_csv(document))?;
    text("composition.csv", &composition_csv(document))?;
    if !document.phases.is_empty() {
        text("phases.csv", &phases_csv(document))?;
    }
    text("flagged.csv", &flagged_csv(document))?;
    text("spectra.csv", &spectra_csv(figures))?;
    text("recipe.toml", &figures.recipe_toml)?;
    text("provenance.json", &figures.provenance_json)?;
    let report =
        || Ok(write_bytes(&folder.join("report.html"), report_html(document, figures).as_bytes())?);
    let mut jobs: Vec<Job<'_>> = vec![Box::new(report)];
    if !figures.maps.is_empty() {
        maps(folder, document, figures, dataset, &mut jobs)?;
    }
    at_once(jobs)
}

/// Does all jobs, one per core at a time; the first error counts.
fn at_once(jobs: Vec<Job<'_>>) -> anyhow::Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let left = Mutex::new(jobs.into_iter());
    let take = || loop {
        let job = left.lock().unwrap_or_else(PoisonError::into_inner).next();
        match job {
            Some(job) => job()?,
            None => return Ok(()),
        }
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(take)).collect();
        let mut all: anyhow::Result<()> = take();
        for other in others {
            all = all
                .and(other.join().unwrap_or_else(|_| Err(anyhow::anyhow!("writing a map failed"))));
        }
        all
    })
}

/// Channel by channel: what the report draws.
fn spectra_csv(figures: &EdsFigures) -> String {
    let mut text = String::from("energy_keV,counts,model,background,residual_sigma,max_pixel\n");
    let at = |curve: &Option<Vec<f64>>, i: usize| {
        curve.as_ref().and_then(|c| c.get(i)).map(ToString::to_string).unwrap_or_default()
    };
    let sum = &figures.sum;
    for (i, energy) in figures.energies.iter().enumerate() {
        let counts = sum.counts.get(i).copied().unwrap_or_default();
        let (model, background) = (at(&sum.model, i), at(&sum.background, i));
        let (residual, max_pixel) = (at(&sum.residual, i), at(&figures.max_pixel, i));
        text.push_str(&format!("{energy},{counts},{model},{background},{residual},{max_pixel}\n"));
    }
    text
}

/// Adds the jobs that write the maps.
fn maps<'a>(
    folder: &Path,
    document: &'a EdsDocument,
    figures: &'a EdsFigures,
    dataset: &'a Dataset,
    jobs: &mut Vec<Job<'a>>,
) -> anyhow::Result<()> {
    let (images, arrays) = (folder.join("maps"), folder.join("maps.zarr"));
    std::fs::create_dir(&images)?;
    write_zarr_group(&arrays, &Map::from_iter([("kalpha".to_owned(), json!({}))]))?;
    let navigation = &dataset.meta().navigation;
    for map in figures.maps.iter().chain(&figures.deviance) {
        let (path, image) = (arrays.join(&map.name), images.join(format!("{}.png", map.name)));
        jobs.push(Box::new(move || {
            let attributes = Map::from_iter([
                ("title".to_owned(), json!(map.title)),
                ("unit".to_owned(), json!(map.unit)),
            ]);
            let values = Values::F64(&map.values);
            write_zarr(&path, navigation, values, &attributes, Compression::Gzip)?;
            Ok(write_bytes(&image, &map_png(map, MAP_WIDTH)?)?)
        }));
    }
    if let Some(labels) = &figures.labels {
        jobs.push(Box::new(move || {
            let names: Vec<_> = document.phases.iter().map(|p| (p.label, &p.name)).collect();
            let attributes = Map::from_iter([
                ("title".to_owned(), json!("phase of each pixel")),
                ("phases".to_owned(), json!(names)),
                ("mixed".to_owned(), json!(kalpha_report::eds::LabelMap::MIXED)),
                ("masked".to_owned(), json!(kalpha_report::eds::LabelMap::MASKED)),
            ]);
            let values = Values::U16(&labels.labels);
            let path = arrays.join("phases");
            write_zarr(&path, navigation, values, &attributes, Compression::Gzip)?;
            let image = label_png(labels, &document.phases, MAP_WIDTH)?;
            Ok(write_bytes(&images.join("phases.png"), &image)?)
        }));
    }
    Ok(())
}
