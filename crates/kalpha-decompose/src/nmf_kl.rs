//! Poisson (Kullback-Leibler) non-negative matrix factorisation of counts.
//!
//! Counts `x[r, c]` are taken as Poisson with mean `m = sum_k w[r, k] h[k, c]`, all
//! non-negative, `sum_c h[k, c] = 1`. The end-members `h` are spectra, the abundances `w` are
//! counts. The deviance `2 sum (x ln(x/m) - x + m)` is minimised by blocks: abundances with the
//! end-members held, end-members with the abundances held, each a convex problem for which
//! Newton's method under `>= 0` is used (`kernel`), with Anderson's extrapolation between rounds
//! (`descent`).
//!
//! The factorisation is not unique: several starts are run and their spread is reported.
//! Large maps run the starts on a stratified sample of rows and polish the best on all rows.
//!
//! Complexity: `rounds * non-zero counts * components^2`; zeros cost nothing. f64 throughout.
//! Tested against planted factors, against the optimality conditions of the likelihood, and
//! against scikit-learn's `NMF(beta_loss="kullback-leibler", solver="mu")` by deviance.

mod descent;
pub(crate) mod kernel;
mod start;
pub(crate) mod step;
pub(crate) mod table;
mod transpose;

pub use step::NmfStep;
pub use table::Fixed;

use descent::{Descent, InMemory, Problem, Stop, Streamed, descend, even, settle, solve_all};
use kalpha_core::{
    ArtefactType, Cell, CellBuffer, CsrBuilder, CsrCounts, Diagnostic, Fold, Merge, Passes, Rows,
    StepError,
};
use kalpha_num::rng::Stream;
use kernel::csr_of;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use table::Table;

/// Starts need not come closer: they are compared with each other only.
const START_TOLERANCE: f64 = 1e-5;
/// Before all rows, the best start is brought closer on a sample this many times larger.
const LARGER_SAMPLE: usize = 4;
/// Share of the mean spectrum mixed into end-members that were found on fewer rows.
const LEAVEN: f64 = 1e-3;
/// More rows than this are read anew in every pass.
const MOST_IN_MEMORY: usize = 16384;

/// Most end-members the kernels hold.
pub const MAX_COMPONENTS: usize = 64;

/// Parameters of [`nmf_kl`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Number of end-members; 0 takes the number of components found before.
    pub components: usize,
    /// Number of starts. The spread between them is reported.
    pub starts: usize,
    /// Most rounds over the rows, for each start and for the polish.
    pub max_passes: usize,
    /// Stop when three rounds on end lower the deviance by less than this share of it each.
    pub tolerance: f64,
    /// Maps with more rows run their starts on a sample of this many rows.
    pub sample_rows: usize,
}

impl Default for Params {
    fn default() -> Self {
        Self { components: 0, starts: 3, max_passes: 200, tolerance: 2e-6, sample_rows: 16384 }
    }
}

/// One start of the factorisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// Deviance reached, on the rows the starts were run on.
    pub deviance: f64,
    /// Passes needed.
    pub passes: usize,
    /// It met the tolerance.
    pub converged: bool,
    /// Largest `1 - cosine` between an end-member and its match in the best start.
    pub distance: f64,
}

/// Non-negative spectra whose mixtures explain the counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndMembers {
    /// Number of end-members, by falling total abundance.
    pub components: usize,
    /// Number of channels.
    pub channels: usize,
    /// components x channels; each sums to 1.
    pub spectra: Vec<f64>,
    /// Counts explained by each end-member, over all rows.
    pub totals: Vec<f64>,
    /// `2 sum (x ln(x/m) - x + m)` over all rows and channels.
    pub deviance: f64,
    /// Rows that hold counts.
    pub rows_used: usize,
    /// Passes of the polish.
    pub passes: usize,
    /// The polish met the tolerance.
    pub converged: bool,
    /// The starts, best first.
    pub starts: Vec<Start>,
    /// Largest difference of deviance between starts, as a share of the best deviance.
    pub spread: f64,
}

