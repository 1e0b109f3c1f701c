//! The signals of a file that holds several: their names, the default, rows of equal ones.
//!
//! Text formats hold columns, regions or groups. Each is a [`Signal`] with a name; signals on
//! one axis may also be read together as the rows of a [`Series`]. What was read without being
//! asked for is said in a note.

use crate::{
    Input, IoError, OpenOptions,
    gather::{Block, Gather, not_counts},
};
use kalpha_core::{
    Axis, Code, DType, Dataset, DenseRows, DenseValues, Diagnostic, Metadata, NoiseModel, RowsMeta,
    Source,
};
use serde_json::Value;
use std::{collections::HashMap, sync::Arc};

/// Names told in a note before it says how many more there are.
const NAMES_TOLD: usize = 12;

/// Points that depart from a straight line by less than this part of a step lie on it.
const ON_LINE: f64 = 1e-9;

/// Longest name of a signal or an axis; every column repeats what stands above it.
const NAME_CHARS: usize = 120;

/// Key of the names of rows in the vendor metadata.
pub(crate) const ROW_NAMES: &str = "rows";

/// The beginning of a text.
pub(crate) fn short(text: &str) -> String {
    text.chars().take(NAME_CHARS).collect()
}

/// What whole numbers in a signal are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whole {
    /// Counts: the file says so, or it cannot be otherwise.
    Counts,
    /// No counts, whatever they look like: a rate, a current, an absorption.
    NoCounts,
}

/// One signal: rows on an axis.
#[derive(Debug)]
pub(crate) struct Signal {
    pub name: String,
    /// Slowest first; empty for a single spectrum.
    pub navigation: Vec<Axis>,
    pub axis: Axis,
    pub values: Vec<f64>,
    pub whole: Whole,
    /// What holds for this signal.
    pub metadata: Metadata,
    pub diagnostics: Vec<Diagnostic>,
}

/// Signals of one axis, to be read as rows under a name of their own.
#[derive(Debug)]
pub(crate) struct Series {
    pub name: String,
    /// One point per member.
    pub axis: Axis,
    /// Places in the list of signals.
    pub members: Vec<usize>,
}

/// All that a file of several signals holds.
#[derive(Debug)]
pub(crate) struct SignalList {
    pub format: &'static str,
    pub version: Option<String>,
    pub signals: Vec<Signal>,
    pub series: Vec<Series>,
    /// The signal that is read where none is asked for.
    pub default: usize,
    /// Said beside the note that the default was taken.
    pub remark: String,
    pub vendor: Value,
    pub diagnostics: Vec<Diagnostic>,
}

/// An axis of points as read: linear where they lie on a line.
pub(crate) fn axis_of_points(name: &str, unit: kalpha_core::Unit, points: Vec<f64>) -> Axis {
    let name = &short(name);
    let n = points.len();
    if let [first, .., last] = points[..] {
        let scale = (last - first) / (n - 1) as f64;
        let on_line = |(i, x): (usize, &f64)| {
            (x - (first + scale * i as f64)).abs() <= ON_LINE * scale.abs().min(x.abs())
        };
        if n > 2
            && points.iter().enumerate().all(on_line)
            && let Ok(axis) = Axis::linear(name, unit.clone(), first, scale, n)
        {
            return axis;
        }
    }
    Axis::values(name, unit, points)
}

/// Names made different from each other by `.2`, `.3`, ..
pub(crate) fn unique(names: impl IntoIterator<Item = String>) -> Vec<String> {
    // How often each name was given away.
    let mut taken: HashMap<String, usize> = HashMap::new();
    let mut out = Vec::new();
    for name in names {
        let mut number = taken.get(&name).copied().unwrap_or(0);
        let free = loop {
            number += 1;
            let free = if number == 1 { name.clone() } else { format!("{name}.{number}") };
            if number == 1 || !taken.contains_key(&free) {
                break free;
            }
        };
        taken.insert(name, number);
        taken.entry(free.clone()).or_insert(1);
        out.push(free);
    }
    out
}

/// Where `asked` stands among `names`; the case matters only where it tells two apart.
fn find<'a>(names: impl Iterator<Item = &'a str>, asked: &str) -> Option<usize> {
    let mut near = Vec::new();
    for (i, name) in names.enumerate() {
        if name == asked {
            return Some(i);
        }
        if name.eq_ignore_ascii_case(asked) {
            near.push(i);
        }
    }
    (near.len() == 1).then(|| near[0])
}

impl SignalList {
    /// All names that `--signal` takes.
    pub fn names(&self) -> Vec<String> {
        let signals = self.signals.iter().map(|s| s.name.clone());
        signals.chain(self.series.iter().map(|s| s.name.clone())).collect()
    }

