//! NeXus (manual.nexusformat.org, NXdata) and other HDF5 files.
//!
//! A NeXus file says which group holds the plot (`default`), which dataset of it is the signal
//! and what its axes are. In any other HDF5 file every dataset of numbers is a signal, and the
//! axes are its neighbours that look like axes. Tested against files written by h5py.

mod axes;
mod read;

use crate::{Confidence, FormatId, Input, IoError, OpenOptions, Reader, hdf5};
use kalpha_core::Dataset;

/// The reader of NeXus files.
pub(crate) struct Nexus;

impl Reader for Nexus {
    fn format(&self) -> FormatId {
        FormatId::new("nexus")
    }

    fn about(&self) -> &'static str {
        "NeXus (HDF5), every NXdata group a signal"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["nxs", "nx", "nx5"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        match (input.head(8) == hdf5::MAGIC, self.extensions().contains(&&*input.extension())) {
            (true, _) if read::says_nexus(input) => Confidence::Certain,
            (_, true) => Confidence::Name,
            _ => Confidence::No,
        }
    }

    fn signals(&self, input: &Input) -> Result<Vec<String>, IoError> {
        read::signals(input, true)
    }

    fn read(&self, input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
        read::read(input, options, true)
    }
}

/// The reader of HDF5 files that no other reader knows.
pub(crate) struct Hdf5;

impl Reader for Hdf5 {
    fn format(&self) -> FormatId {
        FormatId::new("hdf5")
    }

    fn about(&self) -> &'static str {
        "any HDF5 file, every array of numbers a signal"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["h5", "hdf5", "hdf"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        // What others know better is theirs: they look inside.
        match input.head(8) == hdf5::MAGIC {
            true if self.extensions().contains(&&*input.extension()) => Confidence::Likely,
            true => Confidence::Name,
            false => Confidence::No,
        }
    }

    fn signals(&self, input: &Input) -> Result<Vec<String>, IoError> {
        read::signals(input, false)
    }

    fn read(&self, input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
        read::read(input, options, false)
    }
}
