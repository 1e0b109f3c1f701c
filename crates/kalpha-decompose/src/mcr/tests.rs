use super::{ambiguity::bands, *};
use crate::simplisma::purest;
use kalpha_num::rng::Stream;
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(all) => all.iter().flat_map(numbers).collect(),
        other => vec![other.as_f64().unwrap()],
    }
}

fn json(name: &str) -> Option<Value> {
    let path = kalpha_reference::path(name)?;
    Some(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
}

/// The array `name` of the chromatograms, row-major.
fn chromatogram(name: &str) -> Option<Vec<f64>> {
    let path = kalpha_reference::path("data/mcr/als2004dataset.MAT")?;
    let options = kalpha_io::OpenOptions {
        signal: Some(name.to_owned()),
        ..kalpha_io::OpenOptions::default()
    };
    let rows = kalpha_io::open(path.to_str().unwrap(), &options).unwrap().rows;
    let (mut buffer, mut values, mut all) =
        (kalpha_core::CellBuffer::default(), Vec::new(), Vec::new());
    for row in 0..rows.meta().rows {
        rows.cell(row..row + 1, &mut buffer).unwrap().to_f64(&mut values);
        all.extend_from_slice(&values);
    }
    Some(all)
}

fn solve(
    data: &[f64],
    channels: usize,
    k: usize,
    start: &Start,
    constraints: &Constraints,
    max_iterations: usize,
) -> Result<Resolved, McrError> {
    let control = Control { max_iterations, tolerance: 1e-12 };
    resolve(data, channels, k, start, constraints, control, &mut |_| Ok(()))
}

fn columns(data: &[f64], channels: usize, chosen: &[usize]) -> Start {
    let row = |row: &[f64]| chosen.iter().map(|c| row[*c]).collect::<Vec<_>>();
    Start::Concentrations(data.chunks_exact(channels).flat_map(row).collect())
}

/// The chromatogram from its purest channels: as little is left as exact alternating least squares
/// leaves, and the channels are those of a published implementation.
#[test]
fn chromatogram_with_diode_array() {
    let Some(data) = chromatogram("m1") else { return };
    let Some(reference) = json("reference/mcr/mcr_als2004.json") else { return };
    let chosen = purest(&data, 96, 4, 0.1).unwrap().channels;
    let expected = numbers(&reference["m1"]["simplisma_f10_pure_cols"]);
    assert!(chosen.iter().zip(&expected).all(|(a, b)| *a as f64 == *b), "{chosen:?}");
    let start = columns(&data, 96, &chosen);
    let found = solve(&data, 96, 4, &start, &Constraints::default(), 200).unwrap();
    eprintln!("m1: lack of fit {:.4} % after {}", found.lack_of_fit, found.iterations);
    assert!(found.lack_of_fit <= 1.6750, "{}", found.lack_of_fit);
    let floor = reference["noise_floor_LOF_rank4"]["m1"].as_f64().unwrap();
    assert!(found.lack_of_fit >= floor);
    assert!(found.concentrations.iter().chain(&found.spectra).all(|v| *v >= 0.0));

    // All four runs at once.
    let Some(all) = chromatogram("MATRIX") else { return };
    let chosen = purest(&all, 96, 4, 0.1).unwrap().channels;
    let expected = numbers(&reference["MATRIX"]["simplisma_f10_pure_cols"]);
    assert!(chosen.iter().zip(&expected).all(|(a, b)| *a as f64 == *b), "{chosen:?}");
    let constraints =
        Constraints { unimodal: vec![0, 1, 2, 3], runs: vec![51; 4], ..Constraints::default() };
    let start = columns(&all, 96, &chosen);
    let found = solve(&all, 96, 4, &start, &constraints, 100).unwrap();
    for (k, run) in (0..4).flat_map(|k| (0..4).map(move |run| (k, run))) {
        let profile: Vec<f64> =
            (0..51).map(|r| found.concentrations[(51 * run + r) * 4 + k]).collect();
        let top = (0..51).max_by(|a, b| profile[*a].total_cmp(&profile[*b])).unwrap();
        assert!(profile[..=top].is_sorted() && profile[top..].iter().rev().is_sorted());
    }
    assert!(found.lack_of_fit < 5.0, "{}", found.lack_of_fit);
}

/// Bands of two components are the published analytic ones, and the true factors lie inside.
#[test]
fn two_components_have_the_analytic_bands() {
    let Some(reference) = json("reference/mcr/mcr_bands.json") else { return };
    let case = &reference["two_comp_synthetic"];
    let (c, s) = (numbers(&case["C"]), numbers(&case["S"]));
    let channels = s.len() / 2;
    let data: Vec<f64> = c
        .chunks_exact(2)
        .flat_map(|c| {
            (0..channels).map(|j| c[0] * s[j] + c[1] * s[channels + j]).collect::<Vec<_>>()
        })
        .collect();
    let found = bands(&data, channels, 0.0).unwrap();
    let size = dot(&data, &data).sqrt();
    let truth = |k: usize| {
        let column: f64 = c.iter().skip(k).step_by(2).map(|v| v * v).sum();
        let spectrum = &s[k * channels..(k + 1) * channels];
        (column * dot(spectrum, spectrum)).sqrt() / size
    };
    let mut expected = [numbers(&case["analytic"]["f1"]), numbers(&case["analytic"]["f2"])];
    let mut truths = [truth(0), truth(1)];
    // Components in the order of the bands: by how their extremes lie.
    if (found.contributions[0][0] - expected[0][0]).abs()
        > (found.contributions[1][0] - expected[0][0]).abs()
    {
        expected.swap(0, 1);
        truths.swap(0, 1);
    }
    for k in 0..2 {
        for (a, b) in found.contributions[k].iter().zip(&expected[k]) {
            assert!((a - b).abs() < 1e-4, "{:?} {expected:?}", found.contributions);
        }
        let [least, most] = found.contributions[k];
        assert!(least <= truths[k] && truths[k] <= most);
    }
    // Ends of the bands are feasible and fit to rounding.
    for a in found.ranges[0] {
        for b in found.ranges[1] {
            let (first, second) = (found.spectrum(a), found.spectrum(b));
            let amounts = found.concentrations(a, b);
            let tiny = -1e-9 * size;
            assert!(first.iter().chain(&second).chain(&amounts).all(|v| *v >= tiny));
            for (row, c) in data.chunks_exact(channels).zip(amounts.chunks_exact(2)) {
                for j in 0..channels {
                    assert!((row[j] - c[0] * first[j] - c[1] * second[j]).abs() < 1e-9 * size);
                }
            }
        }
    }
    let noisy: Vec<f64> = data
        .iter()
        .enumerate()
        .map(|(i, v)| v + 0.2 * Stream::new(1, "bands", 0).at(0, i).normal())
        .collect();
    assert!(bands(&noisy, channels, 0.0).is_err());
}

/// Three components whose rows sum to one.
fn mixtures() -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let (rows, channels) = (40, 60);
    let band = |c: usize, at: f64, s: f64| (-0.5 * ((c as f64 - at) / s).powi(2)).exp();
    let spectra: Vec<f64> = [(12.0, 4.0), (25.0, 6.0), (44.0, 5.0)]
        .iter()
        .flat_map(|(at, s)| (0..channels).map(|c| 0.1 + band(c, *at, *s)).collect::<Vec<_>>())
        .collect();
    let concentrations: Vec<f64> = (0..rows)
        .flat_map(|r| {
            let raw = [band(r, 8.0, 6.0), band(r, 20.0, 5.0), band(r, 33.0, 7.0)];
            let sum: f64 = raw.iter().sum();
            raw.map(|v| v / sum)
        })
        .collect();
    let stream = Stream::new(5, "mcr", 0);
    let data = (0..rows * channels)
        .map(|k| {
            let (r, c) = (k / channels, k % channels);
            let clean: f64 =
                (0..3).map(|i| concentrations[r * 3 + i] * spectra[i * channels + c]).sum();
            clean + 1e-4 * stream.at(r, c).normal()
        })
        .collect();
    (data, concentrations, spectra)
}

