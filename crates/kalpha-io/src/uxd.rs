//! Bruker/Socabim `.uxd`: ranges of a diffractometer as text.
//!
//! Lines `_KEY=value`, then intensities below `_COUNTS` or `_CPS`, or pairs of angle and intensity
//! below `_2THETACOUNTS`, `_2THETACPS` and their kin.

mod read;

use crate::{Confidence, FormatId, Input, IoError, OpenOptions, Reader};
use kalpha_core::Dataset;

/// The reader of `.uxd`.
pub(crate) struct Uxd;

impl Reader for Uxd {
    fn format(&self) -> FormatId {
        FormatId::new("uxd")
    }

    fn about(&self) -> &'static str {
        "Bruker diffraction scans (text)"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["uxd"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        let head = String::from_utf8_lossy(input.head(1024));
        if head.lines().any(|line| line.starts_with("_FILEVERSION")) {
            Confidence::Certain
        } else if input.extension() == "uxd" {
            Confidence::Name
        } else {
            Confidence::No
        }
    }

    fn signals(&self, input: &Input) -> Result<Vec<String>, IoError> {
        Ok(read::list(input)?.names())
    }

    fn read(&self, input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
        read::list(input)?.dataset(input, options)
    }
}
