//! From a VAMAS file to the signals of its blocks.

use super::{MAGIC, block::Block, lines::Lines};
use crate::{
    Input, IoError,
    signal_list::{Series, Signal, SignalList, Whole, axis_of_points, short, unique},
    xml,
};
use kalpha_core::{Axis, Code, Diagnostic, Metadata, Modality, Unit};
use serde_json::{Value, json};

/// What holds for the whole file.
pub(super) struct Header {
    pub institution: String,
    pub instrument: String,
    pub operator: String,
    pub experiment: String,
    pub comment: Vec<String>,
    /// Experiment mode.
    pub mode: String,
    /// Scan mode.
    pub scan: String,
    /// Label and unit of the experimental variables.
    pub variables: Vec<(String, String)>,
    /// Items that every block has, by number.
    pub included: Vec<bool>,
    /// Lines of a later version at the end of each block.
    pub future: usize,
    pub blocks: usize,
}

const MODES: [&str; 9] =
    ["MAP", "MAPDP", "MAPSV", "MAPSVDP", "NORM", "SDP", "SDPSV", "SEM", "NOEXP"];
const SCANS: [&str; 3] = ["REGULAR", "IRREGULAR", "MAPPING"];

fn one_of(
    input: &Input,
    lines: &mut Lines,
    field: &str,
    known: &[&str],
) -> Result<String, IoError> {
    let at = lines.offset();
    let text = lines.text(field)?.trim();
    if known.contains(&text) {
        Ok(text.to_owned())
    } else {
        Err(input.corrupt(at, field, format!("one of {}", known.join(", ")), text))
    }
}

impl Header {
    fn read(input: &Input, lines: &mut Lines) -> Result<Self, IoError> {
        let first = lines.first("format identifier")?.trim();
        if first != MAGIC {
            return Err(input.corrupt(0, "format identifier", MAGIC, format!("{first:.80}")));
        }
        let mut text = |field| lines.text(field).map(|t| t.trim().to_owned());
        let institution = text("institution identifier")?;
        let instrument = text("instrument model identifier")?;
        let operator = text("operator identifier")?;
        let experiment = text("experiment identifier")?;
        let n = lines.count("number of lines in comment")?;
        let comment = lines.texts(n, "comment")?;
        let mode = one_of(input, lines, "experiment mode", &MODES)?;
        let scan = one_of(input, lines, "scan mode", &SCANS)?;
        if matches!(mode.as_str(), "MAP" | "MAPDP" | "NORM" | "SDP") {
            lines.number("number of spectral regions")?;
        }
        if matches!(mode.as_str(), "MAP" | "MAPDP") {
            lines.number("number of analysis positions")?;
            lines.number("number of x coordinates in the full map")?;
            lines.number("number of y coordinates in the full map")?;
        }
        let n = lines.count("number of experimental variables")?;
        let mut variables = Vec::new();
        for _ in 0..n {
            let label = lines.text("experimental variable label")?.trim().to_owned();
            let unit = lines.text("experimental variable units")?.trim().to_owned();
            variables.push((label, unit));
        }
        let included = Self::inclusion(input, lines)?;
        let n = lines.count("number of manually entered items")?;
        lines.texts(n, "manually entered item")?;
        let experiment_entries = lines.count("number of future upgrade experiment entries")?;
        let future = lines.count("number of future upgrade block entries")?;
        lines.texts(experiment_entries, "future upgrade experiment entry")?;
        let blocks = lines.count("number of blocks")?;
        Ok(Self {
            institution,
            instrument,
            operator,
            experiment,
            comment,
            mode,
            scan,
            variables,
            included,
            future,
            blocks,
        })
    }

    /// The list names what is there where its length is positive, else what is not.
    fn inclusion(input: &Input, lines: &mut Lines) -> Result<Vec<bool>, IoError> {
        let field = "parameter inclusion or exclusion list";
        let at = lines.offset();
        let n = lines.number(field)?;
        if n.abs() > 40.0 || n.fract() != 0.0 {
            return Err(input.corrupt(at, field, "at most 40 items", n));
        }
        let mut included = vec![n <= 0.0; 41];
        for _ in 0..n.abs() as usize {
            let at = lines.offset();
            let item = lines.number(field)?;
            match included.get_mut(item as usize).filter(|_| item >= 1.0) {
                Some(slot) => *slot = n > 0.0,
                None => return Err(input.corrupt(at, field, "an item from 1 to 40", item)),
            }
        }
        Ok(included)
    }
}

