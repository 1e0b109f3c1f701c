//! Baseline between peaks told by the spread within a moving window.
//!
//! Channels whose moving standard deviation exceeds `num_std` times that of the noise (the
//! median of those below twice the median, repeated) are peaks, with a margin; across them the
//! baseline is straight, and all of it is smoothed by a moving mean.
//!
//! Source: Wang, Li, Zhang, Chang, Cao and Ge (2013), Anal. Chim. Acta 771, 14,
//! doi:10.1016/j.aca.2013.01.045. O(n). Tested against pybaselines 1.2.1 `std_distribution`.

use super::{
    edges::{Padded, smoothed},
    morphology::{self, optimal_half_window},
    whittaker::{at_least, parameter, positive},
};
use crate::row_method::{Block, RowMethod, RowStatus, Treat};
use kalpha_core::{Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `baseline.std_distribution`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StdDistribution {
    /// Half-width of the window of the standard deviation, in channels: about that of a peak.
    /// Found for each spectrum if absent.
    pub half_window: Option<usize>,
    /// Half-width of the mean at the ends of a peak.
    pub interp_half_window: usize,
    /// Margin around channels told to be peaks.
    pub fill_half_window: usize,
    /// Standard deviations of the noise above which a channel is a peak.
    pub num_std: f64,
    /// Half-width of the moving mean; as `half_window` if absent, 0 for none.
    pub smooth_half_window: Option<usize>,
}

impl Default for StdDistribution {
    fn default() -> Self {
        Self {
            half_window: None,
            interp_half_window: 5,
            fill_half_window: 3,
            num_std: 1.1,
            smooth_half_window: None,
        }
    }
}

impl Treat for StdDistribution {
    const ID: &'static str = "baseline.std_distribution";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Baseline between peaks told by a moving standard deviation";
    type Method = StdDistributionMethod;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        positive("num_std", self.num_std)?;
        rows.signal.ascending()?;
        if self.half_window == Some(0) {
            return Err(parameter("half_window", 0, "at least 1"));
        }
        at_least(rows.channels, 2 * self.half_window.unwrap_or(1) + 1)?;
        at_least(rows.channels, 2 * self.smooth_half_window.unwrap_or(0) + 1)
    }

    fn method(
        self,
        rows: &Rows,
        _: &Metadata,
        _: &dyn Passes,
    ) -> Result<StdDistributionMethod, StepError> {
        let axis = &rows.meta().signal;
        let x = (0..axis.len()).map(|i| axis.at(i)).collect();
        Ok(StdDistributionMethod { params: self, x })
    }

    fn noise(&self, _: &NoiseModel) -> NoiseModel {
        NoiseModel::Correlated
    }
}

/// `baseline.std_distribution` on one axis.
pub struct StdDistributionMethod {
    params: StdDistribution,
    x: Vec<f64>,
}

/// Working memory of one thread.
#[derive(Default)]
pub struct Scratch {
    morphology: morphology::Scratch,
    padded: Padded,
    long: Vec<f64>,
    squares: Vec<f64>,
    spread: Vec<f64>,
    sorted: Vec<f64>,
    baseline: Vec<bool>,
    rough: Vec<f64>,
}

impl RowMethod for StdDistributionMethod {
    type Scratch = Scratch;

    fn columns(&self) -> Vec<(&'static str, String)> {
        vec![("half_window", "channels".into())]
    }

    fn apply(&self, block: &mut Block<'_>, scratch: &mut Scratch) {
        block.each(|y, z, table| {
            let own = || optimal_half_window(y, &mut scratch.morphology).div_ceil(2);
            let half = self.params.half_window.unwrap_or_else(own).min((y.len() - 1) / 2).max(1);
            table[0] = half as f64;
            moving_deviation(y, half, scratch);
            let limit = self.params.num_std * noise_deviation(&scratch.spread, &mut scratch.sorted);
            self.find_peaks(limit, scratch);
            if !scratch.baseline.contains(&true) {
                z.fill(f64::NAN);
                return RowStatus::Refused;
            }
            self.bridge(y, scratch);
            let smooth = self.params.smooth_half_window.unwrap_or(half);
            smoothed(&scratch.rough, smooth, z, &mut scratch.padded);
            RowStatus::Fine
        });
    }
}

