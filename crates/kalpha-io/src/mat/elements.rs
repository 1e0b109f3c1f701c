//! The elements of a file, and the matrices among them.
//!
//! An element is u32 type, u32 bytes, and these, padded to 8. Up to four bytes stand in the
//! tag itself: u16 type, u16 bytes, the bytes. A matrix (14) is an element of elements: flags
//! (u32 class in the lowest byte, 0x800 for complex), i32 dimensions, name, values. The values
//! may be stored in a narrower type than the class. Type 15 holds a deflated element (zlib).

use crate::{
    Input, IoError,
    plain::{Number, NumberKind},
    zip::Inflated,
};
use std::ops::Range;

const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;
const COMPLEX: u32 = 0x800;
const CHARACTERS: u32 = 4;

/// Bytes of a deflated matrix that hold more than its description.
const DESCRIPTION: usize = 1 << 14;

/// Deflate shrinks by at most so much.
const DEFLATE_FACTOR: usize = 1032;

/// An element: its type, and where its bytes lie.
struct Element {
    kind: u32,
    bytes: Range<usize>,
    /// Where the next one starts.
    next: usize,
}

/// Bytes with an order.
#[derive(Clone, Copy)]
struct Ordered<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl Ordered<'_> {
    fn word(self, at: usize) -> Option<u32> {
        let word = *self.bytes.get(at..)?.first_chunk::<4>()?;
        Some(if self.big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
    }

    /// The element at a byte; its bytes may reach beyond what is at hand.
    fn element(self, at: usize) -> Option<Element> {
        let (first, second) = (self.word(at)?, self.word(at + 4)?);
        let short = (first >> 16) as usize;
        if short > 0 {
            let bytes = at + 4..at + 4 + short;
            return (short <= 4).then_some(Element { kind: first & 0xffff, bytes, next: at + 8 });
        }
        let start = at + 8;
        let end = start.checked_add(second as usize)?;
        let next = if first == COMPRESSED { end } else { end.checked_next_multiple_of(8)? };
        Some(Element { kind: first, bytes: start..end, next })
    }
}

/// Where the elements of a matrix lie.
enum Place {
    File,
    Deflated(Inflated),
}

/// A matrix of the file.
pub(super) struct Matrix {
    pub name: String,
    /// Lengths, the first varying fastest.
    pub shape: Vec<usize>,
    pub number: Number,
    place: Place,
    values: Range<usize>,
}

