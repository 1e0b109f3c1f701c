//! From a `.hspy` to a dataset.

use super::tree::{at, attribute_json, group_json};
use crate::{
    Input, IoError, OpenOptions,
    gather::{Block, Gather},
};
use hdf5_reader::{
    Datatype, Hdf5File, OpenOptions as Hdf5Options, SliceInfo, SliceInfoElem, group::Group,
};
use kalpha_core::{Axis, Code, Dataset, Diagnostic, Metadata, Modality, Points, Source, Unit};
use serde_json::{Value, json};

/// Values read at once: 8 MiB, or one chunk row where that is more.
const BLOCK_BYTES: u64 = 8 << 20;

/// No filter of these files shrinks by more than deflate does.
const DEFLATE_FACTOR: usize = 1032;

fn fail(
    input: &Input,
    object: &str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> IoError {
    IoError::Hdf5 {
        file: input.path().to_owned(),
        object: object.to_owned(),
        source: source.into(),
    }
}

fn open(input: &Input) -> Result<Hdf5File, IoError> {
    let unpacked = input.bytes().len().saturating_mul(DEFLATE_FACTOR);
    let options = Hdf5Options {
        // One chunk is held several times over while it is converted.
        max_chunk_bytes: (256 << 20).min((8 << 20) + 64 * input.bytes().len()),
        max_read_bytes: (1 << 30).min(unpacked),
        max_object_header_bytes: 8 << 20,
        chunk_cache_bytes: 16 << 20,
        ..Hdf5Options::default()
    };
    Hdf5File::from_owner(Bytes(input.bytes().clone()), options).map_err(|e| fail(input, "/", e))
}

struct Bytes(kalpha_core::Buffer<u8>);

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The file states that HyperSpy wrote it.
pub(super) fn says_hyperspy(input: &Input) -> bool {
    let stated = || -> Option<String> {
        open(input).ok()?.root_group().ok()?.attribute("file_format").ok()?.read_string().ok()
    };
    stated().is_some_and(|format| format == "HyperSpy")
}

/// An axis as HyperSpy's axes dictionary gives it.
struct FileAxis {
    axis: Axis,
    navigate: bool,
    calibrated: bool,
}

fn read_axis(input: &Input, experiment: &Group, i: usize, n: usize) -> FileAxis {
    let dictionary =
        experiment.group(&format!("axis-{i}")).map(|g| group_json(&g)).unwrap_or_default();
    let stated = at(&dictionary, "name").and_then(Value::as_str).unwrap_or_default();
    let navigate = at(&dictionary, "navigate").and_then(Value::as_bool).unwrap_or(true);
    let unit = at(&dictionary, "units").and_then(Value::as_str).map_or(Unit::None, Unit::parse);
    let energy = matches!(unit, Unit::Ev | Unit::KeV);
    let name = match stated {
        "" if energy && !navigate => "Energy".to_owned(),
        "" => format!("axis-{i}"),
        stated => stated.to_owned(),
    };
    let values: Option<Vec<f64>> = at(&dictionary, "axis")
        .and_then(Value::as_array)
        .map(|list| list.iter().filter_map(Value::as_f64).collect());
    if let Some(values) = values.filter(|v| v.len() == n) {
        return FileAxis { axis: Axis::values(&name, unit, values), navigate, calibrated: true };
    }
    let stated = |key| at(&dictionary, key).and_then(Value::as_f64);
    let (offset, scale) = (stated("offset").unwrap_or(0.0), stated("scale"));
    let (axis, error) = input.axis(&name, unit, offset, scale.unwrap_or(1.0), n);
    FileAxis { axis, navigate, calibrated: scale.is_some() && error.is_none() }
}

struct Experiment {
    name: String,
    group: Group,
    shape: Vec<usize>,
}

/// Experiments that hold data, in the order of the file.
fn experiments(input: &Input, file: &Hdf5File) -> Result<Vec<Experiment>, IoError> {
    let root = file.group("/Experiments").map_err(|e| fail(input, "/Experiments", e))?;
    let groups = root.groups().map_err(|e| fail(input, "/Experiments", e))?;
    let mut found = Vec::new();
    for group in groups {
        if let Ok(data) = group.dataset("data") {
            let shape: Option<Vec<usize>> =
                data.shape().iter().map(|&n| usize::try_from(n).ok()).collect();
            if let Some(shape) = shape {
                found.push(Experiment { name: group.name().to_owned(), group, shape });
            }
        }
    }
    Ok(found)
}

pub(super) fn signals(input: &Input) -> Result<Vec<String>, IoError> {
    Ok(experiments(input, &open(input)?)?.into_iter().map(|e| e.name).collect())
}

fn axes(input: &Input, experiment: &Experiment) -> Vec<FileAxis> {
    let shape = experiment.shape.iter().enumerate();
    shape.map(|(i, &n)| read_axis(input, &experiment.group, i, n)).collect()
}

/// The axes are navigation axes and one signal axis, last.
fn is_spectra(axes: &[FileAxis]) -> bool {
    axes.split_last().is_some_and(|(signal, navigation)| {
        !signal.navigate && navigation.iter().all(|a| a.navigate)
    })
}

fn choose(
    input: &Input,
    found: Vec<Experiment>,
    options: &OpenOptions,
) -> Result<(Experiment, Vec<FileAxis>), IoError> {
    let names: Vec<String> = found.iter().map(|e| e.name.clone()).collect();
    let mut shapes = Vec::new();
    for experiment in found {
        let wanted = options.signal.as_ref().is_none_or(|s| *s == experiment.name);
        let axes = axes(input, &experiment);
        if wanted && is_spectra(&axes) {
            return Ok((experiment, axes));
        }
        if wanted && options.signal.is_some() {
            return Err(IoError::Unsupported {
                file: input.path().to_owned(),
                field: format!("signal {}", experiment.name),
                got: format!(
                    "an array of shape {:?} whose last axis alone is not the signal",
                    experiment.shape
                ),
                supported: "navigation axes and one signal axis, last".to_owned(),
                hint: "in HyperSpy, s.transpose(signal_axes=1) and save it again",
            });
        }
        shapes.push(format!("{} {:?}", experiment.name, experiment.shape));
    }
    match &options.signal {
        Some(asked) => Err(IoError::NoSignal {
            file: input.path().to_owned(),
            asked: asked.clone(),
            available: names,
        }),
        None => Err(IoError::NoSpectra {
            file: input.path().to_owned(),
            found: if shapes.is_empty() { "nothing".to_owned() } else { shapes.join(", ") },
        }),
    }
}

/// Reads the data in blocks of whole rows along the slowest axis.
fn read_data(input: &Input, experiment: &Experiment) -> Result<Gather, IoError> {
    let object = format!("/Experiments/{}/data", experiment.name);
    let data = experiment.group.dataset("data").map_err(|e| fail(input, &object, e))?;
    let width = match data.dtype() {
        Datatype::FixedPoint { size, .. } | Datatype::FloatingPoint { size, .. } => {
            u64::from(*size)
        }
        Datatype::Enum { .. } => 1,
        other => {
            return Err(IoError::Unsupported {
                file: input.path().to_owned(),
                field: object,
                got: format!("{other:?}"),
                supported: "integers and floating-point numbers".to_owned(),
                hint: "ragged and object arrays hold no spectra of one length",
            });
        }
    };
    let shape = &experiment.shape;
    let elements = shape.iter().try_fold(1u64, |n, &d| n.checked_mul(d as u64));
    let bytes = elements.and_then(|n| n.checked_mul(width)).unwrap_or(u64::MAX);
    let limit = (input.bytes().len() as u64).saturating_mul(DEFLATE_FACTOR as u64);
    if bytes > limit {
        return Err(input.too_large(object, bytes, limit));
    }
    if bytes == 0 {
        return Err(IoError::NoSpectra {
            file: input.path().to_owned(),
            found: format!("{object} of shape {shape:?}"),
        });
    }
    let channels = shape.last().copied().unwrap_or(0);
    let rows = shape.iter().rev().skip(1).product();
    let mut gather = Gather::new(rows, channels);
    // A single spectrum is read whole; else the slowest axis is cut at chunk borders.
    let slabs = if shape.len() > 1 { shape[0] as u64 } else { 1 };
    let chunk = match data.chunks().and_then(|c| c.first().copied()) {
        Some(chunk) if shape.len() > 1 => u64::from(chunk).clamp(1, slabs),
        _ => 1,
    };
    let step = (BLOCK_BYTES / (bytes / slabs) / chunk * chunk).max(chunk);
    for start in (0..slabs).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
        let mut selection = SliceInfo::all(shape.len());
        if shape.len() > 1 {
            let end = (start + step).min(slabs);
            selection.selections[0] = SliceInfoElem::Slice { start, end, step: 1 };
        }
        macro_rules! read {
            ($type:ty, $block:ident) => {{
                let values =
                    data.read_slice::<$type>(&selection).map_err(|e| fail(input, &object, e))?;
                match values.as_slice() {
                    Some(values) => gather.push(Block::$block(values)),
                    None => gather.push(Block::$block(&values.iter().copied().collect::<Vec<_>>())),
                }
            }};
        }
        match data.dtype() {
            Datatype::FixedPoint { size: 1, signed: false, .. } => read!(u8, U8),
            Datatype::FixedPoint { size: 2, signed: false, .. } => read!(u16, U16),
            Datatype::FixedPoint { size: 4, signed: false, .. } => read!(u32, U32),
            Datatype::FixedPoint { signed: false, .. } => read!(u64, U64),
            Datatype::FixedPoint { size: 1, .. } => read!(i8, I8),
            Datatype::FixedPoint { size: 2, .. } => read!(i16, I16),
            Datatype::FixedPoint { size: 4, .. } => read!(i32, I32),
            Datatype::FixedPoint { .. } => read!(i64, I64),
            Datatype::FloatingPoint { size: 8, .. } => read!(f64, F64),
            _ => read!(f32, F32),
        }
    }
    Ok(gather)
}

