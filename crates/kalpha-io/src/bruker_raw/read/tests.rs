//! Files put together after the layouts.

use super::*;
use std::path::Path;

/// Bytes with values written at their places.
struct Bytes(Vec<u8>);

impl Bytes {
    fn new(magic: &[u8], n: usize) -> Self {
        let mut bytes = vec![0; n];
        bytes[..magic.len()].copy_from_slice(magic);
        Self(bytes)
    }

    fn put(&mut self, at: usize, bytes: &[u8]) -> &mut Self {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    fn values(&mut self, values: &[f32]) -> &mut Self {
        values.iter().for_each(|x| self.0.extend(x.to_le_bytes()));
        self
    }
}

fn read(bytes: Bytes) -> SignalList {
    list(&Input::from_bytes(Path::new("a.raw"), bytes.0)).unwrap()
}

fn range_1(bytes: &mut Bytes, at: usize, start: f32, more: u32, values: &[f32]) {
    bytes
        .put(at, &(values.len() as u32).to_le_bytes())
        .put(at + 4, &2f32.to_le_bytes())
        .put(at + 8, &0.02f32.to_le_bytes())
        .put(at + 20, &start.to_le_bytes())
        .put(at + 24, &(-1e6f32).to_le_bytes())
        .put(at + 36, b"quartz")
        .put(at + 68, &1.5406f32.to_le_bytes())
        .put(at + 148, &more.to_le_bytes())
        .values(values);
}

#[test]
fn version_1_with_a_second_range_that_bears_no_magic() {
    let mut bytes = Bytes::new(b"RAW ", 156);
    range_1(&mut bytes, 4, 5.0, 1, &[1.0, 2.0, 3.0]);
    let at = bytes.0.len();
    bytes.0.resize(at + 152, 0);
    range_1(&mut bytes, at, 10.0, 0, &[4.0, 5.0]);
    let list = read(bytes);
    assert_eq!(list.names(), ["range 1", "range 2"]);
    assert_eq!(list.signals[0].values, [1.0, 2.0, 3.0]);
    assert_eq!(list.signals[1].values, [4.0, 5.0]);
    assert_eq!(list.signals[1].axis.offset_scale(), Some((10.0, f64::from(0.02f32))));
    assert_eq!(list.signals[0].metadata.title.as_deref(), Some("quartz"));
    assert_eq!(list.signals[0].metadata.wavelength_a, Some(f64::from(1.5406f32)));
    assert!(list.vendor["ranges"][0]["theta_start"].is_null());
}

#[test]
fn version_2() {
    let mut bytes = Bytes::new(b"RAW2", 256 + 60);
    bytes.put(4, &1u16.to_le_bytes()).put(188, b"Cu").put(190, &1.5406f32.to_le_bytes());
    bytes
        .put(256, &60u16.to_le_bytes())
        .put(258, &2u16.to_le_bytes())
        .put(268, &0.05f32.to_le_bytes())
        .put(272, &20f32.to_le_bytes())
        .values(&[7.0, 8.0]);
    let list = read(bytes);
    assert_eq!(list.names(), ["intensity"]);
    assert_eq!(list.signals[0].values, [7.0, 8.0]);
    assert_eq!(list.signals[0].axis.at(0), 20.0);
    assert_eq!(list.vendor["file"]["anode"], "Cu");
    assert_eq!(list.version.as_deref(), Some("2"));
}

#[test]
fn version_3_with_supplements_and_a_rocking_curve() {
    let mut bytes = Bytes::new(b"RAW1.01", 712);
    bytes.put(12, &2u32.to_le_bytes()).put(326, b"LaB6").put(624, &1.540598f64.to_le_bytes());
    for (kind, supplement) in [(0u32, 40usize), (3, 0)] {
        let at = bytes.0.len();
        bytes.0.resize(at + 304 + supplement, 0);
        bytes
            .put(at, &304u32.to_le_bytes())
            .put(at + 4, &3u32.to_le_bytes())
            .put(at + 8, &12.5f64.to_le_bytes())
            .put(at + 16, &25f64.to_le_bytes())
            .put(at + 176, &0.01f64.to_le_bytes())
            .put(at + 196, &kind.to_le_bytes())
            .put(at + 256, &(supplement as u32).to_le_bytes())
            .values(&[1.0, 0.0, 9.0]);
    }
    let list = read(bytes);
    assert_eq!(list.names(), ["range 1", "range 2"]);
    assert_eq!(list.signals[0].axis.offset_scale(), Some((25.0, 0.01)));
    assert_eq!(list.signals[1].axis.name, "Omega");
    assert_eq!(list.signals[1].axis.offset_scale(), Some((12.5, 0.01)));
    assert_eq!(list.signals[1].values, [1.0, 0.0, 9.0]);
    assert_eq!(list.signals[0].metadata.title.as_deref(), Some("LaB6"));
}

#[test]
fn version_4_with_segments_and_two_values_a_point() {
    let mut bytes = Bytes::new(b"RAW4.00", 61 + 48 + 120);
    bytes
        .put(12, b"04/10/2017")
        .put(61, &10u32.to_le_bytes())
        .put(65, &48u32.to_le_bytes())
        .put(73, b"SAMPLEID")
        .put(97, b"corundum")
        .put(109, &30u32.to_le_bytes())
        .put(113, &120u32.to_le_bytes())
        .put(189, &1.540598f64.to_le_bytes())
        .put(225, b"Cu");
    let at = bytes.0.len();
    bytes.0.resize(at + 160 + 64, 0);
    bytes
        .put(at + 32, b"Locked Coupled")
        .put(at + 72, &10f64.to_le_bytes())
        .put(at + 80, &0.02f64.to_le_bytes())
        .put(at + 88, &3u32.to_le_bytes())
        .put(at + 136, &8u32.to_le_bytes())
        .put(at + 140, &64u32.to_le_bytes())
        .put(at + 160, &50u32.to_le_bytes())
        .put(at + 164, &64u32.to_le_bytes())
        .put(at + 172, b"2Theta")
        .put(at + 216, &10f64.to_le_bytes())
        .values(&[5.0, 0.5, 6.0, 0.5, 7.0, 0.5]);
    let list = read(bytes);
    assert_eq!(list.signals[0].values, [5.0, 6.0, 7.0]);
    assert_eq!(list.signals[0].axis.offset_scale(), Some((10.0, 0.02)));
    assert_eq!(list.signals[0].metadata.title.as_deref(), Some("corundum"));
    assert_eq!(list.signals[0].metadata.wavelength_a, Some(1.540598));
    assert_eq!(list.vendor["ranges"][0]["start 2Theta"], 10.0);
}

#[test]
fn ranges_that_claim_more_than_the_file_holds_are_refused() {
    let mut bytes = Bytes::new(b"RAW ", 156);
    range_1(&mut bytes, 4, 5.0, 0, &[1.0]);
    bytes.put(4, &u32::MAX.to_le_bytes());
    let result = list(&Input::from_bytes(Path::new("a.raw"), bytes.0));
    assert!(matches!(result, Err(IoError::Corrupt { .. })));
}
