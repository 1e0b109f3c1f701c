//! From the blocks of a `.wdf` to a dataset.

use super::blocks::{self, COLUMN_MAJOR, Content, Grid, LINE, Origin, RANDOM};
use crate::{
    Input, IoError,
    dense::{Layout, read_as_stored},
    plain::{Number, NumberKind},
    signal_list::axis_of_points,
};
use kalpha_core::{
    Axis, Code, Dataset, DenseRows, DenseValues, Diagnostic, Metadata, Modality, NoiseModel, Rows,
    RowsMeta, Source, Unit,
};
use serde_json::Value;
use std::sync::Arc;

const FLOAT: Number = Number { kind: NumberKind::Float, width: 4, big_endian: false };

/// Kinds of lists that say where a spectrum was taken.
const X: u32 = 3;
const Y: u32 = 4;
const Z: u32 = 5;

/// Where the spectra stand.
struct Placed {
    navigation: Vec<Axis>,
    order: Order,
    diagnostics: Vec<Diagnostic>,
}

enum Order {
    /// Steps, in spectra, along each navigation axis.
    Strides(Vec<usize>),
    /// Row at which each spectrum stands.
    Rows(Vec<usize>),
}

fn origin(content: &Content, kind: u32) -> Option<&Origin> {
    content.origins.iter().find(|o| o.kind == kind)
}

fn list(axis: Axis) -> Placed {
    Placed { navigation: vec![axis], order: Order::Strides(vec![1]), diagnostics: Vec::new() }
}

/// A series in time, depth, temperature ..: one axis, the list that is marked as such.
fn series(content: &Content) -> Placed {
    // Times and flags are written always; another quantity is what was varied.
    let marked = || content.origins.iter().filter(|o| o.axis);
    let Some(varied) = marked().find(|o| varies(o)).or_else(|| marked().next()) else {
        return list(Axis::index("spectrum", content.count));
    };
    let name = match varied.kind {
        X => "x".to_owned(),
        Y => "y".to_owned(),
        Z => "z".to_owned(),
        11 | 18 => "time".to_owned(),
        _ if varied.label.is_empty() => "spectrum".to_owned(),
        _ => varied.label.clone(),
    };
    let points = varied.values[..content.count].to_vec();
    list(axis_of_points(&name, varied.unit.clone(), points))
}

fn varies(origin: &Origin) -> bool {
    origin.values.windows(2).any(|pair| pair[0] != pair[1])
}

/// The indices of each spectrum in the grid; none where positions and grid disagree.
fn cells(content: &Content, grid: &Grid, size: [usize; 3]) -> Option<Vec<usize>> {
    let mut rows = vec![0usize; content.count];
    // Slowest first.
    for (kind, i) in [(Z, 2), (Y, 1), (X, 0)] {
        let (n, start, step) = (size[i], f64::from(grid.start[i]), f64::from(grid.step[i]));
        if n == 1 {
            continue;
        }
        let origin = origin(content, kind)?;
        for (row, position) in rows.iter_mut().zip(&origin.values) {
            let index = (position - start) / step;
            // Stages stop next to where they should.
            if (index - index.round()).abs() > 0.25 || index.round() < 0.0 {
                return None;
            }
            let index = index.round() as usize;
            *row = (index < n).then(|| *row * n + index)?;
        }
    }
    let mut seen = vec![false; size.iter().product()];
    let once = rows.iter().all(|&row| !std::mem::replace(&mut seen[row], true));
    once.then_some(rows)
}

/// Steps along (z, y, x) that give `rows`, where it is regular and complete.
fn strides(rows: &[usize], size: [usize; 3]) -> Option<Vec<usize>> {
    let [x, y, z] = size;
    let row_major = || rows.iter().enumerate().all(|(i, &row)| i == row);
    let column_major = || {
        let place = |i: usize| (i / (x * y)) * x * y + (i % y) * x + (i / y) % x;
        rows.iter().enumerate().all(|(i, &row)| place(i) == row)
    };
    if rows.len() != x * y * z {
        None
    } else if row_major() {
        Some(vec![x * y, x, 1])
    } else if column_major() {
        Some(vec![x * y, 1, y])
    } else {
        None
    }
}

/// A map: the grid of `WMAP`, filled by the positions.
fn map(input: &Input, content: &Content, grid: &Grid) -> Placed {
    let size = grid.size.map(|n| n.max(1) as usize);
    let unit = origin(content, X).map_or(Unit::Micrometre, |o| o.unit.clone());
    let planned = size.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    if grid.flags & LINE != 0 {
        // The file keeps steps in f32; so is their length.
        let [x, y, z] = grid.step;
        let dimensions = [size[0] > 1 && x != 0.0, y != 0.0, z != 0.0 && size[2] > 1];
        let squares = [x * x, y * y, z * z].into_iter().zip(dimensions);
        let step = squares.filter(|(_, used)| *used).map(|(s, _)| s).sum::<f32>().sqrt();
        return list(input.axis("distance", unit, 0.0, f64::from(step), content.count).0);
    }
    let unknown = |why: String| {
        let mut placed = list(Axis::index("point", content.count));
        let message = format!("{why}: spectra are listed in the order of the file");
        placed.diagnostics.push(Diagnostic::warning(Code::MissingMetadata, message));
        placed
    };
    if grid.flags & RANDOM != 0 {
        return unknown("the points of this map are in no grid".to_owned());
    }
    if planned.is_none_or(|n| n != content.capacity) || content.capacity > content.held {
        let (size, n) = (grid.size, content.capacity);
        return unknown(format!("a grid of {size:?} points does not hold {n} spectra"));
    }
    let mut diagnostics = Vec::new();
    let rows = cells(content, grid, size).unwrap_or_else(|| {
        let message = "positions do not fit the grid of the map; its order was taken instead";
        diagnostics.push(Diagnostic::warning(Code::VendorDisagrees, message));
        let [x, y, _] = size;
        let place = |i: usize| match grid.flags & COLUMN_MAJOR {
            0 => i,
            _ => (i / (x * y)) * x * y + (i % y) * x + (i / y) % x,
        };
        (0..content.count).map(place).collect()
    });
    let mut navigation = Vec::new();
    let mut used = Vec::new();
    for (place, (name, i)) in [("z", 2), ("y", 1), ("x", 0)].into_iter().enumerate() {
        if size[i] > 1 || name == "x" {
            let (start, step) = (f64::from(grid.start[i]), f64::from(grid.step[i]));
            navigation.push(input.axis(name, unit.clone(), start, step, size[i]).0);
            used.push(place);
        }
    }
    let order = match strides(&rows, size) {
        Some(all) => Order::Strides(used.iter().map(|&place| all[place]).collect()),
        None => Order::Rows(rows),
    };
    Placed { navigation, order, diagnostics }
}

