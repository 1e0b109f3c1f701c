//! The header of a `.npy`: a Python dictionary of three keys.
//!
//! Magic `\x93NUMPY`, major and minor version, header length (u16 in version 1, u32 later),
//! and text like `{'descr': '<u2', 'fortran_order': False, 'shape': (64, 64, 992), }`
//! (NumPy Enhancement Proposal 1).

use crate::{
    Input, IoError,
    plain::{Number, NumberKind},
};

pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// What the header says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Header {
    pub version: u8,
    pub number: Number,
    pub fortran_order: bool,
    pub shape: Vec<usize>,
    /// Byte at which the values start.
    pub data: usize,
}

/// The text behind `'key':`.
fn behind<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let quoted = [format!("'{key}'"), format!("\"{key}\"")];
    let at = quoted.iter().find_map(|q| text.find(q.as_str()).map(|at| at + q.len()))?;
    text[at..].trim_start().strip_prefix(':').map(str::trim_start)
}

/// A quoted string at the start of `text`.
fn quoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text[1..].split(quote).next()
}

/// The type of `descr`.
pub(crate) fn number(descr: &str) -> Option<Number> {
    let (order, kind, width) = (descr.get(..1)?, descr.get(1..2)?, descr.get(2..)?);
    let kind = match kind {
        "u" | "b" => NumberKind::Unsigned,
        "i" => NumberKind::Signed,
        "f" => NumberKind::Float,
        _ => return None,
    };
    let big_endian = match order {
        ">" => true,
        "<" | "|" => false,
        "=" => cfg!(target_endian = "big"),
        _ => return None,
    };
    Number::new(kind, width.parse().ok()?, big_endian)
}

/// Reads the header of a `.npy`.
pub(crate) fn read(input: &Input) -> Result<Header, IoError> {
    let bytes = input.bytes();
    if input.head(6) != MAGIC || bytes.len() < 12 {
        return Err(input.corrupt(0, "magic", "\\x93NUMPY", format!("{:02x?}", input.head(6))));
    }
    let version = bytes[6];
    let (length, start) = match version {
        1 => (usize::from(u16::from_le_bytes([bytes[8], bytes[9]])), 10),
        2 | 3 => {
            let length = u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
            (length as usize, 12)
        }
        other => {
            return Err(IoError::Unsupported {
                file: input.path().to_owned(),
                field: "npy version".to_owned(),
                got: other.to_string(),
                supported: "1, 2, 3".to_owned(),
                hint: "save it again with numpy.save",
            });
        }
    };
    let text = bytes
        .get(start..start + length)
        .ok_or_else(|| input.corrupt(8, "header length", "within the file", length))?;
    let text = String::from_utf8_lossy(text);
    let wrong = |key: &str, expected: &str| {
        let got: String = text.chars().take(120).collect();
        input.corrupt(start as u64, format!("header key {key}"), expected, got.trim())
    };
    let descr = behind(&text, "descr").ok_or_else(|| wrong("descr", "a type"))?;
    let descr = quoted(descr).unwrap_or(descr);
    let number = number(descr).ok_or_else(|| IoError::Unsupported {
        file: input.path().to_owned(),
        field: "descr".to_owned(),
        got: descr.chars().take(60).collect(),
        supported: "integers of 1 to 8 bytes, floats of 4 and 8".to_owned(),
        hint: "convert it with numpy.astype and save it again",
    })?;
    let order = behind(&text, "fortran_order").unwrap_or_default();
    let fortran_order = match (order.starts_with("True"), order.starts_with("False")) {
        (true, _) => true,
        (_, true) => false,
        _ => return Err(wrong("fortran_order", "True or False")),
    };
    let shape = behind(&text, "shape")
        .and_then(|t| t.strip_prefix('(')?.split_once(')').map(|(inside, _)| inside))
        .and_then(|inside| {
            let words = inside.split(',').map(str::trim).filter(|w| !w.is_empty());
            words.map(|w| w.trim_end_matches('L').parse().ok()).collect::<Option<Vec<usize>>>()
        })
        .ok_or_else(|| wrong("shape", "a tuple of lengths"))?;
    Ok(Header { version, number, fortran_order, shape, data: start + length })
}
