//! ULVAC-PHI MultiPak `.spe`: photoelectron spectra, a text header and binary values.
//!
//! Lines `Key: value` between `SOFH` and `EOFH`. `SpectralRegDef: number, number, name, atomic
//! number, points, step, first and last binding energy, two more energies, dwell time, pass
//! energy` describes each region that was recorded. Then, little-endian: u32 group, regions, bytes
//! of the region headers, bytes of this header (16); per region 24 u32, of which
//!
//! | word | holds |
//! |---|---|
//! | 5 | points |
//! | 14 | unit of the values, `c/s` |
//! | 18 | type of the values, `f4` or `f8`, where it is stated |
//! | 19 | bytes of the values |
//! | 20 | where they start |
//! | 23 | where they end, where it is stated |
//!
//! both counted from the first byte behind `EOFH`. The layout is not published by its maker.
//! It follows the description in yadg (Vetsch and Kraus, 2022, doi:10.21105/joss.04166). A
//! loader for Igor Pro, written from other instruments' files, names the same words 5, 14, 18, 19,
//! 20 and 23 and the same fields of `SpectralRegDef`; two more readers agree on those fields,
//! on `Su1s` and on `XraySource`. It was tested on files made after these descriptions, not on one
//! of an instrument.

use crate::{
    Confidence, FormatId, Input, IoError, OpenOptions, Reader,
    plain::{Number, NumberKind, with_block},
    signal_list::{Signal, SignalList, Whole, axis_of_points, short, unique},
    xml,
};
use kalpha_core::{Axis, Code, Dataset, Diagnostic, Metadata, Modality, Unit};
use serde_json::{Map, Value};

const BEGIN: &[u8] = b"SOFH";
const END: &[u8] = b"EOFH";
const WORDS: usize = 24;

/// The reader of PHI's `.spe`.
pub(crate) struct Phi;

impl Reader for Phi {
    fn format(&self) -> FormatId {
        FormatId::new("phi")
    }

    fn about(&self) -> &'static str {
        "ULVAC-PHI MultiPak spectra"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["spe"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        let head = input.head(6);
        match head.starts_with(BEGIN) && head[4..].iter().any(|b| matches!(b, b'\r' | b'\n')) {
            true => Confidence::Certain,
            // Gamma spectra have this name more often.
            false => Confidence::No,
        }
    }

    fn signals(&self, input: &Input) -> Result<Vec<String>, IoError> {
        Ok(list(input)?.names())
    }

    fn read(&self, input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
        list(input)?.dataset(input, options)
    }
}

/// A region as the text describes it.
struct Region {
    name: String,
    points: usize,
    first: f64,
    last: f64,
}

fn region(text: &str) -> Option<Region> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let number = |i: usize| words.get(i)?.parse::<f64>().ok().filter(|x| x.is_finite());
    let name = words.get(2)?;
    Some(Region {
        // What MultiPak calls a survey.
        name: if *name == "Su1s" { "Survey".to_owned() } else { short(name) },
        points: words.get(4)?.parse().ok()?,
        first: number(6)?,
        last: number(7)?,
    })
}

/// Where the text ends and the numbers start.
fn header(input: &Input) -> Result<(std::ops::Range<usize>, usize), IoError> {
    let bytes = input.bytes();
    let mut at = 0;
    while let Some(line) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let length = line.iter().position(|&b| b == b'\n').map_or(line.len(), |i| i + 1);
        if line[..length].trim_ascii() == END {
            return Ok((BEGIN.len()..at, at + length));
        }
        at += length;
    }
    Err(input.corrupt(at as u64, "header", "a line EOFH", "the end of the file"))
}

/// The values of a region whose header is `words`.
fn values(
    input: &Input,
    base: usize,
    words: &[u32],
    region: &Region,
    lowest: usize,
) -> Result<Vec<f64>, IoError> {
    let word = |i: usize| words.get(i).copied().unwrap_or(0) as usize;
    let (points, size) = (word(5), word(19));
    let name = format!("region {}", region.name);
    if points != region.points {
        return Err(input.corrupt(base as u64, name, format!("{} points", region.points), points));
    }
    let stated = words.get(18).map_or([0; 4], |w| w.to_le_bytes());
    let width = match &stated[..2] {
        b"f4" => 4,
        b"f8" => 8,
        _ => size.checked_div(points).unwrap_or(0),
    };
    let number = Number::new(NumberKind::Float, width, false)
        .filter(|_| points.checked_mul(width) == Some(size));
    let Some(number) = number else {
        let expected = format!("{points} values of 4 or 8 bytes");
        return Err(input.corrupt(base as u64, name, expected, format!("{size} bytes")));
    };
    // The end tells it best: more than values may stand in front of it.
    let start = word(23).checked_sub(size).filter(|start| *start >= lowest).unwrap_or(word(20));
    let bytes =
        start.checked_add(base).and_then(|from| input.bytes().get(from..from.checked_add(size)?));
    let Some(bytes) = bytes.filter(|_| start >= lowest) else {
        let got = format!("{size} bytes from {start} on");
        return Err(input.corrupt(base as u64, name, "values inside the file", got));
    };
    let mut out = Vec::new();
    with_block(number, bytes, |block| block.append_to(&mut out));
    Ok(out)
}

