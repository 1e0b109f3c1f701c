//! Images beside the spectra: `TRTImageData` in the header.
//!
//! `Width`, `Height`, `ItemSize` (bytes of a value), `XCalibration`, `YCalibration` (um, 0 for
//! the pixels of the map), and one `PlaneN` for each detector: `Description`, and `Data`, unsigned
//! values in base64. `Counter` and `PixelTimes` are of the same kind and no images. A plane of
//! zeros was not recorded.

use super::header::{child, positive};
use crate::{
    Input, IoError, codec,
    dense::{Layout, read_as_stored},
    plain::{Number, NumberKind},
    signal_list::{short, unique},
    xml::Lifted,
};
use kalpha_core::{Axis, Code, Dataset, Diagnostic, Metadata, NoiseModel, Unit};
use roxmltree::Node;
use serde_json::Value;

/// An image, its values not yet decoded.
pub(super) struct Image<'a> {
    pub name: String,
    width: usize,
    height: usize,
    value_bytes: usize,
    /// Pixel width and height, um.
    pixel: (Option<f64>, Option<f64>),
    base64: &'a str,
}

/// True for base64 of zeros.
fn is_empty(base64: &str) -> bool {
    base64.bytes().all(|b| b == b'A' || b == b'=' || b.is_ascii_whitespace())
}

/// The images of a header, those of the map first. `pixel` is that of the map.
pub(super) fn images<'a>(
    root: Node<'a, '_>,
    lifted: &'a Lifted,
    pixel: (Option<f64>, Option<f64>),
) -> Vec<Image<'a>> {
    let mut found = Vec::new();
    let instances = root
        .descendants()
        .filter(|n| n.has_tag_name("ClassInstance") && n.attribute("Type") == Some("TRTImageData"));
    for instance in instances {
        if matches!(instance.attribute("Name"), Some("Counter" | "PixelTimes")) {
            continue;
        }
        let whole = |name| positive(Some(instance), name).filter(|n| n.fract() == 0.0 && *n < 1e9);
        let sides = whole("Width").zip(whole("Height")).zip(whole("ItemSize"));
        let Some(((width, height), value_bytes)) = sides else { continue };
        let (x, y) =
            (positive(Some(instance), "XCalibration"), positive(Some(instance), "YCalibration"));
        let own = x.is_some() && y.is_some();
        let planes = instance.children().filter(|n| n.tag_name().name().starts_with("Plane"));
        for plane in planes {
            let Some(text) = child(Some(plane), "Data") else { continue };
            let base64 = lifted.piece(text).unwrap_or(text);
            if is_empty(base64) {
                continue;
            }
            let described = child(Some(plane), "Description").unwrap_or_default();
            let kind = if own { "overview" } else { "image" };
            found.push(Image {
                name: short(format!("{kind} {described}").trim()),
                width: width as usize,
                height: height as usize,
                value_bytes: value_bytes as usize,
                pixel: if own { (x, y) } else { pixel },
                base64,
            });
        }
    }
    let names = unique(found.iter_mut().map(|image| std::mem::take(&mut image.name)));
    found.iter_mut().zip(names).for_each(|(image, name)| image.name = name);
    found
}

impl Image<'_> {
    /// The image as a dataset of one value per pixel.
    ///
    /// # Errors
    /// When its values are no base64, or too few.
    pub fn dataset(
        &self,
        input: &Input,
        mut metadata: Metadata,
        vendor: Value,
    ) -> Result<Dataset, IoError> {
        let wrong = |expected: &str, got: &str| {
            input.corrupt(0, format!("{} of HeaderData", self.name), expected, got)
        };
        let number = Number::new(NumberKind::Unsigned, self.value_bytes, false)
            .filter(|number| number.width < 8)
            .ok_or_else(|| wrong("values of 1, 2 or 4 bytes", &self.value_bytes.to_string()))?;
        let bytes = codec::base64(self.base64).ok_or_else(|| wrong("base64", "other text"))?;
        let message = "the values are intensities, not counts: their noise is unknown";
        let mut diagnostics =
            vec![Diagnostic::note(Code::Assumed, message).hint("a likelihood step needs counts")];
        let axes = [("y", self.pixel.1, self.height), ("x", self.pixel.0, self.width)];
        let navigation = axes.map(|(name, scale, n)| match scale {
            Some(scale) => input.axis(name, Unit::Micrometre, 0.0, scale, n).0,
            None => {
                let message = format!("the file gives no pixel size along {name}");
                diagnostics.push(
                    Diagnostic::warning(Code::MissingMetadata, message)
                        .hint("positions are pixel numbers"),
                );
                Axis::index(name, n)
            }
        });
        let bytes = Input::from_bytes(input.path(), bytes);
        let (layout, signal) = (Layout::contiguous(number, 0), Axis::index("intensity", 1));
        let rows =
            read_as_stored(&bytes, &layout, navigation.to_vec(), signal, NoiseModel::Unknown)?;
        // What holds for spectra only.
        metadata.modality = None;
        metadata.detector = None;
        metadata.energy_resolution_mn_ka_ev = None;
        let mut source = input.source("bcf", None);
        source.dtype = Some(number.dtype());
        source.signal = Some(self.name.clone());
        Ok(Dataset { rows, metadata, vendor, mask: None, source, diagnostics })
    }
}
