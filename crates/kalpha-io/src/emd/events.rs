//! Events of EDS detectors, pixel by pixel, straight to sparse counts.
//!
//! A stream is a list of u16: the channel of each event, and 65535 where the beam moves on to
//! the next pixel. Frames follow each other without a mark of their own. All streams of a
//! measurement were recorded by the same scan, so their counts add pixel by pixel.
//!
//! Long streams stay in their file and are read part by part, as often as bands of pixels are
//! needed (`events.rs`); parts that hold none of the pixels asked for are passed over.

use crate::{
    Input, IoError,
    blocks::{Blocks, Stored},
    events::{Events, count},
    gather::Block,
};
use kalpha_core::CsrBuilder;
use std::{
    cell::{Cell, RefCell},
    ops::Range,
};

/// The beam moves on.
const NEXT_PIXEL: u16 = u16::MAX;

/// Values of one part.
const PART: usize = 1 << 18;

/// Longer streams stay in their file.
const HELD: usize = 16 << 20;

/// Sums of all frames of all streams.
pub(super) struct Summed {
    pub rows: CsrBuilder,
    /// Channels that are needed to hold all counts.
    pub channels: usize,
    /// Pixels visited by the longest stream, over all frames.
    pub visited: usize,
}

/// The events of one detector.
pub(super) struct Stream {
    values: Values,
    len: usize,
    /// Pixels visited before each part, and in all; filled by the first pass.
    visited: RefCell<Vec<usize>>,
    /// Events follow the last mark.
    open: Cell<bool>,
}

enum Values {
    Held(Vec<u16>),
    InFile(Box<dyn Blocks>),
}

impl Stream {
    /// A list of events of `len` values; a short one is read at once.
    pub fn new(input: &Input, events: impl Blocks + 'static, len: usize) -> Result<Self, IoError> {
        if events.dtype() != Stored::U16 {
            let got = events.dtype().name();
            return Err(input.corrupt(0, "type of the event stream", "uint16", got));
        }
        let mut held = Vec::new();
        if len <= HELD {
            let mut take = |block: Block<'_>| {
                if let Block::U16(values) = block {
                    held.extend_from_slice(values);
                }
            };
            if !events.read_whole(&mut take)? {
                for start in (0..len).step_by(PART) {
                    events.read(start..(start + PART).min(len), &mut take)?;
                }
            }
            return Ok(Self::held(held));
        }
        let values = Values::InFile(Box::new(events));
        Ok(Self { values, len, visited: RefCell::default(), open: Cell::default() })
    }

    fn held(values: Vec<u16>) -> Self {
        let (len, values) = (values.len(), Values::Held(values));
        Self { values, len, visited: RefCell::default(), open: Cell::default() }
    }

    /// Pixels on which the beam stood: a mark at the end closes the last one.
    fn visited(&self) -> usize {
        let marks = self.visited.borrow().last().copied().unwrap_or(0);
        marks + usize::from(self.open.get())
    }

    /// Calls `f` with the values of a part.
    fn part(&self, part: usize, f: &mut dyn FnMut(&[u16])) -> Result<(), IoError> {
        let range = part * PART..((part + 1) * PART).min(self.len);
        match &self.values {
            Values::Held(values) => f(values.get(range).unwrap_or_default()),
            Values::InFile(events) => events.read(range, &mut |block| {
                if let Block::U16(values) = block {
                    f(values);
                }
            })?,
        }
        Ok(())
    }

    /// Calls `f` with each event of a scan of `pixels` pixels; parts without any of `wanted` may
    /// be left out.
    fn for_each(
        &self,
        pixels: usize,
        wanted: Range<usize>,
        f: &mut impl FnMut(usize, u16),
    ) -> Result<(), IoError> {
        let known = self.visited.borrow().clone();
        let (mut pixel, mut visited, mut all) = (0, 0, Vec::new());
        let mut last = NEXT_PIXEL;
        for part in 0..self.len.div_ceil(PART) {
            if let (Some(&before), Some(&after)) = (known.get(part), known.get(part + 1)) {
                let first = before % pixels;
                let last = first + (after - before);
                // The part may reach into the next frame.
                let meets = |from: usize| wanted.start + from <= last && first < wanted.end + from;
                if last - first < pixels && !meets(0) && !meets(pixels) {
                    continue;
                }
                pixel = first;
            }
            all.push(visited);
            self.part(part, &mut |values| {
                for &value in values {
                    if value == NEXT_PIXEL {
                        pixel += 1;
                        visited += 1;
                        if pixel == pixels {
                            pixel = 0;
                        }
                    } else {
                        f(pixel, value);
                    }
                    last = value;
                }
            })?;
        }
        if known.is_empty() {
            all.push(visited);
            *self.visited.borrow_mut() = all;
            self.open.set(last != NEXT_PIXEL);
        }
        Ok(())
    }
}

