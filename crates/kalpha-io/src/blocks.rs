//! Arrays of any size: small ones are held as suits them, large ones are read when wanted.
//!
//! A file format gives [`Blocks`]; [`rows_of`] makes rows of them. Up to [`HELD_BYTES`] the
//! values are gathered (sparse counts stay sparse). Beyond, a cell is read from the file each
//! time somebody asks, so memory does not grow with the file.

use crate::{
    Input, IoError,
    gather::{Block, Gather, Gathered, not_counts},
    plain::{Number, NumberKind},
};
use kalpha_core::{
    Axis, Cell, CellBuffer, CellData, Code, DType, DenseRows, DenseValues, Diagnostic, NoiseModel,
    RowSource, Rows, RowsError, RowsMeta,
};
use std::{ops::Range, sync::Arc};

/// Arrays of more bytes are not held in memory.
pub(crate) const HELD_BYTES: u64 = 128 << 20;

/// A file justifies so many bytes in memory for each of its own.
const HELD_FACTOR: u64 = 256;

/// Bytes asked for at once.
const BLOCK_BYTES: usize = 4 << 20;

/// Rows of an array in a file.
pub(crate) trait Blocks: Send + Sync {
    /// Type of the values, in NumPy's words.
    fn dtype(&self) -> Stored;

    /// Hands out the rows `range` in order, in one or several blocks of whole rows.
    fn read(&self, range: Range<usize>, take: &mut dyn FnMut(Block<'_>)) -> Result<(), IoError>;

    /// Hands out all rows at once where that is quicker and they are few; else gives false.
    fn read_whole(&self, _take: &mut dyn FnMut(Block<'_>)) -> Result<bool, IoError> {
        Ok(false)
    }

    /// Rows to ask for at once so that nothing is unpacked twice; 0 where it does not matter.
    fn rows_at_once(&self) -> usize {
        0
    }
}

/// A number type of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub(crate) enum Stored {
    Bool,
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
    F32,
    F64,
}

impl Stored {
    /// The type in NumPy's words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::U8 => "uint8",
            Self::U16 => "uint16",
            Self::U32 => "uint32",
            Self::U64 => "uint64",
            Self::I8 => "int8",
            Self::I16 => "int16",
            Self::I32 => "int32",
            Self::I64 => "int64",
            Self::F32 => "float32",
            Self::F64 => "float64",
        }
    }

    /// The type of plain numbers.
    pub fn of(number: Number) -> Self {
        match (number.kind, number.width) {
            (NumberKind::Unsigned, 1) => Self::U8,
            (NumberKind::Unsigned, 2) => Self::U16,
            (NumberKind::Unsigned, 4) => Self::U32,
            (NumberKind::Unsigned, _) => Self::U64,
            (NumberKind::Signed, 1) => Self::I8,
            (NumberKind::Signed, 2) => Self::I16,
            (NumberKind::Signed, 4) => Self::I32,
            (NumberKind::Signed, _) => Self::I64,
            (NumberKind::Float, 4) => Self::F32,
            (NumberKind::Float, _) => Self::F64,
        }
    }

