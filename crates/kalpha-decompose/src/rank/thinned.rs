//! Counts thinned into halves, on the fly.

use crate::pca::Projection;
use kalpha_core::{
    Cell, CellBuffer, CellData, CsrView, DType, Fold, Map, Merge, RowSource, Rows, RowsError,
    RowsMeta, ValuesView,
};
use kalpha_num::rng::{Draws, Stream};
use std::ops::Range;

/// One half of the counts: each photon stays with probability 1/2, by row and stream.
pub(super) struct Thinned {
    meta: RowsMeta,
    source: Rows,
    stream: Stream,
    left_over: bool,
}

impl Thinned {
    /// The photons that stay, or those that are left over.
    pub fn new(source: Rows, stream: Stream, left_over: bool) -> Self {
        let meta = RowsMeta { dtype: DType::Csr, ..source.meta().clone() };
        Self { meta, source, stream, left_over }
    }
}

/// Calls `each(channel, photons that stay, photons left over)` for a row of a cell.
#[inline(always)]
fn split(csr: &CsrView<'_>, r: usize, mut draws: Draws, mut each: impl FnMut(u16, u32, u32)) {
    let entries = csr.entries(r);
    let channels = csr.indices[entries.clone()].iter();
    macro_rules! of {
        ($values:expr) => {
            for (&c, &x) in channels.zip(&$values[entries]) {
                let count = u32::from(x);
                let stays = draws.half(count);
                each(c, stays, count - stays);
            }
        };
    }
    match csr.values {
        ValuesView::U8(v) => of!(v),
        ValuesView::U16(v) => of!(v),
        ValuesView::U32(v) => of!(v),
    }
}

impl RowSource for Thinned {
    fn meta(&self) -> &RowsMeta {
        &self.meta
    }

    fn cell<'a>(
        &'a self,
        range: Range<usize>,
        buffer: &'a mut CellBuffer,
    ) -> Result<Cell<'a>, RowsError> {
        let mut inner = buffer.take_inner();
        let mut sparse = inner.take_inner();
        {
            let cell = self.source.cell(range.clone(), &mut inner)?;
            let csr = cell.to_csr(&mut sparse);
            buffer.start_csr();
            for r in 0..cell.rows {
                let draws = self.stream.row(cell.first_row + r);
                buffer.fill_row(csr.entries(r).len(), |channels, counts| {
                    let mut n = 0;
                    split(&csr, r, draws, |c, stays, left| {
                        // Written always, kept where it counts: a branch would be mispredicted.
                        let count = if self.left_over { left } else { stays };
                        channels[n] = c;
                        counts[n] = count;
                        n += usize::from(count > 0);
                    });
                    n
                });
            }
        }
        inner.put_inner(sparse);
        buffer.put_inner(inner);
        let (rows, channels) = (range.len(), self.meta.channels);
        Ok(Cell { first_row: range.start, rows, channels, data: CellData::Csr(buffer.csr()) })
    }
}

/// Sums over both halves, weighted.
#[derive(Clone, Debug, Default)]
pub(super) struct HalfSums {
    /// Sum over rows of the product of both halves' scores, per component.
    pub products: Vec<f64>,
    /// Sum of b^2 w.
    pub squares_b: f64,
    /// Sum of a b w.
    pub ab: f64,
    /// Sum of a b w^2.
    pub ab_weighted: f64,
    /// Sum of (a + b) w.
    pub total: f64,
}

/// The pass that makes them: w = row factor x channel factor.
pub(super) struct Halves<'a> {
    pub stream: Stream,
    pub projection: Projection,
    pub rows: &'a [f64],
    pub channels: &'a [f64],
}

/// Working memory of [`Halves`].
#[derive(Default)]
pub(super) struct HalvesScratch {
    sparse: CellBuffer,
    halves: [CellBuffer; 2],
    scores: [Vec<f64>; 2],
    sums: <Projection as Map>::Scratch,
}

impl Fold for Halves<'_> {
    type State = HalfSums;
    type Scratch = HalvesScratch;
    const MERGE: Merge = Merge::Ordered;

    fn start(&self) -> HalfSums {
        HalfSums { products: vec![0.0; self.projection.scores()], ..HalfSums::default() }
    }

    fn absorb(&self, state: &mut HalfSums, cell: &Cell<'_>, scratch: &mut HalvesScratch) {
        let [first, second] = &mut scratch.halves;
        let csr = cell.to_csr(&mut scratch.sparse);
        first.start_csr();
        second.start_csr();
        for r in 0..cell.rows {
            let factor = self.rows[cell.first_row + r];
            let most = csr.entries(r).len();
            first.fill_row(most, |stayed, stays| {
                let mut n = 0;
                second.fill_row(most, |left, leaves| {
                    let mut m = 0;
                    let draws = self.stream.row(cell.first_row + r);
                    split(&csr, r, draws, |c, a, b| {
                        let weight = factor * self.channels[usize::from(c)];
                        let (x, y) = (f64::from(a), f64::from(b));
                        state.squares_b += y * y * weight;
                        state.ab += x * y * weight;
                        state.ab_weighted += x * y * weight * weight;
                        state.total += (x + y) * weight;
                        (stayed[n], stays[n]) = (c, a);
                        n += usize::from(a > 0);
                        (left[m], leaves[m]) = (c, b);
                        m += usize::from(b > 0);
                    });
                    m
                });
                n
            });
        }
        let k = self.projection.scores();
        for (buffer, scores) in [first, second].into_iter().zip(&mut scratch.scores) {
            scores.clear();
            scores.resize(cell.rows * k, 0.0);
            let half = Cell { data: CellData::Csr(buffer.csr()), ..*cell };
            self.projection.apply(&half, scores, &mut scratch.sums);
        }
        let [a, b] = &scratch.scores;
        let scores = a.chunks_exact(k.max(1)).zip(b.chunks_exact(k.max(1)));
        for (r, (a, b)) in scores.enumerate() {
            let weight = self.rows[cell.first_row + r];
            let products = state.products.iter_mut().zip(a.iter().zip(b));
            products.for_each(|(sum, (x, y))| *sum += x * y * weight);
        }
    }

    fn merge(&self, state: &mut HalfSums, later: HalfSums) {
        state.products.iter_mut().zip(&later.products).for_each(|(a, b)| *a += b);
        state.squares_b += later.squares_b;
        state.ab += later.ab;
        state.ab_weighted += later.ab_weighted;
        state.total += later.total;
    }
}

/// Sums over rows of x times the row's factor, per channel.
pub(super) struct NoiseSums<'a> {
    pub rows: &'a [f64],
    pub channels: usize,
}

impl Fold for NoiseSums<'_> {
    type State = Vec<f64>;
    type Scratch = ();
    const MERGE: Merge = Merge::Ordered;

    fn start(&self) -> Vec<f64> {
        vec![0.0; self.channels]
    }

    fn absorb(&self, state: &mut Vec<f64>, cell: &Cell<'_>, (): &mut ()) {
        cell.for_each_nonzero(|r, c, x| state[c] += x * self.rows[cell.first_row + r]);
    }

    fn merge(&self, state: &mut Vec<f64>, later: Vec<f64>) {
        state.iter_mut().zip(later).for_each(|(a, b)| *a += b);
    }
}
