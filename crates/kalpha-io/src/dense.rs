//! Raw dense arrays: sparse when sparse, memory-mapped when they lie right, else copied.

use crate::{
    Input, IoError,
    blocks::{Blocks, HELD_BYTES, Stored, rows_of},
    gather::{Block, Gather, Gathered, Kind, not_counts},
    plain::{Number, NumberKind, map, with_block},
};
use kalpha_core::{
    Axis, Cell, CellBuffer, Code, DType, DenseRows, DenseValues, Diagnostic, NoiseModel, RowSource,
    Rows, RowsError, RowsMeta,
};
use std::{ops::Range, sync::Arc};

/// Bytes decoded at once.
const BLOCK_BYTES: usize = 4 << 20;

/// How an array lies in its file.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    number: Number,
    offset: usize,
    /// Values from one point to the next along each axis, channels last; `None`: C order.
    strides: Option<Vec<usize>>,
    /// The file holds nothing else.
    alone: bool,
}

impl Layout {
    /// C order from byte `offset` on.
    pub fn contiguous(number: Number, offset: usize) -> Self {
        Self { number, offset, strides: None, alone: true }
    }

    /// With a stride, in values, along each navigation axis and the channels.
    pub fn strided(number: Number, offset: usize, strides: Vec<usize>) -> Self {
        Self { number, offset, strides: Some(strides), alone: true }
    }

    /// The array is one of several things in the file.
    pub fn among_others(self) -> Self {
        Self { alone: false, ..self }
    }

    fn is_mappable(&self) -> bool {
        self.strides.is_none() && self.number.is_native()
    }
}

/// What to do with unsigned integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prefer {
    /// Make them sparse where they are.
    Sparse,
    /// Map them as they are.
    Mapped,
}

/// Rows of a raw array.
pub(crate) struct Dense {
    pub gathered: Gathered,
    /// The values were not copied.
    pub mapped: bool,
}

/// Reads an array; the product of the axes is checked against the file first.
pub(crate) fn read_dense(
    input: &Input,
    layout: &Layout,
    navigation: Vec<Axis>,
    signal: Axis,
    prefer: Prefer,
) -> Result<Dense, IoError> {
    let bytes = input.bytes();
    let mut lengths: Vec<usize> = navigation.iter().map(Axis::len).collect();
    lengths.push(signal.len());
    let width = layout.number.width;
    let size = lengths.iter().try_fold(width, |n, &d| n.checked_mul(d));
    let end = size.and_then(|size| size.checked_add(layout.offset));
    let Some(end) = end.filter(|end| *end <= bytes.len()) else {
        let expected = format!("{lengths:?} values of {width} bytes from byte {}", layout.offset);
        let got = format!("{} bytes", bytes.len());
        return Err(input.corrupt(layout.offset as u64, "array", expected, got));
    };
    if end == layout.offset {
        return Err(IoError::NoSpectra {
            file: input.path().to_owned(),
            found: format!("an array of shape {lengths:?}"),
        });
    }
    let mut diagnostics = Vec::new();
    if layout.alone && end < bytes.len() {
        let message = format!("{} bytes behind the array were not read", bytes.len() - end);
        diagnostics.push(Diagnostic::note(Code::VendorDisagrees, message));
    }
    let channels = signal.len();
    let rows: usize = navigation.iter().map(Axis::len).product();
    let meta = RowsMeta {
        rows,
        channels,
        dtype: DType::F64,
        navigation: navigation.clone(),
        signal: signal.clone(),
        noise: NoiseModel::Unknown,
    };
    let unsigned = layout.number.kind == NumberKind::Unsigned;
    if unsigned
        && prefer == Prefer::Mapped
        && let Some(dense) = mapped(input, layout, &meta, true, &diagnostics)?
    {
        return Ok(dense);
    }
    if (end - layout.offset) as u64 > HELD_BYTES {
        let raw = RawRows { input: input.clone(), layout: layout.clone(), lengths };
        let mut gathered = rows_of(input, raw, navigation, signal)?;
        gathered.diagnostics.splice(0..0, diagnostics);
        return Ok(Dense { gathered, mapped: true });
    }
    let mut gather = Gather::new(rows, channels);
    let step = (BLOCK_BYTES / (channels * width)).max(1);
    let mut scratch = Vec::new();
    let mut start = 0;
    while start < rows {
        let stop = (start + step).min(rows);
        let block = match &layout.strides {
            None => {
                let row = channels * width;
                &bytes[layout.offset + start * row..layout.offset + stop * row]
            }
            Some(strides) => {
                collect(bytes, layout, &lengths, strides, start..stop, &mut scratch);
                &scratch
            }
        };
        with_block(layout.number, block, |block| gather.push(block));
        // Dense values that lie right need not be held at all.
        let give_up = match gather.kind() {
            Kind::SparseCounts => false,
            Kind::DenseCounts => unsigned,
            Kind::Intensities => true,
        };
        if give_up && let Some(dense) = mapped(input, layout, &meta, unsigned, &diagnostics)? {
            return Ok(dense);
        }
        start = stop;
    }
    let mut gathered = gather.finish(navigation, signal).map_err(|e| input.rows_error(e))?;
    gathered.diagnostics.splice(0..0, diagnostics);
    Ok(Dense { gathered, mapped: false })
}

