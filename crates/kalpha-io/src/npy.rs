//! NumPy `.npy` (format versions 1 to 3), the last axis being the signal.
//!
//! Unsigned integers and other native values in C order are memory-mapped. A file knows no
//! axes: `<stem>.json` beside it gives them,
//! `{"axes": [{"name", "units", "offset", "scale"} or {"name", "units", "axis": [..]}, ..],
//! "metadata": {"beam_energy_keV": 200, ..}}`, slowest axis first.

mod header;
mod read;

pub(crate) use header::{Header, number, read as header};

use crate::{Confidence, FormatId, Input, IoError, OpenOptions, Reader};
use kalpha_core::Dataset;

/// The reader of `.npy`.
pub(crate) struct Npy;

impl Reader for Npy {
    fn format(&self) -> FormatId {
        FormatId::new("npy")
    }

    fn about(&self) -> &'static str {
        "NumPy array, axes in a JSON file beside it"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["npy"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        if input.head(6) == header::MAGIC {
            Confidence::Certain
        } else if input.extension() == "npy" {
            Confidence::Name
        } else {
            Confidence::No
        }
    }

    fn signals(&self, _: &Input) -> Result<Vec<String>, IoError> {
        Ok(vec!["array".to_owned()])
    }

    fn read(&self, input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
        input.only_signal("array", options)?;
        read::read(input)
    }
}
