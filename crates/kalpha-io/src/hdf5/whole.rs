//! A whole dataset at once, chunk by chunk in the order of the file.
//!
//! The library copies a selection run by run along the last axis, which is slow where chunks are
//! one value wide there, as those of instruments that append frames are. Here a chunk is laid
//! out with two plain loops.

use super::fail;
use crate::{Input, IoError, gather::Block};
use hdf5_reader::{ByteOrder, Dataset, Datatype};

/// Wider chunks are copied well by the library.
const NARROW: u32 = 32;

/// Larger arrays are read by parts.
const MOST_BYTES: usize = 32 << 20;

/// A number as its bytes stand in memory.
trait Plain: Copy + Default {
    fn of(bytes: &[u8]) -> Self;
}

macro_rules! plain {
    ($($type:ty),*) => {$(
        impl Plain for $type {
            #[inline]
            fn of(bytes: &[u8]) -> Self {
                bytes.first_chunk().map_or(Self::default(), |b| Self::from_le_bytes(*b))
            }
        }
    )*};
}
plain!(u8, u16, u32, i16, i32, f32, f64);

/// Lays chunks out; `None` where they do not cover the dataset.
fn lay<T: Plain>(
    input: &Input,
    object: &str,
    data: &Dataset,
    shape: &[usize],
    strides: &[usize],
) -> Result<Option<Vec<T>>, IoError> {
    let total: usize = shape.iter().product();
    let (mut out, mut laid) = (vec![T::default(); total], 0usize);
    let wrong = |e| fail(input, object, e);
    for chunk in data.iter_chunks().map_err(wrong)? {
        let chunk = chunk.map_err(wrong)?;
        let offsets: Vec<usize> = chunk.offsets().iter().map(|&o| o as usize).collect();
        let sizes: Vec<usize> = chunk.shape().iter().map(|&n| n as usize).collect();
        if offsets.len() != shape.len() || sizes.len() != shape.len() {
            return Ok(None);
        }
        // What of the chunk lies inside the dataset.
        let inside: Vec<usize> = shape
            .iter()
            .zip(&offsets)
            .zip(&sizes)
            .map(|((n, offset), size)| n.saturating_sub(*offset).min(*size))
            .collect();
        if inside.contains(&0) {
            continue;
        }
        let base: usize = offsets.iter().zip(strides).map(|(o, s)| o * s).sum();
        let (outer, two) = inside.split_at(shape.len() - 2);
        let (lines, n) = (two[0], two[1]);
        let (line_stride, stride) = (strides[shape.len() - 2], strides[shape.len() - 1]);
        let row = sizes[shape.len() - 1];
        for plane in 0..outer.iter().product() {
            // Where this plane of the last two axes starts, in the chunk and in the array.
            let (mut rest, mut from, mut to, mut step) = (plane, 0, base, 1);
            for (axis, &count) in outer.iter().enumerate().rev() {
                let i = rest % count;
                rest /= count;
                from += i * step;
                step *= sizes[axis];
                to += i * strides[axis];
            }
            let plane = from * sizes[shape.len() - 2] * row;
            for line in 0..lines {
                let start = plane + line * row;
                let width = size_of::<T>();
                let source = chunk.bytes().get(start * width..(start + n) * width);
                let Some(source) = source else { return Ok(None) };
                let to = to + line * line_stride;
                for (i, bytes) in source.chunks_exact(width).enumerate() {
                    if let Some(place) = out.get_mut(to + i * stride) {
                        *place = T::of(bytes);
                    }
                }
            }
        }
        laid += inside.iter().product::<usize>();
    }
    Ok((laid == total).then_some(out))
}

/// All values with the axes in another order, slowest first; false where the library does as well.
pub(super) fn read(
    input: &Input,
    object: &str,
    data: &Dataset,
    shape: &[usize],
    order: &[usize],
    take: &mut dyn FnMut(Block<'_>),
) -> Result<bool, IoError> {
    let last = data.chunks().and_then(|chunks| chunks.last().copied());
    let width = match data.dtype() {
        Datatype::FixedPoint { size, .. } | Datatype::FloatingPoint { size, .. } => *size,
        _ => return Ok(false),
    };
    let bytes = shape.iter().try_fold(usize::from(width), |n, &d| n.checked_mul(d));
    if shape.len() < 2
        || order.len() != shape.len()
        || last.is_none_or(|n| n >= NARROW)
        || bytes.is_none_or(|n| n > MOST_BYTES)
    {
        return Ok(false);
    }
    let mut strides = vec![0usize; shape.len()];
    let mut step = 1;
    for &axis in order.iter().rev() {
        let (Some(stride), Some(n)) = (strides.get_mut(axis), shape.get(axis)) else {
            return Ok(false);
        };
        *stride = step;
        step *= n;
    }
    macro_rules! read {
        ($type:ty, $block:ident) => {
            match lay::<$type>(input, object, data, shape, &strides)? {
                Some(values) => {
                    take(Block::$block(&values));
                    Ok(true)
                }
                None => Ok(false),
            }
        };
    }
    const LITTLE: ByteOrder = ByteOrder::LittleEndian;
    match data.dtype() {
        Datatype::FixedPoint { size: 1, signed: false, .. } => read!(u8, U8),
        Datatype::FixedPoint { size: 2, signed: false, byte_order: LITTLE } => read!(u16, U16),
        Datatype::FixedPoint { size: 4, signed: false, byte_order: LITTLE } => read!(u32, U32),
        Datatype::FixedPoint { size: 2, signed: true, byte_order: LITTLE } => read!(i16, I16),
        Datatype::FixedPoint { size: 4, signed: true, byte_order: LITTLE } => read!(i32, I32),
        Datatype::FloatingPoint { size: 4, byte_order: LITTLE } => read!(f32, F32),
        Datatype::FloatingPoint { size: 8, byte_order: LITTLE } => read!(f64, F64),
        _ => Ok(false),
    }
}
