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

use super::sfs::{Content, u16_at, u32_at};
use crate::{Input, IoError};
use kalpha_core::{CsrBuilder, CsrCounts};
use rayon::prelude::*;

const LINES: usize = 0x1a0;
const PIXEL: usize = 22;

/// Lines of so many bytes or more are decoded by one core.
const BAND: usize = 64 << 10;

/// Counts of one detector.
pub(super) struct Spectra {
    pub height: usize,
    pub width: usize,
    pub rows: CsrBuilder,
    /// Channels that are needed to hold all counts.
    pub channels: usize,
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
    /// Entries of the pulses; longer than needed.
    single: (Vec<u16>, Vec<u32>),
    /// So many of them are all that the pixel has.
    singles: usize,
}

impl Pixel {
    fn clear(&mut self) {
        self.channels.clear();
        self.counts.clear();
        self.singles = 0;
    }

    /// Channels, ascending, and counts.
    fn entries(&self) -> (&[u16], &[u32]) {
        match self.singles {
            0 => (&self.channels, &self.counts),
            n => (&self.single.0[..n], &self.single.1[..n]),
        }
    }

    /// Adds what is not zero of `counts`, for channels from `first` on, beyond all so far.
    ///
    /// Without branches, since zeros come at random.
    #[inline]
    fn push_run(&mut self, first: usize, counts: impl ExactSizeIterator<Item = u32>) {
        let mut end = self.channels.len();
        let most = end + counts.len();
        self.channels.resize(most, 0);
        self.counts.resize(most, 0);
        for (i, count) in counts.enumerate() {
            if let (Some(place), Some(value)) =
                (self.channels.get_mut(end), self.counts.get_mut(end))
            {
                (*place, *value) = ((first + i) as u16, count);
            }
            end += usize::from(count != 0);
        }
        self.channels.truncate(end);
        self.counts.truncate(end);
    }

    /// Takes `pulses` for u16 channels.
    fn sixteen_bit(&mut self, pulses: &[u8]) {
        self.pulses.clear();
        self.pulses.extend(pulses.as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b)));
    }

    /// Adds one count for each of `pulses`, which ascend more often than not.
    fn count_pulses(&mut self) {
        let sorted =
            self.pulses.iter().zip(self.pulses.iter().skip(1)).fold(true, |s, (a, b)| s & (a <= b));
        if !sorted {
            self.pulses.sort_unstable();
        }
        let n = self.pulses.len();
        let Some(&last) = self.pulses.last() else { return };
        let (channels, ends) = &mut self.single;
        if channels.len() < n {
            channels.resize(n, 0);
            ends.resize(n, 0);
        }
        // Equal neighbours are one entry; without branches, since they come at random.
        let mut entry = 0;
        for (i, pair) in self.pulses.windows(2).enumerate() {
            channels[entry] = pair[0];
            ends[entry] = i as u32 + 1;
            entry += usize::from(pair[0] != pair[1]);
        }
        (channels[entry], ends[entry]) = (last, n as u32);
        let entries = entry + 1;
        for e in (1..entries).rev() {
            ends[e] -= ends[e - 1];
        }
        match self.channels.is_empty() {
            true => self.singles = entries,
            false => self.merge(entries),
        }
    }

    /// Merges the first entries of pulses from behind, where there is room.
    fn merge(&mut self, entries: usize) {
        let (channels, counts) = &self.single;
        let (mut a, mut b) = (self.channels.len(), entries);
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
    let bits = |six: &[u8; 6]| {
        let word = |i: usize| u64::from(u16::from_le_bytes([six[i], six[i + 1]]));
        word(0) << 32 | word(2) << 16 | word(4)
    };
    // Four channels fill three words exactly.
    let four = |six: &[u8; 6]| {
        let bits = bits(six);
        [36, 24, 12, 0].map(|shift| (bits >> shift & 0xfff) as u16)
    };
    let (groups, tail) = data.as_chunks::<6>();
    pulses.resize(n.next_multiple_of(4), 0);
    let (fours, _) = pulses.as_chunks_mut::<4>();
    fours.iter_mut().zip(groups).for_each(|(out, six)| *out = four(six));
    if let Some(out) = fours.get_mut(groups.len()) {
        let mut six = [0; 6];
        six[..tail.len()].copy_from_slice(tail);
        *out = four(&six);
    }
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
            let base = u32::from(*base);
            let nibble = |i: usize| values.get(i / 2).map_or(0, |b| b >> (4 * (i & 1)) & 15);
            pixel.push_run(channel, (0..number).map(|i| base + u32::from(nibble(i))));
            channel += number;
            continue;
        }
        let little = |b: &[u8]| b.iter().rev().fold(0u64, |v, &x| v << 8 | u64::from(x));
        let (base, half) = (little(base), base_bytes / 2);
        let mut overflow = false;
        let counts = values.chunks_exact(half).map(|value| {
            let count = base.checked_add(little(value)).and_then(|n| u32::try_from(n).ok());
            overflow |= count.is_none();
            count.unwrap_or(0)
        });
        pixel.push_run(channel, counts);
        pixel.overflow |= overflow;
        channel += number;
    }
    if rest.is_empty() { Ok(()) } else { Err(short()) }
}

