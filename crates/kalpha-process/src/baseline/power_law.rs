//! Power-law background under core-loss edges of electron energy-loss spectra.
//!
//! `B(E) = A E^-r`, found before the edge and extrapolated under it. Two ways:
//!
//! - `least_squares`: minimises `sum (y - A E^-r)²` over the window. A is eliminated (it is
//!   linear), r found by Newton's method on what remains (variable projection; Golub and Pereyra
//!   1973, doi:10.1137/0710036). A pass over the window gathers the sums `y f l^k` and `f² l^k`
//!   with `f = E^-r`, `l = ln E`: the Taylor series of what is minimised, on which Newton runs
//!   without the data. Near the solution one pass is exact to rounding.
//! - `two_area`: areas `I1`, `I2` of the two halves of the window,
//!   `r = 2 ln(I1/I2) / ln(E2/E1)` (Egerton 2011, Electron Energy-Loss Spectroscopy,
//!   doi:10.1007/978-1-4419-9583-4, eq. 4.50 ff).
//!
//! O(n) per pass, 2 or 3 of them. Tested against SciPy `curve_fit` and the definition.

use super::whittaker::{at_least, parameter};
use crate::row_method::{Block, RowMethod, RowStatus, Treat};
use kalpha_core::{Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError};
use kalpha_num::{
    lanes::{Lanes, exp},
    simd::{self, Kernel},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Channels of a window that are worked on together.
const WIDE: usize = 8;
/// Iterations allowed.
const MAX_ITERATIONS: usize = 50;
/// Terms of the Taylor series.
const TERMS: usize = 9;
/// `|step x l|` within which the series is exact: the next term of the sums of f² is
/// `(2 x 0.06)^9 / 9! = 1e-14`.
const NEAR: f64 = 0.06;
/// `|step x l|` up to which a series may lead before the sums are gathered again.
const FAR: f64 = 0.6;
/// Of a wide window, every so many chunks are enough to come near the solution.
const STRIDE: usize = 8;
/// Exponents beyond this are no background.
const STEEPEST: f64 = 30.0;

/// How the power law is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PowerLawFit {
    /// Non-linear least squares over the window.
    #[default]
    LeastSquares,
    /// From the areas of the two halves of the window.
    TwoArea,
}

/// Parameters of `baseline.power_law`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PowerLaw {
    /// Where the fitted window begins, in units of the axis. Must be given.
    pub first: Option<f64>,
    /// Where it ends: before the edge. Must be given.
    pub last: Option<f64>,
    /// How the power law is found.
    pub fit: PowerLawFit,
}

impl PowerLaw {
    fn window(&self, rows: &RowsMeta) -> Result<Range<usize>, StepError> {
        for (name, value) in [("first", self.first), ("last", self.last)] {
            if value.is_none() {
                return Err(parameter(name, "nothing", "an energy before the edge"));
            }
        }
        let window = rows.signal.window("first, last", self.first, self.last)?;
        at_least(window.len(), 4)?;
        let lowest = window.clone().map(|i| rows.signal.at(i)).fold(f64::INFINITY, f64::min);
        if lowest <= 0.0 {
            return Err(parameter("first", lowest, "above zero energy loss"));
        }
        Ok(window)
    }
}

impl Treat for PowerLaw {
    const ID: &'static str = "baseline.power_law";
    const REVISION: u32 = 2;
    const ABOUT: &'static str = "Power law before a core-loss edge, extrapolated under it";
    type Method = PowerLawMethod;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        self.window(rows).map(|_| ())
    }

    fn method(
        self,
        rows: &Rows,
        _: &Metadata,
        _: &dyn Passes,
    ) -> Result<PowerLawMethod, StepError> {
        let axis = &rows.meta().signal;
        let x: Vec<f64> = (0..axis.len()).map(|i| axis.at(i)).collect();
        Ok(PowerLawMethod::new(&x, self.window(rows.meta())?, self.fit))
    }

    fn noise(&self, _: &NoiseModel) -> NoiseModel {
        NoiseModel::Correlated
    }
}

/// `baseline.power_law` on known channels.
pub struct PowerLawMethod {
    fit: PowerLawFit,
    window: Range<usize>,
    /// Channels on the far side of the start of the window, where the law is extrapolated.
    covered: Range<usize>,
    /// ln(E / middle) in the window, filled up to whole chunks.
    window_log: Vec<[f64; WIDE]>,
    /// 1 in the window, 0 in what fills it up.
    inside: Vec<[f64; WIDE]>,
    /// ln(E / middle) where covered.
    log: Vec<f64>,
    /// The largest |ln(E / middle)| in the window.
    reach: f64,
    /// The energy all energies are divided by.
    middle: f64,
    /// Ends of the two halves, in units of the middle, and channels of each.
    ends: [f64; 3],
    split: usize,
}

