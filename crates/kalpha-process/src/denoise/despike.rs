//! Cosmic rays and other spikes.
//!
//! A spike rises within a channel or two and falls again. The modified z-score of the first
//! differences, `0.6745 (d_i - median d) / median |d - median d|`, marks steep places; a rise and a
//! fall above `threshold` within `width` channels are a spike where both are abrupt: the step before
//! is less than a quarter of the rise, the step after less than a quarter of rise or fall, as they
//! are not in a resolved line. Its channels become the mean of the nearest clean channels, `reach`
//! on each side. Everything else is returned as it was.
//!
//! Source: Whitaker and Hayes (2018), Chemom. Intell. Lab. Syst. 179, 82,
//! doi:10.1016/j.chemolab.2018.06.009. Complexity O(n). Tested on spikes of known place.

use crate::row_method::{Block, RowMethod, RowStatus, Treat};
use kalpha_core::{Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Steps before the rise and after the fall, in units of these, below which a spike is abrupt.
const ABRUPT: f64 = 0.25;

/// Parameters of `denoise.despike`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Despike {
    /// Modified z-score of a difference that is too steep for a line.
    pub threshold: f64,
    /// Widest spike, in channels.
    pub width: usize,
    /// Clean channels averaged on each side.
    pub reach: usize,
}

impl Default for Despike {
    fn default() -> Self {
        Self { threshold: 8.0, width: 3, reach: 3 }
    }
}

impl Treat for Despike {
    const ID: &'static str = "denoise.despike";
    const REVISION: u32 = 4;
    const ABOUT: &'static str = "Replaces cosmic rays by what stands beside them";
    type Method = DespikeMethod;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        let refuse = |parameter, got: String, expected: &str| {
            Err(StepError::Parameter { parameter, got, expected: expected.to_owned() })
        };
        if !(self.threshold.is_finite() && self.threshold > 0.0) {
            return refuse("threshold", self.threshold.to_string(), "a positive number");
        }
        if self.width == 0 || self.reach == 0 {
            return refuse("width, reach", format!("{}, {}", self.width, self.reach), "at least 1");
        }
        let least = 4 * (self.width + self.reach);
        match rows.channels < least {
            true => Err(StepError::TooLittle {
                what: format!("{} channels are too few to tell spikes", rows.channels),
                hint: format!("{least} channels are needed, or a smaller width and reach"),
            }),
            false => Ok(()),
        }
    }

    fn method(self, _: &Rows, _: &Metadata, _: &dyn Passes) -> Result<DespikeMethod, StepError> {
        Ok(DespikeMethod(self))
    }

    fn noise(&self, noise: &NoiseModel) -> NoiseModel {
        // A replaced channel is a mean of counts: few channels, but they are counts no more.
        match noise {
            NoiseModel::Poisson { .. } | NoiseModel::PoissonGaussian { .. } => NoiseModel::Unknown,
            other => other.clone(),
        }
    }
}

/// `denoise.despike`.
pub struct DespikeMethod(Despike);

/// Working memory.
#[derive(Clone, Debug, Default)]
pub struct DespikeScratch {
    differences: Vec<f64>,
    sorted: Vec<f64>,
    spike: Vec<bool>,
}

fn median(values: &mut [f64]) -> f64 {
    let n = values.len();
    *values.select_nth_unstable_by(n / 2, f64::total_cmp).1
}

/// A spike on channels i + 1 and i + 2 that takes two steps on one side, each perhaps too small to be
/// called steep, and one on the other. A line does not: its flanks are alike.
fn two_steps(differences: &[f64], middle: f64, limit: f64, i: usize) -> bool {
    let Some(&[a, b, c]) = differences.get(i..i + 3) else { return false };
    let [a, b, c] = [a - middle, b - middle, c - middle];
    let (one, two, smaller) = if b > 0.0 { (-c, a + b, a.min(b)) } else { (a, -b - c, -b.max(c)) };
    // One step and a little beside it are one step.
    if smaller < ABRUPT * two {
        return false;
    }
    let beside = |k: Option<usize>| {
        k.and_then(|k| differences.get(k)).is_none_or(|d| (d - middle).abs() < ABRUPT * two)
    };
    // The sum of two steps is noisier than one.
    let steep = two.min(one) > std::f64::consts::SQRT_2 * limit && (one - two).abs() < 0.2 * two;
    steep && beside(i.checked_sub(1)) && beside(Some(i + 3))
}

