//! From `RawData*.xml` to signals.

use crate::{
    Input, IoError,
    archive::Archive,
    diffraction,
    signal_list::{Series, Signal, SignalList, Whole, axis_of_points},
    xml,
};
use kalpha_core::{Axis, Code, Diagnostic, Metadata};
use roxmltree::Node;
use serde_json::{Map, Value};

/// Counts behind an absorber are whole numbers but for rounding.
const WHOLE: f64 = 1e-6;

/// Elements below this are not values: points, and the setting of every part of the instrument.
const BULK: [&str; 2] = ["Datum", "FixedInformation"];

fn named<'a, 'i: 'a>(node: Node<'a, 'i>, name: &'static str) -> impl Iterator<Item = Node<'a, 'i>> {
    node.descendants().filter(move |n| n.is_element() && n.tag_name().name() == name)
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|n| n.is_element() && n.tag_name().name() == name)
}

/// What the numbers of a point are.
#[derive(Default)]
struct Views {
    /// Column of the absorption factor.
    factor: Option<usize>,
    /// Columns of the scan axes with name and unit.
    drives: Vec<(usize, String, String)>,
    /// First column recorded, how many, and what they are called.
    recorded: Vec<(usize, usize, String)>,
    /// Counts, not a rate or another quantity.
    counts: bool,
}

fn views(route: Node) -> Views {
    let mut views = Views { counts: true, ..Views::default() };
    for view in named(route, "RawDataView") {
        let number = |name: &str| view.attribute(name).and_then(|t| t.parse::<usize>().ok());
        let (start, length) = (number("Start").unwrap_or(0), number("Length").unwrap_or(1));
        if view.attribute("LogicName") == Some("AbsorptionFactor") {
            views.factor = Some(start);
        }
        if let Some(varying) = child(view, "Varying")
            && varying.attribute("LogicName") == Some("ScanAxes")
        {
            for (i, field) in named(varying, "FieldDefinitions").enumerate() {
                let name = field.attribute("AxisId").or(field.attribute("FieldName"));
                let unit = child(field, "Restriction").and_then(|r| r.attribute("Unit"));
                let drive = (start + i, name.unwrap_or_default(), unit.unwrap_or_default());
                views.drives.push((drive.0, drive.1.to_owned(), drive.2.to_owned()));
            }
        }
        if let Some(recording) = child(view, "Recording") {
            let name = recording.attribute("VisibleName").unwrap_or("intensity");
            views.counts &= recording.attribute("Category").is_none_or(|c| c == "Count");
            views.recorded.push((start, length, name.to_owned()));
        }
    }
    views
}

/// Old files have no views: time, factor, the axes, and what was recorded last.
fn default_views(route: Node, columns: usize) -> Views {
    let info = named(route, "ScanAxes").next();
    let axes = info.into_iter().flat_map(|i| named(i, "ScanAxisInfo"));
    let drives: Vec<_> = axes
        .enumerate()
        .map(|(i, axis)| {
            let text = |name| axis.attribute(name).unwrap_or_default().to_owned();
            (2 + i, text("AxisId"), text("Unit"))
        })
        .collect();
    Views {
        factor: (columns > drives.len() + 2).then_some(1),
        drives,
        recorded: columns.checked_sub(1).map(|c| (c, 1, String::new())).into_iter().collect(),
        counts: true,
    }
}

fn axis(drives: &[(usize, String, String)], points: &[Vec<f64>]) -> Option<Axis> {
    let column = |i: usize| -> Option<Vec<f64>> {
        points.iter().map(|p| p.get(i).copied()).collect::<Option<Vec<f64>>>()
    };
    let moving = drives.iter().filter(|(i, ..)| {
        let ends = points.first().zip(points.last());
        ends.is_some_and(|(first, last)| first.get(*i) != last.get(*i))
    });
    let mut moving: Vec<_> = moving.collect();
    moving.sort_by_key(|(_, name, _)| name != "TwoTheta");
    let (i, name, unit) = moving.first().copied().or(drives.first())?;
    let points = column(*i)?;
    if name == "TwoTheta" {
        return Some(diffraction::two_theta(points));
    }
    // Bruker's Theta is the angle of the sample.
    let name = if name == "Theta" { "Omega" } else { name };
    Some(axis_of_points(name, diffraction::drive_unit(unit), points))
}

