//! CIF: documents, crystal structures and powder patterns (pdCIF).
//!
//! [`Document`] holds blocks, items and loops of a CIF 1.1 text; [`Structure`] what they say of a
//! crystal: cell, symmetry operations and sites, each number with its standard uncertainty.
//!
//! ```
//! let text = "data_CsCl\n_cell_length_a 4.126(1)\n_cell_length_b 4.126\n_cell_length_c 4.126\n\
//!     _cell_angle_alpha 90\n_cell_angle_beta 90\n_cell_angle_gamma 90\n\
//!     _space_group_name_H-M_alt 'P m -3 m'\n\
//!     loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n\
//!     Cs 0 0 0\nCl 1/2 0.5 .5\n";
//! let structure = &kalpha_io::cif::structures_of(text)?[0];
//! assert_eq!(structure.operations.len(), 48);
//! assert_eq!(structure.positions(&structure.sites[1]).len(), 1);
//! # Ok::<(), kalpha_io::cif::CifError>(())
//! ```
//!
//! Source: S. R. Hall, F. H. Allen, I. D. Brown, Acta Cryst. A47, 655 (1991), and the syntax of
//! CIF 1.1 (International Tables for Crystallography, vol. G, 2.2).

mod document;
mod hall;
mod number;
mod operation;
mod pattern;
mod site;
mod space_group;
mod structure;

pub use document::{Block, Document, Loop, Value};
pub use number::Measured;
pub use operation::Operation;
pub use site::Site;
pub use space_group::{OperationsFrom, SpaceGroup};
pub use structure::{Cell, Structure};

use crate::{Confidence, FormatId, Input, IoError, OpenOptions, Reader, xml};
use kalpha_core::Dataset;

/// A text is no CIF, or a block of it no structure.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{field} at byte {offset}: expected {expected}, got {got}")]
pub struct CifError {
    /// Byte at which it went wrong.
    pub offset: usize,
    /// The item or the part of the syntax.
    pub field: String,
    /// What is demanded there.
    pub expected: String,
    /// What is there.
    pub got: String,
}

impl CifError {
    fn new(offset: usize, field: impl Into<String>, expected: &str, got: &str) -> Self {
        let got: String = got.chars().take(40).collect();
        Self { offset, field: field.into(), expected: expected.to_owned(), got }
    }

    fn of(self, input: &Input) -> IoError {
        input.corrupt(self.offset as u64, self.field, self.expected, self.got)
    }
}

/// The structures of a CIF text, block by block; blocks without a cell and sites are passed over.
///
/// # Errors
/// When the text is no CIF, or a block with a cell and sites makes no structure.
pub fn structures_of(text: &str) -> Result<Vec<Structure>, CifError> {
    let document = Document::parse(text)?;
    document.blocks.iter().filter_map(|block| Structure::of_block(block).transpose()).collect()
}

/// The structures of a CIF file.
///
/// # Errors
/// When the file cannot be read, is no CIF, or a block with a cell and sites makes no structure.
pub fn structures(input: &Input) -> Result<Vec<Structure>, IoError> {
    structures_of(&xml::decode(input.bytes())).map_err(|e| e.of(input))
}

/// The reader of powder patterns in CIF.
pub(crate) struct Cif;

impl Reader for Cif {
    fn format(&self) -> FormatId {
        FormatId::new("cif")
    }

    fn about(&self) -> &'static str {
        "powder patterns of a CIF (text)"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["cif", "pdcif"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        let head = xml::decode(input.head(1 << 14));
        let starts = |line: &str| line.get(..5).is_some_and(|s| s.eq_ignore_ascii_case("data_"));
        let mut lines = head.lines().map(str::trim).filter(|l| !l.is_empty());
        let first = lines.find(|l| !l.starts_with('#')).is_some_and(starts);
        let known = self.extensions().contains(&input.extension().as_str());
        match (first || head.starts_with("#\\#CIF"), known) {
            (true, true) => Confidence::Certain,
            (true, false) if head.contains("\n_") || head.contains("loop_") => Confidence::Likely,
            (_, true) => Confidence::Name,
            _ => Confidence::No,
        }
    }

    fn signals(&self, input: &Input) -> Result<Vec<String>, IoError> {
        Ok(pattern::list(input)?.names())
    }

    fn read(&self, input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
        pattern::list(input)?.dataset(input, options)
    }
}
