//! Zarr version 3 arrays and groups (specification: zarr-specs.readthedocs.io, core 3.1).
//!
//! An array is a folder with `zarr.json` and one file per chunk of a regular grid, its bytes
//! little-endian, plain or gzipped. Axes are written twice: `dimension_names`, and attribute
//! `axes` with name, units and offset/scale/size or the values.

use super::{
    Values, Writer,
    file::{failed, sibling, sync_parent, write_bytes},
    stored::{Stored, number_of},
};
use crate::{
    FormatId, IoError,
    plain::{Number, NumberKind},
    sidecar::{Sidecar, axis_json},
};
use flate2::{Compression as Level, write::GzEncoder};
use kalpha_core::{Axis, Dataset, Event};
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

/// The writer of `.zarr`.
pub(super) struct ZarrWriter;

impl Writer for ZarrWriter {
    fn format(&self) -> FormatId {
        FormatId::new("zarr")
    }

    fn about(&self) -> &'static str {
        "Zarr version 3 array, everything else in its attributes"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["zarr"]
    }

    fn write(&self, path: &Path, dataset: &Dataset, history: &[Event]) -> Result<(), IoError> {
        let meta = dataset.meta();
        let number = number_of(path, dataset)?;
        let mut axes = meta.navigation.clone();
        axes.push(meta.signal.clone());
        let shape: Vec<usize> = axes.iter().map(Axis::len).collect();
        // Spectra are never cut, so a chunk is a range of rows.
        let mut chunk =
            chunk_shape(&shape[..shape.len() - 1], number.width * meta.channels, CHUNK_BYTES);
        chunk.push(meta.channels);
        let mut attributes = Sidecar::json(dataset, history);
        attributes.remove("axes");
        let attributes = Map::from_iter([("kalpha".to_owned(), Value::Object(attributes))]);
        let array = Array { axes: &axes, shape, chunk, number, attributes: &attributes };
        let stored = Stored { rows: &dataset.rows, number };
        replacing(path, "zarr.json", |folder| {
            array.write(folder, Compression::Gzip, |position, out| {
                let (first, rows) = rows_of(position, &array.chunk, &meta.grid());
                stored.append(first..first + rows, out).map_err(|e| e.at(path))?;
                out.resize(array.chunk.iter().product::<usize>() * number.width, 0);
                Ok(())
            })
        })
    }
}

/// The chunk shape: the last axes whole, the first cut, at most `bytes`.
pub(super) fn chunk_shape(shape: &[usize], width: usize, bytes: usize) -> Vec<usize> {
    let mut room = (bytes / width.max(1)).max(1);
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
    let chunk = chunk_shape(&shape, values.width(), CHUNK_BYTES);
    let array = Array { axes, shape, chunk, number: values.number(), attributes };
    replacing(path, "zarr.json", |folder| {
        array.write(folder, compression, |position, out| {
            chunk_bytes(values, &array.shape, &array.chunk, position, out);
            Ok(())
        })
    })
}

/// Fills a folder under a hidden name and renames it to `path`; what is replaced has a file `mark`.
pub(super) fn replacing(
    path: &Path,
    mark: &str,
    fill: impl FnOnce(&Path) -> Result<(), IoError>,
) -> Result<(), IoError> {
    if path.exists() && !path.join(mark).is_file() {
        return Err(IoError::ForeignFolder { path: path.to_owned() });
    }
    let temporary = sibling(path, "partial");
    let written = fill(&temporary).and_then(|()| replace(&temporary, path));
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

/// An array to be written.
struct Array<'a> {
    axes: &'a [Axis],
    shape: Vec<usize>,
    chunk: Vec<usize>,
    number: Number,
    attributes: &'a Map<String, Value>,
}

impl Array<'_> {
    fn header(&self, compression: Compression) -> Value {
        let kind = match self.number.kind {
            NumberKind::Unsigned => "uint",
            NumberKind::Signed => "int",
            NumberKind::Float => "float",
        };
        let fill_value = if self.number.kind == NumberKind::Float { json!(0.0) } else { json!(0) };
        let mut codecs = vec![json!({"name": "bytes", "configuration": {"endian": "little"}})];
        if compression == Compression::Gzip {
            codecs.push(json!({"name": "gzip", "configuration": {"level": 5}}));
        }
        let mut attributes = self.attributes.clone();
        attributes.insert("axes".to_owned(), self.axes.iter().map(axis_json).collect());
        let names: Vec<&str> = self.axes.iter().map(|a| a.name.as_str()).collect();
        json!({
            "zarr_format": 3,
            "node_type": "array",
            "shape": self.shape,
            "data_type": format!("{kind}{}", 8 * self.number.width),
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": self.chunk}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": fill_value,
            "codecs": codecs,
            "attributes": attributes,
            "dimension_names": names,
        })
    }

    /// Writes header and chunks; `fill` appends the bytes of a chunk, called in their order.
    fn write(
        &self,
        folder: &Path,
        compression: Compression,
        mut fill: impl FnMut(&[usize], &mut Vec<u8>) -> Result<(), IoError>,
    ) -> Result<(), IoError> {
        fs::create_dir(folder).map_err(|e| failed(folder, e))?;
        write_json(folder, &self.header(compression))?;
        let counts: Vec<usize> =
            self.shape.iter().zip(&self.chunk).map(|(n, c)| n.div_ceil(*c)).collect();
        let mut bytes = Vec::new();
        for number in 0..counts.iter().product() {
            let position = unravel(number, &counts);
            bytes.clear();
            fill(&position, &mut bytes)?;
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
}

/// First row and number of rows of a chunk of whole spectra over the navigation grid. They
/// follow each other, because the chunk shape cuts one axis at most.
pub(super) fn rows_of(position: &[usize], chunk: &[usize], grid: &[usize]) -> (usize, usize) {
    let navigation = position.iter().zip(chunk).zip(grid);
    navigation.fold((0, 1), |(first, rows), ((p, c), n)| {
        let start = p * c;
        (first * n + start, rows * (*c).min(n - start))
    })
}

/// Position of item `number` in a grid, last axis fastest.
pub(super) fn unravel(mut number: usize, counts: &[usize]) -> Vec<usize> {
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
