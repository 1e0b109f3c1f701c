//! Steps `eds.calibrate` and `eds.identify`.

use kalpha_core::{
    ArtefactType, Code, Diagnostic, InputMeta, Inputs, Metadata, Outputs, Passes, Plan, Port, Step,
    StepError,
};
use kalpha_physics::detector::MN_KA;
use kalpha_physics::specimen::decide;
use kalpha_process::calibrate::energy::{EnergyCalibration, EnergyScale};
use kalpha_process::totals::Totals;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Identification, IdentifyOptions, Reason, calibrate_on_lines, identify};
use crate::eds::FitError;

/// Result of `eds.calibrate`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// The calibration; `None` when none is reliable.
    pub fitted: Option<EnergyCalibration>,
    /// Why there is none.
    pub refused: Option<String>,
    /// Channel energies in force, keV.
    pub energies: Vec<f64>,
}

impl ArtefactType for Calibration {
    const KIND: &'static str = "calibration";
}

impl ArtefactType for Identification {
    const KIND: &'static str = "identification";
}

/// Take-off angle in degrees: stated, or from elevation, azimuth and tilt.
pub fn take_off_angle(metadata: &Metadata) -> Option<f64> {
    let from_tilt = || {
        let (tilt, azimuth) = (metadata.tilt_stage?, metadata.azimuth_angle?);
        let elevation = metadata.elevation_angle?;
        Some(kalpha_physics::detector::take_off_angle(tilt, azimuth, elevation, 0.0))
    };
    let angle = metadata.take_off_angle.or_else(from_tilt).or(metadata.elevation_angle);
    angle.filter(|a| (1.0..=90.0).contains(a))
}

/// Options from what the file says; the flag tells whether thin or bulk had to be assumed.
fn options_from(
    metadata: &Metadata,
    needed_by: &str,
) -> Result<(IdentifyOptions, bool), StepError> {
    let beam_energy = metadata.need_beam_energy_kev(needed_by)?;
    let decision = decide(metadata);
    let (thin, assumed) = (decision.is_thin(), decision.specimen.is_none());
    let mut options = IdentifyOptions::new(beam_energy, thin);
    options.resolution_mn_ka =
        metadata.energy_resolution_mn_ka_ev.filter(|r| (100.0..300.0).contains(r));
    options.take_off_angle = take_off_angle(metadata).unwrap_or(options.take_off_angle);
    options.listed.clone_from(&metadata.listed_elements);
    Ok((options, assumed))
}

fn spectra_axis(inputs: &Inputs) -> Result<(Vec<f64>, &Totals), StepError> {
    let energies = inputs.rows("spectra")?.meta().signal.energies_kev()?;
    Ok((energies, inputs.whole::<Totals>("totals")?))
}

impl From<FitError> for StepError {
    fn from(error: FitError) -> Self {
        match error {
            FitError::Cancelled => kalpha_core::Cancelled.into(),
            error => Self::method(error),
        }
    }
}

/// Step `eds.calibrate`.
pub struct CalibrateStep;

/// Parameters of `eds.calibrate`: none.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CalibrateParams {}

impl Step for CalibrateStep {
    type Params = CalibrateParams;
    const ID: &'static str = "eds.calibrate";
    const REVISION: u32 = 3;
    const ABOUT: &'static str = "Energy scale, resolution and peak tail from the strong lines";
    const INPUTS: &'static [Port] = &[
        Port::rows("spectra", "counts without the strobe peak"),
        Port::whole("totals", Totals::KIND, "their sum spectrum"),
    ];
    const OUTPUTS: &'static [Port] =
        &[Port::whole("calibration", Calibration::KIND, "corrected scale, or why there is none")];

    fn plan(CalibrateParams {}: CalibrateParams, inputs: &InputMeta) -> Result<Plan, StepError> {
        inputs.counts("spectra")?.signal.energies_kev()?;
        let (options, _) = options_from(&inputs.metadata, Self::ID)?;
        Ok(Plan::new(move |inputs: &Inputs, _: &dyn Passes| {
            let (energies, totals) = spectra_axis(inputs)?;
            let result = calibrate_on_lines(&energies, &totals.sum, &options)?;
            Ok(match result {
                Ok(fitted) => {
                    let energies = fitted.correct(&energies);
                    let calibration = Calibration { fitted: Some(fitted), refused: None, energies };
                    Outputs::new().whole("calibration", calibration)
                }
                Err(reason) => {
                    let warning = Diagnostic::warning(
                        Code::CalibrationRefused,
                        format!("the energy scale of the file is kept: {reason}"),
                    );
                    let calibration = Calibration { fitted: None, refused: Some(reason), energies };
                    Outputs::new().whole("calibration", calibration).warn(warning)
                }
            })
        })
        .whole("calibration", Calibration::KIND))
    }
}

