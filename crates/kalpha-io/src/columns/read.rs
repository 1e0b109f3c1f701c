//! From columns of numbers to signals.

use super::{
    labels::{self, AxisLabel, Role},
    stated::Stated,
    table::{Block, Table},
};
use crate::{
    Input, IoError,
    signal_list::{Series, Signal, SignalList, Whole, axis_of_points, short, unique},
    xml,
};
use kalpha_core::{Axis, Code, Dataset, Diagnostic, Metadata, Modality, Source, Unit};
use serde_json::{Map, Value, json};

/// Name of all columns together, as rows.
pub(crate) const ALL: &str = "all";

/// `key: value` or `key = value` in a line of the header.
fn field(line: &str) -> Option<(String, String)> {
    let bare = line.trim_start_matches(['#', '%', '!', ';', '*', ' ', '\t']);
    let (key, value) = bare.split_once([':', '='])?;
    let (key, value) = (key.trim(), value.trim());
    let plain = !key.is_empty() && key.len() <= 40 && key.split_whitespace().count() <= 4;
    (plain && !value.is_empty()).then(|| (key.to_owned(), value.to_owned()))
}

/// Adds a value under a key; what repeats becomes a list.
pub(crate) fn insert(fields: &mut Map<String, Value>, key: String, value: String) {
    match fields.get_mut(&key) {
        None => {
            fields.insert(key, value.into());
        }
        Some(Value::Array(list)) => list.push(value.into()),
        Some(first) => *first = Value::Array(vec![first.take(), value.into()]),
    }
}

fn metadata(fields: &Map<String, Value>, modality: Option<Modality>) -> Metadata {
    let text = |names: &[&str]| {
        let found = fields.iter().find(|(k, _)| names.iter().any(|n| k.eq_ignore_ascii_case(n)));
        found.and_then(|(_, v)| v.as_str()).map(short)
    };
    Metadata {
        title: text(&["title", "name", "sample", "sample name"]),
        instrument: text(&["beamline", "beam", "instrument"]),
        detector: text(&["detector", "det"]),
        modality,
        ..Metadata::default()
    }
}

/// The column that is the axis, and what is known of it.
fn axis_column(block: &Block, names: Option<&[String]>, extension: &str) -> (usize, AxisLabel) {
    let names = names.unwrap_or_default();
    let labelled = |i: usize| labels::axis_label(names.get(i)?, &block.columns[i]);
    if let Some(label) = labelled(0) {
        return (0, label);
    }
    // Another column is the axis only where its label says energy.
    let energy = |i: &usize| labelled(*i).is_some_and(|l| l.name == "Energy");
    if let Some(i) = (1..block.columns.len()).find(energy)
        && let Some(label) = labelled(i)
    {
        return (i, label);
    }
    let absorption = matches!(extension, "xmu" | "nor");
    let name = names.first().filter(|n| !n.is_empty()).map_or("x", String::as_str);
    let (name, unit) = if absorption { ("Energy", Unit::Ev) } else { (name, Unit::None) };
    (0, AxisLabel { name: name.to_owned(), unit, assumed: absorption })
}

/// The column read by default, and what to say of it.
fn default_column(names: &[String], y: &[usize]) -> (usize, String) {
    let with =
        |role: Role| y.iter().position(|&i| names.get(i).is_some_and(|n| labels::role(n) == role));
    if let Some(place) = with(Role::Mu) {
        return (place, String::new());
    }
    let raw = with(Role::Transmitted).or_else(|| with(Role::Yield));
    let known = with(Role::Incident).is_some() && raw.is_some();
    let remark = if known { "no column is mu(E), and none is computed here" } else { "" };
    (raw.unwrap_or(0), remark.to_owned())
}

/// True where the labels are those of absorption.
fn is_absorption(names: &[String]) -> bool {
    names.iter().any(|n| !matches!(labels::role(n), Role::Other))
}

fn modality(names: &[String], axis: &AxisLabel, extension: &str) -> Option<Modality> {
    if is_absorption(names) || matches!(extension, "xmu" | "nor") {
        return Some(Modality::Xas);
    }
    match axis.name.as_str() {
        "Binding energy" | "Kinetic energy" => Some(Modality::Xps),
        "Raman shift" => Some(Modality::Raman),
        "Energy loss" => Some(Modality::Eels),
        _ => None,
    }
}

