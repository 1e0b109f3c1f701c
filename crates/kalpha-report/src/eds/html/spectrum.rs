//! Spectra: a static SVG that reads without scripts, and the data the script redraws it from.

use super::super::figures::{EdsFigures, FamilyKind, SpectrumFigure};
use crate::{
    figure::{Escaped, Plot, Scale, label_width, spread},
    number::{Style, line_name},
};
use std::fmt::Write;

/// The energy axis of a figure.
pub(super) struct EnergyAxis {
    /// Energies of the channels, keV.
    pub energies: Vec<f64>,
    /// Channels left out, first and last.
    pub excluded: Option<(usize, usize)>,
    /// Energies shown at first.
    pub range: (f64, f64),
}

impl EnergyAxis {
    /// The axis of the detector.
    pub fn new(figures: &EdsFigures) -> Self {
        Self {
            energies: figures.energies.clone(),
            excluded: figures.excluded,
            range: energy_range(figures),
        }
    }

    /// Channels that make bins of about 50 eV.
    pub fn binning(&self) -> usize {
        match self.energies.as_slice() {
            [a, b, ..] if b > a => ((0.05 / (b - a)).ceil() as usize).clamp(1, 50),
            _ => 1,
        }
    }

    /// The same in bins of `factor` channels.
    pub fn binned(&self, factor: usize) -> Self {
        let energies = self.energies.chunks_exact(factor);
        Self {
            energies: energies.map(|bin| bin.iter().sum::<f64>() / factor as f64).collect(),
            excluded: self.excluded.map(|(a, b)| (a / factor, b / factor)),
            range: self.range,
        }
    }
}

/// How a spectrum is shown.
pub(super) struct View<'a> {
    /// Identity in the page.
    pub id: &'a str,
    /// What it is, for those who cannot see it.
    pub alt: &'a str,
    /// Unit of the counts.
    pub unit: &'a str,
    /// Height of the main panel, pixels.
    pub height: f64,
    /// Counts expected by a model, drawn as a line.
    pub expected: Option<&'a [f64]>,
    /// Linear instead of logarithmic.
    pub linear: bool,
}

const WIDTH: f64 = 1080.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 12.0;
const LABELS: f64 = 44.0;
/// Room for labels that stand upright.
const UPRIGHT: f64 = 72.0;
const RESIDUAL: f64 = 84.0;

/// Channels and energies worth showing: from zero to past the last family.
fn energy_range(figures: &EdsFigures) -> (f64, f64) {
    let first = figures.energies.first().copied().unwrap_or(0.0);
    let end = figures.energies.last().copied().unwrap_or(1.0);
    let last_curve = figures
        .sum
        .families
        .iter()
        .filter_map(|family| {
            let peak = family.curve.iter().copied().fold(0.0, f64::max);
            let bound = 0.02 * peak;
            family.curve.iter().rposition(|c| *c > bound && peak > 0.0)
        })
        .filter_map(|i| figures.energies.get(i).copied())
        .fold(f64::NAN, f64::max);
    let last = if last_curve.is_nan() {
        // Without families: where 99.5 % of the counts lie.
        let total: f64 = figures.sum.counts.iter().sum();
        let mut seen = 0.0;
        let position = figures.sum.counts.iter().position(|c| {
            seen += c;
            seen >= 0.995 * total
        });
        position.and_then(|i| figures.energies.get(i).copied()).unwrap_or(end)
    } else {
        last_curve
    };
    let low = first.max(0.0);
    (low, (1.12 * last + 0.3).clamp(low + 0.1, end.max(low + 0.1)))
}

/// Range of the counts for a logarithmic axis.
fn count_range(visible: &[f64]) -> (f64, f64) {
    let mut positive: Vec<f64> = visible.iter().copied().filter(|c| *c > 0.0).collect();
    positive.sort_by(f64::total_cmp);
    let Some(&top) = positive.last() else { return (0.5, 10.0) };
    let low = positive[positive.len() / 20] * 0.6;
    (low.max(top * 1e-5), top * 1.35)
}

