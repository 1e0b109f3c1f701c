//! Fitted peaks in the document of treated spectra.

use super::{SpectraDocument, SpectraFigures, html::range};
use crate::{
    figure::{Anchor, Escaped, Plot, Scale},
    number::Style,
    page::table,
    tables::{Csv, Field},
};
use kalpha_core::{Artefact, ArtefactType, Quantity};
use kalpha_fit::peaks::{FitCurves, Fitted, PeakFits, PeakRow, RowPeaks};
use kalpha_quantify::xps::{Assignment, RowSurface, Surface};
use kalpha_recipe::RunResult;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

const N: Style = Style::Typeset;
const WIDTH: f64 = 1080.0;
/// Peaks in the document; all of them are in peaks.csv.
const LISTED: usize = 1000;

/// A peak of one spectrum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PeakSummary {
    /// Number of the spectrum.
    pub row: usize,
    /// Name of the peak.
    pub peak: String,
    /// Line shape.
    pub shape: String,
    /// Place of the maximum, in units of the axis.
    pub position: Value,
    /// Value there.
    pub height: Value,
    /// Full width at half maximum.
    pub fwhm: Value,
    /// Integral over the fitted range.
    pub area: Value,
    /// The line it belongs to, where elements are known: `Pt 4f`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
    /// Chemical states near it, nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<String>,
}

/// A value with its standard deviation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Value {
    /// The value.
    pub value: f64,
    /// Its standard deviation; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sigma: Option<f64>,
}

impl From<&Fitted> for Value {
    fn from(fitted: &Fitted) -> Self {
        Self { value: fitted.value, sigma: fitted.sigma.filter(|s| s.is_finite()) }
    }
}

impl Value {
    fn words(self, style: Style) -> String {
        match self.sigma {
            Some(sigma) => style.plus_minus(self.value, sigma),
            None => style.short(self.value),
        }
    }
}

/// How well the peaks of one spectrum fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FitSummary {
    /// Number of the spectrum.
    pub row: usize,
    /// Number of peaks.
    pub peaks: usize,
    /// Chi-square over degrees of freedom; the residual variance where the noise is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduced_chi2: Option<f64>,
    /// Standard deviation of the reduced chi-square if the model holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduced_chi2_sigma: Option<f64>,
    /// What to mind.
    pub warnings: Vec<String>,
}

/// Atomic percent of one element of one spectrum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SurfaceSummary {
    /// Number of the spectrum.
    pub row: usize,
    /// Line it was measured by.
    pub line: String,
    /// Atomic percent.
    pub atomic_percent: f64,
    /// Standard deviation by counting.
    pub stat: f64,
    /// Standard deviation by everything.
    pub sigma: f64,
    /// Its parts, largest first: name and standard deviation.
    pub budget: Vec<(String, f64)>,
}

/// Peaks, fits and compositions as far as they go into the document.
#[derive(Clone, Debug, Default)]
pub(super) struct Summaries {
    pub peaks: Vec<PeakSummary>,
    pub fits: Vec<FitSummary>,
    pub surface: Vec<SurfaceSummary>,
}

fn whole<'a, T: ArtefactType>(result: &'a RunResult, name: &str) -> Option<&'a T> {
    result.session.get(name).and_then(Artefact::get)
}

pub(super) fn fits(result: &RunResult) -> Option<&PeakFits> {
    whole(result, "peaks")
}

fn finite(peak: &PeakRow) -> bool {
    [&peak.position, &peak.height, &peak.fwhm, &peak.area_in_range]
        .iter()
        .all(|f| f.value.is_finite())
}

fn summary(row: &RowPeaks, surface: Option<&RowSurface>, k: usize) -> PeakSummary {
    let peak = &row.peaks[k];
    let assigned = surface.and_then(|s| s.assignments.get(k));
    PeakSummary {
        row: row.row,
        peak: peak.name.clone(),
        shape: peak.shape.clone(),
        position: (&peak.position).into(),
        height: (&peak.height).into(),
        fwhm: (&peak.fwhm).into(),
        area: (&peak.area_in_range).into(),
        line: assigned.and_then(|a| a.line.clone()),
        states: assigned.map(states).unwrap_or_default(),
    }
}

fn states(assigned: &Assignment) -> Vec<String> {
    match &assigned.partner_of {
        Some(first) => vec![format!("other line of {first}")],
        None => assigned.states.iter().map(|s| s.state.clone()).collect(),
    }
}

