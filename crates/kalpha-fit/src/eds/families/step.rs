//! Step `eds.family_fit`.

use std::sync::Arc;

use kalpha_core::{
    ArtefactType, Axis, Code, DType, Diagnostic, InputMeta, Inputs, Mapped, NoiseModel, Outputs,
    Passes, Plan, Port, Rows, RowsMeta, Step, StepError,
};
use kalpha_physics::pileup::SumPileUp;
use kalpha_process::totals::Totals;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FitOptions, MapEstimator, MapVariance, SumFit, fit_all_backgrounds_on};
use crate::eds::identify::Identification;
use kalpha_physics::profile::Response;

/// Result of `eds.family_fit`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lines {
    /// Fits of the sum spectrum and the estimates with their budgets.
    pub sum: SumFit,
    /// The linear estimator that the maps are made with.
    pub estimator: MapEstimator,
}

impl ArtefactType for Lines {
    const KIND: &'static str = "lines";
}

/// Step `eds.family_fit`.
pub struct FamilyFitStep;

/// Parameters of `eds.family_fit`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FamilyFitParams {
    /// Model the pile-up of two photons.
    pub pileup: bool,
    /// Model silicon escape peaks.
    pub escape: bool,
}

impl Default for FamilyFitParams {
    fn default() -> Self {
        Self { pileup: true, escape: true }
    }
}

impl Step for FamilyFitStep {
    type Params = FamilyFitParams;
    const ID: &'static str = "eds.family_fit";
    const REVISION: u32 = 2;
    const ABOUT: &'static str = "Line intensities by a linear fit of whole line families";
    const INPUTS: &'static [Port] = &[
        Port::rows("spectra", "counts without the strobe peak"),
        Port::whole("totals", Totals::KIND, "their sum spectrum"),
        Port::whole("identification", Identification::KIND, "which families there are"),
    ];
    const OUTPUTS: &'static [Port] = &[
        Port::whole("lines", Lines::KIND, "intensities of the sum with budgets, detection limits"),
        Port::whole("pile_up", SumPileUp::KIND, "pile-up of the sum spectrum"),
        Port::rows("line_maps", "signed counts of each family in each row"),
        Port::rows("line_variances", "their Poisson variances"),
    ];

    fn plan(params: FamilyFitParams, inputs: &InputMeta) -> Result<Plan, StepError> {
        let meta = inputs.counts("spectra")?.clone();
        meta.signal.energies_kev()?;
        // The number of families is known only after identification: the axis is a placeholder.
        let planned = maps_meta(&meta, 0);
        Ok(Plan::new(move |inputs: &Inputs, passes: &dyn Passes| {
            let spectra = inputs.rows("spectra")?;
            let totals = inputs.whole::<Totals>("totals")?;
            let id = inputs.whole::<Identification>("identification")?;
            let mut options = id.options.clone();
            options.pileup = params.pileup;
            options.escape = params.escape;
            let response = Response::new(&id.energies, &options.shape);
            let (counts, families) = (&totals.sum, &id.families);
            let sum = fit_all_backgrounds_on(passes, &response, counts, families, &options)?;
            let estimator = MapEstimator::new(&sum.fits[0], totals.sum.len())?;
            let signal = maps_meta(spectra.meta(), estimator.families.len()).signal;
            let mut outputs = Outputs::new();
            for model in sum.refuted() {
                outputs = outputs.warn(Diagnostic::note(
                    Code::NotIdentifiable,
                    format!(
                        "the data refute the {} background; it is left out of the spread",
                        model.name()
                    ),
                ));
            }
            let pile_up = pile_up_of(&sum, &options);
            let noise = NoiseModel::Correlated;
            let maps =
                Mapped::new(Rows::clone(spectra), estimator.clone(), signal.clone(), noise.clone());
            let variances = MapVariance(estimator.clone());
            let variances = Mapped::new(Rows::clone(spectra), variances, signal, noise);
            Ok(outputs
                .whole("lines", Lines { sum, estimator })
                .whole("pile_up", pile_up)
                .rows("line_maps", Arc::new(maps))
                .rows("line_variances", Arc::new(variances)))
        })
        .whole("lines", Lines::KIND)
        .whole("pile_up", SumPileUp::KIND)
        .rows("line_maps", planned.clone())
        .rows("line_variances", planned))
    }
}

/// Pile-up on the default background.
fn pile_up_of(sum: &SumFit, options: &FitOptions) -> SumPileUp {
    let fit = sum.default_fit();
    let found = fit.and_then(|fit| fit.pileup.map(|p| (fit, p)));
    SumPileUp {
        first_channel: fit.map_or(0, |fit| fit.curves.first_channel),
        counts: found.map_or(Vec::new(), |(fit, _)| fit.curves.pileup.clone()),
        relative_sigma: found.map_or(0.0, |(_, p)| p.sigma / p.scale),
        noise_squared: options.shape.resolution.noise_squared,
    }
}

fn maps_meta(meta: &RowsMeta, families: usize) -> RowsMeta {
    RowsMeta {
        channels: families,
        signal: Axis::index("family", families),
        noise: NoiseModel::Correlated,
        dtype: DType::F64,
        ..meta.clone()
    }
}
