//! The short answer on a terminal: names at the left, text wrapped beside them.

use kalpha_core::{Diagnostic, Severity};

/// Lines do not grow beyond this.
const WIDTH: usize = 78;
/// Holds what belongs on one line.
pub(crate) const GLUE: char = '\u{a0}';

/// Lines of an answer.
pub(crate) struct Answer {
    color: bool,
    lines: Vec<String>,
}

/// Text of a file without control characters, so that it cannot drive the terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

impl Answer {
    /// No line yet. `color` puts headings in bold and warnings in yellow.
    pub(crate) fn new(color: bool) -> Self {
        Self { color, lines: Vec::new() }
    }

    /// A line as it is.
    pub(crate) fn line(&mut self, text: impl Into<String>) {
        self.lines.push(text.into());
    }

    /// The text, without a final newline.
    pub(crate) fn finish(self) -> String {
        self.lines.join("\n")
    }

    pub(crate) fn style(&self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// `Name      text`, wrapped between words.
    pub(crate) fn entry(&mut self, name: &str, text: &str) {
        self.entry_styled(name, text, "");
    }

    pub(crate) fn entry_styled(&mut self, name: &str, text: &str, code: &str) {
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

    /// How many warnings and notes there are.
    pub(crate) fn warnings(&mut self, warnings: &[Diagnostic]) {
        let count = |severity: Severity| warnings.iter().filter(|w| w.severity == severity).count();
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
