//! What an array cannot say of itself: axes, metadata, history, masked rows.
//!
//! Beside a `.npy` it is a JSON file, in Zarr the attributes of the array:
//! `{"axes": [{"name", "units", "offset", "scale"} or {"name", "units", "axis": [..]}, ..],
//! "metadata": {"beam_energy_keV": 200, ..}, "vendor": .., "history": [..], "signal": "..",
//! "masked": [..]}`,
//! slowest axis first.

use crate::{Input, IoError, open::Relabelled};
use kalpha_core::{
    Axis, Code, Dataset, Diagnostic, Event, Metadata, NoiseModel, Points, RowsMeta, Unit,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// An axis in the JSON file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SidecarAxis {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    units: Option<String>,
    #[serde(default)]
    offset: Option<f64>,
    #[serde(default)]
    scale: Option<f64>,
    #[serde(default)]
    size: Option<usize>,
    /// Values; JSON knows no NaN, `null` stands for it.
    #[serde(default)]
    axis: Option<Vec<Option<f64>>>,
}

/// The JSON file beside an array.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sidecar {
    #[serde(default)]
    axes: Vec<SidecarAxis>,
    #[serde(default)]
    metadata: Map<String, Value>,
    #[serde(default)]
    pub vendor: Value,
    #[serde(default)]
    pub history: Vec<Event>,
    /// Name of the signal.
    #[serde(default)]
    pub signal: Option<String>,
    /// Numbers of the rows that must not be used.
    #[serde(default)]
    masked: Vec<usize>,
    /// What is known of the noise, where the values alone would say otherwise.
    #[serde(default)]
    noise: Option<NoiseModel>,
}

/// What to do where the JSON file beside an array does not fit it.
const ASTRAY: &str = "it describes the array of the same name: correct it, or rename it where it \
                      belongs to something else";

/// The JSON file beside an array.
pub(crate) struct Beside {
    file: Input,
    sidecar: Sidecar,
}

/// True for a JSON file that means to describe an array: it has `axes`, or nothing that a
/// sidecar has not. One that is damaged and speaks of axes was meant to as well.
fn describes_an_array(json: &[u8]) -> bool {
    const AXES: &[u8] = br#""axes""#;
    let found = match serde_json::from_slice(json) {
        Ok(Value::Object(found)) => found,
        Ok(_) => return false,
        Err(_) => return json.windows(AXES.len()).any(|part| part == AXES),
    };
    let known = ["metadata", "vendor", "history", "signal", "masked", "noise"];
    let all = !found.is_empty() && found.keys().all(|key| known.contains(&key.as_str()));
    all || found.contains_key("axes")
}

/// The JSON file beside an array, where there is one that describes it; another is left alone,
/// with a note.
pub(crate) fn beside(
    input: &Input,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<Option<Beside>, IoError> {
    let path = input.path().with_extension("json");
    if !path.is_file() {
        return Ok(None);
    }
    let file = Input::open(&path)?;
    if !describes_an_array(file.bytes()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let message = format!("{name} beside it was not read: it does not describe an array");
        let hint = r#"where it shall, {"axes": [..], "metadata": {..}} is what it holds"#;
        diagnostics.push(Diagnostic::note(Code::Assumed, message).hint(hint));
        return Ok(None);
    }
    let sidecar = Sidecar::parse(&file, file.bytes()).map_err(astray)?;
    Ok(Some(Beside { file, sidecar }))
}

fn astray(error: IoError) -> IoError {
    match error {
        IoError::Corrupt { file, offset, field, expected, got, .. } => {
            IoError::Corrupt { file, offset, field, expected, got, hint: ASTRAY }
        }
        other => other,
    }
}

impl Beside {
    /// The axes of an array of that shape; `None` where they are not stated.
    pub fn axes(&self, shape: &[usize]) -> Result<Option<Vec<Axis>>, IoError> {
        self.sidecar.axes(&self.file, shape).map_err(astray)
    }

    /// Puts what is stated in the place of what the values alone say.
    pub fn apply(self, dataset: Dataset) -> Result<Dataset, IoError> {
        self.sidecar.apply(&self.file, dataset).map_err(astray)
    }
}

/// The name of an axis that has none, counted from the last.
pub(crate) fn default_name(from_end: usize) -> &'static str {
    match from_end {
        0 => "channel",
        1 => "x",
        2 => "y",
        _ => "frame",
    }
}

/// An axis after HyperSpy's axes dictionary.
pub(crate) fn axis_json(axis: &Axis) -> Value {
    let (name, units) = (&axis.name, axis.unit.symbol());
    match &axis.points {
        Points::Linear { offset, scale, n } => {
            json!({"name": name, "units": units, "size": n, "offset": offset, "scale": scale})
        }
        Points::Values(values) => {
            json!({"name": name, "units": units, "size": values.len(), "axis": values})
        }
    }
}

fn stated_axis(
    file: &Input,
    stated: &SidecarAxis,
    from_end: usize,
    n: usize,
) -> Result<Axis, IoError> {
    let name = stated.name.as_deref().unwrap_or(default_name(from_end));
    let unit = stated.units.as_deref().map_or(Unit::None, Unit::parse);
    let length = stated.axis.as_ref().map(Vec::len).or(stated.size).unwrap_or(n);
    if length != n {
        return Err(file.corrupt(0, format!("axis {name}"), format!("{n} points"), length));
    }
    match &stated.axis {
        Some(values) => {
            let values = values.iter().map(|v| v.unwrap_or(f64::NAN)).collect();
            Ok(Axis::values(name, unit, values))
        }
        None => {
            let (offset, scale) = (stated.offset.unwrap_or(0.0), stated.scale.unwrap_or(1.0));
            Axis::linear(name, unit, offset, scale, n).map_err(|error| {
                let (file, source) = (file.path().to_owned(), Box::new(error));
                IoError::Axis { file, source }
            })
        }
    }
}

