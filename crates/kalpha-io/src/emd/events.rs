//! Events of EDS detectors, pixel by pixel, straight to sparse counts.
//!
//! A stream is a list of u16: the channel of each event, and 65535 where the beam moves on to
//! the next pixel. Frames follow each other without a mark of their own. All streams of a
//! measurement were recorded by the same scan, so their counts add pixel by pixel.

use crate::events::{Events, count};
use kalpha_core::{CsrBuilder, RowsError};

/// The beam moves on.
const NEXT_PIXEL: u16 = u16::MAX;

/// Sums of all frames of all streams.
pub(super) struct Summed {
    pub rows: CsrBuilder,
    /// Channels that are needed to hold all counts.
    pub channels: usize,
    /// Pixels visited by the longest stream, over all frames.
    pub visited: usize,
}

/// The streams of all detectors over one grid.
struct Streams<'a> {
    streams: &'a [Vec<u16>],
    pixels: usize,
}

impl Events for Streams<'_> {
    fn for_each(&self, mut f: impl FnMut(usize, u16)) {
        for stream in self.streams {
            let mut pixel = 0;
            for &value in stream {
                if value == NEXT_PIXEL {
                    pixel += 1;
                    if pixel == self.pixels {
                        pixel = 0;
                    }
                } else {
                    f(pixel, value);
                }
            }
        }
    }
}

/// Adds the events of all streams by pixel.
pub(super) fn sum(streams: &[Vec<u16>], pixels: usize) -> Result<Summed, RowsError> {
    let marks = |stream: &Vec<u16>| stream.iter().filter(|&&value| value == NEXT_PIXEL).count();
    let visited = streams.iter().map(marks).max().unwrap_or(0) + 1;
    let (rows, channels) = count(pixels, &Streams { streams, pixels })?;
    Ok(Summed { rows, channels, visited })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_detectors_add_pixel_by_pixel() {
        const N: u16 = NEXT_PIXEL;
        // Two frames of three pixels; the second stream ends early.
        let streams = [vec![5, 5, N, N, 9, N, 5, N, 1, N], vec![N, 1, N, N, N, 1]];
        let summed = sum(&streams, 3).unwrap();
        assert_eq!((summed.visited, summed.channels), (6, 10));
        let rows = summed.rows.with_channels(10).unwrap().finish();
        assert_eq!(rows.indptr(), [0, 1, 2, 3]);
        assert_eq!(rows.indices(), [5, 1, 9]);
        let counts: Vec<u32> = match rows.values() {
            kalpha_core::CountValues::U8(v) => v.iter().map(|&x| x.into()).collect(),
            other => panic!("{other:?}"),
        };
        assert_eq!(counts, [3, 3, 1]);
        let nothing = sum(&[Vec::new()], 4).unwrap();
        assert_eq!((nothing.rows.rows(), nothing.channels, nothing.visited), (4, 0, 1));
    }
}