impl ArtefactType for EndMembers {
    const KIND: &'static str = "end_members";
}

impl EndMembers {
    /// Spectrum of end-member `k`.
    pub fn spectrum(&self, k: usize) -> &[f64] {
        &self.spectra[k * self.channels..(k + 1) * self.channels]
    }
}

/// End-members with the abundances of every row.
#[derive(Clone, Debug)]
pub struct Factors {
    /// The end-members.
    pub end_members: EndMembers,
    /// rows x components, in counts. Rows without counts are zero.
    pub abundances: Vec<f64>,
}

/// `sum x ln x - x`, total counts per row, counts per channel.
struct Saturated {
    channels: usize,
}

#[derive(Default)]
struct SaturatedState {
    log: f64,
    totals: Vec<f64>,
    channels: Vec<f64>,
}

impl Fold for Saturated {
    type State = SaturatedState;
    type Scratch = ();
    const MERGE: Merge = Merge::Ordered;

    fn start(&self) -> SaturatedState {
        SaturatedState { channels: vec![0.0; self.channels], ..SaturatedState::default() }
    }

    fn absorb(&self, state: &mut SaturatedState, cell: &Cell<'_>, (): &mut ()) {
        let at = state.totals.len();
        state.totals.resize(at + cell.rows, 0.0);
        cell.for_each_nonzero(|r, c, x| {
            if x > 0.0 {
                state.totals[at + r] += x;
                state.channels[c] += x;
                state.log += if x == 1.0 { -1.0 } else { x * x.ln() - x };
            }
        });
    }

    fn merge(&self, state: &mut SaturatedState, later: SaturatedState) {
        state.log += later.log;
        state.totals.extend(later.totals);
        state.channels.iter_mut().zip(later.channels).for_each(|(a, b)| *a += b);
    }
}

/// Takes a stratified sample of rows as sparse counts.
struct Sample<'a> {
    /// Ascending row numbers.
    rows: &'a [usize],
}

#[derive(Default)]
struct SampleState {
    ends: Vec<usize>,
    channels: Vec<u16>,
    counts: Vec<u32>,
}

impl Fold for Sample<'_> {
    type State = SampleState;
    type Scratch = CellBuffer;
    const MERGE: Merge = Merge::Ordered;

    fn start(&self) -> SampleState {
        SampleState::default()
    }

    fn absorb(&self, state: &mut SampleState, cell: &Cell<'_>, buffer: &mut CellBuffer) {
        let first = self.rows.partition_point(|&r| r < cell.first_row);
        let last = self.rows.partition_point(|&r| r < cell.first_row + cell.rows);
        if first == last {
            return;
        }
        let csr = csr_of(cell, buffer);
        for &row in &self.rows[first..last] {
            for e in csr.entries(row - cell.first_row) {
                state.channels.push(csr.indices[e]);
                state.counts.push(csr.values.get(e));
            }
            state.ends.push(state.channels.len());
        }
    }

    fn merge(&self, state: &mut SampleState, later: SampleState) {
        let at = state.channels.len();
        state.ends.extend(later.ends.iter().map(|e| e + at));
        state.channels.extend(later.channels);
        state.counts.extend(later.counts);
    }
}

fn sample(passes: &dyn Passes, rows: &Rows, limit: usize) -> Result<CsrCounts, StepError> {
    let n = rows.meta().rows;
    let stream = Stream::new(passes.ctx().seed(), "nmf.sample", 0);
    let chosen: Vec<usize> = if n <= limit {
        (0..n).collect()
    } else {
        let span = |i: usize| (i as u128 * n as u128 / limit as u128) as usize;
        (0..limit).map(|i| span(i) + stream.row(i).below(span(i + 1) - span(i))).collect()
    };
    let state = passes.fold(&Sample { rows: &chosen }, rows)?;
    let mut builder = CsrBuilder::new(rows.meta().channels)?;
    let mut at = 0;
    for end in state.ends {
        for e in at..end {
            builder.push(state.channels[e], state.counts[e]);
        }
        builder.end_row();
        at = end;
    }
    Ok(builder.finish())
}

