//! Pile-up in the pixel null.
//!
//! Two photons within one shaping time count as one of the summed energy: in pixel r, with the
//! mean `m_r = sum_k w[r, k] u_k` before pile-up, `P_r = s (m_r * m_r)` such counts are expected
//! (convolution over energy). It is quadratic in the intensity, so no mixture of end-members
//! follows it: where two phases share a pixel, the sum peaks of lines of different phases are in
//! neither end-member, and in a bright pixel all sum peaks are too strong. Unmodelled, a line that
//! lies at such a sum is flagged.
//!
//! `P_r = s sum_kl w[r, k] w[r, l] (u_k * u_l)` needs the convolutions of pairs of end-members
//! alone ([`measured_pairs`]). The one rate constant s makes the pile-up of all pixels add up to
//! what the line fit finds in the sum spectrum, whose uncertainty widens the null. End-members
//! were fitted to counts with pile-up: their own share of it is taken out first, and they are
//! improved beside the known part, twice.
//!
//! Complexity: `pairs * channels^2` for the convolutions, `rows * pairs` for the amounts.
//! Tested on a simulated map where a line at a sum energy is flagged without it.

use super::windows::Windows;
use super::{FORGET_PASSES, FORGET_TOLERANCE};
use crate::nmf_kl::table::Columns;
use crate::nmf_kl::{self, Fixed};
use kalpha_core::{Passes, Rows, StepError};
use kalpha_physics::pileup::{SumPileUp, measured_pairs};
use std::sync::Arc;

/// Pile-up of the sum spectrum with the energies of its channels.
#[derive(Clone, Copy, Debug)]
pub struct PileUp<'a> {
    /// Channel centres in keV, equally spaced.
    pub energies: &'a [f64],
    /// What the line fit finds in the sum.
    pub of_sum: &'a SumPileUp,
}

/// Pile-up that is less sure than this many standard deviations is left out.
const LEAST_SIGNIFICANCE: f64 = 3.0;
/// Pairs of end-members with less than this share of all pile-up are left out.
const LEAST_SHARE: f64 = 1e-3;
/// An end-member keeps at least this share of a channel when its pile-up is taken out.
const LEAST_KEPT: f64 = 0.05;
/// Rounds of taking out and improving.
const ROUNDS: usize = 2;
/// Passes of all rounds but the last: the pile-up they lead to needs no more.
const FIRST_PASSES: usize = 3;

impl PileUp<'_> {
    /// Whether there is any to model.
    pub fn is_seen(&self) -> bool {
        let sigma = self.of_sum.relative_sigma;
        self.of_sum.total() > 0.0 && sigma.is_finite() && sigma < 1.0 / LEAST_SIGNIFICANCE
    }
}

/// The expected pile-up of every pixel.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    parts: usize,
    amounts: Vec<f64>,
    spectra: Vec<f64>,
    sums: Vec<f64>,
    columns: Columns,
    pub relative_sigma: f64,
}

impl Known {
    pub fn fixed(&self) -> Fixed<'_> {
        Fixed {
            parts: self.parts,
            amounts: &self.amounts,
            spectra: &self.spectra,
            sums: &self.sums,
            columns: &self.columns,
        }
    }

    /// Counts expected in all pixels together.
    pub fn total(&self) -> f64 {
        let rows = self.amounts.chunks_exact(self.parts.max(1));
        rows.flat_map(|row| row.iter().zip(&self.sums)).map(|(a, s)| a * s).sum()
    }
}

/// Counts expected in every window of every pixel: rows x lanes; empty where nothing is known.
pub(crate) fn in_windows(fixed: Fixed<'_>, windows: &Windows, rows: usize) -> Vec<f32> {
    if fixed.parts == 0 {
        return Vec::new();
    }
    let mut shares = vec![0.0f32; fixed.parts * windows.lanes];
    for (f, window) in windows.channels.iter().enumerate() {
        for &c in window {
            let c = usize::from(c) * fixed.parts;
            for (q, g) in fixed.spectra[c..c + fixed.parts].iter().enumerate() {
                shares[q * windows.lanes + f] += *g as f32;
            }
        }
    }
    let mut out = vec![0.0f32; rows * windows.lanes];
    for (row, out) in out.chunks_exact_mut(windows.lanes.max(1)).enumerate() {
        for (a, share) in fixed.of(row).iter().zip(shares.chunks_exact(windows.lanes)) {
            out.iter_mut().zip(share).for_each(|(o, s)| *o += *a as f32 * s);
        }
    }
    out
}

