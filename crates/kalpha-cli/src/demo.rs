//! The embedded demos: simulated on the spot, with truth.

use anyhow::bail;
use kalpha_core::{Axis, DType, Dataset, NoiseModel, Quantity, RowsMeta, Source, Unit};
use kalpha_physics::simulate::eds::{EdsSimulation, EdsTruth, bulk, thin};
use kalpha_report::eds::{EdsDocument, Truth, TruthRow};
use std::sync::Arc;

/// Seed of the demos: everybody sees the same data.
const SEED: u64 = 1;

/// The dataset behind `demo:NAME`.
pub fn dataset(name: &str) -> anyhow::Result<Dataset> {
    let simulated = simulate(name)?;
    let EdsSimulation { counts, height, width, pixel_size_nm, metadata, .. } = simulated;
    let axis = |name, n| Axis::linear(name, Unit::Nanometre, 0.0, pixel_size_nm, n);
    let channels = counts.channels();
    let meta = RowsMeta {
        rows: height * width,
        channels,
        dtype: DType::Csr,
        navigation: vec![axis("y", height)?, axis("x", width)?],
        signal: Axis::linear(
            "Energy",
            Unit::KeV,
            simulated.energy_offset,
            simulated.energy_scale,
            channels,
        )?,
        noise: NoiseModel::COUNTS,
    };
    Ok(Dataset {
        rows: Arc::new((meta, counts)),
        metadata,
        vendor: serde_json::Value::Null,
        mask: None,
        source: Source {
            path: format!("demo:{name}"),
            format: "simulation".to_owned(),
            ..Source::default()
        },
        diagnostics: Vec::new(),
    })
}

fn simulate(name: &str) -> anyhow::Result<EdsSimulation> {
    Ok(match name {
        "eds" => thin::simulate(SEED)?,
        "eds-bulk" => bulk::simulate(SEED)?,
        _ => bail!("no demo is called {name:?} (hint: demo:eds or demo:eds-bulk)"),
    })
}

/// Writes found against true into the document of a demo; does nothing for a file.
pub fn compare(dataset: &Dataset, document: &mut EdsDocument) -> anyhow::Result<()> {
    let Some(name) = dataset.source.path.strip_prefix("demo:") else { return Ok(()) };
    let truth = simulate(name)?.truth;
    let mut rows = elements(&truth, document);
    rows.extend(compositions(&truth, document));
    rows.extend(rare(&truth, document));
    document.truth = Some(Truth {
        about: "simulated counts: the truth is known, and the analysis does not see it".to_owned(),
        rows,
    });
    Ok(())
}

/// Which of the true elements were found, and which were invented.
fn elements(truth: &EdsTruth, document: &EdsDocument) -> Vec<TruthRow> {
    let known = |s: &str| {
        truth.elements.iter().chain(&truth.stray_elements).any(|e| e == s)
            || truth.phases.iter().any(|p| p.elements.iter().any(|e| e == s))
            || truth.rare_pixels.iter().any(|p| p.elements.iter().any(|e| e == s))
    };
    let of_specimen = truth.elements.len() as f64;
    let found =
        truth.elements.iter().filter(|e| document.elements.iter().any(|d| d.symbol == **e)).count()
            as f64;
    let invented = document.elements.iter().filter(|e| !known(&e.symbol)).count() as f64;
    let row = |what: &str, truth: f64, found: f64| TruthRow {
        what: what.to_owned(),
        unit: String::new(),
        truth,
        found: Some(found),
        sigma: None,
        agrees: truth == found,
    };
    vec![
        row("elements of the specimen", of_specimen, found),
        row("elements reported that are not there", 0.0, invented),
    ]
}

/// At.% of the whole map: true for what was quantified, renormalised to it.
fn compositions(truth: &EdsTruth, document: &EdsDocument) -> Vec<TruthRow> {
    let Some(composition) = document.quantification.composition() else { return Vec::new() };
    let at = |symbol: &str| {
        let i = truth.elements.iter().position(|e| e == symbol)?;
        truth.atomic_percent.get(i).copied()
    };
    let total: f64 = composition.elements.iter().filter_map(|e| at(&e.symbol)).sum();
    composition
        .elements
        .iter()
        .filter_map(|e| {
            let truth = 100.0 * at(&e.symbol)? / total;
            let Quantity::Measured { value, .. } = e.atomic_percent else { return None };
            let sigma = e.atomic_percent.sigma()?;
            Some(TruthRow {
                what: format!("{} in the whole map", e.symbol),
                unit: "at.%".to_owned(),
                truth,
                found: Some(value),
                sigma: Some(sigma),
                // Two standard deviations: 95 %.
                agrees: (value - truth).abs() <= 2.0 * sigma,
            })
        })
        .collect()
}

/// Planted pixels that are flagged, and flags that are next to no planted pixel.
fn rare(truth: &EdsTruth, document: &EdsDocument) -> Vec<TruthRow> {
    if truth.rare_pixels.is_empty() || document.guard.is_none() {
        return Vec::new();
    }
    let near = |pixel: &[usize; 2], row: usize, column: usize| {
        pixel[0].abs_diff(row) <= 2 && pixel[1].abs_diff(column) <= 2
    };
    let hit = truth
        .rare_pixels
        .iter()
        .filter(|p| document.flagged.iter().any(|f| near(&f.pixel, p.row, p.column)))
        .count() as f64;
    let stray = document
        .flagged
        .iter()
        .filter(|f| truth.rare_pixels.iter().all(|p| !near(&f.pixel, p.row, p.column)))
        .count() as f64;
    let row = |what: &str, truth: f64, found: f64| TruthRow {
        what: what.to_owned(),
        unit: String::new(),
        truth,
        found: Some(found),
        sigma: None,
        agrees: truth == found,
    };
    vec![
        row("planted pixels flagged", truth.rare_pixels.len() as f64, hit),
        row("flags elsewhere", 0.0, stray),
    ]
}
