//! Shirley background of a photoelectron line.
//!
//! `S(E) = r + (l - r) A(E) / A(E_high)`, `A(E) = integral from E_low to E of (y - S)`: the
//! background rises with the electrons that have lost energy, in proportion to the line area
//! at less loss. `r` and `l` are means of the points at the ends of low and high binding energy.
//!
//! The fixed point is found by iteration, until the distance still to go (from the last change
//! and the rate at which changes shrink) is below a tolerance. Where noise or a missing line
//! leave no fixed point, or one far outside the interval of its end points, the integrand is
//! cut off at zero: that iteration always stays between the end points, and the row is flagged.
//!
//! Source: Shirley (1972), Phys. Rev. B 5, 4709, doi:10.1103/PhysRevB.5.4709; iteration:
//! Proctor and Sherwood (1982), Anal. Chem. 54, 13, doi:10.1021/ac00238a008. Complexity O(n) per
//! iteration. Tested against a fixed point of 1,000 iterations and lmfitxps 4.2.0.

use super::energy_scale::{EnergyScale, LossOrder};
use crate::row_method::{Block, RowMethod, RowStatus, Treat};
use kalpha_core::{Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `baseline.shirley`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Shirley {
    /// Whether energies are binding or kinetic; as the axis is named if absent.
    pub energy_scale: EnergyScale,
    /// Begin of the region, in units of the axis; the end of the data if absent.
    pub first: Option<f64>,
    /// End of the region, in units of the axis; the end of the data if absent.
    pub last: Option<f64>,
    /// Points averaged at each end of the region.
    pub ends: usize,
    /// Iterations allowed.
    pub max_iterations: usize,
    /// Distance to the fixed point at which to stop, in units of the range of the data.
    pub tolerance: f64,
    /// How far the background may leave the interval of its end points, in units of it.
    pub max_overshoot: f64,
}

impl Default for Shirley {
    fn default() -> Self {
        let limits = ShirleyLimits::default();
        Self {
            energy_scale: EnergyScale::default(),
            first: None,
            last: None,
            ends: limits.ends,
            max_iterations: limits.max_iterations,
            tolerance: limits.tolerance,
            max_overshoot: limits.max_overshoot,
        }
    }
}

impl Shirley {
    fn plan(&self, rows: &RowsMeta) -> Result<ShirleyMethod, StepError> {
        let positive = |parameter, value: f64| match value > 0.0 {
            true => Ok(()),
            false => Err(StepError::Parameter {
                parameter,
                got: value.to_string(),
                expected: "a number above zero".into(),
            }),
        };
        positive("ends", self.ends as f64)?;
        positive("max_iterations", self.max_iterations as f64)?;
        positive("tolerance", self.tolerance)?;
        let least = 2 * self.ends + 1;
        Ok(ShirleyMethod {
            order: LossOrder::new(
                &rows.signal,
                self.energy_scale,
                EnergyScale::window(self.first, self.last),
                least,
            )?,
            limits: ShirleyLimits {
                ends: self.ends,
                tolerance: self.tolerance,
                max_iterations: self.max_iterations,
                max_overshoot: self.max_overshoot,
            },
        })
    }
}

impl Treat for Shirley {
    const ID: &'static str = "baseline.shirley";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Shirley background of a photoelectron line";
    type Method = ShirleyMethod;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        self.plan(rows).map(|_| ())
    }

    fn method(self, rows: &Rows, _: &Metadata, _: &dyn Passes) -> Result<ShirleyMethod, StepError> {
        self.plan(rows.meta())
    }

    fn noise(&self, _: &NoiseModel) -> NoiseModel {
        NoiseModel::Correlated
    }
}

/// `baseline.shirley` on a known axis.
pub struct ShirleyMethod {
    order: LossOrder,
    limits: ShirleyLimits,
}

impl RowMethod for ShirleyMethod {
    type Scratch = ShirleyScratch;

    fn columns(&self) -> Vec<(&'static str, String)> {
        vec![("iterations", String::new()), ("overshoot", String::new())]
    }

