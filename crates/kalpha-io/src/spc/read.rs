//! From subfiles to signals.

use crate::{
    Input, IoError, diffraction,
    fields::Fields,
    signal_list::{Signal, SignalList, Whole, axis_of_points},
    xml,
};
use kalpha_core::{Axis, Metadata, Modality, Unit};
use serde_json::{Map, Value, json};

/// Flags of the first byte.
mod flag {
    /// Ordinates of 16 bits.
    pub const SHORT: u8 = 1;
    /// Several subfiles.
    pub const MULTI: u8 = 4;
    /// Arbitrary z values.
    pub const RANDOM: u8 = 8;
    /// Ordered but uneven z values.
    pub const ORDERED: u8 = 16;
    /// Labels of the axes are text.
    pub const LABELS: u8 = 32;
    /// Each subfile has its own x values.
    pub const OWN_X: u8 = 64;
    /// x values are listed.
    pub const LISTED_X: u8 = 128;
}

/// The exponent that stands for floats.
const FLOATS: i32 = -128;

/// Bytes of a subheader.
const SUBHEADER: usize = 32;

/// What a file holds, and whether its values are stored as floats.
pub(super) struct Content {
    pub list: SignalList,
    pub floats: bool,
}

/// What the header says.
struct Header {
    flags: u8,
    exponent: i32,
    points: usize,
    first: f64,
    last: f64,
    subfiles: usize,
    x_type: u8,
    y_type: u8,
    z_type: u8,
    z_step: f64,
    planes: usize,
    labels: Vec<String>,
    /// Where the first subfile (or the x values) starts.
    data: usize,
    /// Old files store 32-bit words in halves, the high one first.
    old: bool,
    metadata: Metadata,
    vendor: Map<String, Value>,
}

/// Name and unit of a kind of axis.
fn kind(code: u8) -> (&'static str, Unit) {
    let other = |unit: &str| Unit::Other(unit.to_owned());
    match code {
        1 => ("wavenumber", Unit::InverseCentimetre),
        2 => ("wavelength", Unit::Micrometre),
        3 => ("wavelength", Unit::Nanometre),
        4 => ("time", Unit::Second),
        5 => ("time", other("min")),
        6 => ("frequency", other("Hz")),
        7 => ("frequency", other("kHz")),
        8 => ("frequency", other("MHz")),
        9 => ("mass", other("m/z")),
        10 => ("shift", other("ppm")),
        11 => ("time", other("d")),
        12 => ("time", other("a")),
        13 => ("Raman shift", Unit::InverseCentimetre),
        14 => ("Energy", Unit::Ev),
        16 => ("diode", Unit::None),
        17 => ("channel", Unit::None),
        18 => ("angle", other("degree")),
        19 => ("temperature", other("F")),
        20 => ("temperature", other("C")),
        21 => ("temperature", other("K")),
        22 => ("point", Unit::None),
        23 => ("time", other("ms")),
        24 => ("time", other("us")),
        25 => ("time", other("ns")),
        26 => ("frequency", other("GHz")),
        27 => ("length", other("cm")),
        28 => ("length", other("m")),
        29 => ("length", other("mm")),
        30 => ("time", other("h")),
        _ => ("x", Unit::None),
    }
}

fn modality(experiment: u8, x_type: u8) -> Option<Modality> {
    match (experiment, x_type) {
        (8, _) => Some(Modality::Xrd),
        (11, _) | (_, 13) => Some(Modality::Raman),
        _ => None,
    }
}

/// Texts between zeros.
fn labels(bytes: &[u8]) -> Vec<String> {
    bytes.split(|b| *b == 0).map(|l| xml::decode(l).trim().to_owned()).collect()
}

