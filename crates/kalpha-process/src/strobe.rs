//! The zero (strobe) peak of the pulse processor.
//!
//! Some EDS electronics record their own baseline as a peak at zero energy: no photons, and
//! often a sixth of all counts. It would dominate totals, PCA and deviance. It is a peak within
//! 50 eV of zero with a valley above it, below 160 eV; every channel up to the bottom of the
//! valley is left out. No characteristic line of Be or heavier lies there with a usable yield.
//!
//! Raw counts stay as they are; `spectra` are the counts without these channels.

use crate::totals::{Totals, totals};
use kalpha_core::{
    ArtefactType, Code, Diagnostic, ExcludeChannels, InputMeta, Inputs, Outputs, Passes, Plan,
    Port, Rows, Step, StepError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Where the strobe peak lies, in keV around zero.
const PEAK_WITHIN: f64 = 0.05;
/// The valley above it must be reached below this energy, in keV.
const VALLEY_BELOW: f64 = 0.16;
/// Peak over valley, in standard deviations of the difference of the two counts.
const MIN_SIGNIFICANCE: f64 = 6.0;

/// The strobe peak, or its absence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Strobe {
    /// Channels left out are `0..end`; 0 where there is no strobe peak.
    pub end: usize,
    /// Counts left out.
    pub counts: f64,
    /// Share of all counts, 0 to 1.
    pub fraction: f64,
    /// Centroid in keV: how far the file's energy scale is off zero.
    pub centroid: f64,
    /// Standard deviation of the peak in keV: the electronic noise.
    pub sigma: f64,
}

impl Strobe {
    /// True when there is a strobe peak.
    pub fn found(&self) -> bool {
        self.end > 0
    }
}

impl ArtefactType for Strobe {
    const KIND: &'static str = "strobe";
}

/// Finds the strobe peak in a sum spectrum.
///
/// `energies` ascend, in keV; `sum` are counts per channel. Without channels below zero energy
/// there is no room for a strobe peak and none is looked for.
pub fn find_strobe(energies: &[f64], sum: &[f64]) -> Strobe {
    let none = Strobe::default();
    let near_zero = |e: f64| e.abs() <= PEAK_WITHIN;
    let Some(peak) = (0..sum.len().min(energies.len()))
        .filter(|&i| near_zero(energies[i]))
        .max_by(|&a, &b| sum[a].total_cmp(&sum[b]))
    else {
        return none;
    };
    if energies[0] > -PEAK_WITHIN {
        return none;
    }
    // The lowest channel of the valley, the last one where several are equally low.
    let Some(valley) = (peak..sum.len())
        .take_while(|&i| energies[i] <= VALLEY_BELOW)
        .min_by(|&a, &b| sum[a].total_cmp(&sum[b]).then(b.cmp(&a)))
    else {
        return none;
    };
    let significance = (sum[peak] - sum[valley]) / (sum[peak] + sum[valley]).max(1.0).sqrt();
    let is_peak = valley > peak && sum[peak] > 2.0 * sum[valley] && sum[peak] > 2.0 * sum[0];
    if !is_peak || significance < MIN_SIGNIFICANCE {
        return none;
    }
    let end = valley + 1;
    let counts: f64 = sum[..end].iter().sum();
    let mean =
        |f: &dyn Fn(f64) -> f64| (0..end).map(|i| sum[i] * f(energies[i])).sum::<f64>() / counts;
    let centroid = mean(&|e| e);
    let sigma = mean(&|e| (e - centroid).powi(2)).sqrt();
    let total: f64 = sum.iter().sum();
    Strobe { end, counts, fraction: counts / total, centroid, sigma }
}

/// `rows` without the strobe channels. Rows without a strobe peak are shared, not copied.
pub fn without_strobe(rows: &Rows, strobe: &Strobe) -> Rows {
    if strobe.found() {
        Arc::new(ExcludeChannels::new(Rows::clone(rows), 0..strobe.end, None))
    } else {
        Rows::clone(rows)
    }
}

