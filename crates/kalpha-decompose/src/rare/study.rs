//! Power and false alarms of the guard against an oracle.
//!
//! Each draw is a map of three mixed phases; two pixels get counts of one more line family.
//! The oracle scans the same draws with the true mean, the same families, neighbourhoods and
//! number of tests. The guard sees counts alone: it factorises each draw anew, calibrates on maps
//! of its own null, and must find what the oracle finds.

use super::bootstrap::Draw;
use super::scan::{ScanMap, sweep};
use super::tail::Null;
use super::windows::{ScanFamily, Windows};
use super::{Params, guard};
use crate::nmf_kl::{self, Fixed, nmf_kl};
use kalpha_core::{
    Axis, Ctx, DType, NoiseModel, Passes, Rows, RowsMeta, Serial, Silent, StepError, Unit,
};
use kalpha_num::rng::Stream;
use kalpha_num::statistics::{ln_poisson_sf, poisson_critical};
use kalpha_physics::detector::Detector;
use kalpha_physics::lines::{Shell, line_family};
use kalpha_physics::profile::{PeakShape, family_profile};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};

/// Lines and columns of a map.
pub const SIDE: usize = 64;
/// Channels of a map, 20 eV each.
pub const CHANNELS: usize = 512;
const BEAM: f64 = 20.0;
const PHASES: usize = 3;

/// What is planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Plant {
    /// Chlorine, whose line no phase has.
    FreeLine,
    /// Barium L, on the titanium K line of its host.
    OverlappingLine,
}

/// One setting of the study.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// What is planted.
    pub plant: Plant,
    /// Mean counts per pixel.
    pub counts_per_pixel: f64,
    /// Power the oracle should have with one pixel: fixes the planted counts. 0 plants nothing.
    pub oracle_power: f64,
    /// Maps drawn.
    pub draws: usize,
}

/// The settings of the full study; `share` of the draws (1/20 in tests).
pub fn settings(share: f64) -> Vec<Setting> {
    let mut out = Vec::new();
    for counts_per_pixel in [50.0, 300.0] {
        for plant in [Plant::FreeLine, Plant::OverlappingLine] {
            for oracle_power in [0.5, 0.9] {
                let draws = (500.0 * share).round() as usize;
                out.push(Setting { plant, counts_per_pixel, oracle_power, draws });
            }
        }
        let draws = (200.0 * share).round() as usize;
        let plant = Plant::FreeLine;
        out.push(Setting { plant, counts_per_pixel, oracle_power: 0.0, draws });
    }
    out
}

/// What a setting gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The setting.
    pub setting: Setting,
    /// Mean planted counts per pixel, whole family.
    pub planted_counts: f64,
    /// Planted pixels.
    pub planted: usize,
    /// Planted pixels that the oracle finds.
    pub oracle_found: usize,
    /// Planted pixels that the guard flags.
    pub guard_found: usize,
    /// Planted pixels that the guard flags under the planted element's name.
    pub named: usize,
    /// Maps in which the guard flags a place without planted pixels.
    pub false_alarm_maps: usize,
    /// The same for the oracle.
    pub oracle_false_alarm_maps: usize,
}

impl Outcome {
    /// Power of the guard over that of the oracle, on the same draws.
    pub fn relative_power(&self) -> f64 {
        self.guard_found as f64 / self.oracle_found.max(1) as f64
    }
}

/// The world of the study: true spectra, abundances and families.
struct World {
    families: Vec<ScanFamily>,
    /// (PHASES + 1) x channels: the last is the planted family.
    spectra: Vec<f64>,
    /// pixels x PHASES
    abundances: Vec<f64>,
    planted: usize,
}

fn profiles(names: &[(&str, Shell)]) -> Result<Vec<ScanFamily>, StepError> {
    let energies: Vec<f64> = (0..CHANNELS).map(|c| 0.02 * c as f64).collect();
    let (shape, detector) = (PeakShape::gaussian(130.0), Detector::polymer_window());
    let mut out = Vec::new();
    for &(symbol, shell) in names {
        let family = line_family(symbol, shell, BEAM).map_err(StepError::method)?;
        let Some(family) = family else { continue };
        let profile = family_profile(&energies, &family, &shape, &detector, false)
            .map_err(StepError::method)?;
        out.push(ScanFamily {
            symbol: symbol.to_owned(),
            family: family.name(),
            profile,
            known: false,
        });
    }
    Ok(out)
}

