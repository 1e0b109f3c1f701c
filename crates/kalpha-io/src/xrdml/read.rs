//! From scans to signals.

use crate::{
    Input, IoError, diffraction,
    signal_list::{Series, SignalList, Whole, axis_of_points},
    xml,
};
use kalpha_core::{Axis, Code, Diagnostic, Metadata, Unit};
use roxmltree::Node;
use serde_json::Value;

/// Elements that hold values, not what is said of them.
const BULK: [&str; 4] = ["counts", "intensities", "listPositions", "beamAttenuationFactors"];

/// Where an axis stands during a scan.
enum Positions {
    Span(f64, f64),
    List(Vec<f64>),
    Common(f64),
}

struct Drive {
    name: String,
    unit: String,
    positions: Positions,
}

struct Scan {
    axis: String,
    drives: Vec<Drive>,
    values: Vec<f64>,
    factors: Option<Vec<f64>>,
    /// Counts per point, not per second.
    counts: bool,
}

/// The first child of that name, whatever the namespace.
fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    children(node, name).next()
}

fn children<'a, 'i: 'a>(
    node: Node<'a, 'i>,
    name: &str,
) -> impl Iterator<Item = Node<'a, 'i>> + use<'a, 'i> {
    let name = name.to_owned();
    node.children().filter(move |c| c.is_element() && c.tag_name().name() == name)
}

fn path<'a, 'i>(node: Node<'a, 'i>, names: &[&str]) -> Option<Node<'a, 'i>> {
    names.iter().try_fold(node, |node, name| child(node, name))
}

fn text(node: Option<Node>) -> Option<String> {
    node.and_then(|n| n.text()).map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned)
}

fn number(node: Option<Node>) -> Option<f64> {
    text(node)?.parse().ok().filter(|x: &f64| x.is_finite())
}

fn numbers(input: &Input, node: Node) -> Result<Vec<f64>, IoError> {
    let (at, field) = (node.range().start as u64, node.tag_name().name());
    diffraction::numbers(input, node.text().unwrap_or_default(), at, field)
}

fn drive(input: &Input, node: Node) -> Result<Option<Drive>, IoError> {
    let positions = match child(node, "listPositions") {
        Some(list) => Positions::List(numbers(input, list)?),
        None => {
            let at = |name| number(child(node, name));
            match (at("startPosition"), at("endPosition"), at("commonPosition")) {
                (Some(start), Some(end), _) => Positions::Span(start, end),
                (_, _, Some(common)) => Positions::Common(common),
                _ => return Ok(None),
            }
        }
    };
    Ok(Some(Drive {
        name: node.attribute("axis").unwrap_or_default().to_owned(),
        unit: node.attribute("unit").unwrap_or_default().to_owned(),
        positions,
    }))
}

fn scan(input: &Input, node: Node) -> Result<Option<Scan>, IoError> {
    let Some(points) = child(node, "dataPoints") else { return Ok(None) };
    let counts = child(points, "counts");
    let Some(values) = counts.or_else(|| child(points, "intensities")) else { return Ok(None) };
    let unit = values.attribute("unit").unwrap_or("counts");
    let mut drives = Vec::new();
    for node in children(points, "positions") {
        drives.extend(drive(input, node)?);
    }
    let factors = match child(points, "beamAttenuationFactors") {
        // Intensities are corrected already; only counts are as recorded.
        Some(node) if counts.is_some() => Some(numbers(input, node)?),
        _ => None,
    };
    Ok(Some(Scan {
        axis: node.attribute("scanAxis").unwrap_or_default().to_owned(),
        drives,
        values: numbers(input, values)?,
        factors,
        counts: unit == "counts",
    }))
}

impl Drive {
    /// True where the axis moves during the scan.
    fn moves(&self) -> bool {
        match &self.positions {
            Positions::Span(start, end) => start != end,
            Positions::List(list) => list.first() != list.last(),
            Positions::Common(_) => false,
        }
    }

    fn unit(&self) -> Unit {
        let degree = diffraction::drive_unit(&self.unit);
        if self.name == "2Theta" && degree == Unit::Other("degree".to_owned()) {
            Unit::Degree2Theta
        } else {
            degree
        }
    }

    fn name(&self) -> &str {
        if self.name == "2Theta" { "2theta" } else { &self.name }
    }

