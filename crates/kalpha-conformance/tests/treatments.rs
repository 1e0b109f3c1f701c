//! What every step that treats rows one by one must do.

#![allow(clippy::unwrap_used)]

use kalpha_conformance::{bits, values};
use kalpha_core::{
    Artefact, Axis, CellGrid, Ctx, DType, Dataset, DenseRows, DenseValues, Metadata, NoiseModel,
    Passes, Progress, Rows, RowsMeta, Silent, Source, Unit, Work,
};
use kalpha_engine::{Engine, Session};
use kalpha_process::row_method::{RowFlags, RowStatus};
use kalpha_recipe::{Further, Recipe, RunError, run, run_with, steps};
use serde_json::{Map, Value};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

const CHANNELS: usize = 160;

/// Ids of the steps that treat rows, of one file.
fn treatments() -> Vec<&'static str> {
    let treats = |step: &&dyn kalpha_core::AnyStep| {
        step.outputs().iter().any(|port| port.name == "row_flags")
            && step.inputs().iter().all(|port| port.optional || port.name == "spectra")
    };
    steps().iter().copied().filter(treats).map(|step| step.id()).collect()
}

/// Parameters of steps whose defaults cannot fit an unknown axis.
fn params(id: &str) -> Map<String, Value> {
    let table: Map<String, Value> =
        serde_json::from_str(include_str!("treatment_params.json")).unwrap();
    table.get(id).and_then(Value::as_object).cloned().unwrap_or_default()
}

/// Two peaks on a slope, moving and growing from row to row, and a cosmic ray in some; no random
/// numbers.
fn spectrum(row: usize) -> Vec<f64> {
    (0..CHANNELS)
        .map(|c| {
            let (x, r) = (c as f64, (row % 23) as f64);
            let peak = |c: f64, s: f64| (-0.5 * ((x - c) / s).powi(2)).exp();
            let noise = ((row * CHANNELS + c) as f64 * 0.7391).sin();
            let cosmic_ray = if row % 23 == 8 && c == 20 { 300.0 } else { 0.0 };
            60.0 - 0.2 * x
                + (80.0 + 5.0 * r) * peak(50.0 + 0.2 * r, 4.0)
                + 90.0 * peak(110.0, 6.0)
                + 2.0 * noise
                + cosmic_ray
        })
        .collect()
}

fn dataset_of(spectra: &[Vec<f64>], axis: Axis) -> Dataset {
    let meta = RowsMeta {
        rows: spectra.len(),
        channels: axis.len(),
        dtype: DType::F64,
        navigation: vec![Axis::index("index", spectra.len())],
        signal: axis,
        noise: NoiseModel::Unknown,
    };
    let all: Vec<f64> = spectra.concat();
    Dataset {
        rows: Arc::new(DenseRows::new(meta, DenseValues::F64(all.into())).unwrap()),
        metadata: Metadata { beam_energy_kev: Some(20.0), ..Metadata::default() },
        vendor: Default::default(),
        mask: None,
        source: Source { path: "sample".into(), format: "sample".into(), ..Source::default() },
        diagnostics: Vec::new(),
    }
}

/// 100 to 259 eV in steps of 1 eV.
fn axis() -> Axis {
    Axis::linear("Energy", Unit::Ev, 100.0, 1.0, CHANNELS).unwrap()
}

fn sample(rows: usize) -> Dataset {
    dataset_of(&(0..rows).map(spectrum).collect::<Vec<_>>(), axis())
}

fn treat(id: &str, dataset: &Dataset, engine: &Engine) -> Result<Session, RunError> {
    let mut recipe = Recipe::new("treatment").with(id);
    recipe.step[0].params = params(id);
    Ok(run(&recipe, dataset, "sample", engine)?.session)
}

fn engine(threads: usize) -> Engine {
    Engine::new(threads, Ctx::default()).unwrap()
}

fn rows_of<'a>(session: &'a Session, name: &str) -> &'a Rows {
    match session.get(name) {
        Some(Artefact::Rows(rows)) => rows,
        _ => panic!("{name} is no rows"),
    }
}

/// True where a step learns of all rows before it treats each: then rows are not independent.
fn learns(id: &str) -> bool {
    let alone = treat(id, &sample(1), &engine(1)).map(|s| values(rows_of(&s, "spectra")));
    let among = treat(id, &sample(9), &engine(1)).map(|s| values(rows_of(&s, "spectra")));
    match (alone, among) {
        (Ok(alone), Ok(among)) => alone.iter().zip(&among).any(|(a, b)| a.to_bits() != b.to_bits()),
        _ => true,
    }
}

