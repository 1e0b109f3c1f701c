//! Pile-up: two photons within one shaping time are counted as one of the summed energy.
//!
//! The expected pile-up spectrum is quadratic in the intensity,
//! `P(E) = t * integral C(E') C(E - E') dE'`, with C the spectrum's content before resolution
//! (lines as sticks, continuum as it is) and one scale t, the probability that a given pair of
//! counts coincides. Content is convolved before the detector's resolution is applied, so
//! electronic noise enters once: the square of a measured spectrum is too wide by the noise.
//!
//! In a map the pile-up of the sum is the sum of the pixels' pile-up, not the pile-up of the
//! sum: phases that never share a pixel never pile up.
//!
//! Source: Statham (1977), X-Ray Spectrom. 6, 94, doi:10.1002/xrs.1300060210.

use serde::{Deserialize, Serialize};

use crate::detector::FWHM_PER_SIGMA;
use crate::profile::{PeakShape, Response};
use kalpha_num::simd::{self, Kernel};

/// The pile-up found in the sum spectrum of a measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SumPileUp {
    /// First channel of `counts` on the axis.
    pub first_channel: usize,
    /// Fitted pile-up, counts per channel; empty where none is seen.
    pub counts: Vec<f64>,
    /// Standard deviation of its scale over its scale.
    pub relative_sigma: f64,
    /// Square of the FWHM at zero energy, eV²: the electronic noise.
    pub noise_squared: f64,
}

impl SumPileUp {
    /// Counts lost to sums.
    pub fn total(&self) -> f64 {
        self.counts.iter().sum()
    }
}

impl kalpha_core::ArtefactType for SumPileUp {
    const KIND: &'static str = "pile_up";
}

/// What a spectrum consists of before the detector's resolution.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Content {
    /// Lines: energy in keV, counts.
    pub lines: Vec<(f64, f64)>,
    /// Continuum counts per channel; empty for none, otherwise one value per channel.
    pub continuum: Vec<f64>,
}

/// Pairs of counts by summed energy, then the detector's peak shape: the pile-up spectrum for
/// scale t = 1.
///
/// Two lines A and B give `2 A B` pairs, a line with itself `A²`. `energies` are equally spaced
/// channel centres in keV. Complexity: quadratic in the number of channels with content.
/// Returns counts per channel (zeros for fewer than two channels).
pub fn pileup_spectrum(energies: &[f64], content: &Content, shape: &PeakShape) -> Vec<f64> {
    shape.blur(energies, &pairs(energies, content))
}

/// [`pileup_spectrum`] on the axis of a response that is at hand.
pub fn pileup_spectrum_on(response: &Response, content: &Content) -> Vec<f64> {
    response.blur(&pairs(response.energies(), content))
}

/// Pairs of counts by summed energy, before resolution.
fn pairs(energies: &[f64], content: &Content) -> Vec<f64> {
    let n = energies.len();
    if n < 2 {
        return vec![0.0; n];
    }
    let scale = (energies[n - 1] - energies[0]) / (n - 1) as f64;
    let mut grid = Sticks::new(energies[0], scale, n);
    for &(energy, counts) in &content.lines {
        grid.deposit(energy, counts);
    }
    for (k, &counts) in content.continuum.iter().enumerate().take(n) {
        // Below zero energy there is no photon, only the strobe peak.
        if energies[k] > 0.0 {
            grid.counts[k] += counts;
        }
    }
    // Channels i and j sum to offset + (i + j) scale + offset: the same fraction of a channel
    // away from the grid for every pair, so pairs are counted by i + j and shifted once.
    let sums = simd::run(Products { a: &grid.counts, b: &grid.counts });
    let mut pairs = Sticks::new(energies[0], scale, n);
    for (k, &pair_counts) in sums.iter().enumerate().filter(|(_, c)| **c != 0.0) {
        if !pairs.deposit(2.0 * energies[0] + k as f64 * scale, pair_counts) {
            break;
        }
    }
    pairs.counts
}

/// `sums[i + j] += a[i] b[j]`; the length is that of both together.
struct Products<'a> {
    a: &'a [f64],
    b: &'a [f64],
}

