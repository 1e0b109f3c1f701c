//! The report: one HTML file without network, which opens from `file://`.
//!
//! The answer comes first. Everything reads without scripts; the script adds zoom, scales and
//! read-outs. All text of the document is escaped, colours are checked, and the page forbids
//! itself any outside address.

mod answer;
mod flags;
mod maps;
mod notes;
mod phases;
mod rank;
mod spectrum;
mod tables;

use super::{
    document::EdsDocument,
    figures::{EdsFigures, FamilyCurve, FamilyKind, SpectrumFigure},
};
use crate::{
    figure::Escaped,
    number::{Style, line_name},
    page::{alert, page, prose, recipe, sentence, table, warnings},
};
use std::fmt::Write;

/// Numbers in the page.
const N: Style = Style::Typeset;

/// The report of a run, as one file.
pub fn report_html(document: &EdsDocument, figures: &EdsFigures) -> String {
    let sections = [
        ("answer", "Composition", answer::section(document)),
        ("truth", "Found and true", notes::truth(document)),
        ("phases", "Phases", phases::section(document, figures)),
        ("elements", "Elements", tables::elements(document)),
        ("spectrum", "Spectrum", sum_section(document, figures)),
        ("maps", "Maps", maps::section(document, figures)),
        ("unexpected", "Unexpected", flags::section(document, figures)),
        ("rank", "Components", rank::section(document, figures)),
        ("intensities", "Intensities", tables::intensities(document)),
        ("warnings", "Warnings", warnings(&document.warnings)),
        (
            "recipe",
            "Recipe",
            recipe(&document.outputs, &figures.recipe_toml, &figures.provenance_json),
        ),
    ];
    page(&document.title, &header(document), &sections, &document.program, &document.schema)
}

fn header(document: &EdsDocument) -> String {
    let shape = &document.shape;
    let metadata = &document.metadata;
    let mut facts: Vec<(&str, String)> = Vec::new();
    let single = shape.rows == 1 && shape.cols == 1;
    facts.push(match single {
        true => ("Spectrum", format!("{} channels", shape.channels)),
        false => (
            "Map",
            format!("{} \u{d7} {} pixels, {} channels", shape.rows, shape.cols, shape.channels),
        ),
    });
    if let Some(size) = &shape.pixel_size {
        let (x, y) = (N.short(size.x), N.short(size.y));
        let size_text = if x == y { x } else { format!("{x} \u{d7} {y}") };
        facts.push(("Pixel", format!("{size_text} {}", unit(&size.unit))));
    }
    let counts = &document.counts;
    let used = N.count(counts.used);
    facts.push(match single {
        true => ("Counts", used),
        false => ("Counts", format!("{used}, {} per pixel", N.short(counts.per_pixel))),
    });
    if let Some(strobe) = &counts.strobe {
        let share = N.short(100.0 * strobe.fraction);
        facts.push((
            "Strobe peak",
            format!("{} counts left out ({share} %)", N.count(strobe.counts)),
        ));
    }
    let mut beam = Vec::new();
    beam.extend(metadata.acquisition_mode.map(|mode| mode.to_string().to_uppercase()));
    beam.extend(metadata.beam_energy_kev.map(|e| format!("{} kV", N.short(e))));
    if !beam.is_empty() {
        facts.push(("Beam", beam.join(", ")));
    }
    let take_off = metadata.take_off_angle.map(|a| format!("take-off {}\u{b0}", N.short(a)));
    let elevation = metadata.elevation_angle.map(|a| format!("elevation {}\u{b0}", N.short(a)));
    let detector: Vec<String> =
        metadata.detector.clone().into_iter().chain(take_off.or(elevation)).collect();
    if !detector.is_empty() {
        facts.push(("Detector", detector.join(", ")));
    }
    if let Some(specimen) = &document.specimen {
        let text = match specimen.inferred {
            true => format!("{}, inferred: {}", specimen.kind, specimen.because),
            false => format!("{}, stated", specimen.kind),
        };
        facts.push(("Specimen", text));
    }
    let kind = if single { "EDS spectrum" } else { "EDS spectrum image" };
    let mut out = format!("<header>\n<p class=\"kind\">{kind}</p>\n");
    let _ = writeln!(out, "<h1>{}</h1>", Escaped(&document.title));
    let _ = write!(out, "<p class=\"source\">{}", Escaped(&document.source.path));
    if !document.source.format.is_empty() {
        let _ = write!(out, " \u{b7} {}", Escaped(&document.source.format));
    }
    out += "</p>\n<dl class=\"facts\">";
    for (name, value) in facts {
        let _ = write!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", Escaped(&value));
    }
    out += "</dl>\n";
    out + &alert(&document.warnings) + "</header>\n"
}

