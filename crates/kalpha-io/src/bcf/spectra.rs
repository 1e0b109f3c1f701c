//! `SpectrumDataN`: the spectra of one detector, pixel by pixel.
//!
//! u32 height, u32 width; lines from byte 0x1a0 on. A line is the u32 number of its pixels
//! that hold counts, and those pixels. A pixel is a 22-byte header
//!
//! | byte | type | |
//! |---|---|---|
//! | 0 | u32 | column |
//! | 4 | 2 x u16 | detector rates (not used) |
//! | 8 | u32 | 0x000c0000 in all files seen |
//! | 12 | u16 | packing |
//! | 16 | u16 | number of pulses |
//! | 18 | u16 | bytes that follow |
//!
//! and its counts:
//! - packing 0: one u16 channel per pulse,
//! - packing 1: 12-bit channels, most significant bits first in little-endian 16-bit words,
//! - packing 2 and up: runs of neighbouring channels, each u8 width, u8 number. Width 0 is a run
//!   of zeros. Otherwise a base of `width` bytes follows, and per channel half as many bytes
//!   with what is added to it (4 bits for width 1, low half first). Where the pixel has pulses
//!   too, the last u32 of these bytes is the length of a list of u16 channels behind them.

use super::sfs::{Stream, u16_at, u32_at};
use crate::{Input, IoError};
use kalpha_core::{CsrBuilder, CsrCounts};

const LINES: usize = 0x1a0;
const PIXEL: usize = 22;

/// Counts of one detector.
pub(super) struct Spectra {
    pub height: usize,
    pub width: usize,
    pub counts: CsrCounts,
}

/// Decoding ended early: a count lies beyond the channels the header promises.
pub(super) enum Outcome {
    Done(Spectra),
    /// So many channels are needed.
    Wider(usize),
}

/// Counts of one pixel being gathered, emitted in ascending order.
struct Pixel {
    counts: Vec<u32>,
    used: Vec<u64>,
    overflow: bool,
}

impl Pixel {
    fn new() -> Self {
        Self { counts: vec![0; 1 << 16], used: vec![0; 1 << 10], overflow: false }
    }

    #[inline]
    fn add(&mut self, channel: u16, count: u32) {
        let slot = &mut self.counts[usize::from(channel)];
        let (sum, overflow) = slot.overflowing_add(count);
        *slot = sum;
        self.overflow |= overflow;
        self.used[usize::from(channel >> 6)] |= 1 << (channel & 63);
    }

    /// Hands out what was gathered and forgets it.
    fn drain(&mut self, mut emit: impl FnMut(u16, u32)) {
        for (word, bits) in self.used.iter_mut().enumerate() {
            while *bits != 0 {
                let channel = (word << 6) + bits.trailing_zeros() as usize;
                *bits &= *bits - 1;
                emit(channel as u16, std::mem::take(&mut self.counts[channel]));
            }
        }
    }
}

/// Unpacks packing 1: `pulses` channels of 12 bits.
fn packed_12_bit(data: &[u8], pulses: usize, pixel: &mut Pixel) {
    // Four channels fill three words exactly.
    let mut groups = data.chunks_exact(6);
    let mut left = pulses;
    let mut group = |words: [u16; 3], n: usize| {
        let bits = u64::from(words[0]) << 32 | u64::from(words[1]) << 16 | u64::from(words[2]);
        for i in 0..n {
            pixel.add((bits >> (36 - 12 * i) & 0xfff) as u16, 1);
        }
    };
    for six in groups.by_ref() {
        if left == 0 {
            return;
        }
        group([u16_at(six, 0), u16_at(six, 2), u16_at(six, 4)], left.min(4));
        left -= left.min(4);
    }
    let tail = groups.remainder();
    group([u16_at(tail, 0), u16_at(tail, 2), 0], left.min(4));
}

