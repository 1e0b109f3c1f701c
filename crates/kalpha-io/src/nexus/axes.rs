//! The axes of a dataset, as NXdata or its neighbours state them.

use crate::hdf5::attribute_json;
use hdf5_reader::{Dataset, group::Group};
use kalpha_core::{Axis, Unit};
use serde_json::Value;

/// Longer arrays are no axis.
const POINTS: usize = 1 << 20;

/// An attribute as text, or as a list of texts: `a:b:c` and `a,b,c` are lists too.
pub(super) fn words(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => {
            let text = text.trim_matches(['[', ']']);
            text.split([':', ',']).map(|word| word.trim().to_owned()).collect()
        }
        Value::Array(list) => {
            list.iter().map(|v| v.as_str().unwrap_or_default().to_owned()).collect()
        }
        _ => Vec::new(),
    }
}

pub(super) fn attribute(group: &Group, name: &str) -> Value {
    group.attribute(name).map(|a| attribute_json(&a)).unwrap_or_default()
}

fn of_dataset(data: &Dataset, name: &str) -> Value {
    data.attribute(name).map(|a| attribute_json(&a)).unwrap_or_default()
}

/// The points of a one-dimensional dataset of `n` values, or of the `n + 1` edges of a histogram.
fn points(data: &Dataset, n: usize) -> Option<Vec<f64>> {
    let shape = data.shape();
    if shape.len() != 1 || shape[0] as usize > POINTS {
        return None;
    }
    let mut values: Option<Vec<f64>> = None;
    macro_rules! try_types {
        ($($type:ty),*) => {$(
            if values.is_none() {
                let read = data.read_array::<$type>();
                values = read.ok().map(|v| v.iter().map(|&x| x as f64).collect());
            }
        )*};
    }
    try_types!(f64, f32, i32, i64, u32, u16, i16, u8, i8, u64);
    let values = values?;
    match values.len() {
        len if len == n => Some(values),
        len if len == n + 1 => Some(values.windows(2).map(|w| 0.5 * (w[0] + w[1])).collect()),
        _ => None,
    }
}

/// A dataset as an axis of `n` points; evenly spaced ones stay as they are given.
fn axis(data: &Dataset, name: &str, n: usize) -> Option<Axis> {
    let unit = of_dataset(data, "units").as_str().map_or(Unit::None, Unit::parse);
    Some(Axis::values(name, unit, points(data, n)?))
}

/// The dataset `path` is the signal; returns its axes, slowest first, `None` where unstated.
pub(super) fn stated(group: &Group, data: &Dataset, shape: &[usize]) -> Vec<Option<Axis>> {
    let mut axes: Vec<Option<Axis>> = vec![None; shape.len()];
    let mut names = words(&attribute(group, "axes"));
    if names.is_empty() {
        names = words(&of_dataset(data, "axes"));
    }
    for (place, name) in names.iter().enumerate() {
        let Ok(found) = group.dataset(name) else { continue };
        // An axis may say which dimensions it spans.
        let indices = attribute(group, &format!("{name}_indices"));
        let stated = indices.as_u64().or_else(|| indices.as_array()?.first()?.as_u64());
        let place = stated.map_or(place, |i| i as usize);
        if let (Some(slot), Some(&n)) = (axes.get_mut(place), shape.get(place)) {
            *slot = axis(&found, name, n).or(slot.take());
        }
    }
    // Old files number the dimensions from 1 in the axes themselves.
    for neighbour in group.datasets().unwrap_or_default() {
        let number = of_dataset(&neighbour, "axis").as_u64().and_then(|i| i.checked_sub(1));
        let Some(place) = number.and_then(|i| usize::try_from(i).ok()) else { continue };
        if let (Some(slot @ None), Some(&n)) = (axes.get_mut(place), shape.get(place)) {
            *slot = axis(&neighbour, neighbour.name(), n);
        }
    }
    axes
}

/// Axes of a dataset in a file without conventions: a neighbour of the only fitting length with
/// rising values, or a group `<name>_axis` of offset, step and size.
pub(super) fn guessed(group: &Group, data: &Dataset, shape: &[usize]) -> Vec<Option<Axis>> {
    let neighbours = group.datasets().unwrap_or_default();
    let groups = group.groups().unwrap_or_default();
    let guess = |place: usize, n: usize| {
        // Two axes of one length cannot be told apart.
        if shape.iter().filter(|&&m| m == n).count() > 1 || n < 2 {
            return None;
        }
        let described = groups.iter().find_map(|group| {
            let name = group.name().strip_suffix("_axis")?;
            let number = |key: &str| attribute(group, key).as_f64();
            let step = number("Dispersion").or(number("Scale"))?;
            let fits = number("Size").is_none_or(|size| size == n as f64);
            let unit = attribute(group, "Units").as_str().map_or(Unit::None, Unit::parse);
            fits.then(|| Axis::linear(name, unit, number("Offset")?, step, n).ok())?
        });
        described.or_else(|| {
            let mut fitting = neighbours.iter().filter(|d| d.name() != data.name());
            let found = fitting.find_map(|d| axis(d, d.name(), n))?;
            let values = found.to_vec();
            let rising = values.windows(2).all(|w| w[0] < w[1]);
            let falling = values.windows(2).all(|w| w[0] > w[1]);
            (rising || falling).then_some(found).filter(|_| place < shape.len())
        })
    };
    shape.iter().enumerate().map(|(place, &n)| guess(place, n)).collect()
}

/// The axis along a spectrum: the only one that is an energy or an angle, else the last.
pub(super) fn spectrum_axis(axes: &[Option<Axis>]) -> usize {
    let spectral = |axis: &Option<Axis>| {
        axis.as_ref().is_some_and(|axis| {
            let name = axis.name.to_lowercase();
            matches!(
                axis.unit,
                Unit::Ev
                    | Unit::KeV
                    | Unit::InverseCentimetre
                    | Unit::Degree2Theta
                    | Unit::InverseAngstrom
            ) || ["energy", "wavenumber", "wavelength", "raman"].iter().any(|w| name.contains(w))
        })
    };
    let last = axes.len().saturating_sub(1);
    let mut found = axes.iter().enumerate().filter(|(_, axis)| spectral(axis)).map(|(i, _)| i);
    match (found.next(), found.next()) {
        (Some(place), None) => place,
        _ => last,
    }
}
