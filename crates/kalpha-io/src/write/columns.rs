//! Columns as text: the axis, then one column for each row. Commas in `.csv`, else tabs.
//!
//! The first line names this program, the second gives what columns cannot say (see
//! `columns/stated.rs`), so reading the file gives the dataset back. Numbers are written so
//! that they read back to the same bits.

use super::{Writer, csv::Field, file::write_file};
use crate::{
    FormatId, IoError,
    columns::{MAGIC, stated},
    signal_list::ROW_NAMES,
};
use kalpha_core::{Axis, CellBuffer, Dataset, Event};
use std::{io::Write as _, path::Path};

/// More columns are no text that a person would open.
const MOST_ROWS: usize = 4096;

/// The writer of columns.
pub(super) struct ColumnsWriter;

/// Rows of a dataset that is to become columns, and the points of its axis.
pub(super) struct Spectra {
    pub x: Vec<f64>,
    pub rows: Vec<Vec<f64>>,
}

impl Spectra {
    /// # Errors
    /// [`IoError::CannotHold`] where there are too many rows or the axis is not finite.
    pub fn of(path: &Path, dataset: &Dataset) -> Result<Self, IoError> {
        let meta = dataset.meta();
        let cannot = |field, got, supported| IoError::CannotHold {
            path: path.to_owned(),
            field,
            got,
            supported,
        };
        if meta.rows > MOST_ROWS {
            let most = "up to 4096 spectra; .npy and .zarr take a map";
            return Err(cannot("number of spectra", meta.rows.to_string(), most));
        }
        let x = meta.signal.to_vec();
        if let Some(bad) = x.iter().find(|x| !x.is_finite()) {
            return Err(cannot("axis", bad.to_string(), "finite points"));
        }
        let mut buffer = CellBuffer::default();
        let mut rows = Vec::new();
        for row in 0..meta.rows {
            let mut values = Vec::new();
            let cell = dataset.rows.cell(row..row + 1, &mut buffer);
            cell.map_err(|source| IoError::Rows { file: path.to_owned(), source })?
                .to_f64(&mut values);
            rows.push(values);
        }
        Ok(Self { x, rows })
    }
}

/// A number that reads back to the same bits, without a tail of zeros.
pub(super) fn exact(x: f64) -> String {
    if x.fract() == 0.0 && x.abs() < 1e15 { format!("{x}") } else { format!("{x:?}") }
}

/// `Energy (eV)`.
fn axis_label(axis: &Axis) -> String {
    match axis.unit.symbol() {
        "" => axis.name.clone(),
        unit => format!("{} ({unit})", axis.name),
    }
}

/// What a row is called: the signal it was, else its place on the navigation axes.
pub(super) fn row_labels(dataset: &Dataset) -> Vec<String> {
    let meta = dataset.meta();
    let names = dataset.vendor.get(ROW_NAMES).and_then(|names| names.as_array());
    let names = names.into_iter().flatten().filter_map(|name| name.as_str());
    let names: Vec<String> = names.map(str::to_owned).collect();
    if names.len() == meta.rows {
        return names;
    }
    if meta.navigation.is_empty() {
        let kind = if meta.noise.is_counts() { "counts" } else { "signal" };
        let named = dataset.source.signal.as_deref().filter(|name| !name.trim().is_empty());
        return vec![named.unwrap_or(kind).to_owned()];
    }
    let label = |row: usize| {
        let mut rest = row;
        let mut places: Vec<String> = meta
            .navigation
            .iter()
            .rev()
            .map(|axis| {
                let i = rest % axis.len().max(1);
                rest /= axis.len().max(1);
                format!("{}={}", axis.name, exact(axis.at(i)))
            })
            .collect();
        places.reverse();
        places.join(" ")
    };
    (0..meta.rows).map(label).collect()
}

impl Writer for ColumnsWriter {
    fn format(&self) -> FormatId {
        FormatId::new("columns")
    }

    fn about(&self) -> &'static str {
        "columns of numbers (text), one for each spectrum"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["csv", "txt", "dat", "xy"]
    }

    fn write(&self, path: &Path, dataset: &Dataset, history: &[Event]) -> Result<(), IoError> {
        let Spectra { x, rows } = Spectra::of(path, dataset)?;
        let csv = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv"));
        let (separator, sign) = if csv { (",", "") } else { ("\t", "# ") };
        let labels = std::iter::once(axis_label(&dataset.meta().signal)).chain(row_labels(dataset));
        let labels: Vec<String> = labels
            .map(|label| label.split_whitespace().collect::<Vec<_>>().join(" "))
            .map(|label| if csv { Field::from(label.as_str()).to_string() } else { label })
            .collect();
        write_file(path, |w| {
            writeln!(w, "{MAGIC}")?;
            writeln!(w, "# {}", stated::line(dataset, history))?;
            writeln!(w, "{sign}{}", labels.join(separator))?;
            for (i, x) in x.iter().enumerate() {
                write!(w, "{}", exact(*x))?;
                for row in &rows {
                    write!(w, "{separator}{}", exact(row[i]))?;
                }
                writeln!(w)?;
            }
            Ok(())
        })
    }
}
