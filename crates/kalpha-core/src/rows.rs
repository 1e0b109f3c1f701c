//! Sources of rows: pixels, frames or points x channels.

use crate::{
    axis::Axis,
    buffer::Buffer,
    cell::{Cell, CellBuffer, CellData, CsrView},
    csr::{CsrBuilder, CsrCounts},
    noise::NoiseModel,
    primitives::Map,
};
use serde::{Deserialize, Serialize};
use std::{ops::Range, sync::Arc};

/// Rows that any step can read, in memory or on disk. Cloning is cheap.
pub type Rows = Arc<dyn RowSource>;

/// How values are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum DType {
    U8,
    U16,
    U32,
    I16,
    I32,
    F32,
    F64,
    /// Sparse counts.
    Csr,
}

/// What is known of rows before a value is read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RowsMeta {
    /// Number of rows: the product of the navigation axes.
    pub rows: usize,
    /// Values per row.
    pub channels: usize,
    /// Storage.
    pub dtype: DType,
    /// Navigation axes, slowest first; empty for a single spectrum.
    pub navigation: Vec<Axis>,
    /// The axis along a row.
    pub signal: Axis,
    /// What is known of the noise.
    pub noise: NoiseModel,
}

impl RowsMeta {
    /// Lengths of the navigation axes.
    pub fn grid(&self) -> Vec<usize> {
        self.navigation.iter().map(Axis::len).collect()
    }
}

/// Rows cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RowsError {
    /// Sparse counts address at most 65 536 channels.
    #[error("{channels} channels are more than sparse counts can address ({max})")]
    TooManyChannels {
        /// Channels asked for.
        channels: usize,
        /// Channels possible.
        max: usize,
    },
    /// The values do not fill rows x channels.
    #[error("{got} values do not fill {rows} rows of {channels} channels")]
    Shape {
        /// Rows promised.
        rows: usize,
        /// Channels promised.
        channels: usize,
        /// Values found.
        got: usize,
    },
    /// A file could not be read while its rows were wanted.
    #[error("reading rows {first_row}.. of {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// First row of the cell.
        first_row: usize,
        /// What the reader said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Something that lends rows cell by cell.
pub trait RowSource: Send + Sync {
    /// Shape, axes, noise.
    fn meta(&self) -> &RowsMeta;

    /// The rows `range`, borrowed from the source or laid out in `buffer`.
    ///
    /// # Errors
    /// When a file cannot be read.
    fn cell<'a>(
        &'a self,
        range: Range<usize>,
        buffer: &'a mut CellBuffer,
    ) -> Result<Cell<'a>, RowsError>;

    /// The whole matrix, where it is held as sparse counts in memory.
    fn as_csr(&self) -> Option<&CsrCounts> {
        None
    }
}

/// Sparse counts in memory with their axes.
impl RowSource for (RowsMeta, CsrCounts) {
    fn meta(&self) -> &RowsMeta {
        &self.0
    }

    fn cell<'a>(
        &'a self,
        range: Range<usize>,
        _: &'a mut CellBuffer,
    ) -> Result<Cell<'a>, RowsError> {
        Ok(Cell {
            first_row: range.start,
            rows: range.len(),
            channels: self.1.channels(),
            data: CellData::Csr(CsrView::of(&self.1, range)),
        })
    }

    fn as_csr(&self) -> Option<&CsrCounts> {
        Some(&self.1)
    }
}

/// Dense values, row-major.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum DenseValues {
    U8(Buffer<u8>),
    U16(Buffer<u16>),
    U32(Buffer<u32>),
    I16(Buffer<i16>),
    I32(Buffer<i32>),
    F32(Buffer<f32>),
    F64(Buffer<f64>),
}

impl DenseValues {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(v) => v.len(),
            Self::U16(v) => v.len(),
            Self::U32(v) => v.len(),
            Self::I16(v) => v.len(),
            Self::I32(v) => v.len(),
            Self::F32(v) => v.len(),
            Self::F64(v) => v.len(),
        }
    }

    /// True when there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Storage type.
    pub fn dtype(&self) -> DType {
        match self {
            Self::U8(_) => DType::U8,
            Self::U16(_) => DType::U16,
            Self::U32(_) => DType::U32,
            Self::I16(_) => DType::I16,
            Self::I32(_) => DType::I32,
            Self::F32(_) => DType::F32,
            Self::F64(_) => DType::F64,
        }
    }
}

