//! The report, the terminal answer and the tables.

use crate::sample;
use kalpha_report::eds::*;

/// Where `KALPHA_REPORT_SAMPLES` names a folder, the samples are written there to be looked at.
#[test]
fn samples_render() {
    for (name, (document, figures)) in [("film", sample::film()), ("rock", sample::rock())] {
        let html = report_html(&document, &figures);
        let text = answer(&document, false, Some("out/report.html"));
        assert!(html.len() < 3_000_000, "{name}: {} bytes", html.len());
        if let Ok(folder) = std::env::var("KALPHA_REPORT_SAMPLES") {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(format!("{folder}/{name}.html"), &html).unwrap();
            std::fs::write(format!("{folder}/{name}.txt"), &text).unwrap();
            std::fs::write(format!("{folder}/{name}.json"), document.to_json().unwrap()).unwrap();
        }
    }
}
