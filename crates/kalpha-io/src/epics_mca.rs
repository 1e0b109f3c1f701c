//! Multichannel analyser text of EPICS and GSECARS `.mca`: `VERSION:`, `KEY: value` lines, then
//! `DATA:` and the counts, one column for each detector element.
//!
//! Energies in keV are `CAL_OFFSET + CAL_SLOPE i + CAL_QUAD i^2`, given for each element.

use crate::{
    Confidence, FormatId, Input, IoError, OpenOptions, Reader,
    columns::insert,
    signal_list::{Series, Signal, SignalList, Whole},
    xml,
};
use kalpha_core::{Axis, Code, Dataset, Diagnostic, Metadata, Modality, Unit};
use serde_json::{Map, Value};

/// The reader of EPICS multichannel text.
pub(crate) struct EpicsMca;

/// Numbers of a field, one for each element; the last holds for those without.
fn numbers(fields: &Map<String, Value>, key: &str) -> Vec<f64> {
    let text = fields.get(key).and_then(Value::as_str).unwrap_or_default();
    text.split_whitespace().filter_map(|w| w.parse().ok()).filter(|x: &f64| x.is_finite()).collect()
}

fn of(numbers: &[f64], element: usize) -> Option<f64> {
    numbers.get(element).or(numbers.last()).copied()
}

fn axis(fields: &Map<String, Value>, element: usize, n: usize) -> Option<Axis> {
    let coefficient = |key: &str| of(&numbers(fields, key), element);
    let (offset, slope) = (coefficient("CAL_OFFSET")?, coefficient("CAL_SLOPE")?);
    let quad = coefficient("CAL_QUAD").unwrap_or(0.0);
    if slope == 0.0 {
        return None;
    }
    if quad == 0.0 {
        return Axis::linear("Energy", Unit::KeV, offset, slope, n).ok();
    }
    let at = |i: usize| offset + i as f64 * (slope + i as f64 * quad);
    Some(Axis::values("Energy", Unit::KeV, (0..n).map(at).collect()))
}

/// The fields, and the columns behind `DATA:`.
type Content = (Map<String, Value>, Vec<Vec<f64>>);

fn parse(input: &Input, text: &str) -> Result<Content, IoError> {
    let mut fields = Map::new();
    let mut columns: Option<Vec<Vec<f64>>> = None;
    let mut offset = 0u64;
    for whole in text.split_inclusive('\n') {
        let line = whole.trim();
        match &mut columns {
            None => {
                if line.starts_with("DATA:") {
                    let elements = numbers(&fields, "ELEMENTS").first().copied().unwrap_or(1.0);
                    if !(1.0..=4096.0).contains(&elements) {
                        return Err(input.corrupt(offset, "ELEMENTS", "1 to 4096", elements));
                    }
                    columns = Some(vec![Vec::new(); elements as usize]);
                } else if let Some((key, value)) = line.split_once(':') {
                    insert(&mut fields, key.trim().to_owned(), value.trim().to_owned());
                }
            }
            Some(columns) if !line.is_empty() => {
                let mut words = line.split_whitespace();
                for (element, column) in columns.iter_mut().enumerate() {
                    let word = words.next().unwrap_or("none");
                    let value = word.parse().ok().filter(|x: &f64| x.is_finite());
                    let field = format!("DATA, element {}", element + 1);
                    column.push(value.ok_or_else(|| {
                        input.corrupt(offset, field, "counts", format!("{word:.40}"))
                    })?);
                }
                if let Some(more) = words.next() {
                    let n = columns.len();
                    return Err(input.corrupt(
                        offset,
                        "DATA",
                        format!("{n} numbers in a line"),
                        more,
                    ));
                }
            }
            Some(_) => {}
        }
        offset += whole.len() as u64;
    }
    let columns = columns.filter(|c| c.iter().all(|c| !c.is_empty()));
    let columns = columns.ok_or_else(|| input.corrupt(offset, "DATA", "counts", "none"))?;
    let stated = numbers(&fields, "CHANNELS").first().copied();
    let n = columns.first().map_or(0, Vec::len);
    if let Some(stated) = stated.filter(|stated| *stated != n as f64) {
        return Err(input.corrupt(offset, "CHANNELS", format!("{stated} channels"), n));
    }
    Ok((fields, columns))
}

fn list(input: &Input) -> Result<SignalList, IoError> {
    let text = xml::decode(input.bytes());
    let (fields, columns) = parse(input, &text)?;
    let (elements, n) = (columns.len(), columns.first().map_or(0, Vec::len));
    let mut list = SignalList {
        format: "epics_mca",
        version: fields.get("VERSION").and_then(Value::as_str).map(str::to_owned),
        signals: Vec::new(),
        series: Vec::new(),
        default: 0,
        remark: String::new(),
        vendor: Value::Null,
        diagnostics: Vec::new(),
    };
    for (element, values) in columns.into_iter().enumerate() {
        let calibrated = axis(&fields, element, n);
        let missing = calibrated.is_none();
        let axis = calibrated.unwrap_or_else(|| Axis::index("channel", n));
        let name =
            if elements == 1 { "spectrum".to_owned() } else { format!("element {}", element + 1) };
        let mut signal = Signal::spectrum(name, axis, values, Whole::Counts);
        let time = |key: &str| of(&numbers(&fields, key), element).filter(|t| *t > 0.0);
        signal.metadata = Metadata {
            modality: Some(Modality::Xrf),
            live_time_s: time("LIVE_TIME"),
            real_time_s: time("REAL_TIME"),
            ..Metadata::default()
        };
        if missing {
            let message = "the file gives no energy calibration: channels are numbered";
            signal.diagnostics.push(
                Diagnostic::warning(Code::MissingMetadata, message)
                    .hint("--energy-axis OFFSET,SCALE,UNIT gives it"),
            );
        }
        list.signals.push(signal);
    }
    let one_axis = list.signals.windows(2).all(|w| w[0].axis == w[1].axis);
    if elements > 1 && one_axis {
        let axis = Axis::index("element", elements);
        list.series.push(Series { name: "all".to_owned(), axis, members: (0..elements).collect() });
    }
    list.vendor = Value::Object(fields);
    Ok(list)
}

impl Reader for EpicsMca {
    fn format(&self) -> FormatId {
        FormatId::new("epics_mca")
    }

    fn about(&self) -> &'static str {
        "EPICS multichannel analyser (text)"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["mca", "xrf"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        let head = String::from_utf8_lossy(input.head(4096));
        let starts = head.trim_start().starts_with("VERSION:");
        if starts && head.contains("\nCHANNELS:") && head.contains("\nELEMENTS:") {
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
