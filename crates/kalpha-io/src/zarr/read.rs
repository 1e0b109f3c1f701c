//! From a Zarr hierarchy to a dataset.

use super::{
    HEADERS,
    array::ZarrArray,
    node::{ArrayMeta, Node, node},
    store::{METADATA_BYTES, Store, join},
};
use crate::{
    Input, IoError, OpenOptions,
    blocks::{Blocks, rows_of},
    hyperspy::{self, Described, Experiment, put},
    sidecar::{Sidecar, default_name},
    zip,
};
use kalpha_core::{Axis, Code, Dataset, Diagnostic, Metadata, Unit};
use serde_json::{Map, Value};

/// Groups nested deeper are left out.
const DEPTH: usize = 16;
/// Nodes after these are left out.
const NODES: usize = 4096;
/// Longer arrays are not metadata.
const VALUES: usize = 65_536;

/// The input is a folder or a ZIP file with a Zarr node at its root.
pub(super) fn is_zarr(input: &Input) -> bool {
    if input.is_folder() {
        return HEADERS.iter().any(|name| input.path().join(name).is_file());
    }
    input.bytes().starts_with(zip::MAGIC)
        && zip::Zip::open(input).is_ok_and(|zip| HEADERS.iter().any(|name| zip.contains(name)))
}

/// The root says that it has HyperSpy's layout.
pub(super) fn says_hyperspy(input: &Input) -> bool {
    let root = || node(input, &Store::open(input).ok()?, "").ok()?;
    matches!(root(), Some(Node::Group(attributes)) if attributes["file_format"] == "ZSpy")
}

/// All arrays below a path, by name.
fn arrays(input: &Input, store: &Store) -> Result<Vec<ArrayMeta>, IoError> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), DEPTH)];
    let mut nodes = 0;
    while let Some((path, depth)) = open.pop() {
        nodes += 1;
        match node(input, store, &path)? {
            Some(Node::Array(array)) => found.push(*array),
            Some(Node::Group(_)) if depth > 0 && nodes < NODES => {
                let children = store.children(&path).into_iter().rev();
                open.extend(children.map(|name| (join(&path, &name), depth - 1)));
            }
            _ if path.is_empty() => {
                return Err(input.corrupt(0, "Zarr header", HEADERS.join(" or "), "none"));
            }
            _ => {}
        }
    }
    Ok(found)
}

/// What an array is called: its path, or `array` at the root.
fn name_of(array: &ArrayMeta) -> String {
    if array.path.is_empty() { "array".to_owned() } else { array.path.clone() }
}

/// Arrays that can be signals: numbers with at least one axis.
fn spectra(input: &Input, store: &Store) -> Result<Vec<ArrayMeta>, IoError> {
    let mut found = arrays(input, store)?;
    found.retain(|array| array.number.is_some() && !array.shape.is_empty());
    Ok(found)
}

pub(super) fn signals(input: &Input) -> Result<Vec<String>, IoError> {
    Ok(spectra(input, &Store::open(input)?)?.iter().map(name_of).collect())
}

/// All values of a short array of numbers.
fn numbers(input: &Input, store: &Store, array: ArrayMeta) -> Option<Vec<f64>> {
    let n = array.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))?;
    if n > VALUES {
        return None;
    }
    let rows = n.checked_div(*array.shape.last()?)?;
    let mut values = Vec::new();
    let array = ZarrArray::open(input, store, array).ok()?;
    array.read(0..rows, &mut |block| block.append_to(&mut values)).ok()?;
    Some(values)
}

/// The axes of an array: as kalpha or a sibling array states them, else numbered.
fn axes(
    input: &Input,
    store: &Store,
    array: &ArrayMeta,
    own: &Sidecar,
) -> Result<(Vec<Axis>, bool), IoError> {
    if let Some(axes) = own.axes(input, &array.shape)? {
        return Ok((axes, true));
    }
    let last = array.shape.len() - 1;
    let parent = array.path.rsplit_once('/').map_or("", |(parent, _)| parent);
    let mut stated = true;
    let axes = array.shape.iter().enumerate().map(|(i, &n)| {
        let name = array.names.get(i).map(String::as_str).filter(|name| !name.is_empty());
        // A one-dimensional array of the axis' name holds its points (xarray's convention).
        let points = name.filter(|_| !array.path.is_empty()).and_then(|name| {
            let Ok(Some(Node::Array(points))) = node(input, store, &join(parent, name)) else {
                return None;
            };
            let unit = points.attributes["units"].as_str().map_or(Unit::None, Unit::parse);
            let values = numbers(input, store, *points).filter(|values| values.len() == n)?;
            Some(Axis::values(name, unit, values))
        });
        points.unwrap_or_else(|| {
            stated &= i != last;
            Axis::index(name.unwrap_or(default_name(last - i)), n)
        })
    });
    let axes = axes.collect();
    Ok((axes, stated))
}

