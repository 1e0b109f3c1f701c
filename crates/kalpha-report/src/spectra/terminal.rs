//! The short answer that `kalpha run` prints of treated spectra.

use super::{SpectraDocument, assemble::status_words};
use crate::{
    answer::{Answer, printable},
    number::Style,
};

const N: Style = Style::Plain;
/// Columns shown before "and n more".
const MOST: usize = 8;

/// The answer as a few lines of text, without a final newline.
///
/// `color` puts headings in bold and warnings in yellow. `report` is where the report was
/// written.
pub fn answer(document: &SpectraDocument, color: bool, report: Option<&str>) -> String {
    let mut page = Answer::new(color);
    let title = page.style("1", &printable(&document.title));
    page.line(title);
    let spectra = match document.spectra {
        1 => "one spectrum".to_owned(),
        n => format!("{} spectra", N.count(n as u64)),
    };
    page.line(format!("{spectra}, {}", printable(&document.signal.words(N))));
    page.line("");
    let mut name = "Steps";
    for step in &document.steps {
        let given = match step.given.is_empty() {
            true => String::new(),
            false => format!(" ({})", step.given.join(", ")),
        };
        page.entry(name, &format!("{}{given}: {}", step.id, step.about));
        name = "";
    }
    name = "Found";
    for column in document.columns.iter().take(MOST) {
        let unit = if column.unit.is_empty() { String::new() } else { format!(" {}", column.unit) };
        let text = match (column.min, column.median, column.max) {
            (Some(min), Some(median), Some(max)) if min < max => {
                let [min, median, max] = [min, median, max].map(|x| N.short(x));
                format!("{median}{unit} in the median, {min} to {max}")
            }
            (Some(value), ..) => format!("{}{unit}", N.short(value)),
            _ => "no value".to_owned(),
        };
        page.entry(name, &format!("{} {}: {text}", column.step, column.name));
        name = "";
    }
    if document.columns.len() > MOST {
        page.entry("", &format!("and {} more, in rows.csv", document.columns.len() - MOST));
    }
    for (heading, text) in super::peaks::terminal(document) {
        page.entry(heading, &text);
    }
    name = "Flagged";
    if document.statuses.is_empty() {
        page.entry(name, "no spectrum");
    }
    for count in &document.statuses {
        let of = format!("{} of {}", count.spectra, document.spectra);
        let text = format!("{of}, {}: {}", count.step, status_words(count.status));
        page.entry_styled(name, &text, "33");
        name = "";
    }
    page.warnings(&document.warnings);
    if let Some(report) = report {
        page.entry("Report", report);
    }
    page.finish()
}
