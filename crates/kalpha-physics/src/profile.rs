//! Peak shapes on a channel axis: Gaussians integrated over channels, with an optional
//! exponential tail from incomplete charge collection.
//!
//! All functions take the channel *centres* in keV, ascending and equally or unequally spaced,
//! and add counts per channel. Channel edges are the midpoints between centres.

mod response;

pub use response::Response;

use serde::{Deserialize, Serialize};

use crate::PhysicsError;
use crate::attenuation::mass_attenuation;
use crate::detector::{Detector, Resolution, SI_KA, escape_ratio};
use crate::lines::LineFamily;

/// Counts lost from a peak into an exponential tail on its low-energy side.
///
/// `T(E) = f / (2 b) exp((E - E0)/b + s²/(2 b²)) erfc((E - E0)/(s sqrt 2) + s/(b sqrt 2))`
/// with decay constant `b = slope E0`. Photons absorbed close under the front contact lose
/// charge, so the fraction follows the absorption length of silicon,
/// `f = 1 - exp(-mu_Si(E0) depth)`: large for C and O, small for Al and Si, larger again just
/// above the Si K edge.
///
/// Sources: Phillips and Marlow (1976), Nucl. Instrum. Methods 137, 525,
/// doi:10.1016/0029-554X(76)90472-9; Scholze and Procop (2009), X-Ray Spectrom. 38, 312,
/// doi:10.1002/xrs.1165.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tail {
    /// Depth in µm of silicon from which charge is lost.
    pub depth_um: f64,
    /// Decay constant of the tail over the photon energy.
    pub slope: f64,
}

impl Tail {
    /// Fraction of the counts of a line at `energy` keV that lie in the tail.
    pub fn fraction(&self, energy: f64) -> f64 {
        const SILICON_DENSITY: f64 = 2.33;
        let mu = mass_attenuation("Si", energy.max(0.1)).unwrap_or(0.0);
        -(-mu * SILICON_DENSITY * self.depth_um.max(0.0) * 1e-4).exp_m1()
    }
}

/// How one photon energy spreads over channels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PeakShape {
    /// Width against energy.
    pub resolution: Resolution,
    /// Low-energy tail; `None` for a pure Gaussian.
    pub tail: Option<Tail>,
}

/// Tails with less than this fraction are left out.
const MIN_TAIL: f64 = 3e-4;

impl PeakShape {
    /// A Gaussian of `mn_ka_ev` eV at Mn K-alpha.
    pub fn gaussian(mn_ka_ev: f64) -> Self {
        Self { resolution: Resolution::from_mn_ka(mn_ka_ev), tail: None }
    }

    /// Adds `area` counts at `centre` keV to `out`, channel by channel.
    ///
    /// Counts that fall outside the axis are lost, as in the detector.
    pub fn add(&self, energies: &[f64], centre: f64, area: f64, out: &mut [f64]) {
        if area == 0.0 || energies.len() < 2 || !centre.is_finite() {
            return;
        }
        let sigma = self.resolution.sigma(centre);
        let (fraction, slope) = match &self.tail {
            Some(t) => (t.fraction(centre), t.slope * centre),
            None => (0.0, 0.0),
        };
        let (fraction, slope) =
            if fraction < MIN_TAIL || slope <= 0.0 { (0.0, 0.0) } else { (fraction, slope) };
        let step = (energies[energies.len() - 1] - energies[0]) / (energies.len() - 1) as f64;
        let gaussian_from = centre - 6.0 * sigma;
        let first = energies.partition_point(|&e| e < gaussian_from.min(centre - 9.0 * slope));
        let last = energies.partition_point(|&e| e <= centre + 6.0 * sigma);
        if first >= last {
            return;
        }
        if fraction > 0.0 {
            let tail = area * fraction;
            if is_regular(energies, first, last, step) {
                let start = energies[first] - centre;
                add_regular_tail(start, step, sigma, slope, tail, &mut out[first..last]);
            } else {
                for k in first..last {
                    let (low, high) = channel_edges(energies, k);
                    let mid = 0.5 * (low + high) - centre;
                    out[k] += tail * (high - low) * exponential_tail(mid, sigma, slope);
                }
            }
        }
        let first = energies.partition_point(|&e| e < gaussian_from);
        if first >= last {
            return;
        }
        let area = area * (1.0 - fraction);
        if !is_regular(energies, first, last, step) {
            for k in first..last {
                let (low, high) = channel_edges(energies, k);
                let g = |e: f64| gaussian(e - centre, sigma);
                let mean = (g(low) + 4.0 * g(0.5 * (low + high)) + g(high)) / 6.0;
                out[k] += area * (high - low) * mean;
            }
            return;
        }
        // Simpson's rule on half channels; the Gaussian by its second-order recurrence, which
        // saves two exponentials per channel and keeps 12 digits over a peak.
        let half = 0.5 * step;
        let start = energies[first] - half - centre;
        let mut value = gaussian(start, sigma) * area * step / 6.0;
        let mut ratio = (-(start * half + 0.5 * half * half) / (sigma * sigma)).exp();
        let fall = (-(half * half) / (sigma * sigma)).exp();
        for slot in &mut out[first..last] {
            let middle = value * ratio;
            ratio *= fall;
            let end = middle * ratio;
            ratio *= fall;
            *slot += value + 4.0 * middle + end;
            value = end;
        }
    }
}

