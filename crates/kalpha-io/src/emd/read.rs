//! From one item of a Velox file to a dataset.

use super::{
    contents::{Item, Kind, frame_json, items, json, version},
    events::{self, Stream},
    metadata::{at, describe, energy, number, positions, scanned, text},
};
use crate::{
    Input, IoError, OpenOptions,
    blocks::{Blocks, rows_as_stored},
    hdf5::{DEFLATE_FACTOR, Hdf5Array, fail, open},
};
use hdf5_reader::Hdf5File;
use kalpha_core::{
    Axis, Code, CsrCounts, DType, Dataset, Diagnostic, Modality, NoiseModel, Rows, RowsMeta,
    Source, Unit,
};
use serde_json::{Map, Value};
use std::sync::Arc;

/// A file holds no more pixels of a scan than this for each of its bytes.
const PIXELS_PER_BYTE: usize = 4;

/// A file of Velox and all it holds.
struct Velox {
    file: Hdf5File,
    version: String,
    items: Vec<Item>,
}

fn velox(input: &Input) -> Result<Arc<Velox>, IoError> {
    input.contents(|| {
        let file = open(input)?;
        let version = version(&file).ok_or_else(|| IoError::Unsupported {
            file: input.path().to_owned(),
            field: "/Version".to_owned(),
            got: "not that of a Velox file".to_owned(),
            supported: "Velox .emd".to_owned(),
            hint: "an NCEM .emd can be saved as .hspy with HyperSpy",
        })?;
        let items = items(input, &file)?;
        Ok(Velox { file, version, items })
    })
}

pub(super) fn signals(input: &Input) -> Result<Vec<String>, IoError> {
    Ok(velox(input)?.items.iter().map(|item| item.name.clone()).collect())
}

/// The values of a group: their type and size are checked, nothing is read.
fn array(input: &Input, file: &Hdf5File, path: &str) -> Result<Hdf5Array, IoError> {
    let group = file.group(path).map_err(|e| fail(input, path, e))?;
    Hdf5Array::open(input, &group, path, "Data")
}

