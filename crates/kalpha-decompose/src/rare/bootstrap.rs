//! Maps drawn from the fitted null.
//!
//! A Poisson spectrum with mean `sum_k w_k h_k` is a Poisson number of counts from each
//! end-member, each count falling into a channel with probability `h_k`: drawing costs one
//! number per count, not one per channel. Where a pixel has more counts than channels it is the
//! other way round: a Poisson number for each channel. Draws are keyed by pixel.

use super::tail::Null;
use kalpha_core::{CsrBuilder, CsrCounts, StepError};
use kalpha_num::rng::Stream;

/// Channels with given probabilities, one table look-up per draw (Walker 1977,
/// doi:10.1145/355744.355749).
struct Alias {
    keep: Vec<f64>,
    other: Vec<u16>,
    probability: Vec<f64>,
}

impl Alias {
    fn new(weights: &[f64]) -> Self {
        let n = weights.len();
        let total: f64 = weights.iter().sum();
        let mut keep: Vec<f64> =
            weights.iter().map(|w| w.max(0.0) * n as f64 / total.max(1e-300)).collect();
        let probability = keep.iter().map(|x| x / n as f64).collect();
        let mut other: Vec<u16> = (0..n).map(|i| i as u16).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..n).partition(|&i| keep[i] < 1.0);
        while let (Some(s), Some(&l)) = (small.pop(), large.last()) {
            other[s] = l as u16;
            keep[l] -= 1.0 - keep[s];
            if keep[l] < 1.0 {
                large.pop();
                small.push(l);
            }
        }
        // What rounding leaves over is full.
        small.iter().chain(&large).for_each(|&i| keep[i] = 1.0);
        Self { keep, other, probability }
    }

    #[inline]
    fn pick(&self, u: f64) -> u16 {
        let at = u * self.keep.len() as f64;
        let i = (at as usize).min(self.keep.len() - 1);
        if at - (i as f64) < self.keep[i] { i as u16 } else { self.other[i] }
    }
}

/// Draws spectra from a null model.
pub(crate) struct Draw {
    tables: Vec<Alias>,
    fixed: Vec<Alias>,
    channels: usize,
    components: usize,
}

impl Draw {
    pub fn new(null: &Null<'_>) -> Self {
        let channels = null.spectra.len() / null.components.max(1);
        let parts = null.fixed.parts;
        let part = |q: usize| -> Vec<f64> {
            null.fixed.spectra.iter().skip(q).step_by(parts).copied().collect()
        };
        let fixed = (0..parts).map(|q| Alias::new(&part(q))).collect();
        let tables = null.spectra.chunks_exact(channels.max(1)).map(Alias::new).collect();
        Self { tables, fixed, channels, components: null.components }
    }

    /// Counts of the pixels `pixels` with abundances pixels x components.
    pub fn counts(
        &self,
        null: &Null<'_>,
        abundances: &[f64],
        pixels: impl Iterator<Item = usize>,
        stream: &Stream,
    ) -> Result<CsrCounts, StepError> {
        let mut csr = CsrBuilder::new(self.channels)?;
        let mut drawn: Vec<u16> = Vec::new();
        let mut dense = vec![0u32; self.channels];
        for p in pixels {
            drawn.clear();
            let mut draws = stream.row(p);
            let w = &abundances[p * self.components..(p + 1) * self.components];
            let parts = w.iter().copied().zip(&self.tables);
            let known = null.fixed.of(p).iter().zip(null.fixed.sums).map(|(a, s)| a * s);
            let mut many = false;
            for (mean, table) in parts.chain(known.zip(&self.fixed)) {
                if mean > self.channels as f64 {
                    many = true;
                    for (sum, probability) in dense.iter_mut().zip(&table.probability) {
                        let count = draws.poisson(mean * probability);
                        *sum = sum.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
                    }
                    continue;
                }
                for _ in 0..draws.poisson(mean) {
                    drawn.push(table.pick(draws.uniform()));
                }
            }
            if many {
                for &c in &drawn {
                    let sum = &mut dense[usize::from(c)];
                    *sum = sum.saturating_add(1);
                }
                for (c, sum) in dense.iter_mut().enumerate().filter(|(_, sum)| **sum > 0) {
                    csr.push(c as u16, std::mem::take(sum));
                }
                csr.end_row();
                continue;
            }
            drawn.sort_unstable();
            for run in drawn.chunk_by(|a, b| a == b) {
                csr.push(run[0], run.len() as u32);
            }
            csr.end_row();
        }
        Ok(csr.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nmf_kl::Fixed;

    #[test]
    fn more_counts_than_channels_are_drawn_by_channel() {
        let spectra = [0.5, 0.0, 0.25, 0.25, 0.0, 1.0, 0.0, 0.0];
        let null = Null {
            spectra: &spectra,
            components: 2,
            totals: &[],
            fixed: Fixed::default(),
            fixed_sigma: 0.0,
        };
        let n = 2_000;
        let w: Vec<f64> = (0..n).flat_map(|_| [400.0, 2.0]).collect();
        let csr = Draw::new(&null).counts(&null, &w, 0..n, &Stream::new(1, "test", 0)).unwrap();
        let (mut sum, mut square) = ([0.0; 4], [0.0; 4]);
        for (i, &c) in csr.indices().iter().enumerate() {
            let x = match csr.values() {
                kalpha_core::CountValues::U8(v) => f64::from(v[i]),
                kalpha_core::CountValues::U16(v) => f64::from(v[i]),
                kalpha_core::CountValues::U32(v) => f64::from(v[i]),
            };
            sum[usize::from(c)] += x;
            square[usize::from(c)] += x * x;
        }
        for (c, mean) in [200.0, 2.0, 100.0, 100.0].into_iter().enumerate() {
            let got = sum[c] / n as f64;
            let variance = square[c] / n as f64 - got * got;
            // Five standard errors of each.
            assert!((got - mean).abs() < 5.0 * (mean / n as f64).sqrt(), "{c}: {got}");
            let error = mean * (2.0 / n as f64).sqrt() + (mean / n as f64).sqrt();
            assert!((variance - mean).abs() < 5.0 * error, "{c}: {variance}");
        }
    }

    #[test]
    fn draws_have_the_mean_and_variance_of_the_null() {
        let spectra = [0.5, 0.0, 0.25, 0.25, 0.0, 1.0, 0.0, 0.0];
        let null = Null {
            spectra: &spectra,
            components: 2,
            totals: &[],
            fixed: Fixed::default(),
            fixed_sigma: 0.0,
        };
        let n = 20_000;
        let w: Vec<f64> = (0..n).flat_map(|_| [3.0, 2.0]).collect();
        let stream = Stream::new(1, "test", 0);
        let csr = Draw::new(&null).counts(&null, &w, 0..n, &stream).unwrap();
        let (mut sum, mut square) = ([0.0; 4], [0.0; 4]);
        for (i, &c) in csr.indices().iter().enumerate() {
            let kalpha_core::CountValues::U8(v) = csr.values() else { panic!() };
            sum[usize::from(c)] += f64::from(v[i]);
            square[usize::from(c)] += f64::from(v[i]).powi(2);
        }
        for (c, mean) in [1.5, 2.0, 0.75, 0.75].into_iter().enumerate() {
            let got = sum[c] / n as f64;
            let variance = square[c] / n as f64 - got * got;
            assert!((got - mean).abs() < 5.0 * (mean / n as f64).sqrt(), "{c}: {got}");
            assert!((variance / mean - 1.0).abs() < 0.08, "{c}: {variance}");
        }
    }
}
