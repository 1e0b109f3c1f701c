//! HDF5 filters, Zarr codecs and layouts, NeXus: files written by h5py, hdf5plugin and
//! zarr-python (scripts beside them in `corpus/`), value by value.

use kalpha_core::{Axis, CellBuffer, Code, Dataset, Modality, Unit};
use kalpha_io::{Confidence, Input, IoError, OpenOptions, detect, open, read, signals};
use std::path::{Path, PathBuf};

fn corpus(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name)
}

fn signal(path: &Path, name: &str) -> Dataset {
    let options = OpenOptions { signal: Some(name.to_owned()), ..OpenOptions::default() };
    open(path, &options).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn values(dataset: &Dataset) -> Vec<f64> {
    let (mut buffer, mut out) = (CellBuffer::default(), Vec::new());
    dataset.rows.cell(0..dataset.meta().rows, &mut buffer).unwrap().to_f64(&mut out);
    out
}

/// What the scripts put into every array.
fn written(i: usize, j: usize, c: usize) -> f64 {
    ((i + 3 * j) * (c % 17) + c / 50) as f64
}

fn cube() -> Vec<f64> {
    let row = |i, j| (0..301).map(move |c| written(i, j, c));
    (0..4).flat_map(|i| (0..3).flat_map(move |j| row(i, j))).collect()
}

#[test]
fn every_hdf5_filter() {
    let path = corpus("filters.hspy");
    let names = signals(&path, &OpenOptions::default()).unwrap();
    assert_eq!(names.len(), 25);
    for name in &names {
        let dataset = signal(&path, name);
        // uint8 is too narrow for some values.
        let narrow = dataset.source.dtype.as_deref() == Some("uint8");
        let wrap = |x: &f64| if narrow { x % 256.0 } else { *x };
        assert!(values(&dataset) == cube().iter().map(wrap).collect::<Vec<_>>(), "{name}");
        assert_eq!(dataset.meta().grid(), [4, 3], "{name}");
        assert_eq!(dataset.meta().signal.unit, Unit::KeV);
    }
}

#[test]
fn zarr_of_both_versions_in_every_codec_and_layout() {
    for (file, version, count) in [("version2.zarr", "2", 11), ("version3.zarr", "3", 10)] {
        let path = corpus(file);
        assert_eq!(detect(&path).unwrap()[0].1, Confidence::Certain);
        let names = signals(&path, &OpenOptions::default()).unwrap();
        assert_eq!(names.len(), count, "{names:?}");
        for name in names.iter().filter(|name| *name != "Energy") {
            let dataset = signal(&path, name);
            assert_eq!(dataset.source.version.as_deref(), Some(version));
            let narrow = dataset.source.dtype.as_deref() == Some("uint8");
            let expected: Vec<f64> = cube()
                .iter()
                .enumerate()
                .map(|(at, x)| match name.as_str() {
                    "sparse" if at >= 2 * 3 * 301 => 7.0,
                    _ if narrow => x % 256.0,
                    _ => *x,
                })
                .collect();
            assert!(values(&dataset) == expected, "{file} {name}");
        }
    }
    let named = signal(&corpus("version3.zarr"), "named");
    let meta = named.meta();
    assert_eq!(meta.navigation, [Axis::index("y", 4), Axis::index("x", 3)]);
    assert_eq!((&*meta.signal.name, &meta.signal.unit), ("Energy", &Unit::KeV));
    assert_eq!(meta.signal.at(4), 0.5 + 0.01 * 8.0);
    assert!(!named.diagnostics.iter().any(|d| d.code == Code::MissingMetadata));
    let big = signal(&corpus("version2.zarr"), "big_endian");
    assert_eq!(big.source.dtype.as_deref(), Some("int32"));
    assert!(big.diagnostics.iter().any(|d| d.code == Code::MissingMetadata));
}

/// Unpacks a ZIP of stored members.
fn unpack(from: &Path, to: &Path) {
    let zip = std::fs::read(from).unwrap();
    let u16_at = |at: usize| usize::from(u16::from_le_bytes([zip[at], zip[at + 1]]));
    let u32_at = |at: usize| u32::from_le_bytes(zip[at..at + 4].try_into().unwrap()) as usize;
    let end = zip.windows(4).rposition(|w| w == b"PK\x05\x06").unwrap();
    let mut at = u32_at(end + 16);
    for _ in 0..u16_at(end + 10) {
        let (packed, local) = (u32_at(at + 20), u32_at(at + 42));
        assert_eq!(u16_at(at + 10), 0, "stored");
        let length = u16_at(at + 28);
        let name = std::str::from_utf8(&zip[at + 46..at + 46 + length]).unwrap();
        let data = local + 30 + u16_at(local + 26) + u16_at(local + 28);
        let file = to.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, &zip[data..data + packed]).unwrap();
        at += 46 + length + u16_at(at + 30) + u16_at(at + 32);
    }
}