#[test]
fn there_are_treatments() {
    assert!(!treatments().is_empty());
}

#[test]
fn results_are_finite_and_as_long_as_the_axis() {
    for id in treatments() {
        let session = treat(id, &sample(40), &engine(2)).unwrap_or_else(|e| panic!("{id}: {e}"));
        let rows = rows_of(&session, "spectra");
        assert_eq!(rows.meta().channels, rows.meta().signal.len(), "{id}");
        assert_eq!(rows.meta().rows, 40, "{id}");
        assert!(values(rows).iter().all(|x| x.is_finite()), "{id}");
        let before = values(&sample(40).rows);
        let after = values(rows);
        assert!(before != after, "{id} does nothing to the sample");
    }
}

#[test]
fn threads_and_cells_change_nothing() {
    let n = 2 * CellGrid::new(10_000, CHANNELS).rows_per_cell() + 5;
    for id in treatments() {
        let all: Vec<String> = [1, 2, 3]
            .iter()
            .map(|threads| {
                let session = treat(id, &sample(n), &engine(*threads)).unwrap();
                ["spectra", "row_flags", "row_table"]
                    .map(|name| bits(session.get(name).unwrap()))
                    .concat()
            })
            .collect();
        assert!(all.iter().all(|bits| *bits == all[0]), "{id}: threads change the result");
    }
}

/// A row's result depends neither on its place nor on its neighbours.
#[test]
fn rows_are_independent() {
    let order: Vec<usize> = (0..37).map(|i| (i * 7 + 3) % 37).collect();
    let plain: Vec<Vec<f64>> = (0..37).map(spectrum).collect();
    let shuffled: Vec<Vec<f64>> = order.iter().map(|&i| plain[i].clone()).collect();
    for id in treatments() {
        // Standards are named by their rows: elsewhere they are other standards.
        if params(id).contains_key("master") {
            continue;
        }
        let a = treat(id, &dataset_of(&plain, axis()), &engine(2)).unwrap();
        let b = treat(id, &dataset_of(&shuffled, axis()), &engine(2)).unwrap();
        let (a, b) = (values(rows_of(&a, "spectra")), values(rows_of(&b, "spectra")));
        let width = a.len() / 37;
        // A step that learns of all rows first sums them in another order.
        let scale = a.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        let tolerance = if learns(id) { 1e-9 * scale } else { 0.0 };
        for (new, &old) in order.iter().enumerate() {
            for c in 0..width {
                let (x, y) = (a[old * width + c], b[new * width + c]);
                assert!((x - y).abs() <= tolerance, "{id}: row {old}, channel {c}: {x} {y}");
            }
        }
    }
}

/// A broken row is flagged and NaN; its neighbours are as if it were not there.
#[test]
fn broken_rows_are_flagged_and_harm_nobody() {
    for id in treatments() {
        let mut spectra: Vec<Vec<f64>> = (0..20).map(spectrum).collect();
        let clean = treat(id, &dataset_of(&spectra, axis()), &engine(2)).unwrap();
        spectra[7][33] = f64::NAN;
        spectra[11][0] = f64::INFINITY;
        let broken = treat(id, &dataset_of(&spectra, axis()), &engine(2)).unwrap();
        let flags = broken.get("row_flags").unwrap().get::<RowFlags>().unwrap();
        for row in [7, 11] {
            let flag = flags.0.iter().find(|flag| flag.row == row);
            assert_eq!(flag.map(|f| f.status), Some(RowStatus::NotFinite), "{id}: row {row}");
        }
        let (clean, broken) =
            (values(rows_of(&clean, "spectra")), values(rows_of(&broken, "spectra")));
        let width = clean.len() / 20;
        let independent = !learns(id);
        for (i, (a, b)) in clean.iter().zip(&broken).enumerate() {
            match i / width {
                7 | 11 => assert!(b.is_nan(), "{id}: row {}", i / width),
                _ if independent => assert_eq!(a.to_bits(), b.to_bits(), "{id}: row {}", i / width),
                _ => assert!(b.is_finite(), "{id}: row {}", i / width),
            }
        }
    }
}

