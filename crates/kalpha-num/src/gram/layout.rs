//! How the channels of a Gram matrix are ordered and worked on, from a sample of the rows.

use super::{chunk, dot};
use crate::simd::Simd;
use kalpha_core::{CellBuffer, CellGrid, Passes, Rows, StepError};

/// Cells looked at before the work is planned.
const SAMPLED_CELLS: usize = 16;
/// Cost of one sparse addition, in ns. Only ratios matter, and only for speed.
const PAIR_COST: f64 = 1.0;
/// Cost of one f64 product of a dense matrix.
const DENSE_COST: f64 = 0.04;

/// Order of the channels: hot ones first, each group ascending.
pub(super) struct Layout {
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
            None => best_hot(&order, &share, low as f64 / sampled, simd),
        };
        let (first, rest) = order.split_at_mut(hot);
        first.sort_unstable();
        rest.sort_unstable();
        let mut place = vec![0; channels];
        order.iter().enumerate().for_each(|(p, &c)| place[c] = p as u16);
        let rows = chunk::cells_per_slot(grid) * grid.rows_per_cell();
        let limit = super::pairs::BUDGET / rows as u64;
        Ok(Self {
            channels,
            place,
            hot,
            density: order.iter().map(|&c| share[c]).collect(),
            per_row,
            cost: PAIR_COST * per_row * per_row / 2.0 - gain,
            stride: channels.next_power_of_two().max(64),
            row_max: limit.isqrt().min(u64::from(u16::MAX)) as u32,
        })
    }

    /// True when a dense f64 product costs less.
    pub fn dense_is_quicker(&self) -> bool {
        self.cost > DENSE_COST * (self.channels * self.channels) as f64 / 2.0
    }

    /// Panels of hot channels.
    pub fn hot_panels(&self) -> usize {
        self.hot.div_ceil(dot::WIDTH)
    }
}

/// The number of channels, the fullest first, to multiply as bytes, after what that gains per
/// row. Pairs of the other channels remain sparse; hot with others costs a fixed part per
/// entry and one per hot channel.
fn best_hot(order: &[usize], share: &[f64], low: f64, simd: Simd) -> (f64, usize) {
    const PER_ENTRY: f64 = 5.0;
    let product = match simd {
        Simd::Avx512 => 0.006,
        Simd::Avx2 => 0.025,
        Simd::Scalar => 0.25,
    };
    let all: f64 = share.iter().sum();
    let (mut taken, mut best) = (0.0, (0.0, 0));
    for (i, &channel) in order.iter().enumerate() {
        taken += share[channel];
        let hot = i + 1;
        if hot.is_multiple_of(dot::WIDTH) || hot == order.len() {
            let width = hot.next_multiple_of(dot::WIDTH) as f64;
            let cold = all - taken;
            let cost = PAIR_COST * cold * cold / 2.0
                + product * width * width / 2.0
                + cold * (PER_ENTRY + 3.0 * product * width);
            let gain = low * (PAIR_COST * all * all / 2.0 - cost);
            if gain > best.0 {
                best = (gain, hot);
            }
        }
    }
    best
}
