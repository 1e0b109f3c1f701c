//! Maps of an EDS run as images.

use super::{
    document::Phase,
    figures::{LabelMap, MapFigure},
};
use crate::{
    colour_scale::{NO_VALUE, parse_hex},
    png::{ImageError, Raster},
};

/// Colour of boundary pixels.
const MIXED: [u8; 3] = [0xc9, 0xc8, 0xc2];

/// Colours that tell eight phases apart, for light and dark pages and with colour-vision
/// deficiency; give them to phases in this order.
pub const PHASE_COLORS: [&str; 8] =
    ["#2a78d6", "#eb6834", "#1baf7a", "#eda100", "#e87ba4", "#008300", "#4a3aa7", "#e34948"];

/// The label map in the colours of its phases.
///
/// # Errors
/// When the labels do not fill the map.
pub fn label_raster(map: &LabelMap, phases: &[Phase]) -> Result<Raster, ImageError> {
    if map.rows.checked_mul(map.cols) != Some(map.labels.len()) {
        let (rows, cols, got) = (map.rows, map.cols, map.labels.len());
        return Err(ImageError::Shape { name: "phases".to_owned(), rows, cols, got });
    }
    let color = |label: u16| match label {
        LabelMap::MIXED => MIXED,
        LabelMap::MASKED => NO_VALUE,
        label => phases
            .iter()
            .find(|phase| phase.label == usize::from(label))
            .and_then(|phase| parse_hex(&phase.color))
            .unwrap_or(NO_VALUE),
    };
    let pixels = map.labels.iter().map(|&label| color(label)).collect();
    Ok(Raster { rows: map.rows, cols: map.cols, pixels })
}

/// A map as an image, enlarged to about `width` pixels, with a colour bar to the right.
///
/// # Errors
/// When the values do not fill the map.
pub fn map_png(map: &MapFigure, width: usize) -> Result<Vec<u8>, ImageError> {
    let range = map.scale.range(&map.values);
    let shape = (map.rows, map.cols);
    let raster = Raster::of_values(&map.name, shape, &map.values, map.scale, &range)?;
    raster.enlarged(width / map.cols.max(1)).with_colour_bar(map.scale).encode()
}

/// The label map as an image, enlarged to about `width` pixels.
///
/// # Errors
/// When the labels do not fill the map.
pub fn label_png(map: &LabelMap, phases: &[Phase], width: usize) -> Result<Vec<u8>, ImageError> {
    label_raster(map, phases)?.enlarged(width / map.cols.max(1)).encode()
}
