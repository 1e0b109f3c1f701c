//! Bruker `.bcf`: a hypermap of EDS spectra in an SFS container.
//!
//! The container (`sfs.rs`) holds small files: `EDSDatabase/HeaderData` is XML about the
//! measurement (`header.rs`) and images (`images.rs`), each `EDSDatabase/SpectrumDataN` the spectra of one detector
//! (`spectra.rs`), pixel by pixel in one of four packings. Spectra go straight to sparse
//! counts; a cube is never made.
//!
//! The layout is not published. It was worked out from files and checked against what
//! RosettaSciIO gives for them (tests/bcf.rs).

pub(crate) mod header;
mod images;
mod read;
mod sfs;
mod spectra;

use crate::{Confidence, FormatId, Input, IoError, OpenOptions, Reader};
use kalpha_core::Dataset;

/// The reader of `.bcf`.
pub(crate) struct Bcf;

impl Reader for Bcf {
    fn format(&self) -> FormatId {
        FormatId::new("bcf")
    }

    fn about(&self) -> &'static str {
        "Bruker hypermap (EDS, micro-XRF)"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["bcf"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        if input.head(8) == sfs::MAGIC {
            Confidence::Certain
        } else if input.extension() == "bcf" {
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
