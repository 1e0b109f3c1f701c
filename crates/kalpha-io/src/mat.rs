//! MATLAB `.mat` of versions 5 to 7 (MATLAB MAT-File Format, The MathWorks, 2024).
//!
//! A header of 128 bytes, then tagged elements (`elements.rs`): matrices, in versions 6 and 7
//! deflated. Every real matrix of numbers is a signal, the largest the default; its last
//! dimension is the spectrum. A vector of the only fitting length with rising or falling values
//! is an axis. Files of version 7.3 are HDF5 and refused by name. Tested against SciPy.

mod elements;
mod read;

use crate::{Confidence, FormatId, Input, IoError, OpenOptions, Reader};
use kalpha_core::Dataset;

/// The reader of `.mat`.
pub(crate) struct Mat;

impl Reader for Mat {
    fn format(&self) -> FormatId {
        FormatId::new("mat")
    }

    fn about(&self) -> &'static str {
        "MATLAB matrices (versions 5 to 7)"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["mat"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        let order = input.head(128).get(126..).unwrap_or_default();
        if input.bytes().starts_with(b"MATLAB ") && matches!(order, b"IM" | b"MI") {
            Confidence::Certain
        } else if input.extension() == "mat" {
            Confidence::Name
        } else {
            Confidence::No
        }
    }

    fn signals(&self, input: &Input) -> Result<Vec<String>, IoError> {
        read::signals(input)
    }

    fn read(&self, input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
        read::read(input, options)
    }
}
