//! Step `fit.peaks`.

use super::{
    Automatic, Background, Component, Diagnostics, FitOptions, Noise, Parameter, PeakError,
    PeakFit, PeakModel, PeakRow,
    automatic::{automatic, background_of, shirley_start},
};
use kalpha_core::{
    ArtefactType, CellBuffer, CellGrid, Code, Diagnostic, InputMeta, Inputs, NoiseModel, Outputs,
    Passes, Plan, Port, Rows, RowsMeta, Step, StepError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// One component of a model that is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ComponentParams {
    /// Name: letters, digits, underscores.
    pub name: String,
    /// Line shape; that of the step where empty.
    pub shape: String,
    /// Parameters to start from; others start from the data.
    pub start: BTreeMap<String, f64>,
    /// Parameters that keep a value.
    pub fixed: BTreeMap<String, f64>,
    /// Parameters kept between two values.
    pub between: BTreeMap<String, [f64; 2]>,
    /// Parameters tied by an expression: `p1.fwhm`, `p1.center + 3.35`.
    pub tied: BTreeMap<String, String>,
    /// The component this is the other line of: same shape and width.
    pub partner_of: String,
    /// How far from it, in units of the axis; a number or an expression.
    pub splitting: String,
    /// How intense relative to it; a number or an expression.
    pub ratio: String,
}

/// Parameters of `fit.peaks`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PeaksParams {
    /// Begin of the range that is fitted, in units of the axis.
    pub first: Option<f64>,
    /// Its end.
    pub last: Option<f64>,
    /// Line shape of peaks that are found, and of components without one of their own.
    pub shape: String,
    /// What lies under the peaks.
    pub background: Background,
    /// Most peaks that are found.
    pub most: usize,
    /// Significance of a peak that is found.
    pub significance: f64,
    /// Largest full width at half maximum of a peak that is found, in units of the axis.
    pub widest: Option<f64>,
    /// The model; peaks are found where it is empty.
    pub components: Vec<ComponentParams>,
    /// Variables for expressions: start, lower and upper bound.
    pub variables: BTreeMap<String, [f64; 3]>,
}

impl Default for PeaksParams {
    fn default() -> Self {
        Self {
            first: None,
            last: None,
            shape: "pseudo_voigt".to_owned(),
            background: Background::default(),
            most: 12,
            significance: 5.0,
            widest: None,
            components: Vec::new(),
            variables: BTreeMap::new(),
        }
    }
}

impl PeaksParams {
    /// The model that is given.
    fn model(&self, x: &[f64], y: &[f64]) -> Result<PeakModel, PeakError> {
        let mut peaks: Vec<Component> = Vec::new();
        for given in &self.components {
            let of = peaks.iter().find(|p| p.name == given.partner_of);
            let mut peak = match (given.partner_of.as_str(), of) {
                ("", _) => {
                    let shape = if given.shape.is_empty() { &self.shape } else { &given.shape };
                    Component::new(&given.name, shape)?
                }
                (_, Some(main)) => {
                    let or = |text: &str, or: &str| match text.is_empty() {
                        true => or.to_owned(),
                        false => text.to_owned(),
                    };
                    let (splitting, ratio) = (or(&given.splitting, "0"), or(&given.ratio, "1"));
                    main.partner(&given.name, &splitting, &ratio)?
                }
                (name, None) => {
                    let known: Vec<&str> = peaks.iter().map(|p| p.name.as_str()).collect();
                    return Err(PeakError::Parameter {
                        parameter: format!("partner_of {name}"),
                        known: known.join(", "),
                    });
                }
            };
            for (name, value) in &given.start {
                peak = peak.start(name, *value)?;
            }
            for (name, [low, high]) in &given.between {
                peak = peak.between(name, *low, *high)?;
            }
            for (name, value) in &given.fixed {
                peak = peak.fix(name, *value)?;
            }
            for (name, expression) in &given.tied {
                peak = peak.tie(name, expression)?;
            }
            peaks.push(peak);
        }
        let start = if y.is_empty() { 0.0 } else { shirley_start(x, y) };
        let (background, mut variables) = background_of(self.background, &peaks, start)?;
        let named = |(name, [value, low, high]): (&String, &[f64; 3])| {
            Parameter::variable(name, *value, *low, *high)
        };
        variables.extend(self.variables.iter().map(named));
        peaks.extend(background);
        PeakModel::with_variables(peaks, variables)
    }
}

