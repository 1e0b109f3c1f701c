//! Files put together after the specification; those that spc-io writes are in the golden values.

use super::*;
use std::path::Path;

fn read(bytes: Vec<u8>) -> Result<Content, IoError> {
    content(&Input::from_bytes(Path::new("a.spc"), bytes))
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

/// A header of the new format for `n` points from 100 to 200 cm-1.
fn header(flags: u8, exponent: i8, n: u32, subfiles: u32) -> Vec<u8> {
    let mut bytes = vec![0; 512];
    put(&mut bytes, 0, &[flags, 0x4b, 11, exponent as u8]);
    put(&mut bytes, 4, &n.to_le_bytes());
    put(&mut bytes, 8, &100f64.to_le_bytes());
    put(&mut bytes, 16, &200f64.to_le_bytes());
    put(&mut bytes, 24, &subfiles.to_le_bytes());
    put(&mut bytes, 28, &[13, 4, 4]);
    put(&mut bytes, 32, &((2024u32 << 20) | (5 << 16) | (17 << 11) | (9 << 6) | 30).to_le_bytes());
    put(&mut bytes, 88, b"silicon");
    bytes
}

fn subheader(exponent: i8, z: f32, n: u32) -> Vec<u8> {
    let mut bytes = vec![0; 32];
    put(&mut bytes, 1, &[exponent as u8]);
    put(&mut bytes, 4, &z.to_le_bytes());
    put(&mut bytes, 8, &(z + 0.5).to_le_bytes());
    put(&mut bytes, 16, &n.to_le_bytes());
    bytes
}

#[test]
fn fractions_of_16_and_32_bits_under_an_exponent() {
    // 2^(3 - 16) x 8192 = 1.
    let mut short = header(flag::SHORT, 3, 3, 1);
    short.extend(subheader(0, 0.0, 0));
    for y in [8192i16, -8192, 16384] {
        short.extend(y.to_le_bytes());
    }
    let found = read(short).unwrap();
    assert_eq!(found.list.signals[0].values, [1.0, -1.0, 2.0]);
    assert!(!found.floats);
    let axis = &found.list.signals[0].axis;
    assert_eq!((axis.offset_scale(), &axis.unit), (Some((100.0, 50.0)), &Unit::InverseCentimetre));
    let metadata = &found.list.signals[0].metadata;
    assert_eq!(metadata.title.as_deref(), Some("silicon"));
    assert_eq!(metadata.modality, Some(Modality::Raman));
    assert_eq!(found.list.vendor["header"]["date"], "2024-05-17T09:30");

    let mut long = header(0, 10, 2, 1);
    long.extend(subheader(10, 0.0, 0));
    for y in [1i32 << 22, -3 << 22] {
        long.extend(y.to_le_bytes());
    }
    assert_eq!(read(long).unwrap().list.signals[0].values, [1.0, -3.0]);
}

#[test]
fn subfiles_on_one_axis_are_rows() {
    let mut bytes = header(flag::MULTI, 0, 2, 3);
    for (i, exponent) in [(0, 1i8), (1, 2), (2, FLOATS as i8)] {
        bytes.extend(subheader(exponent, i as f32 * 0.5, 0));
        for y in [1i32 << 30, 1 << (30 - i)] {
            bytes.extend(y.to_le_bytes());
        }
    }
    let found = read(bytes).unwrap();
    let signal = &found.list.signals[0];
    assert_eq!(found.list.names(), ["spectra"]);
    assert_eq!(signal.values[..4], [0.5, 0.5, 1.0, 0.5]);
    assert_eq!(signal.navigation[0].offset_scale(), Some((0.0, 0.5)));
    assert_eq!(signal.navigation[0].unit, Unit::Second);
}

#[test]
fn subfiles_with_their_own_x() {
    let flags = flag::MULTI | flag::OWN_X | flag::LISTED_X;
    let mut bytes = header(flags, FLOATS as i8, 0, 2);
    for n in [2u32, 3] {
        bytes.extend(subheader(FLOATS as i8, 0.0, n));
        (0..n).for_each(|i| bytes.extend((1.0 + i as f32 * i as f32).to_le_bytes()));
        (0..n).for_each(|i| bytes.extend((10.0 * i as f32).to_le_bytes()));
    }
    let found = read(bytes).unwrap();
    assert_eq!(found.list.names(), ["subfile 1", "subfile 2"]);
    assert_eq!(found.list.signals[1].axis.to_vec(), [1.0, 2.0, 5.0]);
    assert_eq!(found.list.signals[1].values, [0.0, 10.0, 20.0]);
    assert!(found.floats);
}

#[test]
fn the_old_format_stores_words_in_halves() {
    let mut bytes = vec![0; 256];
    put(&mut bytes, 0, &[flag::MULTI, 0x4d]);
    put(&mut bytes, 4, &2f32.to_le_bytes());
    put(&mut bytes, 8, &400f32.to_le_bytes());
    put(&mut bytes, 12, &401f32.to_le_bytes());
    put(&mut bytes, 16, &[3, 0]);
    put(&mut bytes, 225, &[16]);
    let values = |bytes: &mut Vec<u8>, whole: [i32; 2]| {
        whole.iter().for_each(|y| bytes.extend(y.rotate_left(16).to_le_bytes()));
    };
    values(&mut bytes, [5 << 16, -7 << 16]);
    bytes.extend(subheader(17, 0.0, 0));
    values(&mut bytes, [5 << 16, 7 << 16]);
    let found = read(bytes).unwrap();
    assert_eq!(found.list.signals[0].values, [5.0, -7.0, 10.0, 14.0]);
    assert_eq!(found.list.signals[0].axis.unit, Unit::Nanometre);
    assert_eq!(found.list.version.as_deref(), Some("4D"));
}

#[test]
fn turned_bytes_and_foreign_versions() {
    let mut bytes = vec![0; 512 + 32];
    put(&mut bytes, 0, &[0, 0x4c, 0, FLOATS as u8]);
    put(&mut bytes, 4, &2u32.to_be_bytes());
    put(&mut bytes, 16, &1f64.to_be_bytes());
    bytes.extend(1.5f32.to_be_bytes());
    bytes.extend(2.5f32.to_be_bytes());
    assert_eq!(read(bytes).unwrap().list.signals[0].values, [1.5, 2.5]);
    for version in [0xcf, 0x00] {
        let result = read(vec![0, version, 0, 0]);
        assert!(matches!(result, Err(IoError::Unsupported { .. })));
    }
    let claims = header(0, FLOATS as i8, u32::MAX, 1);
    assert!(matches!(read(claims), Err(IoError::Corrupt { .. })));
}
