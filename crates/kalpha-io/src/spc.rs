//! Galactic (Thermo Grams) `.spc`: new format (`4B`, and `4C` with bytes turned round) and old
//! format (`4D`), with one or many subfiles.
//!
//! A header of 512 bytes (old: 256, with the first subheader inside), x values where they are not
//! even, then subfiles: 32 bytes and the ordinates as 32-bit floats or as fractions of 16 or
//! 32 bits under an exponent. A log may follow.
//!
//! Source: Galactic Industries, Universal Data Format Specification (GSPC_UDF, 1997) and the
//! header `SPC.H` of its development kit.

mod read;

use crate::{Confidence, FormatId, Input, IoError, OpenOptions, Reader};
use kalpha_core::Dataset;

/// The reader of Galactic `.spc`.
pub(crate) struct Spc;

impl Reader for Spc {
    fn format(&self) -> FormatId {
        FormatId::new("spc")
    }

    fn about(&self) -> &'static str {
        "Galactic (Grams) spectra"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["spc"]
    }

    /// The second byte is all the magic there is; Bruker's EPR files bear the same extension.
    fn recognise(&self, input: &Input) -> Confidence {
        let version = matches!(input.head(2), [_, 0x4b | 0x4c | 0x4d | 0xcf]);
        match (input.extension() == "spc", version) {
            (true, true) => Confidence::Likely,
            (true, false) => Confidence::Name,
            _ => Confidence::No,
        }
    }

    fn signals(&self, input: &Input) -> Result<Vec<String>, IoError> {
        Ok(read::content(input)?.list.names())
    }

    fn read(&self, input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
        let content = read::content(input)?;
        let floats = content.floats;
        let mut dataset = content.list.dataset(input, options)?;
        if floats {
            dataset.source.dtype = Some("float32".to_owned());
        }
        Ok(dataset)
    }
}
