//! Map, Fold and iteration over cells.
//!
//! `Solve` needs no trait: it is a plain function from whole artefacts to whole artefacts.

use crate::{
    cell::{Cell, CellBuffer, CellGrid},
    ctx::Ctx,
    error::StepError,
    partial::Partial,
    rows::Rows,
};
use std::{collections::BTreeMap, ops::Range, sync::Mutex};

/// Rows in, rows out, no memory.
pub trait Map: Send + Sync {
    /// Working memory of one thread.
    type Scratch: Default + Send;

    /// Fills `out`, rows x output channels, zeroed before.
    fn apply(&self, cell: &Cell<'_>, out: &mut [f64], scratch: &mut Self::Scratch);
}

/// How the states of a [`Fold`] come together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Merge {
    /// Integers: any order gives the same bits.
    Exact,
    /// Floating point: states are merged in ascending order of rows.
    Ordered,
    /// Any order, equal within this relative tolerance.
    Tolerance(f64),
}

/// Many rows to one state.
pub trait Fold: Send + Sync {
    /// What has been learned from some rows.
    type State: Send;
    /// Working memory of one thread.
    type Scratch: Default + Send;
    /// How states come together.
    const MERGE: Merge;

    /// The state of no rows.
    fn start(&self) -> Self::State;

    /// Takes in one cell.
    fn absorb(&self, state: &mut Self::State, cell: &Cell<'_>, scratch: &mut Self::Scratch);

    /// Adds `later`, the state of rows after those of `state`.
    fn merge(&self, state: &mut Self::State, later: Self::State);
}

/// Calls `work` once per job number.
pub type Work<'a> = dyn Fn(usize) -> Result<(), StepError> + Sync + 'a;

/// Whoever runs the passes: the engine, or [`Serial`].
pub trait Passes: Sync {
    /// Cancellation, progress, seed.
    fn ctx(&self) -> &Ctx;

    /// Number of jobs that may run at once. Results never depend on it.
    fn threads(&self) -> usize;

    /// Runs `work(0), .., work(jobs - 1)` in any order; the first error stops the rest.
    ///
    /// # Errors
    /// The first error of a job, or cancellation.
    fn parallel(&self, jobs: usize, work: &Work<'_>) -> Result<(), StepError>;
}

/// Runs everything on the calling thread, in order: for tests and single spectra.
#[derive(Clone, Default)]
pub struct Serial(pub Ctx);

impl Passes for Serial {
    fn ctx(&self) -> &Ctx {
        &self.0
    }

    fn threads(&self) -> usize {
        1
    }

    fn parallel(&self, jobs: usize, work: &Work<'_>) -> Result<(), StepError> {
        (0..jobs).try_for_each(|job| {
            self.0.checkpoint()?;
            work(job)
        })
    }
}

/// Visits each cell of a stretch.
type Sweep<'a> = dyn FnMut(&Cell<'_>) + 'a;

/// Reads the cells `cells` in order and shows each to `visit`.
fn sweep(
    passes: &dyn Passes,
    rows: &Rows,
    grid: CellGrid,
    cells: Range<usize>,
    visit: &mut Sweep<'_>,
) -> Result<(), StepError> {
    let mut buffer = CellBuffer::default();
    for i in cells {
        passes.ctx().checkpoint()?;
        visit(&rows.cell(grid.rows(i), &mut buffer)?);
    }
    Ok(())
}

/// A lock whose poison is ignored: the panic that poisoned it ends the run anyway.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The primitives, for anything that runs passes.
impl dyn Passes + '_ {
    /// Folds all rows into one state.
    ///
    /// # Errors
    /// When rows cannot be read or the run is cancelled.
    pub fn fold<F: Fold>(&self, fold: &F, rows: &Rows) -> Result<F::State, StepError> {
        let grid = CellGrid::new(rows.meta().rows, rows.meta().channels);
        run_fold(self, fold, rows, grid, 0..grid.stretches())
    }

    /// Folds some stretches of the rows (see [`CellGrid::stretch`]) into a partial state that
    /// knows which cells it covers, so that work can be spread over machines.
    ///
    /// # Errors
    /// When rows cannot be read or the run is cancelled.
    pub fn fold_part<F: Fold>(
        &self,
        fold: &F,
        rows: &Rows,
        stretches: Range<usize>,
    ) -> Result<Partial<F::State>, StepError> {
        let grid = CellGrid::new(rows.meta().rows, rows.meta().channels);
        let stretches = stretches.start..stretches.end.min(grid.stretches());
        let cells = match stretches.is_empty() {
            true => 0..0,
            false => grid.stretch(stretches.start).start..grid.stretch(stretches.end - 1).end,
        };
        let state = run_fold(self, fold, rows, grid, stretches)?;
        Ok(Partial::new(state, cells))
    }

