//! The inner loops of KL-NMF: abundances of one row of counts for given end-members, by
//! Newton's method.
//!
//! A row minimises `f(w) = sum_k s_k w_k - sum_c x_c ln(m_c)`, `m_c = sum_k w_k h_kc + known_c`,
//! over `w >= 0`. It is convex, with
//!
//! ```text
//! gradient_k = s_k - sum_c x_c / m_c h_kc      hessian_kl = sum_c x_c / m_c^2 h_kc h_lc
//! ```
//!
//! The quadratic model is minimised over `w >= 0` by an active set (Nocedal and Wright 2006,
//! ch. 16); a step that made `f` worse is shortened, and after that replaced by a step of
//! expectation-maximisation, which never does.
//!
//! Only non-zero counts are visited. End-members lie channel by channel (`[f64; W]`, padded to W
//! lanes), so one channel is one or two cache lines. The SIMD forms are the scalar form compiled
//! for AVX2 and AVX-512, with no fused operations: all give the same bits.

use super::table::{Fixed, Table};
use kalpha_core::{CellBuffer, Count, CsrView, ValuesView};
use kalpha_num::simd::Simd;

/// The model is never taken below this, so an impossible count costs much but not infinity.
const FLOOR: f64 = 1e-100;
/// A start that gives a count less than this share of a count is not used.
const UNLIKELY: f64 = 1e-7;
/// One step leaves at least this share of an end-member's value.
const SHRINK: f64 = 0.05;
/// What is left of a diagonal below this share of it counts as singular.
const RIDGE: f64 = 1e-11;

/// What to do with each row.
#[derive(Clone, Copy)]
pub(crate) enum Work<'a> {
    /// Abundances of highest likelihood.
    Solve {
        /// Cost of one unit of each abundance, rows x width; empty takes the table's norm.
        cost: &'a [f64],
        /// Stop when a step is bound to gain less log-likelihood than this.
        tolerance: f64,
        /// Most steps.
        steps: usize,
    },
    /// Abundances stay and the sums grow.
    Accumulate,
    /// Abundances of highest likelihood, then as `Accumulate`.
    Round {
        /// As of `Solve`.
        tolerance: f64,
        /// As of `Solve`.
        steps: usize,
    },
}

/// Sums over rows, for the end-members.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sums {
    /// `sum_r x / m w_k`, channels x width.
    pub pull: Vec<f64>,
    /// `sum_r x / m^2 w_k w_l`, channels x width x width; empty where it is not wanted.
    pub hessian: Vec<f64>,
    /// Likelihood.
    pub gains: Gains,
}

impl Sums {
    /// Sums of no rows.
    pub fn new(table: &Table) -> Self {
        let n = table.values.len();
        Self { pull: vec![0.0; n], hessian: vec![0.0; n * table.width], gains: Gains::default() }
    }

    /// Adds the sums of other rows.
    pub fn add(&mut self, other: &Self) {
        self.pull.iter_mut().zip(&other.pull).for_each(|(a, b)| *a += b);
        self.hessian.iter_mut().zip(&other.hessian).for_each(|(a, b)| *a += b);
        self.gains.add(other.gains);
    }
}

/// Sums over the rows of a cell.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gains {
    /// Sum of x ln(model).
    pub log: f64,
    /// Sum of the cost of the abundances, and of the known part.
    pub total: f64,
}

impl Gains {
    pub fn add(&mut self, other: Self) {
        self.log += other.log;
        self.total += other.total;
    }
}

/// Works on the rows of a cell. `w` holds rows x width values; `first` is the absolute first row.
///
/// The likelihood is returned; only `Accumulate` and `Round` touch the rest of `sums`.
pub(crate) fn rows(
    csr: CsrView<'_>,
    first: usize,
    table: &Table,
    fixed: Fixed<'_>,
    work: Work<'_>,
    w: &mut [f64],
    sums: &mut Sums,
) -> Gains {
    macro_rules! with {
        ($v:expr, $w:literal) => {
            dispatch::<_, $w>(csr, $v, first, table, fixed, work, w, sums)
        };
    }
    macro_rules! width {
        ($v:expr) => {
            match table.width {
                4 => with!($v, 4),
                8 => with!($v, 8),
                16 => with!($v, 16),
                32 => with!($v, 32),
                _ => with!($v, 64),
            }
        };
    }
    match csr.values {
        ValuesView::U8(v) => width!(v),
        ValuesView::U16(v) => width!(v),
        ValuesView::U32(v) => width!(v),
    }
}

