//! SPEC data files, also as PyMca writes `.mca`: scans of columns and of multichannel spectra
//! (Certified Scientific Software, SPEC manual, "standard data file format").
//!
//! `#S 1 ascan ..` starts a scan, `#L a  b  c` labels its columns two blanks apart, `@A` starts
//! a spectrum that `#@CALIB a b c` calibrates and a backslash continues. A column is the
//! signal `SCAN/LABEL`, the spectra of a scan are the rows of `SCAN/mca`.

mod read;

use crate::{Confidence, FormatId, Input, IoError, OpenOptions, Reader};
use kalpha_core::Dataset;

/// The reader of SPEC files.
pub(crate) struct Spec;

impl Reader for Spec {
    fn format(&self) -> FormatId {
        FormatId::new("spec")
    }

    fn about(&self) -> &'static str {
        "SPEC or PyMca scans (text)"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["spec", "mca", "dat"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        let head = String::from_utf8_lossy(input.head(1 << 14));
        let mut lines = head.lines().filter(|l| !l.trim().is_empty());
        let starts = lines.next().is_some_and(|l| l.starts_with("#F ") || l.starts_with("#S "));
        let scan = head.starts_with("#S ") || head.contains("\n#S ");
        let data = ["\n#L ", "\n#N ", "\n@A", "\n#@MCA"].iter().any(|k| head.contains(k));
        match (starts, scan && data) {
            (true, true) => Confidence::Certain,
            (true, false) if head.starts_with("#F ") => Confidence::Likely,
            _ => Confidence::No,
        }
    }

    fn signals(&self, input: &Input) -> Result<Vec<String>, IoError> {
        Ok(read::list(input)?.names())
    }

    fn read(&self, input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
        read::list(input)?.dataset(input, options)
    }
}
