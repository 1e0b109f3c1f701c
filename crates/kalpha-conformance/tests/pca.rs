//! PCA and the number of components of real maps, against HyperSpy.

#![allow(clippy::unwrap_used)]

use kalpha_core::{Ctx, Passes, Rows};
use kalpha_decompose::{
    pca::{PcaParams, Weighting, pca},
    rank::{ChosenBy, RankParams, rank},
};
use kalpha_engine::Engine;
use kalpha_io::{OpenOptions, open};

fn fept() -> Option<(Rows, serde_json::Value)> {
    let data = kalpha_reference::path("data/eds/FePt_core_shell.hspy")?;
    let reference = kalpha_reference::path("reference/eds/ref_eds.json")?;
    let reference: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(reference).unwrap()).unwrap();
    let dataset = open(data, &OpenOptions::default()).unwrap();
    Some((dataset.rows, reference["FePt_core_shell"].clone()))
}

fn numbers(value: &serde_json::Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// HyperSpy 2.5, `decomposition(normalize_poissonian_noise=True, output_dimension=10)`: its
/// ratio is to the ten it computed, by randomised SVD, which holds the three components above
/// the noise to 1e-7 and falls up to 5 % short of the noise.
#[test]
fn weighted_eigenvalues_are_those_of_hyperspy() {
    let Some((rows, reference)) = fept() else { return };
    let engine = Engine::new(2, Ctx::default()).unwrap();
    let found = pca(&rows, &engine, &PcaParams::default()).unwrap();
    let peer = numbers(&reference["pca_poisson_explained_variance_ratio"]);
    for k in 0..3 {
        let (ours, theirs) = (found.eigenvalues[k] / found.eigenvalues[0], peer[k] / peer[0]);
        assert!((ours / theirs - 1.0).abs() < 1e-7, "{k}: {ours} {theirs}");
    }
    for k in 3..10 {
        let (ours, theirs) = (found.eigenvalues[k] / found.eigenvalues[0], peer[k] / peer[0]);
        assert!(ours > theirs && ours < 1.06 * theirs, "{k}: {ours} {theirs}");
    }
    assert!((found.eigenvalues[0] - 1.0).abs() < 1e-12);
    // Scores times components keep the counts: the first component carries the sums.
    let scores = (&engine as &dyn Passes).map(&found.to_scores(1), &rows, 1).unwrap();
    let total = scores.iter().sum::<f64>() * found.components[0].iter().sum::<f64>();
    assert!((total / 884_071.0 - 1.0).abs() < 1e-9, "{total}");
}

#[test]
fn unweighted_ratios_are_those_of_hyperspy() {
    let Some((rows, reference)) = fept() else { return };
    let engine = Engine::new(2, Ctx::default()).unwrap();
    let params = PcaParams { components: 10, weighting: Weighting::None, centred: false };
    let found = pca(&rows, &engine, &params).unwrap();
    let peer = numbers(&reference["svd_unweighted_evr"]);
    let computed: f64 = found.eigenvalues.iter().sum();
    for k in 0..10 {
        let ours = found.eigenvalues[k] / computed;
        assert!((ours / peer[k] - 1.0).abs() < 0.02, "{k}: {ours} {}", peer[k]);
    }
}

#[test]
fn fept_core_shell_has_three_components() {
    let Some((rows, _)) = fept() else { return };
    let engine = Engine::new(2, Ctx::default()).unwrap();
    let reference = pca(&rows, &engine, &PcaParams::default()).unwrap();
    let found = rank(&rows, &engine, &reference, &RankParams::default()).unwrap();
    assert_eq!((found.components, found.chosen_by), (3, ChosenBy::Thinning), "{found:?}");
    assert_eq!((found.elbow, found.parallel_analysis), (3, 3), "{found:?}");
    assert!(found.dispersion.passed, "{:?}", found.dispersion);
}