/// The figure: static SVG and data.
pub(super) fn figure(axis: &EnergyAxis, spectrum: &SpectrumFigure, view: &View<'_>) -> String {
    let energies = &axis.energies;
    let n = energies.len();
    if n < 2 || spectrum.counts.len() != n {
        return String::new();
    }
    let (low, high) = axis.range;
    let excluded = |i: usize| axis.excluded.is_some_and(|(a, b)| (a..=b).contains(&i));
    let shown: Vec<usize> = (0..n).filter(|&i| energies[i] >= low && energies[i] <= high).collect();
    let visible: Vec<f64> =
        shown.iter().filter(|&&i| !excluded(i)).map(|&i| spectrum.counts[i]).collect();
    let (bottom, top) = count_range(&visible);
    let above = match spectrum.families.len() {
        0 => 12.0,
        _ if upright(spectrum, (low, high)) => UPRIGHT,
        _ => LABELS,
    };
    let residual = spectrum.residual.as_ref().filter(|r| r.len() == n);
    let main_bottom = if residual.is_some() { 12.0 } else { 42.0 };
    let height = above + view.height + main_bottom;
    let inset = [LEFT, above, RIGHT, main_bottom];
    let peak = visible.iter().copied().fold(0.0, f64::max);
    let y = if view.linear { Scale::linear(0.0, 1.08 * peak) } else { Scale::log(bottom, top) };
    let mut plot = Plot::new(WIDTH, height, inset, Scale::linear(low, high), y);
    draw_excluded(&mut plot, axis, true);
    let x_title = if residual.is_some() { "" } else { "Energy (keV)" };
    plot.axes(x_title, view.unit);
    let at = |curve: &[f64], i: usize| (energies[i], curve[i]);
    let zero = vec![0.0; n];
    let background = spectrum.background.as_ref().filter(|b| b.len() == n).unwrap_or(&zero);
    for family in spectrum.families.iter().filter(|f| f.curve.len() == n) {
        let peak = family.curve.iter().copied().fold(0.0, f64::max);
        let points: Vec<_> = shown
            .iter()
            .filter(|&&i| family.curve[i] > 0.002 * peak && family.curve[i] > 0.01 * bottom)
            .map(|&i| (energies[i], background[i], background[i] + family.curve[i]))
            .collect();
        for run in runs(&points, 1.5 * (energies[1] - energies[0])) {
            plot.band(class(family.kind), run);
        }
    }
    if let Some(expected) = view.expected.filter(|f| f.len() == n) {
        let points: Vec<_> = shown.iter().map(|&i| at(expected, i)).collect();
        plot.line("expected", points);
    }
    let counts: Vec<_> = shown.iter().map(|&i| at(&spectrum.counts, i)).collect();
    plot.steps("counts", &counts);
    if spectrum.background.as_ref().is_some_and(|b| b.len() == n) {
        plot.line("background", shown.iter().map(|&i| at(background, i)));
    }
    if let Some(model) = spectrum.model.as_ref().filter(|m| m.len() == n) {
        plot.line("model", shown.iter().map(|&i| at(model, i)));
    }
    draw_labels(&mut plot, spectrum, (low, high));
    let mut svg = plot.finish("main", view.alt);
    if let Some(residual) = residual {
        svg += &residual_panel(axis, residual, &shown, (low, high));
    }
    let id = Escaped(view.id);
    format!(
        r#"<div class="spectrum" id="{id}"><div class="controls" hidden></div><div class="canvas">{svg}</div><p class="readout" aria-live="off" hidden></p><script type="application/json">{}</script></div>"#,
        data(axis, spectrum, view, (low, high))
    )
}

fn class(kind: FamilyKind) -> &'static str {
    match kind {
        FamilyKind::Specimen => "family specimen",
        FamilyKind::Other => "family other",
        FamilyKind::Artefact => "family artefact",
    }
}

