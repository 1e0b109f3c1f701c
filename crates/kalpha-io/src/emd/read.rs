//! From one item of a Velox file to a dataset.

use super::{
    contents::{Item, Kind, items, json, version},
    events,
    metadata::{at, describe, energy, number, positions, scanned, text},
};
use crate::{
    Input, IoError, OpenOptions,
    hdf5::{fail, open},
};
use hdf5_reader::{Dataset as Array, Datatype, Hdf5File, SliceInfo, SliceInfoElem};
use kalpha_core::{
    Axis, Code, CsrCounts, DType, Dataset, DenseRows, DenseValues, Diagnostic, Modality,
    NoiseModel, Rows, RowsMeta, Source, Unit,
};
use serde_json::{Map, Value};
use std::sync::Arc;

/// No filter of these files shrinks by more than deflate does.
const DEFLATE_FACTOR: usize = 1032;

/// Values read at once.
const BLOCK: usize = 4 << 20;

pub(super) fn signals(input: &Input) -> Result<Vec<String>, IoError> {
    let file = velox(input)?.0;
    Ok(items(input, &file)?.into_iter().map(|item| item.name).collect())
}

/// The file and its version, if it is one of Velox.
fn velox(input: &Input) -> Result<(Hdf5File, String), IoError> {
    let file = open(input)?;
    match version(&file) {
        Some(version) => Ok((file, version)),
        None => Err(IoError::Unsupported {
            file: input.path().to_owned(),
            field: "/Version".to_owned(),
            got: "not that of a Velox file".to_owned(),
            supported: "Velox .emd".to_owned(),
            hint: "an NCEM .emd can be saved as .hspy with HyperSpy",
        }),
    }
}

/// A dataset whose claimed size the file can hold, with its shape.
fn array(input: &Input, file: &Hdf5File, path: &str) -> Result<(Array, Vec<usize>), IoError> {
    let array = file.dataset(path).map_err(|e| fail(input, path, e))?;
    let shape: Option<Vec<usize>> =
        array.shape().iter().map(|&n| usize::try_from(n).ok()).collect();
    let width = match array.dtype() {
        Datatype::FixedPoint { size, .. } | Datatype::FloatingPoint { size, .. } => {
            usize::from(*size)
        }
        _ => 1,
    };
    let size = shape.as_ref().and_then(|s| s.iter().try_fold(width, |n, &d| n.checked_mul(d)));
    let limit = input.bytes().len().saturating_mul(DEFLATE_FACTOR);
    match (shape, size) {
        (Some(shape), Some(size)) if size <= limit && size > 0 => Ok((array, shape)),
        (_, Some(0)) => Err(IoError::NoSpectra {
            file: input.path().to_owned(),
            found: format!("{path} of no values"),
        }),
        (_, size) => {
            let claimed = size.map_or(u64::MAX, |n| n as u64);
            Err(input.too_large(path, claimed, limit as u64))
        }
    }
}

/// A part of the last axis.
fn part(shape: &[usize], start: usize, end: usize) -> SliceInfo {
    let mut selection = SliceInfo::all(shape.len());
    if let Some(last) = selection.selections.last_mut() {
        *last = SliceInfoElem::Slice { start: start as u64, end: end as u64, step: 1 };
    }
    selection
}

