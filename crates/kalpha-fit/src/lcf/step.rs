//! Step `lcf`.

use super::{
    Conditions, Fit, Lcf, References, Scratch, Sum, Systematics,
    kernel::dot,
    search::{Combination, Search, search},
};
use kalpha_core::{
    ArtefactType, Axis, CellBuffer, Code, Diagnostic, InputMeta, Inputs, NoiseModel, Outputs,
    Passes, Plan, Port, Rows, RowsMeta, Step, StepError,
};
use kalpha_num::spline::CubicSpline;
use kalpha_process::row_method::{
    Block, FLAGS, RowFlags, RowMethod, RowStatus, RowTable, TABLE, report, treat,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Spectra that an unknown noise is found from.
const LOOK_AT: usize = 256;
/// Weight that may go from one reference to another unnoticed (one standard deviation) before it is
/// said.
const UNNOTICED: f64 = 0.1;

/// Parameters of `lcf`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LcfParams {
    /// Names of the references, in their order; numbered if absent.
    pub names: Vec<String>,
    /// What the weights sum to: one, near (one within `sum_sigma`) or free.
    pub sum: Sum,
    /// Standard deviation of the sum for near: of the edge step, say.
    pub sum_sigma: f64,
    /// Least weight of every reference.
    pub lower: f64,
    /// Greatest weight of every reference; none if absent.
    pub upper: Option<f64>,
    /// Where the fitted window begins, in units of the axis; at its end if absent.
    pub first: Option<f64>,
    /// Where it ends.
    pub last: Option<f64>,
    /// Standard deviation of a channel; from the noise of the spectra, or found, if absent.
    pub noise_sigma: Option<f64>,
    /// Standard deviation of an offset between spectra and references; 0 for none.
    pub offset_sigma: f64,
    /// Standard deviation of a slope, at either end of the window; 0 for none.
    pub slope_sigma: f64,
    /// Standard deviation of the shift of each reference, in units of the axis; 0 for none.
    pub shift_sigma: f64,
    /// Most references in a combination when the mean spectrum is searched for those it needs; 0 for
    /// no search. The fits use all references either way.
    pub search: usize,
}

impl Default for LcfParams {
    fn default() -> Self {
        let Conditions { sum, sum_sigma, lower, .. } = Conditions::default();
        Self {
            names: Vec::new(),
            sum,
            sum_sigma,
            lower,
            upper: None,
            first: None,
            last: None,
            noise_sigma: None,
            offset_sigma: 0.0,
            slope_sigma: 0.0,
            shift_sigma: 0.0,
            search: 0,
        }
    }
}

fn parameter(name: &'static str, got: impl ToString, expected: impl Into<String>) -> StepError {
    StepError::Parameter { parameter: name, got: got.to_string(), expected: expected.into() }
}

impl LcfParams {
    fn conditions(&self) -> Result<Conditions, StepError> {
        let sigmas = [
            ("sum_sigma", self.sum_sigma, self.sum == Sum::Near),
            ("offset_sigma", self.offset_sigma, false),
            ("slope_sigma", self.slope_sigma, false),
            ("shift_sigma", self.shift_sigma, false),
            ("noise_sigma", self.noise_sigma.unwrap_or(1.0), true),
        ];
        for (name, value, above_zero) in sigmas {
            if !value.is_finite() || value < 0.0 || (above_zero && value == 0.0) {
                return Err(parameter(name, value, "a positive standard deviation"));
            }
        }
        let upper = self.upper.unwrap_or(f64::INFINITY);
        if !self.lower.is_finite() || upper.is_nan() || upper <= self.lower {
            return Err(parameter("upper", upper, "above the lower bound, which is finite"));
        }
        Ok(Conditions {
            sum: self.sum,
            sum_sigma: self.sum_sigma,
            lower: self.lower,
            upper,
            systematics: Systematics {
                offset: self.offset_sigma,
                slope: self.slope_sigma,
                shift: self.shift_sigma,
            },
        })
    }

    fn names(&self, references: usize) -> Result<Vec<String>, StepError> {
        if self.names.is_empty() {
            return Ok((1..=references).map(|i| format!("reference_{i}")).collect());
        }
        match self.names.len() == references {
            true => Ok(self.names.clone()),
            false => Err(parameter(
                "names",
                format!("{} names", self.names.len()),
                format!("one for each of the {references} references"),
            )),
        }
    }