/// Step `eds.identify`.
pub struct IdentifyStep;

/// Parameters of `eds.identify`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IdentifyParams {
    /// Smallest significance of a detection, systematics included.
    pub threshold: f64,
    /// Refine energy scale and resolution on the lines found.
    pub calibrate: bool,
    /// Elements that belong to the specimen and whose absence is argued; the file's own list
    /// when empty. They are never taken as evidence.
    pub elements: Vec<String>,
}

impl Default for IdentifyParams {
    fn default() -> Self {
        Self { threshold: 4.0, calibrate: true, elements: Vec::new() }
    }
}

impl Step for IdentifyStep {
    type Params = IdentifyParams;
    const ID: &'static str = "eds.identify";
    const REVISION: u32 = 3;
    const ABOUT: &'static str =
        "Elements in the sum and maximum-pixel spectra, and what only looks like one";
    const INPUTS: &'static [Port] = &[
        Port::rows("spectra", "counts without the strobe peak"),
        Port::whole("totals", Totals::KIND, "their sum and maximum-pixel spectra"),
        Port::whole("calibration", Calibration::KIND, "energy scale").optional(),
    ];
    const OUTPUTS: &'static [Port] = &[
        Port::whole("identification", Identification::KIND, "elements, rejected candidates, fit"),
        Port::whole("energy_scale", EnergyScale::KIND, "channel energies and elements found"),
    ];

    fn plan(params: IdentifyParams, inputs: &InputMeta) -> Result<Plan, StepError> {
        if !(params.threshold > 0.0 && params.threshold.is_finite()) {
            return Err(StepError::Parameter {
                parameter: "threshold",
                got: params.threshold.to_string(),
                expected: "a positive number of standard deviations".into(),
            });
        }
        inputs.counts("spectra")?.signal.energies_kev()?;
        let (mut options, assumed) = options_from(&inputs.metadata, Self::ID)?;
        options.threshold = params.threshold;
        options.calibrate = params.calibrate;
        if !params.elements.is_empty() {
            options.listed.clear();
            for name in &params.elements {
                let element = kalpha_physics::elements::element(name).map_err(StepError::method)?;
                options.listed.push(element.symbol);
            }
        }
        let thin = options.thin;
        let plan = Plan::new(move |inputs: &Inputs, passes: &dyn Passes| {
            let (energies, totals) = spectra_axis(inputs)?;
            let mut options = options;
            if let Some(calibration) = inputs.optional::<Calibration>("calibration")? {
                options.calibration.clone_from(&calibration.fitted);
            }
            let max_pixel = if totals.rows > 1 { &totals.max_pixel[..] } else { &[] };
            let found = identify(passes, &energies, &totals.sum, max_pixel, &options)?;
            let mut outputs = Outputs::new();
            for r in found.rejected.iter().filter(|r| options.listed.contains(&r.symbol)) {
                outputs = outputs.warn(Diagnostic::note(
                    Code::VendorDisagrees,
                    format!("{} is listed and not found: {}", r.symbol, describe(&r.reason)),
                ));
            }
            let scale = EnergyScale {
                energies: found.energies.clone(),
                resolution_mn_ka_ev: 1000.0 * found.options.shape.resolution.fwhm(MN_KA),
                elements: found.elements.iter().map(|e| e.symbol.clone()).collect(),
            };
            Ok(outputs.whole("identification", found).whole("energy_scale", scale))
        })
        .whole("identification", Identification::KIND)
        .whole("energy_scale", EnergyScale::KIND);
        Ok(match assumed {
            true => plan.warn(
                Diagnostic::note(
                    Code::Assumed,
                    format!("specimen taken as {}", if thin { "thin" } else { "bulk" }),
                )
                .hint("--set specimen=thin or bulk"),
            ),
            false => plan,
        })
    }
}

fn describe(reason: &Reason) -> String {
    match reason {
        Reason::PileUp { lines } => {
            format!("at its line there is pile-up of {} and {}", lines[0], lines[1])
        }
        Reason::Escape { of } => format!("at its line there is the escape peak of {of}"),
        Reason::Overlap { with } => format!("{with} explains the counts at its line"),
        Reason::InnerFamilyMissing { family } => format!("{family} should be visible and is not"),
        Reason::Background => "the counts at its line are background".into(),
        Reason::NotSignificant => "its line does not stand out".into(),
    }
}
