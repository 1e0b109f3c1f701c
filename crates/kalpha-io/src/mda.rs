//! APS `.mda`: scans of EPICS saveData, of any rank.
//!
//! XDR: everything is big-endian and four bytes wide, except f64 positions. The file starts
//! with f32 version, i32 scan number, i32 rank, i32 points per rank (outermost first), i32 all
//! lines are alike, i32 first byte of further process variables; then the outermost scan:
//! i32 rank, i32 points planned, i32 points taken; above rank 1 an i32 first byte for each
//! scan below; name, time; i32 numbers of positioners, detectors, triggers; these (number and
//! 7, 3, or 1 texts; a trigger ends with an f32), and their values: f64 per positioner and
//! point, f32 per detector and point, planned points all of them. A text is an i32 length and,
//! where that is not 0, once more the length and the bytes, padded to four.
//!
//! Each detector of the innermost scans is a signal; those of outer scans are given in the
//! vendor tree by name. The format is described by the synApps documentation ("MDA file
//! format", APS); no file of an instrument was at hand, so it is tested on synthetic ones.

use crate::{
    Confidence, FormatId, Input, IoError, OpenOptions, Reader,
    signal_list::{Signal, SignalList, Whole, axis_of_points, unique},
};
use kalpha_core::{Axis, Code, Dataset, Diagnostic, Metadata, Unit};
use serde_json::{Value, json};

/// More ranks than any scan record nests.
const RANKS: usize = 8;

/// The reader of `.mda`.
pub(crate) struct Mda;

impl Reader for Mda {
    fn format(&self) -> FormatId {
        FormatId::new("mda")
    }

    fn about(&self) -> &'static str {
        "APS scans (EPICS saveData)"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["mda"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        if input.extension() != "mda" {
            return Confidence::No;
        }
        match version(input) {
            Some(_) => Confidence::Likely,
            None => Confidence::Name,
        }
    }

    fn signals(&self, input: &Input) -> Result<Vec<String>, IoError> {
        Ok(read(input)?.0.names())
    }

    fn read(&self, input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
        let (list, mask) = read(input)?;
        let mut dataset = list.dataset(input, options)?;
        dataset.source.dtype = Some("float32".to_owned());
        dataset.mask = mask.contains(&true).then(|| mask.into());
        Ok(dataset)
    }
}

/// The version, where it is one that was ever written.
fn version(input: &Input) -> Option<f32> {
    let version = f32::from_be_bytes(*input.head(4).first_chunk()?);
    [1.2, 1.3, 1.4].into_iter().find(|v: &f32| (v - version).abs() < 1e-4)
}

struct Parser<'a> {
    input: &'a Input,
    at: usize,
}

/// A positioner or detector.
#[derive(Clone, Debug)]
struct Variable {
    name: String,
    description: String,
    unit: String,
}

/// What is told of one scan.
struct Scan {
    taken: usize,
    below: Vec<usize>,
    name: String,
    time: String,
    positioners: Vec<Variable>,
    detectors: Vec<Variable>,
    positions: Vec<Vec<f64>>,
    values: Vec<Vec<f64>>,
}

