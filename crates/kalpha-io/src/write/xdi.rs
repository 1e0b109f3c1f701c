//! XDI, version 1.0: X-ray absorption as self-describing columns.

use super::{
    Writer,
    columns::{Spectra, exact, row_labels},
    file::write_file,
};
use crate::{FormatId, IoError, columns::stated, signal_list::unique};
use kalpha_core::{Dataset, Event, Unit};
use serde_json::Value;
use std::{io::Write as _, path::Path};

/// The writer of XDI.
pub(super) struct XdiWriter;

/// One line of text, whatever it was.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The fields as lines `Namespace.tag: value`: those of an XDI file the data come from, else what
/// the metadata give.
fn fields(dataset: &Dataset) -> Vec<String> {
    let mut lines = Vec::new();
    let stated = dataset.vendor.get("fields").filter(|_| dataset.source.format == "xdi");
    for (namespace, tags) in stated.and_then(Value::as_object).into_iter().flatten() {
        for (tag, value) in tags.as_object().into_iter().flatten() {
            let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            let values = values.iter().filter_map(Value::as_str);
            if !namespace.eq_ignore_ascii_case("Column") {
                lines.extend(values.map(|v| format!("{namespace}.{tag}: {}", one_line(v))));
            }
        }
    }
    let m = &dataset.metadata;
    let given = [
        ("Element.symbol", m.listed_elements.first()),
        ("Sample.name", m.title.as_ref()),
        ("Beamline.name", m.instrument.as_ref()),
    ];
    for (key, value) in given {
        let there = lines.iter().any(|l| l.to_lowercase().starts_with(&key.to_lowercase()));
        if let Some(value) = value.filter(|_| !there) {
            lines.push(format!("{key}: {}", one_line(value)));
        }
    }
    lines
}

/// A word for each column: the names of the rows, which must differ from each other and from
/// that of the axis.
fn labels(dataset: &Dataset) -> Vec<String> {
    let words = row_labels(dataset).into_iter().map(|name| {
        let word = name.split_whitespace().collect::<Vec<_>>().join("_");
        let word: String = word.chars().filter(|c| !c.is_control() && *c != '#').collect();
        if word.is_empty() { "signal".to_owned() } else { word }
    });
    unique(std::iter::once("energy".to_owned()).chain(words)).split_off(1)
}

impl Writer for XdiWriter {
    fn format(&self) -> FormatId {
        FormatId::new("xdi")
    }

    fn about(&self) -> &'static str {
        "XDI, X-ray absorption (text), one column for each spectrum"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["xdi"]
    }

    fn write(&self, path: &Path, dataset: &Dataset, history: &[Event]) -> Result<(), IoError> {
        let axis = &dataset.meta().signal;
        if axis.unit != Unit::Ev {
            return Err(IoError::CannotHold {
                path: path.to_owned(),
                field: "unit of the axis",
                got: format!("{:?}", axis.unit.symbol()),
                supported: "energies in eV",
            });
        }
        let Spectra { x, rows } = Spectra::of(path, dataset)?;
        let labels = labels(dataset);
        write_file(path, |w| {
            writeln!(w, "# XDI/1.0 kalpha/{}", env!("CARGO_PKG_VERSION"))?;
            writeln!(w, "# Column.1: energy eV")?;
            for (i, label) in labels.iter().enumerate() {
                writeln!(w, "# Column.{}: {label}", i + 2)?;
            }
            for field in fields(dataset) {
                writeln!(w, "# {field}")?;
            }
            writeln!(w, "# ///")?;
            writeln!(w, "# {}", stated::line(dataset, history))?;
            writeln!(w, "# ---")?;
            writeln!(w, "# energy {}", labels.join(" "))?;
            for (i, x) in x.iter().enumerate() {
                write!(w, "{}", exact(*x))?;
                for row in &rows {
                    write!(w, " {}", exact(row[i]))?;
                }
                writeln!(w)?;
            }
            Ok(())
        })
    }
}
