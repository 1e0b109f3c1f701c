//! Wavelet denoising, translation-invariant.
//!
//! The undecimated transform (all shifts of the decimated one at once) is shrunk level by level
//! and inverted. The noise is taken from the data: `sigma = median |d_1| / 0.6745` of the finest
//! details, or given. Beyond the ends a spectrum continues by point reflection, which keeps value
//! and slope.
//!
//! Rules, n channels, sigma_j the noise of level j:
//! - `neighbour`: `d (1 - 2 ln n sigma_j² / (d_-² + d² + d_+²))`, zero where negative: a detail is
//!   kept when it and its neighbours stand out together (Cai and Silverman 2001, Sankhyā B 63, 127).
//! - `universal`: threshold `sigma_j sqrt(2 ln n)` (Donoho and Johnstone 1994,
//!   doi:10.1093/biomet/81.3.425).
//! - `sure`: the soft threshold of least Stein risk at each level (Donoho and Johnstone 1995,
//!   doi:10.1080/01621459.1995.10476626).
//! - `bayes`: `sigma_j² / sigma_x`, sigma_x the spread of the details without noise (Chang, Yu and
//!   Vetterli 2000, doi:10.1109/83.862633).
//!
//! Source of the translation-invariant form: Coifman and Donoho (1995),
//! doi:10.1007/978-1-4612-2544-7_9. Complexity O(n levels length). Tested against PyWavelets 1.9
//! and Savitzky-Golay on measured absorption spectra.

pub mod filters;

use crate::{
    instructions::for_each_instruction_set,
    row_method::{Block, RowMethod, RowStatus, Treat},
};
use kalpha_core::{Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Median of |normal| in units of its standard deviation.
const MEDIAN_OF_NORMAL: f64 = 0.674_489_750_196_081_7;

/// Wavelet families.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Family {
    Haar,
    Db4,
    Sym4,
    #[default]
    Sym8,
    Coif3,
}

impl Family {
    /// Low-pass filter.
    pub fn filter(self) -> &'static [f64] {
        match self {
            Self::Haar => &filters::HAAR,
            Self::Db4 => &filters::DB4,
            Self::Sym4 => &filters::SYM4,
            Self::Sym8 => &filters::SYM8,
            Self::Coif3 => &filters::COIF3,
        }
    }
}

/// How details are told from noise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// With their neighbours.
    #[default]
    Neighbour,
    /// One threshold from the number of channels.
    Universal,
    /// Threshold of least Stein risk at each level.
    Sure,
    /// Threshold from the spread of each level.
    Bayes,
}

/// What becomes of details above the threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Threshold {
    /// They are lowered by it.
    #[default]
    Soft,
    /// They are kept.
    Hard,
}

/// Parameters of `denoise.wavelet`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Wavelet {
    /// Wavelet.
    pub family: Family,
    /// How details are told from noise.
    pub rule: Rule,
    /// What becomes of details above the threshold; `neighbour` has its own way.
    pub threshold: Threshold,
    /// Levels; as many as the filter fits into the spectrum if absent.
    pub levels: Option<usize>,
    /// Standard deviation of the noise; from each spectrum if absent.
    pub sigma: Option<f64>,
}

impl Wavelet {
    fn levels(&self, channels: usize) -> Result<usize, StepError> {
        let length = self.family.filter().len();
        let most = (channels / (length - 1)).checked_ilog2().unwrap_or(0) as usize;
        let levels = self.levels.unwrap_or(most);
        if levels == 0 || levels > most {
            return Err(StepError::Parameter {
                parameter: "levels",
                got: levels.to_string(),
                expected: format!(
                    "{channels} channels take 1 to {most} levels of a filter of {length}; a shorter \
                     wavelet takes more"
                ),
            });
        }
        if self.sigma.is_some_and(|s| !s.is_finite() || s < 0.0) {
            return Err(StepError::Parameter {
                parameter: "sigma",
                got: format!("{:?}", self.sigma),
                expected: "zero or a positive number".into(),
            });
        }
        Ok(levels)
    }

    /// The method for spectra of `channels`.
    ///
    /// # Errors
    /// When levels do not fit.
    pub fn planned(self, channels: usize) -> Result<WaveletMethod, StepError> {
        Ok(WaveletMethod { levels: self.levels(channels)?, params: self })
    }
}

impl Treat for Wavelet {
    const ID: &'static str = "denoise.wavelet";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Translation-invariant wavelet denoising";
    type Method = WaveletMethod;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        self.levels(rows.channels).map(|_| ())
    }

    fn method(self, rows: &Rows, _: &Metadata, _: &dyn Passes) -> Result<WaveletMethod, StepError> {
        self.planned(rows.meta().channels)
    }

    fn noise(&self, _: &NoiseModel) -> NoiseModel {
        NoiseModel::Correlated
    }
}

/// `denoise.wavelet` for spectra of one length.
pub struct WaveletMethod {
    params: Wavelet,
    levels: usize,
}

