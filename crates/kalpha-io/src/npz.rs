//! NumPy `.npz`: a ZIP file of `.npy` members, every array of numbers a signal.
//!
//! `<stem>.json` beside it describes the default array, as it does for a `.npy`. Without it, a
//! one-dimensional array whose length only one axis has, with rising or falling values, is
//! that axis. Tested against NumPy.

mod read;

use crate::{Confidence, FormatId, Input, IoError, OpenOptions, Reader, zip};
use kalpha_core::Dataset;

/// The reader of `.npz`.
pub(crate) struct Npz;

impl Reader for Npz {
    fn format(&self) -> FormatId {
        FormatId::new("npz")
    }

    fn about(&self) -> &'static str {
        "NumPy arrays in a ZIP file, axes in a JSON file beside it"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["npz"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        let named = input.extension() == "npz";
        match input.bytes().starts_with(zip::MAGIC) {
            true if read::first_is_npy(input) => Confidence::Certain,
            _ if named => Confidence::Name,
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
