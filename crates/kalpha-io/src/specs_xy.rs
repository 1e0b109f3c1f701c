//! SPECS `.xy` as SpecsLab and Prodigy export photoelectron spectra: a header of `# Key: value`
//! lines for each region, then its curves in columns.
//!
//! Each region is a signal under its name; further columns are `REGION/scaling`, further curves
//! `REGION cycle 1, curve 0`, and all curves of a region together `REGION/all`.

use crate::{
    Confidence, FormatId, Input, IoError, OpenOptions, Reader,
    signal_list::{Series, Signal, SignalList, Whole, axis_of_points, short, unique},
    xml,
};
use kalpha_core::{Axis, Dataset, Metadata, Modality, Unit};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The reader of SPECS `.xy`.
pub(crate) struct SpecsXy;

/// One set of columns and the header above it.
#[derive(Clone, Default)]
struct Curve {
    region: usize,
    /// `Cycle: 0, Curve: 0`.
    number: String,
    labels: Arc<[String]>,
    columns: Vec<Vec<f64>>,
}

/// The file as it stands.
#[derive(Default)]
struct Content {
    settings: Map<String, Value>,
    regions: Vec<Map<String, Value>>,
    curves: Vec<Curve>,
}

fn parse(input: &Input, text: &str) -> Result<Content, IoError> {
    let mut content = Content::default();
    let mut offset = 0u64;
    let (mut group, mut next) = (String::new(), Curve::default());
    let mut in_data = false;
    for whole in text.split_inclusive('\n') {
        let line = whole.trim_end();
        if let Some(remark) = line.strip_prefix('#') {
            in_data = false;
            header_line(&mut content, &mut group, &mut next, remark.trim());
        } else if line.trim().is_empty() {
            in_data = false;
        } else {
            let mut numbers = Vec::new();
            for word in line.split_whitespace() {
                let number = word.parse().ok().filter(|x: &f64| x.is_finite());
                numbers.push(number.ok_or_else(|| {
                    input.corrupt(offset, "values", "numbers", format!("{word:.40}"))
                })?);
            }
            if !in_data {
                let columns = vec![Vec::new(); numbers.len()];
                content.curves.push(Curve { columns, ..next.clone() });
                in_data = true;
            }
            if let Some(curve) = content.curves.last_mut() {
                if curve.columns.len() != numbers.len() || numbers.len() < 2 {
                    let expected = format!("{} numbers in a line", curve.columns.len().max(2));
                    return Err(input.corrupt(offset, "values", expected, numbers.len()));
                }
                curve.columns.iter_mut().zip(numbers).for_each(|(c, x)| c.push(x));
            }
        }
        offset += whole.len() as u64;
    }
    if content.curves.is_empty() {
        return Err(input.corrupt(offset, "values", "lines of numbers", "none"));
    }
    Ok(content)
}

fn header_line(content: &mut Content, group: &mut String, next: &mut Curve, remark: &str) {
    let Some((key, value)) = remark.split_once(':') else { return };
    let (key, value) = (key.trim(), value.trim());
    match key {
        "Group" => value.clone_into(group),
        "Region" => {
            let region =
                [("Region", value), ("Group", group)].map(|(k, v)| (k.to_owned(), v.into()));
            content.regions.push(region.into_iter().collect());
            *next = Curve { region: content.regions.len(), ..Curve::default() };
        }
        "Cycle" => next.number = short(remark),
        "ColumnLabels" => next.labels = value.split_whitespace().map(short).collect(),
        _ => {
            let place = content.regions.last_mut().unwrap_or(&mut content.settings);
            crate::columns::insert(place, key.to_owned(), value.to_owned());
        }
    }
}

fn text<'a>(fields: &'a Map<String, Value>, key: &str) -> &'a str {
    fields.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn metadata(settings: &Map<String, Value>, region: &Map<String, Value>) -> Metadata {
    let stated = |key: &str| Some(text(region, key)).filter(|t| !t.is_empty()).map(short);
    let energy = text(region, "Excitation Energy").parse::<f64>().ok().filter(|e| *e > 0.0);
    let modality = match text(region, "Analysis Method") {
        "XPS" if text(region, "Scan Mode") == "ConstantFinalState" => Some(Modality::Xas),
        "XPS" => Some(Modality::Xps),
        "XAS" | "NEXAFS" => Some(Modality::Xas),
        _ => None,
    };
    Metadata {
        title: stated("Region"),
        modality,
        instrument: stated("Analyzer").or_else(|| stated("Analyzer Lens")),
        // Meaningless where it is what is scanned.
        beam_energy_kev: energy.filter(|_| modality != Some(Modality::Xas)).map(|e| e / 1000.0),
        detector: Some(text(settings, "Detector")).filter(|t| !t.is_empty()).map(short),
        ..Metadata::default()
    }
}

