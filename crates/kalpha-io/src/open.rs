//! Opening a file whose format is found from its bytes and its name.

use crate::{
    error::IoError,
    format::{Confidence, FormatId, READERS, Reader, known_formats, reader},
    input::Input,
};
use kalpha_core::Dataset;
use std::path::Path;

/// How to open a file.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// The format, where it shall not be guessed (`--format`).
    pub format: Option<FormatId>,
    /// The signal, where the file holds several (`--signal`); default: the first of spectra.
    pub signal: Option<String>,
}

/// Formats a file could have, the most plausible first.
///
/// # Errors
/// When the file cannot be read.
pub fn detect(path: &Path) -> Result<Vec<(FormatId, Confidence)>, IoError> {
    Ok(candidates(&Input::open(path)?))
}

fn candidates(input: &Input) -> Vec<(FormatId, Confidence)> {
    let mut found: Vec<_> = READERS
        .iter()
        .map(|r| (r.format(), r.recognise(input)))
        .filter(|(_, confidence)| *confidence > Confidence::No)
        .collect();
    found.sort_by_key(|(_, confidence)| std::cmp::Reverse(*confidence));
    found
}

fn choose(input: &Input, options: &OpenOptions) -> Result<&'static dyn Reader, IoError> {
    let unknown =
        || IoError::UnknownFormat { file: input.path().to_owned(), known: known_formats() };
    if let Some(format) = options.format {
        return reader(format).ok_or_else(unknown);
    }
    let found = candidates(input);
    let (format, best) = *found.first().ok_or_else(unknown)?;
    let rivals: Vec<_> = found.iter().filter(|(_, c)| *c == best).map(|(f, _)| *f).collect();
    if rivals.len() > 1 {
        return Err(IoError::Ambiguous { file: input.path().to_owned(), formats: rivals });
    }
    reader(format).ok_or_else(unknown)
}

/// Reads one signal of a file: counts or intensities with axes and metadata.
///
/// Sparse counts stay sparse, raw dense files stay memory-mapped.
///
/// # Errors
/// When the file cannot be read, its format is unknown or ambiguous, or it is damaged. Any
/// bytes give a dataset or an error, never a panic.
pub fn open(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Dataset, IoError> {
    read(&Input::open(path.as_ref())?, options)
}

/// As [`open`], of bytes that are at hand already.
///
/// # Errors
/// As [`open`].
pub fn read(input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
    choose(input, options)?.read(input, options)
}

/// Names of the signals in a file, as [`OpenOptions::signal`] takes them.
///
/// # Errors
/// As [`open`].
pub fn signals(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Vec<String>, IoError> {
    let input = Input::open(path.as_ref())?;
    choose(&input, options)?.signals(&input)
}
