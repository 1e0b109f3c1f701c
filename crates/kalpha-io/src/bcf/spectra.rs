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
    pub rows: CsrBuilder,
    /// Channels that are needed to hold all counts.
    pub channels: usize,
}

/// How decoding ended.
pub(super) enum Outcome {
    Done(Spectra),
    /// Columns do not ascend in a line, though they were said to.
    Unordered,
}

/// Counts of one pixel, channels ascending.
#[derive(Default)]
struct Pixel {
    channels: Vec<u16>,
    counts: Vec<u32>,
    /// A count did not fit.
    overflow: bool,
    /// Channels of single pulses.
    pulses: Vec<u16>,
    /// The entries of `pulses`, while they are merged with others.
    merged: (Vec<u16>, Vec<u32>),
}

impl Pixel {
    fn clear(&mut self) {
        self.channels.clear();
        self.counts.clear();
    }

    /// A count beyond all that were pushed so far.
    #[inline]
    fn push(&mut self, channel: u16, count: u32) {
        self.channels.push(channel);
        self.counts.push(count);
    }

    /// Takes `pulses` for u16 channels.
    fn sixteen_bit(&mut self, pulses: &[u8]) {
        self.pulses.clear();
        self.pulses.extend(pulses.chunks_exact(2).map(|b| u16_at(b, 0)));
    }

    /// Adds one count for each of `pulses`, which ascend more often than not.
    fn count_pulses(&mut self) {
        if !self.pulses.is_sorted() {
            self.pulses.sort_unstable();
        }
        let Some(&first) = self.pulses.first() else { return };
        let (channels, counts) = &mut self.merged;
        // Equal neighbours are one entry; without branches, since they come at random.
        channels.resize(self.pulses.len(), 0);
        counts.clear();
        counts.resize(self.pulses.len(), 0);
        let (mut entry, mut last) = (0, first);
        for &pulse in &self.pulses {
            entry += usize::from(pulse != last);
            channels[entry] = pulse;
            counts[entry] += 1;
            last = pulse;
        }
        channels.truncate(entry + 1);
        counts.truncate(entry + 1);
        if self.channels.is_empty() {
            std::mem::swap(&mut self.channels, channels);
            std::mem::swap(&mut self.counts, counts);
        } else {
            self.merge();
        }
    }

    /// Merges the entries of pulses from behind, where there is room.
    fn merge(&mut self) {
        let (channels, counts) = &self.merged;
        let (mut a, mut b) = (self.channels.len(), channels.len());
        let mut end = a + b;
        self.channels.resize(end, 0);
        self.counts.resize(end, 0);
        while b > 0 {
            end -= 1;
            let (channel, count) = (channels[b - 1], counts[b - 1]);
            if a > 0 && self.channels[a - 1] >= channel {
                a -= 1;
                let mut sum = self.counts[a];
                if self.channels[a] == channel {
                    b -= 1;
                    sum = sum.saturating_add(count);
                    self.overflow |= sum == u32::MAX;
                }
                (self.channels[end], self.counts[end]) = (self.channels[a], sum);
            } else {
                b -= 1;
                (self.channels[end], self.counts[end]) = (channel, count);
            }
        }
        // Entries `..a` stand where they were; shared channels left a gap behind them.
        self.channels.drain(a..end);
        self.counts.drain(a..end);
    }
}

/// Unpacks packing 1: `n` channels of 12 bits.
fn packed_12_bit(data: &[u8], n: usize, pulses: &mut Vec<u16>) {
    pulses.clear();
    let bits = |six: &[u8; 6]| {
        let word = |i: usize| u64::from(u16::from_le_bytes([six[i], six[i + 1]]));
        word(0) << 32 | word(2) << 16 | word(4)
    };
    // Four channels fill three words exactly.
    let (groups, tail) = data.as_chunks::<6>();
    for six in &groups[..groups.len().min(n.div_ceil(4))] {
        let bits = bits(six);
        pulses.extend([36, 24, 12, 0].map(|shift| (bits >> shift & 0xfff) as u16));
    }
    let mut six = [0; 6];
    six[..tail.len()].copy_from_slice(tail);
    let bits = bits(&six);
    pulses.extend([36, 24, 12, 0].map(|shift| (bits >> shift & 0xfff) as u16));
    pulses.truncate(n);
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
        if let [base] = base {
            // By far the most frequent: short runs of small counts.
            for i in 0..number {
                let value = u32::from(*base) + u32::from(values[i / 2] >> (4 * (i & 1)) & 15);
                if value != 0 {
                    pixel.push((channel + i) as u16, value);
                }
            }
            channel += number;
            continue;
        }
        let little = |b: &[u8]| b.iter().rev().fold(0u64, |v, &x| v << 8 | u64::from(x));
        let (base, half) = (little(base), base_bytes / 2);
        for i in 0..number {
            match base.checked_add(little(&values[i * half..(i + 1) * half])).map(u32::try_from) {
                Some(Ok(0)) => {}
                Some(Ok(value)) => pixel.push((channel + i) as u16, value),
                _ => pixel.overflow = true,
            }
        }
        channel += number;
    }
    if rest.is_empty() { Ok(()) } else { Err(short()) }
}

/// Decodes one pixel and returns its column.
fn read_pixel(stream: &mut Stream, width: usize, pixel: &mut Pixel) -> Result<usize, IoError> {
    pixel.clear();
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
        0 => pixel.sixteen_bit(&data[..2 * pulses]),
        1 => packed_12_bit(data, pulses, &mut pixel.pulses),
        _ => {
            let (runs, list) = data.split_at(if pulses > 0 { bytes - 4 } else { bytes });
            let list = u32_at(list, 0) as usize;
            if let Err((field, got)) = packed_runs(runs, pixel) {
                return Err(stream.corrupt(field, "runs that fill the pixel's bytes", got));
            }
            if pulses > 0 && list != 2 * pulses {
                return Err(stream.corrupt("pulse list", (2 * pulses).to_string(), list));
            }
            pixel.sixteen_bit(if pulses > 0 { stream.take(list)? } else { &[] });
        }
    }
    pixel.count_pulses();
    if pixel.overflow {
        return Err(stream.corrupt("counts of a pixel", "at most 32 bits", "more"));
    }
    Ok(column)
}

