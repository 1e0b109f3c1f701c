//! Tail probabilities of the neighbourhoods that passed the screen.
//!
//! Two ways in which data could explain themselves are closed. The abundances of the
//! neighbourhood are predicted without the window's channels, so the excess cannot raise its own
//! null; and what the neighbourhood gave to the end-members is taken back out: a bright pixel may
//! own part of an end-member.
//!
//! One pixel says little about its own abundances, so the surrounding ring helps: a gamma prior
//! with the plane through the ring and its scatter beyond counting noise (empirical Bayes), combined
//! with the counts outside the window. Where these counts contradict the ring (a grain boundary),
//! the fit of the neighbourhood itself stands, window included, which errs towards explaining too
//! much. The variance `v = a' (I + T^-1)^-1 a` of the prediction widens the Poisson to a negative
//! binomial.

use super::scan::{Candidate, ScanMap};
use super::windows::Windows;
use crate::nmf_kl::Fixed;
use crate::nmf_kl::kernel::{Fit, Row, Single, csr_of, fit_one};
use crate::nmf_kl::table::Table;
use kalpha_core::{CellBuffer, Count, Passes, Rows, StepError, ValuesView};
use std::sync::Mutex;

/// The null model of a map.
#[derive(Clone, Copy)]
pub(crate) struct Null<'a> {
    /// components x channels
    pub spectra: &'a [f64],
    pub components: usize,
    /// Counts of each end-member over the map.
    pub totals: &'a [f64],
    pub fixed: Fixed<'a>,
    /// Standard deviation of the known part over itself, the same everywhere.
    pub fixed_sigma: f64,
}

/// What a neighbourhood should hold, from everything but itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refined {
    pub candidate: Candidate,
    pub expected: f64,
    /// Variance over mean of the prediction, at least 1.
    pub spread: f64,
}

/// Candidates that one job refines.
const CANDIDATES_PER_JOB: usize = 256;
/// Counts expected in a window of one end-member before any is seen (Jeffreys' prior).
const PRIOR_COUNTS: f64 = 0.5;

/// Predicts every candidate's counts from outside its window and itself.
///
/// `noise[k]`: counting variance of the abundance of end-member k, over its mean.
pub(crate) fn refine(
    passes: &dyn Passes,
    rows: &Rows,
    map: ScanMap<'_>,
    null: Null<'_>,
    windows: &Windows,
    noise: &[f64],
    mut candidates: Vec<Candidate>,
) -> Result<Vec<Refined>, StepError> {
    candidates.sort_by_key(|c| (c.family, c.scale, c.y, c.x));
    // One family may hold most of the candidates: its share is cut as well.
    let groups: Vec<&[Candidate]> = candidates
        .chunk_by(|a, b| a.family == b.family)
        .flat_map(|family| family.chunks(CANDIDATES_PER_JOB))
        .collect();
    let slots: Vec<Mutex<Vec<Refined>>> = groups.iter().map(|_| Mutex::new(vec![])).collect();
    let table = Table::new(null.spectra, null.components, rows.meta().channels);
    let largest = groups.iter().flat_map(|g| g.iter()).map(|c| c.size).max().unwrap_or(0);
    let misfit: Vec<Vec<f64>> = (0..=largest).map(|size| ring_misfit(map, noise, size)).collect();
    passes.parallel(groups.len(), &|job| {
        passes.ctx().checkpoint()?;
        let refined = refine_family(rows, map, null, windows, noise, &misfit, &table, groups[job])?;
        *slots[job].lock().unwrap_or_else(std::sync::PoisonError::into_inner) = refined;
        Ok(())
    })?;
    Ok(slots
        .into_iter()
        .flat_map(|s| s.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
        .collect())
}

/// Summed counts of a neighbourhood, channel by channel.
pub(crate) struct PatchSpectrum {
    dense: Vec<u32>,
    touched: Vec<u16>,
    buffer: CellBuffer,
    inner: CellBuffer,
}

impl PatchSpectrum {
    pub fn new(channels: usize) -> Self {
        Self {
            dense: vec![0; channels],
            touched: Vec::new(),
            buffer: CellBuffer::default(),
            inner: CellBuffer::default(),
        }
    }

    /// Sums the pixels of `ranges` of rows; channels ascend.
    pub fn gather(
        &mut self,
        rows: &Rows,
        ranges: impl Iterator<Item = std::ops::Range<usize>>,
    ) -> Result<impl Iterator<Item = (u16, u32)> + '_, StepError> {
        self.sum(rows, ranges)?;
        self.touched.sort_unstable();
        Ok(self.summed())
    }

    /// The channels of the last sum in any order, always the same one.
    fn summed(&self) -> impl Iterator<Item = (u16, u32)> + '_ {
        self.touched.iter().map(|&c| (c, self.dense[usize::from(c)]))
    }

    fn sum(
        &mut self,
        rows: &Rows,
        ranges: impl Iterator<Item = std::ops::Range<usize>>,
    ) -> Result<(), StepError> {
        for &c in &self.touched {
            self.dense[usize::from(c)] = 0;
        }
        self.touched.clear();
        for range in ranges {
            let Some(last) = range.len().checked_sub(1) else { continue };
            let cell = rows.cell(range, &mut self.buffer)?;
            let csr = csr_of(&cell, &mut self.inner);
            let entries = 0..csr.entries(last).end;
            let channels = &csr.indices[entries.clone()];
            match csr.values {
                ValuesView::U8(v) => add(&mut self.dense, &mut self.touched, channels, &v[entries]),
                ValuesView::U16(v) => {
                    add(&mut self.dense, &mut self.touched, channels, &v[entries])
                }
                ValuesView::U32(v) => {
                    add(&mut self.dense, &mut self.touched, channels, &v[entries])
                }
            }
        }
        Ok(())
    }
}

