//! One fit of one spectrum.

use super::{
    Measures, Noise, PeakError, PeakModel,
    data::Data,
    diagnostics::{Diagnostics, Residuals},
    objective::{Measure, Memory, Objective},
    shape::LineShape,
    start::Start,
};
use kalpha_num::least_squares::{
    Bounds, Covariance, LeastSquaresError, LevenbergMarquardt, Loss, Minimum, Options, Problem,
    Robust,
};
use serde::{Deserialize, Serialize};

/// How a spectrum is fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FitOptions {
    /// How residuals count; for least squares only, with the noise known.
    pub loss: Loss,
    /// When the search ends.
    pub search: Options,
    /// Amplitudes are solved for at every trial (variable projection); least squares only.
    pub project: bool,
    /// Correlations above this magnitude are warned of.
    pub correlation: f64,
}

impl Default for FitOptions {
    fn default() -> Self {
        let search = Options { max_iterations: 500, ..Options::default() };
        Self { loss: Loss::Square, search, project: true, correlation: 0.95 }
    }
}

/// What became of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Fitted.
    Free,
    /// Kept at its value.
    Fixed,
    /// Given by an expression.
    Tied,
    /// Stopped at one of its bounds: no standard deviation.
    AtBound,
    /// The data do not determine it: the value means nothing.
    Unidentified,
}

/// A value with its standard deviation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fitted {
    /// Value.
    pub value: f64,
    /// Standard deviation; absent where there is none.
    pub sigma: Option<f64>,
}

/// A parameter after the fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FittedParameter {
    /// `component.parameter`, or the name of a variable.
    pub name: String,
    /// Value.
    pub value: f64,
    /// Standard deviation; absent for fixed ones, at a bound, or not identified.
    pub sigma: Option<f64>,
    /// What became of it.
    pub state: State,
}

/// A peak after the fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeakRow {
    /// Component.
    pub name: String,
    /// Shape.
    pub shape: String,
    /// Place of the maximum.
    pub position: Fitted,
    /// Value there.
    pub height: Fitted,
    /// Full width at half maximum.
    pub fwhm: Fitted,
    /// Integral over the whole axis; absent where it diverges.
    pub area: Option<Fitted>,
    /// Integral over the data, by the trapezoidal rule.
    pub area_in_range: Fitted,
}

/// What a fit warns of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PeakWarning {
    /// The search ended elsewhere than at a minimum.
    NotConverged {
        /// Jacobians taken.
        iterations: usize,
    },
    /// A parameter ran into a bound.
    AtBound {
        /// Name.
        parameter: String,
        /// The bound.
        bound: f64,
    },
    /// The data do not determine a parameter.
    Unidentified {
        /// Name.
        parameter: String,
    },
    /// Two parameters that the data hardly tell apart.
    Correlated {
        /// One.
        first: String,
        /// The other.
        second: String,
        /// Their correlation.
        correlation: f64,
    },
    /// Residuals larger than the noise allows.
    Misfit {
        /// Reduced chi-square.
        reduced_chi2: f64,
        /// Standard deviations above its expectation.
        excess: f64,
    },
    /// Residuals in waves.
    Waves {
        /// Standard deviations of the number of runs.
        runs_z: f64,
    },
}

impl std::fmt::Display for PeakWarning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotConverged { iterations } => {
                write!(f, "not converged after {iterations} iterations: the values mean nothing")
            }
            Self::AtBound { parameter, bound } => {
                write!(f, "{parameter} stopped at its bound {bound}: no standard deviation")
            }
            Self::Unidentified { parameter } => {
                write!(f, "{parameter} is not determined by the data: its value means nothing")
            }
            Self::Correlated { first, second, correlation } => {
                write!(f, "{first} and {second} are correlated by {correlation:.3}")
            }
            Self::Misfit { reduced_chi2, excess } => write!(
                f,
                "reduced chi-square {reduced_chi2:.2} is {excess:.1} standard deviations above 1: \
                 standard deviations are too small"
            ),
            Self::Waves { runs_z } => {
                write!(f, "residuals come in waves ({runs_z:.1} standard deviations of runs)")
            }
        }
    }
}