/// Decodes a whole map into rows as wide as sparse counts can be.
///
/// Where columns ascend, as in all files seen, counts go straight into the rows.
pub(super) fn read(
    input: &Input,
    stream: &mut Stream,
    ascending: bool,
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
    let mut rows = CsrBuilder::new(CsrCounts::MAX_CHANNELS).map_err(|e| input.rows_error(e))?;
    let mut pixel = Pixel::default();
    let mut channels = 0usize;
    // Pixels of one line, where their columns do not ascend.
    let mut line: Vec<(usize, Vec<u16>, Vec<u32>)> = Vec::new();
    for _ in 0..height {
        let pixels = u32_at(stream.take(4)?, 0) as usize;
        if pixels > width {
            return Err(stream.corrupt("pixels of a line", format!("at most {width}"), pixels));
        }
        let mut next = 0;
        for _ in 0..pixels {
            let column = read_pixel(stream, width, &mut pixel)?;
            let last = pixel.channels.last();
            channels = channels.max(last.map_or(0, |&c| usize::from(c) + 1));
            if !ascending {
                line.push((column, pixel.channels.clone(), pixel.counts.clone()));
                continue;
            }
            if column < next {
                return Ok(Outcome::Unordered);
            }
            (next..column).for_each(|_| rows.end_row());
            rows.extend(&pixel.channels, &pixel.counts);
            rows.end_row();
            next = column + 1;
        }
        line.sort_unstable_by_key(|&(column, ..)| column);
        for (column, channels, counts) in line.drain(..) {
            if column < next {
                return Err(stream.corrupt("column", "each column once in a line", column));
            }
            (next..column).for_each(|_| rows.end_row());
            rows.extend(&channels, &counts);
            rows.end_row();
            next = column + 1;
        }
        (next..width).for_each(|_| rows.end_row());
    }
    Ok(Outcome::Done(Spectra { height, width, rows, channels }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(pixel: &Pixel) -> Vec<(u16, u32)> {
        pixel.channels.iter().copied().zip(pixel.counts.iter().copied()).collect()
    }

    #[test]
    fn twelve_bit_channels_stand_high_bits_first_in_little_endian_words() {
        // 0x02c, 0x02d, 0x02d, 0x02f, 0xabc, padded to a word.
        let data = [0xc0, 0x02, 0x02, 0x2d, 0x2f, 0xd0, 0xc0, 0xab];
        let mut pulses = Vec::new();
        for (n, expected) in [
            (5, &[0x2c, 0x2d, 0x2d, 0x2f, 0xabc][..]),
            (4, &[0x2c, 0x2d, 0x2d, 0x2f]),
            (1, &[0x2c]),
            (0, &[]),
        ] {
            packed_12_bit(&data, n, &mut pulses);
            assert_eq!(pulses, expected);
        }
    }

    #[test]
    fn pulses_are_counted_in_any_order_and_on_top_of_runs() {
        let mut pixel = Pixel::default();
        let add = |pixel: &mut Pixel, pulses: &[u16]| {
            pixel.pulses = pulses.to_vec();
            pixel.count_pulses();
            entries(pixel)
        };
        for _ in 0..2 {
            pixel.clear();
            let first = [(3, 2), (9, 1), (65535, 1)];
            assert_eq!(add(&mut pixel, &[3, 3, 9, 65535]), first);
            assert_eq!(add(&mut pixel, &[]), first);
            let second = [(0, 1), (3, 2), (9, 3), (65535, 1)];
            assert_eq!(add(&mut pixel, &[9, 0, 9]), second);
            let third = [(0, 1), (3, 3), (4, 1), (9, 3), (65534, 1), (65535, 2)];
            assert_eq!(add(&mut pixel, &[65534, 65535, 4, 3]), third);
            assert_eq!(add(&mut pixel, &[65535])[5], (65535, 3));
            pixel.clear();
            assert_eq!(add(&mut pixel, &[9, 0, 9]), [(0, 1), (9, 2)]);
        }
        assert!(!pixel.overflow);
        pixel.clear();
        pixel.push(7, u32::MAX);
        add(&mut pixel, &[7]);
        assert!(pixel.overflow);
    }

    #[test]
    fn runs_add_a_base_to_each_value() {
        // 3 zeros; 3 nibbles on 1; 2 bytes on 10; 1 word on 256; 1 double word on 65536.
        let data = [
            0, 3, 1, 3, 1, 0x10, 0x02, 2, 2, 10, 0, 0, 5, 4, 1, 0, 1, 0, 0, 1, 0, 8, 1, 0, 0, 1, 0,
            0, 0, 0, 0, 2, 0, 0, 0,
        ];
        let mut pixel = Pixel::default();
        packed_runs(&data, &mut pixel).unwrap();
        let expected = [(3, 1), (4, 2), (5, 3), (6, 10), (7, 15), (8, 257), (9, 65538)];
        assert_eq!(entries(&pixel), expected);
    }

    #[test]
    fn runs_that_end_early_or_have_a_foreign_width_are_refused() {
        for data in [&[1u8, 9, 0, 1][..], &[3, 1, 0, 0], &[1], &[8, 1, 0]] {
            assert!(packed_runs(data, &mut Pixel::default()).is_err(), "{data:?}");
        }
    }
}
