//! VAMAS `.vms` and PHI MultiPak `.npl`: surface analysis as text (ISO 14976; Dench, Hazell and
//! Seah, 1988, doi:10.1002/sia.740130202).
//!
//! One item a line, none named. A header, then blocks of forty items and the ordinates; an
//! item left out of a later block is that of the first. Each corresponding variable of a block
//! is a signal: the first under the name of its block, the others as `BLOCK/Transmission`. Blocks
//! of one region at several values of the first experimental variable are rows too, as
//! `C1s by Etch Time`; these are the default in a file of a depth profile.

mod block;
mod lines;
mod read;

use crate::{Confidence, FormatId, Input, IoError, OpenOptions, Reader};
use kalpha_core::Dataset;

const MAGIC: &str = "VAMAS Surface Chemical Analysis Standard Data Transfer Format 1988 May 4";

/// The reader of VAMAS.
pub(crate) struct Vamas;

impl Reader for Vamas {
    fn format(&self) -> FormatId {
        FormatId::new("vamas")
    }

    fn about(&self) -> &'static str {
        "VAMAS, surface analysis (text)"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["vms", "npl"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        if String::from_utf8_lossy(input.head(512)).contains(MAGIC) {
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
