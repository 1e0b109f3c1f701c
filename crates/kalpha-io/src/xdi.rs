//! XDI: X-ray absorption as self-describing columns (Ravel and Newville, 2016,
//! doi:10.1088/1742-6596/712/1/012148).
//!
//! `# XDI/1.0`, fields `# Namespace.tag: value`, remarks behind `# ///`, a rule `# ---`, then
//! the columns that the fields `Column.N` name.

use crate::{
    Confidence, FormatId, Input, IoError, OpenOptions, Reader,
    columns::{insert, signals_of, stated_dataset, table},
    signal_list::{SignalList, Whole, short},
    xml,
};
use kalpha_core::{Code, Dataset, Diagnostic, Metadata, Modality};
use serde_json::{Map, Value, json};

/// The reader of XDI.
pub(crate) struct Xdi;

/// In the first line of what this program wrote.
pub(crate) const WRITTEN_BY: &str = " kalpha/";

/// Version and further names in the first line.
fn version(line: &str) -> Option<&str> {
    line.trim_start_matches(['#', ' ', '\t']).strip_prefix("XDI/")
}

/// Fields by namespace and tag, and the remarks.
struct Header {
    fields: Map<String, Value>,
    remarks: Vec<String>,
}

impl Header {
    fn parse(lines: &[&str]) -> Self {
        let mut header = Self { fields: Map::new(), remarks: Vec::new() };
        let mut in_fields = true;
        for line in lines.iter().skip(1) {
            let bare = line.trim_start_matches('#').trim();
            if bare.starts_with("///") {
                in_fields = false;
            } else if bare.starts_with("---") {
                break;
            } else if let Some((namespace, tag, value)) = field(bare).filter(|_| in_fields) {
                let space = header.fields.entry(namespace).or_insert_with(|| json!({}));
                if let Value::Object(space) = space {
                    insert(space, tag, value);
                }
            } else if !bare.is_empty() {
                header.remarks.push(bare.to_owned());
            }
        }
        header
    }

    /// A value by names whose case does not matter.
    fn text(&self, namespace: &str, tag: &str) -> Option<&str> {
        let spaces = self.fields.iter().filter(|(k, _)| k.eq_ignore_ascii_case(namespace));
        spaces
            .filter_map(|(_, space)| space.as_object())
            .flat_map(|space| space.iter())
            .find(|(k, _)| k.eq_ignore_ascii_case(tag))
            .and_then(|(_, v)| v.as_str())
            .filter(|v| !v.is_empty())
    }

    /// What `Column.N` says: the abscissa with its unit, the others by name.
    fn labels(&self, n: usize) -> Option<Vec<String>> {
        let label = |i: usize| {
            let text = self.text("Column", &(i + 1).to_string())?;
            let text = text.split("||").next().unwrap_or(text).trim();
            // The first column is the abscissa, whose unit counts.
            let name = text.split_whitespace().next()?;
            Some(if i == 0 { text } else { name }.to_owned())
        };
        (0..n).map(label).collect()
    }

    fn metadata(&self) -> Metadata {
        let facility = self.text("Facility", "name");
        let instrument: Vec<&str> =
            facility.into_iter().chain(self.text("Beamline", "name")).collect();
        let element = self.text("Element", "symbol").or_else(|| self.text("Scan", "element"));
        Metadata {
            title: self.text("Sample", "name").map(short),
            modality: Some(Modality::Xas),
            instrument: (!instrument.is_empty()).then(|| short(&instrument.join(" "))),
            listed_elements: element.map(short).into_iter().collect(),
            ..Metadata::default()
        }
    }
}

/// `Namespace.tag: value`.
fn field(line: &str) -> Option<(String, String, String)> {
    let (key, value) = line.split_once(':')?;
    let (namespace, tag) = key.trim().split_once('.')?;
    let word = |text: &str| {
        !text.is_empty()
            && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
    };
    (word(namespace) && word(tag))
        .then(|| (namespace.to_owned(), tag.to_owned(), value.trim().to_owned()))
}

fn list(input: &Input) -> Result<SignalList, IoError> {
    let text = xml::decode(input.bytes());
    let first = text.lines().next().unwrap_or_default();
    let Some(version) = version(first).map(str::to_owned) else {
        return Err(input.corrupt(0, "first line", "# XDI/1.0", format!("{first:.40}")));
    };
    let table = table(input, &text)?;
    let header = Header::parse(&table.text);
    let width = table.blocks.first().map_or(0, |b| b.columns.len());
    let mut list = SignalList {
        format: "xdi",
        version: version.split_whitespace().next().map(str::to_owned),
        signals: Vec::new(),
        series: Vec::new(),
        default: 0,
        remark: String::new(),
        vendor: Value::Null,
        diagnostics: Vec::new(),
    };
    if !version.starts_with("1.") {
        let message = format!("XDI version {version}: it was read as version 1");
        list.diagnostics.push(Diagnostic::warning(Code::UnknownFormatVersion, message));
    }
    signals_of(input, table, header.labels(width), &Map::new(), &mut list)?;
    let metadata = header.metadata();
    for signal in &mut list.signals {
        signal.metadata = metadata.clone();
        signal.whole = Whole::NoCounts;
    }
    list.vendor = json!({
        "first_line": first.trim_end(),
        "fields": header.fields,
        "remarks": header.remarks,
    });
    Ok(list)
}

impl Reader for Xdi {
    fn format(&self) -> FormatId {
        FormatId::new("xdi")
    }

    fn about(&self) -> &'static str {
        "XDI, X-ray absorption (text)"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["xdi"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        let head = String::from_utf8_lossy(input.head(256));
        if head.starts_with('#') && head.lines().next().and_then(version).is_some() {
            Confidence::Certain
        } else if input.extension() == "xdi" {
            Confidence::Name
        } else {
            Confidence::No
        }
    }

    fn signals(&self, input: &Input) -> Result<Vec<String>, IoError> {
        Ok(list(input)?.names())
    }

    fn read(&self, input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
        let own = String::from_utf8_lossy(input.head(256)).contains(WRITTEN_BY);
        if own && options.signal.is_none() {
            let text = xml::decode(input.bytes());
            let table = table(input, &text)?;
            let source = input.source("xdi", Some("1.0".to_owned()));
            if let Some(dataset) = stated_dataset(input, source, &table)? {
                return Ok(dataset);
            }
        }
        list(input)?.dataset(input, options)
    }
}
