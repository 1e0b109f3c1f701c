//! Channel windows of line families and the counts in them.

use crate::nmf_kl::kernel::csr_of;
use kalpha_core::{CellBuffer, Passes, Rows, StepError};
use serde::{Deserialize, Serialize};

/// A line family to look for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScanFamily {
    /// Element symbol.
    pub symbol: String,
    /// Name of the family: `P_K`.
    pub family: String,
    /// Counts per channel for one count of the family, as the detector shows it.
    pub profile: Vec<f64>,
    /// The element is identified in the map already: it names an excess before a stranger does.
    pub known: bool,
}

/// Share of the profile's maximum above which a channel belongs to the window. For one line
/// this is +-1.55 sigma, where the significance over a flat background peaks.
const WINDOW_LEVEL: f64 = 0.3;

/// Windows of all families: channels where the profile is high.
#[derive(Clone, Debug)]
pub(crate) struct Windows {
    /// Channels of each family, ascending.
    pub channels: Vec<Vec<u16>>,
    /// Share of the family's counts in its window.
    pub share: Vec<f64>,
    /// Families of each channel: `first[c]..first[c + 1]` in `members`.
    first: Vec<u32>,
    members: Vec<u16>,
    /// Families, padded to a multiple of 8.
    pub lanes: usize,
    /// Families x families: their windows share a channel.
    overlaps: Vec<bool>,
}

impl Windows {
    pub fn new(families: &[ScanFamily], channels: usize) -> Self {
        let mut windows = Vec::with_capacity(families.len());
        let mut share = Vec::with_capacity(families.len());
        for family in families {
            let top = family.profile.iter().copied().fold(0.0, f64::max);
            let window: Vec<u16> = (0..channels.min(family.profile.len()))
                .filter(|&c| top > 0.0 && family.profile[c] >= WINDOW_LEVEL * top)
                .map(|c| c as u16)
                .collect();
            share.push(window.iter().map(|&c| family.profile[usize::from(c)]).sum());
            windows.push(window);
        }
        let mut by_channel = vec![Vec::new(); channels];
        for (f, window) in windows.iter().enumerate() {
            for &c in window {
                by_channel[usize::from(c)].push(f as u16);
            }
        }
        let mut first = vec![0];
        let mut members = Vec::new();
        for list in by_channel {
            members.extend(list);
            first.push(members.len() as u32);
        }
        let lanes = families.len().div_ceil(8) * 8;
        let n = families.len();
        let mut overlaps = vec![false; n * n];
        for a in 0..n {
            for b in 0..n {
                let shared = |c: &u16| windows[b].binary_search(c).is_ok();
                overlaps[a * n + b] = a == b || windows[a].iter().any(shared);
            }
        }
        Self { channels: windows, share, first, members, lanes, overlaps }
    }

    #[inline]
    fn of(&self, channel: usize) -> &[u16] {
        &self.members[self.first[channel] as usize..self.first[channel + 1] as usize]
    }

    /// Counts in every window of every row: rows x lanes.
    pub fn counts(&self, passes: &dyn Passes, rows: &Rows) -> Result<Vec<u16>, StepError> {
        let mut out = vec![0u16; rows.meta().rows * self.lanes];
        passes.map_rows(rows, self.lanes, &mut out, |buffer: &mut CellBuffer, cell, out| {
            let csr = csr_of(cell, buffer);
            for (r, out) in out.chunks_exact_mut(self.lanes.max(1)).enumerate() {
                for e in csr.entries(r) {
                    let x = csr.values.get(e).min(u32::from(u16::MAX)) as u16;
                    for &f in self.of(usize::from(csr.indices[e])) {
                        let sum = &mut out[usize::from(f)];
                        *sum = sum.saturating_add(x);
                    }
                }
            }
        })?;
        Ok(out)
    }

    /// Share of each spectrum in every window: components x lanes.
    pub fn shares(&self, spectra: &[f64], components: usize) -> Vec<f64> {
        let mut out = vec![0.0; components * self.lanes];
        let channels = spectra.len() / components.max(1);
        for k in 0..components {
            for (f, window) in self.channels.iter().enumerate() {
                out[k * self.lanes + f] =
                    window.iter().map(|&c| spectra[k * channels + usize::from(c)]).sum();
            }
        }
        out
    }

    /// True when the windows of two families share a channel.
    pub fn overlap(&self, a: usize, b: usize) -> bool {
        self.overlaps[a * self.channels.len() + b]
    }
}