fn new_header(fields: Fields) -> Result<Header, IoError> {
    let flags = fields.bytes(0, 1, "flags")?[0];
    let [experiment, exponent] =
        [fields.bytes(2, 1, "experiment")?[0], fields.bytes(3, 1, "exponent")?[0]];
    let types = fields.bytes(28, 3, "axis types")?;
    let mut vendor = Map::new();
    let mut text = |name: &str, at: usize, n: usize| -> Result<String, IoError> {
        let text = fields.text(at, n, name)?;
        if !text.is_empty() {
            vendor.insert(name.to_owned(), text.clone().into());
        }
        Ok(text)
    };
    text("resolution", 36, 9)?;
    let source = text("source", 45, 9)?;
    let comment = text("comment", 88, 130)?;
    text("method", 264, 48)?;
    let date = fields.u32(32, "date")?;
    if date != 0 {
        // Year, month, day, hour and minute in 12, 4, 5, 5 and 6 bits.
        let [year, month, day] = [date >> 20, (date >> 16) & 15, (date >> 11) & 31];
        let [hour, minute] = [(date >> 6) & 31, date & 63];
        let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}");
        vendor.insert("date".to_owned(), text.into());
    }
    let multi = flags & flag::MULTI != 0;
    let header = Header {
        flags,
        exponent: i32::from(exponent as i8),
        points: fields.count(4, "number of points")?,
        first: fields.f64(8, "first x")?,
        last: fields.f64(16, "last x")?,
        subfiles: if multi { fields.count(24, "number of subfiles")? } else { 1 },
        x_type: types[0],
        y_type: types[1],
        z_type: types[2],
        z_step: fields.f32(312, "z increment")?.into(),
        planes: fields.count(316, "number of planes")?,
        labels: labels(fields.bytes(218, 30, "axis labels")?),
        data: 512,
        old: false,
        metadata: Metadata {
            title: Some(comment).filter(|t| !t.is_empty()),
            instrument: Some(source).filter(|t| !t.is_empty()),
            modality: modality(experiment, types[0]),
            ..Metadata::default()
        },
        vendor,
    };
    Ok(header)
}

fn old_header(input: &Input, fields: Fields) -> Result<Header, IoError> {
    let flags = fields.bytes(0, 1, "flags")?[0];
    let points = fields.f32(4, "number of points")?;
    if !(0.0..=1e9).contains(&points) {
        return Err(input.corrupt(4, "number of points", "a length", points));
    }
    let types = fields.bytes(16, 2, "axis types")?;
    let comment = fields.text(64, 130, "comment")?;
    let mut vendor = Map::new();
    if !comment.is_empty() {
        vendor.insert("comment".to_owned(), comment.clone().into());
    }
    let year = fields.u16(18, "year")?;
    let clock = fields.bytes(20, 4, "date")?;
    if year != 0 {
        let [month, day, hour, minute] = [clock[0], clock[1], clock[2], clock[3]];
        let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}");
        vendor.insert("date".to_owned(), text.into());
    }
    Ok(Header {
        flags,
        exponent: match fields.i16(2, "exponent")? {
            128 => FLOATS,
            exponent => exponent.into(),
        },
        points: points as usize,
        first: fields.f32(8, "first x")?.into(),
        last: fields.f32(12, "last x")?.into(),
        // As many as the file holds.
        subfiles: if flags & flag::MULTI != 0 { usize::MAX } else { 1 },
        x_type: types[0],
        y_type: types[1],
        z_type: 0,
        z_step: 0.0,
        planes: 0,
        labels: labels(fields.bytes(194, 30, "axis labels")?),
        data: 224,
        old: true,
        metadata: Metadata {
            title: Some(comment).filter(|t| !t.is_empty()),
            modality: modality(0, types[0]),
            ..Metadata::default()
        },
        vendor,
    })
}

/// A subfile: own x values (where it has them), ordinates, z, and whether these were floats.
struct Subfile {
    x: Vec<f64>,
    y: Vec<f64>,
    z: f64,
    z_next: f64,
    floats: bool,
    end: usize,
}

