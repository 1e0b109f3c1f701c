use super::*;
use crate::pca::{PcaParams, pca};
use crate::rank::{RankParams, rank};
use kalpha_core::{CsrBuilder, Serial};
use kalpha_num::rng::Stream;

const CHANNELS: usize = 120;

/// Profile of phase `k`: one peak of its own, one common peak, a continuum.
fn profile(k: usize) -> Vec<f64> {
    let gauss = |c: f64, at: f64| (-0.5 * ((c - at) / 3.0).powi(2)).exp();
    let p: Vec<f64> = (0..CHANNELS)
        .map(|c| 0.02 + gauss(c as f64, 20.0 + 25.0 * k as f64) + 0.5 * gauss(c as f64, 110.0))
        .collect();
    let total: f64 = p.iter().sum();
    p.iter().map(|x| x / total).collect()
}

/// Rows of the given mixtures of three profiles.
fn rows(mixtures: &[[f64; 3]], dose: f64, seed: u64) -> Rows {
    let profiles = [profile(0), profile(1), profile(2)];
    let stream = Stream::new(seed, "phases test", 0);
    let mut csr = CsrBuilder::new(CHANNELS).unwrap();
    for (r, mixture) in mixtures.iter().enumerate() {
        for c in 0..CHANNELS {
            let mean: f64 = mixture.iter().zip(&profiles).map(|(w, p)| w * p[c]).sum();
            csr.push(c as u16, stream.at(r, c).poisson(dose * mean) as u32);
        }
        csr.end_row();
    }
    let meta = RowsMeta {
        rows: mixtures.len(),
        channels: CHANNELS,
        dtype: DType::Csr,
        navigation: vec![Axis::index("y", mixtures.len())],
        signal: Axis::index("Energy", CHANNELS),
        noise: NoiseModel::COUNTS,
    };
    Arc::new((meta, csr.finish()))
}

fn found(rows: &Rows, params: &PhasesParams) -> (Phases, Vec<i16>) {
    let serial = Serial::default();
    let pca = pca(rows, &serial, &PcaParams::default()).unwrap();
    let rank = rank(rows, &serial, &pca, &RankParams::default()).unwrap();
    phases(rows, &serial, &pca, &rank, params).unwrap()
}

fn pure(k: usize) -> [f64; 3] {
    std::array::from_fn(|i| f64::from(u8::from(i == k)))
}

#[test]
fn three_phases_are_found_with_their_areas_and_spectra() {
    let mixtures: Vec<_> = (0..1200).map(|i| pure(if i < 600 { 0 } else { 1 + i % 2 })).collect();
    let (phases, labels) = found(&rows(&mixtures, 200.0, 1), &PhasesParams::default());
    assert_eq!(phases.phases.len(), 3, "{:?}", phases.stability);
    for (phase, truth) in phases.phases.iter().zip([0.5, 0.25, 0.25]) {
        assert!(phase.interval.0 <= truth && truth <= phase.interval.1, "{:?}", phase.interval);
        assert!(phase.interval.1 - phase.interval.0 < 0.02);
    }
    let first = labels[0];
    let right = labels[..600].iter().filter(|&&l| l == first).count();
    assert!(right > 595, "{right}");
    let sum = &phases.phases[0].sum;
    let total: f64 = sum.iter().sum();
    let worst = sum.iter().zip(profile(0)).map(|(s, p)| (s / total - p).abs()).fold(0.0, f64::max);
    assert!(worst < 5.0 * (0.06 / total).sqrt(), "{worst}");
}

#[test]
fn one_phase_stays_one() {
    let (phases, labels) = found(&rows(&vec![pure(0); 800], 150.0, 2), &PhasesParams::default());
    assert_eq!(phases.phases.len(), 1, "{:?}", phases.stability);
    assert!(phases.inflation < 1.1);
    assert!(labels.iter().all(|&l| l == 0));
}

#[test]
fn boundary_pixels_are_mixed_and_count_for_their_share() {
    let mut mixtures: Vec<_> = (0..1000).map(|i| pure(i % 2)).collect();
    // A boundary holds every mixture; one mixture alone would be a phase.
    mixtures.extend((0..60).map(|i| 0.25 + 0.5 * f64::from(i) / 59.0).map(|w| [w, 1.0 - w, 0.0]));
    let (phases, labels) = found(&rows(&mixtures, 400.0, 3), &PhasesParams::default());
    assert_eq!(phases.phases.len(), 2);
    let mixed = labels[1000..].iter().filter(|&&l| l == MIXED).count();
    assert!(mixed >= 57, "{mixed} of 60");
    let wrong = labels[..1000].iter().filter(|&&l| l == MIXED).count();
    assert!(wrong <= 5, "{wrong} pure pixels are called mixed");
    assert!((phases.phases[0].area_fraction - 0.5).abs() < 0.01);
}

#[test]
fn empty_pixels_belong_to_nothing() {
    let mut mixtures: Vec<_> = (0..300).map(|i| pure(i % 2)).collect();
    mixtures.extend(vec![[0.0; 3]; 50]);
    let (phases, labels) = found(&rows(&mixtures, 300.0, 4), &PhasesParams::default());
    assert_eq!(phases.empty, 50);
    assert!(labels[300..].iter().all(|&l| l == EMPTY));
    let total: f64 = phases.phases.iter().map(|p| p.area_fraction).sum();
    assert!((total - 1.0).abs() < 1e-9);
}

#[test]
fn blocks_of_points_move_centres_as_single_points_do() {
    let mut draws = kalpha_num::rng::Stream::new(5, "kmeans", 0).row(0);
    for (n, dimensions, k) in [(1, 1, 1), (37, 3, 4), (64, 9, 7)] {
        let points = kmeans::Points {
            dimensions,
            z: (0..n * dimensions).map(|_| draws.normal()).collect(),
            dose: (0..n).map(|_| draws.uniform()).collect(),
        };
        let centres: Vec<Vec<f64>> =
            (0..k).map(|_| (0..dimensions).map(|_| draws.normal()).collect()).collect();
        let (mut sums, mut weights) = (vec![vec![0.0; dimensions]; k], vec![0.0; k]);
        let mut cost = 0.0;
        for i in 0..n {
            let (c, distance) = kmeans::nearest(points.at(i), &centres);
            cost += points.dose[i] * distance;
            weights[c] += points.dose[i];
            let at = sums[c].iter_mut().zip(points.at(i));
            at.for_each(|(s, z)| *s += points.dose[i] * z);
        }
        let mut moved = centres.clone();
        let got = kmeans::moved(&points, &mut moved);
        assert_eq!(got.to_bits(), cost.to_bits());
        for c in 0..k {
            let want = match weights[c] > 0.0 {
                true => sums[c].iter().map(|s| s / weights[c]).collect(),
                false => centres[c].clone(),
            };
            assert_eq!(moved[c], want);
        }
    }
}
