//! From ranges to signals.

use crate::{
    Input, IoError, diffraction,
    fields::Fields,
    signal_list::{Series, Signal, SignalList, Whole},
};
use kalpha_core::{Axis, Metadata, Unit};
use serde_json::{Map, Value, json};

/// The version by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
    V3,
    V4,
}

impl Version {
    pub fn of(input: &Input) -> Option<Self> {
        match input.head(8) {
            [b'R', b'A', b'W', b' ', ..] => Some(Self::V1),
            [b'R', b'A', b'W', b'2', ..] => Some(Self::V2),
            [b'R', b'A', b'W', b'1', b'.', b'0', b'1', ..] => Some(Self::V3),
            [b'R', b'A', b'W', b'4', b'.', b'0', b'0', ..] => Some(Self::V4),
            _ => None,
        }
    }
}

/// A range: axis, intensities, what its header says.
struct Range {
    axis: Axis,
    values: Vec<f64>,
    described: Map<String, Value>,
}

/// What a file holds.
#[derive(Default)]
struct Content {
    ranges: Vec<Range>,
    described: Map<String, Value>,
    metadata: Metadata,
}

/// Puts a value under a name, unless it is the code for "unknown".
fn note(map: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
    let value = value.into();
    let unknown = value.as_f64() == Some(-1e6) || value.as_str() == Some("") || value.is_null();
    if !unknown {
        map.insert(name.to_owned(), value);
    }
}

fn two_theta(start: f64, step: f64, n: usize) -> Axis {
    diffraction::stepped("2theta", Unit::Degree2Theta, start, step, n)
}

/// Version 1: ranges of 156 bytes and their points; the last field says whether more follow.
fn version_1(fields: Fields) -> Result<Content, IoError> {
    let mut content = Content::default();
    let mut at = 4;
    loop {
        // Early programs repeat the magic only at the start of the file.
        if !content.ranges.is_empty() && fields.bytes(at, 4, "range")? == b"RAW " {
            at += 4;
        }
        let steps = fields.count(at, "number of steps")?;
        let float = |offset: usize, name: &str| fields.f32(at + offset, name).map(f64::from);
        let (step, start) = (float(8, "step")?, float(20, "start")?);
        let mut described = Map::new();
        note(&mut described, "time_per_step_s", float(4, "time per step")?);
        note(&mut described, "scan_mode", fields.u32(at + 12, "scan mode")?);
        for (offset, name) in [(24, "theta_start"), (28, "khi_start"), (32, "phi_start")] {
            note(&mut described, name, float(offset, name)?);
        }
        let name = fields.text(at + 36, 32, "sample name")?;
        let wavelength = float(68, "K alpha 1")?;
        note(&mut described, "k_alpha_1", wavelength);
        note(&mut described, "k_alpha_2", float(72, "K alpha 2")?);
        if content.ranges.is_empty() {
            content.metadata = Metadata {
                title: Some(name.clone()).filter(|t| !t.is_empty()),
                ..diffraction::metadata(diffraction::wavelength(wavelength))
            };
        }
        note(&mut described, "sample_name", name);
        let following = fields.u32(at + 148, "following range")?;
        let values = fields.f32s(at + 152, steps, 4, "intensities")?;
        at += 152 + 4 * steps;
        content.ranges.push(Range { axis: two_theta(start, step, steps), values, described });
        if following == 0 {
            return Ok(content);
        }
    }
}

/// Version 2: a header of 256 bytes, ranges with headers of stated length.
fn version_2(fields: Fields) -> Result<Content, IoError> {
    let mut content = Content::default();
    let ranges = fields.u16(4, "number of ranges")?;
    let float = |at: usize, name: &str| fields.f32(at, name).map(f64::from);
    let wavelength = float(190, "wavelength 1")?;
    content.metadata = diffraction::metadata(diffraction::wavelength(wavelength));
    note(&mut content.described, "measured", fields.text(168, 20, "date")?);
    note(&mut content.described, "anode", fields.text(188, 2, "anode")?);
    note(&mut content.described, "wavelength_1", wavelength);
    note(&mut content.described, "wavelength_2", float(194, "wavelength 2")?);
    note(&mut content.described, "intensity_ratio", float(198, "intensity ratio")?);
    note(&mut content.described, "total_time_s", float(210, "total time")?);
    let mut at = 256;
    for _ in 0..ranges {
        let header = usize::from(fields.u16(at, "length of the range header")?);
        if header < 48 {
            let input = fields.input();
            return Err(input.corrupt(at as u64, "length of the range header", ">= 48", header));
        }
        let steps = usize::from(fields.u16(at + 2, "number of steps")?);
        let (step, start) = (float(at + 12, "step")?, float(at + 16, "start")?);
        let mut described = Map::new();
        note(&mut described, "time_per_step_s", float(at + 8, "time per step")?);
        note(&mut described, "temperature_K", fields.u16(at + 46, "temperature")?);
        let values = fields.f32s(at + header, steps, 4, "intensities")?;
        at += header + 4 * steps;
        content.ranges.push(Range { axis: two_theta(start, step, steps), values, described });
    }
    Ok(content)
}

