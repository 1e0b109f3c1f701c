//! Phases: pixels of one composition.
//!
//! Scores of the Poisson-weighted PCA, divided by the pixel's counts `n`, are
//! `z = sqrt(N) s / n` with `N` all counts. Around the mean of a phase their noise is nearly
//! white with variance `1/n`, so phases are clusters in `z`, found by k-means with weights `n`
//! (Lloyd 1982, doi:10.1109/TIT.1982.1056489; seeding: Arthur and Vassilvitskii 2007).
//!
//! The space has as many dimensions as the rank, or as parallel analysis finds above the noise
//! where that is more: small phases stand above the noise before they help to predict counts.
//!
//! **How many** is decided by stability, not by the number of components: three phases can mix
//! from two components, and one component can be a gradient. Pixels are split in two halves at
//! random; the clusters of one half predict those of the other. The prediction strength of `k`
//! clusters (Tibshirani and Walther 2005, doi:10.1198/106186005X59243) is the share of pixel
//! pairs of a cluster that the other half's centres keep together, in the worst cluster. The
//! largest `k` whose mean strength reaches 0.85 is taken. Both labellings see the same noise, so a
//! noisy pixel counts against neither.
//!
//! A cluster on the line between two others whose pixels scatter along that line more than noise
//! does is a boundary, and is no phase.
//!
//! **Boundary pixels** are `mixed`: they lie on the line between two centres, further from both
//! than noise explains, or noise leaves open which phase they belong to.
//!
//! The area fraction counts a mixed pixel for the share of each phase in it. Its interval holds
//! the uncertainty of every label and half of the mixed pixels' shares.
//!
//! Cost: one pass for the scores, `O(sample k K)` per k-means iteration on at most 32 768
//! pixels, one pass for the summed spectra.

mod kmeans;
mod mixed;
mod stability;

use crate::{pca::Pca, rank::Rank};
use kalpha_core::{
    ArtefactType, Axis, Cell, Code, DType, DenseRows, DenseValues, Diagnostic, Fold, InputMeta,
    Inputs, Merge, NoiseModel, Outputs, Passes, Plan, Port, Rows, RowsMeta, Step, StepError,
};
use kmeans::Points;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Label of a pixel on a boundary.
pub const MIXED: i16 = -1;
/// Label of a pixel without counts.
pub const EMPTY: i16 = -2;

/// Pixels of the largest sample that clusters are searched in.
const SAMPLE: usize = 32_768;

/// One phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// Pixels labelled with it.
    pub pixels: usize,
    /// Share of the pixels that hold counts; mixed ones count for their share.
    pub area_fraction: f64,
    /// 95 % interval of the area fraction.
    pub interval: (f64, f64),
    /// Summed counts of its pixels, per channel.
    pub sum: Vec<f64>,
    /// Centre in the space of dose-normalised scores.
    pub centre: Vec<f64>,
}

/// How stable a number of phases is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stability {
    /// Number of phases.
    pub phases: usize,
    /// Mean prediction strength over the splits, 0 to 1.
    pub strength: f64,
    /// Standard error of that mean.
    pub standard_error: f64,
}

/// The phases of a map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Phases {
    /// Phases, largest area first; their index is the label.
    pub phases: Vec<Phase>,
    /// Pixels labelled mixed.
    pub mixed: usize,
    /// Pixels without counts.
    pub empty: usize,
    /// Stability of each number of phases tried; empty where the number was given.
    pub stability: Vec<Stability>,
    /// Mean squared distance to the centre over what counting explains; 1 for pure phases.
    pub inflation: f64,
}

impl ArtefactType for Phases {
    const KIND: &'static str = "phases";
}

/// Parameters of `phases`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PhasesParams {
    /// Number of phases; 0 lets stability decide.
    pub phases: usize,
    /// Largest number considered.
    pub max_phases: usize,
    /// Random splits for the stability.
    pub splits: usize,
    /// Prediction strength that a number of phases must reach.
    pub strength: f64,
}

impl Default for PhasesParams {
    fn default() -> Self {
        Self { phases: 0, max_phases: 8, splits: 10, strength: 0.85 }
    }
}

/// Sums spectra by label.
struct SumByLabel<'a> {
    labels: &'a [i16],
    phases: usize,
    channels: usize,
}

impl Fold for SumByLabel<'_> {
    type State = Vec<f64>;
    type Scratch = ();
    const MERGE: Merge = Merge::Ordered;

    fn start(&self) -> Vec<f64> {
        vec![0.0; self.phases * self.channels]
    }

    fn absorb(&self, state: &mut Vec<f64>, cell: &Cell<'_>, (): &mut ()) {
        cell.for_each_nonzero(|row, channel, x| {
            if let Ok(label) = usize::try_from(self.labels[cell.first_row + row]) {
                state[label * self.channels + channel] += x;
            }
        });
    }

    fn merge(&self, state: &mut Vec<f64>, later: Vec<f64>) {
        state.iter_mut().zip(later).for_each(|(a, b)| *a += b);
    }
}

