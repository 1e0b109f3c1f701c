//! k-means with a weight per point.

use kalpha_core::{Ctx, StepError};
use kalpha_num::rng::Stream;
use kalpha_num::simd::{self, Kernel};

/// Restarts; the one with the least weighted distance is kept.
const RESTARTS: u32 = 6;
const MAX_ITERATIONS: usize = 100;

/// Points with weights: dose-normalised scores and counts of pixels.
pub(super) struct Points {
    pub(super) dimensions: usize,
    /// points x dimensions.
    pub(super) z: Vec<f64>,
    pub(super) dose: Vec<f64>,
}

impl Points {
    pub(super) fn len(&self) -> usize {
        self.dose.len()
    }

    pub(super) fn at(&self, i: usize) -> &[f64] {
        &self.z[i * self.dimensions..(i + 1) * self.dimensions]
    }

    /// The points `keep`, in that order.
    pub(super) fn select(&self, keep: &[usize]) -> Self {
        Self {
            dimensions: self.dimensions,
            z: keep.iter().flat_map(|&i| self.at(i).iter().copied()).collect(),
            dose: keep.iter().map(|&i| self.dose[i]).collect(),
        }
    }

    /// At most `size` points that hold counts, evenly drawn.
    pub(super) fn sample(&self, size: usize, seed: u64) -> Self {
        let mut keep: Vec<usize> = (0..self.len()).filter(|&i| self.dose[i] > 0.0).collect();
        if keep.len() > size {
            Stream::new(seed, "phases sample", 0).row(0).shuffle(&mut keep);
            keep.truncate(size);
            keep.sort_unstable();
        }
        self.select(&keep)
    }
}

pub(super) fn distance2(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// Index of the nearest centre and the squared distance to it.
pub(super) fn nearest(z: &[f64], centres: &[Vec<f64>]) -> (usize, f64) {
    let mut best = (0, f64::INFINITY);
    for (c, centre) in centres.iter().enumerate() {
        let d = distance2(z, centre);
        if d < best.1 {
            best = (c, d);
        }
    }
    best
}

/// Centres of `k` clusters, fewer where points coincide.
pub(super) fn kmeans(
    points: &Points,
    k: usize,
    ctx: &Ctx,
    pass: u32,
) -> Result<Vec<Vec<f64>>, StepError> {
    let mut best: (f64, Vec<Vec<f64>>) = (f64::INFINITY, Vec::new());
    let blocks = Blocks::new(points);
    for restart in 0..if k > 1 { RESTARTS } else { 1 } {
        let mut centres = seeds(points, k, ctx.seed(), pass * RESTARTS + restart);
        let mut last = f64::INFINITY;
        for _ in 0..MAX_ITERATIONS {
            ctx.checkpoint()?;
            let cost = lloyd(&blocks, &points.dose, &mut centres);
            if last - cost <= 1e-7 * cost.abs() {
                last = cost;
                break;
            }
            last = cost;
        }
        if last < best.0 || best.1.is_empty() {
            best = (last, centres);
        }
    }
    Ok(best.1)
}

/// k-means++ seeds: far points are likely, in proportion to weight and squared distance.
fn seeds(points: &Points, k: usize, seed: u64, pass: u32) -> Vec<Vec<f64>> {
    let mut draws = Stream::new(seed, "phases seeds", pass).row(0);
    let mut weight: Vec<f64> = points.dose.clone();
    let mut distance = vec![f64::INFINITY; points.len()];
    let mut centres: Vec<Vec<f64>> = Vec::with_capacity(k);
    while centres.len() < k {
        let total: f64 = weight.iter().sum();
        if total <= 0.0 {
            break;
        }
        let mut left = draws.uniform() * total;
        let drawn = weight.iter().position(|w| {
            left -= w;
            left < 0.0
        });
        let centre = points.at(drawn.unwrap_or(points.len() - 1)).to_vec();
        for i in 0..points.len() {
            distance[i] = distance[i].min(distance2(points.at(i), &centre));
            weight[i] = points.dose[i] * distance[i];
        }
        centres.push(centre);
    }
    if centres.is_empty() {
        centres.push(vec![0.0; points.dimensions]);
    }
    centres
}

/// Points worked on side by side.
const L: usize = 8;

/// Points in blocks of [`L`], dimension by dimension; the last block is filled up with zeros.
struct Blocks {
    dimensions: usize,
    /// blocks x dimensions.
    z: Vec<[f64; L]>,
}

impl Blocks {
    fn new(points: &Points) -> Self {
        let d = points.dimensions;
        let mut z = vec![[0.0; L]; points.len().div_ceil(L) * d];
        for i in 0..points.len() {
            for (j, x) in points.at(i).iter().enumerate() {
                z[i / L * d + j][i % L] = *x;
            }
        }
        Self { dimensions: d, z }
    }
}

/// The nearest centre of every point of a block, and the squared distance to it.
struct Nearest<'a> {
    blocks: &'a Blocks,
    centres: &'a [Vec<f64>],
    out: &'a mut [([u64; L], [f64; L])],
}

impl Kernel for Nearest<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let d = self.blocks.dimensions;
        for (z, out) in self.blocks.z.chunks_exact(d.max(1)).zip(self.out) {
            let (mut which, mut least) = ([0; L], [f64::INFINITY; L]);
            for (c, centre) in self.centres.iter().enumerate() {
                let mut distance = [0.0; L];
                for (z, x) in z.iter().zip(centre) {
                    for l in 0..L {
                        let apart = z[l] - x;
                        distance[l] += apart * apart;
                    }
                }
                for l in 0..L {
                    let nearer = distance[l] < least[l];
                    which[l] = if nearer { c as u64 } else { which[l] };
                    least[l] = if nearer { distance[l] } else { least[l] };
                }
            }
            *out = (which, least);
        }
    }
}

/// One iteration; returns the weighted cost before it.
fn lloyd(blocks: &Blocks, dose: &[f64], centres: &mut [Vec<f64>]) -> f64 {
    let d = blocks.dimensions;
    let mut nearest = vec![([0; L], [0.0; L]); dose.len().div_ceil(L)];
    simd::run(Nearest { blocks, centres, out: &mut nearest });
    let mut sums = vec![0.0; centres.len() * d];
    let mut weights = vec![0.0; centres.len()];
    let mut cost = 0.0;
    for (i, n) in dose.iter().enumerate() {
        let (b, l) = (i / L, i % L);
        let c = nearest[b].0[l] as usize;
        cost += n * nearest[b].1[l];
        weights[c] += n;
        let z = &blocks.z[b * d..(b + 1) * d];
        sums[c * d..(c + 1) * d].iter_mut().zip(z).for_each(|(s, z)| *s += n * z[l]);
    }
    for (c, centre) in centres.iter_mut().enumerate() {
        if weights[c] > 0.0 {
            centre.iter_mut().zip(&sums[c * d..]).for_each(|(x, s)| *x = s / weights[c]);
        }
    }
    cost
}

/// One iteration from scratch.
#[cfg(test)]
pub(super) fn moved(points: &Points, centres: &mut [Vec<f64>]) -> f64 {
    lloyd(&Blocks::new(points), &points.dose, centres)
}
