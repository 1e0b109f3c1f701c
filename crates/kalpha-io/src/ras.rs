//! Rigaku `.ras`: scans of a diffractometer as text.
//!
//! Between `*RAS_DATA_START` and `*RAS_DATA_END` stand sections of a header (`*KEY "value"`) and
//! of data (position, intensity, attenuation factor).

mod read;

use crate::{Confidence, FormatId, Input, IoError, OpenOptions, Reader};
use kalpha_core::Dataset;

pub(crate) use read::{Profile, profile_signals};

/// The reader of `.ras`.
pub(crate) struct Ras;

impl Reader for Ras {
    fn format(&self) -> FormatId {
        FormatId::new("ras")
    }

    fn about(&self) -> &'static str {
        "Rigaku diffraction scans (text)"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["ras"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        if input.head(256).starts_with(b"*RAS_DATA_START") {
            Confidence::Certain
        } else if input.extension() == "ras" {
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