/// All summaries of a run.
pub(super) fn summaries(result: &RunResult) -> Summaries {
    let Some(fits) = fits(result) else { return Summaries::default() };
    let surface = whole::<Surface>(result, "surface");
    let of_row = |k: usize| surface.and_then(|s| s.rows.get(k));
    let mut out = Summaries::default();
    for (i, row) in fits.rows.iter().enumerate() {
        if out.peaks.len() >= LISTED || out.fits.len() >= LISTED {
            break;
        }
        let shown = (0..row.peaks.len()).filter(|&k| finite(&row.peaks[k]));
        out.peaks.extend(shown.map(|k| summary(row, of_row(i), k)));
        let chi = |f: fn(&kalpha_fit::peaks::Diagnostics) -> f64| {
            row.diagnostics.as_ref().map(f).filter(|v| v.is_finite())
        };
        out.fits.push(FitSummary {
            row: row.row,
            peaks: row.peaks.len(),
            reduced_chi2: chi(|d| d.reduced_chi2),
            reduced_chi2_sigma: chi(|d| d.reduced_chi2_sigma).filter(|_| fits.noise_known),
            warnings: row.warnings.clone(),
        });
        if let Some(found) = of_row(i)
            && let Some(composition) = &found.composition
        {
            for (k, quantity) in composition.atomic_percent.iter().enumerate() {
                let Quantity::Measured { value, stat, .. } = quantity else { continue };
                out.surface.push(SurfaceSummary {
                    row: row.row,
                    line: composition.lines[k].clone(),
                    atomic_percent: *value,
                    stat: *stat,
                    sigma: quantity.sigma().unwrap_or(*stat),
                    budget: found.budget[k].iter().map(|b| (b.part.clone(), b.sigma)).collect(),
                });
            }
        }
    }
    out
}

/// One line per peak and spectrum; `None` where no peaks were fitted.
pub fn peaks_csv(result: &RunResult) -> Option<String> {
    let fits = fits(result)?;
    let surface = whole::<Surface>(result, "surface");
    let unit = &fits.unit;
    let names = ["position", "height", "fwhm", "area"];
    let mut header = vec!["row".to_owned(), "peak".to_owned(), "shape".to_owned()];
    for name in names {
        let in_unit = matches!(name, "position" | "fwhm") && !unit.is_empty();
        let titled = if in_unit { format!("{name} ({unit})") } else { name.to_owned() };
        header.push(titled);
        header.push(format!("sigma {name}"));
    }
    let rest = ["line", "states", "reduced chi2", "correlated above 0.95", "warnings"];
    header.extend(rest.map(str::to_owned));
    let mut csv = Csv::new(&header);
    for (i, row) in fits.rows.iter().enumerate() {
        let of_row = surface.and_then(|s| s.rows.get(i));
        for k in 0..row.peaks.len() {
            let s = summary(row, of_row, k);
            let mut fields =
                vec![Field::from(s.row), Field::Text(s.peak.clone()), Field::Text(s.shape.clone())];
            for value in [s.position, s.height, s.fwhm, s.area] {
                fields.push(Field::from(Some(value.value).filter(|v| v.is_finite())));
                fields.push(Field::from(value.sigma));
            }
            fields.push(Field::Text(s.line.clone().unwrap_or_default()));
            fields.push(Field::Text(s.states.join("; ")));
            let chi2 = row.diagnostics.map(|d| d.reduced_chi2).filter(|v| v.is_finite());
            fields.push(Field::from(chi2));
            let own = |name: &str| name.split('.').next() == Some(s.peak.as_str());
            let pairs: Vec<String> = row
                .correlated
                .iter()
                .filter(|(a, b, _)| own(a) || own(b))
                .map(|(a, b, r)| format!("{a}~{b} {r:.3}"))
                .collect();
            fields.push(Field::Text(pairs.join("; ")));
            fields.push(Field::Text(row.warnings.join("; ")));
            csv.row(fields);
        }
        if row.peaks.is_empty() {
            let mut fields = vec![Field::from(row.row)];
            fields.extend((0..14).map(|_| Field::Text(String::new())));
            fields.push(Field::Text(row.warnings.join("; ")));
            csv.row(fields);
        }
    }
    Some(csv.finish())
}

