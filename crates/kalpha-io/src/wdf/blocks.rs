//! The blocks of a `.wdf`.
//!
//! A block is a 4-byte name, u32 number, u64 size (these 16 bytes included), and content.
//!
//! | block | content |
//! |---|---|
//! | WDF1 | byte 60 u32 points, 64 u64 spectra planned, 72 u64 spectra taken, 80 u32 accumulations, 96 program, 120 4 x u16 version, 128 u32 scan type, 132 u32 measurement type, 136 and 144 u64 start and end, 152 u32 unit of the intensities, 156 f32 wavenumber of the laser in cm-1, 208 user, 240 title |
//! | DATA | f32 per spectrum and point |
//! | XLST, YLST | u32 kind, u32 unit, f32 per point |
//! | ORGN | u32 number of lists; each u32 kind (highest bit: an axis of the measurement), u32 unit, 16-byte label, 8 bytes per planned spectrum (f64; for times u64 of 100 ns since 1601) |
//! | WMAP | u32 flags, u32, 3 f32 start, 3 f32 step, 3 u32 size, u32 length of the line focus |
//! | TEXT | comment |

use crate::{Input, IoError};
use kalpha_core::Unit;
use serde_json::{Map, Value, json};

const HEADER: usize = 512;

/// Spectra run along a line in the plane.
pub(super) const LINE: u32 = 128;
/// Points run down the columns.
pub(super) const COLUMN_MAJOR: u32 = 2;
/// Positions are in no grid.
pub(super) const RANDOM: u32 = 1;

/// One list of `ORGN`.
#[derive(Debug)]
pub(super) struct Origin {
    pub kind: u32,
    /// An axis of the measurement.
    pub axis: bool,
    pub unit: Unit,
    pub label: String,
    /// One value per spectrum; times in seconds since the first.
    pub values: Vec<f64>,
}

/// `WMAP`.
#[derive(Debug)]
pub(super) struct Grid {
    pub flags: u32,
    pub start: [f32; 3],
    pub step: [f32; 3],
    pub size: [u32; 3],
}

/// What the blocks say.
#[derive(Debug)]
pub(super) struct Content {
    pub points: usize,
    /// Spectra planned.
    pub capacity: usize,
    /// Spectra taken.
    pub count: usize,
    pub version: String,
    pub intensity_unit: u32,
    /// First byte of the intensities, and how many spectra the block holds.
    pub data: usize,
    pub held: usize,
    pub shifts: Vec<f64>,
    pub shift_unit: Unit,
    pub origins: Vec<Origin>,
    pub grid: Option<Grid>,
    pub laser_wavelength_nm: Option<f64>,
    pub title: String,
    pub vendor: Value,
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn f32_at(bytes: &[u8], at: usize) -> Option<f32> {
    u32_at(bytes, at).map(f32::from_bits)
}

fn f32s(bytes: &[u8]) -> Vec<f64> {
    let (values, _) = bytes.as_chunks::<4>();
    values.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect()
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).trim().to_owned()
}

/// The unit that a number stands for.
fn unit(code: u32) -> Unit {
    match code {
        1 => Unit::InverseCentimetre,
        3 => Unit::Nanometre,
        4 => Unit::Ev,
        5 => Unit::Micrometre,
        8 => Unit::parse("mm"),
        9 => Unit::parse("m"),
        10 => Unit::parse("K"),
        11 => Unit::parse("Pa"),
        12 | 24 => Unit::Second,
        13 => Unit::parse("ms"),
        14 => Unit::parse("h"),
        15 => Unit::parse("d"),
        19 => Unit::parse("degree"),
        20 => Unit::parse("rad"),
        21 => Unit::parse("degree C"),
        22 => Unit::parse("degree F"),
        23 => Unit::parse("K/min"),
        _ => Unit::None,
    }
}

/// Name of a block, first byte of its content, content.
type Block<'a> = (String, usize, &'a [u8]);

fn blocks(input: &Input) -> Result<Vec<Block<'_>>, IoError> {
    let bytes: &[u8] = input.bytes();
    let mut found = Vec::new();
    let mut at = 0usize;
    while at < bytes.len() {
        let name = bytes.get(at..at + 4).map(|n| String::from_utf8_lossy(n).into_owned());
        let size = u64_at(bytes, at + 8).and_then(|n| usize::try_from(n).ok());
        let (Some(name), Some(size)) = (name, size) else {
            // A few bytes behind the last block are no block.
            break;
        };
        let end = at.checked_add(size).filter(|end| *end <= bytes.len());
        let Some(end) = end.filter(|_| size >= 16) else {
            let expected = format!("16 to {} bytes", bytes.len() - at);
            return Err(input.corrupt(at as u64 + 8, format!("block {name}"), expected, size));
        };
        found.push((name, at + 16, &bytes[at + 16..end]));
        at = end;
    }
    Ok(found)
}

