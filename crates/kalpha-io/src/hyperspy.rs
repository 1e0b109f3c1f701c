//! What HyperSpy writes, into HDF5 (`.hspy`) and Zarr (`.zspy`) alike.
//!
//! `/Experiments/<name>/` holds `data`, one dictionary `axis-<i>` per dimension, and the trees
//! `metadata` and `original_metadata`. What kalpha wrote itself stands in the attribute `kalpha`
//! and is read back as it was.

use crate::{
    Input, IoError, OpenOptions,
    blocks::{Blocks, rows_of},
    hdf5::at,
    sidecar::Sidecar,
};
use kalpha_core::{
    Axis, Code, Dataset, Diagnostic, Metadata, Modality, Mode, Points, RowsMeta, Source, Unit,
};
use serde_json::{Map, Value, json};

/// One signal of a file.
pub(crate) struct Experiment {
    pub name: String,
    pub shape: Vec<usize>,
    /// The dictionary of each axis, slowest first.
    pub axes: Vec<Value>,
}

/// An axis as HyperSpy's axes dictionary gives it.
pub(crate) struct FileAxis {
    axis: Axis,
    navigate: bool,
    calibrated: bool,
}

fn read_axis(input: &Input, dictionary: &Value, i: usize, n: usize) -> FileAxis {
    let word = |key| at(dictionary, key).and_then(Value::as_str).filter(|w| *w != "_None_");
    let stated = word("name").unwrap_or_default();
    let navigate = at(dictionary, "navigate").and_then(Value::as_bool).unwrap_or(true);
    let unit = word("units").map_or(Unit::None, Unit::parse);
    let energy = matches!(unit, Unit::Ev | Unit::KeV);
    let name = match stated {
        "" if energy && !navigate => "Energy".to_owned(),
        "" => format!("axis-{i}"),
        stated => stated.to_owned(),
    };
    let values: Option<Vec<f64>> = at(dictionary, "axis")
        .and_then(Value::as_array)
        .map(|list| list.iter().filter_map(Value::as_f64).collect());
    if let Some(values) = values.filter(|v| v.len() == n) {
        return FileAxis { axis: Axis::values(&name, unit, values), navigate, calibrated: true };
    }
    let stated = |key| at(dictionary, key).and_then(Value::as_f64);
    let (offset, scale) = (stated("offset").unwrap_or(0.0), stated("scale"));
    let (axis, error) = input.axis(&name, unit, offset, scale.unwrap_or(1.0), n);
    FileAxis { axis, navigate, calibrated: scale.is_some() && error.is_none() }
}

/// The axes are navigation axes and one signal axis, last.
fn is_spectra(axes: &[FileAxis]) -> bool {
    axes.split_last().is_some_and(|(signal, navigation)| {
        !signal.navigate && navigation.iter().all(|a| a.navigate)
    })
}

/// The signal to read and whether it is one of spectra: the one asked for, else the first of
/// spectra, else the first.
pub(crate) fn choose(
    input: &Input,
    found: &[Experiment],
    options: &OpenOptions,
) -> Result<(usize, Vec<FileAxis>, bool), IoError> {
    let axes = |experiment: &Experiment| -> Vec<FileAxis> {
        let lengths = experiment.shape.iter().zip(&experiment.axes).enumerate();
        lengths.map(|(i, (&n, dictionary))| read_axis(input, dictionary, i, n)).collect()
    };
    let number = match &options.signal {
        Some(asked) => found.iter().position(|e| e.name == *asked).ok_or_else(|| {
            let available = found.iter().map(|e| e.name.clone()).collect();
            IoError::NoSignal { file: input.path().to_owned(), asked: asked.clone(), available }
        })?,
        None => found.iter().position(|e| is_spectra(&axes(e))).unwrap_or(0),
    };
    let chosen = found.get(number).ok_or_else(|| IoError::NoSpectra {
        file: input.path().to_owned(),
        found: "nothing".to_owned(),
    })?;
    let axes = axes(chosen);
    let spectra = is_spectra(&axes);
    Ok((number, axes, spectra))
}

