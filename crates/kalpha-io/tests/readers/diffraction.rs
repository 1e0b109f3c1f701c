//! Diffraction scans and their like: the tiny files, and what is said of the real ones.

use kalpha_core::{Axis, CellBuffer, Code, Dataset, Modality, Unit};
use kalpha_io::{Confidence, IoError, OpenOptions, detect, open, signals};
use std::path::PathBuf;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name)
}

fn read(name: &str, signal: Option<&str>) -> Dataset {
    let options = OpenOptions { signal: signal.map(str::to_owned), ..OpenOptions::default() };
    open(path(name), &options).unwrap()
}

fn values(dataset: &Dataset) -> Vec<f64> {
    let (mut buffer, mut values) = (CellBuffer::default(), Vec::new());
    let cell = dataset.rows.cell(0..dataset.meta().rows, &mut buffer).unwrap();
    cell.to_f64(&mut values);
    values
}

fn names(name: &str) -> Vec<String> {
    signals(path(name), &OpenOptions::default()).unwrap()
}

#[test]
fn every_tiny_file_is_recognised_as_what_it_is() {
    for (name, format, sure) in [
        ("tiny.xrdml", "xrdml", Confidence::Certain),
        ("tiny.ras", "ras", Confidence::Certain),
        ("tiny.rasx", "rasx", Confidence::Certain),
        ("tiny.brml", "brml", Confidence::Certain),
        ("tiny_v1.raw", "bruker_raw", Confidence::Certain),
        ("tiny_v4.raw", "bruker_raw", Confidence::Certain),
        ("tiny.uxd", "uxd", Confidence::Certain),
        ("tiny.fxye", "gsas", Confidence::Certain),
        ("tiny.gsas", "gsas", Confidence::Certain),
        ("tiny.cif", "cif", Confidence::Certain),
        ("tiny.jdx", "jcamp_dx", Confidence::Certain),
        ("tiny.xye", "xy", Confidence::Likely),
        ("tiny.spc", "spc", Confidence::Likely),
    ] {
        let found = detect(&path(name)).unwrap();
        let best: Vec<_> = found.iter().filter(|(_, c)| *c == found[0].1).collect();
        assert_eq!(
            (best.len(), best[0].0.name(), best[0].1),
            (1, format, sure),
            "{name}: {found:?}"
        );
        assert!(!read(name, None).meta().signal.is_empty(), "{name}");
    }
}

#[test]
fn scans_of_an_area_measurement_are_rows_and_absorbers_are_told() {
    let all = ["scan 1", "scan 1 counts", "scan 2", "scan 2 counts", "scans"];
    assert_eq!(names("tiny.xrdml"), all);
    let rows = read("tiny.xrdml", None);
    assert_eq!((rows.meta().grid(), rows.meta().channels), (vec![2], 5));
    let omega = Axis::linear("Omega", Unit::Other("degree".to_owned()), 5.0, 0.5, 2);
    let angles = rows.meta().navigation[0].to_vec();
    assert_eq!(angles, omega.unwrap().to_vec());
    assert_eq!(values(&rows), [1.0, 2.0, 300.0, 4.0, 5.0, 6.0, 7.0, 800.0, 9.0, 10.0]);
    assert!(rows.diagnostics.iter().any(|d| d.message.contains("scans was read")));
    let counts = read("tiny.xrdml", Some("scan 2 counts"));
    assert_eq!(values(&counts), [6.0, 7.0, 80.0, 9.0, 10.0]);
    assert!(counts.meta().noise.is_counts());
    assert_eq!(counts.metadata.wavelength_a, Some(1.540598));
    assert_eq!(counts.metadata.modality, Some(Modality::Xrd));
    assert!(counts.vendor["xrdMeasurement"]["scan"][0]["dataPoints"].get("counts").is_none());
}