/// Says what the axis is not known to be.
fn axis_diagnostics(axis: &Axis, label: &AxisLabel, points: &[f64]) -> Vec<Diagnostic> {
    let mut said = Vec::new();
    if label.assumed {
        let message =
            format!("the {} axis states no unit: {} is assumed", axis.name, axis.unit.symbol());
        said.push(Diagnostic::note(Code::Assumed, message));
    } else if label.unit == Unit::None && label.name != "channel" {
        let message = format!("the axis {} states no unit", axis.name);
        said.push(
            Diagnostic::warning(Code::MissingMetadata, message)
                .hint("--energy-axis eV (or another unit) states it"),
        );
    }
    let forward = points.windows(2).filter(|w| w[1] > w[0]).count();
    let back = points.windows(2).filter(|w| w[1] < w[0]).count();
    if forward > 0 && back > 0 {
        let message =
            format!("the axis {} turns back: {back} steps fall, {forward} rise", axis.name);
        said.push(Diagnostic::warning(Code::VendorDisagrees, message));
    }
    said
}

/// Signals and series of one block.
fn block_signals(
    input: &Input,
    block: Block,
    names: Option<&[String]>,
    prefix: &str,
    fields: &Map<String, Value>,
    list: &mut SignalList,
) -> Result<(), IoError> {
    let n = block.columns.len();
    let extension = input.extension();
    let of = |i: usize| match names.and_then(|names| names.get(i)) {
        Some(name) if !name.is_empty() => name.clone(),
        _ => format!("column {}", i + 1),
    };
    if n == 1 {
        let axis = Axis::index("channel", block.rows());
        let name = names.map_or_else(|| "column 1".to_owned(), |_| of(0));
        let values = block.columns.into_iter().next().unwrap_or_default();
        let mut signal = Signal::spectrum(format!("{prefix}{name}"), axis, values, Whole::Counts);
        signal.metadata = metadata(fields, None);
        let message = "the file has one column: channels are numbered";
        signal.diagnostics.push(
            Diagnostic::warning(Code::MissingMetadata, message)
                .hint("--energy-axis OFFSET,SCALE,UNIT gives the axis"),
        );
        list.signals.push(signal);
        return Ok(());
    }
    let (x, label) = axis_column(&block, names, &extension);
    let points = &block.columns[x];
    if let Some(i) = points.iter().position(|p| !p.is_finite()) {
        let field = format!("{}, point {}", label.name, i + 1);
        return Err(input.corrupt(block.offset, field, "a finite number", points[i]));
    }
    let axis = axis_of_points(&label.name, label.unit.clone(), points.clone());
    let said = axis_diagnostics(&axis, &label, points);
    let y: Vec<usize> = (0..n).filter(|i| *i != x).collect();
    let known = names.unwrap_or_default();
    let modality = modality(known, &label, &extension);
    let whole = if is_absorption(known) { Whole::NoCounts } else { Whole::Counts };
    let first = list.signals.len();
    if first == 0 {
        let (place, remark) = default_column(known, &y);
        list.default = place;
        list.remark = remark;
    }
    let metadata = metadata(fields, modality);
    for &i in &y {
        let whole = if labels::is_rate(&of(i)) { Whole::NoCounts } else { whole };
        let values = block.columns[i].clone();
        let mut signal =
            Signal::spectrum(format!("{prefix}{}", of(i)), axis.clone(), values, whole);
        signal.metadata = metadata.clone();
        signal.diagnostics = said.clone();
        list.signals.push(signal);
    }
    // Only what is measured alike belongs together.
    let role = |i: usize| names.and_then(|n| n.get(i)).map_or(Role::Other, |n| labels::role(n));
    let wanted = y.get(default_column(known, &y).0).map_or(Role::Other, |&i| role(i));
    let members: Vec<usize> = y
        .iter()
        .enumerate()
        .filter(|(_, i)| role(**i) == wanted)
        .map(|(place, _)| first + place)
        .collect();
    if members.len() > 1 {
        let axis = Axis::index("column", members.len());
        list.series.push(Series { name: format!("{prefix}{ALL}"), axis, members });
    }
    Ok(())
}