/// Peaks, drawn and listed; empty where none were fitted.
pub(super) fn section(document: &SpectraDocument, figures: &SpectraFigures) -> String {
    let Some(fits) = &figures.peaks else { return String::new() };
    let key = |class: &str, name: &str| format!(r#"<span class="key {class}">{name}</span>"#);
    let mut out = format!(
        r#"<p class="legend">{}{}{}{}</p>"#,
        key("counts", "spectrum"),
        key("model", "model"),
        key("background", "background"),
        key("peak", "peaks on the background")
    );
    for (i, curves) in fits.curves.iter().enumerate() {
        let name = match document.spectra {
            1 => "The spectrum".to_owned(),
            _ => format!("Spectrum {}", curves.row),
        };
        let body = fit_figure(fits, curves, &name) + &fit_words(document, fits, curves.row);
        if i == 0 {
            let _ = write!(out, "<h3>{name}</h3>{body}");
        } else {
            let _ = write!(out, "<details><summary>{name}</summary>{body}</details>");
        }
    }
    out + &peak_table(document, fits) + &surface_table(document)
}

/// Binding energies run to the left, as the field draws them.
fn runs_left(fits: &PeakFits) -> bool {
    fits.axis.to_ascii_lowercase().contains("binding")
}

fn axis_words(fits: &PeakFits) -> String {
    match fits.unit.as_str() {
        "" => fits.axis.clone(),
        unit => format!("{} ({unit})", fits.axis),
    }
}

fn fit_figure(fits: &PeakFits, curves: &FitCurves, name: &str) -> String {
    let over: Vec<Vec<f64>> = curves
        .peaks
        .iter()
        .map(|p| p.iter().zip(&curves.background).map(|(p, b)| p + b).collect())
        .collect();
    let all = [&curves.data, &curves.model, &curves.background].map(Vec::as_slice);
    let (Some(&left), Some(&right)) = (fits.x.first(), fits.x.last()) else {
        return String::new();
    };
    let (Some((low, high)), Some((down, up))) = (range(all), range([curves.residuals.as_slice()]))
    else {
        return "<p class=\"quiet\">No finite value to draw.</p>".to_owned();
    };
    let x = Scale::linear(left, right);
    let x = if runs_left(fits) { x.reversed() } else { x };
    let points =
        |y: &[f64]| -> Vec<(f64, f64)> { fits.x.iter().zip(y).map(|(x, y)| (*x, *y)).collect() };
    let inset = [66.0, 8.0, 10.0, 22.0];
    let mut plot = Plot::new(WIDTH, 330.0, inset, x, Scale::linear(low, high));
    plot.axes("", "intensity");
    for curve in &over {
        plot.line("peak", points(curve));
    }
    plot.line("background", points(&curves.background));
    plot.line("counts", points(&curves.data));
    plot.line("model", points(&curves.model));
    for (k, curve) in over.iter().enumerate() {
        let tops = (0..curve.len()).filter(|i| curves.peaks[k][*i].is_finite());
        let Some(top) = tops.max_by(|a, b| curves.peaks[k][*a].total_cmp(&curves.peaks[k][*b]))
        else {
            continue;
        };
        let peaks = fits.rows.iter().find(|r| r.row == curves.row);
        let label = peaks.and_then(|r| r.peaks.get(k)).map_or("", |p| p.name.as_str());
        let at = (plot.px(fits.x[top]), plot.py(curve[top]) - 6.0);
        plot.text("label other", at, Anchor::Middle, label);
    }
    let above = plot.finish("treated", &format!("{name}: spectrum and fitted peaks"));
    let bound = down.abs().max(up.abs()).max(if fits.noise_known { 3.5 } else { 0.0 });
    let mut residual =
        Plot::new(WIDTH, 120.0, [66.0, 4.0, 10.0, 42.0], x, Scale::linear(-bound, bound));
    residual.axes(&axis_words(fits), if fits.noise_known { "sigma" } else { "residual" });
    residual.line("residual", points(&curves.residuals));
    let below = residual.finish("treated", &format!("{name}: residuals"));
    format!("<div class=\"canvas\">{above}</div><div class=\"canvas\">{below}</div>")
}

fn fit_words(document: &SpectraDocument, fits: &PeakFits, row: usize) -> String {
    let Some(fit) = document.fits.iter().find(|f| f.row == row) else { return String::new() };
    let mut words = match (fit.reduced_chi2, fit.reduced_chi2_sigma) {
        (Some(chi2), Some(sigma)) => format!(
            "Reduced chi-square {}, where 1 \u{b1} {} is expected.",
            N.short(chi2),
            N.short(sigma)
        ),
        (Some(chi2), None) => format!(
            "The noise is not known: errors come from the residuals (standard deviation {}).",
            N.short(chi2.max(0.0).sqrt())
        ),
        _ => "Not fitted.".to_owned(),
    };
    for warning in fit.warnings.iter().take(SAID) {
        let _ = write!(words, " {}.", Escaped(warning));
    }
    if fit.warnings.len() > SAID {
        let _ = write!(words, " {} more in peaks.csv.", fit.warnings.len() - SAID);
    }
    if fits.automatic {
        words += " The number of peaks was found, not given.";
    }
    format!("<p>{words}</p>")
}

/// Warnings of a fit on the page.
const SAID: usize = 5;
/// Spectra whose peaks are in the table of the page.
const TABLED: usize = 20;

fn peak_table(document: &SpectraDocument, fits: &PeakFits) -> String {
    if document.peaks.is_empty() {
        return "<p>No peak was fitted.</p>".to_owned();
    }
    let assigned = document.peaks.iter().any(|p| p.line.is_some() || !p.states.is_empty());
    let mut rows = String::new();
    let mut spectra: Vec<usize> = document.peaks.iter().map(|p| p.row).collect();
    spectra.dedup();
    spectra.truncate(TABLED);
    for peak in document.peaks.iter().filter(|p| spectra.contains(&p.row)) {
        let _ = write!(
            rows,
            r#"<tr><th scope="row">{} {}</th><td class="num lead">{}</td><td class="num">{}</td><td class="num">{}</td><td class="num">{}</td><td>{}</td>"#,
            if document.spectra > 1 { peak.row.to_string() } else { String::new() },
            Escaped(&peak.peak),
            peak.position.words(N),
            peak.fwhm.words(N),
            peak.height.words(N),
            peak.area.words(N),
            Escaped(&peak.shape.replace('_', " "))
        );
        if assigned {
            let states: Vec<&str> = peak.states.iter().take(3).map(String::as_str).collect();
            let _ = write!(
                rows,
                "<td>{}</td><td>{}</td>",
                Escaped(peak.line.as_deref().unwrap_or("")),
                Escaped(&states.join(", "))
            );
        }
        rows += "</tr>";
    }
    let position = axis_words(fits);
    let mut head = vec![
        ("", "Peak"),
        ("num", position.as_str()),
        ("num", "FWHM"),
        ("num", "height"),
        ("num", "area"),
        ("", "shape"),
    ];
    if assigned {
        head.extend([("", "line"), ("", "states near it")]);
    }
    let caption = match document.spectra > TABLED {
        true => "One standard deviation. The first spectra; all peaks are in peaks.csv.",
        false => "One standard deviation. Also in peaks.csv.",
    };
    table(caption, &head, &rows)
}

fn surface_table(document: &SpectraDocument) -> String {
    if document.surface.is_empty() {
        return String::new();
    }
    let mut rows = String::new();
    for s in document.surface.iter().take(200) {
        let parts: Vec<String> = s
            .budget
            .iter()
            .map(|(part, sigma)| format!("{} {}", part.replace('_', " "), N.short(*sigma)))
            .collect();
        let _ = write!(
            rows,
            r#"<tr><th scope="row">{} {}</th><td class="num lead">{}</td><td class="num">{}</td><td>{}</td></tr>"#,
            if document.spectra > 1 { s.row.to_string() } else { String::new() },
            Escaped(&s.line),
            N.plus_minus(s.atomic_percent, s.sigma),
            N.short(s.stat),
            Escaped(&parts.join(", "))
        );
    }
    let head = [("", "Line"), ("num", "at.%"), ("num", "counting"), ("", "budget")];
    let caption = "Homogeneous surface assumed; Scofield cross-sections.";
    format!("<h3>Atomic percent</h3>{}", table(caption, &head, &rows))
}

/// Lines of the terminal: heading and text.
pub(super) fn terminal(document: &SpectraDocument) -> Vec<(&'static str, String)> {
    const MOST: usize = 12;
    const P: Style = Style::Plain;
    let mut out = Vec::new();
    let mut name = "Peaks";
    for peak in document.peaks.iter().take(MOST) {
        let row = if document.spectra > 1 { format!("{} ", peak.row) } else { String::new() };
        let mut text = format!(
            "{row}{}  {}  fwhm {}  area {}",
            peak.peak,
            peak.position.words(P),
            peak.fwhm.words(P),
            peak.area.words(P)
        );
        if let Some(line) = &peak.line {
            text += &format!("  {line}");
        }
        if let Some(state) = peak.states.first() {
            let near = if state.starts_with("other line") { "" } else { "near " };
            text += &format!("  ({near}{state})");
        }
        out.push((name, text));
        name = "";
    }
    if document.peaks.len() > MOST {
        out.push(("", format!("and {} more, in peaks.csv", document.peaks.len() - MOST)));
    }
    let mut name = "At.%";
    for s in document.surface.iter().take(MOST) {
        out.push((name, format!("{}  {}", s.line, P.plus_minus(s.atomic_percent, s.sigma))));
        name = "";
    }
    out
}
