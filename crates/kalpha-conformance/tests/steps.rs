//! What every registered step must do, run through the default recipes.

#![allow(clippy::unwrap_used)]

use kalpha_conformance::{Sample, bits, dataset, values};
use kalpha_core::{
    Artefact, Ctx, Dataset, DenseRows, DenseValues, ExcludeChannels, Passes, Progress, Rows,
    Serial, Silent, StepError, Work,
};
use kalpha_engine::{Engine, Session};
use kalpha_recipe::{Recipe, RunError, defaults, fingerprint, run, steps};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

fn engine(threads: usize) -> Engine {
    Engine::new(threads, Ctx::default()).unwrap()
}

fn run_default(dataset: &Dataset, engine: &Engine) -> Result<Session, RunError> {
    Ok(run(&defaults::eds(), dataset, "sample", engine)?.session)
}

fn all_bits(session: &Session) -> BTreeMap<String, String> {
    session.artefacts().map(|(name, artefact)| (name.to_owned(), bits(artefact))).collect()
}

/// The default recipe on the default sample, with one thread.
fn reference() -> &'static BTreeMap<String, String> {
    static BITS: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    BITS.get_or_init(|| all_bits(&run_default(&Sample::default().dataset(), &engine(1)).unwrap()))
}

fn assert_same(got: &BTreeMap<String, String>, what: &str) {
    assert_eq!(got.keys().collect::<Vec<_>>(), reference().keys().collect::<Vec<_>>(), "{what}");
    for (name, bits) in reference() {
        assert!(got[name] == *bits, "{what} changes the artefact {name}");
    }
}

#[test]
fn every_step_is_described_and_stands_in_a_default_recipe_or_treats_rows() {
    let used: BTreeSet<String> = defaults::NAMES
        .iter()
        .flat_map(|name| defaults::recipe(name).unwrap().step)
        .map(|step| step.id)
        .collect();
    for step in steps() {
        // Treatments of rows, and curve resolution, have their own tests in treatments.rs.
        let treats_rows = step.outputs().iter().any(|port| port.name == "row_flags");
        let tested =
            used.contains(step.id()) || treats_rows || ["mcr_als", "target"].contains(&step.id());
        assert!(tested, "{} is run by no test", step.id());
        assert!(step.revision() > 0 && step.about().len() > 10, "{}", step.id());
        let ports = step.inputs().iter().chain(step.outputs());
        assert!(ports.clone().count() > 1, "{}", step.id());
        ports.for_each(|port| assert!(!port.about.is_empty(), "{} {}", step.id(), port.name));
        let schema = step.schema();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let about = property["description"].as_str().unwrap_or_default();
            assert!(about.len() > 5, "{}.{name} has no description", step.id());
        }
        let resolved = step.resolve(&serde_json::json!({})).unwrap();
        assert_eq!(step.resolve(&resolved).unwrap(), resolved, "{}", step.id());
        let unknown = serde_json::json!({ "no_such_parameter": 1 });
        assert!(step.resolve(&unknown).is_err(), "{} takes unknown parameters", step.id());
    }
}

/// Every step says on a page of its own what it computes and when not to believe it.
#[test]
fn every_step_has_its_theory_page() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/theory");
    let index = std::fs::read_to_string(folder.join("README.md")).unwrap();
    for step in steps() {
        let name = format!("{}.md", step.id());
        let page = std::fs::read_to_string(folder.join(&name))
            .unwrap_or_else(|_| panic!("docs/theory/{name} is missing"));
        for part in
            ["What it computes", "Assumptions", "When it fails", "Sources", "Tested against"]
        {
            assert!(page.contains(&format!("\n## {part}")), "{name} lacks \"{part}\"");
        }
        assert!(index.contains(&format!("]({name})")), "{name} is not in the index");
    }
}

/// Numbers of a step change only with its revision: this list is the reminder.
#[test]
fn revisions() {
    let now: Vec<String> = steps().iter().map(|s| format!("{} {}", s.id(), s.revision())).collect();
    let known = include_str!("revisions.txt");
    assert_eq!(now.join("\n"), known.trim(), "update tests/revisions.txt and CHANGELOG.md");
}