/// What stands beside the values of the chosen signal.
pub(crate) struct Described {
    pub axes: Vec<FileAxis>,
    pub metadata: Value,
    pub original_metadata: Value,
    /// What kalpha wrote, where it wrote the file.
    pub kalpha: Option<Vec<u8>>,
    pub source: Source,
}

/// The dataset of the chosen signal.
pub(crate) fn dataset(
    input: &Input,
    found: &[Experiment],
    number: usize,
    options: &OpenOptions,
    data: impl Blocks + 'static,
    described: Described,
) -> Result<Dataset, IoError> {
    let mut diagnostics = Vec::new();
    if found.len() > 1 && options.signal.is_none() {
        let name = found.get(number).map(|e| e.name.as_str()).unwrap_or_default();
        let names: Vec<&str> = found.iter().map(|e| e.name.as_str()).collect();
        let message = format!("{} signals, {name:?} was read", found.len());
        let hint = format!("--signal takes {}", names.join(", "));
        diagnostics.push(Diagnostic::note(Code::Assumed, message).hint(hint));
    }
    let mut source = described.source;
    source.dtype = Some(data.dtype().name().to_owned());
    let own = described.kalpha.map(|json| Sidecar::parse(input, &json)).transpose()?;
    let shape: Vec<usize> = described.axes.iter().map(|a| a.axis.len()).collect();
    let exact = match &own {
        Some(own) => own.axes_of(input, &shape)?,
        None => None,
    };
    let spectra = is_spectra(&described.axes);
    let mut axes = exact.unwrap_or_else(|| {
        for FileAxis { axis, calibrated, .. } in &described.axes {
            let sane = match &axis.points {
                Points::Values(values) => values.iter().all(|v| v.is_finite()),
                Points::Linear { .. } => *calibrated,
            };
            if !sane {
                let message = format!("axis {} has no usable offset and scale", axis.name);
                diagnostics.push(Diagnostic::warning(Code::MissingMetadata, message));
            }
        }
        let mut axes: Vec<Axis> = described.axes.into_iter().map(|a| a.axis).collect();
        // Images and the like are a grid of single values.
        if !spectra {
            axes.push(Axis::index("intensity", 1));
        }
        axes
    });
    let signal = axes.pop().unwrap_or_else(|| Axis::index("Energy", 0));
    let navigation = axes;
    let gathered = rows_of(input, data, navigation, signal)?;
    diagnostics.extend(gathered.diagnostics);
    let dataset = Dataset {
        rows: gathered.rows,
        metadata: metadata(&described.metadata),
        vendor: json!({
            "metadata": described.metadata,
            "original_metadata": described.original_metadata,
        }),
        mask: None,
        source,
        diagnostics,
    };
    match own {
        Some(own) => own.apply(input, dataset),
        None => Ok(dataset),
    }
}

/// A grid of single values is an image.
pub(crate) fn is_image(meta: &RowsMeta) -> bool {
    meta.channels == 1 && meta.signal.name == "intensity" && !meta.navigation.is_empty()
}

/// An axis as HyperSpy's dictionary gives it.
pub(crate) fn axis_dictionary(axis: &Axis, navigate: bool) -> Value {
    let text = |text: &str| if text.is_empty() { Value::Null } else { json!(text) };
    let mut dictionary = json!({
        "name": text(&axis.name),
        "units": text(axis.unit.symbol()),
        "size": axis.len(),
        "navigate": navigate,
        "is_binned": false,
    });
    let more = match &axis.points {
        Points::Linear { offset, scale, .. } => {
            json!({"_type": "UniformDataAxis", "offset": offset, "scale": scale})
        }
        Points::Values(values) => json!({"_type": "DataAxis", "axis": values}),
    };
    if let (Some(all), Value::Object(more)) = (dictionary.as_object_mut(), more) {
        all.extend(more);
    }
    dictionary
}

/// Sets `a.b.c` in a tree.
fn set(tree: &mut Value, path: &str, value: Value) {
    let mut at = tree;
    for key in path.split('.') {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[key];
    }
    *at = value;
}

