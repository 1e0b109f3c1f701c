//! Baselines of one spectrum for eight smoothnesses or thresholds side by side.

use super::noise::Noise;
use kalpha_num::{
    banded::{
        both_ways::{Factors, Solution, System, eliminate, substitute},
        interleaved::difference_penalty,
    },
    lanes::{Lanes, Planes},
    simd::{self, Kernel},
};

/// Models side by side.
pub(super) const MODELS: usize = 8;
/// Iterations allowed.
const MAX_ITERATIONS: usize = 40;
/// Mean change of the background share of a channel at which iteration stops.
const REST: f64 = 1e-3;
/// How sharply the share falls with the smoothed residual.
const SHARPNESS: f64 = 2.0;

type Plane = [[f64; MODELS]];

/// What the models are fitted to.
pub(super) struct Spectrum<'a> {
    pub y: &'a [f64],
    pub noise: Noise,
    /// Residuals are averaged over this many channels on each side.
    pub reach: usize,
    /// Second differences: `difference_penalty::<2>(n, 1)`.
    pub penalty: &'a [Vec<f64>],
}

impl Spectrum<'_> {
    /// The penalty of this spectrum's length.
    pub fn penalty(channels: usize) -> Vec<Vec<f64>> {
        difference_penalty::<2>(channels, 1.0)
    }
}

/// Working memory.
#[derive(Default)]
pub(super) struct Memory {
    planes: Planes,
    factors: Planes,
}

/// Eight baselines.
pub(super) struct Fitted {
    /// Channel by channel, model by model.
    pub baselines: Vec<[f64; MODELS]>,
    /// Share of the channels that is background, by each model.
    pub shares: [f64; MODELS],
    /// Background share of each channel.
    pub channel_shares: Vec<[f64; MODELS]>,
}

/// Fits baselines of smoothness `lam`, from `start` on.
///
/// A channel's share in the background is `1 / (1 + exp(2 (u - threshold)))` with u the mean
/// residual of the channels around it in units of its standard deviation: what a peak's tail adds
/// to one channel is lost in the noise, what it adds to many is not. Weights are shares over
/// variances.
pub(super) fn fit(
    spectrum: &Spectrum<'_>,
    lam: [f64; MODELS],
    threshold: [f64; MODELS],
    start: &[f64],
    memory: &mut Memory,
) -> Fitted {
    simd::run(Run { spectrum, lam: Lanes(lam), threshold: Lanes(threshold), start, memory })
}

struct Run<'a> {
    spectrum: &'a Spectrum<'a>,
    lam: Lanes<MODELS>,
    threshold: Lanes<MODELS>,
    start: &'a [f64],
    memory: &'a mut Memory,
}

impl Kernel for Run<'_> {
    type Output = Fitted;

    #[inline(always)]
    fn run(self) -> Fitted {
        let Self { spectrum, lam, threshold, start, memory } = self;
        let Spectrum { y, noise, .. } = *spectrum;
        let n = y.len();
        let [variance, share, sums, inverse, rest]: [&mut Plane; 5] = memory.planes.split(n + 1);
        let lower = memory.factors.split::<MODELS, 2>(n);
        let mut factors = Factors { inverse, lower, rest };
        let mut z: Vec<[f64; MODELS]> = start.iter().map(|v| [*v; MODELS]).collect();
        share.fill([1.0; MODELS]);
        let zero = Lanes::<MODELS>::ZERO;
        let (offset, slope) = (Lanes::splat(noise.offset), Lanes::splat(noise.slope));
        let floor = Lanes::splat(noise.floor);
        let part = Lanes::splat(1.0 / n as f64);
        let mut background = zero;
        for _ in 0..MAX_ITERATIONS {
            let (mut mean, mut sum) = (zero, zero);
            sums[0] = zero.0;
            for i in 0..n {
                let level = Lanes(z[i]).max(zero);
                let v = (offset + slope * level).max(floor);
                variance[i] = v.0;
                mean = mean + v;
                sum = sum + (Lanes::splat(y[i]) - Lanes(z[i])) / v.sqrt();
                sums[i + 1] = sum.0;
            }
            let mean = mean * part;
            let mut sweep = Sweep {
                spectrum,
                lam,
                threshold,
                mean,
                variance,
                sums,
                share,
                change: zero,
                background: zero,
            };
            eliminate::<2, MODELS, _>(n, &mut sweep, &mut factors);
            let change = sweep.change;
            background = sweep.background;
            substitute::<2, MODELS, _>(n, &factors, &mut Kept(&mut z));
            // A model that has left the range of numbers rests as well.
            let change = change * part;
            if !change.gt(Lanes::splat(REST)).0.contains(&true) {
                break;
            }
        }
        let shares = (background * part).0;
        Fitted { baselines: z, shares, channel_shares: share[..n].to_vec() }
    }
}