/// What a fit has found: `B(E) = level (E / middle)^-exponent`.
struct Law {
    level: f64,
    exponent: f64,
    iterations: usize,
    status: RowStatus,
}

impl PowerLawMethod {
    /// The method on an axis with values `x` (positive in and beyond the window).
    pub fn new(x: &[f64], window: Range<usize>, fit: PowerLawFit) -> Self {
        let n = window.len();
        let rising = x.len() < 2 || x[1] > x[0];
        let covered = if rising { window.start..x.len() } else { 0..window.end };
        let mean_log = window.clone().map(|i| x[i].ln()).sum::<f64>() / n as f64;
        let middle = mean_log.exp();
        let mut window_log = vec![[0.0; WIDE]; n.div_ceil(WIDE)];
        let mut inside = window_log.clone();
        for (k, i) in window.clone().enumerate() {
            window_log[k / WIDE][k % WIDE] = (x[i] / middle).ln();
            inside[k / WIDE][k % WIDE] = 1.0;
        }
        let split = n / 2;
        let ends = [x[window.start], x[window.start + split], x[window.end - 1]];
        Self {
            fit,
            log: covered.clone().map(|i| (x[i] / middle).ln()).collect(),
            reach: window_log.as_flattened().iter().fold(0.0, |m: f64, l| m.max(l.abs())),
            window,
            covered,
            window_log,
            inside,
            middle,
            ends: ends.map(|e| e / middle),
            split,
        }
    }

    /// The exponent from two areas, or 3 where these have no ratio.
    fn two_area(&self, y: &[f64]) -> Option<f64> {
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        let (a, b) = (mean(&y[..self.split]), mean(&y[self.split..]));
        let exponent = 2.0 * (a / b).ln() / (self.ends[2] / self.ends[0]).ln();
        (a > 0.0 && b > 0.0 && exponent.is_finite()).then_some(exponent)
    }

    /// Sums of `y f l^k` and `f² l^k` with `f = exp(-r l)`, over every `stride`-th chunk.
    #[inline(always)]
    fn sums(&self, y: &[[f64; WIDE]], exponent: f64, stride: usize) -> [[f64; TERMS]; 2] {
        let r = Lanes::splat(-exponent);
        let mut first = [Lanes::<WIDE>::ZERO; TERMS];
        let mut second = [Lanes::<WIDE>::ZERO; TERMS];
        let all = self.window_log.iter().zip(&self.inside).zip(y);
        for ((log, inside), y) in all.step_by(stride) {
            let l = Lanes(*log);
            let f = (r * l).exp() * Lanes(*inside);
            let (mut p, mut q) = (Lanes(*y) * f, f * f);
            for k in 0..TERMS {
                first[k] = first[k] + p;
                second[k] = second[k] + q;
                p = p * l;
                q = q * l;
            }
        }
        [first, second].map(|sums| sums.map(|s| s.0.iter().sum()))
    }

    #[inline(always)]
    fn law(&self, window: &[f64], chunks: &[[f64; WIDE]]) -> Law {
        let start = self.two_area(window);
        let mut law = Law {
            level: 0.0,
            exponent: start.unwrap_or(3.0),
            iterations: 0,
            status: RowStatus::NotConverged,
        };
        if self.fit == PowerLawFit::TwoArea {
            if start.is_none() {
                law.status = RowStatus::Refused;
                return law;
            }
            // The level that gives the area of the whole window.
            let total: f64 = window.iter().sum();
            let shape: f64 = self
                .window_log
                .as_flattened()
                .iter()
                .take(window.len())
                .map(|l| exp(-law.exponent * l))
                .sum();
            law.level = total / shape;
            law.status = RowStatus::Fine;
            return law;
        }
        // A wide window: the way to the neighbourhood of the solution on a part of it.
        let mut stride = if chunks.len() >= 8 * STRIDE { STRIDE } else { 1 };
        for iteration in 1..=MAX_ITERATIONS {
            law.iterations = iteration;
            let [first, second] = self.sums(chunks, law.exponent, stride);
            let series = Series::new(&first, &second);
            let Some((step, rests)) = series.best(self.reach) else {
                if stride > 1 {
                    stride = 1;
                    continue;
                }
                law.status = RowStatus::Refused;
                return law;
            };
            law.exponent += step;
            law.level = series.level(step);
            if law.exponent.abs() > STEEPEST {
                law.exponent = law.exponent.clamp(-STEEPEST, STEEPEST);
                law.status = RowStatus::AtBound;
                let [first, second] = self.sums(chunks, law.exponent, 1);
                law.level = first[0] / second[0];
                return law;
            }
            if stride > 1 {
                if step.abs() * self.reach < FAR {
                    stride = 1;
                }
            } else if rests && step.abs() * self.reach <= NEAR {
                law.status = RowStatus::Fine;
                return law;
            }
        }
        law
    }
}

