//! The rare-phase guard: what a factorisation leaves unexplained, and who says so.
//!
//! Compression erases a phase of two pixels at any dose: the residual must be tested. The null is
//! the Poisson (KL) fit of each pixel by end-members plus the pile-up that follows from it. Counts
//! in the windows of all line families are summed over neighbourhoods of 1 x 1 to 5 x 5 pixels
//! and compared with the null by Poisson tails, without a threshold to set:
//!
//! 1. An end-member that a few pixels carry is fitted again without these pixels: a pure pixel
//!    that became an end-member would explain itself (the score-space test).
//! 2. A sweep screens all neighbourhoods and measures each family's inflation: variance over
//!    mean of the excess, against the same figure in maps drawn from the null and refitted.
//! 3. Candidates are predicted from outside their window, without their own part in the
//!    end-members, and get an exact negative binomial tail.
//! 4. Bonferroni over all pixels, families and neighbourhoods decides; false-discovery rates are
//!    listed beside it. What the null's own maps flag is reported. Once places are flagged, the
//!    inflation is measured again without them, or a discovery would hide the next, and the
//!    families flagged are looked for again among themselves (Bonferroni over pixels, these
//!    families and neighbourhoods). A map without rare phases gets there no more often than it is
//!    flagged at all; a map with one may gain a second false flag with the same probability.
//! 5. Flagged places are fitted again with an end-member of their own ([`OwnEndMember`]), and every
//!    other pixel is tested for it.
//!
//! Flagged pixels survive every reconstruction ([`crate::reconstruction`]). Their selection used
//! the same counts as later fits: intensities there are biased high.
//!
//! Tested by planted pixels against an oracle scan that knows the true mean ([`study`]), and on a
//! rock whose apatite grains are known.

mod bootstrap;
mod flags;
mod own;
mod pile_up;
mod scan;
mod step;
pub mod study;
mod tail;
mod windows;

pub use flags::{Flag, Test};
pub use own::OwnEndMember;
pub use pile_up::PileUp;
pub use step::{RareStep, scan_families};
pub(crate) use tail::PatchSpectrum;
pub use windows::ScanFamily;

use crate::nmf_kl::{self, Fixed};
use bootstrap::Draw;
use flags::{Multiplicity, select, test};
use kalpha_core::{
    ArtefactType, Code, DType, Diagnostic, ExcludeChannels, Passes, Rows, StepError,
};
use kalpha_num::rng::Stream;
use pile_up::Known;
use scan::{Moments, ScanMap, Sweep, skipping, sweep};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tail::{Null, refine};
use windows::Windows;

/// Parameters of [`guard`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Probability that a map without rare phases gets a flag.
    pub level: f64,
    /// Largest neighbourhood: n x n pixels.
    pub largest: usize,
    /// Pixels drawn from the null to calibrate; a larger map draws bands of lines.
    pub bootstrap_rows: usize,
    /// Most maps drawn from the null.
    pub bootstrap_maps: usize,
}

impl Default for Params {
    fn default() -> Self {
        Self { level: 0.05, largest: 5, bootstrap_rows: 65536, bootstrap_maps: 8 }
    }
}

/// How much wider a family scatters than its null, by size of the neighbourhood.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inflation {
    /// The family.
    pub family: String,
    /// Variance over mean against that of the null's own maps, for 1 x 1, 2 x 2, ...
    pub measured: Vec<f64>,
    /// What the p-values were corrected by: 1 where the excess is within 3 standard errors.
    pub applied: Vec<f64>,
}

/// An end-member that a few pixels carry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FewPixels {
    /// Number of the end-member.
    pub component: usize,
    /// `[row, column]` of the pixel that holds most of it.
    pub pixel: [usize; 2],
    /// Share of it in its 25 strongest pixels.
    pub share: f64,
    /// `(sum w)^2 / sum w^2`.
    pub effective_pixels: f64,
}

/// Maps drawn from the null, refitted and scanned like the real one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// Maps drawn.
    pub maps: usize,
    /// Pixels drawn, all maps together.
    pub pixels: usize,
    /// Maps with at least one flag.
    pub maps_with_flags: usize,
    /// Tests that passed.
    pub flags: usize,
}

