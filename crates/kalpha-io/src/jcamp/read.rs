//! From blocks to signals.

use super::asdf::Ordinates;
use crate::{
    Input, IoError, diffraction,
    signal_list::{Signal, SignalList, Whole, axis_of_points, unique},
    xml,
};
use kalpha_core::{Axis, Code, Diagnostic, Metadata, Modality, Unit};
use serde_json::{Map, Value};

/// Abscissas at the start of a line may depart by this many points: they are rounded.
const OFF_AXIS: f64 = 1.5;

/// A label without blanks, dashes, slashes and underscores, in capitals.
fn folded(label: &str) -> String {
    let kept = label.chars().filter(|c| !c.is_whitespace() && !"-/_".contains(*c));
    kept.collect::<String>().to_uppercase()
}

/// A labelled record: label, text behind `=`, the byte at which the text starts.
struct Record<'a> {
    label: String,
    text: &'a str,
    at: usize,
}

/// The records of a file. Text up to the next `##` at the start of a line belongs to a label.
fn records<'a>(input: &Input, text: &'a str) -> Result<Vec<Record<'a>>, IoError> {
    let mut starts = Vec::new();
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with("##") {
            starts.push(offset + line.len() - line.trim_start().len());
        }
        offset += line.len();
    }
    let mut records = Vec::with_capacity(starts.len());
    for (i, &start) in starts.iter().enumerate() {
        let end = starts.get(i + 1).copied().unwrap_or(text.len());
        let record = text.get(start + 2..end).unwrap_or_default();
        let Some(equals) = record.find('=') else {
            let got = record.lines().next().unwrap_or_default();
            return Err(input.corrupt(start as u64, "label", "##LABEL=", format!("##{got:.40}")));
        };
        let at = start + 2 + equals + 1;
        records.push(Record { label: folded(&record[..equals]), text: &record[equals + 1..], at });
    }
    Ok(records)
}

/// A line without its comment.
fn bare(line: &str) -> &str {
    line.split("$$").next().unwrap_or_default().trim()
}

/// Text of a record in one line, without comments.
fn value(text: &str) -> String {
    text.lines().map(bare).filter(|l| !l.is_empty()).collect::<Vec<_>>().join(" ")
}

fn number(labels: &Map<String, Value>, label: &str) -> Option<f64> {
    let text = labels.get(label)?.as_str()?;
    text.split_whitespace().next()?.parse().ok().filter(|x: &f64| x.is_finite())
}

fn text<'a>(labels: &'a Map<String, Value>, label: &str) -> Option<&'a str> {
    labels.get(label)?.as_str().filter(|t| !t.is_empty())
}

/// What is to be known of the variables of a table.
#[derive(Clone, Default)]
struct Variables {
    x_units: String,
    y_units: String,
    x_factor: f64,
    y_factor: f64,
    first: Option<f64>,
    last: Option<f64>,
    step: Option<f64>,
    points: Option<f64>,
}

impl Variables {
    fn of(labels: &Map<String, Value>) -> Self {
        let unit = |label| text(labels, label).unwrap_or_default().to_owned();
        Self {
            x_units: unit("XUNITS"),
            y_units: unit("YUNITS"),
            x_factor: number(labels, "XFACTOR").unwrap_or(1.0),
            y_factor: number(labels, "YFACTOR").unwrap_or(1.0),
            first: number(labels, "FIRSTX"),
            last: number(labels, "LASTX"),
            step: number(labels, "DELTAX"),
            points: number(labels, "NPOINTS"),
        }
    }

