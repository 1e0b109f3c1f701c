//! How the channels of a Gram matrix are ordered and worked on, from a sample of the rows.

use super::{chunk, dot, floats};
use crate::simd::Simd;
use kalpha_core::{CellBuffer, CellGrid, Passes, Rows, StepError};

/// Cells looked at before the work is planned.
const SAMPLED_CELLS: usize = 16;
/// Cost of one sparse addition, in ns. Only ratios matter, and only for speed.
const PAIR_COST: f64 = 1.0;
/// Cost of one f64 product of a dense matrix.
const DENSE_COST: f64 = 0.04;

/// How hot channels are multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Products {
    /// As bytes, exactly.
    Bytes,
    /// As f64, each row weighted.
    Floats,
}

/// Order of the channels: hot ones first, each group ascending.
pub(super) struct Layout {
    /// How hot channels are multiplied.
    pub products: Products,
    /// Number of channels D.
    pub channels: usize,
    /// Place of each channel.
    pub place: Vec<u16>,
    /// Number of hot channels; they take the first places.
    pub hot: usize,
    /// Share of the sampled rows in which the channel at this place is not zero.
    pub density: Vec<f64>,
    /// Non-zero channels per row.
    pub per_row: f64,
    /// Cost of the sparse and byte products of a row.
    cost: f64,
    /// Distance between rows of a table: a power of two, so an index needs no check.
    pub stride: usize,
    /// A row whose largest count is above this is summed in 64 bits.
    pub row_max: u32,
}

impl Layout {
    /// Looks at a few cells, spread evenly. `hot` overrides the choice.
    pub fn sampled(
        passes: &dyn Passes,
        rows: &Rows,
        grid: CellGrid,
        simd: Simd,
        products: Products,
        hot: Option<usize>,
    ) -> Result<Self, StepError> {
        let channels = rows.meta().channels;
        let mut seen = vec![0u32; channels];
        let (mut sampled, mut low, mut buffer) = (0usize, 0usize, CellBuffer::default());
        let cells = grid.cells();
        let n = cells.min(SAMPLED_CELLS);
        for i in 0..n {
            passes.ctx().checkpoint()?;
            let cell = rows.cell(grid.rows((2 * i + 1) * cells / (2 * n)), &mut buffer)?;
            let mut highest = vec![0f64; cell.rows];
            cell.for_each_nonzero(|r, c, x| {
                seen[c] += 1;
                highest[r] = highest[r].max(x);
            });
            sampled += cell.rows;
            low += highest.iter().filter(|x| **x <= f64::from(dot::MAX)).count();
        }
        let sampled = sampled.max(1) as f64;
        let share: Vec<f64> = seen.iter().map(|&n| f64::from(n) / sampled).collect();
        let mut order: Vec<usize> = (0..channels).collect();
        order.sort_by(|&a, &b| share[b].total_cmp(&share[a]));
        let per_row = share.iter().sum::<f64>();
        let (gain, hot) = match hot {
            Some(hot) => (0.0, hot.min(channels)),
            None => best_hot(&order, &share, low as f64 / sampled, Cost::new(products, simd)),
        };
        let (first, rest) = order.split_at_mut(hot);
        first.sort_unstable();
        rest.sort_unstable();
        let mut place = vec![0; channels];
        order.iter().enumerate().for_each(|(p, &c)| place[c] = p as u16);
        let rows = chunk::cells_per_slot(grid) * grid.rows_per_cell();
        let limit = super::pairs::BUDGET / rows as u64;
        Ok(Self {
            products,
            channels,
            place,
            hot,
            density: order.iter().map(|&c| share[c]).collect(),
            per_row,
            cost: PAIR_COST * per_row * per_row / 2.0 - gain,
            stride: channels.next_power_of_two().max(64),
            row_max: match products {
                Products::Bytes => limit.isqrt().min(u64::from(u16::MAX)) as u32,
                // These sums do not overflow: only counts that do not fit an entry are set apart.
                Products::Floats => u32::from(u16::MAX),
            },
        })
    }

    /// True when a dense f64 product costs less.
    pub fn dense_is_quicker(&self) -> bool {
        self.cost > DENSE_COST * (self.channels * self.channels) as f64 / 2.0
    }

    /// Panels of hot channels.
    pub fn hot_panels(&self) -> usize {
        self.hot.div_ceil(self.hot_width())
    }

    /// Channels of a panel of hot ones.
    pub fn hot_width(&self) -> usize {
        match self.products {
            Products::Bytes => dot::WIDTH,
            Products::Floats => floats::WIDTH,
        }
    }
}

/// Measured costs in ns.
struct Cost {
    /// Product of two hot channels in one row.
    hot: f64,
    /// Product of an entry with a hot channel.
    mixed: f64,
    /// Step of the number of hot channels.
    step: usize,
}

impl Cost {
    fn new(products: Products, simd: Simd) -> Self {
        let (hot, mixed) = match (products, simd) {
            (Products::Bytes, Simd::Avx512) => (0.006, 0.018),
            (Products::Bytes, Simd::Avx2) => (0.025, 0.075),
            (Products::Bytes, Simd::Scalar) => (0.25, 0.75),
            (Products::Floats, Simd::Avx512) => (0.06, 0.06),
            (Products::Floats, Simd::Avx2) => (0.08, 0.1),
            (Products::Floats, Simd::Scalar) => (0.2, 0.4),
        };
        let step = if products == Products::Bytes { dot::WIDTH } else { floats::WIDTH };
        Self { hot, mixed, step }
    }
}

/// The number of channels, the fullest first, to multiply dense, after what that gains per row.
/// Pairs of the other channels remain sparse; hot with others costs a fixed part per entry and
/// one per hot channel. `low` is the share of rows whose counts fit a byte.
fn best_hot(order: &[usize], share: &[f64], low: f64, unit: Cost) -> (f64, usize) {
    const PER_ENTRY: f64 = 5.0;
    let all: f64 = share.iter().sum();
    let (mut taken, mut best) = (0.0, (0.0, 0));
    for (i, &channel) in order.iter().enumerate() {
        taken += share[channel];
        let hot = i + 1;
        if hot.is_multiple_of(unit.step) || hot == order.len() {
            let width = hot.next_multiple_of(unit.step) as f64;
            let cold = all - taken;
            let cost = PAIR_COST * cold * cold / 2.0
                + unit.hot * width * width / 2.0
                + cold * (PER_ENTRY + unit.mixed * width);
            let gain = low * (PAIR_COST * all * all / 2.0 - cost);
            if gain > best.0 {
                best = (gain, hot);
            }
        }
    }
    best
}
