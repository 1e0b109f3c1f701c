//! Rows as an array file stores them: in the type of the file they came from, a piece at a time.

use crate::{
    IoError,
    plain::{Number, NumberKind},
};
use kalpha_core::{Cell, CellBuffer, CellData, DType, Dataset, Rows};
use std::{ops::Range, path::Path};

/// Values laid out at once.
const PIECE: usize = 1 << 19;

/// A number type by the name NumPy gives it.
pub(super) fn number_named(dtype: &str) -> Option<Number> {
    let (kind, bits) = match dtype {
        "bool" => (NumberKind::Unsigned, "8"),
        name => [
            ("uint", NumberKind::Unsigned),
            ("int", NumberKind::Signed),
            ("float", NumberKind::Float),
        ]
        .into_iter()
        .find_map(|(word, kind)| name.strip_prefix(word).map(|bits| (kind, bits)))?,
    };
    let bits: usize = bits.parse().ok()?;
    bits.is_multiple_of(8).then(|| Number::new(kind, bits / 8, false))?
}

/// The type to write a dataset in: as its file stored it, else the narrowest that holds it.
pub(super) fn number_of(path: &Path, dataset: &Dataset) -> Result<Number, IoError> {
    if let Some(number) = dataset.source.dtype.as_deref().and_then(number_named) {
        return Ok(number);
    }
    let (kind, width) = match dataset.meta().dtype {
        DType::F32 => (NumberKind::Float, 4),
        DType::F64 => (NumberKind::Float, 8),
        DType::I16 => (NumberKind::Signed, 2),
        DType::I32 => (NumberKind::Signed, 4),
        DType::U8 | DType::U16 | DType::U32 | DType::Csr => {
            let mut largest = 0f64;
            for_each_cell(&dataset.rows, 0..dataset.meta().rows, |cell| {
                cell.for_each_nonzero(|_, _, x| largest = largest.max(x));
                Ok(())
            })
            .map_err(|e| e.at(path))?;
            let width = match largest {
                x if x <= 255.0 => 1,
                x if x <= 65_535.0 => 2,
                _ => 4,
            };
            (NumberKind::Unsigned, width)
        }
    };
    Ok(Number { kind, width, big_endian: false })
}

/// Why rows could not be laid out.
#[derive(Debug)]
pub(super) enum Failed {
    Rows(kalpha_core::RowsError),
    Inexact { row: usize, channel: usize, value: f64 },
    Write(std::io::Error),
}

impl Failed {
    /// The error, as that of writing `path`.
    pub fn at(self, path: &Path) -> IoError {
        match self {
            Self::Rows(source) => IoError::Rows { file: path.to_owned(), source },
            Self::Inexact { row, channel, value } => IoError::CannotHold {
                path: path.to_owned(),
                field: "value",
                got: format!("{value} in row {row}, channel {channel}"),
                supported: "values that its number type holds exactly",
            },
            Self::Write(source) => super::file::failed(path, source),
        }
    }
}

/// Hands out the rows `range` in pieces of bounded size, in order.
fn for_each_cell(
    rows: &Rows,
    range: Range<usize>,
    mut f: impl FnMut(&Cell<'_>) -> Result<(), Failed>,
) -> Result<(), Failed> {
    let step = (PIECE / rows.meta().channels.max(1)).max(1);
    let mut buffer = CellBuffer::default();
    let mut start = range.start;
    while start < range.end {
        let stop = (start + step).min(range.end);
        f(&rows.cell(start..stop, &mut buffer).map_err(Failed::Rows)?)?;
        start = stop;
    }
    Ok(())
}

/// Rows as little-endian bytes of one number type.
pub(super) struct Stored<'a> {
    pub rows: &'a Rows,
    pub number: Number,
}

impl Stored<'_> {
    /// Hands out the rows `range` piece by piece.
    pub fn for_each_piece(
        &self,
        range: Range<usize>,
        mut f: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<(), Failed> {
        let mut bytes = Vec::new();
        for_each_cell(self.rows, range, |cell| {
            bytes.clear();
            append(cell, self.number, &mut bytes)?;
            f(&bytes).map_err(Failed::Write)
        })
    }

    /// Appends the rows `range` to `out`.
    pub fn append(&self, range: Range<usize>, out: &mut Vec<u8>) -> Result<(), Failed> {
        for_each_cell(self.rows, range, |cell| append(cell, self.number, out))
    }
}

/// Appends a cell; a value that the type cannot hold exactly is an error.
fn append(cell: &Cell<'_>, number: Number, out: &mut Vec<u8>) -> Result<(), Failed> {
    macro_rules! same {
        ($values:expr) => {{
            $values.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes()));
            return Ok(());
        }};
    }
    match (cell.data, number.kind, number.width) {
        (CellData::U8(v), NumberKind::Unsigned, 1) => {
            out.extend_from_slice(v);
            return Ok(());
        }
        (CellData::U16(v), NumberKind::Unsigned, 2) => same!(v),
        (CellData::U32(v), NumberKind::Unsigned, 4) => same!(v),
        (CellData::I16(v), NumberKind::Signed, 2) => same!(v),
        (CellData::I32(v), NumberKind::Signed, 4) => same!(v),
        // Copied whole: the sign of a zero and the bits of a NaN are kept.
        (CellData::F32(v), NumberKind::Float, 4) => same!(v),
        (CellData::F64(v), NumberKind::Float, 8) => same!(v),
        _ => {}
    }
    let (base, width) = (out.len(), number.width);
    out.resize(base + cell.rows * cell.channels * width, 0);
    let mut inexact = None;
    macro_rules! convert {
        ($($kind:pat, $width:pat => $type:ty),*) => {
            match (number.kind, width) {
                $(($kind, $width) => cell.for_each_nonzero(|r, c, x| {
                    let value = x as $type;
                    if value as f64 != x && !x.is_nan() {
                        inexact.get_or_insert((r, c, x));
                    }
                    let at = base + (r * cell.channels + c) * width;
                    out[at..at + width].copy_from_slice(&value.to_le_bytes());
                }),)*
            }
        };
    }
    convert! {
        NumberKind::Unsigned, 1 => u8,
        NumberKind::Unsigned, 2 => u16,
        NumberKind::Unsigned, 4 => u32,
        NumberKind::Unsigned, _ => u64,
        NumberKind::Signed, 1 => i8,
        NumberKind::Signed, 2 => i16,
        NumberKind::Signed, 4 => i32,
        NumberKind::Signed, _ => i64,
        NumberKind::Float, 4 => f32,
        NumberKind::Float, _ => f64
    }
    match inexact {
        Some((r, channel, value)) => {
            Err(Failed::Inexact { row: cell.first_row + r, channel, value })
        }
        None => Ok(()),
    }
}