impl Kernel for Products<'_> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn run(self) -> Vec<f64> {
        let mut sums = vec![0.0; self.a.len() + self.b.len()];
        for (i, &x) in self.a.iter().enumerate() {
            if x != 0.0 {
                for (sum, y) in sums[i..].iter_mut().zip(self.b) {
                    *sum += x * y;
                }
            }
        }
        sums
    }
}

/// The pile-up of one pixel: `scale * pileup_spectrum` of the pixel's own mean.
///
/// `content` must be expected counts, not the observed ones: the square of Poisson counts is
/// biased by their variance.
pub fn pixel_pileup(
    energies: &[f64],
    content: &Content,
    shape: &PeakShape,
    scale: f64,
) -> Vec<f64> {
    let mut out = pileup_spectrum(energies, content, shape);
    out.iter_mut().for_each(|v| *v *= scale);
    out
}

/// Pairs of a count of `a` with a count of `b`, measured spectra with resolution, by summed
/// energy, as one detection shows them. For `a = b` every pair is counted twice, as in
/// [`pileup_spectrum`].
///
/// Two measured peaks sum to one that carries the electronic noise twice. One noise variance
/// `v` is taken out by inverse diffusion, `1 - (v/2) D² + (v²/8) D⁴ - (v³/48) D⁶`, the expansion
/// of `exp(v w²/2)`; with noise below half of the peak width the remainder is below 1e-3 of a
/// peak.
///
/// `energies` are equally spaced channel centres in keV; `noise_squared` is the square of the
/// noise FWHM in eV² (negative counts as none). Returns counts per channel, never negative.
/// Complexity: quadratic in the number of channels.
pub fn measured_pairs(energies: &[f64], a: &[f64], b: &[f64], noise_squared: f64) -> Vec<f64> {
    let n = energies.len().min(a.len()).min(b.len());
    if n < 2 {
        return vec![0.0; n];
    }
    let scale = (energies[n - 1] - energies[0]) / (n - 1) as f64;
    let real = energies.partition_point(|&e| e <= 0.0).min(n);
    let mut sums = vec![0.0; 2 * real];
    sums.extend(simd::run(Products { a: &a[real..n], b: &b[real..n] }));
    let mut pairs = Sticks::new(energies[0], scale, n);
    for (k, &counts) in sums.iter().enumerate().filter(|(_, c)| **c != 0.0) {
        if !pairs.deposit(2.0 * energies[0] + k as f64 * scale, counts) {
            break;
        }
    }
    let sigma = noise_squared.max(0.0).sqrt() * 1e-3 / FWHM_PER_SIGMA / scale;
    let v = sigma * sigma;
    let second = second_difference(&pairs.counts);
    let fourth = second_difference(&second);
    let sixth = second_difference(&fourth);
    let [a, b, c] = [v / 2.0, v * v / 8.0, v * v * v / 48.0];
    let sharp = |i: usize| pairs.counts[i] - a * second[i] + b * fourth[i] - c * sixth[i];
    (0..n).map(|i| sharp(i).max(0.0)).collect()
}

fn second_difference(values: &[f64]) -> Vec<f64> {
    let n = values.len();
    (0..n)
        .map(|i| values[i.saturating_sub(1)] - 2.0 * values[i] + values[(i + 1).min(n - 1)])
        .collect()
}

/// Sticks on a regular grid.
struct Sticks {
    offset: f64,
    scale: f64,
    counts: Vec<f64>,
}

impl Sticks {
    fn new(offset: f64, scale: f64, n: usize) -> Self {
        Self { offset, scale, counts: vec![0.0; n] }
    }