    fn axis(&self, n: usize) -> Option<Axis> {
        match &self.positions {
            Positions::Span(start, end) => {
                Some(diffraction::spanned(self.name(), self.unit(), *start, *end, n))
            }
            Positions::List(list) if list.len() == n => {
                Some(axis_of_points(self.name(), self.unit(), list.clone()))
            }
            _ => None,
        }
    }

    /// Where the axis starts.
    fn start(&self) -> Option<f64> {
        match &self.positions {
            Positions::Span(start, _) | Positions::Common(start) => Some(*start),
            Positions::List(list) => list.first().copied(),
        }
    }
}

impl Scan {
    /// The axis that is scanned: 2theta where it moves, else the drive that the scan names, else
    /// any that moves.
    fn axis(&self) -> Option<Axis> {
        let moving = || self.drives.iter().filter(|d| d.moves());
        let drive = moving()
            .find(|d| d.name == "2Theta")
            .or_else(|| moving().find(|d| d.name == self.axis))
            .or_else(|| moving().next());
        drive?.axis(self.values.len())
    }

    fn drive(&self, name: &str) -> Option<&Drive> {
        self.drives.iter().find(|d| d.name == name)
    }
}

fn metadata(root: Node, measurement: Node) -> Metadata {
    let wavelengths = child(measurement, "usedWavelength");
    let intended = wavelengths.and_then(|w| w.attribute("intended")).unwrap_or_default();
    let used = if intended == "K-Beta" { "kBeta" } else { "kAlpha1" };
    let wavelength = number(wavelengths.and_then(|w| child(w, used)));
    let sample = child(root, "sample");
    let title = text(sample.and_then(|s| child(s, "name")))
        .or_else(|| text(sample.and_then(|s| child(s, "id"))));
    let source = path(measurement, &["scan", "header", "source"]);
    let detector = path(measurement, &["diffractedBeamPath", "detector"]);
    Metadata {
        title,
        instrument: text(source.and_then(|s| child(s, "instrumentControlSoftware"))),
        detector: detector.and_then(|d| d.attribute("name")).map(str::to_owned),
        ..diffraction::metadata(wavelength.and_then(diffraction::wavelength))
    }
}

/// The positions of the axis stepped between scans, or their numbers.
fn stepped_axis(measurement: Node, scans: &[Scan]) -> Axis {
    let starts = |name: &str| -> Option<(Vec<f64>, Unit, String)> {
        let drives = scans.iter().map(|s| s.drive(name)).collect::<Option<Vec<_>>>()?;
        let first = drives.first()?;
        let points: Option<Vec<f64>> = drives.iter().map(|d| d.start()).collect();
        Some((points?, first.unit(), first.name().to_owned()))
    };
    match measurement.attribute("measurementStepAxis").and_then(starts) {
        Some((points, unit, name)) => axis_of_points(&name, unit, points),
        None => Axis::index("scan", scans.len()),
    }
}

/// Takes the values out of the tree that is kept.
fn without_bulk(value: &mut Value) {
    match value {
        Value::Object(map) => {
            BULK.iter().for_each(|name| drop(map.remove(*name)));
            map.values_mut().for_each(without_bulk);
        }
        Value::Array(list) => list.iter_mut().for_each(without_bulk),
        _ => {}
    }
}

