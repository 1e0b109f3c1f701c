//! One row of counts: its channels' end-members side by side, eight counts at a time.

use super::super::table::{Fixed, Table};
use super::newton::{Slope, newton};
use kalpha_core::{Count, ValuesView};
use std::ops::Range;

/// Counts worked on at once.
const L: usize = 8;
/// One value for each of them.
type Lanes = [f64; L];

/// The model is never taken below this, so an impossible count costs much but not infinity.
const FLOOR: f64 = 1e-100;
/// A start that gives a count less than this share of a count is not used.
const UNLIKELY: f64 = 1e-7;
/// Counts from here on have their logarithm taken; smaller powers are multiplied up.
const MANY: u64 = 8;
/// A product of powers outside this range goes into the logarithm.
const PRODUCT: Range<f64> = 1e-150..1e150;
/// Most components whose sums all stay in registers.
const FEW: usize = 4;

/// The non-zero counts of a row and what the model needs of their channels.
///
/// The last block is filled up with entries of no counts in a channel where the known part is 1.
#[derive(Default)]
pub(crate) struct Row {
    components: usize,
    blocks: usize,
    /// components x blocks.
    h: Vec<Lanes>,
    counts: Vec<Lanes>,
    /// Counts below [`MANY`], 0 for others.
    small: Vec<[u64; L]>,
    /// Entries with [`MANY`] counts or more.
    large: Vec<usize>,
    /// The known part of the model.
    known: Vec<Lanes>,
    /// `x / m` and `x / m^2`.
    first: Vec<Lanes>,
    second: Vec<Lanes>,
    products: Vec<Lanes>,
}

impl Row {
    /// Takes the counts of a row. Nothing else is known of it until [`Row::know`].
    #[inline(always)]
    pub(super) fn load<V: Count>(&mut self, table: &Table, channels: &[u16], counts: &[V]) {
        let components = table.components;
        let n = channels.len();
        let blocks = n.div_ceil(L);
        (self.components, self.blocks) = (components, blocks);
        self.h.resize(components * blocks, [0.0; L]);
        self.counts.resize(blocks, [0.0; L]);
        self.small.resize(blocks, [0; L]);
        self.known.clear();
        self.known.resize(blocks, [0.0; L]);
        self.first.resize(blocks, [0.0; L]);
        self.second.resize(blocks, [0.0; L]);
        self.products.resize(blocks, [0.0; L]);
        self.large.clear();
        for k in 0..components {
            let gathered = self.h[k * blocks..(k + 1) * blocks].as_flattened_mut();
            let column = table.columns.of(k);
            for (out, &c) in gathered.iter_mut().zip(channels) {
                *out = column[usize::from(c)];
            }
            gathered[n..].fill(0.0);
        }
        let (x, small) = (self.counts.as_flattened_mut(), self.small.as_flattened_mut());
        let mut most = 0;
        for ((x, small), count) in x.iter_mut().zip(&mut *small).zip(counts) {
            let count = count.get();
            most = most.max(count);
            *x = f64::from(count);
            *small = if u64::from(count) < MANY { u64::from(count) } else { 0 };
        }
        x[n..].fill(0.0);
        small[n..].fill(0);
        self.known.as_flattened_mut()[n..].fill(1.0);
        if u64::from(most) >= MANY {
            let many = counts.iter().enumerate().filter(|(_, x)| u64::from(x.get()) >= MANY);
            self.large.extend(many.map(|(i, _)| i));
        }
    }

    /// The same from stored counts of any type.
    #[inline(always)]
    pub(super) fn load_of(
        &mut self,
        table: &Table,
        channels: &[u16],
        counts: ValuesView<'_>,
        entries: Range<usize>,
    ) {
        match counts {
            ValuesView::U8(v) => self.load(table, channels, &v[entries]),
            ValuesView::U16(v) => self.load(table, channels, &v[entries]),
            ValuesView::U32(v) => self.load(table, channels, &v[entries]),
        }
    }