/// The signals of one route of a scan.
fn signals(
    input: &Input,
    route: Node,
    name: &str,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<Vec<Signal>, IoError> {
    let mut points: Vec<Vec<f64>> = Vec::new();
    for datum in named(route, "Datum") {
        let text = datum.text().unwrap_or_default();
        let numbers: Option<Vec<f64>> = text.split(',').map(|w| w.trim().parse().ok()).collect();
        let numbers = numbers.ok_or_else(|| {
            let at = datum.range().start as u64;
            input.corrupt(at, "Datum", "numbers between commas", format!("{text:.60}"))
        })?;
        points.push(numbers);
    }
    let Some(columns) = points.first().map(Vec::len) else { return Ok(Vec::new()) };
    let mut views = views(route);
    if views.recorded.is_empty() {
        views = default_views(route, columns);
    }
    let axis = axis(&views.drives, &points).unwrap_or_else(|| {
        let message = format!("{name}: no scan axis is described; points are numbered");
        diagnostics.push(Diagnostic::warning(Code::MissingMetadata, message));
        Axis::index("point", points.len())
    });
    let column = |i: usize, what: &str| -> Result<Vec<f64>, IoError> {
        points.iter().map(|p| p.get(i).copied()).collect::<Option<Vec<f64>>>().ok_or_else(|| {
            input.corrupt(0, format!("Datum, {what}"), format!("{} numbers", i + 1), columns)
        })
    };
    let whole = if views.counts { Whole::Counts } else { Whole::NoCounts };
    let several = views.recorded.len() > 1;
    let mut made = Vec::new();
    for (start, length, recorded) in &views.recorded {
        let name = if several { format!("{name} {recorded}") } else { name.to_owned() };
        if *length > 1 {
            // A row of detector channels at each point.
            let channels = (*length).min(columns.saturating_sub(*start));
            let mut values = Vec::new();
            for point in &points {
                let row = point.get(*start..start + channels).filter(|r| !r.is_empty());
                values.extend_from_slice(row.ok_or_else(|| {
                    let wanted = format!("{length} channels from {start} on");
                    input.corrupt(0, "Datum", wanted, format!("{} numbers", point.len()))
                })?);
            }
            let mut signal =
                Signal::spectrum(name, Axis::index("channel", channels), values, whole);
            signal.navigation = vec![axis.clone()];
            made.push(signal);
            continue;
        }
        let intensity = column(*start, "intensity")?;
        let factors = views.factor.map(|i| column(i, "absorption factor")).transpose()?;
        let factors = factors.filter(|f| f.iter().all(|x| x.is_finite() && *x > 0.0));
        let counts = match &factors {
            Some(factors) => intensity.iter().zip(factors).map(|(y, f)| nearly_whole(y / f)),
            None => {
                made.push(Signal::spectrum(name, axis.clone(), intensity, whole));
                continue;
            }
        }
        .collect();
        let mut both =
            diffraction::behind_absorber(&name, axis.clone(), counts, factors.as_deref(), whole);
        // The values as stored, not multiplied anew.
        if let Some(first) = both.first_mut() {
            first.values = intensity;
        }
        made.extend(both);
    }
    Ok(made)
}

fn nearly_whole(x: f64) -> f64 {
    if (x - x.round()).abs() <= WHOLE * x.abs().max(1.0) { x.round() } else { x }
}

fn metadata(root: Node) -> Metadata {
    let number = named(root, "WaveLengthAlpha1").next().and_then(|n| n.attribute("Value"));
    let wavelength = number.and_then(|t| t.parse().ok()).and_then(diffraction::wavelength);
    let item = |name: &str| {
        let item = named(root, "InfoItem").find(|n| n.attribute("Name") == Some(name));
        item.and_then(|n| n.attribute("Value")).filter(|t| !t.is_empty()).map(str::to_owned)
    };
    let detector = named(root, "Detectors").next().and_then(|d| child(d, "InfoData"));
    Metadata {
        title: item("SampleName"),
        detector: detector.and_then(|d| d.attribute("VisibleName")).map(str::to_owned),
        ..diffraction::metadata(wavelength)
    }
}

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
    let archive = Archive::open(input)?;
    let names = archive.names();
    let scans: Vec<&String> = names
        .iter()
        .filter(|n| n.contains("RawData") && n.to_ascii_lowercase().ends_with(".xml"))
        .collect();
    let mut list = SignalList {
        format: "brml",
        version: None,
        signals: Vec::new(),
        series: Vec::new(),
        default: 0,
        remark: String::new(),
        vendor: Value::Null,
        diagnostics: Vec::new(),
    };
    let mut vendor = Map::new();
    for (i, member) in scans.iter().enumerate() {
        let bytes = archive.read(member)?;
        let text = xml::decode(&bytes);
        let document = xml::parse(input, &text)?;
        let root = document.root_element();
        let routes: Vec<Node> = named(root, "DataRoute").collect();
        let described = metadata(root);
        for route in &routes {
            let name = match (scans.len(), routes.len()) {
                (1, 1) => "intensity".to_owned(),
                (1, _) => route.attribute("RouteFlag").unwrap_or("route").to_owned(),
                (_, 1) => format!("scan {}", i + 1),
                _ => format!("scan {} {}", i + 1, route.attribute("RouteFlag").unwrap_or("route")),
            };
            let mut made = signals(input, *route, &name, &mut list.diagnostics)?;
            made.iter_mut().for_each(|s| s.metadata = described.clone());
            list.signals.extend(made);
        }
        let mut tree = xml::to_json(root).map_err(|_| {
            input.corrupt(0, (*member).clone(), "nested as an instrument does", "deeper")
        })?;
        without_bulk(&mut tree);
        vendor.insert((*member).clone(), tree);
    }
    let list_names = list.names();
    let unique = crate::signal_list::unique(list_names);
    list.signals.iter_mut().zip(unique).for_each(|(signal, name)| signal.name = name);
    list.signals.retain(|s| !s.values.is_empty());
    if list.signals.is_empty() {
        return Err(IoError::NoSpectra {
            file: input.path().to_owned(),
            found: format!("{} members, none of them a scan with points", names.len()),
        });
    }
    let single = list.signals.iter().all(|s| s.navigation.is_empty());
    let equal = list.signals.windows(2).all(|w| w[0].axis == w[1].axis);
    if list.signals.len() == scans.len() && scans.len() > 1 && single && equal {
        list.default = list.signals.len();
        list.series.push(Series {
            name: "scans".to_owned(),
            axis: Axis::index("scan", scans.len()),
            members: (0..scans.len()).collect(),
        });
    }
    let container = names.iter().find(|n| n.ends_with("DataContainer.xml"));
    if let Some(name) = container {
        let bytes = archive.read(name)?;
        let text = xml::decode(&bytes);
        let document = xml::parse(input, &text)?;
        let root = document.root_element();
        let version = child(root, "CreatingVersion").and_then(|n| n.text());
        list.version = version.map(str::to_owned);
        let instrument = named(root, "InstrumentName").next().and_then(|n| n.text());
        let instrument = instrument.filter(|t| !t.trim().is_empty()).map(str::to_owned);
        list.signals.iter_mut().for_each(|s| s.metadata.instrument = instrument.clone());
        let tree = xml::to_json(root).map_err(|_| {
            input.corrupt(0, name.clone(), "nested as an instrument does", "deeper")
        })?;
        vendor.insert(name.clone(), tree);
    }
    list.vendor = Value::Object(vendor);
    Ok(list)
}
