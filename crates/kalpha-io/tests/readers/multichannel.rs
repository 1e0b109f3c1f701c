//! SPEC, EPICS multichannel text, Maestro, LabSpec.

use crate::{
    columns::{from_text, has, values},
    surface::{corpus, text},
};
use kalpha_core::{Code, Modality, NoiseModel, Unit};
use kalpha_io::{Confidence, OpenOptions, detect, open, signals};

#[test]
fn spec_scans_and_spectra() {
    assert_eq!(detect(&corpus("tiny.spec")).unwrap()[0].1, Confidence::Certain);
    let names = signals(corpus("tiny.spec"), &OpenOptions::default()).unwrap();
    assert_eq!(names, ["1/I0", "1/xmap roi", "1/mca", "1.2/det"]);
    let dataset = open(corpus("tiny.spec"), &OpenOptions::default()).unwrap();
    let meta = dataset.meta();
    assert_eq!((meta.grid(), meta.channels), (vec![3], 4));
    assert_eq!(values(&dataset)[..8], [0.0, 1.0, 2.0, 300.0, 0.0, 1.0, 2.0, 3.0]);
    assert_eq!(meta.navigation[0].to_vec(), [8970.0, 8980.5, 8991.0]);
    assert_eq!(meta.signal.offset_scale(), Some((0.1, 0.02)));
    assert_eq!((meta.signal.unit.clone(), meta.noise.clone()), (Unit::KeV, NoiseModel::COUNTS));
    assert_eq!(dataset.metadata.live_time_s, Some(0.9));
    assert_eq!(dataset.vendor["header"]["F"], "tiny.spec");
    let spec = text("tiny.spec");
    let column = from_text("a.spec", &spec, Some("1/xmap roi")).unwrap();
    assert_eq!(values(&column), [3.0, 4.0, 5.0]);
    assert_eq!(column.meta().signal.unit, Unit::Ev);
    for (from, to, says) in [
        ("8991 102 5", "8991 102", "3 numbers"),
        ("300\n", "x\n", "@A"),
        ("#S ", "#Z ", "a scan (#S)"),
    ] {
        let error = from_text("a.spec", &spec.replace(from, to), None).err().unwrap().to_string();
        assert!(error.contains(says) || error.contains("unknown format"), "{error}");
    }
}

#[test]
fn elements_of_a_detector() {
    let mca = text("tiny.mca");
    let dataset = from_text("a.mca", &mca, None).unwrap();
    assert_eq!(values(&dataset), [0.0, 5.0, 7.0, 0.0]);
    assert_eq!(dataset.meta().signal.offset_scale(), Some((0.02, 0.0139)));
    let m = &dataset.metadata;
    assert_eq!(
        (m.live_time_s, m.real_time_s, m.modality),
        (Some(1.5), Some(2.0), Some(Modality::Xrf))
    );
    let second = from_text("a.mca", &mca, Some("element 2")).unwrap();
    assert_eq!(values(&second), [1.0, 6.0, 8.0, 300.0]);
    assert_eq!(second.meta().signal.at(3), 0.03 + 3.0 * (0.014 + 3.0 * 1e-6));
    assert_eq!(second.metadata.live_time_s, Some(2.0));
    assert_eq!(dataset.vendor["ENVIRONMENT"][1], "b=\"2\"");
    for (from, to, says) in [
        (" 5 6\n", " 5\n", "element 2"),
        ("ELEMENTS:              2", "ELEMENTS: 99999", "ELEMENTS"),
        (" 7 8\n", "", "4 channels"),
        ("DATA:", "DATE:", "DATA"),
    ] {
        let error = from_text("a.mca", &mca.replace(from, to), None).err().unwrap().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn maestro_calibrations() {
    let spe = text("tiny.spe");
    let dataset = from_text("a.spe", &spe, None).unwrap();
    assert_eq!(values(&dataset)[..4], [0.0, 1.0, 5.0, 300.0]);
    assert!((dataset.meta().signal.at(7) - (-0.1 + 0.14 + 49e-6)).abs() < 1e-12);
    let m = &dataset.metadata;
    assert_eq!((m.live_time_s, m.real_time_s), (Some(100.0), Some(120.0)));
    assert_eq!(m.title.as_deref(), Some("a steel"));
    let fit = spe.replace("$MCA_CAL:\n3\n-0.1 0.02 0.000001 keV", "$ENER_FIT:\n-0.1 0.02");
    let fit = from_text("a.spe", &fit, None).unwrap();
    assert_eq!(fit.meta().signal.offset_scale(), Some((-0.1, 0.02)));
    assert!(has(&fit, Code::Assumed));
    let bare = from_text("a.spe", "$DATA:\n2 4\n1 2 3\n", None).unwrap();
    assert_eq!(bare.meta().signal.to_vec(), [2.0, 3.0, 4.0]);
    assert!(has(&bare, Code::MissingMetadata));
    for (from, to, says) in [
        ("0 7\n", "0 8\n", "channels 0 to 8"),
        ("0 7\n", "7 0\n", "channels 7 to 0"),
        ("300", "many", "counts"),
        ("$DATA:", "$DADA:", "a section of counts"),
    ] {
        let error = from_text("a.spe", &spe.replace(from, to), None).err().unwrap().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn labspec_spectra_series_and_maps() {
    let series = text("tiny.labspec");
    let dataset = from_text("a.txt", &series, None).unwrap();
    assert_eq!(dataset.source.format, "labspec");
    assert_eq!(dataset.meta().grid(), [2]);
    assert_eq!(dataset.meta().navigation[0].to_vec(), [0.0, 60.1]);
    assert_eq!(values(&dataset), [5.0, 6.0, 7.0, 8.0, 9.0, 300.0]);
    assert_eq!(dataset.meta().signal.unit, Unit::InverseCentimetre);
    let m = &dataset.metadata;
    assert_eq!((m.live_time_s, m.modality), (Some(6.0), Some(Modality::Raman)));
    let head = series.split_once("#Title").unwrap().0;
    let map = format!(
        "{head}#AxisType[2]=\tY\n#AxisUnit[2]=\tum\n\t\t1\t2\n0\t0\t1\t2\n0\t1\t3\t4\n5\t0\t5\t6\n5\t1\t7\t8\n"
    );
    let map = from_text("a.txt", &map, None).unwrap();
    assert_eq!(map.meta().grid(), [2, 2]);
    let y = &map.meta().navigation[0];
    assert_eq!(
        (y.name.as_str(), y.unit.clone(), y.to_vec()),
        ("Y", Unit::Micrometre, vec![0.0, 5.0])
    );
    let points = format!("{head}\t\t1\t2\n0\t0\t1\t2\n1\t1\t3\t4\n5\t0\t5\t6\n");
    let points = from_text("a.txt", &points, None).unwrap();
    assert_eq!(points.meta().grid(), [3]);
    assert_eq!(points.vendor["places"][2][0], 5.0);
    let error = from_text("a.txt", &series.replace("\t300", ""), None).err().unwrap().to_string();
    assert!(error.contains("4 numbers in a line"), "{error}");
}
