//! The registered step `nmf`.

use super::{EndMembers, Fixed, Params, check_components, diagnostics, nmf_kl};
use crate::rank::Rank;
use kalpha_core::{
    ArtefactType, Axis, Buffer, DType, DenseRows, DenseValues, InputMeta, NoiseModel, Outputs,
    Plan, Port, RowsMeta, Step, StepError,
};
use std::sync::Arc;

/// Poisson NMF: counts to end-members and abundances.
pub struct NmfStep;

/// Abundances as rows on the navigation grid of `counts`.
fn abundance_meta(counts: &RowsMeta, components: usize) -> RowsMeta {
    RowsMeta {
        channels: components,
        dtype: DType::F64,
        signal: Axis::index("end-member", components),
        noise: NoiseModel::Correlated,
        ..counts.clone()
    }
}

/// Copies rows as they are.
pub(crate) struct Copy;

impl kalpha_core::Map for Copy {
    type Scratch = ();

    fn apply(&self, cell: &kalpha_core::Cell<'_>, out: &mut [f64], (): &mut ()) {
        cell.for_each_nonzero(|r, c, x| out[r * cell.channels + c] = x);
    }
}

/// All values of small rows, such as abundances.
pub(crate) fn read_rows(
    passes: &dyn kalpha_core::Passes,
    rows: &kalpha_core::Rows,
) -> Result<Vec<f64>, StepError> {
    passes.map(&Copy, rows, rows.meta().channels)
}

impl Step for NmfStep {
    type Params = Params;
    const ID: &'static str = "nmf";
    const REVISION: u32 = 3;
    const ABOUT: &'static str = "Poisson (KL) non-negative factorisation into end-members";
    const INPUTS: &'static [Port] = &[
        Port::rows("spectra", "raw counts"),
        Port::whole("rank", Rank::KIND, "number of components, where none is given").optional(),
    ];
    const OUTPUTS: &'static [Port] = &[
        Port::whole("end_members", EndMembers::KIND, "non-negative spectra, each summing to 1"),
        Port::rows("abundances", "counts of each end-member in each row"),
    ];

    fn plan(params: Params, inputs: &InputMeta) -> Result<Plan, StepError> {
        let meta = inputs.counts("spectra")?.clone();
        if params.components > 0 || !inputs.ports.contains_key("rank") {
            check_components(params.components)?;
        }
        if !(params.tolerance > 0.0 && params.tolerance < 1.0) {
            return Err(StepError::Parameter {
                parameter: "tolerance",
                got: params.tolerance.to_string(),
                expected: "a share of the deviance above 0 and below 1".to_owned(),
            });
        }
        // Where the rank decides, the number of end-members is not known before the run.
        let declared = abundance_meta(&meta, params.components);
        let plan = Plan::new(move |inputs, passes| {
            let rows = inputs.rows("spectra")?;
            let components = match (params.components, inputs.optional::<Rank>("rank")?) {
                (0, Some(rank)) => rank.components.max(1),
                (given, _) => given,
            };
            let factors = nmf_kl(passes, rows, components, &params, Fixed::default())?;
            let values = DenseValues::F64(Buffer::from(factors.abundances));
            let abundances = DenseRows::new(abundance_meta(&meta, components), values)?;
            let mut outputs = Outputs::new().rows("abundances", Arc::new(abundances));
            outputs.diagnostics = diagnostics(&factors.end_members);
            Ok(outputs.whole("end_members", factors.end_members))
        });
        Ok(plan.whole("end_members", EndMembers::KIND).rows("abundances", declared))
    }
}