    /// Adds a known part: `amounts` of the spectra of `fixed`.
    #[inline(always)]
    pub(super) fn know(&mut self, channels: &[u16], fixed: Fixed<'_>, amounts: &[f64]) {
        let known = self.known.as_flattened_mut();
        for (q, a) in amounts.iter().enumerate() {
            let column = fixed.columns.of(q);
            for (known, &c) in known.iter_mut().zip(channels) {
                *known += a * column[usize::from(c)];
            }
        }
    }

    /// The model in block `b`.
    #[inline(always)]
    fn model<const W: usize>(&self, b: usize, w: &[f64; W]) -> Lanes {
        let mut m = self.known[b];
        for k in 0..self.components {
            let h = &self.h[k * self.blocks + b];
            for l in 0..L {
                m[l] += w[k] * h[l];
            }
        }
        for l in 0..L {
            m[l] = if m[l] > FLOOR { m[l] } else { FLOOR };
        }
        m
    }

    /// Adds `x ln m` of the entries with many counts.
    #[inline(always)]
    fn log_of_large<const W: usize>(&self, w: &[f64; W]) -> f64 {
        let mut log = 0.0;
        for &i in &self.large {
            let (b, l) = (i / L, i % L);
            log += self.counts[b][l] * self.model(b, w)[l].ln();
        }
        log
    }

    #[inline(always)]
    pub(super) fn slope<const W: usize>(&mut self, w: &[f64; W], slope: &mut Slope<W>) {
        // Narrow tables hold few components, wide ones many.
        if W > FEW {
            return self.slope_of_many(w, slope);
        }
        match self.components {
            1 => self.slope_of_few::<1, W>(w, slope),
            2 => self.slope_of_few::<2, W>(w, slope),
            3 => self.slope_of_few::<3, W>(w, slope),
            _ => self.slope_of_few::<FEW, W>(w, slope),
        }
    }

    /// The slope with the logarithms of a prior.
    #[inline(always)]
    fn slope_with<const W: usize>(&mut self, w: &[f64; W], pull: &[f64], slope: &mut Slope<W>) {
        self.slope(w, slope);
        for (k, pull) in pull.iter().enumerate().filter(|(_, pull)| **pull > 0.0) {
            slope.log += pull * w[k].ln();
            slope.pull[k] += pull / w[k];
            slope.hessian[k][k] += pull / (w[k] * w[k]);
        }
    }

    /// K components, all sums in registers.
    #[inline(always)]
    fn slope_of_few<const K: usize, const W: usize>(&mut self, w: &[f64; W], slope: &mut Slope<W>) {
        let (mut pull, mut hessian) = ([[0.0; L]; K], [[[0.0; L]; K]; K]);
        let mut least = [f64::INFINITY; L];
        let mut log = LogSum::EMPTY;
        let blocks = self.blocks;
        for b in 0..blocks {
            let m = self.model(b, w);
            let x = &self.counts[b];
            let (mut q, mut p) = ([0.0; L], [0.0; L]);
            for l in 0..L {
                least[l] = if m[l] < least[l] { m[l] } else { least[l] };
                let inverse = 1.0 / m[l];
                q[l] = x[l] * inverse;
                p[l] = q[l] * inverse;
            }
            for k in 0..K {
                let h = &self.h[k * blocks + b];
                let mut t = [0.0; L];
                for l in 0..L {
                    pull[k][l] += q[l] * h[l];
                    t[l] = p[l] * h[l];
                }
                for j in 0..=k {
                    let other = &self.h[j * blocks + b];
                    for l in 0..L {
                        hessian[k][j][l] += t[l] * other[l];
                    }
                }
            }
            log.add(&m, x, &self.small[b]);
        }
        slope.log = log.total() + self.log_of_large(w);
        slope.least = least.into_iter().fold(f64::INFINITY, f64::min);
        for k in 0..K {
            slope.pull[k] = sum(pull[k]);
            for j in 0..=k {
                slope.hessian[k][j] = sum(hessian[k][j]);
            }
        }
    }

