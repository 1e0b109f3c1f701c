//! Background models of the family fit, as columns of a linear fit.

use kalpha_physics::PhysicsError;
use kalpha_process::baseline::asls::asls;
use kalpha_process::baseline::bremsstrahlung::continuum_columns;
use kalpha_process::baseline::snip::snip_counts;
use serde::{Deserialize, Serialize};

use super::FitOptions;

/// How the background under the lines is modelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackgroundModel {
    /// Kramers continuum, absorbed and detected, times a polynomial (5 free numbers).
    Bremsstrahlung,
    /// SNIP of the smoothed spectrum, free in scale and tilt.
    Snip,
    /// Asymmetric least squares, free in scale and tilt.
    Asls,
}

impl BackgroundModel {
    /// All models; the first is the default.
    pub const ALL: [Self; 3] = [Self::Bremsstrahlung, Self::Snip, Self::Asls];

    /// The model as the field writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bremsstrahlung => "bremsstrahlung",
            Self::Snip => "SNIP",
            Self::Asls => "AsLS",
        }
    }
}

impl std::fmt::Display for BackgroundModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bremsstrahlung => "bremsstrahlung",
            Self::Snip => "snip",
            Self::Asls => "asls",
        })
    }
}

/// Columns of `model` over all channels.
///
/// SNIP and AsLS follow the lower edge of the data, so their curve is a shape whose scale and
/// tilt stay free in the fit.
///
/// # Errors
/// Those of [`continuum_columns`].
pub fn background_columns(
    model: BackgroundModel,
    energies: &[f64],
    counts: &[f64],
    options: &FitOptions,
) -> Result<Vec<Vec<f64>>, PhysicsError> {
    let (low, high) = (options.low, options.high);
    let n = energies.len();
    if model == BackgroundModel::Bremsstrahlung {
        return continuum_columns(
            energies,
            options.beam_energy,
            &options.source,
            &options.detector,
            &options.shape,
            options.polynomial_degree,
            low,
            high,
        );
    }
    let inside = options.range(energies);
    let (e, y) = (&energies[inside.clone()], &counts[inside.clone()]);
    let width = (e[e.len() - 1] - e[0]) / (e.len() - 1).max(1) as f64;
    let curve = match model {
        BackgroundModel::Snip => {
            // Twice the FWHM clears a peak down to a thousandth of its height.
            let windows: Vec<usize> = e
                .iter()
                .map(|&x| (2.0 * options.shape.resolution.fwhm(x) / width).ceil() as usize)
                .collect();
            let smooth = (0.4 * options.shape.resolution.fwhm(2.0) / width).round() as usize;
            snip_counts(y, &windows, smooth)
        }
        _ => {
            // Square roots have equal noise in every channel. lam suits channels of 10 eV and
            // grows with the fourth power of their number per eV.
            let lam = 1e4 * (0.01 / width).powi(4);
            let root: Vec<f64> = y.iter().map(|v| v.max(0.0).sqrt()).collect();
            let fit = asls(&root, lam, 0.005, 50, 1e-3);
            fit.baseline.iter().map(|v| v.max(0.0).powi(2)).collect()
        }
    };
    let mut columns = vec![vec![0.0; n], vec![0.0; n]];
    for (k, b) in inside.zip(&curve) {
        columns[0][k] = *b;
        columns[1][k] = b * (2.0 * energies[k] - low - high) / (high - low);
    }
    Ok(columns)
}