/// Working memory.
#[derive(Clone, Debug, Default)]
pub struct WaveletScratch {
    /// Approximation, continued beyond both ends.
    low: Vec<f64>,
    next: Vec<f64>,
    details: Vec<Vec<f64>>,
    sorted: Vec<f64>,
}

impl WaveletMethod {
    /// Denoises `y`, finite, into `out`; gives the noise's standard deviation.
    pub fn row(&self, y: &[f64], out: &mut [f64], scratch: &mut WaveletScratch) -> f64 {
        let WaveletScratch { low, next, details, sorted } = scratch;
        let (n, filter) = (y.len(), self.params.family.filter());
        // What one value at the coarsest level reaches on either side.
        let pad = ((filter.len() - 1) * ((1 << self.levels) - 1)).min(n - 1);
        low.clear();
        low.extend((1..=pad).rev().map(|i| 2.0 * y[0] - y[i]));
        low.extend_from_slice(y);
        low.extend((1..=pad).map(|i| 2.0 * y[n - 1] - y[n - 1 - i]));
        next.resize(low.len(), 0.0);
        details.resize_with(self.levels, Vec::new);
        let (smooth, detail) = filter_pair(filter);
        for (level, d) in details.iter_mut().enumerate() {
            d.resize(low.len(), 0.0);
            next.fill(0.0);
            d.fill(0.0);
            for k in 0..filter.len() {
                let shift = (k << level) % low.len();
                add_shifted(low, shift, smooth[k], next);
                add_shifted(low, shift, detail[k], d);
            }
            std::mem::swap(low, next);
        }
        let inside = pad..pad + n;
        let sigma = self.params.sigma.unwrap_or_else(|| {
            sorted.clear();
            sorted.extend(details[0][inside.clone()].iter().map(|v| v.abs()));
            // Details of the undecimated transform are smaller by the root of 2 at each level.
            median(sorted) / MEDIAN_OF_NORMAL * 2f64.sqrt()
        });
        for (level, d) in details.iter_mut().enumerate() {
            let here = sigma * 0.5f64.powf(0.5 * (level + 1) as f64);
            self.shrink(d, inside.clone(), here, sorted, next);
        }
        for (level, d) in details.iter().enumerate().rev() {
            next.fill(0.0);
            let len = low.len();
            for k in 0..filter.len() {
                let shift = (len - (k << level) % len) % len;
                add_shifted(low, shift, smooth[k], next);
                add_shifted(d, shift, detail[k], next);
            }
            std::mem::swap(low, next);
        }
        out.copy_from_slice(&low[inside]);
        sigma
    }

    fn shrink(
        &self,
        d: &mut [f64],
        inside: std::ops::Range<usize>,
        sigma: f64,
        sorted: &mut Vec<f64>,
        spare: &mut [f64],
    ) {
        let n = inside.len() as f64;
        let universal = sigma * (2.0 * n.ln()).sqrt();
        let threshold = match self.params.rule {
            Rule::Neighbour => {
                let len = d.len();
                for i in 0..len {
                    let (before, after) = (d[(i + len - 1) % len], d[(i + 1) % len]);
                    let energy = before * before + d[i] * d[i] + after * after;
                    let keep = 1.0 - universal * universal / energy;
                    spare[i] = if keep > 0.0 { d[i] * keep } else { 0.0 };
                }
                d.copy_from_slice(&spare[..len]);
                return;
            }
            Rule::Universal => universal,
            Rule::Bayes => {
                let square = d[inside].iter().map(|v| v * v).sum::<f64>() / n;
                let signal = square - sigma * sigma;
                match signal > 0.0 {
                    true => sigma * sigma / signal.sqrt(),
                    false => f64::INFINITY,
                }
            }
            Rule::Sure => sure(&d[inside], sigma, universal, sorted),
        };
        for v in d.iter_mut() {
            let above = v.abs() - threshold;
            *v = match self.params.threshold {
                _ if above <= 0.0 || above.is_nan() => 0.0,
                Threshold::Hard => *v,
                Threshold::Soft => above.copysign(*v),
            };
        }
    }
}

/// Soft threshold of least `n - 2 #{|d| <= t} + sum min(d², t²)`, in units of the noise, at most
/// the universal one.
fn sure(d: &[f64], sigma: f64, universal: f64, sorted: &mut Vec<f64>) -> f64 {
    if sigma == 0.0 {
        return 0.0;
    }
    sorted.clear();
    sorted.extend(d.iter().map(|v| v.abs() / sigma));
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    // Without threshold nothing is gained: the risk is that of the data.
    let (mut best, mut least, mut below) = (0.0, n as f64, 0.0);
    for (k, &t) in sorted.iter().enumerate() {
        below += t * t;
        let risk = n as f64 - 2.0 * (k + 1) as f64 + below + (n - k - 1) as f64 * t * t;
        if risk < least {
            (best, least) = (t, risk);
        }
    }
    (best * sigma).min(universal)
}

