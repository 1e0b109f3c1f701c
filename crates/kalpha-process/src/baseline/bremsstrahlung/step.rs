//! Step `baseline.bremsstrahlung`: the continuum alone, without a model of the lines.
//!
//! Weighted least squares on [`continuum_columns`] whose weights are the shares of background of each
//! channel, learned from the residuals until they rest. Complexity O(channels degree² iterations).
//! Tested on simulated lines over a continuum with a term that the fit does not know.

use super::continuum_columns;
use crate::{
    baseline::{
        auto::noise::{Noise, rough},
        morphology,
        whittaker::{at_least, parameter, positive},
    },
    row_method::{Block, RowMethod, RowStatus, Treat},
};
use kalpha_core::{Axis, Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError};
use kalpha_num::least_squares::weighted_coefficients;
use kalpha_physics::{bremsstrahlung::Source, detector::Detector, profile::PeakShape};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, ops::Range};

/// Iterations allowed.
const MAX_ITERATIONS: usize = 60;
/// Mean change of a channel's background share at which iteration stops.
const REST: f64 = 1e-4;
/// Standard deviations of a smoothed residual at which a channel is half background, and how
/// sharply the share falls.
const THRESHOLD: f64 = 1.2;
const SHARPNESS: f64 = 2.0;

/// Share of background of a channel whose smoothed residual is `u` standard deviations.
fn share_at(u: f64) -> f64 {
    1.0 / (1.0 + (SHARPNESS * (u - THRESHOLD)).exp())
}

/// Mean of a smoothed residual under the shares, where there is noise alone: `E[s u] / E[s]` with u
/// standard normal. Shares prefer channels that lie low, and a fit that did not expect them there
/// would run below the continuum.
fn expected() -> f64 {
    let (mut moment, mut sum) = (0.0, 0.0);
    for k in -800..=800 {
        let u = 0.01 * f64::from(k);
        let density = share_at(u) * (-0.5 * u * u).exp();
        moment += density * u;
        sum += density;
    }
    moment / sum
}

/// What stands before the crystal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// A polymer window on a silicon grid.
    #[default]
    Polymer,
    /// None.
    None,
}

/// Parameters of `baseline.bremsstrahlung`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Bremsstrahlung {
    /// Beam energy in keV; that of the file if absent.
    pub beam_energy_kev: Option<f64>,
    /// Mass fractions of a bulk specimen, for self-absorption; a thin film if empty.
    pub composition: BTreeMap<String, f64>,
    /// Take-off angle of a bulk specimen in degrees; that of the file if absent.
    pub take_off_angle: Option<f64>,
    /// Window of the detector.
    pub window: Window,
    /// Resolution at Mn K-alpha in eV; that of the file if absent, else 130.
    pub resolution_ev: Option<f64>,
    /// Degree of the polynomial that the continuum is multiplied by.
    pub degree: usize,
    /// Where the fit begins, in keV.
    pub first_kev: f64,
    /// Where it ends, in keV; at 95 % of the beam energy if absent.
    pub last_kev: Option<f64>,
}

impl Default for Bremsstrahlung {
    fn default() -> Self {
        Self {
            beam_energy_kev: None,
            composition: BTreeMap::new(),
            take_off_angle: None,
            window: Window::Polymer,
            resolution_ev: None,
            degree: 2,
            first_kev: 0.2,
            last_kev: None,
        }
    }
}

impl Bremsstrahlung {
    /// Columns of the fit and the channels they are fitted on.
    fn columns(
        &self,
        axis: &Axis,
        metadata: &Metadata,
    ) -> Result<(Vec<Vec<f64>>, Range<usize>), StepError> {
        let up = axis.ascending()?;
        let energies = axis.energies_kev()?;
        let Some(beam) = self.beam_energy_kev.or(metadata.beam_energy_kev) else {
            let expected = "the beam energy in keV, which the file does not give";
            return Err(parameter("beam_energy_kev", "nothing", expected));
        };
        positive("beam_energy_kev", beam)?;
        let resolution =
            self.resolution_ev.or(metadata.energy_resolution_mn_ka_ev).unwrap_or(130.0);
        positive("resolution_ev", resolution)?;
        positive("first_kev", self.first_kev)?;
        if self.degree > 6 {
            return Err(parameter("degree", self.degree, "6 at most"));
        }
        let source = if self.composition.is_empty() {
            Source::Thin
        } else {
            let angle = self.take_off_angle.or(metadata.take_off_angle);
            let Some(take_off_angle) = angle else {
                let expected = "the take-off angle in degrees, which the file does not give";
                return Err(parameter("take_off_angle", "nothing", expected));
            };
            let mass_fractions = self.composition.iter().map(|(e, w)| (e.clone(), *w)).collect();
            Source::Bulk { mass_fractions, take_off_angle }
        };
        let detector = match self.window {
            Window::Polymer => Detector::polymer_window(),
            Window::None => Detector::windowless(),
        };
        let last = self.last_kev.unwrap_or(0.95 * beam).min(beam);
        let inside: Vec<usize> = (0..energies.len())
            .filter(|i| (self.first_kev..=last).contains(&energies[*i]))
            .collect();
        at_least(inside.len(), 4 * (self.degree + 1))?;
        let fitted = inside[0]..inside[inside.len() - 1] + 1;
        // Blurring wants rising energies.
        let mut rising = energies;
        if !up {
            rising.reverse();
        }
        let (low, high) = if up {
            (rising[fitted.start], rising[fitted.end - 1])
        } else {
            let n = rising.len();
            (rising[n - fitted.end], rising[n - 1 - fitted.start])
        };
        let shape = PeakShape::gaussian(resolution);
        let mut columns =
            continuum_columns(&rising, beam, &source, &detector, &shape, self.degree, low, high)
                .map_err(StepError::method)?;
        if !up {
            columns.iter_mut().for_each(|c| c.reverse());
        }
        Ok((columns, fitted))
    }
}