    fn window(&self, rows: &RowsMeta, references: &RowsMeta) -> Result<Range<usize>, StepError> {
        rows.signal.ascending()?;
        references.signal.ascending()?;
        let window = rows.signal.window("first, last", self.first, self.last)?;
        let needed = (references.rows + 1).max(4);
        if window.len() < needed {
            return Err(StepError::TooLittle {
                what: format!("{} channels in the window, {needed} are needed", window.len()),
                hint: "widen the window, or give fewer references".into(),
            });
        }
        let ends = |axis: &Axis, range: Range<usize>| {
            let (a, b) = (axis.at(range.start), axis.at(range.end - 1));
            (a.min(b), a.max(b))
        };
        let (low, high) = ends(&rows.signal, window.clone());
        let (least, most) = ends(&references.signal, 0..references.channels);
        let slack = 1e-9 * (high - low);
        if low < least - slack || high > most + slack {
            return Err(parameter(
                "first, last",
                format!("{low} to {high}"),
                format!("inside the axis of the references, {least} to {most}"),
            ));
        }
        Ok(window)
    }
}

/// The spectra of `rows`, in their order.
fn spectra(rows: &Rows, numbers: impl Iterator<Item = usize>) -> Result<Vec<Vec<f64>>, StepError> {
    let (mut buffer, mut values, mut all) = (CellBuffer::default(), Vec::new(), Vec::new());
    for row in numbers {
        rows.cell(row..row + 1, &mut buffer)?.to_f64(&mut values);
        all.push(values.clone());
    }
    Ok(all)
}

/// Reference spectra with their first derivatives on the channels `window` of `axis`, by cubic splines.
///
/// # Errors
/// When they cannot be read or hold NaN.
pub fn references(rows: &Rows, axis: &Axis, window: Range<usize>) -> Result<References, StepError> {
    let own = &rows.meta().signal;
    let mut x = own.to_vec();
    let up = own.ascending()?;
    if !up {
        x.reverse();
    }
    let wanted: Vec<f64> = window.map(|i| axis.at(i)).collect();
    let (mut values, mut slopes) = (Vec::new(), Vec::new());
    for mut y in spectra(rows, 0..rows.meta().rows)? {
        if !up {
            y.reverse();
        }
        let spline = CubicSpline::new(&x, &y).map_err(StepError::method)?;
        let (v, d) = wanted.iter().map(|at| spline.at(*at)).map(|[v, d]| (v, d)).unzip();
        values.push(v);
        slopes.push(d);
    }
    Ok(References { axis: wanted, values, slopes })
}

/// What a linear combination fit rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LcfSummary {
    /// Names of the references.
    pub names: Vec<String>,
    /// First and last position fitted.
    pub window: [f64; 2],
    /// Channels fitted.
    pub channels: usize,
    /// Standard deviation of a channel; its root mean square where channels differ.
    pub noise_sigma: f64,
    /// True where the noise was found from what the fits leave.
    pub noise_found: bool,
    /// Weight that moves from one reference to another within one standard deviation, references x
    /// references, row-major.
    pub exchange_sigma: Vec<f64>,
    /// References that the mean spectrum needs, if they were searched for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<Search>,
}

impl ArtefactType for LcfSummary {
    const KIND: &'static str = "lcf";
}

/// Fits as rows: fractions of the references.
struct LcfMethod {
    lcf: Lcf,
    window: Range<usize>,
    names: Vec<String>,
}

impl LcfMethod {
    fn names(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for name in &self.names {
            all.push((name.clone(), String::new()));
            all.push((format!("{name}_sigma"), String::new()));
        }
        for name in ["sum", "r_factor", "reduced_chi2"] {
            all.push((name.into(), String::new()));
        }
        all
    }
}

/// Memory of one thread.
#[derive(Default)]
struct RowScratch {
    window: Vec<f64>,
    fit: Scratch,
}

impl RowMethod for LcfMethod {
    type Scratch = RowScratch;

    // As many as there are names; what they are called is said by the step.
    fn columns(&self) -> Vec<(&'static str, String)> {
        vec![("", String::new()); 2 * self.names.len() + 3]
    }

