//! The registered step: SNIP with the options of pybaselines, and compression for counts.

use super::super::{
    edges::{extrapolate, moving_mean},
    morphology::{self, optimal_half_window},
    whittaker::{at_least, parameter},
};
use crate::row_method::{Block, RowMethod, RowStatus, Treat};
use kalpha_core::{Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError};
use kalpha_num::simd::{self, Kernel};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `baseline.snip`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Snip {
    /// Widest half-window, in channels: wider than half the widest peak. Found for each
    /// spectrum if absent.
    pub max_half_window: Option<usize>,
    /// From wide windows to narrow ones: smoother.
    pub decreasing: bool,
    /// Half-width of a moving mean between the windows; none if absent or 0.
    pub smooth_half_window: Option<usize>,
    /// Order of the differences, 2, 4, 6 or 8: higher ones follow a curved background.
    pub filter_order: usize,
    /// Compress by `ln(ln(sqrt(y + 1) + 1) + 1)` first, as suits counts over many decades.
    pub lls: bool,
}

impl Default for Snip {
    fn default() -> Self {
        Self {
            max_half_window: None,
            decreasing: false,
            smooth_half_window: None,
            filter_order: 2,
            lls: false,
        }
    }
}

impl Treat for Snip {
    const ID: &'static str = "baseline.snip";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Statistics-sensitive non-linear iterative peak clipping";
    type Method = Self;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        if self.max_half_window == Some(0) {
            return Err(parameter("max_half_window", 0, "at least 1"));
        }
        if ![2, 4, 6, 8].contains(&self.filter_order) {
            return Err(parameter("filter_order", self.filter_order, "2, 4, 6 or 8"));
        }
        at_least(rows.channels, 2 * self.max_half_window.unwrap_or(1) + 1)
    }

    fn method(self, _: &Rows, _: &Metadata, _: &dyn Passes) -> Result<Self, StepError> {
        Ok(self)
    }

    fn noise(&self, _: &NoiseModel) -> NoiseModel {
        NoiseModel::Correlated
    }
}

/// Working memory of one thread.
#[derive(Default)]
pub struct Scratch {
    morphology: morphology::Scratch,
    row: Vec<f64>,
    old: Vec<f64>,
    new: Vec<f64>,
    mean: Vec<f64>,
}

impl RowMethod for Snip {
    type Scratch = Scratch;

    fn columns(&self) -> Vec<(&'static str, String)> {
        vec![("half_window", "channels".into())]
    }

    fn apply(&self, block: &mut Block<'_>, scratch: &mut Scratch) {
        block.each(|y, z, table| {
            let own = || optimal_half_window(y, &mut scratch.morphology);
            let widest = self.max_half_window.unwrap_or_else(own);
            let widest = widest.min((y.len() - 1) / 2);
            table[0] = widest as f64;
            let negative = self.lls && y.iter().any(|v| *v < 0.0);
            if self.lls {
                scratch.row.clear();
                scratch.row.extend(y.iter().map(|v| super::compress(v.max(0.0))));
                extrapolate(&scratch.row, widest, &mut scratch.old);
            } else {
                extrapolate(y, widest, &mut scratch.old);
            }
            simd::run(Clip { snip: self, widest, scratch });
            z.copy_from_slice(&scratch.old[widest..widest + y.len()]);
            if self.lls {
                z.iter_mut().for_each(|v| *v = super::expand(*v));
            }
            if negative { RowStatus::Negative } else { RowStatus::Fine }
        });
    }
}

/// Clips `scratch.old` in place.
struct Clip<'a> {
    snip: &'a Snip,
    widest: usize,
    scratch: &'a mut Scratch,
}

impl Kernel for Clip<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Scratch { old, new, mean, .. } = self.scratch;
        new.clear();
        new.extend_from_slice(old);
        let smooth = self.snip.smooth_half_window.filter(|half| *half > 0);
        for step in 1..=self.widest {
            let p = if self.snip.decreasing { self.widest + 1 - step } else { step };
            if let Some(half) = smooth {
                mean.resize(old.len(), 0.0);
                moving_mean(old, half, mean);
            }
            let kept = if smooth.is_some() { &*mean } else { &*old };
            if self.snip.filter_order == 2 {
                second_order(old, kept, p, new);
            } else {
                higher_order(old, kept, p, self.snip.filter_order, new);
            }
            std::mem::swap(old, new);
            // The next, wider window leaves one more channel at each end as it is.
            let n = old.len();
            new[p] = old[p];
            new[n - 1 - p] = old[n - 1 - p];
        }
    }
}

/// `new_i = (old_{i-p} + old_{i+p}) / 2` where that is lower, else `kept_i`.
#[inline(always)]
fn second_order(old: &[f64], kept: &[f64], p: usize, new: &mut [f64]) {
    let n = old.len() - 2 * p;
    let (left, middle, right) = (&old[..n], &old[p..p + n], &old[2 * p..]);
    let (kept, new) = (&kept[p..p + n], &mut new[p..p + n]);
    for i in 0..n {
        let clip = (left[i] + right[i]) / 2.0;
        new[i] = if middle[i] > clip { clip } else { kept[i] };
    }
}

/// The largest of the clipping filters up to `order`, where it is lower, else `kept_i`.
#[inline(always)]
fn higher_order(old: &[f64], kept: &[f64], p: usize, order: usize, new: &mut [f64]) {
    let n = old.len();
    let pair = |i: usize, d: usize| old[i - d] + old[i + d];
    for i in p..n - p {
        let ends = pair(i, p);
        let mut clip = ends / 2.0;
        let fourth = (-ends + 4.0 * pair(i, p / 2)) / 6.0;
        clip = clip.max(fourth);
        if order > 4 {
            clip = clip.max((ends - 6.0 * pair(i, 2 * p / 3) + 15.0 * pair(i, p / 3)) / 20.0);
        }
        if order > 6 {
            let inner = -28.0 * pair(i, p / 2) + 56.0 * pair(i, p / 4);
            clip = clip.max((-ends + 8.0 * pair(i, 3 * p / 4) + inner) / 70.0);
        }
        new[i] = if old[i] > clip { clip } else { kept[i] };
    }
}