/// Standard deviations (n - 1) within `half` channels, the ends mirrored, into `spread`. Sums
/// move along as in pybaselines, so that equal data give equal digits.
fn moving_deviation(y: &[f64], half: usize, scratch: &mut Scratch) {
    let Scratch { long, squares, spread, .. } = scratch;
    let n = y.len();
    long.clear();
    long.extend((1..=half).rev().map(|i| y[i]));
    long.extend_from_slice(y);
    long.extend((1..=half).map(|i| y[n - 1 - i]));
    squares.clear();
    squares.resize(long.len(), 0.0);
    let width = 2 * half + 1;
    let mut mean = long[0];
    let mut sum = 0.0;
    for i in 1..width {
        let part = i as f64 / (i + 1) as f64;
        sum += 2.0 * part * (long[i] - mean).powi(2);
        mean = mean * part + long[i] / (i + 1) as f64;
    }
    squares[half] = sum / 2.0;
    for j in half + 1..long.len() - half {
        let (old, new) = (long[j - half - 1], long[j + half]);
        let step = new - old;
        let moved = mean + step / width as f64;
        squares[j] = squares[j - 1] + step * (old + new - mean - moved);
        mean = moved;
    }
    spread.clear();
    spread.extend(squares[half..half + n].iter().map(|s| (s.max(0.0) / (width - 1) as f64).sqrt()));
}

/// The median of the spreads below twice the median, repeated until it rests.
fn noise_deviation(spread: &[f64], sorted: &mut Vec<f64>) -> f64 {
    sorted.clear();
    sorted.extend_from_slice(spread);
    sorted.sort_by(f64::total_cmp);
    let median = |values: &[f64]| match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => 0.5 * (values[n / 2 - 1] + values[n / 2]),
    };
    let below = |limit: f64| median(&sorted[..sorted.partition_point(|s| *s < limit)]);
    let mut last = median(sorted);
    let mut next = below(2.0 * last);
    while next / last < 0.999 {
        last = next;
        next = below(2.0 * last);
    }
    next
}

impl StdDistributionMethod {
    /// Marks the channels of the baseline.
    fn find_peaks(&self, limit: f64, scratch: &mut Scratch) {
        let n = scratch.spread.len();
        let margin = self.params.fill_half_window;
        scratch.baseline.clear();
        scratch.baseline.resize(n, true);
        for (i, spread) in scratch.spread.iter().enumerate() {
            if *spread > limit {
                scratch.baseline[i.saturating_sub(margin)..(i + margin + 1).min(n)].fill(false);
            }
        }
    }

    /// Puts the data, with peaks replaced by straight lines, into `rough`.
    fn bridge(&self, y: &[f64], scratch: &mut Scratch) {
        let n = y.len();
        let Scratch { baseline, rough, .. } = scratch;
        rough.clear();
        rough.extend_from_slice(y);
        let half = self.params.interp_half_window;
        let level = |i: usize| {
            let part = &y[i.saturating_sub(half)..(i + half + 1).min(n)];
            part.iter().sum::<f64>() / part.len() as f64
        };
        let mut i = 0;
        while i < n {
            if baseline[i] {
                i += 1;
                continue;
            }
            let end = (i..n).find(|&j| baseline[j]).unwrap_or(n);
            // From the last channel before the peak to the first one after it.
            let (a, b) = (i.saturating_sub(1), end.min(n - 1));
            let (left, right) = (level(a), level(b));
            for j in a + 1..b {
                rough[j] =
                    left + (self.x[j] - self.x[a]) * ((right - left) / (self.x[b] - self.x[a]));
            }
            i = end;
        }
    }
}
