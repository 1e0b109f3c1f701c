//! Normalisation of an absorption spectrum to its edge step.
//!
//! A line through the pre-edge is taken off; a polynomial of degree 0 to 2 through the
//! post-edge, read at E0, is the step: `z = (mu - pre) / step`, `step = post(E0)`. E0 is given, or
//! the energy of the steepest rise. Windows are relative to E0.
//!
//! Source: Koningsberger and Prins, eds. (1988), X-ray Absorption, ISBN 0-471-87547-3; defaults
//! and steps as documented for larch `pre_edge`. Complexity O(n). Tested against
//! steps that are known.

use super::scale::{finished, refused};
use crate::row_method::{Block, RowMethod, RowStatus, Treat};
use kalpha_core::{Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError, Unit};
use kalpha_num::least_squares::weighted_coefficients;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Parameters of `normalize.edge_step`, energies in eV.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EdgeStep {
    /// E0, eV; the steepest rise of each spectrum if absent.
    pub e0: Option<f64>,
    /// Begin of the pre-edge line, eV from E0; the first point if absent.
    pub pre_first: Option<f64>,
    /// End of the pre-edge line, eV from E0.
    pub pre_last: f64,
    /// Begin of the post-edge polynomial, eV from E0.
    pub post_first: f64,
    /// End of the post-edge polynomial, eV from E0; the last point if absent.
    pub post_last: Option<f64>,
    /// Degree of the post-edge polynomial, 0 to 2.
    pub degree: usize,
}

impl Default for EdgeStep {
    fn default() -> Self {
        Self {
            e0: None,
            pre_first: None,
            pre_last: -30.0,
            post_first: 50.0,
            post_last: None,
            degree: 1,
        }
    }
}

impl Treat for EdgeStep {
    const ID: &'static str = "normalize.edge_step";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Takes the pre-edge off and divides by the edge step";
    type Method = EdgeStepMethod;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        if self.degree > 2 {
            return Err(StepError::Parameter {
                parameter: "degree",
                got: self.degree.to_string(),
                expected: "0, 1 or 2".into(),
            });
        }
        let method = EdgeStepMethod::new(self.clone(), rows)?;
        match self.e0 {
            Some(e0) => method.windows(e0).map(|_| ()).ok_or_else(|| StepError::Parameter {
                parameter: "e0",
                got: e0.to_string(),
                expected: format!(
                    "the data run from {} to {} eV: at least 2 points are needed before and {} \
                     after the edge",
                    method.energies.first().copied().unwrap_or(f64::NAN),
                    method.energies.last().copied().unwrap_or(f64::NAN),
                    self.degree + 1
                ),
            }),
            None => Ok(()),
        }
    }

    fn method(
        self,
        rows: &Rows,
        _: &Metadata,
        _: &dyn Passes,
    ) -> Result<EdgeStepMethod, StepError> {
        EdgeStepMethod::new(self, rows.meta())
    }

    fn noise(&self, _: &NoiseModel) -> NoiseModel {
        NoiseModel::Unknown
    }
}

/// `normalize.edge_step` on a known axis.
pub struct EdgeStepMethod {
    params: EdgeStep,
    /// eV, ascending.
    energies: Vec<f64>,
    /// The axis falls.
    falls: bool,
}

/// Step of one spectrum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// eV.
    pub e0: f64,
    /// Height of the step at E0.
    pub step: f64,
}

impl EdgeStepMethod {
    fn new(params: EdgeStep, rows: &RowsMeta) -> Result<Self, StepError> {
        let up = rows.signal.ascending()?;
        let to_ev = match rows.signal.unit {
            Unit::Ev => 1.0,
            Unit::KeV => 1e3,
            _ => rows.signal.energies_kev().map(|_| 1e3)?,
        };
        let mut energies: Vec<f64> = rows.signal.to_vec().iter().map(|e| e * to_ev).collect();
        if !up {
            energies.reverse();
        }
        if energies.len() < 4 {
            return Err(StepError::TooLittle {
                what: format!("{} points are too few for an edge", energies.len()),
                hint: "an edge needs points before and after it".into(),
            });
        }
        Ok(Self { params, energies, falls: !up })
    }

    /// Points of the pre-edge and of the post-edge.
    fn windows(&self, e0: f64) -> Option<[Range<usize>; 2]> {
        let find = |low: f64, high: f64| {
            self.energies.partition_point(|e| *e < low)
                ..self.energies.partition_point(|e| *e <= high)
        };
        let p = &self.params;
        let pre = find(p.pre_first.map_or(f64::NEG_INFINITY, |v| e0 + v), e0 + p.pre_last);
        let post = find(e0 + p.post_first, p.post_last.map_or(f64::INFINITY, |v| e0 + v));
        (pre.len() >= 2 && post.len() > p.degree).then_some([pre, post])
    }

