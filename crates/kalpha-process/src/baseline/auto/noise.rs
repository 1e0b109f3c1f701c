//! Noise of a spectrum as a straight line: variance = `offset + slope x level`.

use crate::baseline::edges::moving_mean;
use kalpha_core::NoiseModel;

/// Variance along a spectrum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::baseline) struct Noise {
    pub offset: f64,
    pub slope: f64,
    /// The least variance.
    pub floor: f64,
}

impl Noise {
    /// Variance at a level.
    pub fn at(&self, level: f64) -> f64 {
        (self.offset + self.slope * level.max(0.0)).max(self.floor)
    }

    /// What the noise model says, in units of `scale`; nothing where it says nothing.
    fn told(model: &NoiseModel, scale: f64) -> Option<Self> {
        let line = |offset: f64, slope: f64| Self { offset, slope, floor: 0.0 };
        match *model {
            NoiseModel::Poisson { gain } => Some(line(0.0, gain / scale)),
            NoiseModel::Gaussian { sigma } => Some(line((sigma / scale).powi(2), 0.0)),
            NoiseModel::PoissonGaussian { gain, sigma } => {
                Some(line((sigma / scale).powi(2), gain / scale))
            }
            _ => None,
        }
    }

    /// The noise of `y`, told by the model or found, with a floor from the rough baseline.
    ///
    /// Found: second differences have six times the variance of a channel where the signal is
    /// smooth. Their median size in each of up to 32 segments, against the median level, gives
    /// the line by weighted least squares with neither coefficient negative.
    pub fn of(y: &[f64], rough: &[f64], model: &NoiseModel, scale: f64) -> Self {
        let mut noise = Self::told(model, scale).unwrap_or_else(|| found(y));
        let mut sorted = y.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let at = |part: f64| sorted[((sorted.len() - 1) as f64 * part) as usize];
        let lowest = rough.iter().copied().fold(f64::INFINITY, f64::min);
        // A baseline that dips far below the data must not be held by channels of no noise.
        let quarter = 0.25 * noise.at(lowest);
        let spread = 1e-3 * (at(0.9) - at(0.1));
        let range = 1e-9 * (at(1.0) - at(0.0));
        let least = match noise.slope > 0.0 || noise.offset > 0.0 {
            true => 0.0,
            false => spread.max(range).powi(2),
        };
        let one_count = 0.25 * noise.slope * noise.slope;
        noise.floor = quarter.max(least).max(one_count).max(range.powi(2)).max(1e-300);
        noise
    }
}

fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

fn found(y: &[f64]) -> Noise {
    let differences: Vec<f64> = y.windows(3).map(|w| (w[0] - 2.0 * w[1] + w[2]).abs()).collect();
    let n = differences.len();
    let segments = (n / 32).clamp(4, 32);
    let (mut levels, mut variances) = (Vec::new(), Vec::new());
    for s in 0..segments {
        let (a, b) = (s * n / segments, (s + 1) * n / segments);
        if a == b {
            continue;
        }
        levels.push(median(&mut y[a + 1..b + 1].to_vec()).max(0.0));
        let size = median(&mut differences[a..b].to_vec()) / 0.6745;
        variances.push(size * size / 6.0);
    }
    let mean = variances.iter().sum::<f64>() / variances.len().max(1) as f64;
    let mut weights: Vec<f64> = variances.iter().map(|v| 1.0 / v.max(1e-3 * mean)).collect();
    let (mut offset, mut slope) = (mean, 0.0);
    for _ in 0..3 {
        let (mut s1, mut sl, mut sll, mut sv, mut slv) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for ((l, v), w) in levels.iter().zip(&variances).zip(&weights) {
            let w = w * w;
            s1 += w;
            sl += w * l;
            sll += w * l * l;
            sv += w * v;
            slv += w * l * v;
        }
        let cross = s1 * sll - sl * sl;
        (offset, slope) = ((sv * sll - slv * sl) / cross, (s1 * slv - sl * sv) / cross);
        if cross <= 0.0 || !offset.is_finite() || !slope.is_finite() || slope < 0.0 {
            (offset, slope) = (sv / s1, 0.0);
        } else if offset < 0.0 {
            (offset, slope) = (0.0, slv / sll);
        }
        if !(offset.is_finite() && slope.is_finite()) {
            return Noise { offset: mean, slope: 0.0, floor: 0.0 };
        }
        // Segments full of peaks say too much: they count less.
        for ((l, v), w) in levels.iter().zip(&variances).zip(&mut weights) {
            let model = (offset + slope * l).max(1e-3 * mean);
            *w = 1.0 / (model * (1.0 + ((v - model) / model).powi(2)));
        }
    }
    Noise { offset, slope, floor: 0.0 }
}

/// A first guess of the baseline: smoothed, opened by a twelfth of the spectrum, smoothed again.
pub(in crate::baseline) fn rough(
    y: &[f64],
    morphology: &mut crate::baseline::morphology::Scratch,
) -> Vec<f64> {
    let n = y.len();
    let (mut a, mut b) = (vec![0.0; n], vec![0.0; n]);
    moving_mean(y, (n / 100).max(3) / 2, &mut a);
    crate::baseline::morphology::opening(&a, (n / 12).max(3) / 2, &mut b, morphology);
    moving_mean(&b, (n / 24).max(3) / 2, &mut a);
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use kalpha_num::rng::Stream;

    /// Counting noise on a slope, with peaks on a fifth of the channels.
    #[test]
    fn line_of_variance_is_found() {
        let stream = Stream::new(4, "noise", 0);
        for gain in [1.0, 7.0] {
            let y: Vec<f64> = (0..2000)
                .map(|i| {
                    let x = i as f64;
                    let peak = if i % 500 < 100 { 800.0 } else { 0.0 };
                    let mean =
                        3000.0 - 1.3 * x + peak * (-0.5 * ((x % 500.0 - 50.0) / 9.0).powi(2)).exp();
                    gain * stream.at(0, i).poisson(mean) as f64
                })
                .collect();
            let noise = found(&y);
            for level in [500.0, 1500.0, 2800.0] {
                let ratio = noise.at(gain * level) / (gain * gain * level);
                assert!((0.75..1.35).contains(&ratio), "{gain} {level}: {ratio}");
            }
        }
        assert_eq!(found(&[2.0; 64]).at(2.0), 0.0);
    }
}
