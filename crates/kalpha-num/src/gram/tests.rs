use super::*;
use crate::rng::Stream;
use kalpha_core::{Axis, CsrBuilder, DenseRows, DenseValues, NoiseModel, RowsMeta, Serial, Unit};
use std::sync::Arc;

fn meta(rows: usize, channels: usize) -> RowsMeta {
    RowsMeta {
        rows,
        channels,
        dtype: DType::Csr,
        navigation: vec![Axis::index("y", rows)],
        signal: Axis::linear("Energy", Unit::KeV, 0.0, 0.01, channels).unwrap(),
        noise: NoiseModel::COUNTS,
    }
}

/// Counts whose means rise to `peak` in the first channels; some rows have one count of `top`.
fn counts(rows: usize, channels: usize, peak: f64, top: u32) -> Vec<u32> {
    let stream = Stream::new(4, "gram", 0);
    let mut values = Vec::new();
    for r in 0..rows {
        let mut draws = stream.row(r);
        for c in 0..channels {
            values.push(draws.poisson(peak * (-0.1 * c as f64).exp() + 0.02) as u32);
        }
        if top > 0 && r % 50 == 7 {
            let at = values.len() - channels + (r * 7) % channels;
            values[at] = top;
        }
    }
    values
}

fn sparse(values: &[u32], rows: usize, channels: usize) -> Rows {
    let mut csr = CsrBuilder::new(channels).unwrap();
    values.chunks(channels).for_each(|row| csr.push_dense_row(row));
    Arc::new((meta(rows, channels), csr.finish()))
}

fn plain(values: &[u32], channels: usize) -> Vec<u64> {
    let mut gram = vec![0; channels * channels];
    for row in values.chunks(channels) {
        for i in 0..channels {
            for j in 0..channels {
                gram[i * channels + j] += u64::from(row[i]) * u64::from(row[j]);
            }
        }
    }
    gram
}

#[test]
fn counts_give_the_plain_sums_on_every_path() {
    let serial = Serial::default();
    for (rows, channels, peak, top) in [
        (0, 5, 1.0, 0),
        (1, 1, 3.0, 0),
        (5, 33, 20.0, 0),
        (700, 70, 8.0, 0),
        (700, 70, 8.0, 200),
        (700, 70, 1.0, 60_000),
        (700, 70, 1.0, 70_000),
        (700, 70, 1.0, 1 << 30),
        (300, 512, 2.0, 0),
        (5000, 64, 40.0, 1000),
    ] {
        let values = counts(rows, channels, peak, top);
        let want = plain(&values, channels);
        let csr = sparse(&values, rows, channels);
        for simd in Simd::available() {
            for hot in [None, Some(0), Some(32), Some(channels)] {
                let got = count_gram_with(&serial, &csr, simd, hot).unwrap();
                assert!(got.values() == want, "{rows} {channels} {top} {simd:?} {hot:?}");
            }
        }
        let dense = DenseRows::new(meta(rows, channels), DenseValues::U32(values.clone().into()));
        let dense: Rows = Arc::new(dense.unwrap());
        assert!(count_gram(&serial, &dense).unwrap().values() == want);
        let fold = GramFold { channels };
        let state = (&serial as &dyn Passes).fold(&fold, &csr).unwrap();
        assert!(fold.finish(state).values() == want);
    }
}

#[test]
fn sums_pass_32_bits_without_loss() {
    // 3 000 rows of 1 000 x 1 000: the budget is passed within one chunk.
    let (rows, channels) = (3000, 20);
    let values = vec![1000; rows * channels];
    let gram = count_gram(&Serial::default(), &sparse(&values, rows, channels)).unwrap();
    assert!(gram.values().iter().all(|&g| g == 3_000_000_000));
}

#[test]
fn sums_beyond_64_bits_are_refused() {
    let values = vec![u32::MAX; 4];
    let error = count_gram(&Serial::default(), &sparse(&values, 4, 1)).unwrap_err();
    assert!(error.to_string().contains("overflow"), "{error}");
}

#[test]
fn row_factors_weigh_and_zero_leaves_out() {
    let (rows, channels) = (900, 48);
    for (peak, top) in [(1.0, 0), (1.0, 70_000), (60.0, 0)] {
        let values = counts(rows, channels, peak, top);
        let factors: Vec<f64> =
            (0..rows).map(|r| if r % 9 == 0 { 0.0 } else { 1.0 / (1 + r % 13) as f64 }).collect();
        let mut want = vec![0.0; channels * channels];
        for (row, f) in values.chunks(channels).zip(&factors) {
            for i in 0..channels {
                for j in 0..channels {
                    want[i * channels + j] += f * f64::from(row[i]) * f64::from(row[j]);
                }
            }
        }
        let largest = want.iter().copied().fold(0.0, f64::max);
        let floats: Vec<f64> = values.iter().map(|&x| f64::from(x)).collect();
        let dense = DenseRows::new(meta(rows, channels), DenseValues::F64(floats.into()));
        for source in [sparse(&values, rows, channels), Arc::new(dense.unwrap())] {
            let got = weighted_gram(&Serial::default(), &source, &factors).unwrap();
            for (g, w) in got.iter().zip(&want) {
                assert!((g - w).abs() <= 1e-13 * largest, "{g} {w}");
            }
        }
        let (serial, source) = (Serial::default(), sparse(&values, rows, channels));
        for hot in [0, 20, channels] {
            let grid = CellGrid::new(rows, channels);
            let got = weighted_gram_with(&serial, &source, grid, &factors, Some(hot)).unwrap();
            for (g, w) in got.iter().zip(&want) {
                assert!((g - w).abs() <= 1e-13 * largest, "{hot}: {g} {w}");
            }
        }
    }
}

#[test]
fn wrong_factors_and_types_are_refused() {
    let serial = Serial::default();
    let rows = sparse(&[1, 2], 2, 1);
    assert!(weighted_gram(&serial, &rows, &[1.0]).is_err());
    let dense = DenseRows::new(meta(1, 2), DenseValues::F32(vec![0.5, 1.0].into())).unwrap();
    let dense: Rows = Arc::new(dense);
    assert!(count_gram(&serial, &dense).is_err());
}
