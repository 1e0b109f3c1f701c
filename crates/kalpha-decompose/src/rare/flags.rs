//! From tail probabilities to a list of flagged pixels.
//!
//! One bright pixel passes in many neighbourhoods and in every family whose window holds its
//! line. The most significant test is taken first; what it explains is taken out of the others,
//! and only what still passes is listed. Among families that pass at the same place, the one
//! whose whole profile fits the summed counts best gives the name; elements that are identified
//! in the map already have an advantage of six units of log-likelihood, since some sixty
//! families share most windows.

use super::scan::{Candidate, ScanMap};
use super::tail::{Null, PatchSpectrum, Refined};
use super::windows::{ScanFamily, Windows};
use kalpha_core::{Passes, Rows, StepError};
use kalpha_num::statistics::ln_negative_binomial_sf;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::sync::{Mutex, PoisonError};

/// A place that the null does not explain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flag {
    /// `[row, column]` of the centre, zero-based (the upper left of the four for even sizes).
    pub pixel: [usize; 2],
    /// `[row, column]` of the first pixel of the neighbourhood.
    pub corner: [usize; 2],
    /// Lines and columns of the neighbourhood.
    pub neighbourhood: [usize; 2],
    /// Element whose lines are in excess.
    pub element: String,
    /// Family scanned: `P_K`.
    pub family: String,
    /// Other families with a window at the same energy that explain the excess as well (within
    /// 3 units of log-likelihood).
    pub alternatives: Vec<String>,
    /// Counts in the window.
    pub counts: f64,
    /// Counts the null expects there, predicted without the window and without the
    /// neighbourhood's own part in the end-members.
    pub expected: f64,
    /// p-value, corrected for inflation.
    pub p: f64,
    /// p-value over all pixels, families and neighbourhoods (Bonferroni).
    pub p_family_wise: f64,
    /// Smallest false-discovery rate at which this test is a discovery (Benjamini-Hochberg).
    pub q: f64,
    /// What found it.
    pub test: Test,
    /// Number of the own end-member that explains it; `None` keeps the raw counts.
    pub own: Option<usize>,
}

/// How a place was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    /// Counts in a window against the null, among all families.
    Scan,
    /// The same, among the families that were flagged elsewhere in the map.
    FlaggedFamily,
    /// The whole spectrum against the null mixed with an own end-member of other places.
    OwnEndMember,
}

impl Flag {
    /// Pixels of the neighbourhood, as rows of the map.
    pub fn rows(&self, width: usize) -> impl Iterator<Item = usize> + '_ {
        let [y, x] = self.corner;
        let [h, w] = self.neighbourhood;
        (y..y + h).flat_map(move |y| (x..x + w).map(move |x| y * width + x))
    }
}

/// A smaller neighbourhood stands for a larger one when it holds this share of its excess.
const MOST_OF_EXCESS: f64 = 0.8;

/// Log-likelihood that an element identified in the map has ahead of a stranger.
const KNOWN: f64 = 6.0;

/// A candidate with its corrected p-value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tested<'a> {
    pub refined: &'a Refined,
    /// Variance over mean in the p-value.
    pub spread: f64,
    pub ln_p: f64,
    pub q: f64,
}

impl Tested<'_> {
    fn order(&self, other: &Self) -> Ordering {
        self.ln_p.total_cmp(&other.ln_p).then_with(|| place(self).cmp(&place(other)))
    }
}

/// Candidates that one job tests.
const CANDIDATES_PER_JOB: usize = 1 << 15;