    /// Bytes of one value.
    pub fn width(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// True for counts by their type alone.
    pub fn is_unsigned(self) -> bool {
        matches!(self, Self::Bool | Self::U8 | Self::U16 | Self::U32)
    }

    /// The nearest type that cells have.
    fn cell_type(self) -> DType {
        match self {
            Self::Bool | Self::U8 => DType::U8,
            Self::U16 => DType::U16,
            Self::U32 => DType::U32,
            Self::I8 | Self::I16 => DType::I16,
            Self::I32 => DType::I32,
            Self::F32 => DType::F32,
            Self::U64 | Self::I64 | Self::F64 => DType::F64,
        }
    }
}

/// Rows that stay in their file.
struct Lazy<B> {
    meta: RowsMeta,
    blocks: B,
    path: String,
}

/// Appends a block to the vector of a cell's type.
#[allow(clippy::unnecessary_cast, reason = "one macro for all types")]
fn lay(block: Block<'_>, dtype: DType, buffer: &mut CellBuffer) {
    macro_rules! each {
        ($v:ident => $do:expr) => {
            match block {
                Block::U8($v) => $do,
                Block::U16($v) => $do,
                Block::U32($v) => $do,
                Block::U64($v) => $do,
                Block::I8($v) => $do,
                Block::I16($v) => $do,
                Block::I32($v) => $do,
                Block::I64($v) => $do,
                Block::F32($v) => $do,
                Block::F64($v) => $do,
            }
        };
    }
    match (dtype, block) {
        (DType::U8, Block::U8(v)) => buffer.u8.extend_from_slice(v),
        (DType::U16, Block::U16(v)) => buffer.u16.extend_from_slice(v),
        (DType::U32, Block::U32(v)) => buffer.u32.extend_from_slice(v),
        (DType::I16, Block::I16(v)) => buffer.i16.extend_from_slice(v),
        (DType::I32, Block::I32(v)) => buffer.i32.extend_from_slice(v),
        (DType::F32, Block::F32(v)) => buffer.f32.extend_from_slice(v),
        (DType::I16, Block::I8(v)) => buffer.i16.extend(v.iter().map(|&x| i16::from(x))),
        // Counts stored as other types: a look at all of them has shown that they fit.
        (DType::U32, block) => each!(v => {
            let _ = block;
            buffer.u32.extend(v.iter().map(|&x| x as u32));
        }),
        (_, block) => each!(v => {
            let _ = block;
            buffer.f64.extend(v.iter().map(|&x| x as f64));
        }),
    }
}

impl<B: Blocks> RowSource for Lazy<B> {
    fn meta(&self) -> &RowsMeta {
        &self.meta
    }

    fn cell<'a>(
        &'a self,
        range: Range<usize>,
        buffer: &'a mut CellBuffer,
    ) -> Result<Cell<'a>, RowsError> {
        let RowsMeta { channels, dtype, .. } = self.meta;
        macro_rules! clear {
            ($($field:ident),*) => { $(buffer.$field.clear();)* };
        }
        clear!(u8, u16, u32, i16, i32, f32, f64);
        let fail = |source: Box<dyn std::error::Error + Send + Sync>| RowsError::Read {
            path: self.path.clone(),
            first_row: range.start,
            source,
        };
        self.blocks
            .read(range.clone(), &mut |block| lay(block, dtype, buffer))
            .map_err(|error| fail(Box::new(error)))?;
        let data = match dtype {
            DType::U8 => CellData::U8(&buffer.u8),
            DType::U16 => CellData::U16(&buffer.u16),
            DType::U32 => CellData::U32(&buffer.u32),
            DType::I16 => CellData::I16(&buffer.i16),
            DType::I32 => CellData::I32(&buffer.i32),
            DType::F32 => CellData::F32(&buffer.f32),
            DType::F64 | DType::Csr => CellData::F64(&buffer.f64),
        };
        let laid = match data {
            CellData::U8(v) => v.len(),
            CellData::U16(v) => v.len(),
            CellData::U32(v) => v.len(),
            CellData::I16(v) => v.len(),
            CellData::I32(v) => v.len(),
            CellData::F32(v) => v.len(),
            CellData::F64(v) => v.len(),
            CellData::Csr(_) => 0,
        };
        if laid != range.len() * channels {
            return Err(RowsError::Shape { rows: range.len(), channels, got: laid });
        }
        Ok(Cell { first_row: range.start, rows: range.len(), channels, data })
    }
}

