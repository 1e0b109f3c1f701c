//! HyperSpy `.hspy` (file format 3.3), readable by HyperSpy and h5py.
//!
//! Values, axes and the metadata HyperSpy has a place for stand where it looks for them; all
//! of it, exactly, stands in the dataset `kalpha` beside them, from which our reader takes it.

use super::{
    Writer,
    file::write_file,
    hdf5::{Address, Attribute, Chunked, Hdf5Writer},
    stored::{Failed, Stored, number_of},
};
use crate::{
    FormatId, IoError,
    hyperspy::{axis_dictionary, is_image, metadata_tree, original_tree},
    plain::{Number, NumberKind},
    sidecar::Sidecar,
};
use kalpha_core::{Axis, Dataset, Event};
use serde_json::{Map, Value};
use std::{
    io::{self, Write as _},
    path::Path,
};

/// A chunk holds about so many bytes: what h5py keeps of a dataset by default.
const CHUNK_BYTES: usize = 1 << 20;

/// The writer of `.hspy`.
pub(super) struct HspyWriter;

impl Writer for HspyWriter {
    fn format(&self) -> FormatId {
        FormatId::new("hspy")
    }

    fn about(&self) -> &'static str {
        "HyperSpy signal (HDF5)"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["hspy"]
    }

    fn write(&self, path: &Path, dataset: &Dataset, history: &[Event]) -> Result<(), IoError> {
        with_hdf5(path, dataset, |file, values| {
            let data = values.write(file)?;
            let shape = values.shape();
            let mut members = vec![("data".to_owned(), data)];
            for (i, axis) in shape.iter().enumerate() {
                let dictionary = axis_dictionary(axis, i < values.navigation());
                members.push((format!("axis-{i}"), tree(file, &dictionary)?));
            }
            for (name, json) in [
                ("metadata", metadata_tree(dataset)),
                ("original_metadata", original_tree(dataset)),
                ("attributes", serde_json::json!({"_lazy": false, "ragged": false})),
                ("learning_results", Value::Object(Map::new())),
            ] {
                members.push((name.to_owned(), tree(file, &json)?));
            }
            members.push(("kalpha".to_owned(), own(file, dataset, history)?));
            let title = dataset.metadata.title.as_deref().unwrap_or_default().replace('/', "-");
            let title = if title.is_empty() { "__unnamed__".to_owned() } else { title };
            let signal = file.group(&[], &borrowed(&members))?;
            let signals = file.group(&[], &[(&title, signal)])?;
            let attributes = [
                ("file_format", Attribute::Text("HyperSpy".to_owned())),
                ("file_format_version", Attribute::Text("3.3".to_owned())),
            ];
            file.group(&attributes, &[("Experiments", signals)])
        })
    }
}

/// The values of a dataset as an HDF5 array.
pub(super) struct Values<'a> {
    dataset: &'a Dataset,
    number: Number,
    failed: &'a mut Option<Failed>,
}

impl Values<'_> {
    fn is_image(&self) -> bool {
        is_image(self.dataset.meta())
    }

    /// The axes of the array, slowest first.
    pub fn shape(&self) -> Vec<Axis> {
        let meta = self.dataset.meta();
        let signal = (!self.is_image()).then(|| meta.signal.clone());
        meta.navigation.iter().cloned().chain(signal).collect()
    }

    /// How many of them are navigation axes.
    pub fn navigation(&self) -> usize {
        if self.is_image() { 0 } else { self.dataset.meta().navigation.len() }
    }

    /// Writes the array chunk by chunk.
    pub fn write(&mut self, file: &mut Hdf5Writer<'_>) -> io::Result<Address> {
        let meta = self.dataset.meta();
        let shape: Vec<usize> = self.shape().iter().map(Axis::len).collect();
        let row = self.number.width * meta.channels;
        // Rows are never cut: a chunk is a stretch of them.
        let grid = meta.grid();
        let mut chunk = super::zarr::chunk_shape(&grid, row, CHUNK_BYTES);
        if !self.is_image() {
            chunk.push(meta.channels);
        }
        let chunk_bytes = chunk.iter().product::<usize>() * self.number.width;
        let counts: Vec<usize> = grid.iter().zip(&chunk).map(|(n, c)| n.div_ceil(*c)).collect();
        let mut chunked = Chunked::new(shape, chunk.clone(), self.number);
        let stored = Stored { rows: &self.dataset.rows, number: self.number };
        let mut bytes = Vec::new();
        for number in 0..counts.iter().product() {
            let mut position = super::zarr::unravel(number, &counts);
            let (first, rows) = super::zarr::rows_of(&position, &chunk, &grid);
            bytes.clear();
            if let Err(error) = stored.append(first..first + rows, &mut bytes) {
                *self.failed = Some(error);
                return Err(io::Error::other("the rows could not be laid out"));
            }
            bytes.resize(chunk_bytes, 0);
            if !self.is_image() {
                position.push(0);
            }
            chunked.write(file, &position, &bytes)?;
        }
        file.chunked(&chunked, &[])
    }
}

