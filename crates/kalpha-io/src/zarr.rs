//! Zarr versions 2 and 3 (zarr-specs.readthedocs.io), and HyperSpy's `.zspy` on top of it, as
//! a folder or a ZIP file.
//!
//! `store.rs` finds the files, `node.rs` reads their headers, `array.rs` the chunks, `read.rs`
//! makes datasets. Tested against files written by zarr-python and HyperSpy.

mod array;
mod node;
mod read;
mod store;

use crate::{Confidence, FormatId, Input, IoError, OpenOptions, Reader};
use kalpha_core::Dataset;

/// Files that make a folder a Zarr node.
pub(crate) const HEADERS: [&str; 3] = ["zarr.json", ".zgroup", ".zarray"];

/// The reader of `.zarr`.
pub(crate) struct Zarr;

impl Reader for Zarr {
    fn format(&self) -> FormatId {
        FormatId::new("zarr")
    }

    fn about(&self) -> &'static str {
        "Zarr 2 and 3, folder or ZIP"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["zarr"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        match (read::is_zarr(input), input.extension() == "zarr") {
            (true, _) if read::says_hyperspy(input) => Confidence::Name,
            (true, _) => Confidence::Certain,
            (false, true) => Confidence::Name,
            _ => Confidence::No,
        }
    }

    fn signals(&self, input: &Input) -> Result<Vec<String>, IoError> {
        read::signals(input)
    }

    fn read(&self, input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
        read::read(input, options)
    }
}

/// The reader of `.zspy`.
pub(crate) struct Zspy;

impl Reader for Zspy {
    fn format(&self) -> FormatId {
        FormatId::new("zspy")
    }

    fn about(&self) -> &'static str {
        "HyperSpy signal (Zarr), folder or ZIP"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["zspy"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        match (read::is_zarr(input), input.extension() == "zspy") {
            (true, _) if read::says_hyperspy(input) => Confidence::Certain,
            (_, true) => Confidence::Name,
            _ => Confidence::No,
        }
    }

    fn signals(&self, input: &Input) -> Result<Vec<String>, IoError> {
        read::hyperspy_signals(input)
    }

    fn read(&self, input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
        read::read_hyperspy(input, options)
    }
}