/// Corrected p-values and false-discovery rates, smallest first. `inflation(family, scale)` is
/// at least 1.
pub(crate) fn test<'a>(
    passes: &dyn Passes,
    refined: &'a [Refined],
    tests: u64,
    inflation: impl Fn(usize, usize) -> f64 + Sync,
) -> Result<Vec<Tested<'a>>, StepError> {
    let parts: Vec<&[Refined]> = refined.chunks(CANDIDATES_PER_JOB).collect();
    let slots: Vec<Mutex<Vec<Tested>>> = parts.iter().map(|_| Mutex::default()).collect();
    passes.parallel(parts.len(), &|job| {
        let mut part: Vec<Tested> = parts[job]
            .iter()
            .map(|refined| {
                let c = &refined.candidate;
                let spread = refined.spread * inflation(c.family, c.scale);
                let ln_p = ln_negative_binomial_sf(c.counts, refined.expected, spread);
                Tested { refined, spread, ln_p, q: 1.0 }
            })
            .collect();
        part.sort_by(Tested::order);
        *slots[job].lock().unwrap_or_else(PoisonError::into_inner) = part;
        Ok(())
    })?;
    let parts = slots.into_iter().map(|s| s.into_inner().unwrap_or_else(PoisonError::into_inner));
    let mut out: Vec<Tested> = Vec::with_capacity(refined.len());
    parts.for_each(|part| out.extend(part));
    // Sorted stretches are merged.
    out.sort_by(Tested::order);
    // Tests that were screened out have larger p; they count in `tests`.
    let mut running = f64::INFINITY;
    for (rank, t) in out.iter_mut().enumerate().rev() {
        running = running.min(t.ln_p - ((rank + 1) as f64).ln());
        t.q = running;
    }
    let all = (tests.max(1) as f64).ln();
    out.iter_mut().for_each(|t| t.q = (t.q + all).exp().min(1.0));
    Ok(out)
}

fn place(t: &Tested) -> (usize, usize, usize, usize) {
    let c = &t.refined.candidate;
    (c.size, c.y, c.x, c.family)
}

fn pixels(c: &Candidate, width: usize) -> impl Iterator<Item = usize> + '_ {
    (c.y..c.y + c.size).flat_map(move |y| (c.x..c.x + c.size).map(move |x| y * width + x))
}

/// How many tests a test is one of.
pub(crate) struct Multiplicity {
    /// All pixels, families and neighbourhoods.
    pub all: u64,
    /// Families flagged somewhere, ascending.
    pub flagged: Vec<usize>,
    /// Pixels and neighbourhoods, in these families.
    pub again: u64,
}

impl Multiplicity {
    /// Nothing is flagged yet.
    pub fn first(all: u64) -> Self {
        Self { all, flagged: Vec::new(), again: 0 }
    }

    /// Once some families are flagged, they are looked for again among themselves.
    pub fn after(&self, flags: &[Flag], families: &[ScanFamily]) -> Self {
        let named = |name: &String| families.iter().position(|f| f.family == *name);
        let mut flagged: Vec<usize> = flags.iter().filter_map(|f| named(&f.family)).collect();
        flagged.sort_unstable();
        flagged.dedup();
        let again = self.all / families.len().max(1) as u64 * flagged.len() as u64;
        Self { all: self.all, flagged, again }
    }

    /// Number of tests of which one in `family` with this p-value is one, and how it is called.
    fn of(&self, family: usize, ln_p: f64, level: f64) -> (f64, Test) {
        let all = self.all.max(1) as f64;
        if ln_p <= (level / all).ln() || self.flagged.binary_search(&family).is_err() {
            return (all, Test::Scan);
        }
        (self.again.max(1) as f64, Test::FlaggedFamily)
    }
}

/// Tests by the place they are at.
struct ByPlace<'a> {
    map: ScanMap<'a>,
    /// Where the tests of each size and corner begin in `tests`; one more entry ends the last.
    first: Vec<u32>,
    tests: Vec<&'a Tested<'a>>,
}

impl<'a> ByPlace<'a> {
    /// In each place the order of `tests` is kept.
    fn new(map: ScanMap<'a>, sizes: usize, tests: Vec<&'a Tested<'a>>) -> Self {
        let mut new = Self { map, first: Vec::new(), tests };
        let mut first = vec![0u32; sizes * map.width * map.height + 1];
        let corner = |t: &Tested| (t.refined.candidate.y, t.refined.candidate.x);
        let at = |t: &Tested| new.index(t.refined.candidate.size, corner(t));
        new.tests.iter().for_each(|t| first[at(t) + 1] += 1);
        for i in 1..first.len() {
            first[i] += first[i - 1];
        }
        let mut next = first.clone();
        let mut sorted = new.tests.clone();
        for t in &new.tests {
            let slot = &mut next[at(t)];
            sorted[*slot as usize] = t;
            *slot += 1;
        }
        new.tests = sorted;
        new.first = first;
        new
    }

    fn index(&self, size: usize, (y, x): (usize, usize)) -> usize {
        ((size - 1) * self.map.height + y) * self.map.width + x
    }

