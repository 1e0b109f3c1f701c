//! Rigaku `.rasx`: a ZIP of scans, each a text of points and an XML of conditions.
//!
//! `Data<i>/Profile<j>.txt` holds position, intensity and attenuation factor,
//! `Data<i>/MesurementConditions<j>.xml` (so spelt) what was measured how.

mod read;

use crate::{Confidence, FormatId, Input, IoError, OpenOptions, Reader, archive};
use kalpha_core::Dataset;

/// The reader of `.rasx`.
pub(crate) struct Rasx;

impl Reader for Rasx {
    fn format(&self) -> FormatId {
        FormatId::new("rasx")
    }

    fn about(&self) -> &'static str {
        "Rigaku diffraction scans (ZIP of XML and text)"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["rasx"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        if archive::is_archive_with(input, "MesurementConditions") {
            Confidence::Certain
        } else if input.extension() == "rasx" {
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
