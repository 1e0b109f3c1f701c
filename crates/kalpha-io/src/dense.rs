//! Raw dense arrays: sparse when sparse, memory-mapped when they lie right, else copied or decoded
//! when wanted.

use crate::{
    Input, IoError,
    blocks::{Blocks, HELD_BYTES, Stored, rows_of, rows_when_wanted},
    gather::{Block, Gather, Gathered, Kind, not_counts},
    plain::{Number, NumberKind, map, with_block, with_strided_block},
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

/// Reads an array as counts where it holds counts.
///
/// # Errors
/// When the array is empty or reaches beyond the file.
pub(crate) fn read_dense(
    input: &Input,
    layout: &Layout,
    navigation: Vec<Axis>,
    signal: Axis,
    prefer: Prefer,
) -> Result<Dense, IoError> {
    let raw = RawRows::new(input, layout, &navigation, &signal)?;
    let (bytes, end, width) = (input.bytes(), raw.end, layout.number.width);
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
        let mut gathered = rows_of(input, raw, navigation, signal)?;
        gathered.diagnostics.splice(0..0, diagnostics);
        return Ok(Dense { gathered, mapped: true });
    }
    let mut gather = Gather::new(rows, channels);
    let step = (BLOCK_BYTES / (channels * width)).max(1);
    let mut start = 0;
    while start < rows {
        let stop = (start + step).min(rows);
        raw.read(start..stop, &mut |block| gather.push(block))?;
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

/// The rows of an array as they are, for what is known to be no counts or known to be; they are
/// decoded when somebody asks for them.
///
/// # Errors
/// When the array is empty or reaches beyond the file.
pub(crate) fn read_as_stored(
    input: &Input,
    layout: &Layout,
    navigation: Vec<Axis>,
    signal: Axis,
    noise: NoiseModel,
) -> Result<Rows, IoError> {
    let raw = RawRows::new(input, layout, &navigation, &signal)?;
    Ok(rows_when_wanted(input, raw, navigation, signal, noise))
}

/// Rows of a raw array, decoded when wanted.
struct RawRows {
    input: Input,
    layout: Layout,
    /// Lengths of the navigation axes.
    navigation: Vec<usize>,
    channels: usize,
    /// One past the last byte.
    end: usize,
}

impl RawRows {
    /// Checks that all values are in the file.
    fn new(
        input: &Input,
        layout: &Layout,
        navigation: &[Axis],
        signal: &Axis,
    ) -> Result<Self, IoError> {
        let navigation: Vec<usize> = navigation.iter().map(Axis::len).collect();
        let shape: Vec<usize> = navigation.iter().copied().chain([signal.len()]).collect();
        if shape.contains(&0) {
            let found = format!("an array of shape {shape:?}");
            return Err(IoError::NoSpectra { file: input.path().to_owned(), found });
        }
        let Layout { number, offset, strides, .. } = layout;
        // One past the last value that any row reaches.
        let values = match strides {
            None => shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)),
            Some(strides) => shape.iter().zip(strides).try_fold(1usize, |end, (n, stride)| {
                stride.checked_mul(n - 1).and_then(|reach| end.checked_add(reach))
            }),
        };
        let rows = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let end = values.and_then(|n| n.checked_mul(number.width)?.checked_add(*offset));
        let end = end.filter(|end| *end <= input.bytes().len() && rows.is_some());
        let all_strides = strides.as_ref().is_none_or(|strides| strides.len() == shape.len());
        let Some(end) = end.filter(|_| all_strides) else {
            let expected = format!("{shape:?} values of {} bytes", number.width);
            let got = format!("{} bytes behind it", input.bytes().len().saturating_sub(*offset));
            return Err(input.corrupt(*offset as u64, "array", expected, got));
        };
        let (input, layout, channels) = (input.clone(), layout.clone(), signal.len());
        Ok(Self { input, layout, navigation, channels, end })
    }

    /// Index of the first value of each row.
    fn bases(&self, rows: Range<usize>, strides: &[usize]) -> Vec<usize> {
        let axes = || self.navigation.iter().zip(strides).rev();
        rows.map(|row| {
            let mut rest = row;
            axes().fold(0, |base, (n, stride)| {
                let i = rest % n;
                rest /= n;
                base + i * stride
            })
        })
        .collect()
    }
}

