//! Step `target`.

use super::{ErrorFunctions, Factors, Target};
use kalpha_core::{
    ArtefactType, Axis, CellBuffer, CellGrid, Code, Diagnostic, InputMeta, Inputs, NoiseModel,
    Outputs, Passes, Plan, Port, Rows, Step, StepError,
};
use kalpha_num::spline::CubicSpline;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most spectra or points, whichever are fewer.
const MOST: usize = 2048;

/// Parameters of `target`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TargetParams {
    /// Number of components; where the indicator function is least if 0.
    pub components: usize,
    /// Names of the references, in their order; numbered if absent.
    pub names: Vec<String>,
    /// Where the window begins, in units of the axis; at its end if absent.
    pub first: Option<f64>,
    /// Where it ends.
    pub last: Option<f64>,
    /// Points that were measured, where the spectra are interpolated to more.
    pub independent_points: Option<usize>,
}

/// What the data say of references as end-members.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetSummary {
    /// Number of components the targets are tested against.
    pub components: usize,
    /// Error functions of the data.
    pub errors: ErrorFunctions,
    /// Names of the references.
    pub names: Vec<String>,
    /// How each fits.
    pub targets: Vec<Target>,
}

impl ArtefactType for TargetSummary {
    const KIND: &'static str = "target";
}

/// The spectra without NaN or infinity.
fn finite(rows: &Rows, window: &std::ops::Range<usize>) -> Result<(Vec<f64>, usize), StepError> {
    let meta = rows.meta();
    let grid = CellGrid::new(meta.rows, meta.channels);
    let (mut buffer, mut cell, mut all, mut left) =
        (CellBuffer::default(), Vec::new(), Vec::new(), 0);
    for i in 0..grid.cells() {
        rows.cell(grid.rows(i), &mut buffer)?.to_f64(&mut cell);
        for row in cell.chunks_exact(meta.channels.max(1)) {
            let row = &row[window.clone()];
            match row.iter().all(|v| v.is_finite()) {
                true => all.extend_from_slice(row),
                false => left += 1,
            }
        }
    }
    Ok((all, left))
}

/// References on the points of the window, by cubic splines.
fn on_window(
    references: &Rows,
    axis: &Axis,
    window: &std::ops::Range<usize>,
) -> Result<Vec<Vec<f64>>, StepError> {
    let own = &references.meta().signal;
    let mut x = own.to_vec();
    let up = own.ascending()?;
    if !up {
        x.reverse();
    }
    let (values, _) = finite(references, &(0..own.len()))?;
    if values.len() != references.meta().rows * own.len() {
        return Err(StepError::TooLittle {
            what: "a reference holds NaN or infinity".into(),
            hint: "leave it out of the file".into(),
        });
    }
    let each = |row: &[f64]| {
        let mut y = row.to_vec();
        if !up {
            y.reverse();
        }
        let spline = CubicSpline::new(&x, &y).map_err(StepError::method)?;
        Ok(window.clone().map(|i| spline.at(axis.at(i))[0]).collect())
    };
    values.chunks_exact(own.len().max(1)).map(each).collect()
}

/// Step `target`: references tested as end-members of spectra.
pub struct TargetStep;

const REFERENCES: Port = Port::rows("references", "reference spectra to test");

impl Step for TargetStep {
    type Params = TargetParams;
    const ID: &'static str = "target";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "References tested as end-members; number of components by IND";
    const INPUTS: &'static [Port] =
        &[Port::rows("spectra", "mixtures, not centred"), REFERENCES.optional()];
    const OUTPUTS: &'static [Port] =
        &[Port::whole("target", TargetSummary::KIND, "error functions and how each target fits")];

    fn plan(params: TargetParams, inputs: &InputMeta) -> Result<Plan, StepError> {
        let rows = inputs.rows("spectra")?.clone();
        if matches!(rows.noise, NoiseModel::Poisson { .. } | NoiseModel::PoissonGaussian { .. }) {
            return Err(StepError::Noise {
                port: "spectra".into(),
                got: rows.noise,
                expected: "noise that is alike in all values",
                hint: "weight counts first: put normalize.poisson before this step",
            });
        }
        let parameter = |parameter, got: String, expected: String| {
            Err(StepError::Parameter { parameter, got, expected })
        };
        rows.signal.ascending()?;
        let window = rows.signal.window("first, last", params.first, params.last)?;
        let fewer = rows.rows.min(window.len());
        if fewer < 3 || params.components + 1 > fewer {
            let got = format!("{} of {} x {}", params.components, rows.rows, window.len());
            let expected = "at least 3 spectra and points, and fewer components than either";
            return parameter("components", got, expected.into());
        }
        if fewer > MOST {
            return Err(StepError::TooLittle {
                what: format!("{} spectra and {} points", rows.rows, window.len()),
                hint: format!("at most {MOST} of one of the two: bin or crop"),
            });
        }
        if let Ok(given) = inputs.rows(REFERENCES.name) {
            let (a, b) = (given.signal.at(0), given.signal.at(given.channels.max(1) - 1));
            let (low, high) = (a.min(b), a.max(b));
            let ends = [rows.signal.at(window.start), rows.signal.at(window.end - 1)];
            let slack = 1e-9 * (ends[1] - ends[0]).abs();
            if ends.iter().any(|e| *e < low - slack || *e > high + slack) {
                let expected = format!("inside the axis of the references, {low} to {high}");
                return parameter("first, last", format!("{} to {}", ends[0], ends[1]), expected);
            }
            if !params.names.is_empty() && params.names.len() != given.rows {
                let expected = format!("one for each of the {} references", given.rows);
                return parameter("names", format!("{} names", params.names.len()), expected);
            }
        }
        let run = move |inputs: &Inputs, _: &dyn Passes| {
            let (data, left) = finite(inputs.rows("spectra")?, &window)?;
            let independent = params.independent_points.unwrap_or(window.len());
            let factors =
                Factors::new(&data, window.len(), independent).map_err(StepError::method)?;
            let components = match params.components {
                0 => factors.errors.least_ind,
                given => given,
            };
            let references = match inputs.rows(REFERENCES.name) {
                Ok(references) => on_window(references, &rows.signal, &window)?,
                Err(_) => Vec::new(),
            };
            let names = match params.names.is_empty() {
                true => (1..=references.len()).map(|i| format!("reference_{i}")).collect(),
                false => params.names.clone(),
            };
            let targets = references
                .iter()
                .map(|target| factors.test(target, components).map_err(StepError::method))
                .collect::<Result<Vec<_>, _>>()?;
            let mut outputs = Outputs::new();
            if left > 0 {
                let said = format!("{left} spectra with NaN or infinity were left out");
                outputs = outputs.warn(Diagnostic::warning(Code::NotIdentifiable, said));
            }
            let errors = factors.errors;
            Ok(outputs.whole("target", TargetSummary { components, errors, names, targets }))
        };
        Ok(Plan::new(run).whole("target", TargetSummary::KIND))
    }
}
