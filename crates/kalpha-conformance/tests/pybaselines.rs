//! The baseline steps against pybaselines 1.2.1, with the parameters of its reference run.

#![allow(clippy::unwrap_used)]

use kalpha_conformance::values;
use kalpha_core::{
    Artefact, Axis, Ctx, DType, Dataset, DenseRows, DenseValues, Metadata, NoiseModel, RowsMeta,
    Source, Unit,
};
use kalpha_engine::Engine;
use kalpha_io::{Input, OpenOptions};
use kalpha_process::row_method::RowFlags;
use kalpha_recipe::{Recipe, run};
use serde_json::Value;
use std::{path::Path, sync::Arc};

/// Largest difference, as a part of the range of the spectrum.
const TOLERANCE: f64 = 1e-6;

/// Methods whose baselines are compared, and a bound of their own where the arithmetic is the
/// same up to the order of a few sums.
const METHODS: &[(&str, f64)] = &[
    ("snip", 1e-12),
    ("asls", TOLERANCE),
    ("iasls", TOLERANCE),
    ("airpls", TOLERANCE),
    ("arpls", TOLERANCE),
    ("drpls", TOLERANCE),
    ("iarpls", TOLERANCE),
    // pybaselines moves by this much when last bits of the reference spectra do; what its first
    // iterations give is compared to 1e-6 below.
    ("aspls", 5e-3),
    ("psalsa", TOLERANCE),
    ("modpoly", TOLERANCE),
    ("imodpoly", TOLERANCE),
    ("rolling_ball", 1e-12),
    ("mor", 0.0),
    ("tophat", 0.0),
    ("std_distribution", 1e-12),
    ("pspline_asls", TOLERANCE),
    ("pspline_arpls", TOLERANCE),
];

fn array(file: &Input, name: &str) -> Vec<f64> {
    let options = OpenOptions { signal: Some(name.to_owned()), ..OpenOptions::default() };
    values(&kalpha_io::read(file, &options).unwrap().rows)
}

fn dataset(x: &[f64], spectra: &[Vec<f64>]) -> Dataset {
    let meta = RowsMeta {
        rows: spectra.len(),
        channels: x.len(),
        dtype: DType::F64,
        navigation: vec![Axis::index("index", spectra.len())],
        signal: Axis::values("Raman shift", Unit::None, x.to_vec()),
        noise: NoiseModel::Unknown,
    };
    Dataset {
        rows: Arc::new(DenseRows::new(meta, DenseValues::F64(spectra.concat().into())).unwrap()),
        metadata: Metadata::default(),
        vendor: Default::default(),
        mask: None,
        source: Source { path: "sample".into(), format: "sample".into(), ..Source::default() },
        diagnostics: Vec::new(),
    }
}

/// Backgrounds by one step, and the rows it flagged.
fn backgrounds(id: &str, params: &Value, data: &Dataset) -> (Vec<f64>, RowFlags) {
    let mut recipe = Recipe::new("baseline").with(id);
    recipe.step[0].params = params.as_object().unwrap().clone();
    let engine = Engine::new(1, Ctx::default()).unwrap();
    let session = run(&recipe, data, "sample", &engine).unwrap().session;
    let Some(Artefact::Rows(rows)) = session.get("background") else { panic!("{id}") };
    let flags = session.get("row_flags").unwrap().get::<RowFlags>().unwrap().clone();
    (values(rows), flags)
}

/// How far the result moves when last bits of the data do, as a part of `range`.
///
/// snip with a moving mean compares numbers that are often equal up to rounding. pybaselines
/// itself then moves by up to 5e-4 of the range on the reference spectra, so agreement cannot
/// be asked for beyond that.
fn last_bit(id: &str, params: &Value, x: &[f64], y: &[f64], range: f64) -> f64 {
    let spoilt = |k: usize| -> Vec<f64> {
        let flip = |(i, v): (usize, &f64)| match (i * 7 + k * 13 + i * i * k) % 3 {
            0 => v.next_up(),
            1 => v.next_down(),
            _ => *v,
        };
        y.iter().enumerate().map(flip).collect()
    };
    let spectra: Vec<Vec<f64>> = std::iter::once(y.to_vec()).chain((0..24).map(spoilt)).collect();
    let (z, _) = backgrounds(id, params, &dataset(x, &spectra));
    let (own, rest) = z.split_at(x.len());
    let moved = rest.iter().zip(own.iter().cycle()).map(|(a, b)| (a - b).abs());
    moved.fold(0.0, f64::max) / range
}

