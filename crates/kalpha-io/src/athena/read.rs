//! From a project to the signals of its groups.

use super::perl::{Statement, Statements, text};
use crate::{
    Input, IoError,
    columns::stated::Stated,
    signal_list::{Series, Signal, SignalList, Whole, axis_of_points, unique},
    xml,
};
use flate2::read::GzDecoder;
use kalpha_core::{Axis, Code, Dataset, Diagnostic, Metadata, Modality, Unit};
use serde_json::{Map, Value, json};
use std::io::Read;

const MAGIC: &str = "Athena project file";

/// No project unpacks to more: one of this size holds ten thousand spectra.
const MOST_TEXT: u64 = 512 << 20;

const ARRAYS: [&str; 4] = ["y", "i0", "signal", "stddev"];

fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// True where the first bytes are those of a project.
pub(super) fn is_project(input: &Input) -> bool {
    let head = input.head(4096);
    let mut first = Vec::new();
    if is_gzip(head) {
        // The head ends inside the stream, what it holds up to there is enough.
        let _ = GzDecoder::new(head).take(300).read_to_end(&mut first);
    } else {
        first.extend_from_slice(&head[..head.len().min(300)]);
    }
    String::from_utf8_lossy(&first).contains(MAGIC)
}

fn unpack(input: &Input) -> Result<String, IoError> {
    let bytes = input.bytes();
    if !is_gzip(bytes) {
        return Ok(xml::decode(bytes).into_owned());
    }
    let mut plain = Vec::new();
    let read = GzDecoder::new(&bytes[..]).take(MOST_TEXT + 1).read_to_end(&mut plain);
    if plain.len() as u64 > MOST_TEXT {
        return Err(input.too_large("gzip stream", plain.len() as u64, MOST_TEXT));
    }
    read.map_err(|error| input.corrupt(0, "gzip stream", "a whole stream", error))?;
    Ok(xml::decode(&plain).into_owned())
}

/// One group as the file has it.
#[derive(Debug, Default)]
struct Group {
    id: String,
    args: Map<String, Value>,
    arrays: Map<String, Value>,
    /// Byte of the unpacked text.
    offset: u64,
}

/// All that a project says.
#[derive(Debug, Default)]
struct Project {
    groups: Vec<Group>,
    others: Map<String, Value>,
}

/// `(key, value, key, value, ..)` as an object.
fn pairs(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        Value::Array(items) => {
            let mut items = items.into_iter();
            let mut out = Map::new();
            while let Some(key) = items.next() {
                out.insert(text(&key), items.next().unwrap_or(Value::Null));
            }
            out
        }
        _ => Map::new(),
    }
}

fn perl_project(input: &Input, text: &str) -> Result<Project, IoError> {
    let mut statements = Statements::new(text);
    let (mut project, mut group) = (Project::default(), Group::default());
    loop {
        let next = statements.next().map_err(|wrong| {
            let got: String = text.get(wrong.offset..).unwrap_or("").chars().take(20).collect();
            let got = if got.is_empty() { "the end".to_owned() } else { got };
            input.corrupt(wrong.offset as u64, "statement (unpacked)", wrong.expected, got)
        })?;
        let Some(statement) = next else { break };
        match statement {
            Statement::Record => project.groups.push(std::mem::take(&mut group)),
            Statement::Assign(name, value) => match name.as_str() {
                "old_group" => {
                    group.id = super::perl::text(&value);
                    group.offset = statements.offset();
                }
                "args" => group.args = pairs(value),
                "x" | "y" | "i0" | "signal" | "stddev" | "xdi" => {
                    group.arrays.insert(name, value);
                }
                _ => {
                    project.others.insert(name, value);
                }
            },
        }
    }
    Ok(project)
}