/// A fitted model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeakFit {
    /// All parameters: those of the components in order, then variables.
    pub parameters: Vec<FittedParameter>,
    /// Covariance of all parameters, row-major; zero for fixed ones and at bounds, NaN where the
    /// data do not determine one.
    pub covariance: Vec<f64>,
    /// One row per peak.
    pub peaks: Vec<PeakRow>,
    /// The objective at the minimum: sum of weighted squares, or deviance of counts.
    pub objective: f64,
    /// How well it fits.
    pub diagnostics: Diagnostics,
    /// True at a minimum.
    pub converged: bool,
    /// Jacobians taken.
    pub iterations: usize,
    /// What to mind.
    pub warnings: Vec<PeakWarning>,
    /// The model at every point.
    pub model: Vec<f64>,
    /// Each component at every point.
    pub components: Vec<Vec<f64>>,
    /// Data less model, in standard deviations where those are known.
    pub residuals: Vec<f64>,
}

impl PeakFit {
    /// The parameter of that name.
    pub fn parameter(&self, name: &str) -> Option<&FittedParameter> {
        self.parameters.iter().find(|p| p.name == name)
    }

    /// Its value.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.parameter(name).map(|p| p.value)
    }

    /// Its standard deviation.
    pub fn sigma(&self, name: &str) -> Option<f64> {
        self.parameter(name).and_then(|p| p.sigma)
    }

    /// Correlation of two parameters; absent where one has no standard deviation.
    pub fn correlation(&self, first: &str, second: &str) -> Option<f64> {
        let index = |name| self.parameters.iter().position(|p| p.name == name);
        let (i, j) = (index(first)?, index(second)?);
        let n = self.parameters.len();
        let c = |i: usize, j: usize| self.covariance[i * n + j];
        Some(c(i, j) / (c(i, i) * c(j, j)).sqrt()).filter(|r| r.is_finite())
    }
}

/// Solver and buffers, kept from fit to fit.
#[derive(Clone, Debug, Default)]
pub(super) struct Workspace {
    pub(super) solver: LevenbergMarquardt,
    pub(super) memory: Memory,
}

impl PeakModel {
    /// Fits `y` over the ascending axis `x`.
    ///
    /// Starts that are NaN come from the data. The noise decides the objective: least squares, or
    /// maximum likelihood for counts.
    ///
    /// # Errors
    /// [`PeakError`] for data that cannot be fitted or constraints that cannot hold. A fit that
    /// does not converge is no error: it says so.
    pub fn fit(
        &self,
        x: &[f64],
        y: &[f64],
        noise: Noise<'_>,
        options: &FitOptions,
    ) -> Result<PeakFit, PeakError> {
        let data = Data::new(x, y, noise)?;
        let start = Start::new(self, &data)?;
        let mut workspace = Workspace::default();
        let found = search(self, &data, &start, options, &mut workspace)?;
        Ok(self.report(&data, &found, options, &mut workspace.memory))
    }
}

/// A minimum with what follows from it.
pub(super) struct Found {
    pub(super) free: Vec<f64>,
    pub(super) minimum: Minimum,
    pub(super) covariance: Option<Covariance>,
    pub(super) lower: Vec<f64>,
    pub(super) upper: Vec<f64>,
}

