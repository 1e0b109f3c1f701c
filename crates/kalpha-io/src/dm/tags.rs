//! The tree of tags.
//!
//! | version 3 | version 4 | |
//! |---|---|---|
//! | u32 | u32 | version |
//! | u32 | u64 | bytes that follow |
//! | u32 | u32 | 1: values are little-endian |
//!
//! and the root group. Sizes and numbers of the tree itself are big-endian, four bytes in
//! version 3 and eight in version 4 (`word` below). A group is u8 sorted, u8 open, word number
//! of tags, and the tags. A tag is u8 kind (20 group, 21 data, 0 end of file), u16 length of
//! the name, the name, in version 4 the u64 bytes that follow, and the group or the data. Data
//! is `%%%%`, word number of words, and these words, which describe a type:
//! - a number: its code (below);
//! - 15: structure: word length of its name, word number of fields, per field word length of
//!   name and word code; its values follow;
//! - 18: text: word length;
//! - 20: array: the description of one element, word length.
//!
//! Codes: 2 i16, 3 i32, 4 u16, 5 u32, 6 f32, 7 f64, 8 boolean, 9 i8, 10 u8, 11 i64, 12 u64.

use crate::{
    Input, IoError,
    plain::{Number, NumberKind},
};
use serde_json::{Map, Value, json};

/// Groups nest no deeper in any file seen than 12.
const DEPTH: usize = 64;

/// Longer arrays stay in the file, and the tree says where.
const LONGEST_ARRAY: usize = 256;

/// Longer text is an array of numbers.
const LONGEST_TEXT: usize = 1 << 16;

/// The tags of a file.
#[derive(Debug)]
pub(super) struct Tags {
    pub version: u32,
    pub big_endian: bool,
    /// Unnamed tags of a group are an array. A long array is
    /// `{"dtype": .., "length": .., "byte": ..}`.
    pub root: Value,
}

fn be(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |n, &b| n << 8 | u64::from(b))
}

/// Version, stated length and byte order fit together.
pub(super) fn looks_right(input: &Input) -> bool {
    let head = input.head(16);
    let length = input.bytes().len() as u64;
    match head {
        [0, 0, 0, 3, size @ .., _, _, _, _] if head.len() == 16 => {
            let (size, order) = (be(&size[..4]), be(&size[4..8]));
            order < 2 && size <= length && size + 64 > length
        }
        [0, 0, 0, 4, size @ ..] if head.len() == 16 => {
            let (size, order) = (be(&size[..8]), be(&size[8..12]));
            order < 2 && size <= length && size + 64 > length
        }
        _ => false,
    }
}

/// What a data tag holds.
enum Element {
    Number(Number),
    Structure(Vec<Number>),
}

impl Element {
    fn bytes(&self) -> usize {
        match self {
            Self::Number(n) => n.width,
            Self::Structure(fields) => fields.iter().map(|n| n.width).sum(),
        }
    }
}

struct Parser<'a> {
    input: &'a Input,
    at: usize,
    /// Bytes of a word.
    word: usize,
    big_endian: bool,
}

/// Reads all tags.
pub(super) fn read(input: &Input) -> Result<Tags, IoError> {
    let mut parser = Parser { input, at: 0, word: 4, big_endian: false };
    let version = parser.unsigned(4, "version")?;
    parser.word = match version {
        3 => 4,
        4 => 8,
        other => {
            return Err(IoError::Unsupported {
                file: input.path().to_owned(),
                field: "DigitalMicrograph version".to_owned(),
                got: other.to_string(),
                supported: "3, 4".to_owned(),
                hint: "save it as .dm4 in DigitalMicrograph",
            });
        }
    };
    parser.unsigned(parser.word, "length of the file")?;
    parser.big_endian = match parser.unsigned(4, "byte order")? {
        0 => true,
        1 => false,
        other => return Err(input.corrupt(parser.at as u64 - 4, "byte order", "0 or 1", other)),
    };
    let root = parser.group(DEPTH, "")?;
    Ok(Tags { version: version as u32, big_endian: parser.big_endian, root })
}

