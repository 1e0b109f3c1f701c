//! Column text of every make, and what it must leave alone.

use kalpha_core::{CellBuffer, Code, Dataset, Modality, NoiseModel, Unit};
use kalpha_io::{Confidence, EnergyAxis, Input, IoError, OpenOptions, detect, open, read, signals};
use std::path::Path;

/// Reads text as if it were a file.
pub fn from_text(name: &str, text: &str, signal: Option<&str>) -> Result<Dataset, IoError> {
    let options = OpenOptions { signal: signal.map(str::to_owned), ..OpenOptions::default() };
    read(&Input::from_bytes(Path::new(name), text.as_bytes().to_vec()), &options)
}

pub fn values(dataset: &Dataset) -> Vec<f64> {
    let mut buffer = CellBuffer::default();
    let mut values = Vec::new();
    dataset.rows.cell(0..dataset.meta().rows, &mut buffer).unwrap().to_f64(&mut values);
    values
}

pub fn has(dataset: &Dataset, code: Code) -> bool {
    dataset.diagnostics.iter().any(|d| d.code == code)
}

#[test]
fn mu_is_read_where_it_is_and_never_computed() {
    let text = "# Sample: copper foil\n# energy_eV i0 itrans mu\n8970 9 8 0.1\n8980 9 7 0.2\n8991 9 6 0.4\n";
    let dataset = from_text("cu.dat", text, None).unwrap();
    assert_eq!(values(&dataset), [0.1, 0.2, 0.4]);
    assert_eq!(dataset.meta().signal.unit, Unit::Ev);
    assert_eq!(dataset.meta().signal.to_vec(), [8970.0, 8980.0, 8991.0]);
    assert_eq!(dataset.metadata.modality, Some(Modality::Xas));
    assert_eq!(dataset.metadata.title.as_deref(), Some("copper foil"));
    assert!(dataset.diagnostics[0].to_string().contains("i0, itrans, mu; mu was read"));
    let text = text.replace(" mu\n", " other\n");
    let dataset = from_text("cu.dat", &text, None).unwrap();
    assert_eq!(values(&dataset), [8.0, 7.0, 6.0]);
    // Whole numbers, but of a current.
    assert_eq!(dataset.meta().noise, NoiseModel::Unknown);
    assert!(dataset.diagnostics[0].message.contains("no column is mu(E)"));
    assert_eq!(values(&from_text("cu.dat", &text, Some("I0")).unwrap()), [9.0; 3]);
    let error = from_text("cu.dat", &text, Some("mu")).err().unwrap().to_string();
    assert!(error.contains("i0, itrans, other"), "{error}");
}

#[test]
fn equal_columns_are_rows_and_whole_numbers_counts() {
    let text = "channel,a,b\n0,5,0\n1,6,1\n2,7,300\n";
    let dataset = from_text("two.csv", text, Some("all")).unwrap();
    assert_eq!(dataset.meta().grid(), [2]);
    assert_eq!(dataset.vendor["rows"], serde_json::json!(["a", "b"]));
    assert_eq!(dataset.meta().noise, NoiseModel::COUNTS);
    assert_eq!(values(&dataset), [5.0, 6.0, 7.0, 0.0, 1.0, 300.0]);
    let rate = from_text("r.csv", "BE/eV,counts/s\n300,5\n299,6\n298,7\n", None).unwrap();
    assert_eq!(rate.meta().noise, NoiseModel::Unknown);
    assert_eq!(rate.meta().signal.offset_scale(), Some((300.0, -1.0)));
    assert_eq!(rate.metadata.modality, Some(Modality::Xps));
}

#[test]
fn regions_are_signals() {
    let text = "# BE/eV counts\n3 1\n2 2\n1 3\n\n# BE/eV counts\n9 4\n8 5\n7 6\n";
    let input = Input::from_bytes(Path::new("x.txt"), text.as_bytes().to_vec());
    let second = OpenOptions { signal: Some("2/counts".to_owned()), ..OpenOptions::default() };
    let dataset = read(&input, &second).unwrap();
    assert_eq!(dataset.meta().signal.to_vec(), [9.0, 8.0, 7.0]);
    assert_eq!(values(&dataset), [4.0, 5.0, 6.0]);
}