    /// Spreads a stick over three channels so that counts, mean and variance stay those of a
    /// stick. Returns false above the axis.
    fn deposit(&mut self, energy: f64, counts: f64) -> bool {
        let position = (energy - self.offset) / self.scale;
        let nearest = position.round();
        if nearest + 1.0 >= self.counts.len() as f64 {
            return false;
        }
        if nearest >= 1.0 {
            let (k, d) = (nearest as usize, position - nearest);
            self.counts[k - 1] += counts * 0.5 * (d * d - d);
            self.counts[k] += counts * (1.0 - d * d);
            self.counts[k + 1] += counts * 0.5 * (d * d + d);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis() -> Vec<f64> {
        (0..1024).map(|i| -0.2 + 0.01 * f64::from(i)).collect()
    }

    fn lines(lines: &[(f64, f64)]) -> Content {
        Content { lines: lines.to_vec(), continuum: Vec::new() }
    }

    fn window(e: &[f64], y: &[f64], low: f64, high: f64) -> f64 {
        e.iter().zip(y).filter(|(x, _)| (low..high).contains(*x)).map(|(_, v)| v).sum()
    }

    #[test]
    fn pairs_land_at_the_sum_with_the_right_counts() {
        let e = axis();
        let shape = PeakShape::gaussian(130.0);
        let p = pileup_spectrum(&e, &lines(&[(0.5249, 80.0), (1.7397, 300.0)]), &shape);
        for (centre, pairs) in [(1.0498, 6400.0), (2.2646, 48000.0), (3.4794, 90000.0)] {
            let sum = window(&e, &p, centre - 0.3, centre + 0.3);
            assert!((sum / pairs - 1.0).abs() < 1e-3, "{centre}: {sum}");
        }
        let near: f64 = window(&e, &p, 2.0, 2.6);
        let mean: f64 = e
            .iter()
            .zip(&p)
            .filter(|(x, _)| (2.0..2.6).contains(*x))
            .map(|(x, v)| x * v)
            .sum::<f64>()
            / near;
        assert!((mean - 2.2646).abs() < 2e-4, "{mean}");
    }

    #[test]
    fn quadratic_in_intensity_and_width_of_one_detection() {
        let e = axis();
        let shape = PeakShape::gaussian(130.0);
        let one = pileup_spectrum(&e, &lines(&[(1.7397, 1.0)]), &shape);
        let ten = pixel_pileup(&e, &lines(&[(1.7397, 10.0)]), &shape, 1.0);
        assert!((ten.iter().sum::<f64>() / one.iter().sum::<f64>() - 100.0).abs() < 1e-9);
        let mut single = vec![0.0; e.len()];
        shape.add(&e, 2.0 * 1.7397, 1.0, &mut single);
        let worst = one.iter().zip(&single).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst < 1e-3 * single.iter().fold(0.0, |a: f64, &b| a.max(b)), "{worst}");
    }

    #[test]
    fn measured_spectra_pile_up_as_their_content_does() {
        let e = axis();
        let shape = PeakShape::gaussian(128.0);
        let content = lines(&[(0.5249, 80.0), (1.4866, 120.0), (1.7397, 300.0)]);
        let want = pileup_spectrum(&e, &content, &shape);
        let mut measured = vec![0.0; e.len()];
        content.lines.iter().for_each(|&(at, counts)| shape.add(&e, at, counts, &mut measured));
        let noise = shape.resolution.noise_squared;
        assert!(noise > 1000.0);
        let got = measured_pairs(&e, &measured, &measured, noise);
        let top = want.iter().fold(0.0, |a: f64, &b| a.max(b));
        let worst = |got: &[f64]| {
            let pairs = got.iter().zip(&want);
            pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / top
        };
        assert!(worst(&got) < 4e-3, "{}", worst(&got));
        // Twice the noise is visibly too wide.
        let wide = measured_pairs(&e, &measured, &measured, 0.0);
        assert!(worst(&wide) > 0.02, "{}", worst(&wide));
        assert!((got.iter().sum::<f64>() / want.iter().sum::<f64>() - 1.0).abs() < 2e-3);
    }

    #[test]
    fn continuum_and_empty_input() {
        let e = axis();
        let shape = PeakShape::gaussian(130.0);
        let content = Content { lines: Vec::new(), continuum: vec![1.0; e.len()] };
        let p = pileup_spectrum(&e, &content, &shape);
        // The number of pairs that sum to E grows linearly with E.
        let (a, b) = (window(&e, &p, 1.895, 2.095), window(&e, &p, 3.895, 4.095));
        assert!((b / a - 2.0).abs() < 0.02, "{}", b / a);
        assert!(pileup_spectrum(&e, &Content::default(), &shape).iter().all(|&v| v == 0.0));
        assert_eq!(pileup_spectrum(&[1.0], &content, &shape), [0.0]);
    }
}
