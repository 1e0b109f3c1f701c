//! Spectrum files `.spe` of Maestro and the IAEA: sections `$NAME:`, one spectrum (ORTEC, File
//! Structure Manual for Maestro, and IAEA, GANAAS).
//!
//! `$DATA:` gives the first and last channel, then the counts. `$MCA_CAL:` (number of
//! coefficients, coefficients, unit) or `$ENER_FIT:` (two coefficients) give the energy.

use crate::{
    Confidence, FormatId, Input, IoError, OpenOptions, Reader,
    signal_list::{Signal, SignalList, Whole},
    xml,
};
use kalpha_core::{Axis, Code, Dataset, Diagnostic, Metadata, Unit};
use serde_json::{Map, Value};

/// The reader of Maestro `.spe`.
pub(crate) struct Maestro;

/// A section: its name, its lines, the byte of its first line.
struct Section<'a> {
    name: &'a str,
    lines: Vec<&'a str>,
    offset: u64,
}

fn sections(text: &str) -> Vec<Section<'_>> {
    let mut out: Vec<Section> = Vec::new();
    let mut offset = 0u64;
    for whole in text.split_inclusive('\n') {
        offset += whole.len() as u64;
        let line = whole.trim();
        if let Some(name) = line.strip_prefix('$') {
            out.push(Section { name: name.trim_end_matches(':'), lines: Vec::new(), offset });
        } else if let Some(section) = out.last_mut().filter(|_| !line.is_empty()) {
            section.lines.push(line);
        }
    }
    out
}

impl Section<'_> {
    fn words(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().flat_map(|line| line.split_whitespace())
    }

    fn numbers(&self) -> Vec<f64> {
        self.words().map_while(|w| w.parse().ok()).filter(|x: &f64| x.is_finite()).collect()
    }
}

/// Coefficients of the energy in the channel, and their unit.
fn calibration(sections: &[Section]) -> Option<(Vec<f64>, Unit, bool)> {
    let section = |name: &str| sections.iter().find(|s| s.name == name);
    let useful = |c: &[f64]| c.len() > 1 && c[1] != 0.0;
    if let Some(cal) = section("MCA_CAL") {
        let numbers = cal.numbers();
        let unit = cal.words().last().filter(|w| w.parse::<f64>().is_err());
        let coefficients = numbers.get(1..).unwrap_or_default().to_vec();
        if useful(&coefficients) {
            let assumed = unit.is_none();
            return Some((coefficients, unit.map_or(Unit::KeV, Unit::parse), assumed));
        }
    }
    let fit = section("ENER_FIT")?.numbers();
    useful(&fit).then(|| (fit[..2].to_vec(), Unit::KeV, true))
}

/// The energies of channels `first..first + n`.
fn axis(coefficients: &[f64], unit: Unit, first: f64, n: usize) -> Option<Axis> {
    let (offset, scale) = (coefficients[0], coefficients[1]);
    if coefficients[2..].iter().all(|c| *c == 0.0) {
        return Axis::linear("Energy", unit, offset + scale * first, scale, n).ok();
    }
    let at = |i: usize| {
        let channel = first + i as f64;
        coefficients.iter().rev().fold(0.0, |sum, c| sum * channel + c)
    };
    Some(Axis::values("Energy", unit, (0..n).map(at).collect()))
}

fn counts(input: &Input, section: &Section) -> Result<(f64, Vec<f64>), IoError> {
    let wrong =
        |expected: String, got: String| input.corrupt(section.offset, "$DATA", expected, got);
    let mut words = section.words();
    let mut bound = |which: &str| {
        let word = words.next().unwrap_or("none");
        let channel = word.parse::<u64>().ok();
        channel.ok_or_else(|| wrong(format!("the {which} channel"), format!("{word:.40}")))
    };
    let (first, last) = (bound("first")?, bound("last")?);
    let mut values = Vec::new();
    for word in words {
        let value = word.parse().ok().filter(|x: &f64| x.is_finite());
        values.push(value.ok_or_else(|| wrong("counts".to_owned(), format!("{word:.40}")))?);
    }
    let n = last.checked_sub(first).and_then(|n| n.checked_add(1));
    if n != Some(values.len() as u64) {
        return Err(wrong(
            format!("channels {first} to {last}"),
            format!("{} values", values.len()),
        ));
    }
    Ok((first as f64, values))
}

fn list(input: &Input) -> Result<SignalList, IoError> {
    let text = xml::decode(input.bytes());
    let sections = sections(&text);
    let end = input.bytes().len() as u64;
    let data = sections
        .iter()
        .find(|s| s.name == "DATA")
        .ok_or_else(|| input.corrupt(end, "$DATA", "a section of counts", "none"))?;
    let (first, values) = counts(input, data)?;
    let mut diagnostics = Vec::new();
    let n = values.len();
    let found = calibration(&sections);
    let calibrated = found.as_ref().and_then(|(c, unit, _)| axis(c, unit.clone(), first, n));
    if found.is_some_and(|(.., assumed)| assumed) {
        let message = "the calibration states no unit: keV is assumed";
        diagnostics.push(Diagnostic::note(Code::Assumed, message));
    }
    let axis = match calibrated {
        Some(axis) => axis,
        None => {
            let message = "the file gives no energy calibration: channels are numbered";
            diagnostics.push(
                Diagnostic::warning(Code::MissingMetadata, message)
                    .hint("--energy-axis OFFSET,SCALE,UNIT gives it"),
            );
            let (channels, numbered) = ("channel", Axis::index("channel", n));
            Axis::linear(channels, Unit::None, first, 1.0, n).unwrap_or(numbered)
        }
    };
    let line = |name: &str| {
        sections.iter().find(|s| s.name == name).and_then(|s| s.lines.first()).copied()
    };
    let times = sections.iter().find(|s| s.name == "MEAS_TIM").map(Section::numbers);
    let time = |i: usize| times.as_ref().and_then(|t| t.get(i)).copied().filter(|t| *t > 0.0);
    let mut signal = Signal::spectrum("spectrum", axis, values, Whole::Counts);
    signal.metadata = Metadata {
        title: line("SPEC_ID").map(str::to_owned),
        live_time_s: time(0),
        real_time_s: time(1),
        ..Metadata::default()
    };
    let mut vendor = Map::new();
    for section in sections.iter().filter(|s| s.name != "DATA") {
        vendor.insert(section.name.to_owned(), section.lines.join("\n").into());
    }
    Ok(SignalList {
        format: "spe",
        version: None,
        signals: vec![signal],
        series: Vec::new(),
        default: 0,
        remark: String::new(),
        vendor: Value::Object(vendor),
        diagnostics,
    })
}

impl Reader for Maestro {
    fn format(&self) -> FormatId {
        FormatId::new("spe")
    }

    fn about(&self) -> &'static str {
        "Maestro or IAEA spectrum (text)"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["spe"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        let head = String::from_utf8_lossy(input.head(4096));
        let known = ["$SPEC_ID:", "$DATA:", "$SPEC_REM:", "$DATE_MEA:", "$MEAS_TIM:"];
        if known.iter().any(|k| head.trim_start().starts_with(k)) {
            Confidence::Certain
        } else if input.extension() == "spe" && !head.contains('\0') {
            Confidence::Name
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
