//! Blosc 1 (HDF5 filter 32001, and the usual codec of Zarr).
//!
//! Header of 16 bytes: versions, flags (1 byte shuffle, 2 plain, 4 bit shuffle, 16 not split,
//! bits 5-7 codec), element size, then length, block length and packed length as u32. The start
//! of each block follows. A block is one stream, or one per byte of an element; each stands
//! behind its packed length, and is plain where that equals its length. All little-endian.

use super::{CodecError, bitshuffle::unshuffle_bits, lz4_block, lzf::copy_back, unshuffle};

/// Wider elements are not split.
const MAX_SPLITS: usize = 16;
/// Blocks with fewer elements are not split.
const MIN_ELEMENTS: usize = 128;

fn wrong(what: impl Into<String>) -> CodecError {
    CodecError::new("blosc", what)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<usize, CodecError> {
    let field = bytes.get(at..).and_then(|b| b.first_chunk::<4>());
    field.map(|b| u32::from_le_bytes(*b) as usize).ok_or_else(|| wrong(format!("ends at {at}")))
}

/// Unpacks to at most `limit` bytes.
pub(crate) fn blosc(bytes: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
    let &[version, _, flags, width, ..] = bytes else { return Err(wrong("no header")) };
    if !(1..=2).contains(&version) {
        return Err(wrong(format!("format version {version}, supported are 1 and 2")));
    }
    let (size, block, packed) = (u32_at(bytes, 4)?, u32_at(bytes, 8)?, u32_at(bytes, 12)?);
    if size > limit {
        return Err(wrong(format!("claims {size} bytes, limit {limit}")));
    }
    let bytes = bytes.get(..packed).ok_or_else(|| wrong("cut short"))?;
    if flags & 2 != 0 {
        let plain = bytes.get(16..).and_then(|b| b.get(..size));
        return plain.map(<[u8]>::to_vec).ok_or_else(|| wrong("plain bytes are cut short"));
    }
    if size == 0 {
        return Ok(Vec::new());
    }
    if block == 0 || block > size {
        return Err(wrong(format!("blocks of {block} in {size} bytes")));
    }
    let width = usize::from(width.max(1));
    let mut out = Vec::new();
    for number in 0..size.div_ceil(block) {
        let start = u32_at(bytes, 16 + 4 * number)?;
        let length = block.min(size - number * block);
        let split = flags & 16 == 0
            && length == block
            && width <= MAX_SPLITS
            && block / width >= MIN_ELEMENTS;
        let streams = if split { width } else { 1 };
        let plain = read_block(bytes, start, length, streams, flags >> 5)?;
        match (flags & 1 != 0, flags & 4 != 0) {
            (true, _) if width > 1 => out.append(&mut unshuffle(&plain, width)),
            (_, true) if (length / width) % 8 == 0 => {
                let whole = length / width * width;
                unshuffle_bits(&plain[..whole], width, &mut out);
                out.extend_from_slice(&plain[whole..]);
            }
            _ => out.extend_from_slice(&plain),
        }
    }
    Ok(out)
}

fn read_block(
    bytes: &[u8],
    start: usize,
    length: usize,
    streams: usize,
    codec: u8,
) -> Result<Vec<u8>, CodecError> {
    let each = length / streams;
    let mut plain = Vec::new();
    let mut at = start;
    for _ in 0..streams {
        let packed = u32_at(bytes, at)?;
        let stream = bytes.get(at + 4..).and_then(|b| b.get(..packed));
        let stream = stream.ok_or_else(|| wrong(format!("ends inside the stream at {at}")))?;
        at += 4 + packed;
        if packed == each {
            plain.extend_from_slice(stream);
            continue;
        }
        let mut unpacked = match codec {
            0 => blosclz(stream, each)?,
            1 => lz4_block(stream, each)?,
            3 => super::zlib(stream, each)?,
            4 => super::zstd(stream, each)?,
            2 => return Err(wrong("codec snappy; supported are blosclz, lz4, zlib and zstd")),
            other => return Err(wrong(format!("codec {other} is not known"))),
        };
        if unpacked.len() != each {
            return Err(wrong(format!("a stream of {} bytes, not {each}", unpacked.len())));
        }
        plain.append(&mut unpacked);
    }
    if plain.len() != length {
        return Err(wrong(format!("a block of {} bytes, not {length}", plain.len())));
    }
    Ok(plain)
}

/// BloscLZ: a control byte below 32 is followed by that many literals plus one. Else its upper
/// three bits less one are a length (6: bytes are added up to the first that is not 255), and
/// its lower five with the next byte a distance; the largest of these says that two bytes
/// follow, to which 8191 is added. Length and distance are raised by three and one. The first
/// control byte is always literals.
fn blosclz(bytes: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
    let mut at = 0;
    let mut out = Vec::new();
    let next = |at: &mut usize| {
        let byte = bytes.get(*at).copied().map(usize::from);
        *at += 1;
        byte.ok_or_else(|| wrong(format!("blosclz ends at {}", *at - 1)))
    };
    let mut first = true;
    while at < bytes.len() {
        let mut control = next(&mut at)?;
        if std::mem::take(&mut first) {
            control &= 31;
        }
        if control < 32 {
            let literals = bytes.get(at..at + control + 1);
            out.extend_from_slice(literals.ok_or_else(|| wrong("blosclz ends in literals"))?);
            at += control + 1;
        } else {
            let mut length = (control >> 5) - 1;
            if length == 6 {
                loop {
                    let more = next(&mut at)?;
                    length += more;
                    if more != 255 {
                        break;
                    }
                }
            }
            let low = next(&mut at)?;
            let mut distance = ((control & 31) << 8) + low;
            if distance == (31 << 8) + 255 {
                distance = (next(&mut at)? << 8) + next(&mut at)? + 8191;
            }
            if out.len() + length + 3 > limit {
                return Err(wrong(format!("blosclz gives more than {limit} bytes")));
            }
            copy_back(&mut out, distance + 1, length + 3)
                .ok_or_else(|| wrong("blosclz copies from before the start"))?;
        }
        if out.len() > limit {
            return Err(wrong(format!("blosclz gives more than {limit} bytes")));
        }
    }
    Ok(out)
}