/// Unpacks runs; the error names what is wrong.
fn packed_runs(data: &[u8], pixel: &mut Pixel) -> Result<(), (&'static str, String)> {
    let short = || ("run", "end of the pixel".to_owned());
    let mut rest = data;
    let mut channel = 0usize;
    while let [width, number, tail @ ..] = rest {
        let number = usize::from(*number);
        if *width == 0 {
            rest = tail;
            channel += number;
            continue;
        }
        if ![1, 2, 4, 8].contains(width) {
            return Err(("run width", width.to_string()));
        }
        let base_bytes = usize::from(*width);
        let bytes = (number * base_bytes).div_ceil(2);
        if tail.len() < base_bytes + bytes {
            return Err(short());
        }
        let (base, tail) = tail.split_at(base_bytes);
        let (values, tail) = tail.split_at(bytes);
        rest = tail;
        if channel + number > 1 << 16 {
            return Err(("channel", (channel + number).to_string()));
        }
        let little = |b: &[u8]| b.iter().rev().fold(0u64, |v, &x| v << 8 | u64::from(x));
        let base = little(base);
        for i in 0..number {
            let added = match width {
                1 => u64::from(values[i / 2] >> (4 * (i & 1)) & 15),
                _ => little(&values[i * base_bytes / 2..(i + 1) * base_bytes / 2]),
            };
            match base.checked_add(added).map(u32::try_from) {
                Some(Ok(0)) => {}
                Some(Ok(value)) => pixel.add((channel + i) as u16, value),
                _ => pixel.overflow = true,
            }
        }
        channel += number;
    }
    if rest.is_empty() { Ok(()) } else { Err(short()) }
}

/// Decodes one pixel and returns its column.
fn read_pixel(stream: &mut Stream, width: usize, pixel: &mut Pixel) -> Result<usize, IoError> {
    let head = stream.take(PIXEL)?;
    let column = u32_at(head, 0) as usize;
    let packing = u16_at(head, 12);
    let pulses = usize::from(u16_at(head, 16));
    let bytes = usize::from(u16_at(head, 18));
    if column >= width {
        return Err(stream.corrupt("column", format!("below {width}"), column));
    }
    let needed = match packing {
        0 => 2 * pulses,
        1 => (3 * pulses).div_ceil(2),
        _ if pulses > 0 => 4,
        _ => 0,
    };
    if bytes < needed {
        return Err(stream.corrupt("bytes of a pixel", format!("at least {needed}"), bytes));
    }
    let data = stream.take(bytes)?;
    match packing {
        0 => data.chunks_exact(2).take(pulses).for_each(|b| pixel.add(u16_at(b, 0), 1)),
        1 => packed_12_bit(data, pulses, pixel),
        _ => {
            let (runs, list) = data.split_at(if pulses > 0 { bytes - 4 } else { bytes });
            let list = u32_at(list, 0) as usize;
            if let Err((field, got)) = packed_runs(runs, pixel) {
                return Err(stream.corrupt(field, "runs that fill the pixel's bytes", got));
            }
            if pulses > 0 {
                if list != 2 * pulses {
                    return Err(stream.corrupt("pulse list", (2 * pulses).to_string(), list));
                }
                stream.take(list)?.chunks_exact(2).for_each(|b| pixel.add(u16_at(b, 0), 1));
            }
        }
    }
    if pixel.overflow {
        return Err(stream.corrupt("counts of a pixel", "at most 32 bits", "more"));
    }
    Ok(column)
}

