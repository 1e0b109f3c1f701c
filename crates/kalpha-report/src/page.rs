//! The page around every report: one HTML file without network, which opens from `file://`.
//!
//! Everything reads without scripts. All text is escaped, and the page forbids itself any
//! outside address.

use crate::{document::Output, figure::Escaped};
use kalpha_core::{Diagnostic, Severity};
use std::fmt::Write;

const STYLE: &str = include_str!("assets/report.css");
const SCRIPT: &str = include_str!("assets/report.js");

/// One part of a page: id, title, body. Parts without a body are left out.
pub(crate) type Section = (&'static str, &'static str, String);

/// A whole page. `header` is finished HTML.
pub(crate) fn page(
    title: &str,
    header: &str,
    sections: &[Section],
    program: &str,
    schema: &str,
) -> String {
    let present = || sections.iter().filter(|(_, _, body)| !body.is_empty());
    let mut out = String::with_capacity(1 << 20);
    let title = Escaped(title);
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
    out += header;
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
    let program = if program.is_empty() { "kalpha" } else { program };
    let _ = write!(
        out,
        "</main>\n<footer>{} \u{b7} schema {}</footer>\n<script>\n{}</script>\n</body>\n</html>\n",
        Escaped(program),
        Escaped(schema),
        SCRIPT
    );
    out
}

/// A message as a sentence: capital first, full stop last.
pub(crate) fn sentence(text: &str) -> String {
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
pub(crate) fn prose(text: &str) -> String {
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
pub(crate) fn table(caption: &str, head: &[(&str, &str)], rows: &str) -> String {
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

/// What the run met, warnings before notes.
pub(crate) fn warnings(warnings: &[Diagnostic]) -> String {
    let mut sorted: Vec<&Diagnostic> = warnings.iter().collect();
    sorted.sort_by_key(|w| std::cmp::Reverse(w.severity));
    let mut out = String::new();
    for warning in sorted {
        let (class, name) = match warning.severity {
            Severity::Warning => ("warning", "Warning"),
            Severity::Note => ("note", "Note"),
        };
        let _ = write!(
            out,
            r#"<div class="{class}"><p><b>{name}: {}.</b> {}</p>"#,
            Escaped(&words(&format!("{:?}", warning.code))),
            sentence(&warning.message)
        );
        if !warning.hint.is_empty() {
            let _ = write!(out, r#"<p class="hint">{}</p>"#, prose(&warning.hint));
        }
        if !warning.step.is_empty() {
            let _ =
                write!(out, r#"<p class="step">step <code>{}</code></p>"#, Escaped(&warning.step));
        }
        out += "</div>";
    }
    out
}

/// `NotConverged` as `not converged`.
pub(crate) fn words(name: &str) -> String {
    let mut out = String::new();
    for (i, c) in name.chars().enumerate() {
        if c.is_uppercase() && i > 0 {
            out.push(' ');
        }
        out.extend(c.to_lowercase());
    }
    out
}

/// The files of the folder, the recipe and the provenance.
pub(crate) fn recipe(outputs: &[Output], recipe_toml: &str, provenance_json: &str) -> String {
    let mut out = String::new();
    if !outputs.is_empty() {
        let mut rows = String::new();
        for output in outputs {
            let _ = write!(
                rows,
                r#"<tr><th scope="row"><code>{}</code></th><td>{}</td></tr>"#,
                Escaped(&output.file),
                Escaped(&output.about)
            );
        }
        out += &table("Files beside this report.", &[("", "File"), ("", "holds")], &rows);
    }
    for (name, text, open) in
        [("Recipe", recipe_toml, " open"), ("Provenance", provenance_json, "")]
    {
        if !text.is_empty() {
            let _ = write!(
                out,
                "<details{open}><summary>{name}</summary><pre tabindex=\"0\">{}</pre></details>",
                Escaped(text)
            );
        }
    }
    out
}

/// One line that leads to the warnings, where there are any.
pub(crate) fn alert(diagnostics: &[Diagnostic]) -> String {
    let warnings = diagnostics.iter().filter(|w| w.severity == Severity::Warning).count();
    if warnings == 0 {
        return String::new();
    }
    let plural = if warnings == 1 { "warning" } else { "warnings" };
    format!(
        "<p class=\"alert\"><a href=\"#warnings\">{warnings} {plural}</a>: read before using a number.</p>\n"
    )
}