/// HyperSpy's metadata: the tree the dataset came with, where it came from HyperSpy, under what
/// is known in the field's terms.
pub(crate) fn metadata_tree(dataset: &Dataset) -> Value {
    let known = &dataset.metadata;
    let came_with = dataset.vendor.get("metadata").filter(|tree| tree.get("General").is_some());
    let mut tree = came_with.cloned().unwrap_or_else(|| json!({}));
    let kind = match known.acquisition_mode {
        Some(Mode::Sem) => "SEM",
        _ => "TEM",
    };
    let signal_type = match known.modality {
        Some(Modality::Eds) => format!("EDS_{kind}"),
        Some(Modality::Eels) => "EELS".to_owned(),
        _ => String::new(),
    };
    let stated = at(&tree, "Signal.signal_type").and_then(Value::as_str).unwrap_or_default();
    if stated.is_empty() || !signal_type.is_empty() {
        set(&mut tree, "Signal.signal_type", json!(signal_type));
    }
    set(&mut tree, "General.title", json!(known.title.as_deref().unwrap_or_default()));
    let instrument = |key: &str| format!("Acquisition_instrument.{kind}.{key}");
    let mut put = |path: String, value: Option<Value>| {
        if let Some(value) = value {
            set(&mut tree, &path, value);
        }
    };
    let number = |x: Option<f64>| x.map(|x| json!(x));
    put(instrument("beam_energy"), number(known.beam_energy_kev));
    put(instrument("beam_current"), number(known.beam_current_na));
    put(instrument("microscope"), known.instrument.as_ref().map(|t| json!(t)));
    put(instrument("Stage.tilt_alpha"), number(known.tilt_stage));
    if known.modality == Some(Modality::Eds) {
        put(instrument("Detector.EDS.live_time"), number(known.live_time_s));
        put(instrument("Detector.EDS.real_time"), number(known.real_time_s));
        put(instrument("Detector.EDS.elevation_angle"), number(known.elevation_angle));
        put(instrument("Detector.EDS.azimuth_angle"), number(known.azimuth_angle));
        let resolution = known.energy_resolution_mn_ka_ev;
        put(instrument("Detector.EDS.energy_resolution_MnKa"), number(resolution));
    }
    let elements = (!known.listed_elements.is_empty()).then(|| json!(known.listed_elements));
    put("Sample.elements".to_owned(), elements);
    tree
}

/// What the file came with, for HyperSpy's `original_metadata`.
pub(crate) fn original_tree(dataset: &Dataset) -> Value {
    let vendor = &dataset.vendor;
    match vendor.get("original_metadata") {
        Some(original) => original.clone(),
        None if vendor.is_object() => vendor.clone(),
        None => json!({}),
    }
}

/// What a value was in Python, in front of its name.
const MARKS: [&str; 8] = [
    "_list_empty_",
    "_tuple_empty_",
    "_list_",
    "_tuple_",
    "_bs_",
    "_datetime_",
    "_sig_",
    "_hspy_AxesManager_",
];

/// Puts a value under its plain name; a group that stands for a list becomes one.
pub(crate) fn put(object: &mut Map<String, Value>, name: &str, value: Value) {
    let mark = MARKS.iter().find(|mark| name.starts_with(**mark));
    let plain = mark.map_or(name, |mark| &name[mark.len()..]);
    let length = plain
        .split_once('_')
        .filter(|(n, _)| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    match (mark.copied(), length, value) {
        (Some("_list_empty_" | "_tuple_empty_"), _, _) => {
            object.insert(plain.to_owned(), json!([]));
        }
        (Some("_list_" | "_tuple_"), Some((_, plain)), Value::Object(items)) => {
            let mut items: Vec<(usize, Value)> =
                items.into_iter().map(|(key, v)| (key.parse().unwrap_or(usize::MAX), v)).collect();
            items.sort_by_key(|(number, _)| *number);
            object.insert(plain.to_owned(), items.into_iter().map(|(_, v)| v).collect());
        }
        (_, _, value) => {
            object.insert(plain.to_owned(), value);
        }
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
        convergence_angle_mrad: positive("convergence_angle"),
        collection_angle_mrad: positive("Detector.EELS.collection_angle"),
        exposure_s: positive("Detector.EELS.exposure"),
        listed_elements: strings("Sample.elements"),
        ..Metadata::default()
    }
}
