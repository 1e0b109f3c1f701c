//! `.rpl`/`.raw`, `.npy` and `.msa`: real files, and cubes made here in every layout.

use crate::fingerprint::fingerprint;
use kalpha_core::{Axis, CellBuffer, Code, DType, Dataset, Metadata, Modality, NoiseModel, Unit};
use kalpha_io::{
    EnergyAxis, IoError, OpenOptions, detect, open,
    write::{Values, write_msa, write_npy},
};
use std::{fs, path::Path};

fn read(path: &Path) -> Result<Dataset, IoError> {
    open(path, &OpenOptions::default())
}

fn dense(dataset: &Dataset) -> Vec<f64> {
    let mut out = Vec::new();
    let rows = dataset.meta().rows;
    dataset.rows.cell(0..rows, &mut CellBuffer::default()).unwrap().to_f64(&mut out);
    out
}

fn has(dataset: &Dataset, code: Code) -> bool {
    dataset.diagnostics.iter().any(|d| d.code == code)
}

#[test]
fn ripple_and_bcf_of_the_same_map_agree() {
    let Some(rpl) = kalpha_reference::path("data/formats/4on3_full.rpl") else { return };
    let ripple = read(&rpl).unwrap();
    let bcf = read(&rpl.with_extension("bcf")).unwrap();
    // The vendor's export leaves the first channels, the strobe peak, in place.
    assert_eq!(fingerprint(&ripple), fingerprint(&bcf));
    assert!(has(&ripple, Code::MissingMetadata));
    let raw = read(&rpl.with_extension("raw")).unwrap();
    assert_eq!(fingerprint(&raw), fingerprint(&ripple));
}

/// A 2 x 3 x 4 cube in one of the layouts of a Ripple file.
fn ripple(
    dir: &Path,
    kind: &str,
    width: usize,
    big: bool,
    image: bool,
    cube: &[f64; 24],
) -> Dataset {
    let order: Vec<usize> = if image {
        (0..4).flat_map(|c| (0..6).map(move |p| p * 4 + c)).collect()
    } else {
        (0..24).collect()
    };
    let mut bytes = vec![0xee; 3];
    for i in order {
        let x = cube[i];
        let mut value = match (kind, width) {
            ("float", 4) => (x as f32).to_le_bytes().to_vec(),
            ("float", _) => x.to_le_bytes().to_vec(),
            _ => (x as i64).to_le_bytes()[..width].to_vec(),
        };
        if big {
            value.reverse();
        }
        bytes.extend(value);
    }
    let record = if image { "image" } else { "vector" };
    let order = if big { "big-endian" } else { "little-endian" };
    let header = format!(
        "key\tvalue\nwidth\t3\nheight\t2\ndepth\t4\noffset\t3\ndata-length\t{width}\n\
         data-type\t{kind}\nbyte-order\t{order}\nrecord-by\t{record}\ndepth-scale\t0.01\n\
         depth-origin\t-0.2\ndepth-units\tkeV\nwidth-scale\t0.5\nwidth-units\tnm\n\
         beam-energy\t200\nsignal\tEDS_TEM\nelevation-angle\t22\n"
    );
    fs::write(dir.join("cube.raw"), bytes).unwrap();
    fs::write(dir.join("cube.rpl"), header).unwrap();
    read(&dir.join("cube.rpl")).unwrap()
}