#[test]
fn equal_pybaselines() {
    let (Some(json), Some(npz)) = (
        kalpha_reference::path("reference/baseline/baselines_ref.json"),
        kalpha_reference::path("reference/baseline/baselines_ref.npz"),
    ) else {
        return;
    };
    let known: Value = serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
    // As bytes, since the JSON file beside it does not describe its axes.
    let npz = Input::from_bytes(Path::new("pybaselines.npz"), std::fs::read(npz).unwrap());
    let mut worse = Vec::new();
    for length in ["N1024", "N2048"] {
        let x = array(&npz, &format!("{length}_s0_x"));
        let spectra: Vec<Vec<f64>> =
            [0, 1].map(|s| array(&npz, &format!("{length}_s{s}_y"))).into();
        // Alone and in company: different code, the same bits.
        let together = dataset(&x, &spectra);
        for (name, tolerance) in METHODS {
            let params = &known["methods"][name];
            let id = format!("baseline.{name}");
            let (got, _) = backgrounds(&id, params, &together);
            for (s, y) in spectra.iter().enumerate() {
                let want = array(&npz, &format!("{length}_s{s}_{name}"));
                let (low, high) = y
                    .iter()
                    .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)));
                let own = &got[s * x.len()..(s + 1) * x.len()];
                let difference = own
                    .iter()
                    .zip(&want)
                    .map(|(a, b)| (a - b).abs())
                    .fold(0.0, |m: f64, d| if d.is_nan() { d } else { m.max(d) })
                    / (high - low);
                let tolerance = match *name {
                    "snip" => tolerance.max(last_bit(&id, params, &x, y, high - low)),
                    _ => *tolerance,
                };
                if difference.is_nan() || difference > tolerance {
                    worse.push(format!("{length} s{s} {name}: {difference:.1e}"));
                }
                let (alone, _) = backgrounds(&id, params, &dataset(&x, std::slice::from_ref(y)));
                let same = alone.iter().zip(own).all(|(a, b)| a.to_bits() == b.to_bits());
                assert!(same, "{length} s{s} {name}: company changes the result");
            }
        }
    }
    assert!(worse.is_empty(), "{worse:#?}");
}

/// Options that the reference run leaves alone: values by `pybaselines_expected.py`.
#[test]
fn options_equal_pybaselines() {
    let known: Value = serde_json::from_str(include_str!("pybaselines_expected.json")).unwrap();
    let numbers = |v: &Value| -> Vec<f64> {
        v.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
    };
    let (x, y) = (numbers(&known["x"]), numbers(&known["y"]));
    let up = dataset(&x, std::slice::from_ref(&y));
    let reversed = |v: &[f64]| v.iter().rev().copied().collect::<Vec<f64>>();
    let down = dataset(&reversed(&x), &[reversed(&y)]);
    let range = 900.0;
    let mut worse = Vec::new();
    for case in known["cases"].as_array().unwrap() {
        let id = format!("baseline.{}", case["method"].as_str().unwrap());
        let want = numbers(&case["background"]);
        // Cutting into segments counts channels from the start of the axis.
        let parted = case["params"].get("segments").is_some();
        let both = [(&up, false), (&down, true)];
        for (data, turned) in both.into_iter().take(if parted { 1 } else { 2 }) {
            let (mut got, _) = backgrounds(&id, &case["params"], data);
            if turned {
                got.reverse();
            }
            let pairs = got.iter().step_by(13).zip(&want);
            let difference = pairs
                .map(|(a, b)| (a - b).abs() / range)
                .fold(0.0, |m: f64, d| if d.is_nan() { f64::INFINITY } else { m.max(d) });
            let smoothed = case["params"].get("smooth_half_window").is_some_and(|v| !v.is_null());
            let tolerance = match id.as_str() {
                "baseline.snip" if smoothed => {
                    TOLERANCE.max(last_bit(&id, &case["params"], &x, &y, range))
                }
                _ => TOLERANCE,
            };
            if difference > tolerance {
                worse.push(format!("{id} {} {turned}: {difference:.1e}", case["params"]));
            }
        }
    }
    assert!(worse.is_empty(), "{worse:#?}");
}
