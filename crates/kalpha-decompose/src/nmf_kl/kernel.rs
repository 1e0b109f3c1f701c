//! The inner loops of KL-NMF: one row of counts against all end-members.
//!
//! Only non-zero counts are visited: the sum of the model over channels is known from the
//! abundances alone. End-members lie channel by channel (`[f64; W]`, padded to W lanes), so one
//! channel is one or two cache lines. The AVX2 form is the scalar form compiled for AVX2, with
//! no fused operations: both give the same bits.

use kalpha_core::{CellBuffer, Count, CsrView, ValuesView};
use kalpha_num::simd::Simd;

/// The model is never taken below this, so an impossible count costs much but not infinity.
const FLOOR: f64 = 1e-100;

/// End-members, channel by channel, padded to `width` lanes.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub components: usize,
    pub width: usize,
    /// channels x width
    pub values: Vec<f64>,
    /// Sum over channels of each end-member; 1 in padding lanes.
    pub norm: Vec<f64>,
}

/// Lanes that hold `components`, at most 64.
pub(crate) fn width(components: usize) -> usize {
    match components {
        0..=4 => 4,
        5..=8 => 8,
        9..=16 => 16,
        17..=32 => 32,
        _ => 64,
    }
}

impl Table {
    /// From component-major spectra, components x channels.
    pub fn new(spectra: &[f64], components: usize, channels: usize) -> Self {
        let width = width(components);
        let mut values = vec![0.0; channels * width];
        for k in 0..components {
            for c in 0..channels {
                values[c * width + k] = spectra[k * channels + c];
            }
        }
        let mut table = Self { components, width, values, norm: Vec::new() };
        table.renew_norm();
        table
    }

    /// Recomputes the sums over channels.
    pub fn renew_norm(&mut self) {
        let mut norm = vec![0.0; self.width];
        for row in self.values.chunks_exact(self.width) {
            norm.iter_mut().zip(row).for_each(|(n, v)| *n += v);
        }
        norm[self.components..].fill(1.0);
        self.norm = norm;
    }

    /// Scales every end-member to sum 1.
    pub fn normalise(&mut self) {
        self.renew_norm();
        for row in self.values.chunks_exact_mut(self.width) {
            for k in 0..self.components {
                if self.norm[k] > 0.0 {
                    row[k] /= self.norm[k];
                }
            }
        }
        self.renew_norm();
    }

    /// End-members in channel `c`.
    pub fn of(&self, c: usize) -> &[f64] {
        &self.values[c * self.width..c * self.width + self.components]
    }

    /// Component-major spectra, components x channels.
    pub fn spectra(&self) -> Vec<f64> {
        let channels = self.values.len() / self.width;
        let mut out = vec![0.0; self.components * channels];
        for (c, row) in self.values.chunks_exact(self.width).enumerate() {
            for k in 0..self.components {
                out[k * channels + c] = row[k];
            }
        }
        out
    }
}

/// A known part of the model that is not fitted, such as pile-up:
/// `sum_q amounts[row, q] spectra[channel, q]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fixed<'a> {
    /// Number of spectra; 0 for none.
    pub parts: usize,
    /// rows x parts.
    pub amounts: &'a [f64],
    /// channels x parts.
    pub spectra: &'a [f64],
    /// Sum over channels of each spectrum.
    pub sums: &'a [f64],
}

impl<'a> Fixed<'a> {
    /// Amounts of a row; empty where nothing is known.
    #[inline(always)]
    pub fn of(&self, row: usize) -> &'a [f64] {
        &self.amounts[row * self.parts..(row + 1) * self.parts]
    }

    /// The known part in `channel` for these amounts.
    #[inline(always)]
    pub fn at(&self, amounts: &[f64], channel: usize) -> f64 {
        let spectra = &self.spectra[channel * self.parts..(channel + 1) * self.parts];
        amounts.iter().zip(spectra).map(|(a, g)| a * g).sum()
    }

    /// The known part of a row over all channels.
    #[inline(always)]
    pub fn total(&self, row: usize) -> f64 {
        self.of(row).iter().zip(self.sums).map(|(a, s)| a * s).sum()
    }

    /// The same for some of the rows.
    pub fn of_rows(&self, rows: std::ops::Range<usize>) -> Self {
        let amounts = &self.amounts[rows.start * self.parts..rows.end * self.parts];
        Self { amounts, ..*self }
    }
}

