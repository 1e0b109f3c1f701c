//! Line intensities per pixel by one fixed linear estimator.
//!
//! The weights of a pixel's fit follow the mean spectrum, so the estimator is one matrix for
//! the whole map and a pixel costs one product per count. Estimates are signed and unbiased for
//! any pixel whose background has the mean's shape; an empty pixel gives zeros, never NaN.

use kalpha_core::{Cell, Map};
use kalpha_num::least_squares::weighted_linear;
use serde::{Deserialize, Serialize};

use super::{FamilyFit, MIN_VARIANCE};
use crate::eds::FitError;

/// The estimator of a map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MapEstimator {
    /// Families, in the order of the estimates.
    pub families: Vec<String>,
    /// Channels of the spectra it applies to.
    pub channels: usize,
    /// First channel of the fitted range.
    pub first_channel: usize,
    /// Coefficients, fitted channels x families, row-major: a count in a channel adds one row.
    pub by_channel: Vec<f64>,
}

impl MapEstimator {
    /// The estimator that belongs to the fit of the sum spectrum, for spectra of `channels`
    /// channels.
    ///
    /// Free per pixel: every family, the scale of the background and the scale of the pile-up.
    ///
    /// # Errors
    /// [`FitError::LeastSquares`] when the families cannot be told apart.
    pub fn new(fit: &FamilyFit, channels: usize) -> Result<Self, FitError> {
        let c = &fit.curves;
        let mut columns: Vec<Vec<f64>> = Vec::with_capacity(fit.families.len() + 2);
        for (curve, counts) in c.families.iter().zip(&fit.counts) {
            columns.push(curve.iter().map(|v| v / counts).collect());
        }
        columns.push(c.background.clone());
        if fit.pileup.is_some() {
            columns.push(c.pileup.clone());
        }
        let weights: Vec<f64> = c.total.iter().map(|v| 1.0 / v.max(MIN_VARIANCE)).collect();
        let linear = weighted_linear(&columns, &c.counts, &weights)?;
        let (n, m) = (fit.families.len(), c.total.len());
        let by_channel = (0..m * n).map(|k| linear.estimator[(k % n) * m + k / n]).collect();
        Ok(Self {
            families: fit.families.clone(),
            channels,
            first_channel: c.first_channel,
            by_channel,
        })
    }

    /// Adds `count` counts in `channel` to a pixel's estimates and their variances.
    ///
    /// `variance` is the unbiased Poisson estimate, the sum of squared coefficients over counts.
    pub fn add(&self, channel: usize, count: f64, estimates: &mut [f64], variances: &mut [f64]) {
        let n = self.families.len();
        let Some(k) = channel.checked_sub(self.first_channel) else { return };
        let Some(row) = self.by_channel.get(k * n..(k + 1) * n) else { return };
        for ((e, v), a) in estimates.iter_mut().zip(variances).zip(row) {
            *e += a * count;
            *v += a * a * count;
        }
    }

    /// Estimates and variances of one dense spectrum.
    pub fn project(&self, counts: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let n = self.families.len();
        let (mut e, mut v) = (vec![0.0; n], vec![0.0; n]);
        for (channel, &count) in counts.iter().enumerate().filter(|(_, c)| **c != 0.0) {
            self.add(channel, count, &mut e, &mut v);
        }
        (e, v)
    }
}

impl Map for MapEstimator {
    type Scratch = ();

    fn apply(&self, cell: &Cell<'_>, out: &mut [f64], (): &mut ()) {
        let n = self.families.len();
        cell.for_each_nonzero(|row, channel, count| {
            let Some(k) = channel.checked_sub(self.first_channel) else { return };
            let Some(a) = self.by_channel.get(k * n..(k + 1) * n) else { return };
            out[row * n..(row + 1) * n].iter_mut().zip(a).for_each(|(o, a)| *o += a * count);
        });
    }
}

/// Poisson variances of the estimates of a [`MapEstimator`], pixel by pixel.
#[derive(Debug, Clone)]
pub struct MapVariance(pub MapEstimator);

impl Map for MapVariance {
    type Scratch = ();

    fn apply(&self, cell: &Cell<'_>, out: &mut [f64], (): &mut ()) {
        let n = self.0.families.len();
        cell.for_each_nonzero(|row, channel, count| {
            let Some(k) = channel.checked_sub(self.0.first_channel) else { return };
            let Some(a) = self.0.by_channel.get(k * n..(k + 1) * n) else { return };
            out[row * n..(row + 1) * n].iter_mut().zip(a).for_each(|(o, a)| *o += a * a * count);
        });
    }
}
