//! From starting end-members to the least deviance.
//!
//! Abundances are solved for with the end-members held, then the end-members with the abundances
//! held: the same convex problem, once by row, once by channel. Between rounds the end-members
//! are extrapolated from several past rounds (Anderson 1965, doi:10.1145/321296.321305), and the
//! step is taken back where the deviance rose.
//!
//! Small maps are held by row and by channel and each block is solved to the end. Of large ones,
//! one pass solves for the abundances and adds up gradient and curvature of every channel, from
//! which the end-members take one step of Newton's method; where that fails, one of
//! expectation-maximisation, which cannot.

use super::{
    kernel::{self, Gains, Sums, Work, csr_of},
    table::{Columns, Fixed, Table},
    transpose,
};
use kalpha_core::{
    Cell, CellBuffer, CsrCounts, CsrView, Fold, Merge, Passes, Progressed, Rows, StepError, iterate,
};
use std::{ops::Range, sync::Mutex};

/// Rounds remembered by the extrapolation.
const MEMORY: usize = 8;
/// Log-likelihood within which a row or channel of the descent is solved.
const ROW_TOLERANCE: f64 = 1e-4;
/// Steps a row or channel may take in one round; the next round goes on from there.
const ROW_STEPS: usize = 12;
/// Steps for abundances that shall be final.
pub(super) const FINAL_STEPS: usize = 200;
/// Log-likelihood within which they are solved.
pub(super) const FINAL_TOLERANCE: f64 = 1e-5;
/// Rows that one job takes.
const JOB: usize = 64;

/// Where to stop.
#[derive(Clone, Copy)]
pub(super) struct Stop {
    pub passes: usize,
    /// A round lowers the deviance by less than this share of it.
    pub tolerance: f64,
}

/// What a descent reached.
pub(super) struct Descent {
    pub table: Table,
    /// rows x width
    pub abundances: Vec<f64>,
    pub deviance: f64,
    pub passes: usize,
    pub converged: bool,
}

/// Counts in memory, by row and by channel, with what is known of their mean.
pub(super) struct Problem<'a> {
    rows: &'a CsrCounts,
    channels: CsrCounts,
    fixed: Fixed<'a>,
    /// Sum over rows of each known part, and its amounts.
    fixed_sums: Vec<f64>,
    fixed_amounts: Columns,
    /// `sum x ln x - x`.
    saturated: f64,
    /// Counts of each row.
    pub totals: Vec<f64>,
}

impl<'a> Problem<'a> {
    pub fn new(rows: &'a CsrCounts, fixed: Fixed<'a>) -> Result<Self, StepError> {
        let channels = transpose::transposed(rows)?;
        let mut fixed_sums = vec![0.0; fixed.parts];
        for amounts in fixed.amounts.chunks_exact(fixed.parts.max(1)) {
            fixed_sums.iter_mut().zip(amounts).for_each(|(s, a)| *s += a);
        }
        let (mut saturated, mut totals) = (0.0, vec![0.0; rows.rows()]);
        let view = CsrView::of(rows, 0..rows.rows());
        for (r, total) in totals.iter_mut().enumerate() {
            for e in view.entries(r) {
                let x = f64::from(view.values.get(e));
                *total += x;
                saturated += if x == 1.0 { -1.0 } else { x * x.ln() - x };
            }
        }
        let fixed_amounts = Columns::new(fixed.amounts, fixed.parts, fixed.parts);
        Ok(Self { rows, channels, fixed, fixed_sums, fixed_amounts, saturated, totals })
    }

    /// Equal abundances that add up to each row's counts.
    pub fn even(&self, table: &Table) -> Vec<f64> {
        even(&self.totals, table)
    }
}

/// Something whose abundances and end-members can be improved in turn.
pub(super) trait Blocks {
    /// Solves for the abundances; returns the deviance.
    fn rows(&mut self, table: &Table, abundances: &mut Vec<f64>) -> Result<f64, StepError>;

    /// Where the end-members go from `table`, boldest first.
    fn channels(&mut self, table: &Table, abundances: &[f64]) -> Result<Vec<Table>, StepError>;
}

/// Counts in memory, with whoever runs the passes.
pub(super) struct InMemory<'a>(pub &'a Problem<'a>, pub &'a dyn Passes);

