//! Cells: the only form in which data reaches a kernel.
//!
//! A cell holds a fixed number of complete rows, aligned to the absolute row index, so a
//! result never depends on block size, thread count or source.

use crate::csr::{Count, CountValues, CsrCounts};
use std::ops::Range;

/// How the rows of a source are cut into cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellGrid {
    rows: usize,
    rows_per_cell: usize,
}

impl CellGrid {
    /// The grid for `rows` x `channels`: it depends on the shape alone.
    ///
    /// A cell converted to f64 fills about 2 MiB, half an L2 cache.
    pub fn new(rows: usize, channels: usize) -> Self {
        let target = (1usize << 18) / channels.max(1);
        let rows_per_cell = target.next_power_of_two().clamp(16, 4096);
        Self { rows, rows_per_cell }
    }

    /// Number of cells.
    pub fn cells(&self) -> usize {
        self.rows.div_ceil(self.rows_per_cell)
    }

    /// Rows in a full cell.
    pub fn rows_per_cell(&self) -> usize {
        self.rows_per_cell
    }

    /// Rows of cell `i`.
    pub fn rows(&self, i: usize) -> Range<usize> {
        let start = i * self.rows_per_cell;
        start..(start + self.rows_per_cell).min(self.rows)
    }

    /// Number of stretches: runs of neighbouring cells that one job takes in order.
    ///
    /// At most 64, so ordered results cost at most 64 states.
    pub fn stretches(&self) -> usize {
        self.cells().min(64)
    }

    /// Cells of stretch `i`.
    pub fn stretch(&self, i: usize) -> Range<usize> {
        let (cells, n) = (self.cells(), self.stretches());
        (i * cells / n)..((i + 1) * cells / n)
    }
}

/// Stored counts of a [`CsrView`].
#[derive(Clone, Copy, Debug)]
pub enum ValuesView<'a> {
    /// `u8` counts.
    U8(&'a [u8]),
    /// `u16` counts.
    U16(&'a [u16]),
    /// `u32` counts.
    U32(&'a [u32]),
}

impl ValuesView<'_> {
    /// Count of entry `i`.
    #[inline]
    pub fn get(&self, i: usize) -> u32 {
        match self {
            Self::U8(v) => v[i].get(),
            Self::U16(v) => v[i].get(),
            Self::U32(v) => v[i],
        }
    }
}

/// Sparse rows of one cell.
#[derive(Clone, Copy, Debug)]
pub struct CsrView<'a> {
    /// `rows + 1` entry numbers; the first need not be 0.
    pub indptr: &'a [u64],
    /// Channel of each entry, from entry `indptr[0]` on.
    pub indices: &'a [u16],
    /// Count of each entry.
    pub values: ValuesView<'a>,
}

impl<'a> CsrView<'a> {
    /// The rows `range` of a matrix.
    pub fn of(csr: &'a CsrCounts, range: Range<usize>) -> Self {
        let indptr = &csr.indptr()[range.start..range.end + 1];
        let entries = indptr[0] as usize..indptr[indptr.len() - 1] as usize;
        Self {
            indptr,
            indices: &csr.indices()[entries.clone()],
            values: match csr.values() {
                CountValues::U8(v) => ValuesView::U8(&v[entries]),
                CountValues::U16(v) => ValuesView::U16(&v[entries]),
                CountValues::U32(v) => ValuesView::U32(&v[entries]),
            },
        }
    }

    /// Entries of row `r`, as positions in `indices` and `values`.
    #[inline]
    pub fn entries(&self, r: usize) -> Range<usize> {
        let first = self.indptr[0];
        (self.indptr[r] - first) as usize..(self.indptr[r + 1] - first) as usize
    }
}

