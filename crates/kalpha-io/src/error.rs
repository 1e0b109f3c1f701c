//! What can go wrong with a file: which file, where in it, what was expected, what was found.

use crate::format::FormatId;
use kalpha_core::{AxisError, RowsError};
use std::path::PathBuf;

/// A file cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IoError {
    /// The system refuses to open, read or map the file.
    #[error("cannot read {}: {source} (hint: {})", file.display(), open_hint(source))]
    Open {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file has no bytes.
    #[error("{}: the file is empty (hint: copy or export it again)", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
    /// No reader takes the file for its own.
    #[error("{}: unknown format (hint: known formats are {known}; --format names one)", file.display())]
    UnknownFormat {
        /// The file.
        file: PathBuf,
        /// Formats that can be read.
        known: String,
    },
    /// No format has that name.
    #[error("unknown format {got:?} (hint: known formats are {known})")]
    UnknownFormatName {
        /// The name given.
        got: String,
        /// Formats that can be read.
        known: String,
    },
    /// The energy axis given by the user cannot be understood.
    #[error(
        "energy axis {got:?} is neither OFFSET,SCALE,UNIT nor UNIT (hint: --energy-axis -0.47,0.01,keV or --energy-axis eV)"
    )]
    EnergyAxis {
        /// What was given.
        got: String,
    },
    /// Several readers take the file for their own with the same confidence.
    #[error("{}: could be {} (hint: choose one with --format)", file.display(),
        formats.iter().map(|f| f.name()).collect::<Vec<_>>().join(" or "))]
    Ambiguous {
        /// The file.
        file: PathBuf,
        /// The plausible formats.
        formats: Vec<FormatId>,
    },
    /// The file does not hold what its format demands.
    #[error("{}: {field} at byte {offset}: expected {expected}, got {got} (hint: {hint})", file.display())]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// Byte at which it went wrong.
        offset: u64,
        /// The field of the format.
        field: String,
        /// What the format demands.
        expected: String,
        /// What the file holds.
        got: String,
        /// What to do.
        hint: &'static str,
    },
    /// The file claims more than it can hold, or more than a reader may allocate.
    #[error("{}: {field} claims {claimed}, at most {limit} is possible here (hint: the file was cut short or is damaged; copy or export it again)", file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// The field that claims it.
        field: String,
        /// What it claims.
        claimed: u64,
        /// What is possible.
        limit: u64,
    },
    /// The format allows it, this reader does not know it.
    #[error("{}: {field} is {got}, supported is {supported} (hint: {hint})", file.display())]
    Unsupported {
        /// The file.
        file: PathBuf,
        /// The field.
        field: String,
        /// What the file holds.
        got: String,
        /// What can be read.
        supported: String,
        /// What to do.
        hint: &'static str,
    },
    /// The file holds no such signal.
    #[error("{}: no signal {asked:?} (hint: the file holds {})", file.display(), available.join(", "))]
    NoSignal {
        /// The file.
        file: PathBuf,
        /// The signal asked for.
        asked: String,
        /// Signals in the file.
        available: Vec<String>,
    },
    /// The file holds no spectra at all.
    #[error("{}: holds no spectra ({found}) (hint: it was cut short, or holds something else: export the spectra again)", file.display())]
    NoSpectra {
        /// The file.
        file: PathBuf,
        /// What it holds.
        found: String,
    },
    /// A file that belongs to this one is missing.
    #[error("{}: {needed} is missing beside it (hint: keep the two files together)", file.display())]
    Companion {
        /// The file.
        file: PathBuf,
        /// The missing file.
        needed: PathBuf,
    },
    /// The HDF5 library refuses the file.
    #[error("{}: {object}: {source} (hint: check it with h5dump, or save it again)", file.display())]
    Hdf5 {
        /// The file.
        file: PathBuf,
        /// Path inside the file.
        object: String,
        /// What the library says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The rows do not fit together.
    #[error("{}: {source}", file.display())]
    Rows {
        /// The file.
        file: PathBuf,
        /// Why.
        source: RowsError,
    },
    /// An axis of the file is not an axis.
    #[error("{}: {source}", file.display())]
    Axis {
        /// The file.
        file: PathBuf,
        /// Why.
        source: Box<AxisError>,
    },
    /// Something could not be written; nothing was left behind.
    #[error("cannot write {}: {source} (hint: {hint})", path.display())]
    Write {
        /// The target.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
        /// What to do.
        hint: &'static str,
    },
    /// What is to be written does not fit the format.
    #[error("cannot write {}: {field} is {got}, the format takes {supported}", path.display())]
    CannotHold {
        /// The target.
        path: PathBuf,
        /// The field that does not fit.
        field: &'static str,
        /// What it is.
        got: String,
        /// What fits.
        supported: &'static str,
    },
    /// The files of a folder or pattern make no series.
    #[error("{}: {what} (hint: a pattern in quotes chooses files, such as 'scans/map_*.msa')", path.display())]
    Series {
        /// The folder or pattern.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// No writer is known for a file of that name.
    #[error("cannot write {}: no format for it (hint: formats that can be written are {known}; --to names one)", path.display())]
    UnknownOutput {
        /// The target.
        path: PathBuf,
        /// Formats that can be written.
        known: String,
    },
    /// The target is there already.
    #[error("{} exists already (hint: choose another name, or replace it with --force)", path.display())]
    Exists {
        /// The target.
        path: PathBuf,
    },
    /// The output folder holds something that is not ours.
    #[error("{} exists and is not an output of kalpha (hint: choose another folder, or replace it with --force)", path.display())]
    ForeignFolder {
        /// The folder.
        path: PathBuf,
    },
}

/// What to do about a file that the system does not hand out.
fn open_hint(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::NotFound => "check the name; it counts from the current folder",
        std::io::ErrorKind::IsADirectory => "give a file in it",
        std::io::ErrorKind::PermissionDenied => "ask for the right to read it, or copy it",
        _ => "copy the file to this machine and try again",
    }
}

/// Hint for a file that ends early or holds nonsense.
pub(crate) const DAMAGED: &str = "the file is damaged or was cut short; copy or export it again";
