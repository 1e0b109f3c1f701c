//! Powder patterns as columns: `.xy`, `.xye` and `.prn`.
//!
//! Comment lines first, then angle and intensity in each line; a third column of `.xye` is the
//! standard deviation. Separators are blanks, tabs, commas or semicolons.

mod read;

use crate::{Confidence, FormatId, Input, IoError, OpenOptions, Reader, xml};
use kalpha_core::Dataset;

/// Bytes by which a file is judged.
const JUDGED: usize = 1 << 14;

/// The reader of `.xy`, `.xye` and `.prn`.
pub(crate) struct Xy;

impl Reader for Xy {
    fn format(&self) -> FormatId {
        FormatId::new("xy")
    }

    fn about(&self) -> &'static str {
        "powder pattern in columns (text)"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["xy", "xye", "prn"]
    }

    /// The name and numbers that can be angles; a photoelectron spectrum may bear the same name.
    fn recognise(&self, input: &Input) -> Confidence {
        if !self.extensions().contains(&input.extension().as_str()) {
            return Confidence::No;
        }
        let head = input.head(JUDGED);
        let mut text = xml::decode(head).into_owned();
        if head.len() < input.bytes().len() {
            text.truncate(text.rfind('\n').map_or(0, |i| i + 1));
        }
        if read::looks_like_a_pattern(&text) { Confidence::Likely } else { Confidence::No }
    }

    fn signals(&self, input: &Input) -> Result<Vec<String>, IoError> {
        Ok(read::list(input)?.names())
    }

    fn read(&self, input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
        read::list(input)?.dataset(input, options)
    }
}
