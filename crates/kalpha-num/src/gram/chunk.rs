//! Some cells, laid out for the pair and the byte kernels.

use super::{dot, layout::Layout, pairs::Panels};
use kalpha_core::{CellBuffer, CellGrid, Count, CsrView, Passes, Rows, StepError, ValuesView};
use std::{
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Entries held at once: 12 MB, so that panels are revisited seldom.
const ENTRIES: f64 = 3e6;

/// One cell: its entries by place, hot ones first.
#[derive(Default)]
pub(super) struct Slot {
    /// Absolute index of the first row.
    pub first_row: usize,
    /// Place in the low, count in the high half.
    pub entries: Vec<u32>,
    /// Row `r` holds entries `starts[r]..starts[r + 1]`.
    pub starts: Vec<u32>,
    /// Hot entries of each row that the byte kernel takes care of.
    pub hot: Vec<u32>,
    /// First entry of each row in each panel, and its end.
    pub bounds: Vec<u32>,
    /// Hot channels as bytes, one panel after the other.
    pub packed: Vec<u8>,
    /// Rows with counts too large for 32-bit sums: (row in cell, entries).
    pub wide: Vec<(usize, Vec<(u16, u32)>)>,
    /// No sum of this cell without its wide rows is larger.
    pub bound: u64,
    /// No sum of this cell is larger.
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

/// The cells that are in memory together.
pub(super) struct Chunk {
    slots: Vec<Mutex<Slot>>,
    panel_of: Vec<u16>,
    panels: usize,
    cells: usize,
    filled: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Chunk {
    pub fn new(layout: &Layout, grid: CellGrid) -> Self {
        let per_cell = layout.per_row.max(1.0) * grid.rows_per_cell() as f64;
        let at_once = ((ENTRIES / per_cell) as usize).clamp(1, 1024).min(grid.cells());
        let panels = Panels::new(layout);
        let mut panel_of = vec![0; layout.channels];
        for (i, places) in panels.places.iter().enumerate() {
            panel_of[places.clone()].fill(i as u16);
        }
        Self {
            slots: (0..at_once).map(|_| Mutex::default()).collect(),
            panel_of,
            panels: panels.places.len(),
            cells: grid.cells(),
            filled: 0,
        }
    }

    /// The cells of each filling.
    pub fn cells(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (step, end) = (self.slots.len().max(1), self.cells);
        (0..end).step_by(step).map(move |i| i..(i + step).min(end))
    }

    /// Reads and lays out some cells, in parallel.
    pub fn fill(
        &mut self,
        passes: &dyn Passes,
        rows: &Rows,
        grid: CellGrid,
        layout: &Layout,
        cells: Range<usize>,
    ) -> Result<(), StepError> {
        self.filled = cells.len();
        passes.parallel(cells.len(), &|job| {
            let slot = &mut *lock(&self.slots[job]);
            let mut scratch = std::mem::take(&mut slot.scratch);
            let cell = rows.cell(grid.rows(cells.start + job), &mut scratch.cell)?;
            slot.first_row = cell.first_row;
            let view = cell.to_csr(&mut scratch.csr);
            let (hot, cold) = (&mut scratch.hot, &mut scratch.cold);
            match view.values {
                ValuesView::U8(v) => self.lay_out(slot, layout, cell.rows, &view, v, hot, cold),
                ValuesView::U16(v) => self.lay_out(slot, layout, cell.rows, &view, v, hot, cold),
                ValuesView::U32(v) => self.lay_out(slot, layout, cell.rows, &view, v, hot, cold),
            }
            slot.scratch = scratch;
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
        rows: usize,
        view: &CsrView<'_>,
        values: &[V],
        hot: &mut Vec<u32>,
        cold: &mut Vec<u32>,
    ) {
        let panel_bytes = rows.div_ceil(4) * dot::STEP;
        slot.entries.clear();
        slot.starts.clear();
        slot.starts.push(0);
        slot.hot.clear();
        slot.bounds.clear();
        slot.wide.clear();
        slot.packed.clear();
        slot.packed.resize(layout.hot_panels() * panel_bytes, 0);
        (slot.bound, slot.total_bound, slot.max_count) = (0, 0, 0);
        hot.resize(layout.channels, 0);
        cold.resize(layout.channels, 0);
        let mut counted = vec![0u32; self.panels + 1];
        for r in 0..rows {
            let entries = view.entries(r);
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
            for n in &counted {
                slot.bounds.push(at);
                at += n;
            }
            slot.entries.extend_from_slice(&hot[..hots]);
            slot.entries.extend_from_slice(&cold[..colds]);
            slot.starts.push(slot.entries.len() as u32);
            let packed = highest <= dot::MAX;
            slot.hot.push(if packed { hots as u32 } else { 0 });
            if packed {
                for &entry in &hot[..hots] {
                    let place = (entry & 0xFFFF) as usize;
                    let at = place / dot::WIDTH * panel_bytes
                        + r / 4 * dot::STEP
                        + place % dot::WIDTH * 4
                        + r % 4;
                    slot.packed[at] = (entry >> 16) as u8;
                }
            }
        }
    }
}
