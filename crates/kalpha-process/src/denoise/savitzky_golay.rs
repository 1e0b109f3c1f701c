//! Savitzky-Golay smoothing and derivatives.
//!
//! A polynomial of `degree` is fitted to the `window` channels around each channel; its value, or
//! its derivative per channel, is the result. Near the ends the polynomial of the first or last
//! window is read where it is needed. On an even axis this is a convolution.
//!
//! Source: Savitzky and Golay (1964), Anal. Chem. 36, 1627, doi:10.1021/ac60214a047. Complexity
//! O(n window). Tested against SciPy 1.17 `savgol_filter(mode="interp")` and polynomials.

use crate::{
    align::shift::step::uniform,
    row_method::{Block, RowMethod, RowStatus, Treat},
};
use kalpha_core::{Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError};
use kalpha_num::least_squares::weighted_linear;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `denoise.savitzky_golay`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SavitzkyGolay {
    /// Channels of the window, odd.
    pub window: usize,
    /// Degree of the polynomial, below `window`.
    pub degree: usize,
    /// Order of the derivative, in units of the axis; 0 smooths.
    pub derivative: usize,
}

impl Default for SavitzkyGolay {
    fn default() -> Self {
        Self { window: 11, degree: 3, derivative: 0 }
    }
}

impl SavitzkyGolay {
    /// The method for spectra of `channels`, `scale` axis units apart.
    ///
    /// # Errors
    /// When the window is even, longer than the spectrum, or not longer than the degree.
    pub fn planned(&self, channels: usize, scale: f64) -> Result<SavitzkyGolayMethod, StepError> {
        let Self { window, degree, derivative } = *self;
        let refuse = |parameter, got: usize, expected: String| {
            Err(StepError::Parameter { parameter, got: got.to_string(), expected })
        };
        if window.is_multiple_of(2) || window > channels {
            return refuse("window", window, format!("an odd number up to {channels} channels"));
        }
        if degree >= window || degree > 10 {
            return refuse("degree", degree, "below window, and 10 at most".into());
        }
        if derivative > degree {
            return refuse("derivative", derivative, "degree at most".into());
        }
        let half = (window / 2) as f64;
        // Powers of a variable from -1 to 1: well conditioned.
        let unit = half.max(1.0);
        let columns: Vec<Vec<f64>> = (0..=degree as i32)
            .map(|d| (0..window).map(|i| ((i as f64 - half) / unit).powi(d)).collect())
            .collect();
        let fit = weighted_linear(&columns, &vec![0.0; window], &vec![1.0; window])
            .map_err(StepError::method)?;
        let per = (unit * scale).powi(-(derivative as i32));
        let weights = (0..window)
            .map(|at| {
                let x = (at as f64 - half) / unit;
                (0..window)
                    .map(|i| {
                        (derivative..=degree)
                            .map(|d| {
                                let falling: f64 =
                                    (0..derivative).map(|k| (d - k) as f64).product();
                                falling
                                    * x.powi((d - derivative) as i32)
                                    * fit.estimator[d * window + i]
                            })
                            .sum::<f64>()
                            * per
                    })
                    .collect()
            })
            .collect();
        Ok(SavitzkyGolayMethod { weights })
    }
}

impl Treat for SavitzkyGolay {
    const ID: &'static str = "denoise.savitzky_golay";
    const REVISION: u32 = 1;
    const ABOUT: &'static str =
        "Fits a polynomial around each channel: smooth values or derivatives";
    type Method = SavitzkyGolayMethod;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        let scale = uniform(&rows.signal, "denoise.savitzky_golay")?;
        self.planned(rows.channels, scale).map(|_| ())
    }

    fn method(
        self,
        rows: &Rows,
        _: &Metadata,
        _: &dyn Passes,
    ) -> Result<SavitzkyGolayMethod, StepError> {
        let scale = uniform(&rows.meta().signal, "denoise.savitzky_golay")?;
        self.planned(rows.meta().channels, scale)
    }

    fn noise(&self, _: &NoiseModel) -> NoiseModel {
        NoiseModel::Correlated
    }
}

/// `denoise.savitzky_golay` with known weights.
pub struct SavitzkyGolayMethod {
    /// Weights of the window for each place in it; the middle one is the convolution.
    weights: Vec<Vec<f64>>,
}

impl SavitzkyGolayMethod {
    /// Smooths `y` into `out`.
    pub fn row(&self, y: &[f64], out: &mut [f64]) {
        let (n, window) = (y.len(), self.weights.len());
        let half = window / 2;
        let dot = |w: &[f64], y: &[f64]| w.iter().zip(y).map(|(a, b)| a * b).sum::<f64>();
        out[half..n - half].fill(0.0);
        for (k, w) in self.weights[half].iter().enumerate() {
            for (o, v) in out[half..n - half].iter_mut().zip(&y[k..]) {
                *o += w * v;
            }
        }
        for i in 0..half {
            out[i] = dot(&self.weights[i], &y[..window]);
            out[n - half + i] = dot(&self.weights[half + 1 + i], &y[n - window..]);
        }
    }
}

impl RowMethod for SavitzkyGolayMethod {
    type Scratch = ();

    fn apply(&self, block: &mut Block<'_>, (): &mut ()) {
        block.each(|y, z, _| {
            self.row(y, z);
            match z.iter().all(|v| v.is_finite()) {
                true => RowStatus::Fine,
                false => {
                    z.fill(f64::NAN);
                    RowStatus::Refused
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomials_pass_unchanged_with_their_derivatives() {
        let scale = 0.25;
        let x: Vec<f64> = (0..40).map(|i| scale * f64::from(i)).collect();
        let y: Vec<f64> = x.iter().map(|x| 1.0 + 2.0 * x - 0.5 * x * x + 0.1 * x.powi(3)).collect();
        for (derivative, want) in [
            (0, y.clone()),
            (1, x.iter().map(|x| 2.0 - x + 0.3 * x * x).collect()),
            (2, x.iter().map(|x| -1.0 + 0.6 * x).collect::<Vec<f64>>()),
        ] {
            let params = SavitzkyGolay { window: 9, degree: 3, derivative };
            let mut out = vec![0.0; 40];
            params.planned(40, scale).unwrap().row(&y, &mut out);
            for i in 0..40 {
                assert!((out[i] - want[i]).abs() < 1e-9, "{derivative} {i} {} {}", out[i], want[i]);
            }
        }
    }

    #[test]
    fn weights_are_those_of_the_tables() {
        // Savitzky and Golay, table I: 5 points, quadratic.
        let method = SavitzkyGolay { window: 5, degree: 2, derivative: 0 }.planned(5, 1.0).unwrap();
        for (got, want) in method.weights[2].iter().zip([-3.0, 12.0, 17.0, 12.0, -3.0]) {
            assert!((got - want / 35.0).abs() < 1e-14);
        }
    }

    #[test]
    fn windows_must_fit() {
        let params = |window, degree| SavitzkyGolay { window, degree, derivative: 0 };
        assert!(params(8, 2).planned(50, 1.0).is_err());
        assert!(params(51, 2).planned(50, 1.0).is_err());
        assert!(params(5, 5).planned(50, 1.0).is_err());
        assert!(SavitzkyGolay { window: 5, degree: 2, derivative: 3 }.planned(50, 1.0).is_err());
    }
}