    /// Those of two symbols of an NTUPLES record.
    fn of_tuples(labels: &Map<String, Value>, x: &str, y: &str) -> Option<Self> {
        let list = |label: &str| -> Vec<String> {
            let text = text(labels, label).unwrap_or_default();
            text.split(',').map(|w| w.trim().to_owned()).collect()
        };
        let symbols = list("SYMBOL");
        let place = |symbol: &str| symbols.iter().position(|s| s.eq_ignore_ascii_case(symbol));
        let (x, y) = (place(x)?, place(y)?);
        let at = |label: &str, i: usize| list(label).get(i).cloned().unwrap_or_default();
        let number = |label: &str, i: usize| at(label, i).parse::<f64>().ok();
        Some(Self {
            x_units: at("UNITS", x),
            y_units: at("UNITS", y),
            x_factor: number("FACTOR", x).unwrap_or(1.0),
            y_factor: number("FACTOR", y).unwrap_or(1.0),
            first: number("FIRST", x),
            last: number("LAST", x),
            step: None,
            points: number("VARDIM", x),
        })
    }

    /// Name and unit of the abscissa.
    fn name_and_unit(&self) -> (&'static str, Unit) {
        match folded(&self.x_units).as_str() {
            "1CM" | "CM1" | "RAMANSHIFT" => ("wavenumber", Unit::InverseCentimetre),
            "NANOMETERS" | "NM" => ("wavelength", Unit::Nanometre),
            "MICROMETERS" | "UM" => ("wavelength", Unit::Micrometre),
            "SECONDS" | "S" => ("time", Unit::Second),
            "EV" | "ELECTRONVOLTS" => ("Energy", Unit::Ev),
            "KEV" => ("Energy", Unit::KeV),
            "2THETA" | "DEGREES2THETA" | "DEGREES" | "2THETADEG" => ("2theta", Unit::Degree2Theta),
            "" | "ARBITRARYUNITS" => ("x", Unit::None),
            _ => ("x", Unit::Other(self.x_units.clone())),
        }
    }
}

/// The table of a record: `(X++(Y..Y))` or `(XY..XY)`.
struct Table<'a> {
    form: &'a str,
    body: &'a str,
    at: usize,
}

fn table<'a>(record: &Record<'a>) -> Table<'a> {
    let end = record.text.find('\n').map_or(record.text.len(), |i| i + 1);
    Table { form: &record.text[..end], body: &record.text[end..], at: record.at + end }
}

