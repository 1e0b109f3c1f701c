//! EMSA/MAS `.msa`: one spectrum as text (ISO 22029:2022).
//!
//! Lines `#KEYWORD -unit: value`, then the values: `DATATYPE Y` has `NCOLUMNS` values a line,
//! `XY` has pairs, in `XUNITS` from `OFFSET` in steps of `XPERCHAN`.

mod read;

use crate::{Confidence, FormatId, Input, IoError, OpenOptions, Reader};
use kalpha_core::Dataset;

/// The reader of `.msa`.
pub(crate) struct Msa;

impl Reader for Msa {
    fn format(&self) -> FormatId {
        FormatId::new("msa")
    }

    fn about(&self) -> &'static str {
        "EMSA/MAS spectrum (text)"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["msa", "emsa", "ems"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        let head = String::from_utf8_lossy(input.head(256)).to_ascii_uppercase();
        if head.contains("#FORMAT") && head.contains("EMSA/MAS") {
            Confidence::Certain
        } else if self.extensions().contains(&input.extension().as_str()) {
            Confidence::Name
        } else {
            Confidence::No
        }
    }

    fn signals(&self, _: &Input) -> Result<Vec<String>, IoError> {
        Ok(vec!["spectrum".to_owned()])
    }

    fn read(&self, input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
        input.only_signal("spectrum", options)?;
        read::read(input)
    }
}
