use super::*;
use kalpha_core::{CellBuffer, CellGrid};
use kalpha_io::{Input, OpenOptions, read};
use kalpha_num::spline::CubicSpline;
use serde_json::Value;
use std::path::Path;

fn json(name: &str) -> Option<Value> {
    let path = kalpha_reference::path(name)?;
    Some(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// All values of the array `name` in an `.npz`, row-major, with its number of columns.
fn npz(path: &Path, name: &str) -> (Vec<f64>, usize) {
    let options = OpenOptions { signal: Some(name.to_owned()), ..OpenOptions::default() };
    let input = Input::from_bytes(Path::new("values.npz"), std::fs::read(path).unwrap());
    let rows = read(&input, &options).unwrap().rows;
    let grid = CellGrid::new(rows.meta().rows, rows.meta().channels);
    let (mut buffer, mut values, mut all) = (CellBuffer::default(), Vec::new(), Vec::new());
    for i in 0..grid.cells() {
        rows.cell(grid.rows(i), &mut buffer).unwrap().to_f64(&mut values);
        all.extend_from_slice(&values);
    }
    (all, rows.meta().channels)
}

/// References on the axis of the data, with central differences for slopes.
fn on_axis(axis: &[f64], values: &[f64]) -> References {
    let splines: Vec<CubicSpline> =
        values.chunks_exact(axis.len()).map(|row| CubicSpline::new(axis, row).unwrap()).collect();
    let take =
        |k: usize| splines.iter().map(|s| axis.iter().map(|x| s.at(*x)[k]).collect()).collect();
    References { axis: axis.to_vec(), values: take(0), slopes: take(1) }
}

/// Eight gold spectra by six references: the optimum of the constrained problem, where larch's sums
/// are up to 1.09.
#[test]
fn gold_has_the_exact_optimum() {
    let (Some(larch), Some(optimum)) =
        (json("reference/xas/larch_lcf_pca_au.json"), json("reference/xas/lcf_au_qp_optimum.json"))
    else {
        return;
    };
    let names = &larch["lcf"][0]["components"];
    let mut worst: f64 = 0.0;
    for case in optimum.as_array().unwrap() {
        let unknown = &larch["spectra"][case["unknown"].as_str().unwrap()];
        let inside: Vec<(f64, f64)> = numbers(&unknown["energy"])
            .into_iter()
            .zip(numbers(&unknown["norm"]))
            .filter(|(e, _)| (11870.0..=12030.0).contains(e))
            .collect();
        let (axis, y): (Vec<f64>, Vec<f64>) = inside.into_iter().unzip();
        let (mut values, mut slopes) = (Vec::new(), Vec::new());
        for name in names.as_array().unwrap() {
            let reference = &larch["spectra"][name.as_str().unwrap()];
            let spline =
                CubicSpline::new(&numbers(&reference["energy"]), &numbers(&reference["norm"]))
                    .unwrap();
            values.push(axis.iter().map(|e| spline.at(*e)[0]).collect());
            slopes.push(axis.iter().map(|e| spline.at(*e)[1]).collect());
        }
        let references = References { axis, values, slopes };
        let sigma = vec![0.01; references.axis.len()];
        for (sum, weights, r) in
            [(Sum::One, "qp_weights", "qp_rfactor"), (Sum::Free, "nnls_free_sum", "nnls_rfactor")]
        {
            let conditions = Conditions { sum, ..Conditions::default() };
            let lcf = Lcf::new(&references, &sigma, &conditions).unwrap();
            let (mut fit, mut scratch) = (Fit::default(), Scratch::default());
            lcf.fit(&y, &mut fit, &mut scratch);
            assert!(fit.converged);
            for (a, b) in fit.weights.iter().zip(numbers(&case[weights])) {
                worst = worst.max((a - b).abs());
            }
            let expected = case[r].as_f64().unwrap();
            // The weights on file sum to one to 3e-8; a change of the sum is a change of first order.
            assert!((fit.r_factor / expected - 1.0).abs() < 1e-5, "{} {expected}", fit.r_factor);
            if sum == Sum::One {
                assert!((fit.weights.iter().sum::<f64>() - 1.0).abs() < 1e-13);
            }
        }
    }
    eprintln!("gold: largest difference of a weight {worst:.1e}");
    assert!(worst < 1e-6, "{worst}");
}

/// Mixtures of first scans by references of later scans: offset, slope, shift and edge step differ.
/// With priors for them the fractions come out better than by non-negative least squares, and the
/// intervals hold.
#[test]
fn mixtures_of_real_scans() {
    let Some(baselines) = json("reference/xas/known_mixture_baselines.json") else { return };
    for (name, bar) in [("Mn", 0.8), ("As_10K_100K", 0.8), ("Ni", 0.1)] {
        let Some(path) = kalpha_reference::path(&format!("data/xas/repeatmix_{name}.npz")) else {
            return;
        };
        let (axis, _) = npz(&path, "energy");
        let (values, m) = npz(&path, "references");
        let (mixtures, _) = npz(&path, "mixtures");
        let (weights, n) = npz(&path, "weights");
        let references = on_axis(&axis, &values);
        let conditions = Conditions {
            sum: Sum::Near,
            sum_sigma: 0.01,
            systematics: Systematics { offset: 0.01, slope: 0.003, shift: 0.1 },
            ..Conditions::default()
        };
        let lcf = Lcf::new(&references, &vec![0.005; m], &conditions).unwrap();
        let (mut squares, mut inside, mut count) = (0.0, 0.0, 0.0);
        let mut take = |row: usize, fit: &Fit| {
            assert!(fit.converged);
            let sum: f64 = fit.weights.iter().sum();
            for (i, truth) in weights[row * n..(row + 1) * n].iter().enumerate() {
                let error = fit.weights[i] / sum - truth;
                squares += error * error;
                inside += f64::from(error.abs() <= 1.96 * fit.sigma[i]);
                count += 1.0;
            }
        };
        lcf.fit_rows(&mixtures, &mut take, &mut Scratch::default());
        let rms = f64::sqrt(squares / count);
        let nnls = baselines[name]["nnls_renorm_rms"].as_f64().unwrap();
        let covered = inside / count;
        eprintln!("{name}: {rms:.4}, {:.2} of NNLS, covered {covered:.3}", rms / nnls);
        assert!(rms <= bar * nnls, "{name}: {rms} {nnls}");
        assert!(covered >= 0.8, "{name}: {covered}");
    }
}

/// References and conditions that make no fit are refused; the wider one is named.
#[test]
fn bad_references_are_refused() {
    let axis: Vec<f64> = (0..30).map(f64::from).collect();
    let a: Vec<f64> = axis.iter().map(|x| (0.2 * x).sin() + 2.0).collect();
    let b: Vec<f64> = axis.iter().map(|x| (0.3 * x).cos() + 2.0).collect();
    let new = |values: &[Vec<f64>], sigma: f64, conditions: &Conditions| {
        let references = on_axis(&axis, &values.concat());
        Lcf::new(&references, &[sigma; 30], conditions)
    };
    let default = Conditions::default();
    assert!(new(&[a.clone(), b.clone()], 0.1, &default).is_ok());
    let twice = [a.clone(), b.clone(), a.clone()];
    for sum in [Sum::One, Sum::Near, Sum::Free] {
        let conditions = Conditions { sum, ..default.clone() };
        let said = new(&twice, 0.1, &conditions).unwrap_err();
        assert_eq!(said, LcfError::Dependent { reference: 2 });
    }
    assert!(matches!(new(&[], 0.1, &default), Err(LcfError::Shape { .. })));
    assert_eq!(new(&[a.clone(), b.clone()], 0.0, &default).unwrap_err(), LcfError::NotFinite);
    let narrow = Conditions { upper: 0.3, ..default };
    assert!(matches!(new(&[a, b], 0.1, &narrow), Err(LcfError::Conditions(_))));
}

/// The stated standard deviations are those of repeated draws.
#[test]
fn standard_deviations_are_those_of_draws() {
    use kalpha_num::rng::Stream;
    let axis: Vec<f64> = (0..80).map(f64::from).collect();
    let band = |at: f64| -> Vec<f64> {
        axis.iter().map(|x| 1.0 + (-0.01 * (x - at) * (x - at)).exp()).collect()
    };
    let values = [band(20.0), band(26.0), band(50.0)].concat();
    let references = on_axis(&axis, &values);
    let stream = Stream::new(2, "lcf", 0);
    let draws = 2000;
    for sum in [Sum::One, Sum::Free] {
        let conditions = Conditions { sum, ..Conditions::default() };
        let lcf = Lcf::new(&references, &[0.02; 80], &conditions).unwrap();
        let rows: Vec<f64> = (0..draws)
            .flat_map(|d| {
                let of = |c: usize| 0.5 * values[c] + 0.3 * values[80 + c] + 0.2 * values[160 + c];
                (0..80)
                    .map(move |c| (c, of(c)))
                    .collect::<Vec<_>>()
                    .into_iter()
                    .map(move |(c, y)| y + 0.02 * stream.at(d, c).normal())
            })
            .collect();
        let (mut squares, mut sigma, mut chi2) = ([0.0; 3], vec![0.0; 3], 0.0);
        let mut take = |_: usize, fit: &Fit| {
            for (i, truth) in [0.5, 0.3, 0.2].into_iter().enumerate() {
                squares[i] += (fit.weights[i] - truth).powi(2) / f64::from(draws as u32);
            }
            sigma.clone_from(&fit.sigma);
            chi2 += fit.chi2 / draws as f64;
        };
        lcf.fit_rows(&rows, &mut take, &mut Scratch::default());
        for i in 0..3 {
            let ratio = squares[i].sqrt() / sigma[i];
            assert!((0.95..1.05).contains(&ratio), "{sum:?} {i}: {ratio}");
        }
        assert!((chi2 / lcf.freedom() - 1.0).abs() < 0.01, "{sum:?} {chi2}");
    }
}

/// Three of seven references in noise: they are found, and no more.
#[test]
fn search_finds_what_is_there() {
    use kalpha_num::rng::Stream;
    let axis: Vec<f64> = (0..150).map(f64::from).collect();
    let band = |k: usize| -> Vec<f64> {
        axis.iter()
            .map(|x| {
                let edge = 1.0 / (1.0 + (-(x - 40.0 - k as f64) / 2.0).exp());
                edge + 0.5 * (-0.01 * (x - 45.0 - 9.0 * k as f64).powi(2)).exp()
            })
            .collect()
    };
    let values: Vec<f64> = (0..7).flat_map(band).collect();
    let references = on_axis(&axis, &values);
    let stream = Stream::new(6, "search", 0);
    let (mut right, mut more) = (0, 0);
    for draw in 0..20 {
        let y: Vec<f64> = (0..150)
            .map(|c| {
                let of = |k: usize| values[k * 150 + c];
                0.5 * of(1) + 0.3 * of(3) + 0.2 * of(6) + 0.01 * stream.at(draw, c).normal()
            })
            .collect();
        let found =
            search::search(&references, &y, &[0.01; 150], &Conditions::default(), 5).unwrap();
        right += usize::from(found.recommended.references == [1, 3, 6]);
        more += usize::from(found.recommended.references.len() > 3);
        assert!(found.independent_points > 100.0 && found.sizes.len() == 5);
        assert!(found.best.is_sorted_by(|a, b| a.bic <= b.bic));
    }
    assert!(right >= 18 && more <= 2, "{right} {more}");
    // Two references that look alike stand beside each other.
    let twins = [&values[..], &values[150..300]].concat();
    let twins: Vec<f64> = twins
        .iter()
        .enumerate()
        .map(|(i, v)| if i >= 1050 { v + 1e-4 * (i as f64).sin() } else { *v })
        .collect();
    let y: Vec<f64> = (0..150)
        .map(|c| 0.6 * values[150 + c] + 0.4 * values[600 + c] + 0.01 * stream.at(99, c).normal())
        .collect();
    let alike = on_axis(&axis, &twins);
    let found = search::search(&alike, &y, &[0.01; 150], &Conditions::default(), 4).unwrap();
    assert_eq!(found.recommended.references.len(), 2, "{:?}", found.sizes);
    let all: Vec<_> = found.as_good.iter().map(|c| c.references.clone()).collect();
    assert!(all.contains(&vec![1, 4]) || all.contains(&vec![4, 7]), "{all:?}");
    let many = on_axis(&axis, &(0..40).flat_map(band).collect::<Vec<_>>());
    let refused = search::search(&many, &y, &[0.01; 150], &Conditions::default(), 8).unwrap_err();
    assert_eq!(refused, search::SearchError::Many { references: 40, size: 8 });
    assert!(search::search(&alike, &[0.0; 150], &[0.01; 150], &Conditions::default(), 2).is_err());
}