impl Sidecar {
    /// What a dataset holds beside its values, to be read back by [`Sidecar::parse`].
    pub fn json(dataset: &Dataset, history: &[Event]) -> Map<String, Value> {
        let meta = dataset.meta();
        let axes = meta.navigation.iter().chain([&meta.signal]).map(axis_json);
        let mut stated = Map::new();
        stated.insert("axes".to_owned(), axes.collect());
        let metadata = serde_json::to_value(&dataset.metadata).unwrap_or_default();
        let known = metadata.as_object().into_iter().flatten();
        let known = known.filter(|(_, value)| !value.is_null());
        stated.insert(
            "metadata".to_owned(),
            known.map(|(key, value)| (key.clone(), value.clone())).collect::<Map<_, _>>().into(),
        );
        stated.insert("vendor".to_owned(), dataset.vendor.clone());
        stated.insert("history".to_owned(), json!(history));
        stated.insert("noise".to_owned(), json!(meta.noise));
        if let Some(signal) = &dataset.source.signal {
            stated.insert("signal".to_owned(), signal.as_str().into());
        }
        if let Some(mask) = &dataset.mask {
            let masked = mask.iter().enumerate().filter(|(_, masked)| **masked).map(|(i, _)| i);
            stated.insert("masked".to_owned(), masked.collect::<Vec<_>>().into());
        }
        stated
    }

    /// Reads what [`Sidecar::json`] wrote, or a person.
    pub fn parse(file: &Input, json: &[u8]) -> Result<Self, IoError> {
        serde_json::from_slice(json).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            file.corrupt(0, place, "axes and metadata of an array", error)
        })
    }

    /// Lengths of the axes as they are stated.
    pub fn lengths(&self) -> Vec<usize> {
        let length = |a: &SidecarAxis| a.axis.as_ref().map(Vec::len).or(a.size).unwrap_or(0);
        self.axes.iter().map(length).collect()
    }

    /// The axes of an array of that shape; `None` where they are not stated.
    pub fn axes(&self, file: &Input, shape: &[usize]) -> Result<Option<Vec<Axis>>, IoError> {
        if self.axes.is_empty() {
            return Ok(None);
        }
        if self.axes.len() != shape.len() {
            return Err(file.corrupt(0, "axes", format!("{} axes", shape.len()), self.axes.len()));
        }
        let axes = self.axes.iter().zip(shape).enumerate();
        axes.map(|(i, (axis, &n))| stated_axis(file, axis, shape.len() - 1 - i, n))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// The axes of an array of that shape; an image leaves out its last axis, of one point.
    pub fn axes_of(&self, file: &Input, shape: &[usize]) -> Result<Option<Vec<Axis>>, IoError> {
        if self.axes.len() != shape.len() + 1 {
            return self.axes(file, shape);
        }
        let mut lengths = shape.to_vec();
        lengths.push(1);
        self.axes(file, &lengths)
    }

    /// The metadata; a key nobody knows is an error, not a loss.
    pub fn metadata(&self, file: &Input) -> Result<Metadata, IoError> {
        let known = serde_json::to_value(Metadata::default()).unwrap_or_default();
        if let Some(key) = self.metadata.keys().find(|k| known.get(k.as_str()).is_none()) {
            let names: Vec<&str> =
                known.as_object().into_iter().flatten().map(|(k, _)| k.as_str()).collect();
            return Err(file.corrupt(0, "metadata", format!("one of {}", names.join(", ")), key));
        }
        serde_json::from_value(Value::Object(self.metadata.clone()))
            .map_err(|error| file.corrupt(0, "metadata", "values of their types", error))
    }

    /// Puts what is stated in the place of what the values alone say; axes are set already.
    pub fn apply(self, file: &Input, mut dataset: Dataset) -> Result<Dataset, IoError> {
        dataset.metadata = self.metadata(file)?;
        dataset.mask = self.mask(file, dataset.meta().rows)?;
        if let Some(noise) = self.noise.filter(|noise| *noise != dataset.meta().noise) {
            let meta = RowsMeta { noise, ..dataset.meta().clone() };
            dataset.rows = Arc::new(Relabelled { meta, source: dataset.rows });
        }
        dataset.vendor = self.vendor;
        dataset.source.history = self.history;
        if self.signal.is_some() {
            dataset.source.signal = self.signal;
        }
        Ok(dataset)
    }

    /// One flag per row, where any row is masked.
    pub fn mask(&self, file: &Input, rows: usize) -> Result<Option<Arc<[bool]>>, IoError> {
        if self.masked.is_empty() {
            return Ok(None);
        }
        let mut mask = vec![false; rows];
        for &row in &self.masked {
            *mask
                .get_mut(row)
                .ok_or_else(|| file.corrupt(0, "masked", format!("rows below {rows}"), row))? =
                true;
        }
        Ok(Some(mask.into()))
    }
}
