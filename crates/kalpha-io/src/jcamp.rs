//! JCAMP-DX `.jdx`, `.dx`, `.jcm`: spectra as text, versions 4.24 to 5.01 and 6.
//!
//! Labels `##LABEL= value`; tables `(X++(Y..Y))` in any of the forms AFFN, PAC, SQZ, DIF and DUP,
//! and `(XY..XY)`; several blocks in a file (LINK) and tables of several variables (NTUPLES).
//!
//! Source: R. S. McDonald, P. A. Wilks, Appl. Spectrosc. 42, 151 (1988),
//! doi:10.1366/0003702884428734; P. Lampen et al., Appl. Spectrosc. 48, 1545 (1994) for 5.

mod asdf;
mod read;

use crate::{Confidence, FormatId, Input, IoError, OpenOptions, Reader};
use kalpha_core::Dataset;

/// The reader of JCAMP-DX.
pub(crate) struct Jcamp;

impl Reader for Jcamp {
    fn format(&self) -> FormatId {
        FormatId::new("jcamp_dx")
    }

    fn about(&self) -> &'static str {
        "JCAMP-DX spectra (text)"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["jdx", "dx", "jcm", "jcamp"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        let head = String::from_utf8_lossy(input.head(2048)).to_ascii_uppercase();
        let head = head.trim_start_matches('\u{feff}').trim_start();
        let title = head.starts_with("##TITLE");
        if title && (head.contains("##JCAMP") || head.contains("##JCAMP-DX")) {
            Confidence::Certain
        } else if title {
            Confidence::Likely
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
