//! Some rows, laid out for the pair and the byte kernels.

use super::{
    dot, floats,
    layout::{Layout, Products},
    pairs::Panels,
};
use kalpha_core::{CellBuffer, CellGrid, Count, CsrView, Passes, Rows, StepError, ValuesView};
use std::{
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Entries held at once: 12 MB, so that panels are revisited seldom.
const ENTRIES: f64 = 3e6;

/// Rows laid out together: enough that a seldom channel has some of them.
const SLOT_ROWS: usize = 1024;

/// Cells of one slot.
pub(super) fn cells_per_slot(grid: CellGrid) -> usize {
    SLOT_ROWS.div_ceil(grid.rows_per_cell())
}

/// Some cells: their entries by place, hot ones first.
#[derive(Default)]
pub(super) struct Slot {
    /// Absolute index of the first row.
    pub first_row: usize,
    /// Number of rows.
    pub rows: usize,
    /// Place in the low, count in the high half.
    pub entries: Vec<u32>,
    /// Row `r` holds entries `starts[r]..starts[r + 1]`.
    pub starts: Vec<u32>,
    /// Hot entries of each row that the byte kernel takes care of.
    pub hot: Vec<u32>,
    /// Rows that the byte kernels take care of.
    packed_rows: Vec<bool>,
    /// First entry of each row in each panel, and the ends: panel by panel.
    pub bounds: Vec<u32>,
    /// Hot channels as bytes, one panel after the other.
    pub packed: Vec<u8>,
    /// Hot channels as weighted f64, row by row.
    pub dense: Vec<f64>,
    /// Weighted counts of the other channels, by channel.
    pub shares: Vec<floats::Share>,
    /// Counts of the other channels in rows that the byte kernels take care of, by channel.
    pub quads: Vec<dot::Quad>,
    /// Where those of each channel that is not hot begin and end.
    pub spans: Vec<[u32; 2]>,
    /// Rows with counts too large for 32-bit sums: (row in slot, entries).
    pub wide: Vec<(usize, Vec<(u16, u32)>)>,
    /// No sum of this slot without its wide rows is larger.
    pub bound: u64,
    /// No sum of this slot is larger.
    pub total_bound: u128,
    /// Largest count.
    pub max_count: u32,
    scratch: Scratch,
}

#[derive(Default)]
struct Scratch {
    cell: CellBuffer,
    csr: CellBuffer,
    hot: Vec<u32>,
    cold: Vec<u32>,
}

impl Slot {
    /// Forgets everything and makes room for the rows `span`.
    fn clear(&mut self, layout: &Layout, span: Range<usize>, panels: usize) {
        (self.first_row, self.rows) = (span.start, span.len());
        self.entries.clear();
        self.starts.clear();
        self.starts.push(0);
        self.hot.clear();
        self.packed_rows.clear();
        self.bounds.clear();
        self.bounds.resize((panels + 1) * span.len(), 0);
        self.wide.clear();
        let panels = layout.hot_panels();
        self.packed.clear();
        self.dense.clear();
        match layout.products {
            Products::Bytes => self.packed.resize(panels * span.len().div_ceil(4) * dot::STEP, 0),
            Products::Floats => self.dense.resize(panels * span.len() * floats::WIDTH, 0.0),
        }
        self.spans.clear();
        self.spans.resize(layout.channels - layout.hot, [0; 2]);
        (self.bound, self.total_bound, self.max_count) = (0, 0, 0);
    }

    /// Gathers the entries that are not hot by channel. `spans` hold their number before.
    fn sort_by_channel(&mut self, layout: &Layout, factors: Option<&[f64]>) {
        let mut at = 0;
        for span in &mut self.spans {
            let n = span[1];
            *span = [at, at];
            at += n;
        }
        self.quads.clear();
        self.shares.clear();
        match factors {
            None => self.quads.resize(at as usize, 0),
            Some(_) => self.shares.resize(at as usize, (0, 0.0)),
        }
        for (r, _) in self.packed_rows.iter().enumerate().filter(|(_, packed)| **packed) {
            let cold = (self.starts[r] + self.hot[r]) as usize..self.starts[r + 1] as usize;
            let (step, shift) = ((r / 4) as u64, r % 4 * 8);
            let root = factors.map(|f| f[self.first_row + r].sqrt());
            for &entry in &self.entries[cold] {
                let [first, end] = &mut self.spans[(entry & 0xFFFF) as usize - layout.hot];
                if let Some(root) = root {
                    self.shares[*end as usize] = (r as u32, root * f64::from(entry >> 16));
                    *end += 1;
                    continue;
                }
                let count = u64::from(entry >> 16) << shift;
                let open = *end > *first && self.quads[*end as usize - 1] >> 32 == step;
                *end += u32::from(!open);
                // A closed place is still 0: nothing was written there before.
                self.quads[*end as usize - 1] |= step << 32 | count;
            }
        }
    }
}

/// The cells that are in memory together.
pub(super) struct Chunk {
    slots: Vec<Mutex<Slot>>,
    panel_of: Vec<u16>,
    panels: usize,
    slots_in_all: usize,
    filled: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Chunk {
    pub fn new(layout: &Layout, grid: CellGrid) -> Self {
        let slots = grid.cells().div_ceil(cells_per_slot(grid));
        let rows = cells_per_slot(grid) * grid.rows_per_cell();
        let per_slot = layout.per_row.max(1.0) * rows as f64;
        let at_once = ((ENTRIES / per_slot) as usize).clamp(1, 256).min(slots);
        let panels = Panels::new(layout);
        let mut panel_of = vec![0; layout.channels];
        for (i, places) in panels.places.iter().enumerate() {
            panel_of[places.clone()].fill(i as u16);
        }
        Self {
            slots: (0..at_once).map(|_| Mutex::default()).collect(),
            panel_of,
            panels: panels.places.len(),
            slots_in_all: slots,
            filled: 0,
        }
    }

    /// The slots of each filling.
    pub fn fillings(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (step, end) = (self.slots.len().max(1), self.slots_in_all);
        (0..end).step_by(step).map(move |i| i..(i + step).min(end))
    }

    /// Reads and lays out some slots, in parallel.
    pub fn fill(
        &mut self,
        passes: &dyn Passes,
        rows: &Rows,
        grid: CellGrid,
        layout: &Layout,
        factors: Option<&[f64]>,
        slots: Range<usize>,
    ) -> Result<(), StepError> {
        self.filled = slots.len();
        passes.parallel(slots.len(), &|job| {
            let slot = &mut *lock(&self.slots[job]);
            let per_slot = cells_per_slot(grid);
            let first = (slots.start + job) * per_slot;
            let cells = first..(first + per_slot).min(grid.cells());
            let span = grid.rows(cells.start).start..grid.rows(cells.end - 1).end;
            slot.clear(layout, span.clone(), self.panels);
            let mut scratch = std::mem::take(&mut slot.scratch);
            for i in cells {
                passes.ctx().checkpoint()?;
                let cell = rows.cell(grid.rows(i), &mut scratch.cell)?;
                let view = cell.to_csr(&mut scratch.csr);
                let rows = cell.first_row - span.start..cell.first_row - span.start + cell.rows;
                let (hot, cold) = (&mut scratch.hot, &mut scratch.cold);
                match view.values {
                    ValuesView::U8(v) => {
                        self.lay_out(slot, layout, factors, rows, &view, v, hot, cold)
                    }
                    ValuesView::U16(v) => {
                        self.lay_out(slot, layout, factors, rows, &view, v, hot, cold)
                    }
                    ValuesView::U32(v) => {
                        self.lay_out(slot, layout, factors, rows, &view, v, hot, cold)
                    }
                }
            }
            slot.scratch = scratch;
            if layout.hot > 0 {
                slot.sort_by_channel(layout, factors);
            }
            Ok(())
        })
    }

    /// The slots of the last filling, in order.
    pub fn filled(&self) -> Vec<MutexGuard<'_, Slot>> {
        self.slots[..self.filled].iter().map(lock).collect()
    }

    fn lay_out<V: Count>(
        &self,
        slot: &mut Slot,
        layout: &Layout,
        factors: Option<&[f64]>,
        rows: Range<usize>,
        view: &CsrView<'_>,
        values: &[V],
        hot: &mut Vec<u32>,
        cold: &mut Vec<u32>,
    ) {
        let panel_bytes = slot.rows.div_ceil(4) * dot::STEP;
        hot.resize(layout.channels, 0);
        cold.resize(layout.channels, 0);
        let mut counted = vec![0u32; self.panels + 1];
        for (in_cell, r) in rows.enumerate() {
            let entries = view.entries(in_cell);
            let (mut hots, mut colds, mut highest) = (0, 0, 0);
            counted.fill(0);
            // Both lists are written and one cursor moves: a branch would be mispredicted.
            for (&channel, &value) in
                view.indices[entries.clone()].iter().zip(&values[entries.clone()])
            {
                let (place, value) = (layout.place[usize::from(channel)], value.get());
                highest = highest.max(value);
                let entry = u32::from(place) | value << 16;
                hot[hots] = entry;
                cold[colds] = entry;
                let is_hot = usize::from(usize::from(place) < layout.hot);
                hots += is_hot;
                colds += 1 - is_hot;
                counted[usize::from(self.panel_of[usize::from(place)])] += 1;
            }
            slot.max_count = slot.max_count.max(highest);
            slot.total_bound += u128::from(highest) * u128::from(highest);
            if highest > layout.row_max {
                let wide = entries
                    .map(|e| (layout.place[usize::from(view.indices[e])], values[e].get()))
                    .collect();
                slot.wide.push((r, wide));
                counted.fill(0);
                (hots, colds, highest) = (0, 0, 0);
            }
            slot.bound += u64::from(highest) * u64::from(highest);
            let mut at = slot.entries.len() as u32;
            for (panel, n) in counted.iter().enumerate() {
                slot.bounds[panel * slot.rows + r] = at;
                at += n;
            }
            slot.entries.extend_from_slice(&hot[..hots]);
            slot.entries.extend_from_slice(&cold[..colds]);
            slot.starts.push(slot.entries.len() as u32);
            let packed = layout.hot > 0 && (factors.is_some() || highest <= dot::MAX);
            slot.hot.push(if packed { hots as u32 } else { 0 });
            if packed {
                if let Some(factors) = factors {
                    let root = factors[slot.first_row + r].sqrt();
                    let width = layout.hot_panels() * floats::WIDTH;
                    let row = &mut slot.dense[r * width..(r + 1) * width];
                    for &entry in &hot[..hots] {
                        row[(entry & 0xFFFF) as usize] = root * f64::from(entry >> 16);
                    }
                    hots = 0;
                }
                for &entry in &hot[..hots] {
                    let place = (entry & 0xFFFF) as usize;
                    let at = place / dot::WIDTH * panel_bytes
                        + r / 4 * dot::STEP
                        + place % dot::WIDTH * 4
                        + r % 4;
                    slot.packed[at] = (entry >> 16) as u8;
                }
                for &entry in &cold[..colds] {
                    slot.spans[(entry & 0xFFFF) as usize - layout.hot][1] += 1;
                }
            }
            slot.packed_rows.push(packed);
        }
    }
}