/// Makes the background shares of each channel as it is eliminated.
struct Sweep<'a> {
    spectrum: &'a Spectrum<'a>,
    lam: Lanes<MODELS>,
    threshold: Lanes<MODELS>,
    /// Mean variance, so that `lam` means the same whatever the noise.
    mean: Lanes<MODELS>,
    variance: &'a Plane,
    /// Running sums of the residuals in units of their standard deviation.
    sums: &'a Plane,
    share: &'a mut Plane,
    change: Lanes<MODELS>,
    background: Lanes<MODELS>,
}

impl System<MODELS> for Sweep<'_> {
    #[inline(always)]
    fn row(&mut self, i: usize) -> [Lanes<MODELS>; 2] {
        let Spectrum { y, reach, penalty, .. } = *self.spectrum;
        let (first, end) = (i.saturating_sub(reach), (i + reach + 1).min(y.len()));
        let width = Lanes::splat(1.0 / ((end - first) as f64).sqrt());
        let u = (Lanes(self.sums[end]) - Lanes(self.sums[first])) * width;
        let new = (Lanes::splat(SHARPNESS) * (self.threshold - u)).logistic();
        self.change = self.change + (new - Lanes(self.share[i])).abs();
        self.background = self.background + new;
        self.share[i] = new.0;
        let w = new / Lanes(self.variance[i]) * self.mean;
        [self.lam * Lanes::splat(penalty[0][i]) + w, w * Lanes::splat(y[i])]
    }

    #[inline(always)]
    fn off(&self, k: usize, i: usize) -> Lanes<MODELS> {
        self.lam * Lanes::splat(self.spectrum.penalty[k][i])
    }
}

struct Kept<'a>(&'a mut [[f64; MODELS]]);

impl Solution<MODELS> for Kept<'_> {
    #[inline(always)]
    fn found(&mut self, i: usize, value: Lanes<MODELS>) {
        self.0[i] = value.0;
    }
}

/// Variance of a baseline with these weights: the diagonal of `(W + lam P)^-1`.
///
/// LDL' and the recursion of Takahashi, Fagan and Chin (1973) for the band of the inverse. O(n).
pub(super) fn variances(weights: &[f64], lam: f64, penalty: &[Vec<f64>]) -> Vec<f64> {
    let n = weights.len();
    let (mut pivots, mut l1, mut l2) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    for i in 0..n {
        let mut d = lam * penalty[0][i] + weights[i];
        let mut off = lam * penalty[1][i];
        if i >= 1 {
            d -= l1[i - 1] * l1[i - 1] * pivots[i - 1];
            off -= l2[i - 1] * l1[i - 1] * pivots[i - 1];
        }
        if i >= 2 {
            d -= l2[i - 2] * l2[i - 2] * pivots[i - 2];
        }
        pivots[i] = d;
        l1[i] = if i + 1 < n { off / d } else { 0.0 };
        l2[i] = if i + 2 < n { lam * penalty[2][i] / d } else { 0.0 };
    }
    let mut out = vec![0.0; n];
    // Of the row below: diagonal, next; of the one below that: diagonal.
    let (mut s00, mut s01, mut s11) = (0.0, 0.0, 0.0);
    for i in (0..n).rev() {
        let first = -l1[i] * s00 - l2[i] * s01;
        let second = -l1[i] * s01 - l2[i] * s11;
        out[i] = 1.0 / pivots[i] - l1[i] * first - l2[i] * second;
        (s11, s01, s00) = (s00, first, out[i]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variances_are_the_diagonal_of_the_inverse() {
        let n = 12;
        let weights: Vec<f64> = (0..n).map(|i| 0.3 + 0.1 * (i as f64).sin()).collect();
        let penalty = Spectrum::penalty(n);
        let got = variances(&weights, 5.0, &penalty);
        for j in 0..n {
            let unit: Vec<f64> = (0..n).map(|i| f64::from(u8::from(i == j))).collect();
            let mut z = unit.clone();
            let diagonal: Vec<f64> = (0..n).map(|i| 5.0 * penalty[0][i] + weights[i]).collect();
            let [a, b] = [1, 2].map(|k| penalty[k].iter().map(|p| 5.0 * p).collect::<Vec<_>>());
            assert!(kalpha_num::banded::solve_pentadiagonal(
                &diagonal,
                &a,
                &b,
                &mut z,
                &mut kalpha_num::banded::Pentadiagonal::default()
            ));
            assert!((got[j] / z[j] - 1.0).abs() < 1e-10, "{j}: {} {}", got[j], z[j]);
        }
    }
}
