//! From `.rpl` and `.raw` to a dataset.

use crate::{
    Input, IoError,
    dense::{Layout, Prefer, read_dense},
    plain::{Number, NumberKind},
    xml,
};
use kalpha_core::{Axis, Code, Dataset, Diagnostic, Metadata, Modality, Unit};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// The file of the same stem with another extension, in either case.
pub(super) fn companion(path: &Path, extension: &str) -> Option<PathBuf> {
    [extension.to_owned(), extension.to_uppercase()]
        .into_iter()
        .map(|e| path.with_extension(e))
        .find(|p| p.is_file())
}

struct Header {
    keys: Map<String, Value>,
}

impl Header {
    fn parse(text: &str) -> Self {
        let mut keys = Map::new();
        for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with(';')) {
            let end = line.find(char::is_whitespace).unwrap_or(line.len());
            let (key, value) = (line[..end].to_ascii_lowercase(), line[end..].trim());
            // The first line is the heading "key value".
            if key != "key" {
                keys.insert(key, Value::String(value.to_owned()));
            }
        }
        Self { keys }
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.keys.get(key)?.as_str().filter(|t| !t.is_empty())
    }

    fn word(&self, key: &str) -> String {
        self.text(key).unwrap_or_default().to_ascii_lowercase()
    }

    fn number(&self, key: &str) -> Option<f64> {
        self.text(key)?.parse().ok().filter(|x: &f64| x.is_finite())
    }

    fn length(&self, input: &Input, key: &str) -> Result<usize, IoError> {
        let text = self.text(key).unwrap_or("nothing");
        text.parse().map_err(|_| input.corrupt(0, key, "a whole number", text))
    }

    fn data_type(&self, input: &Input) -> Result<Number, IoError> {
        let width = self.length(input, "data-length")?;
        let kind = match self.word("data-type").as_str() {
            "unsigned" => Some(NumberKind::Unsigned),
            "signed" => Some(NumberKind::Signed),
            "float" => Some(NumberKind::Float),
            _ => None,
        };
        let big_endian = self.word("byte-order") == "big-endian";
        kind.and_then(|kind| Number::new(kind, width, big_endian)).ok_or_else(|| {
            IoError::Unsupported {
                file: input.path().to_owned(),
                field: "data-type and data-length".to_owned(),
                got: format!("{} of {width} bytes", self.word("data-type")),
                supported: "signed, unsigned (1, 2, 4, 8 bytes), float (4, 8)".to_owned(),
                hint: "export the cube again in one of these",
            }
        })
    }

    fn metadata(&self) -> Metadata {
        let positive = |key| self.number(key).filter(|x| *x > 0.0);
        let signal = self.word("signal");
        let energy = self.energy_step().is_some();
        Metadata {
            title: self.text("title").map(str::to_owned),
            modality: match signal.as_str() {
                s if s.starts_with("eds") => Some(Modality::Eds),
                "" if energy => Some(Modality::Eds),
                s => s.parse().ok(),
            },
            beam_energy_kev: positive("beam-energy"),
            live_time_s: positive("live-time"),
            real_time_s: positive("real-time"),
            elevation_angle: self.number("elevation-angle"),
            azimuth_angle: self.number("azimuth-angle"),
            tilt_stage: self.number("tilt-stage"),
            energy_resolution_mn_ka_ev: positive("detector-peak-width-ev"),
            ..Metadata::default()
        }
    }

    /// Channel width in eV, by the key of INCA and DTSA-II.
    fn energy_step(&self) -> Option<f64> {
        self.number("ev-per-chan").filter(|x| *x > 0.0)
    }

    /// The axis along `key`, and whether the file calibrates it.
    fn axis(&self, input: &Input, key: &str, name: &str, n: usize) -> (Axis, bool) {
        let get = |what: &str| format!("{key}-{what}");
        let unit = self.text(&get("units")).map_or(Unit::None, Unit::parse);
        let stated = self.text(&get("name")).unwrap_or(name);
        let name = if matches!(unit, Unit::Ev | Unit::KeV) { "Energy" } else { stated };
        match self.number(&get("scale")).filter(|s| *s != 0.0) {
            Some(scale) => {
                let offset = self.number(&get("origin")).unwrap_or(0.0);
                (input.axis(name, unit, offset, scale, n).0, true)
            }
            None => (Axis::index(name, n), false),
        }
    }
}

pub(super) fn read(opened: &Input) -> Result<Dataset, IoError> {
    let is_header = opened.extension() != "raw";
    let wanted = if is_header { "raw" } else { "rpl" };
    let other = companion(opened.path(), wanted).ok_or_else(|| IoError::Companion {
        file: opened.path().to_owned(),
        needed: opened.path().with_extension(wanted),
    })?;
    let other = Input::open(&other)?;
    let (input, raw) = if is_header { (opened, &other) } else { (&other, opened) };

    // A header is a page of text; more is something else.
    let header = Header::parse(&xml::decode(input.head(1 << 20)));
    let (width, height) = (header.length(input, "width")?, header.length(input, "height")?);
    let depth = header.length(input, "depth")?;
    let number = header.data_type(input)?;
    let offset = if header.text("offset").is_some() { header.length(input, "offset")? } else { 0 };
    let image = match header.word("record-by").as_str() {
        "vector" => false,
        "image" => true,
        _ if depth <= 1 || width.saturating_mul(height) <= 1 => false,
        other => {
            let expected = "vector or image";
            return Err(input.corrupt(0, "record-by", expected, other));
        }
    };
    let mut diagnostics = Vec::new();
    let mut navigation = Vec::new();
    for (key, name, n) in [("height", "y", height), ("width", "x", width)] {
        navigation.push(header.axis(input, key, name, n).0);
    }
    let signal = match header.axis(input, "depth", "Energy", depth) {
        (axis, true) => axis,
        (index, false) => match header.energy_step() {
            Some(step) => {
                let message = "the file gives no energy of channel 0; 0 eV was taken";
                diagnostics.push(
                    Diagnostic::warning(Code::Assumed, message)
                        .hint("--energy-axis OFFSET,SCALE,UNIT gives another"),
                );
                input.axis("Energy", Unit::KeV, 0.0, step * 1e-3, depth).0
            }
            None => {
                let message = "the header gives no depth-scale: channels are numbered";
                diagnostics.push(
                    Diagnostic::warning(Code::MissingMetadata, message)
                        .hint("--energy-axis OFFSET,SCALE,UNIT gives it"),
                );
                index
            }
        },
    };
    let layout = if image {
        Layout::strided(number, offset, vec![width, 1, width.saturating_mul(height)])
    } else {
        Layout::contiguous(number, offset)
    };
    let gathered = read_dense(raw, &layout, navigation, signal, Prefer::Sparse)?.gathered;
    diagnostics.extend(gathered.diagnostics);
    let mut source = raw.source("rpl", None);
    source.dtype = Some(number.dtype());
    source.path = opened.path().to_string_lossy().into_owned();
    Ok(Dataset {
        rows: gathered.rows,
        metadata: header.metadata(),
        vendor: Value::Object(header.keys),
        mask: None,
        source,
        diagnostics,
    })
}