/// Step `eds.strobe`.
pub struct StrobeStep;

/// Parameters of `eds.strobe`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StrobeParams {
    /// Look for a strobe peak and leave it out.
    pub find: bool,
}

impl Default for StrobeParams {
    fn default() -> Self {
        Self { find: true }
    }
}

impl Step for StrobeStep {
    type Params = StrobeParams;
    const ID: &'static str = "eds.strobe";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Finds the zero (strobe) peak and leaves it out";
    const INPUTS: &'static [Port] = &[Port::rows("counts", "raw counts")];
    const OUTPUTS: &'static [Port] = &[
        Port::whole("strobe", Strobe::KIND, "the strobe peak or its absence"),
        Port::rows("spectra", "counts without the strobe channels"),
    ];

    fn plan(params: StrobeParams, inputs: &InputMeta) -> Result<Plan, StepError> {
        let meta = inputs.counts("counts")?.clone();
        meta.signal.energies_kev()?;
        let run = move |inputs: &Inputs, passes: &dyn Passes| {
            let rows = inputs.rows("counts")?;
            let energies = rows.meta().signal.energies_kev()?;
            let Totals { sum, .. } = totals(rows, passes)?;
            if sum.iter().sum::<f64>() <= 0.0 {
                return Err(StepError::TooLittle {
                    what: "every pixel is empty: there is nothing to analyse".into(),
                    hint: "check the file with kalpha inspect, or the mask".into(),
                });
            }
            let strobe = if params.find { find_strobe(&energies, &sum) } else { Strobe::default() };
            let outputs = Outputs::new().rows("spectra", without_strobe(rows, &strobe));
            Ok(match strobe.found() {
                true => outputs.warn(Diagnostic::note(
                    Code::StrobePeak,
                    format!(
                        "a zero peak of the electronics holds {:.1} % of all counts (channels 0 to {}); it is left out of everything",
                        100.0 * strobe.fraction,
                        strobe.end - 1
                    ),
                )),
                false => outputs,
            }
            .whole("strobe", strobe))
        };
        Ok(Plan::new(run).whole("strobe", Strobe::KIND).rows("spectra", meta))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 10 eV channels from -0.47 keV; a strobe peak and a carbon line on a low continuum.
    fn spectrum(strobe: f64) -> (Vec<f64>, Vec<f64>) {
        let energies: Vec<f64> = (0..200).map(|i| -0.47 + 0.01 * f64::from(i)).collect();
        let gauss = |e: f64, mu: f64, s: f64| (-0.5 * ((e - mu) / s).powi(2)).exp();
        let sum = energies
            .iter()
            .map(|&e| {
                let photons = if e > 0.12 { 300.0 } else { 0.0 } + 900.0 * gauss(e, 0.277, 0.03);
                (strobe * gauss(e, 0.005, 0.02) + photons).round()
            })
            .collect();
        (energies, sum)
    }

    #[test]
    fn a_strobe_peak_is_found_with_its_counts_place_and_width() {
        let (energies, sum) = spectrum(36_000.0);
        let strobe = find_strobe(&energies, &sum);
        let true_counts = 36_000.0 * 0.02 / 0.01 * (2.0 * std::f64::consts::PI).sqrt();
        assert!((strobe.counts / true_counts - 1.0).abs() < 1e-3, "{strobe:?}");
        assert!((strobe.centroid - 0.005).abs() < 5e-4);
        assert!((strobe.sigma - 0.02).abs() < 5e-4);
        assert!(energies[strobe.end] < 0.15);
    }

    #[test]
    fn photons_alone_are_no_strobe_peak() {
        let (energies, sum) = spectrum(0.0);
        assert!(!find_strobe(&energies, &sum).found());
        assert!(!find_strobe(&energies[60..], &sum[60..]).found());
        assert!(!find_strobe(&[], &[]).found());
        assert!(!find_strobe(&[0.0], &[5.0]).found());
    }
}
