//! Decoders of packed bytes, as HDF5 filters and Zarr codecs use them.
//!
//! Every decoder takes the most bytes it may give; none allocates what a header merely claims.

mod bitshuffle;
mod blosc;
mod lzf;

pub(crate) use bitshuffle::bitshuffle;
pub(crate) use blosc::blosc;
pub(crate) use lzf::lzf;

use std::io::Read;

/// Packed bytes cannot be unpacked.
#[derive(Debug, thiserror::Error)]
#[error("{codec}: {what}")]
pub(crate) struct CodecError {
    codec: &'static str,
    what: String,
}

impl CodecError {
    pub fn new(codec: &'static str, what: impl Into<String>) -> Self {
        Self { codec, what: what.into() }
    }
}

/// Reads `from` to its end, at most `limit` bytes.
fn drain(codec: &'static str, from: impl Read, limit: usize) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::new();
    from.take(limit as u64 + 1)
        .read_to_end(&mut out)
        .map_err(|error| CodecError::new(codec, error.to_string()))?;
    if out.len() > limit {
        return Err(CodecError::new(codec, format!("more than {limit} bytes")));
    }
    Ok(out)
}

/// zlib (RFC 1950).
pub(crate) fn zlib(bytes: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
    drain("zlib", flate2::read::ZlibDecoder::new(bytes), limit)
}

/// gzip (RFC 1952), any number of members.
pub(crate) fn gzip(bytes: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
    drain("gzip", flate2::read::MultiGzDecoder::new(bytes), limit)
}

/// Bare deflate (RFC 1951).
pub(crate) fn deflate(bytes: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
    drain("deflate", flate2::read::DeflateDecoder::new(bytes), limit)
}

/// Base64 (RFC 4648), blanks and line ends between; `None` where it is none.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.bytes().filter(|b| !b.is_ascii_whitespace());
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut n, mut ended) = (0u32, 0, false);
    for b in digits {
        let digit = match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                ended = true;
                continue;
            }
            _ => return None,
        };
        if ended {
            return None;
        }
        bits = bits << 6 | u32::from(digit);
        n += 6;
        if n >= 8 {
            n -= 8;
            out.push((bits >> n) as u8);
        }
    }
    // What is left over fills no byte.
    (n < 6).then_some(out)
}

/// Zstandard (RFC 8878), any number of frames.
pub(crate) fn zstd(bytes: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
    let wrong = |error: &dyn std::fmt::Display| CodecError::new("zstd", error.to_string());
    let mut rest = bytes;
    let mut out = Vec::new();
    while !rest.is_empty() {
        let decoder = ruzstd::decoding::StreamingDecoder::new(&mut rest).map_err(|e| wrong(&e))?;
        out.append(&mut drain("zstd", decoder, limit - out.len())?);
    }
    Ok(out)
}

/// One LZ4 block of exactly `size` bytes.
pub(crate) fn lz4_block(bytes: &[u8], size: usize) -> Result<Vec<u8>, CodecError> {
    // A block shrinks by at most 255.
    if size > bytes.len().saturating_mul(255) {
        let what = format!("{} bytes cannot hold {size}", bytes.len());
        return Err(CodecError::new("lz4", what));
    }
    let mut out = vec![0; size];
    match lz4_flex::block::decompress_into(bytes, &mut out) {
        Ok(n) if n == size => Ok(out),
        Ok(n) => Err(CodecError::new("lz4", format!("{n} bytes instead of {size}"))),
        Err(error) => Err(CodecError::new("lz4", error.to_string())),
    }
}

/// A length in front of an LZ4 block, as numcodecs writes it.
pub(crate) fn lz4_sized(bytes: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
    let (size, block) = bytes
        .split_first_chunk::<4>()
        .ok_or_else(|| CodecError::new("lz4", "shorter than its length"))?;
    let size = u32::from_le_bytes(*size) as usize;
    if size > limit {
        return Err(CodecError::new("lz4", format!("claims {size} bytes, limit {limit}")));
    }
    lz4_block(block, size)
}

/// Undoes the byte shuffle: byte `j` of all elements, then byte `j + 1`, ..; what does not fill
/// an element stands as it is at the end.
pub(crate) fn unshuffle(bytes: &[u8], width: usize) -> Vec<u8> {
    let n = bytes.len() / width.max(1);
    if width <= 1 || n == 0 {
        return bytes.to_vec();
    }
    let (planes, rest) = bytes.split_at(n * width);
    let mut out = vec![0; bytes.len()];
    for (j, plane) in planes.chunks_exact(n).enumerate() {
        for (element, &byte) in out.chunks_exact_mut(width).zip(plane) {
            element[j] = byte;
        }
    }
    out[n * width..].copy_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    #[test]
    fn limits_hold() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&vec![0; 1 << 20]).unwrap();
        let packed = encoder.finish().unwrap();
        assert_eq!(gzip(&packed, 1 << 20).unwrap().len(), 1 << 20);
        assert!(gzip(&packed, (1 << 20) - 1).unwrap_err().to_string().contains("more than"));
        assert!(lz4_block(&[0; 4], 4 * 255 + 1).is_err());
        assert!(lz4_sized(&[255, 255, 255, 255, 0], 100).is_err());
        assert!(zstd(b"no frame", 100).is_err());
    }

    #[test]
    fn planes_become_elements_again() {
        assert_eq!(unshuffle(&[1, 3, 5, 2, 4, 6, 9], 2), [1, 2, 3, 4, 5, 6, 9]);
        assert_eq!(unshuffle(&[1, 2], 4), [1, 2]);
        assert_eq!(unshuffle(&[1, 2], 1), [1, 2]);
    }
}