impl<'a> Parser<'a> {
    fn take(&mut self, n: usize, field: &str) -> Result<&'a [u8], IoError> {
        let bytes: &'a [u8] = self.input.bytes();
        let left = bytes.len() - self.at;
        if n > left {
            let got = format!("{left} before the file ends");
            return Err(self.input.corrupt(self.at as u64, field, format!("{n} bytes"), got));
        }
        self.at += n;
        Ok(&bytes[self.at - n..self.at])
    }

    fn unsigned(&mut self, width: usize, field: &str) -> Result<u64, IoError> {
        Ok(be(self.take(width, field)?))
    }

    /// A word that counts something the file holds at least one byte of each.
    fn count(&mut self, field: &str) -> Result<usize, IoError> {
        let at = self.at as u64;
        let claimed = self.unsigned(self.word, field)?;
        let left = (self.input.bytes().len() - self.at) as u64;
        if claimed > left {
            let expected = format!("at most the {left} bytes left");
            return Err(self.input.corrupt(at, field, expected, claimed));
        }
        Ok(claimed as usize)
    }

    fn group(&mut self, depth: usize, parent: &str) -> Result<Value, IoError> {
        let at = self.at as u64;
        let depth = depth.checked_sub(1).ok_or_else(|| {
            self.input.corrupt(at, "tag groups", format!("at most {DEPTH} levels"), "more")
        })?;
        self.take(2, "group")?;
        let n = self.count("number of tags")?;
        let mut named = Map::new();
        let mut unnamed = Vec::new();
        for _ in 0..n {
            let kind = self.unsigned(1, "kind of tag")?;
            if kind == 0 {
                break;
            }
            let length = self.unsigned(2, "length of a name")? as usize;
            let name = self.take(length, "name")?;
            // Names are UTF-8 in new files, one byte a character in old ones.
            let name = match std::str::from_utf8(name) {
                Ok(name) => name.to_owned(),
                Err(_) => name.iter().map(|&b| char::from(b)).collect(),
            };
            let end = match self.word {
                8 => {
                    let bytes = self.count("bytes of a tag")?;
                    Some(self.at + bytes)
                }
                _ => None,
            };
            let value = match kind {
                20 => self.group(depth, &name)?,
                21 => self.data(&name, parent, end)?,
                other => {
                    let at = self.at as u64;
                    return Err(self.input.corrupt(at, "kind of tag", "0, 20 or 21", other));
                }
            };
            if name.is_empty() {
                unnamed.push(value);
            } else {
                insert(&mut named, name, value);
            }
        }
        if named.is_empty() && !unnamed.is_empty() {
            return Ok(Value::Array(unnamed));
        }
        for (i, value) in unnamed.into_iter().enumerate() {
            insert(&mut named, format!("[{i}]"), value);
        }
        Ok(Value::Object(named))
    }

    fn number(&self, code: u64) -> Option<Number> {
        let (kind, width) = match code {
            2 => (NumberKind::Signed, 2),
            3 => (NumberKind::Signed, 4),
            4 => (NumberKind::Unsigned, 2),
            5 => (NumberKind::Unsigned, 4),
            6 => (NumberKind::Float, 4),
            7 => (NumberKind::Float, 8),
            8 | 10 => (NumberKind::Unsigned, 1),
            9 => (NumberKind::Signed, 1),
            11 => (NumberKind::Signed, 8),
            12 => (NumberKind::Unsigned, 8),
            _ => return None,
        };
        Number::new(kind, width, self.big_endian)
    }

    /// The type that words describe, and the words behind the description.
    fn element<'w>(&self, words: &'w [u64]) -> Option<(Element, &'w [u64])> {
        let (&code, rest) = words.split_first()?;
        if code != 15 {
            return Some((Element::Number(self.number(code)?), rest));
        }
        let (&[_, n], rest) = rest.split_first_chunk::<2>()?;
        let fields = rest.get(..usize::try_from(n).ok()?.checked_mul(2)?)?;
        let numbers: Option<Vec<Number>> =
            fields.chunks_exact(2).map(|field| self.number(field[1])).collect();
        Some((Element::Structure(numbers?), &rest[fields.len()..]))
    }

    fn data(&mut self, name: &str, parent: &str, end: Option<usize>) -> Result<Value, IoError> {
        let start = self.at;
        let field = format!("tag {name:?}");
        let mark = self.take(4, &field)?;
        if mark != b"%%%%" {
            let got = format!("{mark:02x?}");
            return Err(self.input.corrupt(start as u64, field, "%%%%", got));
        }
        let n = self.count(&field)?;
        let words = self.take(n.saturating_mul(self.word), &field)?;
        let words: Vec<u64> = words.chunks_exact(self.word).map(be).collect();
        let known = match words[..] {
            [18, n] => Some((Element::Number(BYTE), Some(n), &[][..])),
            [20, ref rest @ ..] => self
                .element(rest)
                .and_then(|(element, rest)| Some((element, Some(*rest.first()?), &rest[1..]))),
            ref all => self.element(all).map(|(element, rest)| (element, None, rest)),
        };
        match known {
            Some((element, None, [])) => {
                let bytes = self.take(element.bytes(), &field)?;
                Ok(value(&element, bytes))
            }
            Some((element, Some(n), [])) => {
                let bytes = usize::try_from(n).ok().and_then(|n| n.checked_mul(element.bytes()));
                let at = self.at;
                let bytes = self.take(bytes.unwrap_or(usize::MAX), &field)?;
                Ok(self.array(&element, bytes, at, name == "Data" && parent == "ImageData"))
            }
            // Version 4 says where the next tag is.
            _ => match end.filter(|end| *end >= self.at) {
                Some(end) => {
                    self.at = end;
                    Ok(Value::Null)
                }
                None => Err(IoError::Unsupported {
                    file: self.input.path().to_owned(),
                    field: format!("{field} at byte {start}: type"),
                    got: format!("{words:?}"),
                    supported: "numbers, structures, text and arrays of these".to_owned(),
                    hint: "save it as .dm4, whose unknown tags can be skipped",
                }),
            },
        }
    }

    fn array(&self, element: &Element, bytes: &[u8], at: usize, stays: bool) -> Value {
        let n = bytes.len() / element.bytes().max(1);
        let stays_there = |dtype: String| json!({ "dtype": dtype, "length": n, "byte": at });
        match element {
            Element::Number(number) => {
                if stays {
                    return stays_there(number.dtype());
                }
                if let Some(text) = text(*number, bytes) {
                    return Value::String(text);
                }
                if n > LONGEST_ARRAY {
                    return stays_there(number.dtype());
                }
            }
            Element::Structure(fields) if stays || n > LONGEST_ARRAY => {
                let names: Vec<String> = fields.iter().map(|f| f.dtype()).collect();
                return stays_there(names.join(","));
            }
            Element::Structure(_) => {}
        }
        bytes.chunks_exact(element.bytes().max(1)).map(|b| value(element, b)).collect()
    }
}

