//! Sums over the pairs of non-zero counts of each row.

use super::{chunk::Slot, dot, floats, layout::Layout};
use crate::simd::Simd;
use kalpha_core::{Passes, StepError};
use std::{
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// 32-bit sums are emptied into 64 bits before they can pass this.
pub(super) const BUDGET: u64 = i32::MAX as u64;
/// Largest panel of 32-bit sums: half of an L2 cache.
const PANEL_VALUES: usize = 1 << 18;
/// Channels of one job that multiplies them with the hot ones.
const MIXED: usize = floats::WIDTH;
/// Panels of equal work, so that threads end together.
const PANELS: f64 = 24.0;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Disjoint rows of the table.
pub(super) struct Panels {
    pub places: Vec<Range<usize>>,
}

impl Panels {
    /// Panels of similar work that fit the cache. They depend on the data and its shape alone.
    pub fn new(layout: &Layout) -> Self {
        let d = layout.channels;
        let mut after = vec![0.0; d + 1];
        for p in (0..d).rev() {
            after[p] = after[p + 1] + layout.density[p];
        }
        let work = |p: usize| if p < layout.hot { 0.0 } else { layout.density[p] * after[p] };
        let share = (0..d).map(work).sum::<f64>() / PANELS;
        let most = (PANEL_VALUES / layout.stride).max(1);
        let (mut places, mut start, mut sum) = (Vec::new(), 0, 0.0);
        for p in 0..d {
            sum += work(p);
            // Hot places have work only where a row has large counts.
            let full = p >= layout.hot && (sum >= share || p + 1 - start >= most);
            if full || p + 1 == layout.hot || p + 1 == d {
                places.push(start..p + 1);
                (start, sum) = (p + 1, 0.0);
            }
        }
        Self { places }
    }
}

/// A square table of sums by place, of which those right of the diagonal are used.
pub(super) struct Table<T> {
    values: Vec<T>,
}

impl<T: Clone + Default> Table<T> {
    pub fn new(layout: &Layout) -> Self {
        Self { values: vec![T::default(); layout.channels * layout.stride] }
    }
}

/// Sums of products of hot channels, with each other and with the others.
pub(super) struct HotTable<T> {
    values: Vec<T>,
    /// One row per channel that is not hot.
    mixed: Vec<T>,
    stride: usize,
}

impl<T: Copy + Default> HotTable<T> {
    pub fn new(layout: &Layout) -> Self {
        let stride = layout.hot_panels() * layout.hot_width();
        let mixed = vec![T::default(); (layout.channels - layout.hot) * stride];
        Self { values: vec![T::default(); stride * stride], mixed, stride }
    }

    /// The sum for places i <= j.
    fn at(&mut self, hot: usize, i: usize, j: usize) -> Option<&mut T> {
        match (i < hot, j < hot) {
            (true, true) => Some(&mut self.values[i * self.stride + j]),
            (true, false) => Some(&mut self.mixed[(j - hot) * self.stride + i]),
            _ => None,
        }
    }

    /// The sum for places i <= j.
    #[inline]
    fn get(&self, hot: usize, i: usize, j: usize) -> T {
        match (i < hot, j < hot) {
            (true, true) => self.values[i * self.stride + j],
            (true, false) => self.mixed[(j - hot) * self.stride + i],
            _ => T::default(),
        }
    }
}

/// A sum of products of counts.
pub(super) trait Sum: Copy + Default + Send {
    /// The left factor of all products of an entry.
    fn left(factor: f64, count: u32) -> Self;
    /// Adds `left` times a count.
    fn add(&mut self, left: Self, count: u32);
}

impl Sum for u32 {
    #[inline(always)]
    fn left(_: f64, count: u32) -> u32 {
        count
    }
    #[inline(always)]
    fn add(&mut self, left: u32, count: u32) {
        *self += left * count;
    }
}

impl Sum for f64 {
    #[inline(always)]
    fn left(factor: f64, count: u32) -> f64 {
        factor * f64::from(count)
    }
    #[inline(always)]
    fn add(&mut self, left: f64, count: u32) {
        *self += left * f64::from(count);
    }
}

/// Adds the rows of a slot to one panel. `W` is the stride, or 0 for any.
#[inline(always)]
fn add_slot<T: Sum, const W: usize>(
    slot: &Slot,
    panel: usize,
    first: usize,
    stride: usize,
    factors: Option<&[f64]>,
    out: &mut [T],
) {
    let mask = if W == 0 { usize::MAX } else { W - 1 };
    let bounds = &slot.bounds[panel * slot.rows..(panel + 2) * slot.rows];
    let (starts, ends) = bounds.split_at(slot.rows);
    for (r, (&from, &to)) in starts.iter().zip(ends).enumerate() {
        let (from, to) = (from as usize, to as usize);
        if from == to {
            continue;
        }
        let factor = factors.map_or(1.0, |f| f[slot.first_row + r]);
        let (start, end) = (slot.starts[r] as usize, slot.starts[r + 1] as usize);
        // Hot entries are multiplied as bytes, with the others too.
        let from = from.max(start + slot.hot[r] as usize);
        for a in from..to {
            let entry = slot.entries[a];
            let left = T::left(factor, entry >> 16);
            let row = ((entry & 0xFFFF) as usize - first) * stride;
            let row = &mut out[row..row + stride];
            if W != 0 {
                // Lets the compiler drop the index checks below.
                assert!(row.len() == W);
            }
            for &right in &slot.entries[a..end] {
                row[(right & 0xFFFF) as usize & mask].add(left, right >> 16);
            }
        }
    }
}

fn add_panel<T: Sum>(
    slots: &[&Slot],
    panel: usize,
    panels: &Panels,
    stride: usize,
    factors: Option<&[f64]>,
    out: &mut [T],
) {
    let first = panels.places[panel].start;
    for slot in slots {
        match stride {
            512 => add_slot::<T, 512>(slot, panel, first, stride, factors, out),
            1024 => add_slot::<T, 1024>(slot, panel, first, stride, factors, out),
            2048 => add_slot::<T, 2048>(slot, panel, first, stride, factors, out),
            4096 => add_slot::<T, 4096>(slot, panel, first, stride, factors, out),
            _ => add_slot::<T, 0>(slot, panel, first, stride, factors, out),
        }
    }
}

/// Cuts a table into its panels, each behind a lock that is never contended.
fn split<'a, T>(
    panels: &Panels,
    stride: usize,
    table: &'a mut Table<T>,
) -> Vec<Mutex<&'a mut [T]>> {
    let mut rest = &mut table.values[..];
    let cut = |places: &Range<usize>| {
        let (part, after) = std::mem::take(&mut rest).split_at_mut(places.len() * stride);
        rest = after;
        Mutex::new(part)
    };
    panels.places.iter().map(cut).collect()
}