/// Axis and ordinates of a table.
fn points(
    input: &Input,
    table: &Table,
    variables: &Variables,
    name: &str,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<(Axis, Vec<f64>), IoError> {
    let (axis_name, unit) = variables.name_and_unit();
    let mut offset = table.at;
    let mut ordinates = Ordinates::default();
    let (mut x, mut y) = (Vec::new(), Vec::new());
    let increments = folded(table.form).contains("++");
    for line in table.body.split_inclusive('\n') {
        let content = bare(line);
        if increments {
            ordinates.push(content).map_err(|wrong| {
                let got = content.get(wrong.at..).unwrap_or_default();
                let at = (offset + wrong.at) as u64;
                input.corrupt(at, "table", wrong.expected, format!("{got:.40}"))
            })?;
        } else {
            let words = content.split([' ', '\t', ',', ';', '<', '>', '(', ')']);
            let numbers = words.filter(|w| !w.is_empty()).map(|word| {
                word.parse::<f64>().map_err(|_| {
                    input.corrupt(offset as u64, "table", "pairs of numbers", format!("{word:.40}"))
                })
            });
            let numbers: Vec<f64> = numbers.collect::<Result<_, _>>()?;
            for pair in numbers.chunks(2) {
                let [a, b] = pair else {
                    let got = format!("{} numbers", numbers.len());
                    return Err(input.corrupt(offset as u64, "table", "pairs of numbers", got));
                };
                x.push(a * variables.x_factor);
                y.push(b * variables.y_factor);
            }
        }
        offset += line.len();
    }
    if !increments {
        return Ok((axis_of_points(axis_name, unit, x), y));
    }
    if ordinates.failed_checks > 0 {
        let message = format!(
            "{name}: {} lines do not repeat the last ordinate; values may be damaged",
            ordinates.failed_checks
        );
        diagnostics.push(Diagnostic::warning(Code::VendorDisagrees, message));
    }
    let n = ordinates.y.len();
    let y: Vec<f64> = ordinates.y.iter().map(|y| y * variables.y_factor).collect();
    if let Some(stated) = variables.points
        && stated != n as f64
    {
        let message = format!("{name}: NPOINTS states {stated}, {n} are there");
        diagnostics.push(Diagnostic::warning(Code::VendorDisagrees, message));
    }
    // Abscissas in the table are rounded: first and last of the header are better.
    let in_table = ordinates.x.first().map(|(x, _)| x * variables.x_factor);
    let first = variables.first.or(in_table).unwrap_or(0.0);
    let by_ends = || {
        let last = variables.last.filter(|_| variables.points.is_none_or(|p| p == n as f64))?;
        (n > 1).then(|| (last - first) / (n - 1) as f64)
    };
    let by_table = || {
        let ((a, i), (b, j)) = (*ordinates.x.first()?, *ordinates.x.last()?);
        (j > i).then(|| (b - a) * variables.x_factor / (j - i) as f64)
    };
    let step = by_ends().or(variables.step).or_else(by_table).unwrap_or(1.0);
    let off = |(x, i): &&(f64, usize)| {
        let expected = first + step * *i as f64;
        ((x * variables.x_factor - expected) / step).abs() > OFF_AXIS
    };
    if step != 0.0 && ordinates.x.iter().filter(off).count() > 0 {
        let message = format!(
            "{name}: abscissas at the start of lines depart from FIRSTX and LASTX; points may be \
             missing"
        );
        diagnostics.push(Diagnostic::warning(Code::VendorDisagrees, message));
    }
    Ok((diffraction::stepped(axis_name, unit, first, step, n), y))
}

/// A block under way.
#[derive(Default)]
struct Block {
    labels: Map<String, Value>,
    page: String,
    signals: Vec<Signal>,
}

impl Block {
    fn modality(&self) -> Option<Modality> {
        let kind = text(&self.labels, "DATATYPE").unwrap_or_default().to_uppercase();
        match () {
            () if kind.contains("RAMAN") => Some(Modality::Raman),
            () if kind.contains("DIFFRACTION") => Some(Modality::Xrd),
            () if kind.contains("PHOTOELECTRON") => Some(Modality::Xps),
            () => None,
        }
    }

    fn metadata(&self) -> Metadata {
        let owned = |label| text(&self.labels, label).map(str::to_owned);
        Metadata {
            title: owned("TITLE"),
            modality: self.modality(),
            instrument: owned("SPECTROMETERDATASYSTEM").or_else(|| owned("INSTRUMENTPARAMETERS")),
            ..Metadata::default()
        }
    }

    fn push(
        &mut self,
        input: &Input,
        record: &Record,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Result<(), IoError> {
        let table = table(record);
        let (variables, mut name) = match record.label.as_str() {
            "DATATABLE" => {
                // `(X++(R..R)), XYDATA`: the symbols of abscissa and ordinate.
                let letters: Vec<String> = table
                    .form
                    .split(|c: char| !c.is_ascii_alphanumeric())
                    .filter(|w| !w.is_empty())
                    .map(str::to_owned)
                    .collect();
                let symbols = match &letters[..] {
                    [pair, ..] if pair.len() == 2 && pair.is_ascii() => {
                        Some((pair[..1].to_owned(), pair[1..].to_owned()))
                    }
                    [x, y, ..] => Some((x.clone(), y.clone())),
                    _ => None,
                };
                let variables =
                    symbols.as_ref().and_then(|(x, y)| Variables::of_tuples(&self.labels, x, y));
                let symbol = symbols.map_or(String::new(), |(_, y)| y);
                let name = format!("{symbol} {}", self.page).trim().to_owned();
                (variables.unwrap_or_else(|| Variables::of(&self.labels)), name)
            }
            "PEAKTABLE" => (Variables::of(&self.labels), "peak table".to_owned()),
            _ => (Variables::of(&self.labels), "spectrum".to_owned()),
        };
        if name.is_empty() {
            "spectrum".clone_into(&mut name);
        }
        let (axis, y) = points(input, &table, &variables, &name, diagnostics)?;
        let counts = variables.y_units.to_uppercase().contains("COUNT");
        let whole = if counts { Whole::Counts } else { Whole::NoCounts };
        if !y.is_empty() {
            self.signals.push(Signal::spectrum(name, axis, y, whole));
        }
        Ok(())
    }

    fn close(mut self, signals: &mut Vec<(String, Signal)>, vendor: &mut Vec<Value>) {
        let metadata = self.metadata();
        let title = metadata.title.clone().unwrap_or_default();
        for mut signal in self.signals.drain(..) {
            signal.metadata = metadata.clone();
            signals.push((title.clone(), signal));
        }
        vendor.push(Value::Object(self.labels));
    }
}

pub(super) fn list(input: &Input) -> Result<SignalList, IoError> {
    let decoded = xml::decode(input.bytes());
    let (mut open, mut vendor): (Vec<Block>, Vec<Value>) = (Vec::new(), Vec::new());
    let (mut signals, mut diagnostics) = (Vec::new(), Vec::new());
    for record in records(input, &decoded)? {
        match record.label.as_str() {
            "TITLE" => {
                if open.len() > 32 {
                    let got = format!("{} blocks inside each other", open.len());
                    return Err(input.corrupt(record.at as u64, "##TITLE", "fewer blocks", got));
                }
                open.push(Block::default());
            }
            "END" => {
                if let Some(block) = open.pop() {
                    block.close(&mut signals, &mut vendor);
                }
                continue;
            }
            _ => {}
        }
        let Some(block) = open.last_mut() else {
            let got = format!("##{:.40}", record.label);
            return Err(input.corrupt(record.at as u64, "label", "##TITLE= first", got));
        };
        match record.label.as_str() {
            "XYDATA" | "XYPOINTS" | "PEAKTABLE" | "DATATABLE" => {
                block.push(input, &record, &mut diagnostics)?;
            }
            "PAGE" => block.page = value(record.text),
            // A comment label has no name.
            "" => {}
            _ => {
                block.labels.insert(record.label, value(record.text).into());
            }
        }
    }
    if !open.is_empty() {
        let message = "the file has no ##END=; values may be missing";
        diagnostics.push(Diagnostic::warning(Code::Truncated, message));
    }
    while let Some(block) = open.pop() {
        block.close(&mut signals, &mut vendor);
    }
    if signals.is_empty() {
        return Err(IoError::NoSpectra {
            file: input.path().to_owned(),
            found: format!("{} blocks without a table", vendor.len()),
        });
    }
    let titles: Vec<String> = signals.iter().map(|(title, _)| title.clone()).collect();
    let several = titles.windows(2).any(|w| w[0] != w[1]);
    let mut signals: Vec<Signal> = signals.into_iter().map(|(_, signal)| signal).collect();
    let spectra = signals.iter().filter(|s| s.name == "spectrum").count() > 1;
    let name = |(signal, title): (&Signal, &String)| match (several, signal.name.as_str()) {
        (true, "spectrum") if !title.is_empty() && spectra => title.clone(),
        (true, name) => format!("{title} {name}").trim().to_owned(),
        (false, name) => name.to_owned(),
    };
    let names = unique(signals.iter().zip(&titles).map(name));
    signals.iter_mut().zip(names).for_each(|(signal, name)| signal.name = name);
    let version = vendor.iter().find_map(|labels| {
        let labels = labels.as_object()?;
        text(labels, "JCAMPDX").or_else(|| text(labels, "JCAMPCS")).map(str::to_owned)
    });
    let default = signals.iter().position(|s| !s.name.contains("peak table")).unwrap_or(0);
    Ok(SignalList {
        format: "jcamp_dx",
        version,
        signals,
        series: Vec::new(),
        default,
        remark: String::new(),
        vendor: if vendor.len() == 1 { vendor.swap_remove(0) } else { Value::Array(vendor) },
        diagnostics,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn read(text: &str) -> SignalList {
        list(&Input::from_bytes(Path::new("a.jdx"), text.as_bytes().to_vec())).unwrap()
    }

    const HEAD: &str = "##TITLE= quartz\n##JCAMP-DX= 4.24 $$ program\n##DATA TYPE= RAMAN SPECTRUM\n\
        ##XUNITS= 1/CM\n##YUNITS= COUNTS\n##XFACTOR= 0.5\n##YFACTOR= 2\n";

    #[test]
    fn factors_ends_and_units() {
        let text = format!(
            "{HEAD}##FIRSTX= 100.0\n##LASTX= 102.5\n##NPOINTS= 6\n##XYDATA= (X++(Y..Y))\n\
             200A0K0%J0\n203D0J1 C $$ end\n##END=\n"
        );
        let list = read(&text);
        let signal = &list.signals[0];
        assert_eq!(signal.values, [20.0, 60.0, 60.0, 80.0, 102.0, 6.0]);
        assert_eq!(signal.axis.offset_scale(), Some((100.0, 0.5)));
        assert_eq!(signal.axis.unit, Unit::InverseCentimetre);
        assert_eq!(
            (signal.whole, signal.metadata.modality),
            (Whole::Counts, Some(Modality::Raman))
        );
        assert_eq!(list.version.as_deref(), Some("4.24"));
        assert!(list.diagnostics.is_empty(), "{:?}", list.diagnostics);
        let lost = text.replace("203D0J1 C $$ end\n", "");
        assert!(read(&lost).diagnostics.iter().any(|d| d.code == Code::VendorDisagrees));
    }

    #[test]
    fn blocks_points_and_peaks() {
        let text = format!(
            "##TITLE= link\n##JCAMP-DX= 5.01\n##DATA TYPE= LINK\n##BLOCKS= 2\n{HEAD}\
             ##XYPOINTS= (XY..XY)\n1,10; 2,20\n4 30\n##END=\n##TITLE= b\n##JCAMP-DX= 5.01\n\
             ##PEAK TABLE= (XY..XY)\n7,1\n8,2\n##END=\n##END=\n"
        );
        let list = read(&text);
        assert_eq!(list.names(), ["quartz spectrum", "b peak table"]);
        assert_eq!(list.signals[0].axis.to_vec(), [0.5, 1.0, 2.0]);
        assert_eq!(list.signals[0].values, [20.0, 40.0, 60.0]);
        assert_eq!(list.vendor.as_array().map(Vec::len), Some(3));
    }

    #[test]
    fn tables_of_several_variables() {
        let text = "##TITLE= fid\n##JCAMP-DX= 5.01\n##NTUPLES= NMR FID\n##VAR_NAME= TIME, REAL, IMAG\n\
            ##SYMBOL= X, R, I\n##FACTOR= 0.1, 1, 2\n##FIRST= 0, 1, 1\n##LAST= 0.2, 1, 1\n\
            ##VAR_DIM= 3, 3, 3\n##UNITS= SECONDS, ARBITRARY UNITS, ARBITRARY UNITS\n\
            ##PAGE= N=1\n##DATA TABLE= (X++(R..R)), XYDATA\n0 1 2 3\n\
            ##PAGE= N=2\n##DATA TABLE= (X++(I..I)), XYDATA\n0 4 5 6\n##END NTUPLES=\n##END=\n";
        let list = read(text);
        assert_eq!(list.names(), ["R N=1", "I N=2"]);
        assert_eq!(list.signals[1].values, [8.0, 10.0, 12.0]);
        assert_eq!(list.signals[1].axis.offset_scale(), Some((0.0, 0.1)));
        assert_eq!(list.signals[1].axis.unit, Unit::Second);
    }
}