fn subfile(input: &Input, fields: Fields, header: &Header, at: usize) -> Result<Subfile, IoError> {
    let own = fields.bytes(at + 1, 1, "exponent of a subfile")?[0] as i8;
    let multi = header.flags & flag::MULTI != 0;
    // The exponent of the file holds where there is but one subfile; floats hold for all.
    let exponent = match (header.exponent, multi) {
        (FLOATS, _) => FLOATS,
        (_, true) => own.into(),
        (exponent, false) => exponent,
    };
    let own_x = header.flags & flag::OWN_X != 0 && header.flags & flag::LISTED_X != 0;
    let points = if own_x { fields.count(at + 16, "points of a subfile")? } else { header.points };
    let mut data = at + SUBHEADER;
    let x = if own_x { fields.f32s(data, points, 4, "x values")? } else { Vec::new() };
    data += 4 * x.len();
    let short = header.flags & flag::SHORT != 0;
    let (y, width) = if exponent == FLOATS {
        (fields.f32s(data, points, 4, "ordinates")?, 4)
    } else {
        let width = if short { 2 } else { 4 };
        let length = points.saturating_mul(width);
        fields.bytes(data, length, "ordinates")?;
        let scale = 2f64.powi(exponent - 8 * width as i32);
        let mut y = Vec::with_capacity(points);
        for i in 0..points {
            let place = data + i * width;
            let whole = match (short, header.old) {
                (true, _) => i32::from(fields.i16(place, "ordinate")?),
                (false, false) => fields.i32(place, "ordinate")?,
                (false, true) => fields.i32(place, "ordinate")?.rotate_left(16),
            };
            y.push(f64::from(whole) * scale);
        }
        (y, width)
    };
    if y.is_empty() {
        return Err(input.corrupt(at as u64, "subfile", "at least one point", "none"));
    }
    Ok(Subfile {
        end: data + points * width,
        x,
        y,
        z: fields.f32(at + 4, "z of a subfile")?.into(),
        z_next: fields.f32(at + 8, "next z of a subfile")?.into(),
        floats: exponent == FLOATS,
    })
}

/// Text lines and sizes of the log.
fn log(fields: Fields) -> Option<Value> {
    let at = fields.count(248, "log").ok().filter(|at| *at >= 512)?;
    let size = fields.count(at, "size of the log").ok()?;
    let start = fields.count(at + 8, "start of the text").ok()?;
    let text = fields.bytes(at.checked_add(start)?, size.checked_sub(start)?, "log").ok()?;
    let end = text.iter().position(|b| *b == 0).unwrap_or(text.len());
    let lines: Vec<String> = xml::decode(&text[..end]).lines().map(str::to_owned).collect();
    (!lines.is_empty()).then(|| lines.into())
}

/// z values: listed where they are uneven, else by their step.
fn z_axis(header: &Header, subfiles: &[Subfile]) -> Axis {
    let (mut name, unit) = kind(header.z_type);
    if name == "x" {
        name = "z";
    }
    let uneven = header.flags & (flag::RANDOM | flag::ORDERED) != 0;
    let listed: Vec<f64> = subfiles.iter().map(|s| s.z).collect();
    let first = listed.first().copied().unwrap_or(0.0);
    let step = match header.z_step {
        0.0 => subfiles.first().map_or(0.0, |s| s.z_next - s.z),
        step => step,
    };
    if uneven || header.planes > 0 || step == 0.0 || !step.is_finite() {
        let ascends = listed.windows(2).any(|w| w[0] != w[1]);
        return if ascends && listed.iter().all(|z| z.is_finite()) {
            axis_of_points(name, unit, listed)
        } else {
            Axis::index("subfile", listed.len())
        };
    }
    diffraction::stepped(name, unit, first, step, listed.len())
}

