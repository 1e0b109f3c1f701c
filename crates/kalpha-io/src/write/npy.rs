//! NumPy `.npy`, version 1.0: C order, little-endian.

use super::{Values, file::write_file};
use crate::IoError;
use std::{io::Write, path::Path};

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
    let dimensions: String = shape.iter().map(|n| format!("{n}, ")).collect();
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({dimensions}), }}");
    // Values start at a multiple of 64 bytes, so they can be mapped.
    let whole = (10 + header.len() + 1).next_multiple_of(64);
    header.extend(std::iter::repeat_n(' ', whole - 10 - header.len() - 1));
    header.push('\n');
    let length = u16::try_from(header.len()).map_err(|_| IoError::CannotHold {
        path: path.to_owned(),
        field: "shape",
        got: format!("{} dimensions", shape.len()),
        supported: "a header of 64 KiB",
    })?;
    write_file(path, |w| {
        w.write_all(b"\x93NUMPY\x01\x00")?;
        w.write_all(&length.to_le_bytes())?;
        w.write_all(header.as_bytes())?;
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