    fn apply(&self, block: &mut Block<'_>, scratch: &mut ShirleyScratch) {
        block.each(|y, z, table| {
            let fit = shirley(&self.order, &self.limits, y, z, scratch);
            table.copy_from_slice(&[fit.iterations as f64, fit.overshoot]);
            if z.iter().any(|v| !v.is_finite()) {
                z.fill(f64::NAN);
                return RowStatus::Refused;
            }
            match fit.outcome {
                ShirleyOutcome::FixedPoint => RowStatus::Fine,
                ShirleyOutcome::NotConverged => RowStatus::NotConverged,
                ShirleyOutcome::OutOfBounds => RowStatus::AtBound,
                ShirleyOutcome::NoLine => RowStatus::Refused,
            }
        });
    }
}

/// How the background was reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShirleyFit {
    /// Iterations done.
    pub iterations: usize,
    /// How far the background leaves the interval of its end points, in units of that interval.
    pub overshoot: f64,
    /// What it is.
    pub outcome: ShirleyOutcome,
}

/// What kind of background came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShirleyOutcome {
    /// The fixed point.
    FixedPoint,
    /// There is none that the iteration reaches; the bounded background is given.
    NotConverged,
    /// The fixed point lies too far outside its end points; the bounded background is given.
    OutOfBounds,
    /// Nothing stands above the background; NaN is given.
    NoLine,
}

/// Limits of the iteration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShirleyLimits {
    /// Points averaged at each end.
    pub ends: usize,
    /// Distance to the fixed point at which to stop, in units of the range of the data.
    pub tolerance: f64,
    /// Iterations allowed.
    pub max_iterations: usize,
    /// Overshoot up to which the fixed point is taken.
    pub max_overshoot: f64,
}

impl Default for ShirleyLimits {
    fn default() -> Self {
        Self { ends: 5, tolerance: 1e-8, max_iterations: 500, max_overshoot: 0.5 }
    }
}

/// Working memory.
#[derive(Clone, Debug, Default)]
pub struct ShirleyScratch {
    y: Vec<f64>,
    s: Vec<f64>,
    area: Vec<f64>,
}

/// Fits the background of `row` into `out`. Values must be finite; a row shorter than the
/// order's window, or fewer than `2 ends` points, are the caller's mistake.
pub fn shirley(
    order: &LossOrder,
    limits: &ShirleyLimits,
    row: &[f64],
    out: &mut [f64],
    scratch: &mut ShirleyScratch,
) -> ShirleyFit {
    let ShirleyScratch { y, s, area } = scratch;
    order.gather(row, y);
    let n = y.len();
    let ends = limits.ends.clamp(1, n.max(1));
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (r, l) = (mean(&y[..ends]), mean(&y[n - ends..]));
    let (low, high) = y.iter().fold((r.min(l), r.max(l)), |(a, b), &v| (a.min(v), b.max(v)));
    s.clear();
    s.resize(n, r);
    let mut fit = ShirleyFit { iterations: 0, overshoot: 0.0, outcome: ShirleyOutcome::FixedPoint };
    if high == low || l == r {
        order.scatter(s, out);
        return fit;
    }
    let goal = limits.tolerance * (high - low);
    let (iterations, converged) = iterate(order.loss(), y, (r, l), goal, limits, false, s, area);
    fit.iterations = iterations;
    fit.overshoot = overshoot(s, r, l);
    if !converged || fit.overshoot > limits.max_overshoot {
        fit.outcome = match converged {
            true => ShirleyOutcome::OutOfBounds,
            false => ShirleyOutcome::NotConverged,
        };
        s.fill(r);
        fit.iterations += iterate(order.loss(), y, (r, l), goal, limits, true, s, area).0;
        fit.overshoot = overshoot(s, r, l);
        if s.iter().any(|v| !v.is_finite()) {
            fit.outcome = ShirleyOutcome::NoLine;
            s.fill(f64::NAN);
        }
    }
    order.scatter(s, out);
    fit
}

fn overshoot(s: &[f64], r: f64, l: f64) -> f64 {
    let beyond = s.iter().map(|v| (v - r.max(l)).max(r.min(l) - v)).fold(0.0, f64::max);
    beyond / (l - r).abs()
}

