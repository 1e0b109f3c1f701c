use super::*;
use crate::simulated::{mixture, rows};
use kalpha_core::{CsrBuilder, DType, DenseRows, DenseValues, RowSource, Serial, Unit};

fn meta(n: usize, d: usize) -> RowsMeta {
    RowsMeta {
        rows: n,
        channels: d,
        dtype: DType::Csr,
        navigation: vec![Axis::index("y", n)],
        signal: Axis::linear("Energy", Unit::KeV, 0.0, 0.01, d).unwrap(),
        noise: NoiseModel::COUNTS,
    }
}

fn dense(rows: &Rows) -> Vec<f64> {
    let (mut values, mut buffer) = (Vec::new(), kalpha_core::CellBuffer::default());
    rows.cell(0..rows.meta().rows, &mut buffer).unwrap().to_f64(&mut values);
    values
}

#[test]
fn scores_times_components_reproduce_the_weighted_best_approximation() {
    let (n, d) = (300, 60);
    let rows = rows(&mixture(3, n, d, 200.0, 1));
    let params = PcaParams { components: d, ..PcaParams::default() };
    let found = pca(&rows, &Serial::default(), &params).unwrap();
    // With every component, the counts themselves come back.
    let scores = Serial::default();
    let scores =
        (&scores as &dyn Passes).map(&found.to_scores(d), &rows, found.eigenvalues.len()).unwrap();
    let counts = dense(&rows);
    let mut spectrum = vec![0.0; d];
    for (r, scores) in scores.chunks_exact(found.eigenvalues.len()).enumerate() {
        found.spectrum(scores, &mut spectrum);
        for c in 0..d {
            assert!((spectrum[c] - counts[r * d + c]).abs() < 1e-9);
        }
    }
    assert!((found.eigenvalues[0] - 1.0).abs() < 1e-12, "the first eigenvalue is 1");
    assert!((found.eigenvalues.iter().sum::<f64>() / found.total - 1.0).abs() < 1e-12);
    assert!((found.explained_variance_ratio.iter().sum::<f64>() - 1.0).abs() < 1e-12);
}

#[test]
fn sparse_dense_and_float_rows_agree() {
    let (n, d) = (500, 200);
    let counts = rows(&mixture(4, n, d, 80.0, 2));
    let values = dense(&counts);
    let bytes: Vec<u16> = values.iter().map(|&x| x as u16).collect();
    let as_dense =
        |values: DenseValues| -> Rows { Arc::new(DenseRows::new(meta(n, d), values).unwrap()) };
    for weighting in [Weighting::Poisson, Weighting::None] {
        let params = PcaParams { components: 8, weighting, centred: false };
        let run = |rows: &Rows| pca(rows, &Serial::default(), &params).unwrap();
        let sparse = run(&counts);
        assert_eq!(sparse, run(&as_dense(DenseValues::U16(bytes.clone().into()))));
        let float = run(&as_dense(DenseValues::F64(values.clone().into())));
        for (a, b) in sparse.eigenvalues.iter().zip(&float.eigenvalues) {
            assert!((a - b).abs() < 1e-10 * sparse.eigenvalues[0]);
        }
    }
}

#[test]
fn centring_gives_the_covariance() {
    let (n, d) = (400, 50);
    let rows = rows(&mixture(3, n, d, 500.0, 3));
    let values = dense(&rows);
    let params = PcaParams { components: 5, weighting: Weighting::None, centred: true };
    let found = pca(&rows, &Serial::default(), &params).unwrap();
    let scores = (&Serial::default() as &dyn Passes).map(&found.to_scores(5), &rows, 5).unwrap();
    for k in 0..5 {
        let column: Vec<f64> = scores.iter().skip(k).step_by(5).copied().collect();
        let mean = column.iter().sum::<f64>() / n as f64;
        assert!(mean.abs() < 1e-9, "{mean}");
        // The scores' sum of squares is the eigenvalue.
        let squares: f64 = column.iter().map(|x| x * x).sum();
        assert!((squares / found.eigenvalues[k] - 1.0).abs() < 1e-9);
    }
    let mean: f64 = values.iter().step_by(d).sum::<f64>() / n as f64;
    assert!((found.mean[0] - mean).abs() < 1e-9);
}

#[test]
fn empty_rows_and_channels_change_nothing() {
    let (n, d) = (200, 40);
    let plain = rows(&mixture(2, n, d, 100.0, 4));
    let values = dense(&plain);
    let mut padded = CsrBuilder::new(d + 3).unwrap();
    for row in values.chunks_exact(d) {
        padded.end_row();
        for (c, &x) in row.iter().enumerate() {
            padded.push(c as u16 + 2, x as u32);
        }
        padded.end_row();
    }
    let padded: Rows = Arc::new((meta(2 * n, d + 3), padded.finish()));
    let params = PcaParams { components: 4, ..PcaParams::default() };
    let a = pca(&plain, &Serial::default(), &params).unwrap();
    let b = pca(&padded, &Serial::default(), &params).unwrap();
    assert_eq!((a.rows, a.channels), (b.rows, b.channels));
    for (x, y) in a.eigenvalues.iter().zip(&b.eigenvalues) {
        assert!((x - y).abs() < 1e-12);
    }
    assert_eq!(b.components[0][0], 0.0);
}

#[test]
fn nothing_to_decompose_is_said() {
    let mut csr = CsrBuilder::new(4).unwrap();
    csr.end_row();
    let rows: Rows = Arc::new((meta(1, 4), csr.finish()));
    for weighting in [Weighting::Poisson, Weighting::None] {
        let params = PcaParams { weighting, ..PcaParams::default() };
        let error = pca(&rows, &Serial::default(), &params).unwrap_err();
        assert!(error.to_string().contains("nothing to decompose"), "{error}");
    }
    let centred = PcaParams { centred: true, ..PcaParams::default() };
    assert!(pca(&rows, &Serial::default(), &centred).is_err());
}

#[test]
fn values_without_poisson_noise_are_refused_when_planned() {
    let source = (meta(3, 4), CsrBuilder::new(4).unwrap().finish());
    let mut meta = source.meta().clone();
    meta.noise = NoiseModel::Unknown;
    let mut inputs = InputMeta::default();
    inputs.ports.insert("spectra".into(), kalpha_core::PortMeta::Rows(meta));
    let error = PcaStep::plan(PcaParams::default(), &inputs).err().unwrap();
    assert!(error.to_string().contains("weighting"), "{error}");
    let none = PcaParams { weighting: Weighting::None, ..PcaParams::default() };
    assert!(PcaStep::plan(none, &inputs).is_ok());
}
