//! The sweep over all pixels, families and neighbourhoods.
//!
//! Running sums over lines and columns make a neighbourhood cost the same whatever its size.
//! Families lie side by side, so one pixel is a few vector operations. The sweep only screens:
//! it hands on what could reach p = 2e-4, and sums the moments that measure inflation over
//! everything else.

use kalpha_core::{Passes, StepError};
use kalpha_num::simd::{self, Kernel};
use std::sync::Mutex;

/// A count must exceed its mean by this many standard deviations and by [`SCREEN_OFFSET`]
/// counts more to be looked at: a necessary condition for a Poisson tail below 2e-4.
const SCREEN_SIGMA: f32 = 3.0;
const SCREEN_OFFSET: f32 = 1.2;

/// A map of counts in windows and abundances of the null.
#[derive(Clone, Copy)]
pub(crate) struct ScanMap<'a> {
    pub height: usize,
    pub width: usize,
    /// pixels x lanes
    pub counts: &'a [u16],
    pub lanes: usize,
    /// pixels x components
    pub abundances: &'a [f64],
    pub components: usize,
    /// components x lanes
    pub shares: &'a [f64],
    /// Known part of the mean of each window, pixels x lanes; empty for none.
    pub known: &'a [f32],
    /// Pixels whose neighbourhoods [`skipping`] leaves out; empty for none.
    pub skip: &'a [bool],
}

impl ScanMap<'_> {
    /// True when a neighbourhood holds a pixel to skip.
    fn skips(&self, top: usize, left: usize, size: usize) -> bool {
        let line = |y: usize| y * self.width + left..y * self.width + left + size;
        (top..top + size).any(|y| self.skip.get(line(y)).is_some_and(|s| s.contains(&true)))
    }

    /// Adds the moments of one neighbourhood, as a sweep would.
    fn add_one(&self, top: usize, left: usize, size: usize, out: &mut [Moments]) {
        for (f, sum) in out.iter_mut().enumerate() {
            let (mut counts, mut mean) = (0.0f64, 1e-9f64);
            for y in top..top + size {
                for p in y * self.width + left..y * self.width + left + size {
                    counts += f64::from(self.counts[p * self.lanes + f]);
                    let w = &self.abundances[p * self.components..(p + 1) * self.components];
                    let mixed = w.iter().zip(self.shares.iter().skip(f).step_by(self.lanes));
                    mean += mixed.map(|(w, s)| w * s).sum::<f64>() + self.known_at(p, f);
                }
            }
            let excess = counts - mean;
            let over = (excess - f64::from(SCREEN_OFFSET)).max(0.0);
            if over * over <= f64::from(SCREEN_SIGMA * SCREEN_SIGMA) * mean {
                let square = excess * excess;
                sum.add(&Moments { n: 1.0, mean, second: square, fourth: square * square });
            }
        }
    }

    /// Known part of the mean of a window in a pixel.
    pub fn known_at(&self, pixel: usize, family: usize) -> f64 {
        self.known.get(pixel * self.lanes + family).map_or(0.0, |&m| f64::from(m))
    }
}

/// A neighbourhood that holds more than expected.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub family: usize,
    /// Index in the list of sizes.
    pub scale: usize,
    pub size: usize,
    /// Top left pixel.
    pub y: usize,
    pub x: usize,
    pub counts: u64,
    pub expected: f64,
}

/// Sums over neighbourhoods that were not screened out: mean, squared and fourth power of
/// the excess.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Moments {
    pub n: f64,
    pub mean: f64,
    pub second: f64,
    pub fourth: f64,
}

impl Moments {
    pub fn add(&mut self, other: &Self) {
        self.n += other.n;
        self.mean += other.mean;
        self.second += other.second;
        self.fourth += other.fourth;
    }

    /// Takes `other`, a part of it, away.
    fn take(&mut self, other: &Self) {
        self.n -= other.n;
        self.mean -= other.mean;
        self.second -= other.second;
        self.fourth -= other.fourth;
    }

    /// Variance over mean and its standard error for neighbourhoods of `cells` pixels (which
    /// overlap, so only one in `cells` is independent).
    pub fn dispersion(&self, cells: f64) -> Option<(f64, f64)> {
        if self.mean <= 0.0 || self.n <= 0.0 {
            return None;
        }
        let spread = (self.fourth - self.second * self.second / self.n).max(0.0) * cells;
        Some((self.second / self.mean, spread.sqrt() / self.mean))
    }
}

