//! Compositions, or why there are none.

use crate::eds::{
    Composition, Convergence, EdsDocument, ElementFraction, KFactor, KFactorSource, LeftOut,
    NotQuantified, Quantification,
};
use kalpha_quantify::RefusalReason;
use kalpha_quantify::cliff_lorimer::{self, Outcome, Quantified};
use kalpha_quantify::k_factors::KOrigin;

pub(super) fn fill(found: &Quantified, doc: &mut EdsDocument) {
    doc.quantification = quantification(&found.whole, found);
    for (phase, outcome) in doc.phases.iter_mut().zip(&found.phases) {
        phase.quantification = quantification(outcome, found);
        if matches!(outcome, Outcome::NotQuantified(r) if r.reason == RefusalReason::Support) {
            phase.name = "support".to_owned();
        }
    }
    doc.k_factors = found
        .k_factors
        .iter()
        .map(|k| KFactor {
            line: k.line.clone(),
            value: k.value,
            sigma: k.relative_sigma * k.value,
            source: match k.origin {
                KOrigin::Given => KFactorSource::Given,
                KOrigin::Computed => KFactorSource::Computed,
            },
            assumed: k.assumed,
        })
        .collect();
}

fn quantification(outcome: &Outcome, found: &Quantified) -> Quantification {
    match outcome {
        Outcome::Composition(composition) => {
            Quantification::Composition(written(composition, found))
        }
        Outcome::NotQuantified(refusal) => Quantification::NotQuantified(NotQuantified {
            reason: refusal.reason.as_str().to_owned(),
            message: refusal.detail.clone(),
            hint: refusal.hint.clone(),
        }),
    }
}

fn written(composition: &cliff_lorimer::Composition, found: &Quantified) -> Composition {
    let n = composition.elements.len();
    let known = composition.atomic_covariance.iter().all(|x| x.is_finite());
    let absorption = composition.absorption.as_ref();
    Composition {
        method: "Cliff-Lorimer".to_owned(),
        elements: (0..n)
            .map(|i| ElementFraction {
                symbol: composition.elements[i].clone(),
                family: composition.lines[i].clone(),
                weight_percent: composition.weight_percent[i].clone(),
                atomic_percent: composition.atomic_percent[i].clone(),
            })
            .collect(),
        left_out: found
            .left_out
            .iter()
            .map(|(symbol, rule)| LeftOut { symbol: symbol.clone(), rule: rule.clone() })
            .collect(),
        thickness_nm: found.thickness_nm,
        density_g_cm3: absorption.map(|a| a.density_g_cm3),
        convergence: absorption
            .map(|a| Convergence { iterations: a.iterations, converged: a.converged }),
        atomic_covariance: (known && n > 0)
            .then(|| composition.atomic_covariance.chunks(n).map(<[f64]>::to_vec).collect()),
    }
}