pub(super) fn content(input: &Input) -> Result<Content, IoError> {
    let unsupported = |got: &str| IoError::Unsupported {
        file: input.path().to_owned(),
        field: "version".to_owned(),
        got: got.to_owned(),
        supported: "4B, 4C (new) and 4D (old)".to_owned(),
        hint: "save the spectrum with Grams, or export it as JCAMP-DX or text",
    };
    let little = Fields::little_endian(input);
    let (fields, mut header, version) = match little.bytes(1, 1, "version")?[0] {
        0x4b => (little, new_header(little)?, "4B"),
        0x4c => {
            let big = Fields::big_endian(input);
            (big, new_header(big)?, "4C")
        }
        0x4d => (little, old_header(input, little)?, "4D"),
        0xcf => return Err(unsupported("CF (Shimadzu)")),
        other => return Err(unsupported(&format!("{other:02X}"))),
    };
    let (mut x_name, unit) = kind(header.x_type);
    let labelled = header.flags & flag::LABELS != 0;
    let label = header.labels.first().filter(|l| labelled && !l.is_empty()).cloned();
    if let Some(label) = &label {
        x_name = label;
    }
    let own_x = header.flags & flag::OWN_X != 0 && header.flags & flag::LISTED_X != 0;
    let mut at = header.data;
    let listed = !own_x && header.flags & flag::LISTED_X != 0 && !header.old;
    let mut x = Vec::new();
    if listed {
        x = fields.f32s(at, header.points, 4, "x values")?;
        at += 4 * x.len();
    }
    let mut subfiles = Vec::new();
    let end = input.bytes().len();
    while subfiles.len() < header.subfiles {
        if header.subfiles == usize::MAX && at + SUBHEADER >= end && !subfiles.is_empty() {
            break;
        }
        let found = subfile(input, fields, &header, at)?;
        at = found.end;
        subfiles.push(found);
    }
    // The number of points is trusted once the ordinates are there.
    let shared = match (own_x, listed) {
        (true, _) => None,
        (false, true) => Some(axis_of_points(x_name, unit.clone(), x)),
        (false, false) => {
            let (first, last, n) = (header.first, header.last, header.points);
            Some(diffraction::spanned(x_name, unit.clone(), first, last, n))
        }
    };
    let floats = subfiles.iter().all(|s| s.floats);
    let whole = if header.y_type == 4 { Whole::Counts } else { Whole::NoCounts };
    if let Some(lines) = log(fields).filter(|_| !header.old) {
        header.vendor.insert("log".to_owned(), lines);
    }
    let vendor = json!({
        "header": header.vendor,
        "x_type": header.x_type,
        "y_type": header.y_type,
        "labels": if labelled { header.labels.clone() } else { Vec::new() },
    });
    let mut signals: Vec<Signal> = Vec::new();
    match shared {
        Some(axis) if subfiles.len() > 1 => {
            let navigation = vec![z_axis(&header, &subfiles)];
            let values = subfiles.iter().flat_map(|s| s.y.iter().copied()).collect();
            let mut signal = Signal::spectrum("spectra", axis, values, whole);
            signal.navigation = navigation;
            signals.push(signal);
        }
        Some(axis) => {
            for s in subfiles {
                signals.push(Signal::spectrum("spectrum", axis.clone(), s.y, whole));
            }
        }
        None => {
            let single = subfiles.len() == 1;
            for (i, s) in subfiles.into_iter().enumerate() {
                let name =
                    if single { "spectrum".to_owned() } else { format!("subfile {}", i + 1) };
                let axis = axis_of_points(x_name, unit.clone(), s.x);
                signals.push(Signal::spectrum(name, axis, s.y, whole));
            }
        }
    }
    if signals.is_empty() {
        return Err(IoError::NoSpectra {
            file: input.path().to_owned(),
            found: "no subfile".to_owned(),
        });
    }
    signals.iter_mut().for_each(|s| s.metadata = header.metadata.clone());
    let list = SignalList {
        format: "spc",
        version: Some(version.to_owned()),
        signals,
        series: Vec::new(),
        default: 0,
        remark: String::new(),
        vendor,
        diagnostics: Vec::new(),
    };
    Ok(Content { list, floats })
}

#[cfg(test)]
mod tests;
