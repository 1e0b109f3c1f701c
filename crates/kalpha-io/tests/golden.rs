//! Replays `golden/*.json`: what other programs read from the same files.
//!
//! A script beside each JSON writes it and names the peer and its version. An entry gives
//! shape, type, sum and SHA-256 of the values as stored (C order, little-endian, the spectrum
//! axis last) and the axes; nothing of the file itself. See `golden/README.md`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "golden/zip.rs"]
mod zip;

use kalpha_core::{Axis, CellBuffer, CellGrid, Dataset, Unit};
use kalpha_io::{Input, OpenOptions, open, read};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fs, path::PathBuf};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    peer: String,
    version: String,
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Relative to the reference data; what starts with `tests/` is our own.
    file: String,
    /// Name inside the file, where that is a ZIP.
    member: Option<String>,
    format: Option<String>,
    /// Absent: the default one.
    signal: Option<String>,
    shape: Vec<usize>,
    dtype: String,
    sum: f64,
    sha256: String,
    axes: Vec<GoldenAxis>,
    /// What we read otherwise (`dtype`, `values`, `axis 0`, `unit 0`), with the reason. The test
    /// fails where there is no such difference.
    #[serde(default)]
    differs: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GoldenAxis {
    #[allow(dead_code, reason = "for readers of the JSON: peers name axes in their own way")]
    name: Option<String>,
    unit: Option<String>,
    offset: Option<f64>,
    scale: Option<f64>,
    first: Option<f64>,
    last: Option<f64>,
    len: Option<usize>,
}

/// Hash and sum of all values, in the type `dtype`.
fn digest(dataset: &Dataset, dtype: &str) -> (String, f64, f64) {
    let meta = dataset.meta();
    let grid = CellGrid::new(meta.rows, meta.channels);
    let (mut hash, mut sum, mut magnitude) = (Sha256::new(), 0.0, 0.0);
    let (mut buffer, mut values, mut bytes) = (CellBuffer::default(), Vec::new(), Vec::new());
    for i in 0..grid.cells() {
        dataset.rows.cell(grid.rows(i), &mut buffer).unwrap().to_f64(&mut values);
        bytes.clear();
        macro_rules! store {
            ($type:ty) => {
                for &x in &values {
                    let stored = x as $type;
                    assert!(stored as f64 == x || x.is_nan(), "{x} is no {dtype}");
                    bytes.extend(stored.to_le_bytes());
                }
            };
        }
        match dtype {
            "bool" | "uint8" => store!(u8),
            "uint16" => store!(u16),
            "uint32" => store!(u32),
            "uint64" => store!(u64),
            "int8" => store!(i8),
            "int16" => store!(i16),
            "int32" => store!(i32),
            "int64" => store!(i64),
            "float32" => store!(f32),
            "float64" => store!(f64),
            other => panic!("unknown type {other}"),
        }
        hash.update(&bytes);
        values.iter().filter(|x| x.is_finite()).for_each(|x| {
            sum += x;
            magnitude += x.abs();
        });
    }
    let text = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    (text, sum, magnitude)
}

/// What an axis differs in, if anything.
fn compare_axis(axis: &Axis, golden: &GoldenAxis) -> Option<String> {
    let n = axis.len();
    if golden.len.is_some_and(|len| len != n) {
        return Some(format!("{n} points, {:?} expected", golden.len));
    }
    let ours = [axis.at(0), axis.at(n - 1)];
    let theirs = match (golden.offset, golden.scale, golden.first, golden.last) {
        (Some(offset), Some(scale), None, None) => [offset, offset + scale * (n - 1) as f64],
        (None, None, Some(first), Some(last)) => [first, last],
        _ => panic!("an axis needs offset and scale, or first and last"),
    };
    // A value near zero is as exact as the steps that lead to it.
    let step = if n > 1 { (theirs[1] - theirs[0]).abs() / (n - 1) as f64 } else { 0.0 };
    let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * b.abs().max(step);
    let same = close(ours[0], theirs[0]) && close(ours[1], theirs[1]);
    (!same).then(|| format!("from {} to {}, {theirs:?} expected", ours[0], ours[1]))
}

/// Everything in which we differ from the entry, by name.
fn differences(entry: &Entry, dataset: &Dataset) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let meta = dataset.meta();
    let mut axes: Vec<&Axis> = meta.navigation.iter().chain([&meta.signal]).collect();
    // An image is a grid of single values.
    if meta.channels == 1 && axes.len() == entry.shape.len() + 1 {
        axes.pop();
    }
    let shape: Vec<usize> = axes.iter().map(|a| a.len()).collect();
    if shape != entry.shape {
        found.insert("shape".to_owned(), format!("{shape:?}, {:?} expected", entry.shape));
        return found;
    }
    if let Some(dtype) = &dataset.source.dtype
        && *dtype != entry.dtype
    {
        found.insert("dtype".to_owned(), format!("{dtype}, {} expected", entry.dtype));
    }
    let (sha256, sum, magnitude) = digest(dataset, &entry.dtype);
    if sha256 != entry.sha256 || (sum - entry.sum).abs() > 1e-9 * magnitude {
        let text = format!("sum {sum} hash {sha256}, {} {} expected", entry.sum, entry.sha256);
        found.insert("values".to_owned(), text);
    }
    assert_eq!(axes.len(), entry.axes.len(), "axes of {}", entry.file);
    for (i, (axis, golden)) in axes.iter().zip(&entry.axes).enumerate() {
        if let Some(difference) = compare_axis(axis, golden) {
            found.insert(format!("axis {i}"), difference);
        }
        let unit = golden.unit.as_deref().map(Unit::parse);
        if unit.is_some_and(|unit| unit != axis.unit) {
            let text = format!("{:?}, {:?} expected", axis.unit.symbol(), golden.unit);
            found.insert(format!("unit {i}"), text);
        }
    }
    found
}

/// The dataset of an entry; `None` where the file is absent.
fn dataset(entry: &Entry) -> Option<Dataset> {
    let path = if entry.file.starts_with("tests/") {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(&entry.file)
    } else {
        kalpha_reference::path(&entry.file)?
    };
    let options = OpenOptions {
        format: entry.format.as_ref().map(|f| f.parse().unwrap()),
        signal: entry.signal.clone(),
        ..OpenOptions::default()
    };
    Some(match &entry.member {
        None => open(&path, &options).unwrap(),
        Some(member) => {
            let bytes = zip::member(&fs::read(&path).unwrap(), member);
            read(&Input::from_bytes(&path.with_file_name(member), bytes), &options).unwrap()
        }
    })
}

#[test]
fn every_reader_agrees_with_its_peers() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "json"));
    files.sort();
    assert!(!files.is_empty());
    let mut wrong = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let golden: Golden =
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        assert!(!golden.peer.is_empty() && !golden.version.is_empty());
        let mut compared = 0;
        for entry in &golden.entries {
            let Some(dataset) = dataset(entry) else { continue };
            compared += 1;
            let mut found = differences(entry, &dataset);
            for (what, why) in &entry.differs {
                if found.remove(what).is_none() || why.is_empty() {
                    let says = "said to differ, but does not (or without a reason)";
                    found.insert(what.clone(), says.to_owned());
                }
            }
            let signal = entry.signal.as_deref().unwrap_or_default();
            let name = format!("{} {} {signal}", golden.peer, entry.file);
            wrong.extend(found.iter().map(|(what, how)| format!("{name}: {what}: {how}")));
        }
        let n = golden.entries.len();
        eprintln!("{} {}: {compared} of {n} compared", golden.peer, golden.version);
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