    fn at(&self, size: usize, corner: (usize, usize)) -> &[&'a Tested<'a>] {
        let i = self.index(size, corner);
        &self.tests[self.first[i] as usize..self.first[i + 1] as usize]
    }
}

/// The flags: tests that pass at `level` over all tests, each place and energy once.
pub(crate) fn select<'a>(
    rows: &Rows,
    map: ScanMap<'a>,
    null: Null<'_>,
    windows: &Windows,
    families: &[ScanFamily],
    tested: &'a [Tested<'a>],
    tests: &Multiplicity,
    level: f64,
) -> Result<Vec<Flag>, StepError> {
    let bound_of =
        |t: &Tested| (level / tests.of(t.refined.candidate.family, t.ln_p, level).0).ln();
    // Nothing passes without passing among the families flagged, the easier of the two.
    let fewest = if tests.flagged.is_empty() { tests.all } else { tests.all.min(tests.again) };
    let easiest = (level / fewest.max(1) as f64).ln();
    let passes = |t: &Tested| t.ln_p <= easiest && t.ln_p <= bound_of(t);
    let passing: Vec<&Tested> = tested.iter().filter(|t| passes(t)).collect();
    let sizes = tested.iter().map(|t| t.refined.candidate.size).max().unwrap_or(1);
    let at_place = ByPlace::new(map, sizes, passing.clone());
    // An identified element may name a place where only a stranger's window passes.
    let mut corners = vec![false; map.width * map.height];
    passing.iter().for_each(|t| {
        corners[t.refined.candidate.y * map.width + t.refined.candidate.x] = true;
    });
    let names = |t: &&Tested| {
        let c = &t.refined.candidate;
        corners[c.y * map.width + c.x] && (families[c.family].known || passes(t))
    };
    let names_at = ByPlace::new(map, sizes, tested.iter().filter(names).collect());
    let mut explained: Vec<Vec<usize>> = vec![Vec::new(); map.width * map.height];
    let mut spectrum = PatchSpectrum::new(rows.meta().channels);
    let mut flags = Vec::new();
    for t in &passing {
        let family = t.refined.candidate.family;
        let taken = |p: &usize| explained[*p].iter().any(|&f| windows.overlap(f, family));
        if pixels(&t.refined.candidate, map.width).all(|p| taken(&p)) {
            continue;
        }
        let t = &tightest(t, &at_place);
        let c = &t.refined.candidate;
        let (rest, all): (Vec<usize>, usize) = {
            let rest: Vec<usize> = pixels(c, map.width).filter(|p| !taken(p)).collect();
            (rest, c.size * c.size)
        };
        if rest.is_empty() {
            continue;
        }
        if rest.len() < all {
            let counts: u64 =
                rest.iter().map(|&p| u64::from(map.counts[p * map.lanes + c.family])).sum();
            let mean = |p: usize| -> f64 {
                let w = &map.abundances[p * map.components..(p + 1) * map.components];
                let mixed = w.iter().enumerate();
                mixed.map(|(j, w)| w * map.shares[j * map.lanes + c.family]).sum::<f64>()
                    + map.known_at(p, c.family)
            };
            let whole: f64 = pixels(c, map.width).map(mean).sum();
            let part: f64 = rest.iter().map(|&p| mean(p)).sum();
            let expected = t.refined.expected * (part / whole.max(1e-300)).min(1.0);
            if ln_negative_binomial_sf(counts, expected.max(1e-9), t.spread) > bound_of(t) {
                continue;
            }
        }
        let rivals: Vec<&Tested> = names_at
            .at(c.size, (c.y, c.x))
            .iter()
            .filter(|r| windows.overlap(r.refined.candidate.family, c.family))
            .copied()
            .collect();
        let (best, alternatives) = name(rows, map, null, families, &mut spectrum, t, &rivals)?;
        let chosen = &best.refined.candidate;
        for p in pixels(c, map.width) {
            explained[p].extend([c.family, chosen.family]);
        }
        let middle = (c.size - 1) / 2;
        // The numbers are those of a test that passes.
        let shown = if passes(best) { best } else { *t };
        let (multiplicity, test) = tests.of(shown.refined.candidate.family, shown.ln_p, level);
        let total = (shown.ln_p + multiplicity.ln()).exp().min(1.0);
        flags.push(Flag {
            pixel: [c.y + middle, c.x + middle],
            corner: [c.y, c.x],
            neighbourhood: [c.size, c.size],
            element: families[chosen.family].symbol.clone(),
            family: families[chosen.family].family.clone(),
            alternatives,
            counts: shown.refined.candidate.counts as f64,
            expected: shown.refined.expected,
            p: shown.ln_p.exp(),
            p_family_wise: total,
            q: shown.q,
            test,
            own: None,
        });
    }
    Ok(flags)
}