/// What the guard found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flags {
    /// Lines and columns of the map.
    pub grid: [usize; 2],
    /// Family-wise level.
    pub level: f64,
    /// Number of tests.
    pub tests: u64,
    /// Places the null does not explain, most significant first.
    pub flags: Vec<Flag>,
    /// End-members that flagged places have of their own.
    pub own: Vec<OwnEndMember>,
    /// Tests that pass at a false-discovery rate of `level` (overlapping ones counted each).
    pub discoveries: usize,
    /// Inflation of each family.
    pub inflation: Vec<Inflation>,
    /// Calibration by the null's own maps.
    pub bootstrap: Bootstrap,
    /// End-members fitted again because a few pixels carried them.
    pub few_pixels: Vec<FewPixels>,
    /// Mean Poisson deviance per pixel under the null.
    pub mean_deviance: f64,
    /// Pile-up counts in the null, all pixels together; 0 where none is seen.
    pub pile_up_counts: f64,
}

impl ArtefactType for Flags {
    const KIND: &'static str = "flags";
}

impl Flags {
    /// Rows inside any flagged neighbourhood, ascending.
    pub fn flagged_rows(&self) -> Vec<usize> {
        let mut rows: Vec<usize> = self.flags.iter().flat_map(|f| f.rows(self.grid[1])).collect();
        rows.sort_unstable();
        rows.dedup();
        rows
    }
}

/// The guard's findings with the deviance of every row under its null.
#[derive(Clone, Debug)]
pub struct Guarded {
    /// Findings.
    pub flags: Flags,
    /// Poisson deviance of each row.
    pub deviance: Vec<f64>,
}

/// Most often that the inflation is measured again without what was flagged.
const INFLATION_ROUNDS: usize = 3;
/// With more than this share of the pixels flagged, the null is wrong rather than the pixels rare.
const MOST_FLAGGED: f64 = 0.05;
/// The strongest pixels looked at by the score-space test.
const FEW: usize = 25;
/// Passes in which end-members forget the pixels that carried one of them.
const FORGET_PASSES: usize = 60;
/// The forgetting ends when a pass gains less than this share of the deviance.
const FORGET_TOLERANCE: f64 = 2e-6;