impl PeakShape {
    /// Convolves counts per channel with the response: each channel becomes a peak of its
    /// counts. Channels at or below zero energy are dropped.
    pub fn blur(&self, energies: &[f64], counts: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; counts.len()];
        for (&energy, &area) in energies.iter().zip(counts) {
            if energy > 0.0 {
                self.add(energies, energy, area, &mut out);
            }
        }
        out
    }
}

/// Adds `area` counts of a tail to channels of width `step`, the first of them at `start` from the
/// line.
///
/// A tail `T` of decay constant `b` over a Gaussian `g` obeys `T' = (T - g) / b`, so that
/// `T(x) = e^(-d/b) T(x + d) + 1/b int_0^d e^(-u/b) g(x + u) du`: from the top down every term is
/// positive and errors fade. The integral is taken by Boole's rule; far below the line it is
/// nothing. One exponential serves the whole tail.
fn add_regular_tail(start: f64, step: f64, sigma: f64, slope: f64, area: f64, out: &mut [f64]) {
    /// Channels of the pure exponential worked on at once.
    const LANES: usize = 8;
    let scale = area * step;
    let at = |k: usize| start + k as f64 * step;
    let Some(last) = out.len().checked_sub(1) else { return };
    let alone = ((-8.0 * sigma - start) / step).max(0.0);
    let alone = (alone as usize).min(last);
    let (pure, near) = out.split_at_mut(alone);
    let mut value = scale * exponential_tail(at(last), sigma, slope);
    if slope < step {
        // Too steep for the quadrature.
        for (k, slot) in near.iter_mut().enumerate() {
            *slot += scale * exponential_tail(at(alone + k), sigma, slope);
        }
        value = scale * exponential_tail(at(alone), sigma, slope);
    } else {
        // The Gaussian by its second-order recurrence, on quarters of channels or of half ones.
        let parts = if step < 0.25 * sigma.min(slope) { 1 } else { 2 };
        let quarter = 0.25 * step / f64::from(parts);
        let from = at(last);
        let mut here = gaussian(from, sigma) * scale * 4.0 * quarter / (90.0 * slope);
        let mut ratio = ((from * quarter - 0.5 * quarter * quarter) / (sigma * sigma)).exp();
        let fall = (-(quarter * quarter) / (sigma * sigma)).exp();
        let decay = (-quarter / slope).exp();
        let below = (-4.0 * quarter / slope).exp();
        let mut next = |value: f64| {
            let next = value * ratio;
            ratio *= fall;
            next
        };
        let mut slots = near.iter_mut().rev();
        if let Some(slot) = slots.next() {
            *slot += value;
        }
        for slot in slots {
            for _ in 0..parts {
                let c = next(here);
                let b = next(c);
                let a = next(b);
                let end = next(a);
                let far = 12.0 * b + decay * (32.0 * c + decay * 7.0 * here);
                value = below * value + 7.0 * end + decay * (32.0 * a + decay * far);
                here = end;
            }
            *slot += value;
        }
    }
    let fade = (-step / slope).exp();
    let mut powers = [fade; LANES];
    (1..LANES).for_each(|l| powers[l] = powers[l - 1] * fade);
    for channels in pure.rchunks_mut(LANES) {
        let n = channels.len();
        channels.iter_mut().rev().zip(powers).for_each(|(slot, power)| *slot += value * power);
        value *= powers[n - 1];
    }
}