fn origins(
    input: &Input,
    at: usize,
    block: &[u8],
    capacity: usize,
) -> Result<Vec<Origin>, IoError> {
    let n = u32_at(block, 0).unwrap_or(0) as usize;
    let each = capacity.checked_mul(8).and_then(|n| n.checked_add(24));
    let fits = each.and_then(|each| n.checked_mul(each)?.checked_add(4));
    let (Some(each), Some(_)) = (each, fits.filter(|size| *size <= block.len())) else {
        let expected = format!("{} bytes hold them", block.len());
        let got = format!("{n} lists of {capacity} values");
        return Err(input.corrupt(at as u64, "ORGN", expected, got));
    };
    let mut found = Vec::new();
    for list in block[4..].chunks_exact(each).take(n) {
        let (Some(kind), Some(code)) = (u32_at(list, 0), u32_at(list, 4)) else { break };
        let (values, _) = list[24..].as_chunks::<8>();
        let values = if code == 24 {
            let ticks = |b: &[u8; 8]| u64::from_le_bytes(*b);
            let first = values.first().map_or(0, ticks);
            let seconds = |b| (i128::from(ticks(b)) - i128::from(first)) as f64 * 1e-7;
            values.iter().map(seconds).collect()
        } else {
            values.iter().map(|b| f64::from_le_bytes(*b)).collect()
        };
        let (axis, kind) = (kind >> 31 == 1, kind & 0x7fff_ffff);
        found.push(Origin { kind, axis, unit: unit(code), label: text(&list[8..24]), values });
    }
    Ok(found)
}

/// Reads all blocks but the intensities.
pub(super) fn read(input: &Input) -> Result<Content, IoError> {
    let all = blocks(input)?;
    let first = all.first().filter(|(name, ..)| name == "WDF1");
    let header = first.and(input.bytes().get(..HEADER)).ok_or_else(|| {
        let expected = "WDF1 and 512 bytes of header";
        input.corrupt(0, "block", expected, format!("{:02x?}", input.head(4)))
    })?;
    let field = |at| u32_at(header, at).unwrap_or(0);
    let long = |at| u64_at(header, at).unwrap_or(0);
    let size = |at, name| {
        usize::try_from(long(at)).map_err(|_| input.corrupt(at as u64, name, "64 bits", long(at)))
    };
    let (points, capacity) = (field(60) as usize, size(64, "spectra planned")?);
    let count = size(72, "spectra taken")?;
    let find = |name: &str| all.iter().find(|(n, ..)| n == name).map(|(_, at, b)| (*at, *b));
    let (data, intensities) = find("DATA").ok_or_else(|| IoError::NoSpectra {
        file: input.path().to_owned(),
        found: "no DATA block".to_owned(),
    })?;
    if points == 0 || count == 0 {
        let found = format!("{count} spectra of {points} points");
        return Err(IoError::NoSpectra { file: input.path().to_owned(), found });
    }
    let held = intensities.len() / 4 / points;
    if count > held || count > capacity {
        let expected = format!("at most {} spectra", held.min(capacity));
        return Err(input.corrupt(72, "spectra taken", expected, count));
    }
    let (shift_unit, shifts) = match find("XLST") {
        Some((at, list)) => {
            let shifts = f32s(list.get(8..).unwrap_or_default());
            if shifts.len() < points {
                let expected = format!("{points} values");
                return Err(input.corrupt(at as u64, "XLST", expected, shifts.len()));
            }
            let code = u32_at(list, 4).unwrap_or(0);
            (unit(code), shifts[..points].to_vec())
        }
        None => (Unit::None, Vec::new()),
    };
    let origins = match find("ORGN") {
        Some((at, list)) => origins(input, at, list, capacity)?,
        None => Vec::new(),
    };
    let grid = find("WMAP").and_then(|(_, map)| {
        let three = |at| Some([f32_at(map, at)?, f32_at(map, at + 4)?, f32_at(map, at + 8)?]);
        let size = [u32_at(map, 32)?, u32_at(map, 36)?, u32_at(map, 40)?];
        Some(Grid { flags: u32_at(map, 0)?, start: three(8)?, step: three(20)?, size })
    });
    let parts: Vec<String> = (0..4)
        .map(|i| u16::from_le_bytes([header[120 + 2 * i], header[121 + 2 * i]]).to_string())
        .collect();
    let wavenumber = f32_at(header, 156).map(f64::from).filter(|w| *w > 0.0 && w.is_finite());
    let mut vendor = Map::new();
    let header_json = json!({
        "points": points, "spectra_planned": capacity, "spectra_taken": count,
        "accumulations": field(80), "program": text(&header[96..120]),
        "version": parts.join("."), "scan_type": field(128), "measurement_type": field(132),
        "start": long(136), "end": long(144), "intensity_unit": field(152),
        "laser_wavenumber": wavenumber, "user": text(&header[208..240]),
        "title": text(&header[240..400]),
    });
    vendor.insert("WDF1".to_owned(), header_json);
    if let Some((_, comment)) = find("TEXT") {
        vendor.insert("TEXT".to_owned(), text(comment).into());
    }
    if let Some(grid) = &grid {
        let grid = json!({ "flags": grid.flags, "start": grid.start, "step": grid.step,
            "size": grid.size });
        vendor.insert("WMAP".to_owned(), grid);
    }
    let names: Vec<Value> = all.iter().map(|(n, at, b)| json!([n, at, b.len()])).collect();
    vendor.insert("blocks".to_owned(), names.into());
    Ok(Content {
        points,
        capacity,
        count,
        version: parts.join("."),
        intensity_unit: field(152),
        data,
        held,
        shifts,
        shift_unit,
        origins,
        grid,
        laser_wavelength_nm: wavenumber.map(|w| 1e7 / w),
        title: text(&header[240..400]),
        vendor: Value::Object(vendor),
    })
}
