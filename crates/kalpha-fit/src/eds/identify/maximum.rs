//! Families in the maximum-pixel spectrum.
//!
//! A line that is strong in few pixels stands out in the maximum over pixels and drowns in the
//! sum. The maximum of Poisson counts is no Poisson spectrum: its noise is taken from the
//! residuals of the fit, its continuum from a polynomial on the physical shape.
//!
//! Source: Bright and Newbury (2004), J. Microsc. 216, 186,
//! doi:10.1111/j.0022-2720.2004.01412.x.

use kalpha_num::least_squares::weighted_linear;
use kalpha_physics::lines::LineFamily;
use serde::{Deserialize, Serialize};

use super::candidates::inner_family;
use super::selection::one_by_one;
use crate::eds::FitError;
use crate::eds::families::{BackgroundModel, FitOptions, background_columns, family_columns};

/// Significance at which a known family counts as seen.
const SEEN: f64 = 4.0;
/// Significance at which a family that the sum does not show is reported.
const NEW: f64 = 7.0;

/// A family that stands out in the maximum-pixel spectrum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MaximumPixelHit {
    /// Element symbol.
    pub symbol: String,
    /// Family, `P_K`.
    pub family: String,
    /// Counts of the family in the spectrum of maxima.
    pub counts: f64,
    /// Estimate over its standard deviation.
    pub significance: f64,
}

/// What the maximum-pixel spectrum shows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MaximumPixel {
    /// Families of the sum spectrum that stand out here too.
    pub seen: Vec<MaximumPixelHit>,
    /// Families that only this spectrum shows: at least 7 sigma, isolated from stronger lines,
    /// from their pile-up and escape, and with the inner family where that must be visible.
    pub new: Vec<MaximumPixelHit>,
}

/// Looks for `families` and, one by one, for the other `candidates` in `max_pixel`.
///
/// # Errors
/// Those of the column functions.
pub(super) fn families_seen(
    energies: &[f64],
    max_pixel: &[f64],
    families: &[LineFamily],
    candidates: &[LineFamily],
    options: &FitOptions,
) -> Result<MaximumPixel, FitError> {
    let range = options.range(energies);
    if max_pixel.len() != energies.len() || range.len() < 20 {
        return Ok(MaximumPixel::default());
    }
    let others: Vec<LineFamily> = candidates
        .iter()
        .filter(|c| families.iter().all(|f| f.symbol != c.symbol))
        .cloned()
        .collect();
    let background =
        background_columns(BackgroundModel::Bremsstrahlung, energies, max_pixel, options)?;
    let profiles = family_columns(energies, families, options)?;
    let new = family_columns(energies, &others, options)?;
    let columns: Vec<Vec<f64>> =
        profiles.iter().chain(&background).chain(&new).map(|c| c[range.clone()].to_vec()).collect();
    let known = families.len() + background.len();
    let y = &max_pixel[range.clone()];
    let weights = vec![1.0; y.len()];
    let Ok(fit) = weighted_linear(&columns[..known], y, &weights) else {
        return Ok(MaximumPixel::default());
    };
    let noise = (fit.chi2 / y.len().saturating_sub(known).max(1) as f64).sqrt();
    let hit = |f: &LineFamily, counts: f64, sigma: f64| MaximumPixelHit {
        symbol: f.symbol.clone(),
        family: f.name(),
        counts,
        significance: counts / (noise * sigma),
    };
    let seen: Vec<MaximumPixelHit> = families
        .iter()
        .enumerate()
        .map(|(i, f)| hit(f, fit.x[i], fit.covariance[i * known + i].sqrt()))
        .filter(|h| h.significance > SEEN)
        .collect();
    let lines: Vec<f64> =
        columns[..families.len()].iter().zip(&fit.x).fold(vec![0.0; y.len()], |mut sum, (c, x)| {
            sum.iter_mut().zip(c).for_each(|(s, v)| *s += x.max(0.0) * v);
            sum
        });
    let added = one_by_one(&columns, known, y, &weights);
    let mut fresh: Vec<MaximumPixelHit> = Vec::new();
    for (k, f) in others.iter().enumerate() {
        let Some((counts, sigma)) = added[k] else { continue };
        let found = hit(f, counts, sigma);
        if found.significance < NEW
            || near_artefact(f, families, options)
            || beside_stronger(f, counts, families, &fit.x, options)
        {
            continue;
        }
        let column = &columns[known + k];
        let top = (0..column.len()).max_by(|&a, &b| column[a].total_cmp(&column[b]));
        let Some(top) = top else { continue };
        // Its own peak must rise above what the known lines leave at its place.
        if counts * column[top] < lines[top].max(3.0 * noise) {
            continue;
        }
        if inner_family(f, options).is_some_and(|i| others.iter().any(|o| o.name() == i.name())) {
            continue;
        }
        fresh.push(found);
    }
    // Of families that cannot be told apart only the most significant one stays.
    fresh.sort_by(|a, b| b.significance.total_cmp(&a.significance));
    let mut new: Vec<MaximumPixelHit> = Vec::new();
    for h in fresh {
        let energy = |n: &str| others.iter().find(|o| o.name() == n).map_or(0.0, |o| o.energy);
        let e = energy(&h.family);
        let width = options.shape.resolution.fwhm(e);
        if new.iter().all(|n| (energy(&n.family) - e).abs() > 1.5 * width) {
            new.push(h);
        }
    }
    Ok(MaximumPixel { seen, new })
}

