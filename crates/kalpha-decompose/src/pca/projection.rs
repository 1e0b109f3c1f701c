//! Spectra to scores.

use kalpha_core::{Cell, CellData, Count, Map, ValuesView};

/// Channels side by side in a block of scores.
const LANES: usize = 4;

/// Score_k = sum_c (x_c - mean_c) p_kc, from the non-zero values alone.
///
/// The sum runs over ascending channels in f64, so dense and sparse rows give the same bits.
#[derive(Clone, Debug)]
pub struct Projection {
    k: usize,
    /// Per channel, `blocks` blocks of `LANES` factors.
    factors: Vec<[f64; LANES]>,
    blocks: usize,
    /// Scores of the mean, taken off each row.
    offset: Vec<f64>,
}

impl Projection {
    /// From one factor per channel for each score.
    pub fn new(projection: &[Vec<f64>], mean: &[f64]) -> Self {
        let k = projection.len();
        let (blocks, channels) = (k.div_ceil(LANES), projection.first().map_or(0, Vec::len));
        let mut factors = vec![[0.0; LANES]; blocks * channels];
        for (j, row) in projection.iter().enumerate() {
            for (c, &p) in row.iter().enumerate() {
                factors[c * blocks + j / LANES][j % LANES] = p;
            }
        }
        let offset =
            projection.iter().map(|row| row.iter().zip(mean).map(|(p, m)| p * m).sum()).collect();
        Self { k, factors, blocks, offset }
    }

    /// Number of scores.
    pub fn scores(&self) -> usize {
        self.k
    }

    #[inline(always)]
    fn add(&self, sums: &mut [[f64; LANES]], channel: usize, x: f64) {
        let factors = &self.factors[channel * self.blocks..(channel + 1) * self.blocks];
        for (sum, factor) in sums.iter_mut().zip(factors) {
            for lane in 0..LANES {
                sum[lane] += x * factor[lane];
            }
        }
    }

    /// Sparse rows, with `B` blocks of sums in registers.
    #[inline(always)]
    fn sparse<V: Count, const B: usize>(&self, indices: &[u16], values: &[V], out: &mut [f64]) {
        let mut sums = [[0.0; LANES]; B];
        for (&channel, value) in indices.iter().zip(values) {
            self.add(&mut sums, usize::from(channel), f64::from(value.get()));
        }
        out.copy_from_slice(&sums.as_flattened()[..self.k]);
    }

    fn row<V: Count>(
        &self,
        indices: &[u16],
        values: &[V],
        sums: &mut [[f64; LANES]],
        out: &mut [f64],
    ) {
        match self.blocks {
            1 => self.sparse::<V, 1>(indices, values, out),
            2 => self.sparse::<V, 2>(indices, values, out),
            3 => self.sparse::<V, 3>(indices, values, out),
            5 => self.sparse::<V, 5>(indices, values, out),
            _ => {
                sums.fill([0.0; LANES]);
                for (&channel, value) in indices.iter().zip(values) {
                    self.add(sums, usize::from(channel), f64::from(value.get()));
                }
                out.copy_from_slice(&sums.as_flattened()[..self.k]);
            }
        }
    }
}

impl Map for Projection {
    type Scratch = Vec<[f64; LANES]>;

    fn apply(&self, cell: &Cell<'_>, out: &mut [f64], sums: &mut Vec<[f64; LANES]>) {
        if self.k == 0 {
            return;
        }
        sums.clear();
        if let CellData::Csr(view) = cell.data {
            sums.resize(self.blocks, [0.0; LANES]);
            for (r, out) in out.chunks_exact_mut(self.k).enumerate() {
                let entries = view.entries(r);
                let indices = &view.indices[entries.clone()];
                match view.values {
                    ValuesView::U8(v) => self.row(indices, &v[entries], sums, out),
                    ValuesView::U16(v) => self.row(indices, &v[entries], sums, out),
                    ValuesView::U32(v) => self.row(indices, &v[entries], sums, out),
                }
            }
        } else {
            sums.resize(self.blocks * cell.rows, [0.0; LANES]);
            cell.for_each_nonzero(|r, c, x| {
                self.add(&mut sums[r * self.blocks..(r + 1) * self.blocks], c, x);
            });
            for (out, sums) in out.chunks_exact_mut(self.k).zip(sums.chunks_exact(self.blocks)) {
                out.copy_from_slice(&sums.as_flattened()[..self.k]);
            }
        }
        for out in out.chunks_exact_mut(self.k) {
            out.iter_mut().zip(&self.offset).for_each(|(score, m)| *score -= m);
        }
    }
}
