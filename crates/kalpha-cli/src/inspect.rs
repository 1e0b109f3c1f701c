//! `kalpha inspect`: what a file holds.

use crate::{args::InspectArgs, input};
use kalpha_core::{Axis, CellBuffer, CellGrid, Dataset, Metadata, Modality, Rows, RowsError, Unit};
use serde::Serialize;
use std::{io::Write, path::Path};

/// Names of signals told before it says how many more there are.
const NAMES_TOLD: usize = 12;

/// The document behind `--json`.
#[derive(Serialize)]
struct Inspection<'a> {
    schema: &'static str,
    file: &'a str,
    format: &'a str,
    version: Option<&'a str>,
    /// How sure the format is: `certain`, `likely`, `by its name only`, `as asked`, `simulated`.
    confidence: String,
    could_also_be: Vec<&'static str>,
    signals: Vec<String>,
    /// The signal that was read, where it has a name.
    signal_name: Option<&'a str>,
    shape: Vec<usize>,
    /// Type of the values in the file, where they lie there as an array.
    dtype: Option<&'a str>,
    held_as: kalpha_core::DType,
    noise: &'a kalpha_core::NoiseModel,
    navigation: &'a [Axis],
    signal: &'a Axis,
    metadata: &'a Metadata,
    missing: Vec<Missing>,
    total: f64,
    counts_per_pixel: f64,
    empty_pixels: usize,
    nonzero_fraction: f64,
    smallest_value: f64,
    largest_value: f64,
    not_finite: usize,
    warnings: &'a [kalpha_core::Diagnostic],
}

/// A key the file does not give.
#[derive(Serialize)]
struct Missing {
    key: &'static str,
    needed_for: &'static str,
    flag: &'static str,
}

/// What one look at every value tells.
struct Survey {
    sum: Vec<f64>,
    total: f64,
    empty_rows: usize,
    nonzero: usize,
    not_finite: usize,
    smallest: f64,
    largest: f64,
}

/// Reads all rows once, cell by cell.
fn survey(rows: &Rows) -> Result<Survey, RowsError> {
    let meta = rows.meta();
    let mut found = Survey {
        sum: vec![0.0; meta.channels],
        total: 0.0,
        empty_rows: 0,
        nonzero: 0,
        not_finite: 0,
        smallest: f64::INFINITY,
        largest: f64::NEG_INFINITY,
    };
    let grid = CellGrid::new(meta.rows, meta.channels);
    let mut buffer = CellBuffer::default();
    for i in 0..grid.cells() {
        let cell = rows.cell(grid.rows(i), &mut buffer)?;
        let mut last = None;
        let mut filled = 0;
        cell.for_each_nonzero(|row, channel, x| {
            found.nonzero += 1;
            if last != Some(row) {
                last = Some(row);
                filled += 1;
            }
            if x.is_finite() {
                found.sum[channel] += x;
                found.smallest = found.smallest.min(x);
                found.largest = found.largest.max(x);
            } else {
                found.not_finite += 1;
            }
        });
        found.empty_rows += cell.rows - filled;
    }
    // A value that is not stored is a zero.
    if found.nonzero < meta.rows * meta.channels {
        found.smallest = found.smallest.min(0.0);
        found.largest = found.largest.max(0.0);
    }
    found.total = found.sum.iter().sum();
    Ok(found)
}

/// How sure the format is, and what else it could be.
fn sureness(args: &InspectArgs, format: &str) -> (String, Vec<&'static str>) {
    if args.read.file.starts_with("demo:") {
        return ("simulated".to_owned(), Vec::new());
    }
    let found = kalpha_io::detect(Path::new(&args.read.file)).unwrap_or_default();
    let others =
        found.iter().map(|(id, _)| id.name()).filter(|name| *name != format).collect::<Vec<_>>();
    let confidence = found.iter().find(|(id, _)| id.name() == format).map(|(_, sure)| *sure);
    match confidence {
        Some(sure) if args.read.format.is_none() => (sure.to_string(), others),
        _ => ("as asked".to_owned(), others),
    }
}

