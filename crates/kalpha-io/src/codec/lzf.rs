//! LZF, the fast codec of h5py (filter 32000).
//!
//! A control byte below 32 is followed by that many literals plus one. Else its upper three bits
//! are the length of a copy less two (7: a further byte is added), and its lower five with the
//! next byte the distance less one.

use super::CodecError;

/// Unpacks to at most `limit` bytes.
pub(crate) fn lzf(bytes: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
    let wrong = |at: usize, what: &str| CodecError::new("lzf", format!("byte {at}: {what}"));
    let mut out: Vec<u8> = Vec::new();
    let mut at = 0;
    let next = |at: &mut usize| {
        let byte = bytes.get(*at).copied().map(usize::from);
        *at += 1;
        byte.ok_or_else(|| wrong(*at - 1, "ends inside a copy"))
    };
    while at < bytes.len() {
        let control = next(&mut at)?;
        let length = if control < 32 { control + 1 } else { control >> 5 };
        if control < 32 {
            let literals =
                bytes.get(at..at + length).ok_or_else(|| wrong(at, "ends inside literals"))?;
            out.extend_from_slice(literals);
            at += length;
        } else {
            let length = if length == 7 { 7 + next(&mut at)? } else { length } + 2;
            let distance = ((control & 31) << 8 | next(&mut at)?) + 1;
            copy_back(&mut out, distance, length)
                .ok_or_else(|| wrong(at, "copies from before the start"))?;
        }
        if out.len() > limit {
            return Err(CodecError::new("lzf", format!("more than {limit} bytes")));
        }
    }
    Ok(out)
}

/// Appends `length` bytes that stand `distance` before the end, one after the other.
pub(super) fn copy_back(out: &mut Vec<u8>, distance: usize, length: usize) -> Option<()> {
    let start = out.len().checked_sub(distance).filter(|_| distance > 0)?;
    if distance >= length {
        out.extend_from_within(start..start + length);
    } else {
        for i in 0..length {
            out.push(out[start + i]);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_copies() {
        // "abc", then 5 bytes from 3 back, then a long run from 1 back.
        let packed = [2, b'a', b'b', b'c', 3 << 5, 2, 7 << 5, 4, 0];
        let expected: Vec<u8> = b"abcabcab".iter().copied().chain([b'b'; 13]).collect();
        assert_eq!(lzf(&packed, 100).unwrap(), expected);
        assert!(lzf(&packed, 20).is_err());
        for end in [1, 2, 3, 5, 7, 8] {
            assert!(lzf(&packed[..end], 100).is_err(), "{end}");
        }
        assert!(lzf(&[0, b'a', 1 << 5, 1], 100).is_err());
    }
}
