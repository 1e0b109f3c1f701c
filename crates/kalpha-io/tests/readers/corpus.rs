//! The tiny files beside this test, value by value.

use kalpha_core::{Axis, CellBuffer, Code, DType, Dataset, Unit};
use kalpha_io::{OpenOptions, open, signals};
use std::path::PathBuf;

pub fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name)
}

pub fn read(name: &str, signal: Option<&str>) -> Dataset {
    let options = OpenOptions { signal: signal.map(str::to_owned), ..OpenOptions::default() };
    open(path(name), &options).unwrap()
}

/// (row, channel, value) of all non-zero values.
pub fn nonzero(dataset: &Dataset) -> Vec<(usize, usize, f64)> {
    let mut found = Vec::new();
    let cell = 0..dataset.meta().rows;
    let mut buffer = CellBuffer::default();
    let cell = dataset.rows.cell(cell, &mut buffer).unwrap();
    cell.for_each_nonzero(|r, c, x| found.push((r, c, x)));
    found
}

fn at(row: usize, entries: &[(usize, u32)]) -> Vec<(usize, usize, f64)> {
    entries.iter().map(|&(channel, count)| (row, channel, f64::from(count))).collect()
}

const TWELVE_BIT: &[(usize, u32)] = &[(7, 1), (8, 1), (9, 2)];
const SIXTEEN_BIT: &[(usize, u32)] = &[(0, 1), (3, 2), (10, 1), (63, 1)];
const NARROW_RUNS: &[(usize, u32)] = &[(5, 2), (6, 3), (7, 17), (18, 300), (19, 307), (20, 500)];
const WIDE_RUNS: &[(usize, u32)] = &[(0, 70_001), (1, 70_500), (4, 100_005), (5, 8), (60, 1)];

#[test]
fn bcf_in_every_packing() {
    let dataset = read("tiny.bcf", None);
    assert_eq!(dataset.meta().grid(), [3, 4]);
    let mut expected = at(0, SIXTEEN_BIT);
    expected.extend(at(1, &[(1, 1), (2, 2), (40, 1), (63, 1)]));
    expected.extend(at(2, TWELVE_BIT));
    expected.extend(at(3, &[(0, 2), (31, 1)]));
    expected.extend(at(5, NARROW_RUNS));
    expected.extend(at(7, WIDE_RUNS));
    assert_eq!(nonzero(&dataset), expected);
    let axis = |name, scale, n| Axis::linear(name, Unit::Micrometre, 0.0, scale, n).unwrap();
    assert_eq!(dataset.meta().navigation, [axis("y", 0.25, 3), axis("x", 0.5, 4)]);
    let m = &dataset.metadata;
    assert_eq!(m.title.as_deref(), Some("tiny \u{b5}"));
    assert_eq!((m.beam_energy_kev, m.tilt_stage), (Some(15.0), Some(1.5)));
    // 3 lines x 3 scans x 4 pixels x 10 x 2 x 5 us.
    assert!((m.real_time_s.unwrap() - 3.6e-3).abs() < 1e-15);
}

#[test]
fn bcf_packed_with_two_detectors() {
    let first = read("tiny_packed.bcf", None);
    let mut expected = at(0, SIXTEEN_BIT);
    expected.extend(at(2, TWELVE_BIT));
    expected.extend(at(7, WIDE_RUNS));
    expected.extend(at(9, NARROW_RUNS));
    assert_eq!(nonzero(&first), expected);
    assert!(first.diagnostics.iter().any(|d| d.message.contains("2 signals")));
    let second = read("tiny_packed.bcf", Some("SpectrumData1"));
    assert_eq!(nonzero(&second), at(6, &[(70, 1), (71, 3)]));
    assert_eq!(second.metadata.detector.as_deref(), Some("Tiny 1"));
    // 64 channels are promised, 72 needed: nothing is dropped, and it is said.
    assert_eq!(second.meta().channels, 72);
    assert!(second.diagnostics.iter().any(|d| d.code == Code::VendorDisagrees));
}

#[test]
fn the_same_cube_in_every_other_format() {
    let expected = [(1, 5, 7.0), (3, 0, 1.0), (5, 39, 300.0)];
    for (name, dtype) in [
        ("tiny.hspy", DType::Csr),
        ("tiny.rpl", DType::Csr),
        ("tiny.npy", DType::U16),
        ("tiny_fortran.npy", DType::Csr),
        ("tiny.dm3", DType::Csr),
        ("tiny.dm4", DType::Csr),
        ("tiny.emd", DType::Csr),
    ] {
        let dataset = read(name, None);
        assert_eq!(nonzero(&dataset), expected, "{name}");
        assert_eq!((dataset.meta().dtype, dataset.meta().channels), (dtype, 40), "{name}");
        assert!(dataset.meta().noise.is_counts());
        if name != "tiny_fortran.npy" {
            let energy = Axis::linear("Energy", Unit::KeV, -0.1, 0.01, 40).unwrap();
            assert_eq!(dataset.meta().signal, energy, "{name}");
            assert_eq!(dataset.metadata.beam_energy_kev, Some(200.0), "{name}");
        }
    }
    let halves = read("tiny_latest.hspy", None);
    assert_eq!(halves.meta().dtype, DType::F32);
    assert!(!halves.meta().noise.is_counts());
    let values = nonzero(&halves);
    assert_eq!((values.len(), values[0], values[45]), (240, (0, 0, -0.5), (1, 5, 6.5)));
    assert_eq!(halves.metadata.listed_elements, ["Fe", "Pt"]);
    assert_eq!(nonzero(&read("tiny.msa", None)), [(0, 0, 1.0), (0, 1, 2.0), (0, 3, 40.0)]);
}

#[test]
fn hspy_with_several_signals_and_strange_metadata() {
    let name = "tiny_two.hspy";
    let found = signals(path(name), &OpenOptions::default()).unwrap();
    assert_eq!(found, ["Image", "Map A", "Map B"]);
    // The image is passed over, the first map read, and both said.
    let first = read(name, None);
    assert_eq!((first.meta().grid(), first.meta().channels), (vec![3], 4));
    assert!(first.diagnostics.iter().any(|d| d.message.contains("Map A")));
    assert!(first.diagnostics.iter().any(|d| d.code == Code::MissingMetadata));
    assert!(first.vendor["metadata"]["Signal"]["strange"].is_null());
    let second = read(name, Some("Map B"));
    assert_eq!(second.meta().dtype, DType::I16);
    assert!(!second.meta().noise.is_counts());
    assert_eq!(second.meta().signal.offset_scale(), Some((0.0, 1.0)));
    // An image is a grid of single values.
    let image = read(name, Some("Image"));
    assert_eq!((image.meta().grid().len(), image.meta().channels), (2, 1));
}
