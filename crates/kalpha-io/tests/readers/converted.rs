//! Converted files read back to what they came from: values, types, axes, metadata, history.

use kalpha_core::{
    Axis, CellBuffer, CellGrid, Dataset, DenseRows, DenseValues, NoiseModel, Source,
};
use kalpha_core::{DType, Metadata, RowsMeta, Unit};
use kalpha_io::{IoError, OpenOptions, open, write::write_dataset};
use serde_json::json;
use std::{path::Path, sync::Arc};

/// The bits of all values.
fn bits(dataset: &Dataset) -> Vec<u64> {
    let meta = dataset.meta();
    let grid = CellGrid::new(meta.rows, meta.channels);
    let (mut buffer, mut values, mut all) = (CellBuffer::default(), Vec::new(), Vec::new());
    for i in 0..grid.cells() {
        dataset.rows.cell(grid.rows(i), &mut buffer).unwrap().to_f64(&mut values);
        all.extend(values.iter().map(|x| x.to_bits()));
    }
    all
}

fn same(before: &Dataset, after: &Dataset) {
    assert_eq!(before.meta().navigation, after.meta().navigation);
    assert_eq!(before.meta().signal, after.meta().signal);
    assert_eq!(before.meta().noise, after.meta().noise);
    assert_eq!(before.metadata, after.metadata);
    assert_eq!(before.vendor, after.vendor);
    assert_eq!(before.mask, after.mask);
    if before.source.dtype.is_some() {
        assert_eq!(before.source.dtype, after.source.dtype);
    }
    assert!(bits(before) == bits(after), "values differ");
    let history = &after.source.history;
    assert_eq!(history.len(), before.source.history.len() + 1);
    let last = history.last().unwrap();
    assert_eq!((&*last.path, &*last.format), (&*before.source.path, &*before.source.format));
    assert_eq!(last.action, "converted");
}

fn round_trip(dataset: &Dataset, folder: &Path, name: &str) -> Dataset {
    let path = folder.join(name);
    write_dataset(&path, dataset, None, false).unwrap();
    let back = open(&path, &OpenOptions::default()).unwrap();
    same(dataset, &back);
    back
}

/// Every format that keeps everything.
const EXACT: [&str; 8] = ["a.npy", "a.zarr", "a.hspy", "a.zspy", "a.nxs", "a.csv", "a.txt", "a.xy"];

/// Real spectra of every kind of text, and all groups of a project.
#[test]
fn absorption_goes_round_without_loss() {
    for (relative, signal) in [
        ("data/xas/cu_metal_rt.xdi", None),
        ("data/xas/XASDataLibrary/S/CaSO4_rt_01.xdi", Some("i0")),
        ("data/xas/S_CAMD.prj", Some("PSSA (+5)")),
        ("data/xas/fe2o3_rt1.xmu", None),
        ("data/xas/HXN_refs/FeLibNov2021.nor", Some("all")),
    ] {
        let Some(path) = kalpha_reference::path(relative) else { return };
        let signal = signal.map(str::to_owned);
        let dataset = open(path, &OpenOptions { signal, ..OpenOptions::default() }).unwrap();
        for name in ["a.xdi", "a.prj", "a.csv", "a.dat"] {
            let folder = tempfile::tempdir().unwrap();
            let once = round_trip(&dataset, folder.path(), name);
            round_trip(&once, folder.path(), &format!("b{}", &name[1..]));
        }
    }
}

/// A text that was changed by hand says what it says now.
#[test]
fn columns_that_were_changed_are_what_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    let dataset = made(DenseValues::F64(vec![0.5; 24].into()));
    write_dataset(&path, &dataset, None, false).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let changed: Vec<&str> = text.lines().take(6).collect();
    std::fs::write(&path, changed.join("\n") + "\n").unwrap();
    let back = open(&path, &OpenOptions::default()).unwrap();
    assert_eq!((back.meta().rows, back.meta().channels), (1, 3));
    assert_eq!(back.meta().signal.name, "Energy");
    assert_eq!(back.meta().signal.unit, Unit::KeV);
}

