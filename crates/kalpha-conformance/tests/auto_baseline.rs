//! `baseline.auto` against the methods of pybaselines, on spectra that had no part in its making.

#![allow(clippy::unwrap_used)]

use kalpha_conformance::values;
use kalpha_core::NoiseModel;
use kalpha_io::{Input, OpenOptions};
use kalpha_process::{
    baseline::auto::{Auto, AutoMethod, Scratch},
    row_method::{Block, RowMethod, RowStatus},
};
use serde_json::Value;
use std::{collections::BTreeMap, f64::consts::PI, path::Path};

/// What the automatic mode may err, as a multiple of the median of the best eight methods.
const BAR: f64 = 1.1;

/// splitmix64, as in `auto_baseline.py`.
struct Draw(u64);

impl Draw {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
    fn between(&mut self, a: f64, b: f64) -> f64 {
        a + (b - a) * self.uniform()
    }
    fn normal(&mut self) -> f64 {
        let (a, b) = (self.uniform(), self.uniform());
        (-2.0 * (1.0 - a).ln()).sqrt() * (2.0 * PI * b).cos()
    }
}

fn background(draw: &mut Draw, kind: u64, n: usize) -> (Vec<f64>, f64) {
    let shape: Box<dyn Fn(f64) -> f64> = match kind {
        0 => {
            let c: [f64; 4] = std::array::from_fn(|_| 0.5 * draw.normal());
            Box::new(move |x| 1.5 + (0..4).map(|k| c[k] * x.powi(k as i32 + 1)).sum::<f64>())
        }
        1 => {
            let r = draw.between(1.0, 4.0);
            Box::new(move |x| 0.3 + (-r * x).exp())
        }
        2 => {
            let (a, c) = (draw.between(0.5, 1.5), draw.between(0.2, 0.8));
            let (w, s) = (draw.between(0.2, 0.5), draw.between(-0.2, 0.5));
            Box::new(move |x| 0.3 + a * (-0.5 * ((x - c) / w).powi(2)).exp() + s * x)
        }
        3 => {
            let (f, p) = (draw.between(0.4, 1.5), draw.uniform());
            Box::new(move |x| 1.0 + 0.4 * (2.0 * PI * (f * x + p)).sin())
        }
        4 => {
            let (c, s) = (draw.between(0.3, 0.7), draw.between(5.0, 15.0));
            Box::new(move |x| 0.5 + 1.0 / (1.0 + (-s * (x - c)).exp()))
        }
        _ => Box::new(|x| 0.7 - 0.3 * x + (-((x - 0.25) / 0.3).powi(2)).exp()),
    };
    let mut b: Vec<f64> = (0..n).map(|i| shape(i as f64 / (n - 1) as f64)).collect();
    let low = b.iter().copied().fold(f64::INFINITY, f64::min);
    b.iter_mut().for_each(|x| *x = *x - low.min(0.0) + 0.2);
    let level = 10f64.powf(draw.between(2.3, 3.7));
    let mean = b.iter().sum::<f64>() / n as f64;
    (b.into_iter().map(|x| level * x / mean).collect(), level)
}

/// True background and counts.
fn spectrum(seed: u64) -> (Vec<f64>, Vec<f64>) {
    let mut draw = Draw(seed);
    let n = [512, 1024, 2048][(seed / 6 % 3) as usize];
    let (truth, level) = background(&mut draw, seed % 6, n);
    let mut mean = truth.clone();
    for _ in 0..4 + (12.0 * draw.uniform()) as usize {
        let c = draw.between(0.0, n as f64);
        let w = n as f64 / 1024.0 * 10f64.powf(draw.between(0.6, 1.6));
        let eta = draw.between(0.0, 0.6);
        let a = level * 10f64.powf(draw.between(-1.2, 0.3));
        for (i, mean) in mean.iter_mut().enumerate() {
            let q = (i as f64 - c) / w;
            *mean +=
                a * ((1.0 - eta) * (-4.0 * 2f64.ln() * q * q).exp() + eta / (1.0 + 4.0 * q * q));
        }
    }
    let counts = mean.iter().map(|m| (m + m.sqrt() * draw.normal() + 0.5).floor().max(0.0));
    let counts = counts.collect();
    (truth, counts)
}

struct Answer {
    baseline: Vec<f64>,
    sigma: Vec<f64>,
    status: RowStatus,
}

fn auto(y: &[f64], noise: NoiseModel) -> Answer {
    let method = AutoMethod::new(Auto::default(), y.len(), noise);
    let (mut out, mut status) = (vec![0.0; 2 * y.len()], [RowStatus::Fine]);
    let mut table = vec![0.0; method.columns().len()];
    method.apply(
        &mut Block {
            first_row: 0,
            rows: 1,
            channels: y.len(),
            values: y,
            out: &mut out,
            status: &mut status,
            table: &mut table,
        },
        &mut Scratch::default(),
    );
    let sigma = out.split_off(y.len());
    Answer { baseline: out, sigma, status: status[0] }
}

