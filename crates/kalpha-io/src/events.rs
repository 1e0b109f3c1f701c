//! Events by pixel, straight to sparse counts.

use kalpha_core::{CsrBuilder, CsrCounts, RowsError};

/// A list of events that can be gone through again.
pub(crate) trait Events {
    /// Calls `f(pixel, channel)` for each event, in the same order every time.
    fn for_each(&self, f: impl FnMut(usize, u16));
}

/// Counts by pixel, and the channels that are needed to hold them.
///
/// Two passes over the events: the first counts those of each pixel, the second puts their
/// channels in place, 2 bytes each. A pixel's channels are then sorted and counted. Pixels
/// beyond `pixels` are left out by the caller.
pub(crate) fn count(pixels: usize, events: &impl Events) -> Result<(CsrBuilder, usize), RowsError> {
    let mut starts = vec![0u64; pixels + 1];
    let mut highest = 0;
    events.for_each(|pixel, channel| {
        starts[pixel + 1] += 1;
        highest = highest.max(channel);
    });
    for pixel in 0..pixels {
        starts[pixel + 1] += starts[pixel];
    }
    let total = starts.last().copied().unwrap_or(0) as usize;
    let mut channels = vec![0u16; total];
    let mut next: Vec<u64> = starts.clone();
    events.for_each(|pixel, channel| {
        channels[next[pixel] as usize] = channel;
        next[pixel] += 1;
    });
    let mut rows = CsrBuilder::new(CsrCounts::MAX_CHANNELS)?;
    for pixel in 0..pixels {
        let own = &mut channels[starts[pixel] as usize..starts[pixel + 1] as usize];
        own.sort_unstable();
        for same in own.chunk_by(|a, b| a == b) {
            rows.push(same[0], same.len() as u32);
        }
        rows.end_row();
    }
    Ok((rows, usize::from(highest) + usize::from(total > 0)))
}
