//! Siemens/Bruker `.raw`, versions 1 (`RAW `), 2 (`RAW2`), 3 (`RAW1.01`) and 4 (`RAW4.00`).
//!
//! A file header, then ranges: a header with start, step and number of points, and the
//! intensities as 32-bit floats.
//!
//! Layouts: DIFFRAC plus XCH user's manual, appendix A (2002), for version 3; the others as
//! described in the documentation of xylib and fairmat-readers-xrd. Version 4 is not published.

mod read;

use crate::{Confidence, FormatId, Input, IoError, OpenOptions, Reader};
use kalpha_core::Dataset;

/// The reader of Bruker `.raw`.
pub(crate) struct BrukerRaw;

impl Reader for BrukerRaw {
    fn format(&self) -> FormatId {
        FormatId::new("bruker_raw")
    }

    fn about(&self) -> &'static str {
        "Siemens/Bruker diffraction scans, versions 1 to 4"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["raw"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        if read::Version::of(input).is_some() { Confidence::Certain } else { Confidence::No }
    }

    fn signals(&self, input: &Input) -> Result<Vec<String>, IoError> {
        Ok(read::list(input)?.names())
    }

    fn read(&self, input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
        let mut dataset = read::list(input)?.dataset(input, options)?;
        dataset.source.dtype = Some("float32".to_owned());
        Ok(dataset)
    }
}
