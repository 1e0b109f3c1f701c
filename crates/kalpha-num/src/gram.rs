//! Gram matrices X^T X of counts: exact in integers, and weighted by rows in f64.
//!
//! For rows x_r of D channels: G_ij = sum_r w_r x_ri x_rj, with w = 1 ([`count_gram`]) or a
//! factor per row ([`weighted_gram`]). Counts are sparse, so a row with k non-zero channels
//! costs k (k + 1) / 2 additions. Channels that are seldom zero (peaks) are set apart as *hot*
//! and multiplied as dense bytes; a sample of the rows decides which, and integers make the
//! result the same whatever is decided. Where even that is slower than a dense product (dense,
//! large counts), f64 products are used, exact up to 2^53.
//!
//! Work is split over disjoint panels of the result, each of which sees all rows in order: no
//! private copies, and the same bits for any number of threads, in f64 too.
//!
//! Complexity: O(sum of k^2) / threads; memory 4 D^2 bytes while it runs, 8 D^2 for the result.
//! Tested against plain sums over all pairs, for every instruction set.

mod chunk;
mod dense;
mod dot;
mod floats;
mod layout;
mod pairs;

use crate::simd::Simd;
use chunk::{Chunk, Slot};
use kalpha_core::{Cell, CellBuffer, CellGrid, DType, Fold, Merge, Passes, Rows, StepError};
use layout::{Layout, Products};
use pairs::{Panels, Table};

/// A Gram matrix could not be formed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GramError {
    /// The integer sums could pass 2^64.
    #[error("counts up to {max_count} in {rows} rows overflow 64-bit sums (hint: rescale them)")]
    Overflow {
        /// Largest count found.
        max_count: u32,
        /// Number of rows.
        rows: usize,
    },
    /// The rows are not unsigned integers.
    #[error("{dtype:?} rows are no counts (hint: use the weighted Gram with factors of 1)")]
    NotCounts {
        /// Storage found.
        dtype: DType,
    },
    /// One factor per row is needed.
    #[error("{got} factors for {expected} rows")]
    Factors {
        /// Rows.
        expected: usize,
        /// Factors given.
        got: usize,
    },
}

/// X^T X of counts, exact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountGram {
    channels: usize,
    values: Vec<u64>,
}

impl CountGram {
    /// Number of channels D.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Sum over rows of x_i x_j.
    pub fn get(&self, i: usize, j: usize) -> u64 {
        self.values[i * self.channels + j]
    }

    /// All D x D values, symmetric.
    pub fn values(&self) -> &[u64] {
        &self.values
    }
}

/// True where cells of this type hold unsigned integers.
fn holds_counts(dtype: DType) -> bool {
    matches!(dtype, DType::U8 | DType::U16 | DType::U32 | DType::Csr)
}

/// The exact Gram matrix of rows of counts.
///
/// # Errors
/// When the rows are not counts, cannot be read, or sums could pass 2^64; cancellation.
pub fn count_gram(passes: &dyn Passes, rows: &Rows) -> Result<CountGram, StepError> {
    count_gram_with(passes, rows, Simd::detect(), None)
}

/// Like [`count_gram`], with the instruction set and the number of hot channels given.
fn count_gram_with(
    passes: &dyn Passes,
    rows: &Rows,
    simd: Simd,
    hot: Option<usize>,
) -> Result<CountGram, StepError> {
    let meta = rows.meta();
    if !holds_counts(meta.dtype) {
        return Err(StepError::method(GramError::NotCounts { dtype: meta.dtype }));
    }
    let grid = CellGrid::new(meta.rows, meta.channels);
    let layout = Layout::sampled(passes, rows, grid, simd, Products::Bytes, hot)?;
    if hot.is_none() && layout.dense_is_quicker() {
        let sums = dense::weighted(passes, rows, grid, &vec![1.0; meta.rows])?;
        // Products of whole numbers, and every partial sum: exact below 2^53.
        if sums.iter().all(|&sum| sum < (1u64 << 53) as f64) {
            let values = sums.into_iter().map(|sum| sum as u64).collect();
            return Ok(CountGram { channels: meta.channels, values });
        }
    }
    let panels = Panels::new(&layout);
    let mut table = Table::<u32>::new(&layout);
    let mut dots = pairs::HotTable::<i32>::new(&layout);
    let mut large: Option<Vec<u64>> = None;
    let (mut bound, mut total, mut max_count) = (0u64, 0u128, 0);
    let mut chunk = Chunk::new(&layout, grid);
    for filling in chunk.fillings() {
        chunk.fill(passes, rows, grid, &layout, None, filling)?;
        let slots = chunk.filled();
        let mut rest = &slots[..];
        while let Some(first) = rest.first() {
            if bound + first.bound > pairs::BUDGET {
                pairs::flush(&mut table, &mut dots, &mut large, &layout);
                bound = 0;
            }
            let fits = |slot: &&Slot| {
                bound += slot.bound;
                bound <= pairs::BUDGET
            };
            let n = rest.iter().map(|slot| &**slot).take_while(fits).count().max(1);
            let (now, later) = rest.split_at(n);
            bound = bound.min(pairs::BUDGET);
            let now: Vec<&Slot> = now.iter().map(|slot| &**slot).collect();
            pairs::add_counts(passes, &layout, &panels, &now, simd, &mut table, &mut dots)?;
            rest = later;
        }
        for slot in &slots {
            total += slot.total_bound;
            max_count = max_count.max(slot.max_count);
            if total > u128::from(u64::MAX) {
                let rows = meta.rows;
                return Err(StepError::method(GramError::Overflow { max_count, rows }));
            }
            if !slot.wide.is_empty() {
                let large = large.get_or_insert_with(|| vec![0; layout.channels * layout.channels]);
                pairs::add_wide(slot, large, &layout);
            }
        }
    }
    drop(chunk);
    let sums = pairs::exact(&layout, &table, &dots, large.as_deref());
    let values = pairs::assemble(passes, &layout, sums)?;
    Ok(CountGram { channels: meta.channels, values })
}

