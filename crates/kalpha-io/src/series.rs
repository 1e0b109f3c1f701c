//! Folders and patterns of files as one dataset: a series with a sorted, named axis.
//!
//! `scans/`, `scans/map_*.msa`: every file is one point of a new, slowest axis. Where the names
//! differ in one number only, that number is the axis and what stands before it its name;
//! else the files are numbered in the order of their names, digits counting as numbers.

use crate::{
    Input, IoError, OpenOptions,
    blocks::{Blocks, Stored, rows_of},
    format::Confidence,
    gather::Block,
    open::{Relabelled, candidates, read},
    zarr,
};
use kalpha_core::{
    Axis, CellBuffer, CellData, Code, DType, Dataset, Diagnostic, Metadata, NoiseModel, RowsMeta,
    Unit,
};
use serde_json::{Value, json};
use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A part of a name: text, or a number and how it is written.
#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Number(f64, String),
}

/// Cuts a name into texts and numbers.
fn parts(name: &str) -> Vec<Part> {
    let mut found = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let text = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        if text > 0 {
            found.push(Part::Text(rest[..text].to_owned()));
            rest = &rest[text..];
            continue;
        }
        let digits = |s: &str| s.find(|c: char| !c.is_ascii_digit()).unwrap_or(s.len());
        let mut end = digits(rest);
        // A point between digits is a decimal one.
        if let Some(fraction) = rest[end..].strip_prefix('.') {
            let more = digits(fraction);
            end += if more > 0 { 1 + more } else { 0 };
        }
        let written = rest[..end].to_owned();
        found.push(Part::Number(written.parse().unwrap_or(f64::INFINITY), written));
        rest = &rest[end..];
    }
    found
}

/// Orders names as people do: `map2` before `map10`.
fn natural(a: &[Part], b: &[Part]) -> std::cmp::Ordering {
    let each = a.iter().zip(b).map(|(a, b)| match (a, b) {
        (Part::Number(a, x), Part::Number(b, y)) => a.total_cmp(b).then_with(|| x.cmp(y)),
        (Part::Text(a), Part::Text(b)) => a.cmp(b),
        (Part::Number(..), Part::Text(_)) => std::cmp::Ordering::Less,
        (Part::Text(_), Part::Number(..)) => std::cmp::Ordering::Greater,
    });
    each.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then).then(a.len().cmp(&b.len()))
}

/// `*` stands for any characters, `?` for one.
fn matches(pattern: &[char], name: &[char]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some(('*', rest)) => (0..=name.len()).any(|n| matches(rest, &name[n..])),
        Some((c, rest)) => name
            .split_first()
            .is_some_and(|(n, behind)| (*c == '?' || c == n) && matches(rest, behind)),
    }
}

/// The files a path stands for, sorted; `None` where it is one file.
pub(crate) fn files(path: &Path) -> Result<Option<Vec<PathBuf>>, IoError> {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let is_pattern = name.contains(['*', '?']) && !path.exists();
    let is_series = path.is_dir() && !zarr::HEADERS.iter().any(|h| path.join(h).is_file());
    let folder = match (is_pattern, is_series) {
        (true, _) => path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")),
        (_, true) => path,
        _ => return Ok(None),
    };
    // Two stars in a row mean what one does, and cost more.
    let mut pattern: Vec<char> = name.chars().collect();
    pattern.dedup_by(|a, b| *a == '*' && *b == '*');
    let fail = |source| IoError::Open { file: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let chosen = if is_pattern {
            matches(&pattern, &name.chars().collect::<Vec<_>>())
        } else {
            // Of a whole folder, what some reader is sure of.
            let input = Input::open(&entry.path());
            input.is_ok_and(|input| {
                candidates(&input).first().is_some_and(|(_, sure)| *sure >= Confidence::Likely)
            })
        };
        if chosen && !name.starts_with('.') {
            found.push((parts(&stem(&entry.path())), entry.path()));
        }
    }
    found.sort_by(|(a, x), (b, y)| natural(a, b).then_with(|| x.cmp(y)));
    if found.is_empty() {
        let what = "no file there is of a known format".to_owned();
        return Err(IoError::Series { path: path.to_owned(), what });
    }
    Ok(Some(found.into_iter().map(|(_, path)| path).collect()))
}