#[test]
fn ripple_in_every_layout() {
    let dir = tempfile::tempdir().unwrap();
    let mut sparse = [0.0; 24];
    (sparse[1], sparse[14]) = (3.0, 7.0);
    let counts: [f64; 24] = std::array::from_fn(|i| i as f64);
    let signed: [f64; 24] = std::array::from_fn(|i| i as f64 - 9.0);
    for image in [false, true] {
        for big in [false, true] {
            for width in [1, 2, 4, 8] {
                for (kind, cube) in [
                    ("unsigned", sparse),
                    ("unsigned", counts),
                    ("signed", counts),
                    ("signed", signed),
                ] {
                    let dataset = ripple(dir.path(), kind, width, big, image, &cube);
                    assert_eq!(dense(&dataset), cube, "{kind} {width} {big} {image}");
                    let is_counts = cube.iter().all(|x| *x >= 0.0);
                    assert_eq!(dataset.meta().noise.is_counts(), is_counts);
                    if cube == sparse {
                        assert_eq!(dataset.meta().dtype, DType::Csr);
                    }
                }
            }
            for width in [4, 8] {
                let halves = counts.map(|x| x / 2.0);
                for (cube, noise) in [(counts, NoiseModel::COUNTS), (halves, NoiseModel::Unknown)] {
                    let dataset = ripple(dir.path(), "float", width, big, image, &cube);
                    assert_eq!(dense(&dataset), cube);
                    assert_eq!(dataset.meta().noise, noise);
                }
            }
        }
    }
    let dataset = ripple(dir.path(), "unsigned", 2, false, false, &counts);
    let meta = dataset.meta();
    assert_eq!(meta.signal, Axis::linear("Energy", Unit::KeV, -0.2, 0.01, 4).unwrap());
    assert_eq!(meta.navigation[1], Axis::linear("x", Unit::Nanometre, 0.0, 0.5, 3).unwrap());
    assert_eq!(dataset.metadata.beam_energy_kev, Some(200.0));
    assert_eq!(dataset.metadata.modality, Some(Modality::Eds));
}

#[test]
fn ripple_without_its_other_half_or_with_a_lying_header() {
    let dir = tempfile::tempdir().unwrap();
    ripple(dir.path(), "unsigned", 1, false, false, &[0.0; 24]);
    let header = dir.path().join("cube.rpl");
    let honest = fs::read_to_string(&header).unwrap();
    for (from, to) in [
        ("width\t3", "width\t4000000000"),
        ("width\t3", "width\t18446744073709551615"),
        ("width\t3", "width\t0"),
        ("width\t3", "width\tthree"),
        ("offset\t3", "offset\t18446744073709551615"),
        ("data-length\t1", "data-length\t3"),
        ("record-by\tvector", "record-by\tspiral"),
    ] {
        fs::write(&header, honest.replace(from, to)).unwrap();
        assert!(read(&header).is_err(), "{to}");
    }
    fs::write(&header, &honest).unwrap();
    fs::remove_file(dir.path().join("cube.raw")).unwrap();
    assert!(matches!(read(&header), Err(IoError::Companion { .. })));
}

#[test]
fn npy_is_mapped_and_takes_axes_from_its_json_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cube.npy");
    let values: Vec<u16> = (0..24).collect();
    write_npy(&path, &[2, 3, 4], Values::U16(&values)).unwrap();
    let dataset = read(&path).unwrap();
    assert_eq!((dataset.meta().dtype, dataset.meta().grid()), (DType::U16, vec![2, 3]));
    assert_eq!(dataset.meta().noise, NoiseModel::COUNTS);
    assert!(has(&dataset, Code::MissingMetadata) && !has(&dataset, Code::Copied));
    assert_eq!(dense(&dataset), (0..24).map(f64::from).collect::<Vec<_>>());

    let axis: EnergyAxis = "0.1, 0.02, keV".parse().unwrap();
    let options = OpenOptions { energy_axis: Some(axis), ..OpenOptions::default() };
    let labelled = open(&path, &options).unwrap();
    assert_eq!(labelled.meta().signal.offset_scale(), Some((0.1, 0.02)));
    assert_eq!(dense(&labelled), dense(&dataset));

    let json = dir.path().join("cube.json");
    let stated = r#"{"axes": [{"name": "y", "units": "nm", "scale": 0.5}, {"axis": [1, 2, 4]},
        {"name": "Energy", "units": "keV", "offset": -0.1, "scale": 0.01, "size": 4}],
        "metadata": {"beam_energy_keV": 200, "specimen": "thin"}}"#;
    fs::write(&json, stated).unwrap();
    let dataset = read(&path).unwrap();
    assert_eq!(dataset.meta().signal.unit, Unit::KeV);
    assert_eq!(dataset.meta().navigation[1].to_vec(), [1.0, 2.0, 4.0]);
    assert_eq!(dataset.metadata.beam_energy_kev, Some(200.0));
    assert!(dataset.diagnostics.is_empty());
    for (from, to) in [
        ("beam_energy_keV", "beam_energy"),
        ("\"size\": 4", "\"size\": 5"),
        ("[1, 2, 4]", "[1, 2]"),
        ("0.01", "0.0"),
        ("}}", "}"),
    ] {
        fs::write(&json, stated.replace(from, to)).unwrap();
        assert!(read(&path).is_err(), "{to}");
    }
}

