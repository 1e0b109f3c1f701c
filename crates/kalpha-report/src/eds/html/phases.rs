//! Phases: the label map with its legend, area fractions, spectra.

use super::{
    N, answer,
    maps::{Overlay, image},
    spectrum, table,
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

/// Spectra shown, of the largest phases, which keeps the page small.
const SPECTRA: usize = 10;

pub(super) fn color(phase: &Phase) -> &str {
    match parse_hex(&phase.color) {
        Some(_) => &phase.color,
        None => "#888780",
    }
}

pub(super) fn section(document: &EdsDocument, figures: &EdsFigures) -> String {
    if document.phases.is_empty() || document.single_spectrum() {
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
        if quantified {
            let _ = write!(rows, "<td>{}</td>", answer::in_one_line(&phase.quantification));
        }
        rows += "</tr>";
    }
    if let Some(mixed) = &document.mixed_fraction {
        let pixels = figures.labels.as_ref().map_or(String::new(), |map| {
            let mixed = map.labels.iter().filter(|label| **label == LabelMap::MIXED).count();
            N.count(mixed as u64)
        });
        let _ = write!(
            rows,
            r#"<tr><th scope="row"><span class="swatch" style="background:{MIXED}"></span>mixed</th>{}<td class="num">{pixels}</td>"#,
            area(mixed)
        );
        rows += if quantified { "<td></td></tr>" } else { "</tr>" };
    }
    let level = document.phases.first().map_or(0.95, |p| p.area_fraction.confidence);
    let caption = format!(
        "Area with its {} % interval. Mixed pixels lie on boundaries and belong to no phase.",
        N.short(100.0 * level)
    );
    let mut head = vec![("", "Phase"), ("num", "area %"), ("", "interval"), ("num", "pixels")];
    if quantified {
        head.push(("", "at.%"));
    }
    out += &table(&caption, &head, &rows);
    out += "</div></div>";
    out += &matrix(document);
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

/// Mean counts per pixel of every family in every phase, tinted by their share of the largest.
fn matrix(document: &EdsDocument) -> String {
    let mut families: Vec<&str> = Vec::new();
    for intensity in document.phases.iter().flat_map(|p| &p.intensities) {
        if !families.contains(&intensity.family.as_str()) {
            families.push(&intensity.family);
        }
    }
    if families.is_empty() {
        return String::new();
    }
    let mean = |phase: &Phase, family: &str| {
        let found = phase.intensities.iter().find(|i| i.family == family)?;
        let pixels = phase.pixels.max(1) as f64;
        let (value, sigma) = (found.counts.value()? / pixels, found.counts.sigma()? / pixels);
        Some((value, sigma, found.detected))
    };
    let mut rows = String::new();
    for phase in &document.phases {
        let _ = write!(
            rows,
            r#"<tr><th scope="row"><span class="swatch" style="background:{}"></span>{}</th>"#,
            color(phase),
            Escaped(&phase.name)
        );
        for family in &families {
            let means = document.phases.iter().filter_map(|p| mean(p, family));
            let largest = means.map(|(value, _, _)| value).fold(0.0, f64::max);
            let Some((value, sigma, detected)) = mean(phase, family) else {
                rows += "<td></td>";
                continue;
            };
            let share = if largest > 0.0 { (value / largest).clamp(0.0, 1.0) } else { 0.0 };
            let class = if detected { "num" } else { "num faint" };
            let _ = write!(
                rows,
                r#"<td class="{class}" style="--share:{share:.3}" title="{}">{}</td>"#,
                N.plus_minus(value, sigma),
                N.pair(value, sigma).0
            );
        }
        rows += "</tr>";
    }
    let names: Vec<String> = families.iter().map(|f| Escaped(&line_name(f)).to_string()).collect();
    let mut head = vec![("", "Phase")];
    head.extend(names.iter().map(|name| ("num", name.as_str())));
    let caption = "Mean net counts per pixel, rounded to their uncertainty. The tint compares phases, family by family; grey numbers are below the critical level.";
    format!(
        "<h3>Intensities by phase</h3>{}",
        table(caption, &head, &rows).replacen("class=\"table\"", "class=\"table matrix\"", 1)
    )
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
    let axis = spectrum::EnergyAxis::new(figures);
    let mut out = String::new();
    for phase in document.phases.iter().take(SPECTRA) {
        let Some(found) = figures.phases.iter().find(|s| s.label == phase.label) else { continue };
        let words = spectrum::words(&found.spectrum);
        let alt = format!("mean spectrum of {}: {words}", phase.name);
        let view = spectrum::View {
            id: &format!("phase-{}", phase.label),
            alt: &alt,
            unit: "counts per pixel",
            height: 200.0,
            expected: None,
            linear: false,
        };
        let figure = spectrum::figure(&axis, &found.spectrum, &view);
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
