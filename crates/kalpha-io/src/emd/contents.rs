//! What a Velox file holds.

use super::metadata::{detector_name, scanned, text};
use crate::{Input, IoError, hdf5::open, signal_list::unique};
use hdf5_reader::{Hdf5File, SliceInfo, SliceInfoElem};
use serde_json::{Map, Value};

/// Longer texts are none that Velox writes.
const TEXT_BYTES: u64 = 4 << 20;

/// A text dataset that holds JSON.
pub(super) fn json(file: &Hdf5File, path: &str) -> Option<Value> {
    let data = file.dataset(path).ok()?;
    // One text, or as many bytes.
    if data.num_elements().ok()? > TEXT_BYTES {
        return None;
    }
    let texts = data.read_strings().ok()?;
    serde_json::from_str(texts.first()?.trim_matches(['\0', ' ', '\n'])).ok()
}

/// The JSON of the first frame: a column of bytes, padded with NUL.
pub(super) fn frame_json(file: &Hdf5File, path: &str) -> Option<Value> {
    let data = file.dataset(path).ok()?;
    if *data.shape().first()? > TEXT_BYTES {
        return None;
    }
    // One chunk holds all of a frame, in every file seen.
    if let (Some(&[n, 1]), &[length, _]) = (data.chunks().as_deref(), data.shape())
        && u64::from(n) >= length
    {
        let chunk = data.iter_chunks().ok()?.next()?.ok()?;
        let text = chunk.bytes().split(|&b| b == 0).next().unwrap_or_default();
        return serde_json::from_slice(text).ok();
    }
    let mut selection = SliceInfo::all(data.ndim());
    for axis in selection.selections.iter_mut().skip(1) {
        *axis = SliceInfoElem::Slice { start: 0, end: 1, step: 1 };
    }
    let bytes = data.read_slice::<u8>(&selection).ok()?;
    let bytes: Vec<u8> = bytes.iter().copied().take_while(|&b| b != 0).collect();
    serde_json::from_slice(&bytes).ok()
}

/// What `/Version` says, where it is a Velox file.
pub(super) fn version(file: &Hdf5File) -> Option<String> {
    let version = json(file, "/Version")?;
    let velox = version.get("format")?.as_str()?.eq_ignore_ascii_case("velox");
    velox.then(|| text(&version, &["version"]).unwrap_or_default())
}

pub(super) fn says_velox(input: &Input) -> bool {
    open(input).ok().and_then(|file| version(&file)).is_some()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Events,
    EelsImage,
    Spectrum,
    Image,
}

/// One thing that can be read.
#[derive(Debug)]
pub(super) struct Item {
    pub name: String,
    pub kind: Kind,
    /// Groups of the file; several streams are added.
    pub groups: Vec<String>,
    /// The first JSON of each group.
    pub metadata: Vec<Value>,
}

fn groups(file: &Hdf5File, kind: &str) -> Vec<(String, Value)> {
    let path = format!("/Data/{kind}");
    let names = file.group(&path).and_then(|g| g.groups()).unwrap_or_default();
    let paths = names.iter().map(|g| format!("{path}/{}", g.name()));
    paths
        .map(|path| {
            let metadata = frame_json(file, &format!("{path}/Metadata")).unwrap_or(Value::Null);
            (path, metadata)
        })
        .collect()
}

/// Titles that the program shows above images, by the group of the image.
fn titles(file: &Hdf5File) -> Map<String, Value> {
    let mut found = Map::new();
    let folder = "/Displays/ImageDisplay";
    let Ok((_, displays)) = file.group(folder).and_then(|g| g.member_names()) else { return found };
    for display in displays {
        let Some(display) = json(file, &format!("{folder}/{display}")) else { continue };
        let image = text(&display, &["data"])
            .and_then(|reference| json(file, &reference))
            .and_then(|reference| text(&reference, &["dataPath"]));
        let shown = text(&display, &["id"]).filter(|id| id.len() > 1);
        if let Some((image, title)) = image.zip(shown.or_else(|| text(&display, &["title"]))) {
            found.insert(image, title.into());
        }
    }
    found
}

/// Everything that can be read, the most wanted first.
pub(super) fn items(input: &Input, file: &Hdf5File) -> Result<Vec<Item>, IoError> {
    let mut items: Vec<Item> = Vec::new();
    let mut push = |name: String, kind, found: Vec<(String, Value)>| {
        let (groups, metadata) = found.into_iter().unzip();
        items.push(Item { name, kind, groups, metadata });
    };
    let by_detector = |found: &mut Vec<(String, Value)>| {
        found.sort_by_cached_key(|(_, m)| detector_name(m).map(|name| (name.len(), name)));
    };
    let mut spectra = groups(file, "Spectrum");
    by_detector(&mut spectra);
    let mut streams = groups(file, "SpectrumStream");
    by_detector(&mut streams);
    // Streams without a scan are the spectra that follow.
    if !spectra.is_empty() {
        streams.retain(|(_, metadata)| scanned(metadata).is_some());
    }
    if streams.len() > 1 {
        push("EDS".to_owned(), Kind::Events, streams.clone());
    }
    let several = streams.len() > 1;
    for stream in streams {
        let detector = detector_name(&stream.1).filter(|_| several).unwrap_or_default();
        push(format!("EDS {detector}").trim().to_owned(), Kind::Events, vec![stream]);
    }
    for map in groups(file, "EelsSpectrumImage") {
        push("EELS".to_owned(), Kind::EelsImage, vec![map]);
    }
    for spectrum in spectra {
        let detector = detector_name(&spectrum.1).unwrap_or_default();
        push(format!("spectrum {detector}").trim().to_owned(), Kind::Spectrum, vec![spectrum]);
    }
    let titles = titles(file);
    for image in groups(file, "Image") {
        let title = titles.get(&image.0).and_then(Value::as_str).map(str::to_owned);
        let name = title.or_else(|| detector_name(&image.1)).unwrap_or_default();
        push(format!("image {name}").trim().to_owned(), Kind::Image, vec![image]);
    }
    let names = unique(items.iter().map(|item| item.name.clone()));
    items.iter_mut().zip(names).for_each(|(item, name)| item.name = name);
    if items.is_empty() {
        let found = "no stream, spectrum or image below /Data".to_owned();
        return Err(IoError::NoSpectra { file: input.path().to_owned(), found });
    }
    Ok(items)
}
