//! From columns to signals.

use crate::{
    Input, IoError, diffraction,
    signal_list::{Signal, SignalList, Whole, axis_of_points},
    xml,
};
use kalpha_core::{Code, Diagnostic, Unit};
use serde_json::{Map, Value};

/// Lines before the numbers that a file may have.
const HEADER_LINES: usize = 200;

/// Angles reach no further.
const ANGLES: std::ops::RangeInclusive<f64> = -180.0..=180.0;

/// Longest step between angles, degree.
const LONGEST_STEP: f64 = 1.0;

/// The numbers of a line, if it holds nothing else.
fn row(line: &str) -> Option<Vec<f64>> {
    let decimal_comma = !line.contains('.') && line.contains([' ', '\t', ';']);
    let separator = |c: char| c.is_whitespace() || c == ';' || (c == ',' && !decimal_comma);
    let words = line.split(separator).filter(|w| !w.is_empty());
    let number = |word: &str| match decimal_comma && word.contains(',') {
        true => word.replace(',', ".").parse().ok(),
        false => word.parse().ok(),
    };
    words.map(number).collect::<Option<Vec<f64>>>().filter(|row| !row.is_empty())
}

/// Comments may stand anywhere.
fn is_comment(line: &str) -> bool {
    line.is_empty() || line.starts_with(['#', '!', ';', '%', '\'', '/', '*', '"'])
}

/// The table of a file.
struct Table {
    header: Vec<String>,
    columns: Vec<Vec<f64>>,
    ragged: Option<u64>,
}

/// Where and why the lines stop being a table.
struct NotATable {
    offset: u64,
    got: String,
}

fn parse(text: &str) -> Result<Table, NotATable> {
    let mut table = Table { header: Vec::new(), columns: Vec::new(), ragged: None };
    let mut offset = 0u64;
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(whole) = lines.next() {
        let line = whole.trim();
        let start = offset;
        offset += whole.len() as u64;
        if is_comment(line) {
            if !line.is_empty() && table.header.len() < HEADER_LINES {
                table.header.push(line.to_owned());
            }
            continue;
        }
        let numbers = row(line);
        if table.columns.is_empty() {
            // Numbers of another kind may stand in the header: the table starts where two
            // lines agree.
            let next = lines.peek().map(|l| l.trim());
            let next = next.filter(|l| !is_comment(l)).and_then(row);
            match numbers {
                Some(first)
                    if first.len() > 1 && next.as_ref().is_none_or(|n| n.len() == first.len()) =>
                {
                    table.columns = first.into_iter().map(|x| vec![x]).collect();
                }
                _ if table.header.len() < HEADER_LINES => table.header.push(line.to_owned()),
                _ => return Err(NotATable { offset: start, got: format!("{line:.40}") }),
            }
            continue;
        }
        match numbers {
            Some(row) if row.len() == table.columns.len() => {
                table.columns.iter_mut().zip(row).for_each(|(column, x)| column.push(x));
            }
            // A column that ends before the others, or a remark behind the numbers.
            Some(row) if row.len() > 1 => {
                table.ragged.get_or_insert(start);
                table.columns.truncate(row.len());
                table.columns.iter_mut().zip(row).for_each(|(column, x)| column.push(x));
            }
            _ => return Err(NotATable { offset: start, got: format!("{line:.40}") }),
        }
    }
    if table.columns.is_empty() {
        return Err(NotATable { offset, got: "no line of numbers".to_owned() });
    }
    Ok(table)
}

/// Ascending values in fine steps within what a goniometer reaches.
fn are_angles(points: &[f64]) -> bool {
    points.len() > 1
        && points.iter().all(|x| ANGLES.contains(x))
        && points.windows(2).all(|w| w[1] > w[0] && w[1] - w[0] <= LONGEST_STEP)
}

pub(super) fn looks_like_a_pattern(text: &str) -> bool {
    let foreign = ["SpecsLab", "Binding Energy", "Kinetic Energy", "Created by:", "Region:"];
    let head: String = text.lines().take(60).collect();
    !foreign.iter().any(|word| head.contains(word))
        && parse(text).is_ok_and(|t| (2..=8).contains(&t.columns.len()) && t.columns[0].len() > 2)
}