    /// Weights of all counts at `w`; returns `sum x ln m` and the least model.
    #[inline(always)]
    fn weigh<const W: usize>(&mut self, w: &[f64; W]) -> (f64, f64) {
        let mut least = [f64::INFINITY; L];
        let mut log = LogSum::EMPTY;
        for b in 0..self.blocks {
            let m = self.model(b, w);
            let x = &self.counts[b];
            log.add(&m, x, &self.small[b]);
            let (q, p) = (&mut self.first[b], &mut self.second[b]);
            for l in 0..L {
                least[l] = if m[l] < least[l] { m[l] } else { least[l] };
                let inverse = 1.0 / m[l];
                q[l] = x[l] * inverse;
                p[l] = q[l] * inverse;
            }
        }
        let log = log.total() + self.log_of_large(w);
        (log, least.into_iter().fold(f64::INFINITY, f64::min))
    }

    #[inline(always)]
    fn slope_of_many<const W: usize>(&mut self, w: &[f64; W], slope: &mut Slope<W>) {
        /// Sums made at once: one alone would wait for its own additions.
        const AT_ONCE: usize = 4;
        (slope.log, slope.least) = self.weigh(w);
        let blocks = self.blocks;
        let of = |k: usize| k * blocks..(k + 1) * blocks;
        for k in 0..self.components {
            let h = &self.h[of(k)];
            let mut pull = [0.0; L];
            for b in 0..blocks {
                let (q, p, t) = (&self.first[b], &self.second[b], &mut self.products[b]);
                for l in 0..L {
                    pull[l] += q[l] * h[b][l];
                    t[l] = p[l] * h[b][l];
                }
            }
            slope.pull[k] = sum(pull);
            for from in (0..=k).step_by(AT_ONCE) {
                let mut sums = [[0.0; L]; AT_ONCE];
                let others: [&[Lanes]; AT_ONCE] =
                    std::array::from_fn(|j| &self.h[of((from + j).min(k))]);
                for b in 0..blocks {
                    let t = &self.products[b];
                    for j in 0..AT_ONCE {
                        for l in 0..L {
                            sums[j][l] += t[l] * others[j][b][l];
                        }
                    }
                }
                for j in 0..AT_ONCE.min(k + 1 - from) {
                    slope.hessian[k][from + j] = sum(sums[j]);
                }
            }
        }
    }

    /// Abundances of least `f`; returns `sum x ln m` there.
    ///
    /// `pull` are the weights of a term `- pull_k ln w_k`, such as a gamma prior has; empty for
    /// none, else `w` starts above zero.
    #[inline(always)]
    pub(super) fn solve<const W: usize>(
        &mut self,
        w: &mut [f64; W],
        cost: &[f64; W],
        pull: &[f64],
        tolerance: f64,
        steps: usize,
    ) -> f64 {
        let components = self.components;
        if self.blocks == 0 && pull.is_empty() {
            *w = [0.0; W];
            return 0.0;
        }
        let mut slope = Slope { log: 0.0, least: 0.0, pull: [0.0; W], hessian: [[0.0; W]; W] };
        let total = |w: &[f64; W]| (0..components).map(|k| w[k] * cost[k]).sum::<f64>();
        let (mut best, mut value, mut em) = (*w, f64::INFINITY, *w);
        let (mut halvings, mut least) = (0, 0.0);
        let mut restarted = false;
        let mut next = 0;
        loop {
            self.slope_with(w, pull, &mut slope);
            if next == 0 && !restarted && (slope.least < UNLIKELY || total(w) <= 0.0) {
                // From nothing, or from a start that rules a count out, Newton's method takes
                // long to leave. A known part may hide that.
                let n: f64 = self.counts.as_flattened().iter().sum();
                for k in 0..components {
                    w[k] = if cost[k] > 0.0 { n / (components as f64 * cost[k]) } else { w[k] };
                }
                restarted = true;
                continue;
            }
            let step = next;
            next += 1;
            let here = total(w) - slope.log;
            // A step that all but rules a count out may still pay elsewhere; it would take long to
            // come back from.
            let ruled_out = slope.least < UNLIKELY * least;
            if here > value + 1e-9 * (1.0 + value.abs()) || here.is_nan() || ruled_out {
                if step >= 2 * steps || halvings >= 3 {
                    break;
                }
                halvings += 1;
                for k in 0..components {
                    w[k] = match halvings {
                        // What hangs on one component alone keeps it from zero.
                        1 => w[k].max(0.1 * best[k]),
                        2 => best[k] + 0.2 * (w[k] - best[k]),
                        _ => em[k],
                    };
                }
                continue;
            }
            (best, value, halvings, least) = (*w, here, 0, slope.least);
            if step >= steps {
                break;
            }
            for k in 0..components {
                em[k] = if cost[k] > 0.0 { w[k] * slope.pull[k] / cost[k] } else { w[k] };
            }
            let gain = newton(w, cost, &slope, components);
            for (k, pull) in pull.iter().enumerate() {
                // The logarithm keeps it from zero.
                w[k] = if *pull > 0.0 { w[k].max(0.1 * best[k]) } else { w[k] };
            }
            if gain < tolerance {
                let log = slope.log + gain + total(w) - total(&best);
                return log;
            }
        }
        *w = best;
        total(&best) - value
    }