#[test]
fn energies_in_kev_are_no_xdi() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = made(DenseValues::F64(vec![0.5; 24].into()));
    for name in ["a.xdi", "a.prj"] {
        let error = write_dataset(&folder.path().join(name), &dataset, None, false).unwrap_err();
        assert!(error.to_string().contains("keV"), "{error}");
    }
}

#[test]
fn real_files_go_round_without_loss() {
    for relative in [
        "data/eds/EDS_SEM_TM002.hspy",
        "data/eds/EDS_TEM_FePt_nanoparticles.hspy",
        "data/eds/test_TEM.bcf",
        "data/formats/4on3_full.rpl",
        "data/eels/LSMO_linescan.hspy",
        "data/eels/CuZn_HAADF.hspy",
        "data/xas/cu_metal_rt.xdi",
        "data/eels/CrL_coreloss_spectrum.msa",
    ] {
        let Some(path) = kalpha_reference::path(relative) else { return };
        let dataset = open(path, &OpenOptions::default()).unwrap();
        for name in EXACT {
            let folder = tempfile::tempdir().unwrap();
            let once = round_trip(&dataset, folder.path(), name);
            // And a second time: the history grows, nothing else changes.
            round_trip(&once, folder.path(), &format!("b{}", &name[1..]));
        }
    }
}

fn made(values: DenseValues) -> Dataset {
    let meta = RowsMeta {
        rows: 6,
        channels: 4,
        dtype: DType::F64,
        navigation: vec![
            Axis::values("depth", Unit::Other("Pa".into()), vec![0.1, -7.0, f64::MIN_POSITIVE]),
            Axis::linear("x", Unit::Micrometre, 0.3, -0.1, 2).unwrap(),
        ],
        signal: Axis::linear("Energy", Unit::KeV, -0.47, 0.010_001, 4).unwrap(),
        noise: NoiseModel::Unknown,
    };
    let mut metadata = Metadata { title: Some("Zn O \"film\"".into()), ..Metadata::default() };
    metadata.beam_energy_kev = Some(0.1 + 0.2);
    Dataset {
        rows: Arc::new(DenseRows::new(meta, values).unwrap()),
        metadata,
        vendor: json!({"a": [1, 2.5, null, "x"], "b": {"c": true, "list": [], "µ": "å"}}),
        mask: Some(vec![false, true, false, false, false, true].into()),
        source: Source { path: "made".into(), format: "test".into(), ..Source::default() },
        diagnostics: Vec::new(),
    }
}

#[test]
fn signs_of_zeros_and_odd_values_survive() {
    let mut values: Vec<f64> = (0..24).map(|i| f64::from(i) * 0.1 - 1.0).collect();
    (values[0], values[1], values[2], values[3]) = (-0.0, f64::NAN, f64::INFINITY, 5e-324);
    let narrow: Vec<f32> = values.iter().map(|&x| x as f32).collect();
    let whole: Vec<i16> = (0..24).map(|i| i * 1000 - 12_000).collect();
    for values in [
        DenseValues::F64(values.into()),
        DenseValues::F32(narrow.into()),
        DenseValues::I16(whole.into()),
    ] {
        for name in EXACT {
            round_trip(&made(values.clone()), tempfile::tempdir().unwrap().path(), name);
        }
    }
}

