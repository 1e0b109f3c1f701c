//! A baseline whose smoothness is found, with its uncertainty.
//!
//! Penalised least squares as in the Whittaker family, for sixteen smoothnesses at once.
//! 1. The noise: by the noise model, or from second differences against the level.
//! 2. The widths of the peaks, from windows against their surroundings.
//! 3. For each smoothness a baseline and the share B of channels that it takes for background.
//!    The smoothness is that of greatest `ln B - 0.045 k`, k the half octaves of cut-off
//!    wavelength below the stiffest: a softer baseline must explain 4.5 % more background for
//!    each. Baselines that could follow three widths of a wide peak (the upper quartile) are
//!    held off by 0.3 for each octave.
//! 4. Baselines within 0.05 of the best are averaged, with weights `exp(difference / 0.025)`.
//!
//! The uncertainty is the root mean square distance of nine admissible baselines from the one
//! given (half an octave stiffer and softer, three thresholds between background and peak),
//! with the statistical part in quadrature. A stiffer one that explains 10 % less is not
//! admissible.
//!
//! O(n) per iteration and smoothness. The constants were chosen on simulated spectra; tested on
//! others against the methods of pybaselines 1.2.1.

mod models;
pub(super) mod noise;
mod widths;

use super::{
    morphology,
    whittaker::{at_least, positive},
};
use crate::row_method::{Block, RowMethod, RowStatus, Treat};
use kalpha_core::{Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError};
use models::{MODELS, Memory, Spectrum, fit, variances};
use noise::{Noise, rough};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Smoothnesses tried.
const STEPS: usize = 2 * MODELS;
/// Octaves of cut-off wavelength from one to the next.
const OCTAVES: f64 = 0.5;
/// The stiffest cut-off wavelength, in octaves above the length of the spectrum.
const STIFFEST: f64 = 1.5;
/// Standard deviations of a smoothed residual at which a channel is half background.
const THRESHOLD: f64 = 1.2;
/// Thresholds of the admissible baselines.
const THRESHOLDS: [f64; 3] = [0.3, THRESHOLD, 2.4];
/// Logarithm of the background share that a softer step must win.
const PRICE: f64 = 0.045;
/// Price of an octave beyond what the widths of the peaks allow.
const TOO_SOFT: f64 = 0.3;
/// Baselines this far below the best are averaged with it, with this scale.
const NEAR: f64 = 0.05;
const SCALE: f64 = 0.025;
/// A stiffer baseline this far below the best is not admissible.
const REFUTED: f64 = 0.1;
/// Part of the median peak width that residuals are averaged over on each side.
const REACH: f64 = 0.1;

/// Parameters of `baseline.auto`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Auto {
    /// Times the width of a wide peak that the baseline may not follow: its least cut-off
    /// wavelength. Raise it where baselines climb into peaks, lower it where they cut corners.
    pub peak_widths: f64,
}

impl Default for Auto {
    fn default() -> Self {
        Self { peak_widths: 3.0 }
    }
}

impl Treat for Auto {
    const ID: &'static str = "baseline.auto";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Baseline of a smoothness found for each spectrum, with its sigma";
    const UNCERTAIN: bool = true;
    type Method = AutoMethod;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        positive("peak_widths", self.peak_widths)?;
        rows.signal.ascending()?;
        at_least(rows.channels, 32)
    }

    fn method(self, rows: &Rows, _: &Metadata, _: &dyn Passes) -> Result<AutoMethod, StepError> {
        let meta = rows.meta();
        Ok(AutoMethod::new(self, meta.channels, meta.noise.clone()))
    }

    fn noise(&self, _: &NoiseModel) -> NoiseModel {
        NoiseModel::Correlated
    }
}

/// `baseline.auto` for spectra of one length.
pub struct AutoMethod {
    params: Auto,
    noise: NoiseModel,
    penalty: Vec<Vec<f64>>,
    /// Smoothness by step, stiffest first.
    lam: [f64; STEPS],
}

/// Working memory of one thread.
#[derive(Default)]
pub struct Scratch {
    morphology: morphology::Scratch,
    memory: Memory,
}

/// Octaves of the cut-off wavelength below the length of the spectrum.
fn octaves(step: usize) -> f64 {
    OCTAVES * step as f64 - STIFFEST
}

/// Smoothness that halves a wave of this length in channels.
fn smoothness(wavelength: f64) -> f64 {
    (2.0 * (std::f64::consts::PI / wavelength.max(4.0)).sin()).powi(-4)
}

impl AutoMethod {
    /// The method for spectra of `channels` channels with noise of this kind.
    pub fn new(params: Auto, channels: usize, noise: NoiseModel) -> Self {
        let lam = std::array::from_fn(|k| smoothness(channels as f64 / octaves(k).exp2()));
        Self { params, noise, penalty: Spectrum::penalty(channels), lam }
    }