/// The fit of one spectrum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowPeaks {
    /// Number of the spectrum.
    pub row: usize,
    /// Peaks in the order of the model.
    pub peaks: Vec<PeakRow>,
    /// Covariance of the areas of `peaks` over the data, row-major; NaN where one has none.
    pub area_covariance: Vec<f64>,
    /// Pairs of parameters correlated by more than 0.95 in magnitude.
    pub correlated: Vec<(String, String, f64)>,
    /// How well the model fits.
    pub diagnostics: Option<Diagnostics>,
    /// What to mind; why there is no fit where there is none.
    pub warnings: Vec<String>,
}

/// Curves of one fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FitCurves {
    /// Number of the spectrum.
    pub row: usize,
    /// The spectrum.
    pub data: Vec<f64>,
    /// The whole model.
    pub model: Vec<f64>,
    /// What lies under the peaks.
    pub background: Vec<f64>,
    /// Each peak.
    pub peaks: Vec<Vec<f64>>,
    /// Data less model, in standard deviations where those are known.
    pub residuals: Vec<f64>,
}

/// Peaks of all spectra.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeakFits {
    /// Name of the axis.
    pub axis: String,
    /// Its unit.
    pub unit: String,
    /// The points that were fitted, ascending.
    pub x: Vec<f64>,
    /// True where the noise of the spectra is known, so that chi-square means something.
    pub noise_known: bool,
    /// True where the model was found, not given.
    pub automatic: bool,
    /// One entry per spectrum.
    pub rows: Vec<RowPeaks>,
    /// Curves of some of them.
    pub curves: Vec<FitCurves>,
}

impl ArtefactType for PeakFits {
    const KIND: &'static str = "peaks";
}

/// A range wider than this is a survey: its background is no one Shirley step per peak.
const SURVEY: f64 = 100.0;
/// Spectra whose curves are kept.
const CURVES: usize = 6;

/// Step `fit.peaks`.
pub struct PeaksStep;

impl From<PeakError> for StepError {
    fn from(error: PeakError) -> Self {
        Self::method(error)
    }
}

/// The range on an ascending axis, and whether the channels had to be turned.
struct Axis {
    x: Vec<f64>,
    channels: Range<usize>,
    reverse: bool,
}

impl Axis {
    fn new(params: &PeaksParams, meta: &RowsMeta) -> Result<Self, StepError> {
        let channels = meta.signal.window("first, last", params.first, params.last)?;
        let reverse = !meta.signal.ascending()?;
        let mut x: Vec<f64> = channels.clone().map(|c| meta.signal.at(c)).collect();
        if reverse {
            x.reverse();
        }
        Ok(Self { x, channels, reverse })
    }

    fn cut(&self, row: &[f64]) -> Vec<f64> {
        let mut y = row[self.channels.clone()].to_vec();
        if self.reverse {
            y.reverse();
        }
        y
    }
}

/// Inverse variances of `y` under a noise model; `None` where it says nothing of one spectrum.
fn weights(noise: &NoiseModel, y: &[f64]) -> Option<Vec<f64>> {
    match noise {
        NoiseModel::Gaussian { sigma } if *sigma > 0.0 => Some(vec![sigma.powi(-2); y.len()]),
        NoiseModel::Poisson { gain } if *gain > 0.0 => {
            Some(y.iter().map(|v| 1.0 / (gain * v.max(*gain))).collect())
        }
        NoiseModel::PoissonGaussian { gain, sigma } if *gain > 0.0 => {
            Some(y.iter().map(|v| 1.0 / (gain * v.max(0.0) + sigma * sigma)).collect())
        }
        _ => None,
    }
}