#[test]
fn threads_change_nothing() {
    let sample = Sample::default().dataset();
    for threads in [2, 3] {
        let session = run_default(&sample, &engine(threads)).unwrap();
        assert_same(&all_bits(&session), &format!("{threads} threads"));
    }
}

#[test]
fn dense_counts_and_lazy_rows_change_nothing() {
    let dense = Sample { dense: true, ..Sample::default() }.dataset();
    let mut got = all_bits(&run_default(&dense, &engine(2)).unwrap());
    assert_same(&got, "dense storage");
    let mut lazy = Sample::default().dataset();
    lazy.rows = Arc::new(ExcludeChannels::new(lazy.rows, 0..0, None));
    got = all_bits(&run_default(&lazy, &engine(2)).unwrap());
    assert_same(&got, "rows made on the fly");
}

#[test]
fn the_resolved_recipe_gives_the_same_numbers() {
    let sample = Sample::default().dataset();
    let first = run(&defaults::eds(), &sample, "sample", &engine(2)).unwrap();
    let text = first.recipe.to_toml().unwrap();
    let again = run(&Recipe::from_toml(&text).unwrap(), &sample, "sample", &engine(2)).unwrap();
    assert_same(&all_bits(&again.session), "the written recipe");
    assert_eq!(again.recipe, first.recipe);
}

/// Steps that do not know where a pixel lies see the same thing in any order.
#[test]
fn pixel_order_does_not_change_sums_elements_or_eigenvalues() {
    let plain = Sample::default();
    let n = plain.lines * plain.columns;
    let shuffled = Sample { order: (0..n).map(|i| (i * 7 + 3) % n).collect(), ..plain.clone() };
    let a = run_default(&plain.dataset(), &engine(2)).unwrap();
    let b = run_default(&shuffled.dataset(), &engine(2)).unwrap();
    for name in ["totals", "calibration", "lines"] {
        if let (Some(a), Some(b)) = (a.get(name), b.get(name)) {
            assert_eq!(bits(a), bits(b), "{name}");
        }
    }
    let eigenvalues = |session: &Session| -> Vec<f64> {
        let pca = session.get("pca").map(Artefact::to_json).unwrap_or_default();
        let list = pca["eigenvalues"].as_array().cloned().unwrap_or_default();
        list.iter().filter_map(serde_json::Value::as_f64).collect()
    };
    let (a, b) = (eigenvalues(&a), eigenvalues(&b));
    assert!(!a.is_empty());
    for (x, y) in a.iter().zip(&b) {
        assert!((x - y).abs() <= 1e-10 * a[0], "{x} {y}");
    }
}

/// Stops the run at the `n`-th sign of progress.
struct StopAt {
    n: usize,
    seen: AtomicUsize,
    flag: OnceLock<Arc<AtomicBool>>,
}

impl Progress for StopAt {
    fn update(&self, _: &str, _: u64, _: u64) {
        let seen = self.seen.fetch_add(1, Ordering::Relaxed);
        if let Some(flag) = self.flag.get().filter(|_| seen == self.n) {
            flag.store(true, Ordering::Relaxed);
        }
    }
}

#[test]
fn a_run_can_be_stopped_anywhere() {
    let sample = Sample::default().dataset();
    let run_to = |n: usize| {
        let stop = Arc::new(StopAt { n, seen: AtomicUsize::new(0), flag: OnceLock::new() });
        let ctx = Ctx::new(0, Arc::clone(&stop) as Arc<dyn Progress>);
        stop.flag.set(ctx.cancel_flag()).unwrap();
        let result = run_default(&sample, &Engine::new(2, ctx).unwrap());
        (result, stop.seen.load(Ordering::Relaxed))
    };
    let (finished, total) = run_to(usize::MAX);
    assert!(finished.is_ok() && total > 10);
    for n in (0..total.saturating_sub(3)).step_by((total / 24).max(1)) {
        match run_to(n).0 {
            Err(error) => assert!(error.is_cancelled(), "{error}"),
            Ok(_) => panic!("stopped at {n} of {total}, and yet it finished"),
        }
    }
}

