//! The number of components that counts can support.
//!
//! Counts are thinned at random into halves A and B: both Poisson, independent, each with half
//! the mean. Components are found in A and judged on B. In the Keenan-Kotula weighting of
//! [`crate::pca`], with (lambda_j, v_j) the eigenpairs of A^T A and t_j = v_j^T A^T B v_j, B is
//! predicted by the scores of A shrunk by c_j = max(0, t_j / lambda_j), the best factor there is:
//!
//! ```text
//! error(k) = |B - sum_{j <= k} c_j A v_j v_j^T|^2 + 2 sum_{j <= k, c_j > 0} n_j
//!          = |B|^2 + sum_{j <= k, c_j > 0} (2 n_j - t_j^2 / lambda_j)
//! ```
//!
//! n_j is the Poisson noise of one row of B along v_j, sum_rc v_jc^2 w_rc b_rc over the number of
//! rows. The term 2 n_j pays for c_j
//! having been fitted (Mallows 1973, doi:10.1080/00401706.1973.10489103). A component of noise
//! has t_j near 0 with the variance lambda_j n_j, since B knows nothing of the noise in A, so it
//! adds n_j; a real one takes away more than it adds. A factor that follows from lambda_j alone
//! (Wiener's) is too large where there are not many more rows than channels, and weak components
//! of large maps are lost by it. Components are taken in the order of what they predict. The smallest k whose error exceeds the least one by no more
//! than one standard error of the difference is chosen, thinning and counting both in it
//! (Breiman et al. 1984, one-standard-error rule; thinning: Neufeld et al. 2024,
//! doi:10.5555/3722577.3722634).
//!
//! This holds for Poisson counts only. Were the variance phi times the mean, the residuals of A
//! and B would be correlated: phi = 1 + 4 sum(r_A r_B) / sum(a + b), weighted, is reported, and
//! where it is off, the elbow of the eigenvalues is taken instead, with a warning.
//!
//! Beside it, for comparison: elbow of the eigenvalues (largest distance from the chord, on a
//! logarithmic scale), cumulative variance of the unweighted data, parallel analysis against
//! photons of random sign (Hong, Sheng and Dobriban 2020, arXiv:2012.02985), and Malinowski's
//! indicator function (1977, doi:10.1021/ac50012a026).
//!
//! Complexity: one half-filled Gram matrix, eigen step and projection per thinning. Tested on
//! simulated mixtures of known rank and on FePt_core_shell.

mod criteria;
mod thinned;

pub use criteria::{elbow, malinowski_ind};

use crate::pca::{Margins, Pca, PcaParams, Projection, Weighting, margins, pca, scaled};
use kalpha_core::{
    ArtefactType, Code, Diagnostic, InputMeta, Inputs, Outputs, Passes, Plan, Port, Rows, Step,
    StepError,
};
use kalpha_num::{eigen, gram, rng::Stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use thinned::{Halves, NoiseSums, Thinned};

/// Share of the variance that the bare rule wants.
const CUMULATIVE: f64 = 0.99;
/// Index of dispersion further from 1 than this is not Poisson for our purpose. Structure that
/// no component holds (a rare pixel, pile-up) moves it by less.
const MAX_DISPERSION: f64 = 0.03;
/// ... unless within this many standard deviations.
const DISPERSION_SIGMAS: f64 = 4.0;

/// Components of a half need no more digits than this: noise has no gaps between its own.
const JUDGED_TOLERANCE: f64 = 1e-7;

/// Parameters of `rank`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RankParams {
    /// Number of components to use; 0 lets the counts decide.
    pub components: usize,
    /// Largest number considered.
    pub max_components: usize,
    /// Number of thinnings, at least 5.
    pub thinnings: usize,
}

impl Default for RankParams {
    fn default() -> Self {
        Self { components: 0, max_components: 16, thinnings: 5 }
    }
}

impl RankParams {
    fn validate(&self) -> Result<(), StepError> {
        let wrong = |parameter, got: usize, expected: &str| {
            Err(StepError::Parameter { parameter, got: got.to_string(), expected: expected.into() })
        };
        match self {
            Self { thinnings: 0..5, .. } => {
                wrong("thinnings", self.thinnings, "at least 5, for a standard error")
            }
            Self { max_components: 0, .. } => wrong("max_components", 0, "at least 1"),
            _ => Ok(()),
        }
    }
}

/// How a number of components was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChosenBy {
    /// Given by the user.
    Given,
    /// Prediction error on the thinned half.
    Thinning,
    /// Elbow of the eigenvalues: the counts are not Poisson.
    Elbow,
}

