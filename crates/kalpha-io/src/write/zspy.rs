//! HyperSpy `.zspy`: a folder in Zarr version 2, which every HyperSpy reads.
//!
//! The layout is that of `.hspy`; what is exact stands in the attribute `kalpha`.

use super::{
    Writer,
    file::{failed, write_bytes},
    stored::{Stored, number_of},
    zarr::{chunk_shape, replacing, rows_of, unravel},
};
use crate::{
    FormatId, IoError,
    hyperspy::{axis_dictionary, is_image, metadata_tree, original_tree},
    plain::NumberKind,
    sidecar::Sidecar,
};
use flate2::{Compression, write::GzEncoder};
use kalpha_core::{Axis, Dataset, Event};
use serde_json::{Map, Value, json};
use std::{fs, io::Write, path::Path};

/// Chunks hold at most so many bytes before compression.
const CHUNK_BYTES: usize = 8 << 20;

/// The writer of `.zspy`.
pub(super) struct ZspyWriter;

impl Writer for ZspyWriter {
    fn format(&self) -> FormatId {
        FormatId::new("zspy")
    }

    fn about(&self) -> &'static str {
        "HyperSpy signal (Zarr 2 folder)"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["zspy"]
    }

    fn write(&self, path: &Path, dataset: &Dataset, history: &[Event]) -> Result<(), IoError> {
        replacing(path, ".zgroup", |folder| {
            let root = json!({"file_format": "ZSpy", "file_format_version": "3.3"});
            group(folder, &root)?;
            let signals = folder.join("Experiments");
            group(&signals, &json!({}))?;
            let title = dataset.metadata.title.as_deref().unwrap_or_default();
            let name = if title.is_empty() { "__unnamed__".to_owned() } else { file_name(title) };
            let signal = signals.join(name);
            let own = Sidecar::json(dataset, history);
            group(&signal, &json!({"kalpha": own}))?;
            let image = is_image(dataset.meta());
            let meta = dataset.meta();
            let shown = meta.navigation.iter().chain((!image).then_some(&meta.signal));
            for (i, axis) in shown.enumerate() {
                let navigate = !image && i < meta.navigation.len();
                let mut dictionary = axis_dictionary(axis, navigate);
                let points = dictionary.as_object_mut().and_then(|d| d.remove("axis"));
                let axis_folder = signal.join(format!("axis-{i}"));
                group(&axis_folder, &nulls_named(&dictionary))?;
                if points.is_some() {
                    points_of(&axis_folder.join("axis"), axis)?;
                }
            }
            tree(&signal.join("metadata"), &metadata_tree(dataset))?;
            tree(&signal.join("original_metadata"), &original_tree(dataset))?;
            tree(&signal.join("attributes"), &json!({"_lazy": false, "ragged": false}))?;
            tree(&signal.join("learning_results"), &json!({}))?;
            values(path, &signal.join("data"), dataset, image)
        })
    }
}

/// A name that is one folder and no hidden one, on every system.
fn file_name(name: &str) -> String {
    let plain = |c: char| match c {
        '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => '-',
        c if c.is_control() => '-',
        c => c,
    };
    let name: String = name.chars().map(plain).take(100).collect();
    match name.trim_end_matches([' ', '.']) {
        "" => "_".to_owned(),
        hidden if hidden.starts_with('.') => format!("_{hidden}"),
        name => name.to_owned(),
    }
}

fn write_json(folder: &Path, name: &str, json: &Value) -> Result<(), IoError> {
    write_bytes(&folder.join(name), format!("{json:#}\n").as_bytes())
}

fn group(folder: &Path, attributes: &Value) -> Result<(), IoError> {
    fs::create_dir_all(folder).map_err(|e| failed(folder, e))?;
    write_json(folder, ".zgroup", &json!({"zarr_format": 2}))?;
    match attributes.as_object().is_some_and(Map::is_empty) {
        true => Ok(()),
        false => write_json(folder, ".zattrs", attributes),
    }
}