fn dispatch<V: Count, const W: usize>(
    csr: CsrView<'_>,
    values: &[V],
    first: usize,
    table: &Table,
    fixed: Fixed<'_>,
    work: Work<'_>,
    w: &mut [f64],
    sums: &mut Sums,
) -> Gains {
    #[cfg(target_arch = "x86_64")]
    {
        if W > 4 && Simd::detect() >= Simd::Avx512 {
            // SAFETY: the CPU has AVX-512 F; the function has no other requirement.
            return unsafe { avx512::<V, W>(csr, values, first, table, fixed, work, w, sums) };
        }
        if Simd::detect() >= Simd::Avx2 {
            // SAFETY: the CPU has AVX2; the function has no other requirement.
            return unsafe { avx2::<V, W>(csr, values, first, table, fixed, work, w, sums) };
        }
    }
    plain::<V, W>(csr, values, first, table, fixed, work, w, sums)
}

macro_rules! compiled_for {
    ($name:ident, $features:literal) => {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = $features)]
        fn $name<V: Count, const W: usize>(
            csr: CsrView<'_>,
            values: &[V],
            first: usize,
            table: &Table,
            fixed: Fixed<'_>,
            work: Work<'_>,
            w: &mut [f64],
            sums: &mut Sums,
        ) -> Gains {
            plain::<V, W>(csr, values, first, table, fixed, work, w, sums)
        }
    };
}
compiled_for!(avx2, "avx2");
compiled_for!(avx512, "avx512f");

#[inline(always)]
fn plain<V: Count, const W: usize>(
    csr: CsrView<'_>,
    values: &[V],
    first: usize,
    table: &Table,
    fixed: Fixed<'_>,
    work: Work<'_>,
    w: &mut [f64],
    sums: &mut Sums,
) -> Gains {
    let (h, _) = table.values.as_chunks::<W>();
    let (w, _) = w.as_chunks_mut::<W>();
    let (pull, _) = sums.pull.as_chunks_mut::<W>();
    let (hessian, _) = sums.hessian.as_chunks_mut::<W>();
    let (hessian, _) = hessian.as_chunks_mut::<W>();
    let mut cost = [1.0; W];
    cost.copy_from_slice(&table.norm);
    let mut gains = Gains::default();
    let mut extra = Vec::new();
    for (r, w) in w.iter_mut().enumerate() {
        let entries = csr.entries(r);
        let channels = &csr.indices[entries.clone()];
        if fixed.parts > 0 {
            let amounts = fixed.of(first + r);
            extra.clear();
            extra.extend(channels.iter().map(|&c| fixed.at(amounts, usize::from(c))));
            gains.total += fixed.total(first + r);
        }
        let row = Row { channels, counts: &values[entries], h, extra: &extra };
        match work {
            Work::Solve { cost: own, tolerance, steps } => {
                if !own.is_empty() {
                    cost.copy_from_slice(&own[(first + r) * W..(first + r + 1) * W]);
                }
                if channels.is_empty() {
                    *w = [0.0; W];
                    continue;
                }
                gains.log += row.solve(w, &cost, table.components, tolerance, steps);
            }
            Work::Accumulate => gains.log += row.accumulate(w, table.components, pull, hessian),
            Work::Round { tolerance, steps } => {
                if channels.is_empty() {
                    *w = [0.0; W];
                    continue;
                }
                row.solve(w, &cost, table.components, tolerance, steps);
                gains.log += row.accumulate(w, table.components, pull, hessian);
            }
        }
        gains.total += (0..W).map(|j| w[j] * cost[j]).sum::<f64>();
    }
    gains
}

/// Sum of the lanes, always in the same order.
#[inline(always)]
fn sum<const W: usize>(mut x: [f64; W]) -> f64 {
    let mut n = W / 2;
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
    product: f64,
}

impl LogSum {
    const EMPTY: Self = Self { log: 0.0, product: 1.0 };

    #[inline(always)]
    fn add(&mut self, x: f64, m: f64) {
        if x == 1.0 {
            self.product *= m;
        } else if x == 2.0 {
            self.flush();
            self.product *= m * m;
        } else {
            self.log += x * m.ln();
        }
        self.flush();
    }

    #[inline(always)]
    fn flush(&mut self) {
        if !(1e-90..1e90).contains(&self.product) {
            self.log += self.product.ln();
            self.product = 1.0;
        }
    }

    #[inline(always)]
    fn total(self) -> f64 {
        self.log + self.product.ln()
    }
}

/// Gradient and curvature of a row at some abundances.
struct Slope<const W: usize> {
    /// `sum x ln m`.
    log: f64,
    /// The least model at a count.
    least: f64,
    /// `sum x / m h`.
    pull: [f64; W],
    /// `sum x / m^2 h h'`.
    hessian: [[f64; W]; W],
}

struct Row<'a, V, const W: usize> {
    channels: &'a [u16],
    counts: &'a [V],
    h: &'a [[f64; W]],
    /// The known part of the model at each entry; empty for none.
    extra: &'a [f64],
}

