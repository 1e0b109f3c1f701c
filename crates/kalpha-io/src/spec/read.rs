//! From a SPEC file to the signals of its scans.

use crate::{
    Input, IoError,
    columns::{insert, labels},
    signal_list::{Signal, SignalList, Whole, axis_of_points, short, unique},
    xml,
};
use kalpha_core::{Axis, Code, Diagnostic, Metadata, Unit};
use serde_json::{Map, Value, json};

/// One scan.
#[derive(Default)]
struct Scan {
    /// Number and command.
    title: String,
    fields: Map<String, Value>,
    labels: Vec<String>,
    columns: Vec<Vec<f64>>,
    spectra: Vec<Vec<f64>>,
    offset: u64,
}

/// Reads line after line.
struct Parser<'a> {
    input: &'a Input,
    header: Map<String, Value>,
    scans: Vec<Scan>,
    offset: u64,
    /// A spectrum goes on in the next line.
    open: bool,
}

impl Parser<'_> {
    fn numbers(&self, text: &str, field: &str) -> Result<Vec<f64>, IoError> {
        let words = text.split_whitespace();
        words
            .map(|word| {
                word.parse().map_err(|_| {
                    self.input.corrupt(self.offset, field, "numbers", format!("{word:.40}"))
                })
            })
            .collect()
    }

    /// Adds values to the spectrum at hand; a backslash at the end says that more follow.
    fn spectrum(&mut self, text: &str) -> Result<(), IoError> {
        let text = text.trim_end();
        let (text, open) = match text.strip_suffix('\\') {
            Some(text) => (text, true),
            None => (text, false),
        };
        let numbers = self.numbers(text, "@A")?;
        self.open = open;
        if let Some(spectrum) = self.scans.last_mut().and_then(|s| s.spectra.last_mut()) {
            spectrum.extend(numbers);
        }
        Ok(())
    }

    fn line(&mut self, line: &str) -> Result<(), IoError> {
        if self.open {
            return self.spectrum(line);
        }
        if let Some(title) = line.strip_prefix("#S ") {
            let title = title.trim().to_owned();
            self.scans.push(Scan { title, offset: self.offset, ..Scan::default() });
        } else if let Some(rest) = line.strip_prefix('#') {
            let (key, value) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            let value = value.trim();
            match self.scans.last_mut() {
                Some(scan) if key == "L" => {
                    scan.labels = value
                        .split("  ")
                        .map(str::trim)
                        .filter(|l| !l.is_empty())
                        .map(str::to_owned)
                        .collect();
                }
                scan => {
                    let fields = scan.map_or(&mut self.header, |scan| &mut scan.fields);
                    insert(fields, key.to_owned(), value.to_owned());
                }
            }
        } else if let Some(rest) = line.strip_prefix('@') {
            let values = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
            match self.scans.last_mut() {
                Some(scan) => scan.spectra.push(Vec::new()),
                None => {
                    return Err(self.input.corrupt(
                        self.offset,
                        "@A",
                        "a scan (#S) before it",
                        "none",
                    ));
                }
            }
            self.spectrum(values)?;
        } else if !line.trim().is_empty() {
            self.row(line)?;
        }
        Ok(())
    }

    fn row(&mut self, line: &str) -> Result<(), IoError> {
        let numbers = self.numbers(line, "data")?;
        let (input, offset) = (self.input, self.offset);
        let Some(scan) = self.scans.last_mut() else {
            return Err(input.corrupt(offset, "data", "a scan (#S) before them", "none"));
        };
        if scan.columns.is_empty() {
            scan.columns = vec![Vec::new(); numbers.len()];
        }
        if scan.columns.len() != numbers.len() {
            let expected = format!("{} numbers in a line", scan.columns.len());
            return Err(input.corrupt(offset, "data", expected, numbers.len()));
        }
        scan.columns.iter_mut().zip(numbers).for_each(|(column, x)| column.push(x));
        Ok(())
    }
}

impl Scan {
    /// The first value of a field that repeats.
    fn text(&self, key: &str) -> Option<&str> {
        match self.fields.get(key)? {
            Value::Array(list) => list.first()?.as_str(),
            value => value.as_str(),
        }
    }

    fn numbers(&self, key: &str) -> Vec<f64> {
        let words = self.text(key).unwrap_or_default().split_whitespace();
        words.filter_map(|w| w.parse().ok()).filter(|x: &f64| x.is_finite()).collect()
    }

    fn metadata(&self) -> Metadata {
        // `#@CTIME preset live real`.
        let times = self.numbers("@CTIME");
        let time = |i: usize| times.get(i).copied().filter(|t| *t > 0.0);
        Metadata {
            title: Some(short(&self.title)).filter(|t| !t.is_empty()),
            live_time_s: time(1),
            real_time_s: time(2),
            ..Metadata::default()
        }
    }