/// The values of a cell, row-major where dense.
#[derive(Clone, Copy, Debug)]
pub enum CellData<'a> {
    /// Counts up to 255.
    U8(&'a [u8]),
    /// Counts up to 65 535.
    U16(&'a [u16]),
    /// Any count.
    U32(&'a [u32]),
    /// Signed intensities.
    I16(&'a [i16]),
    /// Signed intensities.
    I32(&'a [i32]),
    /// Intensities.
    F32(&'a [f32]),
    /// Intensities.
    F64(&'a [f64]),
    /// Sparse counts.
    Csr(CsrView<'a>),
}

/// Some complete rows.
#[derive(Clone, Copy, Debug)]
pub struct Cell<'a> {
    /// Absolute index of the first row.
    pub first_row: usize,
    /// Number of rows.
    pub rows: usize,
    /// Channels per row.
    pub channels: usize,
    /// The values.
    pub data: CellData<'a>,
}

impl Cell<'_> {
    /// Calls `f(row in cell, channel, value)` for every non-zero value, in order.
    #[inline]
    pub fn for_each_nonzero(&self, mut f: impl FnMut(usize, usize, f64)) {
        macro_rules! dense {
            ($v:expr) => {
                for (r, row) in $v.chunks_exact(self.channels).enumerate() {
                    for (c, &x) in row.iter().enumerate() {
                        let x = f64::from(x);
                        if x != 0.0 {
                            f(r, c, x);
                        }
                    }
                }
            };
        }
        macro_rules! sparse {
            ($csr:expr, $v:expr) => {
                for r in 0..self.rows {
                    for e in $csr.entries(r) {
                        f(r, usize::from($csr.indices[e]), f64::from($v[e]));
                    }
                }
            };
        }
        match self.data {
            CellData::U8(v) => dense!(v),
            CellData::U16(v) => dense!(v),
            CellData::U32(v) => dense!(v),
            CellData::I16(v) => dense!(v),
            CellData::I32(v) => dense!(v),
            CellData::F32(v) => dense!(v),
            CellData::F64(v) => dense!(v),
            CellData::Csr(csr) => match csr.values {
                ValuesView::U8(v) => sparse!(csr, v),
                ValuesView::U16(v) => sparse!(csr, v),
                ValuesView::U32(v) => sparse!(csr, v),
            },
        }
    }

    /// The cell as dense f64, rows x channels, in `out`.
    pub fn to_f64(&self, out: &mut Vec<f64>) {
        out.clear();
        match self.data {
            CellData::F64(v) => out.extend_from_slice(v),
            CellData::F32(v) => out.extend(v.iter().map(|&x| f64::from(x))),
            _ => {
                out.resize(self.rows * self.channels, 0.0);
                self.for_each_nonzero(|r, c, x| out[r * self.channels + c] = x);
            }
        }
    }

    /// True when the values are unsigned integers, that is counts.
    pub fn is_counts(&self) -> bool {
        matches!(
            self.data,
            CellData::U8(_) | CellData::U16(_) | CellData::U32(_) | CellData::Csr(_)
        )
    }

    /// The non-zero counts as sparse rows, borrowed when they are sparse already.
    ///
    /// Signed and floating values are rounded towards zero and negative ones dropped:
    /// call it only where [`Cell::is_counts`] holds.
    pub fn to_csr<'b>(&'b self, buffer: &'b mut CellBuffer) -> CsrView<'b> {
        if let CellData::Csr(view) = self.data {
            return view;
        }
        buffer.start_csr();
        let mut row = 0;
        self.for_each_nonzero(|r, c, x| {
            while row < r {
                buffer.end_row();
                row += 1;
            }
            if x >= 1.0 {
                buffer.push(c as u16, x as u32);
            }
        });
        while row < self.rows {
            buffer.end_row();
            row += 1;
        }
        buffer.csr()
    }
}

/// Scratch in which a source lays out a cell that it cannot lend.
#[derive(Debug, Default)]
pub struct CellBuffer {
    /// Dense values.
    pub f64: Vec<f64>,
    /// Dense values.
    pub f32: Vec<f32>,
    /// Dense values.
    pub u8: Vec<u8>,
    /// Dense values.
    pub u16: Vec<u16>,
    /// Dense values or sparse counts.
    pub u32: Vec<u32>,
    /// Dense values.
    pub i16: Vec<i16>,
    /// Dense values.
    pub i32: Vec<i32>,
    indptr: Vec<u64>,
    indices: Vec<u16>,
    inner: Option<Box<CellBuffer>>,
}

impl CellBuffer {
    /// Starts sparse rows, forgetting what was there.
    pub fn start_csr(&mut self) {
        self.indptr.clear();
        self.indptr.push(0);
        self.indices.clear();
        self.u32.clear();
    }

    /// Adds an entry to the open sparse row.
    #[inline]
    pub fn push(&mut self, channel: u16, count: u32) {
        self.indices.push(channel);
        self.u32.push(count);
    }

    /// Closes the open sparse row.
    pub fn end_row(&mut self) {
        self.indptr.push(self.indices.len() as u64);
    }

    /// Adds and closes a sparse row of at most `most` entries: `fill` writes them from the front
    /// and returns their number.
    #[inline]
    pub fn fill_row(&mut self, most: usize, fill: impl FnOnce(&mut [u16], &mut [u32]) -> usize) {
        let at = self.indices.len();
        self.indices.resize(at + most, 0);
        self.u32.resize(at + most, 0);
        let n = fill(&mut self.indices[at..], &mut self.u32[at..]).min(most);
        self.indices.truncate(at + n);
        self.u32.truncate(at + n);
        self.end_row();
    }

    /// The sparse rows laid out so far.
    pub fn csr(&self) -> CsrView<'_> {
        CsrView { indptr: &self.indptr, indices: &self.indices, values: ValuesView::U32(&self.u32) }
    }

    /// Takes the buffer for a source below this one; give it back with [`Self::put_inner`].
    pub fn take_inner(&mut self) -> Box<CellBuffer> {
        self.inner.take().unwrap_or_default()
    }

    /// Gives the inner buffer back, so its memory is used again.
    pub fn put_inner(&mut self, inner: Box<CellBuffer>) {
        self.inner = Some(inner);
    }
}