/// True beside a line of three times the counts: a maximum lifts the flanks and tails of peaks.
fn beside_stronger(
    family: &LineFamily,
    counts: f64,
    known: &[LineFamily],
    known_counts: &[f64],
    options: &FitOptions,
) -> bool {
    let width = options.shape.resolution.fwhm(family.energy);
    known.iter().zip(known_counts).any(|(k, &n)| {
        n > 3.0 * counts
            && k.lines.iter().filter(|l| l.weight * n > counts).any(|l| {
                let below = (l.energy - family.energy) / width;
                (-2.5..4.0).contains(&below)
            })
    })
}

/// True where pile-up of two known lines or an escape peak can imitate the alpha line.
fn near_artefact(family: &LineFamily, known: &[LineFamily], options: &FitOptions) -> bool {
    let half = 0.7 * options.shape.resolution.fwhm(family.energy);
    let near = |e: f64| (e - family.energy).abs() < half;
    known.iter().enumerate().any(|(i, a)| {
        near(a.energy - kalpha_physics::detector::SI_KA)
            || known[i..].iter().any(|b| near(a.energy + b.energy))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eds::identify::candidates::candidate_families;
    use kalpha_num::rng::Stream;
    use kalpha_physics::bremsstrahlung::Source;
    use kalpha_physics::lines::{Shell, line_family};
    use kalpha_physics::profile::PeakShape;

    /// Maxima over 3,000 pixels of a host, one of which also holds `planted` counts of Cr K.
    fn seen(planted: f64) -> MaximumPixel {
        let energies: Vec<f64> = (0..1000).map(|i| 0.2 + 0.01 * f64::from(i)).collect();
        let options = FitOptions::new(20.0, 0.2, 10.1, PeakShape::gaussian(130.0), Source::Thin);
        let family = |s| line_family(s, Shell::K, 20.0).unwrap().unwrap();
        let host = [family("O"), family("Si"), family("Fe")];
        let profiles = family_columns(&energies, &host, &options).unwrap();
        let cr = &family_columns(&energies, &[family("Cr")], &options).unwrap()[0];
        let mut max_pixel = vec![0.0_f64; 1000];
        let stream = Stream::new(3, "maximum", 0);
        for row in 0..3000 {
            for k in 0..1000 {
                let mut mean = 0.06 * (-energies[k] / 4.0).exp();
                for (p, n) in profiles.iter().zip([40.0, 60.0, 15.0]) {
                    mean += n * p[k];
                }
                if row == 1234 {
                    mean += planted * cr[k];
                }
                max_pixel[k] = max_pixel[k].max(stream.at(row, k).poisson(mean) as f64);
            }
        }
        let candidates = candidate_families(&options, &[]).unwrap();
        families_seen(&energies, &max_pixel, &host, &candidates, &options).unwrap()
    }

    #[test]
    fn one_pixel_of_chromium_is_seen_and_none_is_not() {
        let with = seen(80.0);
        assert_eq!(with.new.len(), 1, "{:?}", with.new);
        assert_eq!(with.new[0].family, "Cr_K");
        assert_eq!(with.seen.len(), 3);
        assert!(seen(0.0).new.is_empty());
    }
}
