//! Renishaw WiRE `.wdf`: Raman spectra, series, lines, maps, depth profiles.
//!
//! Everything is little-endian. The file is a chain of blocks (`blocks.rs`): `WDF1` with the
//! numbers of points and spectra, `DATA` with the intensities, `XLST` with the Raman shifts,
//! `ORGN` with position, time and more of each spectrum, `WMAP` with the grid. `read.rs` puts
//! them together: positions decide where a spectrum stands in a map.
//!
//! The layout is not published; it is described by the projects py-wdf-reader (MIT) and
//! gwyfile, and was checked against renishawWiRE 0.1.16 and RosettaSciIO 0.15 (tests/golden).

mod blocks;
mod read;

use crate::{Confidence, FormatId, Input, IoError, OpenOptions, Reader};
use kalpha_core::Dataset;

/// The reader of `.wdf`.
pub(crate) struct Wdf;

impl Reader for Wdf {
    fn format(&self) -> FormatId {
        FormatId::new("wdf")
    }

    fn about(&self) -> &'static str {
        "Renishaw WiRE (Raman spectra and maps)"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["wdf"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        let head = input.head(16);
        if head.starts_with(b"WDF1") && head.len() == 16 && head[8..] == 512u64.to_le_bytes() {
            Confidence::Certain
        } else if input.extension() == "wdf" {
            Confidence::Name
        } else {
            Confidence::No
        }
    }

    fn signals(&self, _: &Input) -> Result<Vec<String>, IoError> {
        Ok(vec!["spectra".to_owned()])
    }

    fn read(&self, input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
        input.only_signal("spectra", options)?;
        read::read(input)
    }
}
