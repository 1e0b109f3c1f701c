//! Candidates that look present and are not, with the reason.

use kalpha_physics::detector::SI_KA;
use kalpha_physics::lines::LineFamily;
use serde::{Deserialize, Serialize};

use super::{IdentifyOptions, candidates, selection};
use crate::eds::FitError;
use crate::eds::families::{FamilyEstimate, FitOptions, SumFit};

/// Why a candidate is not reported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Reason {
    /// Two photons of other lines.
    PileUp {
        /// Alpha lines of the pair, `O_Ka`.
        lines: [String; 2],
    },
    /// The escape peak of another line.
    Escape {
        /// The line.
        of: String,
    },
    /// A stronger family covers its main line.
    Overlap {
        /// The family.
        with: String,
    },
    /// The inner family that the beam must excite is absent.
    InnerFamilyMissing {
        /// The family.
        family: String,
    },
    /// Not significant once background models disagree.
    Background,
    /// Nothing there.
    NotSignificant,
}

/// A candidate that is not reported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rejected {
    /// Symbol.
    pub symbol: String,
    /// Family, `S_K`.
    pub family: String,
    /// Alpha energy, keV.
    pub energy: f64,
    /// Counts above background in its window over their noise: how present it looks.
    pub apparent: f64,
    /// Counts when it is added to the final fit, signed; `None` when it cannot be told apart.
    pub counts: Option<f64>,
    /// Their statistical standard deviation.
    pub stat: Option<f64>,
    /// Why it is not reported.
    pub reason: Reason,
}

/// Apparent significance above which an absent candidate is explained.
const APPARENT: f64 = 4.0;

/// Rejected candidates that are returned; what is cut has no excess in the final fit.
const MAX_LISTED: usize = 40;

/// Explains candidates that look present, were tried and failed, or were named.
pub(super) fn explain(
    energies: &[f64],
    sum: &[f64],
    candidates: &[LineFamily],
    families: &[LineFamily],
    fit: &SumFit,
    failed: &mut [FamilyEstimate],
    fit_options: &FitOptions,
    options: &IdentifyOptions,
) -> Result<Vec<Rejected>, FitError> {
    let Some(default) = fit.default_fit() else { return Ok(Vec::new()) };
    let found = |s: &str| families.iter().any(|f| f.symbol == s);
    let mut out = Vec::new();
    for candidate in candidates.iter().filter(|c| !found(&c.symbol)) {
        let c = &default.curves;
        let half = 0.5 * fit_options.shape.resolution.fwhm(candidate.energy);
        let first = c.energies.partition_point(|&e| e < candidate.energy - half);
        let last = c.energies.partition_point(|&e| e <= candidate.energy + half);
        if first >= last {
            continue;
        }
        let window = |curve: &[f64]| curve[first..last].iter().sum::<f64>();
        let gross = window(&c.counts);
        let apparent = (gross - window(&c.background)) / gross.max(1.0).sqrt();
        let tried = failed.iter().any(|e| e.family == candidate.name());
        let named = options.listed.contains(&candidate.symbol)
            && best_family(candidate, candidates, fit_options);
        if apparent < APPARENT && !tried && !named {
            continue;
        }
        let overlap = (0..default.families.len())
            .map(|i| (window(&c.families[i]), i))
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let pileup = window(&c.pileup);
        let noise = gross.max(1.0).sqrt();
        let reason = match overlap {
            _ if apparent < APPARENT && !tried => Reason::NotSignificant,
            Some((counts, i)) if counts > pileup && counts > noise => {
                let of = &families.iter().find(|f| f.name() == default.families[i]);
                match of.filter(|f| is_escape(f, candidate, half)) {
                    Some(f) => Reason::Escape { of: f.line_name() },
                    None => Reason::Overlap { with: default.families[i].clone() },
                }
            }
            _ if pileup > noise => match pair(candidate.energy, 2.0 * half, families, fit) {
                Some(lines) => Reason::PileUp { lines },
                None => Reason::Background,
            },
            _ => match candidates::inner_family(candidate, fit_options) {
                Some(inner) if tried => Reason::InnerFamilyMissing { family: inner.name() },
                _ => Reason::Background,
            },
        };
        out.push((candidate.clone(), apparent, reason));
    }
    let names: Vec<LineFamily> = out.iter().map(|(c, _, _)| c.clone()).collect();
    let added = selection::additions(energies, sum, default, families, &names, fit_options)?;
    let mut listed: Vec<Rejected> = out
        .into_iter()
        .zip(added)
        .map(|((candidate, apparent, reason), added)| Rejected {
            symbol: candidate.symbol.clone(),
            family: candidate.name(),
            energy: candidate.energy,
            apparent,
            counts: added.map(|a| a.0),
            stat: added.map(|a| a.1),
            reason,
        })
        .collect();
    // What a reader would miss first: named elements, artefacts, then what fits best.
    let rank = |r: &Rejected| match r.reason {
        _ if options.listed.contains(&r.symbol) => 0,
        Reason::PileUp { .. } | Reason::Escape { .. } | Reason::InnerFamilyMissing { .. } => 1,
        _ => 2,
    };
    let signal = |r: &Rejected| match (r.counts, r.stat) {
        (Some(counts), Some(stat)) => counts / stat,
        _ => 0.0,
    };
    listed.sort_by(|a, b| {
        rank(a).cmp(&rank(b)).then(signal(b).total_cmp(&signal(a))).then(a.family.cmp(&b.family))
    });
    listed.truncate(MAX_LISTED);
    Ok(listed)
}

/// The family by which an element would be recognised: its hardest well excited one.
fn best_family(family: &LineFamily, candidates: &[LineFamily], options: &FitOptions) -> bool {
    let same = candidates.iter().filter(|c| c.symbol == family.symbol);
    let good = same.filter(|c| options.beam_energy > 1.3 * c.edge);
    good.map(|c| c.shell).min().is_some_and(|s| s == family.shell)
}

fn is_escape(of: &LineFamily, candidate: &LineFamily, half: f64) -> bool {
    (of.energy - SI_KA - candidate.energy).abs() < half
        && of.lines.iter().all(|l| (l.energy - candidate.energy).abs() > 2.0 * half)
}

/// The pair of lines whose pile-up is strongest near `energy`.
fn pair(energy: f64, fwhm: f64, families: &[LineFamily], fit: &SumFit) -> Option<[String; 2]> {
    let counts = |f: &LineFamily| fit.estimate(&f.name()).map_or(0.0, |e| e.alpha_counts);
    let mut best: Option<(f64, [String; 2])> = None;
    for (i, a) in families.iter().enumerate() {
        for b in &families[i..] {
            let distance = (a.energy + b.energy - energy) / (0.7 * fwhm);
            if distance.abs() > 1.2 {
                continue;
            }
            let strength = counts(a) * counts(b) * (-0.5 * distance * distance).exp();
            if best.as_ref().is_none_or(|(s, _)| strength > *s) {
                best = Some((strength, [a.line_name(), b.line_name()]));
            }
        }
    }
    best.map(|b| b.1)
}