/// Thin and odd data end in a result, a flag or a structured error, never in a panic.
#[test]
fn odd_spectra_are_defined() {
    let short = |n: usize| Axis::linear("Energy", Unit::Ev, 100.0, 1.0, n).unwrap();
    let flat = |value: f64| vec![vec![value; CHANNELS]; 3];
    let down = Axis::values("Energy", Unit::Ev, (0..CHANNELS).map(|i| 259.0 - i as f64).collect());
    let uneven = Axis::values(
        "Energy",
        Unit::Ev,
        (0..CHANNELS).map(|i| 100.0 + (i as f64).powf(1.02)).collect(),
    );
    let turning =
        Axis::values("Energy", Unit::Ev, (0..CHANNELS).map(|i| 100.0 + (i % 50) as f64).collect());
    let reversed: Vec<Vec<f64>> = (0..3).map(|r| spectrum(r).into_iter().rev().collect()).collect();
    let usual: Vec<Vec<f64>> = (0..3).map(spectrum).collect();
    let huge: Vec<Vec<f64>> =
        (0..3).map(|r| spectrum(r).iter().map(|x| x * 1e300).collect()).collect();
    let cases = [
        ("no row", Vec::new(), axis()),
        ("one channel", vec![vec![3.0]; 3], short(1)),
        ("two channels", vec![vec![3.0, 4.0]; 3], short(2)),
        ("three channels", vec![vec![3.0, 4.0, 2.0]; 3], short(3)),
        ("zeros", flat(0.0), axis()),
        ("constant", flat(5.0), axis()),
        ("negative", flat(-5.0), axis()),
        ("descending axis", reversed, down),
        ("uneven axis", usual.clone(), uneven),
        ("turning axis", usual, turning),
        ("huge", huge, axis()),
    ];
    for id in treatments() {
        for (what, spectra, axis) in &cases {
            match treat(id, &dataset_of(spectra, axis.clone()), &engine(1)) {
                Ok(session) => {
                    let flags = session.get("row_flags").unwrap().get::<RowFlags>().unwrap();
                    let rows = rows_of(&session, "spectra");
                    let width = rows.meta().channels.max(1);
                    for (i, x) in values(rows).iter().enumerate() {
                        let flagged = flags.0.iter().any(|flag| flag.row == i / width);
                        assert!(x.is_finite() || flagged, "{id}, {what}: a silent NaN in {i}");
                    }
                }
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains("hint"), "{id}, {what}: no hint in: {text}");
                }
            }
        }
    }
}

/// Stops the run at its first sign of progress.
struct StopAtOnce(AtomicUsize, std::sync::OnceLock<Arc<std::sync::atomic::AtomicBool>>);

impl Progress for StopAtOnce {
    fn update(&self, _: &str, _: u64, _: u64) {
        self.0.fetch_add(1, Ordering::Relaxed);
        if let Some(flag) = self.1.get() {
            flag.store(true, Ordering::Relaxed);
        }
    }
}

#[test]
fn a_treatment_can_be_stopped() {
    for id in treatments() {
        let stop = Arc::new(StopAtOnce(AtomicUsize::new(0), std::sync::OnceLock::new()));
        let ctx = Ctx::new(0, Arc::clone(&stop) as Arc<dyn Progress>);
        stop.1.set(ctx.cancel_flag()).unwrap();
        let n = 4 * CellGrid::new(usize::MAX / CHANNELS, CHANNELS).rows_per_cell();
        match treat(id, &sample(n.min(9000)), &Engine::new(2, ctx).unwrap()) {
            Err(error) => assert!(error.is_cancelled(), "{id}: {error}"),
            Ok(_) => panic!("{id} was stopped and yet it finished"),
        }
    }
}

/// A runner that takes the jobs of a pass from last to first.
struct Backwards(Ctx);

impl Passes for Backwards {
    fn ctx(&self) -> &Ctx {
        &self.0
    }
    fn threads(&self) -> usize {
        1
    }
    fn parallel(&self, jobs: usize, work: &Work<'_>) -> Result<(), kalpha_core::StepError> {
        (0..jobs).rev().try_for_each(work)
    }
}

#[test]
fn the_schedule_changes_nothing() {
    let data = sample(5000);
    for id in treatments() {
        let mut recipe = Recipe::new("treatment").with(id);
        recipe.step[0].params = params(id);
        let ports = [("spectra".to_owned(), kalpha_core::PortMeta::Rows(data.meta().clone()))];
        let checked = recipe.check(&data.metadata, ports.into_iter().collect()).unwrap();
        let mut inputs = kalpha_core::Inputs::default();
        inputs.bind("spectra", Artefact::Rows(Rows::clone(&data.rows)));
        let runner = Backwards(Ctx::new(0, Arc::new(Silent)));
        let step = checked.steps.into_iter().next().unwrap();
        let outputs = (step.plan.run)(&inputs, &runner).unwrap();
        let session = treat(id, &data, &engine(2)).unwrap();
        for name in ["spectra", "row_flags", "row_table"] {
            let (a, b) = (&outputs.artefacts[name], session.get(name).unwrap());
            assert!(bits(a) == bits(b), "{id}: another schedule changes {name}");
        }
    }
}

