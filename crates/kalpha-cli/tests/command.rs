//! The command as its users meet it: real files in, numbers, files and errors out.

#![allow(clippy::unwrap_used)]

use serde_json::Value;
use std::{
    path::Path,
    process::{Command, Output},
};

fn kalpha(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kalpha")).current_dir(folder).args(args).output().unwrap()
}

/// Runs and parses the JSON answer.
fn answer(folder: &Path, args: &[&str]) -> Value {
    let out = kalpha(folder, args);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

fn symbols(doc: &Value) -> Vec<&str> {
    let mut list: Vec<&str> =
        doc["elements"].as_array().unwrap().iter().map(|e| e["symbol"].as_str().unwrap()).collect();
    list.sort_unstable();
    list
}

/// Windows and k-factors as eXSpy 0.3.2 used them: at.% [15.409296644670983, 84.59070335532903].
#[test]
fn fept_windows_give_the_numbers_of_exspy() {
    let Some(file) = kalpha_reference::path("data/eds/EDS_TEM_FePt_nanoparticles.hspy") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let doc = answer(
        dir.path(),
        &[
            "run",
            file.to_str().unwrap(),
            "--json",
            "--elements=Fe,Pt",
            "--k-factors=Fe_Ka=1.450226,Pt_La=5.075602",
            "--param=eds.cliff_lorimer.intensities=windows",
            "--param=eds.line_windows.lines=[\"Fe_Ka\",\"Pt_La\"]",
            "--param=eds.line_windows.left=5",
        ],
    );
    let elements = doc["composition"]["elements"].as_array().unwrap();
    for (element, at) in elements.iter().zip([15.409296644670983, 84.59070335532903]) {
        let got = element["atomic_percent"]["value"].as_f64().unwrap();
        assert!((got - at).abs() < 1e-6, "{got} {at}");
        // A k-factor without sigma carries an assumed one into the budget.
        assert!(element["atomic_percent"]["syst"]["k_factor:Pt_La"].as_f64().unwrap().abs() > 0.5);
    }
}

/// A rock: the elements that are there and no other, no at.%, and its apatite grains found.
#[test]
fn p45_is_what_is_known_of_it() {
    let Some(file) = kalpha_reference::path("data/eds/P45_12bit_packed_8bit.bcf") else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = file.to_str().unwrap();
    let doc = answer(dir.path(), &["run", file, "--json", "-o", "first"]);
    assert_eq!(symbols(&doc), ["Al", "C", "Ca", "Fe", "K", "Mg", "Na", "O", "P", "Si", "Ti"]);
    assert_eq!(doc["not_quantified"]["reason"], "bulk");
    assert!(doc.get("composition").is_none());
    assert_eq!(doc["counts"]["strobe"]["counts"], 157_067);
    let flags = doc["flagged"].as_array().unwrap();
    for grain in [[49, 28], [7, 68], [27, 60], [23, 43]] {
        let near = |f: &&Value| {
            let at = |i: usize| f["pixel"][i].as_i64().unwrap().abs_diff(grain[i]) <= 2;
            let element = f["element"].as_str().unwrap();
            at(0) && at(1) && (element == "P" || element == "Ca")
        };
        assert!(flags.iter().any(|f| near(&f)), "no P or Ca at {grain:?}");
    }
    // The recipe of the folder gives the same numbers.
    let again = answer(
        dir.path(),
        &["run", file, "--json", "--recipe", "first/recipe.toml", "-o", "second", "--threads=1"],
    );
    for key in ["elements", "phases", "flagged", "rank", "intensities", "calibration"] {
        assert_eq!(doc[key], again[key], "{key}");
    }
    for name in ["report.html", "recipe.toml", "provenance.json", "result.json", "maps.zarr"] {
        assert!(dir.path().join("first").join(name).exists(), "{name}");
    }
}

#[test]
fn core_shell_particles_have_a_rich_shell_and_core() {
    let Some(file) = kalpha_reference::path("data/eds/FePt_core_shell.hspy") else { return };
    let dir = tempfile::tempdir().unwrap();
    let doc = answer(dir.path(), &["run", file.to_str().unwrap(), "--json"]);
    assert_eq!(doc["rank"]["chosen"], 3);
    let iron: Vec<f64> = doc["phases"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|p| p["composition"]["elements"][0]["atomic_percent"]["value"].as_f64())
        .collect();
    assert!(iron.iter().any(|&fe| fe > 90.0), "no Fe-rich shell: {iron:?}");
    assert!(iron.iter().any(|&fe| fe < 65.0), "no Pt-rich core: {iron:?}");
}

#[test]
fn mistakes_get_one_line_a_hint_and_exit_1() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    std::fs::write(here.join("bad.bcf"), "garbage\n").unwrap();
    std::fs::write(here.join("empty.hspy"), "").unwrap();
    std::fs::write(here.join("escape.bcf"), b"\x1b[31mred\x07 and more").unwrap();
    std::fs::create_dir(here.join("foreign")).unwrap();
    std::fs::write(here.join("foreign/mine.txt"), "keep").unwrap();
    for (args, says) in [
        (vec!["run", "none.bcf"], "none.bcf"),
        (vec!["run", "bad.bcf"], "bad.bcf"),
        (vec!["run", "demo:nothing"], "demo:eds"),
        (vec!["run", "demo:eds", "--elements", "Fx"], "Fx"),
        (vec!["run", "demo:eds", "--k-factors", "Fe_Ka"], "k-factor"),
        (vec!["run", "demo:eds", "--k-factors", "Fe_Kx=1"], "Fe_Kx"),
        (vec!["run", "demo:eds", "--format", "xyz"], "hspy"),
        (vec!["run", "demo:eds", "--set", "beam_energy_keV=-5"], "above 0"),
        (vec!["run", "demo:eds", "--recipe", "none.toml"], "kalpha recipe new"),
        (vec!["run", "demo:eds", "--recipe", "bad.bcf"], "not a recipe"),
        (vec!["run", "foreign"], "known format"),
        (vec!["run", "empty.hspy"], "empty"),
        (vec!["run", "escape.bcf"], "AAMVHFSS"),
        (vec!["run", "demo:eds", "--set", "beam=3"], "beam_energy_keV"),
        (vec!["run", "demo:eds", "--param", "pcb.components=3"], "pcb"),
        (vec!["run", "demo:eds", "--param", "pca.componets=3"], "componets"),
        (vec!["run", "demo:eds", "-o", "foreign"], "--force"),
        (vec!["run", "demo:eds", "-o", "bad.bcf/x"], "bad.bcf"),
        (vec!["recipe", "new", "xrd"], "eds"),
    ] {
        let out = kalpha(here, &args);
        let error = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{args:?}: {error}");
        assert!(error.contains(says), "{args:?}: {error}");
        let lines: Vec<&str> = error.lines().collect();
        assert_eq!(lines.len(), 2, "{args:?}: {error}");
        assert!(lines[0].starts_with("error: ") && lines[1].starts_with("hint: "), "{error}");
        assert!(error.chars().all(|c| c == '\n' || !c.is_control()), "{args:?}: {error:?}");
        assert!(out.stdout.is_empty(), "{args:?}");
    }
    assert_eq!(std::fs::read_to_string(here.join("foreign/mine.txt")).unwrap(), "keep");
    let left: Vec<_> = std::fs::read_dir(here).unwrap().collect();
    assert_eq!(left.len(), 4, "something was left behind: {left:?}");
}