/// What a sweep found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sweep {
    pub candidates: Vec<Candidate>,
    /// scales x lanes
    pub moments: Vec<Moments>,
    /// Number of tests.
    pub tests: u64,
}

const BAND: usize = 16;

/// Sweeps a map with square neighbourhoods of the given sizes.
pub(crate) fn sweep(
    passes: &dyn Passes,
    map: ScanMap<'_>,
    sizes: &[usize],
    families: usize,
) -> Result<Sweep, StepError> {
    let bands = map.height.div_ceil(BAND);
    let slots: Vec<Mutex<Option<Sweep>>> = (0..bands).map(|_| Mutex::new(None)).collect();
    passes.parallel(bands, &|job| {
        passes.ctx().checkpoint()?;
        let anchors = job * BAND..((job + 1) * BAND).min(map.height);
        let mut out = Sweep {
            moments: vec![Moments::default(); sizes.len() * map.lanes],
            ..Sweep::default()
        };
        for (scale, &size) in sizes.iter().enumerate() {
            if size > map.height || size > map.width {
                continue;
            }
            let end = anchors.end.min(map.height - size + 1);
            if anchors.start < end {
                let band = Band { map, families, scale, size, first: anchors.start, end };
                simd::run(Scan(&band, &mut out));
            }
        }
        *slots[job].lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(out);
        Ok(())
    })?;
    let mut total =
        Sweep { moments: vec![Moments::default(); sizes.len() * map.lanes], ..Sweep::default() };
    for slot in slots {
        let part = slot.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(part) = part else { continue };
        total.candidates.extend(part.candidates);
        total.tests += part.tests;
        total.moments.iter_mut().zip(&part.moments).for_each(|(a, b)| a.add(b));
    }
    Ok(total)
}

/// The moments `whole` of a sweep that skipped nothing, without the neighbourhoods that hold a
/// pixel to skip: these are few, so they are summed one by one.
pub(crate) fn skipping(
    passes: &dyn Passes,
    map: ScanMap<'_>,
    sizes: &[usize],
    whole: &[Moments],
) -> Result<Vec<Moments>, StepError> {
    let bands = map.height.div_ceil(BAND);
    let slots: Vec<Mutex<Vec<Moments>>> = (0..bands).map(|_| Mutex::default()).collect();
    passes.parallel(bands, &|job| {
        passes.ctx().checkpoint()?;
        let mut out = vec![Moments::default(); sizes.len() * map.lanes];
        for (scale, &size) in sizes.iter().enumerate() {
            if size > map.height || size > map.width {
                continue;
            }
            let end = ((job + 1) * BAND).min(map.height - size + 1);
            for y in job * BAND..end {
                for x in (0..=map.width - size).filter(|&x| map.skips(y, x, size)) {
                    map.add_one(y, x, size, &mut out[scale * map.lanes..(scale + 1) * map.lanes]);
                }
            }
        }
        *slots[job].lock().unwrap_or_else(std::sync::PoisonError::into_inner) = out;
        Ok(())
    })?;
    let mut kept = whole.to_vec();
    for slot in slots {
        let part = slot.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        kept.iter_mut().zip(&part).for_each(|(a, b)| a.take(b));
    }
    Ok(kept)
}

/// Neighbourhoods of one size whose top line is in `first..end`.
struct Band<'a> {
    map: ScanMap<'a>,
    families: usize,
    scale: usize,
    size: usize,
    first: usize,
    end: usize,
}

/// A band with what it adds to.
struct Scan<'a, 'b>(&'a Band<'b>, &'a mut Sweep);

impl Kernel for Scan<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        self.0.sweep(self.1);
    }
}