impl<'a> Parser<'a> {
    fn take(&mut self, n: usize, field: &str) -> Result<&'a [u8], IoError> {
        let bytes: &'a [u8] = self.input.bytes();
        let left = bytes.len().saturating_sub(self.at);
        if n > left {
            let got = format!("{left} before the file ends");
            return Err(self.input.corrupt(self.at as u64, field, format!("{n} bytes"), got));
        }
        self.at += n;
        Ok(&bytes[self.at - n..self.at])
    }

    fn int(&mut self, field: &str) -> Result<i32, IoError> {
        let bytes = self.take(4, field)?;
        Ok(bytes.iter().fold(0u32, |n, &b| n << 8 | u32::from(b)) as i32)
    }

    /// A number of things that fill at least `each` bytes of the file.
    fn count(&mut self, field: &str, each: usize) -> Result<usize, IoError> {
        let at = self.at as u64;
        let n = self.int(field)?;
        let most = self.input.bytes().len() / each;
        let fits = usize::try_from(n).ok().filter(|n| *n <= most);
        fits.ok_or_else(|| self.input.corrupt(at, field, format!("0 to {most}"), n))
    }

    fn text(&mut self, field: &str) -> Result<String, IoError> {
        if self.count(field, 1)? == 0 {
            return Ok(String::new());
        }
        let n = self.count(field, 1)?;
        let bytes = self.take(n, field)?;
        // Padding is cut off where the file ends with a text.
        self.at = (self.at + (4 - n % 4) % 4).min(self.input.bytes().len());
        let text: String = bytes.iter().map(|&b| char::from(b)).collect();
        Ok(text.trim_matches(['\0', ' ']).to_owned())
    }

    fn variable(&mut self, field: &str, texts: usize) -> Result<Variable, IoError> {
        self.int(field)?;
        let texts: Vec<String> = (0..texts).map(|_| self.text(field)).collect::<Result<_, _>>()?;
        // A positioner has its step mode before the unit.
        let unit = if texts.len() > 3 { texts.get(3) } else { texts.get(2) };
        let get = |i: usize| texts.get(i).cloned().unwrap_or_default();
        Ok(Variable { name: get(0), description: get(1), unit: unit.cloned().unwrap_or_default() })
    }

    fn scan(&mut self, rank: usize) -> Result<Scan, IoError> {
        let at = self.at as u64;
        let stated = self.int("rank of a scan")?;
        if usize::try_from(stated) != Ok(rank) {
            return Err(self.input.corrupt(at, "rank of a scan", rank.to_string(), stated));
        }
        let points = self.count("points planned", 4)?;
        let taken = self.count("points taken", 1)?.min(points);
        let mut below = Vec::new();
        if rank > 1 {
            for _ in 0..points {
                below.push(self.count("place of a scan", 1)?);
            }
        }
        let (name, time) = (self.text("name of a scan")?, self.text("time of a scan")?);
        let mut numbers = [0; 3];
        for (n, field) in numbers.iter_mut().zip(["positioners", "detectors", "triggers"]) {
            *n = self.count(field, 8)?;
        }
        let positioners =
            (0..numbers[0]).map(|_| self.variable("positioner", 7)).collect::<Result<_, _>>()?;
        let detectors: Vec<Variable> =
            (0..numbers[1]).map(|_| self.variable("detector", 3)).collect::<Result<_, _>>()?;
        for _ in 0..numbers[2] {
            self.variable("trigger", 1)?;
            self.take(4, "trigger")?;
        }
        let mut positions = Vec::new();
        for _ in 0..numbers[0] {
            let bytes = self.take(points.saturating_mul(8), "positions")?;
            positions
                .push(bytes.as_chunks::<8>().0.iter().map(|b| f64::from_be_bytes(*b)).collect());
        }
        let mut values = Vec::new();
        for _ in 0..numbers[1] {
            let bytes = self.take(points.saturating_mul(4), "values")?;
            let floats = bytes.as_chunks::<4>().0.iter();
            values.push(floats.map(|b| f64::from(f32::from_be_bytes(*b))).collect());
        }
        Ok(Scan { taken, below, name, time, positioners, detectors, positions, values })
    }
}

/// What is gathered from all scans of a file.
struct Gathered {
    /// Points of each rank, outermost first.
    shape: Vec<usize>,
    /// Per rank, the first scan of it.
    firsts: Vec<Option<Scan>>,
    /// Per detector of the innermost scans.
    values: Vec<Vec<f64>>,
    /// Rows that were not taken.
    missing: Vec<bool>,
}

impl Gathered {
    /// Reads the scan at `at` and those below it; `at` is `None` where it was not taken.
    fn descend(&mut self, input: &Input, at: Option<usize>, depth: usize) -> Result<(), IoError> {
        let rank = self.shape.len() - depth;
        let points = self.shape[depth];
        let scan = match at {
            Some(at) => Some(Parser { input, at }.scan(rank)?),
            None => None,
        };
        if rank > 1 {
            for i in 0..points {
                let below = scan.as_ref().filter(|scan| i < scan.taken);
                let below = below.and_then(|scan| scan.below.get(i).copied()).filter(|at| *at > 0);
                self.descend(input, below, depth + 1)?;
            }
        } else {
            if self.values.is_empty()
                && let Some(scan) = &scan
            {
                let (all, n) = (self.shape.iter().product::<usize>(), scan.detectors.len());
                let limit = input.bytes().len().saturating_mul(8);
                if all.saturating_mul(n) > limit {
                    let claimed = all.saturating_mul(n) as u64;
                    return Err(input.too_large("values of all detectors", claimed, limit as u64));
                }
                // Rows before the first that was taken.
                let zeros = vec![0.0; self.missing.len() * points];
                self.values = vec![zeros; scan.detectors.len()];
            }
            self.missing.push(scan.as_ref().is_none_or(|scan| scan.taken == 0));
            for (i, values) in self.values.iter_mut().enumerate() {
                let own = scan.as_ref().and_then(|scan| scan.values.get(i));
                let own = own.map_or(&[][..], Vec::as_slice);
                let end = values.len() + points;
                values.extend(own.iter().take(points));
                values.resize(end, 0.0);
            }
        }
        if self.firsts[depth].is_none() {
            self.firsts[depth] = scan;
        }
        Ok(())
    }
}