/// Every shape of bad or thin data ends in a result or a structured error, never in a panic.
#[test]
fn degenerate_data_are_defined() {
    let sample = Sample::default();
    let odd = |lines, columns, channels, dose| Sample {
        lines,
        columns,
        channels,
        dose,
        ..sample.clone()
    };
    for (what, sample) in [
        ("empty", odd(6, 5, 600, 0.0)),
        ("one pixel", odd(1, 1, 600, 5000.0)),
        ("one channel", odd(6, 5, 1, 20.0)),
        ("two channels", odd(6, 5, 2, 20.0)),
        ("one line", odd(1, 40, 600, 100.0)),
        ("hardly a count", odd(6, 5, 600, 0.02)),
        ("no pixel", odd(0, 5, 600, 0.0)),
    ] {
        match run_default(&sample.dataset(), &engine(2)) {
            Ok(session) => assert_finite(&session, what),
            Err(error) => {
                let text = error.to_string();
                assert!(text.len() > 20 && !text.contains("panicked"), "{what}: {text}");
            }
        }
    }
}

#[test]
fn a_masked_map_is_as_if_the_pixels_were_not_there() {
    let masked = Sample { masked: true, ..Sample::default() }.dataset();
    let session = run_default(&masked, &engine(2)).unwrap();
    assert_finite(&session, "masked");
    let totals = session.get("totals").unwrap().to_json();
    assert_eq!(totals["empty_rows"], 360_usize.div_ceil(7));
}

#[test]
fn values_that_are_no_counts_are_refused_before_the_run() {
    let sample = Sample::default();
    let mut meta = sample.meta();
    meta.noise = kalpha_core::NoiseModel::Unknown;
    let mut numbers = vec![0.5f32; meta.rows * meta.channels];
    numbers[17] = f32::NAN;
    numbers[18] = f32::INFINITY;
    numbers[19] = -3.0;
    let rows = DenseRows::new(meta, DenseValues::F32(numbers.into())).unwrap();
    let error = run_default(&dataset(Arc::new(rows)), &engine(1)).err().unwrap().to_string();
    assert!(error.contains("Poisson"), "{error}");
}

fn assert_finite(session: &Session, what: &str) {
    for (name, artefact) in session.artefacts() {
        if let Artefact::Rows(rows) = artefact {
            assert!(values(rows).iter().all(|x| x.is_finite()), "{what}: {name} has a NaN");
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
    fn parallel(&self, jobs: usize, work: &Work<'_>) -> Result<(), StepError> {
        (0..jobs).rev().try_for_each(work)
    }
}

#[test]
fn the_schedule_changes_nothing() {
    let sample = Sample::default().dataset();
    let recipe = defaults::eds();
    let checked = recipe
        .check(
            &sample.metadata,
            ["counts", "spectra"]
                .map(|name| (name.to_owned(), kalpha_core::PortMeta::Rows(sample.meta().clone())))
                .into(),
        )
        .unwrap();
    let runner = Backwards(Ctx::new(0, Arc::new(Silent)));
    let mut known: BTreeMap<String, Artefact> = ["counts", "spectra"]
        .map(|name| (name.to_owned(), Artefact::Rows(Rows::clone(&sample.rows))))
        .into();
    for step in checked.steps {
        let mut inputs = kalpha_core::Inputs::default();
        for (port, name) in &step.inputs {
            inputs.bind(port, known[name].clone());
        }
        let outputs = (step.plan.run)(&inputs, &runner).unwrap();
        for (port, name) in &step.outputs {
            if let Some(artefact) = outputs.artefacts.get(port) {
                known.insert(name.clone(), artefact.clone());
            }
        }
    }
    let got = known.iter().map(|(name, artefact)| (name.clone(), bits(artefact))).collect();
    assert_same(&got, "another schedule");
}

#[test]
fn fingerprints_name_the_content_not_the_storage() {
    let sparse = fingerprint(&Serial::default(), &Sample::default().dataset()).unwrap();
    let dense =
        fingerprint(&Serial::default(), &Sample { dense: true, ..Sample::default() }.dataset())
            .unwrap();
    let masked =
        fingerprint(&Serial::default(), &Sample { masked: true, ..Sample::default() }.dataset())
            .unwrap();
    assert_eq!(sparse, dense);
    assert_ne!(sparse, masked);
}