#[test]
fn the_demo_is_compared_with_its_truth() {
    let dir = tempfile::tempdir().unwrap();
    let doc = answer(dir.path(), &["run", "demo:eds", "--json"]);
    for row in doc["truth"]["rows"].as_array().unwrap() {
        assert_eq!(row["agrees"], true, "{row}");
    }
    // No family holds more counts than there are.
    let total = doc["counts"]["total"].as_f64().unwrap();
    for family in doc["intensities"].as_array().unwrap() {
        assert!(family["counts"]["value"].as_f64().unwrap() < 0.5 * total, "{family}");
    }
}

/// A sputtered layer: the line at 2.957 keV is argon, not silver (2.984 keV) or Al+Al pile-up.
#[test]
fn tm002_holds_argon_and_no_silver() {
    let Some(file) = kalpha_reference::path("data/eds/EDS_SEM_TM002.hspy") else { return };
    let dir = tempfile::tempdir().unwrap();
    let doc = answer(dir.path(), &["run", file.to_str().unwrap(), "--json"]);
    assert_eq!(symbols(&doc), ["Al", "Ar", "C", "Cu", "Mn", "O", "Zr"]);
    assert_eq!(doc["not_quantified"]["reason"], "bulk");
    // Results are handed on: they name the file, not the folder.
    assert_eq!(doc["source"]["path"], "EDS_SEM_TM002.hspy");
    let html = std::fs::read_to_string(dir.path().join("EDS_SEM_TM002.kalpha/report.html"));
    assert!(!html.unwrap().contains(file.parent().unwrap().to_str().unwrap()));
}

#[test]
fn a_map_is_converted_and_inspected() {
    let Some(file) = kalpha_reference::path("data/eds/test_TEM.bcf") else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = file.to_str().unwrap();
    let out = kalpha(dir.path(), &["convert", file, "map.npy"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let before = answer(dir.path(), &["inspect", file, "--json"]);
    let after = answer(dir.path(), &["inspect", "map.npy", "--json"]);
    for key in ["shape", "signal", "navigation", "noise", "metadata", "total", "largest_value"] {
        assert_eq!(before[key], after[key], "{key}");
    }
    assert_eq!(before["confidence"], "certain");
    assert_eq!(before["total"], 26_005.0);
    // The file gives no specimen; it is a STEM map, so nothing misses it.
    assert!(before["missing"].as_array().unwrap().iter().all(|m| m["key"] != "specimen"));
    let again = kalpha(dir.path(), &["convert", file, "map.npy"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("--force"));
}

#[test]
fn recipes_are_compared_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    let recipe = kalpha(here, &["recipe", "new", "eds"]).stdout;
    std::fs::write(here.join("a.toml"), &recipe).unwrap();
    let text = String::from_utf8(recipe).unwrap().replace("components = 20", "components = 3");
    std::fs::write(here.join("b.toml"), text).unwrap();
    let same = kalpha(here, &["recipe", "diff", "a.toml", "a.toml"]);
    assert!(String::from_utf8_lossy(&same.stdout).contains("no difference"));
    let out = kalpha(here, &["recipe", "diff", "a.toml", "b.toml"]);
    let words = String::from_utf8_lossy(&out.stdout);
    assert!(words.contains("pca.components: 20 in the first, 3 in the second"), "{words}");
    assert!(words.contains("phases") && !words.contains("composition\n  touches"), "{words}");
}

#[test]
fn the_program_tells_about_itself() {
    let dir = tempfile::tempdir().unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_kalpha"))
        .current_dir(dir.path())
        .env("KALPHA_SIMD", "scalar")
        .args(["self", "doctor"])
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&out.stdout);
    for part in
        [env!("CARGO_PKG_VERSION"), "scalar", "threads", "Fe Ka at 6.40", "bcf", "bug report"]
    {
        assert!(words.contains(part), "{part}: {words}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let out = kalpha(dir.path(), &["self", "completions", shell]);
        assert!(out.status.success());
        assert!(String::from_utf8_lossy(&out.stdout).contains("inspect"), "{shell}");
    }
}
