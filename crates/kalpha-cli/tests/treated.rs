//! Spectra of no modality in particular: read, treated, written, read again.

#![allow(clippy::unwrap_used)]

use serde_json::Value;
use std::{
    path::Path,
    process::{Command, Output},
};

fn kalpha(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kalpha")).current_dir(folder).args(args).output().unwrap()
}

fn answer(folder: &Path, args: &[&str]) -> Value {
    let out = kalpha(folder, args);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

/// Three spectra on one axis: a peak, the same twice as strong, and zeros.
fn series(folder: &Path) {
    for (name, scale) in [("a_1.xy", 1.0), ("a_2.xy", 2.0), ("a_3.xy", 0.0)] {
        let lines: String = (0..60)
            .map(|i| {
                let x = 100.0 + 2.0 * f64::from(i);
                let y = scale * (3.0 + 50.0 * (-0.02 * (x - 160.0).powi(2)).exp());
                format!("{x} {y}\n")
            })
            .collect();
        std::fs::write(folder.join(name), lines).unwrap();
    }
}

#[test]
fn a_series_is_treated_and_read_back() {
    let dir = tempfile::tempdir().unwrap();
    series(dir.path());
    let doc =
        answer(dir.path(), &["run", "a_*.xy", "--step", "normalize.total", "--json", "-o", "out"]);
    assert_eq!(doc["schema"], "kalpha.spectra/1");
    assert_eq!(doc["spectra"], 3);
    // The third is zero everywhere: flagged, never a number.
    assert_eq!(doc["flagged"].as_array().unwrap().len(), 1);
    assert_eq!(doc["flagged"][0]["row"], 2);
    assert_eq!(doc["statuses"][0]["status"], "constant");
    for output in doc["outputs"].as_array().unwrap() {
        let file = output["file"].as_str().unwrap();
        assert!(dir.path().join("out").join(file).exists(), "{file}");
    }
    let rows = std::fs::read_to_string(dir.path().join("out/rows.csv")).unwrap();
    let totals: Vec<f64> =
        rows.lines().skip(1).map(|l| l.rsplit(',').next().unwrap().parse().unwrap()).collect();
    assert!((totals[1] / totals[0] - 2.0).abs() < 1e-12 && totals[2] == 0.0, "{totals:?}");

    // What was written is data again, and the recipe gives the same numbers.
    let inspected = answer(dir.path(), &["inspect", "out/spectra.zarr", "--json"]);
    assert_eq!(inspected["shape"], serde_json::json!([3, 60]));
    let again = answer(
        dir.path(),
        &["run", "a_*.xy", "--recipe", "out/recipe.toml", "--json", "-o", "again"],
    );
    assert_eq!(again["columns"], doc["columns"]);
    let read = |folder: &str| std::fs::read(dir.path().join(folder).join("spectra.csv")).unwrap();
    assert_eq!(read("out"), read("again"));
}

/// Standards of the wanted instrument come from a file of their own.
#[test]
fn a_second_file_is_bound_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    for (instrument, gain) in [("there", 1.0), ("here", 0.8)] {
        for specimen in 0..5 {
            let lines: String = (0..40)
                .map(|i| {
                    let x = f64::from(i);
                    let height = 10.0 + 3.0 * f64::from(specimen * specimen);
                    let y = gain * (2.0 + height * (-0.02 * (x - 20.0).powi(2)).exp());
                    format!("{x} {y}\n")
                })
                .collect();
            std::fs::write(dir.path().join(format!("{instrument}_{specimen}.xy")), lines).unwrap();
        }
    }
    let run = ["run", "here_*.xy", "--step=transfer.slope_bias", "--input=standards=there_*.xy"];
    let slave = "--param=transfer.slope_bias.slave=0-4";
    let doc = answer(dir.path(), &[&run[..], &[slave, "--json", "-o", "out"]].concat());
    let error = doc["columns"].as_array().unwrap().iter().find(|c| c["name"] == "error").unwrap();
    assert!(error["median"].as_f64().unwrap() < 1e-9, "{error}");
    let provenance = std::fs::read_to_string(dir.path().join("out/provenance.json")).unwrap();
    let provenance: Value = serde_json::from_str(&provenance).unwrap();
    assert_eq!(provenance["inputs"]["standards"]["source"]["path"], "there_*.xy");
    for (input, says) in [
        ("standard=there_*.xy", "they read"),
        ("standards", "is not NAME=FILE"),
        ("spectra=there_*.xy", "is taken"),
        ("standards=there_1.xy", "the same specimens on both instruments"),
    ] {
        let args = [&run[..3], &[slave, "--input", input]].concat();
        let out = kalpha(dir.path(), &args);
        let text = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{text}");
        assert!(text.contains(says), "{text}");
    }
}

#[test]
fn mistakes_are_named() {
    let dir = tempfile::tempdir().unwrap();
    series(dir.path());
    for (args, says) in [
        (vec!["run", "a_1.xy", "--step", "normalize.totl"], "did you mean normalize.total?"),
        (vec!["run", "a_1.xy"], "--step"),
        (
            vec!["run", "a_1.xy", "--step=normalize.total", "--param=normalize.total.first=900"],
            "it runs from 100 to 218",
        ),
        (
            vec!["run", "a_1.xy", "--step=normalize.total", "--param=normalize.total.area=0"],
            "other than zero",
        ),
        (vec!["run", "a_1.xy", "--step=normalize.total", "--recipe=eds"], "cannot be used with"),
        (vec!["run", "a_1.xy", "--recipe=nothing.toml"], "cannot read the recipe"),
        // Counts are wanted where the likelihood is Poisson.
        (vec!["run", "a_1.xy", "--step=normalize.total,pca"], "Poisson"),
    ] {
        let out = kalpha(dir.path(), &args);
        let text = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{args:?}: {text}");
        assert!(text.contains(says), "{args:?}: {text}");
    }
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(left.len(), 3, "nothing but the input is there: {left:?}");
}