/// Dense rows in memory or in a memory map.
#[derive(Clone, Debug)]
pub struct DenseRows {
    meta: RowsMeta,
    values: DenseValues,
}

impl DenseRows {
    /// Checks that the values fill the shape; the storage type is taken from them.
    ///
    /// # Errors
    /// When the number of values is not rows x channels.
    pub fn new(mut meta: RowsMeta, values: DenseValues) -> Result<Self, RowsError> {
        if meta.rows.checked_mul(meta.channels) != Some(values.len()) {
            return Err(RowsError::Shape {
                rows: meta.rows,
                channels: meta.channels,
                got: values.len(),
            });
        }
        meta.dtype = values.dtype();
        Ok(Self { meta, values })
    }

    /// The stored values.
    pub fn values(&self) -> &DenseValues {
        &self.values
    }
}

impl RowSource for DenseRows {
    fn meta(&self) -> &RowsMeta {
        &self.meta
    }

    fn cell<'a>(
        &'a self,
        range: Range<usize>,
        _: &'a mut CellBuffer,
    ) -> Result<Cell<'a>, RowsError> {
        let channels = self.meta.channels;
        let span = range.start * channels..range.end * channels;
        let data = match &self.values {
            DenseValues::U8(v) => CellData::U8(&v[span]),
            DenseValues::U16(v) => CellData::U16(&v[span]),
            DenseValues::U32(v) => CellData::U32(&v[span]),
            DenseValues::I16(v) => CellData::I16(&v[span]),
            DenseValues::I32(v) => CellData::I32(&v[span]),
            DenseValues::F32(v) => CellData::F32(&v[span]),
            DenseValues::F64(v) => CellData::F64(&v[span]),
        };
        Ok(Cell { first_row: range.start, rows: range.len(), channels, data })
    }
}

/// Counts with some channels and rows emptied: once where they are sparse and in memory, on the
/// fly where they are not.
///
/// The strobe peak's channels and masked pixels are left out this way: the raw counts stay
/// as they were read.
pub struct ExcludeChannels {
    meta: RowsMeta,
    source: Rows,
    channels: Range<usize>,
    masked: Option<Arc<[bool]>>,
    kept: Option<CsrCounts>,
}

impl ExcludeChannels {
    /// Empties `channels` of every row, and the rows that are `masked`.
    pub fn new(source: Rows, channels: Range<usize>, masked: Option<Arc<[bool]>>) -> Self {
        let mut meta = source.meta().clone();
        meta.dtype = DType::Csr;
        let kept = source.as_csr().and_then(|csr| {
            let mut builder = CsrBuilder::new(csr.channels()).ok()?;
            let view = CsrView::of(csr, 0..csr.rows());
            for r in 0..csr.rows() {
                if !masked.as_ref().is_some_and(|m| m[r]) {
                    for e in view.entries(r) {
                        let channel = view.indices[e];
                        if !channels.contains(&usize::from(channel)) {
                            builder.push(channel, view.values.get(e));
                        }
                    }
                }
                builder.end_row();
            }
            Some(builder.finish())
        });
        Self { meta, source, channels, masked, kept }
    }
}

impl RowSource for ExcludeChannels {
    fn meta(&self) -> &RowsMeta {
        &self.meta
    }

    fn as_csr(&self) -> Option<&CsrCounts> {
        self.kept.as_ref()
    }