/// The smallest passing neighbourhood inside that of `t` that holds most of its excess.
fn tightest<'a>(t: &'a Tested<'a>, at_place: &ByPlace<'a>) -> &'a Tested<'a> {
    let c = &t.refined.candidate;
    let excess = |t: &Tested| t.refined.candidate.counts as f64 - t.refined.expected;
    for size in 1..c.size {
        let inside = (c.y..=c.y + c.size - size)
            .flat_map(|y| (c.x..=c.x + c.size - size).map(move |x| (y, x)))
            .flat_map(|corner| at_place.at(size, corner))
            .filter(|r| r.refined.candidate.family == c.family)
            .max_by(|a, b| excess(a).total_cmp(&excess(b)));
        if let Some(inside) = inside
            && excess(inside) >= MOST_OF_EXCESS * excess(t)
        {
            return inside;
        }
    }
    t
}

/// The rival whose profile explains the neighbourhood's counts best, and those as good.
fn name<'a>(
    rows: &Rows,
    map: ScanMap<'_>,
    null: Null<'_>,
    families: &[ScanFamily],
    spectrum: &mut PatchSpectrum,
    first: &'a Tested<'a>,
    rivals: &[&'a Tested<'a>],
) -> Result<(&'a Tested<'a>, Vec<String>), StepError> {
    if rivals.len() < 2 {
        return Ok((first, Vec::new()));
    }
    let c = &first.refined.candidate;
    let channels = rows.meta().channels;
    let mut mean = vec![1e-9; channels];
    for p in pixels(c, map.width) {
        for j in 0..null.components {
            let w = map.abundances[p * null.components + j];
            let h = &null.spectra[j * channels..(j + 1) * channels];
            mean.iter_mut().zip(h).for_each(|(m, h)| *m += w * h);
        }
        if null.fixed.parts > 0 {
            let amounts = null.fixed.of(p);
            mean.iter_mut().enumerate().for_each(|(c, m)| *m += null.fixed.at(amounts, c));
        }
    }
    let lines = (c.y..c.y + c.size).map(|y| y * map.width + c.x..y * map.width + c.x + c.size);
    let counts: Vec<(u16, u32)> = spectrum.gather(rows, lines)?.collect();
    let gains: Vec<f64> = rivals
        .iter()
        .map(|r| &families[r.refined.candidate.family])
        .map(|f| gain(&counts, &mean, &f.profile) + if f.known { KNOWN } else { 0.0 })
        .collect();
    let top = gains.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let best = gains.iter().position(|&g| g == top).unwrap_or(0);
    let others = (0..rivals.len()).filter(|&i| i != best && gains[i] > top - 3.0);
    let names = others.map(|i| families[rivals[i].refined.candidate.family].family.clone());
    Ok((rivals[best], names.collect()))
}

/// Log-likelihood gained by adding `amplitude * profile`, amplitude fitted.
fn gain(counts: &[(u16, u32)], mean: &[f64], profile: &[f64]) -> f64 {
    let norm: f64 = profile.iter().sum();
    if norm <= 0.0 {
        return f64::NEG_INFINITY;
    }
    let at = |c: u16| (mean[usize::from(c)], profile[usize::from(c)]);
    let there: Vec<(f64, f64, f64)> = counts
        .iter()
        .map(|&(c, x)| (f64::from(x), at(c).0, at(c).1))
        .filter(|(_, _, p)| *p > 0.0)
        .collect();
    let mut a = 1.0;
    for _ in 0..60 {
        let pull: f64 = there.iter().map(|(x, m, p)| x * p / (m + a * p)).sum();
        a *= pull / norm;
        if (pull - norm).abs() < 1e-9 * norm {
            break;
        }
    }
    let log = there.iter().map(|(x, m, p)| x * (a * p / m).ln_1p());
    log.sum::<f64>() - a * norm
}
