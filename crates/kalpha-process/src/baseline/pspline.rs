//! Penalised splines: baselines with a hundred coefficients instead of one per channel.
//!
//! `z = B c`, cubic B-splines on `num_knots` uniform knots, with
//! `(B' W B + lam D'D) c = B' W y` and the weight rules of the Whittaker family. Smoothness is
//! per knot, so `lam` does not depend on the number of channels.
//!
//! Source: Eilers and Marx (1996), Stat. Sci. 11, 89, doi:10.1214/ss/1038425655. O(n) per
//! iteration. Tested against pybaselines 1.2.1 `pspline_asls` and `pspline_arpls` to 1e-6 of the
//! range.

use super::{
    arpls::ArplsRule,
    asls::AslsRule,
    whittaker::{
        Control, Found, Memory, Scratch, System, at_least, fit_rows, fraction, parameter, positive,
    },
};
use crate::row_method::{Block, RowMethod, Treat};
use kalpha_core::{Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError};
use kalpha_num::{
    banded::interleaved::{difference_penalty, solve_symmetric},
    lanes::Lanes,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Degree of the splines.
const DEGREE: usize = 3;

/// Parameters of `baseline.pspline_asls`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PsplineAsls {
    /// Smoothness.
    pub lam: f64,
    /// Weight of channels above the baseline, 0 to 1.
    pub p: f64,
    /// Knots from end to end of the axis.
    pub num_knots: usize,
    /// Order of the penalised difference, 1 to 3.
    pub diff_order: usize,
    /// Iterations allowed.
    pub max_iter: usize,
    /// Relative change of the weights at which iteration stops.
    pub tol: f64,
}

impl Default for PsplineAsls {
    fn default() -> Self {
        Self { lam: 1e3, p: 1e-2, num_knots: 100, diff_order: 2, max_iter: 50, tol: 1e-3 }
    }
}

/// Parameters of `baseline.pspline_arpls`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PsplineArpls {
    /// Smoothness.
    pub lam: f64,
    /// Knots from end to end of the axis.
    pub num_knots: usize,
    /// Order of the penalised difference, 1 to 3.
    pub diff_order: usize,
    /// Iterations allowed.
    pub max_iter: usize,
    /// Relative change of the weights at which iteration stops.
    pub tol: f64,
}

impl Default for PsplineArpls {
    fn default() -> Self {
        Self { lam: 1e3, num_knots: 100, diff_order: 2, max_iter: 50, tol: 1e-3 }
    }
}

fn check(control: Control, num_knots: usize, rows: &RowsMeta) -> Result<(), StepError> {
    positive("lam", control.lam)?;
    if num_knots < 2 {
        return Err(parameter("num_knots", num_knots, "at least 2"));
    }
    rows.signal.ascending()?;
    at_least(rows.channels, 5)?;
    control.check(num_knots + DEGREE - 1)
}

macro_rules! treat {
    ($params:ty, $rule:ident, $id:literal, $about:literal, $make:expr, $own:expr) => {
        impl Treat for $params {
            const ID: &'static str = $id;
            const REVISION: u32 = 1;
            const ABOUT: &'static str = $about;
            type Method = Pspline<$rule>;

            fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
                let own: fn(&Self) -> Result<(), StepError> = $own;
                own(self)?;
                check(self.control(), self.num_knots, rows)
            }

            fn method(
                self,
                rows: &Rows,
                _: &Metadata,
                _: &dyn Passes,
            ) -> Result<Self::Method, StepError> {
                let axis = &rows.meta().signal;
                let x: Vec<f64> = (0..axis.len()).map(|i| axis.at(i)).collect();
                let make: fn(&Self) -> $rule = $make;
                let control = self.control();
                Ok(Pspline {
                    rule: make(&self),
                    control,
                    spline: Spline::new(&x, self.num_knots, control),
                })
            }

            fn noise(&self, _: &NoiseModel) -> NoiseModel {
                NoiseModel::Correlated
            }
        }

        impl $params {
            fn control(&self) -> Control {
                let Self { lam, diff_order, max_iter, tol, .. } = *self;
                Control { lam, diff_order, max_iter, tol }
            }
        }
    };
}
treat!(
    PsplineAsls,
    AslsRule,
    "baseline.pspline_asls",
    "Asymmetric least squares baseline of penalised splines",
    |params| AslsRule::new(params.p),
    |params| fraction("p", params.p)
);
treat!(
    PsplineArpls,
    ArplsRule,
    "baseline.pspline_arpls",
    "Asymmetrically reweighted baseline of penalised splines",
    |_| ArplsRule,
    |_| Ok(())
);

/// A rule with a spline basis.
pub struct Pspline<R> {
    rule: R,
    control: Control,
    spline: Spline,
}

impl<R: super::whittaker::Rule> RowMethod for Pspline<R> {
    type Scratch = Scratch;

    fn columns(&self) -> Vec<(&'static str, String)> {
        vec![("iterations", String::new())]
    }

