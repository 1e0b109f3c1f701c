//! Athena project `.prj`: one group for each spectrum, gzipped Perl statements.

use super::{
    Writer,
    columns::{Spectra, exact, row_labels},
    file::write_bytes,
};
use crate::{FormatId, IoError, athena::WRITTEN_BY, columns::stated};
use flate2::{Compression, write::GzEncoder};
use kalpha_core::{Dataset, Event, Unit};
use serde_json::{Map, Value};
use std::{fmt::Write as _, io::Write as _, path::Path};

/// The writer of `.prj`.
pub(super) struct AthenaWriter;

/// A Perl string; nothing but a quote and a backslash means more than itself in one.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn perl(value: &Value) -> String {
    match value {
        Value::Null => "undef".to_owned(),
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(perl).collect::<Vec<_>>().join(","))
        }
        Value::Object(items) => {
            let items = items.iter().map(|(k, v)| format!("{} => {}", quoted(k), perl(v)));
            format!("{{{}}}", items.collect::<Vec<_>>().join(","))
        }
        other => quoted(&other.to_string()),
    }
}

fn list(values: &[f64]) -> String {
    let values: Vec<String> = values.iter().map(|x| format!("'{}'", exact(*x))).collect();
    format!("({})", values.join(","))
}

/// Five letters, as Athena names its groups.
fn id(number: usize) -> String {
    let letter = |place: u32| char::from(b'a' + (number / 26usize.pow(place) % 26) as u8);
    (0..5).rev().map(letter).collect()
}

/// The parameters of a group: those of the project the data come from, else what is known.
fn args(dataset: &Dataset, label: &str) -> Map<String, Value> {
    let groups = dataset.vendor.get("groups").filter(|_| dataset.source.format == "prj");
    let mut groups = groups.and_then(Value::as_array).into_iter().flatten();
    let same = groups.find_map(|group| {
        let args = group.get("args")?.as_object()?;
        (args.get("label")?.as_str()?.trim() == label).then(|| args.clone())
    });
    let mut args = same.unwrap_or_default();
    args.insert("label".to_owned(), label.into());
    let chi = dataset.meta().signal.unit == Unit::InverseAngstrom;
    for (key, value) in [
        ("is_xmu", Value::from(u8::from(!chi))),
        ("is_chi", Value::from(u8::from(chi))),
        ("datatype", if chi { "chi".into() } else { "xmu".into() }),
        ("bkg_eshift", 0.into()),
        ("npts", dataset.meta().channels.into()),
    ] {
        args.entry(key).or_insert(value);
    }
    if let Some(element) = dataset.metadata.listed_elements.first() {
        args.entry("bkg_z").or_insert(element.as_str().into());
    }
    args
}

impl Writer for AthenaWriter {
    fn format(&self) -> FormatId {
        FormatId::new("prj")
    }

    fn about(&self) -> &'static str {
        "Athena project, one group for each spectrum"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["prj"]
    }

    fn write(&self, path: &Path, dataset: &Dataset, history: &[Event]) -> Result<(), IoError> {
        let meta = dataset.meta();
        if !matches!(meta.signal.unit, Unit::Ev | Unit::InverseAngstrom) {
            return Err(IoError::CannotHold {
                path: path.to_owned(),
                field: "unit of the axis",
                got: format!("{:?}", meta.signal.unit.symbol()),
                supported: "energies in eV, or wave numbers in 1/A",
            });
        }
        let Spectra { x, rows } = Spectra::of(path, dataset)?;
        let title = dataset.metadata.title.as_deref().map(str::trim).filter(|t| !t.is_empty());
        let labels = match (title, rows.len()) {
            (Some(title), 1) => vec![title.to_owned()],
            _ => row_labels(dataset),
        };
        // The first line decides how programs read the rest.
        let mut text = format!(
            "# Athena project file -- Demeter version 0.9.26\n\
             # This file created by a conversion\n{WRITTEN_BY} {}\n",
            env!("CARGO_PKG_VERSION")
        );
        for (number, (row, label)) in rows.iter().zip(&labels).enumerate() {
            let args = args(dataset, label);
            let args: Vec<String> =
                args.iter().map(|(k, v)| format!("{},{}", quoted(k), perl(v))).collect();
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "\n$old_group = '{}';\n@args = ({});\n@x = {};\n@y = {};\n[record]   # create object and set arrays in ifeffit\n",
                id(number),
                args.join(","),
                list(&x),
                list(row),
            );
        }
        let _ = write!(text, "\n@journal = ({});\n\n1;\n", quoted(&stated::line(dataset, history)));
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        let packed = packed.write_all(text.as_bytes()).and_then(|()| packed.finish());
        write_bytes(path, &packed.map_err(|source| super::file::failed(path, source))?)
    }
}
