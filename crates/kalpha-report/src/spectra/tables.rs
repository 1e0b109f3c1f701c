//! The tables of treated spectra.

use super::{SpectraFigures, assemble::status_words};
use crate::tables::{Csv, Field};
use kalpha_core::{Artefact, Dataset};
use kalpha_process::row_method::{RowFlags, RowTable};
use kalpha_recipe::RunResult;

/// One line per spectrum: its place, how it fared, what was found.
pub fn row_table_csv(result: &RunResult, dataset: &Dataset) -> String {
    let whole = |name: &str| result.session.get(name);
    let columns = whole("row_table").and_then(Artefact::get::<RowTable>);
    let columns = columns.map(|t| t.0.as_slice()).unwrap_or_default();
    let flags = whole("row_flags").and_then(Artefact::get::<RowFlags>);
    let flags = flags.map(|f| f.0.as_slice()).unwrap_or_default();
    let meta = dataset.meta();
    let with_unit = |name: &str, unit: &str| match unit {
        "" => name.to_owned(),
        unit => format!("{name} ({unit})"),
    };
    let mut header = vec!["row".to_owned()];
    header.extend(meta.navigation.iter().map(|a| with_unit(&a.name, a.unit.symbol())));
    header.push("flags".to_owned());
    header.extend(columns.iter().map(|c| with_unit(&format!("{}:{}", c.step, c.name), &c.unit)));
    let mut csv = Csv::new(&header);
    let mut said: Vec<Vec<String>> = vec![Vec::new(); meta.rows];
    for flag in flags {
        if let Some(said) = said.get_mut(flag.row) {
            said.push(format!("{}: {}", flag.step, status_words(flag.status)));
        }
    }
    let grid = meta.grid();
    for (row, said) in said.iter().enumerate() {
        let mut fields = vec![Field::from(row)];
        let mut rest = row;
        let mut place: Vec<Field> = Vec::new();
        for (axis, n) in meta.navigation.iter().zip(&grid).rev() {
            place.push(Field::from(axis.at(rest % (*n).max(1))));
            rest /= (*n).max(1);
        }
        fields.extend(place.into_iter().rev());
        fields.push(Field::Text(said.join("; ")));
        fields.extend(columns.iter().map(|c| Field::from(c.values.get(row).copied())));
        csv.row(fields);
    }
    csv.finish()
}

/// The spectra of the report, channel by channel, side by side.
pub fn spectra_csv(figures: &SpectraFigures) -> String {
    let same = figures.axis == figures.treated_axis;
    let mut header = vec!["axis".to_owned()];
    for shown in &figures.shown {
        let row = shown.row;
        header.push(format!("raw {row}"));
        if shown.background.is_some() {
            header.push(format!("background {row}"));
        }
        if same {
            header.push(format!("treated {row}"));
        }
    }
    let mut csv = Csv::new(&header);
    for (i, x) in figures.axis.iter().enumerate() {
        let mut fields = vec![Field::from(*x)];
        for shown in &figures.shown {
            fields.push(Field::from(shown.raw.get(i).copied()));
            if let Some(background) = &shown.background {
                fields.push(Field::from(background.get(i).copied()));
            }
            if same {
                fields.push(Field::from(shown.treated.get(i).copied()));
            }
        }
        csv.row(fields);
    }
    csv.finish()
}