    /// Applies a map to all rows: rows x `columns` values.
    ///
    /// # Errors
    /// When rows cannot be read or the run is cancelled.
    pub fn map<M: Map>(&self, map: &M, rows: &Rows, columns: usize) -> Result<Vec<f64>, StepError> {
        let mut out = vec![0.0; rows.meta().rows * columns];
        self.map_rows(rows, columns, &mut out, |scratch: &mut M::Scratch, cell, out| {
            map.apply(cell, out, scratch);
        })?;
        Ok(out)
    }

    /// Updates state that is aligned to the rows and survives passes (abundances, labels).
    ///
    /// `state` holds `columns` values per row; `update(scratch, cell, its rows of state)` sees
    /// each row once, so the result does not depend on threads.
    ///
    /// # Errors
    /// When rows cannot be read or the run is cancelled.
    pub fn map_rows<T: Send, S: Default>(
        &self,
        rows: &Rows,
        columns: usize,
        state: &mut [T],
        update: impl Fn(&mut S, &Cell<'_>, &mut [T]) + Sync,
    ) -> Result<(), StepError> {
        let grid = CellGrid::new(rows.meta().rows, rows.meta().channels);
        let mut parts = Vec::with_capacity(grid.stretches());
        let mut rest = state;
        for i in 0..grid.stretches() {
            let cells = grid.stretch(i);
            let span = grid.rows(cells.start).start..grid.rows(cells.end - 1).end;
            let (part, after) = rest.split_at_mut(span.len() * columns);
            parts.push(Mutex::new((cells, part)));
            rest = after;
        }
        self.parallel(parts.len(), &|job| {
            let mut part = lock(&parts[job]);
            let (cells, state) = &mut *part;
            let (mut scratch, mut at) = (S::default(), 0);
            sweep(self, rows, grid, cells.clone(), &mut |cell| {
                let n = cell.rows * columns;
                update(&mut scratch, cell, &mut state[at..at + n]);
                at += n;
            })
        })
    }
}

fn run_fold<F: Fold>(
    passes: &dyn Passes,
    fold: &F,
    rows: &Rows,
    grid: CellGrid,
    stretches: Range<usize>,
) -> Result<F::State, StepError> {
    match F::MERGE {
        Merge::Exact | Merge::Tolerance(_) => fold_free(passes, fold, rows, grid, stretches),
        Merge::Ordered => fold_ordered(passes, fold, rows, grid, stretches),
    }
}

/// One state per thread, merged in any order.
fn fold_free<F: Fold>(
    passes: &dyn Passes,
    fold: &F,
    rows: &Rows,
    grid: CellGrid,
    stretches: Range<usize>,
) -> Result<F::State, StepError> {
    let idle: Mutex<Vec<F::State>> = Mutex::new(Vec::new());
    passes.parallel(stretches.len(), &|job| {
        let kept = lock(&idle).pop();
        let mut state = kept.unwrap_or_else(|| fold.start());
        let mut scratch = F::Scratch::default();
        let cells = grid.stretch(stretches.start + job);
        sweep(passes, rows, grid, cells, &mut |cell| {
            fold.absorb(&mut state, cell, &mut scratch);
        })?;
        lock(&idle).push(state);
        Ok(())
    })?;
    let mut states = lock(&idle);
    let mut total = states.pop().unwrap_or_else(|| fold.start());
    for state in states.drain(..) {
        fold.merge(&mut total, state);
    }
    Ok(total)
}

/// One state per stretch, merged in ascending order as soon as its turn comes.
fn fold_ordered<F: Fold>(
    passes: &dyn Passes,
    fold: &F,
    rows: &Rows,
    grid: CellGrid,
    stretches: Range<usize>,
) -> Result<F::State, StepError> {
    struct Front<S> {
        total: S,
        next: usize,
        waiting: BTreeMap<usize, S>,
    }
    let front = Mutex::new(Front { total: fold.start(), next: 0, waiting: BTreeMap::new() });
    passes.parallel(stretches.len(), &|job| {
        let mut state = fold.start();
        let mut scratch = F::Scratch::default();
        let cells = grid.stretch(stretches.start + job);
        sweep(passes, rows, grid, cells, &mut |cell| {
            fold.absorb(&mut state, cell, &mut scratch);
        })?;
        let front = &mut *lock(&front);
        front.waiting.insert(job, state);
        while let Some(state) = front.waiting.remove(&front.next) {
            fold.merge(&mut front.total, state);
            front.next += 1;
        }
        Ok(())
    })?;
    Ok(front.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).total)
}