/// `S(d) = sum y f exp(-d l)` and `T(d) = sum f² exp(-2 d l)` as polynomials in d.
///
/// The best law has the exponent `r + d` that maximises `S² / T`, and the level `S / T`.
struct Series {
    first: [f64; TERMS],
    second: [f64; TERMS],
}

impl Series {
    fn new(first: &[f64; TERMS], second: &[f64; TERMS]) -> Self {
        let mut series = Self { first: *first, second: *second };
        let (mut a, mut b) = (1.0, 1.0);
        for k in 1..TERMS {
            a *= -1.0 / k as f64;
            b *= -2.0 / k as f64;
            series.first[k] *= a;
            series.second[k] *= b;
        }
        series
    }

    /// Value and first two derivatives.
    fn at(terms: &[f64; TERMS], d: f64) -> [f64; 3] {
        let [mut value, mut slope, mut half_bend] = [0.0; 3];
        for c in terms.iter().rev() {
            half_bend = half_bend * d + slope;
            slope = slope * d + value;
            value = value * d + c;
        }
        [value, slope, 2.0 * half_bend]
    }

    fn level(&self, d: f64) -> f64 {
        Self::at(&self.first, d)[0] / Self::at(&self.second, d)[0]
    }

    /// Where `2 ln S - ln T` is largest, no farther than the series carries, and whether it is
    /// found; by Gauss-Newton where that is not concave. Nothing where there is no step.
    fn best(&self, reach: f64) -> Option<(f64, bool)> {
        let far = FAR / reach.max(f64::MIN_POSITIVE);
        let mut d = 0.0;
        for _ in 0..20 {
            let [s, s1, s2] = Self::at(&self.first, d);
            let [t, t1, t2] = Self::at(&self.second, d);
            let slope = 2.0 * s1 / s - t1 / t;
            let bend = 2.0 * (s2 / s - (s1 / s).powi(2)) - (t2 / t - (t1 / t).powi(2));
            if s.is_nan() || s <= 0.0 || bend.is_nan() || bend >= 0.0 {
                break;
            }
            let step = -slope / bend;
            d = (d + step).clamp(-far, far);
            // Newton squares the error: the next step would be rounding.
            if step.abs() * reach < 1e-9 || d.abs() == far {
                return Some((d, true));
            }
        }
        if d != 0.0 {
            return Some((d, false));
        }
        let [yf, minus_ylf, ..] = self.first;
        let [ff, minus_2_lff, twice_llff, ..] = self.second;
        let (level, lff, llff) = (yf / ff, -0.5 * minus_2_lff, 0.5 * twice_llff);
        let step = (minus_ylf + level * lff) / (level * (llff - lff * lff / ff));
        step.is_finite().then(|| (step.clamp(-2.0, 2.0), step.abs() * reach < 1e-7))
    }
}

/// Working memory of one thread.
#[derive(Default)]
pub struct Scratch(Vec<[f64; WIDE]>);

impl RowMethod for PowerLawMethod {
    type Scratch = Scratch;

    fn columns(&self) -> Vec<(&'static str, String)> {
        vec![
            ("exponent", String::new()),
            ("amplitude", String::new()),
            ("iterations", String::new()),
        ]
    }

    fn apply(&self, block: &mut Block<'_>, scratch: &mut Scratch) {
        simd::run(Rowwise { method: self, block, scratch });
    }
}

struct Rowwise<'a, 'b> {
    method: &'a PowerLawMethod,
    block: &'a mut Block<'b>,
    scratch: &'a mut Scratch,
}