#[test]
fn rigaku_and_bruker_archives() {
    assert_eq!(names("tiny.rasx"), ["scan 1", "scan 2", "scans"]);
    let rows = read("tiny.rasx", None);
    assert_eq!(values(&rows), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(rows.meta().navigation[0].name, "Omega");
    assert_eq!(rows.meta().navigation[0].to_vec(), [1.0, 2.0]);
    assert_eq!(rows.metadata.title.as_deref(), Some("tiny"));
    assert_eq!(rows.source.version.as_deref(), Some("1.1.0.0"));

    assert_eq!(names("tiny.brml"), ["intensity", "counts"]);
    let corrected = read("tiny.brml", None);
    assert_eq!(values(&corrected), [3.0, 40.0 * 8.3, 5.0]);
    assert!(!corrected.meta().noise.is_counts());
    assert!(corrected.diagnostics.iter().any(|d| d.message.contains("absorber")));
    assert_eq!(values(&read("tiny.brml", Some("counts"))), [3.0, 40.0, 5.0]);
    assert_eq!(corrected.meta().signal.unit, Unit::Degree2Theta);
    assert_eq!(corrected.metadata.instrument.as_deref(), Some("D8"));
    assert_eq!(names("tiny.ras"), ["intensity", "counts"]);
    assert_eq!(values(&read("tiny.ras", None)), [5.0, 51.0, 7.0]);
}

#[test]
fn every_version_of_bruker_raw() {
    for (name, version, start, step) in [
        ("tiny_v1.raw", "1", 5.0, f64::from(0.02f32)),
        ("tiny_v2.raw", "2", 20.0, f64::from(0.05f32)),
        ("tiny_v3.raw", "3", 25.0, 0.01),
        ("tiny_v4.raw", "4", 10.0, 0.02),
    ] {
        let signal = (version == "1").then_some("range 2");
        let dataset = read(name, signal);
        assert_eq!(dataset.source.version.as_deref(), Some(version));
        assert_eq!(dataset.meta().signal.offset_scale(), Some((start, step)), "{name}");
        assert_eq!(values(&dataset), [1.0, 2.0, 3.0], "{name}");
        assert!(dataset.meta().noise.is_counts());
    }
    // Ranges on one axis are rows, and read so.
    assert_eq!(read("tiny_v1.raw", None).meta().grid(), [2]);
}

#[test]
fn columns_with_deviations_and_angles_that_were_assumed() {
    let dataset = read("tiny.xye", None);
    assert_eq!(names("tiny.xye"), ["intensity", "esd"]);
    assert_eq!(dataset.meta().signal.unit, Unit::Degree2Theta);
    assert!(dataset.diagnostics.iter().any(|d| d.code == Code::Assumed));
    assert_eq!(dataset.metadata.wavelength_a, Some(1.5406));
    assert_eq!(names("tiny.gsas"), ["bank 1", "bank 1 esd", "bank 2", "bank 2 esd"]);
    assert_eq!(values(&read("tiny.gsas", Some("bank 2"))), [100.0, 121.0]);
}

#[test]
fn a_file_of_structures_alone_says_what_it_holds() {
    let Some(path) = kalpha_reference::path("data/xrd/cif/cod_1000055.cif") else { return };
    let Err(IoError::NoSpectra { found, .. }) = open(path, &OpenOptions::default()) else {
        panic!("a structure is no spectrum");
    };
    assert_eq!(found, "one crystal structure: B6 La");
    let found =
        kalpha_io::cif::structures(&kalpha_io::Input::open(&self::path("tiny.cif")).unwrap());
    let structure = &found.unwrap()[0];
    assert_eq!(structure.operations.len(), 48);
    let b = structure.sites[0].u_iso.unwrap();
    assert!((b.value * 78.956_835_208_7 - 1.0).abs() < 1e-12);
    assert!((structure.cell.lengths[0].su.unwrap() - 1e-3).abs() < 1e-15);
    assert_eq!(structure.sites[0].charge, Some(1));
    assert_eq!(structure.sites[1].u_iso, None);
}

/// What a user reads of the real files: sample, wavelength, instrument.
#[test]
fn metadata_of_real_files() {
    for (file, title, wavelength, instrument) in [
        ("panalytical_powder.xrdml", None, Some(1.540598), Some("EMPYREAN")),
        ("rigaku_nims.ras", Some("Test Sample"), Some(1.540593), None),
        ("rigaku_three_column.ras", Some("ThreeColSample"), Some(0.709319), Some("SmartLabXE")),
        ("rigaku_powder.rasx", None, Some(1.540593), Some("SmartLabXE")),
        ("bruker_absorber.brml", Some("Commander Sample ID"), Some(1.5406), None),
        ("11BM_NAC.fxye", Some("NAC /nov12/11bmb_1804"), Some(0.413909), None),
    ] {
        let Some(path) = kalpha_reference::path(&format!("data/xrd/readers/{file}")) else {
            return;
        };
        let dataset = open(path, &OpenOptions::default()).unwrap();
        let metadata = &dataset.metadata;
        assert_eq!(metadata.title.as_deref(), title, "{file}");
        assert_eq!(metadata.wavelength_a, wavelength, "{file}");
        if instrument.is_some() {
            assert_eq!(metadata.instrument.as_deref(), instrument, "{file}");
        }
        assert_eq!(metadata.modality, Some(Modality::Xrd), "{file}");
        assert_eq!(dataset.meta().signal.unit, Unit::Degree2Theta, "{file}");
    }
}

/// The counts behind Bruker's absorber are whole numbers again, and Poisson.
#[test]
fn counts_behind_a_real_absorber() {
    let Some(path) = kalpha_reference::path("data/xrd/readers/bruker_absorber.brml") else {
        return;
    };
    let options = OpenOptions { signal: Some("counts".to_owned()), ..OpenOptions::default() };
    let counts = open(path, &options).unwrap();
    assert!(counts.meta().noise.is_counts());
    let values = values(&counts);
    // The stored maximum, channel 910, is 495559.8 behind a factor of 8.3.
    assert_eq!(values[910], 59_706.0);
}