/// Version 3: a header of 712 bytes, ranges with headers of 304 bytes and supplements.
fn version_3(fields: Fields) -> Result<Content, IoError> {
    let mut content = Content::default();
    let ranges = fields.count(12, "number of ranges")?;
    for (name, at, n) in [
        ("date", 16, 10),
        ("time", 26, 10),
        ("user", 36, 72),
        ("site", 108, 218),
        ("sample_id", 326, 60),
        ("comment", 386, 160),
        ("anode", 608, 4),
    ] {
        note(&mut content.described, name, fields.text(at, n, name)?);
    }
    for (name, at) in [
        ("alpha_average", 616),
        ("alpha_1", 624),
        ("alpha_2", 632),
        ("beta", 640),
        ("alpha_ratio", 648),
    ] {
        note(&mut content.described, name, fields.f64(at, name)?);
    }
    note(&mut content.described, "measurement_time_s", fields.f32(664, "measurement time")?);
    let wavelength = fields.f64(624, "alpha 1")?;
    content.metadata = Metadata {
        title: content.described.get("sample_id").and_then(Value::as_str).map(str::to_owned),
        ..diffraction::metadata(diffraction::wavelength(wavelength))
    };
    let mut at = 712;
    for _ in 0..ranges {
        let header = fields.count(at, "length of the range header")?;
        if header < 304 {
            let input = fields.input();
            return Err(input.corrupt(at as u64, "length of the range header", ">= 304", header));
        }
        let steps = fields.count(at + 4, "number of steps")?;
        let float = |offset: usize, name: &str| fields.f64(at + offset, name);
        let (theta, start) = (float(8, "start of theta")?, float(16, "start of 2theta")?);
        let step = float(176, "step")?;
        let kind = fields.u32(at + 196, "scan type")?;
        let mut described = Map::new();
        note(&mut described, "start_theta", theta);
        note(&mut described, "start_2theta", start);
        note(&mut described, "scan_type", kind);
        note(&mut described, "time_per_step_s", fields.f32(at + 192, "time per step")?);
        note(&mut described, "generator_kV", fields.u32(at + 224, "generator voltage")?);
        note(&mut described, "generator_mA", fields.u32(at + 228, "generator current")?);
        note(&mut described, "used_wavelength", float(240, "used wavelength")?);
        let supplement = fields.count(at + 256, "length of supplements")?;
        let data = at.saturating_add(header).saturating_add(supplement);
        let values = fields.f32s(data, steps, 4, "intensities")?;
        // A rocking curve turns the sample alone.
        let axis = match kind {
            3 => {
                let unit = Unit::Other("degree".to_owned());
                diffraction::stepped("Omega", unit, theta, step, steps)
            }
            _ => two_theta(start, step, steps),
        };
        at = data + 4 * steps;
        content.ranges.push(Range { axis, values, described });
    }
    Ok(content)
}

