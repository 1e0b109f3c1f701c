//! The short answer that `kalpha run` prints.

use super::document::{Composition, EdsDocument, Quantification, Role, places};
use crate::number::Style;
use kalpha_core::{Quantity, Severity};

const N: Style = Style::Plain;
/// Lines do not grow beyond this.
const WIDTH: usize = 78;
/// Holds what belongs on one line.
const GLUE: char = '\u{a0}';
/// Phases and flags shown before "and n more".
const MOST: usize = 6;

/// The answer of a run as a few lines of text, without a final newline.
///
/// `color` puts headings in bold and refusals and warnings in yellow (leave it off under
/// `NO_COLOR` or when the output is no terminal). `report` is where the report was written.
pub fn answer(document: &EdsDocument, color: bool, report: Option<&str>) -> String {
    let mut page = Page { color, lines: Vec::new() };
    page.heading(document);
    page.elements(document);
    page.composition(document);
    page.phases(document);
    page.flagged(document);
    page.warnings(document);
    if let Some(report) = report {
        page.entry("Report", report);
    }
    page.lines.join("\n")
}

struct Page {
    color: bool,
    lines: Vec<String>,
}

/// Text of a file without control characters, so that it cannot drive the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

impl Page {
    fn style(&self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// `Name      text`, wrapped between words.
    fn entry(&mut self, name: &str, text: &str) {
        self.entry_styled(name, text, "");
    }

    fn entry_styled(&mut self, name: &str, text: &str, code: &str) {
        let mut first = true;
        for line in wrapped(&printable(text), WIDTH - 13) {
            let name = if first { name } else { "" };
            let line = if code.is_empty() { line } else { self.style(code, &line) };
            let padded = format!("{name:<13}");
            let padded = if first { self.style("1", &padded) } else { padded };
            self.lines.push(format!("{padded}{line}"));
            first = false;
        }
    }

    fn heading(&mut self, document: &EdsDocument) {
        let shape = &document.shape;
        let title = printable(&document.title);
        self.lines.push(self.style("1", &title));
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
        self.lines.push(facts);
        if let Some(strobe) = &document.counts.strobe {
            self.lines.push(format!(
                "strobe peak left out: {} counts ({} %)",
                N.count(strobe.counts),
                N.short(100.0 * strobe.fraction)
            ));
        }
        self.lines.push(String::new());
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
        self.entry("Elements", if specimen.is_empty() { none } else { &specimen });
        let other = list(|role| role != Role::Specimen);
        if !other.is_empty() {
            self.entry("", &format!("not of the specimen: {other}"));
        }
    }

    fn composition(&mut self, document: &EdsDocument) {
        match &document.quantification {
            Quantification::Composition(composition) => self.fractions(composition),
            Quantification::NotQuantified(refusal) => {
                let text = format!("not quantified: {}", refusal.message);
                self.entry_styled("Composition", &text, "33");
                if !refusal.hint.is_empty() {
                    self.entry("", &refusal.hint);
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
            let name_text = self.style("1", &format!("{name:<13}"));
            self.lines.push(format!("{name_text}{text}"));
            name = "";
        }
        let out: Vec<&str> = composition.left_out.iter().map(|l| l.symbol.as_str()).collect();
        if !out.is_empty() {
            self.entry("", &format!("left out: {}", out.join(", ")));
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
            self.entry(name, &text);
            name = "";
        }
        if document.phases.len() > MOST {
            self.entry("", &format!("and {} more", document.phases.len() - MOST));
        }
    }

    fn flagged(&mut self, document: &EdsDocument) {
        if document.single_spectrum() {
            return;
        }
        let places = places(&document.flagged);
        if places.is_empty() {
            let none = if document.pixels_tested() { "no pixel" } else { "not tested" };
            self.entry("Unexpected", none);
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
        self.entry_styled("Unexpected", &text, "33");
    }

    fn warnings(&mut self, document: &EdsDocument) {
        let count = |severity: Severity| {
            document.warnings.iter().filter(|w| w.severity == severity).count()
        };
        let (warnings, notes) = (count(Severity::Warning), count(Severity::Note));
        if warnings + notes == 0 {
            return;
        }
        let number = |n: usize, word: &str| match n {
            1 => format!("1 {word}"),
            n => format!("{n} {word}s"),
        };
        let text = match (warnings, notes) {
            (0, notes) => number(notes, "note"),
            (warnings, 0) => number(warnings, "warning"),
            (warnings, notes) => {
                format!("{}, {}", number(warnings, "warning"), number(notes, "note"))
            }
        };
        self.entry_styled("Warnings", &text, if warnings > 0 { "33" } else { "" });
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

/// Lines of at most `width` characters, broken at spaces; no-break spaces hold and become
/// plain ones. A longer word stands alone.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.iter_mut().for_each(|line| *line = line.replace(GLUE, " "));
    lines
}
