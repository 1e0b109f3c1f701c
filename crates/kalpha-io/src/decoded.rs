//! Rows decoded from the file when they are asked for.
//!
//! For arrays that do not lie as rows: the channels are not the fastest index, the values are
//! not aligned, or their bytes stand the other way round. Nothing but the cell in use is held.

use crate::{
    Input, IoError,
    plain::{Number, NumberKind},
};
use kalpha_core::{
    Axis, Buffer, Cell, CellBuffer, CellData, DType, NoiseModel, RowSource, Rows, RowsError,
    RowsMeta,
};
use std::{ops::Range, sync::Arc};

/// Channels that are turned at once: 16 values of 4 bytes fill a cache line.
const PANEL: usize = 16;

/// An array in a file: where it starts, what it holds, how far its neighbours are.
#[derive(Clone, Debug)]
pub(crate) struct Array {
    pub number: Number,
    /// First byte.
    pub offset: usize,
    /// Values from one point to the next along each navigation axis, slowest first.
    pub navigation: Vec<usize>,
    /// Values from one channel to the next.
    pub channel: usize,
}

struct DecodedRows {
    meta: RowsMeta,
    lengths: Vec<usize>,
    array: Array,
    /// The array alone.
    bytes: Buffer<u8>,
    range: Range<usize>,
}

impl DecodedRows {
    /// Index of the first value of each row.
    fn bases(&self, rows: Range<usize>) -> Vec<usize> {
        let axes = || self.lengths.iter().zip(&self.array.navigation).rev();
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

    /// Decodes rows into `out`, rows x channels.
    fn decode<const WIDTH: usize, T: Copy + Default>(
        &self,
        rows: Range<usize>,
        out: &mut Vec<T>,
        value: impl Fn([u8; WIDTH]) -> T,
    ) {
        let (values, _) = self.bytes[self.range.clone()].as_chunks::<WIDTH>();
        let channels = self.meta.channels;
        let bases = self.bases(rows);
        out.clear();
        if self.array.channel == 1 {
            for base in bases {
                out.extend(values[base..base + channels].iter().map(|b| value(*b)));
            }
            return;
        }
        out.resize(bases.len() * channels, T::default());
        for start in (0..channels).step_by(PANEL) {
            let panel = start..(start + PANEL).min(channels);
            for (row, base) in out.chunks_exact_mut(channels).zip(&bases) {
                for (channel, slot) in panel.clone().zip(&mut row[panel.clone()]) {
                    *slot = value(values[base + channel * self.array.channel]);
                }
            }
        }
    }
}

impl RowSource for DecodedRows {
    fn meta(&self) -> &RowsMeta {
        &self.meta
    }

    fn cell<'a>(
        &'a self,
        range: Range<usize>,
        buffer: &'a mut CellBuffer,
    ) -> Result<Cell<'a>, RowsError> {
        let (first_row, rows) = (range.start, range.len());
        let Number { kind, width, big_endian } = self.array.number;
        macro_rules! decode {
            ($type:ty, $field:ident, $data:ident, $convert:expr) => {{
                let out = &mut buffer.$field;
                if big_endian {
                    self.decode(range, out, |b| $convert(<$type>::from_be_bytes(b)));
                } else {
                    self.decode(range, out, |b| $convert(<$type>::from_le_bytes(b)));
                }
                CellData::$data(out)
            }};
        }
        let data = match (kind, width) {
            (NumberKind::Unsigned, 1) => decode!(u8, u8, U8, |x| x),
            (NumberKind::Unsigned, 2) => decode!(u16, u16, U16, |x| x),
            (NumberKind::Unsigned, 4) => decode!(u32, u32, U32, |x| x),
            (NumberKind::Unsigned, _) => decode!(u64, f64, F64, |x| x as f64),
            (NumberKind::Signed, 1) => decode!(i8, i16, I16, i16::from),
            (NumberKind::Signed, 2) => decode!(i16, i16, I16, |x| x),
            (NumberKind::Signed, 4) => decode!(i32, i32, I32, |x| x),
            (NumberKind::Signed, _) => decode!(i64, f64, F64, |x| x as f64),
            (NumberKind::Float, 4) => decode!(f32, f32, F32, |x| x),
            (NumberKind::Float, _) => decode!(f64, f64, F64, |x| x),
        };
        Ok(Cell { first_row, rows, channels: self.meta.channels, data })
    }
}