/// All values of an array, its last axis made the slowest; and the type of the file.
fn last_axis_first(
    input: &Input,
    array: &Array,
    path: &str,
    shape: &[usize],
) -> Result<(DenseValues, String), IoError> {
    let Some((&slow, rest)) = shape.split_last() else {
        let got = format!("{shape:?}");
        return Err(input.corrupt(0, format!("shape of {path}"), "at least one axis", got));
    };
    let plane: usize = rest.iter().product();
    let step = (BLOCK / plane.max(1)).clamp(1, slow.max(1));
    macro_rules! read {
        ($type:ty, $values:ident) => {{
            let mut out: Vec<$type> = Vec::new();
            out.reserve_exact(plane.saturating_mul(slow));
            for start in (0..slow).step_by(step) {
                let end = (start + step).min(slow);
                let values = array
                    .read_slice::<$type>(&part(shape, start, end))
                    .map_err(|e| fail(input, path, e))?;
                let (first, n) = (out.len(), end - start);
                out.resize(first + plane * n, <$type>::default());
                for (i, &x) in values.iter().enumerate() {
                    out[first + (i % n) * plane + i / n] = x;
                }
            }
            Ok((DenseValues::$values(out.into()), stringify!($type)))
        }};
    }
    let read: Result<(DenseValues, &str), IoError> = match array.dtype() {
        Datatype::FixedPoint { size: 1, signed: false, .. } => read!(u8, U8),
        Datatype::FixedPoint { size: 2, signed: false, .. } => read!(u16, U16),
        Datatype::FixedPoint { size: 4, signed: false, .. } => read!(u32, U32),
        Datatype::FixedPoint { size: 2, signed: true, .. } => read!(i16, I16),
        Datatype::FixedPoint { size: 4, signed: true, .. } => read!(i32, I32),
        Datatype::FloatingPoint { size: 4, .. } => read!(f32, F32),
        Datatype::FloatingPoint { size: 8, .. } => read!(f64, F64),
        other => Err(IoError::Unsupported {
            file: input.path().to_owned(),
            field: format!("type of {path}"),
            got: format!("{other:?}"),
            supported: "integers and floating-point numbers".to_owned(),
            hint: "export the image in Velox as numbers, not as colours or a Fourier transform",
        }),
    };
    let (values, name) = read?;
    let (kind, bits) = name.split_at(1);
    let kind = match kind {
        "u" => "uint",
        "i" => "int",
        _ => "float",
    };
    Ok((values, format!("{kind}{bits}")))
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
    let mut channels = 1;
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
        let path = format!("{group}/Data");
        let (data, shape) = array(input, file, &path)?;
        let n = shape.first().copied().unwrap_or(0);
        let mut stream: Vec<u16> = Vec::new();
        stream.reserve_exact(n);
        for start in (0..n).step_by(BLOCK) {
            let mut selection = SliceInfo::all(shape.len());
            let (start, end) = (start as u64, (start + BLOCK).min(n) as u64);
            selection.selections[0] = SliceInfoElem::Slice { start, end, step: 1 };
            let values = data.read_slice::<u16>(&selection).map_err(|e| fail(input, &path, e))?;
            stream.extend(values.iter());
        }
        streams.push(stream);
    }
    let shape = scanned(first);
    let (height, width) = shape.unwrap_or((1, 1));
    let pixels = height.saturating_mul(width);
    // An empty pixel costs one mark, but a scan may have been stopped in its first frame.
    let limit = streams.iter().map(Vec::len).max().unwrap_or(0).max(1 << 20);
    if pixels > limit {
        let field = format!("scan of {height} x {width} pixels");
        return Err(input.too_large(field, pixels as u64, limit as u64));
    }
    let summed = events::sum(&streams, pixels).map_err(|e| input.rows_error(e))?;
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

fn dense(
    input: &Input,
    values: DenseValues,
    navigation: Vec<Axis>,
    signal: Axis,
    noise: NoiseModel,
) -> Result<Rows, IoError> {
    let (rows, channels) = (navigation.iter().map(Axis::len).product(), signal.len());
    let dtype = values.dtype();
    let meta = RowsMeta { rows, channels, dtype, navigation, signal, noise };
    Ok(Arc::new(DenseRows::new(meta, values).map_err(|e| input.rows_error(e))?))
}

/// Says that intensities of a camera or a scanning detector are no counts.
fn intensities() -> Diagnostic {
    let message = "the values are intensities, not counts: their noise is unknown";
    Diagnostic::note(Code::Assumed, message).hint("a likelihood step needs counts")
}