pub(super) fn search(
    model: &PeakModel,
    data: &Data<'_>,
    start: &Start,
    options: &FitOptions,
    workspace: &mut Workspace,
) -> Result<Found, PeakError> {
    let layout = &model.layout;
    let bounds = Bounds { lower: &start.lower, upper: &start.upper };
    let mut free: Vec<f64> = layout.free.iter().map(|k| start.full[*k]).collect();
    let m = data.x.len();
    if start.amplitudes {
        let (counts, memory) = (data.noise == Noise::Poisson, &mut workspace.memory);
        let root = &mut data.root.clone();
        solve_amplitudes(model, data.x, &data.y, counts, root, start, &mut free, memory);
    }
    let counts = data.noise == Noise::Poisson;
    let measure = if counts { Measure::Deviance } else { Measure::Squares(&data.root) };
    let memory = &mut workspace.memory;
    let mut objective =
        Objective::new(model, data.x, &data.y, measure, bounds, &start.full, memory);
    if counts {
        objective.model(&free, false);
        if let Some(i) = objective.not_positive() {
            let value = objective.memory.model[i];
            return Err(PeakError::NotPositive { x: data.x[i], counts: data.y[i], value });
        }
    }
    let plain = options.loss == Loss::Square && !counts;
    objective.projects = options.project && plain;
    let mut search = options.search;
    search.bend &= plain;
    let solver = &mut workspace.solver;
    let loss = if counts { Loss::Square } else { options.loss };
    let mut problem = Robust { problem: objective, loss };
    let problem: &mut dyn Problem =
        if loss == Loss::Square { &mut problem.problem } else { &mut problem };
    let minimum = solver.minimise(problem, &mut free, m, bounds, &search)?;
    let covariance = match solver.covariance(problem, &free, m, bounds) {
        Ok(covariance) => Some(covariance),
        Err(LeastSquaresError::NotFinite) => None,
        Err(error) => return Err(error.into()),
    };
    let (lower, upper) = (start.lower.clone(), start.upper.clone());
    Ok(Found { free, minimum, covariance, lower, upper })
}

/// Amplitudes for the positions and widths of the start. `root` holds roots of weights; for counts
/// it is filled with those of the counts.
pub(super) fn solve_amplitudes(
    model: &PeakModel,
    x: &[f64],
    y: &[f64],
    counts: bool,
    root: &mut Vec<f64>,
    start: &Start,
    free: &mut [f64],
    memory: &mut Memory,
) {
    // A likelihood needs a model above zero to start from.
    let lower: Vec<f64> = start
        .lower
        .iter()
        .zip(&model.layout.linear)
        .map(|(l, linear)| if counts && *linear { l.max(0.0) } else { *l })
        .collect();
    if counts {
        root.clear();
        root.extend(y.iter().map(|c| c.max(1.0).sqrt().recip()));
    }
    let bounds = Bounds { lower: &lower, upper: &start.upper };
    let measure = Measure::Squares(root);
    let mut objective = Objective::new(model, x, y, measure, bounds, &start.full, memory);
    objective.solve_linear(free);
}

impl PeakModel {
    pub(super) fn report(
        &self,
        data: &Data<'_>,
        found: &Found,
        options: &FitOptions,
        memory: &mut Memory,
    ) -> PeakFit {
        let layout = &self.layout;
        let (m, n, frees) = (data.x.len(), layout.names.len(), layout.free.len());
        let counts = data.noise == Noise::Poisson;
        let bounds = Bounds { lower: &found.lower, upper: &found.upper };
        let measure = if counts { Measure::Deviance } else { Measure::Squares(&data.root) };
        let start = memory.full.clone();
        let mut objective = Objective::new(self, data.x, &data.y, measure, bounds, &start, memory);
        objective.model(&found.free, true);
        let full = objective.memory.full.clone();
        let model = objective.memory.model.clone();
        let residual = |i: usize| match data.noise {
            Noise::Poisson => (data.y[i] - model[i]) / model[i].max(f64::MIN_POSITIVE).sqrt(),
            _ => (data.y[i] - model[i]) * data.root[i],
        };
        let residuals: Vec<f64> = (0..m).map(residual).collect();
        let counting: Vec<usize> = (0..m).filter(|i| counts || data.root[*i] > 0.0).collect();
        let values: Vec<f64> = counting.iter().map(|i| residuals[*i]).collect();
        let at_bound = |f: usize| bounds.touches(f, found.free[f]);
        let parameters = (0..frees).filter(|f| !at_bound(*f)).count();
        let unknown_noise = data.noise == Noise::Unknown;
        let diagnostics = Residuals {
            values: &values,
            expected: counts.then_some(model.as_slice()),
            deviance: counts.then_some(found.minimum.objective),
            unknown_noise,
            parameters,
        }
        .diagnose();
        let scale = if unknown_noise { diagnostics.reduced_chi2 } else { 1.0 };
        let slopes = layout.full_slopes(&full);
        let free_covariance = free_covariance(found, frees, scale, &at_bound);
        let covariance = spread(&slopes, &free_covariance, n, frees);
        let state = |k: usize| match (layout.slot[k], layout.tied[k], &found.covariance) {
            (None, None, _) => State::Fixed,
            (None, Some(_), _) => State::Tied,
            (Some(f), _, _) if at_bound(f) => State::AtBound,
            (Some(f), _, Some(c)) if !c.unidentified[f] => State::Free,
            _ => State::Unidentified,
        };
        let parameters: Vec<FittedParameter> = (0..n)
            .map(|k| {
                let (state, variance) = (state(k), covariance[k * n + k]);
                let sigma = matches!(state, State::Free | State::Tied)
                    .then(|| variance.sqrt())
                    .filter(|s| s.is_finite() && *s > 0.0);
                FittedParameter { name: layout.names[k].clone(), value: full[k], sigma, state }
            })
            .collect();
        let components = self.curves(data.x, &full);
        let peaks = self.peak_rows(data, &full, &covariance);
        let mut fit = PeakFit {
            parameters,
            covariance,
            peaks,
            objective: found.minimum.objective,
            diagnostics,
            converged: found.minimum.reason.converged(),
            iterations: found.minimum.iterations,
            warnings: Vec::new(),
            model,
            components,
            residuals,
        };
        fit.warnings = warnings(&fit, layout, found, options, unknown_noise);
        fit
    }

