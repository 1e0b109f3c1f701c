//! Formats, and the one list of their readers.

use crate::{Input, IoError, OpenOptions};
use kalpha_core::Dataset;
use std::{fmt, str::FromStr};

/// Name of a format: `bcf`, `hspy`, `msa`, ..
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FormatId(&'static str);

impl FormatId {
    /// The name of a format; only its reader makes one.
    pub(crate) const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The name.
    pub fn name(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for FormatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl FromStr for FormatId {
    type Err = IoError;
    fn from_str(text: &str) -> Result<Self, IoError> {
        formats().find(|f| f.0.eq_ignore_ascii_case(text.trim_start_matches('.'))).ok_or_else(
            || IoError::UnknownFormatName { got: text.to_owned(), known: known_formats() },
        )
    }
}

/// How sure a reader is that a file is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// Certainly not.
    No,
    /// Only the name speaks for it.
    Name,
    /// The first bytes look like it, other formats may look alike.
    Likely,
    /// Magic bytes that no other format has.
    Certain,
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::No => "no",
            Self::Name => "by its name only",
            Self::Likely => "likely",
            Self::Certain => "certain",
        })
    }
}

/// Reads one format. A new format is one folder and one line in the list below.
pub trait Reader: Sync {
    /// Name of the format.
    fn format(&self) -> FormatId;

    /// One line for the list of formats.
    fn about(&self) -> &'static str;

    /// File name extensions, lower case, without the dot.
    fn extensions(&self) -> &'static [&'static str];

    /// Judges a file by its first bytes and its name.
    fn recognise(&self, input: &Input) -> Confidence;

    /// Names of the signals in the file, as [`OpenOptions::signal`] takes them.
    ///
    /// # Errors
    /// When the file is damaged.
    fn signals(&self, input: &Input) -> Result<Vec<String>, IoError>;

    /// Reads one signal.
    ///
    /// # Errors
    /// When the file is damaged, or holds no such signal.
    fn read(&self, input: &Input, options: &OpenOptions) -> Result<Dataset, IoError>;
}

/// All readers.
pub(crate) static READERS: &[&dyn Reader] = &[
    &crate::bcf::Bcf,
    &crate::dm::Dm,
    &crate::emd::Emd,
    &crate::wdf::Wdf,
    &crate::spx::Spx,
    &crate::jeol::Jeol,
    &crate::mda::Mda,
    &crate::hspy::Hspy,
    &crate::msa::Msa,
    &crate::ripple::Ripple,
    &crate::npy::Npy,
    &crate::npz::Npz,
    &crate::mat::Mat,
    &crate::zarr::Zarr,
    &crate::zarr::Zspy,
    &crate::nexus::Nexus,
    &crate::nexus::Hdf5,
    &crate::xrdml::Xrdml,
    &crate::ras::Ras,
    &crate::rasx::Rasx,
    &crate::brml::Brml,
    &crate::bruker_raw::BrukerRaw,
    &crate::uxd::Uxd,
    &crate::gsas::Gsas,
    &crate::jcamp::Jcamp,
    &crate::spc::Spc,
    &crate::cif::Cif,
    &crate::xy::Xy,
    &crate::xdi::Xdi,
    &crate::athena::Athena,
    &crate::vamas::Vamas,
    &crate::spec::Spec,
    &crate::epics_mca::EpicsMca,
    &crate::maestro::Maestro,
    &crate::phi::Phi,
    &crate::specs_xy::SpecsXy,
    &crate::labspec::LabSpec,
    &crate::columns::Columns,
];

/// All formats that can be read.
pub fn formats() -> impl Iterator<Item = FormatId> {
    READERS.iter().map(|r| r.format())
}

/// The reader of a format.
pub(crate) fn reader(format: FormatId) -> Option<&'static dyn Reader> {
    READERS.iter().copied().find(|r| r.format() == format)
}

pub(crate) fn known_formats() -> String {
    formats().map(FormatId::name).collect::<Vec<_>>().join(", ")
}
