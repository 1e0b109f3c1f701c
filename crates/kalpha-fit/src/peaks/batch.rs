//! The same model fitted to many spectra.
//!
//! Every spectrum starts from the same place, so that its result depends neither on the others nor on
//! threads or cells; one whose search fails may be tried again from the result of a neighbour
//! ([`BatchFitter::start_at`]). Memory is kept from fit to fit. Searches end far within the
//! statistical error ([`Options::statistical`]).

use super::{
    FitOptions, Noise, PeakError, PeakModel,
    data::Data,
    fit::{Workspace, solve_amplitudes},
    objective::{Measure, Objective},
    start::Start,
};
use kalpha_num::least_squares::{Bounds, Options};
use serde::{Deserialize, Serialize};

/// How a spectrum fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchStatus {
    /// Fitted.
    Fine,
    /// A parameter stopped at one of its bounds.
    AtBound,
    /// The data do not determine a parameter: there are no standard deviations.
    Unidentified,
    /// The search ended elsewhere than at a minimum.
    NotConverged,
    /// Nothing could be fitted: no weight, no likelihood, values that are not finite.
    Refused,
}

/// Result of one spectrum, beside its values and standard deviations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchFit {
    /// The objective: weighted squares, or deviance.
    pub objective: f64,
    /// Degrees of freedom.
    pub freedom: usize,
    /// How it fared.
    pub status: BatchStatus,
    /// Jacobians taken.
    pub iterations: usize,
}

/// A model on an axis, with memory for one thread.
#[derive(Clone, Debug)]
pub struct BatchFitter<'a> {
    model: &'a PeakModel,
    x: &'a [f64],
    start: Start,
    counts: bool,
    scaled: bool,
    search: Options,
    workspace: Workspace,
    root: Vec<f64>,
    amplitude_root: Vec<f64>,
    free: Vec<f64>,
    covariance: Vec<f64>,
}

impl<'a> BatchFitter<'a> {
    /// Starts at the fit of `y`, a typical spectrum: the mean of all. `noise` says what is known of
    /// the noise of the spectra to come; weights in it are those of `y` alone.
    ///
    /// # Errors
    /// As [`PeakModel::fit`].
    pub fn new(
        model: &'a PeakModel,
        x: &'a [f64],
        y: &[f64],
        noise: Noise<'_>,
    ) -> Result<Self, PeakError> {
        let mut start = {
            let data = Data::new(x, y, noise)?;
            Start::new(model, &data)?
        };
        let fit = model.fit(x, y, noise, &FitOptions::default())?;
        if fit.converged {
            start.full.clear();
            start.full.extend(fit.parameters.iter().map(|p| p.value));
        }
        start.amplitudes = true;
        let n = model.layout.free.len();
        Ok(Self {
            model,
            x,
            start,
            counts: noise == Noise::Poisson,
            scaled: noise == Noise::Unknown,
            search: Options::statistical(),
            workspace: Workspace::default(),
            root: Vec::new(),
            amplitude_root: Vec::new(),
            free: Vec::new(),
            covariance: vec![0.0; n * n],
        })
    }

    /// Values of all parameters at which searches start.
    pub fn start(&self) -> &[f64] {
        &self.start.full
    }

    /// Starts at these values of all parameters; amplitudes are solved for first if asked.
    pub fn start_at(&mut self, values: &[f64], amplitudes: bool) {
        self.start.full.copy_from_slice(values);
        self.start.amplitudes = amplitudes;
    }