    /// Adds the row to the sums over rows; returns the sum of x ln m.
    #[inline(always)]
    pub(super) fn accumulate<const W: usize>(
        &mut self,
        w: &[f64; W],
        channels: &[u16],
        pull: &mut [[f64; W]],
        hessian: &mut [[[f64; W]; W]],
    ) -> f64 {
        let (log, _) = self.weigh(w);
        let q = self.first.as_flattened();
        for (&c, q) in channels.iter().zip(q) {
            let pull = &mut pull[usize::from(c)];
            for j in 0..W {
                pull[j] += q * w[j];
            }
        }
        if hessian.is_empty() {
            return log;
        }
        // A width known to the compiler is unrolled.
        let lines = if W <= 8 { W } else { self.components };
        let mut square = [[0.0; W]; W];
        for j in 0..lines {
            for l in 0..W {
                square[j][l] = w[j] * w[l];
            }
        }
        let p = self.second.as_flattened();
        for (&c, p) in channels.iter().zip(p) {
            let hessian = &mut hessian[usize::from(c)];
            for j in 0..lines {
                for l in 0..W {
                    hessian[j][l] += p * square[j][l];
                }
            }
        }
        log
    }
}

/// Sum of the lanes, always in the same order.
#[inline(always)]
fn sum(mut x: Lanes) -> f64 {
    let mut n = L / 2;
    while n > 0 {
        for j in 0..n {
            x[j] += x[j + n];
        }
        n /= 2;
    }
    x[0]
}

/// Sum of `x ln(m)` with few logarithms: small powers are multiplied up first.
struct LogSum {
    log: f64,
    product: Lanes,
}

impl LogSum {
    const EMPTY: Self = Self { log: 0.0, product: [1.0; L] };

    /// Adds a block; `small` are its counts, or 0 for those that are added elsewhere.
    #[inline(always)]
    fn add(&mut self, m: &Lanes, x: &Lanes, small: &[u64; L]) {
        let mut next = self.product;
        for l in 0..L {
            let (m2, m4) = (m[l] * m[l], (m[l] * m[l]) * (m[l] * m[l]));
            next[l] *= if small[l] & 1 != 0 { m[l] } else { 1.0 };
            next[l] *= if small[l] & 2 != 0 { m2 } else { 1.0 };
            next[l] *= if small[l] & 4 != 0 { m4 } else { 1.0 };
        }
        let mut inside = true;
        for l in 0..L {
            inside &= next[l] > PRODUCT.start && next[l] < PRODUCT.end;
        }
        if inside {
            self.product = next;
            return;
        }
        for l in 0..L {
            self.log += self.product[l].ln();
            self.product[l] = 1.0;
            if small[l] > 0 {
                self.log += x[l] * m[l].ln();
            }
        }
    }

    #[inline(always)]
    fn total(self) -> f64 {
        let (mut log, mut all) = (self.log, 1.0f64);
        for product in self.product {
            all *= product;
            if !PRODUCT.contains(&all) {
                log += all.ln();
                all = 1.0;
            }
        }
        log + all.ln()
    }
}
