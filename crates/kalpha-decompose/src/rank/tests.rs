use super::*;
use crate::simulated::{means, mixture, rows};
use kalpha_core::Serial;

fn find(counts: &[Vec<u32>]) -> Rank {
    let rows = rows(counts);
    let serial = Serial::default();
    let reference = pca(&rows, &serial, &PcaParams::default()).unwrap();
    rank(&rows, &serial, &reference, &RankParams::default()).unwrap()
}

#[test]
fn mixtures_of_known_rank_at_several_doses() {
    for (k, n, d, dose) in
        [(1, 800, 120, 50.0), (2, 1500, 200, 60.0), (3, 2000, 256, 100.0), (4, 3000, 256, 150.0)]
    {
        let found = find(&mixture(k, n, d, dose, 10 + k as u64));
        assert_eq!(found.components, k, "{found:?}");
        assert_eq!(found.chosen_by, ChosenBy::Thinning);
        assert_eq!(found.parallel_analysis, k, "{found:?}");
    }
}

/// Three phases of which the third covers a twentieth of the map and shares most lines: each row
/// holds less of it than noise, all rows together hold plenty.
#[test]
fn a_weak_component_of_many_rows_is_not_lost() {
    let (n, d) = (12_000, 128);
    let line = |c: usize, at: f64| (-0.5 * ((c as f64 - at) / 3.0).powi(2)).exp();
    let shape = |own: f64| -> Vec<f64> {
        let s: Vec<f64> = (0..d).map(|c| 0.05 + line(c, 40.0) + 0.5 * line(c, own)).collect();
        let sum: f64 = s.iter().sum();
        s.iter().map(|x| 30.0 * x / sum).collect()
    };
    let phases = [shape(70.0), shape(90.0), shape(110.0)];
    let stream = Stream::new(5, "weak", 0);
    let counts: Vec<Vec<u32>> = (0..n)
        .map(|r| {
            let phase = if r % 20 == 7 { 2 } else { r % 2 };
            let mut draws = stream.row(r);
            phases[phase].iter().map(|&mean| draws.poisson(mean) as u32).collect()
        })
        .collect();
    let found = find(&counts);
    assert_eq!(found.components, 3, "{found:?}");
}

#[test]
fn six_components_where_the_bare_rule_sees_one() {
    // Six spectra that share nine tenths of their counts, at a dose where the noise is small.
    let k = 6;
    let (n, d) = (3000, 200);
    let own = means(k, n, d, 1500.0);
    let common = means(1, n, d, 28_500.0);
    let stream = Stream::new(77, "six", 0);
    let counts: Vec<Vec<u32>> = own
        .iter()
        .zip(&common)
        .enumerate()
        .map(|(r, (a, b))| {
            let mut draws = stream.row(r);
            a.iter().zip(b).map(|(x, y)| draws.poisson(x + y) as u32).collect()
        })
        .collect();
    let found = find(&counts);
    assert_eq!(found.cumulative_variance, Some(1), "{found:?}");
    assert_eq!(found.components, 6, "{found:?}");
}

#[test]
fn poisson_counts_pass_and_scaled_or_smoothed_ones_do_not() {
    let counts = mixture(3, 1500, 128, 80.0, 21);
    let poisson = find(&counts);
    let off = (poisson.dispersion.index - 1.0) / poisson.dispersion.sigma;
    assert!(poisson.dispersion.passed && off.abs() < 4.0, "{:?}", poisson.dispersion);
    let doubled: Vec<Vec<u32>> =
        counts.iter().map(|row| row.iter().map(|x| 2 * x).collect()).collect();
    let found = find(&doubled);
    assert!(found.dispersion.index > 1.5, "{:?}", found.dispersion);
    assert!(!found.dispersion.passed && found.chosen_by == ChosenBy::Elbow);
    let smoothed: Vec<Vec<u32>> = counts
        .windows(3)
        .map(|w| (0..128).map(|c| (w[0][c] + w[1][c] + w[2][c]) / 3).collect())
        .collect();
    assert!(!find(&smoothed).dispersion.passed);
}

#[test]
fn the_dispersion_has_the_spread_it_states() {
    let z: Vec<f64> = (0..40)
        .map(|seed| {
            let found = find(&mixture(2, 200, 64, 40.0, 100 + seed)).dispersion;
            (found.index - 1.0) / found.sigma
        })
        .collect();
    let mean = z.iter().sum::<f64>() / 40.0;
    let variance = z.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / 39.0;
    // 39 degrees of freedom: 0.5 to 1.7 hold 99.9 %.
    assert!((0.4..1.8).contains(&variance), "{mean} {variance}");
    assert!(mean.abs() < 1.0, "{mean}");
}

#[test]
fn a_given_number_is_taken_and_the_evidence_kept() {
    let rows = rows(&mixture(2, 400, 64, 80.0, 5));
    let serial = Serial::default();
    let reference = pca(&rows, &serial, &PcaParams::default()).unwrap();
    let params = RankParams { components: 5, ..RankParams::default() };
    let found = rank(&rows, &serial, &reference, &params).unwrap();
    assert_eq!((found.components, found.chosen_by, found.by_thinning), (5, ChosenBy::Given, 2));
    let few = RankParams { thinnings: 4, ..RankParams::default() };
    assert!(rank(&rows, &serial, &reference, &few).is_err());
}

#[test]
fn a_handful_of_counts_gives_one_component() {
    for counts in [vec![vec![1, 0, 0]], vec![vec![0, 3, 1], vec![0, 0, 0], vec![1, 0, 0]]] {
        let found = find(&counts);
        assert_eq!(found.components, 1, "{found:?}");
        assert!(found.thinning.error.iter().all(|x| x.is_finite()));
    }
}
