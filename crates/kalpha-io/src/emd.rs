//! Thermo Fisher Velox `.emd`: HDF5 with `/Data/<kind>/<id>/{Data, Metadata}`.
//!
//! | kind | holds |
//! |---|---|
//! | SpectrumStream | events of one EDS detector (`events.rs`) |
//! | EelsSpectrumImage | EELS maps, stored (x, energy, y) |
//! | Spectrum | sums that the program made |
//! | Image | detector images and element maps, stored (y, x, frame) |
//!
//! `Metadata` is one JSON text per frame, padded with NUL; numbers in it are strings
//! (`metadata.rs`). `contents.rs` lists what there is, `read.rs` reads it. `/Version` names the
//! format and its version; 11 to 13 were tested, against RosettaSciIO 0.15 (tests/golden).
//! Other HDF5 files with this extension (NCEM) are refused by name.

mod contents;
mod events;
mod metadata;
mod read;

use crate::{Confidence, FormatId, Input, IoError, OpenOptions, Reader};
use kalpha_core::Dataset;

/// The reader of `.emd`.
pub(crate) struct Emd;

impl Reader for Emd {
    fn format(&self) -> FormatId {
        FormatId::new("emd")
    }

    fn about(&self) -> &'static str {
        "Thermo Fisher Velox (EDS events, EELS, images; HDF5)"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["emd"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        let named = input.extension() == "emd";
        if input.head(8) != crate::hdf5::MAGIC {
            return if named { Confidence::Name } else { Confidence::No };
        }
        if contents::says_velox(input) {
            Confidence::Certain
        } else if named {
            Confidence::Likely
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
