//! Step `eds.family_fit`.

use crate::eds::families::{MapEstimator, SumFit};
use crate::eds::identify::Identification;
use kalpha_core::{
    ArtefactType, Axis, Cell, InputMeta, Inputs, Map, Mapped, NoiseModel, Outputs, Passes, Plan,
    Port, Rows, RowsMeta, Step, StepError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The family fit of the whole map, and the estimator that makes the element maps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LineFits {
    /// Channel energies on the corrected scale, keV.
    pub energies: Vec<f64>,
    /// The fit of the sum spectrum on every background model.
    pub whole: SumFit,
    /// Families of the maps, such as `Fe_K`, in the order of their columns.
    pub map_families: Vec<String>,
}

impl ArtefactType for LineFits {
    const KIND: &'static str = "line_fits";
}

/// Counts of each family in each pixel: signed, unbiased, never NaN.
struct FamilyMaps {
    estimator: MapEstimator,
    variances: bool,
}

impl Map for FamilyMaps {
    type Scratch = Vec<f64>;

    fn apply(&self, cell: &Cell<'_>, out: &mut [f64], other: &mut Vec<f64>) {
        let n = self.estimator.families.len();
        other.clear();
        other.resize(out.len(), 0.0);
        let (estimates, variances) =
            if self.variances { (&mut other[..], out) } else { (out, &mut other[..]) };
        cell.for_each_nonzero(|row, channel, count| {
            let at = row * n..(row + 1) * n;
            let (e, v) = (&mut estimates[at.clone()], &mut variances[at]);
            self.estimator.add(channel, count, e, v);
        });
    }
}

/// Linear fit of line families on a background: sum spectrum and maps.
pub struct FamilyFitStep;

/// Parameters of `eds.family_fit`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FamilyFitParams {
    /// Make a map of each family.
    pub maps: bool,
}

impl Default for FamilyFitParams {
    fn default() -> Self {
        Self { maps: true }
    }
}

/// Maps have one column per family; how many is known after identification only.
fn maps_meta(rows: &RowsMeta, families: usize, noise: NoiseModel) -> RowsMeta {
    RowsMeta {
        channels: families,
        dtype: kalpha_core::DType::F64,
        signal: Axis::index("family", families),
        noise,
        ..rows.clone()
    }
}

impl Step for FamilyFitStep {
    type Params = FamilyFitParams;
    const ID: &'static str = "eds.family_fit";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Linear fit of line families on a background, for sum and pixels";
    const INPUTS: &'static [Port] = &[
        Port::rows("spectra", "counts without the strobe channels"),
        Port::whole("lines", Identification::KIND, "families, energy scale and peak shape"),
    ];
    const OUTPUTS: &'static [Port] = &[
        Port::whole("fit", LineFits::KIND, "intensities with covariance, limits and curves"),
        Port::rows("line_maps", "signed counts of each family in each pixel"),
        Port::rows("line_variances", "their variances"),
    ];

    fn plan(params: FamilyFitParams, inputs: &InputMeta) -> Result<Plan, StepError> {
        let meta = inputs.counts("spectra")?.clone();
        let planned = meta.clone();
        let noise = || NoiseModel::Variance("line_variances".into());
        let run = move |inputs: &Inputs, _: &dyn Passes| {
            let rows = inputs.rows("spectra")?;
            let lines = inputs.whole::<Identification>("lines")?;
            let mut fits = LineFits {
                energies: lines.energies.clone(),
                whole: lines.fit.clone(),
                map_families: Vec::new(),
            };
            let mut outputs = Outputs::new();
            if let (true, Some(fit)) = (params.maps, lines.fit.default_fit()) {
                let estimator = MapEstimator::new(fit, meta.channels).map_err(StepError::method)?;
                fits.map_families = estimator.families.clone();
                for (port, variances) in [("line_maps", false), ("line_variances", true)] {
                    let map = FamilyMaps { estimator: estimator.clone(), variances };
                    let axis = Axis::index("family", fits.map_families.len());
                    let noise = if variances { NoiseModel::Unknown } else { noise() };
                    let mapped = Mapped::new(Rows::clone(rows), map, axis, noise);
                    outputs = outputs.rows(port, Arc::new(mapped));
                }
            }
            Ok(outputs.whole("fit", fits))
        };
        let mut plan = Plan::new(run).whole("fit", LineFits::KIND);
        if params.maps {
            plan = plan
                .rows("line_maps", maps_meta(&planned, 0, noise()))
                .rows("line_variances", maps_meta(&planned, 0, NoiseModel::Unknown));
        }
        Ok(plan)
    }
}