    /// Each component at every point.
    fn curves(&self, x: &[f64], full: &[f64]) -> Vec<Vec<f64>> {
        let all = || self.components().iter().zip(&self.layout.first);
        let mut peaks = vec![0.0; x.len()];
        let mut curves: Vec<Vec<f64>> = Vec::new();
        for (component, first) in all() {
            let mut value = vec![0.0; x.len()];
            let p = &full[*first..first + component.parameters.len()];
            component.shape.evaluate(x, p, &mut value, None);
            if component.shape.is_peak() {
                peaks.iter_mut().zip(&value).for_each(|(sum, v)| *sum += v);
            }
            curves.push(value);
        }
        for ((component, first), curve) in all().zip(&mut curves) {
            if let Some(scatterer) = component.shape.scatterer() {
                let p = &full[*first..first + component.parameters.len()];
                scatterer.scatter(x, p, &peaks, curve);
            }
        }
        curves
    }

    fn peak_rows(&self, data: &Data<'_>, full: &[f64], covariance: &[f64]) -> Vec<PeakRow> {
        let mut rows = Vec::new();
        for (component, first) in self.components().iter().zip(&self.layout.first) {
            let n = component.parameters.len();
            let p = &full[*first..first + n];
            let shape = component.shape;
            let Some(at) = shape.measures(p) else { continue };
            let part = |i: usize, j: usize| covariance[(first + i) * full.len() + first + j];
            let sigma = |gradient: &[f64]| {
                let mut variance = 0.0;
                for i in (0..n).filter(|i| gradient[*i] != 0.0) {
                    for j in (0..n).filter(|j| gradient[*j] != 0.0) {
                        variance += gradient[i] * part(i, j) * gradient[j];
                    }
                }
                Some(variance.sqrt()).filter(|s| s.is_finite() && *s > 0.0)
            };
            let slopes = measure_slopes(shape, p);
            let fitted = |value: f64, of: fn(&Measures) -> f64| {
                let gradient: Vec<f64> = slopes.iter().map(of).collect();
                Fitted { value, sigma: sigma(&gradient) }
            };
            let (value, gradient) = area_in_range(shape, data.x, p);
            rows.push(PeakRow {
                name: component.name.clone(),
                shape: shape.id().to_owned(),
                position: fitted(at.position, |m| m.position),
                height: fitted(at.height, |m| m.height),
                fwhm: fitted(at.fwhm, |m| m.fwhm),
                area: at.area.is_finite().then(|| fitted(at.area, |m| m.area)),
                area_in_range: Fitted { value, sigma: sigma(&gradient) },
            });
        }
        rows
    }
}

