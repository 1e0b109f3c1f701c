//! From the images of a DigitalMicrograph file to a dataset.
//!
//! An image has its fastest dimension first. A spectrum image keeps the energy slowest, so its
//! rows are decoded from the file when they are asked for; counts of an EDS detector are made
//! sparse instead.

use super::{
    metadata::{at, metadata, number, text},
    tags::{self, Tags},
};
use crate::{
    Input, IoError, OpenOptions,
    dense::{Layout, Prefer, read_as_stored, read_dense},
    plain::{Number, NumberKind},
    signal_list::unique,
};
use kalpha_core::{Axis, Code, Dataset, Diagnostic, Modality, NoiseModel, Source, Unit};
use serde_json::Value;

/// One dimension of an image.
struct Dimension {
    n: usize,
    /// Values from one point to the next.
    stride: usize,
    /// The value at index i is (i - origin) scale.
    origin: f64,
    scale: Option<f64>,
    unit: Unit,
}

/// One image of the file.
struct Image<'a> {
    name: String,
    tags: &'a Value,
    entry: &'a Value,
    /// Fastest first.
    dimensions: Vec<Dimension>,
    /// Index of the dimension along which spectra run; none for an image.
    spectrum: Option<usize>,
    metadata: kalpha_core::Metadata,
}

fn dimensions(entry: &Value) -> Option<Vec<Dimension>> {
    let sizes = at(entry, &["ImageData", "Dimensions"])?.as_array()?;
    let calibrations = at(entry, &["ImageData", "Calibrations", "Dimension"]);
    let mut stride = 1usize;
    let mut found = Vec::new();
    for (i, size) in sizes.iter().enumerate() {
        let n = usize::try_from(size.as_u64()?).ok()?;
        let calibration = calibrations.and_then(|c| c.get(i)).unwrap_or(&Value::Null);
        found.push(Dimension {
            n,
            stride,
            origin: number(calibration, &["Origin"]).unwrap_or(0.0),
            scale: number(calibration, &["Scale"]).filter(|s| *s != 0.0),
            unit: text(calibration, &["Units"]).map_or(Unit::None, |u| Unit::parse(&u)),
        });
        stride = stride.checked_mul(n)?;
    }
    (!found.is_empty()).then_some(found)
}

/// The dimension along which spectra run.
fn spectrum(dimensions: &[Dimension], format: &str) -> Option<usize> {
    let energy = |d: &Dimension| matches!(d.unit, Unit::Ev | Unit::KeV);
    let mut energies = dimensions.iter().enumerate().filter(|(_, d)| energy(d));
    match (energies.next(), energies.next()) {
        (Some((i, _)), None) => Some(i),
        _ if dimensions.len() == 1 => Some(0),
        _ if !format.to_ascii_lowercase().starts_with("spectrum") => None,
        // A line of spectra has them along the fastest dimension, an image along the slowest.
        _ if dimensions.len() == 2 => Some(0),
        _ => Some(dimensions.len() - 1),
    }
}

fn images(tree: &Value) -> Vec<Image<'_>> {
    let list = tree.get("ImageList").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let thumbnails: Vec<u64> = tree
        .get("Thumbnails")
        .and_then(Value::as_array)
        .map(|all| all.iter().filter_map(|t| t.get("ImageIndex")?.as_u64()).collect())
        .unwrap_or_default();
    let mut found: Vec<Image> = Vec::new();
    for (i, entry) in list.iter().enumerate() {
        let Some(dimensions) = dimensions(entry) else { continue };
        if thumbnails.contains(&(i as u64)) && list.len() > 1 {
            continue;
        }
        let tags = entry.get("ImageTags").unwrap_or(&Value::Null);
        let title = text(entry, &["Name"]).unwrap_or_default();
        let name = if title.is_empty() { format!("image {i}") } else { title.clone() };
        let format = text(tags, &["Meta Data", "Format"]).unwrap_or_default();
        let mut metadata = metadata(tags, &title);
        let spectrum = spectrum(&dimensions, &format);
        if let Some(d) = spectrum.and_then(|i| dimensions.get(i))
            && metadata.modality.is_none()
        {
            metadata.modality = match d.unit {
                Unit::KeV => Some(Modality::Eds),
                Unit::Ev => Some(Modality::Eels),
                _ => None,
            };
        }
        found.push(Image { name, tags, entry, dimensions, spectrum, metadata });
    }
    let names = unique(found.iter().map(|image| image.name.clone()));
    found.iter_mut().zip(names).for_each(|(image, name)| image.name = name);
    found
}

pub(super) fn signals(input: &Input) -> Result<Vec<String>, IoError> {
    let tags = tags::read(input)?;
    Ok(images(&tags.root).into_iter().map(|image| image.name).collect())
}

