//! Reconstruction that cannot erase a discovery.

use super::Flags;
use crate::nmf_kl::EndMembers;
use kalpha_core::{Cell, Map, Mapped, NoiseModel, RowSource, Rows};
use std::sync::Arc;

/// The denoised map `w h`, with the raw counts in flagged pixels.
pub struct Reconstruction {
    /// components x channels
    spectra: Vec<f64>,
    components: usize,
    /// rows x components
    abundances: Arc<[f64]>,
    /// Flagged rows, ascending.
    raw: Vec<usize>,
}

impl Map for Reconstruction {
    type Scratch = ();

    fn apply(&self, cell: &Cell<'_>, out: &mut [f64], (): &mut ()) {
        let (k, channels) = (self.components, cell.channels);
        let is_raw = |r: usize| self.raw.binary_search(&(cell.first_row + r)).is_ok();
        for (r, out) in out.chunks_exact_mut(channels).enumerate() {
            if is_raw(r) {
                continue;
            }
            let first = (cell.first_row + r) * k;
            for (j, w) in self.abundances[first..first + k].iter().enumerate() {
                let h = &self.spectra[j * channels..(j + 1) * channels];
                out.iter_mut().zip(h).for_each(|(o, h)| *o += w * h);
            }
        }
        cell.for_each_nonzero(|r, c, x| {
            if is_raw(r) {
                out[r * channels + c] = x;
            }
        });
    }
}

/// Rows of the model, lazily, with the raw counts of every flagged pixel kept.
///
/// `abundances`: rows x components.
pub fn reconstruction(
    counts: &Rows,
    end_members: &EndMembers,
    abundances: Arc<[f64]>,
    flags: &Flags,
) -> Rows {
    let map = Reconstruction {
        spectra: end_members.spectra.clone(),
        components: end_members.components,
        abundances,
        raw: flags.flagged_rows(),
    };
    let signal = counts.meta().signal.clone();
    let mapped = Mapped::new(Arc::clone(counts), map, signal, NoiseModel::Correlated);
    let rows: Arc<dyn RowSource> = Arc::new(mapped);
    rows
}
