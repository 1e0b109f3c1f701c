//! The objective of a fit: weighted squares or Poisson deviance, with an analytic Jacobian.
//!
//! Squares: `F = sum w (f - y)²`. Poisson: `F = 2 sum [f - y + y ln(y / f)]`, residuals
//! `(f - y) / sqrt(f)`: its normal matrix is Fisher's information, so that Levenberg-Marquardt becomes
//! damped Fisher scoring. Ties enter by the chain rule.
//!
//! Source: Baker and Cousins (1984), Nucl. Instrum. Methods 221, 437,
//! doi:10.1016/0167-5087(84)90016-4.

use super::{Component, PeakModel, expression::Sweep, linear::LinearSolver, model::Layout};
use kalpha_num::least_squares::{Bounds, Problem};

/// What is minimised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Measure<'a> {
    /// Squares, with roots of weights.
    Squares(&'a [f64]),
    /// Deviance of counts.
    Deviance,
}

/// Buffers of an objective, kept from fit to fit.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    pub(super) full: Vec<f64>,
    value: Vec<f64>,
    /// Sum of what scatters.
    peaks: Vec<f64>,
    pub(super) model: Vec<f64>,
    /// Derivatives to all parameters, column by column.
    slopes: Vec<f64>,
    pub(super) tie_slopes: Vec<f64>,
    /// Free parameters at which model and slopes hold; empty where they do not.
    slopes_at: Vec<f64>,
    sweep: Sweep,
    linear: LinearSolver,
}

/// A model, data and a measure of their difference.
pub(super) struct Objective<'a> {
    components: &'a [Component],
    layout: &'a Layout,
    x: &'a [f64],
    y: &'a [f64],
    measure: Measure<'a>,
    bounds: Bounds<'a>,
    /// Amplitudes are solved for at every trial.
    pub(super) projects: bool,
    /// Slopes are computed with every value: cheaper where most trials are accepted.
    pub(super) eager: bool,
    pub(super) memory: &'a mut Memory,
}

impl<'a> Objective<'a> {
    /// `start` holds all parameters, the fixed ones with their values.
    pub(super) fn new(
        model: &'a PeakModel,
        x: &'a [f64],
        y: &'a [f64],
        measure: Measure<'a>,
        bounds: Bounds<'a>,
        start: &[f64],
        memory: &'a mut Memory,
    ) -> Self {
        let layout = &model.layout;
        let (m, n) = (x.len(), layout.names.len());
        memory.full.clear();
        memory.full.extend_from_slice(start);
        memory.value.resize(m, 0.0);
        memory.peaks.resize(m, 0.0);
        memory.model.resize(m, 0.0);
        memory.slopes.resize(m * n, 0.0);
        memory.tie_slopes.resize(layout.ties.len() * layout.free.len(), 0.0);
        memory.slopes_at.clear();
        Self {
            components: model.components(),
            layout,
            x,
            y,
            measure,
            bounds,
            projects: false,
            eager: false,
            memory,
        }
    }

    /// The model at `free`, into the memory; false where a parameter is outside its domain.
    pub(super) fn model(&mut self, free: &[f64], with_slopes: bool) -> bool {
        let Self { components, layout, x, .. } = self;
        let Memory { full, value, peaks, model, slopes, tie_slopes, slopes_at, sweep, .. } =
            &mut *self.memory;
        slopes_at.clear();
        layout.expand(free, full, sweep);
        let inside = |k: usize| full[k] >= layout.lower[k] && full[k] <= layout.upper[k];
        // Free ones are kept inside; NaN is nowhere inside.
        if !layout.ties.iter().all(|(k, _)| inside(*k)) {
            return false;
        }
        let m = x.len();
        model.fill(0.0);
        let scatters = components.iter().any(|c| c.shape.scatterer().is_some());
        peaks.fill(0.0);
        for (component, first) in components.iter().zip(&layout.first) {
            let n = component.parameters.len();
            let columns = with_slopes.then(|| &mut slopes[first * m..(first + n) * m]);
            component.shape.evaluate(x, &full[*first..first + n], value, columns);
            model.iter_mut().zip(value.iter()).for_each(|(sum, v)| *sum += v);
            if scatters && component.shape.is_peak() {
                peaks.iter_mut().zip(value.iter()).for_each(|(sum, v)| *sum += v);
            }
        }
        if scatters {
            let slopes = with_slopes.then_some(slopes.as_mut_slice());
            scatter(components, layout, x, full, peaks, value, model, slopes);
        }
        if with_slopes {
            layout.tie_slopes(full, tie_slopes, sweep);
            slopes_at.extend_from_slice(free);
        }
        true
    }

