//! The short answer that `kalpha run` prints.

use super::document::{Composition, EdsDocument, Quantification, Role, places};
use crate::{
    answer::{Answer, GLUE, printable},
    number::Style,
};
use kalpha_core::Quantity;

const N: Style = Style::Plain;
/// Phases and flags shown before "and n more".
const MOST: usize = 6;

/// The answer of a run as a few lines of text, without a final newline.
///
/// `color` puts headings in bold and refusals and warnings in yellow (leave it off under
/// `NO_COLOR` or when the output is no terminal). `report` is where the report was written.
pub fn answer(document: &EdsDocument, color: bool, report: Option<&str>) -> String {
    let mut page = Page(Answer::new(color));
    page.heading(document);
    page.elements(document);
    page.composition(document);
    page.phases(document);
    page.flagged(document);
    page.0.warnings(&document.warnings);
    if let Some(report) = report {
        page.0.entry("Report", report);
    }
    page.0.finish()
}

/// The answer of an EDS run.
struct Page(Answer);

impl Page {
    fn heading(&mut self, document: &EdsDocument) {
        let shape = &document.shape;
        let title = printable(&document.title);
        self.0.line(self.0.style("1", &title));
        let used = N.count(document.counts.used);
        let per_pixel = N.short(document.counts.per_pixel);
        let mut facts = match (shape.rows, shape.cols) {
            (1, 1) => format!("one spectrum, {} channels, {used} counts", shape.channels),
            _ => format!(
                "{} x {} pixels, {} channels, {used} counts ({per_pixel} per pixel)",
                shape.rows, shape.cols, shape.channels
            ),
        };
        if let Some(specimen) = &document.specimen {
            facts += &format!(", {}", specimen.kind);
        }
        self.0.line(facts);
        if let Some(strobe) = &document.counts.strobe {
            self.0.line(format!(
                "strobe peak left out: {} counts ({} %)",
                N.count(strobe.counts),
                N.short(100.0 * strobe.fraction)
            ));
        }
        self.0.line(String::new());
    }

    fn elements(&mut self, document: &EdsDocument) {
        let elements = &document.elements;
        let list = |role: fn(Role) -> bool| {
            let names = elements.iter().filter(|e| role(e.role));
            let names = names
                .map(|e| format!("{}{GLUE}({}{GLUE}sigma)", e.symbol, N.fixed(e.significance, 0)));
            names.collect::<Vec<_>>().join(", ")
        };
        let specimen = list(|role| role == Role::Specimen);
        let none = if document.elements_sought() { "none detected" } else { "not looked for" };
        self.0.entry("Elements", if specimen.is_empty() { none } else { &specimen });
        let other = list(|role| role != Role::Specimen);
        if !other.is_empty() {
            self.0.entry("", &format!("not of the specimen: {other}"));
        }
    }

    fn composition(&mut self, document: &EdsDocument) {
        match &document.quantification {
            Quantification::Composition(composition) => self.fractions(composition),
            Quantification::NotQuantified(refusal) => {
                let text = format!("not quantified: {}", refusal.message);
                self.0.entry_styled("Composition", &text, "33");
                if !refusal.hint.is_empty() {
                    self.0.entry("", &refusal.hint);
                }
            }
        }
    }

    fn fractions(&mut self, composition: &Composition) {
        let rows: Vec<[String; 4]> = composition
            .elements
            .iter()
            .take(10)
            .map(|element| {
                let parts = match &element.atomic_percent {
                    Quantity::Measured { stat, syst, .. } => {
                        let (stat, syst) = (N.pair(0.0, *stat).1, N.pair(0.0, syst.total()).1);
                        format!("({stat} stat, {syst} syst)")
                    }
                    Quantity::UpperLimit { .. } => String::new(),
                };
                let symbol = printable(&element.symbol);
                [symbol, amount(&element.atomic_percent), parts, amount(&element.weight_percent)]
            })
            .collect();
        let width = |i: usize| rows.iter().map(|r| r[i].chars().count()).max().unwrap_or(0);
        let (at, split, wt) = (width(1), width(2), width(3));
        let mut name = "Composition";
        for [symbol, atomic, parts, weight] in &rows {
            let text = format!("{symbol:<3}{atomic:>at$} at.% {parts:<split$}  {weight:>wt$} wt%");
            let name_text = self.0.style("1", &format!("{name:<13}"));
            self.0.line(format!("{name_text}{text}"));
            name = "";
        }
        let out: Vec<&str> = composition.left_out.iter().map(|l| l.symbol.as_str()).collect();
        if !out.is_empty() {
            self.0.entry("", &format!("left out: {}", out.join(", ")));
        }
    }

    fn phases(&mut self, document: &EdsDocument) {
        if document.single_spectrum() {
            return;
        }
        let width = document
            .phases
            .iter()
            .take(MOST)
            .map(|p| p.name.chars().count())
            .max()
            .unwrap_or(0)
            .min(32);
        let mut name = "Phases";
        for phase in document.phases.iter().take(MOST) {
            let percent = |x: f64| N.fixed(100.0 * x, 1);
            let area = &phase.area_fraction;
            let mut text = format!(
                "{:<width$}{GLUE}{GLUE}{:>5}{GLUE}% ({} to {})",
                phase.name.replace(' ', &GLUE.to_string()),
                percent(area.value),
                percent(area.lower.max(0.0)),
                percent(area.upper.min(1.0))
            )
            .replace(' ', &GLUE.to_string());
            if let Quantification::Composition(composition) = &phase.quantification {
                let parts: Vec<String> = composition
                    .elements
                    .iter()
                    .take(3)
                    .map(|e| format!("{} {}", e.symbol, amount(&e.atomic_percent)))
                    .collect();
                let more = if composition.elements.len() > 3 { ", ..." } else { "" };
                // One piece: it stands on the next line where this one is full.
                let fractions = format!("{} at.%{more}", parts.join(", "));
                text += &format!(" {GLUE}{GLUE}{}", fractions.replace(' ', &GLUE.to_string()));
            }
            self.0.entry(name, &text);
            name = "";
        }
        if document.phases.len() > MOST {
            self.0.entry("", &format!("and {} more", document.phases.len() - MOST));
        }
    }

    fn flagged(&mut self, document: &EdsDocument) {
        if document.single_spectrum() {
            return;
        }
        let places = places(&document.flagged);
        if places.is_empty() {
            let none = if document.pixels_tested() { "no pixel" } else { "not tested" };
            self.0.entry("Unexpected", none);
            return;
        }
        let plural = if places.len() == 1 { "place" } else { "places" };
        let list: Vec<String> = places
            .iter()
            .take(MOST)
            .map(|place| {
                let [row, col] = place.pixel;
                format!(
                    "[{row},{GLUE}{col}]{GLUE}{}{GLUE}(p{GLUE}{})",
                    place.elements.join("+"),
                    N.probability(place.p_family_wise)
                )
            })
            .collect();
        let more = if places.len() > MOST { ", ..." } else { "" };
        let text = format!("{} {plural}: {}{more}", places.len(), list.join(", "));
        self.0.entry_styled("Unexpected", &text, "33");
    }
}

/// A quantity with its whole uncertainty.
fn amount(quantity: &Quantity) -> String {
    match (quantity, quantity.sigma()) {
        (Quantity::Measured { value, .. }, Some(sigma)) => N.plus_minus(*value, sigma),
        (Quantity::Measured { value, .. }, None) => N.short(*value),
        (Quantity::UpperLimit { limit, .. }, _) => format!("< {}", N.short(*limit)),
    }
}
