//! `.hspy` against h5py and HyperSpy 2.3: whole arrays (by fingerprint), axes, metadata.

use crate::fingerprint::{Fingerprint, fingerprint};
use kalpha_core::{Code, DType, Dataset, Modality, Mode, NoiseModel, Unit};
use kalpha_io::{Confidence, OpenOptions, detect, open, signals};

fn read(relative: &str) -> Option<Dataset> {
    let path = kalpha_reference::path(relative)?;
    let found = detect(&path).unwrap();
    assert_eq!((found[0].0.name(), found[0].1), ("hspy", Confidence::Certain));
    Some(open(path, &OpenOptions::default()).unwrap())
}

#[test]
fn spectrum_of_nanoparticles() {
    let Some(dataset) = read("data/eds/EDS_TEM_FePt_nanoparticles.hspy") else { return };
    let expected = Fingerprint {
        shape: vec![992],
        sum: 205_795.0,
        nonzero: 992,
        checksum: 0x8c14_a873_b152_97bc,
    };
    assert_eq!(fingerprint(&dataset), expected);
    let meta = dataset.meta();
    assert_eq!((meta.rows, meta.dtype, &meta.noise), (1, DType::U16, &NoiseModel::COUNTS));
    assert_eq!((meta.signal.name.as_str(), &meta.signal.unit), ("Energy", &Unit::KeV));
    assert_eq!(meta.signal.offset_scale(), Some((0.169315, 0.020028)));
    let m = &dataset.metadata;
    assert_eq!(m.title.as_deref(), Some("EDS TEM Spectrum"));
    assert_eq!((m.modality, m.acquisition_mode), (Some(Modality::Eds), Some(Mode::Stem)));
    assert_eq!((m.beam_energy_kev, m.tilt_stage), (Some(200.0), Some(0.0)));
    assert_eq!((m.elevation_angle, m.azimuth_angle), (Some(22.0), Some(0.0)));
    assert_eq!(m.energy_resolution_mn_ka_ev, Some(133.312296));
    assert_eq!(m.detector.as_deref(), Some("Super-X 4 detectors Brucker"));
    assert_eq!(m.listed_elements, ["Fe", "Pt"]);
    let sample = &dataset.vendor["metadata"]["Sample"];
    assert_eq!(sample["description"], "FePt bimetallic nanoparticles");
    let folding = &dataset.vendor["metadata"]["_HyperSpy"]["Folding"];
    assert_eq!(folding["unfolded"], false);
    assert!(folding["original_shape"].is_null());
    assert!(dataset.diagnostics.is_empty(), "{:?}", dataset.diagnostics);
}

#[test]
fn spectrum_of_a_film() {
    let Some(dataset) = read("data/eds/EDS_SEM_TM002.hspy") else { return };
    let expected = Fingerprint {
        shape: vec![1024],
        sum: 1_000_279.0,
        nonzero: 1018,
        checksum: 0x7694_0345_588c_3f95,
    };
    assert_eq!(fingerprint(&dataset), expected);
    let meta = dataset.meta();
    assert_eq!(meta.signal.name, "Energy");
    assert_eq!(meta.signal.offset_scale(), Some((-0.1, 0.01)));
    let m = &dataset.metadata;
    assert_eq!((m.beam_energy_kev, m.beam_current_na), (Some(10.0), None));
    assert_eq!((m.live_time_s, m.real_time_s), (Some(19.997292), Some(39.593745)));
    assert_eq!(m.acquisition_mode, Some(Mode::Sem));
    assert_eq!(m.instrument.as_deref(), Some("Nvision40 Carl Zeiss"));
    assert_eq!(m.listed_elements, ["Al", "C", "Cu", "Mn", "Zr"]);
    assert_eq!(dataset.vendor["original_metadata"]["OXINSTSTROB"], "48.23");
    assert_eq!(dataset.vendor["original_metadata"]["NPOINTS"], 1024);
}

#[test]
fn spectrum_image() {
    let Some(dataset) = read("data/eds/FePt_core_shell.hspy") else { return };
    let expected = Fingerprint {
        shape: vec![64, 64, 992],
        sum: 884_071.0,
        nonzero: 288_690,
        checksum: 0x5519_92d6_68bb_92f5,
    };
    assert_eq!(fingerprint(&dataset), expected);
    let meta = dataset.meta();
    assert_eq!((meta.dtype, &meta.noise), (DType::Csr, &NoiseModel::COUNTS));
    let names: Vec<_> = meta.navigation.iter().map(|a| (a.name.as_str(), &a.unit)).collect();
    assert_eq!(names, [("y", &Unit::Nanometre), ("x", &Unit::Nanometre)]);
    assert_eq!(meta.navigation[1].offset_scale(), Some((0.0, 0.5)));
    assert_eq!(meta.signal.offset_scale(), Some((0.16, 0.02)));
    assert_eq!(dataset.metadata.listed_elements, ["Fe", "Pt"]);
    assert!(!dataset.diagnostics.iter().any(|d| d.code == Code::MissingMetadata));
    assert_eq!(dataset.source.version.as_deref(), Some("3.1"));
}

#[test]
fn experiments_are_signals() {
    let Some(path) = kalpha_reference::path("data/eds/FePt_core_shell.hspy") else { return };
    assert_eq!(signals(&path, &OpenOptions::default()).unwrap(), ["Core shell"]);
    let options = OpenOptions { signal: Some("Shell".to_owned()), ..OpenOptions::default() };
    let error = open(&path, &options).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("Core shell"), "{error}");
}
