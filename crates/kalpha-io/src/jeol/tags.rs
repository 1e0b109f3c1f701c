//! The headers of the files and their trees of tags.
//!
//! `.pts`, byte 4: `PTTDFILE`; u32 at 24 bytes of the tree, 28 first byte of the events, 32 bytes
//! of events. The tree starts at byte 317.
//!
//! `.img` and `.map`, byte 4: `JED-2200:LibJxImageForm`; u32 at 36 and 44 first bytes of two trees,
//! of the preview and of the image, each behind 12 zeros.
//!
//! `.ASW`: one tree behind 12 zeros, whose first tag is `FileType`.
//!
//! A tag is u8 1, u32 length of the name, the name
//! (NUL-ended), u32 type, u32 bytes, the value, the tags below it, u8 255. Types: 1 u8, 2 u16,
//! 3 i32, 4 f32, 5 f64, 6 to 10 arrays of these, 11 boolean, 12 text, 13 texts, 14 number of a
//! choice.

use crate::{Input, IoError};
use serde_json::{Map, Value, json};

/// From byte 4 on.
pub(super) const MAGIC: &[u8] = b"PTTDFILE";

/// From byte 4 of an image on.
pub(super) const IMAGE_MAGIC: &[u8] = b"JED-2200:LibJxImageForm";

/// The first bytes of a project.
pub(super) const PROJECT_MAGIC: &[u8] = b"\0\0\0\0\0\0\0\0\0\0\0\0\x01\x09\0\0\0FileType\0";

/// Bytes in front of a tree.
const LEAD: usize = 12;

const TREE: usize = 317;
const DEPTH: usize = 32;
const LONGEST_ARRAY: usize = 256;

/// What the header says.
pub(super) struct Header {
    pub tags: Value,
    /// First byte of the events, and how many bytes there are.
    pub events: usize,
    pub bytes: usize,
}

struct Parser<'a> {
    input: &'a Input,
    at: usize,
}

fn word(input: &Input, at: usize) -> Result<usize, IoError> {
    let bytes = input.bytes();
    let word = bytes.get(at..).and_then(|b| b.first_chunk::<4>());
    let short = || input.corrupt(at as u64, "header", format!("{} bytes", at + 4), bytes.len());
    Ok(u32::from_le_bytes(*word.ok_or_else(short)?) as usize)
}

/// The tree that starts at a byte.
fn tree(input: &Input, at: usize) -> Result<Value, IoError> {
    let mut parser = Parser { input, at };
    Ok(Value::Object(parser.children(DEPTH)?.0))
}

/// The tags of an image.
pub(super) fn image(input: &Input) -> Result<Value, IoError> {
    tree(input, word(input, 44)?.saturating_add(LEAD))
}

/// The tags of a project.
pub(super) fn project(input: &Input) -> Result<Value, IoError> {
    tree(input, LEAD)
}

/// The header of a list of events.
pub(super) fn read(input: &Input) -> Result<Header, IoError> {
    let bytes: &[u8] = input.bytes();
    if bytes.get(4..12) != Some(MAGIC) {
        let got = format!("{:02x?}", bytes.get(4..12).unwrap_or_default());
        return Err(input.corrupt(4, "magic", "PTTDFILE", got));
    }
    let (events, stated) = (word(input, 28)?, word(input, 32)?);
    let left = bytes.len().checked_sub(events).ok_or_else(|| {
        let expected = format!("at most {}", bytes.len());
        input.corrupt(28, "first byte of the events", expected, events)
    })?;
    let tags = tree(input, TREE)?;
    Ok(Header { tags, events, bytes: stated.min(left) })
}

/// Text in Shift-JIS as far as it is one byte a character: half-width katakana.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    match std::str::from_utf8(&bytes[..end]) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes[..end]
            .iter()
            .map(|&b| match b {
                0xa1..=0xdf => char::from_u32(0xff61 + u32::from(b - 0xa1)).unwrap_or('?'),
                _ => char::from(b),
            })
            .collect(),
    }
}

fn float(x: f64) -> Value {
    serde_json::Number::from_f64(x).map_or_else(|| x.to_string().into(), Value::Number)
}

impl<'a> Parser<'a> {
    fn take(&mut self, n: usize, field: &str) -> Result<&'a [u8], IoError> {
        let bytes: &'a [u8] = self.input.bytes();
        let left = bytes.len().saturating_sub(self.at);
        if n > left {
            let got = format!("{left} before the file ends");
            return Err(self.input.corrupt(self.at as u64, field, format!("{n} bytes"), got));
        }
        self.at += n;
        Ok(&bytes[self.at - n..self.at])
    }

    fn word(&mut self, field: &str) -> Result<usize, IoError> {
        Ok(self.take(4, field)?.iter().rev().fold(0, |n, &b| n << 8 | usize::from(b)))
    }

    /// Tags until something else comes, and what came.
    fn children(&mut self, depth: usize) -> Result<(Map<String, Value>, u8), IoError> {
        let depth = depth.checked_sub(1).ok_or_else(|| {
            let expected = format!("at most {DEPTH} levels");
            self.input.corrupt(self.at as u64, "tags", expected, "more")
        })?;
        let mut found = Map::new();
        loop {
            let mark = self.take(1, "mark of a tag")?[0];
            if mark != 1 {
                return Ok((found, mark));
            }
            let n = self.word("length of a name")?;
            let name = text(self.take(n, "name of a tag")?);
            let kind = self.word(&name)?;
            let n = self.word(&name)?;
            let at = self.at;
            let own = value(kind, self.take(n, &name)?, at);
            let (below, mark) = self.children(depth)?;
            if mark != 255 {
                let at = self.at as u64 - 1;
                return Err(self.input.corrupt(at, format!("end of tag {name:?}"), "255", mark));
            }
            let value = match (own, below.is_empty()) {
                (own, true) => own,
                (Value::Null, false) => Value::Object(below),
                (own, false) => {
                    let mut below = below;
                    below.insert("value".to_owned(), own);
                    Value::Object(below)
                }
            };
            found.insert(name, value);
        }
    }
}

fn value(kind: usize, bytes: &[u8], at: usize) -> Value {
    let width = match kind {
        1 | 6 | 11 => 1,
        2 | 7 | 14 => 2,
        3 | 4 | 8 | 9 => 4,
        5 | 10 => 8,
        12 => return text(bytes).into(),
        13 => return bytes.split(|&b| b == 0).filter(|t| !t.is_empty()).map(text).collect(),
        _ if bytes.is_empty() => return Value::Null,
        _ => return json!({ "type": kind, "length": bytes.len(), "byte": at }),
    };
    let n = bytes.len() / width;
    if n > LONGEST_ARRAY {
        return json!({ "type": kind, "length": n, "byte": at });
    }
    let one = |b: &[u8]| -> Value {
        let bits = b.iter().rev().fold(0u64, |n, &b| n << 8 | u64::from(b));
        match kind {
            11 => Value::Bool(bits != 0),
            3 | 8 => (bits as i32).into(),
            4 | 9 => float(f64::from(f32::from_bits(bits as u32))),
            5 | 10 => float(f64::from_bits(bits)),
            _ => bits.into(),
        }
    };
    let mut values: Vec<Value> = bytes.chunks_exact(width).map(one).collect();
    match (values.len(), kind) {
        (1, 1..=5 | 11 | 14) => values.remove(0),
        _ => Value::Array(values),
    }
}