    /// Energy of the steepest rise.
    fn steepest(&self, y: &[f64]) -> f64 {
        let slope =
            |i: usize| (y[i + 1] - y[i - 1]) / (self.energies[i + 1] - self.energies[i - 1]);
        let best = (1..y.len() - 1).max_by(|a, b| slope(*a).total_cmp(&slope(*b)));
        self.energies[best.unwrap_or(0)]
    }

    /// Normalises `y`, in ascending order of energy, in place.
    pub fn normalise(&self, y: &mut [f64]) -> Option<Step> {
        let e0 = self.params.e0.unwrap_or_else(|| self.steepest(y));
        let [pre, post] = self.windows(e0)?;
        let fit = |range: Range<usize>, y: &[f64], degree: usize| {
            // About E0 and in units of the window: well conditioned, and the value there is c0.
            let columns: Vec<Vec<f64>> = (0..=degree as i32)
                .map(|d| {
                    self.energies[range.clone()]
                        .iter()
                        .map(|e| ((e - e0) / 100.0).powi(d))
                        .collect()
                })
                .collect();
            weighted_coefficients(&columns, &y[range.clone()], &vec![1.0; range.len()]).ok()
        };
        let line = fit(pre, y, 1)?;
        let size = y.iter().fold(0.0, |a: f64, v| a.max(v.abs()));
        for (y, e) in y.iter_mut().zip(&self.energies) {
            *y -= line[0] + line[1] * (e - e0) / 100.0;
        }
        let step = *fit(post, y, self.params.degree)?.first()?;
        if step.is_nan() || step <= 1e-10 * size {
            return None;
        }
        y.iter_mut().for_each(|v| *v /= step);
        Some(Step { e0, step })
    }
}

impl RowMethod for EdgeStepMethod {
    type Scratch = ();

    fn columns(&self) -> Vec<(&'static str, String)> {
        vec![("e0", "eV".into()), ("edge_step", String::new())]
    }

    fn apply(&self, block: &mut Block<'_>, (): &mut ()) {
        block.each(|y, z, table| {
            z.copy_from_slice(y);
            if self.falls {
                z.reverse();
            }
            let Some(step) = self.normalise(z) else {
                table.fill(f64::NAN);
                return refused(z, RowStatus::Refused);
            };
            table.copy_from_slice(&[step.e0, step.step]);
            if self.falls {
                z.reverse();
            }
            finished(z)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kalpha_core::{Axis, DType};

    fn rows(n: usize) -> RowsMeta {
        RowsMeta {
            rows: 1,
            channels: n,
            dtype: DType::F64,
            navigation: vec![],
            signal: Axis::linear("Energy", Unit::Ev, 7000.0, 0.5, n).unwrap(),
            noise: NoiseModel::Unknown,
        }
    }

    /// A step of 0.8 at 7112 eV on a falling line, the post-edge falling more slowly.
    fn edge(n: usize) -> Vec<f64> {
        (0..n)
            .map(|i| {
                let e = 0.5 * i as f64 - 112.0;
                let rise = 0.5 + (e / 0.7).atan() / std::f64::consts::PI;
                let rise = if e.abs() > 20.0 { f64::from(e > 0.0) } else { rise };
                0.3 - 2e-4 * e + (0.8 + 1e-4 * e + 3e-7 * e * e) * rise
            })
            .collect()
    }

    #[test]
    fn known_steps_are_found() {
        for e0 in [Some(7112.0), None] {
            let params = EdgeStep { e0, degree: 2, ..EdgeStep::default() };
            let method = EdgeStepMethod::new(params, &rows(600)).unwrap();
            let mut y = edge(600);
            let step = method.normalise(&mut y).unwrap();
            assert!((step.e0 - 7112.0).abs() <= 0.5 && (step.step - 0.8).abs() < 1e-4, "{step:?}");
            assert!(y[..150].iter().all(|v| v.abs() < 1e-9));
            assert!((y[300] - 1.0).abs() < 0.02);
        }
    }

    #[test]
    fn no_edge_no_answer() {
        let params = EdgeStep { e0: Some(7112.0), ..EdgeStep::default() };
        let method = EdgeStepMethod::new(params.clone(), &rows(600)).unwrap();
        assert_eq!(method.normalise(&mut vec![1.0; 600]), None);
        assert_eq!(method.normalise(&mut edge(600).iter().map(|v| -v).collect::<Vec<_>>()), None);
        let metadata = Metadata::default();
        assert!(
            EdgeStep { e0: Some(6000.0), ..params.clone() }.check(&rows(600), &metadata).is_err()
        );
        assert!(EdgeStep { degree: 3, ..params.clone() }.check(&rows(600), &metadata).is_err());
        assert!(params.check(&rows(3), &metadata).is_err());
    }
}