    /// The spectra as rows.
    fn mca(&self, name: String) -> Option<Signal> {
        let n = self.spectra.first()?.len();
        let equal: Vec<_> = self.spectra.iter().take_while(|s| s.len() == n).collect();
        if n == 0 {
            return None;
        }
        // `#@CHANN count first last step`.
        let first = self.numbers("@CHANN").get(1).copied().unwrap_or(0.0);
        let calibration = self.numbers("@CALIB");
        let usable = calibration.len() > 1 && calibration[1] != 0.0;
        let mut said = Vec::new();
        let axis = if usable {
            let points = (0..n).map(|i| {
                let channel = first + i as f64;
                calibration.iter().rev().fold(0.0, |sum, c| sum * channel + c)
            });
            let linear = calibration[2..].iter().all(|c| *c == 0.0);
            let (a, b) = (calibration[0], calibration[1]);
            let line =
                Axis::linear("Energy", Unit::KeV, a + b * first, b, n).ok().filter(|_| linear);
            said.push(Diagnostic::note(
                Code::Assumed,
                "the calibration states no unit: keV is assumed",
            ));
            line.unwrap_or_else(|| Axis::values("Energy", Unit::KeV, points.collect()))
        } else {
            let message = "the spectra have no calibration (#@CALIB): channels are numbered";
            said.push(
                Diagnostic::warning(Code::MissingMetadata, message)
                    .hint("--energy-axis OFFSET,SCALE,UNIT gives it"),
            );
            Axis::linear("channel", Unit::None, first, 1.0, n)
                .unwrap_or_else(|_| Axis::index("channel", n))
        };
        if equal.len() < self.spectra.len() {
            let message = format!(
                "{} spectra of another length were left out",
                self.spectra.len() - equal.len()
            );
            said.push(Diagnostic::warning(Code::VendorDisagrees, message));
        }
        let values = equal.iter().flat_map(|s| s.iter().copied()).collect();
        let mut signal = Signal::spectrum(name, axis, values, Whole::Counts);
        if equal.len() > 1 {
            let x = self.columns.first().filter(|x| x.len() == equal.len());
            let label = self.labels.first().map_or("point", String::as_str);
            signal.navigation = vec![match x {
                Some(x) if x.iter().all(|x| x.is_finite()) => {
                    axis_of_points(label, Unit::None, x.clone())
                }
                _ => Axis::index("point", equal.len()),
            }];
        }
        signal.metadata = self.metadata();
        signal.diagnostics = said;
        Some(signal)
    }

    /// The columns but the first.
    fn counters(&self, input: &Input, prefix: &str) -> Result<Vec<Signal>, IoError> {
        let Some(x) = self.columns.first().filter(|_| self.columns.len() > 1) else {
            return Ok(Vec::new());
        };
        if let Some(bad) = x.iter().find(|x| !x.is_finite()) {
            return Err(input.corrupt(
                self.offset,
                format!("scan {prefix}, first column"),
                "finite numbers",
                bad,
            ));
        }
        // Labels that do not fit the columns name none of them.
        let fits = self.labels.len() == self.columns.len();
        let label =
            |i: usize| if fits { self.labels[i].clone() } else { format!("column {}", i + 1) };
        let known = labels::axis_label(&label(0), x);
        let (name, unit) = known.map_or_else(|| (label(0), Unit::None), |l| (l.name, l.unit));
        let axis = axis_of_points(&name, unit, x.clone());
        let metadata = self.metadata();
        let columns = self.columns.iter().enumerate().skip(1);
        let signals = columns.map(|(i, values)| {
            let mut signal = Signal::spectrum(
                format!("{prefix}/{}", label(i)),
                axis.clone(),
                values.clone(),
                Whole::Counts,
            );
            signal.metadata = metadata.clone();
            signal
        });
        Ok(signals.collect())
    }
}

pub(super) fn list(input: &Input) -> Result<SignalList, IoError> {
    let text = xml::decode(input.bytes());
    let mut parser =
        Parser { input, header: Map::new(), scans: Vec::new(), offset: 0, open: false };
    for whole in text.split_inclusive('\n') {
        parser.line(whole.trim_end_matches(['\r', '\n']))?;
        parser.offset += whole.len() as u64;
    }
    let Parser { header, scans, offset, .. } = parser;
    let mut list = SignalList {
        format: "spec",
        version: None,
        signals: Vec::new(),
        series: Vec::new(),
        default: 0,
        remark: String::new(),
        vendor: Value::Null,
        diagnostics: Vec::new(),
    };
    let numbers = scans.iter().map(|s| s.title.split_whitespace().next().unwrap_or("0").to_owned());
    let prefixes = unique(numbers);
    let mut default = None;
    for (scan, prefix) in scans.iter().zip(&prefixes) {
        let mca = scan.mca(format!("{prefix}/mca"));
        let counters = scan.counters(input, prefix)?;
        if default.is_none() && (mca.is_some() || !counters.is_empty()) {
            // SPEC puts the counter that is plotted last; spectra are what such files are made for.
            let last = list.signals.len() + counters.len();
            default = Some(if mca.is_some() { last } else { last - 1 });
        }
        list.signals.extend(counters);
        list.signals.extend(mca);
    }
    let Some(default) = default else {
        return Err(input.corrupt(offset, "scan (#S)", "columns or spectra", "none"));
    };
    list.default = default;
    let names = unique(list.signals.iter_mut().map(|s| std::mem::take(&mut s.name)));
    list.signals.iter_mut().zip(names).for_each(|(s, name)| s.name = name);
    let scans: Vec<Value> =
        scans.into_iter().map(|s| json!({"title": s.title, "fields": s.fields})).collect();
    list.vendor = json!({"header": header, "scans": scans});
    Ok(list)
}