/// Names of the signals in the file.
fn signals(args: &InspectArgs) -> Vec<String> {
    let format = args.read.format.as_deref().and_then(|name| name.parse().ok());
    let options = kalpha_io::OpenOptions { format, ..Default::default() };
    match args.read.file.starts_with("demo:") {
        true => Vec::new(),
        false => kalpha_io::signals(&args.read.file, &options).unwrap_or_default(),
    }
}

pub fn inspect(args: &InspectArgs) -> anyhow::Result<()> {
    let dataset = input::open(&args.read)?;
    let survey = survey(&dataset.rows)?;
    let meta = dataset.meta();
    let mut shape = meta.grid();
    shape.push(meta.channels);
    let (confidence, could_also_be) = sureness(args, &dataset.source.format);
    let inspection = Inspection {
        schema: "kalpha.inspect/1",
        file: &args.read.file,
        format: &dataset.source.format,
        version: dataset.source.version.as_deref(),
        confidence,
        could_also_be,
        signals: signals(args),
        signal_name: dataset.source.signal.as_deref(),
        shape,
        dtype: dataset.source.dtype.as_deref(),
        held_as: meta.dtype,
        noise: &meta.noise,
        navigation: &meta.navigation,
        signal: &meta.signal,
        metadata: &dataset.metadata,
        missing: missing(&dataset),
        total: survey.total,
        counts_per_pixel: survey.total / meta.rows.max(1) as f64,
        empty_pixels: survey.empty_rows,
        nonzero_fraction: survey.nonzero as f64 / (meta.rows * meta.channels).max(1) as f64,
        smallest_value: survey.smallest,
        largest_value: survey.largest,
        not_finite: survey.not_finite,
        warnings: &dataset.diagnostics,
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &inspection)?;
        writeln!(out)?;
    } else {
        print(&mut out, &inspection, &dataset, &survey.sum)?;
    }
    Ok(())
}

/// What steps need and the file does not say.
fn missing(dataset: &Dataset) -> Vec<Missing> {
    let (meta, metadata) = (dataset.meta(), &dataset.metadata);
    if meta.channels == 1 {
        // An image: no step takes it for spectra.
        return Vec::new();
    }
    let eds = matches!(metadata.modality, Some(Modality::Eds))
        || (metadata.modality.is_none() && meta.signal.unit == Unit::KeV);
    let has_angle = metadata.take_off_angle.is_some() || metadata.elevation_angle.is_some();
    let of_eds = [
        (
            metadata.beam_energy_kev.is_some(),
            "beam_energy_keV",
            "eds.identify, rare and eds.cliff_lorimer",
            "--set beam_energy_keV=200",
        ),
        (
            metadata.specimen.is_some() || metadata.acquisition_mode.is_some(),
            "specimen",
            "eds.cliff_lorimer",
            "--specimen thin or --specimen bulk",
        ),
        (
            has_angle,
            "elevation_angle",
            "the absorption part of eds.cliff_lorimer",
            "--set elevation_angle=18",
        ),
        (
            metadata.energy_resolution_mn_ka_ev.is_some(),
            "energy_resolution_MnKa_eV",
            "eds.line_windows (it is fitted otherwise)",
            "--set energy_resolution_MnKa_eV=130",
        ),
    ];
    let of_all = [
        (
            meta.signal.unit != Unit::None,
            "signal axis",
            "every step that knows energies",
            "--energy-axis OFFSET,SCALE,UNIT",
        ),
        (
            metadata.modality.is_some(),
            "modality",
            "the choice of a recipe by kalpha run",
            "--set modality=eds (or xrf, xas, eels, xps, xrd, raman)",
        ),
    ];
    of_all
        .into_iter()
        .chain(of_eds.into_iter().filter(|_| eds))
        .filter(|(there, ..)| !there)
        .map(|(_, key, needed_for, flag)| Missing { key, needed_for, flag })
        .collect()
}