/// What a step says of its output before the run is what comes out.
#[test]
fn declared_axes_and_noise_are_those_of_the_result() {
    let data = sample(12);
    for id in treatments() {
        let mut recipe = Recipe::new("treatment").with(id);
        recipe.step[0].params = params(id);
        let ports = [("spectra".to_owned(), kalpha_core::PortMeta::Rows(data.meta().clone()))];
        let checked = recipe.check(&data.metadata, ports.into_iter().collect()).unwrap();
        let session = treat(id, &data, &engine(1)).unwrap();
        for (port, name) in &checked.steps[0].outputs {
            let declared = checked.steps[0].plan.outputs.iter().find(|(p, _)| p == port);
            let Some((_, kalpha_core::PortMeta::Rows(declared))) = declared else { continue };
            let made = rows_of(&session, name).meta();
            assert_eq!(declared.noise, made.noise, "{id}: {port}");
            assert_eq!(declared.signal, made.signal, "{id}: {port}");
            assert_eq!(declared.rows, made.rows, "{id}: {port}");
        }
    }
}

/// A recipe that normalises counts before a step with a Poisson likelihood is refused before a byte
/// is read, and told which step is to blame.
#[test]
fn counts_that_are_counts_no_more_are_named() {
    let mut meta = sample(12).meta().clone();
    meta.noise = NoiseModel::COUNTS;
    let check = |ids: &[&str]| {
        let recipe = ids.iter().fold(Recipe::new("order"), |recipe, id| recipe.with(id));
        let ports = [("spectra".to_owned(), kalpha_core::PortMeta::Rows(meta.clone()))];
        recipe.check(&Metadata::default(), ports.into_iter().collect()).map(|_| ())
    };
    check(&["normalize.anscombe"]).unwrap();
    for first in ["normalize.total", "normalize.snv", "align.shift", "denoise.wavelet"] {
        let error = check(&[first, "normalize.anscombe"]).unwrap_err().to_string();
        assert!(error.contains(first) && error.contains("before normalisation"), "{error}");
    }
}

/// Two bands that mix in all shares, over an axis.
fn mixture(row: usize) -> Vec<f64> {
    let share = 0.5 + 0.5 * (row as f64 * 0.37).sin();
    let [a, b] = [50.0, 90.0]
        .map(|at| (0..CHANNELS).map(move |c| 1.0 + 4.0 * (-0.01 * (c as f64 - at).powi(2)).exp()));
    a.zip(b).map(|(a, b)| share * a + (1.0 - share) * b).collect()
}

/// Fits by references of a second file: the shares come back, broken rows are flagged, neither
/// threads nor neighbours change a bit.
#[test]
fn references_of_a_second_file() {
    let pure = [mixture(0), mixture(1)];
    let band = |at: f64| -> Vec<f64> {
        (0..CHANNELS).map(|c| 1.0 + 4.0 * (-0.01 * (c as f64 - at).powi(2)).exp()).collect()
    };
    let further = |references: &[Vec<f64>]| Further {
        name: "references".into(),
        dataset: dataset_of(references, axis()),
        fingerprint: "references".into(),
    };
    let mut recipe = Recipe::new("fit").with("lcf");
    recipe.step[0].params = params("lcf");
    let fit = |spectra: &[Vec<f64>], threads: usize| {
        let references = further(&[band(50.0), band(90.0)]);
        let data = dataset_of(spectra, axis());
        run_with(&recipe, &data, "mixtures", &[references], &engine(threads)).unwrap().session
    };
    let n = 2 * CellGrid::new(10_000, CHANNELS).rows_per_cell() + 5;
    let mut spectra: Vec<Vec<f64>> = (0..n).map(mixture).collect();
    spectra[7][3] = f64::NAN;
    let all: Vec<Session> = [1, 2, 3].into_iter().map(|threads| fit(&spectra, threads)).collect();
    for name in ["fractions", "lcf", "row_table", "row_flags"] {
        let one = bits(all[0].get(name).unwrap());
        assert!(all.iter().all(|s| bits(s.get(name).unwrap()) == one), "{name}");
    }
    let fractions = values(rows_of(&all[0], "fractions"));
    for (row, found) in fractions.chunks_exact(2).enumerate() {
        if row == 7 {
            assert!(found.iter().all(|v| v.is_nan()));
            continue;
        }
        let share = 0.5 + 0.5 * (row as f64 * 0.37).sin();
        assert!((found[0] - share).abs() < 1e-9 && (found[0] + found[1] - 1.0).abs() < 1e-12);
    }
    let Some(Artefact::Whole { .. }) = all[0].get("row_flags") else { panic!("flags") };
    // The same reference twice is refused; so are references that do not reach over the window.
    let data = dataset_of(&pure, axis());
    let refused = |references: Further| {
        run_with(&recipe, &data, "m", &[references], &engine(1)).err().unwrap().to_string()
    };
    assert!(refused(further(&[band(50.0), band(50.0)])).contains("combination"));
    let mut short = further(&[]);
    let narrow = Axis::linear("Energy", Unit::Ev, 120.0, 1.0, 40).unwrap();
    short.dataset = dataset_of(&[band(50.0)[..40].to_vec()], narrow);
    assert!(refused(short).contains("inside the axis of the references"));
    assert!(run(&recipe, &data, "m", &engine(1)).is_err());
}

