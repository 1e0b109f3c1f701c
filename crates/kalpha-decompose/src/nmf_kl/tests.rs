use super::*;
use kalpha_core::Work as Jobs;
use kalpha_core::{Axis, Ctx, DType, NoiseModel, RowsMeta, Serial, Silent, Unit};
use std::sync::Arc;

pub(crate) fn as_rows(csr: CsrCounts, grid: &[usize]) -> Rows {
    let channels = csr.channels();
    let meta = RowsMeta {
        rows: csr.rows(),
        channels,
        dtype: DType::Csr,
        navigation: grid.iter().map(|&n| Axis::index("y", n)).collect(),
        signal: Axis::linear("Energy", Unit::KeV, 0.0, 0.01, channels).unwrap(),
        noise: NoiseModel::COUNTS,
    };
    Arc::new((meta, csr))
}

/// Three overlapping peaks on a common background, mixed row by row.
fn planted(n: usize, dose: f64, seed: u64) -> (Rows, Vec<f64>, Vec<f64>) {
    let d = 120;
    let mut spectra = vec![0.0; 3 * d];
    for (k, s) in spectra.chunks_exact_mut(d).enumerate() {
        for (c, s) in s.iter_mut().enumerate() {
            let x = (c as f64 - 25.0 - 30.0 * k as f64) / 4.0;
            *s = (-0.5 * x * x).exp() + 0.02 * (-(c as f64) / 60.0).exp();
        }
        let n: f64 = s.iter().sum();
        s.iter_mut().for_each(|s| *s /= n);
    }
    let stream = Stream::new(seed, "test.planted", 0);
    let mut csr = CsrBuilder::new(d).unwrap();
    let mut w = Vec::new();
    for r in 0..n {
        let t = r as f64 / n as f64;
        let w_row = if r % 10 == 9 {
            [0.0; 3]
        } else {
            [dose * t, dose * (1.0 - t), dose * 0.3 * f64::from(r % 3 == 0)]
        };
        for c in 0..d {
            let m: f64 = (0..3).map(|k| w_row[k] * spectra[k * d + c]).sum();
            csr.push(c as u16, stream.at(r, c).poisson(m) as u32);
        }
        csr.end_row();
        w.extend(w_row);
    }
    (as_rows(csr.finish(), &[n]), spectra, w)
}

fn serial(seed: u64) -> Serial {
    Serial(Ctx::new(seed, Arc::new(Silent)))
}

