//! `.spx` and `.pts`: metadata. Values and axes are compared with RosettaSciIO in
//! `../golden.rs`.

use kalpha_core::{Modality, Mode};
use kalpha_io::{Confidence, OpenOptions, detect, open};

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