#[test]
fn a_json_file_of_something_else_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (path, json) = (dir.path().join("cube.npy"), dir.path().join("cube.json"));
    write_npy(&path, &[2, 3, 4], Values::U16(&[1; 24])).unwrap();
    for other in [r#"{"metadata": {}, "results": [1, 2]}"#, "[1, 2]", "{}", "no JSON", ""] {
        fs::write(&json, other).unwrap();
        let dataset = read(&path).unwrap();
        assert_eq!(dataset.meta().grid(), [2, 3], "{other}");
        let said = dataset.diagnostics.iter().any(|d| d.message.starts_with("cube.json beside it"));
        assert!(said, "{other}");
    }
    // What means to describe the array is told to be mended or renamed.
    fs::write(&json, r#"{"axes": [{"name": "y"}], "results": []}"#).unwrap();
    assert!(read(&path).is_err_and(|error| error.to_string().contains("rename it")));
}

/// A `.npy` with a header of our own.
fn npy(path: &Path, version: u8, header: &str, data: &[u8]) {
    let mut bytes = b"\x93NUMPY".to_vec();
    bytes.extend([version, 0]);
    if version == 1 {
        bytes.extend((header.len() as u16).to_le_bytes());
    } else {
        bytes.extend((header.len() as u32).to_le_bytes());
    }
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    fs::write(path, bytes).unwrap();
}

#[test]
fn npy_versions_orders_and_types() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let cube: Vec<f64> = (0..24).map(f64::from).collect();
    let header = |descr: &str, fortran: &str, shape: &str| {
        format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n")
    };
    for version in [1, 2, 3] {
        let data: Vec<u8> = (0..24u16).flat_map(u16::to_be_bytes).collect();
        npy(&path, version, &header(">u2", "False", "(2, 3, 4)"), &data);
        let dataset = read(&path).unwrap();
        assert_eq!(dense(&dataset), cube);
        assert!(has(&dataset, Code::Copied));
    }
    // Fortran order: the first index is the fastest.
    let mut data = vec![0u8; 24];
    for (i, byte) in data.iter_mut().enumerate() {
        let (y, x, c) = (i % 2, i / 2 % 3, i / 6);
        *byte = ((y * 3 + x) * 4 + c) as u8;
    }
    npy(&path, 1, &header("|u1", "True", "(2, 3, 4)"), &data);
    let dataset = read(&path).unwrap();
    assert_eq!(dense(&dataset), cube);
    assert!(has(&dataset, Code::Copied));
    npy(&path, 1, &header("<f8", "False", "(3,)"), &[0u8; 24]);
    assert_eq!(read(&path).unwrap().meta().rows, 1);
    for (descr, shape) in [
        ("<c16", "(1,)"),
        ("<u2", "()"),
        ("<u2", "(0, 4)"),
        ("<u2", "(1000000, 1000000)"),
        ("<u2", "(18446744073709551615, 2)"),
        ("<u2", "(-1, 2)"),
        ("<u2", "3"),
    ] {
        npy(&path, 1, &header(descr, "False", shape), &[0; 24]);
        assert!(read(&path).is_err(), "{descr} {shape}");
    }
}