impl Blocks for RawRows {
    fn dtype(&self) -> Stored {
        Stored::of(self.layout.number)
    }

    fn read(&self, range: Range<usize>, take: &mut dyn FnMut(Block<'_>)) -> Result<(), IoError> {
        let Layout { number, offset, strides, .. } = &self.layout;
        let bytes = &self.input.bytes()[..self.end];
        let row = self.channels * number.width;
        self.input.used(range.len() * row);
        match strides {
            None => {
                let range = offset + range.start * row..offset + range.end * row;
                with_block(*number, bytes.get(range).unwrap_or_default(), take);
            }
            Some(strides) => {
                let stride = strides.last().copied().unwrap_or(1);
                let bases = self.bases(range, strides);
                let values = bytes.get(*offset..).unwrap_or_default();
                with_strided_block(*number, values, &bases, self.channels, stride, take);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kalpha_core::CellData;
    use std::path::Path;

    fn rows(input: &Input, layout: &Layout, lengths: [usize; 3]) -> Result<Rows, IoError> {
        let [y, x, channels] = lengths;
        let navigation = vec![Axis::index("y", y), Axis::index("x", x)];
        read_as_stored(input, layout, navigation, Axis::index("c", channels), NoiseModel::Unknown)
    }

    #[test]
    fn any_order_of_indices_gives_rows() {
        // Shape (channel 40, y 2, x 3), one odd byte in front.
        let number = Number::new(NumberKind::Signed, 2, true).unwrap();
        let mut bytes = vec![9];
        for channel in 0..40i16 {
            for pixel in 0..6 {
                bytes.extend((100 * pixel - channel).to_be_bytes());
            }
        }
        let input = Input::from_bytes(Path::new("x"), bytes);
        let make = |offset, strides: [usize; 3]| {
            rows(&input, &Layout::strided(number, offset, strides.to_vec()), [2, 3, 40])
        };
        let made = make(1, [3, 1, 6]).unwrap();
        assert_eq!((made.meta().rows, made.meta().dtype), (6, DType::I16));
        let (mut buffer, mut out) = (CellBuffer::default(), Vec::new());
        let cell = made.cell(4..6, &mut buffer).unwrap();
        assert_eq!(cell.first_row, 4);
        cell.to_f64(&mut out);
        let expected: Vec<f64> =
            (4..6).flat_map(|p| (0..40).map(move |c| f64::from(100 * p - c))).collect();
        assert_eq!(out, expected);
        // One value too few, and sizes that overflow.
        assert!(make(2, [3, 1, 6]).is_err());
        assert!(make(1, [3, usize::MAX, 6]).is_err());
        assert!(make(usize::MAX, [3, 1, 6]).is_err());
        // The same values, gathered.
        let layout = Layout::strided(number, 1, vec![3, 1, 6]);
        let axes = vec![Axis::index("y", 2), Axis::index("x", 3)];
        let dense = read_dense(&input, &layout, axes, Axis::index("c", 40), Prefer::Sparse);
        dense.unwrap().gathered.rows.cell(4..6, &mut buffer).unwrap().to_f64(&mut out);
        assert_eq!(out, expected);
    }

    #[test]
    fn rows_that_lie_right_are_copied_as_they_are() {
        let number = Number::new(NumberKind::Float, 4, false).unwrap();
        let values: Vec<f32> = (0..12).map(|i| i as f32 / 3.0).collect();
        let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let input = Input::from_bytes(Path::new("x"), bytes);
        for layout in [Layout::contiguous(number, 0), Layout::strided(number, 0, vec![12, 4, 1])] {
            let made = rows(&input, &layout, [1, 3, 4]).unwrap();
            let mut buffer = CellBuffer::default();
            let cell = made.cell(1..3, &mut buffer).unwrap();
            assert!(matches!(cell.data, CellData::F32(v) if v == &values[4..]));
        }
        assert!(rows(&input, &Layout::contiguous(number, 0), [1, 0, 4]).is_err());
        assert!(rows(&input, &Layout::contiguous(number, 1), [1, 3, 4]).is_err());
    }
}