/// `1 - cosine` of each end-member of `a` against its best match in `b`; the largest.
pub(crate) fn distance(a: &[f64], b: &[f64], channels: usize) -> f64 {
    let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
    let mut worst = 0.0f64;
    for x in a.chunks_exact(channels) {
        let best = b
            .chunks_exact(channels)
            .map(|y| {
                let dot: f64 = x.iter().zip(y).map(|(p, q)| p * q).sum();
                1.0 - dot / (norm(x) * norm(y)).max(1e-300)
            })
            .fold(1.0, f64::min);
        worst = worst.max(best);
    }
    worst.max(0.0)
}

/// Factorises counts into `components` end-members and abundances.
///
/// `rows`: raw counts, rows x channels. `fixed` is a known part of the mean that is not fitted.
/// The result depends on the counts, the parameters and the seed alone.
///
/// # Errors
/// When `components` is 0 or above [`MAX_COMPONENTS`], when there are no counts, when rows cannot
/// be read, or when the run is cancelled.
pub fn nmf_kl(
    passes: &dyn Passes,
    rows: &Rows,
    components: usize,
    params: &Params,
    fixed: Fixed<'_>,
) -> Result<Factors, StepError> {
    check_components(components)?;
    let channels = rows.meta().channels;
    let SaturatedState { log: saturated, totals, channels: sums } =
        passes.fold(&Saturated { channels }, rows)?;
    let rows_used = totals.iter().filter(|&&n| n > 0.0).count();
    if rows_used == 0 {
        return Err(StepError::TooLittle {
            what: "the map holds no counts to factorise".to_owned(),
            hint: "check the mask and the excluded channels".to_owned(),
        });
    }
    let limit = params.sample_rows.max(1);
    let sampled = rows.meta().rows > limit && fixed.parts == 0;
    let csr = sample(passes, rows, if sampled { limit } else { usize::MAX })?;
    let seeds = start::Pooled::new(&csr, components);
    let stream = Stream::new(passes.ctx().seed(), "nmf.start", 0);
    let problem = Problem::new(&csr, fixed)?;
    let tolerance = params.tolerance.max(START_TOLERANCE);
    let start_stop = Stop { passes: params.max_passes, tolerance };
    let mut reached = Vec::with_capacity(params.starts.max(1));
    for start in 0..params.starts.max(1) {
        let spectra = seeds.end_members(&csr, components, start, &stream);
        let table = Table::new(&spectra, components, channels);
        let even = problem.even(&table);
        reached.push(descend(passes, &mut InMemory(&problem, passes), (table, even), start_stop)?);
    }
    drop(seeds);
    reached.sort_by(|a, b| a.deviance.total_cmp(&b.deviance));
    let best_spectra = reached[0].table.spectra();
    let report: Vec<Start> = reached
        .iter()
        .map(|d| Start {
            deviance: d.deviance,
            passes: d.passes,
            converged: d.converged,
            distance: distance(&d.table.spectra(), &best_spectra, channels),
        })
        .collect();
    let spread = report.last().map_or(0.0, |worst| {
        (worst.deviance - report[0].deviance) / report[0].deviance.max(1e-300)
    });
    let best = reached.swap_remove(0);
    drop(reached);
    let stop = Stop { passes: params.max_passes, tolerance: params.tolerance };
    let polished = if sampled {
        drop(problem);
        drop(csr);
        // The sample may lack a channel; nothing could raise it from zero again.
        let mut table = leavened(best.table, &sums);
        let larger = (LARGER_SAMPLE * limit).min(CsrCounts::MAX_CHANNELS);
        if larger > limit && rows.meta().rows > 2 * larger {
            let csr = sample(passes, rows, larger)?;
            let problem = Problem::new(&csr, fixed)?;
            let begin = (table.clone(), problem.even(&table));
            let near = descend(passes, &mut InMemory(&problem, passes), begin, start_stop)?;
            table = leavened(near.table, &sums);
        }
        let even = even(&totals, &table);
        let mut blocks = Streamed::new(passes, rows, fixed, saturated);
        descend(passes, &mut blocks, (table, even), stop)?
    } else {
        let begin = (best.table, best.abundances);
        descend(passes, &mut InMemory(&problem, passes), begin, stop)?
    };
    let polished = settle(passes, rows, polished, fixed, saturated)?;
    Ok(finish(polished, rows_used, report, spread))
}