fn json_project(input: &Input, text: &str) -> Result<Project, IoError> {
    let mut all: Map<String, Value> = serde_json::from_str(text).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        input.corrupt(0, place, "a project in JSON", error)
    })?;
    let order = match all.remove("_____order") {
        Some(Value::Array(order)) => order,
        _ => return Err(input.corrupt(0, "_____order", "a list of groups", "none")),
    };
    let mut project = Project::default();
    for id in order {
        let id = super::perl::text(&id);
        let Some(Value::Object(mut arrays)) = all.remove(&id) else {
            return Err(input.corrupt(0, id, "a group", "none"));
        };
        let args = arrays.remove("args").map(pairs).unwrap_or_default();
        project.groups.push(Group { id, args, arrays, offset: 0 });
    }
    project.others = all;
    Ok(project)
}

/// Numbers, or strings of numbers.
fn numbers(input: &Input, group: &Group, name: &str) -> Result<Option<Vec<f64>>, IoError> {
    let Some(value) = group.arrays.get(name) else { return Ok(None) };
    let wrong = |got: String| {
        let field = format!("@{name} of group {}", group.id);
        input.corrupt(group.offset, field, "a list of numbers", got)
    };
    let items = value.as_array().ok_or_else(|| wrong(format!("{:.40}", value.to_string())))?;
    let number = |item: &Value| match item {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let parsed = items.iter().map(|item| number(item).ok_or_else(|| wrong(item.to_string())));
    parsed.collect::<Result<_, _>>().map(Some)
}

impl Group {
    fn arg(&self, key: &str) -> Option<String> {
        self.args.get(key).map(text).filter(|t| !t.is_empty() && t != "0")
    }

    fn label(&self) -> String {
        let label = self.arg("label").map(|l| l.trim().to_owned()).filter(|l| !l.is_empty());
        label.unwrap_or_else(|| self.id.clone())
    }

    fn axis(&self, points: Vec<f64>) -> Axis {
        let kind = self.arg("datatype").unwrap_or_default();
        if self.arg("is_chi").is_some() || kind == "chi" {
            axis_of_points("k", Unit::InverseAngstrom, points)
        } else if self.arg("is_pixel").is_some() {
            axis_of_points("pixel", Unit::None, points)
        } else {
            axis_of_points("Energy", Unit::Ev, points)
        }
    }

    fn diagnostics(&self) -> Vec<Diagnostic> {
        let shift = self.arg("bkg_eshift").and_then(|t| t.parse::<f64>().ok());
        let shift = shift.filter(|s| *s != 0.0);
        let said = shift.map(|shift| {
            let message =
                format!("the project shifts this group by {shift} eV (bkg_eshift); the axis is as stored, without it");
            Diagnostic::note(Code::Assumed, message)
        });
        said.into_iter().collect()
    }
}

fn group_signals(input: &Input, group: &Group, list: &mut SignalList) -> Result<(), IoError> {
    let label = group.label();
    let missing = |what: &str| {
        input.corrupt(group.offset, format!("group {label}"), format!("an array {what}"), "none")
    };
    let x = numbers(input, group, "x")?.ok_or_else(|| missing("@x"))?;
    let n = x.len();
    if n == 0 {
        let message = format!("group {label} holds no data and was left out");
        list.diagnostics.push(Diagnostic::warning(Code::VendorDisagrees, message));
        return Ok(());
    }
    if let Some(bad) = x.iter().find(|x| !x.is_finite()) {
        let field = format!("@x of group {label}");
        return Err(input.corrupt(group.offset, field, "finite numbers", bad));
    }
    let axis = group.axis(x);
    let metadata = Metadata {
        title: Some(label.clone()),
        modality: Some(Modality::Xas),
        listed_elements: group.arg("bkg_z").or_else(|| group.arg("atsym")).into_iter().collect(),
        ..Metadata::default()
    };
    for name in ARRAYS {
        let Some(values) = numbers(input, group, name)? else {
            if name == "y" {
                return Err(missing("@y"));
            }
            continue;
        };
        if values.len() != n {
            let field = format!("@{name} of group {label}");
            if name == "y" {
                return Err(input.corrupt(
                    group.offset,
                    field,
                    format!("{n} values"),
                    values.len(),
                ));
            }
            // Athena keeps these as they were before points were cut off.
            let message = format!("{field} has {} values for {n} points: left out", values.len());
            list.diagnostics.push(Diagnostic::warning(Code::VendorDisagrees, message));
            continue;
        }
        let full = if name == "y" { label.clone() } else { format!("{label}.{name}") };
        let mut signal = Signal::spectrum(full, axis.clone(), values, Whole::NoCounts);
        signal.metadata = metadata.clone();
        signal.diagnostics = group.diagnostics();
        list.signals.push(signal);
    }
    Ok(())
}

/// The dataset that this program wrote, where the file is one and was not changed.
pub(super) fn stated(input: &Input) -> Result<Option<Dataset>, IoError> {
    let text = unpack(input)?;
    if !text.lines().take(3).any(|l| l.starts_with(super::WRITTEN_BY)) {
        return Ok(None);
    }
    let project = perl_project(input, &text)?;
    let journal = project.others.get("journal").and_then(Value::as_array);
    let lines = journal.into_iter().flatten().filter_map(Value::as_str);
    let Some(stated) = Stated::find(input, lines) else { return Ok(None) };
    let mut x: Option<Vec<f64>> = None;
    let mut rows = Vec::new();
    for group in &project.groups {
        let points = numbers(input, group, "x")?.unwrap_or_default();
        if *x.get_or_insert_with(|| points.clone()) != points {
            return Ok(None);
        }
        rows.push(numbers(input, group, "y")?.unwrap_or_default());
    }
    let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
    let version = first_version(&text).map(str::to_owned);
    stated.dataset(input, input.source("prj", version), &x.unwrap_or_default(), &rows)
}

/// The version of the program that the first lines name.
fn first_version(text: &str) -> Option<&str> {
    let head = text.get(..text.len().min(400)).unwrap_or(text);
    head.split("version ").nth(1)?.split([' ', '\r', '\n', '"']).next()
}

pub(super) fn list(input: &Input) -> Result<SignalList, IoError> {
    let text = unpack(input)?;
    let first = text.lines().next().unwrap_or_default().trim();
    let is_json = text.trim_start().starts_with('{');
    let project = if is_json { json_project(input, &text)? } else { perl_project(input, &text)? };
    let mut list = SignalList {
        format: "prj",
        version: first_version(&text).map(str::to_owned),
        signals: Vec::new(),
        series: Vec::new(),
        default: 0,
        remark: String::new(),
        vendor: Value::Null,
        diagnostics: Vec::new(),
    };
    let mut mu = Vec::new();
    for group in &project.groups {
        let place = list.signals.len();
        group_signals(input, group, &mut list)?;
        if list.signals.len() > place {
            mu.push(place);
        }
    }
    if list.signals.is_empty() {
        let found = format!("{} groups", project.groups.len());
        return Err(IoError::NoSpectra { file: input.path().to_owned(), found });
    }
    let one_axis = mu.windows(2).all(|w| list.signals[w[0]].axis == list.signals[w[1]].axis);
    if mu.len() > 1 && one_axis {
        let axis = Axis::index("group", mu.len());
        list.series.push(Series { name: "all".to_owned(), axis, members: mu });
    }
    let names = unique(list.signals.iter_mut().map(|s| std::mem::take(&mut s.name)));
    list.signals.iter_mut().zip(names).for_each(|(s, name)| s.name = name);
    let groups: Vec<Value> = project
        .groups
        .into_iter()
        .map(|g| json!({"id": g.id, "args": g.args, "xdi": g.arrays.get("xdi")}))
        .collect();
    let first = if is_json { "" } else { first };
    list.vendor = json!({"first_line": first, "groups": groups, "project": project.others});
    Ok(list)
}
