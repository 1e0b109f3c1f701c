//! The spectrum that is fitted, checked.

use super::PeakError;

/// What is known of the noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Noise<'a> {
    /// One unknown standard deviation: it is taken from the residuals.
    Unknown,
    /// Inverse variances, one per point; zero leaves a point out.
    InverseVariance(&'a [f64]),
    /// The values are counts: maximum likelihood.
    Poisson,
}

/// Checked data.
#[derive(Clone, Debug)]
pub(super) struct Data<'a> {
    pub(super) x: &'a [f64],
    pub(super) y: Vec<f64>,
    /// Roots of the inverse variances; empty for Poisson.
    pub(super) root: Vec<f64>,
    /// Points that count.
    pub(super) points: usize,
    pub(super) noise: Noise<'a>,
}

impl<'a> Data<'a> {
    pub(super) fn new(x: &'a [f64], y: &[f64], noise: Noise<'a>) -> Result<Self, PeakError> {
        let length = |what, got| match got == x.len() {
            true => Ok(()),
            false => Err(PeakError::Length { what, got, expected: x.len() }),
        };
        length("the spectrum", y.len())?;
        check_axis(x)?;
        let mut y = y.to_vec();
        let root = match noise {
            Noise::Unknown => vec![1.0; y.len()],
            Noise::Poisson => Vec::new(),
            Noise::InverseVariance(weights) => {
                length("the weights", weights.len())?;
                for (index, &value) in weights.iter().enumerate() {
                    if !value.is_finite() {
                        return Err(PeakError::NotFinite { what: "the weight", index, value });
                    }
                    if value < 0.0 {
                        return Err(PeakError::Weight { index, value });
                    }
                    // What does not count may be anything.
                    if value == 0.0 {
                        y[index] = 0.0;
                    }
                }
                weights.iter().map(|w| w.sqrt()).collect()
            }
        };
        for (index, &value) in y.iter().enumerate() {
            if !value.is_finite() {
                return Err(PeakError::NotFinite { what: "the spectrum", index, value });
            }
            if noise == Noise::Poisson && value < 0.0 {
                return Err(PeakError::Negative { index, value });
            }
        }
        let points = match noise {
            Noise::InverseVariance(_) => root.iter().filter(|r| **r > 0.0).count(),
            _ => y.len(),
        };
        if points == 0 {
            return Err(PeakError::NoWeight);
        }
        Ok(Self { x, y, root, points, noise })
    }

    /// Standard deviation of each point, estimated where unknown.
    pub(super) fn sigma(&self) -> Vec<f64> {
        match self.noise {
            Noise::Unknown => vec![super::find::noise_of(&self.y); self.y.len()],
            Noise::InverseVariance(_) => {
                self.root.iter().map(|r| if *r > 0.0 { r.recip() } else { f64::INFINITY }).collect()
            }
            Noise::Poisson => self.y.iter().map(|c| c.max(1.0).sqrt()).collect(),
        }
    }
}

pub(super) fn check_axis(x: &[f64]) -> Result<(), PeakError> {
    for (index, &value) in x.iter().enumerate() {
        if !value.is_finite() {
            return Err(PeakError::NotFinite { what: "the axis", index, value });
        }
        if index > 0 && value <= x[index - 1] {
            return Err(PeakError::Axis { index });
        }
    }
    Ok(())
}
