//! Maps: images with colour bars, scale bars and the flagged pixels.

use super::{N, unit};
use crate::{
    colour_scale::ColourScale,
    eds::{
        document::{EdsDocument, Flagged, PixelSize},
        figures::{EdsFigures, MapFigure},
    },
    figure::Escaped,
    number::line_name,
    png::{Raster, binned},
};
use std::fmt::Write;

/// Maps larger than this are averaged down in the page; the files keep every pixel.
const LARGEST: f64 = 320.0;
/// Pixels of all maps together, which keep the page small.
const PIXELS: f64 = 1e6;

/// What is drawn on top of a map.
pub(super) struct Overlay<'a> {
    pub flags: &'a [Flagged],
    pub pixel: Option<&'a PixelSize>,
}

pub(super) fn section(document: &EdsDocument, figures: &EdsFigures) -> String {
    let mut out = String::new();
    let each = PIXELS / (figures.maps.len() + 1) as f64;
    let largest = each.sqrt().clamp(96.0, LARGEST) as usize;
    let mut averaged = false;
    for map in figures.maps.iter().chain(&figures.deviance) {
        let flags = if map.name == "deviance" { document.flagged.as_slice() } else { &[] };
        let overlay = Overlay { flags, pixel: document.shape.pixel_size.as_ref() };
        averaged |= map.rows.max(map.cols) > largest;
        out += &figure(map, &overlay, largest);
    }
    if out.is_empty() {
        return out;
    }
    let note = if averaged {
        " Large maps are averaged down here; the files keep every pixel."
    } else {
        ""
    };
    format!(
        "<div class=\"maps\">{out}</div><p class=\"quiet\">Colours run from the 0.2 to the 99.8 percentile of each map; \u{2264} and \u{2265} mark ends that clip. Estimates are signed.{note}</p>"
    )
}

fn figure(map: &MapFigure, overlay: &Overlay<'_>, largest: usize) -> String {
    if map.rows.checked_mul(map.cols) != Some(map.values.len()) || map.values.is_empty() {
        return String::new();
    }
    let range = map.scale.range(&map.values);
    let factor = map.rows.max(map.cols).div_ceil(largest);
    let (rows, cols, values) = binned((map.rows, map.cols), &map.values, factor);
    let raster = Raster::of_values(&map.name, (rows, cols), &values, map.scale, &range);
    let Ok(uri) = raster.and_then(|raster| raster.data_uri()) else { return String::new() };
    let (low, high) = (N.short(range.low), N.short(range.high));
    let title = if map.title.is_empty() { line_name(&map.name) } else { map.title.clone() };
    let alt = format!("map of {title}, from {low} to {high} {}", map.unit);
    let mut out = format!(
        r#"<figure class="map"><figcaption title="{}">{} <span class="quiet">{}</span></figcaption>"#,
        Escaped(&map.unit),
        Escaped(&title),
        Escaped(&map.unit)
    );
    out += &image(&uri, (map.rows, map.cols), &alt, overlay);
    let low = if range.clipped_low { format!("\u{2264} {low}") } else { low };
    let high = if range.clipped_high { format!("\u{2265} {high}") } else { high };
    let zero = if map.scale == ColourScale::Diverging { "<span>0</span>" } else { "" };
    let _ = write!(
        out,
        r#"<div class="scale" aria-hidden="true"><div class="colours" style="background:{}"></div><div class="ends"><span>{low}</span>{zero}<span>{high}</span></div></div></figure>"#,
        map.scale.css_gradient(),
    );
    out
}

/// The image of a map with scale bar and marks.
pub(super) fn image(
    uri: &str,
    (rows, cols): (usize, usize),
    alt: &str,
    overlay: &Overlay<'_>,
) -> String {
    let mut out = format!(
        r#"<div class="image" data-rows="{rows}" data-cols="{cols}" style="aspect-ratio:{}"><img src="{uri}" alt="{}">"#,
        aspect((rows, cols), overlay.pixel),
        Escaped(alt)
    );
    if !overlay.flags.is_empty() {
        let _ = write!(
            out,
            r#"<svg class="marks" viewBox="0 0 {cols} {rows}" preserveAspectRatio="none" aria-hidden="true">"#
        );
        // Marks stand outside their pixels, and are large enough to see on a large map.
        let margin = (rows.max(cols) as f64 / 90.0).max(0.6);
        for flag in overlay.flags.iter().take(200) {
            let [height, width] = flag.neighbourhood.map(|n| n.clamp(1, rows.max(cols)) as f64);
            let (x, y) = (flag.pixel[1] as f64 + 0.5, flag.pixel[0] as f64 + 0.5);
            let (x, y) = (x - 0.5 * width - margin, y - 0.5 * height - margin);
            let (w, h) = (width + 2.0 * margin, height + 2.0 * margin);
            for class in ["halo", "mark"] {
                let _ = write!(
                    out,
                    r#"<rect class="{class}" x="{x:.2}" y="{y:.2}" width="{w:.2}" height="{h:.2}"/>"#
                );
            }
        }
        out += "</svg>";
    }
    if let Some(bar) = overlay.pixel.and_then(|size| scale_bar(cols, size)) {
        out += &bar;
    }
    out += "</div>";
    out
}

/// Width over height of the field, as CSS.
fn aspect((rows, cols): (usize, usize), pixel: Option<&PixelSize>) -> String {
    let (x, y) = pixel.map_or((1.0, 1.0), |size| (size.x.abs(), size.y.abs()));
    let ratio = cols as f64 * x / (rows.max(1) as f64 * y);
    // A line scan would be a hairline: give it some height.
    if ratio.is_finite() && ratio > 0.0 {
        format!("{:.5}", ratio.clamp(0.2, 12.0))
    } else {
        "1".into()
    }
}

/// A bar of 1, 2 or 5 times a power of ten, about a quarter of the field.
fn scale_bar(cols: usize, size: &PixelSize) -> Option<String> {
    let field = cols as f64 * size.x.abs();
    if !(field.is_finite() && field > 0.0) || size.unit.is_empty() {
        return None;
    }
    let target = 0.3 * field;
    let power = 10f64.powf(target.log10().floor());
    let length = [5.0, 2.0, 1.0].into_iter().map(|f| f * power).find(|l| *l <= target)?;
    Some(format!(
        r#"<div class="scale-bar" style="width:{:.2}%"><span>{} {}</span></div>"#,
        100.0 * length / field,
        N.short(length),
        Escaped(&unit(&size.unit))
    ))
}
