//! Calibration, warnings, truth, recipe, provenance.

use super::{N, prose, sentence, table};
use crate::{
    eds::document::{Calibration, EdsDocument, Estimate},
    figure::Escaped,
    number::line_name,
};
use std::fmt::Write;

pub(super) fn calibration(document: &EdsDocument) -> String {
    let pm = |e: &Estimate| N.plus_minus(e.value, e.sigma);
    match &document.calibration {
        Calibration::Fitted { offset_ev, gain_ev, resolution_mn_ka_ev, lines } => {
            let lines: Vec<String> = lines.iter().map(|line| line_name(line)).collect();
            format!(
                "<p>Energy scale fitted to {}: offset {} eV, {} eV per channel, resolution {} eV at Mn\u{a0}K\u{3b1}.</p>",
                Escaped(&lines.join(", ")),
                pm(offset_ev),
                pm(gain_ev),
                pm(resolution_mn_ka_ev)
            )
        }
        Calibration::Refused { reason, hint } => format!(
            r#"<div class="warning"><p><b>Energy calibration refused.</b> {}</p><p class="hint">{}</p></div>"#,
            sentence(reason),
            prose(hint)
        ),
        Calibration::AsFile => String::new(),
    }
}

pub(super) fn truth(document: &EdsDocument) -> String {
    let Some(truth) = &document.truth else { return String::new() };
    let mut rows = String::new();
    for row in &truth.rows {
        let found = match (row.found, row.sigma) {
            (Some(found), Some(sigma)) => N.plus_minus(found, sigma),
            (Some(found), None) => N.short(found),
            (None, _) => "not found".to_owned(),
        };
        let verdict = if row.agrees { "\u{2713} agrees" } else { "\u{2717} differs" };
        let _ = write!(
            rows,
            r#"<tr><th scope="row">{}</th><td class="num">{}</td><td class="num lead">{found}</td><td>{}</td><td class="{}">{verdict}</td></tr>"#,
            Escaped(&row.what),
            row.sigma.map_or_else(|| N.short(row.truth), |sigma| N.pair(row.truth, sigma).0),
            Escaped(&row.unit),
            if row.agrees { "good" } else { "bad" },
        );
    }
    let caption =
        format!("These data are simulated: {}.", Escaped(truth.about.trim_end_matches('.')));
    let head = [("", "Quantity"), ("num", "true"), ("num", "found"), ("", "unit"), ("", "")];
    table(&caption, &head, &rows)
}
