//! NumPy `.npy`, version 1.0: C order, little-endian. A dataset's axes, metadata and history go
//! into a JSON file beside it.

use super::{
    Values, Writer,
    file::{write_bytes, write_file},
    stored::{Stored, number_of},
};
use crate::{FormatId, IoError, plain::NumberKind, sidecar::Sidecar};
use kalpha_core::{Dataset, Event};
use std::{
    io::Write,
    path::{Path, PathBuf},
};

/// The writer of `.npy`.
pub(super) struct NpyWriter;

impl Writer for NpyWriter {
    fn format(&self) -> FormatId {
        FormatId::new("npy")
    }

    fn about(&self) -> &'static str {
        "NumPy array, everything else in a JSON file beside it"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["npy"]
    }

    fn targets(&self, path: &Path) -> Vec<PathBuf> {
        vec![path.to_owned(), path.with_extension("json")]
    }

    fn write(&self, path: &Path, dataset: &Dataset, history: &[Event]) -> Result<(), IoError> {
        let meta = dataset.meta();
        let number = number_of(path, dataset)?;
        let kind = match number.kind {
            NumberKind::Unsigned => 'u',
            NumberKind::Signed => 'i',
            NumberKind::Float => 'f',
        };
        let order = if number.width == 1 { '|' } else { '<' };
        let mut shape = meta.grid();
        shape.push(meta.channels);
        let header = header(path, &format!("{order}{kind}{}", number.width), &shape)?;
        let mut failed = None;
        let stored = Stored { rows: &dataset.rows, number };
        write_file(path, |w| {
            w.write_all(&header)?;
            stored.for_each_piece(0..meta.rows, |bytes| w.write_all(bytes)).map_err(|error| {
                failed = Some(error);
                std::io::Error::other("the rows could not be laid out")
            })
        })
        .map_err(|error| failed.take().map_or(error, |failed| failed.at(path)))?;
        let text =
            serde_json::to_string_pretty(&Sidecar::json(dataset, history)).unwrap_or_default();
        write_bytes(&path.with_extension("json"), (text + "\n").as_bytes())
    }
}

/// Magic, version and dictionary; values start at a multiple of 64 bytes, so they can be mapped.
fn header(path: &Path, descr: &str, shape: &[usize]) -> Result<Vec<u8>, IoError> {
    let dimensions: String = shape.iter().map(|n| format!("{n}, ")).collect();
    let mut text =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({dimensions}), }}");
    let whole = (10 + text.len() + 1).next_multiple_of(64);
    text.extend(std::iter::repeat_n(' ', whole - 10 - text.len() - 1));
    text.push('\n');
    let length = u16::try_from(text.len()).map_err(|_| IoError::CannotHold {
        path: path.to_owned(),
        field: "shape",
        got: format!("{} dimensions", shape.len()),
        supported: "a header of 64 KiB",
    })?;
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend(length.to_le_bytes());
    header.extend(text.as_bytes());
    Ok(header)
}

/// Writes an array.
///
/// # Errors
/// [`IoError::CannotHold`] when the values do not fill the shape, else as
/// [`super::write_file`].
pub fn write_npy(path: &Path, shape: &[usize], values: Values) -> Result<(), IoError> {
    if shape.iter().product::<usize>() != values.len() {
        return Err(IoError::CannotHold {
            path: path.to_owned(),
            field: "number of values",
            got: format!("{} for shape {shape:?}", values.len()),
            supported: "as many as the shape",
        });
    }
    let descr = match values {
        Values::U8(_) => "|u1",
        Values::U16(_) => "<u2",
        Values::U32(_) => "<u4",
        Values::I16(_) => "<i2",
        Values::I32(_) => "<i4",
        Values::F32(_) => "<f4",
        Values::F64(_) => "<f8",
    };
    let header = header(path, descr, shape)?;
    write_file(path, |w| {
        w.write_all(&header)?;
        let mut bytes = Vec::new();
        let mut start = 0;
        while start < values.len() {
            let end = (start + (1 << 16)).min(values.len());
            bytes.clear();
            values.extend_bytes(start..end, &mut bytes);
            w.write_all(&bytes)?;
            start = end;
        }
        Ok(())
    })
}