#[test]
fn msa_of_the_standard() {
    let Some(path) = kalpha_reference::path("data/formats/example1.msa") else { return };
    let dataset = read(&path).unwrap();
    // NPOINTS states 20, 21 values follow, and their column departs from OFFSET and XPERCHAN.
    assert_eq!(dataset.meta().channels, 21);
    assert!(has(&dataset, Code::VendorDisagrees));
    let values = dense(&dataset);
    assert_eq!((values[0], values[20]), (4066.0, 4217.0));
    assert_eq!(dataset.meta().signal.at(20), 580.50);
    assert_eq!(dataset.meta().signal.unit, Unit::Ev);
    let m = &dataset.metadata;
    assert_eq!((m.beam_energy_kev, m.modality), (Some(120.0), Some(Modality::Eels)));
    assert_eq!((m.beam_current_na, m.thickness_nm), (Some(12.345), Some(50.0)));
    assert_eq!(dataset.vendor["CONVANGLE"], "1.5");
}

#[test]
fn msa_is_read_back_as_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.msa");
    let axis = Axis::linear("Energy", Unit::KeV, -0.2, 0.01, 5).unwrap();
    let metadata = Metadata {
        title: Some("a map\n#SPECTRUM: trick".to_owned()),
        modality: Some(Modality::Eds),
        beam_energy_kev: Some(200.0),
        live_time_s: Some(19.997292),
        elevation_angle: Some(22.5),
        ..Metadata::default()
    };
    for values in [[1.0, 0.0, 3.0, 1e9, 2.0], [0.1, -2.5, 1e-300, 7.0, f64::MAX]] {
        write_msa(&path, &axis, &values, &metadata).unwrap();
        let dataset = read(&path).unwrap();
        assert_eq!(dense(&dataset), values);
        assert_eq!(dataset.meta().signal, axis);
        let title = dataset.metadata.title.clone();
        assert_eq!(title.as_deref(), Some("a map #SPECTRUM: trick"));
        assert_eq!(dataset.metadata, Metadata { title, ..metadata.clone() });
    }
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, &text[..text.len() - 60]).unwrap();
    assert!(read(&path).is_err(), "cut short");
    fs::write(&path, text.replace("0.1\n", "zero\n")).unwrap();
    assert!(read(&path).err().unwrap().to_string().contains("zero"));
}

#[test]
fn a_file_of_two_plausible_formats_is_read_with_a_note() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("both.rpl");
    let text = "#FORMAT : EMSA/MAS Spectral Data File\n#TITLE : record-by data-type depth\n\
                #NPOINTS : 1\n#XPERCHAN : 1\n#SPECTRUM :\n5\n#ENDOFDATA :\n";
    fs::write(&path, text).unwrap();
    let found: Vec<_> = detect(&path).unwrap().iter().map(|(f, _)| f.name()).collect();
    assert_eq!(found, ["msa", "rpl"]);
    let dataset = read(&path).unwrap();
    assert_eq!(dataset.source.format, "msa");
    assert!(dataset.diagnostics.iter().any(|d| d.message.contains("could be rpl")));
    let options = OpenOptions { format: Some("rpl".parse().unwrap()), ..OpenOptions::default() };
    assert!(matches!(open(&path, &options), Err(IoError::Companion { .. })));
}

#[test]
fn formats_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.txt");
    fs::write(&path, "nothing to see").unwrap();
    assert!(detect(&path).unwrap().is_empty());
    let error = read(&path).err().unwrap().to_string();
    assert!(error.contains("bcf") && error.contains("--format"), "{error}");
    let options = OpenOptions { format: Some("msa".parse().unwrap()), ..OpenOptions::default() };
    assert!(matches!(open(&path, &options), Err(IoError::Corrupt { .. })));
    assert!("xyz".parse::<kalpha_io::FormatId>().unwrap_err().to_string().contains("hspy"));
    assert!(matches!(read(&dir.path().join("none.bcf")), Err(IoError::Open { .. })));
    assert!(matches!(read(dir.path()), Err(IoError::Series { .. })));
    fs::write(&path, "").unwrap();
    assert!(read(&path).is_err());
}
