//! Rows of a Zarr array: chunks are unpacked when wanted, a bounded number stays at hand.

use super::{
    node::{ArrayMeta, Codec, Shard},
    store::Store,
};
use crate::{
    Input, IoError,
    blocks::{Blocks, Stored},
    codec::{self, CodecError},
    gather::Block,
    hdf5::for_each_box,
    plain::{Number, NumberKind, with_block},
};
use serde_json::Value;
use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

/// Unpacked chunks kept at hand: two bands of a map in square chunks, as two threads read it.
const CACHE_BYTES: usize = 64 << 20;

/// A chunk holds at most so many bytes.
const CHUNK_BYTES: usize = 256 << 20;

/// The values of a chunk; `None` where the file leaves it out.
type Chunk = Option<Arc<Vec<u8>>>;

/// Unpacked chunks by number and when they were used; the one used longest ago goes first.
#[derive(Default)]
struct Cache {
    chunks: HashMap<usize, (Chunk, u64)>,
    bytes: usize,
    clock: u64,
}

impl Cache {
    fn get(&mut self, number: usize) -> Option<Chunk> {
        self.clock += 1;
        let (chunk, used) = self.chunks.get_mut(&number)?;
        *used = self.clock;
        Some(chunk.clone())
    }

    fn insert(&mut self, number: usize, chunk: Chunk) {
        self.clock += 1;
        // An absent chunk costs its entry.
        let cost = |chunk: &Chunk| chunk.as_ref().map_or(0, |c| c.len()) + 64;
        self.bytes += cost(&chunk);
        if let Some((old, _)) = self.chunks.insert(number, (chunk, self.clock)) {
            self.bytes -= cost(&old);
        }
        while self.bytes > CACHE_BYTES && self.chunks.len() > 1 {
            let oldest = self.chunks.iter().min_by_key(|(_, (_, used))| *used).map(|(n, _)| *n);
            let Some((old, _)) = oldest.and_then(|n| self.chunks.remove(&n)) else { break };
            self.bytes -= cost(&old);
        }
    }
}

/// An array whose last axis is the spectrum, or a grid of single values.
pub(crate) struct ZarrArray {
    input: Input,
    store: Store,
    meta: ArrayMeta,
    number: Number,
    /// Little-endian bytes of the value that absent chunks hold.
    fill: Vec<u8>,
    cache: Mutex<Cache>,
    indices: Mutex<HashMap<String, Arc<Vec<u8>>>>,
    spectra: bool,
}

/// The fill value as little-endian bytes.
fn fill_bytes(number: Number, fill: &Value) -> Option<Vec<u8>> {
    let float = match fill {
        Value::Null => Some(0.0),
        Value::Bool(b) => Some(f64::from(u8::from(*b))),
        Value::Number(n) => n.as_f64(),
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            hex => {
                let bits = u64::from_str_radix(hex.strip_prefix("0x")?, 16).ok()?;
                return Some(bits.to_le_bytes()[..number.width].to_vec());
            }
        },
        _ => None,
    }?;
    let whole = fill.as_i64().map(i64::to_le_bytes).or(fill.as_u64().map(u64::to_le_bytes));
    let whole = whole.unwrap_or((float as i64).to_le_bytes());
    Some(match (number.kind, number.width) {
        (NumberKind::Float, 4) => (float as f32).to_le_bytes().to_vec(),
        (NumberKind::Float, _) => float.to_le_bytes().to_vec(),
        (_, width) => whole[..width].to_vec(),
    })
}

/// Checksum CRC-32C (Castagnoli 1993, polynomial 0x1EDC6F41 reflected).
fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            let mut crc = i as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 };
                bit += 1;
            }
            table[i] = crc;
            i += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |crc, &byte| TABLE[usize::from(crc as u8 ^ byte)] ^ crc >> 8)
}

/// Takes off a checksum and compares it.
fn checked(bytes: &[u8]) -> Result<&[u8], CodecError> {
    let (body, sum) = bytes
        .split_last_chunk::<4>()
        .ok_or_else(|| CodecError::new("crc32c", "shorter than its checksum"))?;
    let (stated, found) = (u32::from_le_bytes(*sum), crc32c(body));
    if stated != found {
        return Err(CodecError::new("crc32c", format!("{found:08x}, stated is {stated:08x}")));
    }
    Ok(body)
}

pub(super) fn decode(codec: Codec, bytes: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
    match codec {
        Codec::Gzip => codec::gzip(bytes, limit),
        Codec::Zlib => codec::zlib(bytes, limit),
        Codec::Zstd => codec::zstd(bytes, limit),
        Codec::Blosc => codec::blosc(bytes, limit),
        Codec::Lz4 => codec::lz4_sized(bytes, limit),
        Codec::Crc32c => checked(bytes).map(<[u8]>::to_vec),
        Codec::Shuffle(width) => Ok(codec::unshuffle(bytes, width)),
    }
}