impl DespikeMethod {
    /// Cleans `y` into `out`; gives the number of channels replaced.
    pub fn row(&self, y: &[f64], out: &mut [f64], scratch: &mut DespikeScratch) -> usize {
        let DespikeScratch { differences, sorted, spike } = scratch;
        let Despike { threshold, width, reach } = self.0;
        let n = y.len();
        out.copy_from_slice(y);
        differences.clear();
        differences.extend(y.windows(2).map(|w| w[1] - w[0]));
        sorted.clear();
        sorted.extend_from_slice(differences);
        let middle = median(sorted);
        sorted.iter_mut().for_each(|v| *v = (*v - middle).abs());
        let spread = median(sorted);
        // Without any noise there is no scale to call a step steep by.
        if spread == 0.0 || !spread.is_finite() {
            return 0;
        }
        let limit = threshold * spread / 0.6745;
        spike.clear();
        spike.resize(n, false);
        let mut i = 0;
        while i + 1 < n {
            if two_steps(differences, middle, limit, i) {
                spike[i + 1..=i + 2].fill(true);
                i += 3;
                continue;
            }
            let rise = differences[i] - middle;
            // The first steep fall that comes back most of the way; a line's flank before a spike
            // is no part of it.
            let (mut height, mut steepest) = (0.0f64, rise);
            let fall = (i + 1..(i + 1 + width).min(n - 1))
                .find(|&j| {
                    height = height.max(y[j] - y[i]);
                    let down = differences[j] - middle < -limit;
                    if !down {
                        steepest = steepest.max(differences[j] - middle);
                    }
                    down && y[j + 1] - y[i] < 0.3 * height
                })
                .filter(|_| rise > limit.max(0.1 * steepest))
                // A line rises and falls over several channels, a cosmic ray out of the blue.
                .filter(|&j| {
                    let before = if i == 0 { 0.0 } else { differences[i - 1] - middle };
                    let after = differences.get(j + 1).map_or(0.0, |d| d - middle);
                    // The fall may take two steps; the rise is the height of the spike.
                    let fall = (differences[j] - middle).abs().max(rise);
                    before.abs() < ABRUPT * rise && after.abs() < ABRUPT * fall
                });
            match fall {
                Some(j) => {
                    spike[i + 1..=j].fill(true);
                    i = j + 1;
                }
                None => i += 1,
            }
        }
        // A spike on the first or last channel has but one side.
        let edge = |a: f64, b: f64, c: f64| a - b > limit && (b - c).abs() < limit;
        spike[0] |= edge(y[0], y[1], y[2]);
        spike[n - 1] |= edge(y[n - 1], y[n - 2], y[n - 3]);
        for i in 0..n {
            if spike[i] {
                let before = (0..i).rev().filter(|j| !spike[*j]).take(reach);
                let after = (i + 1..n).filter(|j| !spike[*j]).take(reach);
                let (sum, count) =
                    before.chain(after).fold((0.0, 0.0), |(s, c), j| (s + y[j], c + 1.0));
                out[i] = sum / f64::max(count, 1.0);
            }
        }
        spike.iter().filter(|s| **s).count()
    }
}

impl RowMethod for DespikeMethod {
    type Scratch = DespikeScratch;

    fn columns(&self) -> Vec<(&'static str, String)> {
        vec![("channels_replaced", String::new())]
    }

