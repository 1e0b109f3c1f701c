//! Files and circumstances that cannot give a result: one line, a hint, exit 1, nothing left.

#![allow(clippy::unwrap_used)]

use std::{
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

/// What a `.npy` file lacks.
const TOLD: [&str; 7] = [
    "--quiet",
    "--energy-axis=0,0.01,keV",
    "--set=modality=eds",
    "--set=beam_energy_keV=20",
    "--specimen=bulk",
    "-o",
    "out",
];

fn kalpha(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kalpha")).current_dir(folder).args(args).output().unwrap()
}

/// A `.npy` file of `u16` that claims `shape`.
fn npy(path: &Path, shape: &str, values: &[u16]) {
    let header = format!("{{'descr': '<u2', 'fortran_order': False, 'shape': {shape}, }}");
    let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    bytes.extend(format!("{header:<117}\n").bytes());
    bytes.extend(values.iter().flat_map(|x| x.to_le_bytes()));
    std::fs::write(path, bytes).unwrap();
}

/// A spectrum with lines at 0.525, 1.740 and 6.404 keV, ten electronvolts per channel.
fn spectrum(dose: f64) -> Vec<u16> {
    let line = |e: f64, at: f64| (-0.5 * ((e - at) / 0.045f64).powi(2)).exp();
    (0..1024)
        .map(|i| 0.01 * f64::from(i))
        .map(|e| {
            let lines = 2000.0 * line(e, 0.525) + 5000.0 * line(e, 1.74) + 800.0 * line(e, 6.404);
            (dose * (200.0 * (-e / 3.0).exp() + lines)) as u16
        })
        .collect()
}

fn refused(here: &Path, args: &[&str], says: &str) {
    let before = std::fs::read_dir(here).unwrap().count();
    let out = kalpha(here, args);
    let error = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{args:?}: {error}");
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 2, "{args:?}: {error}");
    assert!(lines[0].starts_with("error: ") && lines[1].starts_with("hint: "), "{error}");
    assert!(error.contains(says), "{args:?}: {error}");
    assert!(out.stdout.is_empty(), "{args:?}");
    assert_eq!(std::fs::read_dir(here).unwrap().count(), before, "{args:?} left something");
}

#[test]
fn arrays_that_hold_nothing_or_lie() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    let cases: [(&str, &str, Vec<u16>, &str); 5] = [
        ("zero.npy", "(8, 8, 1024)", vec![0; 65_536], "empty"),
        ("channel.npy", "(8, 8, 1)", vec![5; 64], "channels"),
        ("none.npy", "(0, 8, 1024)", Vec::new(), "no spectra"),
        ("claim.npy", "(1000000, 1000000, 1024)", vec![1; 64], "expected"),
        ("short.npy", "(8, 8, 1024)", vec![1; 1000], "expected"),
    ];
    for (name, shape, values, says) in cases {
        npy(&here.join(name), shape, &values);
        let mut args = vec!["run", name];
        args.extend(TOLD);
        refused(here, &args, says);
    }
    npy(&here.join("map.npy"), "(1, 1, 1024)", &spectrum(1.0));
    refused(here, &["run", "map.npy"], "modality");
    let (eds, axis) = ("--set=modality=eds", "--energy-axis=0,0.01,keV");
    refused(here, &["run", "map.npy", eds], "keV");
    refused(here, &["run", "map.npy", eds, axis], "beam_energy_keV");
}

#[test]
fn one_pixel_and_many_counts_are_no_trouble() {
    let dir = tempfile::tempdir().unwrap();
    for (name, shape, values) in [
        ("pixel.npy", "(1, 1, 1024)", spectrum(1.0)),
        // 100 million counts: no pass may take time by the count.
        ("strong.npy", "(8, 8, 1024)", spectrum(12.0).repeat(64)),
    ] {
        npy(&dir.path().join(name), shape, &values);
        let mut args = vec!["run", name];
        args.extend(TOLD);
        let out = kalpha(dir.path(), &args);
        assert!(out.status.success(), "{name}: {}", String::from_utf8_lossy(&out.stderr));
    }
}

#[test]
fn cut_and_damaged_files() {
    let dir = tempfile::tempdir().unwrap();
    for (file, cut) in [
        ("data/eds/P45_12bit_packed_8bit.bcf", 100_000),
        ("data/eds/P45_12bit_packed_8bit.bcf", 1_000_000),
        ("data/eds/FePt_core_shell.hspy", 50_000),
    ] {
        let Some(file) = kalpha_reference::path(file) else { return };
        let name = file.file_name().unwrap().to_str().unwrap();
        let bytes = std::fs::read(&file).unwrap();
        std::fs::write(dir.path().join(name), &bytes[..cut]).unwrap();
        refused(dir.path(), &["run", name], name);
    }
}

/// k-factors of the user and of the tables are on different scales.
#[test]
fn a_missing_k_factor_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    refused(dir.path(), &["run", "demo:eds", "--quiet", "--k-factors=Fe_Ka=1.45"], "--k-factors");
}

/// The shell's limit stands for a full disk: every write beyond 100 kB fails.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let command = "trap '' XFSZ; ulimit -f 100; exec \"$0\" run demo:eds --quiet -o out";
    let out = Command::new("bash")
        .current_dir(dir.path())
        .args(["-c", command, env!("CARGO_BIN_EXE_kalpha")])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{error}");
    assert!(error.contains("hint: check that the folder"), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// Whatever the run does when Ctrl-C comes, it ends with 130 and leaves nothing; an output
/// folder of an earlier run stays as it was.
#[cfg(unix)]
#[test]
fn ctrl_c_leaves_nothing_half_written() {
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("out");
    std::fs::create_dir(&old).unwrap();
    std::fs::write(old.join("provenance.json"), "{\"kalpha\": \"earlier\"}").unwrap();
    for wait in [0, 30, 200, 700, 1500] {
        let mut run = Command::new(env!("CARGO_BIN_EXE_kalpha"))
            .current_dir(dir.path())
            .args(["run", "demo:eds", "-o", "out"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        let pid = run.id().to_string();
        Command::new("kill").args(["-INT", &pid]).status().unwrap();
        let code = run.wait().unwrap().code();
        // Before the program listens, the system ends it: no code at all.
        assert!(code.is_none() || code == Some(130), "after {wait} ms: {code:?}");
        let left = std::fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(left, 1, "after {wait} ms something was left");
        let text = std::fs::read_to_string(old.join("provenance.json")).unwrap();
        assert!(text.contains("earlier"), "after {wait} ms");
    }
}
