//! The answer: the composition with its budget, or why there is none.

use super::{N, cause, prose, quantity, sentence, table};
use crate::{
    eds::document::{
        Composition, EdsDocument, ElementFraction, KFactorSource, NotQuantified, Quantification,
        places,
    },
    figure::Escaped,
    number::{decimals, line_name},
};
use kalpha_core::{Cause, Quantity, Systematics};
use std::{collections::BTreeSet, fmt::Write};

pub(super) fn section(document: &EdsDocument) -> String {
    match &document.quantification {
        Quantification::Composition(composition) => {
            let mut out = quantified(composition);
            out += &rules(composition);
            out += &budget(composition);
            out += &k_factors(document);
            out
        }
        Quantification::NotQuantified(refusal) => {
            let mut out = refused(refusal);
            out += &summary(document);
            out
        }
    }
}

fn refused(refusal: &NotQuantified) -> String {
    let mut out = format!(
        r#"<div class="refused"><p class="verdict">Not quantified</p><p>{}</p>"#,
        sentence(&refusal.message)
    );
    if !refusal.hint.is_empty() {
        let _ = write!(out, r#"<p class="hint">{}</p>"#, prose(&refusal.hint));
    }
    let _ = write!(
        out,
        r#"<p class="reason">reason: <code>{}</code></p></div>"#,
        Escaped(&refusal.reason)
    );
    out
}

/// What the map does tell where there is no composition.
fn summary(document: &EdsDocument) -> String {
    let symbols: Vec<&str> = document.elements.iter().map(|e| e.symbol.as_str()).collect();
    let mut items = Vec::new();
    items.push(match symbols.len() {
        0 if !document.elements_sought() => "<dt>Elements</dt><dd>not looked for</dd>".to_owned(),
        0 => "<dt>Elements</dt><dd>none detected</dd>".to_owned(),
        _ => format!("<dt>Elements</dt><dd>{}</dd>", Escaped(&symbols.join(", "))),
    });
    if !document.phases.is_empty() && !document.single_spectrum() {
        let phases: Vec<String> = document
            .phases
            .iter()
            .map(|p| format!("{} {}\u{a0}%", p.name, N.fixed(100.0 * p.area_fraction.value, 1)))
            .collect();
        items.push(format!("<dt>Phases</dt><dd>{}</dd>", Escaped(&phases.join(", "))));
    }
    let unexpected = match places(&document.flagged).as_slice() {
        [] if !document.pixels_tested() => "not tested".to_owned(),
        [] => "no pixel".to_owned(),
        [one] => format!("1 place: {}", one.elements.join(", ")),
        many => format!("{} places", many.len()),
    };
    if !document.single_spectrum() {
        let unexpected = Escaped(&unexpected).to_string();
        items.push(format!("<dt>Unexpected</dt><dd>{unexpected}</dd>"));
    }
    let items: String = items.iter().map(|item| format!("<div>{item}</div>")).collect();
    format!("<dl class=\"summary\">{items}</dl>")
}

/// Value, statistical and systematic part, rounded together.
fn three(quantity: &Quantity) -> [String; 3] {
    match quantity {
        Quantity::Measured { value, stat, syst } => {
            let sigma = stat.hypot(syst.total());
            let digits = decimals(sigma).max(0) as usize;
            let part = |x: f64| N.fixed(x, digits + usize::from(x < 0.3 * sigma));
            [N.pair(*value, sigma).0, part(*stat), part(syst.total())]
        }
        Quantity::UpperLimit { limit, confidence, .. } => {
            let level = format!("{} % confidence", N.short(100.0 * confidence));
            [format!("< {}", N.short(*limit)), level, String::new()]
        }
    }
}

/// A bar from 0 to 100 with the one-sigma interval on it.
fn bar(quantity: &Quantity) -> String {
    let (Some(value), Some(sigma)) = (quantity.value(), quantity.sigma()) else {
        return String::new();
    };
    let clamp = |x: f64| if x.is_finite() { x.clamp(0.0, 100.0) } else { 0.0 };
    let (low, high) = (clamp(value - sigma), clamp(value + sigma));
    format!(
        r#"<svg class="fraction" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><rect class="track" width="100" height="10"/><rect class="fill" width="{:.2}" height="10"/><rect class="range" x="{low:.2}" y="3.5" width="{:.2}" height="3"/></svg>"#,
        clamp(value),
        high - low
    )
}

fn quantified(composition: &Composition) -> String {
    let mut rows = String::new();
    for element in &composition.elements {
        let _ = write!(
            rows,
            r#"<tr><th scope="row"><span class="symbol">{}</span> <span class="line">{}</span></th>"#,
            Escaped(&element.symbol),
            Escaped(&line_name(&element.family))
        );
        for (i, part) in [&element.atomic_percent, &element.weight_percent].into_iter().enumerate()
        {
            let [value, stat, syst] = three(part);
            let total =
                part.sigma().map_or(String::new(), |s| N.pair(part.value().unwrap_or(0.0), s).1);
            let _ = write!(
                rows,
                r#"<td class="num lead">{value}{}</td><td class="num">{stat}</td><td class="num">{syst}</td>"#,
                if total.is_empty() {
                    String::new()
                } else {
                    format!(r#"<span class="pm"> ± {total}</span>"#)
                }
            );
            if i == 0 {
                let _ = write!(rows, "<td class=\"bar\">{}</td>", bar(part));
            }
        }
        rows += "</tr>";
    }
    let caption = format!(
        "Whole map, {}. One standard deviation; \u{201c}stat\u{201d} is counting, \u{201c}syst\u{201d} everything else.",
        Escaped(&composition.method)
    );
    let head = [
        ("", "Element"),
        ("num", "at.%"),
        ("num", "stat"),
        ("num", "syst"),
        ("bar", "<span class=\"quiet\">0 to 100 at.%</span>"),
        ("num", "wt%"),
        ("num", "stat"),
        ("num", "syst"),
    ];
    table(&caption, &head, &rows).replace("class=\"table\"", "class=\"table composition\"")
}

/// What was corrected and what was left out.
fn rules(composition: &Composition) -> String {
    let mut sentences = Vec::new();
    match composition.thickness_nm {
        Some(thickness) => {
            let density = composition
                .density_g_cm3
                .map_or(String::new(), |d| format!(" and {} g/cm\u{b3}", N.short(d)));
            sentences
                .push(format!("Absorption is corrected for {} nm{density}.", N.short(thickness)));
        }
        None => sentences.push("Absorption is not corrected.".to_owned()),
    }
    if let Some(convergence) = composition.convergence.filter(|c| !c.converged) {
        sentences.push(format!(
            "The correction did not converge in {} iterations.",
            convergence.iterations
        ));
    }
    let mut rules: Vec<(&str, Vec<&str>)> = Vec::new();
    for out in &composition.left_out {
        let rule = out.rule.trim_end_matches('.');
        match rules.iter_mut().find(|(known, _)| *known == rule) {
            Some((_, symbols)) => symbols.push(&out.symbol),
            None => rules.push((rule, vec![&out.symbol])),
        }
    }
    if !rules.is_empty() {
        let parts = rules.iter().map(|(rule, symbols)| format!("{} ({rule})", symbols.join(", ")));
        let parts: Vec<String> = parts.collect();
        sentences.push(format!("Left out of the sum to 100 %: {}.", parts.join("; ")));
    }
    format!("<p>{}</p>", Escaped(&sentences.join(" ")))
}

fn systematics(quantity: &Quantity) -> Option<(f64, &Systematics)> {
    match quantity {
        Quantity::Measured { stat, syst, .. } => Some((*stat, syst)),
        Quantity::UpperLimit { .. } => None,
    }
}

/// One row per cause, one column per element; a bar behind each number.
fn budget(composition: &Composition) -> String {
    let measured: Vec<(&ElementFraction, f64, &Systematics)> = composition
        .elements
        .iter()
        .filter_map(|e| systematics(&e.atomic_percent).map(|(stat, syst)| (e, stat, syst)))
        .collect();
    if measured.is_empty() {
        return String::new();
    }
    let causes: BTreeSet<&Cause> =
        measured.iter().flat_map(|(_, _, syst)| syst.iter().map(|(cause, _)| cause)).collect();
    let largest =
        measured.iter().map(|(_, stat, syst)| stat.hypot(syst.total())).fold(0.0, f64::max);
    let cell = |value: f64, signed: bool, class: &str| {
        let width =
            if largest > 0.0 { (100.0 * value.abs() / largest).clamp(0.0, 100.0) } else { 0.0 };
        let digits = decimals(largest).clamp(0, 6) as usize + 1;
        let text = match value {
            v if signed && v > 0.0 => format!("+{}", N.fixed(v, digits)),
            v => N.fixed(v, digits),
        };
        format!(
            r#"<td class="budget {class}"><span class="amount">{text}</span><svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"><rect width="{width:.2}" height="8"/></svg></td>"#
        )
    };
    let mut rows = String::new();
    let mut row = |name: &str, class: &str, cells: String| {
        let _ = write!(
            rows,
            r#"<tr class="{class}"><th scope="row">{}</th>{cells}</tr>"#,
            Escaped(name)
        );
    };
    row("counting", "", measured.iter().map(|(_, stat, _)| cell(*stat, false, "stat")).collect());
    for cause_of in causes {
        let cells = measured.iter().map(|(_, _, syst)| cell(syst.shift(cause_of), true, "syst"));
        row(&cause(cause_of), "", cells.collect());
    }
    let totals =
        measured.iter().map(|(_, stat, syst)| cell(stat.hypot(syst.total()), false, "all"));
    row("together", "total", totals.collect());
    let names: Vec<String> =
        measured.iter().map(|(e, _, _)| format!("{} (at.%)", Escaped(&e.symbol))).collect();
    let mut head = vec![("", "Cause")];
    head.extend(names.iter().map(|name| ("", name.as_str())));
    // Every cell has a bar of the same length, so that bars compare across elements.
    let class = if measured.len() <= 3 { "table budgets wide" } else { "table budgets" };
    let caption = "One standard deviation by cause. A sign tells which way a shift moves each element; causes add in quadrature.";
    let table =
        table(caption, &head, &rows).replacen("class=\"table\"", &format!("class=\"{class}\""), 1);
    format!("<h3>Error budget</h3>{table}")
}

fn k_factors(document: &EdsDocument) -> String {
    if document.k_factors.is_empty() {
        return String::new();
    }
    let mut rows = String::new();
    for k in &document.k_factors {
        let source = match k.source {
            KFactorSource::Given => "given",
            KFactorSource::Computed => "computed",
        };
        let note = if k.assumed { "uncertainty assumed" } else { "" };
        let relative = if k.value == 0.0 { 0.0 } else { 100.0 * k.sigma / k.value };
        let _ = write!(
            rows,
            r#"<tr><th scope="row">{}</th><td class="num">{}</td><td class="num">{} ({} %)</td><td>{source}</td><td>{note}</td></tr>"#,
            Escaped(&line_name(&k.line)),
            N.short(k.value),
            N.short(k.sigma),
            N.short((10.0 * relative).round() / 10.0),
        );
    }
    let head =
        [("", "Line"), ("num", "k-factor"), ("num", "uncertainty"), ("", "source"), ("", "note")];
    format!(
        "<details><summary>k-factors</summary>{}</details>",
        table("Mass-based k-factors.", &head, &rows)
    )
}

/// The composition of a phase in one line.
pub(super) fn in_one_line(quantification: &Quantification) -> String {
    match quantification {
        Quantification::Composition(composition) => {
            let parts: Vec<String> = composition
                .elements
                .iter()
                .map(|e| {
                    // Two standard deviations: below, the element need not be there.
                    let sure = match (e.atomic_percent.value(), e.atomic_percent.sigma()) {
                        (Some(value), Some(sigma)) => value > 2.0 * sigma,
                        _ => false,
                    };
                    let class = if sure { "part" } else { "part faint" };
                    format!(
                        r#"<span class="{class}">{} <b>{}</b></span>"#,
                        Escaped(&e.symbol),
                        quantity(&e.atomic_percent)
                    )
                })
                .collect();
            parts.join(" ")
        }
        Quantification::NotQuantified(refusal) => {
            format!(
                r#"<span class="quiet" title="{}">not quantified ({})</span>"#,
                Escaped(&refusal.message),
                Escaped(&refusal.reason.replace('_', " "))
            )
        }
    }
}