/// What a variable is.
pub(super) enum Variable {
    Matrix(Box<Matrix>),
    Text(String, String),
    /// Its name and kind.
    Other(String, &'static str),
}

/// The class by its number, and whether its values are numbers.
fn class(number: u32) -> (&'static str, bool) {
    match number {
        1 => ("cell", false),
        2 => ("struct", false),
        3 => ("object", false),
        4 => ("text", false),
        5 => ("sparse matrix", false),
        6 => ("float64", true),
        7 => ("float32", true),
        8 => ("int8", true),
        9 => ("uint8", true),
        10 => ("int16", true),
        11 => ("uint16", true),
        12 => ("int32", true),
        13 => ("uint32", true),
        14 => ("int64", true),
        15 => ("uint64", true),
        _ => ("unknown", false),
    }
}

/// The type in which values are stored.
fn number(kind: u32, big_endian: bool) -> Option<Number> {
    let (kind, width) = match kind {
        1 => (NumberKind::Signed, 1),
        2 => (NumberKind::Unsigned, 1),
        3 => (NumberKind::Signed, 2),
        4 => (NumberKind::Unsigned, 2),
        5 => (NumberKind::Signed, 4),
        6 => (NumberKind::Unsigned, 4),
        7 => (NumberKind::Float, 4),
        9 => (NumberKind::Float, 8),
        12 => (NumberKind::Signed, 8),
        13 => (NumberKind::Unsigned, 8),
        _ => return None,
    };
    Number::new(kind, width, big_endian)
}

/// Text of 8 or 16 bits a character.
fn text(kind: u32, bytes: &[u8], big_endian: bool) -> String {
    let wide =
        |b: &[u8; 2]| if big_endian { u16::from_be_bytes(*b) } else { u16::from_le_bytes(*b) };
    match kind {
        4 | 17 => {
            let units = bytes.as_chunks::<2>().0.iter().map(wide);
            char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// Reads the description of a matrix that starts at `at`.
fn describe(ordered: Ordered, at: usize, place: Place) -> Option<Variable> {
    let flags = ordered.element(at)?;
    let word = ordered.word(flags.bytes.start)?;
    let lengths = ordered.element(flags.next)?;
    let shape: Vec<usize> = lengths
        .bytes
        .step_by(4)
        .map(|at| ordered.word(at).map(|n| n as usize))
        .collect::<Option<_>>()?;
    let label = ordered.element(lengths.next)?;
    let name = String::from_utf8_lossy(ordered.bytes.get(label.bytes)?).into_owned();
    let (class, is_number) = class(word & 0xff);
    if word & 0xff == CHARACTERS {
        let values = ordered.element(label.next)?;
        let bytes = ordered.bytes.get(values.bytes).unwrap_or_default();
        return Some(Variable::Text(name, text(values.kind, bytes, ordered.big_endian)));
    }
    if !is_number {
        return Some(Variable::Other(name, class));
    }
    if word & COMPLEX != 0 {
        return Some(Variable::Other(name, "complex matrix"));
    }
    let values = ordered.element(label.next)?;
    let number = number(values.kind, ordered.big_endian)?;
    let values = values.bytes;
    Some(Variable::Matrix(Box::new(Matrix { name, shape, number, place, values })))
}

/// All variables of a file, in its order.
pub(super) fn variables(input: &Input) -> Result<Vec<Variable>, IoError> {
    let bytes = input.bytes();
    let head = input.head(128);
    let big_endian = match head.get(124..) {
        Some([_, _, b'I', b'M']) => false,
        Some([_, _, b'M', b'I']) => true,
        _ => return Err(input.corrupt(126, "byte order", "IM or MI", "neither")),
    };
    let version = head[if big_endian { 124 } else { 125 }];
    if version != 1 {
        return Err(IoError::Unsupported {
            file: input.path().to_owned(),
            field: "version of the .mat".to_owned(),
            got: if version == 2 { "7.3".to_owned() } else { format!("{version:#x}") },
            supported: "5, 6, 7".to_owned(),
            hint: "save it again with save(.., '-v7')",
        });
    }
    let ordered = Ordered { bytes, big_endian };
    let (mut at, mut found) = (128, Vec::new());
    while at + 8 <= bytes.len() {
        let cut = |got: &str| input.corrupt(at as u64, "element", "within the file", got);
        let element = ordered.element(at).ok_or_else(|| cut("a tag that is none"))?;
        if element.bytes.end > bytes.len() {
            return Err(cut(&format!("{} bytes", element.bytes.len())));
        }
        let variable = match element.kind {
            MATRIX => Some(describe(ordered, element.bytes.start, Place::File)),
            COMPRESSED => {
                // Two bytes of a zlib header, four of a check sum.
                let packed = element.bytes.start + 2..element.bytes.end;
                let packed = packed.start.min(packed.end)..packed.end;
                let inflated = Inflated::new(input, "deflated matrix", packed);
                let start = inflated.beginning(DESCRIPTION)?;
                let unpacked = Ordered { bytes: &start, big_endian };
                let matrix = unpacked.word(0) == Some(MATRIX);
                matrix.then(|| describe(unpacked, 8, Place::Deflated(inflated)))
            }
            _ => None,
        };
        match variable {
            Some(Some(variable)) => found.push(variable),
            Some(None) => {
                return Err(input.corrupt(
                    at as u64,
                    "matrix",
                    "flags, lengths, name, values",
                    "less",
                ));
            }
            None => {}
        }
        at = element.next;
    }
    Ok(found)
}

impl Matrix {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().fold(1usize, |n, &d| n.saturating_mul(d))
    }

    /// True for a single row or column.
    pub fn is_vector(&self) -> bool {
        self.shape.iter().filter(|&&n| n != 1).count() <= 1
    }

    /// The values and the byte at which they start; deflated ones are unpacked.
    pub fn values(&self, input: &Input) -> Result<(Input, usize), IoError> {
        let stated = self.len().checked_mul(self.number.width);
        let limit = input.bytes().len().saturating_mul(DEFLATE_FACTOR);
        if stated != Some(self.values.len()) || self.values.len() > limit {
            let expected = format!("{:?} values of {} bytes", self.shape, self.number.width);
            let got = format!("{} bytes", self.values.len());
            let field = format!("matrix {}", self.name);
            return Err(input.corrupt(self.values.start as u64, field, expected, got));
        }
        match &self.place {
            Place::File => Ok((input.clone(), self.values.start)),
            Place::Deflated(inflated) => {
                let bytes = inflated.beginning(self.values.end)?;
                Ok((Input::from_bytes(input.path(), bytes), self.values.start))
            }
        }
    }
}
