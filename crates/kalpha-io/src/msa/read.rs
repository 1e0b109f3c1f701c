//! From a `.msa` to a dataset.

use crate::{
    Input, IoError,
    gather::{Block, Gather},
    xml,
};
use kalpha_core::{Axis, Code, Dataset, Diagnostic, Metadata, Modality, Unit};
use serde_json::{Map, Value};

/// Where the first column of `XY` data departs by more channels from the stated axis, it is
/// the axis.
const OFF_AXIS: f64 = 0.05;

/// Keywords with their values, and the numbers of the spectrum.
struct Content {
    keywords: Map<String, Value>,
    numbers: Vec<f64>,
    ended: bool,
}

/// Keyword and value of a `#` line; the unit behind the keyword is left to the vendor tree.
fn keyword(line: &str) -> Option<(String, String)> {
    let (key, value) = line.strip_prefix('#')?.split_once(':')?;
    let key = key.trim_start_matches('#').trim();
    let end = key.find(|c: char| c == '-' || c.is_whitespace()).unwrap_or(key.len());
    Some((key[..end].to_ascii_uppercase(), value.trim().to_owned()))
}

fn parse(input: &Input, text: &str) -> Result<Content, IoError> {
    let mut content = Content { keywords: Map::new(), numbers: Vec::new(), ended: false };
    let (mut in_spectrum, mut offset) = (false, 0u64);
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        if let Some((key, value)) = keyword(trimmed) {
            match key.as_str() {
                "SPECTRUM" => in_spectrum = true,
                "ENDOFDATA" => {
                    content.ended = true;
                    break;
                }
                _ => {
                    let value = Value::String(value);
                    match content.keywords.get_mut(&key) {
                        None => {
                            content.keywords.insert(key, value);
                        }
                        Some(Value::Array(list)) => list.push(value),
                        Some(first) => *first = Value::Array(vec![first.take(), value]),
                    }
                }
            }
        } else if in_spectrum {
            for word in trimmed.split([',', ' ', '\t', ';']).filter(|w| !w.is_empty()) {
                let number = word.parse().map_err(|_| {
                    input.corrupt(offset, "spectrum", "a number", format!("{word:.40}"))
                })?;
                content.numbers.push(number);
            }
        }
        offset += line.len() as u64;
    }
    if !in_spectrum {
        return Err(input.corrupt(offset, "#SPECTRUM", "a line that starts the data", "none"));
    }
    // Without an end the last number may have lost digits.
    if !content.ended && !text.ends_with('\n') {
        return Err(input.corrupt(offset, "#ENDOFDATA", "a line that ends the data", "none"));
    }
    Ok(content)
}

impl Content {
    fn text(&self, key: &str) -> Option<&str> {
        let value = match self.keywords.get(key)? {
            Value::Array(list) => list.last()?,
            value => value,
        };
        value.as_str().filter(|t| !t.is_empty())
    }

    fn number(&self, key: &str) -> Option<f64> {
        let text = self.text(key)?;
        let text = text.split_whitespace().next()?.trim_end_matches('.');
        text.parse().ok().filter(|x: &f64| x.is_finite())
    }

    fn positive(&self, key: &str) -> Option<f64> {
        self.number(key).filter(|x| *x > 0.0)
    }

    fn metadata(&self) -> Metadata {
        Metadata {
            title: self.text("TITLE").map(str::to_owned),
            modality: match self.text("SIGNALTYPE").unwrap_or_default() {
                "EDS" => Some(Modality::Eds),
                "ELS" => Some(Modality::Eels),
                "XRF" => Some(Modality::Xrf),
                "PES" => Some(Modality::Xps),
                _ => None,
            },
            beam_energy_kev: self.positive("BEAMKV"),
            beam_current_na: self.positive("PROBECUR"),
            live_time_s: self.positive("LIVETIME"),
            real_time_s: self.positive("REALTIME"),
            elevation_angle: self.number("ELEVANGLE"),
            azimuth_angle: self.number("AZIMANGLE"),
            tilt_stage: self.number("XTILTSTGE"),
            thickness_nm: self.positive("THICKNESS"),
            detector: self.text("EDSDET").map(str::to_owned),
            ..Metadata::default()
        }
    }
}