    /// Derivatives of the model to the free parameters, after [`Objective::model`] with slopes.
    pub(super) fn columns(&self, jacobian: &mut [f64]) {
        let (m, n) = (self.x.len(), self.layout.free.len());
        let Memory { slopes, tie_slopes, .. } = &*self.memory;
        let parts = self.layout.first.len();
        let variables = match parts {
            0 => 0,
            _ => self.layout.first[parts - 1] + self.components[parts - 1].parameters.len(),
        };
        for (f, column) in jacobian.chunks_exact_mut(m).enumerate() {
            let k = self.layout.free[f];
            match k < variables {
                true => column.copy_from_slice(&slopes[k * m..(k + 1) * m]),
                // A variable acts through ties alone.
                false => column.fill(0.0),
            }
            for (t, (k, _)) in self.layout.ties.iter().enumerate() {
                let d = tie_slopes[t * n + f];
                if d != 0.0 && *k < variables {
                    let share = &slopes[k * m..(k + 1) * m];
                    column.iter_mut().zip(share).for_each(|(c, s)| *c += d * s);
                }
            }
        }
    }

    /// Solves for the amplitudes with everything else held.
    pub(super) fn solve_linear(&mut self, free: &mut [f64]) {
        let layout = self.layout;
        if !layout.linear.iter().any(|l| *l) {
            return;
        }
        let Measure::Squares(root) = self.measure else { return };
        if !self.model(free, true) {
            return;
        }
        let m = self.x.len();
        let mut solver = std::mem::take(&mut self.memory.linear);
        let jacobian = solver.columns(m, free.len());
        self.columns(jacobian);
        solver.solve(&layout.linear, root, self.y, &self.memory.model, self.bounds, free);
        self.memory.linear = solver;
    }

    /// Index of the first point where counts are and the model is not positive.
    pub(super) fn not_positive(&self) -> Option<usize> {
        (0..self.y.len()).find(|i| {
            let f = self.memory.model[*i];
            !(f > 0.0 || (f == 0.0 && self.y[*i] == 0.0))
        })
    }
}

/// Adds what backgrounds make of the peaks, and of their derivatives.
fn scatter(
    components: &[Component],
    layout: &Layout,
    x: &[f64],
    full: &[f64],
    peaks: &[f64],
    value: &mut [f64],
    model: &mut [f64],
    mut slopes: Option<&mut [f64]>,
) {
    let m = x.len();
    let mut source = vec![0.0; m];
    let range = |c: usize| layout.first[c]..layout.first[c] + components[c].parameters.len();
    let scatterers: Vec<usize> =
        (0..components.len()).filter(|c| components[*c].shape.scatterer().is_some()).collect();
    for &c in &scatterers {
        let Some(scatterer) = components[c].shape.scatterer() else { continue };
        let p = &full[range(c)];
        scatterer.scatter(x, p, peaks, value);
        model.iter_mut().zip(value.iter()).for_each(|(sum, v)| *sum += v);
        if let Some(slopes) = slopes.as_deref_mut() {
            for (k, index) in range(c).enumerate() {
                scatterer.slope(x, p, k, peaks, &mut slopes[index * m..(index + 1) * m]);
            }
        }
    }
    let Some(slopes) = slopes else { return };
    for peak in (0..components.len()).filter(|c| components[*c].shape.is_peak()) {
        for index in range(peak) {
            let column = &mut slopes[index * m..(index + 1) * m];
            source.copy_from_slice(column);
            for &c in &scatterers {
                let Some(scatterer) = components[c].shape.scatterer() else { continue };
                scatterer.scatter(x, &full[range(c)], &source, value);
                column.iter_mut().zip(value.iter()).for_each(|(sum, v)| *sum += v);
            }
        }
    }
}

