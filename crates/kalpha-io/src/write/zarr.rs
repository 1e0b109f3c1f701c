//! Zarr version 3 arrays and groups (specification: zarr-specs.readthedocs.io, core 3.1).
//!
//! An array is a folder with `zarr.json` and one file per chunk of a regular grid, its bytes
//! little-endian, plain or gzipped. Axes are written twice: `dimension_names`, and attribute
//! `axes` with name, units and offset/scale/size or the values.

use super::{
    Values,
    file::{failed, sibling, sync_parent, write_bytes},
};
use crate::IoError;
use flate2::{Compression as Level, write::GzEncoder};
use kalpha_core::{Axis, Points};
use serde_json::{Map, Value, json};
use std::{fs, io::Write, path::Path};

/// Chunks hold at most so many bytes before compression.
const CHUNK_BYTES: usize = 8 << 20;

/// How chunks are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// As they are.
    None,
    /// gzip, level 5.
    #[default]
    Gzip,
}

/// An axis as the `axes` attribute holds it, after HyperSpy's axes dictionary.
fn axis_json(axis: &Axis) -> Value {
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

/// The chunk shape: the last axes whole, the first cut, at most [`CHUNK_BYTES`].
fn chunk_shape(shape: &[usize], width: usize) -> Vec<usize> {
    let mut room = (CHUNK_BYTES / width).max(1);
    let mut chunk = vec![1; shape.len()];
    for (length, n) in chunk.iter_mut().zip(shape).rev() {
        *length = (*n).clamp(1, room);
        room /= *length;
    }
    chunk
}

fn group_json(attributes: &Map<String, Value>) -> Value {
    json!({"zarr_format": 3, "node_type": "group", "attributes": attributes})
}

fn write_json(path: &Path, value: &Value) -> Result<(), IoError> {
    write_bytes(&path.join("zarr.json"), format!("{value:#}\n").as_bytes())
}

/// Writes the `zarr.json` of a group into an existing or new folder.
///
/// # Errors
/// As [`super::write_file`].
pub fn write_zarr_group(path: &Path, attributes: &Map<String, Value>) -> Result<(), IoError> {
    fs::create_dir_all(path).map_err(|e| failed(path, e))?;
    write_json(path, &group_json(attributes))
}

/// Writes an array with one axis per dimension, slowest first.
///
/// The folder appears whole or not at all; an array that was there is replaced.
///
/// # Errors
/// [`IoError::CannotHold`] when the values do not fill the axes, [`IoError::ForeignFolder`] when
/// the folder is there and is no Zarr array, else as [`super::write_file`].
pub fn write_zarr(
    path: &Path,
    axes: &[Axis],
    values: Values,
    attributes: &Map<String, Value>,
    compression: Compression,
) -> Result<(), IoError> {
    let shape: Vec<usize> = axes.iter().map(Axis::len).collect();
    if shape.iter().product::<usize>() != values.len() {
        return Err(IoError::CannotHold {
            path: path.to_owned(),
            field: "number of values",
            got: format!("{} for shape {shape:?}", values.len()),
            supported: "as many as the axes",
        });
    }
    if path.exists() && !path.join("zarr.json").is_file() {
        return Err(IoError::ForeignFolder { path: path.to_owned() });
    }
    let temporary = sibling(path, "partial");
    let written = write_into(&temporary, axes, &shape, values, attributes, compression)
        .and_then(|()| replace(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_dir_all(&temporary);
    }
    written.map_err(|error| match error {
        // The hidden name says nothing to a reader.
        IoError::Write { source, hint, .. } => {
            IoError::Write { path: path.to_owned(), source, hint }
        }
        other => other,
    })
}

fn replace(temporary: &Path, path: &Path) -> Result<(), IoError> {
    let old = sibling(path, "old");
    let replaced = path.exists();
    if replaced {
        fs::rename(path, &old).map_err(|e| failed(path, e))?;
    }
    if let Err(source) = fs::rename(temporary, path) {
        if replaced {
            let _ = fs::rename(&old, path);
        }
        return Err(failed(path, source));
    }
    sync_parent(path);
    if replaced {
        fs::remove_dir_all(&old).map_err(|e| failed(&old, e))?;
    }
    Ok(())
}

fn write_into(
    folder: &Path,
    axes: &[Axis],
    shape: &[usize],
    values: Values,
    attributes: &Map<String, Value>,
    compression: Compression,
) -> Result<(), IoError> {
    fs::create_dir(folder).map_err(|e| failed(folder, e))?;
    let chunk = chunk_shape(shape, values.width());
    let (data_type, fill_value) = match values {
        Values::U8(_) => ("uint8", json!(0)),
        Values::U16(_) => ("uint16", json!(0)),
        Values::U32(_) => ("uint32", json!(0)),
        Values::I16(_) => ("int16", json!(0)),
        Values::I32(_) => ("int32", json!(0)),
        Values::F32(_) => ("float32", json!(0.0)),
        Values::F64(_) => ("float64", json!(0.0)),
    };
    let mut codecs = vec![json!({"name": "bytes", "configuration": {"endian": "little"}})];
    if compression == Compression::Gzip {
        codecs.push(json!({"name": "gzip", "configuration": {"level": 5}}));
    }
    let mut attributes = attributes.clone();
    attributes.insert("axes".to_owned(), axes.iter().map(axis_json).collect());
    let names: Vec<&str> = axes.iter().map(|a| a.name.as_str()).collect();
    let header = json!({
        "zarr_format": 3,
        "node_type": "array",
        "shape": shape,
        "data_type": data_type,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": &chunk}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": fill_value,
        "codecs": codecs,
        "attributes": attributes,
        "dimension_names": names,
    });
    write_json(folder, &header)?;
    let counts: Vec<usize> = shape.iter().zip(&chunk).map(|(n, c)| n.div_ceil(*c)).collect();
    let mut bytes = Vec::new();
    for number in 0..counts.iter().product() {
        let position = unravel(number, &counts);
        bytes.clear();
        chunk_bytes(values, shape, &chunk, &position, &mut bytes);
        let mut file = folder.join("c");
        position.iter().for_each(|i| file.push(i.to_string()));
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent).map_err(|e| failed(parent, e))?;
        }
        if compression == Compression::Gzip {
            let mut encoder = GzEncoder::new(Vec::new(), Level::new(5));
            let packed = encoder.write_all(&bytes).and_then(|()| encoder.finish());
            write_bytes(&file, &packed.map_err(|e| failed(&file, e))?)?;
        } else {
            write_bytes(&file, &bytes)?;
        }
    }
    Ok(())
}

