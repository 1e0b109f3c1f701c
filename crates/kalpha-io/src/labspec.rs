//! LabSpec text of Horiba Raman microscopes: lines `#Key=value`, then one spectrum in two
//! columns, or a series: the axis in the first line, then rows that begin with their place.

use crate::{
    Confidence, FormatId, Input, IoError, OpenOptions, Reader,
    columns::insert,
    signal_list::{Signal, SignalList, Whole, axis_of_points},
    xml,
};
use kalpha_core::{Axis, Code, Dataset, Diagnostic, Metadata, Modality, Unit};
use serde_json::{Map, Value};

/// The reader of LabSpec text.
pub(crate) struct LabSpec;

/// Keys of which a file has at least one, as it writes them.
const KEYS: [&str; 4] = ["#Acq. time", "#Accumulations=", "#Spectro (", "#AxisType["];

/// The numbers of a line, empty fields before the first left out.
fn numbers(input: &Input, offset: u64, line: &str) -> Result<Vec<f64>, IoError> {
    let words = line.split(['\t', ' ']).filter(|w| !w.is_empty());
    words
        .map(|word| {
            let plain = word.parse().or_else(|_| word.replace(',', ".").parse());
            let number = plain.ok().filter(|x: &f64| x.is_finite());
            number.ok_or_else(|| input.corrupt(offset, "data", "a number", format!("{word:.40}")))
        })
        .collect()
}

/// Name and unit that the header gives to axis `i`; 0 is the intensity, 1 the spectrum's.
fn stated(fields: &Map<String, Value>, i: usize) -> Option<(String, Unit)> {
    let text = |key: &str| fields.get(&format!("{key}[{i}]")).and_then(Value::as_str);
    let unit = text("AxisUnit").map_or(Unit::None, Unit::parse);
    text("AxisType").map(|name| (name.to_owned(), unit))
}

/// Data lines and what comes before.
struct Content {
    fields: Map<String, Value>,
    /// The first line of data, where it is an axis: how many fields are empty before it.
    places: usize,
    axis: Vec<f64>,
    rows: Vec<(Vec<f64>, u64)>,
}

fn parse(input: &Input, text: &str) -> Result<Content, IoError> {
    let mut content = Content { fields: Map::new(), places: 0, axis: Vec::new(), rows: Vec::new() };
    let (mut offset, mut first) = (0u64, true);
    for whole in text.split_inclusive('\n') {
        let line = whole.trim_end();
        if let Some((key, value)) = line.strip_prefix('#').and_then(|l| l.split_once('=')) {
            insert(&mut content.fields, key.trim().to_owned(), value.trim().to_owned());
        } else if !line.trim().is_empty() && !line.starts_with('#') {
            let numbers = numbers(input, offset, line)?;
            if first && line.starts_with('\t') {
                content.places = line.len() - line.trim_start_matches('\t').len();
                content.axis = numbers;
            } else {
                let expected =
                    if content.places > 0 { content.places + content.axis.len() } else { 2 };
                if numbers.len() != expected {
                    let expected = format!("{expected} numbers in a line");
                    return Err(input.corrupt(offset, "data", expected, numbers.len()));
                }
                content.rows.push((numbers, offset));
            }
            first = false;
        }
        offset += whole.len() as u64;
    }
    if content.rows.is_empty() {
        return Err(input.corrupt(offset, "data", "lines of numbers", "none"));
    }
    Ok(content)
}

fn metadata(fields: &Map<String, Value>) -> Metadata {
    let text = |key: &str| {
        let text = fields.get(key).and_then(Value::as_str).filter(|t| !t.is_empty());
        text.map(str::to_owned)
    };
    let acquired = text("Acq. time (s)").and_then(|t| t.replace(',', ".").parse::<f64>().ok());
    let times = text("Accumulations").and_then(|t| t.parse::<f64>().ok()).unwrap_or(1.0);
    Metadata {
        title: text("Title"),
        modality: Some(Modality::Raman),
        instrument: text("Instrument"),
        detector: text("Detector"),
        live_time_s: acquired.map(|t| t * times).filter(|t| *t > 0.0),
        ..Metadata::default()
    }
}

