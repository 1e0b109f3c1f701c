//! From a `.bcf` to a dataset.

use super::{
    header,
    sfs::Container,
    spectra::{self, Spectra},
};
use crate::{Input, IoError, OpenOptions};
use kalpha_core::{
    Axis, Code, CsrCounts, DType, Dataset, Diagnostic, NoiseModel, RowsMeta, Source, Unit,
};
use std::sync::Arc;

const FOLDER: &str = "EDSDatabase/";
const SPECTRA: &str = "SpectrumData";

/// Numbers of the detectors whose spectra the container holds.
fn detectors(container: &Container) -> Vec<String> {
    let mut found: Vec<String> = container
        .files
        .iter()
        .filter_map(|f| f.path.strip_prefix(FOLDER)?.strip_prefix(SPECTRA))
        .filter(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        .map(str::to_owned)
        .collect();
    found.sort_by_key(|n| (n.len(), n.clone()));
    found
}

fn names(detectors: &[String]) -> Vec<String> {
    detectors.iter().map(|n| format!("{SPECTRA}{n}")).collect()
}

/// The XML about the measurement.
fn header_bytes(input: &Input, container: &Container) -> Result<Vec<u8>, IoError> {
    let entry = container.find(&format!("{FOLDER}HeaderData")).ok_or_else(|| {
        input.corrupt(0, "SFS directory", "a file EDSDatabase/HeaderData", "none")
    })?;
    container.content(entry)?.whole()
}

pub(super) fn signals(input: &Input) -> Result<Vec<String>, IoError> {
    let container = Container::open(input)?;
    let mut found = names(&detectors(&container));
    found.extend(header::image_names(input, &header_bytes(input, &container)?)?);
    Ok(found)
}

fn read_spectra(input: &Input, container: &Container, path: &str) -> Result<Spectra, IoError> {
    let missing = || IoError::NoSpectra {
        file: input.path().to_owned(),
        found: container.files.iter().map(|f| f.path.as_str()).collect::<Vec<_>>().join(", "),
    };
    let entry = container.find(path).ok_or_else(missing)?;
    spectra::read(input, container.content(entry)?)
}

/// The image of that name.
fn read_image(
    input: &Input,
    container: &Container,
    detectors: Vec<String>,
    asked: &str,
) -> Result<Dataset, IoError> {
    let missing = |images: Vec<String>| IoError::NoSignal {
        file: input.path().to_owned(),
        asked: asked.to_owned(),
        available: [detectors, images].concat(),
    };
    header::image(input, &header_bytes(input, container)?, asked)?.map_err(missing)
}

pub(super) fn read(input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
    let container = Container::open(input)?;
    let found = detectors(&container);
    let chosen = match &options.signal {
        None => found.first().cloned().unwrap_or_default(),
        Some(asked) => {
            let number = asked.strip_prefix(SPECTRA).unwrap_or(asked);
            match found.iter().find(|n| *n == number) {
                Some(number) => number.clone(),
                None => return read_image(input, &container, names(&found), asked),
            }
        }
    };
    let path = format!("{FOLDER}{SPECTRA}{chosen}");
    // The header can be larger than the spectra: both are read at the same time.
    let read_header = || header::read(input, &header_bytes(input, &container)?, &chosen);
    let (header, spectra) = rayon::join(read_header, || read_spectra(input, &container, &path));
    let mut header = header?;
    let Spectra { height, width, rows, channels } = spectra?;
    let counts = rows
        .with_channels(channels.max(header.channels))
        .map_err(|e| input.rows_error(e))?
        .finish();

    let mut diagnostics = std::mem::take(&mut header.diagnostics);
    if found.len() + header.images.len() > 1 && options.signal.is_none() {
        let n = found.len() + header.images.len();
        let message = format!("{n} signals, {SPECTRA}{chosen} was read");
        let names = [names(&found), std::mem::take(&mut header.images)].concat();
        let hint = format!("--signal takes {}", names.join(", "));
        diagnostics.push(Diagnostic::note(Code::Assumed, message).hint(hint));
    }
    if counts.channels() > header.channels {
        diagnostics.push(Diagnostic::warning(
            Code::VendorDisagrees,
            format!(
                "counts reach channel {}, the header states {} channels; all were kept",
                counts.channels() - 1,
                header.channels
            ),
        ));
    }
    let mut missing = |what: &str, hint: &str| {
        diagnostics.push(
            Diagnostic::warning(Code::MissingMetadata, format!("the file gives no {what}"))
                .hint(hint),
        );
    };
    let mut navigation = Vec::new();
    for (name, scale, n) in [("y", header.pixel.1, height), ("x", header.pixel.0, width)] {
        navigation.push(match scale {
            Some(scale) => input.axis(name, Unit::Micrometre, 0.0, scale, n).0,
            None => {
                missing(&format!("pixel size along {name}"), "positions are pixel numbers");
                Axis::index(name, n)
            }
        });
    }
    let signal = match header.energy {
        Some((offset, scale)) => {
            input.axis("Energy", Unit::KeV, offset, scale, counts.channels()).0
        }
        None => {
            missing("energy calibration", "energies are channel numbers");
            Axis::index("Energy", counts.channels())
        }
    };
    header.metadata.real_time_s = header.real_time_s(height, width);
    let meta = RowsMeta {
        rows: counts.rows(),
        channels: counts.channels(),
        dtype: DType::Csr,
        navigation,
        signal,
        noise: NoiseModel::COUNTS,
    };
    let rows: (RowsMeta, CsrCounts) = (meta, counts);
    Ok(Dataset {
        rows: Arc::new(rows),
        metadata: header.metadata,
        vendor: header.vendor,
        mask: None,
        source: Source {
            signal: Some(format!("{SPECTRA}{chosen}")),
            ..input.source("bcf", Some(container.version.to_string()))
        },
        diagnostics,
    })
}
