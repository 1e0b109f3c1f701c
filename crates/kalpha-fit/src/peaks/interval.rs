//! Profile-likelihood intervals: how far a parameter may go while all others follow.
//!
//! The interval holds the values at which the objective, minimised over everything else, exceeds
//! its minimum by less than the chi-square quantile of the level (times the variance where the
//! noise is unknown). Unlike a standard deviation it is not symmetric, ends at bounds, and is open
//! where the data do not limit the parameter.
//!
//! Source: Venzon and Moolgavkar (1988), Appl. Stat. 37, 87, doi:10.2307/2347496. Tested against the
//! standard deviation where the model is linear.

use super::{
    Constraint, FitOptions, Noise, PeakError, PeakFit, PeakModel,
    data::Data,
    fit::{Workspace, search},
    start::Start,
};
use kalpha_num::statistics::chi2_quantile;
use serde::{Deserialize, Serialize};

/// An interval that a parameter lies in.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end: the bound of the parameter where the data do not exclude it, or minus infinity.
    pub lower: f64,
    /// Upper end, likewise.
    pub upper: f64,
    /// True where the data, not a bound, end it below.
    pub closed_below: bool,
    /// True where the data, not a bound, end it above.
    pub closed_above: bool,
}

/// Doublings of the first step before an end counts as open.
const DOUBLINGS: usize = 30;
/// Precision of an end, in steps of its first guess.
const PRECISION: f64 = 1e-4;

impl PeakModel {
    /// Interval of a free parameter at `level` (0.95), around a fit of the same data.
    ///
    /// # Errors
    /// [`PeakError::Parameter`] unless it is free; those of [`PeakModel::fit`].
    pub fn profile_interval(
        &self,
        x: &[f64],
        y: &[f64],
        noise: Noise<'_>,
        options: &FitOptions,
        fit: &PeakFit,
        parameter: &str,
        level: f64,
    ) -> Result<Interval, PeakError> {
        let unknown = || PeakError::Parameter {
            parameter: parameter.to_owned(),
            known: self.free().collect::<Vec<_>>().join(", "),
        };
        let k = self.names().iter().position(|n| n == parameter).ok_or_else(unknown)?;
        let f = self.layout.slot[k].ok_or_else(unknown)?;
        let data = Data::new(x, y, noise)?;
        let best: Vec<f64> = fit.parameters.iter().map(|p| p.value).collect();
        let limits = Start::new(&self.started(&best), &data)?;
        let scale = match noise {
            Noise::Unknown => fit.diagnostics.reduced_chi2,
            _ => 1.0,
        };
        let rise = scale * chi2_quantile(level, 1.0);
        let mut workspace = Workspace::default();
        let mut profile = |value: f64| -> Result<f64, PeakError> {
            if self.layout.free.len() == 1 {
                return self.objective_at(&data, &limits, options, k, value, &mut workspace);
            }
            let mut values = best.clone();
            values[k] = value;
            let held = self.started(&values).held(k)?;
            let start = Start::new(&held, &data)?;
            Ok(search(&held, &data, &start, options, &mut workspace)?.minimum.objective)
        };
        let sigma = fit.parameters[k].sigma;
        let first = sigma.unwrap_or_else(|| 0.01 * best[k].abs().max(1e-3));
        let ends = [(-1.0, limits.lower[f]), (1.0, limits.upper[f])];
        let mut found = [(0.0, false); 2];
        for (slot, (direction, bound)) in found.iter_mut().zip(ends) {
            let room = (bound - best[k]) * direction;
            let (mut inside, mut outside) = (0.0, first);
            let mut closed = false;
            for _ in 0..DOUBLINGS {
                let reach = outside.min(room);
                let over = profile(best[k] + direction * reach).map_or(true, |v| {
                    // Outside the domain of the model counts as excluded.
                    v.is_nan() || v - fit.objective > rise
                });
                if over {
                    (outside, closed) = (reach, true);
                    break;
                }
                inside = reach;
                if reach >= room {
                    break;
                }
                outside *= 2.0;
            }
            while closed && outside - inside > PRECISION * first {
                let middle = 0.5 * (inside + outside);
                match profile(best[k] + direction * middle) {
                    Ok(v) if v - fit.objective <= rise => inside = middle,
                    _ => outside = middle,
                }
            }
            *slot = match closed {
                true => (best[k] + direction * 0.5 * (inside + outside), true),
                false => (bound, false),
            };
        }
        let [(lower, closed_below), (upper, closed_above)] = found;
        Ok(Interval { lower, upper, closed_below, closed_above })
    }

