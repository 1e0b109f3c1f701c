//! Pixels that the model of the map does not explain.

use super::{N, labels, spectrum, table};
use crate::{
    eds::{
        document::{EdsDocument, Flagged, Guard, Refit, places},
        figures::{EdsFigures, SpectrumFigure},
    },
    figure::Escaped,
    number::line_name,
};
use std::fmt::Write;

/// Rows shown before the rest is folded away.
const FIRST: usize = 12;
/// Rows in the page; the table file holds all.
const MOST: usize = 200;

pub(super) fn section(document: &EdsDocument, figures: &EdsFigures) -> String {
    if !document.pixels_tested() || document.single_spectrum() {
        return String::new();
    }
    let mut out = String::new();
    if document.flagged.is_empty() {
        out += "<p>No pixel stands out: the model of the map explains every one.</p>";
    } else {
        let places = places(&document.flagged);
        let _ = write!(
            out,
            "<p>{}, so counts there overstate what is there.</p>",
            match places.len() {
                1 => "At one place a line has more counts than the model of the map expects. It was chosen for being extreme".to_owned(),
                n => format!("At {n} places a line has more counts than the model of the map expects. They were chosen for being extreme"),
            }
        );
        let shown = document.flagged.len().min(FIRST);
        out += &rows(&document.flagged[..shown]);
        let rest = &document.flagged[shown..document.flagged.len().min(MOST)];
        if !rest.is_empty() {
            let _ = write!(
                out,
                "<details><summary>{} more</summary>{}</details>",
                document.flagged.len() - shown,
                rows(rest)
            );
        }
        if document.flagged.len() > MOST {
            let _ = write!(
                out,
                "<p class=\"quiet\">The first {MOST} are shown; the table file holds all.</p>"
            );
        }
        out += &spectra(document, figures);
    }
    if let Some(guard) = &document.guard {
        out += &calibration(guard);
    }
    out
}

fn rows(flags: &[Flagged]) -> String {
    let mut rows = String::new();
    for flag in flags {
        let family = flag.family.as_deref().map(line_name);
        let what = match (&flag.element, family) {
            (Some(element), Some(family)) => format!(
                r#"<span class="symbol">{}</span> <span class="line">{}</span>"#,
                Escaped(element),
                Escaped(&family)
            ),
            (Some(element), None) => Escaped(element).to_string(),
            (None, Some(family)) => Escaped(&family).to_string(),
            (None, None) => "whole spectrum".to_owned(),
        };
        let refit = match flag.refit {
            Refit::OwnEndMember => "own end-member",
            Refit::RawCounts => "raw counts",
        };
        let _ = write!(
            rows,
            r#"<tr><th scope="row" class="num">[{}, {}]</th><td class="nowrap">{what}</td><td class="num">{} × {}</td><td class="num lead">{}</td><td class="num">{}</td><td class="num">{}</td><td class="num">{}</td><td class="nowrap">{}</td><td class="nowrap">{refit}</td></tr>"#,
            flag.pixel[0],
            flag.pixel[1],
            flag.neighbourhood[0],
            flag.neighbourhood[1],
            N.short(flag.counts),
            N.short(flag.expected),
            N.probability(flag.p),
            N.probability(flag.p_family_wise),
            Escaped(&flag.test),
        );
    }
    let head = [
        ("num", "[row, column]"),
        ("", "element"),
        ("num", "pixels"),
        ("num", "counts"),
        ("num", "expected"),
        ("num", "<i>p</i>"),
        ("num", "<i>p</i> of the map"),
        ("", "test"),
        ("", "reconstructed as"),
    ];
    table("", &head, &rows)
}

/// Sparse spectra are read in bins: a channel holds a count or none.
fn spectra(document: &EdsDocument, figures: &EdsFigures) -> String {
    let fine = spectrum::EnergyAxis::new(figures);
    let factor = fine.binning();
    let axis = fine.binned(factor);
    let sums = |counts: &[f64]| -> Vec<f64> {
        counts.chunks_exact(factor).map(|bin| bin.iter().sum()).collect()
    };
    let width = match figures.energies.as_slice() {
        [a, b, ..] => 1000.0 * (b - a) * factor as f64,
        _ => return String::new(),
    };
    let unit = format!("counts per {} eV", N.fixed(width, 0));
    let mut out = String::new();
    for (i, found) in figures.flagged.iter().take(6).enumerate() {
        let [row, col] = found.pixel;
        // A pixel flagged for two elements has two spectra here, of two neighbourhoods.
        let nth = figures.flagged.iter().take(i).filter(|f| f.pixel == found.pixel).count();
        let flag = document.flagged.iter().filter(|flag| flag.pixel == found.pixel).nth(nth);
        let element = flag.and_then(|flag| flag.element.as_deref());
        let name = element.unwrap_or("whole spectrum");
        let alt = format!("spectrum at [{row}, {col}] ({name}) against the expected counts");
        let shown = SpectrumFigure {
            counts: sums(&found.counts),
            families: labels(figures),
            ..SpectrumFigure::default()
        };
        let expected = sums(&found.expected);
        let view = spectrum::View {
            id: &format!("flag-{i}"),
            alt: &alt,
            unit: &unit,
            height: 150.0,
            expected: Some(&expected),
            linear: true,
        };
        let figure = spectrum::figure(&axis, &shown, &view);
        if !figure.is_empty() {
            let open = if i == 0 { " open" } else { "" };
            let _ = write!(
                out,
                r#"<details{open}><summary>Spectrum at [{row}, {col}], {}</summary>{figure}<p class="legend"><span class="key counts">measured</span><span class="key expected">expected</span></p></details>"#,
                Escaped(name)
            );
        }
    }
    out
}

fn calibration(guard: &Guard) -> String {
    let mut out = format!(
        "<p>{} tests (pixels × families × neighbourhoods) at a family-wise level of {} %.",
        N.count(guard.tests),
        N.short(100.0 * guard.level)
    );
    if let Some(bootstrap) = &guard.bootstrap {
        let _ = write!(
            out,
            " Of {} maps drawn from the model itself, {} had a flag.",
            bootstrap.draws, bootstrap.maps_with_flags
        );
    }
    if guard.pile_up_counts > 0.0 {
        let _ = write!(
            out,
            " The model includes {} counts of pile-up, from each pixel's own spectrum.",
            N.short(guard.pile_up_counts)
        );
    }
    out += "</p>";
    for own in &guard.own_end_members {
        let _ = write!(
            out,
            "<p>{} pixels share an end-member of their own, flagged for {}.</p>",
            own.pixels,
            Escaped(&own.elements.join(", "))
        );
    }
    if !guard.inflation.is_empty() {
        let mut rows = String::new();
        for inflation in &guard.inflation {
            let _ = write!(
                rows,
                r#"<tr><th scope="row">{}</th><td class="num">{}</td></tr>"#,
                Escaped(&line_name(&inflation.family)),
                N.fixed(inflation.factor, 2)
            );
        }
        let _ = write!(
            out,
            "<details><summary>Inflation per family</summary>{}</details>",
            table(
                "Spread of the scan statistic over that of its null: 1 where the model describes the map. p-values are corrected for it.",
                &[("", "Family"), ("num", "factor")],
                &rows
            )
        );
    }
    out
}
