//! Ripple `.rpl` / `.raw`: a text header and a raw cube (Lispix; INCA, DTSA-II, HyperSpy).
//!
//! The header has one `key<tab>value` a line. `record-by vector` stores the cube as
//! height x width x depth, `image` as depth x height x width.

mod read;

use crate::{Confidence, FormatId, Input, IoError, OpenOptions, Reader};
use kalpha_core::Dataset;

/// The reader of `.rpl` / `.raw`.
pub(crate) struct Ripple;

impl Reader for Ripple {
    fn format(&self) -> FormatId {
        FormatId::new("rpl")
    }

    fn about(&self) -> &'static str {
        "Ripple cube (.rpl header, .raw data)"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["rpl", "raw"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        match input.extension().as_str() {
            "rpl" => {
                let head = String::from_utf8_lossy(input.head(4096)).to_ascii_lowercase();
                let known = ["record-by", "data-type", "depth"].iter().all(|k| head.contains(k));
                if known { Confidence::Likely } else { Confidence::Name }
            }
            "raw" if read::companion(input.path(), "rpl").is_some() => Confidence::Likely,
            _ => Confidence::No,
        }
    }

    fn signals(&self, _: &Input) -> Result<Vec<String>, IoError> {
        Ok(vec!["cube".to_owned()])
    }

    fn read(&self, input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
        input.only_signal("cube", options)?;
        read::read(input)
    }
}