/// Rows, and which of them must not be used.
type Masked = (Rows, Option<Arc<[bool]>>);

/// Spectra put where they stand; rows that were not measured are zero and masked.
fn rearranged(
    input: &Input,
    content: &Content,
    rows: &[usize],
    navigation: Vec<Axis>,
    signal: Axis,
) -> Result<Masked, IoError> {
    let (n, points) = (content.capacity, content.points);
    let mut values = vec![0f32; n * points];
    let mut masked = vec![true; n];
    let spectra = input.bytes()[content.data..].chunks_exact(4 * points);
    for (spectrum, &row) in spectra.zip(rows) {
        let (bytes, _) = spectrum.as_chunks::<4>();
        let place = &mut values[row * points..(row + 1) * points];
        place.iter_mut().zip(bytes).for_each(|(x, b)| *x = f32::from_le_bytes(*b));
        masked[row] = false;
    }
    let noise = NoiseModel::Unknown;
    let dtype = kalpha_core::DType::F32;
    let meta = RowsMeta { rows: n, channels: points, dtype, navigation, signal, noise };
    let rows = DenseRows::new(meta, DenseValues::F32(values.into()));
    let mask = masked.contains(&true).then(|| masked.into());
    Ok((Arc::new(rows.map_err(|e| input.rows_error(e))?), mask))
}

pub(super) fn read(input: &Input) -> Result<Dataset, IoError> {
    let mut content = blocks::read(input)?;
    let mut diagnostics = Vec::new();
    let signal = if content.shifts.is_empty() {
        let message = "the file has no XLST block: channels are numbered";
        diagnostics.push(Diagnostic::warning(Code::MissingMetadata, message));
        Axis::index("Raman shift", content.points)
    } else {
        let name = match content.shift_unit {
            Unit::InverseCentimetre => "Raman shift",
            Unit::Nanometre => "wavelength",
            Unit::Ev => "Energy",
            _ => "shift",
        };
        Axis::values(name, content.shift_unit.clone(), std::mem::take(&mut content.shifts))
    };
    let placed = match &content.grid {
        _ if content.count == 1 && content.capacity == 1 => Placed {
            navigation: Vec::new(),
            order: Order::Strides(Vec::new()),
            diagnostics: Vec::new(),
        },
        Some(grid) => map(input, &content, grid),
        None => series(&content),
    };
    diagnostics.extend(placed.diagnostics);
    if content.count < content.capacity {
        let (taken, planned) = (content.count, content.capacity);
        let message = format!("{taken} of {planned} planned spectra were taken");
        diagnostics.push(Diagnostic::warning(Code::Truncated, message));
    }
    // Electrons of a camera after its corrections; 6 and 7 are the codes of counts, electrons.
    let message = match content.intensity_unit {
        6 => "camera counts are not events: their noise is unknown",
        _ => "the values are intensities: their noise is unknown",
    };
    diagnostics.push(Diagnostic::note(Code::Assumed, message));
    let (rows, mask) = match placed.order {
        Order::Strides(steps) => {
            let steps = steps.iter().map(|n| n.saturating_mul(content.points));
            let layout = Layout::strided(FLOAT, content.data, steps.chain([1]).collect());
            let noise = NoiseModel::Unknown;
            (read_as_stored(input, &layout, placed.navigation, signal, noise)?, None)
        }
        Order::Rows(rows) => rearranged(input, &content, &rows, placed.navigation, signal)?,
    };
    let mut vendor = std::mem::take(&mut content.vendor);
    if let Value::Object(vendor) = &mut vendor {
        let lists = content.origins.iter().map(|o| {
            let name = if o.label.is_empty() { o.kind.to_string() } else { o.label.clone() };
            (name, o.values.iter().copied().map(Value::from).collect())
        });
        vendor.insert("ORGN".to_owned(), Value::Object(lists.collect()));
    }
    Ok(Dataset {
        rows,
        metadata: Metadata {
            title: Some(content.title).filter(|t| !t.is_empty()),
            modality: Some(Modality::Raman),
            laser_wavelength_nm: content.laser_wavelength_nm,
            ..Metadata::default()
        },
        vendor,
        mask,
        source: Source { dtype: Some(FLOAT.dtype()), ..input.source("wdf", Some(content.version)) },
        diagnostics,
    })
}
