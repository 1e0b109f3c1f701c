//! Velox `.emd`: metadata of a real file, every kind of signal of a tiny one. Values and axes
//! are compared with RosettaSciIO in `../golden.rs`.

use crate::corpus::{nonzero, path, read};
use kalpha_core::{Modality, Mode, NoiseModel, Unit};
use kalpha_io::{Confidence, IoError, OpenOptions, detect, open, signals};

#[test]
fn spectra_of_four_detectors() {
    let Some(path) = kalpha_reference::path("data/formats/EDS-STO.emd") else { return };
    let found = detect(&path).unwrap();
    assert_eq!((found[0].0.name(), found[0].1), ("emd", Confidence::Certain));
    let dataset = open(&path, &OpenOptions::default()).unwrap();
    let m = &dataset.metadata;
    assert_eq!((m.modality, m.acquisition_mode), (Some(Modality::Eds), Some(Mode::Stem)));
    assert_eq!((m.beam_energy_kev, m.elevation_angle.map(f64::round)), (Some(200.0), Some(18.0)));
    assert_eq!(m.live_time_s, Some(25.576678845541675));
    assert_eq!(m.instrument.as_deref(), Some("FEI Company Titan Spectra"));
    assert_eq!(dataset.source.version.as_deref(), Some("11"));
    assert!(dataset.meta().noise.is_counts());
    let detectors = signals(&path, &OpenOptions::default()).unwrap();
    assert_eq!(detectors[0], "spectrum SuperXG2");
    assert_eq!(detectors.len(), 5);
}

#[test]
fn every_kind_of_signal() {
    let name = "tiny.emd";
    let found = signals(path(name), &OpenOptions::default()).unwrap();
    assert_eq!(found, ["EDS", "EDS X1", "EDS X2", "EELS", "spectrum X", "image HAADF"]);
    let both = read(name, None);
    assert!(both.diagnostics.iter().any(|d| d.message.starts_with("2 frames")));
    let m = &both.metadata;
    assert_eq!((m.azimuth_angle, m.live_time_s), (None, Some(1.5)));
    assert_eq!(m.elevation_angle, Some(0.25f64.to_degrees()));
    assert_eq!(m.detector.as_deref(), Some("X1 + X2"));
    let one = read(name, Some("EDS X1"));
    assert_eq!(one.metadata.azimuth_angle, Some(1f64.to_degrees()));
    // 7, 1 and 300 events went round two frames of two detectors.
    assert_eq!(nonzero(&one), [(1, 5, 4.0), (3, 0, 1.0), (5, 39, 150.0)]);
    assert_eq!(nonzero(&read(name, Some("EDS X2"))), [(1, 5, 3.0), (5, 39, 150.0)]);
    let losses = read(name, Some("EELS"));
    assert_eq!(nonzero(&losses), [(1, 5, 7.0), (3, 0, 1.0), (5, 39, 300.0)]);
    assert_eq!(losses.meta().noise, NoiseModel::Unknown);
    assert_eq!(losses.meta().signal.offset_scale(), Some((100.0, 0.5)));
    assert_eq!(losses.metadata.exposure_s, Some(0.25));
    let spectrum = nonzero(&read(name, Some("spectrum X")));
    assert_eq!(spectrum, [(0, 0, 1.0), (0, 5, 7.0), (0, 39, 300.0)]);
    let image = read(name, Some("image HAADF"));
    assert_eq!((image.meta().grid(), image.meta().channels), (vec![2, 2, 3], 1));
    let y = &image.meta().navigation[1];
    let (offset, scale) = y.offset_scale().unwrap();
    assert_eq!((&y.unit, offset), (&Unit::Nanometre, 0.0));
    assert!((scale - 2.0).abs() < 1e-12);
    let values: Vec<f64> = nonzero(&image).into_iter().map(|(_, _, x)| x).collect();
    assert_eq!(values, (1..12).map(|i| f64::from(i) / 4.0).collect::<Vec<_>>());
}

#[test]
fn other_files_of_that_name_are_refused_by_name() {
    let bytes = std::fs::read(path("tiny.hspy")).unwrap();
    let input = kalpha_io::Input::from_bytes(&path("x.emd"), bytes);
    let options = OpenOptions { format: "emd".parse().ok(), ..OpenOptions::default() };
    let error = kalpha_io::read(&input, &options).map(|_| ()).unwrap_err();
    assert!(matches!(error, IoError::Unsupported { .. }), "{error}");
}