#[test]
fn closure_known_spectra_and_absence_are_kept() {
    let (data, concentrations, spectra) = mixtures();
    let start = columns(&data, 60, &purest(&data, 60, 3, 0.05).unwrap().channels);
    let closed = Constraints { closure: Some(1.0), ..Constraints::default() };
    let found = solve(&data, 60, 3, &start, &closed, 300).unwrap();
    assert!(found.lack_of_fit < 0.1, "{}", found.lack_of_fit);
    for row in found.concentrations.chunks_exact(3) {
        assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
    // All spectra known: one exact solution for the concentrations.
    let known = (0..3).map(|k| (k, spectra[k * 60..(k + 1) * 60].to_vec())).collect();
    let all = Constraints { known, ..Constraints::default() };
    let found = solve(&data, 60, 3, &start, &all, 50).unwrap();
    assert_eq!(found.spectra, spectra);
    let worst = found
        .concentrations
        .iter()
        .zip(&concentrations)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f64::max);
    assert!(worst < 1e-3, "{worst}");
    // One known, and absent from the first rows, where it truly is all but nothing.
    let constraints = Constraints {
        known: vec![(2, spectra[120..].to_vec())],
        absent: vec![(2, 0..5)],
        ..Constraints::default()
    };
    let found = solve(&data, 60, 3, &start, &constraints, 300).unwrap();
    assert_eq!(found.spectra[120..], spectra[120..]);
    assert!(found.concentrations[..15].iter().skip(2).step_by(3).all(|v| *v == 0.0));
    assert!(found.lack_of_fit < 0.5, "{}", found.lack_of_fit);
}

