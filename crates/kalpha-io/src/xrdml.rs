//! PANalytical `.xrdml` (schemas 1.0 to 2.x): scans of a diffractometer as XML.
//!
//! A measurement holds scans, a scan the positions of every axis (start and end, a list, or one
//! common position) and the counts of each point. Scans on the same axis, as an area
//! measurement has them, are also a series along the axis stepped between them.

mod read;

use crate::{Confidence, FormatId, Input, IoError, OpenOptions, Reader, xml};
use kalpha_core::Dataset;

/// The reader of `.xrdml`.
pub(crate) struct Xrdml;

impl Reader for Xrdml {
    fn format(&self) -> FormatId {
        FormatId::new("xrdml")
    }

    fn about(&self) -> &'static str {
        "PANalytical diffraction scans (XML)"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["xrdml"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        if xml::decode(input.head(1024)).contains("<xrdMeasurements") {
            Confidence::Certain
        } else if input.extension() == "xrdml" {
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
