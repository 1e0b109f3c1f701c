//! HyperSpy `.hspy`: HDF5 with `/Experiments/<name>/{data, axis-0.., metadata,
//! original_metadata}`.
//!
//! `tree.rs` turns groups and attributes into JSON, `read.rs` the data into rows and the
//! metadata into [`kalpha_core::Metadata`]. Tested against HyperSpy (tests/readers/hspy.rs).

mod read;
mod tree;

use crate::{Confidence, FormatId, Input, IoError, OpenOptions, Reader};
use kalpha_core::Dataset;

/// The reader of `.hspy`.
pub(crate) struct Hspy;

/// First bytes of every HDF5 file.
const HDF5_MAGIC: &[u8] = b"\x89HDF\r\n\x1a\n";

impl Reader for Hspy {
    fn format(&self) -> FormatId {
        FormatId::new("hspy")
    }

    fn about(&self) -> &'static str {
        "HyperSpy signal (HDF5)"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["hspy", "hdf5", "h5"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        let named = self.extensions().contains(&input.extension().as_str());
        match (input.head(8) == HDF5_MAGIC, named) {
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