fn modality(technique: &str) -> Option<Modality> {
    match technique {
        "XPS" => Some(Modality::Xps),
        "EDX" => Some(Modality::Eds),
        "ELS" => Some(Modality::Eels),
        "XRF" => Some(Modality::Xrf),
        _ => None,
    }
}

fn metadata(header: &Header, block: &Block) -> Metadata {
    let stated = |text: &str| {
        let known = !text.is_empty() && !text.eq_ignore_ascii_case("not specified");
        known.then(|| short(text))
    };
    let species = block.text(29, 0);
    let modality = modality(block.text(9, 0));
    // Species labels are free text: only what can be an element is one.
    let element = modality == Some(Modality::Xps)
        && (1..=2).contains(&species.len())
        && species.starts_with(|c: char| c.is_ascii_uppercase())
        && species.chars().skip(1).all(|c| c.is_ascii_lowercase());
    Metadata {
        title: stated(&block.sample).or_else(|| stated(&block.id)),
        modality,
        instrument: stated(&header.instrument),
        beam_energy_kev: block.number(14, 0).filter(|e| *e > 0.0).map(|e| e / 1000.0),
        listed_elements: element.then(|| species.to_owned()).into_iter().collect(),
        ..Metadata::default()
    }
}

/// The name people know a block by: its identifier, or where that only counts, its species.
fn name(block: &Block) -> String {
    let species = format!("{}{}", block.text(29, 0), block.text(30, 0));
    let counts_only = block.id.is_empty() || block.id.to_ascii_lowercase().starts_with("block no");
    if counts_only && !species.is_empty() { species } else { block.id.clone() }
}

/// The abscissa and how many of the variables are signals (the first is not where it is one).
fn abscissa(input: &Input, header: &Header, block: &Block) -> Result<(Axis, usize), IoError> {
    let n = block.ordinates.first().map_or(0, Vec::len);
    match header.scan.as_str() {
        "REGULAR" => {
            let (label, unit) = (block.text(31, 0), Unit::parse(block.text(31, 1)));
            let (start, step) = (block.number(31, 2), block.number(31, 3));
            let label = &short(label);
            let axis = start
                .zip(step)
                .and_then(|(start, step)| Axis::linear(label, unit, start, step, n).ok());
            axis.map(|axis| (axis, 0)).ok_or_else(|| {
                let got = format!("{:?}, {:?}", block.text(31, 2), block.text(31, 3));
                let field = format!("block {}, abscissa", block.id);
                input.corrupt(block.offset, field, "a start and an increment", got)
            })
        }
        "IRREGULAR" => {
            let variables = block.variables();
            let (label, unit) = variables.first().copied().unwrap_or_default();
            let points = block.ordinates.first().cloned().unwrap_or_default();
            Ok((axis_of_points(label, Unit::parse(unit), points), 1))
        }
        _ => Ok((Axis::index("point", n), 0)),
    }
}

/// Blocks of one region, recorded at several values of the first experimental variable.
struct Profile {
    region: String,
    sample: String,
    axis: Axis,
    points: Vec<f64>,
    /// Places in the list of signals.
    members: Vec<usize>,
}

/// Adds a block to the profile of its region.
fn join(profiles: &mut Vec<Profile>, header: &Header, block: &Block, axis: &Axis, place: usize) {
    let Some(point) = block.number(11, 0).filter(|_| !header.variables.is_empty()) else { return };
    let region = match format!("{}{}", block.text(29, 0), block.text(30, 0)) {
        species if species.is_empty() => block.id.clone(),
        species => species,
    };
    let own = |p: &&mut Profile| p.region == region && p.sample == block.sample && p.axis == *axis;
    match profiles.iter_mut().find(own) {
        Some(profile) => {
            profile.points.push(point);
            profile.members.push(place);
        }
        None => profiles.push(Profile {
            region,
            sample: block.sample.clone(),
            axis: axis.clone(),
            points: vec![point],
            members: vec![place],
        }),
    }
}

