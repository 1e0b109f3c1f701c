//! Photoelectron spectra on the scale of binding energy, and the correction for charging.
//!
//! `E_B = h nu - E_K - phi - s`: photon energy, kinetic energy, work function of the spectrometer
//! (zero where the instrument has taken it into account, as most do) and the shift by charging.
//! The shift is given, or it is what puts a reference line at its known energy: the strongest peak
//! near it in the mean spectrum is fitted ([`locate`]). Channels are put in ascending order and
//! never resampled, so counts stay counts.
//!
//! Reference energies: Au 4f7/2 83.96, Ag 3d5/2 368.21, Cu 2p3/2 932.62 eV (ISO 15472:2010);
//! Fermi edge 0; C 1s of adventitious carbon 284.8 eV by custom, which is no better than 0.2 eV
//! (Greczynski and Hultman 2020, doi:10.1016/j.pmatsci.2019.100591): its result says so.
//! Complexity O(n). Tested on spectra whose lines were put where they are, and on a file that holds
//! one region in either scale.

use super::peaks::{Feature, locate};
use crate::reference;
use kalpha_core::{
    ArtefactType, Axis, Cell, Code, DType, Diagnostic, InputMeta, Inputs, Map, Mapped, Modality,
    Outputs, Passes, Plan, Port, Rows, RowsMeta, Step, StepError, Unit,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A line whose binding energy is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Reference {
    /// Adventitious carbon, 284.8 eV.
    #[serde(rename = "C 1s")]
    Carbon,
    /// 83.96 eV.
    #[serde(rename = "Au 4f7/2")]
    Gold,
    /// 368.21 eV.
    #[serde(rename = "Ag 3d5/2")]
    Silver,
    /// 932.62 eV.
    #[serde(rename = "Cu 2p3/2")]
    Copper,
    /// The Fermi edge of a metal, 0 eV.
    #[serde(rename = "Fermi edge")]
    Fermi,
}

impl Reference {
    /// Binding energy and its standard deviation, eV.
    pub fn energy(self) -> (f64, f64) {
        match self {
            Self::Carbon => (284.8, 0.2),
            Self::Gold => (83.96, 0.02),
            Self::Silver => (368.21, 0.02),
            Self::Copper => (932.62, 0.02),
            Self::Fermi => (0.0, 0.02),
        }
    }

    /// As analysts write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Carbon => "C 1s",
            Self::Gold => "Au 4f7/2",
            Self::Silver => "Ag 3d5/2",
            Self::Copper => "Cu 2p3/2",
            Self::Fermi => "Fermi edge",
        }
    }

    fn feature(self) -> Feature {
        match self {
            Self::Fermi => Feature::Edge,
            _ => Feature::Peak,
        }
    }
}

/// Parameters of `xps.binding_energy`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BindingEnergyParams {
    /// Photon energy in eV, for a kinetic axis; that of the file where none is given.
    pub photon_energy: Option<f64>,
    /// Work function of the spectrometer in eV, for a kinetic axis.
    pub work_function: f64,
    /// Charging that is known, eV: taken off all binding energies.
    pub shift: Option<f64>,
    /// The line that fixes the shift.
    pub reference: Option<Reference>,
    /// Energy of the reference, where another than the tabulated one is wanted, eV.
    pub reference_energy: Option<f64>,
    /// How far from its energy the reference is looked for, eV.
    pub search: f64,
}

impl Default for BindingEnergyParams {
    fn default() -> Self {
        Self {
            photon_energy: None,
            work_function: 0.0,
            shift: None,
            reference: None,
            reference_energy: None,
            search: 6.0,
        }
    }
}

/// How the scale came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BindingEnergy {
    /// Photon energy for a kinetic axis, eV.
    pub photon_energy: Option<f64>,
    /// Taken off all binding energies, eV.
    pub shift: f64,
    /// Its standard deviation; `None` where nothing says how sure it is.
    pub shift_sigma: Option<f64>,
    /// The reference line; `None` where the shift was given or nothing was corrected.
    pub reference: Option<Reference>,
    /// Where the reference was measured, eV.
    pub measured: Option<f64>,
}

impl ArtefactType for BindingEnergy {
    const KIND: &'static str = "binding_energy";
}

