//! The report of treated spectra: one HTML file without network.

use super::{Shown, SpectraDocument, SpectraFigures, assemble::status_words};
use crate::{
    figure::{Escaped, Plot, Scale},
    number::Style,
    page::{alert, page, recipe, table, warnings},
};
use std::fmt::Write;

/// Numbers in the page.
const N: Style = Style::Typeset;
const WIDTH: f64 = 1080.0;

/// The report of a run, as one file.
pub fn report_html(document: &SpectraDocument, figures: &SpectraFigures) -> String {
    let sections = [
        ("peaks", "Peaks", super::peaks::section(document, figures)),
        ("spectra", "Spectra", spectra(document, figures)),
        ("found", "Found for each spectrum", found(document)),
        ("flagged", "Flagged", flagged(document)),
        ("steps", "What was done", steps(document)),
        ("warnings", "Warnings", warnings(&document.warnings)),
        (
            "recipe",
            "Recipe",
            recipe(&document.outputs, &figures.recipe_toml, &figures.provenance_json),
        ),
    ];
    page(&document.title, &header(document), &sections, &document.program, &document.schema)
}

fn header(document: &SpectraDocument) -> String {
    let mut facts =
        vec![("Spectra", N.count(document.spectra as u64)), ("Axis", document.signal.words(N))];
    if document.spectra > 1 {
        let navigation: Vec<String> =
            document.navigation.iter().map(|axis| axis.words(N)).collect();
        facts.push(("Series", navigation.join("; ")));
    }
    facts.extend(document.metadata.modality.map(|m| ("Kind", m.to_string().to_uppercase())));
    let mut out = format!(
        "<header>\n<p class=\"kind\">Treated spectra</p>\n<h1>{}</h1>\n<p class=\"source\">{}",
        Escaped(&document.title),
        Escaped(&document.source.path)
    );
    if !document.source.format.is_empty() {
        let _ = write!(out, " \u{b7} {}", Escaped(&document.source.format));
    }
    out += "</p>\n<dl class=\"facts\">";
    for (name, value) in facts {
        let _ = write!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", Escaped(&value));
    }
    out + "</dl>\n" + &alert(&document.warnings) + "</header>\n"
}

/// Smallest and largest of the finite values, a little wider; none where there is none.
pub(super) fn range<'a>(curves: impl IntoIterator<Item = &'a [f64]>) -> Option<(f64, f64)> {
    let mut range: Option<(f64, f64)> = None;
    for &x in curves.into_iter().flatten().filter(|x| x.is_finite()) {
        let (low, high) = range.unwrap_or((x, x));
        range = Some((low.min(x), high.max(x)));
    }
    let (low, high) = range?;
    let pad = match high - low {
        0.0 => high.abs().max(1.0) * 0.05,
        span => span * 0.04,
    };
    Some((low - pad, high + pad))
}

fn plot(
    axis: &[f64],
    curves: &[(&str, &[f64])],
    titles: (&str, &str),
    height: f64,
    alt: &str,
) -> String {
    let (Some((left, right)), Some((low, high))) =
        (range([axis]), range(curves.iter().map(|(_, y)| *y)))
    else {
        return "<p class=\"quiet\">No finite value to draw.</p>".to_owned();
    };
    // Binding energies and the like run as the file has them.
    let (first, last) = (axis.first().copied().unwrap_or(left), axis.last().copied());
    let descending = last.is_some_and(|last| last < first);
    let (x, y) = (Scale::linear(left, right), Scale::linear(low, high));
    let mut plot = Plot::new(WIDTH, height, [66.0, 8.0, 10.0, 42.0], x, y);
    plot.axes(titles.0, titles.1);
    for (class, curve) in curves {
        let points = axis.iter().zip(*curve).map(|(x, y)| (*x, *y));
        match descending {
            true => plot.line(class, points.collect::<Vec<_>>().into_iter().rev()),
            false => plot.line(class, points),
        }
    }
    format!("<div class=\"canvas\">{}</div>", plot.finish("treated", alt))
}

fn axis_title(axis: &super::AxisSummary) -> String {
    match axis.unit.as_str() {
        "" => axis.name.clone(),
        unit => format!("{} ({unit})", axis.name),
    }
}