/// End-members that hold more than half of their counts in [`FEW`] pixels, or whose effective
/// number of pixels is below that; with the rows of these pixels, ascending.
fn few_pixels(abundances: &[f64], components: usize, width: usize) -> (Vec<FewPixels>, Vec<usize>) {
    let n = abundances.len() / components.max(1);
    let (mut out, mut rows) = (Vec::new(), Vec::new());
    for k in 0..components {
        let mut w: Vec<(f64, usize)> =
            (0..n).map(|r| (abundances[r * components + k], r)).collect();
        let sum: f64 = w.iter().map(|w| w.0).sum();
        let square: f64 = w.iter().map(|w| w.0 * w.0).sum();
        if n < 20 * FEW || sum <= 0.0 {
            continue;
        }
        w.select_nth_unstable_by(FEW, |a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let strongest = &w[..FEW];
        let share = strongest.iter().map(|w| w.0).sum::<f64>() / sum;
        let top = strongest.iter().fold((f64::NEG_INFINITY, 0), |a, &b| {
            if b.0 > a.0 || (b.0 == a.0 && b.1 < a.1) { b } else { a }
        });
        let effective_pixels = sum * sum / square;
        if share > 0.5 || effective_pixels < FEW as f64 {
            rows.extend(strongest.iter().map(|w| w.1));
            out.push(FewPixels {
                component: k,
                pixel: [top.1 / width, top.1 % width],
                share,
                effective_pixels,
            });
        }
    }
    rows.sort_unstable();
    rows.dedup();
    (out, rows)
}

/// Tests every place of a map against the fit by `spectra`.
///
/// `rows`: raw counts (strobe peak and masked pixels emptied) on the grid `[lines, columns]`;
/// `spectra`: components x channels, each summing to 1; `near`: abundances to start from, rows x
/// components, empty for none; `pile_up`: that of the sum spectrum.
///
/// # Errors
/// When the grid does not fill the rows, a profile has another number of channels, no family is
/// given, rows cannot be read, or the run is cancelled.
pub fn guard(
    passes: &dyn Passes,
    rows: &Rows,
    grid: [usize; 2],
    (spectra, near): (&[f64], &[f64]),
    components: usize,
    families: &[ScanFamily],
    pile_up: Option<PileUp<'_>>,
    params: &Params,
) -> Result<Guarded, StepError> {
    check(rows, grid, families, params)?;
    let channels = rows.meta().channels;
    let [height, width] = grid;
    let none = Fixed::default();
    let mut abundances = match near.len() == rows.meta().rows * components {
        true => nmf_kl::refit_from(passes, rows, spectra, near, components, none)?,
        false => nmf_kl::refit(passes, rows, spectra, components, none)?,
    };
    let (few, carriers) = few_pixels(&abundances, components, width);
    let mut spectra = spectra.to_vec();
    let mut others = Rows::clone(rows);
    if !few.is_empty() {
        let mut masked = vec![false; rows.meta().rows];
        carriers.iter().for_each(|&row| masked[row] = true);
        others = Arc::new(ExcludeChannels::new(others, 0..0, Some(masked.into())));
        let (most, tolerance) = (FORGET_PASSES, FORGET_TOLERANCE);
        let begin = (&spectra[..], &abundances[..]);
        (spectra, _) = nmf_kl::improve(passes, &others, begin, components, none, most, tolerance)?;
        abundances = nmf_kl::refit_from(passes, rows, &spectra, &abundances, components, none)?;
    }
    let mut known = Known::default();
    if let Some(pile_up) = pile_up.filter(PileUp::is_seen) {
        (spectra, abundances, known) =
            pile_up::separate(passes, (rows, &others), &pile_up, spectra, components, abundances)?;
    }
    let fixed = known.fixed();
    let mut totals = vec![0.0; components];
    for w in abundances.chunks_exact(components) {
        totals.iter_mut().zip(w).for_each(|(t, w)| *t += w);
    }
    let fixed_sigma = known.relative_sigma;
    let null = Null { spectra: &spectra, components, totals: &totals, fixed, fixed_sigma };
    let windows = Windows::new(families, channels);
    let shares = windows.shares(&spectra, components);
    let known_counts = pile_up::in_windows(fixed, &windows, rows.meta().rows);
    let counts = windows.counts(passes, rows)?;
    let sizes: Vec<usize> = (1..=params.largest.min(height).min(width)).collect();
    let map = ScanMap {
        height,
        width,
        counts: &counts,
        lanes: windows.lanes,
        abundances: &abundances,
        components,
        shares: &shares,
        known: &known_counts,
        skip: &[],
    };
    let found = sweep(passes, map, &sizes, families.len())?;
    let tests = found.tests;
    let own = own_maps(passes, rows, map, null, &windows, &sizes, tests, families.len(), params)?;
    let refined = refine(passes, rows, map, null, &windows, &own.noise, found.candidates)?;
    let mut moments = found.moments.clone();
    let mut skip = vec![false; rows.meta().rows];
    let mut round = 0;
    let (inflation, tested, mut flags) = loop {
        let inflation = inflation(&moments, &own.sweep.moments, &sizes, windows.lanes, families);
        let applied = |family: usize, scale: usize| inflation[family].applied[scale];
        let tested = test(passes, &refined, tests, applied)?;
        let choose = |tests: &Multiplicity| {
            select(rows, map, null, &windows, families, &tested, tests, params.level)
        };
        let all = Multiplicity::first(tests);
        let mut flags = choose(&all)?;
        if !flags.is_empty() {
            flags = choose(&all.after(&flags, families))?;
        }
        let before = skip.iter().filter(|s| **s).count();
        flags.iter().flat_map(|f| f.rows(width)).for_each(|row| skip[row] = true);
        let now = skip.iter().filter(|s| **s).count();
        round += 1;
        let rare = (now as f64) < MOST_FLAGGED * skip.len() as f64;
        if now == before || !rare || round == INFLATION_ROUNDS {
            break (inflation, tested, flags);
        }
        moments = skipping(passes, ScanMap { skip: &skip, ..map }, &sizes, &found.moments)?;
    };
    let discoveries = tested.iter().filter(|t| t.q <= params.level).count();
    let places = own::Places { rows, map, null, windows: &windows, families, level: params.level };
    let own_members = places.own_end_members(passes, &mut flags, |family| {
        inflation[family].applied.first().copied().unwrap_or(1.0)
    })?;
    let deviance = nmf_kl::deviance(passes, rows, &spectra, &abundances, components, fixed)?;
    let used = deviance.iter().filter(|&&d| d > 0.0).count();
    let flags = Flags {
        grid,
        level: params.level,
        tests,
        flags,
        own: own_members,
        discoveries,
        inflation,
        bootstrap: own.report,
        few_pixels: few,
        mean_deviance: deviance.iter().sum::<f64>() / used.max(1) as f64,
        pile_up_counts: known.total(),
    };
    Ok(Guarded { flags, deviance })
}

fn check(
    rows: &Rows,
    grid: [usize; 2],
    families: &[ScanFamily],
    params: &Params,
) -> Result<(), StepError> {
    let wrong = |parameter, got: String, expected: String| {
        Err(StepError::Parameter { parameter, got, expected })
    };
    let meta = rows.meta();
    if grid[0].checked_mul(grid[1]) != Some(meta.rows) || meta.rows == 0 {
        return wrong("grid", format!("{grid:?}"), format!("a grid of {} pixels", meta.rows));
    }
    if !(params.level > 0.0 && params.level < 1.0) {
        return wrong("level", params.level.to_string(), "a probability".to_owned());
    }
    if !(1..=15).contains(&params.largest) {
        return wrong("largest", params.largest.to_string(), "1 to 15 pixels".to_owned());
    }
    if families.is_empty() || families.len() > usize::from(u16::MAX) {
        return wrong("families", families.len().to_string(), "1 to 65535 families".to_owned());
    }
    match families.iter().find(|f| f.profile.len() != meta.channels) {
        Some(f) => wrong(
            "profile",
            format!("{} channels in {}", f.profile.len(), f.family),
            format!("{} channels", meta.channels),
        ),
        None => Ok(()),
    }
}

/// What the null's own maps show.
struct OwnMaps {
    sweep: Sweep,
    /// Counting variance of each abundance over its mean.
    noise: Vec<f64>,
    report: Bootstrap,
}

/// Lines per band where a map is too large to be drawn whole.
const BAND_LINES: usize = 16;

/// Draws maps from the null, refits and sweeps them.
fn own_maps(
    passes: &dyn Passes,
    rows: &Rows,
    map: ScanMap<'_>,
    null: Null<'_>,
    windows: &Windows,
    sizes: &[usize],
    tests: u64,
    families: usize,
    params: &Params,
) -> Result<OwnMaps, StepError> {
    let pixels = map.height * map.width;
    let budget = params.bootstrap_rows.max(map.width * map.height.min(BAND_LINES));
    // (replicate, lines)
    let parts: Vec<(usize, std::ops::Range<usize>)> = if pixels <= budget {
        let maps = (budget / pixels).clamp(1, params.bootstrap_maps.max(1));
        (0..maps).map(|m| (m, 0..map.height)).collect()
    } else {
        let bands = (budget / (BAND_LINES * map.width)).max(1);
        let room = map.height - BAND_LINES;
        (0..bands)
            .map(|b| {
                let first = room * b / (bands - 1).max(1);
                (0, first..first + BAND_LINES)
            })
            .collect()
    };
    let draw = Draw::new(&null);
    let bound = (params.level / tests.max(1) as f64).ln();
    let mut total =
        Sweep { moments: vec![Moments::default(); sizes.len() * map.lanes], ..Sweep::default() };
    let mut report = Bootstrap { maps: 0, pixels: 0, maps_with_flags: 0, flags: 0 };
    let (mut scatter, mut size) = (vec![0.0; map.components], vec![0.0; map.components]);
    let ratio = |scatter: &[f64], size: &[f64]| {
        scatter.iter().zip(size).map(|(s, n)| (s / n.max(1e-9)).max(1.0)).collect::<Vec<_>>()
    };
    let mut flagged_maps = std::collections::BTreeSet::new();
    let mut drawn_maps = std::collections::BTreeSet::new();
    for (replicate, lines) in parts {
        passes.ctx().checkpoint()?;
        let stream = Stream::new(passes.ctx().seed(), "rare.bootstrap", replicate as u32);
        let span = lines.start * map.width..lines.end * map.width;
        let csr = draw.counts(&null, map.abundances, span.clone(), &stream)?;
        let mut meta = rows.meta().clone();
        meta.rows = span.len();
        meta.dtype = DType::Csr;
        let drawn: Rows = Arc::new((meta, csr));
        let fixed = null.fixed.of_rows(span.clone());
        let abundances = nmf_kl::refit(passes, &drawn, null.spectra, null.components, fixed)?;
        let truth = &map.abundances[span.start * map.components..span.end * map.components];
        for (i, (&fit, &truth)) in abundances.iter().zip(truth).enumerate() {
            let j = i % map.components;
            scatter[j] += (fit - truth) * (fit - truth);
            size[j] += truth;
        }
        let noise: Vec<f64> = ratio(&scatter, &size);
        let counts = windows.counts(passes, &drawn)?;
        let own = ScanMap {
            height: lines.len(),
            counts: &counts,
            abundances: &abundances,
            skip: &[],
            known: match map.known {
                [] => map.known,
                known => &known[span.start * map.lanes..span.end * map.lanes],
            },
            ..map
        };
        let own_null = Null { fixed, ..null };
        let found = sweep(passes, own, sizes, families)?;
        let refined = refine(passes, &drawn, own, own_null, windows, &noise, found.candidates)?;
        let tested = test(passes, &refined, tests, |_, _| 1.0)?;
        let passed = tested.iter().filter(|t| t.ln_p <= bound).count();
        report.flags += passed;
        report.pixels += span.len();
        if passed > 0 {
            flagged_maps.insert(replicate);
        }
        drawn_maps.insert(replicate);
        total.moments.iter_mut().zip(&found.moments).for_each(|(a, b)| a.add(b));
    }
    report.maps = drawn_maps.len();
    report.maps_with_flags = flagged_maps.len();
    Ok(OwnMaps { sweep: total, noise: ratio(&scatter, &size), report })
}

/// Inflation of each family and size against the null's own maps.
fn inflation(
    found: &[Moments],
    own: &[Moments],
    sizes: &[usize],
    lanes: usize,
    families: &[ScanFamily],
) -> Vec<Inflation> {
    let mut out = Vec::with_capacity(families.len());
    for (f, family) in families.iter().enumerate() {
        let (mut measured, mut applied) = (Vec::new(), Vec::new());
        for (s, size) in sizes.iter().enumerate() {
            let cells = (size * size) as f64;
            let here = found[s * lanes + f].dispersion(cells);
            let null = own[s * lanes + f].dispersion(cells);
            let (ratio, error) = match (here, null) {
                (Some((d, e)), Some((d0, e0))) if d0 > 0.0 => {
                    (d / d0, (d / d0) * ((e / d.max(1e-12)).powi(2) + (e0 / d0).powi(2)).sqrt())
                }
                _ => (1.0, 0.0),
            };
            measured.push(ratio);
            applied.push(if ratio > 1.0 + 3.0 * error { ratio } else { 1.0 });
        }
        out.push(Inflation { family: family.family.clone(), measured, applied });
    }
    out
}

/// What is worth saying about the findings.
pub fn diagnostics(flags: &Flags) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    if !flags.flags.is_empty() {
        out.push(Diagnostic::warning(
            Code::PostSelection,
            format!(
                "{} flagged because of high counts: intensities fitted to the same counts are \
                 biased high there",
                match flags.flags.len() {
                    1 => "1 place was".to_owned(),
                    n => format!("{n} places were"),
                }
            ),
        ));
    }
    let worst = flags
        .inflation
        .iter()
        .flat_map(|i| i.applied.iter().map(move |a| (a, &i.family)))
        .max_by(|a, b| a.0.total_cmp(b.0));
    if let Some((factor, family)) = worst
        && *factor > 1.5
    {
        out.push(
            Diagnostic::note(
                Code::Overdispersed,
                format!(
                    "{family} scatters {factor:.1} times wider than the fitted end-members allow; \
                     p-values are corrected for it"
                ),
            )
            .hint("more end-members may explain it"),
        );
    }
    if flags.bootstrap.maps_with_flags > 0 {
        out.push(Diagnostic::warning(
            Code::RankUncertain,
            format!(
                "{} of {} maps drawn from the fitted null were flagged themselves ({} tests)",
                flags.bootstrap.maps_with_flags, flags.bootstrap.maps, flags.bootstrap.flags
            ),
        ));
    }
    out
}

#[cfg(test)]
mod tests;