#[test]
fn planted_factors_are_found() {
    let (rows, truth, _) = planted(900, 400.0, 1);
    let model = nmf_kl(&serial(3), &rows, 3, &Params::default(), Fixed::default()).unwrap();
    let m = &model.end_members;
    assert!(m.converged, "{} passes", m.passes);
    assert_eq!(m.rows_used, 810);
    for s in m.spectra.chunks_exact(120) {
        assert!((s.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }
    assert!(distance(&truth, &m.spectra, 120) < 0.01, "{}", distance(&truth, &m.spectra, 120));
    assert!(model.abundances.chunks_exact(3).skip(9).step_by(10).all(|w| w == [0.0; 3]));
    // Rows are fitted without bias: the model holds the counts of every row.
    let total: f64 = model.abundances.iter().sum();
    let counts: f64 = Serial::default().fold_totals(&rows).iter().sum();
    assert!((total / counts - 1.0).abs() < 1e-9);
}

trait Totals {
    fn fold_totals(&self, rows: &Rows) -> Vec<f64>;
}
impl Totals for Serial {
    fn fold_totals(&self, rows: &Rows) -> Vec<f64> {
        (self as &dyn Passes)
            .fold(&Saturated { channels: rows.meta().channels }, rows)
            .unwrap()
            .totals
    }
}

#[test]
fn deviance_equals_the_sum_over_rows_and_beats_the_truth() {
    let (rows, truth, w) = planted(600, 100.0, 2);
    let passes = &serial(0) as &dyn Passes;
    let model = nmf_kl(passes, &rows, 3, &Params::default(), Fixed::default()).unwrap();
    let m = &model.end_members;
    let by_row =
        deviance(passes, &rows, &m.spectra, &model.abundances, 3, Fixed::default()).unwrap();
    let sum: f64 = by_row.iter().sum();
    assert!((sum / m.deviance - 1.0).abs() < 1e-6, "{sum} {}", m.deviance);
    let of_truth: f64 =
        deviance(passes, &rows, &truth, &w, 3, Fixed::default()).unwrap().iter().sum();
    // The fit has about rows x 3 + channels x 3 parameters more than the truth.
    let freedom = of_truth - m.deviance;
    assert!((1000.0..2600.0).contains(&freedom), "{freedom}");
}

#[test]
fn a_refit_meets_the_optimality_conditions() {
    let (rows, truth, _) = planted(300, 60.0, 5);
    let passes = &serial(0) as &dyn Passes;
    let w = refit(passes, &rows, &truth, 3, Fixed::default()).unwrap();
    let csr = rows.as_csr().unwrap();
    for r in 0..300 {
        let entries = csr.indptr()[r] as usize..csr.indptr()[r + 1] as usize;
        let w = &w[3 * r..3 * r + 3];
        let kalpha_core::CountValues::U8(v) = csr.values() else { panic!() };
        let mut g = [0.0; 3];
        for e in entries.clone() {
            let c = usize::from(csr.indices()[e]);
            let m: f64 = (0..3).map(|k| w[k] * truth[k * 120 + c]).sum();
            for k in 0..3 {
                g[k] += f64::from(v[e]) / m * truth[k * 120 + c];
            }
        }
        for k in 0..3 {
            // Stationary where positive, and no gain from leaving zero.
            let slope = (g[k] - 1.0) * w[k];
            assert!(entries.is_empty() || slope.abs() < 0.2, "row {r}: {slope} {w:?} {g:?}");
            assert!(g[k] < 1.05 || entries.is_empty(), "row {r}: {g:?} {w:?}");
        }
    }
}

/// Jobs in reverse order: what a scheduler might do.
struct Reverse(Ctx);
impl Passes for Reverse {
    fn ctx(&self) -> &Ctx {
        &self.0
    }
    fn threads(&self) -> usize {
        1
    }
    fn parallel(&self, jobs: usize, work: &Jobs<'_>) -> Result<(), StepError> {
        (0..jobs).rev().try_for_each(work)
    }
}

#[test]
fn the_schedule_and_the_storage_do_not_matter() {
    let (rows, _, _) = planted(9000, 20.0, 7);
    let params = Params { sample_rows: 1000, max_passes: 15, ..Params::default() };
    let a = nmf_kl(&serial(1), &rows, 3, &params, Fixed::default()).unwrap();
    let reverse = Reverse(Ctx::new(1, Arc::new(Silent)));
    let b = nmf_kl(&reverse, &rows, 3, &params, Fixed::default()).unwrap();
    assert_eq!(a.abundances, b.abundances);
    assert_eq!(a.end_members, b.end_members);
    let mut dense = vec![0u16; 9000 * 120];
    let csr = rows.as_csr().unwrap();
    let kalpha_core::CountValues::U8(v) = csr.values() else { panic!() };
    for r in 0..9000 {
        for e in csr.indptr()[r] as usize..csr.indptr()[r + 1] as usize {
            dense[r * 120 + usize::from(csr.indices()[e])] = u16::from(v[e]);
        }
    }
    let values = kalpha_core::DenseValues::U16(dense.into());
    let dense: Rows = Arc::new(kalpha_core::DenseRows::new(rows.meta().clone(), values).unwrap());
    let c = nmf_kl(&serial(1), &dense, 3, &params, Fixed::default()).unwrap();
    assert_eq!(a.abundances, c.abundances);
}

#[test]
fn a_known_part_is_not_explained_twice() {
    let (rows, truth, w) = planted(500, 200.0, 9);
    let amount: Vec<f64> = w.chunks_exact(3).map(|w| w[2]).collect();
    let spectra = &truth[240..360];
    let columns = table::Columns::new(spectra, 1, 1);
    let fixed = Fixed { parts: 1, amounts: &amount, spectra, sums: &[1.0], columns: &columns };
    let fit = refit(&serial(0), &rows, &truth[..240], 2, fixed).unwrap();
    let (mut got, mut expected) = (0.0, 0.0);
    for (a, b) in fit.chunks_exact(2).zip(w.chunks_exact(3)) {
        got += a[0] + a[1];
        expected += b[0] + b[1];
    }
    assert!((got - expected).abs() < 4.0 * f64::sqrt(expected), "{got} {expected}");
}

#[test]
fn nothing_to_factorise_is_an_error() {
    let mut csr = CsrBuilder::new(10).unwrap();
    csr.end_row();
    let rows = as_rows(csr.finish(), &[1]);
    let run = |k| nmf_kl(&serial(0), &rows, k, &Params::default(), Fixed::default());
    assert!(matches!(run(2), Err(StepError::TooLittle { .. })));
    assert!(matches!(run(0), Err(StepError::Parameter { .. })));
    assert!(matches!(run(65), Err(StepError::Parameter { .. })));
}

#[test]
fn one_pixel_and_more_components_than_rows_are_fitted() {
    let mut csr = CsrBuilder::new(10).unwrap();
    csr.push(3, 70_000);
    csr.push(4, 2);
    csr.end_row();
    let rows = as_rows(csr.finish(), &[1]);
    let model = nmf_kl(&serial(0), &rows, 2, &Params::default(), Fixed::default()).unwrap();
    assert!((model.abundances.iter().sum::<f64>() - 70_002.0).abs() < 1.0);
    assert!(model.end_members.deviance < 1.0, "{}", model.end_members.deviance);
}

#[test]
fn reaches_the_deviance_of_scikit_learn() {
    let mut csr = CsrBuilder::new(40).unwrap();
    for r in 0..60i32 {
        for c in 0..40i32 {
            let x = f64::from(c - 8 - 10 * (r % 3)) / 3.0;
            let peak = 6.0 * (-0.5 * x * x).exp() * f64::from(1 + r % 4);
            csr.push(c as u16, (f64::from((r * 7 + c * 13) % 5) + peak) as u32);
        }
        csr.end_row();
    }
    let rows = as_rows(csr.finish(), &[60]);
    let params = Params { tolerance: 1e-9, max_passes: 2000, ..Params::default() };
    let model = nmf_kl(&serial(0), &rows, 3, &params, Fixed::default()).unwrap();
    // scikit-learn 1.9.1, NMF(3, beta_loss="kullback-leibler", solver="mu", init="random",
    // tol=1e-10, max_iter=5000), best of ten seeds: 2 KL = reconstruction_err_ squared.
    let peer = 2466.4653065;
    assert!((model.end_members.deviance / peer - 1.0).abs() < 1e-5, "{:?}", model.end_members);
}

#[test]
fn rows_in_memory_and_rows_read_anew_reach_the_same_deviance() {
    let (rows, _, _) = planted(3000, 60.0, 21);
    let close = Params { tolerance: 1e-8, max_passes: 400, ..Params::default() };
    let sampled = Params { sample_rows: 800, ..close.clone() };
    let run = |params: &Params| {
        nmf_kl(&serial(2), &rows, 3, params, Fixed::default()).unwrap().end_members
    };
    let (a, b) = (run(&close), run(&sampled));
    assert!(a.converged && b.converged, "{} {}", a.passes, b.passes);
    assert!((a.deviance / b.deviance - 1.0).abs() < 1e-5, "{} {}", a.deviance, b.deviance);
    assert!(distance(&a.spectra, &b.spectra, 120) < 1e-3);
}

/// A channel that the sample of the starts lacks is no impossible one.
#[test]
fn a_channel_without_counts_in_the_sample_is_fitted() {
    let (rows, _, _) = planted(3000, 60.0, 22);
    let csr = rows.as_csr().unwrap();
    let kalpha_core::CountValues::U8(v) = csr.values() else { panic!() };
    let mut with = CsrBuilder::new(121).unwrap();
    for r in 0..3000 {
        for e in csr.indptr()[r] as usize..csr.indptr()[r + 1] as usize {
            with.push(csr.indices()[e], v[e].into());
        }
        if r % 300 == 7 {
            with.push(120, 1);
        }
        with.end_row();
    }
    let rows = as_rows(with.finish(), &[3000]);
    let params = Params { sample_rows: 100, ..Params::default() };
    let model = nmf_kl(&serial(3), &rows, 3, &params, Fixed::default()).unwrap();
    let m = &model.end_members;
    let channel: f64 = (0..3).map(|k| m.totals[k] * m.spectrum(k)[120]).sum();
    assert!((channel - 10.0).abs() < 0.5, "{channel}");
    assert!(m.deviance < 1.2 * 3000.0 * 60.0, "{}", m.deviance);
}