impl Problem for Objective<'_> {
    fn evaluate(&mut self, free: &[f64], residuals: &mut [f64]) -> f64 {
        if !self.model(free, self.eager) {
            residuals.fill(f64::NAN);
            return f64::INFINITY;
        }
        let model = &self.memory.model;
        match self.measure {
            Measure::Squares(root) => {
                for (i, r) in residuals.iter_mut().enumerate() {
                    *r = (model[i] - self.y[i]) * root[i];
                }
                squares(residuals)
            }
            Measure::Deviance => {
                let mut sum = 0.0;
                for (i, r) in residuals.iter_mut().enumerate() {
                    let (f, y) = (model[i], self.y[i]);
                    if f > 0.0 {
                        *r = (f - y) / f.sqrt();
                        sum += f - y + if y > 0.0 { y * (y / f).ln() } else { 0.0 };
                    } else if f == 0.0 && y == 0.0 {
                        *r = 0.0;
                    } else {
                        return f64::INFINITY;
                    }
                }
                2.0 * sum
            }
        }
    }

    fn jacobian(&mut self, free: &[f64], _: &mut [f64], jacobian: &mut [f64]) {
        if self.memory.slopes_at != free && !self.model(free, true) {
            jacobian.fill(f64::NAN);
            return;
        }
        self.columns(jacobian);
        let m = self.x.len();
        match self.measure {
            Measure::Squares(root) if root.iter().all(|r| *r == 1.0) => {}
            Measure::Squares(root) => {
                for column in jacobian.chunks_exact_mut(m) {
                    column.iter_mut().zip(root).for_each(|(c, w)| *c *= w);
                }
            }
            Measure::Deviance => {
                let Memory { value, model, .. } = &mut *self.memory;
                for (root, f) in value.iter_mut().zip(model.iter()) {
                    *root = if *f > 0.0 { f.sqrt().recip() } else { 0.0 };
                }
                for column in jacobian.chunks_exact_mut(m) {
                    column.iter_mut().zip(value.iter()).for_each(|(c, w)| *c *= w);
                }
            }
        }
    }

    fn project(&mut self, free: &mut [f64]) {
        if self.projects {
            self.solve_linear(free);
        }
    }
}

/// Sum of squares in eight sums, in a fixed order.
fn squares(values: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let chunks = values.chunks_exact(8);
    let tail: f64 = chunks.remainder().iter().map(|v| v * v).sum();
    for chunk in chunks {
        for (s, v) in sums.iter_mut().zip(chunk) {
            *s += v * v;
        }
    }
    sums.iter().sum::<f64>() + tail
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peaks::Parameter;

    #[test]
    fn the_jacobian_is_the_derivative_of_the_model() {
        let x: Vec<f64> = (0..80).map(|i| 0.2 * f64::from(i)).collect();
        let y = vec![1.0; 80];
        let peak = |name: &str, shape: &str, center: f64| {
            let p = Component::new(name, shape).unwrap().start("center", center).unwrap();
            p.start("fwhm", 1.5).unwrap().start("area", 9.0).unwrap()
        };
        let a = peak("a", "gaussian", 5.0);
        let b = a.partner("b", "2 * gap", "0.5 + ratio^2").unwrap();
        let c = peak("c", "pseudo_voigt", 11.0).tie("fwhm", "a.fwhm * 1.1 + b.fwhm").unwrap();
        let tougaard = Component::new("t", "tougaard").unwrap().start("b", 30.0).unwrap();
        let tougaard = tougaard.start("c", 40.0).unwrap();
        let backgrounds = [
            Component::new("s", "shirley_kinetic").unwrap(),
            tougaard,
            Component::new("l", "linear")
                .unwrap()
                .start("c0", 1.0)
                .unwrap()
                .start("c1", 0.1)
                .unwrap(),
        ];
        let components = [a, b, c].into_iter().chain(backgrounds).collect();
        let variables = vec![
            Parameter::variable("gap", 1.4, 0.0, 3.0),
            Parameter::variable("ratio", 0.7, 0.0, 1.0),
        ];
        let model = PeakModel::with_variables(components, variables).unwrap();
        let start: Vec<f64> = model.layout.start.clone();
        let free: Vec<f64> = model.layout.free.iter().map(|k| start[*k]).collect();
        assert!(free.iter().all(|v| v.is_finite()), "{free:?}");
        let weights: Vec<f64> = (0..80).map(|i| 1.0 + 0.01 * f64::from(i)).collect();
        let measure = Measure::Squares(&weights);
        let mut memory = Memory::default();
        let mut objective =
            Objective::new(&model, &x, &y, measure, Bounds::NONE, &start, &mut memory);
        let (m, n) = (80, free.len());
        let (mut r, mut jacobian) = (vec![0.0; m], vec![0.0; m * n]);
        objective.evaluate(&free, &mut r);
        objective.jacobian(&free, &mut r, &mut jacobian);
        for f in 0..n {
            let step = 1e-5 * free[f].abs().max(0.1);
            let (mut up, mut down) = (free.clone(), free.clone());
            up[f] += step;
            down[f] -= step;
            let (mut ahead, mut behind) = (vec![0.0; m], vec![0.0; m]);
            objective.evaluate(&up, &mut ahead);
            objective.evaluate(&down, &mut behind);
            let column = &jacobian[f * m..(f + 1) * m];
            let largest = column.iter().fold(0.0_f64, |a, v| a.max(v.abs()));
            assert!(largest > 0.0);
            for i in 0..m {
                let want = (ahead[i] - behind[i]) / (up[f] - down[f]);
                assert!((column[i] - want).abs() < 1e-7 * largest, "{f} {i} {} {want}", column[i]);
            }
        }
    }
}