fn print(
    out: &mut impl Write,
    it: &Inspection<'_>,
    dataset: &Dataset,
    sum: &[f64],
) -> std::io::Result<()> {
    let shape: Vec<String> = it.shape.iter().map(ToString::to_string).collect();
    writeln!(out, "{}", it.file)?;
    let version = it.version.map(|v| format!(" {v}")).unwrap_or_default();
    writeln!(out, "  format    {}{version} ({})", it.format, it.confidence)?;
    if !it.could_also_be.is_empty() {
        let others = it.could_also_be.join(", ");
        writeln!(out, "  or        {others}: --format names one")?;
    }
    let held = match it.held_as {
        kalpha_core::DType::Csr => "sparse counts".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    };
    let stored = it.dtype.map(|dtype| format!("{dtype}, ")).unwrap_or_default();
    let image = it.signal.len() == 1 && !it.navigation.is_empty();
    let shape = match image {
        // One value for each pixel is no axis to speak of.
        true => format!("image of {}", shape[..shape.len() - 1].join(" x ")),
        false => shape.join(" x "),
    };
    writeln!(out, "  shape     {shape} ({stored}held as {held})")?;
    if it.signals.len() > 1 {
        let told = it.signals.iter().take(NAMES_TOLD).map(|name| match it.signal_name {
            Some(read) if read == name => format!("{name} (read)"),
            _ => name.clone(),
        });
        let told = told.collect::<Vec<_>>().join(", ");
        let more = match it.signals.len().saturating_sub(NAMES_TOLD) {
            0 => String::new(),
            n => format!(" and {n} more (--json lists them)"),
        };
        writeln!(out, "  signals   {told}{more}: --signal NAME reads another")?;
    }
    let listed =
        it.signals.iter().take(NAMES_TOLD).any(|name| Some(name.as_str()) == it.signal_name);
    if let Some(name) = it.signal_name.filter(|_| !(listed && it.signals.len() > 1)) {
        writeln!(out, "  signal    {name}")?;
    }
    let signal = Some(it.signal).filter(|_| !image);
    for axis in it.navigation.iter().chain(signal) {
        writeln!(out, "  axis      {:<8} {}", axis.name, span(axis))?;
    }
    if it.noise.is_counts() {
        let rows = it.shape[..it.shape.len() - 1].iter().product::<usize>();
        let pixels = match rows {
            0 | 1 => String::new(),
            _ => {
                format!("{:.1} per pixel, {} pixels empty, ", it.counts_per_pixel, it.empty_pixels)
            }
        };
        writeln!(
            out,
            "  counts    {} in total, {pixels}{:.2} % of the channels hold any, largest {}",
            it.total,
            100.0 * it.nonzero_fraction,
            it.largest_value,
        )?;
    } else {
        writeln!(
            out,
            "  values    {} .. {}, sum {}, {:.2} % are not zero",
            digits(it.smallest_value),
            digits(it.largest_value),
            digits(it.total),
            100.0 * it.nonzero_fraction
        )?;
    }
    if it.not_finite > 0 {
        writeln!(out, "  values    {} are not numbers", it.not_finite)?;
    }
    let metadata = serde_json::to_value(it.metadata).unwrap_or_default();
    for (key, value) in metadata.as_object().into_iter().flatten() {
        let text = match value {
            serde_json::Value::Null => continue,
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Array(list) if list.is_empty() => continue,
            serde_json::Value::Array(list) => {
                list.iter().filter_map(|v| v.as_str()).collect::<Vec<_>>().join(" ")
            }
            serde_json::Value::Number(x) => x.as_f64().map_or_else(|| x.to_string(), exact),
            other => other.to_string(),
        };
        writeln!(out, "  {key:<26} {text}")?;
    }
    if !image {
        writeln!(out, "  sum       {}", sparkline(sum, 64))?;
    }
    for missing in &it.missing {
        writeln!(out, "  missing   {} for {}: {}", missing.key, missing.needed_for, missing.flag)?;
    }
    for diagnostic in &dataset.diagnostics {
        // The list of signals has said it.
        if listed && it.signals.len() > 1 && diagnostic.message.ends_with(" was read") {
            continue;
        }
        writeln!(out, "  note      {diagnostic}")?;
    }
    Ok(())
}

