//! Step `eds.phase_fit`: the family fit of the summed counts of each phase.

use kalpha_core::{ArtefactType, InputMeta, Inputs, Outputs, Passes, Plan, Port, Step, StepError};
use kalpha_decompose::phases::Phases;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SumFit, fit_all_backgrounds_on};
use crate::eds::FitError;
use crate::eds::identify::Identification;
use kalpha_core::Cancelled;
use kalpha_physics::profile::Response;

/// Fits of the summed spectra of phases.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PhaseFits {
    /// One per phase, by label; `None` where a phase holds too few counts for a fit.
    pub fits: Vec<Option<SumFit>>,
}

impl ArtefactType for PhaseFits {
    const KIND: &'static str = "phase_fits";
}

/// Step `eds.phase_fit`.
pub struct PhaseFitStep;

/// Parameters of `eds.phase_fit`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PhaseFitParams {
    /// Fewest counts of a phase that are fitted.
    pub min_counts: f64,
}

impl Default for PhaseFitParams {
    fn default() -> Self {
        Self { min_counts: 500.0 }
    }
}

impl Step for PhaseFitStep {
    type Params = PhaseFitParams;
    const ID: &'static str = "eds.phase_fit";
    const REVISION: u32 = 2;
    const ABOUT: &'static str = "Line intensities of each phase, from its summed counts";
    const INPUTS: &'static [Port] = &[
        Port::whole("phases", Phases::KIND, "phases with their summed spectra"),
        Port::whole("identification", Identification::KIND, "which families there are"),
    ];
    const OUTPUTS: &'static [Port] =
        &[Port::whole("phase_fits", PhaseFits::KIND, "one family fit per phase")];

    fn plan(params: PhaseFitParams, _: &InputMeta) -> Result<Plan, StepError> {
        Ok(Plan::new(move |inputs: &Inputs, passes: &dyn Passes| {
            let phases = inputs.whole::<Phases>("phases")?;
            let id = inputs.whole::<Identification>("identification")?;
            let mut fits = Vec::with_capacity(phases.phases.len());
            let response = Response::new(&id.energies, &id.options.shape);
            for phase in &phases.phases {
                passes.ctx().checkpoint()?;
                let enough = phase.sum.iter().sum::<f64>() >= params.min_counts;
                let fit = || {
                    let (families, options) = (&id.families, &id.options);
                    fit_all_backgrounds_on(passes, &response, &phase.sum, families, options)
                };
                fits.push(match enough.then(fit) {
                    Some(Err(FitError::Cancelled)) => return Err(Cancelled.into()),
                    Some(fit) => fit.ok(),
                    None => None,
                });
            }
            Ok(Outputs::new().whole("phase_fits", PhaseFits { fits }))
        })
        .whole("phase_fits", PhaseFits::KIND))
    }
}
