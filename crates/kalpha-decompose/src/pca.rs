//! Principal component analysis of spectra, weighted for Poisson counts.
//!
//! For rows x_r of D channels the matrix W_rc = x_rc / sqrt(g_r h_c) is factored, with g_r the
//! sum of row r and h_c the sum of channel c: under Poisson noise the errors of W have nearly
//! one variance (Keenan and Kotula 2004, doi:10.1002/sia.1657). Empty rows and channels are left
//! out, nothing is centred. W is never formed: the row factors 1 / g_r are folded into the pass
//! that makes the Gram matrix, the column factors are applied to the D x D result, and the
//! eigenpairs (lambda, v) of W^T W give
//! - components `v_c sqrt(h_c)` and scores `sum_c x_rc v_c / sqrt(h_c)`, back in counts, so that
//!   scores x components approximates x;
//! - eigenvalues `lambda`, of which the first is 1 by construction.
//!
//! Unweighted, the Gram matrix of counts is exact in integers; centred, n m m^T is taken off it.
//!
//! Complexity: one pass with k^2 / 2 additions per row of k non-zero channels, D^2 per vector of
//! the eigen step. Tested against HyperSpy 2.5 (`normalize_poissonian_noise=True`) on
//! FePt_core_shell and against a plain singular value decomposition.

mod margins;
mod projection;

pub(crate) use margins::{Margins, margins};
pub use projection::Projection;

use kalpha_core::{
    ArtefactType, Axis, InputMeta, Inputs, Mapped, NoiseModel, Outputs, Passes, Plan, Port, Rows,
    RowsMeta, Step, StepError,
};
use kalpha_num::{eigen, gram};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How rows and channels are weighted before the decomposition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Weighting {
    /// By the square roots of row and channel sums (Keenan and Kotula 2004): for counts.
    #[default]
    Poisson,
    /// Not at all.
    None,
}

/// Parameters of `pca`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PcaParams {
    /// Number of components to compute, cut to what the data can hold.
    pub components: usize,
    /// How rows and channels are weighted.
    pub weighting: Weighting,
    /// Take the mean spectrum off first; only without weighting.
    pub centred: bool,
}

impl Default for PcaParams {
    fn default() -> Self {
        Self { components: 20, weighting: Weighting::Poisson, centred: false }
    }
}

impl PcaParams {
    fn validate(&self) -> Result<(), StepError> {
        if self.components == 0 {
            return Err(StepError::Parameter {
                parameter: "components",
                got: "0".into(),
                expected: "at least one component".into(),
            });
        }
        if self.centred && self.weighting == Weighting::Poisson {
            return Err(StepError::Parameter {
                parameter: "centred",
                got: "true".into(),
                expected: "Poisson weighting is defined without centring: set weighting = \"none\""
                    .into(),
            });
        }
        Ok(())
    }
}

/// Components of some rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pca {
    /// How rows and channels were weighted.
    pub weighting: Weighting,
    /// Rows that hold anything.
    pub rows: usize,
    /// Channels that hold anything.
    pub channels: usize,
    /// Eigenvalues of the (weighted) Gram matrix, descending.
    pub eigenvalues: Vec<f64>,
    /// Sum of all eigenvalues, those not computed too.
    pub total: f64,
    /// Eigenvalue over the sum of all.
    pub explained_variance_ratio: Vec<f64>,
    /// Component spectra, one per eigenvalue, in the units of the rows.
    pub components: Vec<Vec<f64>>,
    /// Score of a row = its product with these, one per eigenvalue.
    pub projection: Vec<Vec<f64>>,
    /// Mean spectrum taken off before; empty where none was.
    pub mean: Vec<f64>,
}

impl ArtefactType for Pca {
    const KIND: &'static str = "pca";
}

impl Pca {
    /// The map from spectra to the scores of the first `k` components.
    pub fn to_scores(&self, k: usize) -> Projection {
        let k = k.min(self.projection.len());
        Projection::new(&self.projection[..k], &self.mean)
    }

    /// The spectrum that scores stand for: `out = mean + sum_k scores_k components_k`.
    pub fn spectrum(&self, scores: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        out.iter_mut().zip(&self.mean).for_each(|(o, m)| *o = *m);
        for (score, component) in scores.iter().zip(&self.components) {
            out.iter_mut().zip(component).for_each(|(o, c)| *o += score * c);
        }
    }
}

fn nothing() -> StepError {
    StepError::TooLittle {
        what: "no row holds anything: there is nothing to decompose".into(),
        hint: "check the file with kalpha inspect, or the mask".into(),
    }
}

/// Decomposes rows.
///
/// # Errors
/// When all rows are empty, hold values that are not finite, or cannot be read; cancellation.
pub fn pca(rows: &Rows, passes: &dyn Passes, params: &PcaParams) -> Result<Pca, StepError> {
    params.validate()?;
    match params.weighting {
        Weighting::Poisson => {
            let margins = margins(rows, passes)?;
            let factors: Vec<f64> = margins.rows.iter().map(|&g| inverse(g)).collect();
            let gram = gram::weighted_gram(passes, rows, &factors)?;
            drop(factors);
            poisson(passes, gram, &margins, params.components)
        }
        Weighting::None => unweighted(rows, passes, params),
    }
}

/// 1 / x where x is above 0, otherwise 0.
fn inverse(x: f64) -> f64 {
    if x > 0.0 { 1.0 / x } else { 0.0 }
}

/// The square sub-matrix of the channels `kept`, each entry times its two factors.
pub(crate) fn scaled(gram: &[f64], kept: &[usize], factors: &[f64]) -> Vec<f64> {
    let d = factors.len();
    let mut out = Vec::with_capacity(kept.len() * kept.len());
    for &i in kept {
        let row = &gram[i * d..(i + 1) * d];
        out.extend(kept.iter().map(|&j| row[j] * (factors[i] * factors[j])));
    }
    out
}