/// First and last point of an axis, how many there are, and how far apart.
fn span(axis: &Axis) -> String {
    let n = axis.len();
    let unit = match axis.unit.symbol() {
        "" => String::new(),
        symbol => format!(" {symbol}"),
    };
    if n < 2 {
        return format!("{}{unit}, {n} point", exact(axis.at(0)));
    }
    let step = match axis.offset_scale() {
        Some((_, scale)) => format!("step {}", exact(scale)),
        None => "uneven steps".to_owned(),
    };
    format!("{} .. {}{unit}, {n} points, {step}", exact(axis.at(0)), exact(axis.at(n - 1)))
}

/// A number to eight digits without zeros at its end: more than any axis is known to.
fn exact(x: f64) -> String {
    let magnitude = x.abs().max(f64::MIN_POSITIVE).log10().floor();
    if !x.is_finite() || x == 0.0 || !(-5.0..15.0).contains(&magnitude) {
        return format!("{x}");
    }
    let text = format!("{x:.*}", (7.0 - magnitude).max(0.0) as usize);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A number to six digits; whole numbers as they are.
fn digits(x: f64) -> String {
    let magnitude = x.abs().max(f64::MIN_POSITIVE).log10().floor();
    if !x.is_finite() || (x.fract() == 0.0 && x.abs() < 1e15) {
        format!("{x}")
    } else if (-5.0..15.0).contains(&magnitude) {
        format!("{x:.*}", (5.0 - magnitude).max(0.0) as usize)
    } else {
        format!("{x:.5e}")
    }
}

/// A spectrum in at most `width` characters, on a square-root scale above its lowest value.
fn sparkline(spectrum: &[f64], width: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let per = spectrum.len().div_ceil(width).max(1);
    let tops: Vec<f64> = spectrum
        .chunks(per)
        .map(|chunk| chunk.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b)))
        .collect();
    let base = tops.iter().fold(f64::INFINITY, |a, &b| a.min(b));
    let heights: Vec<f64> = tops.iter().map(|top| (top - base).max(0.0).sqrt()).collect();
    let top = heights.iter().fold(f64::MIN_POSITIVE, |a, &b| a.max(b));
    heights.iter().map(|h| BARS[((h / top * 7.0).round() as usize).min(7)]).collect()
}

#[cfg(test)]
mod tests {
    use super::{digits, exact, span, sparkline};
    use kalpha_core::{Axis, Unit};

    #[test]
    fn axes_are_told_as_short_as_they_are_exact() {
        let told = [0.0, 126.005_840_734, 5.811_199_999_999_999_5, -0.472_397_235, 20.0, 1e-9];
        let expected = ["0", "126.00584", "5.8112", "-0.47239724", "20", "0.000000001"];
        assert_eq!(told.map(exact), expected);
        let axis = Axis::linear("Energy", Unit::KeV, -0.1, 0.01, 4).unwrap();
        assert_eq!(span(&axis), "-0.1 .. -0.07 keV, 4 points, step 0.01");
        let axis = Axis::values("x", Unit::None, vec![1.0, 2.0, 4.0]);
        assert_eq!(span(&axis), "1 .. 4, 3 points, uneven steps");
        assert_eq!(span(&Axis::index("y", 1)), "0, 1 point");
    }

    #[test]
    fn six_digits_are_told() {
        let told = [13_287_743.099_999_998, 0.030_981_468, 1431.4, 6.0, 1e-9, f64::NAN].map(digits);
        assert_eq!(told, ["13287743", "0.0309815", "1431.40", "6", "1.00000e-9", "NaN"]);
    }

    #[test]
    fn a_spectrum_fits_its_width_and_shows_its_peak() {
        let spectrum: Vec<f64> = (0..1000).map(|i| if i == 500 { 100.0 } else { 1.0 }).collect();
        let line: Vec<char> = sparkline(&spectrum, 64).chars().collect();
        assert!(line.len() <= 64, "{}", line.len());
        assert_eq!(line.iter().filter(|c| **c == '█').count(), 1);
        assert_eq!(line[0], '▁');
        assert_eq!(sparkline(&[-2.0, -1.0], 64), "▁█");
        assert_eq!(sparkline(&[], 64), "");
    }
}
