//! HDF5 groups, attributes and small arrays as JSON.

use crate::hyperspy::put;
use hdf5_reader::{Attribute, Dataset, Datatype, group::Group};
use serde_json::{Map, Number, Value};

/// Groups nested deeper are left out: links may form rings.
const DEPTH: usize = 32;
/// Members after these are left out, for the same reason.
const NODES: usize = 20_000;
/// Longer arrays are not metadata; their shape is given instead.
const VALUES: u64 = 65_536;

/// A group with all it holds, as JSON.
///
/// Whatever cannot be read becomes `null`: missing metadata never fails a file.
pub(crate) fn group_json(group: &Group) -> Value {
    convert(group, DEPTH, &mut NODES.clone())
}

fn convert(group: &Group, depth: usize, nodes: &mut usize) -> Value {
    let mut object = Map::new();
    for attribute in group.attributes().unwrap_or_default() {
        put(&mut object, &attribute.name, attribute_json(&attribute));
    }
    let (groups, datasets) = group.members().unwrap_or_default();
    for dataset in &datasets {
        put(&mut object, dataset.name(), dataset_json(dataset));
    }
    for child in &groups {
        if depth == 0 || *nodes == 0 {
            break;
        }
        *nodes -= 1;
        put(&mut object, child.name(), convert(child, depth - 1, nodes));
    }
    Value::Object(object)
}

fn number(value: f64) -> Value {
    // Integers stay integers; NaN and infinity have no JSON form.
    if value.fract() == 0.0 && value.abs() < 2f64.powi(53) {
        return Value::Number(Number::from(value as i64));
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

fn text(value: String) -> Value {
    if value == "_None_" { Value::Null } else { Value::String(value) }
}

/// An attribute as JSON: text, number, boolean or an array of them.
pub(crate) fn attribute_json(attribute: &Attribute) -> Value {
    if let Datatype::Enum { .. } = attribute.datatype {
        // h5py stores a boolean as an enumeration of one byte.
        return attribute.raw_data.first().map_or(Value::Null, |&b| Value::Bool(b != 0));
    }
    if let Ok(value) = attribute.read_as_f64()
        && attribute.shape.is_empty()
    {
        return number(value);
    }
    if let Ok(value) = attribute.read_string() {
        return text(value);
    }
    if let Ok(values) = attribute.read_strings() {
        return values.into_iter().map(text).collect();
    }
    macro_rules! try_numbers {
        ($($type:ty),*) => {$(
            if let Ok(values) = attribute.read_1d::<$type>() {
                return values.into_iter().map(|v| number(v as f64)).collect();
            }
        )*};
    }
    try_numbers!(f64, f32, i64, u64, i32, u32, i16, u16, i8, u8);
    Value::Null
}

fn dataset_json(dataset: &Dataset) -> Value {
    match dataset.num_elements() {
        Ok(n) if n <= VALUES => {}
        _ => {
            let shape = format!("array of shape {:?}, left out", dataset.shape());
            return Value::String(shape);
        }
    }
    if let Ok(values) = dataset.read_strings() {
        return values.into_iter().map(text).collect();
    }
    macro_rules! try_numbers {
        ($($type:ty),*) => {$(
            if let Ok(values) = dataset.read_array::<$type>() {
                return values.iter().map(|&v| number(v as f64)).collect();
            }
        )*};
    }
    try_numbers!(f64, f32, i64, u64, i32, u32, i16, u16, i8, u8);
    Value::Null
}

/// Follows `a.b.c` through objects; `None` where a step is missing or null.
pub(crate) fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |v, key| v.get(key)).filter(|v| !v.is_null())
}
