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
//! lanes). Those of a row's channels are gathered once, then eight counts are worked on side by
//! side ([`row`]). The SIMD forms are the scalar form compiled for AVX2 and AVX-512, with no fused
//! operations: all give the same bits.

mod newton;
mod row;

use super::table::{Fixed, Table};
use kalpha_core::{CellBuffer, CsrView};
use kalpha_num::simd::{self, Kernel, Simd};
use newton::{Slope, newton};
pub(crate) use row::Row;

/// One step leaves at least this share of an end-member's value.
const SHRINK: f64 = 0.05;

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
        ($w:literal) => {
            dispatch::<$w>(csr, first, table, fixed, work, w, sums)
        };
    }
    match table.width {
        4 => with!(4),
        8 => with!(8),
        16 => with!(16),
        32 => with!(32),
        _ => with!(64),
    }
}

fn dispatch<const W: usize>(
    csr: CsrView<'_>,
    first: usize,
    table: &Table,
    fixed: Fixed<'_>,
    work: Work<'_>,
    w: &mut [f64],
    sums: &mut Sums,
) -> Gains {
    #[cfg(target_arch = "x86_64")]
    {
        if Simd::detect() >= Simd::Avx512 {
            // SAFETY: the CPU has AVX-512 F; the function has no other requirement.
            return unsafe { avx512::<W>(csr, first, table, fixed, work, w, sums) };
        }
        if Simd::detect() >= Simd::Avx2 {
            // SAFETY: the CPU has AVX2; the function has no other requirement.
            return unsafe { avx2::<W>(csr, first, table, fixed, work, w, sums) };
        }
    }
    plain::<W>(csr, first, table, fixed, work, w, sums)
}

macro_rules! compiled_for {
    ($name:ident, $features:literal) => {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = $features)]
        fn $name<const W: usize>(
            csr: CsrView<'_>,
            first: usize,
            table: &Table,
            fixed: Fixed<'_>,
            work: Work<'_>,
            w: &mut [f64],
            sums: &mut Sums,
        ) -> Gains {
            plain::<W>(csr, first, table, fixed, work, w, sums)
        }
    };
}
compiled_for!(avx2, "avx2");
compiled_for!(avx512, "avx512f");

#[inline(always)]
fn plain<const W: usize>(
    csr: CsrView<'_>,
    first: usize,
    table: &Table,
    fixed: Fixed<'_>,
    work: Work<'_>,
    w: &mut [f64],
    sums: &mut Sums,
) -> Gains {
    let (w, _) = w.as_chunks_mut::<W>();
    let (pull, _) = sums.pull.as_chunks_mut::<W>();
    let (hessian, _) = sums.hessian.as_chunks_mut::<W>();
    let (hessian, _) = hessian.as_chunks_mut::<W>();
    let mut cost = [1.0; W];
    cost.copy_from_slice(&table.norm);
    let mut gains = Gains::default();
    let mut row = Row::default();
    for (r, w) in w.iter_mut().enumerate() {
        let entries = csr.entries(r);
        let channels = &csr.indices[entries.clone()];
        if fixed.parts > 0 {
            gains.total += fixed.total(first + r);
        }
        if channels.is_empty() && !matches!(work, Work::Accumulate) {
            *w = [0.0; W];
            continue;
        }
        row.load_of(table, channels, csr.values, entries);
        if fixed.parts > 0 {
            row.know(channels, fixed, fixed.of(first + r));
        }
        // One place each for the large bodies of `solve` and `accumulate`.
        if let Work::Solve { cost: own, .. } = work
            && !own.is_empty()
        {
            cost.copy_from_slice(&own[(first + r) * W..(first + r + 1) * W]);
        }
        let mut log = 0.0;
        if let Work::Solve { tolerance, steps, .. } | Work::Round { tolerance, steps } = work {
            log = row.solve(w, &cost, &[], tolerance, steps);
        }
        if let Work::Accumulate | Work::Round { .. } = work {
            log = row.accumulate(w, channels, pull, hessian);
        }
        gains.log += log;
        gains.total += (0..W).map(|j| w[j] * cost[j]).sum::<f64>();
    }
    gains
}

/// One row of counts, alone.
#[derive(Clone, Copy)]
pub(crate) struct Single<'a> {
    /// End-members.
    pub table: &'a Table,
    /// Channels with counts, each once.
    pub channels: &'a [u16],
    /// Counts in them.
    pub counts: &'a [u32],
    /// The known part of the model and its amounts here.
    pub fixed: (Fixed<'a>, &'a [f64]),
}

/// A fit of abundances to it. All slices are as wide as the table.
pub(crate) struct Fit {
    /// Cost of one unit of each abundance.
    pub cost: Vec<f64>,
    /// Weights of `- ln w`; empty for none.
    pub pull: Vec<f64>,
    /// Start, above zero where it is pulled; then the abundances of highest likelihood.
    pub w: Vec<f64>,
    /// `sum x ln m` there.
    pub log: f64,
    /// `sum x / m^2 h h'` there, lower triangle, width x width.
    pub hessian: Vec<f64>,
}

/// Log-likelihood within which one row is solved.
const SINGLE_TOLERANCE: f64 = 1e-4;
/// Most steps for it.
const SINGLE_STEPS: usize = 60;

/// Solves `fits` for one row.
pub(crate) fn fit_one(row: &mut Row, single: Single<'_>, fits: &mut [Fit]) {
    match single.table.width {
        4 => simd::run(FitOne::<4> { row, single, fits }),
        8 => simd::run(FitOne::<8> { row, single, fits }),
        16 => simd::run(FitOne::<16> { row, single, fits }),
        32 => simd::run(FitOne::<32> { row, single, fits }),
        _ => simd::run(FitOne::<64> { row, single, fits }),
    }
}

struct FitOne<'a, const W: usize> {
    row: &'a mut Row,
    single: Single<'a>,
    fits: &'a mut [Fit],
}

impl<const W: usize> Kernel for FitOne<'_, W> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { row, single, fits } = self;
        row.load(single.table, single.channels, single.counts);
        row.know(single.channels, single.fixed.0, single.fixed.1);
        for fit in fits {
            let (mut w, mut cost) = ([0.0; W], [0.0; W]);
            w.copy_from_slice(&fit.w);
            cost.copy_from_slice(&fit.cost);
            row.solve(&mut w, &cost, &fit.pull, SINGLE_TOLERANCE, SINGLE_STEPS);
            let mut slope = Slope { log: 0.0, least: 0.0, pull: [0.0; W], hessian: [[0.0; W]; W] };
            row.slope(&w, &mut slope);
            fit.w.copy_from_slice(&w);
            fit.log = slope.log;
            fit.hessian.clear();
            fit.hessian.extend_from_slice(slope.hessian.as_flattened());
        }
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

/// Sparse rows of a cell, whatever its storage.
pub(crate) fn csr_of<'b>(
    cell: &'b kalpha_core::Cell<'_>,
    buffer: &'b mut CellBuffer,
) -> CsrView<'b> {
    cell.to_csr(buffer)
}

#[cfg(test)]
mod tests;
