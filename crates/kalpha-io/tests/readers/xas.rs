//! XDI and Athena projects.

use crate::columns::{from_text, has, values};
use kalpha_core::{Code, Modality, Unit};
use kalpha_io::{Confidence, IoError, OpenOptions, detect, open, signals};

#[test]
fn xdi_fields_and_columns() {
    let text = "# XDI/1.0 GSE/1.0\n# Column.1: energy eV\n# Column.2: i0 counts || scaler\n\
                # Column.3: mutrans\n# Element.symbol: Cu\n# Sample.name: foil\n\
                # Beamline.name: 13ID\n# Facility.Name: APS\n# Scan.E0: 1\n# Scan.E0: 2\n# ///\n\
                # a remark: of 3 words\n# -----\n# energy i0 mutrans\n\
                8970.0 9 0.1\n8980.0 8 0.2\n8991.5 7 0.4\n";
    let dataset = from_text("cu.xdi", text, None).unwrap();
    assert_eq!(dataset.source.version.as_deref(), Some("1.0"));
    assert_eq!(values(&dataset), [0.1, 0.2, 0.4]);
    let axis = &dataset.meta().signal;
    assert_eq!((axis.name.as_str(), &axis.unit), ("Energy", &Unit::Ev));
    let m = &dataset.metadata;
    assert_eq!((m.title.as_deref(), m.modality), (Some("foil"), Some(Modality::Xas)));
    assert_eq!(m.instrument.as_deref(), Some("APS 13ID"));
    assert_eq!(m.listed_elements, ["Cu"]);
    assert_eq!(dataset.vendor["fields"]["Scan"]["E0"], serde_json::json!(["1", "2"]));
    assert_eq!(dataset.vendor["remarks"][0], "a remark: of 3 words");
    assert_eq!(values(&from_text("cu.xdi", text, Some("i0")).unwrap()), [9.0, 8.0, 7.0]);
    let newer = from_text("cu.xdi", &text.replace("XDI/1.0", "XDI/2.0"), None).unwrap();
    assert!(has(&newer, Code::UnknownFormatVersion));
    let error = from_text("cu.xdi", &text[..250], None).err().unwrap();
    assert!(matches!(error, IoError::Corrupt { .. }), "{error}");
}

#[test]
fn xdi_of_the_reference_data() {
    let Some(path) = kalpha_reference::path("data/xas/cu_metal_rt.xdi") else { return };
    assert_eq!(detect(&path).unwrap()[0].1, Confidence::Certain);
    let dataset = open(&path, &OpenOptions::default()).unwrap();
    assert_eq!(dataset.meta().channels, 408);
    assert_eq!(dataset.metadata.listed_elements, ["Cu"]);
    assert!(dataset.diagnostics[0].message.contains("mutrans was read"));
}

const PROJECT: &str = "# Athena project file -- Demeter version 0.9.25\n\n$old_group = 'abcde';\n\
    @args = ('label','Fe foil','bkg_z','Fe','bkg_eshift','0.5','titles',['a','b']);\n\
    @x = ('7100','7110','7125');\n@y = ('0.1','0.5','1.0');\n@i0 = ('5','6','7');\n\
    @stddev = ('1','2');\n[record]   # create object\n\n$old_group = 'fghij';\n\
    @args = ('label','Fe foil','is_chi',1);\n@x = (0,0.05,0.1);\n@y = (1,2,3);\n[record]\n\
    @journal = ('one','two');\n\n1;\n\n# Local Variables:\n# End:\n";

#[test]
fn groups_of_a_project() {
    let dataset = from_text("p.prj", PROJECT, None).unwrap();
    assert_eq!(dataset.source.version.as_deref(), Some("0.9.25"));
    assert_eq!(values(&dataset), [0.1, 0.5, 1.0]);
    assert_eq!(dataset.metadata.listed_elements, ["Fe"]);
    let said: Vec<_> = dataset.diagnostics.iter().map(ToString::to_string).collect();
    assert!(said.iter().any(|s| s.contains("@stddev") && s.contains("2 values")), "{said:?}");
    assert!(said.iter().any(|s| s.contains("0.5 eV (bkg_eshift)")), "{said:?}");
    assert_eq!(dataset.vendor["groups"][0]["args"]["titles"][1], "b");
    assert_eq!(dataset.vendor["project"]["journal"][1], "two");
    assert_eq!(values(&from_text("p.prj", PROJECT, Some("Fe foil.i0")).unwrap()), [5.0, 6.0, 7.0]);
    let chi = from_text("p.prj", PROJECT, Some("Fe foil.2")).unwrap();
    assert_eq!(chi.meta().signal.unit, Unit::InverseAngstrom);
    for (from, to, says) in [
        ("'1.0');", "'one');", "@y of group abcde"),
        ("'0.1','0.5',", "'0.1',", "3 values"),
        ("@y = ('0.1','0.5','1.0');\n", "", "an array @y"),
        ("'7125');", "'7125'", "comma or the end"),
        ("[record]", "[rekord]", "[record]"),
    ] {
        let error = from_text("p.prj", &PROJECT.replacen(from, to, 1), None).err().unwrap();
        assert!(error.to_string().contains(says), "{error}");
    }
    let none = "# Athena project file -- Athena version 0.8\n1;\n";
    assert!(matches!(from_text("p.prj", none, None), Err(IoError::NoSpectra { .. })));
}

#[test]
fn a_project_in_json() {
    let text = r#"{"_____header1": "Athena project file -- Demeter version 0.9.24",
        "_____order": ["g"], "_____journal": [], "g": {"args": {"label": "Mn"},
        "x": [1, 2, 4], "y": ["0.5", 1, 2.5]}}"#;
    let dataset = from_text("p.prj", text, None).unwrap();
    assert_eq!(values(&dataset), [0.5, 1.0, 2.5]);
    assert_eq!(dataset.metadata.title.as_deref(), Some("Mn"));
    assert!(from_text("p.prj", &text.replace("[\"g\"]", "[\"h\"]"), None).is_err());
    assert!(from_text("p.prj", &text.replace("}}", "}"), None).is_err());
}

#[test]
fn projects_of_the_reference_data() {
    for (file, groups) in [
        ("AgAu_merged", 10),
        ("Fe", 5),
        ("S_CAMD", 22),
        ("Se_Standards", 9),
        ("cyanobacteria", 17),
        ("dispersive", 12),
    ] {
        let Some(path) = kalpha_reference::path(&format!("data/xas/{file}.prj")) else { return };
        assert_eq!(detect(&path).unwrap()[0].1, Confidence::Certain);
        let dataset = open(&path, &OpenOptions::default()).unwrap();
        assert_eq!(dataset.vendor["groups"].as_array().unwrap().len(), groups);
        let names = signals(&path, &OpenOptions::default()).unwrap();
        let extra = [".i0", ".signal", ".stddev"];
        let mu = names.iter().filter(|n| !extra.iter().any(|e| n.ends_with(e)) && *n != "all");
        assert_eq!(mu.count(), groups, "{names:?}");
    }
}