#[test]
fn a_folder_is_read_like_its_zip() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["version2.zarr", "version3.zarr"] {
        let path = folder.path().join(file);
        unpack(&corpus(file), &path);
        let names = signals(&path, &OpenOptions::default()).unwrap();
        assert_eq!(names, signals(corpus(file), &OpenOptions::default()).unwrap());
        for name in &names {
            let (a, b) = (signal(&path, name), signal(&corpus(file), name));
            assert!(values(&a) == values(&b) && a.meta().signal == b.meta().signal, "{name}");
        }
    }
    // A chunk that lies, and a codec nobody knows.
    let array = folder.path().join("version3.zarr/zstd_checksum");
    std::fs::write(array.join("c/1/0/0"), b"nonsense").unwrap();
    let error = open(&array, &OpenOptions::default()).err().unwrap();
    assert!(error.to_string().contains("c/1/0/0"), "{error}");
    let header = std::fs::read_to_string(array.join("zarr.json")).unwrap();
    std::fs::write(array.join("zarr.json"), header.replace("crc32c", "rot13")).unwrap();
    let error = open(&array, &OpenOptions::default()).err().unwrap();
    assert!(error.to_string().contains("rot13"), "{error}");
    assert!(matches!(error, IoError::Unsupported { .. }));
    std::fs::write(array.join("zarr.json"), header.replace(": 3", ": 4")).unwrap();
    let error = open(&array, &OpenOptions::default()).err().unwrap();
    assert!(error.to_string().contains('4'), "{error}");
}

#[test]
fn hyperspy_metadata_in_zarr() {
    let dataset = open(corpus("tiny.zspy"), &OpenOptions::default()).unwrap();
    let meta = dataset.meta();
    assert_eq!((meta.grid(), meta.channels), (vec![2, 3], 40));
    assert_eq!(values(&dataset)[40 * 4 + 9], written(1, 1, 9));
    assert_eq!(meta.navigation[1].to_vec(), [1.0, 2.0, 4.0]);
    assert_eq!(meta.signal.offset_scale(), Some((-0.1, 0.01)));
    assert_eq!(dataset.metadata.title.as_deref(), Some("a map"));
    assert_eq!(dataset.metadata.modality, Some(Modality::Eds));
    assert_eq!(dataset.metadata.listed_elements, ["Fe", "Pt"]);
    let sample = &dataset.vendor["metadata"]["Sample"];
    assert_eq!(sample["mixed"], serde_json::json!([1, "two"]));
    assert_eq!(sample["notes"], serde_json::json!([]));
}

