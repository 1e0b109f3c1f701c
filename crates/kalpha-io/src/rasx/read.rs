//! From the members of the archive to signals.

use crate::{
    Input, IoError,
    archive::Archive,
    diffraction,
    ras::{Profile, profile_signals},
    signal_list::{Series, SignalList, axis_of_points},
    xml,
};
use kalpha_core::{Axis, Metadata};
use roxmltree::Node;
use serde_json::{Map, Value};

/// The text of the first element of that name, anywhere.
fn text(root: Node, name: &str) -> Option<String> {
    let found = root.descendants().find(|n| n.tag_name().name() == name)?;
    found.text().map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned)
}

/// Fills a profile with what its conditions say; gives the position of each drive.
fn describe(profile: &mut Profile, root: Node) -> Vec<(String, f64)> {
    let scan = root.descendants().find(|n| n.tag_name().name() == "ScanInformation");
    let of_scan = |name| scan.and_then(|s| text(s, name)).unwrap_or_default();
    profile.axis = of_scan("AxisName");
    profile.unit_x = of_scan("PositionUnit");
    profile.unit_y = of_scan("IntensityUnit");
    profile.stated = of_scan("DataCount").parse().ok();
    let wavelength = text(root, "WavelengthKalpha1").and_then(|t| t.parse().ok());
    let detector = root.descendants().find(|n| n.attribute("Name") == Some("Detector"));
    profile.metadata = Metadata {
        title: text(root, "SampleName").or_else(|| text(root, "Comment")),
        instrument: text(root, "SystemName"),
        detector: detector.and_then(|d| d.attribute("SelectedUnit")).map(str::to_owned),
        ..diffraction::metadata(wavelength.and_then(diffraction::wavelength))
    };
    let drives = root.descendants().filter(|n| n.tag_name().name() == "Axis");
    let position = |n: Node| {
        let place = n.attribute("Position")?.parse().ok()?;
        Some((n.attribute("Name")?.to_owned(), place))
    };
    drives.filter(|n| n.attribute("State") != Some("Scan")).filter_map(position).collect()
}

/// The one drive whose position differs from scan to scan, as an axis.
fn stepped_axis(positions: &[Vec<(String, f64)>]) -> Option<Axis> {
    // Theta and the angle of the tube move together: the sample's angle is asked for first.
    for name in ["Omega", "Chi", "Phi", "Z", "ThetaS"] {
        let of = |drives: &Vec<(String, f64)>| {
            drives.iter().find(|(n, _)| n == name).map(|(_, position)| *position)
        };
        let points: Option<Vec<f64>> = positions.iter().map(of).collect();
        if let Some(points) = points
            && points.windows(2).all(|w| w[0] != w[1])
        {
            let unit = diffraction::drive_unit(if name == "Z" { "mm" } else { "deg" });
            return Some(axis_of_points(name, unit, points));
        }
    }
    None
}

pub(super) fn list(input: &Input) -> Result<SignalList, IoError> {
    let archive = Archive::open(input)?;
    let names = archive.names();
    let (mut profiles, mut positions) = (Vec::new(), Vec::new());
    let mut vendor = Map::new();
    for name in names.iter().filter(|n| n.ends_with(".txt") && n.contains("Profile")) {
        let mut profile = Profile::default();
        let conditions = name.replace("Profile", "MesurementConditions").replace(".txt", ".xml");
        if names.contains(&conditions) {
            let bytes = archive.read(&conditions)?;
            let text = xml::decode(&bytes);
            let document = xml::parse(input, &text)?;
            positions.push(describe(&mut profile, document.root_element()));
            let tree = xml::to_json(document.root_element()).map_err(|_| {
                input.corrupt(0, conditions.clone(), "nested as an instrument does", "deeper")
            })?;
            vendor.insert(conditions, tree);
        }
        let bytes = archive.read(name)?;
        let text = xml::decode(&bytes);
        let mut offset = 0u64;
        for line in text.split_inclusive('\n') {
            if !line.trim().is_empty() {
                profile.push(input, line.trim(), offset)?;
            }
            offset += line.len() as u64;
        }
        if !profile.y.is_empty() {
            profiles.push(profile);
        }
    }
    if profiles.is_empty() {
        return Err(IoError::NoSpectra {
            file: input.path().to_owned(),
            found: format!("{} members, none of them a Profile*.txt with points", names.len()),
        });
    }
    let mut diagnostics = Vec::new();
    let scans = profiles.len();
    let signals = profile_signals(profiles, &mut diagnostics);
    let mut series = Vec::new();
    let equal = signals.windows(2).all(|w| w[0].axis == w[1].axis);
    if scans > 1 && signals.len() == scans && equal {
        let axis = stepped_axis(&positions).filter(|a| a.len() == scans);
        let axis = axis.unwrap_or_else(|| Axis::index("scan", scans));
        series.push(Series { name: "scans".to_owned(), axis, members: (0..scans).collect() });
    }
    let version = match names.iter().any(|n| n == "root.xml") {
        true => {
            let bytes = archive.read("root.xml")?;
            let text = xml::decode(&bytes);
            let document = xml::parse(input, &text)?;
            document.root_element().attribute("Version").map(str::to_owned)
        }
        false => None,
    };
    Ok(SignalList {
        format: "rasx",
        version,
        default: if series.is_empty() { 0 } else { signals.len() },
        signals,
        series,
        remark: String::new(),
        vendor: Value::Object(vendor),
        diagnostics,
    })
}