/// Adds counts; channels that held none are listed.
fn add<V: Count>(dense: &mut [u32], touched: &mut Vec<u16>, channels: &[u16], counts: &[V]) {
    for (&c, x) in channels.iter().zip(counts) {
        let sum = &mut dense[usize::from(c)];
        if *sum == 0 {
            touched.push(c);
        }
        *sum += x.get();
    }
}

fn refine_family(
    rows: &Rows,
    map: ScanMap<'_>,
    null: Null<'_>,
    windows: &Windows,
    noise: &[f64],
    misfit: &[Vec<f64>],
    table: &Table,
    candidates: &[Candidate],
) -> Result<Vec<Refined>, StepError> {
    let family = candidates[0].family;
    let k = null.components;
    let share: Vec<f64> = (0..k).map(|j| map.shares[j * map.lanes + family]).collect();
    let mut inside = vec![false; rows.meta().channels];
    windows.channels[family].iter().for_each(|&c| inside[usize::from(c)] = true);
    let norm: Vec<f64> = (0..k).map(|j| (table.norm[j] - share[j]).max(1e-9)).collect();
    let mut spectrum = PatchSpectrum::new(rows.meta().channels);
    let mut outside = Outside::default();
    let mut amounts = vec![0.0; null.fixed.parts];
    let mut out = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let lines = (candidate.y..candidate.y + candidate.size).map(|y| {
            let first = y * map.width + candidate.x;
            first..first + candidate.size
        });
        let (mut own, mut known) = (vec![0.0; k], 0.0);
        amounts.fill(0.0);
        for p in lines.clone().flatten() {
            let from = &map.abundances[p * k..(p + 1) * k];
            own.iter_mut().zip(from).for_each(|(w, a)| *w += a);
            amounts.iter_mut().zip(null.fixed.of(p)).for_each(|(s, a)| *s += a);
            known += map.known_at(p, family);
        }
        let prior = match candidate.size {
            0..=RING_LARGEST => ring(map, noise, candidate.y, candidate.x, candidate.size),
            _ => None,
        };
        let (mix, mut variance) = match prior {
            Some(mut prior) => {
                spectrum.sum(rows, lines)?;
                outside.set(spectrum.summed().filter(|(c, _)| !inside[usize::from(*c)]));
                for j in 0..k {
                    prior.variance[j] += misfit[candidate.size][j] * prior.mean[j].powi(2);
                }
                outside.predict(table, (null.fixed, &amounts), &own, &prior, &norm, &share)
            }
            None => (own.clone(), 0.0),
        };
        let in_sample = dot(&own, &share) + known;
        let excess = candidate.counts as f64 / in_sample.max(1e-12);
        let mut expected = known;
        variance += (null.fixed_sigma * known).powi(2);
        for j in 0..k {
            let total = null.totals[j];
            let rest = (total - own[j]).max(1e-9);
            let given = (own[j] * share[j] * excess).min(total * share[j]);
            let held = (total * share[j] - given).max(0.0) + PRIOR_COUNTS;
            let scale = mix[j] / rest;
            expected += scale * held;
            variance += scale * scale * held;
        }
        let expected = expected.max(1e-9);
        let spread = 1.0 + variance / expected;
        out.push(Refined { candidate: candidate.clone(), expected, spread });
    }
    Ok(out)
}

