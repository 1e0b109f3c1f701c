//! `.bcf` against RosettaSciIO 0.15: whole arrays (by fingerprint), axes, metadata.
//!
//! One difference is deliberate: RosettaSciIO gives an EDS map the pixel height of the file for
//! both axes; the file has a width of its own, and that is used here.

use crate::fingerprint::{Fingerprint, fingerprint};
use kalpha_core::{Code, Dataset, Modality, Mode, NoiseModel, Unit};
use kalpha_io::{Confidence, OpenOptions, detect, open, signals};

fn read(relative: &str) -> Option<Dataset> {
    let path = kalpha_reference::path(relative)?;
    assert_eq!(detect(&path).unwrap()[0].1, Confidence::Certain);
    Some(open(path, &OpenOptions::default()).unwrap())
}

fn check_axes(dataset: &Dataset, x: f64, y: f64, offset: f64, scale: f64) {
    let meta = dataset.meta();
    assert_eq!(meta.noise, NoiseModel::COUNTS);
    assert_eq!(meta.signal.unit, Unit::KeV);
    assert_eq!(meta.signal.offset_scale(), Some((offset, scale)));
    let names: Vec<_> = meta.navigation.iter().map(|a| (a.name.as_str(), &a.unit)).collect();
    assert_eq!(names, [("y", &Unit::Micrometre), ("x", &Unit::Micrometre)]);
    assert_eq!(meta.navigation[0].offset_scale(), Some((0.0, y)));
    assert_eq!(meta.navigation[1].offset_scale(), Some((0.0, x)));
    assert!(dataset.rows.as_csr().is_some());
}

#[test]
fn p45_twelve_bit_and_runs() {
    let Some(dataset) = read("data/eds/P45_12bit_packed_8bit.bcf") else { return };
    let expected = Fingerprint {
        shape: vec![75, 100, 2048],
        sum: 915_942.0,
        nonzero: 519_238,
        checksum: 0x202f_e02e_8f6b_213c,
    };
    assert_eq!(fingerprint(&dataset), expected);
    check_axes(&dataset, 8.73678506197784, 8.73678506197786, -0.472397235, 0.010001);
    let m = &dataset.metadata;
    assert_eq!(m.beam_energy_kev, Some(20.0));
    assert_eq!(m.modality, Some(Modality::Eds));
    assert_eq!(m.acquisition_mode, Some(Mode::Sem));
    assert_eq!((m.elevation_angle, m.azimuth_angle), (Some(35.0), Some(90.0)));
    assert_eq!(m.tilt_stage, Some(0.5));
    assert_eq!(m.detector.as_deref(), Some("XFlash 6|10"));
    assert!((m.real_time_s.unwrap() - 6.0).abs() < 1e-12);
    // 2.3548 sqrt(SigmaAbs + SigmaLin 5.89875) of the file.
    assert!((m.energy_resolution_mn_ka_ev.unwrap() - 126.006).abs() < 0.001);
    let listed = ["Al", "Ca", "Cl", "Fe", "K", "Mg", "Na", "O", "P", "Si", "Ti"];
    assert_eq!(m.listed_elements, listed);
    let database = &dataset.vendor["TRTSpectrumDatabase"]["ClassInstance"];
    assert_eq!(database["@Name"], "Map data");
    let hv = database["ClassInstance"][0]["HV"].as_str();
    assert_eq!(hv, Some("20"));
}

#[test]
fn version_2_is_packed_and_has_pulse_lists() {
    let Some(dataset) = read("data/eds/bcf_v2_50x50px.bcf") else { return };
    let expected = Fingerprint {
        shape: vec![50, 50, 2048],
        sum: 949_769.0,
        nonzero: 347_071,
        checksum: 0x21e3_b22c_0a92_335a,
    };
    assert_eq!(fingerprint(&dataset), expected);
    check_axes(&dataset, 0.01273058731, 0.01180808099, -0.47316066, 0.009996);
    let m = &dataset.metadata;
    assert!((m.real_time_s.unwrap() - 19.2).abs() < 1e-12);
    assert_eq!(m.detector.as_deref(), Some("XFlash 6|100"));
    assert_eq!(m.listed_elements, ["Ag", "Al", "C", "Cu", "O"]);
    assert!(dataset.diagnostics.iter().all(|d| d.code == Code::Assumed));
}

#[test]
fn tem_map() {
    let Some(dataset) = read("data/eds/test_TEM.bcf") else { return };
    let expected = Fingerprint {
        shape: vec![64, 64, 2048],
        sum: 26_005.0,
        nonzero: 23_682,
        checksum: 0xfbad_0d4d_6de6_8e4d,
    };
    assert_eq!(fingerprint(&dataset), expected);
    let scale = 0.000771004754204027;
    check_axes(&dataset, scale, scale, -0.47544754, 0.010001);
    let m = &dataset.metadata;
    assert_eq!((m.beam_energy_kev, m.acquisition_mode), (Some(200.0), Some(Mode::Stem)));
    assert_eq!((m.elevation_angle, m.azimuth_angle), (Some(18.0), Some(45.0)));
    assert!((m.real_time_s.unwrap() - 5.8112).abs() < 1e-12);
    assert_eq!(m.listed_elements, ["Cu", "O", "Pd", "Ti"]);
}

#[test]
fn small_map_with_large_counts() {
    let Some(dataset) = read("data/formats/4on3_full.bcf") else { return };
    let expected = Fingerprint {
        shape: vec![3, 4, 1024],
        sum: 232_786.0,
        nonzero: 10_485,
        checksum: 0x6e33_d2c5_6657_d3e4,
    };
    assert_eq!(fingerprint(&dataset), expected);
    check_axes(&dataset, 409.6, 409.6, -0.4701, 0.01);
    assert!((dataset.metadata.real_time_s.unwrap() - 3.103776).abs() < 1e-12);
}

#[test]
fn detectors_and_images_are_signals() {
    let Some(path) = kalpha_reference::path("data/eds/test_TEM.bcf") else { return };
    assert_eq!(signals(&path, &OpenOptions::default()).unwrap(), ["SpectrumData0", "image HAADF"]);
    for (asked, found) in
        [("0", true), ("SpectrumData0", true), ("image HAADF", true), ("1", false), ("BF", false)]
    {
        let options = OpenOptions { signal: Some(asked.to_owned()), ..OpenOptions::default() };
        assert_eq!(open(&path, &options).is_ok(), found, "{asked}");
    }
}