/// The streams of all detectors over one grid.
struct Streams<'a> {
    streams: &'a [Stream],
    pixels: usize,
}

impl Events for Streams<'_> {
    fn for_each(&self, pixels: Range<usize>, mut f: impl FnMut(usize, u16)) -> Result<(), IoError> {
        for stream in self.streams {
            stream.for_each(self.pixels, pixels.clone(), &mut f)?;
        }
        Ok(())
    }
}

/// Adds the events of all streams by pixel.
pub(super) fn sum(input: &Input, streams: &[Stream], pixels: usize) -> Result<Summed, IoError> {
    let (rows, channels) = count(input, pixels, &Streams { streams, pixels })?;
    let visited = streams.iter().map(Stream::visited).max().unwrap_or(0).max(1);
    Ok(Summed { rows, channels, visited })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn input() -> Input {
        Input::from_bytes(Path::new("made"), Vec::new())
    }

    #[test]
    fn frames_and_detectors_add_pixel_by_pixel() {
        const N: u16 = NEXT_PIXEL;
        // Two frames of three pixels; the second stream ends early.
        let streams = [vec![5, 5, N, N, 9, N, 5, N, 1, N], vec![N, 1, N, N, N, 1]];
        let summed = sum(&input(), &streams.map(Stream::held), 3).unwrap();
        assert_eq!((summed.visited, summed.channels), (5, 10));
        let rows = summed.rows.with_channels(10).unwrap().finish();
        assert_eq!(rows.indptr(), [0, 1, 2, 3]);
        assert_eq!(rows.indices(), [5, 1, 9]);
        let counts: Vec<u32> = match rows.values() {
            kalpha_core::CountValues::U8(v) => v.iter().map(|&x| x.into()).collect(),
            other => panic!("{other:?}"),
        };
        assert_eq!(counts, [3, 3, 1]);
        let nothing = sum(&input(), &[Stream::held(Vec::new())], 4).unwrap();
        assert_eq!((nothing.rows.rows(), nothing.channels, nothing.visited), (4, 0, 1));
    }

    #[test]
    fn parts_without_a_wanted_pixel_are_passed_over_and_no_event_is_lost() {
        // Frames that are no multiple of a part, with events between all pixels.
        for pixels in [7, 1000, PART / 3 + 1, 2 * PART + 11] {
            let values = (0..5 * PART).map(|i| if i % 3 == 2 { NEXT_PIXEL } else { i as u16 % 50 });
            let stream = Stream::held(values.collect());
            let mut all = Vec::new();
            stream
                .for_each(pixels, 0..pixels, &mut |pixel, channel| all.push((pixel, channel)))
                .unwrap();
            for wanted in [0..1, pixels / 2..pixels / 2 + 3, pixels - 1..pixels, 0..pixels] {
                let mut told = Vec::new();
                stream
                    .for_each(pixels, wanted.clone(), &mut |pixel, channel| {
                        told.push((pixel, channel))
                    })
                    .unwrap();
                let some = |events: &[(usize, u16)]| -> Vec<(usize, u16)> {
                    events.iter().copied().filter(|(pixel, _)| wanted.contains(pixel)).collect()
                };
                assert_eq!(some(&told), some(&all), "{wanted:?} of {pixels}");
                assert!(wanted.len() == pixels || pixels < PART || told.len() < all.len());
            }
        }
    }
}
