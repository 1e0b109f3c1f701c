//! The registered step `rare`.

use super::PileUp;
use super::{Flags, Params, ScanFamily, diagnostics, guard};
use crate::nmf_kl::EndMembers;
use crate::nmf_kl::step::read_rows;
use kalpha_core::{
    ArtefactType, Axis, Buffer, DType, DenseRows, DenseValues, InputMeta, NoiseModel, Outputs,
    Plan, Port, RowsMeta, Step, StepError,
};
use kalpha_physics::detector::Detector;
use kalpha_physics::lines::excitable_families;
use kalpha_physics::pileup::SumPileUp;
use kalpha_physics::profile::{PeakShape, family_profile};
use kalpha_process::calibrate::energy::EnergyScale;
use std::sync::Arc;

/// The rare-phase guard.
pub struct RareStep;

/// Lines below this energy in keV are not scanned: noise and absorption rule there.
const LOWEST_LINE: f64 = 0.2;

/// Every family the beam excites on this axis, with its profile.
///
/// `energies`: channel centres in keV; `resolution_ev`: FWHM at Mn K-alpha; `identified`:
/// elements that are in the map beyond doubt.
///
/// # Errors
/// When the beam energy is not positive or a table lacks an element.
pub fn scan_families(
    energies: &[f64],
    beam_energy: f64,
    resolution_ev: f64,
    identified: &[String],
) -> Result<Vec<ScanFamily>, StepError> {
    let high = energies.last().copied().unwrap_or(0.0).min(beam_energy);
    let low = energies.first().copied().unwrap_or(0.0).max(LOWEST_LINE);
    let families = excitable_families(beam_energy, low, high).map_err(StepError::method)?;
    let (shape, detector) = (PeakShape::gaussian(resolution_ev), Detector::polymer_window());
    families
        .iter()
        .map(|family| {
            let profile = family_profile(energies, family, &shape, &detector, false)
                .map_err(StepError::method)?;
            let known = identified.contains(&family.symbol);
            Ok(ScanFamily { symbol: family.symbol.clone(), family: family.name(), profile, known })
        })
        .collect()
}

/// Lines and columns of a map; a series is one line.
fn grid_of(meta: &RowsMeta) -> [usize; 2] {
    let columns = meta.navigation.last().map_or(1, Axis::len).max(1);
    [meta.rows / columns, columns]
}

impl Step for RareStep {
    type Params = Params;
    const ID: &'static str = "rare";
    const REVISION: u32 = 4;
    const ABOUT: &'static str = "Rare-phase guard: what the end-members leave unexplained";
    const INPUTS: &'static [Port] = &[
        Port::rows("spectra", "raw counts"),
        Port::whole("end_members", EndMembers::KIND, "the fit that is the null"),
        Port::rows("abundances", "its abundances, to start from").optional(),
        Port::whole("energy_scale", EnergyScale::KIND, "calibrated energies, elements found")
            .optional(),
        Port::whole("pile_up", SumPileUp::KIND, "pile-up of the sum spectrum").optional(),
    ];
    const OUTPUTS: &'static [Port] = &[
        Port::whole("flags", Flags::KIND, "flagged places, inflation, calibration"),
        Port::rows("deviance", "Poisson deviance of each row under the null"),
    ];

    fn plan(params: Params, inputs: &InputMeta) -> Result<Plan, StepError> {
        let meta = inputs.counts("spectra")?.clone();
        let energies = meta.signal.energies_kev()?;
        let beam = inputs.metadata.need_beam_energy_kev(Self::ID)?;
        let resolution = inputs.metadata.energy_resolution_mn_ka_ev.unwrap_or(130.0);
        let out = RowsMeta {
            channels: 1,
            dtype: DType::F64,
            signal: Axis::index("deviance", 1),
            noise: NoiseModel::Correlated,
            ..meta.clone()
        };
        let declared = out.clone();
        let plan = Plan::new(move |inputs, passes| {
            let rows = inputs.rows("spectra")?;
            let model: &EndMembers = inputs.whole("end_members")?;
            let scale = inputs.optional::<EnergyScale>("energy_scale")?;
            let families = match scale {
                Some(scale) => {
                    scan_families(&scale.energies, beam, scale.resolution_mn_ka_ev, &scale.elements)
                }
                None => scan_families(&energies, beam, resolution, &[]),
            }?;
            let energies = scale.map_or(&energies, |scale| &scale.energies);
            let pile_up =
                inputs.optional::<SumPileUp>("pile_up")?.map(|of_sum| PileUp { energies, of_sum });
            let (spectra, k) = (&model.spectra, model.components);
            let near = match inputs.rows("abundances") {
                Ok(near) if near.meta().channels == k => read_rows(passes, near)?,
                _ => Vec::new(),
            };
            let grid = grid_of(&meta);
            let found = {
                let fit = (&spectra[..], &near[..]);
                guard(passes, rows, grid, fit, k, &families, pile_up, &params)?
            };
            let values = DenseValues::F64(Buffer::from(found.deviance));
            let mut outputs =
                Outputs::new().rows("deviance", Arc::new(DenseRows::new(out, values)?));
            outputs.diagnostics = diagnostics(&found.flags);
            Ok(outputs.whole("flags", found.flags))
        });
        Ok(plan.whole("flags", Flags::KIND).rows("deviance", declared))
    }
}
