//! Number of components: the curve that chose it, and the other criteria beside it.

use super::{N, table};
use crate::{
    eds::{
        document::{EdsDocument, Rank, ThinningCurve},
        figures::{EdsFigures, ScreeFigure},
    },
    figure::{Anchor, Escaped, Plot, Scale},
};
use std::fmt::Write;

const WIDTH: f64 = 530.0;
const HEIGHT: f64 = 290.0;
const INSET: [f64; 4] = [62.0, 18.0, 14.0, 42.0];

pub(super) fn section(document: &EdsDocument, figures: &EdsFigures) -> String {
    let Some(rank) = &document.rank else { return String::new() };
    if document.single_spectrum() {
        return String::new();
    }
    let mut out = format!(
        "<p>{} {}, chosen by {}.</p><div class=\"pair\">",
        rank.chosen,
        if rank.chosen == 1 { "component" } else { "components" },
        Escaped(&rank.chosen_by)
    );
    if let Some(curve) = rank.thinning.as_ref() {
        out += &thinning(curve, rank.chosen);
    }
    if let Some(figure) = figures.scree.as_ref().filter(|s| !s.eigenvalues.is_empty()) {
        out += &scree(figure, rank.chosen);
    }
    out += "</div>";
    out += &criteria(rank);
    out
}

fn thinning(curve: &ThinningCurve, chosen: usize) -> String {
    let points: Vec<(f64, f64, f64)> = curve
        .components
        .iter()
        .zip(&curve.error)
        .zip(curve.standard_error.iter().chain(std::iter::repeat(&0.0)))
        .filter(|((_, error), _)| error.is_finite())
        .map(|((&k, &error), &sigma)| {
            (k as f64, error, if sigma.is_finite() { sigma } else { 0.0 })
        })
        .collect();
    let (Some(minimum), Some(bound)) = (curve.minimum(), curve.bound()) else {
        return String::new();
    };
    let low = curve.error[minimum];
    // The decision is made near the minimum: points far above it leave the frame.
    let mut heights: Vec<f64> = points.iter().map(|p| p.1 - low).collect();
    heights.sort_by(f64::total_cmp);
    let span = heights[heights.len() / 2].max(6.0 * (bound - low)).max(0.02 * low.abs()) * 2.2;
    let tallest = heights.last().copied().unwrap_or(span);
    let top = low + span.min(tallest * 1.1).max(1e-12);
    let floor = low - 0.12 * (top - low) - (bound - low);
    let end = points.iter().map(|p| p.0).fold(1.0, f64::max);
    let (x, y) = (Scale::linear(-0.3, end + 0.3), Scale::linear(floor, top));
    let mut plot = Plot::new(WIDTH, HEIGHT, INSET, x, y);
    plot.axes("components", "prediction error");
    let [left, _, right, _] = plot.frame();
    let y_bound = plot.py(bound);
    plot.raw(&format!(r#"<path class="bound" d="M{left:.1} {y_bound:.1}H{right:.1}"/>"#));
    let inside: Vec<_> = points.iter().filter(|p| p.1 <= top).collect();
    plot.line("curve", inside.iter().map(|p| (p.0, p.1)));
    for &&(k, error, sigma) in &inside {
        plot.error_bar("bar", k, error - sigma, error + sigma);
        let class = if k == chosen as f64 { "dot chosen" } else { "dot" };
        plot.dot(class, k, error, if k == chosen as f64 { 5.0 } else { 3.0 });
    }
    let left_out: Vec<String> =
        points.iter().filter(|p| p.1 > top).map(|p| format!("{}: {}", p.0, N.short(p.1))).collect();
    if !left_out.is_empty() {
        let text = format!("above the frame \u{2013} {}", left_out.join(", "));
        plot.text("note", (right - 3.0, 28.0), Anchor::End, &text);
    }
    let alt = format!(
        "prediction error against number of components over {} thinnings; smallest at {}, chosen {chosen}",
        curve.thinnings,
        curve.components.get(minimum).copied().unwrap_or(0)
    );
    format!(
        "<figure>{}<figcaption>Error in predicting the held-out half of thinned counts, {} thinnings. Dashed: the smallest error plus its standard error; the fewest components below it are taken.</figcaption></figure>",
        plot.finish("thinning", &alt),
        curve.thinnings
    )
}

fn scree(figure: &ScreeFigure, chosen: usize) -> String {
    let n = figure.eigenvalues.len().min(30);
    let values = &figure.eigenvalues[..n];
    let positive = || values.iter().chain(&figure.noise).copied().filter(|v| *v > 0.0);
    let low = positive().fold(f64::INFINITY, f64::min);
    let high = positive().fold(0.0, f64::max);
    let (x, y) = (Scale::linear(0.3, n as f64 + 0.7), Scale::log(0.7 * low, 1.5 * high));
    let mut plot = Plot::new(WIDTH, HEIGHT, INSET, x, y);
    plot.axes("component", "eigenvalue");
    let noise: Vec<_> = figure.noise.iter().take(n).enumerate().collect();
    if !noise.is_empty() {
        plot.line("noise", noise.iter().map(|(k, v)| (*k as f64 + 1.0, **v)));
        if let Some((k, v)) = noise.last() {
            let (_, y) = (plot.px(*k as f64), plot.py(**v));
            let right = plot.frame()[2];
            plot.text("note", (right - 3.0, y - 14.0), Anchor::End, "noise alone");
        }
    }
    plot.line("curve", values.iter().enumerate().map(|(k, v)| (k as f64 + 1.0, *v)));
    for (k, v) in values.iter().enumerate() {
        let class = if k < chosen { "dot chosen" } else { "dot" };
        plot.dot(class, k as f64 + 1.0, *v, if k < chosen { 4.5 } else { 3.0 });
    }
    let alt = format!("eigenvalues of the weighted counts, {n} of them, {chosen} taken");
    format!(
        "<figure>{}<figcaption>Eigenvalues of the Poisson-weighted counts; the first {chosen} are taken.</figcaption></figure>",
        plot.finish("scree", &alt)
    )
}

fn criteria(rank: &Rank) -> String {
    let mut rows = String::new();
    let mut row = |name: &str, value: String, note: &str| {
        let _ = write!(
            rows,
            r#"<tr><th scope="row">{name}</th><td class="num">{value}</td><td>{note}</td></tr>"#
        );
    };
    let number = |n: usize| n.to_string();
    if let Some(n) = rank.elbow {
        row("elbow of the scree", number(n), "the largest distance below the chord");
    }
    if let Some(n) = rank.parallel_analysis {
        row("parallel analysis", number(n), "eigenvalues above those of noise");
    }
    if let Some(n) = rank.malinowski_ind {
        row("indicator function", number(n), "minimum of IND (Malinowski 1977)");
    }
    if let Some(c) = rank.cumulative_variance {
        let name = format!("{} % of the variance", N.short(100.0 * c.threshold));
        row(&name, number(c.components), "follows the brightest phases, misses small ones");
    }
    if let Some(d) = rank.dispersion {
        let note = if d.passed {
            "variance over mean: the counts are Poisson, thinning holds"
        } else {
            "variance over mean: not Poisson, so thinning does not decide alone"
        };
        row("dispersion", N.plus_minus(d.index, d.sigma), note);
    }
    if rows.is_empty() {
        return String::new();
    }
    let head = [("", "Other criteria"), ("num", ""), ("", "")];
    table("", &head, &rows)
}