/// Prediction error on the thinned half against the number of components.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThinningError {
    /// Thinnings made.
    pub thinnings: usize,
    /// Mean error for 0, 1, 2... components, as a share of the error without any.
    pub error: Vec<f64>,
    /// Standard error of these means over the thinnings.
    pub standard_error: Vec<f64>,
    /// Standard error of the difference to the least error: what the rule uses.
    pub difference_standard_error: Vec<f64>,
}

/// Variance over mean of what the components leave.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dispersion {
    /// Index of dispersion; 1 for Poisson counts.
    pub index: f64,
    /// Its standard deviation for Poisson counts.
    pub sigma: f64,
    /// The counts pass as Poisson.
    pub passed: bool,
}

/// Number of components and the evidence for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rank {
    /// Number of components to use.
    pub components: usize,
    /// What chose it.
    pub chosen_by: ChosenBy,
    /// Prediction error on the thinned half.
    pub thinning: ThinningError,
    /// Number the thinning would choose.
    pub by_thinning: usize,
    /// Test that the counts are Poisson.
    pub dispersion: Dispersion,
    /// Elbow of the eigenvalues.
    pub elbow: usize,
    /// Components that explain 99 % of the unweighted variance; absent where more than were
    /// computed.
    pub cumulative_variance: Option<usize>,
    /// Eigenvalues above those of photons with random sign.
    pub parallel_analysis: usize,
    /// Largest eigenvalue of photons with random sign, two standard deviations above its mean
    /// over the thinnings: the edge of the noise.
    pub noise_edge: f64,
    /// Minimum of Malinowski's indicator function.
    pub malinowski_ind: usize,
}

impl ArtefactType for Rank {
    const KIND: &'static str = "rank";
}

/// What one thinning says.
struct Judged {
    /// |B|^2, the change by each component, and the variance of that by counting.
    none: f64,
    change: Vec<f64>,
    change_variance: Vec<f64>,
    /// Sum of r_A r_B, sum of a + b, variance of the former; all weighted.
    residual: f64,
    noise: f64,
    variance: f64,
}

/// Finds the number of components of raw counts.
///
/// `reference` is their Poisson-weighted PCA.
///
/// # Errors
/// When nothing was counted or rows cannot be read; cancellation.
pub fn rank(
    rows: &Rows,
    passes: &dyn Passes,
    reference: &Pca,
    params: &RankParams,
) -> Result<Rank, StepError> {
    params.validate()?;
    let margins = margins(rows, passes)?;
    let weights = Weights::new(&margins, rows, passes)?;
    let most = params.max_components.min(reference.eigenvalues.len()).max(1);
    let mut judged = Vec::with_capacity(params.thinnings);
    let all = gram::weighted_gram(passes, rows, &weights.rows)?;
    let all = scaled(&all, &weights.kept, &weights.roots);
    let mut edges = Vec::with_capacity(params.thinnings);
    for thinning in 0..params.thinnings {
        let stream = Stream::new(passes.ctx().seed(), "rank.thin", thinning as u32);
        let half = half_gram(rows, passes, &weights, stream, false)?;
        edges.push(edge(rows, passes, &weights, stream, &half, &all)?);
        judged.push(judge(rows, passes, &weights, stream, &half, most)?);
    }
    drop(all);
    let (mean, error) = mean_and_error(&edges);
    let noise_edge = mean + 2.0 * error * (edges.len() as f64).sqrt();
    let thinning = summarise(&judged);
    let by_thinning = one_standard_error(&thinning);
    let dispersion = dispersion(&judged);
    let values = &reference.eigenvalues[..];
    let elbow = elbow(values);
    let (components, chosen_by) = match (params.components, dispersion.passed) {
        (0, true) => (by_thinning, ChosenBy::Thinning),
        (0, false) => (elbow, ChosenBy::Elbow),
        (given, _) => (given, ChosenBy::Given),
    };
    let plain = PcaParams { components: most, weighting: Weighting::None, centred: false };
    let mut explained = 0.0;
    let plain = pca(rows, passes, &plain)?;
    let cumulative_variance = plain.explained_variance_ratio.iter().position(|share| {
        explained += share;
        explained >= CUMULATIVE
    });
    Ok(Rank {
        components,
        chosen_by,
        thinning,
        by_thinning,
        dispersion,
        elbow,
        cumulative_variance: cumulative_variance.map(|i| i + 1),
        parallel_analysis: values.iter().take_while(|&&value| value > noise_edge).count(),
        noise_edge,
        malinowski_ind: malinowski_ind(values, reference.total, reference.rows, reference.channels),
    })
}

/// Factors of the weighting, from the sums of all counts.
struct Weights {
    /// 1 / sum of each row.
    rows: Vec<f64>,
    /// 1 / sum of each channel, and its root.
    channels: Vec<f64>,
    roots: Vec<f64>,
    /// Channels that hold anything.
    kept: Vec<usize>,
    /// Variance of the noise of each kept channel, summed over rows: sum_r x_rc w_rc.
    noise: Vec<f64>,
}