fn axis(settings: &Map<String, Value>, region: &Map<String, Value>, points: Vec<f64>) -> Axis {
    let scanned = text(region, "Scan Mode") == "ConstantFinalState";
    let kinetic = text(settings, "Kinetic Energy Axis") == "yes";
    let name = match (scanned, kinetic) {
        (true, _) => "Photon energy",
        (_, true) => "Kinetic energy",
        _ => "Binding energy",
    };
    axis_of_points(name, Unit::Ev, points)
}

fn list(input: &Input) -> Result<SignalList, IoError> {
    let decoded = xml::decode(input.bytes());
    let content = parse(input, &decoded)?;
    let created = text(&content.settings, "Created by").to_owned();
    let mut list = SignalList {
        format: "specs_xy",
        version: created.split("Version ").nth(1).map(str::to_owned),
        signals: Vec::new(),
        series: Vec::new(),
        default: 0,
        remark: String::new(),
        vendor: Value::Null,
        diagnostics: Vec::new(),
    };
    let per_second = text(&content.settings, "Counts Per Second") == "yes";
    let none = Map::new();
    let metadata: Vec<Metadata> =
        content.regions.iter().map(|r| metadata(&content.settings, r)).collect();
    let mut curves = vec![0usize; content.regions.len() + 1];
    content.curves.iter().for_each(|c| curves[c.region] += 1);
    let mut main: Vec<Vec<usize>> = vec![Vec::new(); content.regions.len() + 1];
    for (i, curve) in content.curves.iter().enumerate() {
        let place = curve.region.checked_sub(1);
        let region = place.and_then(|r| content.regions.get(r)).unwrap_or(&none);
        let base = match text(region, "Region") {
            "" => format!("curve {}", i + 1),
            name => short(name),
        };
        let base = match curves[curve.region] {
            1 => base,
            _ => short(&format!("{base} {}", curve.number.to_lowercase())),
        };
        let axis = axis(&content.settings, region, curve.columns[0].clone());
        for (column, values) in curve.columns.iter().enumerate().skip(1) {
            let label = curve.labels.get(column).map(String::as_str).unwrap_or_default();
            let counts = column == 1 && !per_second;
            let name = match column {
                1 => base.clone(),
                _ if label.is_empty() => format!("{base}/{}", column + 1),
                _ => format!("{base}/{label}"),
            };
            if column == 1 {
                main[curve.region].push(list.signals.len());
            }
            let whole = if counts { Whole::Counts } else { Whole::NoCounts };
            let mut signal = Signal::spectrum(name, axis.clone(), values.clone(), whole);
            if let Some(metadata) = place.and_then(|r| metadata.get(r)) {
                signal.metadata = metadata.clone();
            }
            list.signals.push(signal);
        }
    }
    for (members, region) in main.into_iter().skip(1).zip(&content.regions) {
        let one_axis =
            members.windows(2).all(|w| list.signals[w[0]].axis == list.signals[w[1]].axis);
        if members.len() > 1 && one_axis {
            let axis = Axis::index("curve", members.len());
            let name = short(text(region, "Region")) + "/all";
            list.series.push(Series { name, axis, members });
        }
    }
    let names = unique(list.signals.iter_mut().map(|s| std::mem::take(&mut s.name)));
    list.signals.iter_mut().zip(names).for_each(|(s, name)| s.name = name);
    list.vendor = json!({"settings": content.settings, "regions": content.regions});
    Ok(list)
}

impl Reader for SpecsXy {
    fn format(&self) -> FormatId {
        FormatId::new("specs_xy")
    }

    fn about(&self) -> &'static str {
        "SPECS photoelectron spectra (text)"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["xy"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        let head = String::from_utf8_lossy(input.head(1024));
        let specs =
            head.lines().take(3).any(|l| l.starts_with("# Created by:") && l.contains("Specs"));
        if specs || head.contains("XY-Serializer Export Settings") {
            Confidence::Certain
        } else {
            Confidence::No
        }
    }

    fn signals(&self, input: &Input) -> Result<Vec<String>, IoError> {
        Ok(list(input)?.names())
    }

    fn read(&self, input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
        list(input)?.dataset(input, options)
    }
}