/// Median; reorders.
fn median(values: &mut [f64]) -> f64 {
    let n = values.len();
    if n == 0 {
        return 0.0;
    }
    let (below, &mut middle, _) = values.select_nth_unstable_by(n / 2, f64::total_cmp);
    match n % 2 {
        1 => middle,
        _ => 0.5 * (middle + below.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
    }
}

/// Low-pass and high-pass filters of the undecimated transform.
fn filter_pair(h: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let half = 0.5f64.sqrt();
    let n = h.len();
    let smooth = h.iter().map(|v| v * half).collect();
    let detail = (0..n).map(|k| if k % 2 == 0 { half } else { -half } * h[n - 1 - k]).collect();
    (smooth, detail)
}

#[inline(always)]
fn plain_add(from: &[f64], weight: f64, to: &mut [f64]) {
    for (t, f) in to.iter_mut().zip(from) {
        *t += weight * f;
    }
}

for_each_instruction_set! {
    fn add(from: &[f64], weight: f64, to: &mut [f64]) = plain_add
}

/// `to[i] += weight from[i - shift]`, circular: the ends stand in the continuation.
fn add_shifted(from: &[f64], shift: usize, weight: f64, to: &mut [f64]) {
    let n = from.len();
    add(&from[..n - shift], weight, &mut to[shift..]);
    add(&from[n - shift..], weight, &mut to[..shift]);
}

impl RowMethod for WaveletMethod {
    type Scratch = WaveletScratch;

    fn columns(&self) -> Vec<(&'static str, String)> {
        vec![("sigma", String::new())]
    }

    fn apply(&self, block: &mut Block<'_>, scratch: &mut WaveletScratch) {
        block.each(|y, z, table| {
            table[0] = self.row(y, z, scratch);
            if z.iter().any(|v| !v.is_finite()) {
                z.fill(f64::NAN);
                return RowStatus::Refused;
            }
            RowStatus::Fine
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kalpha_num::rng::Stream;

    const RULES: [Rule; 4] = [Rule::Neighbour, Rule::Universal, Rule::Sure, Rule::Bayes];

    fn peaks(n: usize) -> Vec<f64> {
        (0..n)
            .map(|i| {
                let peak = |c: f64, s: f64| (-0.5 * ((i as f64 - c) / s).powi(2)).exp();
                0.003 * i as f64 + 2.0 * peak(60.0, 4.0) + peak(150.0, 9.0)
            })
            .collect()
    }

    #[test]
    fn nothing_is_lost_without_noise() {
        let y = peaks(257);
        for family in [Family::Haar, Family::Db4, Family::Sym4, Family::Sym8, Family::Coif3] {
            let params = Wavelet { family, sigma: Some(0.0), ..Wavelet::default() };
            let method = params.planned(257).unwrap();
            let mut out = vec![0.0; 257];
            method.row(&y, &mut out, &mut WaveletScratch::default());
            for i in 0..257 {
                assert!((out[i] - y[i]).abs() < 1e-7, "{family:?} {i} {}", out[i] - y[i]);
            }
        }
    }

    #[test]
    fn noise_goes_and_peaks_stay() {
        let y = peaks(256);
        let noise = Stream::new(2, "wavelet", 0);
        let noisy: Vec<f64> =
            y.iter().enumerate().map(|(i, v)| v + 0.05 * noise.at(0, i).normal()).collect();
        for rule in RULES {
            for threshold in [Threshold::Soft, Threshold::Hard] {
                let params = Wavelet { rule, threshold, ..Wavelet::default() };
                let method = params.planned(256).unwrap();
                let mut out = vec![0.0; 256];
                let sigma = method.row(&noisy, &mut out, &mut WaveletScratch::default());
                assert!((sigma / 0.05 - 1.0).abs() < 0.2, "{sigma}");
                let left: f64 = out.iter().zip(&y).map(|(a, b)| (a - b).powi(2)).sum();
                let rmse = (left / 256.0).sqrt();
                assert!(rmse < 0.035, "{rule:?} {threshold:?} {rmse}");
            }
        }
    }

    /// The undecimated details of white noise have the spread that is assumed.
    #[test]
    fn levels_have_the_assumed_noise() {
        let noise = Stream::new(4, "levels", 0);
        let white: Vec<f64> = (0..8192).map(|i| noise.at(0, i).normal()).collect();
        let method = Wavelet { levels: Some(4), ..Wavelet::default() }.planned(8192).unwrap();
        let (mut scratch, mut out) = (WaveletScratch::default(), vec![0.0; 8192]);
        let sigma = method.row(&white, &mut out, &mut scratch);
        assert!((sigma - 1.0).abs() < 0.03, "{sigma}");
        let left = (out.iter().map(|v| v * v).sum::<f64>() / 8192.0).sqrt();
        // What is left is the approximation alone: 2^-4 of the power.
        assert!((left - 0.25).abs() < 0.05, "{left}");
    }

    #[test]
    fn too_short_is_refused() {
        assert!(Wavelet::default().planned(20).is_err());
        assert!(Wavelet { levels: Some(9), ..Wavelet::default() }.planned(300).is_err());
        assert!(Wavelet { family: Family::Haar, ..Wavelet::default() }.planned(2).is_ok());
    }
}
