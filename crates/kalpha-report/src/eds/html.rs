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
};
use kalpha_core::Severity;
use std::fmt::Write;

const STYLE: &str = include_str!("../assets/report.css");
const SCRIPT: &str = include_str!("../assets/report.js");

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
        ("warnings", "Warnings", notes::warnings(document)),
        ("recipe", "Recipe", notes::recipe(document, figures)),
    ];
    let present = || sections.iter().filter(|(_, _, body)| !body.is_empty());
    let mut out = String::with_capacity(1 << 20);
    let title = Escaped(&document.title);
    let _ = write!(
        out,
        concat!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; ",
            "img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n",
            "<meta name=\"color-scheme\" content=\"light dark\">\n",
            "<title>{} \u{2013} kalpha</title>\n<style>\n{}</style>\n</head>\n<body>\n"
        ),
        title, STYLE
    );
    out += &header(document);
    out += "<nav aria-label=\"Sections\"><ul>";
    for (id, name, _) in present() {
        let _ = write!(out, r##"<li><a href="#{id}">{name}</a></li>"##);
    }
    out += "</ul></nav>\n<main>\n";
    for (id, name, body) in present() {
        let _ = writeln!(
            out,
            "<section id=\"{id}\" aria-labelledby=\"{id}-title\">\n<h2 id=\"{id}-title\">{name}</h2>\n{body}\n</section>"
        );
    }
    let program = if document.program.is_empty() { "kalpha" } else { &document.program };
    let _ = write!(
        out,
        "</main>\n<footer>{} \u{b7} schema {}</footer>\n<script>\n{}</script>\n</body>\n</html>\n",
        Escaped(program),
        Escaped(&document.schema),
        SCRIPT
    );
    out
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
    let warnings = document.warnings.iter().filter(|w| w.severity == Severity::Warning).count();
    if warnings > 0 {
        let plural = if warnings == 1 { "warning" } else { "warnings" };
        let _ = writeln!(
            out,
            r##"<p class="alert"><a href="#warnings">{warnings} {plural}</a>: read before using a number.</p>"##
        );
    }
    out + "</header>\n"
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

/// A message as a sentence: capital first, full stop last.
fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut chars = text.chars();
    let mut out = match (chars.next(), chars.clone().next()) {
        // `k-factor` and `p-value` keep their letter.
        (Some(first), second) if second.is_none_or(|c| c.is_alphabetic() || c == ' ') => {
            first.to_uppercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    };
    if out.ends_with(|c: char| c.is_alphanumeric() || c == ')' || c == '%') {
        out.push('.');
    }
    prose(&out)
}

/// Flags whose value is the next word.
const VALUED: [&str; 5] = ["--specimen", "--set", "--param", "--recipe", "--output"];

/// Prose of the document, escaped, with command-line flags in a fixed font on one line.
fn prose(text: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut words = text.split(' ');
    while let Some(word) = words.next() {
        if !word.starts_with("--") || word.len() == 2 {
            out.push(Escaped(word).to_string());
            continue;
        }
        let value = VALUED.contains(&word).then(|| words.next()).flatten();
        let whole = value.map_or_else(|| word.to_owned(), |value| format!("{word} {value}"));
        // Punctuation behind a value belongs to the sentence.
        let code = whole.trim_end_matches([',', ';', '.']);
        let rest = whole.get(code.len()..).unwrap_or_default();
        let (code, rest) = if rest.starts_with("..") { (whole.as_str(), "") } else { (code, rest) };
        out.push(format!("<code class=\"flag\">{}</code>{rest}", Escaped(code)));
    }
    out.join(" ")
}

/// A table in a box of its own that scrolls sideways on narrow screens.
fn table(caption: &str, head: &[(&str, &str)], rows: &str) -> String {
    let mut out = String::from("<div class=\"table\"><table>");
    if !caption.is_empty() {
        let _ = write!(out, "<caption>{caption}</caption>");
    }
    out += "<thead><tr>";
    for (class, name) in head {
        let _ = write!(out, r#"<th scope="col" class="{class}">{name}</th>"#);
    }
    let _ = write!(out, "</tr></thead><tbody>{rows}</tbody></table></div>");
    out
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
