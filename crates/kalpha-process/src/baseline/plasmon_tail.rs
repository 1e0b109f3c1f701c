//! Tail of a plasmon under low-lying edges of electron energy-loss spectra.
//!
//! The loss function of a free-electron gas (Drude),
//! `B(E) = A E Γ Ep² / ((E² - Ep²)² + (E Γ)²)`, fitted in a window by least squares and
//! extrapolated to the end of the axis. A is linear and eliminated; the plasmon energy Ep and its
//! width Γ are found by Levenberg-Marquardt, or given.
//!
//! Far above the plasmon the law is `A Γ Ep² E^-3`, and a window there tells neither Ep nor Γ:
//! the window holds the plasmon's maximum, or both are given.
//!
//! Source: Egerton (2011), Electron Energy-Loss Spectroscopy in the Electron Microscope,
//! doi:10.1007/978-1-4419-9583-4, section 3.3.1. O(n) per iteration. Tested on spectra with known
//! parameters.

use super::whittaker::{at_least, parameter, positive};
use crate::row_method::{Block, RowMethod, RowStatus, Treat};
use kalpha_core::{Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError};
use kalpha_num::least_squares::levenberg_marquardt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Iterations allowed.
const MAX_ITERATIONS: usize = 100;
/// Relative change of the sum of squares at which iteration stops.
const TOLERANCE: f64 = 1e-12;

/// Parameters of `baseline.plasmon_tail`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PlasmonTail {
    /// Where the fitted window begins, in units of the axis. Must be given.
    pub first: Option<f64>,
    /// Where it ends: before the edge. Must be given.
    pub last: Option<f64>,
    /// Energy of the plasmon, in units of the axis; fitted if absent.
    pub plasmon_energy: Option<f64>,
    /// Width of the plasmon (full width at half maximum), in units of the axis; fitted if absent.
    pub width: Option<f64>,
}

impl PlasmonTail {
    fn window(&self, rows: &RowsMeta) -> Result<Range<usize>, StepError> {
        for (name, value) in [("first", self.first), ("last", self.last)] {
            if value.is_none() {
                return Err(parameter(name, "nothing", "an energy before the edge"));
            }
        }
        for (name, value) in [("plasmon_energy", self.plasmon_energy), ("width", self.width)] {
            value.map_or(Ok(()), |v| positive(name, v))?;
        }
        let window = rows.signal.window("first, last", self.first, self.last)?;
        at_least(window.len(), 6)?;
        let lowest = window.clone().map(|i| rows.signal.at(i)).fold(f64::INFINITY, f64::min);
        match lowest > 0.0 {
            true => Ok(window),
            false => Err(parameter("first", lowest, "above zero energy loss")),
        }
    }
}

impl Treat for PlasmonTail {
    const ID: &'static str = "baseline.plasmon_tail";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Tail of a plasmon (Drude) under low-lying edges, extrapolated";
    type Method = PlasmonTailMethod;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        self.window(rows).map(|_| ())
    }

    fn method(
        self,
        rows: &Rows,
        _: &Metadata,
        _: &dyn Passes,
    ) -> Result<PlasmonTailMethod, StepError> {
        let axis = &rows.meta().signal;
        let x: Vec<f64> = (0..axis.len()).map(|i| axis.at(i)).collect();
        let window = self.window(rows.meta())?;
        Ok(PlasmonTailMethod::new(&x, window, self, axis.unit.symbol().to_owned()))
    }

    fn noise(&self, _: &NoiseModel) -> NoiseModel {
        NoiseModel::Correlated
    }
}

/// `baseline.plasmon_tail` on known channels.
pub struct PlasmonTailMethod {
    params: PlasmonTail,
    x: Vec<f64>,
    window: Range<usize>,
    /// Channels on the far side of the start of the window, where the law is extrapolated.
    covered: Range<usize>,
    unit: String,
}