/// Position of item `number` in a grid, last axis fastest.
fn unravel(mut number: usize, counts: &[usize]) -> Vec<usize> {
    let mut position = vec![0; counts.len()];
    for (p, n) in position.iter_mut().zip(counts).rev() {
        *p = number % n;
        number /= n;
    }
    position
}

/// The bytes of one chunk; beyond the array's edge they are zero.
fn chunk_bytes(
    values: Values,
    shape: &[usize],
    chunk: &[usize],
    position: &[usize],
    out: &mut Vec<u8>,
) {
    let Some((&run, outer)) = chunk.split_last() else {
        values.extend_bytes(0..values.len(), out);
        return;
    };
    let last = shape.len() - 1;
    for line in 0..outer.iter().product() {
        let within = unravel(line, outer);
        let index: Vec<usize> = (0..last).map(|d| position[d] * chunk[d] + within[d]).collect();
        let first = position[last] * run;
        let stop = (first + run).min(shape[last]);
        let filled = if index.iter().zip(shape).all(|(i, n)| i < n) {
            let row = index.iter().zip(shape).fold(0, |flat, (i, n)| flat * n + i);
            values.extend_bytes(row * shape[last] + first..row * shape[last] + stop, out);
            stop - first
        } else {
            0
        };
        out.extend(std::iter::repeat_n(0, (run - filled) * values.width()));
    }
}