/// Dose-normalised scores and doses of all rows.
fn points(
    rows: &Rows,
    passes: &dyn Passes,
    pca: &Pca,
    components: usize,
) -> Result<Points, StepError> {
    let k = components.clamp(1, pca.projection.len().max(1));
    let mut z = passes.map(&pca.to_scores(k), rows, k)?;
    let mut dose = vec![0.0; rows.meta().rows];
    passes.map_rows(rows, 1, &mut dose, |(): &mut (), cell, dose| {
        cell.for_each_nonzero(|row, _, x| dose[row] += x);
    })?;
    let root = dose.iter().sum::<f64>().sqrt();
    for (z, &n) in z.chunks_exact_mut(k).zip(&dose) {
        z.iter_mut().for_each(|z| *z = if n > 0.0 { *z * root / n } else { 0.0 });
    }
    Ok(Points { dimensions: k, z, dose })
}

/// Finds the phases and labels every row.
///
/// # Errors
/// When rows cannot be read; cancellation.
pub fn phases(
    rows: &Rows,
    passes: &dyn Passes,
    pca: &Pca,
    rank: &Rank,
    params: &PhasesParams,
) -> Result<(Phases, Vec<i16>), StepError> {
    // A small phase can stand above the noise and yet predict too few counts to be chosen.
    let components = rank.components.max(rank.parallel_analysis);
    let all = points(rows, passes, pca, components)?;
    let used = all.dose.iter().filter(|&&n| n > 0.0).count();
    let sample = all.sample(SAMPLE, passes.ctx().seed());
    let stability = match params.phases {
        0 => stability::strengths(&sample, passes, params.max_phases, params.splits)?,
        _ => Vec::new(),
    };
    let k = match params.phases {
        0 => stability::choose(&stability, params.strength),
        given => given,
    };
    let centres = kmeans::kmeans(&sample, k.min(used).max(1), passes.ctx(), 0)?;
    let centres = match params.phases {
        0 => mixed::without_bridges(&sample, centres),
        _ => centres,
    };
    let labelled = mixed::label(&all, &centres);
    let order = labelled.order();
    let labels = labelled.relabelled(&order);
    let (count, channels) = (order.len(), rows.meta().channels);
    let sums = passes.fold(&SumByLabel { labels: &labels, phases: count, channels }, rows)?;
    let list = order.iter().enumerate().map(|(label, &from)| Phase {
        pixels: labels.iter().filter(|&&l| l == label as i16).count(),
        area_fraction: labelled.shares[from] / used.max(1) as f64,
        interval: labelled.interval(from, used),
        sum: sums[label * channels..(label + 1) * channels].to_vec(),
        centre: centres[from].clone(),
    });
    let found = Phases {
        phases: list.collect(),
        mixed: labels.iter().filter(|&&l| l == MIXED).count(),
        empty: labels.iter().filter(|&&l| l == EMPTY).count(),
        stability,
        inflation: labelled.inflation,
    };
    Ok((found, labels))
}

/// Step `phases`.
pub struct PhasesStep;

impl Step for PhasesStep {
    type Params = PhasesParams;
    const ID: &'static str = "phases";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Clusters of dose-normalised scores, their number by stability";
    const INPUTS: &'static [Port] = &[
        Port::rows("spectra", "counts without the strobe channels"),
        Port::whole("pca", Pca::KIND, "their Poisson-weighted components"),
        Port::whole("rank", Rank::KIND, "number of components"),
    ];
    const OUTPUTS: &'static [Port] = &[
        Port::whole("phases", Phases::KIND, "phases with area fractions and summed spectra"),
        Port::rows("labels", "phase of each row; -1 is mixed, -2 holds no counts"),
    ];

    fn plan(params: PhasesParams, inputs: &InputMeta) -> Result<Plan, StepError> {
        let meta = inputs.counts("spectra")?.clone();
        for (parameter, got, least) in
            [("max_phases", params.max_phases, 1), ("splits", params.splits, 2)]
        {
            if got < least {
                let expected = format!("at least {least}");
                return Err(StepError::Parameter { parameter, got: got.to_string(), expected });
            }
        }
        let planned = RowsMeta {
            channels: 1,
            dtype: DType::I16,
            signal: Axis::index("label", 1),
            noise: NoiseModel::Unknown,
            ..meta
        };
        let of_labels = planned.clone();
        let run = move |inputs: &Inputs, passes: &dyn Passes| {
            let rows = inputs.rows("spectra")?;
            let (pca, rank) = (inputs.whole::<Pca>("pca")?, inputs.whole::<Rank>("rank")?);
            let (found, labels) = phases(rows, passes, pca, rank, &params)?;
            let labels = DenseRows::new(of_labels, DenseValues::I16(labels.into()))?;
            let share = found.mixed as f64 / rows.meta().rows.max(1) as f64;
            let outputs = Outputs::new().rows("labels", Arc::new(labels));
            let outputs = match share > 0.3 && found.phases.len() > 1 {
                true => outputs.warn(
                    Diagnostic::note(
                        Code::NotIdentifiable,
                        format!(
                            "{:.0} % of the pixels are mixed: boundaries or gradients rather than phases",
                            100.0 * share
                        ),
                    )
                    .hint("look at the abundance maps; phases describe this map only partly"),
                ),
                false => outputs,
            };
            Ok(outputs.whole("phases", found))
        };
        Ok(Plan::new(run).whole("phases", Phases::KIND).rows("labels", planned))
    }
}

#[cfg(test)]
mod tests;