#[test]
fn hyperspy_in_zarr_as_zip_and_folder() {
    let Some(path) = kalpha_reference::path("data/formats/signal1d_10x10-ZipStore.zspy") else {
        return;
    };
    assert_eq!(detect(&path).unwrap()[0].0.name(), "zspy");
    let zipped = open(&path, &OpenOptions::default()).unwrap();
    let expected: Vec<f64> = (0..100).map(f64::from).collect();
    assert_eq!(values(&zipped), expected);
    assert_eq!(zipped.source.dtype.as_deref(), Some("int64"));
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("signal.zspy");
    unpack(&path, &store);
    let unpacked = open(&store, &OpenOptions::default()).unwrap();
    assert_eq!(values(&unpacked), expected);
    assert_eq!(unpacked.meta().navigation, zipped.meta().navigation);
    assert_eq!(unpacked.vendor, zipped.vendor);
    let step = &zipped.vendor["metadata"]["General"]["FileIO"]["0"];
    assert_eq!(step["io_plugin"], "rsciio.zspy");
}

#[test]
fn nexus_signals_and_axes() {
    let path = corpus("tiny.nxs");
    let found = signals(&path, &OpenOptions::default()).unwrap();
    assert_eq!(found, ["scan/map", "before/data", "scan/stack", "scan/map/norm"]);
    let cube: Vec<f64> = (0..2)
        .flat_map(|i| (0..3).flat_map(move |j| (0..20).map(move |c| (i, j, c))))
        .map(|(i, j, c)| ((i + 3 * j) * (c % 17) + c / 5) as f64)
        .collect();
    let map = open(&path, &OpenOptions::default()).unwrap();
    assert_eq!(values(&map), cube);
    let meta = map.meta();
    assert_eq!((&*meta.signal.name, &meta.signal.unit), ("energy", &Unit::Ev));
    assert_eq!(meta.signal.at(2), 7100.0 + 0.5 * 2f64.powf(1.1));
    assert_eq!(meta.navigation[0].to_vec(), [0.5, 0.75]);
    assert_eq!((meta.navigation[1].at(2), &meta.navigation[1].unit), (3.0, &Unit::Micrometre));
    assert_eq!(map.metadata.title.as_deref(), Some("iron on a grid"));
    assert_eq!(map.metadata.instrument.as_deref(), Some("beamline 1"));
    assert_eq!(map.metadata.modality, Some(Modality::Xas));
    assert!(map.diagnostics.iter().any(|d| d.hint.contains("scan/stack")));

    let old = signal(&path, "before/data");
    assert_eq!(values(&old), cube);
    assert_eq!((old.meta().navigation[1].at(2), old.meta().signal.at(0)), (20.0, 7100.0));
    // Energies first: the spectra are turned, the middles of the edges taken.
    let stack = signal(&path, "scan/stack");
    assert_eq!(values(&stack), cube.iter().map(|x| x / 4.0).collect::<Vec<_>>());
    let axes = &stack.meta().navigation;
    assert_eq!((&*axes[0].name, axes[1].to_vec()), ("y", vec![0.5, 1.5, 2.5]));
}

#[test]
fn hdf5_without_conventions() {
    let path = corpus("tiny_plain.h5");
    let dataset = open(&path, &OpenOptions::default()).unwrap();
    assert_eq!(dataset.source.format, "hdf5");
    let expected: Vec<f64> = (0..20).map(|c| (7 * (c % 17) + c / 5) as f64 / 3.0).collect();
    assert_eq!(values(&dataset), expected);
    assert_eq!(dataset.meta().signal.name, "Energy");
    assert_eq!(dataset.meta().signal.offset_scale(), Some((860.0, 0.05)));
    let Some(path) = kalpha_reference::path("data/eels/ce3_edge.hdf5") else { return };
    let dataset = open(path, &OpenOptions::default()).unwrap();
    assert_eq!(dataset.meta().channels, 4096);
    assert!((dataset.meta().signal.at(1) - 860.05).abs() < 1e-9);
}