/// Writes a file through `fill`, which gives the root group.
pub(super) fn with_hdf5(
    path: &Path,
    dataset: &Dataset,
    fill: impl FnOnce(&mut Hdf5Writer<'_>, &mut Values<'_>) -> io::Result<Address>,
) -> Result<(), IoError> {
    let number = number_of(path, dataset)?;
    let mut failed = None;
    let mut values = Values { dataset, number, failed: &mut failed };
    let written = write_file(path, |out| {
        let mut file = Hdf5Writer::new(out)?;
        let root = fill(&mut file, &mut values)?;
        file.finish(root)?;
        out.flush()
    });
    written.map_err(|error| failed.take().map_or(error, |failed| failed.at(path)))
}

/// Names are borrowed by the writer of groups.
pub(super) fn borrowed(members: &[(String, Address)]) -> Vec<(&str, Address)> {
    members.iter().map(|(name, address)| (name.as_str(), *address)).collect()
}

/// What our reader takes the dataset from, as bytes of JSON.
pub(super) fn own(
    file: &mut Hdf5Writer<'_>,
    dataset: &Dataset,
    history: &[Event],
) -> io::Result<Address> {
    let json = serde_json::to_vec(&Sidecar::json(dataset, history)).unwrap_or_default();
    file.numbers(Number { kind: NumberKind::Unsigned, width: 1, big_endian: false }, &json, &[])
}

/// JSON as HyperSpy stores a dictionary: groups, attributes, and arrays for lists.
fn tree(file: &mut Hdf5Writer<'_>, json: &Value) -> io::Result<Address> {
    let (mut attributes, mut members) = (Vec::new(), Vec::new());
    for (key, value) in json.as_object().into_iter().flatten() {
        // A name is one step of a path; an empty one is none.
        let key = if key.is_empty() { "_".to_owned() } else { key.replace('/', "-") };
        let text = |text: &str| Attribute::Text(text.to_owned());
        match value {
            Value::Null => attributes.push((key, text("_None_"))),
            Value::Bool(b) => attributes.push((key, Attribute::Bool(*b))),
            Value::String(s) => attributes.push((key, text(s))),
            Value::Number(n) => match n.as_i64() {
                Some(whole) => attributes.push((key, Attribute::Int(whole))),
                None => {
                    attributes.push((key, Attribute::Float(n.as_f64().unwrap_or(f64::NAN))));
                }
            },
            Value::Array(list) if list.is_empty() => {
                attributes.push((format!("_list_empty_{key}"), text("_None_")));
            }
            Value::Array(list) => {
                let texts: Option<Vec<String>> =
                    list.iter().map(|v| v.as_str().map(str::to_owned)).collect();
                let numbers: Option<Vec<f64>> = list.iter().map(Value::as_f64).collect();
                if let Some(texts) = texts {
                    members.push((format!("_list_{key}"), file.strings(&texts)?));
                } else if let Some(numbers) = numbers {
                    let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
                    let number = Number { kind: NumberKind::Float, width: 8, big_endian: false };
                    // The points of an axis are an array, not a list.
                    let name = if key == "axis" { key } else { format!("_list_{key}") };
                    members.push((name, file.numbers(number, &bytes, &[])?));
                } else {
                    // HyperSpy sorts the keys as text.
                    let digits = list.len().to_string().len();
                    let items = list.iter().enumerate();
                    let items = items.map(|(i, v)| (format!("{i:0digits$}"), v.clone()));
                    let group = Value::Object(items.collect());
                    members.push((format!("_list_{}_{key}", list.len()), tree(file, &group)?));
                }
            }
            Value::Object(_) => members.push((key, tree(file, value)?)),
        }
    }
    let attributes: Vec<(&str, Attribute)> =
        attributes.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    file.group(&attributes, &borrowed(&members))
}