fn is_regular(energies: &[f64], first: usize, last: usize, step: f64) -> bool {
    let span = energies[last - 1] - energies[first];
    (span - step * (last - 1 - first) as f64).abs() <= 1e-6 * step
}

/// Lower and upper edge of channel `k`.
pub fn channel_edges(energies: &[f64], k: usize) -> (f64, f64) {
    let n = energies.len();
    let up = |i: usize| 0.5 * (energies[i] + energies[i + 1]);
    let low = if k == 0 { 2.0 * energies[0] - up(0) } else { up(k - 1) };
    let high = if k + 1 == n { 2.0 * energies[k] - up(k - 1) } else { up(k) };
    (low, high)
}

fn gaussian(x: f64, sigma: f64) -> f64 {
    const INV_SQRT_2PI: f64 = 0.398_942_280_401_432_7;
    let u = x / sigma;
    INV_SQRT_2PI / sigma * (-0.5 * u * u).exp()
}

fn exponential_tail(x: f64, sigma: f64, slope: f64) -> f64 {
    let root2 = std::f64::consts::SQRT_2;
    let arg = x / (sigma * root2) + sigma / (slope * root2);
    let exponent = x / slope + sigma * sigma / (2.0 * slope * slope);
    if arg < 4.0 {
        exponent.exp() * kalpha_num::statistics::erfc(arg) / (2.0 * slope)
    } else {
        // The two factors may leave the range of f64 where their product does not.
        (exponent - arg * arg).exp() * scaled_erfc(arg) / (2.0 * slope)
    }
}

/// `exp(x^2) erfc(x)` for x >= 4, by its continued fraction (Abramowitz and Stegun 7.1.14).
fn scaled_erfc(x: f64) -> f64 {
    let fraction = (1..=40).rev().fold(x, |below, k| x + 0.5 * f64::from(k) / below);
    1.0 / (fraction * std::f64::consts::PI.sqrt())
}

/// The channel profile of a family: counts per channel for one *emitted-and-seen* photon of
/// the whole family.
///
/// Member weights are multiplied by the detector efficiency at their energy and normalised, so
/// the profile sums to one for a family inside the axis and a fitted coefficient is a number of
/// counts. With `escape` each member's silicon escape peak is added on top (a coefficient then
/// stays the number of full-energy counts).
///
/// # Errors
/// Those of [`Detector::efficiency`] and [`escape_ratio`].
pub fn family_profile(
    energies: &[f64],
    family: &LineFamily,
    shape: &PeakShape,
    detector: &Detector,
    escape: bool,
) -> Result<Vec<f64>, PhysicsError> {
    let mut out = vec![0.0; energies.len()];
    for (energy, weight) in observed_lines(family, detector)? {
        shape.add(energies, energy, weight, &mut out);
        if escape {
            let ratio = escape_ratio(energy)?;
            shape.add(energies, energy - SI_KA, weight * ratio, &mut out);
        }
    }
    Ok(out)
}