/// Components from the row-weighted Gram matrix and the margins.
fn poisson(
    passes: &dyn Passes,
    gram: Vec<f64>,
    margins: &Margins,
    k: usize,
) -> Result<Pca, StepError> {
    let roots: Vec<f64> = margins.channels.iter().map(|&h| h.max(0.0).sqrt()).collect();
    let inverse_roots: Vec<f64> = roots.iter().map(|&h| inverse(h)).collect();
    let kept: Vec<usize> = (0..roots.len()).filter(|&c| roots[c] > 0.0).collect();
    let rows = margins.rows.iter().filter(|&&g| g > 0.0).count();
    if kept.is_empty() || rows == 0 {
        return Err(nothing());
    }
    let matrix = scaled(&gram, &kept, &inverse_roots);
    drop(gram);
    let total = (0..kept.len()).map(|i| matrix[i * kept.len() + i]).sum();
    let pairs = eigen::largest(passes, &matrix, kept.len(), k.min(rows))?;
    Ok(assemble(Weighting::Poisson, rows, &kept, pairs, total, &roots, &inverse_roots, Vec::new()))
}

fn unweighted(rows: &Rows, passes: &dyn Passes, params: &PcaParams) -> Result<Pca, StepError> {
    let (n, d) = (rows.meta().rows, rows.meta().channels);
    let counts = rows.meta().noise.is_counts();
    let mut gram: Vec<f64> = match counts.then(|| gram::count_gram(passes, rows)) {
        Some(Ok(gram)) => gram.values().iter().map(|&x| x as f64).collect(),
        Some(Err(StepError::Cancelled(stop))) => return Err(stop.into()),
        // Not integers, or too large for them.
        _ => gram::weighted_gram(passes, rows, &vec![1.0; n])?,
    };
    let mut mean = Vec::new();
    if params.centred && n > 0 {
        mean = margins(rows, passes)?.channels;
        mean.iter_mut().for_each(|m| *m /= n as f64);
        for i in 0..d {
            for j in 0..d {
                gram[i * d + j] -= n as f64 * mean[i] * mean[j];
            }
        }
    }
    let ones = vec![1.0; d];
    let kept: Vec<usize> = (0..d).filter(|&c| gram[c * d + c] != 0.0).collect();
    if kept.is_empty() {
        return Err(nothing());
    }
    let matrix = if kept.len() == d { gram } else { scaled(&gram, &kept, &ones) };
    let total = (0..kept.len()).map(|i| matrix[i * kept.len() + i]).sum();
    let pairs = eigen::largest(passes, &matrix, kept.len(), params.components.min(n))?;
    Ok(assemble(Weighting::None, n, &kept, pairs, total, &ones, &ones, mean))
}

fn assemble(
    weighting: Weighting,
    rows: usize,
    kept: &[usize],
    pairs: eigen::Eigenpairs,
    total: f64,
    forward: &[f64],
    backward: &[f64],
    mean: Vec<f64>,
) -> Pca {
    let spread = |i: usize, factors: &[f64]| {
        let mut out = vec![0.0; factors.len()];
        kept.iter().zip(pairs.vector(i)).for_each(|(&c, v)| out[c] = v * factors[c]);
        out
    };
    let k = pairs.values.len();
    Pca {
        weighting,
        rows,
        channels: kept.len(),
        total,
        explained_variance_ratio: pairs.values.iter().map(|v| v * inverse(total)).collect(),
        components: (0..k).map(|i| spread(i, forward)).collect(),
        projection: (0..k).map(|i| spread(i, backward)).collect(),
        eigenvalues: pairs.values,
        mean,
    }
}

/// Step `pca`.
pub struct PcaStep;

impl Step for PcaStep {
    type Params = PcaParams;
    const ID: &'static str = "pca";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Poisson-weighted principal components from the sparse counts";
    const INPUTS: &'static [Port] = &[Port::rows("spectra", "counts or intensities")];
    const OUTPUTS: &'static [Port] = &[
        Port::whole("pca", Pca::KIND, "eigenvalues and component spectra"),
        Port::rows("scores", "scores of each row"),
    ];

    fn plan(params: PcaParams, inputs: &InputMeta) -> Result<Plan, StepError> {
        params.validate()?;
        let meta = inputs.rows("spectra")?.clone();
        if params.weighting == Weighting::Poisson
            && !matches!(meta.noise, NoiseModel::Poisson { .. })
        {
            return Err(StepError::Noise {
                port: "spectra".into(),
                got: meta.noise,
                expected: "Poisson noise",
                hint: "give counts, or set weighting = \"none\"",
            });
        }
        let planned = scores_meta(&meta, params.components.min(meta.channels).min(meta.rows));
        Ok(Plan::new(move |inputs: &Inputs, passes: &dyn Passes| {
            let rows = inputs.rows("spectra")?;
            let pca = pca(rows, passes, &params)?;
            let k = pca.eigenvalues.len();
            let signal = scores_meta(rows.meta(), k).signal;
            let projection = pca.to_scores(k);
            let scores = Mapped::new(Rows::clone(rows), projection, signal, NoiseModel::Correlated);
            Ok(Outputs::new().whole("pca", pca).rows("scores", Arc::new(scores)))
        })
        .whole("pca", Pca::KIND)
        .rows("scores", planned))
    }
}

fn scores_meta(meta: &RowsMeta, k: usize) -> RowsMeta {
    RowsMeta {
        channels: k,
        signal: Axis::index("component", k),
        noise: NoiseModel::Correlated,
        dtype: kalpha_core::DType::F64,
        ..meta.clone()
    }
}

#[cfg(test)]
mod tests;
