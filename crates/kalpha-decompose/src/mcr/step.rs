//! Step `mcr_als`.

use super::{
    Constraints, Control, McrError, Resolved, Start, ambiguity, ambiguity::Bands, resolve,
};
use crate::simplisma::purest;
use kalpha_core::{
    ArtefactType, Axis, Buffer, CellBuffer, CellGrid, Code, DType, DenseRows, DenseValues,
    Diagnostic, InputMeta, Inputs, NoiseModel, Outputs, Passes, Plan, Port, Rows, RowsMeta, Step,
    StepError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Most values that are resolved in memory.
const MOST: usize = 1 << 27;

/// Where the alternation starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum McrStart {
    /// Concentrations that follow the purest channels.
    #[default]
    PurestChannels,
    /// The purest rows as spectra.
    PurestRows,
}

/// Parameters of `mcr_als`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct McrParams {
    /// Number of components. Must be given.
    pub components: usize,
    /// Where the alternation starts; the spectra of a second file (`start`) go before it.
    pub start: McrStart,
    /// Share of the largest mean that keeps channels (or rows) of noise from being purest.
    pub alpha: f64,
    /// No concentration is negative.
    pub non_negative_concentrations: bool,
    /// No spectrum is negative.
    pub non_negative_spectra: bool,
    /// Total of the concentrations of every row; open if absent.
    pub closure: Option<f64>,
    /// Components, from 0, whose concentrations have one maximum in each run.
    pub unimodal: Vec<usize>,
    /// Rows of each run, one after the other; one run if empty.
    pub runs: Vec<usize>,
    /// Iterations allowed.
    pub max_iter: usize,
    /// Relative fall of the sum of squares that counts as rest.
    pub tol: f64,
}

impl Default for McrParams {
    fn default() -> Self {
        let Control { max_iterations, tolerance } = Control::default();
        Self {
            components: 0,
            start: McrStart::PurestChannels,
            alpha: 0.05,
            non_negative_concentrations: true,
            non_negative_spectra: true,
            closure: None,
            unimodal: Vec::new(),
            runs: Vec::new(),
            max_iter: max_iterations,
            tol: tolerance,
        }
    }
}

/// What curve resolution has found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct McrSummary {
    /// Number of components.
    pub components: usize,
    /// Components x channels; of unit length unless closed or known.
    pub spectra: Vec<f64>,
    /// `100 |D - C S| / |D|`.
    pub lack_of_fit: f64,
    /// The same for the best matrix of this rank, without constraints.
    pub least_lack_of_fit: f64,
    /// Iterations done.
    pub iterations: usize,
    /// False where the limit was met first.
    pub converged: bool,
    /// For two components: least and greatest signal contribution of each among all solutions
    /// without negative values; none where the data do not allow any.
    pub contributions: Option<[[f64; 2]; 2]>,
}

impl ArtefactType for McrSummary {
    const KIND: &'static str = "mcr";
}

/// All values of `rows`.
fn values(rows: &Rows) -> Result<Vec<f64>, StepError> {
    let meta = rows.meta();
    let grid = CellGrid::new(meta.rows, meta.channels);
    let (mut buffer, mut cell, mut all) = (CellBuffer::default(), Vec::new(), Vec::new());
    for i in 0..grid.cells() {
        rows.cell(grid.rows(i), &mut buffer)?.to_f64(&mut cell);
        all.extend_from_slice(&cell);
    }
    Ok(all)
}

/// Ends an alternation.
enum Ended {
    Mcr(McrError),
    Step(StepError),
}

impl From<McrError> for Ended {
    fn from(error: McrError) -> Self {
        Self::Mcr(error)
    }
}

impl From<Ended> for StepError {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Mcr(error) => Self::method(error),
            Ended::Step(error) => error,
        }
    }
}

impl McrParams {
    fn constraints(&self, known: Vec<(usize, Vec<f64>)>) -> Constraints {
        Constraints {
            concentrations: self.non_negative_concentrations,
            spectra: self.non_negative_spectra,
            closure: self.closure,
            unimodal: self.unimodal.clone(),
            runs: self.runs.clone(),
            known,
            absent: Vec::new(),
        }
    }

    fn start(&self, data: &[f64], channels: usize) -> Result<Start, StepError> {
        let k = self.components;
        match self.start {
            McrStart::PurestChannels => {
                let found =
                    purest(data, channels, k, self.alpha).map_err(StepError::method)?.channels;
                let row = |row: &[f64]| found.iter().map(|c| row[*c]).collect::<Vec<_>>();
                Ok(Start::Concentrations(data.chunks_exact(channels).flat_map(row).collect()))
            }
            McrStart::PurestRows => {
                let rows = data.len() / channels;
                let turned: Vec<f64> = (0..channels)
                    .flat_map(|c| (0..rows).map(move |r| (r, c)))
                    .map(|(r, c)| data[r * channels + c])
                    .collect();
                let found = purest(&turned, rows, k, self.alpha).map_err(StepError::method)?;
                let row = |r: &usize| data[r * channels..(r + 1) * channels].to_vec();
                Ok(Start::Spectra(found.channels.iter().flat_map(row).collect()))
            }
        }
    }
}

/// Step `mcr_als`: spectra and concentrations of components, from mixtures.
pub struct McrStep;

const START: Port = Port::rows("start", "spectra to start from, one per component");
const KNOWN: Port = Port::rows("known", "known spectra, of the first components");

