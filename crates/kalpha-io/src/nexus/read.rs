//! From a NeXus or plain HDF5 file to a dataset.

use super::axes::{attribute, guessed, spectrum_axis, stated, words};
use crate::{
    Input, IoError, OpenOptions,
    blocks::{Blocks, rows_of},
    hdf5::{Hdf5Array, fail, group_json, open, own_json},
    sidecar::{Sidecar, default_name},
};
use hdf5_reader::{Dataset as Hdf5Dataset, Datatype, Hdf5File, group::Group};
use kalpha_core::{Axis, Code, Dataset, Diagnostic, Metadata, Modality};
use serde_json::{Value, json};

/// Groups nested deeper are left out: links may form rings.
const DEPTH: usize = 12;
/// Groups after these are left out.
const GROUPS: usize = 4096;

/// One dataset that can be read.
struct Signal {
    /// `entry/data` where the group names its signal, else the path of the dataset.
    name: String,
    group: Group,
    path: String,
    dataset: String,
    size: u64,
    default: bool,
}

fn class(group: &Group) -> String {
    attribute(group, "NX_class").as_str().unwrap_or_default().to_owned()
}

pub(super) fn says_nexus(input: &Input) -> bool {
    let stated = || -> Option<bool> {
        let root = open(input).ok()?.root_group().ok()?;
        let of_root = class(&root) == "NXroot" || root.attribute("NeXus_version").is_ok();
        let of_entry = || root.groups().unwrap_or_default().iter().any(|g| class(g) == "NXentry");
        Some(of_root || of_entry())
    };
    stated().unwrap_or(false)
}

fn is_numeric(data: &Hdf5Dataset) -> bool {
    matches!(
        data.dtype(),
        Datatype::FixedPoint { .. } | Datatype::FloatingPoint { .. } | Datatype::Enum { .. }
    ) && !data.shape().is_empty()
        && data.num_elements().is_ok_and(|n| n > 1)
}

/// The signal of an NXdata group, and others that it names.
fn named_signals(group: &Group) -> Vec<String> {
    let mut names: Vec<String> =
        attribute(group, "signal").as_str().map(str::to_owned).into_iter().collect();
    names.extend(words(&attribute(group, "auxiliary_signals")));
    if names.is_empty() {
        // Old files mark the dataset.
        let marked = group.datasets().unwrap_or_default().into_iter().filter(|data| {
            data.attribute("signal").is_ok_and(|a| crate::hdf5::attribute_json(&a) == json!(1))
        });
        names.extend(marked.map(|data| data.name().to_owned()));
    }
    names.retain(|name| !name.is_empty());
    names
}

fn walk(
    group: &Group,
    path: &str,
    nexus: bool,
    default: bool,
    depth: usize,
    left: &mut usize,
    found: &mut Vec<Signal>,
) {
    if *left == 0 || depth == 0 {
        return;
    }
    *left -= 1;
    let mut add = |dataset: &str, name: String, default: bool| {
        if let Ok(data) = group.dataset(dataset)
            && is_numeric(&data)
        {
            let size = data.num_elements().unwrap_or(0);
            let (group, path) = (group.clone(), path.to_owned());
            found.push(Signal { name, group, path, dataset: dataset.to_owned(), size, default });
        }
    };
    let inside = |name: &str| format!("{path}/{name}").trim_start_matches('/').to_owned();
    if nexus && class(group) == "NXdata" {
        for (i, dataset) in named_signals(group).iter().enumerate() {
            let plain = path.trim_start_matches('/').to_owned();
            let name = if i == 0 { plain } else { inside(dataset) };
            add(dataset, name, default && i == 0);
        }
    } else if !nexus {
        for data in group.datasets().unwrap_or_default() {
            add(data.name(), inside(data.name()), false);
        }
    }
    let chosen = attribute(group, "default").as_str().map(str::to_owned);
    for child in group.groups().unwrap_or_default() {
        let name = child.name().to_owned();
        let follows = default && chosen.as_ref().is_none_or(|chosen| *chosen == name);
        walk(&child, &format!("{path}/{name}"), nexus, follows, depth - 1, left, found);
    }
}

/// All signals, the default one first.
fn find(input: &Input, file: &Hdf5File, nexus: bool) -> Result<Vec<Signal>, IoError> {
    let root = file.root_group().map_err(|e| fail(input, "/", e))?;
    let mut found = Vec::new();
    walk(&root, "", nexus, true, DEPTH, &mut GROUPS.clone(), &mut found);
    // Without a word of the file the largest is the measurement; sorting keeps the order else.
    let first = found.iter().position(|s| s.default).or_else(|| {
        let largest = found.iter().map(|s| s.size).max();
        found.iter().position(|s| Some(s.size) == largest)
    });
    if let Some(first) = first {
        let chosen = found.remove(first);
        found.insert(0, chosen);
    }
    Ok(found)
}

pub(super) fn signals(input: &Input, nexus: bool) -> Result<Vec<String>, IoError> {
    Ok(find(input, &open(input)?, nexus)?.into_iter().map(|s| s.name).collect())
}