    /// Fits `y`; `weights` are inverse variances, empty where the noise is unknown or Poisson.
    /// `values` and `sigmas` receive one number per parameter of the model, NaN where there is
    /// none.
    pub fn fit(
        &mut self,
        y: &[f64],
        weights: &[f64],
        values: &mut [f64],
        sigmas: &mut [f64],
    ) -> BatchFit {
        let (m, layout) = (self.x.len(), &self.model.layout);
        let n = layout.free.len();
        let mut result = BatchFit {
            objective: f64::NAN,
            freedom: 0,
            status: BatchStatus::Refused,
            iterations: 0,
        };
        values.fill(f64::NAN);
        sigmas.fill(f64::NAN);
        let odd = |v: &f64| !v.is_finite() || (self.counts && *v < 0.0);
        if y.len() != m || y.iter().any(odd) {
            return result;
        }
        self.root.clear();
        match weights.len() {
            0 => self.root.resize(m, 1.0),
            given if given == m => self.root.extend(weights.iter().map(|w| w.sqrt())),
            _ => return result,
        }
        let points = self.root.iter().filter(|r| **r > 0.0).count();
        if points < n || self.root.iter().any(|r| !r.is_finite()) {
            return result;
        }
        self.free.clear();
        self.free.extend(layout.free.iter().map(|k| self.start.full[*k]));
        let bounds = Bounds { lower: &self.start.lower, upper: &self.start.upper };
        let Workspace { solver, memory } = &mut self.workspace;
        if self.start.amplitudes {
            self.amplitude_root.clear();
            self.amplitude_root.extend_from_slice(&self.root);
            let root = &mut self.amplitude_root;
            let (start, free) = (&self.start, &mut self.free);
            solve_amplitudes(self.model, self.x, y, self.counts, root, start, free, memory);
        }
        let measure = if self.counts { Measure::Deviance } else { Measure::Squares(&self.root) };
        let full = &self.start.full;
        let mut objective = Objective::new(self.model, self.x, y, measure, bounds, full, memory);
        objective.eager = true;
        let found = solver.minimise(&mut objective, &mut self.free, m, bounds, &self.search);
        let Ok(minimum) = found else { return result };
        let covariance = &mut self.covariance;
        let known = solver.covariance_into(&mut objective, &self.free, m, bounds, covariance);
        let touched = (0..n).filter(|f| bounds.touches(*f, self.free[*f])).count();
        result.objective = minimum.objective;
        result.iterations = minimum.iterations;
        result.freedom = points - (n - touched);
        result.status = match (minimum.reason.converged(), known, touched) {
            (false, _, _) => BatchStatus::NotConverged,
            (_, false, _) => BatchStatus::Unidentified,
            (_, _, 0) => BatchStatus::Fine,
            _ => BatchStatus::AtBound,
        };
        let scale = match self.scaled {
            true => minimum.objective / result.freedom as f64,
            false => 1.0,
        };
        let sigma =
            |variance: f64| if variance > 0.0 { (scale * variance).sqrt() } else { f64::NAN };
        values.copy_from_slice(&memory.full);
        for (f, k) in layout.free.iter().enumerate() {
            sigmas[*k] = sigma(covariance[f * n + f]);
        }
        for (t, (k, _)) in layout.ties.iter().enumerate() {
            let slopes = &memory.tie_slopes[t * n..(t + 1) * n];
            let mut variance = 0.0;
            for i in (0..n).filter(|i| slopes[*i] != 0.0) {
                for j in (0..n).filter(|j| slopes[*j] != 0.0) {
                    variance += slopes[i] * covariance[i * n + j] * slopes[j];
                }
            }
            sigmas[*k] = sigma(variance);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peaks::Component;
    use kalpha_num::rng::Stream;

    #[test]
    fn many_fits_are_the_single_fits() {
        let x: Vec<f64> = (0..200).map(|i| 0.1 * f64::from(i)).collect();
        let stream = Stream::new(5, "batch", 0);
        let mean = |row: usize, x: f64| {
            let bell = |c: f64, w: f64| (-2.772_588_7 * ((x - c) / w).powi(2)).exp();
            10.0 + 80.0 * bell(8.0 + 0.01 * row as f64, 2.0) + 60.0 * bell(11.3, 1.5)
        };
        let rows: Vec<Vec<f64>> = (0..40)
            .map(|r| (0..200).map(|i| stream.at(r, i).poisson(mean(r, x[i])) as f64).collect())
            .collect();
        let sum: Vec<f64> =
            (0..200).map(|i| rows.iter().map(|r| r[i]).sum::<f64>() / 40.0).collect();
        // The centers are given, or noise might exchange the two.
        let main = Component::new("a", "gaussian").unwrap().start("center", 8.1).unwrap();
        let other = Component::new("b", "gaussian").unwrap().tie("fwhm", "0.75 * a.fwhm").unwrap();
        let other = other.start("center", 11.2).unwrap();
        let base = Component::new("base", "constant").unwrap();
        let model = PeakModel::new(vec![main, other, base]).unwrap();
        for noise in [Noise::Unknown, Noise::Poisson] {
            let mut fitter = BatchFitter::new(&model, &x, &sum, noise).unwrap();
            let n = model.names().len();
            let (mut values, mut sigmas) = (vec![0.0; n], vec![0.0; n]);
            for y in &rows {
                let got = fitter.fit(y, &[], &mut values, &mut sigmas);
                assert_eq!(got.status, BatchStatus::Fine);
                let single = model.fit(&x, y, noise, &FitOptions::default()).unwrap();
                let objectives = (got.objective, single.objective);
                assert!((objectives.0 / objectives.1 - 1.0).abs() < 1e-9, "{objectives:?}");
                assert_eq!(got.freedom, single.diagnostics.freedom);
                for (k, p) in single.parameters.iter().enumerate() {
                    let sigma = p.sigma.unwrap();
                    assert!((values[k] - p.value).abs() < 1e-3 * sigma, "{}", p.name);
                    assert!((sigmas[k] / sigma - 1.0).abs() < 1e-3, "{} {sigma}", p.name);
                }
            }
            let bad = fitter.fit(&[f64::NAN; 200], &[], &mut values, &mut sigmas);
            assert_eq!(bad.status, BatchStatus::Refused);
            assert!(values.iter().all(|v| v.is_nan()));
        }
    }
}