impl Blocks for InMemory<'_> {
    fn rows(&mut self, table: &Table, abundances: &mut Vec<f64>) -> Result<f64, StepError> {
        let Self(problem, passes) = self;
        let work = Work::Solve { cost: &[], tolerance: ROW_TOLERANCE, steps: ROW_STEPS };
        let gains = solve(*passes, problem.rows, table, problem.fixed, work, abundances)?;
        Ok(2.0 * (problem.saturated + gains.total - gains.log))
    }

    fn channels(&mut self, table: &Table, abundances: &[f64]) -> Result<Vec<Table>, StepError> {
        let Self(problem, passes) = self;
        let known =
            transpose::exchanged(problem.fixed, &problem.fixed_sums, &problem.fixed_amounts);
        let other = transpose::as_table(abundances.to_vec(), table.components);
        let work = Work::Solve { cost: &[], tolerance: ROW_TOLERANCE, steps: ROW_STEPS };
        let mut image = table.clone();
        solve(*passes, &problem.channels, &other, known, work, &mut image.values)?;
        image.normalise();
        Ok(vec![image])
    }
}

/// Rows wherever they are.
pub(super) struct Streamed<'a> {
    passes: &'a dyn Passes,
    rows: &'a Rows,
    fixed: Fixed<'a>,
    saturated: f64,
    sums: Sums,
}

impl<'a> Streamed<'a> {
    pub fn new(passes: &'a dyn Passes, rows: &'a Rows, fixed: Fixed<'a>, saturated: f64) -> Self {
        Self { passes, rows, fixed, saturated, sums: Sums::default() }
    }
}

impl Blocks for Streamed<'_> {
    fn rows(&mut self, table: &Table, abundances: &mut Vec<f64>) -> Result<f64, StepError> {
        let fold = Round { table, abundances, fixed: self.fixed };
        let RoundState { abundances: solved, sums } = self.passes.fold(&fold, self.rows)?;
        *abundances = solved;
        self.sums = sums;
        let Gains { log, total } = self.sums.gains;
        Ok(2.0 * (self.saturated + total - log))
    }

    fn channels(&mut self, table: &Table, abundances: &[f64]) -> Result<Vec<Table>, StepError> {
        let mut cost = vec![0.0; table.width];
        for w in abundances.chunks_exact(table.width) {
            cost.iter_mut().zip(w).for_each(|(c, w)| *c += w);
        }
        let mut newton = table.clone();
        kernel::channels(&mut newton, &cost, &self.sums);
        newton.normalise();
        let mut expected = table.clone();
        expected.values.iter_mut().zip(&self.sums.pull).for_each(|(h, p)| *h *= p);
        expected.normalise();
        Ok(vec![newton, expected])
    }
}

/// Equal abundances that add up to each row's counts.
pub(super) fn even(totals: &[f64], table: &Table) -> Vec<f64> {
    let mut w = vec![0.0; totals.len() * table.width];
    for (w, n) in w.chunks_exact_mut(table.width).zip(totals) {
        w[..table.components].fill(n / table.components as f64);
    }
    w
}

/// One stretch of rows with its part of the output.
type Part<'a> = Mutex<(Range<usize>, &'a mut [f64], Gains)>;

fn parts(rows: usize, width: usize, values: &mut [f64]) -> Vec<Part<'_>> {
    let mut parts = Vec::with_capacity(rows.div_ceil(JOB));
    let mut rest = values;
    for start in (0..rows).step_by(JOB) {
        let span = start..(start + JOB).min(rows);
        let (part, after) = rest.split_at_mut(span.len() * width);
        parts.push(Mutex::new((span, part, Gains::default())));
        rest = after;
    }
    parts
}

fn solve(
    passes: &dyn Passes,
    csr: &CsrCounts,
    table: &Table,
    fixed: Fixed<'_>,
    work: Work<'_>,
    values: &mut [f64],
) -> Result<Gains, StepError> {
    let parts = parts(csr.rows(), table.width, values);
    passes.parallel(parts.len(), &|job| {
        let mut part = parts[job].lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (span, values, gains) = &mut *part;
        let view = CsrView::of(csr, span.clone());
        *gains = kernel::rows(view, span.start, table, fixed, work, values, &mut Sums::default());
        Ok(())
    })?;
    let mut all = Gains::default();
    for part in parts {
        let (_, _, gains) = part.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        all.add(gains);
    }
    Ok(all)
}

/// One pass over all rows: abundances, then what the end-members need.
struct Round<'a> {
    table: &'a Table,
    abundances: &'a [f64],
    fixed: Fixed<'a>,
}

struct RoundState {
    abundances: Vec<f64>,
    sums: Sums,
}