/// A type of the file in NumPy's words.
fn dtype(datatype: &Datatype) -> Option<String> {
    match datatype {
        Datatype::FixedPoint { size, signed: false, .. } => Some(format!("uint{}", 8 * size)),
        Datatype::FixedPoint { size, .. } => Some(format!("int{}", 8 * size)),
        Datatype::FloatingPoint { size, .. } => Some(format!("float{}", 8 * size)),
        Datatype::Enum { .. } => Some("bool".to_owned()),
        _ => None,
    }
}

/// Maps HyperSpy's metadata tree to ours.
fn metadata(tree: &Value) -> Metadata {
    let text = |path: &str| {
        at(tree, path).and_then(Value::as_str).filter(|t| !t.is_empty()).map(str::to_owned)
    };
    let signal_type = text("Signal.signal_type").unwrap_or_default();
    let modality = match signal_type.as_str() {
        t if t.starts_with("EDS") => Some(Modality::Eds),
        t => t.parse().ok(),
    };
    let acquisition = |kind: &'static str| {
        at(tree, &format!("Acquisition_instrument.{kind}")).map(|node| (kind, node))
    };
    let instrument = acquisition("TEM").or_else(|| acquisition("SEM"));
    let value = |path: &str| {
        instrument.and_then(|(_, node)| at(node, path)?.as_f64()).filter(|x| x.is_finite())
    };
    let positive = |path: &str| value(path).filter(|x| *x > 0.0);
    let word = |path: &str| {
        let found = instrument.and_then(|(_, node)| at(node, path)?.as_str());
        found.filter(|t| !t.is_empty()).map(str::to_owned)
    };
    let eds = |key: &str| format!("Detector.EDS.{key}");
    let strings = |path: &str| -> Vec<String> {
        let list = at(tree, path).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
    };
    Metadata {
        title: text("General.title"),
        modality,
        acquisition_mode: word("acquisition_mode")
            .and_then(|mode| mode.parse().ok())
            .or_else(|| instrument.and_then(|(kind, _)| kind.parse().ok())),
        instrument: word("microscope"),
        beam_energy_kev: positive("beam_energy"),
        beam_current_na: positive("beam_current"),
        live_time_s: positive(&eds("live_time")),
        real_time_s: positive(&eds("real_time")),
        elevation_angle: value(&eds("elevation_angle")),
        azimuth_angle: value(&eds("azimuth_angle")),
        tilt_stage: value("Stage.tilt_alpha").or_else(|| value("tilt_stage")),
        energy_resolution_mn_ka_ev: positive(&eds("energy_resolution_MnKa")),
        detector: word(&eds("detector")).or_else(|| word(&eds("detector_type"))),
        listed_elements: strings("Sample.elements"),
        ..Metadata::default()
    }
}