/// What is wrong with a pixel: field, what was expected, what is there.
type Wrong = (&'static str, String, String);

/// Length of the pixel that starts here, its header included; `None` where it is not all there.
fn pixel_length(bytes: &[u8]) -> Option<usize> {
    let head = bytes.get(..PIXEL)?;
    // Packings 0 and 1 have no list behind their bytes.
    let list = if u16_at(head, 12) > 1 { 2 * usize::from(u16_at(head, 16)) } else { 0 };
    let length = PIXEL + usize::from(u16_at(head, 18)) + list;
    (length <= bytes.len()).then_some(length)
}

/// Length of the line that starts here; `None` where it is not all there.
fn line_length(bytes: &[u8], pixels: usize) -> Option<usize> {
    let mut length = 4;
    for _ in 0..pixels {
        length += pixel_length(bytes.get(length..)?)?;
    }
    Some(length)
}

/// Decodes one pixel, header included.
fn read_pixel(bytes: &[u8], pixel: &mut Pixel) -> Result<(), Wrong> {
    pixel.clear();
    let (head, data) = bytes.split_at(PIXEL);
    let packing = u16_at(head, 12);
    let pulses = usize::from(u16_at(head, 16));
    let length = usize::from(u16_at(head, 18));
    let needed = match packing {
        0 => 2 * pulses,
        1 => (3 * pulses).div_ceil(2),
        _ if pulses > 0 => 4,
        _ => 0,
    };
    if length < needed {
        return Err(("bytes of a pixel", format!("at least {needed}"), length.to_string()));
    }
    let (data, behind) = data.split_at(length);
    match packing {
        0 => pixel.sixteen_bit(&data[..2 * pulses]),
        1 => packed_12_bit(data, pulses, &mut pixel.pulses),
        _ => {
            let (runs, list) = data.split_at(if pulses > 0 { length - 4 } else { length });
            let list = u32_at(list, 0) as usize;
            packed_runs(runs, pixel).map_err(|(field, got)| {
                (field, "runs that fill the pixel's bytes".to_owned(), got)
            })?;
            if pulses > 0 && list != 2 * pulses {
                return Err(("pulse list", (2 * pulses).to_string(), list.to_string()));
            }
            pixel.sixteen_bit(behind);
        }
    }
    pixel.count_pulses();
    if pixel.overflow {
        return Err(("counts of a pixel", "at most 32 bits".to_owned(), "more".to_owned()));
    }
    Ok(())
}

/// Rows of neighbouring lines.
struct Band {
    rows: CsrBuilder,
    channels: usize,
}

/// Decodes whole lines. `bytes` starts with the first of them, at byte `at` of the file.
fn read_lines(
    input: &Input,
    content: &Content,
    bytes: &[u8],
    at: u64,
    lines: usize,
    width: usize,
) -> Result<Band, IoError> {
    let rows = CsrBuilder::new(CsrCounts::MAX_CHANNELS).map_err(|e| input.rows_error(e))?;
    let mut band = Band { rows, channels: 0 };
    let mut pixel = Pixel::default();
    let mut from = 0;
    // Column, and where the pixel lies.
    let mut starts: Vec<(usize, usize, usize)> = Vec::new();
    for _ in 0..lines {
        let pixels = u32_at(bytes, from);
        from += 4;
        starts.clear();
        for _ in 0..pixels {
            let column = u32_at(bytes, from) as usize;
            if column >= width {
                return Err(content.corrupt(
                    at + from as u64,
                    "column",
                    format!("below {width}"),
                    column,
                ));
            }
            let length = pixel_length(&bytes[from..]).unwrap_or(bytes.len() - from);
            starts.push((column, from, from + length));
            from += length;
        }
        // They ascend in all files seen.
        if !starts.is_sorted() {
            starts.sort_unstable();
        }
        let mut next = 0;
        for &(column, start, end) in &starts {
            let wrong = |(field, expected, got): Wrong| {
                content.corrupt(at + start as u64, field, expected, got)
            };
            if column < next {
                let expected = "each column once in a line".to_owned();
                return Err(wrong(("column", expected, column.to_string())));
            }
            read_pixel(&bytes[start..end], &mut pixel).map_err(wrong)?;
            (next..column).for_each(|_| band.rows.end_row());
            let (channels, counts) = pixel.entries();
            band.rows.extend(channels, counts);
            band.rows.end_row();
            band.channels = band.channels.max(channels.last().map_or(0, |&c| usize::from(c) + 1));
            next = column + 1;
        }
        (next..width).for_each(|_| band.rows.end_row());
    }
    Ok(band)
}

/// Decodes a whole map into rows as wide as sparse counts can be.
///
/// The bytes come in parts of some megabytes. The pixel headers tell where each line ends, so
/// that bands of lines are decoded by all cores.
pub(super) fn read(input: &Input, mut content: Content) -> Result<Spectra, IoError> {
    let mut bytes = content.part()?.unwrap_or_default();
    if bytes.len() < LINES {
        let got = format!("{} before it ends", bytes.len());
        return Err(content.corrupt(0, "content", format!("{LINES} bytes"), got));
    }
    let (height, width) = (u32_at(&bytes, 0) as usize, u32_at(&bytes, 4) as usize);
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
    let mut channels = 0usize;
    // First byte that is not decoded, and where `bytes` starts in the file.
    let (mut from, mut before) = (LINES, 0u64);
    let mut line = 0;
    loop {
        // First byte and number of lines of each band.
        let mut bands: Vec<(usize, usize)> = Vec::new();
        while line < height && bytes.len() - from >= 4 {
            let pixels = u32_at(&bytes, from) as usize;
            if pixels > width {
                let expected = format!("at most {width}");
                return Err(content.corrupt(
                    before + from as u64,
                    "pixels of a line",
                    expected,
                    pixels,
                ));
            }
            let Some(length) = line_length(&bytes[from..], pixels) else { break };
            match bands.last_mut() {
                Some((start, lines)) if from - *start < BAND => *lines += 1,
                _ => bands.push((from, 1)),
            }
            from += length;
            line += 1;
        }
        let decode = |&(start, lines): &(usize, usize)| {
            read_lines(input, &content, &bytes[start..from], before + start as u64, lines, width)
        };
        let made: Vec<Result<Band, IoError>> = bands.par_iter().map(decode).collect();
        for band in made {
            let band = band?;
            channels = channels.max(band.channels);
            rows.append(band.rows);
        }
        if line == height {
            return Ok(Spectra { height, width, rows, channels });
        }
        bytes.drain(..from);
        before += from as u64;
        from = 0;
        match content.part()? {
            Some(part) if bytes.is_empty() => bytes = part,
            Some(part) => bytes.extend_from_slice(&part),
            None => {
                let got = format!("{} bytes of line {line} before it ends", bytes.len());
                return Err(content.corrupt(before, "content", format!("{height} lines"), got));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(pixel: &Pixel) -> Vec<(u16, u32)> {
        let (channels, counts) = pixel.entries();
        channels.iter().copied().zip(counts.iter().copied()).collect()
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
        let mut add = |runs: &[(u16, u32)], pulses: &[u16]| {
            pixel.clear();
            runs.iter().for_each(|&(c, n)| pixel.push_run(usize::from(c), [n].into_iter()));
            pixel.pulses = pulses.to_vec();
            pixel.count_pulses();
            entries(&pixel)
        };
        for _ in 0..2 {
            let first = [(3, 2), (9, 1), (65535, 1)];
            assert_eq!(add(&[], &[3, 3, 9, 65535]), first);
            assert_eq!(add(&first, &[]), first);
            let second = [(0, 1), (3, 2), (9, 3), (65535, 1)];
            assert_eq!(add(&first, &[9, 0, 9]), second);
            let third = [(0, 1), (3, 3), (4, 1), (9, 3), (65534, 1), (65535, 2)];
            assert_eq!(add(&second, &[65534, 65535, 4, 3]), third);
            assert_eq!(add(&third, &[65535])[5], (65535, 3));
            assert_eq!(add(&[], &[9, 0, 9]), [(0, 1), (9, 2)]);
            assert_eq!(add(&[(7, 0)], &[]), []);
        }
        assert!(!pixel.overflow);
        pixel.clear();
        pixel.push_run(7, [u32::MAX].into_iter());
        pixel.pulses = vec![7];
        pixel.count_pulses();
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
