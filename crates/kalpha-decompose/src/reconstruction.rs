//! Reconstruction that cannot erase a discovery.
//!
//! Rows are `sum_k w[r, k] h[k, c]` of the factorisation, except where the rare-phase guard
//! flagged them: a flagged row is fitted again with its own end-member beside the others, and
//! where it has none its raw counts are kept. No row that was flagged is ever smoothed by
//! end-members that do not know it.
//!
//! Rows are made when read; nothing is stored but abundances. Complexity: rows x channels x
//! components. Tested on a planted pixel and a planted grain.

use crate::nmf_kl::step::Copy;
use crate::nmf_kl::{self, EndMembers, Fixed};
use crate::rare::{Flags, PatchSpectrum};
use kalpha_core::{
    ArtefactType, Cell, CsrBuilder, DType, InputMeta, Map, Mapped, NoiseModel, Outputs, Passes,
    Plan, Port, RowSource, Rows, RowsMeta, Step, StepError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The denoised map `w h`, with what was flagged kept.
struct Reconstruction {
    /// components x channels
    spectra: Vec<f64>,
    components: usize,
    /// rows x components
    abundances: Vec<f64>,
    /// Own spectra.
    own: Vec<Vec<f64>>,
    /// What becomes of each flagged row.
    flagged: BTreeMap<usize, Kept>,
}

/// What becomes of a flagged row.
enum Kept {
    Raw,
    /// Number of the own spectrum and abundances of all end-members and of it.
    Own(usize, Vec<f64>),
}

impl Map for Reconstruction {
    type Scratch = ();

    fn apply(&self, cell: &Cell<'_>, out: &mut [f64], (): &mut ()) {
        let (k, channels) = (self.components, cell.channels);
        let is_raw = |r| matches!(self.flagged.get(&(cell.first_row + r)), Some(Kept::Raw));
        for (r, out) in out.chunks_exact_mut(channels).enumerate() {
            let row = cell.first_row + r;
            let w = match self.flagged.get(&row) {
                Some(Kept::Raw) => continue,
                Some(Kept::Own(which, w)) => {
                    let own = &self.own[*which];
                    out.iter_mut().zip(own).for_each(|(o, h)| *o += w[k] * h);
                    &w[..k]
                }
                None => &self.abundances[row * k..(row + 1) * k],
            };
            for (w, h) in w.iter().zip(self.spectra.chunks_exact(channels)) {
                out.iter_mut().zip(h).for_each(|(o, h)| *o += w * h);
            }
        }
        cell.for_each_nonzero(|r, c, x| {
            if is_raw(r) {
                out[r * channels + c] = x;
            }
        });
    }
}

/// Rows of the model, lazily, with own end-members or raw counts where the guard flagged.
///
/// `abundances`: rows x components.
///
/// # Errors
/// When rows cannot be read or the run is cancelled.
pub fn reconstruction(
    passes: &dyn Passes,
    counts: &Rows,
    end_members: &EndMembers,
    abundances: Vec<f64>,
    flags: &Flags,
) -> Result<Rows, StepError> {
    let (k, channels) = (end_members.components, end_members.channels);
    let mut flagged: BTreeMap<usize, Kept> =
        flags.flagged_rows().into_iter().map(|row| (row, Kept::Raw)).collect();
    let mut spectrum = PatchSpectrum::new(channels);
    for (which, own) in flags.own.iter().enumerate() {
        let mut csr = CsrBuilder::new(channels)?;
        for &row in &own.rows {
            for (c, x) in spectrum.gather(counts, std::iter::once(row..row + 1))? {
                csr.push(c, x);
            }
            csr.end_row();
        }
        let csr = csr.finish();
        let meta = RowsMeta { rows: csr.rows(), dtype: DType::Csr, ..counts.meta().clone() };
        let rows: Rows = Arc::new((meta, csr));
        let spectra = [end_members.spectra.as_slice(), own.spectrum.as_slice()].concat();
        let w = nmf_kl::refit(passes, &rows, &spectra, k + 1, Fixed::default())?;
        for (&row, w) in own.rows.iter().zip(w.chunks_exact(k + 1)) {
            flagged.insert(row, Kept::Own(which, w.to_vec()));
        }
    }
    let map = Reconstruction {
        spectra: end_members.spectra.clone(),
        components: k,
        abundances,
        own: flags.own.iter().map(|own| own.spectrum.clone()).collect(),
        flagged,
    };
    let signal = counts.meta().signal.clone();
    let mapped = Mapped::new(Arc::clone(counts), map, signal, NoiseModel::Correlated);
    let rows: Arc<dyn RowSource> = Arc::new(mapped);
    Ok(rows)
}

/// Parameters of `reconstruction`: none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {}

/// Step `reconstruction`.
pub struct ReconstructionStep;

impl Step for ReconstructionStep {
    type Params = Params;
    const ID: &'static str = "reconstruction";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "The map from its end-members, with what was flagged kept";
    const INPUTS: &'static [Port] = &[
        Port::rows("spectra", "raw counts"),
        Port::whole("end_members", EndMembers::KIND, "non-negative spectra"),
        Port::rows("abundances", "counts of each end-member in each row"),
        Port::whole("flags", Flags::KIND, "flagged places with their own end-members"),
    ];
    const OUTPUTS: &'static [Port] = &[Port::rows(
        "reconstruction",
        "model of each row; flagged rows with their own end-member, or as raw counts",
    )];

    fn plan(Params {}: Params, inputs: &InputMeta) -> Result<Plan, StepError> {
        let meta = inputs.counts("spectra")?.clone();
        let planned = RowsMeta { dtype: DType::F64, noise: NoiseModel::Correlated, ..meta };
        let plan = Plan::new(move |inputs, passes| {
            let counts = inputs.rows("spectra")?;
            let model = inputs.whole::<EndMembers>("end_members")?;
            let abundances = passes.map(&Copy, inputs.rows("abundances")?, model.components)?;
            let flags = inputs.whole::<Flags>("flags")?;
            let rows = reconstruction(passes, counts, model, abundances, flags)?;
            Ok(Outputs::new().rows("reconstruction", rows))
        });
        Ok(plan.rows("reconstruction", planned))
    }
}