#[rustfmt::skip]
const SCANNED: &[(&str, Shell)] = &[
    ("C", Shell::K), ("N", Shell::K), ("O", Shell::K), ("F", Shell::K), ("Na", Shell::K),
    ("Mg", Shell::K), ("Al", Shell::K), ("Si", Shell::K), ("P", Shell::K), ("S", Shell::K),
    ("Cl", Shell::K), ("K", Shell::K), ("Ca", Shell::K), ("Ti", Shell::K), ("V", Shell::K),
    ("Cr", Shell::K), ("Mn", Shell::K), ("Fe", Shell::K), ("Co", Shell::K), ("Ni", Shell::K),
    ("Cu", Shell::K), ("Zn", Shell::K), ("Zr", Shell::L), ("Ag", Shell::L), ("Sn", Shell::L),
    ("Ba", Shell::L), ("La", Shell::L), ("Ce", Shell::L), ("W", Shell::M), ("Pt", Shell::M),
    ("Au", Shell::M), ("Pb", Shell::M),
];

/// Relative counts of the lines of each phase; the rest is continuum.
#[rustfmt::skip]
const COMPOSITION: [&[(&str, f64)]; PHASES] = [
    &[("O", 0.25), ("Si", 0.40), ("Al", 0.08), ("K", 0.07)],
    &[("O", 0.20), ("Mg", 0.10), ("Si", 0.15), ("Ca", 0.10), ("Ti", 0.15), ("Fe", 0.12)],
    &[("S", 0.35), ("Fe", 0.25), ("Cu", 0.10), ("O", 0.05)],
];

fn world(setting: &Setting) -> Result<World, StepError> {
    let families = profiles(SCANNED)?;
    let name = match setting.plant {
        Plant::FreeLine => "Cl",
        Plant::OverlappingLine => "Ba",
    };
    let planted = families.iter().position(|f| f.symbol == name).unwrap_or(0);
    let mut spectra = Vec::with_capacity((PHASES + 1) * CHANNELS);
    for (phase, lines) in COMPOSITION.iter().enumerate() {
        let mut s: Vec<f64> = (0..CHANNELS)
            .map(|c| {
                let e = 0.02 * c as f64;
                let falls = 1.2 + 0.3 * phase as f64;
                if e > 0.1 { (1.0 - (-3.0 * e).exp()) * (-e / falls).exp() + 0.01 } else { 0.0 }
            })
            .collect();
        let continuum: f64 = s.iter().sum();
        let rest = 1.0 - lines.iter().map(|l| l.1).sum::<f64>();
        s.iter_mut().for_each(|s| *s *= rest / continuum);
        for (symbol, share) in *lines {
            let family = families.iter().find(|f| f.symbol == *symbol);
            let Some(family) = family else { continue };
            s.iter_mut().zip(&family.profile).for_each(|(s, p)| *s += share * p);
        }
        let sum: f64 = s.iter().sum();
        spectra.extend(s.iter().map(|s| s / sum));
    }
    let sum: f64 = families[planted].profile.iter().sum();
    spectra.extend(families[planted].profile.iter().map(|p| p / sum));
    // Grains with soft edges.
    let mut abundances = Vec::with_capacity(SIDE * SIDE * PHASES);
    for y in 0..SIDE {
        for x in 0..SIDE {
            let (u, v) = (y as f64 / SIDE as f64, x as f64 / SIDE as f64);
            let field = [
                (7.0 * u + 3.0 * v).sin() + 0.3,
                (5.0 * v - 4.0 * u + 1.0).sin() + 0.4,
                (9.0 * u * v + 2.0).cos() - 0.2,
            ];
            let weights = field.map(|f| (4.0 * f).exp() + 0.02);
            let sum: f64 = weights.iter().sum();
            abundances.extend(weights.map(|w| setting.counts_per_pixel * w / sum));
        }
    }
    Ok(World { families, spectra, abundances, planted })
}