/// Values from one point to the next along each axis, last fastest.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i];
    }
    strides
}

impl ZarrArray {
    /// Checks type and chunk size; nothing is read.
    ///
    /// # Errors
    /// When the array holds no numbers, or its chunks are too large to be held.
    pub fn open(input: &Input, store: &Store, meta: ArrayMeta) -> Result<Self, IoError> {
        let field = |what: &str| format!("{} {what}", meta.path);
        let unsupported = |field, got, supported: &str| IoError::Unsupported {
            file: input.path().to_owned(),
            field,
            got,
            supported: supported.to_owned(),
            hint: "convert it with NumPy and write it again",
        };
        let Some(number) = meta.number else {
            let known = "integers of 1 to 8 bytes, floats of 4 and 8, bool";
            return Err(unsupported(field("data type"), meta.dtype.clone(), known));
        };
        let size = meta.chunk.iter().try_fold(number.width, |n, &c| n.checked_mul(c));
        if size.is_none_or(|size| size > CHUNK_BYTES) {
            let claimed = size.map_or(u64::MAX, |s| s as u64);
            return Err(input.too_large(field("chunk"), claimed, CHUNK_BYTES as u64));
        }
        let rows = meta.shape.iter().try_fold(number.width, |n, &c| n.checked_mul(c));
        if rows.is_none_or(|bytes| bytes == 0) || meta.shape.is_empty() {
            return Err(IoError::NoSpectra {
                file: input.path().to_owned(),
                found: format!("{} of shape {:?}", meta.path, meta.shape),
            });
        }
        let Some(fill) = fill_bytes(number, &meta.fill) else {
            return Err(unsupported(field("fill_value"), meta.fill.to_string(), "a number"));
        };
        Ok(Self {
            input: input.clone(),
            store: store.clone(),
            number,
            fill,
            meta,
            cache: Mutex::default(),
            indices: Mutex::default(),
            spectra: true,
        })
    }

    /// The same array as a grid of single values.
    pub fn grid_of_values(self) -> Self {
        Self { spectra: false, ..self }
    }

    /// Lengths of the axes that are not the spectrum.
    fn grid(&self) -> &[usize] {
        let shape = &self.meta.shape;
        if self.spectra { &shape[..shape.len().saturating_sub(1)] } else { shape }
    }

    /// The type of the values.
    fn native(&self) -> Number {
        Number { big_endian: false, ..self.number }
    }

    fn broken(&self, key: &str, error: impl ToString) -> IoError {
        self.input.corrupt(0, key, format!("a chunk of {:?}", self.meta.chunk), error)
    }

    /// The index of a shard: offset and length of every chunk, 16 bytes each.
    fn index(&self, shard: &Shard, key: &str) -> Result<Option<Arc<Vec<u8>>>, IoError> {
        let known = |index: &HashMap<String, Arc<Vec<u8>>>| index.get(key).cloned();
        if let Some(index) = known(&self.indices.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(Some(index));
        }
        let Some(length) = self.store.length(key)? else { return Ok(None) };
        let chunks = shard.chunks.iter().try_fold(16usize, |n, &c| n.checked_mul(c));
        let size = chunks.and_then(|n| n.checked_add(4 * usize::from(shard.index_checksum)));
        let Some(size) = size.filter(|&size| size as u64 <= length) else {
            return Err(self.broken(key, "shorter than its index"));
        };
        let at = if shard.index_at_end { length - size as u64 } else { 0 };
        let mut bytes = self.store.part(key, at, size)?;
        if shard.index_checksum {
            bytes = checked(&bytes).map_err(|e| self.broken(key, e))?.to_vec();
        }
        let index = Arc::new(bytes);
        let mut indices = self.indices.lock().unwrap_or_else(PoisonError::into_inner);
        // A few shards are read at a time; their indices are small.
        if indices.len() >= 64 {
            indices.clear();
        }
        indices.insert(key.to_owned(), Arc::clone(&index));
        Ok(Some(index))
    }

