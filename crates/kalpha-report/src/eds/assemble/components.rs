//! The number of components and the evidence for it.

use crate::eds::{CumulativeVariance, Dispersion, Rank, ThinningCurve};
use kalpha_decompose::rank::{self, ChosenBy};

/// Share of the variance that the bare rule of thumb asks for.
const RULE_OF_THUMB: f64 = 0.99;

pub(super) fn rank(found: &rank::Rank) -> Rank {
    let thinning = &found.thinning;
    Rank {
        chosen: found.components,
        chosen_by: match found.chosen_by {
            ChosenBy::Given => "given".to_owned(),
            ChosenBy::Thinning => {
                "prediction of the thinned half of the counts, one-standard-error rule".to_owned()
            }
            ChosenBy::Elbow => "elbow, because the counts are not Poisson".to_owned(),
        },
        thinning: Some(ThinningCurve {
            components: (0..thinning.error.len()).collect(),
            error: thinning.error.clone(),
            standard_error: thinning.difference_standard_error.clone(),
            thinnings: thinning.thinnings,
        }),
        dispersion: Some(Dispersion {
            index: found.dispersion.index,
            sigma: found.dispersion.sigma,
            passed: found.dispersion.passed,
        }),
        elbow: Some(found.elbow),
        cumulative_variance: found
            .cumulative_variance
            .map(|components| CumulativeVariance { threshold: RULE_OF_THUMB, components }),
        parallel_analysis: Some(found.parallel_analysis),
        malinowski_ind: Some(found.malinowski_ind),
    }
}
