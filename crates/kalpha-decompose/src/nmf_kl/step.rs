//! The registered step `nmf`.

use super::{EndMembers, Fixed, Params, check_components, diagnostics, nmf_kl};
use kalpha_core::{
    ArtefactType, Axis, Buffer, DType, DenseRows, DenseValues, InputMeta, NoiseModel, Outputs,
    Plan, Port, RowsMeta, Step, StepError,
};
use std::sync::Arc;

/// Poisson NMF: counts to end-members and abundances.
pub struct Nmf;

const INPUTS: &[Port] = &[Port::rows("counts", "raw counts, strobe peak excluded")];
const OUTPUTS: &[Port] = &[
    Port::whole("end_members", EndMembers::KIND, "non-negative spectra, each summing to 1"),
    Port::rows("abundances", "counts of each end-member in each row"),
];

/// Abundances as rows on the navigation grid of `counts`.
pub(crate) fn abundance_meta(counts: &RowsMeta, components: usize) -> RowsMeta {
    RowsMeta {
        channels: components,
        dtype: DType::F64,
        signal: Axis::index("end-member", components),
        noise: NoiseModel::Correlated,
        ..counts.clone()
    }
}

impl Step for Nmf {
    type Params = Params;
    const ID: &'static str = "nmf";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Poisson (KL) non-negative factorisation into end-members";
    const INPUTS: &'static [Port] = INPUTS;
    const OUTPUTS: &'static [Port] = OUTPUTS;

    fn plan(params: Params, inputs: &InputMeta) -> Result<Plan, StepError> {
        let meta = inputs.counts("counts")?.clone();
        check_components(params.components)?;
        if !(params.tolerance > 0.0 && params.tolerance < 1.0) {
            return Err(StepError::Parameter {
                parameter: "tolerance",
                got: params.tolerance.to_string(),
                expected: "a share of the deviance above 0 and below 1".to_owned(),
            });
        }
        let out = abundance_meta(&meta, params.components);
        let declared = out.clone();
        let plan = Plan::new(move |inputs, passes| {
            let rows = inputs.rows("counts")?;
            let factors = nmf_kl(passes, rows, params.components, &params, Fixed::default())?;
            let values = DenseValues::F64(Buffer::from(factors.abundances));
            let mut outputs =
                Outputs::new().rows("abundances", Arc::new(DenseRows::new(out, values)?));
            outputs.diagnostics = diagnostics(&factors.end_members);
            Ok(outputs.whole("end_members", factors.end_members))
        });
        Ok(plan.whole("end_members", EndMembers::KIND).rows("abundances", declared))
    }
}