/// Hands out all rows in blocks of a size that suits the file.
fn for_each_block(
    blocks: &impl Blocks,
    rows: usize,
    channels: usize,
    mut take: impl FnMut(Block<'_>) -> bool,
) -> Result<(), IoError> {
    let width = blocks.dtype().width();
    let fits = (BLOCK_BYTES / (channels * width).max(1)).max(1);
    let step = match blocks.rows_at_once() {
        0 => fits,
        // Whole chunks, as many as fit; one that is much too large is read in parts.
        n if n <= fits => fits / n * n,
        n if n <= 8 * fits => n,
        _ => fits,
    };
    let (mut start, mut go_on) = (0, true);
    while start < rows && go_on {
        let stop = (start + step).min(rows);
        blocks.read(start..stop, &mut |block| go_on &= take(block))?;
        start = stop;
    }
    Ok(())
}

fn all_counts(block: Block<'_>) -> bool {
    match block {
        Block::U8(_) | Block::U16(_) | Block::U32(_) => true,
        Block::U64(v) => v.iter().all(|&x| u32::try_from(x).is_ok()),
        Block::I8(v) => v.iter().all(|&x| x >= 0),
        Block::I16(v) => v.iter().all(|&x| x >= 0),
        Block::I32(v) => v.iter().all(|&x| x >= 0),
        Block::I64(v) => v.iter().all(|&x| u32::try_from(x).is_ok()),
        Block::F32(v) => v.iter().all(|&x| x as u32 as f32 == x && x < u32::MAX as f32),
        Block::F64(v) => v.iter().all(|&x| f64::from(x as u32) == x && x < f64::from(u32::MAX)),
    }
}

/// True where an array is held in memory: it is not large, and no larger than what the length of
/// the file justifies. A row takes a place of its own, however short it is.
fn is_held(input: &Input, rows: usize, row_bytes: usize) -> bool {
    let justified = match input.is_folder() {
        // The length of its files is not known here.
        true => HELD_BYTES,
        false => HELD_BYTES.min((8 << 20) + HELD_FACTOR * input.bytes().len() as u64),
    };
    (rows as u64).saturating_mul(row_bytes.max(size_of::<u64>()) as u64) <= justified
}

/// Rows of an array whose length the caller has checked against the file.
pub(crate) fn rows_of(
    input: &Input,
    blocks: impl Blocks + 'static,
    navigation: Vec<Axis>,
    signal: Axis,
) -> Result<Gathered, IoError> {
    let rows: usize = navigation.iter().map(Axis::len).product();
    let channels = signal.len();
    let stored = blocks.dtype();
    if is_held(input, rows, channels.saturating_mul(stored.width())) {
        let mut gather = Gather::new(rows, channels);
        if !blocks.read_whole(&mut |block| gather.push(block))? {
            for_each_block(&blocks, rows, channels, |block| {
                gather.push(block);
                true
            })?;
        }
        return gather.finish(navigation, signal).map_err(|e| input.rows_error(e));
    }
    let mut diagnostics = Vec::new();
    let mut counts = stored.is_unsigned();
    if !counts {
        // Signed and floating values may be counts: only a look at all of them tells.
        counts = true;
        for_each_block(&blocks, rows, channels, |block| {
            counts &= all_counts(block);
            counts
        })?;
        if !counts {
            diagnostics.push(not_counts());
        } else if matches!(stored, Stored::F32 | Stored::F64) {
            let message = "floating-point values are all whole numbers and were taken for counts";
            diagnostics.push(Diagnostic::note(Code::Assumed, message));
        }
    }
    let dtype = match counts && !stored.is_unsigned() {
        true => DType::U32,
        false => stored.cell_type(),
    };
    let noise = if counts { NoiseModel::COUNTS } else { NoiseModel::Unknown };
    let meta = RowsMeta { rows, channels, dtype, navigation, signal, noise };
    let path = input.path().to_string_lossy().into_owned();
    Ok(Gathered { rows: Arc::new(Lazy { meta, blocks, path }), diagnostics })
}

/// Rows of an array as they are, read each time somebody asks for them.
pub(crate) fn rows_when_wanted(
    input: &Input,
    blocks: impl Blocks + 'static,
    navigation: Vec<Axis>,
    signal: Axis,
    noise: NoiseModel,
) -> Rows {
    let rows = navigation.iter().map(Axis::len).product();
    let (channels, dtype) = (signal.len(), blocks.dtype().cell_type());
    let meta = RowsMeta { rows, channels, dtype, navigation, signal, noise };
    Arc::new(Lazy { meta, blocks, path: input.path().to_string_lossy().into_owned() })
}

/// Rows of an array as they are, for what is known to be no counts or known to be.
///
/// They are held in their own type, large ones are read when wanted. The caller has checked the
/// length of the array.
pub(crate) fn rows_as_stored(
    input: &Input,
    blocks: impl Blocks + 'static,
    navigation: Vec<Axis>,
    signal: Axis,
    noise: NoiseModel,
) -> Result<Rows, IoError> {
    let rows: usize = navigation.iter().map(Axis::len).product();
    let (channels, stored) = (signal.len(), blocks.dtype());
    if !is_held(input, rows, channels.saturating_mul(stored.width())) {
        return Ok(rows_when_wanted(input, blocks, navigation, signal, noise));
    }
    let dtype = stored.cell_type();
    let meta = RowsMeta { rows, channels, dtype, navigation, signal, noise };
    let mut buffer = CellBuffer::default();
    if !blocks.read_whole(&mut |block| lay(block, dtype, &mut buffer))? {
        for_each_block(&blocks, rows, channels, |block| {
            lay(block, dtype, &mut buffer);
            true
        })?;
    }
    let values = match dtype {
        DType::U8 => DenseValues::U8(buffer.u8.into()),
        DType::U16 => DenseValues::U16(buffer.u16.into()),
        DType::U32 => DenseValues::U32(buffer.u32.into()),
        DType::I16 => DenseValues::I16(buffer.i16.into()),
        DType::I32 => DenseValues::I32(buffer.i32.into()),
        DType::F32 => DenseValues::F32(buffer.f32.into()),
        DType::F64 | DType::Csr => DenseValues::F64(buffer.f64.into()),
    };
    Ok(Arc::new(DenseRows::new(meta, values).map_err(|error| input.rows_error(error))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row r, channel c holds `f(r, c)`; nothing is stored.
    struct Made(fn(usize, usize) -> f64, Stored, usize);

    impl Blocks for Made {
        fn dtype(&self) -> Stored {
            self.1
        }
        fn read(
            &self,
            range: Range<usize>,
            take: &mut dyn FnMut(Block<'_>),
        ) -> Result<(), IoError> {
            for r in range {
                let row: Vec<f64> = (0..self.2).map(|c| self.0(r, c)).collect();
                match self.1 {
                    Stored::F64 => take(Block::F64(&row)),
                    Stored::I8 => {
                        take(Block::I8(&row.iter().map(|&x| x as i8).collect::<Vec<_>>()))
                    }
                    _ => take(Block::U16(&row.iter().map(|&x| x as u16).collect::<Vec<_>>())),
                }
            }
            Ok(())
        }
    }

    fn lazy(value: fn(usize, usize) -> f64, stored: Stored, rows: usize) -> Gathered {
        let channels = (HELD_BYTES as usize / stored.width()) / rows + 1;
        let input = Input::from_bytes(std::path::Path::new("made"), Vec::new());
        let (x, signal) = (Axis::index("x", rows), Axis::index("Energy", channels));
        rows_of(&input, Made(value, stored, channels), vec![x], signal).unwrap()
    }

    #[test]
    fn large_arrays_are_read_when_wanted() {
        for (stored, value, dtype, counts) in [
            (
                Stored::U16,
                (|r, c| (r * 3 + c % 5) as f64) as fn(usize, usize) -> f64,
                DType::U16,
                true,
            ),
            (Stored::F64, |r, c| (r + c % 3) as f64, DType::U32, true),
            (Stored::F64, |r, c| r as f64 - (c % 7) as f64 * 0.5, DType::F64, false),
            (Stored::I8, |r, c| (r + c % 3) as f64 - 1.0, DType::I16, false),
        ] {
            let made = lazy(value, stored, 40);
            let meta = made.rows.meta();
            assert_eq!((meta.dtype, meta.noise.is_counts()), (dtype, counts), "{stored:?}");
            let (mut buffer, mut values) = (CellBuffer::default(), Vec::new());
            let cell = made.rows.cell(7..9, &mut buffer).unwrap();
            cell.to_f64(&mut values);
            assert_eq!(values[meta.channels + 4], value(8, 4));
            assert_eq!(values[5], value(7, 5));
        }
    }
}
