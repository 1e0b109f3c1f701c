//! Families in the maximum-pixel spectrum.
//!
//! A line that is strong in few pixels stands out in the maximum over pixels and drowns in the
//! sum. The maximum of Poisson counts is no Poisson spectrum; its noise is taken from the
//! residuals of the fit.

use kalpha_num::least_squares::weighted_linear;
use kalpha_physics::lines::LineFamily;
use serde::{Deserialize, Serialize};

use crate::eds::FitError;
use crate::eds::families::{BackgroundModel, FitOptions, background_columns, family_columns};

/// Significance that counts as seen.
const THRESHOLD: f64 = 4.0;

/// A family that stands out in the maximum-pixel spectrum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MaximumPixelHit {
    /// Element symbol.
    pub symbol: String,
    /// Family, `P_K`.
    pub family: String,
    /// Estimate over its standard deviation.
    pub significance: f64,
}

/// Which of the known `families` stand out in `max_pixel`; none for an empty spectrum.
///
/// # Errors
/// Those of the column functions.
pub(super) fn families_seen(
    energies: &[f64],
    max_pixel: &[f64],
    families: &[LineFamily],
    _candidates: &[LineFamily],
    options: &FitOptions,
) -> Result<Vec<MaximumPixelHit>, FitError> {
    let range = options.range(energies);
    if max_pixel.len() != energies.len() || range.len() < 20 {
        return Ok(Vec::new());
    }
    let background =
        background_columns(BackgroundModel::Bremsstrahlung, energies, max_pixel, options)?;
    let profiles = family_columns(energies, families, options)?;
    let columns: Vec<Vec<f64>> =
        profiles.iter().chain(&background).map(|c| c[range.clone()].to_vec()).collect();
    let y = &max_pixel[range];
    let Ok(fit) = weighted_linear(&columns, y, &vec![1.0; y.len()]) else {
        return Ok(Vec::new());
    };
    let dof = y.len().saturating_sub(columns.len()).max(1);
    let noise = fit.chi2 / dof as f64;
    let n = columns.len();
    Ok(families
        .iter()
        .enumerate()
        .map(|(i, f)| MaximumPixelHit {
            symbol: f.symbol.clone(),
            family: f.name(),
            significance: fit.x[i] / (noise * fit.covariance[i * n + i]).sqrt(),
        })
        .filter(|hit| hit.significance > THRESHOLD)
        .collect())
}