/// Number type and first byte of the values.
fn values(input: &Input, tags: &Tags, image: &Image) -> Result<(Number, usize), IoError> {
    let data = |key| at(image.entry, &["ImageData", key]);
    let stored = data("Data").and_then(|d| d.get("dtype")?.as_str()).unwrap_or("nothing");
    let kind = data("DataType").and_then(Value::as_u64).unwrap_or(0);
    let number = match stored {
        "uint8" => Some((NumberKind::Unsigned, 1)),
        "uint16" => Some((NumberKind::Unsigned, 2)),
        "uint32" => Some((NumberKind::Unsigned, 4)),
        "uint64" => Some((NumberKind::Unsigned, 8)),
        "int8" => Some((NumberKind::Signed, 1)),
        "int16" => Some((NumberKind::Signed, 2)),
        "int32" => Some((NumberKind::Signed, 4)),
        "int64" => Some((NumberKind::Signed, 8)),
        "float32" => Some((NumberKind::Float, 4)),
        "float64" => Some((NumberKind::Float, 8)),
        _ => None,
    };
    // Colours (8, 23) are packed into integers, 5 is a packed complex image.
    let number = number
        .filter(|_| !matches!(kind, 5 | 8 | 23))
        .and_then(|(kind, width)| Number::new(kind, width, tags.big_endian));
    let offset = data("Data").and_then(|d| usize::try_from(d.get("byte")?.as_u64()?).ok());
    number.zip(offset).ok_or_else(|| IoError::Unsupported {
        file: input.path().to_owned(),
        field: format!("values of {:?}", image.name),
        got: format!("DigitalMicrograph type {kind} ({stored})"),
        supported: "integers and floating-point numbers".to_owned(),
        hint: "in DigitalMicrograph, convert colours or complex numbers to real ones",
    })
}

fn axis(input: &Input, name: &str, d: &Dimension, diagnostics: &mut Vec<Diagnostic>) -> Axis {
    let made = d.scale.map(|scale| {
        // No minus zero: it would be printed.
        let offset = if d.origin == 0.0 { 0.0 } else { -d.origin * scale };
        input.axis(name, d.unit.clone(), offset, scale, d.n)
    });
    match made {
        Some((axis, None)) => axis,
        _ => {
            let message = format!("dimension {name} has no usable calibration: it is numbered");
            diagnostics.push(Diagnostic::warning(Code::MissingMetadata, message));
            Axis::index(name, d.n)
        }
    }
}

/// The note that a default was taken from several signals.
fn several(names: &[String], taken: &str) -> Diagnostic {
    let message = format!("{} signals, {taken:?} was read", names.len());
    Diagnostic::note(Code::Assumed, message).hint(format!("--signal takes {}", names.join(", ")))
}

pub(super) fn read(input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
    let tags = tags::read(input)?;
    let found = images(&tags.root);
    let names: Vec<String> = found.iter().map(|image| image.name.clone()).collect();
    let chosen = match &options.signal {
        Some(asked) => found.iter().find(|image| image.name == *asked).ok_or_else(|| {
            let (file, asked) = (input.path().to_owned(), asked.clone());
            IoError::NoSignal { file, asked, available: names.clone() }
        })?,
        None => found.iter().find(|i| i.spectrum.is_some()).or(found.first()).ok_or_else(|| {
            let found = "tags without an image".to_owned();
            IoError::NoSpectra { file: input.path().to_owned(), found }
        })?,
    };
    let mut diagnostics = Vec::new();
    if found.len() > 1 && options.signal.is_none() {
        diagnostics.push(several(&names, &chosen.name));
    }
    let (number, offset) = values(input, &tags, chosen)?;
    let eels = chosen.metadata.modality == Some(Modality::Eels);
    let mut navigation = Vec::new();
    let mut strides = Vec::new();
    let mut letters = ["x", "y", "z", "u", "v"].iter();
    for (i, d) in chosen.dimensions.iter().enumerate().filter(|(i, _)| Some(*i) != chosen.spectrum)
    {
        let letter = letters.next().map_or_else(|| format!("axis-{i}"), |l| (*l).to_owned());
        let name = if d.unit == Unit::Second { "time".to_owned() } else { letter };
        navigation.insert(0, axis(input, &name, d, &mut diagnostics));
        strides.insert(0, d.stride);
    }
    let (signal, channel) = match chosen.spectrum.and_then(|i| chosen.dimensions.get(i)) {
        Some(d) => {
            let name = if eels { "Energy loss" } else { "Energy" };
            (axis(input, name, d, &mut diagnostics), d.stride)
        }
        None => (Axis::index("intensity", 1), 1),
    };
    let strides = strides.into_iter().chain([channel]).collect();
    let layout = Layout::strided(number, offset, strides).among_others();
    let rows = if chosen.metadata.modality == Some(Modality::Eds) {
        let gathered = read_dense(input, &layout, navigation, signal, Prefer::Sparse)?.gathered;
        diagnostics.extend(gathered.diagnostics);
        gathered.rows
    } else {
        diagnostics.push(camera(chosen));
        read_as_stored(input, &layout, navigation, signal, NoiseModel::Unknown)?
    };
    Ok(Dataset {
        rows,
        metadata: chosen.metadata.clone(),
        vendor: tags.root.clone(),
        mask: None,
        source: Source {
            dtype: Some(number.dtype()),
            ..input.source("dm", Some(tags.version.to_string()))
        },
        diagnostics,
    })
}

/// A camera gives intensities; what one of them is worth is in `Brightness`, if anywhere.
fn camera(image: &Image) -> Diagnostic {
    let message = "the values are intensities, not counts: their noise is unknown";
    let hint = "a likelihood step needs counts; the gain is the detector's";
    let brightness = at(image.entry, &["ImageData", "Calibrations", "Brightness"]);
    let gain = brightness.and_then(|b| number(b, &["Scale"]).zip(text(b, &["Units"])));
    let diagnostic = Diagnostic::note(Code::Assumed, message);
    match gain {
        Some((scale, unit)) if !image.tags.is_null() => {
            diagnostic.hint(format!("{hint}; the file says that 1 is {scale} {unit}"))
        }
        _ => diagnostic.hint(hint),
    }
}