/// What kalpha wrote beside the values, or what of it a foreign array has too.
fn sidecar(input: &Input, array: &ArrayMeta) -> Result<Option<Sidecar>, IoError> {
    let own = array.attributes["kalpha"].as_object();
    let mut stated = own.cloned().unwrap_or_default();
    if let Some(axes) = array.attributes.get("axes") {
        stated.insert("axes".to_owned(), axes.clone());
    }
    let text = serde_json::to_vec(&stated).unwrap_or_default();
    match Sidecar::parse(input, &text) {
        Ok(sidecar) => Ok(Some(sidecar)),
        // Others call something else their axes.
        Err(_) if own.is_none() => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn read(input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
    let store = Store::open(input)?;
    let found = spectra(input, &store)?;
    let names: Vec<String> = found.iter().map(name_of).collect();
    let mut diagnostics = Vec::new();
    let chosen = match &options.signal {
        Some(asked) => {
            found.into_iter().find(|a| name_of(a) == *asked).ok_or_else(|| IoError::NoSignal {
                file: input.path().to_owned(),
                asked: asked.clone(),
                available: names.clone(),
            })?
        }
        None => {
            let size = |a: &ArrayMeta| a.shape.iter().fold(1usize, |n, &d| n.saturating_mul(d));
            // The first of the largest.
            let largest = found.into_iter().rev().max_by_key(size);
            largest.ok_or_else(|| IoError::NoSpectra {
                file: input.path().to_owned(),
                found: "no array of numbers".to_owned(),
            })?
        }
    };
    if names.len() > 1 && options.signal.is_none() {
        let message =
            format!("{} arrays, the largest, {:?}, was read", names.len(), name_of(&chosen));
        let hint = format!("--signal takes {}", names.join(", "));
        diagnostics.push(Diagnostic::note(Code::Assumed, message).hint(hint));
    }
    let own = sidecar(input, &chosen)?;
    let described = own.clone().unwrap_or_default();
    let (mut axes, stated) = axes(input, &store, &chosen, &described)?;
    if !stated {
        let message = "the array has no signal axis: its channels are numbered";
        diagnostics.push(
            Diagnostic::warning(Code::MissingMetadata, message)
                .hint("--energy-axis OFFSET,SCALE,UNIT gives it"),
        );
    }
    let attributes = chosen.attributes.clone();
    let version = if store.get("zarr.json", METADATA_BYTES)?.is_some() { "3" } else { "2" };
    let data = ZarrArray::open(input, &store, chosen)?;
    let mut source = input.source("zarr", Some(version.to_owned()));
    source.dtype = Some(data.dtype().name().to_owned());
    let signal = axes.pop().unwrap_or_else(|| Axis::index("channel", 0));
    let gathered = rows_of(input, data, axes, signal)?;
    diagnostics.extend(gathered.diagnostics);
    let dataset = Dataset {
        rows: gathered.rows,
        metadata: Metadata::default(),
        vendor: attributes.clone(),
        mask: None,
        source,
        diagnostics,
    };
    match own.filter(|_| attributes["kalpha"].is_object()) {
        Some(own) => own.apply(input, dataset),
        None => Ok(dataset),
    }
}

/// The experiments of HyperSpy's layout.
fn experiments(input: &Input, store: &Store) -> Result<(Vec<ArrayMeta>, Vec<Experiment>), IoError> {
    let (mut data, mut found) = (Vec::new(), Vec::new());
    for name in store.children("Experiments").into_iter().take(NODES) {
        let path = join("Experiments", &name);
        let Some(Node::Array(array)) = node(input, store, &join(&path, "data"))? else { continue };
        let axes = (0..array.shape.len())
            .map(|i| {
                tree(input, store, &join(&path, &format!("axis-{i}")), DEPTH, &mut NODES.clone())
            })
            .collect();
        found.push(Experiment { name, shape: array.shape.clone(), axes });
        data.push(*array);
    }
    Ok((data, found))
}

pub(super) fn hyperspy_signals(input: &Input) -> Result<Vec<String>, IoError> {
    let (_, found) = experiments(input, &Store::open(input)?)?;
    Ok(found.into_iter().map(|e| e.name).collect())
}

/// Strings of an array: of fixed length, or each behind its length.
fn strings(store: &Store, array: &ArrayMeta) -> Option<Vec<String>> {
    let one_chunk = array.shape.len() == 1 && array.chunk == array.shape && array.shape[0] < VALUES;
    let mut bytes = store.get(&array.key(&[0]), METADATA_BYTES).ok()??;
    for codec in &array.codecs {
        bytes = super::array::decode(*codec, &bytes, METADATA_BYTES).ok()?;
    }
    let fixed = |width: usize| bytes.chunks_exact(width.max(1));
    let width = || array.dtype.get(2..)?.parse::<usize>().ok();
    match (one_chunk, array.dtype.get(..2)?) {
        (true, "<U") => {
            let text = |item: &[u8]| {
                let codes =
                    item.chunks_exact(4).map(|c| u32::from_le_bytes([c[0], c[1], c[2], c[3]]));
                codes.take_while(|&c| c != 0).filter_map(char::from_u32).collect()
            };
            Some(fixed(4 * width()?).map(text).collect())
        }
        (true, "|S") => {
            let text =
                |item: &[u8]| String::from_utf8_lossy(item).trim_end_matches('\0').to_owned();
            Some(fixed(width()?).map(text).collect())
        }
        (true, "|O") => {
            let mut rest = bytes.as_slice();
            let length = |rest: &mut &[u8]| {
                let bytes = rest.split_off(..4)?;
                Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
            };
            let n = length(&mut rest)?;
            (0..n)
                .map(|_| {
                    let length = length(&mut rest)?;
                    Some(String::from_utf8_lossy(rest.split_off(..length)?).into_owned())
                })
                .collect()
        }
        _ => None,
    }
}

/// A group with all it holds, as JSON; whatever cannot be read becomes `null`.
fn tree(input: &Input, store: &Store, path: &str, depth: usize, nodes: &mut usize) -> Value {
    let mut object = Map::new();
    *nodes = nodes.saturating_sub(1);
    match node(input, store, path) {
        Ok(Some(Node::Group(attributes))) => {
            for (key, value) in attributes.as_object().into_iter().flatten() {
                let value = if value == "_None_" { Value::Null } else { value.clone() };
                put(&mut object, key, value);
            }
            for child in store.children(path) {
                if depth == 0 || *nodes == 0 {
                    break;
                }
                let value = tree(input, store, &join(path, &child), depth - 1, nodes);
                put(&mut object, &child, value);
            }
            Value::Object(object)
        }
        Ok(Some(Node::Array(array))) => {
            let shape = array.shape.clone();
            if let Some(strings) = strings(store, &array) {
                return strings.into();
            }
            match numbers(input, store, *array) {
                Some(values) => values.into(),
                None => format!("array of shape {shape:?}, left out").into(),
            }
        }
        _ => Value::Null,
    }
}

pub(super) fn read_hyperspy(input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
    let store = Store::open(input)?;
    let (mut data, found) = experiments(input, &store)?;
    let (number, axes, spectra) = hyperspy::choose(input, &found, options)?;
    let path = join("Experiments", found.get(number).map(|e| e.name.as_str()).unwrap_or_default());
    let version = match node(input, &store, "")? {
        Some(Node::Group(root)) => root["file_format_version"].as_str().map(str::to_owned),
        _ => None,
    };
    let kalpha = match node(input, &store, &path)? {
        Some(Node::Group(attributes)) if attributes["kalpha"].is_object() => {
            serde_json::to_vec(&attributes["kalpha"]).ok()
        }
        _ => None,
    };
    let branch = |name: &str| tree(input, &store, &join(&path, name), DEPTH, &mut NODES.clone());
    let described = Described {
        axes,
        metadata: branch("metadata"),
        original_metadata: branch("original_metadata"),
        kalpha,
        source: input.source("zspy", version),
    };
    let data = ZarrArray::open(input, &store, data.swap_remove(number))?;
    let data = if spectra { data } else { data.grid_of_values() };
    hyperspy::dataset(input, &found, number, options, data, described)
}