impl Weights {
    fn new(margins: &Margins, rows: &Rows, passes: &dyn Passes) -> Result<Self, StepError> {
        let inverse = |x: &f64| if *x > 0.0 { 1.0 / x } else { 0.0 };
        let channels: Vec<f64> = margins.channels.iter().map(inverse).collect();
        let factors: Vec<f64> = margins.rows.iter().map(inverse).collect();
        let kept: Vec<usize> = (0..channels.len()).filter(|&c| channels[c] > 0.0).collect();
        let sums = passes.fold(&NoiseSums { rows: &factors, channels: channels.len() }, rows)?;
        Ok(Self {
            rows: factors,
            roots: channels.iter().map(|h| h.sqrt()).collect(),
            noise: kept.iter().map(|&c| sums[c] * channels[c]).collect(),
            kept,
            channels,
        })
    }
}

/// Weighted Gram matrix of one half of the counts: the first, or the one left over.
fn half_gram(
    rows: &Rows,
    passes: &dyn Passes,
    weights: &Weights,
    stream: Stream,
    left_over: bool,
) -> Result<Vec<f64>, StepError> {
    let half: Rows = Arc::new(Thinned::new(Rows::clone(rows), stream, left_over));
    let gram = gram::weighted_gram(passes, &half, &weights.rows)?;
    Ok(scaled(&gram, &weights.kept, &weights.roots))
}

/// Largest eigenvalue of (A - B)^T (A - B): every photon has a random sign, so all structure
/// is gone and the noise is that of the counts.
fn edge(
    rows: &Rows,
    passes: &dyn Passes,
    weights: &Weights,
    stream: Stream,
    half: &[f64],
    all: &[f64],
) -> Result<f64, StepError> {
    // (A - B)^T (A - B) = 2 (A^T A + B^T B) - X^T X.
    let mut signed = half_gram(rows, passes, weights, stream, true)?;
    for ((b, a), x) in signed.iter_mut().zip(half).zip(all) {
        *b = 2.0 * (*a + *b) - x;
    }
    let size = weights.kept.len();
    let top = eigen::largest_within(passes, &signed, size, 1, 1e-4)?;
    Ok(top.values.first().copied().unwrap_or(0.0))
}

/// Components of A, judged on B.
fn judge(
    rows: &Rows,
    passes: &dyn Passes,
    weights: &Weights,
    stream: Stream,
    half: &[f64],
    most: usize,
) -> Result<Judged, StepError> {
    let size = weights.kept.len();
    let occupied = weights.rows.iter().filter(|&&w| w > 0.0).count().max(1) as f64;
    let pairs = eigen::largest_within(passes, half, size, most, JUDGED_TOLERANCE)?;
    let k = pairs.values.len();
    let projection: Vec<Vec<f64>> = (0..k)
        .map(|i| {
            let mut out = vec![0.0; weights.channels.len()];
            let vector = weights.kept.iter().zip(pairs.vector(i));
            vector.for_each(|(&c, v)| out[c] = v * weights.roots[c]);
            out
        })
        .collect();
    let projection = Projection::new(&projection, &[]);
    let halves = Halves { stream, projection, rows: &weights.rows, channels: &weights.channels };
    let sums = passes.fold(&halves, rows)?;
    let mut changes = Vec::with_capacity(k);
    for (j, &value) in pairs.values.iter().enumerate() {
        let squares = pairs.vector(j).iter().zip(&weights.noise);
        // Half the counts have half the noise; what one row has of it.
        let noise = 0.5 * squares.map(|(v, n)| v * v * n).sum::<f64>() / occupied;
        let shrunk = (sums.products[j] / value.max(f64::MIN_POSITIVE)).max(0.0);
        let change = if shrunk > 0.0 { 2.0 * noise - shrunk * sums.products[j] } else { 0.0 };
        changes.push((change, 4.0 * shrunk * shrunk * value * noise));
    }
    // A single bright channel can make a component of noise stand before a real one.
    changes.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (change, change_variance) = changes.into_iter().unzip();
    let shared = &sums.products;
    Ok(Judged {
        none: sums.squares_b,
        change,
        change_variance,
        residual: sums.ab - shared.iter().sum::<f64>(),
        noise: sums.total,
        variance: sums.ab_weighted,
    })
}

/// Mean and standard error of the mean.
fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    (mean, (variance / n).sqrt())
}