    fn apply(&self, block: &mut Block<'_>, scratch: &mut Scratch) {
        let found = Found { out: block.out, status: block.status, iterations: block.table };
        fit_rows(&self.rule, &self.control, &self.spline, block.values, found, scratch);
    }
}

/// Cubic B-splines on uniform knots: the four that do not vanish at each channel.
struct Spline {
    first: Vec<usize>,
    values: Vec<[f64; DEGREE + 1]>,
    penalty: Vec<Vec<f64>>,
    count: usize,
}

impl Spline {
    fn new(x: &[f64], num_knots: usize, control: Control) -> Self {
        let count = num_knots + DEGREE - 1;
        let (low, high) =
            x.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)));
        let step = (high - low) / (num_knots - 1) as f64;
        let knot = |i: usize| low + (i as f64 - DEGREE as f64) * step;
        let (mut first, mut values) = (Vec::new(), Vec::new());
        for &x in x {
            // The last interval includes its end.
            let interval = (((x - low) / step) as usize).min(num_knots - 2);
            first.push(interval);
            values.push(cox_de_boor(x, interval + DEGREE, knot));
        }
        let mut penalty = match control.diff_order {
            1 => difference_penalty::<1>(count, control.lam),
            2 => difference_penalty::<2>(count, control.lam),
            _ => difference_penalty::<3>(count, control.lam),
        };
        penalty.resize(DEGREE + 1, vec![0.0; count]);
        Self { first, values, penalty, count }
    }
}

/// The splines that do not vanish from knot `left` to the next one, at x (Cox and de Boor).
fn cox_de_boor(x: f64, left: usize, knot: impl Fn(usize) -> f64) -> [f64; DEGREE + 1] {
    let mut b = [0.0; DEGREE + 1];
    b[0] = 1.0;
    for degree in 1..=DEGREE {
        let mut saved = 0.0;
        for r in 0..degree {
            let (right, start) = (knot(left + r + 1), knot(left + 1 + r - degree));
            let part = b[r] / (right - start);
            b[r] = saved + (right - x) * part;
            saved = (x - start) * part;
        }
        b[degree] = saved;
    }
    b
}

impl System for Spline {
    const ALONE: bool = true;

    #[inline(always)]
    fn solve<R: super::whittaker::Rule, const L: usize>(
        &self,
        _: &R,
        y: &[[f64; L]],
        w: &[[f64; L]],
        _: &[[f64; L]],
        z: &mut [[f64; L]],
        memory: &mut Memory,
    ) {
        let n = self.count;
        let mut sums: [&mut [[f64; L]]; DEGREE + 2] = memory.sums.split(n);
        for plane in &mut sums {
            plane.fill([0.0; L]);
        }
        for i in 0..y.len() {
            let (w, first) = (Lanes(w[i]), self.first[i]);
            let wy = w * Lanes(y[i]);
            for j in 0..=DEGREE {
                let b = self.values[i][j];
                let wb = w * Lanes::splat(b);
                for k in j..=DEGREE {
                    let at = &mut sums[k - j][first + j];
                    *at = (Lanes(*at) + wb * Lanes::splat(self.values[i][k])).0;
                }
                let at = &mut sums[DEGREE + 1][first + j];
                *at = (Lanes(*at) + wy * Lanes::splat(b)).0;
            }
        }
        let [inverse, c] = memory.inverse.split::<L, 2>(n);
        let mut lower = memory.factors.split::<L, DEGREE>(n);
        solve_symmetric::<DEGREE, L>(
            |i| Lanes(sums[0][i]) + Lanes::splat(self.penalty[0][i]),
            |k, i| Lanes(sums[k][i]) + Lanes::splat(self.penalty[k][i]),
            |i| Lanes(sums[DEGREE + 1][i]),
            inverse,
            &mut lower,
            c,
        );
        for (i, z) in z.iter_mut().enumerate() {
            let mut sum = Lanes::ZERO;
            for j in 0..=DEGREE {
                sum = sum + Lanes::splat(self.values[i][j]) * Lanes(c[self.first[i] + j]);
            }
            *z = sum.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splines_sum_to_one_and_give_lines_back() {
        let x: Vec<f64> = (0..57).map(|i| 5.0 + 0.1 * f64::from(i)).collect();
        let control = Control { lam: 1.0, diff_order: 2, max_iter: 1, tol: 1.0 };
        let spline = Spline::new(&x, 12, control);
        let step = 5.6 / 11.0;
        for (i, x) in x.iter().enumerate() {
            let sum: f64 = spline.values[i].iter().sum();
            assert!((sum - 1.0).abs() < 1e-13);
            // Coefficients at the middles of the splines give x back.
            let line: f64 = (0..4)
                .map(|j| {
                    let middle = 5.0 + (spline.first[i] as f64 + j as f64 - 1.0) * step;
                    spline.values[i][j] * middle
                })
                .sum();
            assert!((line - x).abs() < 1e-12, "{i}: {line} {x}");
            assert!(spline.first[i] + 4 <= spline.count);
        }
    }
}