    fn apply(&self, block: &mut Block<'_>, scratch: &mut DespikeScratch) {
        block.each(|y, z, table| {
            table[0] = self.row(y, z, scratch) as f64;
            RowStatus::Fine
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kalpha_num::rng::Stream;

    #[test]
    fn spikes_go_and_lines_stay() {
        let noise = Stream::new(8, "despike", 0);
        let clean: Vec<f64> = (0..400)
            .map(|i| {
                let peak = |c: f64, s: f64| (-0.5 * ((i as f64 - c) / s).powi(2)).exp();
                100.0 + 400.0 * peak(120.0, 5.0) + 3.0 * noise.at(0, i).normal()
            })
            .collect();
        let mut y = clean.clone();
        for (i, height) in [(0, 900.0), (50, 500.0), (51, 800.0), (118, 900.0), (300, 150.0)] {
            y[i] += height;
        }
        let mut out = vec![0.0; 400];
        let method = DespikeMethod(Despike::default());
        let replaced = method.row(&y, &mut out, &mut DespikeScratch::default());
        assert_eq!(replaced, 5);
        for i in 0..400 {
            let limit = if (115..122).contains(&i) { 60.0 } else { 15.0 };
            assert!((out[i] - clean[i]).abs() < limit, "{i} {} {}", out[i], clean[i]);
            if y[i] == clean[i] {
                assert_eq!(out[i], y[i], "{i}");
            }
        }
        assert_eq!(method.row(&clean, &mut out, &mut DespikeScratch::default()), 0);
        assert_eq!(method.row(&[3.0; 60], &mut out[..60], &mut DespikeScratch::default()), 0);
    }

    /// A cosmic ray that falls in two steps, as slanting ones do.
    #[test]
    fn slow_falls_are_spikes() {
        let noise = Stream::new(5, "despike", 0);
        let clean: Vec<f64> = (0..200).map(|i| 780.0 + 25.0 * noise.at(0, i).normal()).collect();
        let mut y = clean.clone();
        y[90] += 620.0;
        y[91] += 350.0;
        y[92] += 60.0;
        let mut out = vec![0.0; 200];
        let method = DespikeMethod(Despike::default());
        assert_eq!(method.row(&y, &mut out, &mut DespikeScratch::default()), 2);
        assert!((88..95).all(|i| (out[i] - clean[i]).abs() < 130.0), "{:?}", &out[88..95]);
    }

    /// As measured in a Raman series: the rise takes two steps, and the first is small.
    #[test]
    fn slow_rises_are_spikes() {
        let noise = Stream::new(6, "despike", 0);
        let clean: Vec<f64> = (0..200).map(|i| 1650.0 + 28.0 * noise.at(0, i).normal()).collect();
        let mut y = clean.clone();
        y[120] += 280.0;
        y[121] += 640.0;
        let mut out = vec![0.0; 200];
        let method = DespikeMethod(Despike::default());
        for _ in 0..2 {
            assert_eq!(method.row(&y, &mut out, &mut DespikeScratch::default()), 2);
            assert!(y.iter().zip(&out).all(|(a, b)| a == b || (b - 1650.0).abs() < 130.0));
            y.reverse();
        }
    }

    /// The Raman line of silicon, four channels wide and a hundred times the background, as measured.
    #[test]
    fn sharp_lines_are_no_spikes() {
        let line = [
            187.0, 229.0, 237.0, 277.0, 353.0, 485.0, 711.0, 1169.0, 2009.0, 3695.0, 6459.0,
            10763.0, 14997.0, 14797.0, 8685.0, 3655.0, 1765.0, 957.0, 679.0, 513.0, 395.0, 339.0,
        ];
        let noise = Stream::new(3, "despike", 0);
        let y: Vec<f64> = (0..200)
            .map(|i| 150.0 + 9.0 * noise.at(0, i).normal())
            .enumerate()
            .map(|(i, v)| line.get(i.wrapping_sub(80)).copied().unwrap_or(v))
            .collect();
        let mut out = vec![0.0; 200];
        let method = DespikeMethod(Despike::default());
        assert_eq!(method.row(&y, &mut out, &mut DespikeScratch::default()), 0);
        assert_eq!(out, y);
        let turned: Vec<f64> = y.iter().rev().copied().collect();
        assert_eq!(method.row(&turned, &mut out, &mut DespikeScratch::default()), 0);
    }
}