/// What a driver says between passes.
#[derive(Clone, Debug, PartialEq)]
pub enum Progressed<S, M> {
    /// Another pass with this state.
    Next(S),
    /// Converged.
    Done(M),
    /// Stopped before it converged; the best so far.
    NotConverged(M),
}

/// Repeats `pass` until it is done, with a checkpoint before each pass.
///
/// `pass(state, iteration)` says what comes next. Returns the model and whether it converged.
///
/// # Errors
/// An error of a pass, or cancellation.
pub fn iterate<S, M>(
    ctx: &Ctx,
    start: S,
    mut pass: impl FnMut(S, usize) -> Result<Progressed<S, M>, StepError>,
) -> Result<(M, bool), StepError> {
    let mut state = start;
    for iteration in 0.. {
        ctx.checkpoint()?;
        match pass(state, iteration)? {
            Progressed::Next(next) => state = next,
            Progressed::Done(model) => return Ok((model, true)),
            Progressed::NotConverged(model) => return Ok((model, false)),
        }
    }
    unreachable!("the iteration counter does not end")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Axis, CsrBuilder, DType, NoiseModel, RowsMeta, Unit};
    use std::sync::Arc;

    struct Sums;
    impl Fold for Sums {
        type State = Vec<f64>;
        type Scratch = ();
        const MERGE: Merge = Merge::Ordered;
        fn start(&self) -> Vec<f64> {
            vec![0.0; 40]
        }
        fn absorb(&self, state: &mut Vec<f64>, cell: &Cell<'_>, (): &mut ()) {
            cell.for_each_nonzero(|_, c, x| state[c] += x.sqrt());
        }
        fn merge(&self, state: &mut Vec<f64>, later: Vec<f64>) {
            state.iter_mut().zip(later).for_each(|(a, b)| *a += b);
        }
    }

    fn rows(n: usize) -> Rows {
        let mut csr = CsrBuilder::new(40).unwrap();
        for r in 0..n {
            csr.push((r % 7) as u16, 1 + (r % 300) as u32);
            csr.push(39, 3);
            csr.end_row();
        }
        let signal = Axis::linear("Energy", Unit::KeV, 0.0, 0.01, 40).unwrap();
        let navigation = vec![Axis::index("y", n)];
        let meta = RowsMeta {
            rows: n,
            channels: 40,
            dtype: DType::Csr,
            navigation,
            signal,
            noise: NoiseModel::COUNTS,
        };
        Arc::new((meta, csr.finish()))
    }

    /// Jobs in reverse order: what a scheduler might do.
    struct Reverse(Ctx);
    impl Passes for Reverse {
        fn ctx(&self) -> &Ctx {
            &self.0
        }
        fn threads(&self) -> usize {
            1
        }
        fn parallel(&self, jobs: usize, work: &Work<'_>) -> Result<(), StepError> {
            (0..jobs).rev().try_for_each(work)
        }
    }

    #[test]
    fn ordered_folds_do_not_depend_on_the_schedule() {
        for n in [0, 1, 4095, 4097, 300_000] {
            let (serial, reverse) = (Serial::default(), Reverse(Ctx::default()));
            let rows = rows(n);
            let a = (&serial as &dyn Passes).fold(&Sums, &rows).unwrap();
            let b = (&reverse as &dyn Passes).fold(&Sums, &rows).unwrap();
            assert_eq!(a, b);
            let part = (&serial as &dyn Passes).fold_part(&Sums, &rows, 0..usize::MAX).unwrap();
            assert_eq!(part.state, a);
        }
    }

    #[test]
    fn row_state_is_updated_once_per_row() {
        let rows = rows(9000);
        let mut state = vec![0u32; 9000 * 2];
        let serial = Serial::default();
        (&serial as &dyn Passes)
            .map_rows(&rows, 2, &mut state, |(): &mut (), cell, state| {
                cell.for_each_nonzero(|r, _, x| {
                    state[2 * r] += 1;
                    state[2 * r + 1] = (cell.first_row + r) as u32 + x as u32;
                });
            })
            .unwrap();
        assert!(state.chunks(2).enumerate().all(|(r, s)| s == [2, r as u32 + 3]));
    }

    #[test]
    fn a_cancelled_run_stops() {
        let serial = Serial::default();
        serial.0.cancel_flag().store(true, std::sync::atomic::Ordering::Relaxed);
        let result = (&serial as &dyn Passes).fold(&Sums, &rows(10));
        assert!(matches!(result, Err(StepError::Cancelled(_))));
    }
}