/// Version 4: a header of 61 bytes, tagged segments, ranges of 160 bytes with segments.
fn version_4(fields: Fields) -> Result<Content, IoError> {
    /// Segments that start a range.
    const RANGES: [u32; 2] = [0, 160];
    let input = fields.input();
    let mut content = Content::default();
    note(&mut content.described, "date", fields.text(12, 12, "date")?);
    note(&mut content.described, "time", fields.text(24, 10, "time")?);
    let end = input.bytes().len();
    let mut at = 61;
    let segment = |at: usize| -> Result<(u32, usize), IoError> {
        let kind = fields.u32(at, "segment type")?;
        let length = fields.count(at + 4, "segment length")?;
        if length < 8 {
            return Err(input.corrupt(at as u64 + 4, "segment length", ">= 8", length));
        }
        Ok((kind, length))
    };
    while at + 4 <= end && !RANGES.contains(&fields.u32(at, "segment type")?) {
        let (kind, length) = segment(at)?;
        match kind {
            10 if length > 36 => {
                let name = fields.text(at + 12, 24, "name of a variable")?.to_lowercase();
                let value = fields.text(at + 36, length - 36, "variable")?;
                note(&mut content.described, &name, value);
            }
            30 if length >= 120 => {
                for (name, offset) in [
                    ("alpha_average", 72),
                    ("alpha_1", 80),
                    ("alpha_2", 88),
                    ("beta", 96),
                    ("alpha_ratio", 104),
                ] {
                    note(&mut content.described, name, fields.f64(at + offset, name)?);
                }
                note(&mut content.described, "anode", fields.text(at + 116, 4, "anode")?);
            }
            _ => {}
        }
        at = at.saturating_add(length);
    }
    let number = |name: &str| content.described.get(name).and_then(Value::as_f64);
    let wavelength = number("alpha_1").and_then(diffraction::wavelength);
    let title = content.described.get("sampleid").and_then(Value::as_str);
    content.metadata =
        Metadata { title: title.map(str::to_owned), ..diffraction::metadata(wavelength) };
    while at + 160 <= end && RANGES.contains(&fields.u32(at, "segment type")?) {
        let scan = fields.text(at + 32, 24, "scan type")?;
        let (start, step) = (fields.f64(at + 72, "start")?, fields.f64(at + 80, "step")?);
        let steps = fields.count(at + 88, "number of steps")?;
        let datum = fields.count(at + 136, "bytes of a point")?;
        let supplement = fields.count(at + 140, "length of range segments")?;
        if datum < 4 || !datum.is_multiple_of(4) {
            return Err(IoError::Unsupported {
                file: input.path().to_owned(),
                field: "bytes of a point".to_owned(),
                got: datum.to_string(),
                supported: "multiples of 4: 32-bit floats".to_owned(),
                hint: "export the scan as .xy or .uxd",
            });
        }
        let mut described = Map::new();
        note(&mut described, "scan_type", scan.clone());
        note(&mut described, "time_per_step_s", fields.f32(at + 92, "time per step")?);
        note(&mut described, "generator_kV", fields.f32(at + 100, "generator voltage")?);
        note(&mut described, "generator_mA", fields.f32(at + 104, "generator current")?);
        note(&mut described, "used_wavelength", fields.f64(at + 112, "used wavelength")?);
        let data = (at + 160).saturating_add(supplement);
        let mut inside = at + 160;
        while inside.saturating_add(8) <= data.min(end) {
            let (kind, length) = segment(inside)?;
            if kind == 50 && length >= 64 {
                let drive = fields.text(inside + 12, 24, "name of a drive")?;
                let place = fields.f64(inside + 56, "start of a drive")?;
                note(&mut described, &format!("start {drive}"), place);
            }
            inside = inside.saturating_add(length);
        }
        let values = fields.f32s(data, steps, datum, "intensities")?;
        let rocking = scan.to_ascii_lowercase().contains("rocking");
        let axis = match rocking {
            true => {
                let unit = Unit::Other("degree".to_owned());
                diffraction::stepped("Omega", unit, start, step, steps)
            }
            false => two_theta(start, step, steps),
        };
        at = data + datum * steps;
        content.ranges.push(Range { axis, values, described });
    }
    Ok(content)
}

pub(super) fn list(input: &Input) -> Result<SignalList, IoError> {
    let fields = Fields::little_endian(input);
    let version = Version::of(input).ok_or_else(|| {
        let got = String::from_utf8_lossy(input.head(8)).into_owned();
        IoError::Unsupported {
            file: input.path().to_owned(),
            field: "version".to_owned(),
            got,
            supported: "RAW , RAW2, RAW1.01, RAW4.00".to_owned(),
            hint: "export the scan as .xy or .uxd",
        }
    })?;
    let (content, version) = match version {
        Version::V1 => (version_1(fields)?, "1"),
        Version::V2 => (version_2(fields)?, "2"),
        Version::V3 => (version_3(fields)?, "3"),
        Version::V4 => (version_4(fields)?, "4"),
    };
    let mut ranges = content.ranges;
    ranges.retain(|r| !r.values.is_empty());
    if ranges.is_empty() {
        return Err(IoError::NoSpectra {
            file: input.path().to_owned(),
            found: "no range with points".to_owned(),
        });
    }
    let single = ranges.len() == 1;
    let mut described = Vec::new();
    let signals: Vec<Signal> = ranges
        .into_iter()
        .enumerate()
        .map(|(i, range)| {
            let name = if single { "intensity".to_owned() } else { format!("range {}", i + 1) };
            described.push(Value::Object(range.described));
            let mut signal = Signal::spectrum(name, range.axis, range.values, Whole::Counts);
            signal.metadata = content.metadata.clone();
            signal
        })
        .collect();
    let mut series = Vec::new();
    if !single && signals.windows(2).all(|w| w[0].axis == w[1].axis) {
        series.push(Series {
            name: "ranges".to_owned(),
            axis: Axis::index("range", signals.len()),
            members: (0..signals.len()).collect(),
        });
    }
    Ok(SignalList {
        format: "bruker_raw",
        version: Some(version.to_owned()),
        default: if series.is_empty() { 0 } else { signals.len() },
        signals,
        series,
        remark: String::new(),
        vendor: json!({ "file": content.described, "ranges": described }),
        diagnostics: Vec::new(),
    })
}

#[cfg(test)]
mod tests;
