//! The report and the terminal answer.

use crate::{film::film, rock::rock};
use kalpha_core::Source;
use kalpha_report::eds::*;
use serde_json::Value;
use std::collections::HashSet;

fn samples() -> [(&'static str, (EdsDocument, EdsFigures)); 2] {
    [("film", film()), ("rock", rock())]
}

/// Where `KALPHA_REPORT_SAMPLES` names a folder, the samples are written there to be looked at.
#[test]
fn reports_are_one_small_file_without_network() {
    for (name, (document, figures)) in samples() {
        let html = report_html(&document, &figures);
        if let Ok(folder) = std::env::var("KALPHA_REPORT_SAMPLES") {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(format!("{folder}/{name}.html"), &html).unwrap();
            let text = answer(&document, false, Some("out/report.html"));
            std::fs::write(format!("{folder}/{name}.txt"), &text).unwrap();
            std::fs::write(format!("{folder}/{name}.json"), document.to_json().unwrap()).unwrap();
        }
        assert!(html.len() < 3_000_000, "{name}: {} bytes", html.len());
        // The one address is the name of the SVG namespace, which nothing fetches.
        let addresses = html.matches("://").count();
        assert_eq!(addresses, html.matches("http://www.w3.org/2000/svg").count(), "{name}");
        for outside in ["<link", "@import", "url(//", "src=\"//", "<iframe"] {
            assert!(!html.contains(outside), "{name}: {outside}");
        }
    }
}

#[test]
fn reports_are_well_formed() {
    for (name, (document, figures)) in samples() {
        check(&report_html(&document, &figures)).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

#[test]
fn the_answer_comes_first() {
    let (document, figures) = film();
    let html = report_html(&document, &figures);
    let at = |text: &str| html.find(text).unwrap_or_else(|| panic!("{text} is missing"));
    assert!(at("46.3<span class=\"pm\"> ± 4.5") < at("id=\"phases\""));
    assert!(at("k-factor Pt\u{a0}Lα") < at("id=\"phases\""));
    let (document, figures) = rock();
    let html = report_html(&document, &figures);
    let at = |text: &str| html.find(text).unwrap_or_else(|| panic!("{text} is missing"));
    assert!(at("Not quantified") < at("id=\"phases\""));
    assert!(!html.contains("at.%"), "a refused composition has no at.%");
}

#[test]
fn text_of_files_cannot_become_markup() {
    const EVIL: &str =
        "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&--\u{1b}[2J";
    fn poison(value: &mut Value) {
        let free = [
            "title",
            "path",
            "format",
            "message",
            "hint",
            "name",
            "candidate",
            "symbol",
            "family",
            "model",
            "rule",
            "because",
            "unit",
            "file",
            "about",
            "what",
            "detector",
            "color",
            "element",
            "test",
            "chosen_by",
            "method",
            "line",
            "step",
            "reason",
            "where",
            "program",
        ];
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    match value {
                        Value::String(text) if free.contains(&key.as_str()) => *text = EVIL.into(),
                        other => poison(other),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(poison),
            _ => {}
        }
    }
    for (name, (document, mut figures)) in samples() {
        let mut value: Value = serde_json::from_str(&document.to_json().unwrap()).unwrap();
        poison(&mut value);
        let document = EdsDocument::from_json(&value.to_string()).unwrap();
        figures.recipe_toml = EVIL.into();
        figures.provenance_json = EVIL.into();
        for family in &mut figures.sum.families {
            family.name = EVIL.into();
        }
        for map in &mut figures.maps {
            (map.title, map.unit, map.name) = (EVIL.into(), EVIL.into(), EVIL.into());
        }
        let html = report_html(&document, &figures);
        assert!(!html.contains("alert(1)</script>"), "{name}");
        assert!(!html.contains("<img src=x"), "{name}");
        assert!(!html.contains('\u{1b}'), "{name}");
        assert!(!html.contains("background:</"), "{name}");
        check(&html).unwrap_or_else(|e| panic!("{name}: {e}"));
        let text = answer(&document, false, Some(EVIL));
        assert!(!text.contains('\u{1b}'), "{name}");
    }
}

#[test]
fn empty_and_broken_figures_leave_their_part_out() {
    let empty = EdsDocument::new(Source::default(), "", Shape::default());
    check(&report_html(&empty, &EdsFigures::default())).unwrap();
    assert!(!answer(&empty, false, None).is_empty());

    let (mut document, mut figures) = film();
    figures.sum.residual = Some(vec![f64::NAN; 3]);
    figures.sum.background = None;
    figures.sum.families[0].curve.truncate(5);
    figures.phases[0].spectrum.counts = vec![0.0; figures.energies.len()];
    figures.phases[1].spectrum.counts = vec![f64::NAN; figures.energies.len()];
    figures.maps[0].values.fill(f64::NAN);
    figures.maps[1].values.truncate(7);
    figures.maps[2].values.fill(-3.0);
    figures.labels.as_mut().unwrap().labels.truncate(9);
    figures.scree = Some(ScreeFigure { eigenvalues: vec![0.0, -1.0], noise: vec![] });
    document.rank.as_mut().unwrap().thinning.as_mut().unwrap().error.fill(f64::NAN);
    document.phases[0].color = "url(x)".into();
    let html = report_html(&document, &figures);
    check(&html).unwrap();
    assert!(!html.contains("Number of components"));

    let (mut document, mut figures) = film();
    document.shape = Shape { rows: 1, cols: 1, channels: 1, pixel_size: None };
    figures.energies.truncate(1);
    figures.maps.truncate(1);
    (figures.maps[0].rows, figures.maps[0].cols) = (1, 1);
    figures.maps[0].values = vec![4.0];
    check(&report_html(&document, &figures)).unwrap();
}

#[test]
fn many_large_maps_stay_small_in_the_page() {
    let (document, mut figures) = film();
    let n = 1024;
    figures.maps = (0..20).map(|_| figures.maps[0].clone()).collect();
    for map in &mut figures.maps {
        (map.rows, map.cols) = (n, n);
        map.values = (0..n * n).map(|i| (i * 7919 % 1009) as f64).collect();
    }
    let html = report_html(&document, &figures);
    assert!(html.len() < 3_000_000, "{} bytes", html.len());
}

#[test]
fn the_terminal_answer_is_short_and_narrow() {
    for (name, (document, _)) in samples() {
        let text = answer(&document, false, Some("out/report.html"));
        assert!(text.lines().count() <= 25, "{name}: {} lines", text.lines().count());
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{name}: {line}");
            assert_eq!(line, line.trim_end(), "{name}");
        }
        assert!(!text.contains('\u{1b}'), "{name}");
        assert!(answer(&document, true, None).contains("\u{1b}[1m"), "{name}");
    }
    let (document, _) = film();
    let text = answer(&document, false, None);
    assert!(text.contains("46.3 +- 4.5 at.% (0.52 stat, 4.5 syst)"), "{text}");
    assert!(text.contains("[31, 7] Au (p 8.8e-9)"), "{text}");
    let (document, _) = rock();
    let text = answer(&document, false, None);
    assert!(text.contains("not quantified") && !text.contains("at.%"), "{text}");
}

/// Tags balance, attributes are quoted, identities are unique, images have a text, and no
/// number is NaN or infinite.
fn check(html: &str) -> Result<(), String> {
    const VOID: [&str; 4] = ["meta", "img", "br", "hr"];
    let (mut stack, mut ids): (Vec<&str>, HashSet<&str>) = (Vec::new(), HashSet::new());
    let mut rest = html.strip_prefix("<!DOCTYPE html>").ok_or("no doctype")?;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let end = tag_end(rest).ok_or_else(|| format!("open tag at {:.60}", rest))?;
        let (tag, after) = (&rest[..end], &rest[end + 1..]);
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            let open = stack.pop().ok_or_else(|| format!("</{name}> closes nothing"))?;
            if open != name {
                return Err(format!("<{open}> closed by </{name}>"));
            }
            continue;
        }
        let closed = tag.ends_with('/');
        let tag = tag.trim_end_matches('/');
        let (name, attributes) = tag.split_once([' ', '\n']).unwrap_or((tag, ""));
        if !name.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(format!("tag <{name}"));
        }
        let attributes = attributes_of(attributes).map_err(|e| format!("<{name}>: {e}"))?;
        for (key, value) in &attributes {
            if *key == "id" && !ids.insert(value) {
                return Err(format!("id {value} twice"));
            }
            let numeric = ["d", "x", "y", "width", "height", "cx", "cy", "viewBox"];
            if numeric.contains(key) && (value.contains("NaN") || value.contains("inf")) {
                return Err(format!("{name} {key}={value:.80}"));
            }
        }
        let has = |key: &str| attributes.iter().any(|(k, v)| *k == key && !v.is_empty());
        if name == "img" && !has("alt") {
            return Err("an image without text".into());
        }
        if closed || VOID.contains(&name) {
            continue;
        }
        if name == "script" || name == "style" {
            let close = format!("</{name}>");
            let at = rest.find(&close).ok_or("raw text without end")?;
            if attributes.iter().any(|(k, v)| *k == "type" && *v == "application/json") {
                let data = &rest[..at];
                serde_json::from_str::<Value>(data).map_err(|e| format!("data: {e}"))?;
            }
            rest = &rest[at + close.len()..];
            continue;
        }
        stack.push(name);
    }
    if stack.is_empty() { Ok(()) } else { Err(format!("open at the end: {stack:?}")) }
}

/// Where a tag ends: the first `>` outside quotes.
fn tag_end(text: &str) -> Option<usize> {
    let mut quoted = false;
    text.char_indices().find_map(|(i, c)| {
        quoted ^= c == '"';
        (c == '>' && !quoted).then_some(i)
    })
}

fn attributes_of(mut text: &str) -> Result<Vec<(&str, &str)>, String> {
    let mut out = Vec::new();
    loop {
        text = text.trim_start();
        if text.is_empty() {
            return Ok(out);
        }
        let end = text.find(['=', ' ']).unwrap_or(text.len());
        let key = &text[..end];
        if key.is_empty() || key.contains(['"', '<', '\'']) {
            return Err(format!("attribute {key:?}"));
        }
        let Some(value) = text[end..].strip_prefix("=\"") else {
            if text[end..].starts_with('=') {
                return Err(format!("{key} is not quoted"));
            }
            out.push((key, ""));
            text = &text[end..];
            continue;
        };
        let close = value.find('"').ok_or("quote without end")?;
        out.push((key, &value[..close]));
        text = &value[close + 1..];
    }
}