    /// The signal or series that was asked for, or the default with a note.
    pub fn dataset(mut self, input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
        let names = self.names();
        let place = match &options.signal {
            Some(asked) => {
                find(names.iter().map(String::as_str), asked).ok_or_else(|| IoError::NoSignal {
                    file: input.path().to_owned(),
                    asked: asked.clone(),
                    available: names.clone(),
                })?
            }
            None => self.default,
        };
        let mut diagnostics = std::mem::take(&mut self.diagnostics);
        if options.signal.is_none() && (names.len() > 1 || !self.remark.is_empty()) {
            diagnostics.push(self.taken(&names, place));
        }
        let mut signal = match place.checked_sub(self.signals.len()) {
            Some(series) => {
                self.name_rows(series);
                self.rows(series)
            }
            None => (place < self.signals.len()).then(|| self.signals.swap_remove(place)),
        }
        .ok_or_else(|| IoError::NoSpectra {
            file: input.path().to_owned(),
            found: "no signal".to_owned(),
        })?;
        diagnostics.append(&mut signal.diagnostics);
        let metadata = std::mem::take(&mut signal.metadata);
        let (rows, said) = signal.rows().map_err(|e| input.rows_error(e))?;
        diagnostics.extend(said);
        let name = names.get(place).filter(|name| !name.is_empty()).cloned();
        let source = Source { signal: name, ..input.source(self.format, self.version) };
        Ok(Dataset { rows, metadata, vendor: self.vendor, mask: None, source, diagnostics })
    }

    fn taken(&self, names: &[String], place: usize) -> Diagnostic {
        let told: Vec<&str> = names.iter().take(NAMES_TOLD).map(String::as_str).collect();
        let more = match names.len().saturating_sub(NAMES_TOLD) {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        let name = names.get(place).map_or("", String::as_str);
        let remark = match self.remark.as_str() {
            "" => String::new(),
            text => format!("; {text}"),
        };
        let message = format!("the file holds {}{more}; {name} was read{remark}", told.join(", "));
        Diagnostic::note(Code::Assumed, message).hint("--signal NAME reads another")
    }

    /// Names of the rows, which an axis of numbers cannot say, as `rows` of the vendor metadata.
    fn name_rows(&mut self, series: usize) {
        let members = self.series.get(series).map_or(&[][..], |series| &series.members);
        let names: Vec<Value> = members
            .iter()
            .filter_map(|place| self.signals.get(*place))
            .map(|signal| signal.name.as_str().into())
            .collect();
        if let Value::Object(vendor) = &mut self.vendor {
            vendor.insert(ROW_NAMES.to_owned(), names.into());
        }
    }

    /// The members of a series under one another.
    fn rows(&mut self, series: usize) -> Option<Signal> {
        let series = self.series.get(series)?;
        let first = self.signals.get(*series.members.first()?)?;
        let (axis, whole) = (first.axis.clone(), first.whole);
        let mut values = Vec::with_capacity(series.members.len() * axis.len());
        for member in &series.members {
            values.extend_from_slice(&self.signals.get(*member)?.values);
        }
        Some(Signal {
            name: series.name.clone(),
            navigation: vec![series.axis.clone()],
            axis,
            values,
            whole,
            metadata: first.metadata.clone(),
            diagnostics: Vec::new(),
        })
    }
}

impl Signal {
    /// One spectrum.
    pub fn spectrum(name: impl Into<String>, axis: Axis, values: Vec<f64>, whole: Whole) -> Self {
        Self {
            name: short(&name.into()),
            navigation: Vec::new(),
            axis,
            values,
            whole,
            metadata: Metadata::default(),
            diagnostics: Vec::new(),
        }
    }

    fn rows(self) -> Result<(kalpha_core::Rows, Vec<Diagnostic>), kalpha_core::RowsError> {
        let rows = self.navigation.iter().map(Axis::len).product();
        let channels = self.axis.len();
        if self.whole == Whole::Counts {
            let mut gather = Gather::new(rows, channels);
            gather.push(Block::F64(&self.values));
            let gathered = gather.finish(self.navigation, self.axis)?;
            // Text has no integers: whole numbers are what counts look like here.
            let said = gathered.diagnostics.into_iter().filter(|d| d.code != Code::Assumed);
            let unknown = (!gathered.rows.meta().noise.is_counts()).then(not_counts);
            return Ok((gathered.rows, said.chain(unknown).collect()));
        }
        let meta = RowsMeta {
            rows,
            channels,
            dtype: DType::F64,
            navigation: self.navigation,
            signal: self.axis,
            noise: NoiseModel::Unknown,
        };
        let rows = DenseRows::new(meta, DenseValues::F64(self.values.into()))?;
        Ok((Arc::new(rows), Vec::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kalpha_core::Unit;

    #[test]
    fn points_on_a_line_make_a_linear_axis() {
        let points: Vec<f64> = (0..100)
            .map(|i| format!("{:.1}", 541.6 - 0.1 * i as f64))
            .map(|t| t.parse().unwrap())
            .collect();
        let axis = axis_of_points("BE", Unit::Ev, points.clone());
        assert!(axis.offset_scale().is_some());
        for (i, x) in points.iter().enumerate() {
            assert!((axis.at(i) - x).abs() < 1e-9 * x);
        }
        let mut bent = points;
        bent[50] += 1e-6;
        assert_eq!(axis_of_points("BE", Unit::Ev, bent.clone()).to_vec(), bent);
        let flat = axis_of_points("x", Unit::None, vec![1.0; 4]);
        assert_eq!(flat.to_vec(), [1.0; 4]);
    }

    #[test]
    fn names_become_unique_and_are_found() {
        let names = unique(["a", "b", "a", "a.2", "a"].map(str::to_owned));
        assert_eq!(names, ["a", "b", "a.2", "a.2.2", "a.3"]);
        let names = ["Fe", "fe", "Mn"];
        assert_eq!(find(names.into_iter(), "fe"), Some(1));
        assert_eq!(find(names.into_iter(), "FE"), None);
        assert_eq!(find(names.into_iter(), "mn"), Some(2));
    }
}
