//! JEOL `.pts`: EDS maps as lists of events.
//!
//! A header, a tree of tags (`tags.rs`) and little-endian u16 events (`read.rs`): the highest
//! four bits are 8 for a column, 9 for a line, 11 for a channel; everything else is skipped. A
//! line above the last one starts a frame. Columns and lines count to 4096 whatever the
//! resolution.
//!
//! The layout is not published. It was worked out from a file and checked against what
//! RosettaSciIO 0.15 gives for it (tests/golden).

mod read;
mod tags;

use crate::{Confidence, FormatId, Input, IoError, OpenOptions, Reader};
use kalpha_core::Dataset;

/// The reader of `.pts`.
pub(crate) struct Jeol;

impl Reader for Jeol {
    fn format(&self) -> FormatId {
        FormatId::new("jeol")
    }

    fn about(&self) -> &'static str {
        "JEOL Analysis Station map (EDS events)"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["pts"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        if input.head(12).get(4..) == Some(tags::MAGIC) {
            Confidence::Certain
        } else if input.extension() == "pts" {
            Confidence::Name
        } else {
            Confidence::No
        }
    }

    fn signals(&self, _: &Input) -> Result<Vec<String>, IoError> {
        Ok(vec!["EDS".to_owned()])
    }

    fn read(&self, input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
        input.only_signal("EDS", options)?;
        read::read(input)
    }
}
