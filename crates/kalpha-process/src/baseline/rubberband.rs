//! Rubber-band baseline: the lower convex hull of the spectrum.
//!
//! The spectrum may be cut into segments, each with a hull of its own; between the points of
//! the hulls the baseline is straight, or smooth where `lam` is given.
//!
//! Source: Wartewig (2003), IR and Raman Spectroscopy, doi:10.1002/3527601635; hull by Andrew
//! (1979), doi:10.1016/0020-0190(79)90072-3. O(n). Tested against pybaselines 1.2.1
//! `rubberband`.

use super::{
    edges::{Padded, smoothed},
    whittaker::{Control, at_least, parameter},
};
use crate::row_method::{Block, RowMethod, RowStatus, Treat};
use kalpha_core::{Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError};
use kalpha_num::banded::{Pentadiagonal, interleaved::difference_penalty, solve_pentadiagonal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `baseline.rubberband`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rubberband {
    /// Parts of equal length, each with a hull of its own.
    pub segments: usize,
    /// Smoothness of a curve through the hull points (second differences); straight lines if
    /// absent.
    pub lam: Option<f64>,
    /// Half-width of a moving mean before the hull is sought; none if absent or 0.
    pub smooth_half_window: Option<usize>,
}

impl Default for Rubberband {
    fn default() -> Self {
        Self { segments: 1, lam: None, smooth_half_window: None }
    }
}

impl Treat for Rubberband {
    const ID: &'static str = "baseline.rubberband";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Rubber-band baseline: lower convex hull";
    type Method = RubberbandMethod;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        rows.signal.ascending()?;
        if self.segments == 0 {
            return Err(parameter("segments", 0, "at least 1"));
        }
        if let Some(lam) = self.lam {
            Control { lam, diff_order: 2, max_iter: 1, tol: 1.0 }.check(rows.channels)?;
        }
        at_least(rows.channels, 2 * self.smooth_half_window.unwrap_or(0) + 1)?;
        at_least(rows.channels, self.segments.saturating_mul(3))
    }

    fn method(
        self,
        rows: &Rows,
        _: &Metadata,
        _: &dyn Passes,
    ) -> Result<RubberbandMethod, StepError> {
        let axis = &rows.meta().signal;
        // Distances along the axis count, not its direction.
        let sign = if axis.ascending()? { 1.0 } else { -1.0 };
        let x: Vec<f64> = (0..axis.len()).map(|i| sign * axis.at(i)).collect();
        let penalty = self.lam.map(|lam| difference_penalty::<2>(x.len(), lam));
        Ok(RubberbandMethod { params: self, x, penalty })
    }

    fn noise(&self, _: &NoiseModel) -> NoiseModel {
        NoiseModel::Correlated
    }
}

/// `baseline.rubberband` on one axis.
pub struct RubberbandMethod {
    params: Rubberband,
    x: Vec<f64>,
    penalty: Option<Vec<Vec<f64>>>,
}

/// Working memory of one thread.
#[derive(Default)]
pub struct Scratch {
    padded: Padded,
    smooth: Vec<f64>,
    hull: Vec<usize>,
    points: Vec<usize>,
    diagonal: Vec<f64>,
    system: Pentadiagonal,
}

/// Indices of the lower hull of the points from `start` to `end`.
fn lower_hull(x: &[f64], y: &[f64], start: usize, end: usize, hull: &mut Vec<usize>) {
    hull.clear();
    for i in start..end {
        while let [.., a, b] = hull[..] {
            let turn = (x[b] - x[a]) * (y[i] - y[a]) - (y[b] - y[a]) * (x[i] - x[a]);
            if turn > 0.0 {
                break;
            }
            hull.pop();
        }
        hull.push(i);
    }
}

impl RowMethod for RubberbandMethod {
    type Scratch = Scratch;

    fn columns(&self) -> Vec<(&'static str, String)> {
        vec![("hull_points", String::new())]
    }

    fn apply(&self, block: &mut Block<'_>, scratch: &mut Scratch) {
        block.each(|y, z, table| {
            let Scratch { padded, smooth, hull, points, diagonal, system } = &mut *scratch;
            let (x, n) = (&self.x[..], y.len());
            let y = match self.params.smooth_half_window.filter(|half| *half > 0) {
                Some(half) => {
                    smooth.resize(n, 0.0);
                    smoothed(y, half, smooth, padded);
                    &smooth[..]
                }
                None => y,
            };
            points.clear();
            let parts = self.params.segments;
            for part in 0..parts {
                lower_hull(x, y, part * n / parts, (part + 1) * n / parts, hull);
                points.extend_from_slice(hull);
            }
            table[0] = points.len() as f64;
            let Some(penalty) = &self.penalty else {
                between(x, y, points, z);
                return RowStatus::Fine;
            };
            diagonal.clear();
            diagonal.extend_from_slice(&penalty[0]);
            z.fill(0.0);
            for &i in &*points {
                diagonal[i] += 1.0;
                z[i] = y[i];
            }
            if solve_pentadiagonal(diagonal, &penalty[1], &penalty[2], z, system) {
                return RowStatus::Fine;
            }
            z.fill(f64::NAN);
            RowStatus::Refused
        });
    }
}

/// Straight lines between some of the points.
fn between(x: &[f64], y: &[f64], points: &[usize], z: &mut [f64]) {
    z.copy_from_slice(y);
    for ends in points.windows(2) {
        let (a, b) = (ends[0], ends[1]);
        let slope = (y[b] - y[a]) / (x[b] - x[a]);
        for i in a + 1..b {
            z[i] = y[a] + slope * (x[i] - x[a]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hull_lies_below_and_touches() {
        let x: Vec<f64> = (0..60).map(|i| f64::from(i).powf(1.2)).collect();
        let y: Vec<f64> = (0..60).map(|i| (f64::from(i * i)).sin() + 0.01 * f64::from(i)).collect();
        let mut hull = Vec::new();
        lower_hull(&x, &y, 0, 60, &mut hull);
        let mut z = vec![0.0; 60];
        between(&x, &y, &hull, &mut z);
        assert!(z.iter().zip(&y).all(|(z, y)| *z <= y + 1e-14));
        assert!(hull.iter().all(|&i| z[i] == y[i]) && hull.len() > 2);
        assert_eq!((hull[0], hull[hull.len() - 1]), (0, 59));
        // Convex: slopes rise.
        let slopes: Vec<f64> =
            hull.windows(2).map(|w| (y[w[1]] - y[w[0]]) / (x[w[1]] - x[w[0]])).collect();
        assert!(slopes.windows(2).all(|s| s[0] < s[1]));
    }
}
