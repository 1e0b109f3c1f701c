//! `.mda`, synthesised by its description: no file of an instrument was at hand.

use crate::corpus::{nonzero, path, read};
use kalpha_core::{Code, Unit};
use kalpha_io::{Confidence, OpenOptions, detect, signals};

#[test]
fn detectors_of_a_stopped_map_of_spectra() {
    let name = "tiny.mda";
    let found = detect(&path(name)).unwrap();
    assert_eq!((found[0].0.name(), found[0].1), ("mda", Confidence::Likely));
    assert_eq!(signals(path(name), &OpenOptions::default()).unwrap(), ["mca", "ion chamber"]);
    let map = read(name, None);
    assert_eq!((map.meta().grid(), map.meta().channels), (vec![2, 3], 4));
    // The second of two lines was stopped after one of three points.
    assert_eq!(map.mask.as_deref(), Some(&[false, false, false, false, true, true][..]));
    assert!(map.diagnostics.iter().any(|d| d.code == Code::Truncated));
    assert_eq!(map.meta().navigation[0].to_vec(), [5.0, 7.0]);
    assert_eq!(map.meta().navigation[1].offset_scale(), Some((-1.0, 0.5)));
    assert_eq!(map.meta().navigation[1].unit, Unit::Micrometre);
    assert_eq!(map.meta().navigation[0].name, "stage y");
    // Channel k of point i of line j holds 100 j + 10 i + k.
    let values = nonzero(&map);
    assert_eq!(values.len(), 15);
    assert_eq!((values[0], values[14]), ((0, 1, 1.0), (3, 3, 103.0)));
    let chamber = read(name, Some("ion chamber"));
    assert_eq!(nonzero(&chamber)[0], (0, 0, 0.5));
    assert!(!chamber.meta().noise.is_counts());
    assert_eq!(map.source.version.as_deref(), Some("1.3"));
    assert_eq!(map.vendor["scans"][0]["name"], "outer");
}