#[test]
fn npz_axes_from_its_arrays_or_its_json_file() {
    let path = corpus("stack.npz");
    let found = signals(&path, &OpenOptions::default()).unwrap();
    assert_eq!(found, ["stack", "energy_eV", "fortran"]);
    let expected: Vec<f64> = (0..2)
        .flat_map(|i| (0..3).flat_map(move |j| (0..20).map(move |c| (i, j, c))))
        .map(|(i, j, c)| ((i + 3 * j) * (c % 17) + c / 5) as f64 / 4.0)
        .collect();
    let dataset = open(&path, &OpenOptions::default()).unwrap();
    assert_eq!(values(&dataset), expected);
    let meta = dataset.meta();
    assert_eq!((&*meta.signal.name, &meta.signal.unit), ("energy_eV", &Unit::Ev));
    assert_eq!(meta.signal.at(1), 7100.5);
    assert_eq!(dataset.source.dtype.as_deref(), Some("float32"));
    let fortran = signal(&path, "fortran");
    assert_eq!(values(&fortran), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);

    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("a.npz");
    std::fs::copy(&path, &copy).unwrap();
    let json = r#"{"axes": [{"name": "Energy", "units": "keV", "offset": 1, "scale": 2}, {}, {}],
        "metadata": {"beam_energy_keV": 200}}"#;
    std::fs::write(copy.with_extension("json"), json).unwrap();
    let dataset = open(&copy, &OpenOptions::default()).unwrap();
    assert_eq!(dataset.metadata.beam_energy_kev, Some(200.0));
    assert_eq!(dataset.meta().grid(), [20, 2]);

    for (file, shape, axis) in [
        ("data/raman/mindlab_covid_dataset.npz", vec![2501, 991], "wavenumber"),
        ("data/xas/stxm_fe2p_tica_a.npz", vec![125, 125, 123], "energy_eV"),
        ("data/xas/repeatmix_Mn.npz", vec![300, 140], "energy"),
        ("data/xrf/xrfmaps_2IDE/axo_std_cube.npz", vec![11, 11, 4, 2000], "channel"),
    ] {
        let Some(path) = kalpha_reference::path(file) else { continue };
        let dataset = open(path, &OpenOptions::default()).unwrap();
        let mut found = dataset.meta().grid();
        found.push(dataset.meta().channels);
        assert_eq!((found, &*dataset.meta().signal.name), (shape, axis), "{file}");
    }
}

#[test]
fn a_zip_that_is_no_archive_is_an_error() {
    let whole = std::fs::read(corpus("version2.zarr")).unwrap();
    let options = OpenOptions { format: Some("zarr".parse().unwrap()), ..OpenOptions::default() };
    for end in [0, 10, 100, whole.len() / 2, whole.len() - 12] {
        let input = Input::from_bytes(Path::new("cut.zarr"), whole[..end].to_vec());
        assert!(read(&input, &options).is_err(), "{end}");
    }
}

#[test]
fn matrices_of_matlab() {
    for name in ["tiny.mat", "tiny_deflated.mat"] {
        let path = corpus(name);
        let names = signals(&path, &OpenOptions::default()).unwrap();
        assert_eq!(names, ["counts", "energy_eV", "cube", "whole"]);
        let dataset = open(&path, &OpenOptions::default()).unwrap();
        let meta = dataset.meta();
        assert!(meta.noise.is_counts());
        assert_eq!((meta.signal.name.as_str(), &meta.signal.unit), ("energy_eV", &Unit::Ev));
        assert_eq!(dataset.vendor["sample"], "a foil");
        assert_eq!(dataset.vendor["wave"], "a complex matrix, left out");
        assert_eq!(dataset.vendor["settings"], "a struct, left out");
    }
    // The version of HDF5.
    let mut bytes = std::fs::read(corpus("tiny.mat")).unwrap();
    bytes[125] = 2;
    let input = Input::from_bytes(std::path::Path::new("a.mat"), bytes);
    let error = read(&input, &OpenOptions::default()).err().unwrap().to_string();
    assert!(error.contains("7.3"), "{error}");
}
