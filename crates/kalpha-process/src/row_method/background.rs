//! Steps that find a background and take it off.

use super::{FLAGS, RowFlags, RowMethod, RowTable, TABLE, TREATMENT_INPUTS, Treat, report, treat};
use kalpha_core::{
    ArtefactType, Axis, Cell, Difference, InputMeta, Inputs, Map, Mapped, NoiseModel, Outputs,
    Passes, Plan, Port, Rows, RowsMeta, Step, StepError,
};
use std::{marker::PhantomData, sync::Arc};

const BACKGROUND: Port = Port::rows("background", "the background");
const SIGMA: Port = Port::rows("background_sigma", "standard deviation of the background");
const SPECTRA: Port = Port::rows("spectra", "spectra less the background");
const SURE: &[Port] = &[BACKGROUND, SPECTRA, FLAGS, TABLE];
const UNSURE: &[Port] = &[BACKGROUND, SIGMA, SPECTRA, FLAGS, TABLE];

/// Step that finds the background `T` describes, and takes it off `spectra`.
///
/// [`Treat::noise`] is that of the background; spectra less a background keep the noise they
/// had, except that counts are counts no more. With [`Treat::UNCERTAIN`] the standard deviation
/// of the background comes out as well; what it adds to the spectra is the same error for
/// neighbouring channels, and is no part of their noise model.
pub struct Background<T>(PhantomData<fn() -> T>);

impl<T: Treat> Step for Background<T> {
    type Params = T;
    const ID: &'static str = T::ID;
    const REVISION: u32 = T::REVISION;
    const ABOUT: &'static str = T::ABOUT;
    const INPUTS: &'static [Port] = TREATMENT_INPUTS;
    const OUTPUTS: &'static [Port] = if T::UNCERTAIN { UNSURE } else { SURE };

    fn plan(params: T, inputs: &InputMeta) -> Result<Plan, StepError> {
        let meta = inputs.rows("spectra")?;
        params.check(meta, &inputs.metadata)?;
        let background = RowsMeta {
            dtype: kalpha_core::DType::F64,
            noise: params.noise(&meta.noise),
            ..meta.clone()
        };
        let corrected = RowsMeta { noise: less(&meta.noise), ..background.clone() };
        let (noise, metadata) = (background.noise.clone(), inputs.metadata.clone());
        let sigma = RowsMeta { noise: NoiseModel::Unknown, ..background.clone() };
        let run = move |inputs: &Inputs, passes: &dyn Passes| {
            let rows = inputs.rows("spectra")?;
            let signal = rows.meta().signal.clone();
            let method = params.method(rows, &metadata, passes)?;
            let columns = method.columns();
            let wide = if T::UNCERTAIN { Axis::index("both", 2 * signal.len()) } else { signal };
            let treated = treat(method, rows, wide, noise.clone(), passes)?;
            let half = |first: bool, noise: NoiseModel| -> Rows {
                let map = Half { first };
                let signal = rows.meta().signal.clone();
                Arc::new(Mapped::new(Rows::clone(&treated.rows), map, signal, noise))
            };
            let background = match T::UNCERTAIN {
                true => half(true, noise),
                false => Rows::clone(&treated.rows),
            };
            let corrected = {
                let noise = less(&rows.meta().noise);
                Difference::new(Rows::clone(rows), Rows::clone(&background), noise)?
            };
            let mut outputs =
                Outputs::new().rows("background", background).rows("spectra", Arc::new(corrected));
            if T::UNCERTAIN {
                outputs = outputs.rows("background_sigma", half(false, NoiseModel::Unknown));
            }
            report(T::ID, inputs, &columns, &treated, outputs)
        };
        let plan = Plan::new(run).rows("background", background).rows("spectra", corrected);
        let plan = if T::UNCERTAIN { plan.rows("background_sigma", sigma) } else { plan };
        Ok(plan.whole("row_flags", RowFlags::KIND).whole("row_table", RowTable::KIND))
    }
}

/// The first or the second half of the channels.
struct Half {
    first: bool,
}

impl Map for Half {
    type Scratch = Vec<f64>;

    fn apply(&self, cell: &Cell<'_>, out: &mut [f64], scratch: &mut Vec<f64>) {
        let half = cell.channels / 2;
        if half == 0 {
            return;
        }
        cell.to_f64(scratch);
        let skip = if self.first { 0 } else { half };
        for (out, row) in out.chunks_exact_mut(half).zip(scratch.chunks_exact(cell.channels)) {
            out.copy_from_slice(&row[skip..skip + half]);
        }
    }
}

/// Noise of `spectra - background`: the background is taken as known.
fn less(noise: &NoiseModel) -> NoiseModel {
    match noise {
        NoiseModel::Poisson { .. } | NoiseModel::PoissonGaussian { .. } => NoiseModel::Unknown,
        other => other.clone(),
    }
}