fn stem(path: &Path) -> String {
    path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The axis along the series.
fn axis(files: &[PathBuf]) -> Axis {
    let names: Vec<Vec<Part>> = files.iter().map(|f| parts(&stem(f))).collect();
    let numbered = || {
        let (first, others) = names.split_first()?;
        let mut varying = None;
        for (place, part) in first.iter().enumerate() {
            if others.iter().all(|n| n.len() == first.len() && n[place] == *part) {
                continue;
            }
            let all = names.iter().map(|n| match n.get(place) {
                Some(Part::Number(x, _)) if x.is_finite() && n.len() == first.len() => Some(*x),
                _ => None,
            });
            let values: Vec<f64> = all.collect::<Option<_>>()?;
            if varying.replace((place, values)).is_some() {
                return None;
            }
        }
        let (place, values) = varying?;
        let word = |part: Option<&Part>| match part {
            Some(Part::Text(text)) => text.trim_matches(['_', '-', '.', ' ', '=']).to_owned(),
            _ => String::new(),
        };
        let name = word(place.checked_sub(1).and_then(|before| first.get(before)));
        let name = name.rsplit(['_', ' ']).next().unwrap_or_default().to_owned();
        let unit = match Unit::parse(&word(first.get(place + 1))) {
            Unit::Other(_) => Unit::None,
            unit => unit,
        };
        Some(Axis::values(if name.is_empty() { "number" } else { &name }, unit, values))
    };
    numbered().unwrap_or_else(|| Axis::index("file", files.len()))
}

/// The rows of all files, one file after the other.
struct Series {
    members: Vec<kalpha_core::Rows>,
    rows_each: usize,
    stored: Stored,
    path: PathBuf,
}

impl Blocks for Series {
    fn dtype(&self) -> Stored {
        self.stored
    }

    fn read(&self, range: Range<usize>, take: &mut dyn FnMut(Block<'_>)) -> Result<(), IoError> {
        let mut buffer = CellBuffer::default();
        let (mut wide, mut counts) = (Vec::new(), Vec::new());
        let mut start = range.start;
        while start < range.end {
            let (number, row) = (start / self.rows_each, start % self.rows_each);
            let n = (self.rows_each - row).min(range.end - start);
            let Some(member) = self.members.get(number) else { break };
            let fail = |source| IoError::Rows { file: self.path.clone(), source };
            let cell = member.cell(row..row + n, &mut buffer).map_err(fail)?;
            match (self.stored, cell.data) {
                (Stored::U8, CellData::U8(v)) => take(Block::U8(v)),
                (Stored::U16, CellData::U16(v)) => take(Block::U16(v)),
                (Stored::U32, CellData::U32(v)) => take(Block::U32(v)),
                (Stored::I16, CellData::I16(v)) => take(Block::I16(v)),
                (Stored::I32, CellData::I32(v)) => take(Block::I32(v)),
                (Stored::F32, CellData::F32(v)) => take(Block::F32(v)),
                (Stored::U32, _) => {
                    counts.clear();
                    counts.resize(n * cell.channels, 0u32);
                    cell.for_each_nonzero(|r, c, x| counts[r * cell.channels + c] = x as u32);
                    take(Block::U32(&counts));
                }
                _ => {
                    cell.to_f64(&mut wide);
                    take(Block::F64(&wide));
                }
            }
            start += n;
        }
        Ok(())
    }
}

/// The type that holds the values of all members.
fn common(members: &[Dataset]) -> Stored {
    let of = |dtype: DType| match dtype {
        DType::U8 => Stored::U8,
        DType::U16 => Stored::U16,
        DType::U32 | DType::Csr => Stored::U32,
        DType::I16 => Stored::I16,
        DType::I32 => Stored::I32,
        DType::F32 => Stored::F32,
        DType::F64 => Stored::F64,
    };
    let mut types = members.iter().map(|m| of(m.meta().dtype));
    let Some(first) = types.next() else { return Stored::F64 };
    let unsigned = |s: Stored| matches!(s, Stored::U8 | Stored::U16 | Stored::U32);
    types.fold(first, |all, next| match (all, next) {
        (a, b) if a == b => a,
        (a, b) if unsigned(a) && unsigned(b) => Stored::U32,
        _ => Stored::F64,
    })
}

/// The two axes have the same points, to a part in 1e9 of a step.
fn same_axis(a: &Axis, b: &Axis) -> bool {
    let n = a.len();
    let step = if n > 1 { (a.at(n - 1) - a.at(0)).abs() / (n - 1) as f64 } else { 0.0 };
    let close = |i: usize| {
        let (x, y) = (a.at(i), b.at(i));
        (x - y).abs() <= 1e-9 * x.abs().max(step) || (x.is_nan() && y.is_nan())
    };
    n == b.len() && a.unit == b.unit && (0..n).all(close)
}

/// What all files say alike; the names of the keys in which they differ.
fn common_metadata(members: &[Dataset]) -> (Metadata, Vec<String>) {
    let json = |m: &Dataset| serde_json::to_value(&m.metadata).unwrap_or_default();
    let mut all = members.first().map(json).unwrap_or_default();
    let mut differing = Vec::new();
    let default = serde_json::to_value(Metadata::default()).unwrap_or_default();
    for other in members.iter().skip(1).map(json) {
        for (key, value) in all.as_object_mut().into_iter().flatten() {
            if other[key.as_str()] != *value && *value != default[key.as_str()] {
                *value = default[key.as_str()].clone();
                differing.push(key.clone());
            }
        }
    }
    differing.sort();
    differing.dedup();
    (serde_json::from_value(all).unwrap_or_default(), differing)
}

/// Reads all files as one dataset.
pub(crate) fn open(
    path: &Path,
    files: &[PathBuf],
    options: &OpenOptions,
) -> Result<Dataset, IoError> {
    let mut members: Vec<Dataset> = Vec::new();
    for file in files {
        let member = read(&Input::open(file)?, options)?;
        if let Some(first) = members.first() {
            let (a, b) = (first.meta(), member.meta());
            let differs = if a.grid() != b.grid() {
                Some(format!("{:?} pixels, not {:?}", b.grid(), a.grid()))
            } else {
                (!same_axis(&a.signal, &b.signal)).then(|| "another signal axis".to_owned())
            };
            if let Some(differs) = differs {
                let what = format!("{} and the first file differ: it has {differs}", stem(file));
                return Err(IoError::Series { path: path.to_owned(), what });
            }
        }
        members.push(member);
    }
    let Some(first) = members.first() else {
        return Err(IoError::Series { path: path.to_owned(), what: "no file".to_owned() });
    };
    let along = axis(files);
    let meta = first.meta().clone();
    let mut diagnostics = vec![Diagnostic::note(
        Code::Assumed,
        format!("{} files are a series along {:?}", files.len(), along.name),
    )];
    diagnostics.extend(first.diagnostics.iter().cloned());
    let (metadata, differing) = common_metadata(&members);
    if !differing.is_empty() {
        let message = format!("the files differ in {}: left out", differing.join(", "));
        diagnostics.push(Diagnostic::warning(Code::MissingMetadata, message));
    }
    let mut navigation = vec![along];
    navigation.extend(meta.navigation.iter().cloned());
    let stored = common(&members);
    let counts = members.iter().all(|m| m.meta().noise.is_counts());
    let mask = members.iter().any(|m| m.mask.is_some()).then(|| {
        let flags = members.iter().flat_map(|m| match &m.mask {
            Some(mask) => mask.to_vec(),
            None => vec![false; meta.rows],
        });
        flags.collect()
    });
    let mut source = first.source.clone();
    if members.iter().any(|m| m.source.dtype != source.dtype) {
        source.dtype = None;
    }
    source.path = path.to_string_lossy().into_owned();
    source.bytes = members.iter().map(|m| m.source.bytes).sum();
    let name = |f: &PathBuf| f.file_name().map(|n| n.to_string_lossy().into_owned());
    let vendor = json!({
        "files": files.iter().filter_map(name).collect::<Vec<_>>(),
        "each": members.iter().map(|m| m.vendor.clone()).collect::<Vec<Value>>(),
    });
    let rows = members.into_iter().map(|m| m.rows).collect();
    let series =
        Series { members: rows, rows_each: meta.rows.max(1), stored, path: path.to_owned() };
    let input = Input::from_bytes(path, Vec::new());
    let gathered = rows_of(&input, series, navigation, meta.signal)?;
    let mut rows = gathered.rows;
    if !counts && rows.meta().noise.is_counts() {
        let meta = RowsMeta { noise: NoiseModel::Unknown, ..rows.meta().clone() };
        rows = Arc::new(Relabelled { meta, source: rows });
    }
    Ok(Dataset { rows, metadata, vendor, mask, source, diagnostics })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> (Vec<String>, Axis) {
        let mut sorted: Vec<_> = names.iter().map(|n| (parts(&stem(Path::new(n))), *n)).collect();
        sorted.sort_by(|(a, _), (b, _)| natural(a, b));
        let paths: Vec<PathBuf> = sorted.iter().map(|(_, n)| PathBuf::from(n)).collect();
        (sorted.iter().map(|(_, n)| (*n).to_owned()).collect(), axis(&paths))
    }

    #[test]
    fn one_number_that_varies_is_the_axis() {
        let (sorted, axis) = named(&["Cu_T150K.dat", "Cu_T10K.dat", "Cu_T20.5K.dat"]);
        assert_eq!(sorted, ["Cu_T10K.dat", "Cu_T20.5K.dat", "Cu_T150K.dat"]);
        assert_eq!((&*axis.name, axis.to_vec()), ("T", vec![10.0, 20.5, 150.0]));
        let (_, axis) = named(&["map 3 nm.msa", "map 1 nm.msa"]);
        assert_eq!((&*axis.name, axis.unit), ("map", Unit::Nanometre));
        let (_, axis) = named(&["2.msa", "1.msa", "10.msa"]);
        assert_eq!((&*axis.name, axis.to_vec()), ("number", vec![1.0, 2.0, 10.0]));
        for names in [["a1b2.x", "a2b3.x"], ["a.x", "b.x"], ["a1.x", "a.x"]] {
            assert_eq!(named(&names).1, Axis::index("file", 2), "{names:?}");
        }
    }

    #[test]
    fn patterns() {
        let fits = |pattern: &str, name: &str| {
            matches(&pattern.chars().collect::<Vec<_>>(), &name.chars().collect::<Vec<_>>())
        };
        assert!(fits("*.msa", "a.msa") && fits("a?c*", "abc") && fits("*b*", "abc"));
        assert!(!fits("*.msa", "a.ms") && !fits("a?c", "ac") && !fits("", "a"));
    }
}