#[test]
fn a_value_that_does_not_fit_its_type_is_an_error_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut dataset = made(DenseValues::F64(vec![300.0; 24].into()));
    dataset.source.dtype = Some("uint8".into());
    // Text has no number types.
    for name in &EXACT[..5] {
        let error = write_dataset(&folder.path().join(name), &dataset, None, false).unwrap_err();
        assert!(matches!(error, IoError::CannotHold { .. }), "{error}");
        assert!(error.to_string().contains("300"), "{error}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn nothing_is_replaced_unless_asked() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = made(DenseValues::F64(vec![0.5; 24].into()));
    let path = folder.path().join("a.npy");
    std::fs::write(folder.path().join("a.json"), "mine").unwrap();
    let error = write_dataset(&path, &dataset, None, false).unwrap_err();
    assert!(error.to_string().contains("a.json"), "{error}");
    assert_eq!(std::fs::read(folder.path().join("a.json")).unwrap(), b"mine");
    write_dataset(&path, &dataset, None, true).unwrap();
    same(&dataset, &open(&path, &OpenOptions::default()).unwrap());
    let error = write_dataset(&folder.path().join("a.docx"), &dataset, None, false).unwrap_err();
    assert!(error.to_string().contains("npy"), "{error}");
    write_dataset(&folder.path().join("a.docx"), &dataset, Some("zarr"), false).unwrap();
}

#[test]
fn a_map_is_no_msa() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = made(DenseValues::F64(vec![0.5; 24].into()));
    let error = write_dataset(&folder.path().join("a.msa"), &dataset, None, false).unwrap_err();
    assert!(error.to_string().contains("one spectrum"), "{error}");
}

#[test]
fn files_are_a_series() {
    let folder = tempfile::tempdir().unwrap();
    let spectrum = |k: u16| {
        let meta = RowsMeta {
            rows: 1,
            channels: 4,
            dtype: DType::F64,
            navigation: Vec::new(),
            signal: Axis::linear("Energy", Unit::KeV, 0.0, 0.01, 4).unwrap(),
            noise: NoiseModel::COUNTS,
        };
        let values = DenseValues::U16(vec![k, 2 * k, 0, 1].into());
        let mut dataset = made(DenseValues::F64(vec![0.5; 24].into()));
        dataset.rows = Arc::new(DenseRows::new(meta, values).unwrap());
        dataset.mask = None;
        dataset.metadata.live_time_s = Some(f64::from(k));
        dataset
    };
    for k in [10, 9, 100] {
        let path = folder.path().join(format!("T{k}K.msa"));
        write_dataset(&path, &spectrum(k), None, false).unwrap();
    }
    std::fs::write(folder.path().join("notes.txt"), "not a spectrum").unwrap();
    for path in [folder.path().to_owned(), folder.path().join("T*.msa")] {
        let series = open(&path, &OpenOptions::default()).unwrap();
        let meta = series.meta();
        assert_eq!((&*meta.navigation[0].name, meta.rows), ("T", 3));
        assert_eq!(meta.navigation[0].to_vec(), [9.0, 10.0, 100.0]);
        let expected = [9, 18, 0, 1, 10, 20, 0, 1, 100, 200, 0, 1].map(|x| f64::from(x).to_bits());
        assert_eq!(bits(&series), expected);
        assert!(meta.noise.is_counts());
        assert_eq!(series.metadata.beam_energy_kev, Some(0.1 + 0.2));
        assert_eq!(series.metadata.live_time_s, None, "the files differ in it");
        assert!(series.diagnostics.iter().any(|d| d.message.contains("live_time_s")));
    }
    let mut other = spectrum(11);
    let meta = RowsMeta {
        signal: Axis::linear("Energy", Unit::KeV, 0.5, 0.01, 4).unwrap(),
        ..other.meta().clone()
    };
    let values = DenseValues::U16(vec![1; 4].into());
    other.rows = Arc::new(DenseRows::new(meta, values).unwrap());
    write_dataset(&folder.path().join("T11K.msa"), &other, None, false).unwrap();
    let error = open(folder.path(), &OpenOptions::default()).err().unwrap();
    assert!(error.to_string().contains("T11K"), "{error}");
    assert!(matches!(
        open(folder.path().join("*.zzz"), &OpenOptions::default()).err().unwrap(),
        IoError::Series { .. }
    ));
}