    fn apply(&self, block: &mut Block<'_>, scratch: &mut RowScratch) {
        let n = self.names.len();
        scratch.window.clear();
        for row in block.values.chunks_exact(block.channels) {
            scratch.window.extend_from_slice(&row[self.window.clone()]);
        }
        let freedom = self.lcf.freedom();
        let Block { out, status, table, .. } = block;
        let mut take = |row: usize, fit: &Fit| {
            let fractions = &mut out[row * n..(row + 1) * n];
            let table = &mut table[row * (2 * n + 3)..(row + 1) * (2 * n + 3)];
            let sum: f64 = fit.weights.iter().sum();
            if !(sum > 0.0 && sum.is_finite()) {
                fractions.fill(f64::NAN);
                table.fill(f64::NAN);
                status[row] = RowStatus::Refused;
                return;
            }
            for i in 0..n {
                fractions[i] = fit.weights[i] / sum;
                table[2 * i] = fit.weights[i];
                table[2 * i + 1] = fit.sigma[i];
            }
            table[2 * n..].copy_from_slice(&[sum, fit.r_factor, fit.chi2 / freedom]);
            if !fit.converged {
                status[row] = RowStatus::NotConverged;
            }
        };
        self.lcf.fit_rows(&scratch.window, &mut take, &mut scratch.fit);
    }
}

/// Standard deviations of the channels, and whether they were found.
fn noise(
    params: &LcfParams,
    rows: &Rows,
    references: &References,
    window: &Range<usize>,
    conditions: &Conditions,
) -> Result<(Vec<f64>, bool), StepError> {
    let m = window.len();
    if let Some(sigma) = params.noise_sigma {
        return Ok((vec![sigma; m], false));
    }
    let total = rows.meta().rows;
    let step = total.div_ceil(LOOK_AT).max(1);
    let sample: Vec<Vec<f64>> = spectra(rows, (0..total).step_by(step))?
        .into_iter()
        .map(|row| row[window.clone()].to_vec())
        .filter(|row| row.iter().all(|v| v.is_finite()) && row.iter().any(|v| *v != 0.0))
        .collect();
    if sample.is_empty() {
        return Err(StepError::TooLittle {
            what: "no spectrum without NaN or infinity to find the noise from".into(),
            hint: "check the file, or give noise_sigma".into(),
        });
    }
    let mean: Vec<f64> =
        (0..m).map(|c| sample.iter().map(|r| r[c]).sum::<f64>() / sample.len() as f64).collect();
    let counts = |gain: f64, sigma: f64| -> Vec<f64> {
        mean.iter().map(|m| (gain * m.max(gain) + sigma * sigma).sqrt()).collect()
    };
    match rows.meta().noise {
        NoiseModel::Gaussian { sigma } => return Ok((vec![sigma; m], false)),
        NoiseModel::Poisson { gain } => return Ok((counts(gain, 0.0), false)),
        NoiseModel::PoissonGaussian { gain, sigma } => return Ok((counts(gain, sigma), false)),
        _ => {}
    }
    // What is left by a fit without systematic differences, then by fits with the noise of the last.
    let size = (dot(&mean, &mean) / m as f64).sqrt();
    let mut sigma = 1e-2 * size.max(f64::MIN_POSITIVE);
    for round in 0..6 {
        let systematics = if round == 0 { Systematics::default() } else { conditions.systematics };
        let conditions = Conditions { systematics, ..conditions.clone() };
        let lcf = Lcf::new(references, &vec![sigma; m], &conditions).map_err(StepError::method)?;
        let (mut scratch, mut fit, mut sum) = (Scratch::default(), Fit::default(), 0.0);
        for row in &sample {
            lcf.fit(row, &mut fit, &mut scratch);
            sum += fit.chi2;
        }
        let factor = (sum / sample.len() as f64 / lcf.freedom()).sqrt();
        // Spectra that are combinations to the last digit: any noise above rounding will do.
        sigma = (sigma * factor).max(1e-9 * size).max(f64::MIN_POSITIVE);
        if round > 1 && (factor - 1.0).abs() < 1e-3 {
            break;
        }
    }
    Ok((vec![sigma; m], true))
}

/// Step `lcf`: spectra as sums of reference spectra.
pub struct LcfStep;

