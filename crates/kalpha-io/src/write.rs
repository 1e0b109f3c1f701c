//! Writers. Every file and folder appears whole or not at all.
//!
//! A file is written beside its target under a hidden name, flushed to disk, and renamed; a
//! failure removes what was begun. [`OutputFolder`] does the same for a whole folder.
//! [`write_dataset`] writes what a reader gave, in the format its name asks for.

mod athena;
mod columns;
mod csv;
mod dataset;
mod file;
mod folder;
mod hdf5;
mod hspy;
mod msa;
mod nexus;
mod npy;
mod stored;
mod xdi;
mod zarr;
mod zspy;

pub use csv::{Field, write_csv};
pub use dataset::{Writer, write_dataset, writer_for, writers};
pub use file::{write_bytes, write_file};
pub use folder::OutputFolder;
pub use msa::write_msa;
pub use npy::write_npy;
pub use zarr::{Compression, write_zarr, write_zarr_group};

use crate::plain::{Number, NumberKind};

/// Values of an array to be written, row-major.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum Values<'a> {
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    F32(&'a [f32]),
    F64(&'a [f64]),
}

macro_rules! each {
    ($self:expr, $v:ident => $do:expr) => {
        match $self {
            Values::U8($v) => $do,
            Values::U16($v) => $do,
            Values::U32($v) => $do,
            Values::I16($v) => $do,
            Values::I32($v) => $do,
            Values::F32($v) => $do,
            Values::F64($v) => $do,
        }
    };
}

impl Values<'_> {
    /// Number of values.
    pub fn len(&self) -> usize {
        each!(self, v => v.len())
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of the values.
    fn number(&self) -> Number {
        let (kind, width) = match self {
            Self::U8(_) => (NumberKind::Unsigned, 1),
            Self::U16(_) => (NumberKind::Unsigned, 2),
            Self::U32(_) => (NumberKind::Unsigned, 4),
            Self::I16(_) => (NumberKind::Signed, 2),
            Self::I32(_) => (NumberKind::Signed, 4),
            Self::F32(_) => (NumberKind::Float, 4),
            Self::F64(_) => (NumberKind::Float, 8),
        };
        Number { kind, width, big_endian: false }
    }

    /// Bytes of one value.
    fn width(&self) -> usize {
        self.number().width
    }

    /// Appends values `range` as little-endian bytes.
    fn extend_bytes(&self, range: std::ops::Range<usize>, out: &mut Vec<u8>) {
        each!(self, v => v[range].iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes())));
    }
}