/// Signed data: without bounds the best matrix of the rank comes out.
#[test]
fn without_bounds_it_is_the_truncated_decomposition() {
    let (data, _, _) = mixtures();
    let centred: Vec<f64> = data.iter().map(|v| v - 0.3).collect();
    let start = columns(&centred, 60, &[5, 20, 40]);
    let free = Constraints { concentrations: false, spectra: false, ..Constraints::default() };
    let found = solve(&centred, 60, 3, &start, &free, 2000).unwrap();
    let svd = kalpha_num::svd::thin_svd(&centred, 40, 60);
    let left: f64 = svd.values.iter().skip(3).map(|v| v * v).sum();
    let least = 100.0 * (left / dot(&centred, &centred)).sqrt();
    assert!((found.lack_of_fit / least - 1.0).abs() < 1e-3, "{} {least}", found.lack_of_fit);
}

#[test]
fn bad_input_is_refused() {
    let (data, _, spectra) = mixtures();
    let start = Start::Spectra(spectra);
    let none = Constraints::default();
    let says = |data: &[f64], k: usize, start: &Start, constraints: &Constraints| {
        solve(data, 60, k, start, constraints, 5).unwrap_err().to_string()
    };
    assert!(says(&data[..100], 3, &start, &none).contains("data"));
    assert!(says(&data, 0, &start, &none).contains("components"));
    assert!(says(&data, 41, &start, &none).contains("components"));
    assert!(says(&data, 2, &start, &none).contains("start spectra"));
    assert!(says(&vec![0.0; 2400], 3, &start, &none).contains("zero"));
    let mut broken = data.clone();
    broken[77] = f64::NAN;
    assert!(says(&broken, 3, &start, &none).contains("NaN"));
    for bad in [
        Constraints { unimodal: vec![3], ..none.clone() },
        Constraints { runs: vec![10, 10], ..none.clone() },
        Constraints { closure: Some(-1.0), ..none.clone() },
        Constraints { known: vec![(0, vec![1.0; 5])], ..none.clone() },
        Constraints { known: vec![(0, vec![0.0; 60])], ..none.clone() },
        Constraints { absent: vec![(0, 30..50)], ..none.clone() },
    ] {
        assert!(!says(&data, 3, &start, &bad).is_empty());
    }
    // Rows and columns of zeros are data like others.
    let mut holes = data;
    holes[..60].fill(0.0);
    (0..40).for_each(|r| holes[r * 60 + 30] = 0.0);
    let found = solve(&holes, 60, 3, &start, &none, 50).unwrap();
    assert!(found.concentrations[..3].iter().all(|v| *v == 0.0));
    assert!(found.lack_of_fit.is_finite());
    // The same start twice: told apart or not, every number is finite.
    let twice = Start::Spectra([&holes[60..120], &holes[60..120], &holes[120..180]].concat());
    let found = solve(&holes, 60, 3, &twice, &none, 50).unwrap();
    assert!(found.spectra.iter().chain(&found.concentrations).all(|v| v.is_finite()));
}