impl<V: Count, const W: usize> Row<'_, V, W> {
    /// The model in channel `c`, which is entry `i`.
    #[inline(always)]
    fn model(&self, i: usize, c: usize, w: &[f64; W]) -> f64 {
        let h = &self.h[c];
        let mut p = [0.0; W];
        for j in 0..W {
            p[j] = w[j] * h[j];
        }
        let extra = if self.extra.is_empty() { 0.0 } else { self.extra[i] };
        (sum(p) + extra).max(FLOOR)
    }

    #[inline(always)]
    fn slope(&self, w: &[f64; W], components: usize, slope: &mut Slope<W>) {
        // A width known to the compiler keeps the sums of narrow tables in registers.
        let lines = if W <= 8 { W } else { components };
        let mut pull = [0.0; W];
        let mut hessian = [[0.0; W]; W];
        let mut least = f64::INFINITY;
        let mut log = LogSum::EMPTY;
        for (i, (c, x)) in self.channels.iter().zip(self.counts).enumerate() {
            let (c, x) = (usize::from(*c), f64::from(x.get()));
            let m = self.model(i, c, w);
            let h = &self.h[c];
            least = if m < least { m } else { least };
            let inverse = 1.0 / m;
            let q = x * inverse;
            let p = q * inverse;
            for j in 0..W {
                pull[j] += q * h[j];
            }
            for j in 0..lines {
                let a = p * h[j];
                for l in 0..W {
                    hessian[j][l] += a * h[l];
                }
            }
            log.add(x, m);
        }
        *slope = Slope { log: log.total(), least, pull, hessian };
    }

    /// Abundances of least `f`; returns `sum x ln m` there.
    #[inline(always)]
    fn solve(
        &self,
        w: &mut [f64; W],
        cost: &[f64; W],
        components: usize,
        tolerance: f64,
        steps: usize,
    ) -> f64 {
        let mut slope = Slope { log: 0.0, least: 0.0, pull: [0.0; W], hessian: [[0.0; W]; W] };
        let total = |w: &[f64; W]| (0..components).map(|k| w[k] * cost[k]).sum::<f64>();
        let (mut best, mut value, mut em) = (*w, f64::INFINITY, *w);
        let (mut halvings, mut least) = (0, 0.0);
        for step in 0.. {
            self.slope(w, components, &mut slope);
            if step == 0 && (slope.least < UNLIKELY || total(w) <= 0.0) {
                // From nothing, or from a start that rules a count out, Newton's method takes
                // long to leave. A known part may hide that.
                let n: f64 = self.counts.iter().map(|x| f64::from(x.get())).sum();
                for k in 0..components {
                    w[k] = if cost[k] > 0.0 { n / (components as f64 * cost[k]) } else { w[k] };
                }
                self.slope(w, components, &mut slope);
            }
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
    fn accumulate(
        &self,
        w: &[f64; W],
        components: usize,
        pull: &mut [[f64; W]],
        hessian: &mut [[[f64; W]; W]],
    ) -> f64 {
        let lines = if W <= 8 { W } else { components };
        let mut log = LogSum::EMPTY;
        for (i, (c, x)) in self.channels.iter().zip(self.counts).enumerate() {
            let (c, x) = (usize::from(*c), f64::from(x.get()));
            let m = self.model(i, c, w);
            let inverse = 1.0 / m;
            let q = x * inverse;
            let pull = &mut pull[c];
            for j in 0..W {
                pull[j] += q * w[j];
            }
            if !hessian.is_empty() {
                let p = q * inverse;
                let hessian = &mut hessian[c];
                for j in 0..lines {
                    let a = p * w[j];
                    for l in 0..W {
                        hessian[j][l] += a * w[l];
                    }
                }
            }
            log.add(x, m);
        }
        log.total()
    }
}

/// One step of Newton's method for the end-members, channel by channel. `cost` is the sum of each
/// abundance.
pub(crate) fn channels(table: &mut Table, cost: &[f64], sums: &Sums) {
    fn of<const W: usize>(table: &mut Table, cost: &[f64], sums: &Sums) {
        let components = table.components;
        let (values, _) = table.values.as_chunks_mut::<W>();
        let (pull, _) = sums.pull.as_chunks::<W>();
        let (hessian, _) = sums.hessian.as_chunks::<W>();
        let (hessian, _) = hessian.as_chunks::<W>();
        let mut own = [1.0; W];
        own.copy_from_slice(cost);
        for ((h, pull), hessian) in values.iter_mut().zip(pull).zip(hessian) {
            if pull.iter().all(|p| *p == 0.0) {
                *h = [0.0; W];
                continue;
            }
            let slope = Slope { log: 0.0, least: 0.0, pull: *pull, hessian: *hessian };
            let old = *h;
            newton(h, &own, &slope, components);
            // The quadratic model does not know that a row may hang on this value alone.
            for k in 0..components {
                h[k] = h[k].max(SHRINK * old[k]);
            }
        }
    }
    match table.width {
        4 => of::<4>(table, cost, sums),
        8 => of::<8>(table, cost, sums),
        16 => of::<16>(table, cost, sums),
        32 => of::<32>(table, cost, sums),
        _ => of::<64>(table, cost, sums),
    }
}

/// Moves `w` to the minimum of the quadratic model over `w >= 0`; returns the gain it promises.
#[inline(always)]
fn newton<const W: usize>(
    w: &mut [f64; W],
    cost: &[f64; W],
    slope: &Slope<W>,
    components: usize,
) -> f64 {
    let start = *w;
    let mut gradient = [0.0; W];
    let mut largest = 0.0f64;
    for k in 0..components {
        gradient[k] = cost[k] - slope.pull[k];
        largest = largest.max(slope.hessian[k][k]);
    }
    if largest <= 0.0 {
        return 0.0;
    }
    // Free are those above zero and those that want to rise.
    let mut free = [false; W];
    for k in 0..components {
        free[k] = w[k] > 0.0 || gradient[k] < 0.0;
    }
    for _ in 0..3 * components {
        // Gradient of the model where we are.
        let mut here = gradient;
        for k in 0..components {
            for l in 0..components {
                here[k] += slope.hessian[k][l] * (w[l] - start[l]);
            }
        }
        let mut index = [0usize; W];
        let mut n = 0;
        for k in 0..components {
            if free[k] {
                index[n] = k;
                n += 1;
            }
        }
        let Some(step) = descend::<W>(slope, &here, &index[..n]) else { break };
        let (mut share, mut blocked) = (1.0, None);
        for (i, &k) in index[..n].iter().enumerate() {
            if step[i] < 0.0 && w[k] + share * step[i] < 0.0 {
                share = w[k] / -step[i];
                blocked = Some(k);
            }
        }
        for (i, &k) in index[..n].iter().enumerate() {
            w[k] = (w[k] + share * step[i]).max(0.0);
        }
        if let Some(k) = blocked {
            w[k] = 0.0;
            free[k] = false;
            continue;
        }
        // Whoever is held at zero and wants to rise is set free.
        let mut least = (-1e-9, None);
        for k in 0..components {
            if !free[k] {
                let mut g = gradient[k];
                for l in 0..components {
                    g += slope.hessian[k][l] * (w[l] - start[l]);
                }
                let g = g / cost[k].abs().max(1e-300);
                if g < least.0 {
                    least = (g, Some(k));
                }
            }
        }
        match least.1 {
            Some(k) => free[k] = true,
            None => break,
        }
    }
    let mut gain = 0.0;
    for k in 0..components {
        let d = w[k] - start[k];
        gain -= gradient[k] * d;
        for l in 0..components {
            gain -= 0.5 * slope.hessian[k][l] * d * (w[l] - start[l]);
        }
    }
    gain
}

/// `-H^-1 g` over the free components, by Cholesky; `None` where there is none.
#[inline(always)]
fn descend<const W: usize>(
    slope: &Slope<W>,
    gradient: &[f64; W],
    free: &[usize],
) -> Option<[f64; W]> {
    let n = free.len();
    if n == 0 {
        return None;
    }
    let mut factor = [[0.0; W]; W];
    for i in 0..n {
        // Relative to its own curvature: one impossible count may give another component 1e100
        // times as much.
        let ridge = (RIDGE * slope.hessian[free[i]][free[i]]).max(1e-200);
        for j in 0..=i {
            let mut sum = slope.hessian[free[i]][free[j]];
            if i == j {
                sum += ridge;
            }
            for l in 0..j {
                sum -= factor[i][l] * factor[j][l];
            }
            factor[i][j] = if i == j { sum.max(ridge).sqrt() } else { sum / factor[j][j] };
        }
    }
    let mut x = [0.0; W];
    for i in 0..n {
        let mut sum = -gradient[free[i]];
        for l in 0..i {
            sum -= factor[i][l] * x[l];
        }
        x[i] = sum / factor[i][i];
    }
    for i in (0..n).rev() {
        let mut sum = x[i];
        for l in i + 1..n {
            sum -= factor[l][i] * x[l];
        }
        x[i] = sum / factor[i][i];
    }
    Some(x)
}

/// Sparse rows of a cell, whatever its storage.
pub(crate) fn csr_of<'b>(
    cell: &'b kalpha_core::Cell<'_>,
    buffer: &'b mut CellBuffer,
) -> CsrView<'b> {
    cell.to_csr(buffer)
}

#[cfg(test)]
mod tests;
