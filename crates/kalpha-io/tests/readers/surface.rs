//! VAMAS and SPECS, photoelectron spectra.

use crate::columns::{from_text, has, values};
use kalpha_core::{Code, Modality, NoiseModel, Unit};
use kalpha_io::{Confidence, OpenOptions, detect, open, signals};
use std::path::PathBuf;

pub fn corpus(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name)
}

pub fn text(name: &str) -> String {
    std::fs::read_to_string(corpus(name)).unwrap()
}

#[test]
fn vamas_blocks_and_variables() {
    let names = signals(corpus("tiny.vms"), &OpenOptions::default()).unwrap();
    assert_eq!(names, ["C 1s/1", "C 1s/1/Transmission", "O1s", "O1s/Transmission"]);
    let dataset = open(corpus("tiny.vms"), &OpenOptions::default()).unwrap();
    assert_eq!(values(&dataset), [5.0, 6.0, 700.0]);
    let meta = dataset.meta();
    assert_eq!((meta.signal.name.as_str(), &meta.signal.unit), ("Kinetic Energy", &Unit::Ev));
    assert_eq!(meta.signal.offset_scale(), Some((900.5, 0.5)));
    assert_eq!(meta.noise, NoiseModel::COUNTS);
    let m = &dataset.metadata;
    assert_eq!((m.modality, m.beam_energy_kev), (Some(Modality::Xps), Some(1.4866)));
    assert_eq!(
        (m.title.as_deref(), &m.listed_elements[..]),
        (Some("a sample"), &["C".to_owned()][..])
    );
    assert_eq!(dataset.vendor["blocks"][0]["comment"], serde_json::json!(["one", "two"]));
    // What the second block leaves out is the first one's.
    assert!(dataset.vendor["blocks"][1].get("comment").is_none());
    let vms = text("tiny.vms");
    let second = from_text("a.vms", &vms, Some("o1s")).unwrap();
    assert_eq!(values(&second), [1.0, 2.0]);
    assert_eq!(second.meta().noise, NoiseModel::COUNTS);
    let transmission = from_text("a.vms", &vms, Some("C 1s/1/Transmission")).unwrap();
    assert_eq!(transmission.meta().noise, NoiseModel::Unknown);
    let irregular = from_text("a.npl", &text("tiny.npl"), None).unwrap();
    assert_eq!(irregular.meta().signal.to_vec(), [5.0, 6.0, 700.0]);
    assert_eq!(values(&irregular), [1.0, 1.5, 2.0]);
    for (from, to, says) in [
        ("1988 May 4", "2020 May 4", "format identifier"),
        ("REGULAR", "SOMEHOW", "scan mode at byte"),
        ("900.5", "zero", "abscissa"),
        ("6\r\n0\r\n9", "7\r\n0\r\n9", "a multiple of the 2"),
        ("6\r\n0\r\n9", "999999\r\n0\r\n9", "999999"),
        ("\r\n700\r\n", "\r\nx\r\n", "block 1, ordinate"),
        ("\r\n-1\r\n8\r\n", "\r\n-1\r\n80\r\n", "from 1 to 40"),
    ] {
        assert!(vms.contains(from), "{from}");
        let error = from_text("a.vms", &vms.replacen(from, to, 1), None).err().unwrap().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn specs_regions_and_curves() {
    let specs = text("tiny.specs");
    let dataset = from_text("a.xy", &specs, None).unwrap();
    assert_eq!(values(&dataset), [5.0, 6.0]);
    assert_eq!(
        (dataset.metadata.modality, dataset.metadata.beam_energy_kev),
        (Some(Modality::Xps), Some(1.4866))
    );
    assert_eq!(dataset.meta().signal.name, "Kinetic energy");
    assert_eq!(dataset.meta().noise, NoiseModel::COUNTS);
    assert_eq!(dataset.vendor["regions"][0]["Group"], "g");
    let rows = from_text("a.xy", &specs, Some("O1s/all")).unwrap();
    assert_eq!((rows.meta().grid(), values(&rows)), (vec![2], vec![5.0, 6.0, 7.0, 8.0]));
    let curve = from_text("a.xy", &specs, Some("O1s cycle: 1, curve: 0/scaling")).unwrap();
    assert_eq!(values(&curve), [1.0, 1.0]);
    assert_eq!(values(&from_text("a.xy", &specs, Some("C1s")).unwrap()), [7.0, 8.0]);
    let rate = from_text("a.xy", &specs.replace("Second:        no", "Second:        yes"), None);
    assert_eq!(rate.unwrap().meta().noise, NoiseModel::Unknown);
    let error = from_text("a.xy", &specs.replace("1.5 6 1", "1.5 6"), None).err().unwrap();
    assert!(error.to_string().contains("3 numbers in a line"), "{error}");
}

#[test]
fn specs_of_the_reference_data() {
    let Some(path) = kalpha_reference::path("data/xps/specsxy_example.xy") else { return };
    assert_eq!(detect(&path).unwrap()[0].0.name(), "specs_xy");
    let names = signals(&path, &OpenOptions::default()).unwrap();
    let regions: Vec<_> = names.iter().filter(|n| !n.ends_with("/scaling")).collect();
    assert_eq!(regions, ["over_1400eV", "O1s", "Si2p", "O1s_XAS_45°"]);
    let options = OpenOptions { signal: Some(regions[3].clone()), ..OpenOptions::default() };
    let scan = open(&path, &options).unwrap();
    assert_eq!(scan.metadata.modality, Some(Modality::Xas));
    assert_eq!(scan.meta().signal.name, "Photon energy");
}

#[test]
fn vamas_of_the_reference_data() {
    for (file, blocks) in
        [("0-150W.vms", 5), ("Mutlipak_vms.npl", 5), ("mjr9_116a.vms", 7), ("Pt4f.vms", 1)]
    {
        let Some(path) = kalpha_reference::path(&format!("data/xps/{file}")) else { return };
        assert_eq!(detect(&path).unwrap()[0].1, Confidence::Certain);
        let dataset = open(&path, &OpenOptions::default()).unwrap();
        assert_eq!(dataset.vendor["blocks"].as_array().unwrap().len(), blocks);
        assert_eq!(dataset.metadata.modality, Some(Modality::Xps));
        assert!(!has(&dataset, Code::VendorDisagrees));
    }
}

/// A depth profile of two regions at these etch times, three points each.
fn profile(mode: &str, times: &[f64]) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut add = |text: &str| lines.extend(text.split('|').map(str::to_owned));
    add("VAMAS Surface Chemical Analysis Standard Data Transfer Format 1988 May 4");
    add("an institute|a spectrometer|me|exp|0");
    add(&format!("{mode}|REGULAR|1|1|Etch Time|s|0|0|0|0|{}", 2 * times.len()));
    for (cycle, time) in times.iter().enumerate() {
        for (region, (element, shell)) in [("C", "1s"), ("O", "1s")].into_iter().enumerate() {
            add(&format!("Cycle {cycle}|a sample|2024|1|2|3|4|5|0|0|XPS|{time}|Al mono"));
            if mode == "SDP" {
                add("Ar|1|1");
            }
            add("1486.6|150|1E37|1E37|1E37|1E37|FAT|20|1E37|4.5|0|1E37|1E37|1E37|1E37");
            add(&format!("{element}|{shell}|-1|Binding Energy|eV|{}|-0.5", 290 + 245 * region));
            add("1|Intensity|d|pulse counting|0.1|1|0");
            if mode == "SDP" {
                add("2000|1|1|1|45|0|sputter");
            }
            add("1E37|1E37|1E37|0|3|0|99");
            (0..3).for_each(|i| add(&format!("{}", 100 * region + 10 * cycle + i)));
        }
    }
    lines.push("end of experiment".to_owned());
    lines.join("\r\n")
}

#[test]
fn blocks_of_a_depth_profile_are_rows() {
    let text = profile("SDP", &[0.0, 30.0, 90.0]);
    let dataset = from_text("a.vms", &text, None).unwrap();
    let taken = |d: &kalpha_core::Diagnostic| d.message.contains("C1s by Etch Time was read");
    assert!(dataset.diagnostics.iter().any(taken));
    let meta = dataset.meta();
    let axis = &meta.navigation[0];
    assert_eq!((axis.name.as_str(), &axis.unit), ("Etch Time", &Unit::Second));
    assert_eq!(axis.to_vec(), [0.0, 30.0, 90.0]);
    assert_eq!(meta.signal.to_vec(), [290.0, 289.5, 289.0]);
    assert_eq!(values(&dataset), [0.0, 1.0, 2.0, 10.0, 11.0, 12.0, 20.0, 21.0, 22.0]);
    assert!(meta.noise.is_counts());
    let oxygen = from_text("a.vms", &text, Some("O1s by Etch Time")).unwrap();
    assert_eq!(values(&oxygen)[..4], [100.0, 101.0, 102.0, 110.0]);
    let block = from_text("a.vms", &text, Some("Cycle 1")).unwrap();
    assert_eq!(values(&block), [10.0, 11.0, 12.0]);
    // In another mode the rows are offered, and one that never changes is no variable.
    let list = profile("NORM", &[0.0, 30.0]);
    assert!(values(&from_text("a.vms", &list, None).unwrap()) == [0.0, 1.0, 2.0]);
    assert_eq!(from_text("a.vms", &list, Some("C1s by Etch Time")).unwrap().meta().rows, 2);
    let same = profile("NORM", &[5.0, 5.0]);
    assert!(from_text("a.vms", &same, Some("C1s by Etch Time")).is_err());
}

#[test]
fn regions_of_phi() {
    let path = corpus("tiny_phi.spe");
    assert_eq!(detect(&path).unwrap()[0].1, Confidence::Certain);
    let names = signals(&path, &OpenOptions::default()).unwrap();
    assert_eq!(names, ["Survey", "C1s"]);
    let survey = open(&path, &OpenOptions::default()).unwrap();
    assert_eq!(survey.source.signal.as_deref(), Some("Survey"));
    assert_eq!(values(&survey), (0..12).map(|i| 100.0 + 0.5 * f64::from(i)).collect::<Vec<_>>());
    assert_eq!(survey.meta().signal.offset_scale(), Some((1100.0, -100.0)));
    assert!(survey.diagnostics.iter().any(|d| d.message.contains("per second")));
    let m = &survey.metadata;
    assert_eq!((m.modality, m.beam_energy_kev), (Some(Modality::Xps), Some(1.4866)));
    let signal = Some("C1s".to_owned());
    let carbon = open(&path, &OpenOptions { signal, ..OpenOptions::default() }).unwrap();
    assert_eq!(values(&carbon), [200.0, 200.5, 201.0, 201.5, 202.0]);
    assert_eq!(carbon.meta().signal.to_vec(), [290.0, 289.0, 288.0, 287.0, 286.0]);
    let bytes = std::fs::read(&path).unwrap();
    let says = |from: &[u8], to: &[u8]| {
        let at = bytes.windows(from.len()).position(|w| w == from).unwrap();
        let changed = [&bytes[..at], to, &bytes[at + from.len()..]].concat();
        let input = kalpha_io::Input::from_bytes(std::path::Path::new("a.spe"), changed);
        kalpha_io::read(&input, &OpenOptions::default()).err().unwrap().to_string()
    };
    assert!(says(b"SPECTRUM", b"PROFILE").contains("PROFILE"));
    assert!(says(b"EOFH", b"EOFX").contains("EOFH"));
    assert!(says(b" 12 ", b" 13 ").contains("13 points"));
}
