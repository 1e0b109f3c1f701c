//! Column text as beamlines and programs write it: `.xmu .dat .nor .csv .txt` and others.
//!
//! Lines of numbers, as many in each; comments and labels before them; blanks, tabs, commas or
//! semicolons between; a point or a comma as decimal sign. The first column is the axis unless
//! a label names another, every other column is a signal, and so is every region where the
//! axis starts again.

pub(crate) mod labels;
mod read;
pub(crate) mod stated;
pub(crate) mod table;

pub(crate) use read::{insert, signals_of, stated_dataset, table};

use crate::{Confidence, FormatId, Input, IoError, OpenOptions, Reader, xml};
use kalpha_core::Dataset;

/// Bytes by which a file is judged.
const JUDGED: usize = 1 << 16;

/// First line of columns that this program wrote.
pub(crate) const MAGIC: &str = "# kalpha columns 1";

/// Name of all that such a file holds.
const DATA: &str = "data";

/// The reader of column text.
pub(crate) struct Columns;

impl Columns {
    /// True where the text at hand is columns for the most part.
    fn plausible(text: &str, known: bool) -> bool {
        // JSON and XML may have a number in each line.
        if text.trim_start().starts_with(['{', '[', '<']) || text.contains('\0') {
            return false;
        }
        let Ok(Some(table)) = table::Table::parse(text) else { return false };
        let rows: usize = table.blocks.iter().map(table::Block::rows).sum();
        let one = table.blocks.first().is_some_and(|b| b.columns.len() == 1);
        let enough = if one { 8 } else { 3 };
        rows >= enough && (known || !one) && table.strangers * 10 <= rows
    }
}

impl Reader for Columns {
    fn format(&self) -> FormatId {
        FormatId::new("columns")
    }

    fn about(&self) -> &'static str {
        "columns of numbers (text)"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["txt", "dat", "csv", "tsv", "asc", "xmu", "nor", "chi", "mca", "e"]
    }

    /// Many formats are columns below a header, so this reader comes last: it never says more
    /// than the name does, but of what this program wrote.
    fn recognise(&self, input: &Input) -> Confidence {
        let head = input.head(JUDGED);
        if head.starts_with(MAGIC.as_bytes()) {
            return Confidence::Certain;
        }
        let known = self.extensions().contains(&input.extension().as_str());
        let mut text = xml::decode(head).into_owned();
        if head.len() < input.bytes().len() {
            // The last line may be cut.
            text.truncate(text.rfind('\n').map_or(0, |i| i + 1));
        }
        if Self::plausible(&text, known) { Confidence::Name } else { Confidence::No }
    }

    fn signals(&self, input: &Input) -> Result<Vec<String>, IoError> {
        match read::stated(input)? {
            Some(_) => Ok(vec![DATA.to_owned()]),
            None => Ok(read::list(input)?.names()),
        }
    }

    fn read(&self, input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
        if let Some(dataset) = read::stated(input)? {
            input.only_signal(DATA, options)?;
            return Ok(dataset);
        }
        read::list(input)?.dataset(input, options)
    }
}