const BYTE: Number = Number { kind: NumberKind::Unsigned, width: 1, big_endian: false };

/// A second tag of the same name is kept under a name of its own.
fn insert(map: &mut Map<String, Value>, name: String, value: Value) {
    let mut free = name.clone();
    let mut i = 2;
    while map.contains_key(&free) {
        // Files that repeat a name very often are made to harm; their last one counts.
        if i > 64 {
            break;
        }
        free = format!("{name} ({i})");
        i += 1;
    }
    map.insert(free, value);
}

/// Arrays of u16 and u8 that are text: no control characters but blanks.
fn text(number: Number, bytes: &[u8]) -> Option<String> {
    if number.kind != NumberKind::Unsigned || bytes.len() > LONGEST_TEXT {
        return None;
    }
    let text = match number.width {
        1 => std::str::from_utf8(bytes).ok()?.to_owned(),
        2 => {
            let (pairs, _) = bytes.as_chunks::<2>();
            let order = if number.big_endian { u16::from_be_bytes } else { u16::from_le_bytes };
            char::decode_utf16(pairs.iter().map(|b| order(*b))).collect::<Result<_, _>>().ok()?
        }
        _ => return None,
    };
    let text = text.trim_end_matches('\0');
    let odd = |c: char| c.is_control() && !matches!(c, '\t' | '\r' | '\n');
    (!text.chars().any(odd)).then(|| text.to_owned())
}

/// One number, or the list of a structure's numbers.
fn value(element: &Element, bytes: &[u8]) -> Value {
    match element {
        Element::Number(number) => scalar(*number, bytes),
        Element::Structure(fields) => {
            let mut rest = bytes;
            let mut values = Vec::new();
            for field in fields {
                let Some((bytes, tail)) = rest.split_at_checked(field.width) else { break };
                values.push(scalar(*field, bytes));
                rest = tail;
            }
            Value::Array(values)
        }
    }
}

fn scalar(number: Number, bytes: &[u8]) -> Value {
    let bits = if number.big_endian {
        be(bytes)
    } else {
        bytes.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b))
    };
    let float = |x: f64| {
        // JSON has no infinity.
        serde_json::Number::from_f64(x).map_or_else(|| x.to_string().into(), Value::Number)
    };
    match (number.kind, number.width) {
        (NumberKind::Unsigned, _) => bits.into(),
        (NumberKind::Signed, 1) => (bits as i8).into(),
        (NumberKind::Signed, 2) => (bits as i16).into(),
        (NumberKind::Signed, 4) => (bits as i32).into(),
        (NumberKind::Signed, _) => (bits as i64).into(),
        (NumberKind::Float, 4) => float(f64::from(f32::from_bits(bits as u32))),
        (NumberKind::Float, _) => float(f64::from_bits(bits)),
    }
}