/// What to do with each row.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    /// This many EM updates of the abundances, then the numerators of the end-members.
    Joint(usize),
    /// Abundances to convergence, end-members fixed.
    Refit {
        /// Cycles of three EM updates.
        cycles: usize,
        /// Stop when a cycle gains less log-likelihood than this.
        tolerance: f64,
    },
}

/// Sums over the rows of a cell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gains {
    /// Sum of x ln(model).
    pub log: f64,
    /// Sum of the fitted model over all channels.
    pub total: f64,
}

/// Abundances of the rows of a cell; `numerators` (channels x width) gains `sum x/m * w`.
///
/// `w` holds rows x width values and is updated; `first` is the absolute first row.
pub(crate) fn rows(
    csr: CsrView<'_>,
    first: usize,
    table: &Table,
    fixed: Fixed<'_>,
    work: Work,
    w: &mut [f64],
    numerators: &mut [f64],
) -> Gains {
    macro_rules! with {
        ($v:expr, $w:literal) => {
            dispatch::<_, $w>(csr, $v, first, table, fixed, work, w, numerators)
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
    work: Work,
    w: &mut [f64],
    numerators: &mut [f64],
) -> Gains {
    #[cfg(target_arch = "x86_64")]
    if Simd::detect() >= Simd::Avx2 {
        // SAFETY: the CPU has AVX2; the function has no other requirement.
        return unsafe { avx2::<V, W>(csr, values, first, table, fixed, work, w, numerators) };
    }
    plain::<V, W>(csr, values, first, table, fixed, work, w, numerators)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2<V: Count, const W: usize>(
    csr: CsrView<'_>,
    values: &[V],
    first: usize,
    table: &Table,
    fixed: Fixed<'_>,
    work: Work,
    w: &mut [f64],
    numerators: &mut [f64],
) -> Gains {
    plain::<V, W>(csr, values, first, table, fixed, work, w, numerators)
}

#[inline(always)]
fn plain<V: Count, const W: usize>(
    csr: CsrView<'_>,
    values: &[V],
    first: usize,
    table: &Table,
    fixed: Fixed<'_>,
    work: Work,
    w: &mut [f64],
    numerators: &mut [f64],
) -> Gains {
    let (h, _) = table.values.as_chunks::<W>();
    let (w, _) = w.as_chunks_mut::<W>();
    let (numerators, _) = numerators.as_chunks_mut::<W>();
    let mut norm = [1.0; W];
    norm.copy_from_slice(&table.norm);
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
        let row = Row { channels, counts: &values[entries], h, norm, extra: &extra };
        if row.channels.is_empty() {
            *w = [0.0; W];
            continue;
        }
        match work {
            Work::Joint(steps) => {
                for _ in 0..steps {
                    row.step(w);
                }
                gains.log += row.accumulate(w, numerators);
            }
            Work::Refit { cycles, tolerance } => gains.log += row.refit(w, cycles, tolerance),
        }
        gains.total += (0..W).map(|j| w[j] * norm[j]).sum::<f64>();
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

struct Row<'a, V, const W: usize> {
    channels: &'a [u16],
    counts: &'a [V],
    h: &'a [[f64; W]],
    norm: [f64; W],
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

    /// One EM update; returns the log-likelihood before it.
    #[inline(always)]
    fn step(&self, w: &mut [f64; W]) -> f64 {
        let mut num = [0.0; W];
        let mut log = LogSum { log: 0.0, product: 1.0 };
        for (i, (c, x)) in self.channels.iter().zip(self.counts).enumerate() {
            let (c, x) = (usize::from(*c), f64::from(x.get()));
            let m = self.model(i, c, w);
            let q = x / m;
            for j in 0..W {
                num[j] += q * self.h[c][j];
            }
            log.add(x, m);
        }
        let mut fitted = 0.0;
        for j in 0..W {
            fitted += w[j] * self.norm[j];
            if self.norm[j] > 0.0 {
                w[j] *= num[j] / self.norm[j];
            }
        }
        log.total() - fitted
    }

    /// Adds `x/m * w` to the numerators; returns the sum of x ln m.
    #[inline(always)]
    fn accumulate(&self, w: &[f64; W], numerators: &mut [[f64; W]]) -> f64 {
        let mut log = LogSum { log: 0.0, product: 1.0 };
        for (i, (c, x)) in self.channels.iter().zip(self.counts).enumerate() {
            let (c, x) = (usize::from(*c), f64::from(x.get()));
            let m = self.model(i, c, w);
            let q = x / m;
            for j in 0..W {
                numerators[c][j] += q * w[j];
            }
            log.add(x, m);
        }
        log.total()
    }

    /// EM with squared extrapolation (Varadhan and Roland 2008); returns the sum of x ln m.
    #[inline(always)]
    fn refit(&self, w: &mut [f64; W], cycles: usize, tolerance: f64) -> f64 {
        let mut start = *w;
        for _ in 0..cycles {
            let before = self.step(w);
            let one = *w;
            let middle = self.step(w);
            let two = *w;
            let (mut r2, mut v2) = (0.0, 0.0);
            for j in 0..W {
                let (r, v) = (one[j] - start[j], two[j] - 2.0 * one[j] + start[j]);
                r2 += r * r;
                v2 += v * v;
            }
            if middle - before < tolerance && r2 <= 1e-8 * sum(one.map(|x| x * x)) {
                break;
            }
            let a = (r2 / v2.max(1e-300)).sqrt().clamp(1.0, 256.0);
            for j in 0..W {
                let (r, v) = (one[j] - start[j], two[j] - 2.0 * one[j] + start[j]);
                w[j] = (start[j] + 2.0 * a * r + a * a * v).max(0.1 * two[j]);
            }
            let after = self.step(w);
            if after.is_nan() || after < middle {
                *w = two;
            } else if after - before < tolerance {
                break;
            }
            start = *w;
        }
        let mut log = LogSum { log: 0.0, product: 1.0 };
        for (i, (c, x)) in self.channels.iter().zip(self.counts).enumerate() {
            log.add(f64::from(x.get()), self.model(i, usize::from(*c), w));
        }
        log.total()
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
mod tests {
    use super::*;
    use kalpha_core::CsrBuilder;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn avx2_gives_the_bits_of_the_plain_form() {
        if !is_x86_feature_detected!("avx2") {
            return;
        }
        let mut b = CsrBuilder::new(64).unwrap();
        for r in 0..50usize {
            for c in 0..64usize {
                b.push(c as u16, ((r * 31 + c * 17) % 11 / 8) as u32 * (1 + (r % 3) as u32));
            }
            b.end_row();
        }
        let csr = b.finish();
        let view = CsrView::of(&csr, 0..50);
        let spectra: Vec<f64> = (0..7 * 64).map(|i| ((i * 37) % 101) as f64 + 1.0).collect();
        let mut table = Table::new(&spectra, 7, 64);
        table.normalise();
        let ValuesView::U8(values) = view.values else { panic!("u8 expected") };
        for work in [Work::Joint(3), Work::Refit { cycles: 20, tolerance: 1e-9 }] {
            let run = |simd: bool| {
                let mut w = vec![3.0; 50 * 8];
                w.chunks_exact_mut(8).for_each(|w| w[7] = 0.0);
                let mut num = vec![0.0; 64 * 8];
                let f = Fixed::default();
                let g = if simd {
                    // SAFETY: AVX2 was detected above.
                    unsafe { avx2::<u8, 8>(view, values, 0, &table, f, work, &mut w, &mut num) }
                } else {
                    plain::<u8, 8>(view, values, 0, &table, f, work, &mut w, &mut num)
                };
                (w, num, g.log.to_bits(), g.total.to_bits())
            };
            assert_eq!(run(true), run(false));
        }
    }
}
