//! Step `eds.identify`.

use super::{check_elements, take_off_angle};
use crate::eds::identify::{Identification, IdentifyOptions, identify};
use kalpha_core::{
    ArtefactType, Code, Diagnostic, InputMeta, Inputs, Outputs, Passes, Plan, Port, Step, StepError,
};
use kalpha_physics::specimen;
use kalpha_process::totals::Totals;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

impl ArtefactType for Identification {
    const KIND: &'static str = "lines";
}

/// Elements from the sum and maximum-pixel spectra, with the energy scale they imply.
pub struct IdentifyStep;

/// Parameters of `eds.identify`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IdentifyParams {
    /// Elements to quantify; empty takes all of the specimen. Everything detected is fitted.
    pub elements: Vec<String>,
    /// Smallest significance of a detection, systematics included.
    pub threshold: f64,
    /// Calibrate energy scale and resolution on the lines found.
    pub calibrate: bool,
}

impl Default for IdentifyParams {
    fn default() -> Self {
        Self { elements: Vec::new(), threshold: 4.0, calibrate: true }
    }
}

impl Step for IdentifyStep {
    type Params = IdentifyParams;
    const ID: &'static str = "eds.identify";
    const REVISION: u32 = 1;
    const ABOUT: &'static str =
        "Elements by competing line families, with energy calibration, pile-up and escape";
    const INPUTS: &'static [Port] = &[
        Port::rows("spectra", "counts without the strobe channels"),
        Port::whole("totals", Totals::KIND, "their sum and maximum-pixel spectra"),
    ];
    const OUTPUTS: &'static [Port] = &[Port::whole(
        "lines",
        Identification::KIND,
        "detected elements, line families, energy scale, and what was rejected",
    )];

    fn plan(params: IdentifyParams, inputs: &InputMeta) -> Result<Plan, StepError> {
        let energies = inputs.counts("spectra")?.signal.energies_kev()?;
        check_elements(&params.elements)?;
        if !(params.threshold > 0.0 && params.threshold.is_finite()) {
            return Err(StepError::Parameter {
                parameter: "threshold",
                got: params.threshold.to_string(),
                expected: "a positive number of standard deviations".into(),
            });
        }
        let metadata = &inputs.metadata;
        let mut listed = params.elements.clone();
        listed.extend(metadata.listed_elements.iter().cloned());
        let options = IdentifyOptions {
            take_off_angle: take_off_angle(metadata),
            resolution_mn_ka: metadata.energy_resolution_mn_ka_ev,
            threshold: params.threshold,
            calibrate: params.calibrate,
            listed,
            ..IdentifyOptions::new(
                metadata.need_beam_energy_kev(Self::ID)?,
                specimen::decide(metadata).is_thin(),
            )
        };
        let run = move |inputs: &Inputs, _: &dyn Passes| {
            let totals = inputs.whole::<Totals>("totals")?;
            let max_pixel: &[f64] = if totals.rows > 1 { &totals.max_pixel } else { &[] };
            let lines =
                identify(&energies, &totals.sum, max_pixel, &options).map_err(StepError::method)?;
            let said = diagnostics(&lines);
            Ok(said.into_iter().fold(Outputs::new(), Outputs::warn).whole("lines", lines))
        };
        Ok(Plan::new(run).whole("lines", Identification::KIND))
    }
}

fn diagnostics(lines: &Identification) -> Vec<Diagnostic> {
    let mut said = Vec::new();
    if let Some(reason) = &lines.calibration_refused {
        said.push(
            Diagnostic::warning(
                Code::CalibrationRefused,
                format!("the energy scale of the file stands: {reason}"),
            )
            .hint("check the residuals of the sum spectrum before trusting weak lines"),
        );
    }
    let refuted = lines.fit.refuted();
    if !refuted.is_empty() {
        let names: Vec<String> = refuted.iter().map(|m| m.to_string()).collect();
        said.push(Diagnostic::note(
            Code::Overlap,
            format!(
                "the data refute the background model {}: it has no part in the spread",
                names.join(", ")
            ),
        ));
    }
    said
}