/// What the surroundings say of the abundances of a neighbourhood.
struct Prior {
    mean: Vec<f64>,
    variance: Vec<f64>,
}

/// Pixels between a neighbourhood and the edge of its ring.
const RING: usize = 4;
/// Larger neighbourhoods keep their own fit: a ring so far out no longer predicts their middle
/// (in simulations its curvature was the main source of false alarms), and they hold enough
/// counts to do without.
const RING_LARGEST: usize = 2;
/// Fewest pixels that make a ring.
const RING_PIXELS: f64 = 16.0;

/// Abundances at a candidate's centre by a plane through its ring, and the ring's scatter about
/// that plane, scaled to its size.
///
/// `noise[k]` is the counting variance of an abundance over its mean.
fn ring(map: ScanMap<'_>, noise: &[f64], top: usize, left: usize, size: usize) -> Option<Prior> {
    let k = map.components;
    let middle = 0.5 * (size as f64 - 1.0);
    let (mut gram, mut n) = ([[0.0; 3]; 3], 0.0);
    let (mut sums, mut square) = (vec![[0.0; 3]; k], vec![0.0; k]);
    for y in top.saturating_sub(RING)..(top + size + RING).min(map.height) {
        for x in left.saturating_sub(RING)..(left + size + RING).min(map.width) {
            if (top..top + size).contains(&y) && (left..left + size).contains(&x) {
                continue;
            }
            let p = y * map.width + x;
            let w = &map.abundances[p * k..(p + 1) * k];
            if w.iter().all(|&w| w == 0.0) {
                continue;
            }
            n += 1.0;
            let basis = [1.0, y as f64 - top as f64 - middle, x as f64 - left as f64 - middle];
            for a in 0..3 {
                for b in 0..3 {
                    gram[a][b] += basis[a] * basis[b];
                }
            }
            for j in 0..k {
                square[j] += w[j] * w[j];
                (0..3).for_each(|a| sums[j][a] += basis[a] * w[j]);
            }
        }
    }
    if n < RING_PIXELS {
        return None;
    }
    let inverse = invert(gram)?;
    let cells = (size * size) as f64;
    let mut prior = Prior { mean: vec![0.0; k], variance: vec![0.0; k] };
    for j in 0..k {
        let plane: [f64; 3] =
            std::array::from_fn(|a| (0..3).map(|b| inverse[a][b] * sums[j][b]).sum());
        let explained: f64 = (0..3).map(|a| plane[a] * sums[j][a]).sum();
        let scatter = (square[j] - explained).max(0.0) / (n - 3.0);
        // Half a count over the ring: an end-member unseen there is rare, not impossible.
        let mean = plane[0].max(0.0) + 0.5 / n;
        let counting = noise[j] * (sums[j][0] + 0.5) / n;
        let beyond = (scatter - counting).max(0.0);
        prior.mean[j] = cells * mean;
        prior.variance[j] = cells * cells * (beyond + counting * inverse[0][0]);
    }
    Some(prior)
}

/// Places at which the ring's prediction is checked, per size.
const CHECKS: usize = 400;

/// Squared error of the ring's prediction beyond its stated variance and counting noise, over
/// the squared abundance, for each end-member: how far real maps are from planes.
fn ring_misfit(map: ScanMap<'_>, noise: &[f64], size: usize) -> Vec<f64> {
    let k = map.components;
    let (mut error, mut square) = (vec![0.0; k], vec![0.0; k]);
    if size == 0 || size > map.height || size > map.width {
        return error;
    }
    let (rows, columns) = (map.height - size + 1, map.width - size + 1);
    let step = (rows * columns).div_ceil(CHECKS).max(1);
    for place in (step / 2..rows * columns).step_by(step) {
        let (top, left) = (place / columns, place % columns);
        let Some(prior) = ring(map, noise, top, left, size) else { continue };
        let mut own = vec![0.0; k];
        for y in top..top + size {
            for p in y * map.width + left..y * map.width + left + size {
                let w = &map.abundances[p * k..(p + 1) * k];
                own.iter_mut().zip(w).for_each(|(o, w)| *o += w);
            }
        }
        for j in 0..k {
            let counting = noise[j] * prior.mean[j];
            error[j] += (own[j] - prior.mean[j]).powi(2) - prior.variance[j] - counting;
            square[j] += prior.mean[j].powi(2);
        }
    }
    error.iter().zip(&square).map(|(e, s)| (e / s.max(1e-12)).max(0.0)).collect()
}