/// The Drude loss function, 1 over its width at its maximum.
fn drude(e: f64, energy: f64, width: f64) -> f64 {
    let (detuning, damping) = (e * e - energy * energy, e * width);
    damping * energy * energy / (detuning * detuning + damping * damping)
}

impl PlasmonTailMethod {
    /// The method on an axis with values `x` in `unit`.
    pub fn new(x: &[f64], window: Range<usize>, params: PlasmonTail, unit: String) -> Self {
        let rising = x.len() < 2 || x[1] > x[0];
        let covered = if rising { window.start..x.len() } else { 0..window.end };
        Self { params, x: x.to_vec(), window, covered, unit }
    }

    fn row(&self, y: &[f64], z: &mut [f64], table: &mut [f64]) -> RowStatus {
        let (x, data) = (&self.x[self.window.clone()], &y[self.window.clone()]);
        let scale = data.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        let highest = (0..data.len()).fold(0, |b, i| if data[i] > data[b] { i } else { b });
        let (low, high) =
            x.iter().fold((f64::INFINITY, 0.0), |(a, b): (f64, f64), v| (a.min(*v), b.max(*v)));
        let given = [self.params.plasmon_energy, self.params.width];
        let refuse = |z: &mut [f64], table: &mut [f64]| {
            z.fill(f64::NAN);
            table.fill(f64::NAN);
            RowStatus::Refused
        };
        // Without the maximum the window tells neither energy nor width.
        let inside = highest > 0 && highest + 1 < data.len();
        if scale == 0.0 || (!inside && given.contains(&None)) {
            return refuse(z, table);
        }
        // Logarithms, so that both stay positive.
        let energy = given[0].unwrap_or(x[highest]);
        let start = [energy.ln(), given[1].unwrap_or(0.25 * energy).ln()];
        let free: Vec<usize> = (0..2).filter(|k| given[*k].is_none()).collect();
        let at = |found: &[f64]| {
            let mut both = start;
            free.iter().zip(found).for_each(|(k, v)| both[*k] = *v);
            both.map(f64::exp)
        };
        let amplitude = |[energy, width]: [f64; 2]| {
            let (mut yf, mut ff) = (0.0, 0.0);
            for (e, y) in x.iter().zip(data) {
                let f = drude(*e, energy, width);
                yf += y * f;
                ff += f * f;
            }
            yf / ff
        };
        let residuals = |found: &[f64]| -> Vec<f64> {
            let [energy, width] = at(found);
            let a = amplitude([energy, width]);
            x.iter().zip(data).map(|(e, y)| (y - a * drude(*e, energy, width)) / scale).collect()
        };
        let first: Vec<f64> = free.iter().map(|k| start[*k]).collect();
        let steps = vec![1e-5; free.len()];
        let (both, iterations, converged) = match free.is_empty() {
            true => (at(&[]), 0, true),
            false => {
                match levenberg_marquardt(residuals, &first, &steps, MAX_ITERATIONS, TOLERANCE) {
                    Ok(fit) => (at(&fit.x), fit.iterations, fit.converged),
                    Err(_) => return refuse(z, table),
                }
            }
        };
        let a = amplitude(both);
        let [energy, width] = both;
        if !(a > 0.0 && a.is_finite() && energy.is_finite() && width.is_finite()) {
            return refuse(z, table);
        }
        z.copy_from_slice(y);
        for i in self.covered.clone() {
            z[i] = a * drude(self.x[i], energy, width);
        }
        table.copy_from_slice(&[energy, width, a, iterations as f64]);
        // A plasmon outside the window that was to show it is a formula, not a plasmon.
        match (converged, given[0].is_some() || (low..=high).contains(&energy)) {
            (_, false) => RowStatus::AtBound,
            (false, _) => RowStatus::NotConverged,
            _ => RowStatus::Fine,
        }
    }
}

impl RowMethod for PlasmonTailMethod {
    type Scratch = ();