/// The axes of the rows: one where each row has one place, else places and a list of them.
fn navigation(content: &Content, list: &mut SignalList) -> Vec<Axis> {
    let n = content.rows.len();
    let place = |i: usize| content.rows.iter().map(|(row, _)| row[i]).collect::<Vec<_>>();
    let name = |i: usize| {
        stated(&content.fields, i + 2).map_or((format!("place {}", i + 1), Unit::None), |s| s)
    };
    if content.places == 1 {
        let known = stated(&content.fields, 2);
        if known.is_none() {
            let message = "the file does not say what its rows are a series of";
            list.diagnostics.push(Diagnostic::note(Code::MissingMetadata, message));
        }
        let (name, unit) = known.unwrap_or(("series".to_owned(), Unit::None));
        return vec![axis_of_points(&name, unit, place(0))];
    }
    // Slow and fast place of a whole grid.
    let (slow, fast) = (place(0), place(1));
    let inner = slow.iter().take_while(|x| **x == slow[0]).count();
    let grid = content.places == 2
        && n.is_multiple_of(inner)
        && (0..n).all(|i| slow[i] == slow[i - i % inner] && fast[i] == fast[i % inner]);
    if grid {
        let slow: Vec<f64> = slow.iter().step_by(inner).copied().collect();
        let ((a, unit_a), (b, unit_b)) = (name(0), name(1));
        return vec![
            axis_of_points(&a, unit_a, slow),
            axis_of_points(&b, unit_b, fast[..inner].to_vec()),
        ];
    }
    let message =
        "the places of the rows are no grid: rows are numbered, places are in the vendor metadata";
    list.diagnostics.push(Diagnostic::note(Code::VendorDisagrees, message));
    vec![Axis::index("point", n)]
}

fn list(input: &Input) -> Result<SignalList, IoError> {
    let text = xml::decode(input.bytes());
    let mut content = parse(input, &text)?;
    let mut list = SignalList {
        format: "labspec",
        version: None,
        signals: Vec::new(),
        series: Vec::new(),
        default: 0,
        remark: String::new(),
        vendor: Value::Null,
        diagnostics: Vec::new(),
    };
    let (name, unit) = stated(&content.fields, 1).unwrap_or_else(|| {
        let message = "the axis states no unit: a Raman shift in cm-1 is assumed";
        list.diagnostics.push(Diagnostic::note(Code::Assumed, message));
        ("Raman shift".to_owned(), Unit::InverseCentimetre)
    });
    let mut signal = if content.places == 0 {
        let (x, y) = content.rows.iter().map(|(row, _)| (row[0], row[1])).unzip();
        Signal::spectrum("spectrum", axis_of_points(&name, unit, x), y, Whole::Counts)
    } else {
        let axis = axis_of_points(&name, unit, std::mem::take(&mut content.axis));
        let navigation = navigation(&content, &mut list);
        let values = content.rows.iter().flat_map(|(row, _)| &row[content.places..]).copied();
        let mut signal = Signal::spectrum("spectra", axis, values.collect(), Whole::Counts);
        signal.navigation = navigation;
        if signal.navigation.first().is_some_and(|a| a.name == "point") {
            let places: Vec<&[f64]> =
                content.rows.iter().map(|(row, _)| &row[..content.places]).collect();
            content.fields.insert("places".to_owned(), serde_json::json!(places));
        }
        signal
    };
    signal.metadata = metadata(&content.fields);
    list.signals.push(signal);
    list.vendor = Value::Object(content.fields);
    Ok(list)
}

impl Reader for LabSpec {
    fn format(&self) -> FormatId {
        FormatId::new("labspec")
    }

    fn about(&self) -> &'static str {
        "Horiba LabSpec, Raman (text)"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["txt"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        let head = input.head(2048);
        let text = String::from_utf8_lossy(head);
        let keys = text.lines().take_while(|l| l.starts_with('#'));
        if keys.filter(|l| KEYS.iter().any(|k| l.starts_with(k))).count() > 1 {
            Confidence::Certain
        } else {
            Confidence::No
        }
    }

    fn signals(&self, input: &Input) -> Result<Vec<String>, IoError> {
        Ok(list(input)?.names())
    }

    fn read(&self, input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
        list(input)?.dataset(input, options)
    }
}
