//! The response of a detector to every channel of one axis, worked out once.

use kalpha_num::simd::{self, Kernel};

use super::PeakShape;

/// What one count in each channel becomes: the peak shape sampled on an axis.
///
/// [`Response::blur`] equals [`PeakShape::blur`] to rounding and costs one multiplication per
/// channel and peak; working it out costs as much as one [`PeakShape::blur`]. Memory: up to
/// half of `channels²` numbers.
#[derive(Debug, Clone)]
pub struct Response {
    energies: Vec<f64>,
    /// First channel of each peak and where its values begin; one more entry ends the last.
    peaks: Vec<(usize, usize)>,
    values: Vec<f64>,
}

impl Response {
    /// Response of `shape` on channel centres `energies` in keV.
    pub fn new(energies: &[f64], shape: &PeakShape) -> Self {
        let mut peaks = Vec::with_capacity(energies.len() + 1);
        let mut values = Vec::new();
        let mut peak = vec![0.0; energies.len()];
        for &energy in energies {
            let start = values.len();
            let mut first = 0;
            if energy > 0.0 {
                shape.add(energies, energy, 1.0, &mut peak);
                let seen = |v: &f64| *v != 0.0;
                first = peak.iter().position(seen).unwrap_or(0);
                let end = peak.iter().rposition(seen).map_or(first, |last| last + 1);
                values.extend_from_slice(&peak[first..end]);
                peak[first..end].fill(0.0);
            }
            peaks.push((first, start));
        }
        peaks.push((0, values.len()));
        Self { energies: energies.to_vec(), peaks, values }
    }

    /// The axis, keV.
    pub fn energies(&self) -> &[f64] {
        &self.energies
    }

    /// Each channel becomes a peak of its counts; channels at or below zero energy are dropped.
    /// `counts` has one value per channel of the axis; what is missing counts as zero.
    pub fn blur(&self, counts: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; self.energies.len()];
        simd::run(Blur { response: self, counts, out: &mut out });
        out
    }
}

struct Blur<'a> {
    response: &'a Response,
    counts: &'a [f64],
    out: &'a mut [f64],
}

impl Kernel for Blur<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (bounds, &count) in self.response.peaks.windows(2).zip(self.counts) {
            let ((first, start), (_, end)) = (bounds[0], bounds[1]);
            if count == 0.0 || start == end {
                continue;
            }
            let peak = &self.response.values[start..end];
            for (slot, value) in self.out[first..].iter_mut().zip(peak) {
                *slot += count * value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Tail;

    #[test]
    fn equals_peaks_added_one_by_one() {
        let energies: Vec<f64> = (0..700).map(|i| -0.2 + 0.02 * f64::from(i)).collect();
        let counts: Vec<f64> =
            (0..700).map(|i| if i % 7 == 3 { 0.0 } else { f64::from(i % 11) }).collect();
        for tail in [None, Some(Tail { depth_um: 0.3, slope: 0.1 })] {
            let shape = PeakShape { tail, ..PeakShape::gaussian(130.0) };
            let want = shape.blur(&energies, &counts);
            let got = Response::new(&energies, &shape).blur(&counts);
            for (k, (a, b)) in got.iter().zip(&want).enumerate() {
                assert!((a - b).abs() <= 1e-12 * b.abs().max(1e-12), "{k}: {a} {b}");
            }
        }
        let empty = Response::new(&[], &PeakShape::gaussian(130.0));
        assert!(empty.blur(&[]).is_empty());
    }
}
