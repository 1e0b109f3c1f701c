//! `.dm3` and `.dm4`: metadata of real files, tiny files in both versions and byte orders.
//! Values and axes are compared with RosettaSciIO in `../golden.rs`.

use crate::corpus::{nonzero, path, read};
use kalpha_core::{Code, DType, Dataset, Modality, Mode, NoiseModel, Unit};
use kalpha_io::{Confidence, Input, IoError, OpenOptions, detect, open, signals};
use std::fs;

fn reference(relative: &str) -> Option<Dataset> {
    let path = kalpha_reference::path(relative)?;
    let found = detect(&path).unwrap();
    assert_eq!((found[0].0.name(), found[0].1), ("dm", Confidence::Certain));
    Some(open(path, &OpenOptions::default()).unwrap())
}

#[test]
fn a_map_of_energy_losses() {
    let Some(dataset) = reference("data/formats/EELS_SI.dm4") else { return };
    let m = &dataset.metadata;
    assert_eq!((m.modality, m.acquisition_mode), (Some(Modality::Eels), Some(Mode::Stem)));
    assert_eq!((m.beam_energy_kev, m.beam_current_na), (Some(200.0), None));
    assert_eq!((m.convergence_angle_mrad, m.collection_angle_mrad), (Some(21.0), Some(62.0)));
    assert_eq!(m.exposure_s, Some(0.019_950_124_688_279_3));
    assert_eq!(m.detector.as_deref(), Some("GIF Quantum ER"));
    assert_eq!(m.instrument.as_deref(), Some("FEI Titan"));
    assert_eq!(dataset.meta().noise, NoiseModel::Unknown);
    let names: Vec<_> = dataset.meta().navigation.iter().map(|a| a.name.as_str()).collect();
    assert_eq!(names, ["y", "x"]);
    let tags = &dataset.vendor["ImageList"][1]["ImageTags"];
    assert_eq!(tags["GMS Version"]["Created"], "2.32.888.0");
    assert_eq!(tags["Microscope Info"]["Emission Current (\u{b5}A)"], 0.0);
    // Long arrays stay in the file.
    assert_eq!(dataset.vendor["ImageList"][1]["ImageData"]["Data"]["length"], 8192);
}

#[test]
fn a_spectrum_of_x_rays() {
    let Some(dataset) = reference("data/formats/test-EDS_spectrum.dm3") else { return };
    let m = &dataset.metadata;
    assert_eq!(m.modality, Some(Modality::Eds));
    assert_eq!((m.live_time_s, m.real_time_s), (Some(3.806), Some(4.233)));
    assert_eq!((m.elevation_angle, m.azimuth_angle), (Some(18.0), Some(45.0)));
    assert_eq!(m.detector.as_deref(), Some("SIUTW"));
    assert!(dataset.meta().noise.is_counts());
    let xml = &dataset.vendor["ImageList"][1]["ImageTags"]["EDS"]["Spectrometer Meta Data"]["Data"];
    assert!(xml.as_str().unwrap().starts_with("<?xml"));
}

#[test]
fn every_image_is_a_signal_in_both_versions() {
    for name in ["tiny.dm3", "tiny.dm4"] {
        let found = signals(path(name), &OpenOptions::default()).unwrap();
        assert_eq!(found, ["map", "map.2", "survey"], "{name}");
        let map = read(name, None);
        assert!(map.diagnostics.iter().any(|d| d.hint.contains("map.2")));
        assert_eq!(map.source.dtype.as_deref(), Some("uint16"));
        assert_eq!(
            (map.metadata.live_time_s, map.metadata.elevation_angle),
            (Some(1.5), Some(18.0))
        );
        assert_eq!(map.meta().navigation[0].offset_scale(), Some((0.0, 3.0)));
        let tags = &map.vendor["ImageList"][1]["ImageTags"];
        assert_eq!(tags["Window"], serde_json::json!([-1, 0.5]));
        assert_eq!(map.vendor["ApplicationBounds"], serde_json::json!([1, -1, 1, 200]));
        assert_eq!(map.vendor["Long"]["length"], 512);
        let losses = read(name, Some("map.2"));
        assert_eq!((losses.meta().dtype, &losses.meta().noise), (DType::F32, &NoiseModel::Unknown));
        assert_eq!(losses.meta().signal.name, "Energy loss");
        assert_eq!(losses.meta().signal.offset_scale(), Some((100.0, 0.5)));
        assert_eq!(losses.meta().navigation[0].offset_scale(), Some((-3.0, 3.0)));
        assert_eq!(losses.metadata.exposure_s, Some(0.25));
        let values = nonzero(&losses);
        assert_eq!((values.len(), values[0]), (240, (0, 0, -0.5)));
        assert_eq!((values[40 + 5], values[239]), ((1, 5, 6.5), (5, 39, 299.5)));
        let survey = read(name, Some("survey"));
        assert_eq!((survey.meta().grid(), survey.meta().channels), (vec![2, 3], 1));
        assert_eq!(survey.meta().navigation[1].unit, Unit::Nanometre);
        let pixels: Vec<f64> = nonzero(&survey).into_iter().map(|(_, _, x)| x).collect();
        assert_eq!(pixels, [-3.0, -2.0, -1.0, 1.0, 2.0]);
        assert!(losses.diagnostics.iter().any(|d| d.code == Code::Assumed));
    }
}

#[test]
fn an_unknown_version_is_named() {
    let mut bytes = fs::read(path("tiny.dm4")).unwrap();
    bytes[3] = 5;
    let error = kalpha_io::read(&Input::from_bytes(&path("x.dm4"), bytes), &OpenOptions::default());
    match error.map(|_| ()) {
        Err(IoError::Unsupported { got, .. }) => assert_eq!(got, "5"),
        other => panic!("{other:?}"),
    }
}