pub(super) fn list(input: &Input) -> Result<SignalList, IoError> {
    let text = xml::decode(input.bytes());
    let table = parse(&text)
        .map_err(|error| input.corrupt(error.offset, "columns", "a line of numbers", error.got))?;
    let mut diagnostics = Vec::new();
    if let Some(offset) = table.ragged {
        let message = format!(
            "lines hold different numbers of columns from byte {offset} on; the first {} were read",
            table.columns.len()
        );
        diagnostics.push(Diagnostic::warning(Code::Truncated, message));
    }
    let mut columns = table.columns.into_iter();
    let points = columns.next().unwrap_or_default();
    let axis = if are_angles(&points) {
        let message = "the file does not say what its first column is; it was taken for 2theta in \
                       degree";
        diagnostics.push(
            Diagnostic::note(Code::Assumed, message)
                .hint("--energy-axis OFFSET,SCALE,UNIT gives another"),
        );
        diffraction::two_theta(points)
    } else {
        let message = "the file does not say what its first column is";
        diagnostics.push(
            Diagnostic::warning(Code::MissingMetadata, message)
                .hint("--energy-axis OFFSET,SCALE,UNIT gives it"),
        );
        axis_of_points("x", Unit::None, points)
    };
    let metadata = match axis.unit {
        Unit::Degree2Theta => {
            let stated = table.header.iter().find_map(|l| diffraction::stated_wavelength(l));
            diffraction::metadata(stated)
        }
        _ => kalpha_core::Metadata::default(),
    };
    let deviations = input.extension() == "xye";
    let signals = columns.enumerate().map(|(i, values)| {
        let (name, whole) = match i {
            0 => ("intensity".to_owned(), Whole::Counts),
            1 if deviations => ("esd".to_owned(), Whole::NoCounts),
            _ => (format!("column {}", i + 2), Whole::NoCounts),
        };
        let mut signal = Signal::spectrum(name, axis.clone(), values, whole);
        signal.metadata = metadata.clone();
        signal
    });
    let mut vendor = Map::new();
    if !table.header.is_empty() {
        vendor.insert("header".to_owned(), table.header.into());
    }
    Ok(SignalList {
        format: "xy",
        version: None,
        signals: signals.collect(),
        series: Vec::new(),
        default: 0,
        remark: String::new(),
        vendor: Value::Object(vendor),
        diagnostics,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn read(name: &str, text: &str) -> SignalList {
        list(&Input::from_bytes(Path::new(name), text.as_bytes().to_vec())).unwrap()
    }

    #[test]
    fn headers_separators_and_deviations() {
        let list = read("a.xye", "'Id: x, wavelength 1.5406\n3\n5.00, 10.5, 3.2\n5.02, 11, 3.3\n");
        assert_eq!(list.names(), ["intensity", "esd"]);
        assert_eq!(list.signals[0].metadata.wavelength_a, Some(1.5406));
        assert_eq!(list.signals[1].values, [3.2, 3.3]);
        let list = read("a.xy", "5,00\t10\n5,02\t11\n5,04\t12\n");
        assert_eq!(list.signals[0].axis.unit, Unit::Degree2Theta);
        assert_eq!(list.signals[0].values, [10.0, 11.0, 12.0]);
    }

    #[test]
    fn what_cannot_be_an_angle_is_not_called_one() {
        let list = read("a.xy", "100 1\n300 2\n500 3\n");
        assert_eq!(list.signals[0].axis.unit, Unit::None);
        assert!(list.diagnostics.iter().any(|d| d.code == Code::MissingMetadata));
    }

    #[test]
    fn a_word_among_the_numbers_is_an_error_with_its_place() {
        let input = Input::from_bytes(Path::new("a.xy"), b"5 1\n6 2\n7 x\n".to_vec());
        assert!(matches!(list(&input), Err(IoError::Corrupt { offset: 8, .. })));
    }
}