fn axis(scan: Option<&Scan>, fallback: &str, n: usize) -> Axis {
    let found = scan.and_then(|scan| scan.positioners.first().zip(scan.positions.first()));
    match found {
        Some((variable, positions)) if positions.len() >= n => {
            let name = [&variable.description, &variable.name];
            let name = name.into_iter().find(|t| !t.is_empty()).map_or(fallback, |t| t.as_str());
            axis_of_points(name, Unit::parse(&variable.unit), positions[..n].to_vec())
        }
        _ => Axis::index(fallback, n),
    }
}

fn described(scan: &Scan) -> Value {
    let all = |list: &[Variable]| -> Value {
        let one = |v: &Variable| json!([v.name, v.description, v.unit]);
        list.iter().map(one).collect()
    };
    json!({ "name": scan.name, "time": scan.time, "points_taken": scan.taken,
        "positioners": all(&scan.positioners), "detectors": all(&scan.detectors) })
}

fn read(input: &Input) -> Result<(SignalList, Vec<bool>), IoError> {
    let Some(version) = version(input) else {
        return Err(IoError::Unsupported {
            file: input.path().to_owned(),
            field: "saveData version".to_owned(),
            got: format!("{:02x?}", input.head(4)),
            supported: "1.2, 1.3, 1.4".to_owned(),
            hint: "is it an .mda file?",
        });
    };
    let mut parser = Parser { input, at: 4 };
    let number = parser.int("scan number")?;
    let rank = parser.count("rank", 1)?;
    if !(1..=RANKS).contains(&rank) {
        return Err(input.corrupt(8, "rank", format!("1 to {RANKS}"), rank));
    }
    let shape: Vec<usize> =
        (0..rank).map(|_| parser.count("points of a rank", 1)).collect::<Result<_, _>>()?;
    // Every innermost scan that was taken fills the file with its values; the others are few.
    let points = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).unwrap_or(usize::MAX);
    let limit = input.bytes().len().saturating_mul(4);
    if points > limit {
        return Err(input.too_large("points of all ranks", points as u64, limit as u64));
    }
    if points == 0 {
        let found = format!("a scan of {shape:?} points");
        return Err(IoError::NoSpectra { file: input.path().to_owned(), found });
    }
    parser.take(8, "header")?;
    let firsts = (0..rank).map(|_| None).collect();
    let mut gathered =
        Gathered { shape: shape.clone(), firsts, values: Vec::new(), missing: Vec::new() };
    gathered.descend(input, Some(parser.at), 0)?;
    let Gathered { firsts, values, missing, .. } = gathered;

    let names = ["outer", "y", "x"];
    let navigation: Vec<Axis> = (0..rank - 1)
        .map(|depth| {
            let fallback = names[(names.len() + 1 + depth).saturating_sub(rank).min(2)];
            axis(firsts[depth].as_ref(), fallback, shape[depth])
        })
        .collect();
    let innermost = firsts[rank - 1].as_ref();
    let signal_axis = axis(innermost, "channel", shape[rank - 1]);
    let detectors = innermost.map_or(&[][..], |scan| scan.detectors.as_slice());
    let labels = detectors
        .iter()
        .map(|d| if d.description.is_empty() { d.name.clone() } else { d.description.clone() });
    let signals: Vec<Signal> = unique(labels)
        .into_iter()
        .zip(values)
        .map(|(name, values)| Signal {
            navigation: navigation.clone(),
            ..Signal::spectrum(name, signal_axis.clone(), values, Whole::Counts)
        })
        .collect();
    if signals.is_empty() {
        let found = "a scan without detectors".to_owned();
        return Err(IoError::NoSpectra { file: input.path().to_owned(), found });
    }
    let mut diagnostics = Vec::new();
    let lost = missing.iter().filter(|m| **m).count();
    if lost > 0 {
        let message = format!("{lost} of {} lines were not taken; they are masked", missing.len());
        diagnostics.push(Diagnostic::warning(Code::Truncated, message));
    }
    let scans: Vec<Value> = firsts.iter().flatten().map(described).collect();
    let title = firsts.first().and_then(Option::as_ref).map(|scan| scan.name.clone());
    let mut list = SignalList {
        format: "mda",
        version: Some(format!("{version:.1}")),
        signals,
        series: Vec::new(),
        default: 0,
        remark: String::new(),
        vendor: json!({ "scan_number": number, "scans": scans }),
        diagnostics,
    };
    for signal in &mut list.signals {
        signal.metadata = Metadata { title: title.clone(), ..Metadata::default() };
    }
    Ok((list, missing))
}
