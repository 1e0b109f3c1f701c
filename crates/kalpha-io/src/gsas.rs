//! GSAS powder data: `.fxye`, `.gsas`, `.gsa`, `.gda`.
//!
//! A title line, comments, then banks: `BANK n points records BINTYPE four numbers TYPE` and the
//! values. `CONS` has angles in centidegree from the first number in steps of the second; other
//! bin types are times of flight in microseconds. `STD` holds up to ten `(I2,F6.0)` a line,
//! `ESD` five pairs of `(F8,F8)`, `FXY` and `FXYE` position, intensity (and standard deviation).
//!
//! Source: A. C. Larson, R. B. Von Dreele, General Structure Analysis System, LAUR 86-748 (2004).

mod read;

use crate::{Confidence, FormatId, Input, IoError, OpenOptions, Reader};
use kalpha_core::Dataset;

/// The reader of GSAS powder data.
pub(crate) struct Gsas;

impl Reader for Gsas {
    fn format(&self) -> FormatId {
        FormatId::new("gsas")
    }

    fn about(&self) -> &'static str {
        "GSAS powder data (text)"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["fxye", "gsas", "gsa", "gda", "gss"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        let head = String::from_utf8_lossy(input.head(8192));
        if head.lines().skip(1).any(read::is_bank) {
            Confidence::Certain
        } else if self.extensions().contains(&input.extension().as_str()) {
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