impl Fold for Round<'_> {
    type State = RoundState;
    type Scratch = CellBuffer;
    const MERGE: Merge = Merge::Ordered;

    fn start(&self) -> RoundState {
        RoundState { abundances: Vec::new(), sums: Sums::new(self.table) }
    }

    fn absorb(&self, state: &mut RoundState, cell: &Cell<'_>, buffer: &mut CellBuffer) {
        let width = self.table.width;
        let at = state.abundances.len();
        let span = cell.first_row * width..(cell.first_row + cell.rows) * width;
        state.abundances.extend_from_slice(&self.abundances[span]);
        let work = Work::Round { tolerance: ROW_TOLERANCE, steps: ROW_STEPS };
        let (csr, w) = (csr_of(cell, buffer), &mut state.abundances[at..]);
        let gains =
            kernel::rows(csr, cell.first_row, self.table, self.fixed, work, w, &mut state.sums);
        state.sums.gains.add(gains);
    }

    fn merge(&self, state: &mut RoundState, later: RoundState) {
        state.abundances.extend(later.abundances);
        state.sums.add(&later.sums);
    }
}

/// The likelihood of given abundances.
struct Likelihood<'a> {
    table: &'a Table,
    abundances: &'a [f64],
    fixed: Fixed<'a>,
}

impl Fold for Likelihood<'_> {
    type State = Gains;
    type Scratch = (CellBuffer, Vec<f64>, Sums);
    const MERGE: Merge = Merge::Ordered;

    fn start(&self) -> Gains {
        Gains::default()
    }

    fn absorb(&self, state: &mut Gains, cell: &Cell<'_>, (buffer, w, sums): &mut Self::Scratch) {
        let width = self.table.width;
        w.clear();
        let span = cell.first_row * width..(cell.first_row + cell.rows) * width;
        w.extend_from_slice(&self.abundances[span]);
        sums.pull.resize(self.table.values.len(), 0.0);
        let (csr, first) = (csr_of(cell, buffer), cell.first_row);
        state.add(kernel::rows(csr, first, self.table, self.fixed, Work::Accumulate, w, sums));
    }

    fn merge(&self, state: &mut Gains, later: Gains) {
        state.add(later);
    }
}

/// All rows solved for, wherever they come from.
pub(super) fn solve_all(
    passes: &dyn Passes,
    rows: &Rows,
    table: &Table,
    fixed: Fixed<'_>,
    abundances: &mut [f64],
) -> Result<(), StepError> {
    let work = Work::Solve { cost: &[], tolerance: FINAL_TOLERANCE, steps: FINAL_STEPS };
    passes.map_rows(rows, table.width, abundances, |buffer: &mut CellBuffer, cell, w| {
        kernel::rows(
            csr_of(cell, buffer),
            cell.first_row,
            table,
            fixed,
            work,
            w,
            &mut Sums::default(),
        );
    })
}

/// Extrapolation from past rounds.
#[derive(Default)]
struct Anderson {
    /// Weight of each value in the norm.
    weights: Vec<f64>,
    /// Changes of the point and of the step from round to round, newest last.
    points: Vec<Vec<f64>>,
    steps: Vec<Vec<f64>>,
    last: Option<(Vec<f64>, Vec<f64>)>,
}

impl Anderson {
    fn new(table: &Table) -> Self {
        let mean = |h: &[f64]| h.iter().sum::<f64>() / table.components as f64;
        let weights = table
            .values
            .chunks_exact(table.width)
            .flat_map(|h| {
                let m = mean(h);
                let weight = if m > 0.0 { 1.0 / m } else { 0.0 };
                std::iter::repeat_n(weight, table.width)
            })
            .collect();
        Self { weights, ..Self::default() }
    }

    fn forget(&mut self) {
        self.points.clear();
        self.steps.clear();
        self.last = None;
    }