    /// The packed bytes of a chunk and the key they stand under.
    fn packed(&self, position: &[usize]) -> Result<(String, Option<Vec<u8>>), IoError> {
        let limit = CHUNK_BYTES + CHUNK_BYTES / 64;
        let Some(shard) = &self.meta.shard else {
            let key = self.meta.key(position);
            let bytes = self.store.get(&key, limit)?;
            return Ok((key, bytes));
        };
        let outer: Vec<usize> = position.iter().zip(&shard.chunks).map(|(p, n)| p / n).collect();
        let key = self.meta.key(&outer);
        let Some(index) = self.index(shard, &key)? else { return Ok((key, None)) };
        let inner = position.iter().zip(&shard.chunks).fold(0, |i, (p, n)| i * n + p % n);
        let entry = index.get(16 * inner..16 * inner + 16).unwrap_or_default();
        let (Some(offset), Some(length)) = (entry.first_chunk(), entry.last_chunk()) else {
            return Err(self.broken(&key, "its index is short"));
        };
        let (offset, length) = (u64::from_le_bytes(*offset), u64::from_le_bytes(*length));
        if offset == u64::MAX && length == u64::MAX {
            return Ok((key, None));
        }
        let whole = self.store.length(&key)?.unwrap_or(0);
        if length > limit as u64 || offset.checked_add(length).is_none_or(|end| end > whole) {
            let claimed = format!("a chunk at {offset} of {length} bytes");
            return Err(self.broken(&key, claimed));
        }
        let bytes = self.store.part(&key, offset, length as usize)?;
        Ok((key, Some(bytes)))
    }

    /// The values of a chunk in C order, little-endian; `None` where the file leaves it out.
    fn chunk(&self, number: usize, position: &[usize]) -> Result<Chunk, IoError> {
        let cache = || self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(chunk) = cache().get(number) {
            return Ok(chunk);
        }
        let (key, packed) = self.packed(position)?;
        let Some(mut bytes) = packed else {
            cache().insert(number, None);
            return Ok(None);
        };
        self.input.used(bytes.len());
        let width = self.number.width;
        let size = self.meta.chunk.iter().product::<usize>() * width;
        // What stands between two codecs may be a little longer than the values.
        let limit = size + size / 64 + 4096;
        for &codec in &self.meta.codecs {
            bytes = decode(codec, &bytes, limit).map_err(|e| self.broken(&key, e))?;
        }
        if bytes.len() != size {
            return Err(self.broken(&key, format!("{} bytes, not {size}", bytes.len())));
        }
        if self.number.big_endian {
            bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
        }
        if let Some(order) = &self.meta.order {
            bytes = transposed(&bytes, &self.meta.chunk, order, width);
        }
        let chunk = Some(Arc::new(bytes));
        cache().insert(number, chunk.clone());
        Ok(chunk)
    }

    /// Lays out a box of the navigation grid with whole spectra.
    fn lay(&self, navigation: &[Range<usize>], out: &mut Vec<u8>) -> Result<(), IoError> {
        let (shape, chunk, width) = (&self.meta.shape, &self.meta.chunk, self.number.width);
        let mut part: Vec<Range<usize>> = navigation.to_vec();
        if self.spectra {
            part.push(0..shape.last().copied().unwrap_or(0));
        }
        let lengths: Vec<usize> = part.iter().map(ExactSizeIterator::len).collect();
        let values: usize = lengths.iter().product();
        out.clear();
        out.resize(values * width, 0);
        let (to_strides, from_strides) = (strides(&lengths), strides(chunk));
        let counts: Vec<usize> = shape.iter().zip(chunk).map(|(n, c)| n.div_ceil(*c)).collect();
        let grid: Vec<Range<usize>> =
            part.iter().zip(chunk).map(|(r, c)| r.start / c..(r.end - 1) / c + 1).collect();
        for_each_point(&grid, &mut |position| {
            let number = position.iter().zip(&counts).fold(0, |i, (p, n)| i * n + p);
            // What the chunk and the box share, in points of the array.
            let common: Vec<Range<usize>> = position
                .iter()
                .zip(chunk)
                .zip(&part)
                .map(|((p, c), r)| (p * c).max(r.start)..((p + 1) * c).min(r.end))
                .collect();
            let Some((run, lines)) = common.split_last() else { return Ok(()) };
            let bytes = self.chunk(number, position)?;
            for_each_point(lines, &mut |line| {
                let mut point = line.to_vec();
                point.push(run.start);
                let from = point.iter().zip(position).zip(chunk).zip(&from_strides);
                let from: usize = from.map(|(((x, p), c), s)| (x - p * c) * s).sum();
                let to = point.iter().zip(&part).zip(&to_strides);
                let to: usize = to.map(|((x, r), s)| (x - r.start) * s).sum();
                let target = &mut out[to * width..(to + run.len()) * width];
                match &bytes {
                    Some(bytes) => {
                        target.copy_from_slice(&bytes[from * width..(from + run.len()) * width])
                    }
                    None if self.fill.iter().all(|&b| b == 0) => target.fill(0),
                    None => target
                        .chunks_exact_mut(width)
                        .for_each(|value| value.copy_from_slice(&self.fill)),
                }
                Ok(())
            })
        })
    }
}

