//! From a `.bcf` to a dataset.

use super::{
    header,
    sfs::Container,
    spectra::{self, Outcome, Spectra},
};
use crate::{Input, IoError, OpenOptions};
use kalpha_core::{Axis, Code, CsrCounts, DType, Dataset, Diagnostic, NoiseModel, RowsMeta, Unit};
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

pub(super) fn signals(input: &Input) -> Result<Vec<String>, IoError> {
    Ok(names(&detectors(&Container::open(input)?)))
}

fn read_spectra(input: &Input, container: &Container, path: &str) -> Result<Spectra, IoError> {
    let missing = || IoError::NoSpectra {
        file: input.path().to_owned(),
        found: container.files.iter().map(|f| f.path.as_str()).collect::<Vec<_>>().join(", "),
    };
    let entry = container.find(path).ok_or_else(missing)?;
    for ascending in [true, false] {
        let outcome = std::thread::scope(|scope| {
            let mut stream = container.stream(entry)?.ahead(scope);
            spectra::read(input, &mut stream, ascending)
        })?;
        if let Outcome::Done(spectra) = outcome {
            return Ok(spectra);
        }
    }
    Err(missing())
}

pub(super) fn read(input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
    let container = Container::open(input)?;
    let found = detectors(&container);
    let chosen = match &options.signal {
        None => found.first().cloned().unwrap_or_default(),
        Some(asked) => {
            let number = asked.strip_prefix(SPECTRA).unwrap_or(asked);
            found.iter().find(|n| *n == number).cloned().ok_or_else(|| IoError::NoSignal {
                file: input.path().to_owned(),
                asked: asked.clone(),
                available: names(&found),
            })?
        }
    };
    let head = container.find(&format!("{FOLDER}HeaderData")).ok_or_else(|| {
        input.corrupt(0, "SFS directory", "a file EDSDatabase/HeaderData", "none")
    })?;
    let path = format!("{FOLDER}{SPECTRA}{chosen}");
    // The header can be larger than the spectra: both are read at the same time.
    let read_header = || header::read(input, &container.stream(head)?.rest()?, &chosen);
    let (header, spectra) = std::thread::scope(|scope| {
        let beside = std::thread::Builder::new().spawn_scoped(scope, read_header);
        let spectra = read_spectra(input, &container, &path);
        let header = match beside {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            // The system has no thread to give.
            Err(_) => read_header(),
        };
        (header, spectra)
    });
    let mut header = header?;
    let Spectra { height, width, rows, channels } = spectra?;
    let counts = rows
        .with_channels(channels.max(header.channels))
        .map_err(|e| input.rows_error(e))?
        .finish();

    let mut diagnostics = std::mem::take(&mut header.diagnostics);
    if found.len() > 1 && options.signal.is_none() {
        let message = format!("{} detectors, {SPECTRA}{chosen} was read", found.len());
        let hint = format!("--signal takes {}", names(&found).join(", "));
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
        source: input.source("bcf", Some(container.version.to_string())),
        diagnostics,
    })
}