impl Treat for Bremsstrahlung {
    const ID: &'static str = "baseline.bremsstrahlung";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Continuum of an electron beam: Kramers x absorption x detector";
    type Method = BremsstrahlungMethod;

    fn check(&self, rows: &RowsMeta, metadata: &Metadata) -> Result<(), StepError> {
        self.columns(&rows.signal, metadata).map(|_| ())
    }

    fn method(
        self,
        rows: &Rows,
        metadata: &Metadata,
        _: &dyn Passes,
    ) -> Result<BremsstrahlungMethod, StepError> {
        let meta = rows.meta();
        let (columns, fitted) = self.columns(&meta.signal, metadata)?;
        let energies = meta.signal.energies_kev()?;
        let n = energies.len();
        let channel = (energies[n - 1] - energies[0]).abs() / (n.max(2) - 1) as f64;
        // A quarter of the width of a line on each side.
        let reach = (0.25 * 0.1 / channel).round().clamp(1.0, 64.0) as usize;
        Ok(BremsstrahlungMethod { columns, fitted, reach, noise: meta.noise.clone() })
    }

    fn noise(&self, _: &NoiseModel) -> NoiseModel {
        NoiseModel::Correlated
    }
}

/// `baseline.bremsstrahlung` on known channels.
pub struct BremsstrahlungMethod {
    columns: Vec<Vec<f64>>,
    fitted: Range<usize>,
    reach: usize,
    noise: NoiseModel,
}

impl BremsstrahlungMethod {
    fn row(
        &self,
        y: &[f64],
        z: &mut [f64],
        table: &mut [f64],
        morphology: &mut morphology::Scratch,
    ) -> RowStatus {
        let data = &y[self.fitted.clone()];
        let n = data.len();
        let start = rough(data, morphology);
        let noise = Noise::of(data, &start, &self.noise, 1.0);
        let columns: Vec<Vec<f64>> =
            self.columns.iter().map(|c| c[self.fitted.clone()].to_vec()).collect();
        let mut fit = start;
        let mut share = vec![1.0; n];
        let expected = expected();
        let mut coefficients = Vec::new();
        let (mut iterations, mut rests) = (0, false);
        while iterations < MAX_ITERATIONS && !rests {
            iterations += 1;
            let variances: Vec<f64> = fit.iter().map(|z| noise.at(*z)).collect();
            let mut sums = vec![0.0; n + 1];
            for i in 0..n {
                sums[i + 1] = sums[i] + (data[i] - fit[i]) / variances[i].sqrt();
            }
            let mut change = 0.0;
            // A channel has one part in root m of the smoothed residual of m channels in common.
            let mut centred = data.to_vec();
            for (i, share) in share.iter_mut().enumerate() {
                let (a, b) = (i.saturating_sub(self.reach), (i + self.reach + 1).min(n));
                let channels = ((b - a) as f64).sqrt();
                let new = share_at((sums[b] - sums[a]) / channels);
                centred[i] -= expected / channels * variances[i].sqrt();
                change += (new - *share).abs();
                *share = new;
            }
            let weights: Vec<f64> = share.iter().zip(&variances).map(|(s, v)| s / v).collect();
            let Ok(found) = weighted_coefficients(&columns, &centred, &weights) else { break };
            for (i, fit) in fit.iter_mut().enumerate() {
                *fit = columns.iter().zip(&found).map(|(c, x)| c[i] * x).sum();
            }
            coefficients = found;
            rests = change < REST * n as f64;
        }
        let whole = |i: usize| -> f64 {
            self.columns.iter().zip(&coefficients).map(|(c, x)| c[i] * x).sum()
        };
        let sum: f64 = self.fitted.clone().map(whole).sum();
        if coefficients.is_empty() || !(sum > 0.0 && sum.is_finite()) {
            z.fill(f64::NAN);
            table.fill(f64::NAN);
            return RowStatus::Refused;
        }
        z.iter_mut().enumerate().for_each(|(i, z)| *z = whole(i));
        table[0] = sum;
        table[1] = share.iter().sum::<f64>() / n as f64;
        table[2] = iterations as f64;
        match rests {
            true => RowStatus::Fine,
            false => RowStatus::NotConverged,
        }
    }
}

