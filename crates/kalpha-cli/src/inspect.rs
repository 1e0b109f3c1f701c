//! `kalpha inspect`: what a file holds.

use crate::{args::InspectArgs, input};
use kalpha_core::{Axis, Dataset, Metadata, Serial};
use kalpha_process::totals::{Totals, totals};
use serde::Serialize;
use std::io::{IsTerminal, Write};

/// The document behind `--json`.
#[derive(Serialize)]
struct Inspection<'a> {
    schema: &'static str,
    file: &'a str,
    format: &'a str,
    version: Option<&'a str>,
    shape: Vec<usize>,
    stored_as: kalpha_core::DType,
    noise: &'a kalpha_core::NoiseModel,
    navigation: &'a [Axis],
    signal: &'a Axis,
    metadata: &'a Metadata,
    missing: Vec<Missing>,
    total: f64,
    counts_per_pixel: f64,
    empty_pixels: usize,
    nonzero_fraction: f64,
    largest_value: f64,
    warnings: &'a [kalpha_core::Diagnostic],
}

/// A key the file does not give.
#[derive(Serialize)]
struct Missing {
    key: &'static str,
    needed_for: &'static str,
    flag: &'static str,
}

pub fn inspect(args: &InspectArgs) -> anyhow::Result<()> {
    let dataset = input::open(&args.read)?;
    let totals = totals(&dataset.rows, &Serial::default())?;
    let (mut nonzero, mut largest) = (0usize, 0f64);
    let grid = kalpha_core::CellGrid::new(dataset.meta().rows, dataset.meta().channels);
    let mut buffer = kalpha_core::CellBuffer::default();
    for i in 0..grid.cells() {
        dataset.rows.cell(grid.rows(i), &mut buffer)?.for_each_nonzero(|_, _, x| {
            nonzero += 1;
            largest = largest.max(x);
        });
    }
    let meta = dataset.meta();
    let mut shape = meta.grid();
    shape.push(meta.channels);
    let inspection = Inspection {
        schema: "kalpha.inspect/1",
        file: &args.read.file,
        format: &dataset.source.format,
        version: dataset.source.version.as_deref(),
        shape,
        stored_as: meta.dtype,
        noise: &meta.noise,
        navigation: &meta.navigation,
        signal: &meta.signal,
        metadata: &dataset.metadata,
        missing: missing(&dataset.metadata),
        total: totals.total(),
        counts_per_pixel: totals.counts_per_row(),
        empty_pixels: totals.empty_rows,
        nonzero_fraction: nonzero as f64 / (meta.rows * meta.channels).max(1) as f64,
        largest_value: largest,
        warnings: &dataset.diagnostics,
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &inspection)?;
        writeln!(out)?;
    } else {
        print(&mut out, &inspection, &dataset, &totals)?;
    }
    Ok(())
}

fn missing(metadata: &Metadata) -> Vec<Missing> {
    let has_angle = metadata.take_off_angle.is_some() || metadata.elevation_angle.is_some();
    [
        (
            metadata.beam_energy_kev.is_some(),
            "beam_energy_keV",
            "identification and k-factors",
            "--set beam_energy_keV=200",
        ),
        (
            metadata.specimen.is_some() || metadata.acquisition_mode.is_some(),
            "specimen",
            "quantification",
            "--specimen thin or --specimen bulk",
        ),
        (has_angle, "elevation_angle", "absorption", "--set elevation_angle=18"),
        (
            metadata.energy_resolution_mn_ka_ev.is_some(),
            "energy_resolution_MnKa_eV",
            "line windows (it is fitted otherwise)",
            "--set energy_resolution_MnKa_eV=130",
        ),
    ]
    .into_iter()
    .filter(|(there, ..)| !there)
    .map(|(_, key, needed_for, flag)| Missing { key, needed_for, flag })
    .collect()
}

fn print(
    out: &mut impl Write,
    it: &Inspection<'_>,
    dataset: &Dataset,
    totals: &Totals,
) -> std::io::Result<()> {
    let shape: Vec<String> = it.shape.iter().map(ToString::to_string).collect();
    writeln!(out, "{}", it.file)?;
    let version = it.version.map(|v| format!(" {v}")).unwrap_or_default();
    writeln!(out, "  format    {}{version}", it.format)?;
    let stored = match it.stored_as {
        kalpha_core::DType::Csr => "sparse counts".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    };
    writeln!(out, "  shape     {} ({stored})", shape.join(" x "))?;
    for axis in it.navigation.iter().chain([it.signal]) {
        let (first, last) = (axis.at(0), axis.at(axis.len().saturating_sub(1)));
        let unit = axis.unit.symbol();
        writeln!(out, "  axis      {:<8} {first:.6} .. {last:.6} {unit}", axis.name)?;
    }
    writeln!(
        out,
        "  counts    {} in total, {:.1} per pixel, {:.2} % of voxels hold any, largest {}",
        it.total,
        it.counts_per_pixel,
        100.0 * it.nonzero_fraction,
        it.largest_value
    )?;
    let metadata = serde_json::to_value(it.metadata).unwrap_or_default();
    for (key, value) in metadata.as_object().into_iter().flatten() {
        let text = match value {
            serde_json::Value::Null => continue,
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Array(list) if list.is_empty() => continue,
            serde_json::Value::Array(list) => {
                list.iter().filter_map(|v| v.as_str()).collect::<Vec<_>>().join(" ")
            }
            other => other.to_string(),
        };
        writeln!(out, "  {key:<26} {text}")?;
    }
    if std::io::stdout().is_terminal() || !totals.sum.is_empty() {
        writeln!(out, "  sum       {}", sparkline(&totals.sum, 64))?;
    }
    for missing in &it.missing {
        writeln!(out, "  missing   {} for {}: {}", missing.key, missing.needed_for, missing.flag)?;
    }
    for diagnostic in &dataset.diagnostics {
        writeln!(out, "  note      {diagnostic}")?;
    }
    Ok(())
}

/// A spectrum in `width` characters, on a square-root scale.
fn sparkline(spectrum: &[f64], width: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let per = spectrum.len().div_ceil(width).max(1);
    let heights: Vec<f64> = spectrum
        .chunks(per)
        .map(|chunk| chunk.iter().fold(0.0f64, |a, &b| a.max(b)).max(0.0).sqrt())
        .collect();
    let top = heights.iter().fold(f64::MIN_POSITIVE, |a, &b| a.max(b));
    heights.iter().map(|h| BARS[((h / top * 7.0).round() as usize).min(7)]).collect()
}