/// Step `xps.binding_energy`.
pub struct BindingEnergyStep;

/// Rows as they are or in reverse order of channels.
struct Ordered {
    reverse: bool,
}

impl Map for Ordered {
    type Scratch = Vec<f64>;

    fn apply(&self, cell: &Cell<'_>, out: &mut [f64], values: &mut Vec<f64>) {
        cell.to_f64(values);
        out.copy_from_slice(values);
        if self.reverse {
            out.chunks_exact_mut(cell.channels.max(1)).for_each(<[f64]>::reverse);
        }
    }
}

fn is_kinetic(axis: &Axis) -> bool {
    axis.name.to_ascii_lowercase().contains("kinetic")
}

/// Binding energies of all channels before any shift, ascending, and whether the order turned.
fn unshifted(
    params: &BindingEnergyParams,
    axis: &Axis,
    photon_energy: Option<f64>,
) -> Result<(Vec<f64>, bool), StepError> {
    axis.ascending()?;
    let mut energies: Vec<f64> = axis.energies_kev()?.iter().map(|e| 1e3 * e).collect();
    if is_kinetic(axis) {
        let photon = photon_energy.ok_or_else(|| StepError::Parameter {
            parameter: "photon_energy",
            got: "none, nor one in the file".to_owned(),
            expected: "the photon energy in eV for a kinetic axis: 1486.69 for Al K-alpha"
                .to_owned(),
        })?;
        energies.iter_mut().for_each(|e| *e = photon - *e - params.work_function);
    }
    let reverse = energies.len() > 1 && energies[1] < energies[0];
    if reverse {
        energies.reverse();
    }
    Ok((energies, reverse))
}

fn shifted(energies: &[f64], shift: f64) -> Result<Axis, StepError> {
    const NAME: &str = "Binding energy";
    let n = energies.len();
    let at: Vec<f64> = energies.iter().map(|e| e - shift).collect();
    let step = (energies.last().copied().unwrap_or(0.0) - energies[0]) / (n.max(2) - 1) as f64;
    let even = |(i, e): (usize, &f64)| (e - (at[0] + step * i as f64)).abs() < 1e-6 * step;
    Ok(match n > 1 && at.iter().enumerate().all(even) {
        true => Axis::linear(NAME, Unit::Ev, at[0], step, n)?,
        false => Axis::values(NAME, Unit::Ev, at),
    })
}

fn check(params: &BindingEnergyParams) -> Result<(), StepError> {
    let wrong = |parameter, got: String, expected: &str| {
        Err(StepError::Parameter { parameter, got, expected: expected.to_owned() })
    };
    if let Some(photon) = params.photon_energy.filter(|e| !(e.is_finite() && *e > 0.0)) {
        return wrong("photon_energy", photon.to_string(), "a positive energy in eV");
    }
    if !params.work_function.is_finite() {
        return wrong("work_function", params.work_function.to_string(), "an energy in eV");
    }
    if let Some(shift) = params.shift.filter(|s| !s.is_finite()) {
        return wrong("shift", shift.to_string(), "an energy in eV");
    }
    if params.shift.is_some() && params.reference.is_some() {
        return wrong("shift", "with a reference".to_owned(), "the shift or a reference, not both");
    }
    if !(params.search.is_finite() && params.search > 0.0) {
        return wrong("search", params.search.to_string(), "a positive energy in eV");
    }
    Ok(())
}

/// The shift that puts the reference where it belongs.
fn from_reference(
    params: &BindingEnergyParams,
    reference: Reference,
    energies: &[f64],
    mean: &[f64],
) -> Option<(f64, f64, f64)> {
    let (tabulated, sigma) = reference.energy();
    let known = params.reference_energy.unwrap_or(tabulated);
    let found = locate(energies, mean, known, params.search, reference.feature())?;
    Some((found.measured - known, found.sigma.hypot(sigma), found.measured))
}

/// Smallest offset of C 1s from its customary energy that is pointed out, eV.
const OFFSET_WORTH_A_NOTE: f64 = 0.3;