/// Decodes a whole map into rows of `channels` channels.
pub(super) fn read(
    input: &Input,
    stream: &mut Stream,
    channels: usize,
) -> Result<Outcome, IoError> {
    let head = stream.take(LINES)?;
    let (height, width) = (u32_at(head, 0) as usize, u32_at(head, 4) as usize);
    // An empty pixel costs no byte, so the file length bounds the map only loosely.
    let limit = (input.bytes().len() as u64 * 2).max(1 << 22);
    match (height as u64).checked_mul(width as u64) {
        Some(pixels) if pixels > 0 && pixels <= limit => {}
        _ => {
            let claimed = (height as u64).saturating_mul(width as u64);
            return Err(input.too_large(
                format!("map of {height} x {width} pixels"),
                claimed,
                limit,
            ));
        }
    }
    let mut rows = CsrBuilder::new(channels).map_err(|e| input.rows_error(e))?;
    let mut pixel = Pixel::new();
    let mut wider = 0usize;
    // Entries of one line with their column, since nothing promises that columns ascend.
    let mut entries: Vec<(u16, u32)> = Vec::new();
    let mut line: Vec<(usize, usize, usize)> = Vec::new();
    for _ in 0..height {
        let pixels = u32_at(stream.take(4)?, 0) as usize;
        if pixels > width {
            return Err(stream.corrupt("pixels of a line", format!("at most {width}"), pixels));
        }
        entries.clear();
        line.clear();
        for _ in 0..pixels {
            let column = read_pixel(stream, width, &mut pixel)?;
            let start = entries.len();
            pixel.drain(|channel, count| entries.push((channel, count)));
            if let Some(&(last, _)) = entries[start..].last() {
                wider = wider.max(usize::from(last) + 1);
            }
            line.push((column, start, entries.len()));
        }
        line.sort_unstable_by_key(|&(column, ..)| column);
        if let Some(pair) = line.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(stream.corrupt("column", "each column once in a line", pair[0].0));
        }
        if wider > channels {
            continue;
        }
        let mut next = 0;
        for &(column, start, end) in &line {
            (next..column).for_each(|_| rows.end_row());
            entries[start..end].iter().for_each(|&(channel, count)| rows.push(channel, count));
            rows.end_row();
            next = column + 1;
        }
        (next..width).for_each(|_| rows.end_row());
    }
    if wider > channels {
        return Ok(Outcome::Wider(wider));
    }
    Ok(Outcome::Done(Spectra { height, width, counts: rows.finish() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked(f: impl FnOnce(&mut Pixel)) -> Vec<(u16, u32)> {
        let mut pixel = Pixel::new();
        f(&mut pixel);
        let mut out = Vec::new();
        pixel.drain(|channel, count| out.push((channel, count)));
        out
    }

    #[test]
    fn twelve_bit_channels_stand_high_bits_first_in_little_endian_words() {
        // 0x02c, 0x02d, 0x02d, 0x02f, 0xabc, padded to a word.
        let data = [0xc0, 0x02, 0x02, 0x2d, 0x2f, 0xd0, 0xc0, 0xab];
        let got = unpacked(|p| packed_12_bit(&data, 5, p));
        assert_eq!(got, [(0x2c, 1), (0x2d, 2), (0x2f, 1), (0xabc, 1)]);
    }

    #[test]
    fn runs_add_a_base_to_each_value() {
        // 3 zeros; 3 nibbles on 1; 2 bytes on 10; 1 word on 256; 1 double word on 65536.
        let data = [
            0, 3, 1, 3, 1, 0x10, 0x02, 2, 2, 10, 0, 0, 5, 4, 1, 0, 1, 0, 0, 1, 0, 8, 1, 0, 0, 1, 0,
            0, 0, 0, 0, 2, 0, 0, 0,
        ];
        let got = unpacked(|p| packed_runs(&data, p).unwrap());
        assert_eq!(got, [(3, 1), (4, 2), (5, 3), (6, 10), (7, 15), (8, 257), (9, 65538)]);
    }

    #[test]
    fn runs_that_end_early_or_have_a_foreign_width_are_refused() {
        for data in [&[1u8, 9, 0, 1][..], &[3, 1, 0, 0], &[1], &[8, 1, 0]] {
            assert!(packed_runs(data, &mut Pixel::new()).is_err(), "{data:?}");
        }
    }
}