/// HyperSpy's word for nothing.
fn nulls_named(json: &Value) -> Value {
    match json {
        Value::Null => json!("_None_"),
        Value::Object(object) => {
            object.iter().map(|(key, value)| (key.clone(), nulls_named(value))).collect()
        }
        other => other.clone(),
    }
}

/// A dictionary: objects become groups, everything else attributes.
fn tree(folder: &Path, json: &Value) -> Result<(), IoError> {
    let (mut attributes, mut groups) = (Map::new(), Vec::new());
    for (key, value) in json.as_object().into_iter().flatten() {
        match value {
            Value::Object(_) => groups.push((file_name(key), value)),
            value => drop(attributes.insert(key.clone(), nulls_named(value))),
        }
    }
    group(folder, &Value::Object(attributes))?;
    // Names that differ for us may not for the file system: a number keeps them apart.
    for (name, value) in groups {
        let taken = (0..).map(|i| if i == 0 { name.clone() } else { format!("{name}-{i}") });
        let free = taken.map(|name| folder.join(name)).find(|path| !path.exists());
        tree(&free.unwrap_or_else(|| folder.join(&name)), value)?;
    }
    Ok(())
}

fn header(shape: &[usize], chunk: &[usize], dtype: &str) -> Value {
    json!({
        "zarr_format": 2,
        "shape": shape,
        "chunks": chunk,
        "dtype": dtype,
        "compressor": {"id": "gzip", "level": 5},
        "fill_value": 0,
        "order": "C",
        "filters": null,
    })
}

fn pack(path: &Path, bytes: &[u8]) -> Result<(), IoError> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(5));
    let packed = encoder.write_all(bytes).and_then(|()| encoder.finish());
    write_bytes(path, &packed.map_err(|e| failed(path, e))?)
}

/// The points of an axis.
fn points_of(folder: &Path, axis: &Axis) -> Result<(), IoError> {
    fs::create_dir(folder).map_err(|e| failed(folder, e))?;
    write_json(folder, ".zarray", &header(&[axis.len()], &[axis.len().max(1)], "<f8"))?;
    let bytes: Vec<u8> = axis.to_vec().iter().flat_map(|x| x.to_le_bytes()).collect();
    pack(&folder.join("0"), &bytes)
}

/// The array, chunk by chunk.
fn values(path: &Path, folder: &Path, dataset: &Dataset, image: bool) -> Result<(), IoError> {
    let meta = dataset.meta();
    let number = number_of(path, dataset)?;
    let kind = match number.kind {
        NumberKind::Unsigned => 'u',
        NumberKind::Signed => 'i',
        NumberKind::Float => 'f',
    };
    let order = if number.width == 1 { '|' } else { '<' };
    let grid = meta.grid();
    let mut chunk = chunk_shape(&grid, number.width * meta.channels, CHUNK_BYTES);
    let counts: Vec<usize> = grid.iter().zip(&chunk).map(|(n, c)| n.div_ceil(*c)).collect();
    let navigation = chunk.clone();
    let mut shape = grid.clone();
    if !image {
        chunk.push(meta.channels);
        shape.push(meta.channels);
    }
    fs::create_dir(folder).map_err(|e| failed(folder, e))?;
    let dtype = format!("{order}{kind}{}", number.width);
    write_json(folder, ".zarray", &header(&shape, &chunk, &dtype))?;
    let stored = Stored { rows: &dataset.rows, number };
    let mut bytes = Vec::new();
    for i in 0..counts.iter().product() {
        let mut position = unravel(i, &counts);
        let (first, rows) = rows_of(&position, &navigation, &grid);
        bytes.clear();
        stored.append(first..first + rows, &mut bytes).map_err(|e| e.at(path))?;
        bytes.resize(chunk.iter().product::<usize>() * number.width, 0);
        if !image {
            position.push(0);
        }
        let key: Vec<String> = position.iter().map(ToString::to_string).collect();
        pack(&folder.join(key.join(".")), &bytes)?;
    }
    Ok(())
}