fn note_on_carbon(
    params: &BindingEnergyParams,
    energies: &[f64],
    mean: &[f64],
) -> Option<Diagnostic> {
    let (shift, _, measured) = from_reference(params, Reference::Carbon, energies, mean)?;
    (shift.abs() > OFFSET_WORTH_A_NOTE).then(|| {
        Diagnostic::note(
            Code::Assumed,
            format!(
                "energies are not corrected for charging; the strongest peak near C 1s stands at \
                 {measured:.2} eV"
            ),
        )
        .hint("--param \"xps.binding_energy.reference=C 1s\" puts it at 284.8 eV")
    })
}

impl Step for BindingEnergyStep {
    type Params = BindingEnergyParams;
    const ID: &'static str = "xps.binding_energy";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Photoelectron spectra on the scale of binding energy";
    const INPUTS: &'static [Port] =
        &[Port::rows("spectra", "spectra over kinetic or binding energy")];
    const OUTPUTS: &'static [Port] = &[
        Port::rows("spectra", "the same over ascending binding energy"),
        Port::whole("binding_energy", BindingEnergy::KIND, "shift by charging and where from"),
    ];

    fn plan(params: BindingEnergyParams, inputs: &InputMeta) -> Result<Plan, StepError> {
        let meta = inputs.rows("spectra")?.clone();
        check(&params)?;
        let from_file = inputs.metadata.beam_energy_kev.map(|e| 1e3 * e);
        let photon_energy = params.photon_energy.or(from_file);
        let (energies, reverse) = unshifted(&params, &meta.signal, photon_energy)?;
        if energies.is_empty() {
            return Err(StepError::TooLittle {
                what: "the axis has no point".to_owned(),
                hint: "check the file".to_owned(),
            });
        }
        // A reference line moves the axis once the spectra are read.
        let declared = shifted(&energies, params.shift.unwrap_or(0.0))?;
        let made = RowsMeta { signal: declared, dtype: DType::F64, ..meta.clone() };
        let kinetic = is_kinetic(&meta.signal);
        let other = inputs.metadata.modality.filter(|m| *m != Modality::Xps);
        let plan = Plan::new(move |inputs: &Inputs, passes: &dyn Passes| {
            let rows = inputs.rows("spectra")?;
            let mut mean = reference::mean(rows, passes)?;
            if reverse {
                mean.reverse();
            }
            let mut said = None;
            let (shift, shift_sigma, measured) = match (params.shift, params.reference) {
                (Some(shift), _) => (shift, None, None),
                (None, Some(line)) => match from_reference(&params, line, &energies, &mean) {
                    Some((shift, sigma, at)) => (shift, Some(sigma), Some(at)),
                    None => {
                        let known = params.reference_energy.unwrap_or(line.energy().0);
                        said = Some(
                            Diagnostic::warning(
                                Code::CalibrationRefused,
                                format!(
                                    "no {} within {} eV of {known} eV: energies are not corrected \
                                     for charging",
                                    line.name(),
                                    params.search
                                ),
                            )
                            .hint("give the shift: --param xps.binding_energy.shift=EV"),
                        );
                        (0.0, None, None)
                    }
                },
                (None, None) => {
                    said = note_on_carbon(&params, &energies, &mean);
                    (0.0, None, None)
                }
            };
            let found = BindingEnergy {
                photon_energy: photon_energy.filter(|_| kinetic),
                shift,
                shift_sigma,
                reference: params.reference.filter(|_| measured.is_some()),
                measured,
            };
            let noise = rows.meta().noise.clone();
            let axis = shifted(&energies, shift)?;
            let turned = Mapped::new(Rows::clone(rows), Ordered { reverse }, axis, noise);
            let outputs =
                Outputs::new().rows("spectra", Arc::new(turned)).whole("binding_energy", found);
            Ok(match said {
                Some(said) => outputs.warn(said),
                None => outputs,
            })
        });
        let plan = plan.rows("spectra", made).whole("binding_energy", BindingEnergy::KIND);
        Ok(match other {
            Some(modality) => plan.warn(Diagnostic::warning(
                Code::Assumed,
                format!("the file says {modality}; it is treated as photoelectron spectra"),
            )),
            None => plan,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kalpha_core::{Buffer, DenseRows, DenseValues, Metadata, NoiseModel, Serial};

    const PHOTON: f64 = 1486.69;

    /// One spectrum with a peak at binding energy `at`, over kinetic energy.
    fn spectrum(at: f64, n: usize) -> Rows {
        let kinetic = Axis::linear("Kinetic energy", Unit::Ev, 1190.0, 0.1, n).unwrap();
        let y: Vec<f64> = kinetic
            .to_vec()
            .iter()
            .map(|k| (100.0 + 900.0 * (-0.5 * ((PHOTON - k - at) / 0.6).powi(2)).exp()).round())
            .collect();
        let meta = RowsMeta {
            rows: 1,
            channels: n,
            dtype: DType::F64,
            navigation: Vec::new(),
            signal: kinetic,
            noise: NoiseModel::Poisson { gain: 1.0 },
        };
        Arc::new(DenseRows::new(meta, DenseValues::F64(Buffer::from(y))).unwrap())
    }

    fn run(
        rows: &Rows,
        params: BindingEnergyParams,
    ) -> Result<(Outputs, BindingEnergy), StepError> {
        let mut input = InputMeta::default();
        input.ports.insert("spectra".into(), kalpha_core::PortMeta::Rows(rows.meta().clone()));
        input.metadata = Metadata { beam_energy_kev: Some(1e-3 * PHOTON), ..Metadata::default() };
        let plan = BindingEnergyStep::plan(params, &input)?;
        let mut inputs = Inputs::default();
        inputs.bind("spectra", kalpha_core::Artefact::Rows(Rows::clone(rows)));
        let outputs = (plan.run)(&inputs, &Serial::default())?;
        let found: &BindingEnergy = outputs.artefacts["binding_energy"].get().unwrap();
        let found = found.clone();
        Ok((outputs, found))
    }

    #[test]
    fn a_reference_line_puts_the_axis_right() {
        let rows = spectrum(286.13, 200);
        let carbon = BindingEnergyParams {
            reference: Some(Reference::Carbon),
            ..BindingEnergyParams::default()
        };
        let (outputs, found) = run(&rows, carbon).unwrap();
        assert!((found.shift - 1.33).abs() < 0.01, "{found:?}");
        assert!(found.shift_sigma.unwrap() >= 0.2);
        let kalpha_core::Artefact::Rows(turned) = &outputs.artefacts["spectra"] else { panic!() };
        let axis = turned.meta().signal.to_vec();
        assert!(axis.windows(2).all(|w| w[1] > w[0]));
        let y = reference::mean(turned, &Serial::default()).unwrap();
        let top = (0..200).max_by(|a, b| y[*a].total_cmp(&y[*b])).unwrap();
        assert!((axis[top] - 284.8).abs() < 0.06, "{}", axis[top]);
        assert_eq!(turned.meta().noise, NoiseModel::Poisson { gain: 1.0 });
    }

    #[test]
    fn nothing_is_shifted_silently() {
        let (outputs, found) = run(&spectrum(286.13, 200), BindingEnergyParams::default()).unwrap();
        assert_eq!((found.shift, found.reference), (0.0, None));
        assert!(outputs.diagnostics[0].message.contains("286.13"), "{:?}", outputs.diagnostics);
        let (outputs, _) = run(&spectrum(284.9, 200), BindingEnergyParams::default()).unwrap();
        assert!(outputs.diagnostics.is_empty());
        let gold = BindingEnergyParams {
            reference: Some(Reference::Gold),
            ..BindingEnergyParams::default()
        };
        let (outputs, found) = run(&spectrum(286.13, 200), gold).unwrap();
        assert_eq!(found.shift, 0.0);
        assert_eq!(outputs.diagnostics[0].code, Code::CalibrationRefused);
    }

    #[test]
    fn wrong_parameters_are_named() {
        let rows = spectrum(286.0, 50);
        for params in [
            BindingEnergyParams { photon_energy: Some(-1.0), ..Default::default() },
            BindingEnergyParams { search: 0.0, ..Default::default() },
            BindingEnergyParams { shift: Some(f64::NAN), ..Default::default() },
            BindingEnergyParams {
                shift: Some(1.0),
                reference: Some(Reference::Carbon),
                ..Default::default()
            },
        ] {
            assert!(matches!(run(&rows, params), Err(StepError::Parameter { .. })));
        }
    }
}