/// The Gram matrix of rows weighted by `factors[row]` >= 0, D x D, row-major and symmetric.
///
/// Rows of any type. Summed in f64 in ascending order of rows, so the result is the same for
/// any number of threads.
///
/// # Errors
/// When the factors are not one per row, rows cannot be read; cancellation.
pub fn weighted_gram(
    passes: &dyn Passes,
    rows: &Rows,
    factors: &[f64],
) -> Result<Vec<f64>, StepError> {
    let meta = rows.meta();
    if factors.len() != meta.rows {
        let (expected, got) = (meta.rows, factors.len());
        return Err(StepError::method(GramError::Factors { expected, got }));
    }
    let grid = CellGrid::new(meta.rows, meta.channels);
    if !holds_counts(meta.dtype) {
        return dense::weighted(passes, rows, grid, factors);
    }
    weighted_gram_with(passes, rows, grid, factors, None)
}

/// Like [`weighted_gram`] for counts, with the number of hot channels given.
fn weighted_gram_with(
    passes: &dyn Passes,
    rows: &Rows,
    grid: CellGrid,
    factors: &[f64],
    hot: Option<usize>,
) -> Result<Vec<f64>, StepError> {
    let layout = Layout::sampled(passes, rows, grid, Simd::detect(), Products::Floats, hot)?;
    if hot.is_none() && layout.dense_is_quicker() {
        return dense::weighted(passes, rows, grid, factors);
    }
    weighted_pairs(passes, rows, grid, &layout, factors)
}

fn weighted_pairs(
    passes: &dyn Passes,
    rows: &Rows,
    grid: CellGrid,
    layout: &Layout,
    factors: &[f64],
) -> Result<Vec<f64>, StepError> {
    let panels = Panels::new(layout);
    let mut table = Table::<f64>::new(layout);
    let mut products = pairs::HotTable::<f64>::new(layout);
    let mut chunk = Chunk::new(layout, grid);
    for filling in chunk.fillings() {
        chunk.fill(passes, rows, grid, layout, Some(factors), filling)?;
        let slots = chunk.filled();
        let slots: Vec<&Slot> = slots.iter().map(|slot| &**slot).collect();
        pairs::add_weighted(passes, layout, &panels, &slots, factors, &mut table, &mut products)?;
    }
    drop(chunk);
    pairs::assemble(passes, layout, pairs::weighted(layout, &table, &products))
}

/// The exact Gram matrix as a [`Fold`], for states that travel.
///
/// The state is D x D sums, of which those with i <= j are used.
#[derive(Clone, Copy, Debug)]
pub struct GramFold {
    /// Number of channels D.
    pub channels: usize,
}

impl Fold for GramFold {
    type State = Vec<u64>;
    type Scratch = CellBuffer;
    const MERGE: Merge = Merge::Exact;

    fn start(&self) -> Vec<u64> {
        vec![0; self.channels * self.channels]
    }

    fn absorb(&self, state: &mut Vec<u64>, cell: &Cell<'_>, scratch: &mut CellBuffer) {
        let view = cell.to_csr(scratch);
        for r in 0..cell.rows {
            let entries = view.entries(r);
            for a in entries.clone() {
                let left = u64::from(view.values.get(a));
                let row = usize::from(view.indices[a]) * self.channels;
                let row = &mut state[row..row + self.channels];
                for b in a..entries.end {
                    row[usize::from(view.indices[b])] += left * u64::from(view.values.get(b));
                }
            }
        }
    }

    fn merge(&self, state: &mut Vec<u64>, later: Vec<u64>) {
        state.iter_mut().zip(later).for_each(|(a, b)| *a += b);
    }
}

impl GramFold {
    /// The symmetric matrix of a state.
    pub fn finish(&self, mut state: Vec<u64>) -> CountGram {
        for i in 0..self.channels {
            for j in 0..i {
                state[i * self.channels + j] = state[j * self.channels + i];
            }
        }
        CountGram { channels: self.channels, values: state }
    }
}

#[cfg(test)]
mod tests;