/// The grid on which something was recorded.
fn grid(
    input: &Input,
    metadata: &Value,
    (height, width): (usize, usize),
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Axis> {
    let Some(positions) = positions(metadata) else {
        let message = "the file gives no pixel size: positions are pixel numbers";
        diagnostics.push(Diagnostic::warning(Code::MissingMetadata, message));
        return vec![Axis::index("y", height), Axis::index("x", width)];
    };
    let extent = positions[0].1 * height as f64 + positions[1].1 * width as f64;
    let (unit, factor) =
        if extent < 1e-6 { (Unit::Nanometre, 1e9) } else { (Unit::Micrometre, 1e6) };
    let axes = ["y", "x"].into_iter().zip(positions).zip([height, width]);
    axes.map(|((name, (offset, step)), n)| {
        input.axis(name, unit.clone(), offset * factor, step * factor, n).0
    })
    .collect()
}

fn energy_axis(
    input: &Input,
    metadata: &Value,
    n: usize,
    diagnostics: &mut Vec<Diagnostic>,
) -> Axis {
    match energy(metadata) {
        Some((offset, scale)) => input.axis("Energy", Unit::KeV, offset, scale, n).0,
        None => {
            let message = "the file gives no energy calibration: channels are numbered";
            diagnostics.push(Diagnostic::warning(Code::MissingMetadata, message));
            Axis::index("Energy", n)
        }
    }
}

/// What was read of an item.
struct Content {
    rows: Rows,
    dtype: Option<String>,
    modality: Option<Modality>,
    exposure_s: Option<f64>,
}

fn read_events(
    input: &Input,
    file: &Hdf5File,
    item: &Item,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<Content, IoError> {
    let first = item.metadata.first().unwrap_or(&Value::Null);
    let mut streams = Vec::new();
    let (mut channels, mut longest) = (1, 0);
    for group in &item.groups {
        let settings = json(file, &format!("{group}/AcquisitionSettings")).unwrap_or_default();
        let encoding = text(&settings, &["encoding"]).unwrap_or_else(|| "uint16".to_owned());
        if encoding != "uint16" {
            return Err(IoError::Unsupported {
                file: input.path().to_owned(),
                field: format!("encoding of {group}"),
                got: encoding,
                supported: "uint16".to_owned(),
                hint: "export the spectrum image from Velox in another format",
            });
        }
        let stated = number(&settings, &["bincount"]).unwrap_or(4096.0);
        channels = channels.max(stated.clamp(1.0, 65535.0) as usize);
        let data = array(input, file, group)?.along(None);
        let n = data.shape().iter().product();
        // Chunks that are not there would be events of channel 0 without end.
        let most = DEFLATE_FACTOR * input.bytes().len() / size_of::<u16>();
        if n > most {
            return Err(input.too_large(format!("events of {group}"), n as u64, most as u64));
        }
        longest = longest.max(n);
        streams.push(Stream::new(input, data, n)?);
    }
    let shape = scanned(first);
    let (height, width) = shape.unwrap_or((1, 1));
    let pixels = height.saturating_mul(width);
    // An empty pixel costs one mark, but a scan may have been stopped in its first frame.
    let limit = longest.min(PIXELS_PER_BYTE * input.bytes().len()).max(1 << 20);
    if pixels > limit {
        let field = format!("scan of {height} x {width} pixels");
        return Err(input.too_large(field, pixels as u64, limit as u64));
    }
    let summed = events::sum(input, &streams, pixels)?;
    drop(streams);
    if summed.visited > pixels || shape.is_some() {
        let frames = summed.visited.div_ceil(pixels);
        if frames > 1 {
            let message = format!("{frames} frames were added");
            diagnostics.push(Diagnostic::note(Code::Assumed, message));
        }
        let last = summed.visited - (frames - 1) * pixels;
        if last < pixels {
            let message = format!("the last frame ends after {last} of {pixels} pixels");
            diagnostics.push(Diagnostic::warning(Code::Truncated, message));
        }
    }
    if summed.channels > channels {
        let message = format!(
            "counts reach channel {}, the file states {channels} channels; all were kept",
            summed.channels - 1
        );
        diagnostics.push(Diagnostic::warning(Code::VendorDisagrees, message));
        channels = summed.channels;
    }
    let energies: Vec<_> = item.metadata.iter().map(energy).collect();
    if energies.windows(2).any(|pair| pair[0] != pair[1]) {
        let message = "the detectors are calibrated differently; the axis is that of the first";
        diagnostics.push(
            Diagnostic::warning(Code::VendorDisagrees, message).hint("--signal reads one detector"),
        );
    }
    let counts = summed.rows.with_channels(channels).map_err(|e| input.rows_error(e))?.finish();
    let navigation = match shape {
        Some(shape) => grid(input, first, shape, diagnostics),
        None => Vec::new(),
    };
    let meta = RowsMeta {
        rows: counts.rows(),
        channels,
        dtype: DType::Csr,
        navigation,
        signal: energy_axis(input, first, channels, diagnostics),
        noise: NoiseModel::COUNTS,
    };
    let rows: (RowsMeta, CsrCounts) = (meta, counts);
    let modality = Some(Modality::Eds);
    Ok(Content { rows: Arc::new(rows), dtype: None, modality, exposure_s: None })
}

/// Values as they are stored, with their axes.
fn stored(
    input: &Input,
    data: Hdf5Array,
    navigation: Vec<Axis>,
    signal: Axis,
    modality: Option<Modality>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<Content, IoError> {
    let dtype = Some(data.dtype().name().to_owned());
    // The sums that the program made of its events count them; nothing else counts.
    let counts = modality == Some(Modality::Eds) && data.dtype().is_unsigned();
    let noise = if counts { NoiseModel::COUNTS } else { NoiseModel::Unknown };
    if !counts {
        let message = "the values are intensities, not counts: their noise is unknown";
        let note = Diagnostic::note(Code::Assumed, message).hint("a likelihood step needs counts");
        diagnostics.push(note);
    }
    let rows = rows_as_stored(input, data, navigation, signal, noise)?;
    Ok(Content { rows, dtype, modality, exposure_s: None })
}

fn read_eels(
    input: &Input,
    file: &Hdf5File,
    item: &Item,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<Content, IoError> {
    let (group, metadata) = only(item);
    let data = array(input, file, &group)?;
    let &[width, channels, height] = data.shape() else {
        let got = format!("{:?}", data.shape());
        return Err(input.corrupt(0, format!("shape of {group}/Data"), "(x, energy, y)", got));
    };
    // The JSON beside the first line.
    let acquisition =
        frame_json(file, &format!("{group}/AcquisitionMetadata")).unwrap_or(Value::Null);
    let stated = |key| number(&acquisition, &["Data", key]);
    let signal = match stated("dispersion").filter(|d| *d != 0.0) {
        Some(step) => {
            let offset = stated("offset").unwrap_or(0.0);
            input.axis("Energy loss", Unit::Ev, offset, step, channels).0
        }
        None => {
            let message = "the file gives no dispersion: channels are numbered";
            diagnostics.push(Diagnostic::warning(Code::MissingMetadata, message));
            Axis::index("Energy loss", channels)
        }
    };
    let navigation = grid(input, metadata, (height, width), diagnostics);
    let data = data.ordered(vec![2, 0], Some(1));
    let eels = Some(Modality::Eels);
    let content = stored(input, data, navigation, signal, eels, diagnostics)?;
    Ok(Content { exposure_s: stated("exposureTime").filter(|s| *s > 0.0), ..content })
}

fn read_spectrum(
    input: &Input,
    file: &Hdf5File,
    item: &Item,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<Content, IoError> {
    let (group, metadata) = only(item);
    let data = array(input, file, &group)?;
    let &[n, ref frames @ ..] = data.shape() else {
        return Err(input.corrupt(0, format!("shape of {group}/Data"), "(channel, ..)", "none"));
    };
    let (others, rows) = ((1..=frames.len()).collect(), frames.iter().product());
    let signal = energy_axis(input, metadata, n, diagnostics);
    let navigation = if rows == 1 { Vec::new() } else { vec![Axis::index("frame", rows)] };
    let data = data.ordered(others, Some(0));
    stored(input, data, navigation, signal, Some(Modality::Eds), diagnostics)
}

fn read_image(
    input: &Input,
    file: &Hdf5File,
    item: &Item,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<Content, IoError> {
    let (group, metadata) = only(item);
    let data = array(input, file, &group)?;
    let &[height, width, frames] = data.shape() else {
        let got = format!("{:?}", data.shape());
        return Err(input.corrupt(0, format!("shape of {group}/Data"), "(y, x, frame)", got));
    };
    let mut navigation = grid(input, metadata, (height, width), diagnostics);
    if frames > 1 {
        navigation.insert(0, Axis::index("frame", frames));
    }
    let data = data.ordered(vec![2, 0, 1], None);
    stored(input, data, navigation, Axis::index("intensity", 1), None, diagnostics)
}

/// Group and metadata of an item that is one group.
fn only(item: &Item) -> (String, &Value) {
    let metadata = item.metadata.first().unwrap_or(&Value::Null);
    (item.groups.first().cloned().unwrap_or_default(), metadata)
}

pub(super) fn read(input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
    let velox = velox(input)?;
    let Velox { file, version, items } = &*velox;
    let names = || items.iter().map(|item| item.name.clone()).collect::<Vec<_>>();
    let item = match &options.signal {
        Some(asked) => items.iter().find(|item| item.name == *asked),
        None => items.first(),
    };
    let Some(item) = item else {
        let asked = options.signal.clone().unwrap_or_default();
        let file = input.path().to_owned();
        return Err(IoError::NoSignal { file, asked, available: names() });
    };
    let mut diagnostics = Vec::new();
    if items.len() > 1 && options.signal.is_none() {
        let message = format!("{} signals, {:?} was read", items.len(), item.name);
        let hint = format!("--signal takes {}", names().join(", "));
        diagnostics.push(Diagnostic::note(Code::Assumed, message).hint(hint));
    }
    let content = match item.kind {
        Kind::Events => read_events(input, file, item, &mut diagnostics)?,
        Kind::EelsImage => read_eels(input, file, item, &mut diagnostics)?,
        Kind::Spectrum => read_spectrum(input, file, item, &mut diagnostics)?,
        Kind::Image => read_image(input, file, item, &mut diagnostics)?,
    };
    let all: Vec<&Value> = item.metadata.iter().collect();
    let mut metadata = describe(&all, content.modality);
    metadata.exposure_s = content.exposure_s;
    let vendor: Map<String, Value> =
        item.groups.iter().cloned().zip(item.metadata.iter().cloned()).collect();
    if item.metadata.iter().any(|m| at(m, &["Detectors"]).is_none()) {
        let message = "the metadata of a detector could not be read";
        diagnostics.push(Diagnostic::warning(Code::MissingMetadata, message));
    }
    Ok(Dataset {
        rows: content.rows,
        metadata,
        vendor: Value::Object(vendor),
        mask: None,
        source: Source {
            dtype: content.dtype,
            signal: Some(item.name.clone()),
            ..input.source("emd", Some(version.clone()))
        },
        diagnostics,
    })
}