/// Derivatives of the measures to each parameter, by central differences.
fn measure_slopes(shape: &dyn LineShape, p: &[f64]) -> Vec<Measures> {
    (0..p.len())
        .map(|k| {
            let step = 1e-5 * p[k].abs().max(1e-3);
            let (mut up, mut down) = (p.to_vec(), p.to_vec());
            up[k] += step;
            down[k] -= step;
            let none = Measures { position: 0.0, height: 0.0, area: 0.0, fwhm: 0.0 };
            match (shape.measures(&up), shape.measures(&down)) {
                (Some(a), Some(b)) => {
                    let d = |a: f64, b: f64| (a - b) / (up[k] - down[k]);
                    Measures {
                        position: d(a.position, b.position),
                        height: d(a.height, b.height),
                        area: d(a.area, b.area),
                        fwhm: d(a.fwhm, b.fwhm),
                    }
                }
                _ => none,
            }
        })
        .collect()
}

/// Integral of a shape over the points, with its derivatives.
fn area_in_range(shape: &dyn LineShape, x: &[f64], p: &[f64]) -> (f64, Vec<f64>) {
    let m = x.len();
    let mut value = vec![0.0; m];
    let mut slopes = vec![0.0; m * p.len()];
    shape.evaluate(x, p, &mut value, Some(&mut slopes));
    let integral =
        |v: &[f64]| -> f64 { (1..m).map(|i| 0.5 * (v[i] + v[i - 1]) * (x[i] - x[i - 1])).sum() };
    (integral(&value), slopes.chunks_exact(m).map(integral).collect())
}

/// Covariance of the free parameters: scaled, zero at bounds.
fn free_covariance(
    found: &Found,
    n: usize,
    scale: f64,
    at_bound: &dyn Fn(usize) -> bool,
) -> Vec<f64> {
    (0..n * n)
        .map(|k| match &found.covariance {
            _ if at_bound(k / n) || at_bound(k % n) => 0.0,
            Some(c) => c.matrix[k] * scale,
            None => f64::NAN,
        })
        .collect()
}

/// `T C Tᵀ`, a NaN reaching only what depends on it.
fn spread(slopes: &[f64], c: &[f64], n: usize, frees: usize) -> Vec<f64> {
    let mut out = vec![0.0; n * n];
    for a in 0..n {
        for b in 0..n {
            let mut sum = 0.0;
            for i in (0..frees).filter(|i| slopes[a * frees + i] != 0.0) {
                for j in (0..frees).filter(|j| slopes[b * frees + j] != 0.0) {
                    sum += slopes[a * frees + i] * c[i * frees + j] * slopes[b * frees + j];
                }
            }
            out[a * n + b] = sum;
        }
    }
    out
}

fn warnings(
    fit: &PeakFit,
    layout: &super::model::Layout,
    found: &Found,
    options: &FitOptions,
    unknown_noise: bool,
) -> Vec<PeakWarning> {
    let mut warnings = Vec::new();
    if !fit.converged {
        warnings.push(PeakWarning::NotConverged { iterations: fit.iterations });
    }
    for (f, &k) in layout.free.iter().enumerate() {
        let parameter = fit.parameters[k].name.clone();
        match fit.parameters[k].state {
            State::AtBound => {
                warnings.push(PeakWarning::AtBound { parameter, bound: found.free[f] });
            }
            State::Unidentified => warnings.push(PeakWarning::Unidentified { parameter }),
            _ => {}
        }
    }
    let n = fit.parameters.len();
    for (a, &i) in layout.free.iter().enumerate() {
        for &j in &layout.free[a + 1..] {
            let c = |i: usize, j: usize| fit.covariance[i * n + j];
            let correlation = c(i, j) / (c(i, i) * c(j, j)).sqrt();
            if correlation.abs() > options.correlation {
                let name = |k: usize| fit.parameters[k].name.clone();
                let (first, second) = (name(i), name(j));
                warnings.push(PeakWarning::Correlated { first, second, correlation });
            }
        }
    }
    let d = &fit.diagnostics;
    let excess = (d.reduced_chi2 - 1.0) / d.reduced_chi2_sigma;
    if !unknown_noise && excess > 5.0 {
        warnings.push(PeakWarning::Misfit { reduced_chi2: d.reduced_chi2, excess });
    }
    if d.runs_z < -5.0 {
        warnings.push(PeakWarning::Waves { runs_z: d.runs_z });
    }
    warnings
}

#[cfg(test)]
mod measured;
#[cfg(test)]
mod tests;
