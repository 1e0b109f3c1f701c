//! From an `.img` or `.map` to a dataset: a picture, or counts of one line of an element.

use super::{
    read::{at, number, text},
    tags,
};
use crate::{
    Input, IoError,
    dense::{Layout, read_as_stored},
    plain::{Number, NumberKind},
};
use kalpha_core::{Axis, Code, Dataset, Diagnostic, Metadata, NoiseModel, Unit};
use serde_json::Value;

/// Bytes of a value, by `DataType`.
const BYTE: f64 = 1.0;

/// Pixel size in um: the size of the screen in mm over the magnification.
fn pixel(tags: &Value, width: usize) -> Option<f64> {
    let screen = number(tags, &["Instrument", "ScanSize"])?;
    let size = screen / number(tags, &["Instrument", "Mag"])? * 1e3 / width as f64;
    (size.is_finite() && size > 0.0).then_some(size)
}

/// Width and height.
fn size(tags: &Value) -> Option<(usize, usize)> {
    let side = |i: usize| {
        let n = at(tags, &["Image", "Size"])?.get(i)?.as_u64()?;
        usize::try_from(n).ok().filter(|n| *n > 0)
    };
    side(0).zip(side(1))
}

pub(super) fn read(input: &Input) -> Result<Dataset, IoError> {
    let tags = tags::image(input)?;
    let missing = |field: &str, expected: &str| {
        let got = at(&tags, &["Image"]).map_or("nothing".to_owned(), |image| {
            let text = image.get(field).map_or("nothing".to_owned(), Value::to_string);
            text.chars().take(80).collect()
        });
        input.corrupt(44, format!("Image/{field}"), expected, got)
    };
    let (width, height) = size(&tags).ok_or_else(|| missing("Size", "width and height"))?;
    let kind = number(&tags, &["Image", "DataType"]).unwrap_or(BYTE);
    if kind != BYTE {
        return Err(IoError::Unsupported {
            file: input.path().to_owned(),
            field: "Image/DataType".to_owned(),
            got: kind.to_string(),
            supported: "1 (bytes)".to_owned(),
            hint: "export the image from Analysis Station in another format",
        });
    }
    // A long array is told by its place in the file, a short one by its values.
    let place = number(&tags, &["Image", "Bits", "byte"])
        .zip(number(&tags, &["Image", "Bits", "length"]))
        .map(|(byte, length)| (byte as usize, length as usize));
    let (offset, length) = place.ok_or_else(|| missing("Bits", "more than 256 bytes"))?;
    if width.checked_mul(height) != Some(length) {
        return Err(missing("Bits", &format!("{width} x {height} bytes")));
    }
    let byte = Number::new(NumberKind::Unsigned, 1, false)
        .ok_or_else(|| missing("DataType", "a type of one byte"))?;
    let mut diagnostics = Vec::new();
    let navigation = match pixel(&tags, width) {
        Some(step) => [("y", height), ("x", width)]
            .map(|(name, n)| input.axis(name, Unit::Micrometre, 0.0, step, n).0),
        None => {
            let message = "the file gives no pixel size: positions are pixel numbers";
            diagnostics.push(Diagnostic::warning(Code::MissingMetadata, message));
            [Axis::index("y", height), Axis::index("x", width)]
        }
    };
    let message = "the values are intensities, not counts: their noise is unknown";
    diagnostics
        .push(Diagnostic::note(Code::Assumed, message).hint("the .pts beside it has counts"));
    let (layout, signal) = (Layout::contiguous(byte, offset), Axis::index("intensity", 1));
    let rows = read_as_stored(input, &layout, navigation.to_vec(), signal, NoiseModel::Unknown)?;
    let metadata = Metadata {
        title: text(&tags, &["Image", "Title"]).map(str::to_owned),
        instrument: text(&tags, &["Instrument", "Name"]).map(str::to_owned),
        beam_energy_kev: number(&tags, &["Instrument", "AccV"]).filter(|kev| *kev > 0.0),
        ..Metadata::default()
    };
    let mut source = input.source("jeol", None);
    source.dtype = Some("uint8".to_owned());
    Ok(Dataset { rows, metadata, vendor: tags, mask: None, source, diagnostics })
}