/// The rows without a copy, where the file allows it.
fn mapped(
    input: &Input,
    layout: &Layout,
    meta: &RowsMeta,
    counts: bool,
    diagnostics: &[Diagnostic],
) -> Result<Option<Dense>, IoError> {
    if !layout.is_mappable() {
        return Ok(None);
    }
    let (bytes, offset, len) = (input.bytes(), layout.offset, meta.rows * meta.channels);
    let values = match (layout.number.kind, layout.number.width) {
        (NumberKind::Unsigned, 1) => map(bytes, offset, len).map(DenseValues::U8),
        (NumberKind::Unsigned, 2) => map(bytes, offset, len).map(DenseValues::U16),
        (NumberKind::Unsigned, 4) => map(bytes, offset, len).map(DenseValues::U32),
        (NumberKind::Signed, 2) => map(bytes, offset, len).map(DenseValues::I16),
        (NumberKind::Signed, 4) => map(bytes, offset, len).map(DenseValues::I32),
        (NumberKind::Float, 4) => map(bytes, offset, len).map(DenseValues::F32),
        (NumberKind::Float, 8) => map(bytes, offset, len).map(DenseValues::F64),
        _ => None,
    };
    let Some(values) = values else { return Ok(None) };
    let mut diagnostics = diagnostics.to_vec();
    let noise = if counts { NoiseModel::COUNTS } else { NoiseModel::Unknown };
    if !counts {
        diagnostics.push(not_counts());
    }
    let rows = DenseRows::new(RowsMeta { noise, ..meta.clone() }, values)
        .map_err(|e| input.rows_error(e))?;
    let rows: Rows = match (len * layout.number.width) as u64 > HELD_BYTES {
        true => Arc::new(HandedBack { rows, input: input.clone() }),
        false => Arc::new(rows),
    };
    Ok(Some(Dense { gathered: Gathered { rows, diagnostics }, mapped: true }))
}

/// Mapped rows whose pages go back to the system after use.
struct HandedBack {
    rows: DenseRows,
    input: Input,
}

impl RowSource for HandedBack {
    fn meta(&self) -> &RowsMeta {
        self.rows.meta()
    }

    fn cell<'a>(
        &'a self,
        range: Range<usize>,
        buffer: &'a mut CellBuffer,
    ) -> Result<Cell<'a>, RowsError> {
        // At most eight bytes a value; pages are handed back a little early for narrower ones.
        self.input.used(range.len() * self.meta().channels * 8);
        self.rows.cell(range, buffer)
    }
}

/// Rows of a raw array, decoded when wanted.
struct RawRows {
    input: Input,
    layout: Layout,
    lengths: Vec<usize>,
}

impl Blocks for RawRows {
    fn dtype(&self) -> Stored {
        Stored::of(self.layout.number)
    }

    fn read(&self, range: Range<usize>, take: &mut dyn FnMut(Block<'_>)) -> Result<(), IoError> {
        let Layout { number, offset, strides, .. } = &self.layout;
        let bytes = self.input.bytes();
        let row = self.lengths.last().copied().unwrap_or(0) * number.width;
        self.input.used(range.len() * row);
        let mut scratch = Vec::new();
        let block = match strides {
            None => &bytes[offset + range.start * row..offset + range.end * row],
            Some(strides) => {
                collect(bytes, &self.layout, &self.lengths, strides, range, &mut scratch);
                &scratch
            }
        };
        with_block(*number, block, take);
        Ok(())
    }
}

/// Lays out rows `range` in C order. The caller has checked that all of them are there.
fn collect(
    bytes: &[u8],
    layout: &Layout,
    lengths: &[usize],
    strides: &[usize],
    range: std::ops::Range<usize>,
    out: &mut Vec<u8>,
) {
    let width = layout.number.width;
    let Some((&channels, navigation)) = lengths.split_last() else { return };
    let channel_stride = strides.last().copied().unwrap_or(1);
    let bases: Vec<usize> = range
        .map(|row| {
            let mut rest = row;
            navigation.iter().zip(strides).rev().fold(0, |base, (n, stride)| {
                let i = rest % n;
                rest /= n;
                base + i * stride
            })
        })
        .collect();
    out.clear();
    out.resize(bases.len() * channels * width, 0);
    for channel in 0..channels {
        for (row, base) in bases.iter().enumerate() {
            let from = layout.offset + (base + channel * channel_stride) * width;
            let to = (row * channels + channel) * width;
            out[to..to + width].copy_from_slice(&bytes[from..from + width]);
        }
    }
}