pub(super) fn list(input: &Input) -> Result<SignalList, IoError> {
    let text = xml::decode(input.bytes());
    let document = xml::parse(input, &text)?;
    let root = document.root_element();
    if root.tag_name().name() != "xrdMeasurements" {
        let got = root.tag_name().name();
        return Err(input.corrupt(0, "root element", "xrdMeasurements", format!("{got:.40}")));
    }
    let version = root.tag_name().namespace().and_then(|n| n.rsplit('/').next());
    let mut list = SignalList {
        format: "xrdml",
        version: version.map(str::to_owned),
        signals: Vec::new(),
        series: Vec::new(),
        default: 0,
        remark: String::new(),
        vendor: Value::Null,
        diagnostics: Vec::new(),
    };
    let measurements: Vec<Node> = children(root, "xrdMeasurement").collect();
    let several = measurements.len() > 1;
    for (m, measurement) in measurements.iter().enumerate() {
        let mut scans = Vec::new();
        for node in children(*measurement, "scan") {
            scans.extend(scan(input, node)?.filter(|s| !s.values.is_empty()));
        }
        let prefix = if several { format!("measurement {} ", m + 1) } else { String::new() };
        let single = scans.len() == 1;
        let described = metadata(root, *measurement);
        let mut members = Vec::new();
        for (i, scan) in scans.iter().enumerate() {
            let name = match (single, several) {
                (true, false) => "intensity".to_owned(),
                (true, true) => prefix.trim_end().to_owned(),
                _ => format!("{prefix}scan {}", i + 1),
            };
            let axis = scan.axis().unwrap_or_else(|| {
                let message = format!("{name}: no axis moves; points are numbered");
                list.diagnostics.push(Diagnostic::warning(Code::MissingMetadata, message));
                Axis::index("point", scan.values.len())
            });
            let whole = if scan.counts { Whole::Counts } else { Whole::NoCounts };
            let (values, factors) = (scan.values.clone(), scan.factors.as_deref());
            members.push(list.signals.len());
            let mut signals = diffraction::behind_absorber(&name, axis, values, factors, whole);
            signals.iter_mut().for_each(|s| s.metadata = described.clone());
            list.signals.extend(signals);
        }
        let axes: Vec<&Axis> =
            members.iter().filter_map(|i| list.signals.get(*i)).map(|s| &s.axis).collect();
        if axes.len() > 1 && axes.windows(2).all(|w| w[0] == w[1]) {
            let axis = stepped_axis(*measurement, &scans);
            list.series.push(Series { name: format!("{prefix}scans"), axis, members });
        }
    }
    if list.signals.is_empty() {
        return Err(IoError::NoSpectra {
            file: input.path().to_owned(),
            found: "measurements without scans".to_owned(),
        });
    }
    // A series is what one measured; single scans are parts of it.
    if !list.series.is_empty() {
        list.default = list.signals.len();
    }
    let mut vendor = xml::to_json(root)
        .map_err(|_| input.corrupt(0, "XML", "elements nested as in a scan", "deeper nesting"))?;
    without_bulk(&mut vendor);
    list.vendor = vendor;
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const HEAD: &str = "<xrdMeasurements xmlns=\"http://www.xrdml.com/XRDMeasurement/2.1\">\
        <xrdMeasurement measurementType=\"Area measurement\" measurementStepAxis=\"Omega\">";

    fn scan(omega: f64, extra: &str) -> String {
        format!(
            "<scan scanAxis=\"2Theta\"><dataPoints><positions axis=\"2Theta\" unit=\"deg\">\
             <startPosition>10</startPosition><endPosition>11</endPosition></positions>\
             <positions axis=\"Omega\" unit=\"deg\"><commonPosition>{omega}</commonPosition>\
             </positions>{extra}<counts unit=\"counts\">1 2 3</counts></dataPoints></scan>"
        )
    }

    fn read(body: &str) -> SignalList {
        let text = format!("{HEAD}{body}</xrdMeasurement></xrdMeasurements>");
        list(&Input::from_bytes(Path::new("a.xrdml"), text.into_bytes())).unwrap()
    }

    #[test]
    fn equal_scans_make_a_series_along_the_stepped_axis() {
        let list = read(&(scan(5.0, "") + &scan(5.5, "") + &scan(6.0, "")));
        assert_eq!(list.names(), ["scan 1", "scan 2", "scan 3", "scans"]);
        assert_eq!(list.default, 3);
        assert_eq!(list.series[0].axis.name, "Omega");
        assert_eq!(list.series[0].axis.offset_scale(), Some((5.0, 0.5)));
        assert_eq!(list.signals[0].axis.offset_scale(), Some((10.0, 0.5)));
        assert_eq!(list.version.as_deref(), Some("2.1"));
    }

    #[test]
    fn attenuated_counts_are_corrected_and_kept() {
        let factors = "<beamAttenuationFactors>1 100 1</beamAttenuationFactors>";
        let list = read(&scan(5.0, factors));
        assert_eq!(list.names(), ["intensity", "counts"]);
        assert_eq!(list.signals[0].values, [1.0, 200.0, 3.0]);
        assert_eq!(list.signals[1].values, [1.0, 2.0, 3.0]);
    }
}