fn rms(a: &[f64], b: &[f64]) -> f64 {
    let squares: f64 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
    (squares / a.len() as f64).sqrt()
}

fn median_of_eight(errors: &mut [f64]) -> f64 {
    errors.sort_by(f64::total_cmp);
    0.5 * (errors[3] + errors[4])
}

fn inside(answer: &Answer, truth: &[f64]) -> f64 {
    let covered = answer.baseline.iter().zip(&answer.sigma).zip(truth);
    covered.filter(|((z, s), t)| (*z - *t).abs() < 1.96 * *s).count() as f64 / truth.len() as f64
}

/// Mean over all spectra against the median of the eight methods of least mean, and, harder,
/// against the median of the eight best of each spectrum.
#[test]
fn errors_on_unseen_spectra() {
    let known: Value = serde_json::from_str(include_str!("auto_baseline.json")).unwrap();
    let spectra = known.as_array().unwrap();
    for told in [NoiseModel::COUNTS, NoiseModel::Unknown] {
        let mut by_method: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        let (mut own, mut best_eight, mut covered) = (0.0, 0.0, 0.0);
        for entry in spectra {
            let (truth, counts) = spectrum(entry["seed"].as_u64().unwrap());
            // The last bit of a cosine may move a count by one.
            let sum: f64 = counts.iter().sum();
            assert!((sum - entry["sum"].as_f64().unwrap()).abs() <= 3.0, "{}", entry["seed"]);
            let mut errors = Vec::new();
            for (name, error) in entry["errors"].as_object().unwrap() {
                let error = error.as_f64().unwrap();
                by_method.entry(name).or_default().push(error);
                errors.push(error);
            }
            best_eight += median_of_eight(&mut errors);
            let answer = auto(&counts, told.clone());
            own += rms(&answer.baseline, &truth);
            covered += inside(&answer, &truth);
            assert!(answer.sigma.iter().all(|s| *s > 0.0));
            assert!(matches!(answer.status, RowStatus::Fine | RowStatus::AtBound));
        }
        let count = spectra.len() as f64;
        let mut means: Vec<f64> = by_method
            .values()
            .filter(|e| e.len() == spectra.len())
            .map(|e| e.iter().sum::<f64>() / count)
            .collect();
        let of_means = median_of_eight(&mut means);
        let (own, best_eight, covered) = (own / count, best_eight / count, covered / count);
        println!(
            "{told:?}: error {own:.2}; median of the best eight methods {of_means:.2}, of the best \
             eight of each spectrum {best_eight:.2}; 95 % intervals cover {:.1} %",
            100.0 * covered
        );
        assert!(own <= BAR * of_means && own <= BAR * best_eight);
        assert!(covered > 0.8, "{covered}");
    }
}

/// The simulated spectra of the reference, which had no part in any choice.
#[test]
fn errors_on_the_reference_spectra() {
    let (Some(json), Some(npz)) = (
        kalpha_reference::path("reference/baseline/baselines_ref.json"),
        kalpha_reference::path("reference/baseline/baselines_ref.npz"),
    ) else {
        return;
    };
    let known: Value = serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
    let npz = Input::from_bytes(Path::new("pybaselines.npz"), std::fs::read(npz).unwrap());
    let array = |name: &str| {
        let options = OpenOptions { signal: Some(name.to_owned()), ..OpenOptions::default() };
        values(&kalpha_io::read(&npz, &options).unwrap().rows)
    };
    for length in ["N1024", "N2048"] {
        for s in [0, 1] {
            let key = format!("{length}_s{s}");
            let (y, truth) = (array(&format!("{key}_y")), array(&format!("{key}_true")));
            let mut errors: Vec<f64> = known["results"]
                .as_object()
                .unwrap()
                .values()
                .filter_map(|of| of[&key]["rmse_true"].as_f64())
                .collect();
            let bar = median_of_eight(&mut errors);
            for told in [NoiseModel::COUNTS, NoiseModel::Unknown] {
                let answer = auto(&y, told.clone());
                let error = rms(&answer.baseline, &truth);
                println!(
                    "{key} {told:?}: error {error:.1}, best eight {bar:.1}, 95 % intervals cover \
                     {:.1} %, {:?}",
                    100.0 * inside(&answer, &truth),
                    answer.status
                );
                assert!(error <= BAR * bar, "{key}: {error} {bar}");
            }
        }
    }
}