/// What an NXentry says of the measurement.
fn metadata(entry: &Value) -> Metadata {
    let text = |value: &Value| -> Option<String> {
        let text = value.as_str().or_else(|| value.as_array()?.first()?.as_str())?;
        (!text.is_empty()).then(|| text.to_owned())
    };
    let definition = text(&entry["definition"]).unwrap_or_default().to_lowercase();
    let modality = [
        ("xas", Modality::Xas),
        ("stxm", Modality::Xas),
        ("fluo", Modality::Xrf),
        ("xrf", Modality::Xrf),
        ("xps", Modality::Xps),
        ("raman", Modality::Raman),
        ("eels", Modality::Eels),
        ("eds", Modality::Eds),
        ("monopd", Modality::Xrd),
        ("powder", Modality::Xrd),
    ];
    let modality = modality.into_iter().find(|(word, _)| definition.contains(word));
    Metadata {
        title: text(&entry["title"]),
        instrument: text(&entry["instrument"]["name"]),
        modality: modality.map(|(_, modality)| modality),
        ..Metadata::default()
    }
}

pub(super) fn read(input: &Input, options: &OpenOptions, nexus: bool) -> Result<Dataset, IoError> {
    let file = open(input)?;
    let found = find(input, &file, nexus)?;
    let names: Vec<String> = found.iter().map(|s| s.name.clone()).collect();
    let mut diagnostics = Vec::new();
    let signal = match &options.signal {
        Some(asked) => found.into_iter().find(|s| s.name == *asked).ok_or_else(|| {
            let available = names.clone();
            IoError::NoSignal { file: input.path().to_owned(), asked: asked.clone(), available }
        })?,
        None => found.into_iter().next().ok_or_else(|| IoError::NoSpectra {
            file: input.path().to_owned(),
            found: "no dataset of numbers".to_owned(),
        })?,
    };
    if names.len() > 1 && options.signal.is_none() {
        let message = format!("{} signals, {:?} was read", names.len(), signal.name);
        let hint = format!("--signal takes {}", names.join(", "));
        diagnostics.push(Diagnostic::note(Code::Assumed, message).hint(hint));
    }
    let data = Hdf5Array::open(input, &signal.group, &signal.path, &signal.dataset)?;
    let of_file = signal.group.dataset(&signal.dataset);
    let of_file = of_file.map_err(|e| fail(input, &signal.path, e))?;
    let shape = data.shape().to_vec();
    let own = own_json(&signal.group).map(|json| Sidecar::parse(input, &json)).transpose()?;
    let exact = match &own {
        Some(own) => own.axes_of(input, &shape)?,
        None => None,
    };
    let is_own = exact.is_some();
    let mut axes = match (exact, nexus) {
        (Some(axes), _) => axes.into_iter().map(Some).collect(),
        (_, true) => stated(&signal.group, &of_file, &shape),
        (_, false) => guessed(&signal.group, &of_file, &shape),
    };
    // What we wrote has its spectra last, and an image has none.
    let image = is_own && axes.len() == shape.len() + 1;
    let place = if is_own { axes.len() - 1 } else { spectrum_axis(&axes) };
    let named = axes.get_mut(place).and_then(Option::take);
    if named.is_none() {
        let message = "the file states no axis along the spectrum: its channels are numbered";
        diagnostics.push(
            Diagnostic::warning(Code::MissingMetadata, message)
                .hint("--energy-axis OFFSET,SCALE,UNIT gives it"),
        );
    }
    let spectrum =
        named.unwrap_or_else(|| Axis::index("channel", shape.get(place).copied().unwrap_or(0)));
    let others = axes.len().saturating_sub(1);
    let lengths = shape.iter().chain(image.then_some(&1));
    let navigation = axes.into_iter().zip(lengths).enumerate().filter(|(i, _)| *i != place);
    let navigation = navigation.enumerate().map(|(i, (_, (axis, &n)))| {
        axis.unwrap_or_else(|| Axis::index(default_name(others - i), n))
    });
    let navigation = navigation.collect();
    if place != others {
        let message = format!("the spectra lie along axis {place} of {}", shape.len());
        diagnostics.push(Diagnostic::note(Code::Assumed, message));
    }
    let data = data.along((!image).then_some(place));
    let mut source = input.source(if nexus { "nexus" } else { "hdf5" }, None);
    source.dtype = Some(data.dtype().name().to_owned());
    let gathered = rows_of(input, data, navigation, spectrum)?;
    diagnostics.extend(gathered.diagnostics);
    let top = signal.path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let entry = match top {
        "" => signal.group.clone(),
        top => file.group(top).map_err(|e| fail(input, top, e))?,
    };
    let vendor = group_json(&entry);
    let dataset = Dataset {
        rows: gathered.rows,
        metadata: metadata(&vendor),
        vendor,
        mask: None,
        source,
        diagnostics,
    };
    match own {
        Some(own) => own.apply(input, dataset),
        None => Ok(dataset),
    }
}
