//! Poisson counts of known mixtures, for tests.

use kalpha_core::{Axis, CsrBuilder, DType, NoiseModel, Rows, RowsMeta, Unit};
use kalpha_num::rng::Stream;
use std::sync::Arc;

/// Means of rows that mix `k` spectra: lines on a common continuum, patches with soft edges.
pub(crate) fn means(k: usize, n: usize, d: usize, dose: f64) -> Vec<Vec<f64>> {
    let spectra: Vec<Vec<f64>> = (0..k)
        .map(|j| {
            let shape: Vec<f64> = (0..d)
                .map(|c| {
                    let x = (c as f64 + 0.5) / d as f64;
                    let line = |at: f64, w: f64| (-0.5 * ((x - at) / w).powi(2)).exp();
                    let at = (j as f64 + 0.5) / k as f64;
                    0.3 * (-3.0 * x).exp() + line(0.95 * at + 0.03, 0.012) + 0.4 * line(0.5, 0.02)
                })
                .collect();
            let sum: f64 = shape.iter().sum();
            shape.iter().map(|s| s / sum).collect()
        })
        .collect();
    (0..n)
        .map(|r| {
            let t = r as f64 / n as f64 * k as f64;
            let weights: Vec<f64> =
                (0..k).map(|j| (-1.5 * (t - j as f64 - 0.5).powi(2)).exp() + 0.02).collect();
            let sum: f64 = weights.iter().sum();
            (0..d)
                .map(|c| dose * (0..k).map(|j| weights[j] / sum * spectra[j][c]).sum::<f64>())
                .collect()
        })
        .collect()
}

/// Poisson counts of [`means`].
pub(crate) fn mixture(k: usize, n: usize, d: usize, dose: f64, seed: u64) -> Vec<Vec<u32>> {
    let stream = Stream::new(seed, "mixture", 0);
    let draw = |r: usize, row: &Vec<f64>| {
        let mut draws = stream.row(r);
        row.iter().map(|&mean| draws.poisson(mean) as u32).collect()
    };
    means(k, n, d, dose).iter().enumerate().map(|(r, row)| draw(r, row)).collect()
}

/// Sparse rows of counts.
pub(crate) fn rows(counts: &[Vec<u32>]) -> Rows {
    let d = counts[0].len();
    let mut csr = CsrBuilder::new(d).unwrap();
    counts.iter().for_each(|row| csr.push_dense_row(row));
    let meta = RowsMeta {
        rows: counts.len(),
        channels: d,
        dtype: DType::Csr,
        navigation: vec![Axis::index("y", counts.len())],
        signal: Axis::linear("Energy", Unit::KeV, 0.0, 0.01, d).unwrap(),
        noise: NoiseModel::COUNTS,
    };
    Arc::new((meta, csr.finish()))
}
