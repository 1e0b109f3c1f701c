//! Events by pixel, straight to sparse counts.

use crate::{Input, IoError};
use kalpha_core::{CsrBuilder, CsrCounts};
use std::ops::Range;

/// Events put in place at once, 2 bytes each.
const EVENTS_AT_ONCE: u64 = 16 << 20;

/// A list of events that can be gone through again.
pub(crate) trait Events {
    /// Calls `f(pixel, channel)` for each event of these pixels, in the same order every time;
    /// it may call for events of other pixels too.
    ///
    /// # Errors
    /// When the list cannot be read.
    fn for_each(&self, pixels: Range<usize>, f: impl FnMut(usize, u16)) -> Result<(), IoError>;
}

/// The pixels from `first` on whose events fit at once; at least one.
fn band(starts: &[u64], first: usize) -> Range<usize> {
    let most = starts[first] + EVENTS_AT_ONCE;
    let end = starts.partition_point(|&start| start <= most);
    // `end` is one past the last start that fits, and that start closes the band.
    first..(end - 1).clamp(first + 1, starts.len() - 1)
}

/// Counts by pixel, and the channels that are needed to hold them.
///
/// The first pass counts the events of each pixel. Then band by band of pixels: a pass puts
/// their channels in place, which are sorted and counted. So memory holds the counts that come
/// of it and one band, however long the list; a small list takes two passes. A pixel of more
/// events than fit at once is counted channel by channel.
pub(crate) fn count(
    input: &Input,
    pixels: usize,
    events: &impl Events,
) -> Result<(CsrBuilder, usize), IoError> {
    let mut starts = vec![0u64; pixels + 1];
    let mut highest = 0;
    events.for_each(0..pixels, |pixel, channel| {
        starts[pixel + 1] += 1;
        highest = highest.max(channel);
    })?;
    for pixel in 0..pixels {
        starts[pixel + 1] += starts[pixel];
    }
    let mut rows =
        CsrBuilder::new(CsrCounts::MAX_CHANNELS).map_err(|error| input.rows_error(error))?;
    let (mut channels, mut next) = (Vec::new(), Vec::new());
    let mut first = 0;
    while first < pixels {
        let band = band(&starts, first);
        let (base, end) = (starts[band.start], starts[band.end]);
        if end - base > EVENTS_AT_ONCE {
            let mut histogram = vec![0u32; usize::from(highest) + 1];
            events.for_each(band.clone(), |pixel, channel| {
                if pixel == first {
                    let count = &mut histogram[usize::from(channel)];
                    *count = count.saturating_add(1);
                }
            })?;
            rows.push_dense_row(&histogram);
            first = band.end;
            continue;
        }
        channels.clear();
        channels.resize((end - base) as usize, 0u16);
        next.clear();
        next.extend(starts[band.clone()].iter().map(|start| (start - base) as u32));
        events.for_each(band.clone(), |pixel, channel| {
            if band.contains(&pixel) {
                let place = &mut next[pixel - band.start];
                channels[*place as usize] = channel;
                *place += 1;
            }
        })?;
        for pixel in band.clone() {
            let own = (starts[pixel] - base) as usize..(starts[pixel + 1] - base) as usize;
            let own = &mut channels[own];
            own.sort_unstable();
            for same in own.chunk_by(|a, b| a == b) {
                rows.push(same[0], same.len() as u32);
            }
            rows.end_row();
        }
        first = band.end;
    }
    let any = starts.last().is_some_and(|&total| total > 0);
    Ok((rows, usize::from(highest) + usize::from(any)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Pixel `p` has `n(p)` events of channel `p % 7`, told a few pixels too many.
    struct Made(fn(usize) -> u64, usize);

    impl Events for Made {
        fn for_each(
            &self,
            pixels: Range<usize>,
            mut f: impl FnMut(usize, u16),
        ) -> Result<(), IoError> {
            for pixel in pixels.start.saturating_sub(2)..(pixels.end + 2).min(self.1) {
                (0..self.0(pixel)).for_each(|_| f(pixel, (pixel % 7) as u16));
            }
            Ok(())
        }
    }

    #[test]
    fn bands_hold_every_pixel_once() {
        let starts = [0, 1, 1, EVENTS_AT_ONCE + 1, EVENTS_AT_ONCE + 1, 3 * EVENTS_AT_ONCE];
        assert_eq!(band(&starts, 0), 0..2);
        assert_eq!(band(&starts, 2), 2..4);
        assert_eq!(band(&starts, 4), 4..5);
        assert_eq!(band(&[0, 0, 0], 0), 0..2);
    }

    #[test]
    fn more_events_than_fit_at_once_are_counted() {
        let n = |pixel| match pixel {
            1 => EVENTS_AT_ONCE + 5,
            3 => EVENTS_AT_ONCE,
            p => p as u64,
        };
        let input = Input::from_bytes(Path::new("made"), Vec::new());
        let (rows, channels) = count(&input, 9, &Made(n, 9)).unwrap();
        assert_eq!((rows.rows(), channels), (9, 7));
        let counts = rows.finish();
        assert_eq!(counts.indptr(), [0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
        let view = kalpha_core::CsrView::of(&counts, 0..9);
        for (entry, pixel) in (1..9).enumerate() {
            assert_eq!(u64::from(view.values.get(entry)), n(pixel));
            assert_eq!(usize::from(view.indices[entry]), pixel % 7);
        }
    }
}
