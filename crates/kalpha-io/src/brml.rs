//! Bruker `.brml`: a ZIP of XML; `Experiment<i>/RawData<j>.xml` holds a scan each.
//!
//! A `Datum` holds the numbers of one point; `DataViews` say which is what: time, absorption
//! factor, positions of the scan axes, and what was recorded. Recorded intensities are already
//! multiplied by the absorption factor.

mod read;

use crate::{Confidence, FormatId, Input, IoError, OpenOptions, Reader, archive};
use kalpha_core::Dataset;

/// The reader of `.brml`.
pub(crate) struct Brml;

impl Reader for Brml {
    fn format(&self) -> FormatId {
        FormatId::new("brml")
    }

    fn about(&self) -> &'static str {
        "Bruker diffraction scans (ZIP of XML)"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["brml"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        if archive::is_archive_with(input, "experimentCollection.xml")
            || archive::is_archive_with(input, "DataContainer.xml")
        {
            Confidence::Certain
        } else if input.extension() == "brml" {
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
