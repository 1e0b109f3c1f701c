//! Plain numbers in bytes: mapped where they lie right, else copied block by block.

use crate::gather::Block;
use kalpha_core::Buffer;
use std::marker::PhantomData;

/// A number type as files store it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    pub kind: NumberKind,
    /// Bytes of one value: 1, 2, 4 or 8.
    pub width: usize,
    pub big_endian: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberKind {
    Unsigned,
    Signed,
    Float,
}

impl Number {
    /// The type, if there is one of that kind and width.
    pub fn new(kind: NumberKind, width: usize, big_endian: bool) -> Option<Self> {
        let known = match kind {
            NumberKind::Float => matches!(width, 4 | 8),
            _ => matches!(width, 1 | 2 | 4 | 8),
        };
        known.then_some(Self { kind, width, big_endian })
    }

    /// The type in NumPy's words.
    pub fn dtype(self) -> String {
        let kind = match self.kind {
            NumberKind::Unsigned => "uint",
            NumberKind::Signed => "int",
            NumberKind::Float => "float",
        };
        format!("{kind}{}", 8 * self.width)
    }

    /// Values that this machine reads without turning bytes round.
    pub fn is_native(self) -> bool {
        self.width == 1 || self.big_endian == cfg!(target_endian = "big")
    }
}

/// Types whose every bit pattern is a value.
pub(crate) trait Plain: Copy + Send + Sync + 'static {}
impl Plain for u8 {}
impl Plain for u16 {}
impl Plain for u32 {}
impl Plain for i16 {}
impl Plain for i32 {}
impl Plain for f32 {}
impl Plain for f64 {}

struct MappedValues<T> {
    bytes: Buffer<u8>,
    offset: usize,
    len: usize,
    values: PhantomData<fn() -> T>,
}

impl<T: Plain> AsRef<[T]> for MappedValues<T> {
    fn as_ref(&self) -> &[T] {
        let bytes = &self.bytes[self.offset..self.offset + self.len * size_of::<T>()];
        // SAFETY: `map` has checked alignment and length, `bytes` keeps the memory alive and in
        // place, and every bit pattern is a `T`.
        unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), self.len) }
    }
}

/// `len` values from byte `offset` on, without a copy; `None` where they are not aligned or
/// not all there.
pub(crate) fn map<T: Plain>(bytes: &Buffer<u8>, offset: usize, len: usize) -> Option<Buffer<T>> {
    let end = len.checked_mul(size_of::<T>())?.checked_add(offset)?;
    let slice = bytes.get(offset..end)?;
    if !slice.as_ptr().cast::<T>().is_aligned() {
        return None;
    }
    Some(Buffer::new(MappedValues { bytes: bytes.clone(), offset, len, values: PhantomData }))
}

/// Decodes `bytes` and hands the values out as one block.
pub(crate) fn with_block<R>(number: Number, bytes: &[u8], f: impl FnOnce(Block) -> R) -> R {
    macro_rules! decode {
        ($type:ty, $block:ident) => {{
            let (chunks, _) = bytes.as_chunks::<{ size_of::<$type>() }>();
            let order =
                if number.big_endian { <$type>::from_be_bytes } else { <$type>::from_le_bytes };
            let values: Vec<$type> = chunks.iter().map(|b| order(*b)).collect();
            f(Block::$block(&values))
        }};
    }
    match (number.kind, number.width) {
        (NumberKind::Unsigned, 1) => f(Block::U8(bytes)),
        (NumberKind::Unsigned, 2) => decode!(u16, U16),
        (NumberKind::Unsigned, 4) => decode!(u32, U32),
        (NumberKind::Unsigned, _) => decode!(u64, U64),
        (NumberKind::Signed, 1) => decode!(i8, I8),
        (NumberKind::Signed, 2) => decode!(i16, I16),
        (NumberKind::Signed, 4) => decode!(i32, I32),
        (NumberKind::Signed, _) => decode!(i64, I64),
        (NumberKind::Float, 4) => decode!(f32, F32),
        (NumberKind::Float, _) => decode!(f64, F64),
    }
}

/// Channels that are turned at once: 16 values of 4 bytes fill a cache line.
const PANEL: usize = 16;

/// Rows whose values lie apart, decoded and handed out as one block: row `r` has its channels
/// `stride` values apart, from value `bases[r]` on. The caller has checked that none reaches beyond
/// the bytes.
pub(crate) fn with_strided_block<R>(
    number: Number,
    bytes: &[u8],
    bases: &[usize],
    channels: usize,
    stride: usize,
    f: impl FnOnce(Block) -> R,
) -> R {
    fn decode<const WIDTH: usize, T: Copy + Default>(
        bytes: &[u8],
        bases: &[usize],
        channels: usize,
        stride: usize,
        value: impl Fn([u8; WIDTH]) -> T,
    ) -> Vec<T> {
        let (values, _) = bytes.as_chunks::<WIDTH>();
        if stride == 1 {
            let row = |base: &usize| values.get(*base..base + channels).unwrap_or_default();
            return bases.iter().flat_map(row).map(|b| value(*b)).collect();
        }
        let mut out = vec![T::default(); bases.len() * channels];
        for start in (0..channels).step_by(PANEL) {
            let panel = start..(start + PANEL).min(channels);
            for (row, base) in out.chunks_exact_mut(channels).zip(bases) {
                let own = values.get(base + start * stride..).unwrap_or_default();
                let own = own.iter().step_by(stride.max(1));
                row[panel.clone()].iter_mut().zip(own).for_each(|(slot, b)| *slot = value(*b));
            }
        }
        out
    }
    macro_rules! decode {
        ($type:ty, $block:ident) => {{
            let order =
                if number.big_endian { <$type>::from_be_bytes } else { <$type>::from_le_bytes };
            f(Block::$block(&decode(bytes, bases, channels, stride, order)))
        }};
    }
    match (number.kind, number.width) {
        (NumberKind::Unsigned, 1) => decode!(u8, U8),
        (NumberKind::Unsigned, 2) => decode!(u16, U16),
        (NumberKind::Unsigned, 4) => decode!(u32, U32),
        (NumberKind::Unsigned, _) => decode!(u64, U64),
        (NumberKind::Signed, 1) => decode!(i8, I8),
        (NumberKind::Signed, 2) => decode!(i16, I16),
        (NumberKind::Signed, 4) => decode!(i32, I32),
        (NumberKind::Signed, _) => decode!(i64, I64),
        (NumberKind::Float, 4) => decode!(f32, F32),
        (NumberKind::Float, _) => decode!(f64, F64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_values_equal_decoded_ones() {
        let values: Vec<u32> = (0..100).map(|i| i * 77_777).collect();
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let number = Number::new(NumberKind::Unsigned, 4, false).unwrap();
        with_block(number, &bytes, |block| {
            assert!(matches!(block, Block::U32(v) if v == values));
        });
        let shared = Buffer::from(bytes);
        let mut mapped = 0;
        for offset in 0..4 {
            if let Some(found) = map::<u32>(&shared, offset, 99) {
                mapped += 1;
                let from = offset..offset + 4 * 99;
                with_block(number, &shared[from], |block| {
                    assert!(matches!(block, Block::U32(v) if v == &found[..]));
                });
            }
        }
        assert_eq!(mapped, 1, "one of four neighbouring offsets is aligned");
        assert!(map::<u32>(&shared, 0, 101).is_none());
        assert!(map::<u32>(&shared, 4, usize::MAX).is_none());
    }
}
