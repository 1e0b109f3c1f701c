//! Elements with their evidence, intensities with their limits.

use super::{N, quantity, table};
use crate::{
    eds::document::{EdsDocument, FoundIn, Role},
    figure::Escaped,
    number::line_name,
};
use std::fmt::Write;

pub(super) fn elements(document: &EdsDocument) -> String {
    if !document.elements_sought() {
        return String::new();
    }
    let mut out = String::new();
    if document.elements.is_empty() {
        out += "<p>No element is detected.</p>";
    } else {
        let largest = document.elements.iter().map(|e| e.significance).fold(1.0, f64::max);
        let mut rows = String::new();
        for element in &document.elements {
            let place = match &element.found_in {
                FoundIn::Phase(label) => document
                    .phases
                    .iter()
                    .find(|p| p.label == *label)
                    .map_or_else(|| element.found_in.to_string(), |p| p.name.clone()),
                other => other.to_string(),
            };
            let mut note = match element.role {
                Role::Specimen => String::new(),
                role if element.rule.is_empty() => role.as_str().to_owned(),
                _ => element.rule.clone(),
            };
            if element.given {
                note = if note.is_empty() { "given".to_owned() } else { format!("given; {note}") };
            }
            // The square root keeps seven sigma visible beside four hundred.
            let width = 100.0 * (element.significance.max(0.0) / largest).sqrt();
            let _ = write!(
                rows,
                r#"<tr><th scope="row"><span class="symbol">{}</span> <span class="line">{}</span></th><td class="num">{}</td><td class="budget significance"><span class="amount">{} σ</span><svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"><rect width="{:.2}" height="8"/></svg></td><td>{}</td><td>{}</td></tr>"#,
                Escaped(&element.symbol),
                Escaped(&line_name(&element.family)),
                quantity(&element.counts),
                N.fixed(element.significance, usize::from(element.significance < 9.95)),
                if width.is_finite() { width.clamp(0.0, 100.0) } else { 0.0 },
                Escaped(&place),
                Escaped(&note),
            );
        }
        let head = [
            ("", "Element"),
            ("num", "counts"),
            ("", "significance"),
            ("", "strongest in"),
            ("", "note"),
        ];
        out += &table(
            "Significance is the estimate over its standard deviation, with the misfit and the spread between background models in it. Bars on a square-root scale.",
            &head,
            &rows,
        );
    }
    if !document.rejected.is_empty() {
        let mut rows = String::new();
        for candidate in &document.rejected {
            let significance =
                candidate.significance.map_or(String::new(), |s| format!("{} σ", N.fixed(s, 1)));
            let _ = write!(
                rows,
                r#"<tr><th scope="row">{}</th><td class="num">{significance}</td><td>{}</td></tr>"#,
                Escaped(&line_name(&candidate.candidate)),
                Escaped(&candidate.reason),
            );
        }
        let head = [("", "Candidate"), ("num", "significance"), ("", "why not")];
        let n = document.rejected.len();
        let plural = if n == 1 { "candidate" } else { "candidates" };
        let _ = write!(
            out,
            "<details><summary>{n} {plural} looked at and not reported</summary>{}</details>",
            table("", &head, &rows)
        );
    }
    out
}

pub(super) fn intensities(document: &EdsDocument) -> String {
    if document.intensities.is_empty() {
        return String::new();
    }
    let mut models: Vec<&str> = Vec::new();
    for estimate in document.intensities.iter().flat_map(|i| &i.by_background) {
        if !models.contains(&estimate.model.as_str()) {
            models.push(&estimate.model);
        }
    }
    let mut rows = String::new();
    for intensity in &document.intensities {
        let optional = |x: Option<f64>| x.map_or(String::new(), |x| N.fixed(x, 0));
        let verdict = if intensity.detected { "detected" } else { "not detected" };
        let _ = write!(
            rows,
            r#"<tr class="{}"><th scope="row">{}</th><td class="num lead">{}</td><td class="num">{}</td><td class="num">{}</td><td>{verdict}</td>"#,
            if intensity.detected { "" } else { "faint" },
            Escaped(&line_name(&intensity.family)),
            quantity(&intensity.counts),
            optional(intensity.critical_level),
            optional(intensity.detection_limit),
        );
        for model in &models {
            let found = intensity.by_background.iter().find(|b| b.model == *model);
            let _ = write!(rows, r#"<td class="num">{}</td>"#, optional(found.map(|b| b.counts)));
        }
        rows += "</tr>";
    }
    let names: Vec<String> = models.iter().map(|m| Escaped(background(m)).to_string()).collect();
    let mut head = vec![
        ("", "Family"),
        ("num", "net counts"),
        ("num", "<i>L</i><sub>C</sub>"),
        ("num", "<i>L</i><sub>D</sub>"),
        ("", ""),
    ];
    head.extend(names.iter().map(|name| ("num", name.as_str())));
    table(
        "Whole measurement. <i>L</i><sub>C</sub> is Currie\u{2019}s critical level, <i>L</i><sub>D</sub> the detection limit; the last columns are the estimates with each background model alone.",
        &head,
        &rows,
    )
}

/// A background model as the field writes it.
fn background(name: &str) -> &str {
    match name {
        "snip" => "SNIP",
        "asls" => "AsLS",
        other => other,
    }
}