/// The profiles as rows: those whose variable takes several values.
fn series(header: &Header, profiles: Vec<Profile>) -> Vec<Series> {
    let Some((label, unit)) = header.variables.first() else { return Vec::new() };
    let changes = |p: &Profile| p.points.windows(2).any(|pair| pair[0] != pair[1]);
    let profiles: Vec<Profile> = profiles.into_iter().filter(changes).collect();
    let names = unique(profiles.iter().map(|p| format!("{} by {}", p.region, short(label))));
    let made = profiles.into_iter().zip(names).map(|(profile, name)| Series {
        name,
        axis: axis_of_points(label, Unit::parse(unit), profile.points),
        members: profile.members,
    });
    made.collect()
}

fn block_signals(
    input: &Input,
    header: &Header,
    block: &mut Block,
    list: &mut SignalList,
    profiles: &mut Vec<Profile>,
) -> Result<(), IoError> {
    let (axis, from) = abscissa(input, header, block)?;
    let metadata = metadata(header, block);
    let variables: Vec<(String, String)> =
        block.variables().iter().map(|(l, u)| ((*l).to_owned(), (*u).to_owned())).collect();
    let pulses = block.text(33, 0) == "pulse counting";
    let block_name = name(block);
    if axis.is_empty() {
        let message = format!("block {block_name} holds no data and was left out");
        list.diagnostics.push(Diagnostic::warning(Code::VendorDisagrees, message));
        return Ok(());
    }
    join(profiles, header, block, &axis, list.signals.len());
    let columns = std::mem::take(&mut block.ordinates).into_iter().zip(&variables).skip(from);
    for (place, (values, (label, unit))) in columns.enumerate() {
        let counts = pulses && place == 0 && matches!(unit.as_str(), "d" | "n" | "counts" | "");
        let whole = if counts { Whole::Counts } else { Whole::NoCounts };
        let name = if place == 0 { block_name.clone() } else { format!("{block_name}/{label}") };
        let mut signal = Signal::spectrum(name, axis.clone(), values, whole);
        signal.metadata = metadata.clone();
        list.signals.push(signal);
    }
    Ok(())
}

pub(super) fn list(input: &Input) -> Result<SignalList, IoError> {
    let text = xml::decode(input.bytes());
    let mut lines = Lines::new(input, &text);
    let header = Header::read(input, &mut lines)?;
    let mut list = SignalList {
        format: "vamas",
        version: Some("1988".to_owned()),
        signals: Vec::new(),
        series: Vec::new(),
        default: 0,
        remark: String::new(),
        vendor: Value::Null,
        diagnostics: Vec::new(),
    };
    let mut first: Option<Block> = None;
    let (mut blocks, mut profiles) = (Vec::new(), Vec::new());
    for number in 1..=header.blocks {
        let mut block = Block::read(input, &mut lines, &header, first.as_ref(), number)?;
        block_signals(input, &header, &mut block, &mut list, &mut profiles)?;
        blocks.push(block.vendor());
        first.get_or_insert(block);
    }
    if list.signals.is_empty() {
        let found = format!("{} blocks without data", header.blocks);
        return Err(IoError::NoSpectra { file: input.path().to_owned(), found });
    }
    let names = unique(list.signals.iter_mut().map(|s| std::mem::take(&mut s.name)));
    list.signals.iter_mut().zip(names).for_each(|(s, name)| s.name = name);
    list.series = series(&header, profiles);
    // A depth profile is what its file was recorded for.
    if !list.series.is_empty() && header.mode.contains("DP") {
        list.default = list.signals.len();
    }
    list.vendor = json!({
        "institution": header.institution,
        "instrument": header.instrument,
        "operator": header.operator,
        "experiment": header.experiment,
        "comment": header.comment,
        "experiment mode": header.mode,
        "scan mode": header.scan,
        "experimental variables": header.variables,
        "blocks": blocks,
    });
    Ok(list)
}