/// Adds some slots, whose sums stay within the budget.
pub(super) fn add_counts(
    passes: &dyn Passes,
    layout: &Layout,
    panels: &Panels,
    slots: &[&Slot],
    simd: Simd,
    table: &mut Table<u32>,
    hot: &mut HotTable<i32>,
) -> Result<(), StepError> {
    let parts = split(panels, layout.stride, table);
    let hot_stride = hot.stride;
    let tiles: Vec<_> = match hot_stride {
        0 => Vec::new(),
        _ => hot.values.chunks_exact_mut(dot::WIDTH * hot_stride).map(Mutex::new).collect(),
    };
    let mixed: Vec<_> = match hot_stride {
        0 => Vec::new(),
        _ => hot.mixed.chunks_mut(MIXED * hot_stride).map(Mutex::new).collect(),
    };
    // Hot panels first: the first of them is the longest job.
    let (n, m) = (tiles.len(), mixed.len());
    passes.parallel(n + m + parts.len(), &|job| {
        if job < n {
            add_hot(slots, job, n, simd, hot_stride, &mut lock(&tiles[job]));
        } else if job < n + m {
            let first = (job - n) * MIXED;
            add_mixed(slots, first, simd, hot_stride, &mut lock(&mixed[job - n]));
        } else {
            let panel = job - n - m;
            add_panel(slots, panel, panels, layout.stride, None, &mut lock(&parts[panel]));
        }
        Ok(())
    })
}

/// Adds the products of hot channels with the others, from number `first` on.
fn add_mixed(slots: &[&Slot], first: usize, simd: Simd, stride: usize, out: &mut [i32]) {
    let panels = stride / dot::WIDTH;
    for slot in slots {
        let panel = slot.packed.len() / panels;
        for (span, out) in slot.spans[first..].iter().zip(out.chunks_exact_mut(stride)) {
            if span[0] < span[1] {
                let quads = &slot.quads[span[0] as usize..span[1] as usize];
                dot::add_sparse(simd, quads, &slot.packed, panel, out);
            }
        }
    }
}

/// Adds the products of hot panel `i` with itself and all later ones.
fn add_hot(slots: &[&Slot], i: usize, n: usize, simd: Simd, stride: usize, out: &mut [i32]) {
    for slot in slots {
        let panel = slot.packed.len() / n;
        for j in i..n {
            dot::add_products(
                simd,
                &slot.packed[i * panel..(i + 1) * panel],
                &slot.packed[j * panel..(j + 1) * panel],
                &mut out[j * dot::WIDTH..],
                stride,
            );
        }
    }
}