    /// The same model started at these values.
    fn started(&self, values: &[f64]) -> Self {
        let mut model = self.clone();
        model.layout.start.copy_from_slice(values);
        model
    }

    /// The same model with a free parameter fixed at its start.
    fn held(&self, k: usize) -> Result<Self, PeakError> {
        let mut components = self.components().to_vec();
        let mut variables = self.variables().to_vec();
        let parameters = components.iter_mut().flat_map(|c| c.parameters.iter_mut());
        for (i, parameter) in parameters.chain(variables.iter_mut()).enumerate() {
            if parameter.constraint == Constraint::Free || i == k {
                parameter.value = self.layout.start[i];
            }
            if i == k {
                parameter.constraint = Constraint::Fixed;
            }
        }
        Self::with_variables(components, variables)
    }

    /// The objective with the only free parameter at `value`.
    fn objective_at(
        &self,
        data: &Data<'_>,
        limits: &Start,
        options: &FitOptions,
        k: usize,
        value: f64,
        workspace: &mut Workspace,
    ) -> Result<f64, PeakError> {
        let mut start = limits.clone();
        start.full[k] = value;
        (start.lower, start.upper) = (vec![value], vec![value]);
        start.amplitudes = false;
        Ok(search(self, data, &start, options, workspace)?.minimum.objective)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peaks::Component;
    use kalpha_num::rng::Stream;

    fn spectrum(height: f64) -> (Vec<f64>, Vec<f64>) {
        let stream = Stream::new(6, "interval", 0);
        let x: Vec<f64> = (0..120).map(|i| 0.1 * f64::from(i)).collect();
        let y = x
            .iter()
            .enumerate()
            .map(|(i, x)| {
                let mean = 2.0 + height * (-2.772_588_7 * ((x - 6.0) / 1.2_f64).powi(2)).exp();
                stream.at(0, i).poisson(mean) as f64
            })
            .collect();
        (x, y)
    }

    fn model() -> PeakModel {
        let peak = Component::new("a", "gaussian").unwrap().fix("center", 6.0).unwrap();
        let peak = peak.fix("fwhm", 1.2).unwrap().between("area", 0.0, 1e6).unwrap();
        let base = Component::new("b", "constant").unwrap().between("c0", 0.0, 1e6).unwrap();
        PeakModel::new(vec![peak, base]).unwrap()
    }

    #[test]
    fn linear_models_have_symmetric_intervals() {
        let (x, y) = spectrum(40.0);
        let (model, options) = (model(), FitOptions::default());
        let fit = model.fit(&x, &y, Noise::Unknown, &options).unwrap();
        let interval =
            model.profile_interval(&x, &y, Noise::Unknown, &options, &fit, "a.area", 0.95).unwrap();
        let (value, half) =
            (fit.value("a.area").unwrap(), 1.959_964 * fit.sigma("a.area").unwrap());
        assert!((interval.upper - value - half).abs() < 1e-3 * half, "{interval:?} {value} {half}");
        assert!((value - interval.lower - half).abs() < 1e-3 * half, "{interval:?}");
        assert!(interval.closed_below && interval.closed_above);
        let error = model.profile_interval(&x, &y, Noise::Unknown, &options, &fit, "a.fwhm", 0.9);
        assert!(matches!(error, Err(PeakError::Parameter { .. })));
    }

    #[test]
    fn a_peak_that_is_not_there_has_an_upper_limit() {
        let (x, y) = spectrum(0.0);
        let (model, options) = (model(), FitOptions::default());
        let fit = model.fit(&x, &y, Noise::Poisson, &options).unwrap();
        let interval =
            model.profile_interval(&x, &y, Noise::Poisson, &options, &fit, "a.area", 0.95).unwrap();
        assert!(interval.lower == 0.0 && !interval.closed_below, "{interval:?}");
        assert!(interval.closed_above && interval.upper > 0.0 && interval.upper < 20.0);
    }
}
