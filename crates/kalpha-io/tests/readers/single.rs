//! `.spx` and the files of JEOL: metadata, projects. Values and axes are compared with RosettaSciIO in
//! `../golden.rs`.

use kalpha_core::{Modality, Mode};
use kalpha_io::{Confidence, OpenOptions, detect, open, signals};

#[test]
fn a_spectrum_of_bruker() {
    let Some(path) = kalpha_reference::path("data/formats/bruker_m6.spx") else { return };
    let found = detect(&path).unwrap();
    assert_eq!((found[0].0.name(), found[0].1), ("spx", Confidence::Certain));
    let dataset = open(path, &OpenOptions::default()).unwrap();
    let m = &dataset.metadata;
    assert_eq!((m.modality, m.title.as_deref()), (Some(Modality::Xrf), Some("p 059")));
    assert_eq!((m.live_time_s, m.real_time_s), (Some(28.046), Some(30.0)));
    assert_eq!(m.detector.as_deref(), Some("XFlash 430"));
    assert!(dataset.meta().noise.is_counts());
}

#[test]
fn a_map_of_jeol() {
    let file = "data/formats/jeol/View000_0000006.pts";
    let Some(path) = kalpha_reference::path(file) else { return };
    let found = detect(&path).unwrap();
    assert_eq!((found[0].0.name(), found[0].1), ("jeol", Confidence::Certain));
    let dataset = open(path, &OpenOptions::default()).unwrap();
    let m = &dataset.metadata;
    assert_eq!((m.beam_energy_kev, m.acquisition_mode), (Some(200.0), Some(Mode::Stem)));
    assert_eq!((m.live_time_s, m.azimuth_angle), (Some(325.46), Some(90.0)));
    assert_eq!(m.elevation_angle.map(|a| (a * 10.0).round()), Some(223.0));
    assert_eq!(
        (m.energy_resolution_mn_ka_ev, m.instrument.as_deref()),
        (Some(138.0), Some("JEM-2100F(UHR)"))
    );
    assert!(dataset.diagnostics.iter().any(|d| d.message == "14 frames were added"));
    let list = &dataset.vendor["PTTD Cond"]["Meas Cond"]["CONDPAGE0"]["Pixels"]["List"];
    assert_eq!(list[3], "512x512");
    assert!(dataset.rows.as_csr().is_some());
}

fn values(dataset: &kalpha_core::Dataset) -> Vec<f64> {
    let (mut buffer, mut out) = (kalpha_core::CellBuffer::default(), Vec::new());
    dataset.rows.cell(0..dataset.meta().rows, &mut buffer).unwrap().to_f64(&mut out);
    out
}

#[test]
fn a_project_of_jeol_names_its_files() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let path = corpus.join("tiny.asw");
    let found = detect(&path).unwrap();
    assert_eq!((found[0].0.name(), found[0].1), ("jeol", Confidence::Certain));
    assert_eq!(signals(&path, &OpenOptions::default()).unwrap(), ["EDS", "C K"]);
    let dataset = open(&path, &OpenOptions::default()).unwrap();
    assert!(dataset.diagnostics.iter().any(|d| d.message.starts_with("2 of 3 files")));
    assert_eq!(dataset.meta().grid(), [4, 6]);
    let counts = values(&dataset);
    // Two frames; channel 20 y + x, twice in the first line.
    for (pixel, row) in counts.chunks(4096).enumerate() {
        let (y, x) = (pixel / 6, pixel % 6);
        let events = if y == 0 { 4.0 } else { 2.0 };
        assert_eq!((row[20 * y + x], row.iter().sum::<f64>()), (events, events));
    }
    let (offset, scale) = dataset.meta().signal.offset_scale().unwrap();
    assert!((offset - (-0.02 - 96.0 * 0.01)).abs() < 1e-12 && scale == 0.01);

    let signal = Some("C K".to_owned());
    let map = open(&path, &OpenOptions { signal, ..OpenOptions::default() }).unwrap();
    assert_eq!((map.meta().grid(), map.meta().channels), (vec![16, 24], 1));
    let expected: Vec<f64> =
        (0..16).flat_map(|y| (0..24).map(move |x| f64::from((3 * y + x) % 251))).collect();
    assert_eq!(values(&map), expected);
    assert_eq!(map.metadata.title.as_deref(), Some("C K"));
    let lost = Some("IMG1".to_owned());
    assert!(open(&path, &OpenOptions { signal: lost, ..OpenOptions::default() }).is_err());
}

#[test]
fn the_projects_of_the_reference_data() {
    let Some(path) = kalpha_reference::path("data/formats/jeol/rawdata.ASW") else { return };
    let names = signals(&path, &OpenOptions::default()).unwrap();
    assert_eq!(names, ["EDS", "IMG1", "C K"]);
    let dataset = open(&path, &OpenOptions::default()).unwrap();
    assert_eq!(dataset.meta().grid(), [512, 512]);
    // None of the files of the other is here.
    let Some(path) = kalpha_reference::path("data/formats/jeol/181019-BN.ASW") else { return };
    let error = open(&path, &OpenOptions::default()).err().unwrap().to_string();
    assert!(error.contains("none of them where it says"), "{error}");
}