/// End-members with a little of the mean spectrum in each.
fn leavened(mut table: Table, sums: &[f64]) -> Table {
    let total: f64 = sums.iter().sum();
    let components = table.components;
    for (h, sum) in table.values.chunks_exact_mut(table.width).zip(sums) {
        for h in &mut h[..components] {
            *h = (1.0 - LEAVEN) * *h + LEAVEN * sum / total.max(1e-300);
        }
    }
    table.normalise();
    table
}

/// Spectra (components x channels, each summing to 1) after at most `max_passes` more rounds over
/// `rows`, started from `spectra` and `abundances` (rows x components), and the abundances at the last round.
pub(crate) fn improve(
    passes: &dyn Passes,
    rows: &Rows,
    (spectra, abundances): (&[f64], &[f64]),
    components: usize,
    fixed: Fixed<'_>,
    max_passes: usize,
    tolerance: f64,
) -> Result<(Vec<f64>, Vec<f64>), StepError> {
    check_components(components)?;
    let table = Table::new(spectra, components, rows.meta().channels);
    let stop = Stop { passes: max_passes, tolerance };
    let reached = if rows.meta().rows > MOST_IN_MEMORY {
        let channels = rows.meta().channels;
        let state = passes.fold(&Saturated { channels }, rows)?;
        let table = leavened(table, &state.channels);
        let begin = (table, padded(abundances, components));
        descend(passes, &mut Streamed::new(passes, rows, fixed, state.log), begin, stop)?
    } else {
        let csr = sample(passes, rows, usize::MAX)?;
        let problem = Problem::new(&csr, fixed)?;
        let begin = (table, padded(abundances, components));
        descend(passes, &mut InMemory(&problem, passes), begin, stop)?
    };
    let (width, spectra) = (reached.table.width, reached.table.spectra());
    Ok((spectra, unpadded(&reached.abundances, width, components)))
}

/// Abundances without the padding of the tables.
fn unpadded(abundances: &[f64], width: usize, components: usize) -> Vec<f64> {
    abundances.chunks_exact(width).flat_map(|w| &w[..components]).copied().collect()
}

/// Abundances with the padding of the tables.
fn padded(abundances: &[f64], components: usize) -> Vec<f64> {
    let width = table::width(components);
    let mut out = vec![0.0; abundances.len() / components * width];
    for (out, w) in out.chunks_exact_mut(width).zip(abundances.chunks_exact(components)) {
        out[..components].copy_from_slice(w);
    }
    out
}

pub(crate) fn check_components(components: usize) -> Result<(), StepError> {
    if (1..=MAX_COMPONENTS).contains(&components) {
        return Ok(());
    }
    Err(StepError::Parameter {
        parameter: "components",
        got: components.to_string(),
        expected: format!("1 to {MAX_COMPONENTS}"),
    })
}

/// Orders end-members by falling total and strips the padding.
fn finish(descent: Descent, rows_used: usize, starts: Vec<Start>, spread: f64) -> Factors {
    let (components, width) = (descent.table.components, descent.table.width);
    let mut totals = vec![0.0; components];
    for w in descent.abundances.chunks_exact(width) {
        totals.iter_mut().zip(w).for_each(|(t, w)| *t += w);
    }
    let mut order: Vec<usize> = (0..components).collect();
    order.sort_by(|&a, &b| totals[b].total_cmp(&totals[a]));
    let spectra = descent.table.spectra();
    let channels = spectra.len() / components;
    let abundances =
        descent.abundances.chunks_exact(width).flat_map(|w| order.iter().map(|&k| w[k])).collect();
    let end_members = EndMembers {
        components,
        channels,
        spectra: order
            .iter()
            .flat_map(|&k| spectra[k * channels..(k + 1) * channels].iter().copied())
            .collect(),
        totals: order.iter().map(|&k| totals[k]).collect(),
        deviance: descent.deviance,
        rows_used,
        passes: descent.passes,
        converged: descent.converged,
        starts,
        spread,
    };
    Factors { end_members, abundances }
}