/// Inverse of a symmetric 3 x 3 matrix; `None` where it is singular.
fn invert(m: [[f64; 3]; 3]) -> Option<[[f64; 3]; 3]> {
    let cofactor = |r: usize, c: usize| {
        let (r1, r2, c1, c2) = ((r + 1) % 3, (r + 2) % 3, (c + 1) % 3, (c + 2) % 3);
        m[r1][c1] * m[r2][c2] - m[r1][c2] * m[r2][c1]
    };
    let det: f64 = (0..3).map(|c| m[0][c] * cofactor(0, c)).sum();
    let scale: f64 = (0..3).map(|i| m[i][i]).product();
    if det.is_nan() || det <= 1e-9 * scale {
        return None;
    }
    Some(std::array::from_fn(|r| std::array::from_fn(|c| cofactor(c, r) / det)))
}

/// Twice the log-likelihood by which the counts may contradict the ring, per end-member: beyond
/// it the ring is not believed. 10.8 is p = 1e-3 for one.
const CONTRADICTION: f64 = 10.8;

/// Counts of a neighbourhood outside the window.
#[derive(Default)]
struct Outside {
    channels: Vec<u16>,
    counts: Vec<u32>,
    row: Row,
}

impl Outside {
    fn set(&mut self, counts: impl Iterator<Item = (u16, u32)>) {
        self.channels.clear();
        self.counts.clear();
        for (c, x) in counts {
            self.channels.push(c);
            self.counts.push(x);
        }
    }

    /// Abundances and the variance of the window's mean that follows from them.
    fn predict(
        &mut self,
        table: &Table,
        fixed: (Fixed<'_>, &[f64]),
        own: &[f64],
        prior: &Prior,
        norm: &[f64],
        share: &[f64],
    ) -> (Vec<f64>, f64) {
        let (k, width) = (table.components, table.width);
        let wide = |values: &mut dyn Iterator<Item = f64>| {
            let mut out: Vec<f64> = values.collect();
            out.resize(width, 0.0);
            out
        };
        let rate: Vec<f64> =
            prior.mean.iter().zip(&prior.variance).map(|(m, v)| m / v.max(1e-12)).collect();
        let total: f64 = own.iter().sum();
        let mut fits = [
            Fit {
                cost: wide(&mut norm.iter().zip(&rate).map(|(n, r)| n + r)),
                pull: wide(&mut prior.mean.iter().zip(&rate).map(|(m, r)| m * r)),
                w: wide(&mut prior.mean.iter().copied()),
                log: 0.0,
                hessian: Vec::new(),
            },
            Fit {
                cost: wide(&mut norm.iter().copied()),
                pull: Vec::new(),
                w: wide(&mut own.iter().map(|w| w.max(1e-3 * total / k as f64))),
                log: 0.0,
                hessian: Vec::new(),
            },
        ];
        let single = Single { table, channels: &self.channels, counts: &self.counts, fixed };
        fit_one(&mut self.row, single, &mut fits);
        let [with, free] = &fits;
        let lost = free.log - dot(&free.w, norm) - (with.log - dot(&with.w, norm));
        if 2.0 * lost > CONTRADICTION + 2.0 * (k as f64 - 1.0) {
            return (own.to_vec(), 0.0);
        }
        let precision: Vec<f64> = prior.variance.iter().map(|v| 1.0 / v.max(1e-12)).collect();
        match variance(&with.hessian, width, &precision, share) {
            Some(variance) => (with.w[..k].to_vec(), variance),
            None => (own.to_vec(), 0.0),
        }
    }
}

/// `a' (I + T^-1)^-1 a` with the observed information I of the counts, `stride` wide.
fn variance(information: &[f64], stride: usize, precision: &[f64], share: &[f64]) -> Option<f64> {
    let n = share.len();
    let mut factor = vec![0.0; n * n];
    // Cholesky, then forward substitution: v = |L^-1 a|^2.
    let (mut v, mut z) = (0.0, vec![0.0; n]);
    for a in 0..n {
        for b in 0..=a {
            let mut s = information[a * stride + b];
            if a == b {
                s += precision[a];
            }
            for c in 0..b {
                s -= factor[a * n + c] * factor[b * n + c];
            }
            if a == b {
                if s.is_nan() || s <= 0.0 {
                    return None;
                }
                factor[a * n + a] = s.sqrt();
            } else {
                factor[a * n + b] = s / factor[b * n + b];
            }
        }
        let mut s = share[a];
        for c in 0..a {
            s -= factor[a * n + c] * z[c];
        }
        z[a] = s / factor[a * n + a];
        v += z[a] * z[a];
    }
    Some(v)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
