//! Phases: the label map with its legend, area fractions, spectra.

use super::{
    N, answer,
    maps::{Overlay, image},
    quantity, spectrum, table,
};
use crate::{
    colour_scale::parse_hex,
    eds::{
        document::{EdsDocument, Phase, Quantification},
        figures::{EdsFigures, LabelMap},
        image::label_raster,
    },
    figure::Escaped,
    number::line_name,
};
use std::fmt::Write;

/// Boundary pixels in the legend; the same as in the image.
const MIXED: &str = "#c9c8c2";

pub(super) fn color(phase: &Phase) -> &str {
    match parse_hex(&phase.color) {
        Some(_) => &phase.color,
        None => "#888780",
    }
}

pub(super) fn section(document: &EdsDocument, figures: &EdsFigures) -> String {
    if document.phases.is_empty() {
        return String::new();
    }
    let mut out = String::from("<div class=\"phases\">");
    if let Some(map) = &figures.labels {
        out += &label_map(document, map);
    }
    out += "<div>";
    let quantified =
        document.phases.iter().any(|p| matches!(p.quantification, Quantification::Composition(_)));
    let mut rows = String::new();
    for phase in &document.phases {
        let _ = write!(
            rows,
            r#"<tr><th scope="row"><span class="swatch" style="background:{}"></span>{}</th>{}<td class="num">{}</td>"#,
            color(phase),
            Escaped(&phase.name),
            area(&phase.area_fraction),
            N.count(phase.pixels as u64),
        );
        let what =
            if quantified { answer::in_one_line(&phase.quantification) } else { strongest(phase) };
        let _ = write!(rows, "<td>{what}</td></tr>");
    }
    if let Some(mixed) = &document.mixed_fraction {
        let _ = write!(
            rows,
            r#"<tr><th scope="row"><span class="swatch" style="background:{MIXED}"></span>mixed</th>{}<td></td><td class="quiet">boundary pixels, in no phase</td></tr>"#,
            area(mixed)
        );
    }
    let level = document.phases.first().map_or(0.95, |p| p.area_fraction.confidence);
    let caption = format!("Area with its {} % interval.", N.short(100.0 * level));
    let last = if quantified { "at.%" } else { "strongest families (counts)" };
    let head = [("", "Phase"), ("num", "area %"), ("", "interval"), ("num", "pixels"), ("", last)];
    out += &table(&caption, &head, &rows);
    out += "</div></div>";
    out += &spectra(document, figures);
    out
}

fn area(interval: &crate::eds::document::Interval) -> String {
    let percent = |x: f64| N.fixed(100.0 * x, 1);
    format!(
        r#"<td class="num lead">{}</td><td class="nowrap">{} – {}</td>"#,
        percent(interval.value),
        percent(interval.lower.max(0.0)),
        percent(interval.upper.min(1.0))
    )
}

/// The families with the most counts above the critical level.
fn strongest(phase: &Phase) -> String {
    let mut found: Vec<_> = phase
        .intensities
        .iter()
        .filter(|i| i.detected)
        .filter_map(|i| i.counts.value().map(|value| (value, i)))
        .collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    let parts: Vec<String> = found
        .iter()
        .take(5)
        .map(|(_, i)| {
            let name = line_name(&i.family);
            format!(r#"<span class="part">{} {}</span>"#, Escaped(&name), quantity(&i.counts))
        })
        .collect();
    parts.join(" ")
}

fn label_map(document: &EdsDocument, map: &LabelMap) -> String {
    let raster = label_raster(map, &document.phases);
    let Ok(uri) = raster.and_then(|raster| raster.data_uri()) else { return String::new() };
    let shares: Vec<String> = document
        .phases
        .iter()
        .map(|p| format!("{} {} %", p.name, N.short(100.0 * p.area_fraction.value)))
        .collect();
    let alt = format!("map of the phases: {}", shares.join(", "));
    let overlay = Overlay { flags: &document.flagged, pixel: document.shape.pixel_size.as_ref() };
    let mut legend = String::new();
    for phase in &document.phases {
        let _ = write!(
            legend,
            r#"<span class="entry"><span class="swatch" style="background:{}"></span>{}</span>"#,
            color(phase),
            Escaped(&phase.name)
        );
    }
    if map.labels.contains(&LabelMap::MIXED) {
        let _ = write!(
            legend,
            r#"<span class="entry"><span class="swatch" style="background:{MIXED}"></span>mixed</span>"#
        );
    }
    if !document.flagged.is_empty() {
        legend += r#"<span class="entry"><span class="swatch flag"></span>unexpected</span>"#;
    }
    format!(
        r#"<figure class="map">{}<figcaption class="keys">{legend}</figcaption></figure>"#,
        image(&uri, (map.rows, map.cols), &alt, &overlay)
    )
}

fn spectra(document: &EdsDocument, figures: &EdsFigures) -> String {
    let mut out = String::new();
    for phase in &document.phases {
        let Some(found) = figures.phases.iter().find(|s| s.label == phase.label) else { continue };
        let words = spectrum::words(&found.spectrum);
        let alt = format!("mean spectrum of {}: {words}", phase.name);
        let view = spectrum::View {
            id: &format!("phase-{}", phase.label),
            alt: &alt,
            unit: "counts per pixel",
            height: 200.0,
            faint: None,
        };
        let figure = spectrum::figure(figures, &found.spectrum, &view);
        if !figure.is_empty() {
            let _ = write!(
                out,
                r#"<details><summary><span class="swatch" style="background:{}"></span>Mean spectrum of {}</summary>{figure}</details>"#,
                color(phase),
                Escaped(&phase.name)
            );
        }
    }
    out
}