fn sum_section(document: &EdsDocument, figures: &EdsFigures) -> String {
    let axis = spectrum::EnergyAxis::new(figures);
    let alt = format!("sum spectrum on a logarithmic scale: {}", spectrum::words(&figures.sum));
    let view = spectrum::View {
        id: "sum",
        alt: &alt,
        unit: "counts",
        height: 300.0,
        expected: None,
        linear: false,
    };
    let figure = spectrum::figure(&axis, &figures.sum, &view);
    if figure.is_empty() {
        return String::new();
    }
    let mut out = figure;
    out += &legend(&figures.sum);
    out += &notes::calibration(document);
    if let Some(max_pixel) = figures.max_pixel.as_ref() {
        let maximum = SpectrumFigure {
            counts: max_pixel.clone(),
            families: labels(figures),
            ..Default::default()
        };
        let view = spectrum::View {
            id: "max-pixel",
            alt: "maximum-pixel spectrum on a logarithmic scale",
            unit: "counts",
            height: 170.0,
            expected: None,
            linear: false,
        };
        let figure = spectrum::figure(&axis, &maximum, &view);
        let _ = write!(
            out,
            "<details><summary>Maximum-pixel spectrum: the largest count of any pixel, channel by channel</summary>{figure}</details>"
        );
    }
    out
}

/// What the curves are; only those that are drawn.
fn legend(spectrum: &SpectrumFigure) -> String {
    let has = |kind| spectrum.families.iter().any(|f| f.kind == kind);
    let keys = [
        ("counts", "measured", true),
        ("model", "fit", spectrum.model.is_some()),
        ("background", "background", spectrum.background.is_some()),
        ("specimen", "specimen", has(FamilyKind::Specimen)),
        ("other", "grid, support, detector", has(FamilyKind::Other)),
        ("artefact", "pile-up, escape", has(FamilyKind::Artefact)),
    ];
    let keys = keys.iter().filter(|(_, _, shown)| *shown);
    let keys = keys.map(|(class, name, _)| format!(r#"<span class="key {class}">{name}</span>"#));
    format!(r#"<p class="legend">{}</p>"#, keys.collect::<String>())
}

/// The fitted families as labels without a curve; artefacts of the detector left out.
fn labels(figures: &EdsFigures) -> Vec<FamilyCurve> {
    let families = figures.sum.families.iter().filter(|f| f.kind != FamilyKind::Artefact);
    families.map(|family| FamilyCurve { curve: Vec::new(), ..family.clone() }).collect()
}

/// A unit as print writes it.
fn unit(text: &str) -> String {
    match text {
        "um" => "\u{b5}m".to_owned(),
        "A" => "\u{c5}".to_owned(),
        other => other.to_owned(),
    }
}

/// Cause of a systematic in words.
fn cause(cause: &kalpha_core::Cause) -> String {
    use kalpha_core::Cause;
    match cause {
        Cause::BackgroundModel => "background model".to_owned(),
        Cause::KFactor(line) => format!("k-factor {}", line_name(line)),
        Cause::ReferenceSet => "reference set".to_owned(),
        Cause::Other(name) => match name.rsplit_once(' ') {
            Some((what, line)) => format!("{what} {}", line_name(line)),
            None => name.replace('_', " "),
        },
        other => other.to_string().replace('_', " "),
    }
}

/// The value of a quantity with its whole uncertainty.
fn quantity(quantity: &kalpha_core::Quantity) -> String {
    use kalpha_core::Quantity;
    match (quantity, quantity.sigma()) {
        (Quantity::Measured { value, .. }, Some(sigma)) => N.plus_minus(*value, sigma),
        (Quantity::UpperLimit { limit, .. }, _) => format!("< {}", N.short(*limit)),
        (Quantity::Measured { value, .. }, None) => N.short(*value),
    }
}