/// Curve resolution: the same bits on any number of threads, and clear words on what it cannot do.
#[test]
fn curves_are_resolved() {
    let resolve = |spectra: &[Vec<f64>], components: usize, threads: usize| {
        let mut recipe = Recipe::new("curves").with("mcr_als");
        recipe.step[0].params.insert("components".into(), Value::from(components));
        run(&recipe, &dataset_of(spectra, axis()), "mixtures", &engine(threads))
    };
    let spectra: Vec<Vec<f64>> = (0..40).map(mixture).collect();
    let [one, two] = [1, 3].map(|threads| resolve(&spectra, 2, threads).unwrap().session);
    for name in ["concentrations", "component_spectra", "mcr"] {
        assert_eq!(bits(one.get(name).unwrap()), bits(two.get(name).unwrap()), "{name}");
    }
    assert!(values(rows_of(&one, "concentrations")).iter().all(|v| *v >= 0.0));
    assert_eq!(rows_of(&one, "component_spectra").meta().rows, 2);
    let says = |spectra: &[Vec<f64>], components: usize| {
        resolve(spectra, components, 1).err().unwrap().to_string()
    };
    assert!(says(&spectra, 0).contains("components"));
    assert!(says(&spectra[..1], 2).contains("components"));
    let mut broken = spectra.clone();
    broken[3][9] = f64::INFINITY;
    assert!(says(&broken, 2).contains("NaN or infinity"));
    assert!(says(&vec![vec![0.0; CHANNELS]; 5], 2).contains("zero"));
    // Multiples of one spectrum hold one component.
    let multiples: Vec<Vec<f64>> =
        (1..9).map(|k| mixture(3).iter().map(|v| v * f64::from(k)).collect()).collect();
    assert!(says(&multiples, 2).contains("only 1 component"));
}

/// Targets: counts are refused, the ends of mixtures pass, an odd one does not.
#[test]
fn targets_are_tested() {
    let noisy = |row: usize| -> Vec<f64> {
        let noise = |c: usize| 0.01 * ((row * CHANNELS + c) as f64 * 12.9898).sin();
        mixture(row).iter().enumerate().map(|(c, v)| v + noise(c)).collect()
    };
    let band = |at: f64| -> Vec<f64> {
        (0..CHANNELS).map(|c| 1.0 + 4.0 * (-0.01 * (c as f64 - at).powi(2)).exp()).collect()
    };
    let spectra: Vec<Vec<f64>> = (0..12).map(noisy).collect();
    let mut recipe = Recipe::new("targets").with("target");
    recipe.step[0].params.insert("components".into(), Value::from(2));
    let test = |data: &Dataset, threads: usize| {
        let references = dataset_of(&[band(50.0), band(90.0), band(70.0)], axis());
        let further = Further {
            name: "references".into(),
            dataset: references,
            fingerprint: "references".into(),
        };
        run_with(&recipe, data, "mixtures", &[further], &engine(threads))
    };
    let data = dataset_of(&spectra, axis());
    let sessions = [1, 2].map(|threads| test(&data, threads).unwrap().session);
    let [one, two] = sessions.each_ref().map(|s| bits(s.get("target").unwrap()));
    assert_eq!(one, two);
    let text = one.to_lowercase();
    assert!(text.contains("good") && text.contains("rejected"), "{text:.400}");
    assert!(test(&dataset_of(&spectra[..2], axis()), 1).is_err());
    let mut broken = spectra.clone();
    broken[4][0] = f64::NAN;
    let found = test(&dataset_of(&broken, axis()), 1).unwrap();
    assert!(found.diagnostics.iter().any(|d| d.to_string().contains("left out")));
}