    fn columns(&self) -> Vec<(&'static str, String)> {
        vec![
            ("plasmon_energy", self.unit.clone()),
            ("width", self.unit.clone()),
            ("amplitude", String::new()),
            ("iterations", String::new()),
        ]
    }

    fn apply(&self, block: &mut Block<'_>, (): &mut ()) {
        block.each(|y, z, table| self.row(y, z, table));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(method: &PlasmonTailMethod, y: &[f64]) -> (Vec<f64>, Vec<f64>, RowStatus) {
        let (mut z, mut table) = (vec![0.0; y.len()], vec![0.0; 4]);
        let status = method.row(y, &mut z, &mut table);
        (z, table, status)
    }

    /// Aluminium: 15 eV, 0.5 eV wide; an edge at 72 eV.
    #[test]
    fn known_parameters_come_back_and_the_edge_stays() {
        let x: Vec<f64> = (0..900).map(|i| 5.0 + 0.1 * f64::from(i)).collect();
        let edge = |e: f64| if e > 72.5 { 30.0 } else { 0.0 };
        let y: Vec<f64> = x.iter().map(|e| 4e3 * drude(*e, 15.0, 0.5) + edge(*e)).collect();
        let window = |a: f64, b: f64| {
            let inside = |e: &&f64| (a..=b).contains(*e);
            let first = x.iter().position(|e| *e >= a).unwrap();
            first..first + x.iter().filter(inside).count()
        };
        let params = PlasmonTail { first: Some(8.0), last: Some(60.0), ..PlasmonTail::default() };
        let method = PlasmonTailMethod::new(&x, window(8.0, 60.0), params.clone(), "eV".into());
        let (z, table, status) = apply(&method, &y);
        assert_eq!(status, RowStatus::Fine);
        for (got, want) in table.iter().zip([15.0, 0.5, 4e3]) {
            assert!((got / want - 1.0).abs() < 1e-5, "{table:?}");
        }
        for ((e, y), z) in x.iter().zip(&y).zip(&z) {
            if *e > 73.0 {
                assert!((y - z - 30.0).abs() < 1e-3, "{e}: {}", y - z);
            }
        }
        // On the tail alone both must be given; then it is the same law.
        let tail = window(30.0, 60.0);
        let method = PlasmonTailMethod::new(&x, tail.clone(), params, "eV".into());
        assert_eq!(apply(&method, &y).2, RowStatus::Refused);
        let both =
            PlasmonTail { plasmon_energy: Some(15.0), width: Some(0.5), ..PlasmonTail::default() };
        let method = PlasmonTailMethod::new(&x, tail, both.clone(), "eV".into());
        let (z, table, status) = apply(&method, &y);
        assert!(status == RowStatus::Fine && (table[2] / 4e3 - 1.0).abs() < 1e-9);
        // The same on a falling axis.
        let down: Vec<f64> = x.iter().rev().copied().collect();
        let turned: Vec<f64> = y.iter().rev().copied().collect();
        let n = x.len();
        let range = window(30.0, 60.0);
        let method =
            PlasmonTailMethod::new(&down, n - range.end..n - range.start, both, "eV".into());
        let (back, _, _) = apply(&method, &turned);
        assert!(back.iter().rev().zip(&z).all(|(a, b)| (a - b).abs() < 1e-9 * b.abs()));
    }

    #[test]
    fn what_is_no_plasmon_is_refused() {
        let x: Vec<f64> = (0..64).map(|i| 10.0 + f64::from(i)).collect();
        let method = PlasmonTailMethod::new(&x, 0..40, PlasmonTail::default(), "eV".into());
        for y in [vec![0.0; 64], vec![-3.0; 64], x.clone()] {
            let (z, _, status) = apply(&method, &y);
            assert_eq!(status, RowStatus::Refused);
            assert!(z.iter().all(|v| v.is_nan()));
        }
    }
}