impl Step for McrStep {
    type Params = McrParams;
    const ID: &'static str = "mcr_als";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Curve resolution by alternating least squares";
    const INPUTS: &'static [Port] =
        &[Port::rows("spectra", "mixtures"), START.optional(), KNOWN.optional()];
    const OUTPUTS: &'static [Port] = &[
        Port::rows("concentrations", "concentrations of the components in each row"),
        Port::rows("component_spectra", "spectra of the components"),
        Port::whole("mcr", McrSummary::KIND, "lack of fit, convergence, what is not decided"),
    ];

    fn plan(params: McrParams, inputs: &InputMeta) -> Result<Plan, StepError> {
        let rows = inputs.rows("spectra")?.clone();
        let wrong = |parameter, got: String, expected: &str| {
            Err(StepError::Parameter { parameter, got, expected: expected.to_owned() })
        };
        let k = params.components;
        if k == 0 || k > rows.rows.min(rows.channels) || k > 20 {
            let most = "from 1 to the number of spectra and channels, 20 at most";
            return wrong("components", k.to_string(), most);
        }
        if !(params.tol > 0.0 && params.tol < 1.0) {
            return wrong("tol", params.tol.to_string(), "between 0 and 1");
        }
        if params.max_iter == 0 {
            return wrong("max_iter", "0".into(), "at least 1");
        }
        if rows.rows.saturating_mul(rows.channels) > MOST {
            return Err(StepError::TooLittle {
                what: format!("{} x {} values do not fit in memory", rows.rows, rows.channels),
                hint: "crop or bin the data first; mcr_als holds them as a whole".into(),
            });
        }
        for port in [START, KNOWN] {
            let Ok(given) = inputs.rows(port.name) else { continue };
            let fits = if port.name == START.name { given.rows == k } else { given.rows <= k };
            if given.channels != rows.channels || !fits {
                let expected = format!("{} channels, {k} rows", rows.channels);
                let got = format!("{} x {}", given.rows, given.channels);
                return Err(StepError::Parameter { parameter: port.name, got, expected });
            }
        }
        let meta = |rows: RowsMeta, n: usize, channels: usize, signal: Axis| RowsMeta {
            rows: n,
            channels,
            dtype: DType::F64,
            signal,
            noise: NoiseModel::Correlated,
            ..rows
        };
        let concentrations = meta(rows.clone(), rows.rows, k, Axis::index("component", k));
        let navigation = vec![Axis::index("component", k)];
        let spectra =
            RowsMeta { navigation, ..meta(rows.clone(), k, rows.channels, rows.signal.clone()) };
        let (made, shapes) = (concentrations.clone(), spectra.clone());
        let run = move |inputs: &Inputs, passes: &dyn Passes| {
            let data = values(inputs.rows("spectra")?)?;
            let channels = rows.channels;
            let known = match inputs.rows(KNOWN.name) {
                Ok(known) => {
                    let all = values(known)?;
                    all.chunks_exact(channels).map(<[f64]>::to_vec).enumerate().collect()
                }
                Err(_) => Vec::new(),
            };
            let start = match inputs.rows(START.name) {
                Ok(start) => Start::Spectra(values(start)?),
                Err(_) => params.start(&data, channels)?,
            };
            let control = Control { max_iterations: params.max_iter, tolerance: params.tol };
            let mut checkpoint = |done: usize| {
                passes.ctx().progress(done as u64, params.max_iter as u64);
                passes.ctx().checkpoint().map_err(|stopped| Ended::Step(stopped.into()))
            };
            let constraints = params.constraints(known);
            let found =
                resolve(&data, channels, k, &start, &constraints, control, &mut checkpoint)?;
            let Resolved { lack_of_fit, iterations, converged, .. } = found;
            let bands = (k == 2).then(|| ambiguity::bands(&data, channels, 0.0).ok()).flatten();
            let summary = McrSummary {
                components: k,
                spectra: found.spectra.clone(),
                lack_of_fit,
                least_lack_of_fit: least_lack_of_fit(&data, channels, k),
                iterations,
                converged,
                contributions: bands.as_ref().map(|b: &Bands| b.contributions),
            };
            let mut outputs = Outputs::new();
            if !converged {
                outputs = outputs.warn(Diagnostic::warning(
                    Code::NotConverged,
                    format!("curve resolution still moved after {iterations} iterations"),
                ));
            }
            for contributions in summary.contributions.iter().flatten() {
                let [least, most] = contributions;
                if most - least > 0.05 {
                    let said = format!(
                        "other solutions fit as well: a component holds from {:.0} to {:.0} % of \
                         the signal",
                        100.0 * least,
                        100.0 * most
                    );
                    outputs = outputs.warn(Diagnostic::warning(Code::NotIdentifiable, said));
                }
            }
            let dense = |meta: RowsMeta, values: Vec<f64>| {
                DenseRows::new(meta, DenseValues::F64(Buffer::from(values)))
            };
            let concentrations = dense(made, found.concentrations)?;
            let spectra = dense(shapes, found.spectra)?;
            Ok(outputs
                .rows("concentrations", Arc::new(concentrations))
                .rows("component_spectra", Arc::new(spectra))
                .whole("mcr", summary))
        };
        Ok(Plan::new(run)
            .rows("concentrations", concentrations)
            .rows("component_spectra", spectra)
            .whole("mcr", McrSummary::KIND))
    }
}

/// Lack of fit in percent of the best matrix of this rank.
fn least_lack_of_fit(data: &[f64], channels: usize, k: usize) -> f64 {
    let svd = kalpha_num::svd::thin_svd(data, data.len() / channels, channels);
    let squares = |from: usize| svd.values.iter().skip(from).map(|v| v * v).sum::<f64>();
    100.0 * (squares(k) / squares(0)).sqrt()
}