    /// Baseline and standard deviation of `y` into the halves of `out`.
    fn row(&self, y: &[f64], out: &mut [f64], table: &mut [f64], s: &mut Scratch) -> RowStatus {
        let n = y.len();
        let largest = y.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        if y.iter().all(|v| *v == y[0]) {
            out[..n].copy_from_slice(y);
            return RowStatus::Featureless;
        }
        // A power of two: no number changes but by its exponent.
        let scale = largest.log2().floor().exp2();
        let scaled: Vec<f64> = y.iter().map(|v| v / scale).collect();
        let start = rough(&scaled, &mut s.morphology);
        let noise = Noise::of(&scaled, &start, &self.noise, scale);
        let sigma: Vec<f64> = start.iter().map(|z| noise.at(*z).sqrt()).collect();
        let widths = widths::peak_widths(&scaled, &sigma);
        let at = |part: f64| match widths.len() {
            0 => None,
            m => {
                let place = part * (m - 1) as f64;
                let below = widths[place.floor() as usize];
                Some(below + (widths[place.ceil() as usize] - below) * place.fract())
            }
        };
        let reach = (at(0.5).unwrap_or(32.0) * REACH).round().clamp(1.0, 32.0) as usize;
        let wide = at(0.75).unwrap_or(3.0);
        let softest = (n as f64 / (self.params.peak_widths * wide)).log2().max(1.0);
        let spectrum = Spectrum { y: &scaled, noise, reach, penalty: &self.penalty };

        let mut all = Vec::with_capacity(2);
        for half in 0..2 {
            let lam = std::array::from_fn(|k| self.lam[half * MODELS + k]);
            all.push(fit(&spectrum, lam, [THRESHOLD; MODELS], &start, &mut s.memory));
        }
        let score = |k: usize| {
            let score = all[k / MODELS].shares[k % MODELS].ln()
                - PRICE * k as f64
                - TOO_SOFT * (octaves(k) - softest).max(0.0);
            if score.is_nan() { f64::NEG_INFINITY } else { score }
        };
        let scores: [f64; STEPS] = std::array::from_fn(score);
        let best = (0..STEPS).fold(0, |b, k| if scores[k] > scores[b] { k } else { b });
        if !scores[best].is_finite() {
            out.fill(f64::NAN);
            table.fill(f64::NAN);
            return RowStatus::Refused;
        }
        let of = |k: usize, i: usize| all[k / MODELS].baselines[i][k % MODELS];
        let (background, spread) = out.split_at_mut(n);
        let mut total = 0.0;
        for (k, score) in scores.iter().enumerate() {
            let below = scores[best] - score;
            if below < NEAR {
                let weight = (-below / SCALE).exp();
                total += weight;
                background.iter_mut().enumerate().for_each(|(i, z)| *z += weight * of(k, i));
            }
        }
        background.iter_mut().for_each(|z| *z /= total);

        // Nine admissible baselines; the middle one has been fitted.
        let stiffer_too = best > 0 && scores[best - 1] > scores[best] - REFUTED;
        let (lam, threshold) = self.neighbours(best);
        let middle: Vec<f64> = (0..n).map(|i| of(best, i)).collect();
        let around = fit(&spectrum, lam, threshold, &middle, &mut s.memory);
        let first = if stiffer_too { 0 } else { THRESHOLDS.len() };
        let lanes = first..MODELS;
        let (own, lane) = (&all[best / MODELS], best % MODELS);
        let typical = middle.iter().map(|z| noise.at(*z)).sum::<f64>() / n as f64;
        let weights: Vec<f64> =
            (0..n).map(|i| own.channel_shares[i][lane] / noise.at(middle[i]) * typical).collect();
        let statistical = variances(&weights, self.lam[best], &self.penalty);
        for i in 0..n {
            let squares = |z: f64| (z - background[i]).powi(2);
            let model = lanes.clone().map(|k| squares(around.baselines[i][k])).sum::<f64>()
                + squares(middle[i]);
            let model = model / (lanes.len() + 1) as f64;
            spread[i] = (model + statistical[i] * typical).sqrt();
        }
        out.iter_mut().for_each(|v| *v *= scale);
        let wavelength = n as f64 / octaves(best).exp2();
        table.copy_from_slice(&[
            self.lam[best],
            wavelength,
            at(0.75).unwrap_or(0.0),
            own.shares[lane],
        ]);
        if !out.iter().all(|v| v.is_finite()) {
            out.fill(f64::NAN);
            return RowStatus::Refused;
        }
        match octaves(best) > softest || best + 1 == STEPS {
            true => RowStatus::AtBound,
            false => RowStatus::Fine,
        }
    }

    /// Smoothness and thresholds around the best: stiffer, as it is, softer.
    fn neighbours(&self, best: usize) -> ([f64; MODELS], [f64; MODELS]) {
        let lam = |step: f64| self.lam[best] * (-4.0 * OCTAVES * step).exp2();
        let mut all = Vec::with_capacity(MODELS + 1);
        for step in [-1.0, 0.0, 1.0] {
            for threshold in THRESHOLDS {
                if step != 0.0 || threshold != THRESHOLD {
                    all.push((lam(step), threshold));
                }
            }
        }
        (std::array::from_fn(|k| all[k].0), std::array::from_fn(|k| all[k].1))
    }
}

impl RowMethod for AutoMethod {
    type Scratch = Scratch;

    fn columns(&self) -> Vec<(&'static str, String)> {
        vec![
            ("lam", String::new()),
            ("cut_off", "channels".into()),
            ("wide_peak", "channels".into()),
            ("background_share", String::new()),
        ]
    }

    fn apply(&self, block: &mut Block<'_>, scratch: &mut Scratch) {
        block.each(|y, out, table| self.row(y, out, table, scratch));
    }
}