/// What is worth saying about a factorisation.
pub fn diagnostics(model: &EndMembers) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    if !model.converged {
        out.push(
            Diagnostic::warning(
                kalpha_core::Code::NotConverged,
                format!("the factorisation did not converge in {} passes", model.passes),
            )
            .hint("raise max_passes"),
        );
    }
    let apart = model.starts.iter().map(|s| s.distance).fold(0.0, f64::max);
    if apart > 0.05 {
        out.push(
            Diagnostic::note(
                kalpha_core::Code::NotIdentifiable,
                format!(
                    "starts end in different end-members (1 - cosine up to {apart:.2}, deviance \
                     within {:.1e}): their shapes are not fixed by the data",
                    model.spread
                ),
            )
            .hint("read end-members as one of several descriptions; phases are sturdier"),
        );
    }
    out
}

/// Abundances of every row for given end-members: maximum Poisson likelihood, row by row.
///
/// `spectra`: components x channels. Returns rows x components in counts (if spectra sum to 1).
///
/// # Errors
/// When rows cannot be read or the run is cancelled.
pub fn refit(
    passes: &dyn Passes,
    rows: &Rows,
    spectra: &[f64],
    components: usize,
    fixed: Fixed<'_>,
) -> Result<Vec<f64>, StepError> {
    check_components(components)?;
    refit_from(passes, rows, spectra, &vec![0.0; rows.meta().rows * components], components, fixed)
}

/// As [`refit`], started from `abundances`; a row of zeros starts from equal ones.
pub(crate) fn refit_from(
    passes: &dyn Passes,
    rows: &Rows,
    spectra: &[f64],
    abundances: &[f64],
    components: usize,
    fixed: Fixed<'_>,
) -> Result<Vec<f64>, StepError> {
    check_components(components)?;
    let table = Table::new(spectra, components, rows.meta().channels);
    let width = table.width;
    let mut w = padded(abundances, components);
    solve_all(passes, rows, &table, fixed, &mut w)?;
    Ok(unpadded(&w, width, components))
}

/// Poisson deviance of every row: `2 sum_c (x ln(x/m) - x + m)` with `m = w h + fixed`.
///
/// `spectra`: components x channels; `abundances`: rows x components.
///
/// # Errors
/// When rows cannot be read or the run is cancelled.
pub fn deviance(
    passes: &dyn Passes,
    rows: &Rows,
    spectra: &[f64],
    abundances: &[f64],
    components: usize,
    fixed: Fixed<'_>,
) -> Result<Vec<f64>, StepError> {
    check_components(components)?;
    let table = Table::new(spectra, components, rows.meta().channels);
    let mut out = vec![0.0; rows.meta().rows];
    passes.map_rows(rows, 1, &mut out, |(): &mut (), cell, out| {
        let w = &abundances[cell.first_row * components..];
        for (r, out) in out.iter_mut().enumerate() {
            let w = &w[r * components..(r + 1) * components];
            let fitted: f64 = w.iter().zip(&table.norm).map(|(w, n)| w * n).sum();
            *out = 2.0 * (fitted + fixed.total(cell.first_row + r));
        }
        cell.for_each_nonzero(|r, c, x| {
            let h = &table.values[c * table.width..];
            let w = &w[r * components..(r + 1) * components];
            let extra = fixed.at(fixed.of(cell.first_row + r), c);
            let m: f64 = w.iter().zip(h).map(|(w, h)| w * h).sum::<f64>() + extra;
            out[r] += 2.0 * (x * (x / m.max(1e-100)).ln() - x);
        });
        out.iter_mut().for_each(|d| *d = d.max(0.0));
    })?;
    Ok(out)
}

#[cfg(test)]
pub(crate) mod tests;
