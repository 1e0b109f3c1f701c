//! Cliff-Lorimer ratios pixel by pixel, signed.

use super::check_lengths;
use crate::{cliff_lorimer::LineIntensities, error::QuantifyError, k_factors::KFactor};
use serde::{Deserialize, Serialize};

/// Compositions of many pixels, as arrays of `pixels x n` percent, row-major.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompositionMap {
    /// Lines, one per element.
    pub lines: Vec<String>,
    /// Weight percent, signed.
    pub weight_percent: Vec<f64>,
    /// Atomic percent, signed.
    pub atomic_percent: Vec<f64>,
    /// Counting sigma of weight percent; empty if no variances were given.
    pub weight_sigma: Vec<f64>,
    /// Counting sigma of atomic percent; empty if no variances were given.
    pub atomic_sigma: Vec<f64>,
    /// Which pixels hold a composition.
    pub quantified: Vec<bool>,
    /// Relative sigma of each k-factor, for [`CompositionMap::k_shift`].
    pub k_relative_sigma: Vec<f64>,
}

impl CompositionMap {
    /// Number of elements.
    pub fn n(&self) -> usize {
        self.lines.len()
    }

    /// Shift of atomic percent of every element in one pixel when the k-factor of line `j` is
    /// one sigma higher. The same k-factor moves all pixels together.
    pub fn k_shift(&self, pixel: usize, j: usize) -> Vec<f64> {
        let n = self.n();
        let atomic = &self.atomic_percent[pixel * n..(pixel + 1) * n];
        (0..n)
            .map(|i| {
                let delta = if i == j { 1.0 } else { 0.0 };
                atomic[j] * (delta - atomic[i] / 100.0) * self.k_relative_sigma[j]
            })
            .collect()
    }
}

/// Composition of every pixel without absorption correction.
///
/// `counts` is `pixels x n` net counts, signed, and `variances` their variances (or empty).
/// Fractions are `k_i I_i / S`. Where `S` is not above `min_significance` times its own counting
/// sigma (or not above zero, if no variances are given) the pixel is masked: `quantified` is
/// false, and it keeps the signed ratios `k_i I_i / |S|`, or zeros when `S = 0`. There is no NaN
/// for finite input; a non-finite intensity masks its pixel with zeros.
///
/// # Errors
/// [`QuantifyError::Length`] when arrays do not fit together.
pub fn map(
    lines: &[String],
    counts: &[f64],
    variances: &[f64],
    k: &[KFactor],
    molar_mass: &[f64],
    min_significance: f64,
) -> Result<CompositionMap, QuantifyError> {
    let n = lines.len();
    let one = LineIntensities {
        lines: lines.to_vec(),
        counts: vec![0.0; n],
        ..LineIntensities::default()
    };
    check_lengths(&one, k, molar_mass)?;
    let pixels = counts.len().checked_div(n).unwrap_or(0);
    for (what, got) in [("pixel intensities", counts.len()), ("pixel variances", variances.len())] {
        let expected = pixels * n;
        if got != expected && !(got == 0 && what == "pixel variances") {
            return Err(QuantifyError::Length { what, got, expected });
        }
    }
    let per_atom: Vec<f64> = k.iter().zip(molar_mass).map(|(k, m)| k.value / m).collect();
    let per_mass: Vec<f64> = k.iter().map(|k| k.value).collect();
    let sigmas = if variances.is_empty() { 0 } else { counts.len() };
    let mut out = CompositionMap {
        lines: lines.to_vec(),
        weight_percent: vec![0.0; counts.len()],
        atomic_percent: vec![0.0; counts.len()],
        weight_sigma: vec![0.0; sigmas],
        atomic_sigma: vec![0.0; sigmas],
        quantified: Vec::with_capacity(pixels),
        k_relative_sigma: k.iter().map(|k| k.relative_sigma).collect(),
    };
    for pixel in 0..pixels {
        let at = pixel * n..(pixel + 1) * n;
        let (row, noise) = (&counts[at.clone()], variances.get(at.clone()));
        let significant = [
            closed(row, noise, &per_mass, min_significance, &mut out.weight_percent[at.clone()]),
            closed(row, noise, &per_atom, min_significance, &mut out.atomic_percent[at.clone()]),
        ];
        if let Some(noise) = noise {
            let values = &out.weight_percent[at.clone()];
            sigma(row, noise, &per_mass, values, &mut out.weight_sigma[at.clone()]);
            let values = &out.atomic_percent[at.clone()];
            sigma(row, noise, &per_atom, values, &mut out.atomic_sigma[at]);
        }
        out.quantified.push(significant == [true, true]);
    }
    Ok(out)
}

/// Closes one pixel to 100 percent; true if its sum is significant.
fn closed(row: &[f64], noise: Option<&[f64]>, k: &[f64], min: f64, out: &mut [f64]) -> bool {
    let sum: f64 = row.iter().zip(k).map(|(i, k)| i * k).sum();
    if !sum.is_finite() || sum == 0.0 {
        return false;
    }
    for ((out, i), k) in out.iter_mut().zip(row).zip(k) {
        *out = 100.0 * i * k / sum.abs();
    }
    let spread = noise.map_or(0.0, |v| v.iter().zip(k).map(|(v, k)| v * k * k).sum::<f64>().sqrt());
    sum > 0.0 && sum >= min * spread
}

/// Counting sigma of the closed fractions of one pixel, for independent lines.
fn sigma(row: &[f64], noise: &[f64], k: &[f64], percent: &[f64], out: &mut [f64]) {
    let sum: f64 = row.iter().zip(k).map(|(i, k)| i * k).sum();
    if !sum.is_finite() || sum == 0.0 {
        return;
    }
    for i in 0..row.len() {
        let variance: f64 = (0..row.len())
            .map(|j| {
                let delta = if i == j { 100.0 } else { 0.0 };
                ((delta - percent[i]) * k[j] / sum).powi(2) * noise[j]
            })
            .sum();
        out[i] = variance.sqrt();
    }
}