fn is_counts(noise: &NoiseModel) -> bool {
    matches!(noise, NoiseModel::Poisson { gain } if *gain == 1.0)
}

/// Calls `work` with the noise of `y`.
fn with_noise<T>(noise: &NoiseModel, y: &[f64], work: impl FnOnce(Noise<'_>) -> T) -> T {
    if is_counts(noise) && y.iter().all(|v| *v >= 0.0) {
        return work(Noise::Poisson);
    }
    match weights(noise, y) {
        Some(weights) => work(Noise::InverseVariance(&weights)),
        None => work(Noise::Unknown),
    }
}

/// Calls `visit` with every row of a stretch of cells.
fn each_row(
    rows: &Rows,
    cells: Range<usize>,
    mut visit: impl FnMut(usize, &[f64]) -> Result<(), StepError>,
) -> Result<(), StepError> {
    let meta = rows.meta();
    let grid = CellGrid::new(meta.rows, meta.channels);
    let (mut buffer, mut values) = (CellBuffer::default(), Vec::new());
    for cell in cells {
        let span = grid.rows(cell);
        rows.cell(span.clone(), &mut buffer)?.to_f64(&mut values);
        for (row, values) in span.zip(values.chunks_exact(meta.channels.max(1))) {
            visit(row, values)?;
        }
    }
    Ok(())
}

fn row_peaks(row: usize, fit: &PeakFit) -> RowPeaks {
    let names: Vec<&str> = fit.peaks.iter().map(|p| p.name.as_str()).collect();
    let n = fit.parameters.len();
    let amplitude = |peak: &str| {
        let of = |parameter: &str| {
            fit.parameters.iter().position(|p| p.name == format!("{peak}.{parameter}"))
        };
        of("area").or_else(|| of("height"))
    };
    let sigma = |k: usize| fit.covariance[k * n + k].max(0.0).sqrt();
    let mut area_covariance = vec![f64::NAN; names.len() * names.len()];
    for (i, a) in names.iter().enumerate() {
        for (j, b) in names.iter().enumerate() {
            let sigmas = (fit.peaks[i].area_in_range.sigma, fit.peaks[j].area_in_range.sigma);
            let (Some(k), Some(l), (Some(s), Some(t))) = (amplitude(a), amplitude(b), sigmas)
            else {
                continue;
            };
            // The areas are as correlated as the amplitudes.
            let correlation = fit.covariance[k * n + l] / (sigma(k) * sigma(l));
            let correlation = if i == j { 1.0 } else { correlation };
            area_covariance[i * names.len() + j] = correlation * s * t;
        }
    }
    let correlated = fit.warnings.iter().filter_map(|w| match w {
        super::PeakWarning::Correlated { first, second, correlation } => {
            Some((first.clone(), second.clone(), *correlation))
        }
        _ => None,
    });
    RowPeaks {
        row,
        peaks: fit.peaks.clone(),
        area_covariance,
        correlated: correlated.collect(),
        diagnostics: Some(fit.diagnostics),
        warnings: fit.warnings.iter().map(ToString::to_string).collect(),
    }
}

fn refused(row: usize, why: String) -> RowPeaks {
    RowPeaks {
        row,
        peaks: Vec::new(),
        area_covariance: Vec::new(),
        correlated: Vec::new(),
        diagnostics: None,
        warnings: vec![why],
    }
}

fn curves(row: usize, model: &PeakModel, y: &[f64], fit: &PeakFit) -> FitCurves {
    let mut background = vec![0.0; y.len()];
    let mut peaks = Vec::new();
    for (component, curve) in model.components().iter().zip(&fit.components) {
        match component.shape.is_peak() {
            true => peaks.push(curve.clone()),
            false => background.iter_mut().zip(curve).for_each(|(b, c)| *b += c),
        }
    }
    FitCurves {
        row,
        data: y.to_vec(),
        model: fit.model.clone(),
        background,
        peaks,
        residuals: fit.residuals.clone(),
    }
}

impl Step for PeaksStep {
    type Params = PeaksParams;
    const ID: &'static str = "fit.peaks";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Peaks with position, width and area, each with its error";
    const INPUTS: &'static [Port] = &[Port::rows("spectra", "spectra")];
    const OUTPUTS: &'static [Port] =
        &[Port::whole("peaks", PeakFits::KIND, "one table of peaks per spectrum, with curves")];

    fn plan(params: PeaksParams, inputs: &InputMeta) -> Result<Plan, StepError> {
        let meta = inputs.rows("spectra")?;
        let axis = Axis::new(&params, meta)?;
        if !(params.significance.is_finite() && params.significance > 0.0) {
            return Err(StepError::Parameter {
                parameter: "significance",
                got: params.significance.to_string(),
                expected: "a positive number of standard deviations".to_owned(),
            });
        }
        if let Some(widest) = params.widest.filter(|w| w.is_nan() || *w <= 0.0) {
            return Err(StepError::Parameter {
                parameter: "widest",
                got: widest.to_string(),
                expected: "a positive width in units of the axis".to_owned(),
            });
        }
        if params.most == 0 {
            return Err(StepError::Parameter {
                parameter: "most",
                got: "0".to_owned(),
                expected: "at least one peak".to_owned(),
            });
        }
        super::shape::shape(&params.shape)?;
        // Names, expressions and bounds are checked before a spectrum is read.
        if !params.components.is_empty() {
            params.model(&axis.x, &[])?;
        }
        let run = move |inputs: &Inputs, passes: &dyn Passes| {
            run(&params, inputs.rows("spectra")?, passes)
        };
        Ok(Plan::new(run).whole("peaks", PeakFits::KIND))
    }
}

/// A fitted row, with its curves where they are kept.
type Done = (RowPeaks, Option<FitCurves>);

fn run(params: &PeaksParams, rows: &Rows, passes: &dyn Passes) -> Result<Outputs, StepError> {
    let meta = rows.meta();
    let axis = Axis::new(params, meta)?;
    let grid = CellGrid::new(meta.rows, meta.channels);
    // The sum of all sound spectra says what the model is.
    let mut sum = vec![0.0; axis.x.len()];
    let mut used = 0usize;
    each_row(rows, 0..grid.cells(), |_, values| {
        let y = axis.cut(values);
        if y.iter().all(|v| v.is_finite()) {
            sum.iter_mut().zip(&y).for_each(|(s, v)| *s += v);
            used += 1;
        }
        Ok(())
    })?;
    if used == 0 {
        return Err(StepError::TooLittle {
            what: "no spectrum without NaN or infinity to fit".to_owned(),
            hint: "check the file, or mask what is broken".to_owned(),
        });
    }
    let known = is_counts(&meta.noise) || weights(&meta.noise, &[]).is_some();
    let of_sum = match &meta.noise {
        // A sum of counts is a count; the variance of any other sum is the sum of variances.
        NoiseModel::Gaussian { sigma } => {
            NoiseModel::Gaussian { sigma: sigma * (used as f64).sqrt() }
        }
        other => other.clone(),
    };
    let automatically = params.components.is_empty();
    let model = match automatically {
        false => Some(params.model(&axis.x, &sum)?),
        true => {
            let options = Automatic {
                shape: params.shape.clone(),
                background: params.background,
                most: params.most,
                significance: params.significance,
                widest: params.widest.unwrap_or(f64::INFINITY),
            };
            let found =
                with_noise(&of_sum, &sum, |noise| automatic(&axis.x, &sum, noise, &options))?;
            found.map(|(model, fit)| started(model, &fit, 1.0 / used as f64)).transpose()?
        }
    };
    let mut fits = PeakFits {
        axis: meta.signal.name.clone(),
        unit: meta.signal.unit.symbol().to_owned(),
        x: axis.x.clone(),
        noise_known: known,
        automatic: automatically,
        rows: Vec::with_capacity(meta.rows),
        curves: Vec::new(),
    };
    let Some(model) = model else {
        fits.rows = (0..meta.rows).map(|row| refused(row, "no peak stands out".into())).collect();
        let said = Diagnostic::warning(
            Code::LowCounts,
            format!("no peak stands {} standard deviations out of the noise", params.significance),
        )
        .hint("lower fit.peaks.significance, or give fit.peaks.components");
        return Ok(Outputs::new().whole("peaks", fits).warn(said));
    };
    let drawn = |row: usize| match meta.rows {
        n if n <= CURVES => true,
        n => (0..CURVES).any(|k| row == k * (n - 1) / (CURVES - 1)),
    };
    let slots: Vec<Mutex<Vec<Done>>> = (0..grid.cells()).map(|_| Mutex::default()).collect();
    passes.parallel(grid.cells(), &|cell| {
        let mut out = Vec::new();
        each_row(rows, cell..cell + 1, |row, values| {
            passes.ctx().checkpoint()?;
            let y = axis.cut(values);
            let fit = with_noise(&meta.noise, &y, |noise| {
                model.fit(&axis.x, &y, noise, &FitOptions::default())
            });
            out.push(match fit {
                Ok(fit) => {
                    let kept = drawn(row).then(|| curves(row, &model, &y, &fit));
                    (row_peaks(row, &fit), kept)
                }
                Err(error) => (refused(row, error.to_string()), None),
            });
            Ok(())
        })?;
        *slots[cell].lock().unwrap_or_else(PoisonError::into_inner) = out;
        Ok(())
    })?;
    for slot in slots {
        for (row, kept) in slot.into_inner().unwrap_or_else(PoisonError::into_inner) {
            fits.rows.push(row);
            fits.curves.extend(kept);
        }
    }
    let mut outputs = Outputs::new();
    let span = axis.x.last().copied().unwrap_or(0.0) - axis.x[0];
    if params.background == Background::Shirley && span > SURVEY {
        outputs = outputs.warn(
            Diagnostic::warning(
                Code::Extrapolated,
                format!(
                    "{span:.0} {} are fitted with one Shirley factor: areas of a survey are rough",
                    fits.unit
                ),
            )
            .hint("fit one region: --param fit.peaks.first=280 --param fit.peaks.last=295"),
        );
    }
    for said in diagnostics(&fits) {
        outputs = outputs.warn(said);
    }
    Ok(outputs.whole("peaks", fits))
}

/// The model with the fitted values as starts; amplitudes times `scale`.
fn started(model: PeakModel, fit: &PeakFit, scale: f64) -> Result<PeakModel, PeakError> {
    use super::shape::Role;
    let value = |name: &str| fit.value(name).unwrap_or(f64::NAN);
    let mut components = model.components().to_vec();
    for component in &mut components {
        for parameter in &mut component.parameters {
            let fitted = value(&format!("{}.{}", component.name, parameter.name));
            parameter.value = match parameter.role {
                Role::Amplitude => fitted * scale,
                _ => fitted,
            };
        }
    }
    let mut variables = model.variables().to_vec();
    variables.iter_mut().for_each(|v| v.value = value(&v.name));
    PeakModel::with_variables(components, variables)
}

/// What is worth saying of all fits together.
fn diagnostics(fits: &PeakFits) -> Vec<Diagnostic> {
    let mut said = Vec::new();
    let of = fits.rows.len();
    let count = |n: usize| match of {
        1 => "the spectrum".to_owned(),
        _ => format!("{n} of {of} spectra"),
    };
    let failed: Vec<&RowPeaks> = fits.rows.iter().filter(|r| r.diagnostics.is_none()).collect();
    if let Some(first) = failed.first() {
        said.push(Diagnostic::warning(
            Code::NotConverged,
            format!("{} not fitted: {}", count(failed.len()), first.warnings.join("; ")),
        ));
    }
    let fitted = || fits.rows.iter().filter(|r| r.diagnostics.is_some());
    let warned = fitted().filter(|r| !r.warnings.is_empty()).count();
    if let Some(first) = fitted().find(|r| !r.warnings.is_empty()) {
        let shown: Vec<&str> = first.warnings.iter().take(3).map(String::as_str).collect();
        let more = if first.warnings.len() > 3 { "; .." } else { "" };
        said.push(Diagnostic::note(
            Code::NotIdentifiable,
            format!("{}: {}{more}", count(warned), shown.join("; ")),
        ));
    }
    if fits.automatic {
        let n = fits.rows.first().map_or(0, |r| r.peaks.len());
        said.push(
            Diagnostic::note(
                Code::Assumed,
                format!(
                    "{n} {} found, not given: more may be hidden, and a wrong line shape makes \
                     some of its own",
                    if n == 1 { "peak was" } else { "peaks were" }
                ),
            )
            .hint("give fit.peaks.components where chemistry says what there is"),
        );
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use kalpha_core::{Artefact, Axis as SignalAxis, Buffer, DType, DenseRows, DenseValues};
    use kalpha_core::{PortMeta, Serial, Unit};
    use kalpha_num::rng::Stream;
    use std::sync::Arc;

    const N: usize = 300;

    fn rows(spectra: &[Vec<f64>], descending: bool, noise: NoiseModel) -> Rows {
        let (offset, scale) = if descending { (90.0, -0.1) } else { (60.1, 0.1) };
        let axis = SignalAxis::linear("Binding energy", Unit::Ev, offset, scale, N).unwrap();
        let mut values: Vec<f64> = Vec::new();
        for y in spectra {
            values.extend(y.iter());
            let from = values.len() - N;
            if descending {
                values[from..].reverse();
            }
        }
        let meta = RowsMeta {
            rows: spectra.len(),
            channels: N,
            dtype: DType::F64,
            navigation: vec![SignalAxis::index("spectrum", spectra.len())],
            signal: axis,
            noise,
        };
        Arc::new(DenseRows::new(meta, DenseValues::F64(Buffer::from(values))).unwrap())
    }

    /// A doublet of 3.3 eV and 0.75.
    fn doublet(draw: usize) -> Vec<f64> {
        let stream = Stream::new(8, "fit.peaks", 0);
        let bell = |x: f64, c: f64| (-2.772_588_722 * ((x - c) / 1.1).powi(2)).exp();
        (0..N)
            .map(|i| {
                let x = 60.1 + 0.1 * i as f64;
                let mean = 80.0 + 900.0 * bell(x, 71.2) + 675.0 * bell(x, 74.5);
                stream.at(draw, i).poisson(mean) as f64
            })
            .collect()
    }

    fn plan(rows: &Rows, params: &serde_json::Value) -> Result<Plan, StepError> {
        let mut input = InputMeta::default();
        input.ports.insert("spectra".into(), PortMeta::Rows(rows.meta().clone()));
        PeaksStep::plan(serde_json::from_value(params.clone())?, &input)
    }

    fn fits(rows: &Rows, params: &serde_json::Value) -> Result<(PeakFits, Outputs), StepError> {
        let mut inputs = Inputs::default();
        inputs.bind("spectra", Artefact::Rows(Rows::clone(rows)));
        let outputs = (plan(rows, params)?.run)(&inputs, &Serial::default())?;
        let found: &PeakFits = outputs.artefacts["peaks"].get().unwrap();
        Ok((found.clone(), outputs))
    }

    const COUNTS: NoiseModel = NoiseModel::Poisson { gain: 1.0 };

    #[test]
    fn peaks_are_found_in_either_direction() {
        let spectra: Vec<Vec<f64>> = (0..9).map(doublet).collect();
        let up = rows(&spectra, false, COUNTS);
        let down = rows(&spectra, true, COUNTS);
        let (found, _) = fits(&up, &serde_json::json!({})).unwrap();
        let (turned, _) = fits(&down, &serde_json::json!({})).unwrap();
        assert!(found.automatic && found.noise_known);
        assert_eq!((found.rows.len(), found.curves.len()), (9, 6));
        for (a, b) in found.rows.iter().zip(&turned.rows) {
            assert_eq!(a.peaks.len(), 2);
            for (peak, want) in a.peaks.iter().zip([71.2, 74.5]) {
                let sigma = peak.position.sigma.unwrap();
                assert!((peak.position.value - want).abs() < 4.0 * sigma, "{peak:?}");
            }
            assert!((a.peaks[0].position.value - b.peaks[0].position.value).abs() < 1e-6);
        }
    }

    #[test]
    fn a_given_model_holds() {
        let spectra = rows(&[doublet(3)], false, COUNTS);
        let params = serde_json::json!({
            "background": "constant",
            "components": [
                {"name": "a", "shape": "gaussian", "start": {"center": 71.0}},
                {"name": "b", "partner_of": "a", "splitting": "split", "ratio": "0.75"},
            ],
            "variables": {"split": [3.2, 3.0, 3.6]},
        });
        let (found, _) = fits(&spectra, &params).unwrap();
        let peaks = &found.rows[0].peaks;
        assert!((peaks[1].position.value - peaks[0].position.value - 3.3).abs() < 0.05);
        let area = |k: usize| peaks[k].area.unwrap().value;
        assert!((area(1) / area(0) - 0.75).abs() < 1e-9);
        // Tied areas are wholly correlated.
        let c = &found.rows[0].area_covariance;
        assert!((c[1] / (c[0] * c[3]).sqrt() - 1.0).abs() < 1e-6, "{c:?}");
    }

    #[test]
    fn nothing_and_nonsense() {
        let flat: Vec<f64> =
            (0..N).map(|i| Stream::new(2, "flat", 0).at(0, i).poisson(200.0) as f64).collect();
        let (found, outputs) = fits(&rows(&[flat], false, COUNTS), &serde_json::json!({})).unwrap();
        assert!(found.rows[0].peaks.is_empty());
        assert_eq!(outputs.diagnostics[0].code, Code::LowCounts);
        let mut broken = doublet(0);
        broken[17] = f64::NAN;
        let (found, outputs) =
            fits(&rows(&[doublet(1), broken.clone()], false, COUNTS), &serde_json::json!({}))
                .unwrap();
        assert_eq!(found.rows[0].peaks.len(), 2);
        assert!(found.rows[1].peaks.is_empty() && !found.rows[1].warnings.is_empty());
        assert!(outputs.diagnostics[0].message.contains("1 of 2"));
        assert!(fits(&rows(&[broken], false, COUNTS), &serde_json::json!({})).is_err());
        let good = rows(&[doublet(1)], false, COUNTS);
        for params in [
            serde_json::json!({"shape": "blob"}),
            serde_json::json!({"first": 200.0}),
            serde_json::json!({"most": 0}),
            serde_json::json!({"widest": 0.0}),
            serde_json::json!({"significance": -1.0}),
            serde_json::json!({"components": [{"name": "a", "fixed": {"colour": 1.0}}]}),
            serde_json::json!({"components": [{"name": "a", "partner_of": "z"}]}),
            serde_json::json!({"components": [{"name": "a", "tied": {"fwhm": "a.fwhm + 1"}}]}),
        ] {
            assert!(plan(&good, &params).is_err(), "{params}");
        }
        let outside =
            serde_json::json!({"components": [{"name": "a", "start": {"center": 500.0}}]});
        let (found, _) = fits(&good, &outside).unwrap();
        assert!(found.rows[0].peaks.is_empty() && found.rows[0].warnings[0].contains("500"));
    }
}