/// Calls `f` with every point of a box, last axis fastest; once where there is no axis.
fn for_each_point<E>(
    part: &[Range<usize>],
    f: &mut dyn FnMut(&[usize]) -> Result<(), E>,
) -> Result<(), E> {
    if part.iter().any(Range::is_empty) {
        return Ok(());
    }
    let mut point: Vec<usize> = part.iter().map(|r| r.start).collect();
    loop {
        f(&point)?;
        let mut axis = part.len();
        loop {
            let Some(previous) = axis.checked_sub(1) else { return Ok(()) };
            axis = previous;
            point[axis] += 1;
            if point[axis] < part[axis].end {
                break;
            }
            point[axis] = part[axis].start;
        }
    }
}

/// A chunk stored with its axes in another order, in C order.
fn transposed(bytes: &[u8], chunk: &[usize], order: &[usize], width: usize) -> Vec<u8> {
    let stored: Vec<usize> = order.iter().map(|&axis| chunk[axis]).collect();
    let stored_strides = strides(&stored);
    let mut along = vec![0; chunk.len()];
    for (i, &axis) in order.iter().enumerate() {
        along[axis] = stored_strides[i];
    }
    let mut out = Vec::with_capacity(bytes.len());
    let whole: Vec<Range<usize>> = chunk.iter().map(|&n| 0..n).collect();
    let _ = for_each_point::<()>(&whole, &mut |point| {
        let from: usize = point.iter().zip(&along).map(|(x, s)| x * s).sum();
        out.extend_from_slice(&bytes[from * width..(from + 1) * width]);
        Ok(())
    });
    out
}

impl Blocks for ZarrArray {
    fn dtype(&self) -> Stored {
        match self.meta.dtype.as_str() {
            "bool" | "|b1" => Stored::Bool,
            _ => Stored::of(self.number),
        }
    }

    fn read(&self, range: Range<usize>, take: &mut dyn FnMut(Block<'_>)) -> Result<(), IoError> {
        let mut bytes = Vec::new();
        for_each_box(self.grid(), range, &mut |part| {
            self.lay(part, &mut bytes)?;
            with_block(self.native(), &bytes, &mut *take);
            Ok(())
        })
    }

    fn rows_at_once(&self) -> usize {
        match (self.grid().split_first(), self.meta.chunk.first()) {
            (Some((&n, inner)), Some(&chunk)) => {
                chunk.clamp(1, n.max(1)).saturating_mul(inner.iter().product())
            }
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_of_the_standard() {
        // RFC 3720, B.4: 32 bytes of zeros, and of 0..31.
        assert_eq!(crc32c(&[0; 32]), 0x8A91_36AA);
        assert_eq!(crc32c(&(0..32).collect::<Vec<u8>>()), 0x46DD_794E);
        let mut packed = b"abc".to_vec();
        packed.extend(crc32c(b"abc").to_le_bytes());
        assert_eq!(checked(&packed).unwrap(), b"abc");
        packed[0] = b'b';
        assert!(checked(&packed).is_err());
    }

    #[test]
    fn axes_are_put_back_in_order() {
        // Stored as [z, x, y] of an array [x = 2, y = 3, z = 2].
        let stored: Vec<u8> = (0..2)
            .flat_map(|z| (0..2).flat_map(move |x| (0..3).map(move |y| 100 * x + 10 * y + z)))
            .collect();
        let expected: Vec<u8> = (0..2)
            .flat_map(|x| (0..3).flat_map(move |y| (0..2).map(move |z| 100 * x + 10 * y + z)))
            .collect();
        assert_eq!(transposed(&stored, &[2, 3, 2], &[2, 0, 1], 1), expected);
    }

    #[test]
    fn fill_values_become_bytes() {
        let number = |kind, width| Number { kind, width, big_endian: true };
        for (kind, width, fill, expected) in [
            (NumberKind::Unsigned, 2, serde_json::json!(258), vec![2, 1]),
            (NumberKind::Signed, 2, serde_json::json!(-2), vec![254, 255]),
            (NumberKind::Float, 4, serde_json::json!("0x3f800000"), 1f32.to_le_bytes().to_vec()),
            (NumberKind::Float, 8, serde_json::json!(1.5), 1.5f64.to_le_bytes().to_vec()),
            (NumberKind::Unsigned, 8, serde_json::json!(u64::MAX), vec![255; 8]),
        ] {
            assert_eq!(fill_bytes(number(kind, width), &fill), Some(expected), "{fill}");
        }
        assert_eq!(fill_bytes(number(NumberKind::Float, 4), &serde_json::json!([])), None);
    }
}
