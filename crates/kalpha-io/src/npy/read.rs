//! From a `.npy` and its JSON file to a dataset.

use super::header;
use crate::{
    Input, IoError,
    dense::{Layout, Prefer, read_dense},
};
use kalpha_core::{Axis, Code, Dataset, Diagnostic, Metadata, Source, Unit};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// An axis in the JSON file.
#[derive(Debug, Deserialize)]
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
    #[serde(default)]
    axis: Option<Vec<f64>>,
}

/// The JSON file beside an array.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sidecar {
    #[serde(default)]
    axes: Vec<SidecarAxis>,
    #[serde(default)]
    metadata: Map<String, Value>,
    #[serde(default)]
    vendor: Value,
}

/// The metadata of a JSON file; a key nobody knows is an error, not a loss.
fn stated_metadata(file: &Input, stated: Map<String, Value>) -> Result<Metadata, IoError> {
    let known = serde_json::to_value(Metadata::default()).unwrap_or_default();
    if let Some(key) = stated.keys().find(|k| known.get(k.as_str()).is_none()) {
        let names: Vec<&str> =
            known.as_object().into_iter().flatten().map(|(k, _)| k.as_str()).collect();
        return Err(file.corrupt(0, "metadata", format!("one of {}", names.join(", ")), key));
    }
    serde_json::from_value(Value::Object(stated))
        .map_err(|error| file.corrupt(0, "metadata", "values of their types", error))
}

fn sidecar(input: &Input) -> Result<Option<(Input, Sidecar)>, IoError> {
    let path = input.path().with_extension("json");
    if !path.is_file() {
        return Ok(None);
    }
    let file = Input::open(&path)?;
    let parsed = serde_json::from_slice(file.bytes()).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        file.corrupt(0, place, "axes and metadata of an array", error)
    })?;
    Ok(Some((file, parsed)))
}

fn default_name(from_end: usize) -> &'static str {
    match from_end {
        0 => "channel",
        1 => "x",
        2 => "y",
        _ => "frame",
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
        Some(values) => Ok(Axis::values(name, unit, values.clone())),
        None => {
            let (offset, scale) = (stated.offset.unwrap_or(0.0), stated.scale.unwrap_or(1.0));
            Axis::linear(name, unit, offset, scale, n)
                .map_err(|source| IoError::Axis { file: file.path().to_owned(), source })
        }
    }
}

pub(super) fn read(input: &Input) -> Result<Dataset, IoError> {
    let header = header::read(input)?;
    let Some(last) = header.shape.len().checked_sub(1) else {
        return Err(IoError::NoSpectra {
            file: input.path().to_owned(),
            found: "a single number".to_owned(),
        });
    };
    let sidecar = sidecar(input)?;
    let mut diagnostics = Vec::new();
    let mut axes = Vec::new();
    match &sidecar {
        Some((file, stated)) if !stated.axes.is_empty() => {
            if stated.axes.len() != header.shape.len() {
                let expected = format!("{} axes", header.shape.len());
                return Err(file.corrupt(0, "axes", expected, stated.axes.len()));
            }
            for (i, (axis, &n)) in stated.axes.iter().zip(&header.shape).enumerate() {
                axes.push(stated_axis(file, axis, last - i, n)?);
            }
        }
        _ => {
            let shape = header.shape.iter().enumerate();
            axes.extend(shape.map(|(i, &n)| Axis::index(default_name(last - i), n)));
            let name = input.path().with_extension("json");
            let message = "a .npy has no axes: channels and pixels are numbered".to_owned();
            diagnostics.push(Diagnostic::warning(Code::MissingMetadata, message).hint(format!(
                "--energy-axis OFFSET,SCALE,UNIT and --set beam_energy_keV=.. give what is \
                 needed, or {} with axes and metadata",
                name.file_name().unwrap_or_default().to_string_lossy()
            )));
        }
    }
    let signal = axes.pop().unwrap_or_else(|| Axis::index("channel", 0));
    let layout = if header.fortran_order && last > 0 {
        // The first axis is the fastest.
        let strides = header.shape.iter().scan(1usize, |stride, &n| {
            let this = *stride;
            *stride = stride.saturating_mul(n);
            Some(this)
        });
        Layout::strided(header.number, header.data, strides.collect())
    } else {
        Layout::contiguous(header.number, header.data)
    };
    let dense = read_dense(input, &layout, axes, signal, Prefer::Mapped)?;
    diagnostics.extend(dense.gathered.diagnostics);
    if !dense.mapped {
        let why = if header.fortran_order {
            "it is in Fortran order"
        } else {
            "its values lie otherwise than this program keeps them"
        };
        let message = format!("the array was copied into memory: {why}");
        diagnostics.push(
            Diagnostic::note(Code::Copied, message)
                .hint("numpy.ascontiguousarray and an unsigned type avoid the copy"),
        );
    }
    let (metadata, vendor) = match sidecar {
        Some((file, stated)) => (stated_metadata(&file, stated.metadata)?, stated.vendor),
        None => (Metadata::default(), json!(null)),
    };
    Ok(Dataset {
        rows: dense.gathered.rows,
        metadata,
        vendor,
        mask: None,
        source: Source {
            dtype: Some(header.number.dtype()),
            ..input.source("npy", Some(header.version.to_string()))
        },
        diagnostics,
    })
}