/// A table, its labels and its fields as signals.
pub(crate) fn signals_of(
    input: &Input,
    table: Table,
    stated: Option<Vec<String>>,
    fields: &Map<String, Value>,
    list: &mut SignalList,
) -> Result<(), IoError> {
    if table.truncated {
        let message = "the last line is cut short and was left out";
        list.diagnostics.push(Diagnostic::warning(Code::Truncated, message));
    }
    if table.strangers > 0 {
        let n = table.strangers;
        let message = format!("{n} lines among or behind the numbers are text and were left out");
        list.diagnostics.push(Diagnostic::warning(Code::VendorDisagrees, message));
    }
    let several = table.blocks.len() > 1;
    let mut before: Option<Vec<String>> = stated;
    for (number, block) in table.blocks.into_iter().enumerate() {
        let n = block.columns.len();
        let points = block.columns.first().map(Vec::as_slice).unwrap_or_default();
        let found = labels::labels(&block.heading, table.style, n, points);
        // Labels hold until others follow.
        let names = match &before {
            Some(stated) if number == 0 && stated.len() == n => before.clone(),
            _ => found.or_else(|| before.clone().filter(|b| b.len() == n)),
        };
        let prefix = if several { format!("{}/", number + 1) } else { String::new() };
        block_signals(input, block, names.as_deref(), &prefix, fields, list)?;
        before = names;
    }
    let names = unique(list.signals.iter_mut().map(|s| std::mem::take(&mut s.name)));
    list.signals.iter_mut().zip(names).for_each(|(s, name)| s.name = name);
    Ok(())
}

/// So many columns are signals whatever the length of the text.
const MOST_COLUMNS: usize = 8192;

/// A signal with its name and metadata takes a kilobyte: more columns need longer ones.
const COLUMN_BYTES: usize = 64;

/// The table of a text, or the error that says where it is none.
pub(crate) fn table<'a>(input: &Input, text: &'a str) -> Result<Table<'a>, IoError> {
    let table = Table::parse(text).map_err(|ragged| {
        let expected = format!("{} numbers in the line", ragged.expected);
        input.corrupt(ragged.offset, "columns", expected, ragged.got)
    })?;
    let table = table.ok_or_else(|| {
        let end = input.bytes().len() as u64;
        input.corrupt(end, "columns", "lines of numbers", "none")
    })?;
    let columns: usize = table.blocks.iter().map(|block| block.columns.len()).sum();
    let most = MOST_COLUMNS.max(input.bytes().len() / COLUMN_BYTES);
    if columns > most {
        return Err(input.too_large("number of columns", columns as u64, most as u64));
    }
    Ok(table)
}

/// The dataset that this program wrote, where the file is one and was not changed.
pub(super) fn stated(input: &Input) -> Result<Option<Dataset>, IoError> {
    if !input.bytes().starts_with(super::MAGIC.as_bytes()) {
        return Ok(None);
    }
    let text = xml::decode(input.bytes());
    let table = table(input, &text)?;
    let source = input.source("columns", Some("1".to_owned()));
    stated_dataset(input, source, &table)
}

/// What the header of a table states, with the numbers of the table.
pub(crate) fn stated_dataset(
    input: &Input,
    source: Source,
    table: &Table,
) -> Result<Option<Dataset>, IoError> {
    let [block] = table.blocks.as_slice() else { return Ok(None) };
    let Some((x, y)) = block.columns.split_first().filter(|(_, y)| !y.is_empty()) else {
        return Ok(None);
    };
    let Some(stated) = Stated::find(input, table.text.iter().copied()) else { return Ok(None) };
    let rows: Vec<&[f64]> = y.iter().map(Vec::as_slice).collect();
    stated.dataset(input, source, x, &rows)
}

pub(super) fn list(input: &Input) -> Result<SignalList, IoError> {
    let text = xml::decode(input.bytes());
    let table = table(input, &text)?;
    let mut fields = Map::new();
    for (key, value) in table.text.iter().filter_map(|line| field(line)) {
        insert(&mut fields, key, value);
    }
    let lines = table.text.clone();
    let mut list = SignalList {
        format: "columns",
        version: None,
        signals: Vec::new(),
        series: Vec::new(),
        default: 0,
        remark: String::new(),
        vendor: Value::Null,
        diagnostics: Vec::new(),
    };
    signals_of(input, table, None, &fields, &mut list)?;
    list.vendor = json!({ "fields": fields, "lines": lines });
    Ok(list)
}
