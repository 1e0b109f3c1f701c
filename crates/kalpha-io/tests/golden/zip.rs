//! One member of a ZIP file, for fixtures that come packed.

use flate2::read::DeflateDecoder;
use std::io::Read;

/// Unpacks `name`; the ZIP is one of the reference files, so it is trusted.
pub fn member(zip: &[u8], name: &str) -> Vec<u8> {
    let u16_at = |at: usize| usize::from(u16::from_le_bytes([zip[at], zip[at + 1]]));
    let u32_at = |at: usize| u32::from_le_bytes(zip[at..at + 4].try_into().unwrap()) as usize;
    let end = zip.windows(4).rposition(|w| w == b"PK\x05\x06").unwrap();
    let mut at = u32_at(end + 16);
    for _ in 0..u16_at(end + 10) {
        let (method, packed, local) = (u16_at(at + 10), u32_at(at + 20), u32_at(at + 42));
        let length = u16_at(at + 28);
        if &zip[at + 46..at + 46 + length] == name.as_bytes() {
            let data = local + 30 + u16_at(local + 26) + u16_at(local + 28);
            let data = &zip[data..data + packed];
            let mut out = Vec::new();
            match method {
                0 => out.extend_from_slice(data),
                8 => drop(DeflateDecoder::new(data).read_to_end(&mut out).unwrap()),
                other => panic!("ZIP method {other}"),
            }
            return out;
        }
        at += 46 + length + u16_at(at + 30) + u16_at(at + 32);
    }
    panic!("no member {name}");
}