impl Band<'_> {
    #[inline(always)]
    fn sweep(&self, out: &mut Sweep) {
        let Self { map, size, .. } = *self;
        let (lanes, k) = (map.lanes, map.components);
        let shares: Vec<f32> = map.shares.iter().map(|&s| s as f32).collect();
        // Sums over the lines of the neighbourhood, column by column.
        let mut counts = vec![0.0f32; map.width * lanes];
        let mut weights = vec![0.0f32; map.width * k];
        let mut known = vec![0.0f32; if map.known.is_empty() { 0 } else { map.width * lanes }];
        let line =
            |y: usize, sign: f32, counts: &mut [f32], weights: &mut [f32], known: &mut [f32]| {
                let span = y * map.width..(y + 1) * map.width;
                let source = &map.counts[span.start * lanes..span.end * lanes];
                counts.iter_mut().zip(source).for_each(|(c, &n)| *c += sign * f32::from(n));
                for (x, p) in span.enumerate() {
                    let w = &map.abundances[p * k..(p + 1) * k];
                    let sums = &mut weights[x * k..(x + 1) * k];
                    sums.iter_mut().zip(w).for_each(|(s, &w)| *s += sign * w as f32);
                }
                if !known.is_empty() {
                    let source = &map.known[y * map.width * lanes..(y + 1) * map.width * lanes];
                    known.iter_mut().zip(source).for_each(|(s, &m)| *s += sign * m);
                }
            };
        let mut patch = vec![0.0f32; lanes];
        let mut mix = vec![0.0f32; k];
        let mut patch_known = vec![0.0f32; if known.is_empty() { 0 } else { lanes }];
        let mut mean = vec![0.0f32; lanes];
        let mut hits = vec![0.0f32; lanes];
        let mut sums = vec![[0.0f32; 4]; lanes];
        for y in self.first..self.end {
            if y == self.first {
                for i in 0..size {
                    line(y + i, 1.0, &mut counts, &mut weights, &mut known);
                }
            } else {
                line(y - 1, -1.0, &mut counts, &mut weights, &mut known);
                line(y + size - 1, 1.0, &mut counts, &mut weights, &mut known);
            }
            patch.fill(0.0);
            mix.fill(0.0);
            patch_known.fill(0.0);
            for x in 0..map.width {
                let add = &counts[x * lanes..(x + 1) * lanes];
                patch.iter_mut().zip(add).for_each(|(p, a)| *p += a);
                let add = &weights[x * k..(x + 1) * k];
                mix.iter_mut().zip(add).for_each(|(m, a)| *m += a);
                if !known.is_empty() {
                    let add = &known[x * lanes..(x + 1) * lanes];
                    patch_known.iter_mut().zip(add).for_each(|(m, a)| *m += a);
                }
                if x + 1 < size {
                    continue;
                }
                let left = x + 1 - size;
                mean.fill(1e-9);
                for (j, row) in shares.chunks_exact(lanes).enumerate() {
                    let w = mix[j].max(0.0);
                    mean.iter_mut().zip(row).for_each(|(m, s)| *m += w * s);
                }
                mean.iter_mut().zip(&patch_known).for_each(|(m, known)| *m += known.max(0.0));
                let mut any = 0.0;
                for f in 0..lanes {
                    let excess = patch[f] - mean[f];
                    let over = (excess - SCREEN_OFFSET).max(0.0);
                    let limit = SCREEN_SIGMA * SCREEN_SIGMA * mean[f];
                    let hit = if over * over > limit { 1.0f32 } else { 0.0 };
                    hits[f] = hit;
                    any += hit;
                    let keep = 1.0 - hit;
                    let square = excess * excess;
                    sums[f][0] += keep;
                    sums[f][1] += keep * mean[f];
                    sums[f][2] += keep * square;
                    sums[f][3] += keep * square * square;
                }
                if any > 0.0 {
                    for f in 0..self.families {
                        if hits[f] > 0.0 {
                            out.candidates.push(Candidate {
                                family: f,
                                scale: self.scale,
                                size,
                                y,
                                x: left,
                                counts: patch[f].round() as u64,
                                expected: f64::from(mean[f]),
                            });
                        }
                    }
                }
                out.tests += self.families as u64;
                let add = &counts[left * lanes..(left + 1) * lanes];
                patch.iter_mut().zip(add).for_each(|(p, a)| *p -= a);
                let add = &weights[left * k..(left + 1) * k];
                mix.iter_mut().zip(add).for_each(|(m, a)| *m -= a);
                if !known.is_empty() {
                    let add = &known[left * lanes..(left + 1) * lanes];
                    patch_known.iter_mut().zip(add).for_each(|(m, a)| *m -= a);
                }
            }
            // One line at a time in single precision, lines in double.
            for (f, sum) in sums.iter_mut().enumerate() {
                let total = &mut out.moments[self.scale * lanes + f];
                total.add(&Moments {
                    n: f64::from(sum[0]),
                    mean: f64::from(sum[1]),
                    second: f64::from(sum[2]),
                    fourth: f64::from(sum[3]),
                });
                *sum = [0.0; 4];
            }
        }
    }
}
