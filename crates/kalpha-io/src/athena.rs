//! Athena project `.prj`: groups of X-ray absorption (Ravel and Newville, 2005,
//! doi:10.1107/S0909049505012719).
//!
//! Perl statements, gzipped or plain: for each group `$old_group`, `@args` (all parameters, in
//! pairs), the arrays `@x @y @i0 @signal @stddev`, then `[record]`. Newer programs write the
//! same as JSON. Each array but `x` is a signal: `y` under the label of its group, the others
//! as `LABEL.i0` and so on.

pub(crate) mod perl;
mod read;

use crate::{Confidence, FormatId, Input, IoError, OpenOptions, Reader};
use kalpha_core::Dataset;

/// Said in the third line of what this program wrote.
pub(crate) const WRITTEN_BY: &str = "# using kalpha";

/// The reader of `.prj`.
pub(crate) struct Athena;

impl Reader for Athena {
    fn format(&self) -> FormatId {
        FormatId::new("prj")
    }

    fn about(&self) -> &'static str {
        "Athena project, X-ray absorption"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["prj"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        if read::is_project(input) {
            Confidence::Certain
        } else if input.extension() == "prj" {
            Confidence::Name
        } else {
            Confidence::No
        }
    }

    fn signals(&self, input: &Input) -> Result<Vec<String>, IoError> {
        Ok(read::list(input)?.names())
    }

    fn read(&self, input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
        if options.signal.is_none()
            && let Some(dataset) = read::stated(input)?
        {
            return Ok(dataset);
        }
        read::list(input)?.dataset(input, options)
    }
}
