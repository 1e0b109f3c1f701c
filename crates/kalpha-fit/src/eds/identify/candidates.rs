//! Which families can be in a spectrum, and what they imply.

use kalpha_physics::PhysicsError;
use kalpha_physics::bremsstrahlung::self_absorption;
use kalpha_physics::detector::Detector;
use kalpha_physics::elements::element;
use kalpha_physics::lines::{
    LineFamily, Shell, excitable_families, fluorescence_yield, line_family,
};

use super::IdentifyOptions;
use crate::eds::families::{FamilyEstimate, FitOptions};

/// An inner family must have at least this fraction of the outer family's counts.
pub(super) const INNER_FRACTION: f64 = 0.05;
/// ... where the beam energy exceeds its edge by this factor.
const INNER_OVERVOLTAGE: f64 = 1.6;

/// Families of Z >= 5 that the beam excites with their alpha line inside the fitted range.
///
/// Argon is one: sputtered films and ion-milled specimens hold it, and without it its line at
/// 2.957 keV would be given to silver (2.984 keV). The other noble gases and elements without
/// stable isotopes (except Th and U) are candidates only if `named`.
///
/// # Errors
/// Those of [`excitable_families`].
pub fn candidate_families(
    options: &FitOptions,
    named: &[String],
) -> Result<Vec<LineFamily>, PhysicsError> {
    let margin = |e: f64| options.shape.resolution.fwhm(e);
    let all = excitable_families(options.beam_energy / 1.05, options.low, options.high)?;
    let rare = |z: u16| matches!(z, 10 | 36 | 43 | 54 | 61 | 84..=89 | 91);
    Ok(all
        .into_iter()
        .filter(|f| f.z >= 5 && (!rare(f.z) || named.contains(&f.symbol)))
        .filter(|f| {
            f.energy > options.low + 0.5 * margin(f.energy)
                && f.energy < options.high - margin(f.energy)
        })
        .collect())
}

/// The next inner family of the same element, where it must be visible too.
pub(super) fn inner_family(family: &LineFamily, options: &FitOptions) -> Option<LineFamily> {
    let shell = match family.shell {
        Shell::K => return None,
        Shell::L => Shell::K,
        Shell::M => Shell::L,
    };
    let inner = line_family(&family.symbol, shell, options.beam_energy).ok().flatten()?;
    let strong = options.beam_energy > INNER_OVERVOLTAGE * inner.edge;
    (strong && inner.energy < options.high).then_some(inner)
}

/// Mass fractions to a factor of two, from counts over yield, overvoltage, efficiency and the
/// absorption in the specimen itself (three rounds).
///
/// Only the continuum's absorption edges depend on them.
pub fn rough_composition(
    estimates: &[FamilyEstimate],
    detector: &Detector,
    options: &IdentifyOptions,
) -> Vec<(String, f64)> {
    // The hardest family of an element is absorbed least.
    let mut used: Vec<(&FamilyEstimate, f64)> = Vec::new();
    for e in estimates.iter().filter(|e| e.counts > 0.0 && e.significance > 3.0) {
        let Some(s) = sensitivity(e, detector, options.beam_energy) else { continue };
        match used.iter_mut().find(|(u, _)| u.symbol == e.symbol) {
            Some(slot) if slot.0.energy < e.energy => *slot = (e, s),
            Some(_) => {}
            None => used.push((e, s)),
        }
    }
    let energies: Vec<f64> = used.iter().map(|(e, _)| e.energy).collect();
    let mut out: Vec<(String, f64)> = Vec::new();
    let mut leaving = vec![1.0; used.len()];
    for _ in 0..3 {
        out = used
            .iter()
            .zip(&leaving)
            .map(|((e, s), f)| (e.symbol.clone(), e.counts / (s * f)))
            .collect();
        let total: f64 = out.iter().map(|(_, w)| w).sum();
        out.iter_mut().for_each(|(_, w)| *w /= total);
        match self_absorption(&energies, options.beam_energy, &out, options.take_off_angle) {
            Ok(f) if !options.thin => leaving = f,
            _ => break,
        }
    }
    out.retain(|(_, w)| *w > 1e-3);
    out
}

fn sensitivity(e: &FamilyEstimate, detector: &Detector, beam_energy: f64) -> Option<f64> {
    let shell = Shell::ALL.into_iter().find(|s| e.family.ends_with(&s.to_string()))?;
    let family = line_family(&e.symbol, shell, beam_energy).ok().flatten()?;
    let yielded = fluorescence_yield(&e.symbol, shell).ok().filter(|w| *w > 0.0)?;
    let weight = element(&e.symbol).ok()?.atomic_weight;
    let seen = detector.efficiency(family.energy).ok()?;
    let value = yielded * (beam_energy / family.edge).ln() / family.edge * seen / weight;
    (value > 0.0).then_some(value)
}