fn read_eels(
    input: &Input,
    file: &Hdf5File,
    item: &Item,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<Content, IoError> {
    let (group, metadata) = only(item);
    let path = format!("{group}/Data");
    let (data, shape) = array(input, file, &path)?;
    let &[width, channels, height] = &shape[..] else {
        let got = format!("{shape:?}");
        return Err(input.corrupt(0, format!("shape of {path}"), "(x, energy, y)", got));
    };
    let (values, dtype) = last_axis_first(input, &data, &path, &shape)?;
    let stated = acquisition(file, &group);
    let stated = |key| number(&stated, &["Data", key]);
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
    diagnostics.push(intensities());
    let navigation = grid(input, metadata, (height, width), diagnostics);
    Ok(Content {
        rows: dense(input, values, navigation, signal, NoiseModel::Unknown)?,
        dtype: Some(dtype),
        modality: Some(Modality::Eels),
        exposure_s: stated("exposureTime").filter(|s| *s > 0.0),
    })
}

/// The JSON beside the first line of an EELS map.
fn acquisition(file: &Hdf5File, group: &str) -> Value {
    let read = || -> Option<Value> {
        let data = file.dataset(&format!("{group}/AcquisitionMetadata")).ok()?;
        let shape: Vec<usize> = data.shape().iter().map(|&n| n as usize).collect();
        let bytes = data.read_slice::<u8>(&part(&shape, 0, 1)).ok()?;
        let bytes: Vec<u8> = bytes.iter().copied().take_while(|&b| b != 0).collect();
        serde_json::from_slice(&bytes).ok()
    };
    read().unwrap_or(Value::Null)
}

fn read_spectrum(
    input: &Input,
    file: &Hdf5File,
    item: &Item,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<Content, IoError> {
    let (group, metadata) = only(item);
    let path = format!("{group}/Data");
    let (data, shape) = array(input, file, &path)?;
    // Kept as one column.
    let (values, dtype) = last_axis_first(input, &data, &path, &shape)?;
    let (n, rows) = (shape.first().copied().unwrap_or(0), shape.iter().skip(1).product());
    let counts = matches!(values.dtype(), DType::U8 | DType::U16 | DType::U32);
    let noise = if counts { NoiseModel::COUNTS } else { NoiseModel::Unknown };
    let signal = energy_axis(input, metadata, n, diagnostics);
    let navigation = if rows == 1 { Vec::new() } else { vec![Axis::index("frame", rows)] };
    let rows = dense(input, values, navigation, signal, noise)?;
    Ok(Content { rows, dtype: Some(dtype), modality: Some(Modality::Eds), exposure_s: None })
}

fn read_image(
    input: &Input,
    file: &Hdf5File,
    item: &Item,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<Content, IoError> {
    let (group, metadata) = only(item);
    let path = format!("{group}/Data");
    let (data, shape) = array(input, file, &path)?;
    let &[height, width, frames] = &shape[..] else {
        let got = format!("{shape:?}");
        return Err(input.corrupt(0, format!("shape of {path}"), "(y, x, frame)", got));
    };
    let (values, dtype) = last_axis_first(input, &data, &path, &shape)?;
    let mut navigation = grid(input, metadata, (height, width), diagnostics);
    if frames > 1 {
        navigation.insert(0, Axis::index("frame", frames));
    }
    diagnostics.push(intensities());
    let rows = dense(input, values, navigation, Axis::index("intensity", 1), NoiseModel::Unknown)?;
    Ok(Content { rows, dtype: Some(dtype), modality: None, exposure_s: None })
}

/// Group and metadata of an item that is one group.
fn only(item: &Item) -> (String, &Value) {
    let metadata = item.metadata.first().unwrap_or(&Value::Null);
    (item.groups.first().cloned().unwrap_or_default(), metadata)
}

pub(super) fn read(input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
    let (file, version) = velox(input)?;
    let found = items(input, &file)?;
    let names: Vec<String> = found.iter().map(|item| item.name.clone()).collect();
    let mut diagnostics = Vec::new();
    let item = match &options.signal {
        Some(asked) => found.iter().find(|item| item.name == *asked),
        None => found.first(),
    };
    let Some(item) = item else {
        let asked = options.signal.clone().unwrap_or_default();
        let file = input.path().to_owned();
        return Err(IoError::NoSignal { file, asked, available: names });
    };
    if found.len() > 1 && options.signal.is_none() {
        let message = format!("{} signals, {:?} was read", names.len(), item.name);
        let hint = format!("--signal takes {}", names.join(", "));
        diagnostics.push(Diagnostic::note(Code::Assumed, message).hint(hint));
    }
    let content = match item.kind {
        Kind::Events => read_events(input, &file, item, &mut diagnostics)?,
        Kind::EelsImage => read_eels(input, &file, item, &mut diagnostics)?,
        Kind::Spectrum => read_spectrum(input, &file, item, &mut diagnostics)?,
        Kind::Image => read_image(input, &file, item, &mut diagnostics)?,
    };
    let all: Vec<&Value> = item.metadata.iter().collect();
    let mut metadata = describe(&all, content.modality);
    metadata.exposure_s = content.exposure_s;
    let vendor: Map<String, Value> =
        item.groups.iter().cloned().zip(item.metadata.iter().cloned()).collect();
    let lost = |m: &&Value| at(m, &["Detectors"]).is_none();
    if item.metadata.iter().any(|m| lost(&m)) {
        let message = "the metadata of a detector could not be read";
        diagnostics.push(Diagnostic::warning(Code::MissingMetadata, message));
    }
    Ok(Dataset {
        rows: content.rows,
        metadata,
        vendor: Value::Object(vendor),
        mask: None,
        source: Source { dtype: content.dtype, ..input.source("emd", Some(version)) },
        diagnostics,
    })
}