fn axis(region: &Region) -> Axis {
    let unit = Unit::Ev;
    let step = (region.last - region.first) / region.points.saturating_sub(1).max(1) as f64;
    Axis::linear("Binding energy", unit.clone(), region.first, step, region.points)
        .unwrap_or_else(|_| axis_of_points("Binding energy", unit, vec![region.first]))
}

fn list(input: &Input) -> Result<SignalList, IoError> {
    let (text, base) = header(input)?;
    let text = xml::decode(input.bytes().get(text).unwrap_or_default());
    let (mut fields, mut regions): (Map<String, Value>, Vec<Region>) = Default::default();
    for (key, value) in text.lines().filter_map(|line| line.split_once(':')) {
        let (key, value) = (key.trim(), value.trim());
        if key == "SpectralRegDef" {
            let wrong = || input.corrupt(0, "SpectralRegDef", "a region", format!("{value:.60}"));
            regions.push(region(value).ok_or_else(wrong)?);
        }
        match fields.get_mut(key) {
            None => {
                fields.insert(key.to_owned(), value.into());
            }
            Some(Value::Array(several)) => several.push(value.into()),
            Some(one) => *one = Value::Array(vec![one.take(), value.into()]),
        }
    }
    let field = |key: &str| fields.get(key).and_then(Value::as_str).filter(|t| !t.is_empty());
    if let Some(kind) = field("FileType").filter(|kind| !kind.eq_ignore_ascii_case("spectrum")) {
        return Err(IoError::Unsupported {
            file: input.path().to_owned(),
            field: "FileType".to_owned(),
            got: kind.to_owned(),
            supported: "SPECTRUM".to_owned(),
            hint: "export it from MultiPak as VAMAS",
        });
    }
    let (words, _) = input.bytes().get(base..).unwrap_or_default().as_chunks::<4>();
    let words: Vec<u32> =
        words.iter().take(4 + WORDS * regions.len()).map(|w| u32::from_le_bytes(*w)).collect();
    let (head, headers) = words.split_at(words.len().min(4));
    let stated = head.get(1).copied().unwrap_or(0) as usize;
    if stated != regions.len() || headers.len() != WORDS * regions.len() {
        let expected = format!("{} regions", regions.len());
        return Err(input.corrupt(base as u64, "number of regions", expected, stated));
    }
    let source = field("XraySource").unwrap_or_default();
    let mut energies = source.split_whitespace().filter_map(|word| word.parse::<f64>().ok());
    let metadata = Metadata {
        title: field("FileDesc").or(field("AcqFilename")).map(short),
        modality: Some(Modality::Xps),
        instrument: field("InstrumentModel").map(short),
        beam_energy_kev: energies.find(|e| (100.0..1e5).contains(e)).map(|e| e / 1e3),
        ..Metadata::default()
    };
    let lowest = 4 * words.len();
    let mut signals = Vec::new();
    for (region, words) in regions.iter().zip(headers.chunks_exact(WORDS)) {
        let values = values(input, base, words, region, lowest)?;
        if values.is_empty() {
            continue;
        }
        let mut signal =
            Signal::spectrum(region.name.as_str(), axis(region), values, Whole::NoCounts);
        signal.metadata = metadata.clone();
        if words.get(14).is_some_and(|unit| unit.to_le_bytes().starts_with(b"c/s")) {
            let message = "the values are counts per second, not counts";
            let hint = "SpectralRegDef in the metadata of the file has the dwell time in s";
            signal.diagnostics.push(Diagnostic::note(Code::Assumed, message).hint(hint));
        }
        signals.push(signal);
    }
    if signals.is_empty() {
        let found = "no region with values".to_owned();
        return Err(IoError::NoSpectra { file: input.path().to_owned(), found });
    }
    let names = unique(signals.iter_mut().map(|s| std::mem::take(&mut s.name)));
    signals.iter_mut().zip(names).for_each(|(signal, name)| signal.name = name);
    let version = field("SoftwareVersion").map(short);
    Ok(SignalList {
        format: "phi",
        version,
        signals,
        series: Vec::new(),
        default: 0,
        remark: String::new(),
        vendor: Value::Object(fields),
        diagnostics: Vec::new(),
    })
}
