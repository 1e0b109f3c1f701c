//! HyperSpy `.hspy`: HDF5 with `/Experiments/<name>/{data, axis-0.., metadata,
//! original_metadata}`.
//!
//! `crate::hdf5` reads the file, `crate::hyperspy` knows what it means. Tested against HyperSpy
//! (tests/readers/hspy.rs).

mod read;

use crate::{Confidence, FormatId, Input, IoError, OpenOptions, Reader, hdf5};
use kalpha_core::Dataset;

/// The reader of `.hspy`.
pub(crate) struct Hspy;

impl Reader for Hspy {
    fn format(&self) -> FormatId {
        FormatId::new("hspy")
    }

    fn about(&self) -> &'static str {
        "HyperSpy signal (HDF5)"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["hspy"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        let named = self.extensions().contains(&input.extension().as_str());
        match (input.head(8) == hdf5::MAGIC, named) {
            (true, _) if read::says_hyperspy(input) => Confidence::Certain,
            (true, true) => Confidence::Likely,
            (false, true) => Confidence::Name,
            _ => Confidence::No,
        }
    }

    fn signals(&self, input: &Input) -> Result<Vec<String>, IoError> {
        read::signals(input)
    }

    fn read(&self, input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
        read::read(input, options)
    }
}