/// Iterations, and whether the rest of the way is below `goal`. NaN in `s` without any area.
fn iterate(
    loss: &[f64],
    y: &[f64],
    (r, l): (f64, f64),
    goal: f64,
    limits: &ShirleyLimits,
    bounded: bool,
    s: &mut [f64],
    area: &mut Vec<f64>,
) -> (usize, bool) {
    let n = y.len();
    area.clear();
    area.resize(n, 0.0);
    let above = |y: f64, s: f64| if bounded { (y - s).max(0.0) } else { y - s };
    let mut last = f64::INFINITY;
    for iteration in 1..=limits.max_iterations {
        let mut before = above(y[0], s[0]);
        for k in 1..n {
            let here = above(y[k], s[k]);
            area[k] = area[k - 1] + 0.5 * (loss[k] - loss[k - 1]) * (before + here);
            before = here;
        }
        if area[n - 1].is_nan() || area[n - 1] <= 0.0 {
            s.fill(f64::NAN);
            return (iteration, false);
        }
        let slope = (l - r) / area[n - 1];
        let mut change = 0.0f64;
        for k in 0..n {
            let new = r + slope * area[k];
            change = change.max((new - s[k]).abs());
            s[k] = new;
        }
        // Changes shrink by `rate` each time: what is left is their geometric sum.
        let rate = change / last;
        if change == 0.0
            || (rate < 1.0 && change * rate / (1.0 - rate) <= goal && change <= 1e3 * goal)
        {
            return (iteration, true);
        }
        last = change;
    }
    (limits.max_iterations, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::energy_scale::EnergyScale;
    use kalpha_core::{Axis, Unit};

    fn fit(y: &[f64], limits: &ShirleyLimits) -> (ShirleyFit, Vec<f64>) {
        let axis = Axis::linear("E", Unit::Ev, 0.0, 0.1, y.len()).unwrap();
        let order = LossOrder::new(&axis, EnergyScale::Binding, None, 3).unwrap();
        let mut out = vec![0.0; y.len()];
        (shirley(&order, limits, y, &mut out, &mut ShirleyScratch::default()), out)
    }

    /// A line on the step it makes itself: the definition, solved exactly.
    #[test]
    fn finds_the_step_of_a_line() {
        let line: Vec<f64> = (0..400)
            .map(|i| 1000.0 * (-0.5 * ((f64::from(i) - 180.0) / 9.0).powi(2)).exp())
            .collect();
        let mut area = vec![0.0; 400];
        for i in 1..400 {
            area[i] = area[i - 1] + 0.05 * (line[i] + line[i - 1]);
        }
        let step: Vec<f64> = area.iter().map(|a| 50.0 + 300.0 * a / area[399]).collect();
        let y: Vec<f64> = line.iter().zip(&step).map(|(a, b)| a + b).collect();
        let (found, background) = fit(&y, &ShirleyLimits::default());
        assert_eq!(found.outcome, ShirleyOutcome::FixedPoint);
        assert!(found.iterations < 20, "{found:?}");
        for i in 0..400 {
            assert!((background[i] - step[i]).abs() < 1e-5, "{i}");
        }
    }

    #[test]
    fn flat_and_hollow_data() {
        let (found, background) = fit(&[3.0; 20], &ShirleyLimits::default());
        assert_eq!((found.outcome, &background[..]), (ShirleyOutcome::FixedPoint, &[3.0; 20][..]));
        // Nothing stands above the line between the ends: there is no line to rise with.
        let hollow: Vec<f64> = (0..60)
            .map(|i| {
                if i < 5 {
                    10.0
                } else if i < 55 {
                    2.0
                } else {
                    20.0
                }
            })
            .collect();
        let limits = ShirleyLimits { ends: 3, ..ShirleyLimits::default() };
        let (found, background) = fit(&hollow, &limits);
        assert_ne!(found.outcome, ShirleyOutcome::FixedPoint);
        let within = |v: &f64| v.is_nan() || (10.0 - 1e-9..=20.0 + 1e-9).contains(v);
        assert!(background.iter().all(within));
    }
}