    fn cell<'a>(
        &'a self,
        range: Range<usize>,
        buffer: &'a mut CellBuffer,
    ) -> Result<Cell<'a>, RowsError> {
        if let Some(csr) = &self.kept {
            return Ok(Cell {
                first_row: range.start,
                rows: range.len(),
                channels: self.meta.channels,
                data: CellData::Csr(CsrView::of(csr, range)),
            });
        }
        let mut inner = buffer.take_inner();
        {
            let cell = self.source.cell(range.clone(), &mut inner)?;
            buffer.start_csr();
            let mut row = 0;
            cell.for_each_nonzero(|r, c, x| {
                while row < r {
                    buffer.end_row();
                    row += 1;
                }
                let masked = self.masked.as_ref().is_some_and(|m| m[range.start + r]);
                if x >= 1.0 && !masked && !self.channels.contains(&c) {
                    buffer.push(c as u16, x as u32);
                }
            });
            while row < cell.rows {
                buffer.end_row();
                row += 1;
            }
        }
        buffer.put_inner(inner);
        Ok(Cell {
            first_row: range.start,
            rows: range.len(),
            channels: self.meta.channels,
            data: CellData::Csr(buffer.csr()),
        })
    }
}

/// Rows made on the fly by a [`Map`] from other rows: nothing is stored.
pub struct Mapped<M> {
    meta: RowsMeta,
    source: Rows,
    map: M,
}

impl<M: Map> Mapped<M> {
    /// `map` applied to `source`; `signal` is the axis of the result.
    pub fn new(source: Rows, map: M, signal: Axis, noise: NoiseModel) -> Self {
        let meta = RowsMeta {
            channels: signal.len(),
            signal,
            noise,
            dtype: DType::F64,
            ..source.meta().clone()
        };
        Self { meta, source, map }
    }
}

impl<M: Map> RowSource for Mapped<M> {
    fn meta(&self) -> &RowsMeta {
        &self.meta
    }

    fn cell<'a>(
        &'a self,
        range: Range<usize>,
        buffer: &'a mut CellBuffer,
    ) -> Result<Cell<'a>, RowsError> {
        let mut inner = buffer.take_inner();
        {
            let cell = self.source.cell(range.clone(), &mut inner)?;
            buffer.f64.clear();
            buffer.f64.resize(range.len() * self.meta.channels, 0.0);
            self.map.apply(&cell, &mut buffer.f64, &mut M::Scratch::default());
        }
        buffer.put_inner(inner);
        Ok(Cell {
            first_row: range.start,
            rows: range.len(),
            channels: self.meta.channels,
            data: CellData::F64(&buffer.f64),
        })
    }
}

/// One row artefact less another, value by value, on the fly.
pub struct Difference {
    meta: RowsMeta,
    minuend: Rows,
    subtrahend: Rows,
}

impl Difference {
    /// `minuend - subtrahend`, of equal shape; `noise` is that of the difference.
    ///
    /// # Errors
    /// When the shapes differ.
    pub fn new(minuend: Rows, subtrahend: Rows, noise: NoiseModel) -> Result<Self, RowsError> {
        let (a, b) = (minuend.meta(), subtrahend.meta());
        if (a.rows, a.channels) != (b.rows, b.channels) {
            let got = b.rows.saturating_mul(b.channels);
            return Err(RowsError::Shape { rows: a.rows, channels: a.channels, got });
        }
        let meta = RowsMeta { dtype: DType::F64, noise, ..a.clone() };
        Ok(Self { meta, minuend, subtrahend })
    }
}

impl RowSource for Difference {
    fn meta(&self) -> &RowsMeta {
        &self.meta
    }

    fn cell<'a>(
        &'a self,
        range: Range<usize>,
        buffer: &'a mut CellBuffer,
    ) -> Result<Cell<'a>, RowsError> {
        let mut inner = buffer.take_inner();
        self.minuend.cell(range.clone(), &mut inner)?.to_f64(&mut buffer.f64);
        {
            let cell = self.subtrahend.cell(range.clone(), &mut inner)?;
            let channels = self.meta.channels;
            cell.for_each_nonzero(|r, c, x| buffer.f64[r * channels + c] -= x);
        }
        buffer.put_inner(inner);
        Ok(Cell {
            first_row: range.start,
            rows: range.len(),
            channels: self.meta.channels,
            data: CellData::F64(&buffer.f64),
        })
    }
}