/// Splits points where the energy jumps, so that Ka and Kb are two areas.
fn runs(points: &[(f64, f64, f64)], gap: f64) -> Vec<&[(f64, f64, f64)]> {
    points.chunk_by(|a, b| b.0 - a.0 <= gap).filter(|run| run.len() > 1).collect()
}

fn draw_excluded(plot: &mut Plot, axis: &EnergyAxis, label: bool) {
    let Some((first, last)) = axis.excluded else { return };
    let (Some(&a), Some(&b)) = (axis.energies.get(first), axis.energies.get(last)) else {
        return;
    };
    let [_, top, _, bottom] = plot.frame();
    let (left, right) = (plot.px(a), plot.px(b));
    if right - left < 1.0 {
        return;
    }
    plot.rect("excluded", [left, top, right, bottom]);
    if label {
        let (x, y) = (0.5 * (left + right) + 4.0, top + 8.0);
        plot.raw(&format!(
            r#"<text class="note" transform="translate({x:.1} {y:.1}) rotate(-90)" text-anchor="end">strobe, left out</text>"#
        ));
    }
}

/// Labels that do not fit on one line stand upright.
fn upright(spectrum: &SpectrumFigure, (low, high): (f64, f64)) -> bool {
    let shown = spectrum.families.iter().filter(|f| f.energy_kev >= low && f.energy_kev <= high);
    let room = shown.map(|f| label_width(&line_name(&f.name)) + 8.0).sum::<f64>();
    room > WIDTH - LEFT - RIGHT
}