/// The stated axis, or the first column where it says otherwise.
fn signal_axis(
    input: &Input,
    content: &Content,
    x: Option<&[f64]>,
    n: usize,
    diagnostics: &mut Vec<Diagnostic>,
) -> Axis {
    let unit = content.text("XUNITS").map_or(Unit::None, Unit::parse);
    let name = match unit {
        Unit::Ev | Unit::KeV => "Energy",
        _ => content.text("XLABEL").unwrap_or("channel"),
    };
    let stated = content.number("OFFSET").unwrap_or(0.0);
    let scale = content.number("XPERCHAN").filter(|s| *s != 0.0);
    let departs = |x: &[f64], scale: f64| {
        let line = |i: usize| stated + scale * i as f64;
        x.iter().enumerate().any(|(i, x)| ((x - line(i)) / scale).abs() > OFF_AXIS)
    };
    match (x, scale) {
        (Some(x), Some(scale)) if departs(x, scale) => {
            let message = "the first column departs from OFFSET and XPERCHAN; it is the axis";
            diagnostics.push(Diagnostic::warning(Code::VendorDisagrees, message));
            Axis::values(name, unit, x.to_vec())
        }
        (Some(x), None) => Axis::values(name, unit, x.to_vec()),
        (_, Some(scale)) => input.axis(name, unit, stated, scale, n).0,
        (None, None) => {
            let message = "the file gives no XPERCHAN: channels are numbered";
            diagnostics.push(
                Diagnostic::warning(Code::MissingMetadata, message)
                    .hint("--energy-axis OFFSET,SCALE,UNIT gives it"),
            );
            Axis::index("channel", n)
        }
    }
}

pub(super) fn read(input: &Input) -> Result<Dataset, IoError> {
    let text = xml::decode(input.bytes());
    let content = parse(input, &text)?;
    let pairs = content.text("DATATYPE").is_some_and(|t| t.to_ascii_uppercase().starts_with("XY"));
    let (x, y): (Option<Vec<f64>>, Vec<f64>) = if pairs {
        let (pairs, rest) = content.numbers.as_chunks::<2>();
        if !rest.is_empty() {
            let got = content.numbers.len();
            return Err(input.corrupt(0, "spectrum", "pairs of numbers", format!("{got} numbers")));
        }
        (Some(pairs.iter().map(|p| p[0]).collect()), pairs.iter().map(|p| p[1]).collect())
    } else {
        (None, content.numbers.clone())
    };
    let mut diagnostics = Vec::new();
    let points = content.positive("NPOINTS").map_or(y.len(), |n| n as usize);
    if y.len() < points || y.is_empty() {
        let end = input.bytes().len() as u64;
        return Err(input.corrupt(end, "spectrum", format!("{points} values"), y.len()));
    }
    if y.len() > points {
        let message = format!("NPOINTS states {points}, {} values follow; all were kept", y.len());
        diagnostics.push(Diagnostic::warning(Code::VendorDisagrees, message));
    }
    if !content.ended {
        let message = "the file has no #ENDOFDATA; values may be missing";
        diagnostics.push(Diagnostic::warning(Code::Truncated, message));
    }
    let axis = signal_axis(input, &content, x.as_deref(), y.len(), &mut diagnostics);
    let mut gather = Gather::new(1, y.len());
    gather.push(Block::F64(&y));
    let gathered = gather.finish(Vec::new(), axis).map_err(|e| input.rows_error(e))?;
    // Text has no integers: whole numbers are what counts look like here.
    diagnostics.extend(
        gathered
            .diagnostics
            .into_iter()
            .filter(|d| d.code != Code::Assumed || !gathered.rows.meta().noise.is_counts()),
    );
    let metadata = content.metadata();
    let version = content.text("VERSION").map(str::to_owned);
    Ok(Dataset {
        rows: gathered.rows,
        metadata,
        vendor: Value::Object(content.keywords),
        mask: None,
        source: input.source("msa", version),
        diagnostics,
    })
}