/// Two pixels of draw `draw`, apart from each other, where the host is (for an overlap).
fn sites(world: &World, setting: &Setting, draws: &mut kalpha_num::rng::Draws) -> [usize; 2] {
    let allowed = |p: usize| {
        let (y, x) = (p / SIDE, p % SIDE);
        let inside = (3..SIDE - 3).contains(&y) && (3..SIDE - 3).contains(&x);
        let host = world.abundances[p * PHASES + 1] > 0.5 * setting.counts_per_pixel;
        inside && (setting.plant == Plant::FreeLine || host)
    };
    let mut pick = |other: Option<usize>| loop {
        let p = draws.below(SIDE * SIDE);
        let far = other
            .is_none_or(|o| (o / SIDE).abs_diff(p / SIDE) > 8 || (o % SIDE).abs_diff(p % SIDE) > 8);
        if allowed(p) && far {
            return p;
        }
    };
    let first = pick(None);
    [first, pick(Some(first))]
}

/// Planted counts for which a single pixel passes the oracle with the given probability.
fn planted_counts(
    world: &World,
    windows: &Windows,
    setting: &Setting,
    tests: u64,
    level: f64,
) -> f64 {
    if setting.oracle_power <= 0.0 {
        return 0.0;
    }
    let f = world.planted;
    let shares = windows.shares(&world.spectra[..PHASES * CHANNELS], PHASES);
    let ln_p = (level / tests as f64).ln();
    let mut draws = Stream::new(1, "rare.study.sites", 0).row(0);
    let means: Vec<f64> = (0..64)
        .flat_map(|_| sites(world, setting, &mut draws))
        .map(|p| {
            let w = &world.abundances[p * PHASES..(p + 1) * PHASES];
            w.iter().enumerate().map(|(k, w)| w * shares[k * windows.lanes + f]).sum()
        })
        .collect();
    let critical: Vec<u64> = means.iter().map(|&m| poisson_critical(m, ln_p)).collect();
    let power = |a: f64| {
        let p = |(m, &n): (&f64, &u64)| ln_poisson_sf(n, m + a * windows.share[f]).exp();
        means.iter().zip(&critical).map(p).sum::<f64>() / means.len() as f64
    };
    let (mut low, mut high) = (0.0, 10.0 * setting.counts_per_pixel + 100.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if power(middle) < setting.oracle_power {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    oracle: usize,
    guard: usize,
    named: usize,
    false_alarm: bool,
    oracle_false_alarm: bool,
}

/// Runs one setting. Draws are spread over the threads of `passes`; the outcome depends on the
/// seed of `passes` alone.
///
/// # Errors
/// When the run is cancelled.
pub fn run(passes: &dyn Passes, setting: Setting, params: &Params) -> Result<Outcome, StepError> {
    let world = world(&setting)?;
    let windows = Windows::new(&world.families, CHANNELS);
    let sizes: Vec<usize> = (1..=params.largest).collect();
    let places: usize = sizes.iter().map(|s| (SIDE - s + 1) * (SIDE - s + 1)).sum();
    let tests = (places * world.families.len()) as u64;
    let amount = planted_counts(&world, &windows, &setting, tests, params.level);
    let slots: Vec<Mutex<Tally>> = (0..setting.draws).map(|_| Mutex::default()).collect();
    let seed = passes.ctx().seed();
    passes.parallel(setting.draws, &|draw| {
        passes.ctx().checkpoint()?;
        let tally = one(&world, &windows, &setting, params, &sizes, amount, seed, draw)?;
        *slots[draw].lock().unwrap_or_else(std::sync::PoisonError::into_inner) = tally;
        Ok(())
    })?;
    let mut outcome = Outcome {
        setting,
        planted_counts: amount,
        planted: if amount > 0.0 { 2 * setting.draws } else { 0 },
        oracle_found: 0,
        guard_found: 0,
        named: 0,
        false_alarm_maps: 0,
        oracle_false_alarm_maps: 0,
    };
    for slot in slots {
        let t = slot.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        outcome.oracle_found += t.oracle;
        outcome.guard_found += t.guard;
        outcome.named += t.named;
        outcome.false_alarm_maps += usize::from(t.false_alarm);
        outcome.oracle_false_alarm_maps += usize::from(t.oracle_false_alarm);
    }
    Ok(outcome)
}

fn one(
    world: &World,
    windows: &Windows,
    setting: &Setting,
    params: &Params,
    sizes: &[usize],
    amount: f64,
    seed: u64,
    draw: usize,
) -> Result<Tally, StepError> {
    let mut draws = Stream::new(seed, "rare.study.sites", 1).row(draw);
    let planted = if amount > 0.0 { sites(world, setting, &mut draws).to_vec() } else { vec![] };
    let mut w = Vec::with_capacity(SIDE * SIDE * (PHASES + 1));
    for (p, row) in world.abundances.chunks_exact(PHASES).enumerate() {
        w.extend_from_slice(row);
        w.push(if planted.contains(&p) { amount } else { 0.0 });
    }
    let none = Fixed::default();
    let truth = Null {
        spectra: &world.spectra,
        components: PHASES + 1,
        totals: &[],
        fixed: none,
        fixed_sigma: 0.0,
    };
    let stream = Stream::new(seed, "rare.study.counts", draw as u32);
    let csr = Draw::new(&truth).counts(&truth, &w, 0..SIDE * SIDE, &stream)?;
    let meta = RowsMeta {
        rows: SIDE * SIDE,
        channels: CHANNELS,
        dtype: DType::Csr,
        navigation: vec![Axis::index("y", SIDE), Axis::index("x", SIDE)],
        signal: Axis::linear("Energy", Unit::KeV, 0.0, 0.02, CHANNELS)?,
        noise: NoiseModel::COUNTS,
    };
    let rows: Rows = Arc::new((meta, csr));
    let serial = Serial(Ctx::new(seed.wrapping_add(draw as u64), Arc::new(Silent)));
    let passes: &dyn Passes = &serial;
    let mut tally = Tally::default();

    let shares = windows.shares(&world.spectra[..PHASES * CHANNELS], PHASES);
    let counts = windows.counts(passes, &rows)?;
    let map = ScanMap {
        height: SIDE,
        width: SIDE,
        counts: &counts,
        lanes: windows.lanes,
        abundances: &world.abundances,
        components: PHASES,
        shares: &shares,
        known: &[],
        skip: &[],
    };
    let found = sweep(passes, map, sizes, world.families.len())?;
    let bound = (params.level / found.tests as f64).ln();
    let mut seen = vec![false; planted.len()];
    for c in &found.candidates {
        if ln_poisson_sf(c.counts, c.expected) > bound {
            continue;
        }
        let holds = |p: usize| {
            (c.y..c.y + c.size).contains(&(p / SIDE)) && (c.x..c.x + c.size).contains(&(p % SIDE))
        };
        for (seen, &p) in seen.iter_mut().zip(&planted) {
            *seen |= holds(p) && windows.overlap(c.family, world.planted);
        }
        tally.oracle_false_alarm |= !planted.iter().any(|&p| holds(p));
    }
    tally.oracle = seen.iter().filter(|s| **s).count();

    let nmf = nmf_kl::Params { components: PHASES, starts: 1, ..nmf_kl::Params::default() };
    let factors = nmf_kl(passes, &rows, PHASES, &nmf, none)?;
    let spectra = &factors.end_members.spectra;
    let guarded =
        guard(passes, &rows, [SIDE, SIDE], (spectra, &[]), PHASES, &world.families, None, params)?;
    let name = &world.families[world.planted].family;
    for &p in &planted {
        let mut here = guarded.flags.flags.iter().filter(|f| f.rows(SIDE).any(|r| r == p));
        let matching = |f: &&super::Flag| {
            let i = world.families.iter().position(|g| g.family == f.family);
            i.is_some_and(|i| windows.overlap(i, world.planted))
        };
        tally.guard += usize::from(here.clone().any(|f| matching(&f)));
        tally.named +=
            usize::from(here.any(|f| f.family == *name || f.alternatives.contains(name)));
    }
    tally.false_alarm =
        guarded.flags.flags.iter().any(|f| !f.rows(SIDE).any(|r| planted.contains(&r)));
    Ok(tally)
}