/// Names above the frame, each with a leader to its line.
fn draw_labels(plot: &mut Plot, spectrum: &SpectrumFigure, (low, high): (f64, f64)) {
    let mut families: Vec<_> = spectrum
        .families
        .iter()
        .filter(|f| f.energy_kev >= low && f.energy_kev <= high)
        .map(|f| (plot.px(f.energy_kev), line_name(&f.name), f.kind))
        .collect();
    families.sort_by(|a, b| a.0.total_cmp(&b.0));
    let centres: Vec<f64> = families.iter().map(|f| f.0).collect();
    let widths: Vec<f64> = families.iter().map(|f| label_width(&f.1) + 8.0).collect();
    let [left, top, right, bottom] = plot.frame();
    let upright = upright(spectrum, (low, high));
    let widths = if upright { vec![13.0; families.len()] } else { widths };
    let placed = spread(&centres, &widths, (left - 20.0, right));
    for ((x, name, kind), at) in families.iter().zip(placed) {
        let kind = class(*kind);
        plot.raw(&format!(
            r#"<path class="leader" d="M{at:.1} {:.1}L{x:.1} {top:.1}V{bottom:.1}"/>"#,
            top - 16.0
        ));
        let place = if upright {
            format!(r#"transform="translate({:.1} {:.1}) rotate(-90)""#, at + 4.0, top - 18.0)
        } else {
            format!(r#"x="{at:.1}" y="{:.1}" text-anchor="middle""#, top - 21.0)
        };
        plot.raw(&format!(r#"<text class="label {kind}" {place}>{}</text>"#, Escaped(name)));
    }
}

fn residual_panel(
    axis: &EnergyAxis,
    residual: &[f64],
    shown: &[usize],
    (low, high): (f64, f64),
) -> String {
    let mut sizes: Vec<f64> =
        shown.iter().map(|&i| residual[i].abs()).filter(|r| r.is_finite()).collect();
    sizes.sort_by(f64::total_cmp);
    // Beyond eleven sigma the bars end at the frame.
    let bound = if sizes.last().is_some_and(|worst| *worst > 5.5) { 11.0 } else { 5.5 };
    let inset = [LEFT, 4.0, RIGHT, 42.0];
    let (x, y) = (Scale::linear(low, high), Scale::linear(-bound, bound));
    let mut plot = Plot::new(WIDTH, RESIDUAL + 46.0, inset, x, y);
    let [left, _, right, _] = plot.frame();
    let band = [left, plot.py(3.0), right, plot.py(-3.0)];
    plot.rect("three-sigma", band);
    draw_excluded(&mut plot, axis, false);
    plot.axes("Energy (keV)", "residual (\u{3c3})");
    let zero = plot.py(0.0);
    let mut d = String::new();
    for &i in shown.iter().filter(|&&i| residual[i].is_finite() && residual[i] != 0.0) {
        let _ =
            write!(d, "M{:.1} {zero:.1}V{:.1}", plot.px(axis.energies[i]), plot.py(residual[i]));
    }
    plot.raw(&format!(r#"<path class="residual" d="{d}"/>"#));
    plot.finish("residuals", "residuals of the fit in standard deviations")
}

/// What the script needs, safe inside a script element.
fn data(
    axis: &EnergyAxis,
    spectrum: &SpectrumFigure,
    view: &View<'_>,
    (low, high): (f64, f64),
) -> String {
    let n = axis.energies.len();
    let step = axis.energies[1] - axis.energies[0];
    let end = axis.energies[n - 1];
    let linear = (axis.energies[0] + step * (n - 1) as f64 - end).abs() < 1e-6 * end.abs().max(1.0);
    let full = |curve: &Option<Vec<f64>>| curve.as_ref().filter(|c| c.len() == n).map(|c| short(c));
    let families: Vec<_> = spectrum
        .families
        .iter()
        .filter(|f| f.curve.len() == n || f.curve.is_empty())
        .map(|family| {
            let peak = family.curve.iter().copied().fold(0.0, f64::max);
            let bound = 0.001 * peak;
            let first = family.curve.iter().position(|c| *c > bound).unwrap_or(0);
            let last = family.curve.iter().rposition(|c| *c > bound).unwrap_or(0);
            serde_json::json!({
                "name": line_name(&family.name),
                "kind": class(family.kind),
                "at": family.energy_kev,
                "first": first,
                "curve": short(family.curve.get(first..=last).unwrap_or_default()),
            })
        })
        .collect();
    let energy = if linear {
        serde_json::json!({ "offset": axis.energies[0], "step": step })
    } else {
        serde_json::json!({ "values": axis.energies })
    };
    let value = serde_json::json!({
        "energy": energy,
        "n": n,
        "range": [low, high],
        "excluded": axis.excluded.map(|(a, b)| [a, b]),
        "unit": view.unit,
        "scale": if view.linear { "linear" } else { "log" },
        "alt": view.alt,
        "height": view.height,
        "counts": short(&spectrum.counts),
        "model": full(&spectrum.model),
        "background": full(&spectrum.background),
        "residual": full(&spectrum.residual),
        "expected": view.expected.filter(|f| f.len() == n).map(short),
        "families": families,
    });
    value.to_string().replace('<', "\\u003c")
}

/// Four significant digits are more than a screen shows.
fn short(curve: &[f64]) -> Vec<serde_json::Value> {
    curve
        .iter()
        .map(|&x| {
            if x == 0.0 || !x.is_finite() {
                return serde_json::json!(0);
            }
            if x.fract() == 0.0 && x.abs() < 1e15 {
                return serde_json::json!(x as i64);
            }
            let rounded: f64 = format!("{x:.3e}").parse().unwrap_or(0.0);
            serde_json::json!(rounded)
        })
        .collect()
}

/// The counts of a spectrum in words.
pub(super) fn words(spectrum: &SpectrumFigure) -> String {
    let total: f64 = spectrum.counts.iter().sum();
    let names: Vec<String> = spectrum.families.iter().map(|f| line_name(&f.name)).collect();
    let total = Style::Typeset.short(total);
    match names.is_empty() {
        true => format!("{total} counts"),
        false => format!("{total} counts, fitted families {}", names.join(", ")),
    }
}
