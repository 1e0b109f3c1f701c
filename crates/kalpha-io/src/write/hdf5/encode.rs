//! Messages, types and checksums of HDF5.

use crate::plain::{Number, NumberKind};

/// A value beside an object.
#[derive(Clone, Debug)]
pub(in crate::write) enum Attribute {
    Text(String),
    Texts(Vec<String>),
    Bool(bool),
    Int(i64),
    Float(f64),
}

/// A message of an object header of version 2.
pub(super) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind];
    message.extend((body.len() as u16).to_le_bytes());
    message.push(0);
    message.extend(body);
    message
}

/// A single value, or an array of that shape.
pub(super) fn dataspace(shape: Option<&[usize]>) -> Vec<u8> {
    let Some(shape) = shape else { return vec![2, 0, 0, 0] };
    let mut space = vec![2, shape.len() as u8, 0, 1];
    shape.iter().for_each(|&n| space.extend((n as u64).to_le_bytes()));
    space
}

/// Integers and IEEE floats, little-endian.
pub(super) fn datatype(number: Number) -> Vec<u8> {
    let bits = 8 * number.width as u16;
    let mut datatype = match number.kind {
        NumberKind::Unsigned => vec![0x10, 0, 0, 0],
        NumberKind::Signed => vec![0x10, 8, 0, 0],
        NumberKind::Float => vec![0x11, 0x20, bits as u8 - 1, 0],
    };
    datatype.extend((number.width as u32).to_le_bytes());
    datatype.extend([0, 0]);
    datatype.extend(bits.to_le_bytes());
    if number.kind == NumberKind::Float {
        // Exponent and mantissa: place and length, then the bias.
        let (fields, bias): ([u8; 4], u32) = match number.width {
            4 => ([23, 8, 0, 23], 127),
            _ => ([52, 11, 0, 52], 1023),
        };
        datatype.extend(fields);
        datatype.extend(bias.to_le_bytes());
    }
    datatype
}

/// Strings of any length in UTF-8.
pub(super) fn string_datatype() -> Vec<u8> {
    let mut kind = vec![0x19, 1, 1, 0];
    kind.extend(16u32.to_le_bytes());
    kind.extend(datatype(Number { kind: NumberKind::Unsigned, width: 1, big_endian: false }));
    kind
}

/// Type and bytes of a value of fixed length.
pub(super) fn fixed_datatype(attribute: &Attribute) -> (Vec<u8>, Vec<u8>) {
    let number = |kind, width| Number { kind, width, big_endian: false };
    match attribute {
        Attribute::Bool(value) => {
            // h5py's truth values: an enumeration of one byte.
            let mut kind = vec![0x38, 2, 0, 0, 1, 0, 0, 0];
            kind.extend(datatype(number(NumberKind::Signed, 1)));
            kind.extend(b"FALSE\0TRUE\0\0\x01");
            (kind, vec![u8::from(*value)])
        }
        Attribute::Int(value) => {
            (datatype(number(NumberKind::Signed, 8)), value.to_le_bytes().to_vec())
        }
        Attribute::Float(value) => {
            (datatype(number(NumberKind::Float, 8)), value.to_le_bytes().to_vec())
        }
        Attribute::Text(_) | Attribute::Texts(_) => (string_datatype(), Vec::new()),
    }
}

/// Checksum of metadata (Jenkins 2006, lookup3, `hashlittle` with initial value 0).
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    let start = 0xdead_beef_u32.wrapping_add(bytes.len() as u32);
    let (mut a, mut b, mut c) = (start, start, start);
    let add = |a: &mut u32, b: &mut u32, c: &mut u32, block: &[u8]| {
        let mut whole = [0; 12];
        whole[..block.len()].copy_from_slice(block);
        let word = |i: usize| u32::from_le_bytes([0, 1, 2, 3].map(|k| whole[i + k]));
        *a = a.wrapping_add(word(0));
        *b = b.wrapping_add(word(4));
        *c = c.wrapping_add(word(8));
    };
    let mut rest = bytes;
    while rest.len() > 12 {
        let (block, behind) = rest.split_at(12);
        add(&mut a, &mut b, &mut c, block);
        for (shift_1, shift_2, shift_3) in [(4, 6, 8), (16, 19, 4)] {
            a = a.wrapping_sub(c) ^ c.rotate_left(shift_1);
            c = c.wrapping_add(b);
            b = b.wrapping_sub(a) ^ a.rotate_left(shift_2);
            a = a.wrapping_add(c);
            c = c.wrapping_sub(b) ^ b.rotate_left(shift_3);
            b = b.wrapping_add(a);
        }
        rest = behind;
    }
    if rest.is_empty() {
        return c;
    }
    add(&mut a, &mut b, &mut c, rest);
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    (c ^ b).wrapping_sub(b.rotate_left(24))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_of_the_author() {
        // lookup3.c, driver 5.
        assert_eq!(checksum(b""), 0xdead_beef);
        assert_eq!(checksum(b"Four score and seven years ago"), 0x1777_0551);
    }
}
