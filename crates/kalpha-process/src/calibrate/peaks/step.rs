//! Step `calibrate.peaks`.

use super::{
    AxisCalibration, AxisFit, Feature, LAB6_A, PeaksError, SILICON_A, SILICON_RAMAN, locate,
    reflections,
};
use crate::{
    align::shift::{spline, spline_at},
    reference,
    row_method::{Block, FLAGS, RowMethod, RowStatus, TABLE, TREATED, Treat},
};
use kalpha_core::{
    ArtefactType, Axis, Metadata, NoiseModel, Outputs, Passes, Plan, Port, Rows, RowsMeta,
    StepError, Unit,
};
use kalpha_physics::lines::line_energy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Specimens whose features are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// Only what `positions` and `lines` name.
    #[default]
    None,
    /// The zero-loss peak, at 0.
    ZeroLoss,
    /// The first-order Raman line of silicon, 520.7 cm-1.
    SiliconRaman,
    /// Reflections of silicon; needs `wavelength`.
    Silicon,
    /// Reflections of LaB6; needs `wavelength`.
    Lab6,
}

/// Parameters of `calibrate.peaks`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Peaks {
    /// True positions of features, in units of the axis.
    pub positions: Vec<f64>,
    /// X-ray lines as further references: `Cu_Ka`.
    pub lines: Vec<String>,
    /// A specimen whose features are known.
    pub known: Known,
    /// Wavelength for reflections, in angstrom.
    pub wavelength: Option<f64>,
    /// What marks a reference.
    pub feature: Feature,
    /// How far from its position a feature is looked for, in units of the axis.
    pub search: Option<f64>,
    /// Degree of the correction: 0 shifts, 1 stretches as well.
    pub degree: usize,
    /// The spectrum that is calibrated on: `mean`, or the number of a row.
    pub reference: String,
}

impl Default for Peaks {
    fn default() -> Self {
        Self {
            positions: Vec::new(),
            lines: Vec::new(),
            known: Known::None,
            wavelength: None,
            feature: Feature::Peak,
            search: None,
            degree: 0,
            reference: "mean".into(),
        }
    }
}

fn refuse<T>(parameter: &'static str, got: String, expected: &str) -> Result<T, StepError> {
    Err(StepError::Parameter { parameter, got, expected: expected.to_owned() })
}

impl Peaks {
    /// Positions on the axis, and how far from them to look.
    fn references(&self, axis: &Axis) -> Result<(Vec<f64>, f64), StepError> {
        axis.ascending()?;
        let n = axis.len();
        let ends = [axis.at(0), axis.at(n.max(1) - 1)];
        let (low, high) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
        let mut positions = self.positions.clone();
        for line in &self.lines {
            let kev = line_energy(line).map_err(StepError::method)?;
            let factor = match axis.unit {
                Unit::Ev => 1e3,
                Unit::KeV => 1.0,
                _ => {
                    axis.energies_kev()?;
                    1.0
                }
            };
            positions.push(kev * factor);
        }
        let unit = |unit: Unit| match axis.unit == unit {
            true => Ok(()),
            false => refuse(
                "known",
                format!("{:?}", self.known),
                &format!("an axis in {}; this one is in {:?}", unit.symbol(), axis.unit.symbol()),
            ),
        };
        match self.known {
            Known::None => {}
            Known::ZeroLoss => positions.push(0.0),
            Known::SiliconRaman => {
                unit(Unit::InverseCentimetre)?;
                positions.push(SILICON_RAMAN);
            }
            Known::Silicon | Known::Lab6 => {
                unit(Unit::Degree2Theta)?;
                let Some(wavelength) = self.wavelength.filter(|w| w.is_finite() && *w > 0.0) else {
                    return refuse(
                        "wavelength",
                        format!("{:?}", self.wavelength),
                        "the wavelength in angstrom: 1.540593 for Cu Ka1",
                    );
                };
                let (a, diamond) = match self.known {
                    Known::Silicon => (SILICON_A, true),
                    _ => (LAB6_A, false),
                };
                positions.extend(reflections(a, wavelength, high, diamond));
            }
        }
        positions.retain(|p| (low..=high).contains(p));
        if positions.is_empty() || self.degree > 4 || positions.len() <= self.degree {
            return refuse(
                "positions, lines, known",
                format!("{} references on the axis, degree {}", positions.len(), self.degree),
                &format!(
                    "more references than the degree (4 at most), between {low} and {high} {}",
                    axis.unit.symbol()
                ),
            );
        }
        let channel = (high - low) / (n.max(2) - 1) as f64;
        let search = self.search.unwrap_or(20.0 * channel);
        match search.is_finite() && search >= 2.0 * channel {
            true => Ok((positions, search)),
            false => refuse("search", search.to_string(), "two channels at least"),
        }
    }
}

