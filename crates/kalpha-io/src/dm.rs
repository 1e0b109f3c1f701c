//! Gatan DigitalMicrograph `.dm3` and `.dm4`: spectra, spectrum images and images.
//!
//! The file is a tree of tags (`tags.rs`). `ImageList` holds images: values, dimensions and
//! calibrations, and below `ImageTags` what the program knew of the measurement (`metadata.rs`).
//! Each image that is not a thumbnail is a signal (`read.rs`).
//!
//! Tested against RosettaSciIO 0.15 (tests/golden).

mod metadata;
mod read;
mod tags;

use crate::{Confidence, FormatId, Input, IoError, OpenOptions, Reader};
use kalpha_core::Dataset;

/// The reader of `.dm3` and `.dm4`.
pub(crate) struct Dm;

impl Reader for Dm {
    fn format(&self) -> FormatId {
        FormatId::new("dm")
    }

    fn about(&self) -> &'static str {
        "Gatan DigitalMicrograph (EELS, EDS, images)"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["dm3", "dm4"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        let named = self.extensions().contains(&input.extension().as_str());
        match (tags::looks_right(input), named) {
            (true, true) => Confidence::Certain,
            (true, false) => Confidence::Likely,
            (false, true) => Confidence::Name,
            (false, false) => Confidence::No,
        }
    }

    fn signals(&self, input: &Input) -> Result<Vec<String>, IoError> {
        read::signals(input)
    }

    fn read(&self, input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
        read::read(input, options)
    }
}