/// Energies (keV) and relative counts of a family's members as the detector sees them; the
/// counts sum to one.
///
/// # Errors
/// Those of [`Detector::efficiency`].
pub fn observed_lines(
    family: &LineFamily,
    detector: &Detector,
) -> Result<Vec<(f64, f64)>, PhysicsError> {
    let energies: Vec<f64> = family.lines.iter().map(|l| l.energy).collect();
    let efficiency = detector.efficiencies(&energies)?;
    let mut members: Vec<(f64, f64)> =
        family.lines.iter().zip(efficiency).map(|(l, eff)| (l.energy, l.weight * eff)).collect();
    let total: f64 = members.iter().map(|m| m.1).sum();
    if total > 0.0 {
        members.iter_mut().for_each(|m| m.1 /= total);
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::{Shell, line_family};

    fn axis() -> Vec<f64> {
        (0..2048).map(|i| -0.47 + 0.01 * f64::from(i)).collect()
    }

    #[test]
    fn area_and_moments_are_kept() {
        let e = axis();
        for tail in [None, Some(Tail { depth_um: 2.0, slope: 0.01 })] {
            let shape = PeakShape { tail, ..PeakShape::gaussian(130.0) };
            let mut out = vec![0.0; e.len()];
            shape.add(&e, 6.4039, 1000.0, &mut out);
            let area: f64 = out.iter().sum();
            assert!((area - 1000.0).abs() < 0.02, "{area}");
            let mean: f64 = out.iter().zip(&e).map(|(y, x)| x * y).sum::<f64>() / area;
            let shift = tail.map_or(0.0, |t| t.fraction(6.4039) * t.slope * 6.4039);
            assert!((mean - (6.4039 - shift)).abs() < 2e-5, "{mean}");
        }
    }

    #[test]
    fn regular_and_irregular_axes_agree() {
        let e = axis();
        let mut bent = e.clone();
        bent[2047] += 0.5;
        let slopes = [0.12, 0.5, 0.05, 0.03, 0.01, 1e-3, 1e-4];
        for (slope, centre) in
            slopes.into_iter().flat_map(|s| [0.2774, 0.5249, 2.0133, 6.4039].map(|c| (s, c)))
        {
            let shape = PeakShape {
                tail: Some(Tail { depth_um: 0.3, slope }),
                ..PeakShape::gaussian(130.0)
            };
            let (mut a, mut b) = (vec![0.0; 2048], vec![0.0; 2048]);
            shape.add(&e, centre, 1e4, &mut a);
            // A step of another width sends the second axis through the direct formulae.
            shape.add(&bent, centre, 1e4, &mut b);
            for k in 0..2000 {
                assert!((a[k] - b[k]).abs() < 1e-5, "{slope} {centre} {k}: {} {}", a[k], b[k]);
            }
        }
    }

    #[test]
    fn a_tail_is_an_exponential_over_a_gaussian() {
        // Values by scipy 1.17.1: exp(-(x/s)^2/2) erfcx(x/(s sqrt 2) + s/(b sqrt 2)) / (2 b).
        for (x, sigma, slope, want) in [
            (-0.3, 0.05, 0.2, 1.151065353600551),
            (0.01, 0.03, 0.03, 6.995827252271665),
            (0.05, 0.03, 0.002, 2.9736846253756513),
            (0.2, 0.05, 0.3, 0.00010173948118050086),
        ] {
            let got = exponential_tail(x, sigma, slope);
            assert!((got / want - 1.0).abs() < 1e-11, "{x} {sigma} {slope}: {got} {want}");
        }
    }

    #[test]
    fn tail_follows_the_absorption_in_silicon() {
        let tail = Tail { depth_um: 0.1, slope: 0.1 };
        let f = |e| tail.fraction(e);
        assert!(f(0.2774) > f(0.5249) && f(0.5249) > f(1.4865));
        assert!(f(2.0133) > 3.0 * f(1.7397));
        assert!((0.0..1.0).contains(&f(0.05)));
    }

    #[test]
    fn width_is_the_resolution() {
        let e = axis();
        let mut out = vec![0.0; e.len()];
        PeakShape::gaussian(130.0).add(&e, 5.8987, 1.0, &mut out);
        let var: f64 = out.iter().zip(&e).map(|(y, x)| y * (x - 5.8987).powi(2)).sum();
        // Integration over a channel adds its own variance, width²/12.
        let expected = (0.130_f64 / 2.354_820_045).powi(2) + 0.01_f64.powi(2) / 12.0;
        assert!((var / expected - 1.0).abs() < 2e-3, "{}", var / expected);
    }

    #[test]
    fn off_axis_and_short_axes_do_nothing() {
        let e = axis();
        let mut out = vec![0.0; e.len()];
        PeakShape::gaussian(130.0).add(&e, 60.0, 1.0, &mut out);
        PeakShape::gaussian(130.0).add(&e, f64::NAN, 1.0, &mut out);
        assert!(out.iter().all(|&v| v == 0.0));
        let mut one = [0.0];
        PeakShape::gaussian(130.0).add(&[6.4], 6.4, 1.0, &mut one);
        assert_eq!(one, [0.0]);
    }

    #[test]
    fn family_profile_sums_to_one_and_escape_adds() {
        let e = axis();
        let d = Detector::polymer_window();
        let fe = line_family("Fe", Shell::K, 20.0).unwrap().unwrap();
        let shape = PeakShape::gaussian(130.0);
        let plain = family_profile(&e, &fe, &shape, &d, false).unwrap();
        let with = family_profile(&e, &fe, &shape, &d, true).unwrap();
        let sum = |v: &[f64]| v.iter().sum::<f64>();
        assert!((sum(&plain) - 1.0).abs() < 1e-4);
        let extra = sum(&with) - sum(&plain);
        assert!((0.0025..0.005).contains(&extra), "{extra}");
    }
}