impl Step for LcfStep {
    type Params = LcfParams;
    const ID: &'static str = "lcf";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Linear combination fit of spectra by references";
    const INPUTS: &'static [Port] = &[
        Port::rows("spectra", "spectra to fit"),
        Port::rows("references", "reference spectra, on an axis that covers the window"),
        FLAGS.optional(),
        TABLE.optional(),
    ];
    const OUTPUTS: &'static [Port] = &[
        Port::rows("fractions", "weights over their sum, one channel per reference"),
        Port::whole("lcf", LcfSummary::KIND, "references, window, noise, what can be exchanged"),
        FLAGS,
        TABLE,
    ];

    fn plan(params: LcfParams, inputs: &InputMeta) -> Result<Plan, StepError> {
        let (rows, given) = (inputs.rows("spectra")?, inputs.rows("references")?);
        let conditions = params.conditions()?;
        let names = params.names(given.rows)?;
        let window = params.window(rows, given)?;
        let signal = Axis::index("reference", given.rows);
        let fractions = RowsMeta {
            channels: given.rows,
            dtype: kalpha_core::DType::F64,
            signal: signal.clone(),
            noise: NoiseModel::Correlated,
            ..rows.clone()
        };
        let run = move |inputs: &Inputs, passes: &dyn Passes| {
            let rows = inputs.rows("spectra")?;
            let axis = &rows.meta().signal;
            let on_axis = references(inputs.rows("references")?, axis, window.clone())?;
            let (sigma, noise_found) = noise(&params, rows, &on_axis, &window, &conditions)?;
            let lcf = Lcf::new(&on_axis, &sigma, &conditions).map_err(StepError::method)?;
            let search = match params.search {
                0 => None,
                largest => {
                    let mean = mean(rows, &window, passes)?;
                    let found = search(&on_axis, &mean, &sigma, &conditions, largest);
                    Some(found.map_err(StepError::method)?)
                }
            };
            let summary = LcfSummary {
                names: names.clone(),
                window: [axis.at(window.start), axis.at(window.end - 1)],
                channels: window.len(),
                noise_sigma: (dot(&sigma, &sigma) / sigma.len() as f64).sqrt(),
                noise_found,
                exchange_sigma: lcf.exchange_sigma(),
                search,
            };
            let needed = needed(&summary);
            let alike = alike(&summary);
            let method = LcfMethod { lcf, window, names };
            let columns = method.names();
            let treated = treat(method, rows, signal, NoiseModel::Correlated, passes)?;
            let mut outputs =
                Outputs::new().rows("fractions", Rows::clone(&treated.rows)).whole("lcf", summary);
            if let Some(said) = alike {
                outputs = outputs.warn(Diagnostic::warning(Code::NotIdentifiable, said));
            }
            if let Some(said) = needed {
                outputs = outputs.warn(Diagnostic::note(Code::NotIdentifiable, said));
            }
            report(Self::ID, inputs, &columns, &treated, outputs)
        };
        Ok(Plan::new(run)
            .rows("fractions", fractions)
            .whole("lcf", LcfSummary::KIND)
            .whole("row_flags", <RowFlags as ArtefactType>::KIND)
            .whole("row_table", <RowTable as ArtefactType>::KIND))
    }
}

/// Mean of the finite spectra in the window.
fn mean(rows: &Rows, window: &Range<usize>, passes: &dyn Passes) -> Result<Vec<f64>, StepError> {
    let all = kalpha_process::reference::mean(rows, passes)?;
    Ok(all[window.clone()].to_vec())
}

/// What a search has found, in words.
fn needed(summary: &LcfSummary) -> Option<String> {
    let found = summary.search.as_ref()?;
    let words = |c: &Combination| {
        c.references.iter().map(|i| summary.names[*i].as_str()).collect::<Vec<_>>().join(", ")
    };
    let others: Vec<String> = found.as_good.iter().take(3).map(words).collect();
    let or = if others.is_empty() {
        String::new()
    } else {
        format!("; as good: {}", others.join(" | "))
    };
    Some(format!("the mean spectrum needs {}{or}", words(&found.recommended)))
}

/// Pairs of references that can stand for each other, in words.
fn alike(summary: &LcfSummary) -> Option<String> {
    let n = summary.names.len();
    let mut pairs = Vec::new();
    for i in 0..n {
        for j in 0..i {
            let sigma = summary.exchange_sigma[i * n + j];
            if sigma > UNNOTICED {
                let (a, b) = (&summary.names[j], &summary.names[i]);
                pairs.push(format!("{a} and {b} ({sigma:.2})"));
            }
        }
    }
    (!pairs.is_empty()).then(|| {
        format!(
            "references that can stand for each other: {}; in brackets the weight that can move from \
             one to the other within one standard deviation",
            pairs.join(", ")
        )
    })
}