fn summarise(judged: &[Judged]) -> ThinningError {
    let k = judged.iter().map(|j| j.change.len()).min().unwrap_or(0);
    let curves: Vec<Vec<f64>> = judged
        .iter()
        .map(|j| {
            let mut error = j.none;
            let scale = 1.0 / j.none.max(f64::MIN_POSITIVE);
            let first = std::iter::once(j.none * scale);
            let rest = j.change[..k].iter().map(|change| {
                error += change;
                error * scale
            });
            first.chain(rest).collect()
        })
        .collect();
    let column = |i: usize| curves.iter().map(|c| c[i]).collect::<Vec<f64>>();
    let (error, standard_error): (Vec<f64>, Vec<f64>) =
        (0..=k).map(|i| mean_and_error(&column(i))).unzip();
    let least = (0..=k).min_by(|&a, &b| error[a].total_cmp(&error[b])).unwrap_or(0);
    let difference = |i: usize| {
        let pairs: Vec<f64> = curves.iter().map(|c| c[i] - c[least]).collect();
        // The thinnings share their counts: their spread lacks the noise of the counts.
        let counting = judged.iter().map(|j| {
            let between = &j.change_variance[i.min(least)..i.max(least)];
            between.iter().sum::<f64>() / j.none.max(f64::MIN_POSITIVE).powi(2)
        });
        let counting = counting.sum::<f64>() / judged.len() as f64;
        (mean_and_error(&pairs).1.powi(2) + counting).sqrt()
    };
    ThinningError {
        thinnings: judged.len(),
        difference_standard_error: (0..=k).map(difference).collect(),
        error,
        standard_error,
    }
}

/// The smallest number of components, at least 1, within one standard error of the best.
fn one_standard_error(curve: &ThinningError) -> usize {
    let least = curve.error.iter().copied().fold(f64::INFINITY, f64::min);
    let within = |k: &usize| curve.error[*k] - least <= curve.difference_standard_error[*k];
    (1..curve.error.len()).find(within).unwrap_or(1)
}

fn dispersion(judged: &[Judged]) -> Dispersion {
    let n = judged.len() as f64;
    let mean = |f: &dyn Fn(&Judged) -> f64| judged.iter().map(f).sum::<f64>() / n;
    let noise = mean(&|j| j.noise).max(f64::MIN_POSITIVE);
    let index = 1.0 + 4.0 * mean(&|j| j.residual) / noise;
    // One thinning has the variance 16 sum (mu w / 2)^2 / noise^2, and a b estimates mu^2 / 4
    // without bias. Half of it is the thinning's own and averages out.
    let variance = 16.0 * mean(&|j| j.variance) * (0.5 + 0.5 / n) / (noise * noise);
    let sigma = variance.sqrt();
    let off = (index - 1.0).abs();
    Dispersion { index, sigma, passed: off <= MAX_DISPERSION.max(DISPERSION_SIGMAS * sigma) }
}

/// Step `rank`.
pub struct RankStep;

impl Step for RankStep {
    type Params = RankParams;
    const ID: &'static str = "rank";
    const REVISION: u32 = 3;
    const ABOUT: &'static str = "Number of components that a thinned half of the counts predicts";
    const INPUTS: &'static [Port] = &[
        Port::rows("spectra", "raw counts"),
        Port::whole("pca", Pca::KIND, "their Poisson-weighted components"),
    ];
    const OUTPUTS: &'static [Port] =
        &[Port::whole("rank", Rank::KIND, "number of components and the evidence for it")];

    fn plan(params: RankParams, inputs: &InputMeta) -> Result<Plan, StepError> {
        params.validate()?;
        inputs.counts("spectra")?;
        Ok(Plan::new(move |inputs: &Inputs, passes: &dyn Passes| {
            let rows = inputs.rows("spectra")?;
            let given: &Pca = inputs.whole("pca")?;
            let own;
            let reference = if given.weighting == Weighting::Poisson {
                given
            } else {
                own = pca(rows, passes, &PcaParams::default())?;
                &own
            };
            let rank = rank(rows, passes, reference, &params)?;
            let mut outputs = Outputs::new();
            if !rank.dispersion.passed {
                outputs = outputs.warn(not_poisson(&rank.dispersion));
            }
            if rank.chosen_by == ChosenBy::Thinning && rank.components == params.max_components {
                outputs = outputs.warn(
                    Diagnostic::warning(
                        Code::RankUncertain,
                        format!(
                            "all {} components are predicted; there may be more",
                            rank.components
                        ),
                    )
                    .hint("raise rank.max_components and pca.components"),
                );
            }
            Ok(outputs.whole("rank", rank))
        })
        .whole("rank", Rank::KIND))
    }
}

fn not_poisson(dispersion: &Dispersion) -> Diagnostic {
    Diagnostic::warning(
        Code::Overdispersed,
        format!(
            "the counts are not Poisson: variance over mean is {:.3} +- {:.3}; the number of components is taken from the elbow of the eigenvalues",
            dispersion.index, dispersion.sigma
        ),
    )
    .hint("give the counts as recorded, neither scaled nor smoothed, or set rank.components")
}

#[cfg(test)]
mod tests;
