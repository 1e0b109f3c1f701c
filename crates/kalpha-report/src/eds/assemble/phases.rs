//! Phases, their names, spectra and the label map.

use super::{elements, shape, spectra, values, whole};
use crate::eds::assemble::AssembleError;
use crate::eds::{
    EdsDocument, EdsFigures, Interval, LabelMap, NotQuantified, PHASE_COLORS, Phase, PhaseSpectrum,
    Quantification, SpectrumFigure,
};
use kalpha_core::{Artefact, Dataset};
use kalpha_decompose::phases::{EMPTY, MIXED, Phases};
use kalpha_fit::eds::families::{PhaseFits, SumFit};
use kalpha_fit::eds::identify::{Identification, Role};
use kalpha_recipe::RunResult;
use std::collections::BTreeSet;

pub(super) fn fill(
    result: &RunResult,
    dataset: &Dataset,
    lines: Option<&Identification>,
    doc: &mut EdsDocument,
    figures: &mut EdsFigures,
) -> Result<(), AssembleError> {
    let Some(found) = whole::<Phases>(result, "phases") else { return Ok(()) };
    let fits = whole::<PhaseFits>(result, "phase_fits").map_or(&[][..], |p| &p.fits);
    let fit_of = |label: usize| fits.get(label).and_then(Option::as_ref);
    let names = lines.map_or_else(Vec::new, |lines| names(found, fits, lines));
    for (label, phase) in found.phases.iter().enumerate() {
        let fallback = format!("phase {}", label + 1);
        doc.phases.push(Phase {
            name: names.get(label).cloned().unwrap_or(fallback),
            label,
            color: PHASE_COLORS[label % PHASE_COLORS.len()].to_owned(),
            pixels: phase.pixels,
            area_fraction: Interval {
                value: phase.area_fraction,
                lower: phase.interval.0,
                upper: phase.interval.1,
                confidence: 0.95,
            },
            quantification: Quantification::NotQuantified(NotQuantified {
                reason: "not_run".to_owned(),
                message: "the recipe holds no quantification step".to_owned(),
                hint: String::new(),
            }),
            intensities: fit_of(label)
                .map(|fit| fit.estimates.iter().map(elements::intensity).collect())
                .unwrap_or_default(),
        });
        let per = phase.pixels.max(1) as f64;
        let fitted = lines.zip(fit_of(label)).and_then(|(lines, fit)| {
            fit.default_fit().map(|fit| spectra::figure(&phase.sum, fit, lines, per))
        });
        figures.phases.push(PhaseSpectrum {
            label,
            spectrum: fitted.unwrap_or_else(|| SpectrumFigure {
                counts: phase.sum.iter().map(|x| x / per).collect(),
                ..SpectrumFigure::default()
            }),
        });
    }
    let used = (dataset.meta().rows - found.empty).max(1) as f64;
    let mixed = found.mixed as f64;
    let (lower, upper) = kalpha_num::statistics::wilson_interval(mixed, used, 0.95);
    doc.mixed_fraction = Some(Interval { value: mixed / used, lower, upper, confidence: 0.95 });
    if let Some(Artefact::Rows(rows)) = result.session.get("labels") {
        let (height, cols) = {
            let s = shape(dataset);
            (s.rows, s.cols)
        };
        let to_label = |x: &f64| match *x as i16 {
            MIXED => LabelMap::MIXED,
            EMPTY => LabelMap::MASKED,
            label => label as u16,
        };
        let labels = values(rows)?.iter().map(to_label).collect();
        figures.labels = Some(LabelMap { rows: height, cols, labels });
    }
    Ok(())
}

/// Names from what sets a phase apart: the elements whose share of its line counts exceeds
/// their share in the whole map most, at most three, by falling excess.
fn names(found: &Phases, fits: &[Option<SumFit>], lines: &Identification) -> Vec<String> {
    let specimen: BTreeSet<&str> = lines
        .elements
        .iter()
        .filter(|e| e.role == Role::Specimen)
        .map(|e| e.symbol.as_str())
        .collect();
    let shares = |fit: &SumFit| -> Vec<(String, f64, f64)> {
        let total: f64 = fit.estimates.iter().map(|e| e.counts.max(0.0)).sum();
        let mut out: Vec<(String, f64, f64)> = Vec::new();
        for e in fit.estimates.iter().filter(|e| specimen.contains(e.symbol.as_str())) {
            let (share, sigma) = (e.counts / total.max(1.0), e.stat / total.max(1.0));
            match out.iter_mut().find(|(symbol, ..)| *symbol == e.symbol) {
                Some(slot) if slot.1 < share => (slot.1, slot.2) = (share, sigma),
                Some(_) => {}
                None => out.push((e.symbol.clone(), share, sigma)),
            }
        }
        out
    };
    let whole = shares(&lines.fit);
    let mut used: Vec<String> = Vec::new();
    (0..found.phases.len())
        .map(|label| {
            let base = match found.phases.len() {
                1 => "whole map".to_owned(),
                // What encloses the rest and is rich in nothing.
                _ if found.phases[label].area_fraction > 0.5 => "matrix".to_owned(),
                _ => format!("phase {}", label + 1),
            };
            let Some(Some(fit)) = fits.get(label) else { return base };
            let mut rich: Vec<(String, f64)> = shares(fit)
                .into_iter()
                .filter_map(|(symbol, share, sigma)| {
                    let mean = whole.iter().find(|w| w.0 == symbol)?.1.max(1e-4);
                    let excess = share / mean;
                    let sure = share - 3.0 * sigma > 1.15 * mean;
                    (sure && share > 0.003).then_some((symbol, excess * share.sqrt()))
                })
                .collect();
            rich.sort_by(|a, b| b.1.total_cmp(&a.1));
            rich.truncate(3);
            let list: Vec<String> = rich.into_iter().map(|(symbol, _)| symbol).collect();
            let mut name = match list.is_empty() {
                true => base,
                false => format!("{}-rich", list.join("-")),
            };
            if used.contains(&name) {
                name = format!("{name} ({})", label + 1);
            }
            used.push(name.clone());
            name
        })
        .collect()
}
