//! `.wdf`: metadata of real files; maps in every order, a stopped one, a series. Values and axes
//! of real files are compared with renishawWiRE and RosettaSciIO in `../golden.rs`.

use crate::corpus::read;
use kalpha_core::{CellBuffer, Code, Dataset, Modality, NoiseModel, Unit};
use kalpha_io::{Confidence, OpenOptions, detect, open};

/// The whole part of the first value of each row: the spectrum's number in the file.
fn spectra(dataset: &Dataset) -> Vec<f64> {
    let (mut buffer, mut values) = (CellBuffer::default(), Vec::new());
    dataset.rows.cell(0..dataset.meta().rows, &mut buffer).unwrap().to_f64(&mut values);
    values.chunks(5).map(|row| row[0]).collect()
}

#[test]
fn a_line_along_a_graphene_flake() {
    let Some(path) = kalpha_reference::path("data/raman/wire/line.wdf") else { return };
    let found = detect(&path).unwrap();
    assert_eq!((found[0].0.name(), found[0].1), ("wdf", Confidence::Certain));
    let dataset = open(&path, &OpenOptions::default()).unwrap();
    let m = &dataset.metadata;
    assert_eq!((m.modality, &dataset.meta().noise), (Some(Modality::Raman), &NoiseModel::Unknown));
    assert!((m.laser_wavelength_nm.unwrap() - 532.25).abs() < 1e-3);
    assert_eq!(dataset.meta().navigation[0].name, "distance");
    assert_eq!(dataset.source.version.as_deref(), Some("4.4.0.6602"));
    let x = dataset.vendor["ORGN"]["X"].as_array().unwrap();
    assert_eq!((x.len(), x[0].as_f64()), (235, Some(80.027_127_659_574_46)));
}

#[test]
fn positions_decide_where_a_spectrum_stands() {
    for (name, order) in [
        ("tiny_snake.wdf", [0.0, 1.0, 2.0, 5.0, 4.0, 3.0]),
        ("tiny_columns.wdf", [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]),
    ] {
        let map = read(name, None);
        assert_eq!(map.meta().grid(), [2, 3], "{name}");
        assert_eq!(spectra(&map), order, "{name}");
        assert_eq!(map.meta().navigation[0].offset_scale(), Some((-4.0, 2.0)));
        assert_eq!(map.meta().navigation[1].offset_scale(), Some((10.0, 0.5)));
        assert_eq!(map.meta().signal.to_vec(), [500.0, 400.0, 310.0, 200.0, 100.0]);
        assert_eq!(map.meta().signal.unit, Unit::InverseCentimetre);
        assert!(map.mask.is_none());
    }
}

#[test]
fn a_stopped_map_masks_what_is_missing() {
    let map = read("tiny_stopped.wdf", None);
    assert_eq!(map.meta().grid(), [2, 3]);
    assert_eq!(spectra(&map), [0.0, 1.0, 2.0, 0.0, 0.0, 3.0]);
    assert_eq!(map.mask.as_deref(), Some(&[false, false, false, true, true, false][..]));
    assert!(map.diagnostics.iter().any(|d| d.code == Code::Truncated));
}

#[test]
fn a_series_has_the_axis_that_was_varied() {
    let series = read("tiny_series.wdf", None);
    let axis = &series.meta().navigation[0];
    assert_eq!(axis.name, "Temperature");
    assert_eq!(axis.to_vec(), [20.0, 40.0, 70.0]);
    assert_eq!(series.vendor["ORGN"]["Time"], serde_json::json!([0.0, 0.5, 1.0]));
}