/// Adds some slots, each row times its factor.
pub(super) fn add_weighted(
    passes: &dyn Passes,
    layout: &Layout,
    panels: &Panels,
    slots: &[&Slot],
    factors: &[f64],
    table: &mut Table<f64>,
    hot: &mut HotTable<f64>,
) -> Result<(), StepError> {
    let parts = split(panels, layout.stride, table);
    let (stride, simd) = (hot.stride, Simd::detect());
    let cut = |values| match stride {
        0 => Vec::new(),
        _ => <[f64]>::chunks_mut(values, MIXED * stride).map(Mutex::new).collect(),
    };
    let (tiles, mixed) = (cut(&mut hot.values), cut(&mut hot.mixed));
    let (n, m) = (tiles.len(), mixed.len());
    passes.parallel(n + m + parts.len(), &|job| {
        if job < n {
            let out = &mut *lock(&tiles[job]);
            slots.iter().for_each(|s| floats::add_dense(&s.dense, stride, job * MIXED, out));
            return Ok(());
        }
        if job < n + m {
            let out = &mut *lock(&mixed[job - n]);
            for slot in slots {
                let spans = &slot.spans[(job - n) * MIXED..];
                for (span, out) in spans.iter().zip(out.chunks_exact_mut(stride)) {
                    let shares = &slot.shares[span[0] as usize..span[1] as usize];
                    if !shares.is_empty() {
                        floats::add_sparse(simd, shares, &slot.dense, stride, out);
                    }
                }
            }
            return Ok(());
        }
        let job = job - n - m;
        let out = &mut *lock(&parts[job]);
        let places = &panels.places[job];
        for slot in slots {
            add_panel(&[slot], job, panels, layout.stride, Some(factors), out);
            for (r, entries) in &slot.wide {
                let factor = factors[slot.first_row + r];
                for (a, &(i, x)) in entries.iter().enumerate() {
                    for &(j, y) in &entries[a..] {
                        let (i, j) = (usize::from(i.min(j)), usize::from(i.max(j)));
                        if places.contains(&i) {
                            out[(i - places.start) * layout.stride + j] +=
                                factor * f64::from(x) * f64::from(y);
                        }
                    }
                }
            }
        }
        Ok(())
    })
}

/// Adds the wide rows of a slot to 64-bit sums.
pub(super) fn add_wide(slot: &Slot, large: &mut [u64], layout: &Layout) {
    for (_, entries) in &slot.wide {
        for (a, &(i, x)) in entries.iter().enumerate() {
            for &(j, y) in &entries[a..] {
                let (i, j) = (usize::from(i.min(j)), usize::from(i.max(j)));
                large[i * layout.channels + j] += u64::from(x) * u64::from(y);
            }
        }
    }
}

/// Empties the 32-bit sums into 64-bit ones.
pub(super) fn flush(
    table: &mut Table<u32>,
    hot: &mut HotTable<i32>,
    large: &mut Option<Vec<u64>>,
    layout: &Layout,
) {
    let d = layout.channels;
    let large = large.get_or_insert_with(|| vec![0; d * d]);
    for i in 0..d {
        for j in i..d {
            large[i * d + j] += u64::from(std::mem::take(&mut table.values[i * layout.stride + j]));
            if let Some(sum) = hot.at(layout.hot, i, j) {
                large[i * d + j] += u64::from(std::mem::take(sum).unsigned_abs());
            }
        }
    }
}

/// The symmetric matrix in the order of the channels, from the sums for places i <= j.
pub(super) fn assemble<T: Copy + Default + Send>(
    passes: &dyn Passes,
    layout: &Layout,
    sum: impl Fn(usize, usize) -> T + Sync,
) -> Result<Vec<T>, StepError> {
    /// Rows of one job.
    const ROWS: usize = 64;
    let d = layout.channels;
    let mut values = vec![T::default(); d * d];
    let jobs: Vec<_> = values.chunks_mut((ROWS * d).max(1)).map(Mutex::new).collect();
    passes.parallel(jobs.len(), &|job| {
        for (r, row) in lock(&jobs[job]).chunks_exact_mut(d).enumerate() {
            let p = usize::from(layout.place[job * ROWS + r]);
            for (value, &q) in row.iter_mut().zip(&layout.place) {
                *value = sum(p.min(usize::from(q)), p.max(usize::from(q)));
            }
        }
        Ok(())
    })?;
    drop(jobs);
    Ok(values)
}

/// The exact sum for places i <= j.
pub(super) fn exact<'a>(
    layout: &'a Layout,
    table: &'a Table<u32>,
    hot: &'a HotTable<i32>,
    large: Option<&'a [u64]>,
) -> impl Fn(usize, usize) -> u64 + Sync + 'a {
    move |i, j| {
        u64::from(table.values[i * layout.stride + j])
            + u64::from(hot.get(layout.hot, i, j).unsigned_abs())
            + large.map_or(0, |large| large[i * layout.channels + j])
    }
}

/// The weighted sum for places i <= j.
pub(super) fn weighted<'a>(
    layout: &'a Layout,
    table: &'a Table<f64>,
    hot: &'a HotTable<f64>,
) -> impl Fn(usize, usize) -> f64 + Sync + 'a {
    move |i, j| table.values[i * layout.stride + j] + hot.get(layout.hot, i, j)
}
