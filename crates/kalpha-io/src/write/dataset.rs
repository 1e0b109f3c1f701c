//! Writing a whole dataset: values, axes, metadata, history.

use crate::{FormatId, IoError};
use kalpha_core::{Dataset, Event};
use std::path::{Path, PathBuf};

/// Writes datasets in one format. A new one is one file and one line in the list below.
///
/// A writer keeps the values exactly, or says that the format cannot hold them; it writes axes
/// and units, and the rest as far as the format has room for it.
pub trait Writer: Sync {
    /// Name of the format, the same as that of its reader.
    fn format(&self) -> FormatId;

    /// One line for the list of formats.
    fn about(&self) -> &'static str;

    /// File name extensions, lower case, without the dot.
    fn extensions(&self) -> &'static [&'static str];

    /// Every file and folder that is written for `path`.
    fn targets(&self, path: &Path) -> Vec<PathBuf> {
        vec![path.to_owned()]
    }

    /// Writes `dataset`; `history` is what was done to it, this writing included.
    ///
    /// # Errors
    /// [`IoError::CannotHold`] when the dataset does not fit the format, else as
    /// [`super::write_file`].
    fn write(&self, path: &Path, dataset: &Dataset, history: &[Event]) -> Result<(), IoError>;
}

/// All writers of datasets.
static WRITERS: &[&dyn Writer] = &[
    &super::npy::NpyWriter,
    &super::zarr::ZarrWriter,
    &super::hspy::HspyWriter,
    &super::zspy::ZspyWriter,
    &super::nexus::NexusWriter,
    &super::msa::MsaWriter,
    &super::xdi::XdiWriter,
    &super::athena::AthenaWriter,
    &super::columns::ColumnsWriter,
];

/// Formats in which datasets can be written.
pub fn writers() -> impl Iterator<Item = &'static dyn Writer> {
    WRITERS.iter().copied()
}

/// The writer for `path`: the one named `format`, else the one of the extension.
///
/// # Errors
/// [`IoError::UnknownOutput`] when there is none.
pub fn writer_for(path: &Path, format: Option<&str>) -> Result<&'static dyn Writer, IoError> {
    let extension =
        path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    writers()
        .find(|writer| match format {
            Some(name) => writer.format().name().eq_ignore_ascii_case(name.trim_start_matches('.')),
            None => writer.extensions().contains(&extension.as_str()),
        })
        .ok_or_else(|| IoError::UnknownOutput {
            path: path.to_owned(),
            known: writers().map(|w| w.format().name()).collect::<Vec<_>>().join(", "),
        })
}

/// Writes a dataset in the format that the name of `path`, or `format`, asks for.
///
/// The values are written in the number type their file had. Where the format has room for
/// them, metadata, the vendor's own metadata, the mask and the history (with this writing as
/// its last event) go along, and reading the file gives them back.
///
/// # Errors
/// [`IoError::Exists`] when something is there already and `replace` is not set, else as
/// [`writer_for`] and [`Writer::write`].
pub fn write_dataset(
    path: &Path,
    dataset: &Dataset,
    format: Option<&str>,
    replace: bool,
) -> Result<FormatId, IoError> {
    let writer = writer_for(path, format)?;
    let there = writer.targets(path).into_iter().find(|target| target.exists());
    if let Some(path) = there.filter(|_| !replace) {
        return Err(IoError::Exists { path });
    }
    let mut history = dataset.source.history.clone();
    history.push(Event {
        program: concat!("kalpha ", env!("CARGO_PKG_VERSION")).to_owned(),
        action: "converted".to_owned(),
        path: dataset.source.path.clone(),
        format: dataset.source.format.clone(),
    });
    writer.write(path, dataset, &history)?;
    Ok(writer.format())
}