/// The storage type in which values of the file reach a cell.
fn dtype(number: Number) -> DType {
    match (number.kind, number.width) {
        (NumberKind::Unsigned, 1) => DType::U8,
        (NumberKind::Unsigned, 2) => DType::U16,
        (NumberKind::Unsigned, 4) => DType::U32,
        (NumberKind::Signed, 1 | 2) => DType::I16,
        (NumberKind::Signed, 4) => DType::I32,
        (NumberKind::Float, 4) => DType::F32,
        _ => DType::F64,
    }
}

/// Rows of an array of the file, whatever its order.
///
/// # Errors
/// When the array is empty or reaches beyond the file.
pub(crate) fn decoded(
    input: &Input,
    array: Array,
    navigation: Vec<Axis>,
    signal: Axis,
    noise: NoiseModel,
) -> Result<Rows, IoError> {
    let lengths: Vec<usize> = navigation.iter().map(Axis::len).collect();
    let channels = signal.len();
    let mut shape = lengths.clone();
    shape.push(channels);
    let empty = || IoError::NoSpectra {
        file: input.path().to_owned(),
        found: format!("an array of shape {shape:?}"),
    };
    if shape.contains(&0) || lengths.len() != array.navigation.len() {
        return Err(empty());
    }
    // One past the last value that any row reaches.
    let steps = array.navigation.iter().chain([&array.channel]);
    let end = shape.iter().zip(steps).try_fold(1usize, |end, (n, stride)| {
        stride.checked_mul(n - 1).and_then(|reach| end.checked_add(reach))
    });
    let rows = lengths.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    let bytes = end.and_then(|n| n.checked_mul(array.number.width));
    let last = bytes.and_then(|n| n.checked_add(array.offset));
    let (Some(rows), Some(last)) = (rows, last.filter(|last| *last <= input.bytes().len())) else {
        let width = array.number.width;
        let expected = format!("{shape:?} values of {width} bytes");
        let got = format!("{} bytes behind it", input.bytes().len().saturating_sub(array.offset));
        return Err(input.corrupt(array.offset as u64, "array", expected, got));
    };
    let meta = RowsMeta { rows, channels, dtype: dtype(array.number), navigation, signal, noise };
    let range = array.offset..last;
    Ok(Arc::new(DecodedRows { meta, lengths, array, bytes: input.bytes().clone(), range }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn array(number: Number, offset: usize, navigation: &[usize], channel: usize) -> Array {
        Array { number, offset, navigation: navigation.to_vec(), channel }
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
        let axes = || vec![Axis::index("y", 2), Axis::index("x", 3)];
        let make =
            |array| decoded(&input, array, axes(), Axis::index("c", 40), NoiseModel::Unknown);
        let rows = make(array(number, 1, &[3, 1], 6)).unwrap();
        assert_eq!((rows.meta().rows, rows.meta().dtype), (6, DType::I16));
        let (mut buffer, mut out) = (CellBuffer::default(), Vec::new());
        let cell = rows.cell(4..6, &mut buffer).unwrap();
        assert_eq!(cell.first_row, 4);
        cell.to_f64(&mut out);
        let expected: Vec<f64> =
            (4..6).flat_map(|p| (0..40).map(move |c| f64::from(100 * p - c))).collect();
        assert_eq!(out, expected);
        // One value too few, and sizes that overflow.
        assert!(make(array(number, 2, &[3, 1], 6)).is_err());
        assert!(make(array(number, 1, &[3, usize::MAX], 6)).is_err());
        assert!(make(array(number, usize::MAX, &[3, 1], 6)).is_err());
    }

    #[test]
    fn rows_that_lie_right_are_copied_as_they_are() {
        let number = Number::new(NumberKind::Float, 4, false).unwrap();
        let values: Vec<f32> = (0..12).map(|i| i as f32 / 3.0).collect();
        let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let input = Input::from_bytes(Path::new("x"), bytes);
        let axes = vec![Axis::index("x", 3)];
        let (signal, noise) = (Axis::index("c", 4), NoiseModel::Unknown);
        let rows = decoded(&input, array(number, 0, &[4], 1), axes, signal, noise).unwrap();
        let mut buffer = CellBuffer::default();
        let cell = rows.cell(1..3, &mut buffer).unwrap();
        assert!(matches!(cell.data, CellData::F32(v) if v == &values[4..]));
    }
}