    fn dot(&self, a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).zip(&self.weights).map(|((a, b), w)| a * b * w).sum()
    }

    /// The next point from `point` and where one round takes it.
    fn next(&mut self, point: &[f64], image: &[f64]) -> Vec<f64> {
        let step: Vec<f64> = image.iter().zip(point).map(|(a, b)| a - b).collect();
        if let Some((old_point, old_step)) = self.last.take() {
            self.points.push(point.iter().zip(&old_point).map(|(a, b)| a - b).collect());
            self.steps.push(step.iter().zip(&old_step).map(|(a, b)| a - b).collect());
            if self.points.len() > MEMORY {
                self.points.remove(0);
                self.steps.remove(0);
            }
        }
        let mut next = image.to_vec();
        let share = self.shares(&step);
        for (j, s) in share.iter().enumerate() {
            let change = self.points[j].iter().zip(&self.steps[j]);
            next.iter_mut().zip(change).for_each(|(x, (p, g))| *x -= s * (p + g));
        }
        for (x, image) in next.iter_mut().zip(image) {
            *x = x.max(0.1 * image);
        }
        self.last = Some((point.to_vec(), step));
        next
    }

    /// How much of each remembered change explains `step`: least squares.
    fn shares(&self, step: &[f64]) -> Vec<f64> {
        let n = self.steps.len();
        let mut a = vec![0.0; n * n];
        let mut x = vec![0.0; n];
        for i in 0..n {
            for j in 0..=i {
                let dot = self.dot(&self.steps[i], &self.steps[j]);
                a[i * n + j] = dot;
                a[j * n + i] = dot;
            }
            x[i] = self.dot(&self.steps[i], step);
        }
        let largest = (0..n).map(|i| a[i * n + i]).fold(0.0, f64::max);
        for i in 0..n {
            a[i * n + i] += 1e-9 * largest;
        }
        // Gauss elimination with the largest pivot.
        for i in 0..n {
            let pivot =
                (i..n).fold(i, |p, r| if a[r * n + i].abs() > a[p * n + i].abs() { r } else { p });
            if a[pivot * n + i] == 0.0 {
                return vec![0.0; n];
            }
            for c in 0..n {
                a.swap(i * n + c, pivot * n + c);
            }
            x.swap(i, pivot);
            for r in i + 1..n {
                let f = a[r * n + i] / a[i * n + i];
                for c in i..n {
                    a[r * n + c] -= f * a[i * n + c];
                }
                x[r] -= f * x[i];
            }
        }
        for i in (0..n).rev() {
            for c in i + 1..n {
                x[i] -= a[i * n + c] * x[c];
            }
            x[i] /= a[i * n + i];
        }
        if x.iter().all(|x| x.is_finite()) { x } else { vec![0.0; n] }
    }
}

/// Least deviance, from `start`.
pub(super) fn descend(
    passes: &dyn Passes,
    blocks: &mut dyn Blocks,
    start: (Table, Vec<f64>),
    stop: Stop,
) -> Result<Descent, StepError> {
    struct Point {
        table: Table,
        abundances: Vec<f64>,
        /// Where to go instead, the safest first.
        safe: Vec<Table>,
        deviance: f64,
        anderson: Anderson,
        slow: usize,
    }
    let (table, abundances) = start;
    let anderson = Anderson::new(&table);
    let point =
        Point { table, abundances, safe: Vec::new(), deviance: f64::INFINITY, anderson, slow: 0 };
    let (done, converged) = iterate(passes.ctx(), point, |mut point, iteration| {
        let deviance = blocks.rows(&point.table, &mut point.abundances)?;
        if deviance > point.deviance
            && let Some(table) = point.safe.pop()
        {
            point.table = table;
            point.anderson.forget();
            return Ok(Progressed::Next(point));
        }
        let slow = point.deviance - deviance < stop.tolerance * deviance.abs();
        point.slow = if slow { point.slow + 1 } else { 0 };
        point.deviance = deviance;
        if point.slow >= 3 {
            return Ok(Progressed::Done((point, iteration + 1)));
        }
        if iteration + 1 >= stop.passes {
            return Ok(Progressed::NotConverged((point, iteration + 1)));
        }
        point.safe = blocks.channels(&point.table, &point.abundances)?;
        point.safe.reverse();
        if let Some(image) = point.safe.last() {
            let mut next = image.clone();
            next.values = point.anderson.next(&point.table.values, &image.values);
            next.normalise();
            point.table = next;
        }
        Ok(Progressed::Next(point))
    })?;
    let (point, passes_done) = done;
    let Point { table, abundances, deviance, .. } = point;
    Ok(Descent { table, abundances, deviance, passes: passes_done, converged })
}

/// Abundances of all rows to the last digit that matters, and the deviance there.
pub(super) fn settle(
    passes: &dyn Passes,
    rows: &Rows,
    mut near: Descent,
    fixed: Fixed<'_>,
    saturated: f64,
) -> Result<Descent, StepError> {
    solve_all(passes, rows, &near.table, fixed, &mut near.abundances)?;
    let fold = Likelihood { table: &near.table, abundances: &near.abundances, fixed };
    let gains = passes.fold(&fold, rows)?;
    near.deviance = 2.0 * (saturated + gains.total - gains.log);
    Ok(near)
}