pub(super) fn read(input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
    let file = open(input)?;
    let found = experiments(input, &file)?;
    let names: Vec<String> = found.iter().map(|e| e.name.clone()).collect();
    let (experiment, mut axes) = choose(input, found, options)?;

    let mut diagnostics = Vec::new();
    if names.len() > 1 && options.signal.is_none() {
        let message = format!("{} signals, {:?} was read", names.len(), experiment.name);
        let hint = format!("--signal takes {}", names.join(", "));
        diagnostics.push(Diagnostic::note(Code::Assumed, message).hint(hint));
    }
    for FileAxis { axis, calibrated, .. } in &axes {
        let sane = match &axis.points {
            Points::Values(values) => values.iter().all(|v| v.is_finite()),
            Points::Linear { .. } => *calibrated,
        };
        if !sane {
            let message = format!("axis {} has no usable offset and scale", axis.name);
            diagnostics.push(Diagnostic::warning(Code::MissingMetadata, message));
        }
    }
    let gather = read_data(input, &experiment)?;
    let dtype = experiment.group.dataset("data").ok().and_then(|d| dtype(d.dtype()));
    let signal = axes.pop().map_or_else(|| Axis::index("Energy", 0), |a| a.axis);
    let navigation = axes.into_iter().map(|a| a.axis).collect();
    let gathered = gather.finish(navigation, signal).map_err(|e| input.rows_error(e))?;
    diagnostics.extend(gathered.diagnostics);

    let tree =
        |name: &str| experiment.group.group(name).map(|g| group_json(&g)).unwrap_or_default();
    let (described, original) = (tree("metadata"), tree("original_metadata"));
    let version = file
        .root_group()
        .and_then(|root| root.attribute("file_format_version"))
        .ok()
        .and_then(|v| attribute_json(&v).as_str().map(str::to_owned));
    Ok(Dataset {
        rows: gathered.rows,
        metadata: metadata(&described),
        vendor: json!({ "metadata": described, "original_metadata": original }),
        mask: None,
        source: Source { dtype, ..input.source("hspy", version) },
        diagnostics,
    })
}