impl RowMethod for BremsstrahlungMethod {
    type Scratch = morphology::Scratch;

    fn columns(&self) -> Vec<(&'static str, String)> {
        vec![
            ("continuum", String::new()),
            ("background_share", String::new()),
            ("iterations", String::new()),
        ]
    }

    fn apply(&self, block: &mut Block<'_>, scratch: &mut morphology::Scratch) {
        block.each(|y, z, table| self.row(y, z, table, scratch));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kalpha_core::Unit;
    use kalpha_num::rng::Stream;
    use kalpha_physics::bremsstrahlung::continuum_basis;

    /// Lines on a continuum that has a second Kramers term, which the fit does not know.
    #[test]
    fn the_continuum_under_lines_comes_back() {
        let axis = Axis::linear("Energy", Unit::KeV, 0.0, 0.01, 1500).unwrap();
        let energies = axis.energies_kev().unwrap();
        let source = Source::Bulk {
            mass_fractions: vec![("Fe".into(), 0.7), ("Cr".into(), 0.3)],
            take_off_angle: 35.0,
        };
        let [first, second] =
            continuum_basis(&energies, 15.0, &source, &Detector::polymer_window()).unwrap();
        let shape = PeakShape::gaussian(130.0);
        let truth: Vec<f64> = shape.blur(
            &energies,
            &first.iter().zip(&second).map(|(a, b)| 600.0 * a + 300.0 * b).collect::<Vec<_>>(),
        );
        let mut mean = truth.clone();
        for (line, area) in
            [(0.705, 3e4), (5.41, 6e4), (5.95, 9e3), (6.40, 8e4), (7.06, 1.2e4), (0.573, 8e3)]
        {
            shape.add(&energies, line, area, &mut mean);
        }
        let params = Bremsstrahlung {
            beam_energy_kev: Some(15.0),
            composition: [("Fe".to_owned(), 0.7), ("Cr".to_owned(), 0.3)].into(),
            take_off_angle: Some(35.0),
            ..Bremsstrahlung::default()
        };
        let (columns, fitted) = params.columns(&axis, &Metadata::default()).unwrap();
        let method = BremsstrahlungMethod {
            columns,
            fitted: fitted.clone(),
            reach: 3,
            noise: NoiseModel::COUNTS,
        };
        let stream = Stream::new(6, "bremsstrahlung", 0);
        let mut mean_ratio = 0.0;
        for draw in 0..8 {
            let y: Vec<f64> = mean
                .iter()
                .enumerate()
                .map(|(i, m)| stream.at(draw, i).poisson(*m) as f64)
                .collect();
            let (mut z, mut table) = (vec![0.0; y.len()], [0.0; 3]);
            let status = method.row(&y, &mut z, &mut table, &mut Default::default());
            assert_eq!(status, RowStatus::Fine);
            for i in fitted.clone() {
                let near = (z[i] - truth[i]).abs() < 0.05 * truth[i] + 0.2 * truth[i].sqrt();
                assert!(near || energies[i] < 0.4, "{draw} {}: {} {}", energies[i], z[i], truth[i]);
            }
            let (sum, whole): (f64, f64) =
                (fitted.clone().map(|i| z[i]).sum(), fitted.clone().map(|i| truth[i]).sum());
            assert!((sum / whole - 1.0).abs() < 0.01, "{draw}: {}", sum / whole);
            mean_ratio += sum / whole / 8.0;
        }
        assert!((mean_ratio - 1.0).abs() < 0.003, "{mean_ratio}");
    }

    #[test]
    fn what_is_missing_is_named() {
        let axis = Axis::linear("Energy", Unit::KeV, 0.0, 0.01, 1500).unwrap();
        let said = |params: &Bremsstrahlung| {
            params.columns(&axis, &Metadata::default()).unwrap_err().to_string()
        };
        assert!(said(&Bremsstrahlung::default()).contains("beam_energy_kev"));
        let bulk = Bremsstrahlung {
            beam_energy_kev: Some(15.0),
            composition: [("Fe".to_owned(), 1.0)].into(),
            ..Bremsstrahlung::default()
        };
        assert!(said(&bulk).contains("take_off_angle"));
        let unit = Axis::linear("Energy", Unit::InverseCentimetre, 0.0, 0.01, 1500).unwrap();
        assert!(bulk.columns(&unit, &Metadata::default()).is_err());
    }
}