#[test]
fn a_unit_can_be_given_without_points() {
    let text = "7000.5 0.1\n7001.5 0.2\n7003.5 0.3\n";
    let dataset = from_text("a.dat", text, None).unwrap();
    assert!(has(&dataset, Code::MissingMetadata));
    let energy_axis: EnergyAxis = "eV".parse().unwrap();
    let options = OpenOptions { energy_axis: Some(energy_axis), ..OpenOptions::default() };
    let input = Input::from_bytes(Path::new("a.dat"), text.as_bytes().to_vec());
    let axis = read(&input, &options).unwrap().meta().signal.clone();
    assert_eq!((axis.name.as_str(), axis.unit.clone()), ("Energy", Unit::Ev));
    assert_eq!(axis.to_vec(), [7000.5, 7001.5, 7003.5]);
}

#[test]
fn what_is_no_table_is_left_alone() {
    let none = |name: &str, text: &str| {
        let error = from_text(name, text, None).err().unwrap();
        assert!(matches!(error, IoError::UnknownFormat { .. }), "{name}: {error}");
    };
    none("a.txt", "Dear colleague,\nthe beam time is on 3 May\n1\n2\n");
    none("a.txt", "1 2\n3 4\n");
    none("a.json", "[\n1,\n2,\n3,\n4,\n5,\n6,\n7,\n8,\n9]\n");
    none("a.cfg", "width = 5\nheight = 7\n");
    none("a.csv", "Element,Symbol,Value\nIron,Fe,5\nZinc,Zn,6\nTin,Sn,8\n");
    none("list.log", "1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    for (text, field) in [
        ("1 2\n2 3\n3 4\n4 5 6\n5 6\n", "columns"),
        ("1 2\n+inf 3\n3 4\n", "point"),
        ("nothing\n", "columns"),
    ] {
        let input = Input::from_bytes(Path::new("a.dat"), text.as_bytes().to_vec());
        let format = Some("columns".parse().unwrap());
        let result = read(&input, &OpenOptions { format, ..OpenOptions::default() });
        let error = result.err().map(|e| e.to_string()).unwrap_or_default();
        assert!(error.contains(field) && error.contains("byte"), "{text:?}: {error}");
    }
    let cut = from_text("a.dat", "1 2\n2 3\n3 4\n4", None).unwrap();
    assert!(has(&cut, Code::Truncated));
    let words: String = (0..20).map(|i| format!("{i} 5\n")).collect::<String>() + "nan 4\n20 6\n";
    let stranger = from_text("a.dat", &words, None).unwrap();
    assert_eq!(stranger.meta().channels, 21);
    assert!(has(&stranger, Code::VendorDisagrees), "a line left out is said");
}

/// Files of other formats must not be columns, not even by their name.
#[test]
fn reference_files_that_are_no_columns() {
    for file in [
        "data/xas/HXN_refs/Readme.txt",
        "data/xrf/xrfmaps_2IDE/maps_fit_parameters_override.txt",
        "data/xrf/xrfmaps_2IDE/maps_standardinfo.txt",
        "data/xrf/xrflab/NIST_SRM_2586_elements.csv",
        "data/xrf/Steel.cfg",
        "data/xps/Pt4f.json",
        "data/xas/AgAu_merged.prj",
        "data/xas/dispersive.prj",
        "data/xas/HXN_refs/chemical_map.tiff",
    ] {
        let Some(path) = kalpha_reference::path(file) else { return };
        let found = detect(&path).unwrap();
        assert!(found.iter().all(|(f, _)| f.name() != "columns"), "{file}: {found:?}");
    }
}

#[test]
fn decimal_commas_and_labels_of_reference_files() {
    let Some(path) = kalpha_reference::path("data/xas/pyfitit_Mn/001_Mn_metal.dat") else { return };
    assert_eq!(detect(&path).unwrap()[0].1, Confidence::Name);
    assert_eq!(signals(&path, &OpenOptions::default()).unwrap(), ["Mn metal"]);
    let dataset = open(&path, &OpenOptions::default()).unwrap();
    assert_eq!(values(&dataset)[0], 0.00433672239652363);
    assert_eq!(dataset.meta().channels, 400);
}

#[test]
fn columns_beyond_what_the_text_justifies_are_refused() {
    let line = |n: usize| (0..n).map(|i| (i % 7).to_string()).collect::<Vec<_>>().join(" ");
    let wide = vec![line(9000); 3].join("\n");
    let error = from_text("a.dat", &wide, None).err().unwrap().to_string();
    assert!(error.contains("number of columns"), "{error}");
    let many = vec![line(8000); 3].join("\n");
    assert_eq!(from_text("a.dat", &many, Some("column 8000")).unwrap().meta().channels, 3);
    // As many columns with something in them are signals.
    let long = vec![line(9000); 40].join("\n");
    assert_eq!(from_text("a.dat", &long, None).unwrap().meta().channels, 40);
}