/// End-members and abundances without pile-up, and the pile-up that follows from them.
///
/// `fitted`: rows that the end-members are improved on; `rows`: all of them.
pub(crate) fn separate(
    passes: &dyn Passes,
    (rows, fitted): (&Rows, &Rows),
    pile_up: &PileUp<'_>,
    mut spectra: Vec<f64>,
    components: usize,
    mut abundances: Vec<f64>,
) -> Result<(Vec<f64>, Vec<f64>, Known), StepError> {
    let mut known = Known::default();
    for round in 0..ROUNDS {
        let pairs = Pairs::new(pile_up, &spectra, components, &abundances);
        if round == 0 {
            pairs.take_out(&mut spectra, components);
        }
        known = pairs.of_rows(&abundances, components, pile_up.of_sum.relative_sigma);
        let last = round + 1 == ROUNDS;
        let most = if last { FORGET_PASSES } else { FIRST_PASSES };
        let fixed = known.fixed();
        let begin = (&spectra[..], &abundances[..]);
        let tolerance = FORGET_TOLERANCE;
        let near;
        (spectra, near) =
            nmf_kl::improve(passes, fitted, begin, components, fixed, most, tolerance)?;
        if Arc::ptr_eq(rows, fitted) {
            abundances = near;
        }
        if last || !Arc::ptr_eq(rows, fitted) {
            abundances =
                nmf_kl::refit_from(passes, rows, &spectra, &abundances, components, fixed)?;
        }
    }
    let pairs = Pairs::new(pile_up, &spectra, components, &abundances);
    known = pairs.of_rows(&abundances, components, known.relative_sigma);
    Ok((spectra, abundances, known))
}

/// Convolutions of end-members, `[k, l]` with `l <= k`, and how often they meet.
struct Pairs {
    channels: usize,
    /// components x (components + 1) / 2 spectra.
    spectra: Vec<Vec<f64>>,
    /// `sum_r w[r, k] w[r, l]`, components x components.
    meetings: Vec<f64>,
    /// Sum over rows of each abundance.
    totals: Vec<f64>,
    /// Probability that a given pair of counts of one pixel coincides.
    scale: f64,
}

fn pair(k: usize, l: usize) -> usize {
    let (k, l) = (k.max(l), k.min(l));
    k * (k + 1) / 2 + l
}

impl Pairs {
    fn new(pile_up: &PileUp<'_>, spectra: &[f64], components: usize, abundances: &[f64]) -> Self {
        let channels = spectra.len() / components.max(1);
        let of = |k: usize| &spectra[k * channels..(k + 1) * channels];
        let sum = pile_up.of_sum;
        let mut convolved = Vec::with_capacity(components * (components + 1) / 2);
        for k in 0..components {
            for l in 0..=k {
                convolved.push(measured_pairs(pile_up.energies, of(k), of(l), sum.noise_squared));
            }
        }
        let mut meetings = vec![0.0; components * components];
        let mut totals = vec![0.0; components];
        for w in abundances.chunks_exact(components.max(1)) {
            for k in 0..components {
                totals[k] += w[k];
                (0..components).for_each(|l| meetings[k * components + l] += w[k] * w[l]);
            }
        }
        let first = sum.first_channel.min(channels);
        let range = first..(first + sum.counts.len()).min(channels);
        let mut unscaled = 0.0;
        for k in 0..components {
            for l in 0..components {
                let here: f64 =
                    convolved[pair(k, l)].get(range.clone()).into_iter().flatten().sum();
                unscaled += meetings[k * components + l] * here;
            }
        }
        let scale = if unscaled > 0.0 { sum.total() / unscaled } else { 0.0 };
        Self { channels, spectra: convolved, meetings, totals, scale }
    }

    /// Takes the mean pile-up of each end-member out of it.
    fn take_out(&self, spectra: &mut [f64], components: usize) {
        for (k, u) in spectra.chunks_exact_mut(self.channels.max(1)).enumerate() {
            let mut out = vec![0.0; self.channels];
            for l in 0..components {
                let meetings = self.meetings[k * components + l];
                let amount = self.scale * meetings / self.totals[k].max(1e-300);
                let g = &self.spectra[pair(k, l)];
                out.iter_mut().zip(g).for_each(|(o, g)| *o += amount * g);
            }
            u.iter_mut().zip(&out).for_each(|(u, o)| *u = (*u - o).max(LEAST_KEPT * *u));
        }
    }

    /// The pile-up of every row, by the pairs that matter.
    fn of_rows(&self, abundances: &[f64], components: usize, relative_sigma: f64) -> Known {
        let mut kept: Vec<(usize, usize, f64)> = Vec::new();
        for k in 0..components {
            for l in 0..=k {
                let twice = if k == l { 1.0 } else { 2.0 };
                let g: f64 = self.spectra[pair(k, l)].iter().sum();
                let counts = twice * self.scale * self.meetings[k * components + l] * g;
                kept.push((k, l, counts));
            }
        }
        let total: f64 = kept.iter().map(|p| p.2).sum();
        kept.retain(|p| p.2 > LEAST_SHARE * total);
        let parts = kept.len();
        let mut spectra = vec![0.0; self.channels * parts];
        let mut sums = vec![0.0; parts];
        for (q, &(k, l, _)) in kept.iter().enumerate() {
            for (c, g) in self.spectra[pair(k, l)].iter().enumerate() {
                spectra[c * parts + q] = *g;
                sums[q] += g;
            }
        }
        let mut amounts = Vec::with_capacity(abundances.len() / components.max(1) * parts);
        for w in abundances.chunks_exact(components.max(1)) {
            amounts.extend(kept.iter().map(|&(k, l, _)| {
                let twice = if k == l { 1.0 } else { 2.0 };
                twice * self.scale * w[k] * w[l]
            }));
        }
        let columns = Columns::new(&spectra, parts, parts);
        Known { parts, amounts, spectra, sums, columns, relative_sigma }
    }
}