fn spectra(document: &SpectraDocument, figures: &SpectraFigures) -> String {
    let mut out = String::new();
    let title = axis_title(&document.signal);
    let treated_axis = document.rows.iter().find(|rows| rows.name == "spectra");
    let treated_title = treated_axis.map_or_else(|| title.clone(), |rows| axis_title(&rows.signal));
    let background = figures.shown.iter().any(|s| s.background.is_some());
    let key = |class: &str, name: &str| format!(r#"<span class="key {class}">{name}</span>"#);
    let mut keys = key("counts", "as read");
    if background {
        keys += &key("background", "background");
    }
    keys += &key("model", "treated");
    let _ = write!(out, r#"<p class="legend">{keys}</p>"#);
    for (k, shown) in figures.shown.iter().enumerate() {
        let name = name(document, shown);
        let body = pair(figures, shown, (&title, &treated_title), &name);
        if k == 0 {
            let _ = write!(out, "<h3>{}</h3>{body}", Escaped(&name));
        } else {
            let open = if k < 3 || !shown.why.is_empty() { " open" } else { "" };
            let _ =
                write!(out, "<details{open}><summary>{}</summary>{body}</details>", Escaped(&name));
        }
    }
    if !figures.complete {
        let _ = write!(
            out,
            r#"<p class="quiet">{} of {} spectra are drawn; all of them are in spectra.zarr.</p>"#,
            figures.shown.len(),
            N.count(document.spectra as u64)
        );
    }
    out
}

fn name(document: &SpectraDocument, shown: &Shown) -> String {
    let mut name = match document.spectra {
        1 => "The spectrum".to_owned(),
        _ => format!("Spectrum {}", shown.row),
    };
    if !shown.why.is_empty() {
        name += &format!(" \u{2013} {}", shown.why);
    }
    name
}

fn pair(figures: &SpectraFigures, shown: &Shown, titles: (&str, &str), name: &str) -> String {
    let mut raw: Vec<(&str, &[f64])> = vec![("counts", &shown.raw)];
    if let Some(background) = &shown.background {
        raw.push(("background", background));
    }
    let before =
        plot(&figures.axis, &raw, (titles.0, "as read"), 230.0, &format!("{name}, as read"));
    let treated: [(&str, &[f64]); 1] = [("model", &shown.treated)];
    let after = plot(
        &figures.treated_axis,
        &treated,
        (titles.1, "treated"),
        230.0,
        &format!("{name}, treated"),
    );
    before + &after
}

fn found(document: &SpectraDocument) -> String {
    if document.columns.is_empty() {
        return String::new();
    }
    let mut rows = String::new();
    let number = |x: Option<f64>| x.map_or_else(|| "none".to_owned(), |x| N.short(x));
    for column in &document.columns {
        let _ = write!(
            rows,
            r#"<tr><th scope="row"><code>{}</code></th><td>{}</td><td class="num">{}</td><td class="num lead">{}</td><td class="num">{}</td><td>{}</td></tr>"#,
            Escaped(&column.step),
            Escaped(&column.name.replace('_', " ")),
            number(column.min),
            number(column.median),
            number(column.max),
            Escaped(&column.unit)
        );
    }
    let head = [
        ("", "Step"),
        ("", "Quantity"),
        ("num", "smallest"),
        ("num", "median"),
        ("num", "largest"),
        ("", "unit"),
    ];
    table("Every value is in rows.csv.", &head, &rows)
}

fn flagged(document: &SpectraDocument) -> String {
    if document.statuses.is_empty() {
        return "<p>Every spectrum was treated as asked.</p>".to_owned();
    }
    let mut rows = String::new();
    for count in &document.statuses {
        let which: Vec<String> = document
            .flagged
            .iter()
            .filter(|flag| flag.step == count.step && flag.status == count.status)
            .take(20)
            .map(|flag| flag.row.to_string())
            .collect();
        let more = if count.spectra > which.len() { ", ..." } else { "" };
        let _ = write!(
            rows,
            r#"<tr><th scope="row"><code>{}</code></th><td>{}</td><td class="num">{}</td><td>{}{more}</td></tr>"#,
            Escaped(&count.step),
            Escaped(&status_words(count.status)),
            N.count(count.spectra as u64),
            which.join(", ")
        );
    }
    let head = [("", "Step"), ("", "What happened"), ("num", "spectra"), ("", "rows")];
    table("Rows count from zero, in the order of the file.", &head, &rows)
}

fn steps(document: &SpectraDocument) -> String {
    let mut rows = String::new();
    for step in &document.steps {
        let given = match step.given.is_empty() {
            true => "defaults".to_owned(),
            false => step.given.join(", "),
        };
        let _ = write!(
            rows,
            r#"<tr><th scope="row"><code>{}</code></th><td>{}</td><td>{}</td></tr>"#,
            Escaped(&step.id),
            Escaped(&step.about),
            Escaped(&given)
        );
    }
    for made in &document.rows {
        let _ = write!(
            rows,
            r#"<tr class="faint"><th scope="row">{}</th><td>{}</td><td>noise: {}</td></tr>"#,
            Escaped(&made.name),
            Escaped(&made.signal.words(N)),
            Escaped(&made.noise)
        );
    }
    table("", &[("", "Step"), ("", "does"), ("", "parameters")], &rows)
}