const OUTPUTS: &[Port] = &[
    TREATED,
    FLAGS,
    TABLE,
    Port::whole("axis_calibration", AxisCalibration::KIND, "the polynomial and its references"),
];

impl Treat for Peaks {
    const ID: &'static str = "calibrate.peaks";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Puts spectra on the axis that features of known position define";
    const OUTPUTS: &'static [Port] = OUTPUTS;
    type Method = PeaksMethod;

    fn declare(plan: Plan) -> Plan {
        plan.whole("axis_calibration", AxisCalibration::KIND)
    }

    fn learned(method: &PeaksMethod, outputs: Outputs) -> Outputs {
        outputs.whole("axis_calibration", method.calibration.clone())
    }

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        reference::check(&self.reference, rows.rows)?;
        self.references(&rows.signal).map(|_| ())
    }

    fn method(
        self,
        rows: &Rows,
        _: &Metadata,
        passes: &dyn Passes,
    ) -> Result<PeaksMethod, StepError> {
        let axis = &rows.meta().signal;
        let (positions, search) = self.references(axis)?;
        let up = axis.ascending()?;
        let (mut x, mut y) = (axis.to_vec(), reference::reference(&self.reference, rows, passes)?);
        if !up {
            x.reverse();
            y.reverse();
        }
        let found =
            positions.iter().filter_map(|p| locate(&x, &y, *p, search, self.feature)).collect();
        let fit = AxisFit::new(found, positions.len(), self.degree).map_err(StepError::method)?;
        let n = x.len();
        let true_axis: Vec<f64> = x.iter().map(|x| fit.at(*x).0).collect();
        if true_axis.windows(2).any(|w| w[1] <= w[0]) {
            return Err(StepError::method(PeaksError::Turns));
        }
        let (low, high) = (x[0], x[n - 1]);
        let mut channels: Vec<f64> = x
            .iter()
            .map(|wanted| {
                // The place, as a fraction of channels between its neighbours.
                let at = fit.inverse(*wanted, low, high);
                let k = x.partition_point(|v| *v <= at).clamp(1, n - 1);
                (k - 1) as f64 + (at - x[k - 1]) / (x[k] - x[k - 1])
            })
            .collect();
        if !up {
            channels.reverse();
            channels.iter_mut().for_each(|c| *c = (n - 1) as f64 - *c);
        }
        let middle = fit.at(0.5 * (low + high));
        let correction = middle.0 - 0.5 * (low + high);
        let used = fit.references.iter().filter(|r| r.used).count();
        let summary = [correction, middle.1, used as f64, fit.reduced_chi2];
        let unit = axis.unit.symbol().to_owned();
        Ok(PeaksMethod { channels, summary, calibration: fit.calibration(&unit), unit })
    }

    fn noise(&self, _: &NoiseModel) -> NoiseModel {
        NoiseModel::Correlated
    }
}

/// `calibrate.peaks` with a known correction.
pub struct PeaksMethod {
    /// Where on the measured axis, in channels, each point of the true axis stands.
    channels: Vec<f64>,
    /// Correction at mid-axis, its standard deviation, references used, reduced chi².
    summary: [f64; 4],
    calibration: AxisCalibration,
    unit: String,
}

impl RowMethod for PeaksMethod {
    type Scratch = Vec<f64>;

    fn columns(&self) -> Vec<(&'static str, String)> {
        vec![
            ("correction_at_centre", self.unit.clone()),
            ("sigma", self.unit.clone()),
            ("references_used", String::new()),
            ("reduced_chi2", String::new()),
        ]
    }

    fn apply(&self, block: &mut Block<'_>, coefficients: &mut Vec<f64>) {
        let last = (self.channels.len() - 1) as f64;
        block.each(|y, z, table| {
            table.copy_from_slice(&self.summary);
            spline(y, coefficients);
            for (z, at) in z.iter_mut().zip(&self.channels) {
                *z = spline_at(coefficients, at.clamp(0.0, last));
            }
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
