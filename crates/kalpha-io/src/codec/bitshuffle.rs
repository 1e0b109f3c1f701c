//! Bitshuffle (Masui et al. 2015, doi:10.1016/j.ascom.2015.07.002), HDF5 filter 32008.
//!
//! Elements are cut into blocks; in a block bit `k` of byte `j` of all elements stands together.
//! Blocks are plain, or packed by LZ4 or Zstandard behind a header of the whole length (8 bytes)
//! and the block length in bytes (4), each block behind its packed length (4), big-endian. The
//! last block is shorter, and what does not fill eight elements stands as it is at the end.

use super::{CodecError, lz4_block, zstd};

/// A block holds about so many bytes where none is stated.
const BLOCK_BYTES: usize = 8192;

fn wrong(what: impl Into<String>) -> CodecError {
    CodecError::new("bitshuffle", what)
}

/// Swaps rows and columns of 8 x 8 bits (Warren, Hacker's Delight, 2012, section 7-3).
fn transpose(mut x: u64) -> u64 {
    for (shift, mask) in
        [(7, 0x00AA_00AA_00AA_00AA), (14, 0x0000_CCCC_0000_CCCC), (28, 0x0000_0000_F0F0_F0F0)]
    {
        let t = (x ^ (x >> shift)) & mask;
        x ^= t ^ (t << shift);
    }
    x
}

/// Undoes the shuffle of one block of whole groups of eight elements.
pub(super) fn unshuffle_bits(bytes: &[u8], width: usize, out: &mut Vec<u8>) {
    let base = out.len();
    out.resize(base + bytes.len(), 0);
    let groups = bytes.len() / (8 * width.max(1));
    for j in 0..width {
        for group in 0..groups {
            let rows: [u8; 8] = std::array::from_fn(|k| bytes[(j * 8 + k) * groups + group]);
            let elements = transpose(u64::from_le_bytes(rows)).to_le_bytes();
            for (e, byte) in elements.into_iter().enumerate() {
                out[base + (group * 8 + e) * width + j] = byte;
            }
        }
    }
}

/// Undoes the filter; `client` are its values in the file: versions, element size, elements per
/// block, kind of packing.
pub(crate) fn bitshuffle(
    bytes: &[u8],
    client: &[u32],
    width: usize,
    limit: usize,
) -> Result<Vec<u8>, CodecError> {
    let width = client.get(2).map_or(width, |&w| w as usize);
    if width == 0 || width > limit.max(1) {
        return Err(wrong(format!("elements of {width} bytes")));
    }
    let packing = client.get(4).copied().unwrap_or(0);
    let stated = client.get(3).map_or(0, |&n| n as usize);
    let default = ((BLOCK_BYTES / width) / 8 * 8).max(128);
    let mut elements_per_block = if stated == 0 { default } else { stated };
    let (mut size, mut rest) = (bytes.len(), bytes);
    if packing != 0 {
        let short = || wrong("shorter than its header");
        let (whole, behind) = bytes.split_first_chunk::<8>().ok_or_else(short)?;
        let (block, behind) = behind.split_first_chunk::<4>().ok_or_else(short)?;
        size = usize::try_from(u64::from_be_bytes(*whole)).unwrap_or(usize::MAX);
        elements_per_block = u32::from_be_bytes(*block) as usize / width;
        rest = behind;
    }
    if size > limit {
        return Err(wrong(format!("claims {size} bytes, limit {limit}")));
    }
    if elements_per_block == 0 || elements_per_block % 8 != 0 {
        return Err(wrong(format!("blocks of {elements_per_block} elements")));
    }
    let mut out = Vec::new();
    let mut left = size / width / 8 * 8;
    while left > 0 {
        let block = elements_per_block.min(left) * width;
        let short = || wrong(format!("ends inside the block at {}", out.len()));
        let unpacked;
        let plain = match packing {
            0 => rest.split_off(..block).ok_or_else(short)?,
            kind => {
                let length = rest.split_off(..4).ok_or_else(short)?;
                let length = u32::from_be_bytes(length.try_into().unwrap_or_default());
                let packed = rest.split_off(..length as usize).ok_or_else(short)?;
                unpacked = match kind {
                    2 => lz4_block(packed, block)?,
                    3 => zstd(packed, block)?,
                    other => return Err(wrong(format!("packing {other} is not known"))),
                };
                if unpacked.len() != block {
                    return Err(wrong(format!("a block of {} bytes", unpacked.len())));
                }
                &unpacked
            }
        };
        unshuffle_bits(plain, width, &mut out);
        left -= block / width;
    }
    let tail = size - out.len();
    out.extend_from_slice(rest.get(..tail).ok_or_else(|| wrong("ends before its last bytes"))?);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_become_elements_again() {
        // 16 elements of 2 bytes; bit k of byte j of element e is bit (e % 8) of byte
        // (8 j + k) groups + e / 8.
        let elements: Vec<u16> = (0..16).map(|i| i * 4099 + 7).collect();
        let mut shuffled = vec![0u8; 32];
        for (e, element) in elements.iter().enumerate() {
            for bit in 0..16 {
                if element >> bit & 1 == 1 {
                    shuffled[bit * 2 + e / 8] |= 1 << (e % 8);
                }
            }
        }
        shuffled.extend([0xAB, 0xCD]);
        let expected: Vec<u8> =
            elements.iter().flat_map(|e| e.to_le_bytes()).chain([0xAB, 0xCD]).collect();
        assert_eq!(bitshuffle(&shuffled, &[0, 3, 2, 0, 0], 2, 100).unwrap(), expected);
        assert!(bitshuffle(&shuffled, &[0, 3, 2, 0, 0], 2, 33).is_err());
        assert!(bitshuffle(&shuffled, &[0, 3, 2, 0, 2], 2, 100).is_err());
        assert!(bitshuffle(&shuffled, &[0, 3, 0, 0, 0], 2, 100).is_err());
        assert!(bitshuffle(&shuffled, &[0, 3, 2, 7, 0], 2, 100).is_err());
    }
}