impl Kernel for Rowwise<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { method, block, scratch } = self;
        let chunks = &mut scratch.0;
        chunks.resize(method.window_log.len(), [0.0; WIDE]);
        for r in 0..block.rows {
            let y = &block.values[r * block.channels..(r + 1) * block.channels];
            let z = &mut block.out[r * block.channels..(r + 1) * block.channels];
            let window = &y[method.window.clone()];
            let (whole, rest) = window.as_chunks::<WIDE>();
            chunks[..whole.len()].copy_from_slice(whole);
            if !rest.is_empty() {
                let mut last = [0.0; WIDE];
                last[..rest.len()].copy_from_slice(rest);
                chunks[whole.len()] = last;
            }
            let law = method.law(window, chunks);
            let good = law.level > 0.0 && law.level.is_finite() && law.exponent.is_finite();
            block.status[r] = if good { law.status } else { RowStatus::Refused };
            if block.status[r] == RowStatus::Refused {
                z.fill(f64::NAN);
                block.table[3 * r..3 * r + 3].fill(f64::NAN);
                continue;
            }
            z.copy_from_slice(y);
            for (z, l) in z[method.covered.clone()].iter_mut().zip(&method.log) {
                *z = law.level * exp(-law.exponent * l);
            }
            let amplitude = law.level * method.middle.powf(law.exponent);
            let found = [law.exponent, amplitude, law.iterations as f64];
            block.table[3 * r..3 * r + 3].copy_from_slice(&found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Background, table row and status of one spectrum.
    fn apply(method: &PowerLawMethod, y: &[f64]) -> (Vec<f64>, [f64; 3], RowStatus) {
        let (mut z, mut status, mut table) = (vec![0.0; y.len()], [RowStatus::Fine], [0.0; 3]);
        let mut block = Block {
            first_row: 0,
            rows: 1,
            channels: y.len(),
            values: y,
            out: &mut z,
            status: &mut status,
            table: &mut table,
        };
        method.apply(&mut block, &mut Scratch::default());
        (z, table, status[0])
    }

    #[test]
    fn gives_a_power_law_back_in_either_direction() {
        let x: Vec<f64> = (0..400).map(|i| 150.0 + 0.7 * f64::from(i)).collect();
        let y: Vec<f64> = x.iter().map(|e| 3e8 * e.powf(-2.9)).collect();
        let (z, found, status) =
            apply(&PowerLawMethod::new(&x, 40..141, PowerLawFit::LeastSquares), &y);
        assert_eq!(status, RowStatus::Fine);
        assert!((found[0] - 2.9).abs() < 1e-10 && (found[1] / 3e8 - 1.0).abs() < 1e-8);
        assert!(y.iter().zip(&z).all(|(y, z)| (z / y - 1.0).abs() < 1e-9));
        let down: Vec<f64> = x.iter().rev().copied().collect();
        let turned: Vec<f64> = y.iter().rev().copied().collect();
        let method = PowerLawMethod::new(&down, 400 - 141..360, PowerLawFit::LeastSquares);
        let (back, _, _) = apply(&method, &turned);
        assert!(back.iter().rev().zip(&z).all(|(a, b)| (a / b - 1.0).abs() < 1e-9));
        // Two areas stand for integrals: near, not exact.
        let (_, found, _) = apply(&PowerLawMethod::new(&x, 40..141, PowerLawFit::TwoArea), &y);
        assert!((found[0] - 2.9).abs() < 0.05, "{}", found[0]);
    }

    #[test]
    fn least_squares_equals_scipy() {
        let x: Vec<f64> = (0..101).map(|i| 200.0 + f64::from(i)).collect();
        let y: Vec<f64> = (0..101)
            .map(|i| {
                let i = f64::from(i);
                5e8 * (200.0 + i).powf(-2.7) + 4.0 * (1.7 * i).sin() + 2.0 * (0.1 * i).cos()
            })
            .collect();
        let (_, found, status) =
            apply(&PowerLawMethod::new(&x, 0..101, PowerLawFit::LeastSquares), &y);
        assert_eq!(status, RowStatus::Fine);
        // scipy 1.17.1, curve_fit with all tolerances 1e-15.
        assert!((found[0] - 2.7203085272).abs() < 1e-7, "{}", found[0]);
        assert!((found[1] / 558508002.0 - 1.0).abs() < 1e-6, "{}", found[1]);
    }

    #[test]
    fn what_is_no_background_is_refused() {
        let x: Vec<f64> = (0..64).map(|i| 100.0 + f64::from(i)).collect();
        for fit in [PowerLawFit::LeastSquares, PowerLawFit::TwoArea] {
            let method = PowerLawMethod::new(&x, 0..40, fit);
            for y in [vec![0.0; 64], vec![-3.0; 64]] {
                let (z, _, status) = apply(&method, &y);
                assert_eq!(status, RowStatus::Refused);
                assert!(z.iter().all(|v| v.is_nan()));
            }
        }
    }
}
