//! Vendor XML as JSON, and the legacy text encodings it comes in.

use crate::{Input, IoError};
use memchr::memchr;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Nesting beyond which a document is taken for an attack.
const DEPTH: usize = 96;

/// The document nests deeper than any instrument writes.
#[derive(Debug)]
pub(crate) struct TooDeep;

/// An element as JSON, nothing left out.
///
/// Attributes become `@name`, text beside them `#text`, repeated children an array; an element
/// that holds text alone becomes that string.
pub(crate) fn to_json(node: roxmltree::Node) -> Result<Value, TooDeep> {
    convert(node, DEPTH, None)
}

/// A document whose long texts of base64 stand aside: they take most of the time of parsing it.
pub(crate) struct Lifted<'a> {
    pub text: Cow<'a, str>,
    pieces: Vec<&'a str>,
}

/// Shorter texts stay where they are.
const LONG: usize = 4096;

/// Around the number of a piece; a character that no instrument writes, the same in all encodings.
const LIFTED: u8 = 0x7f;

/// True for digits of base64 and blanks alone; 16 at once, since pictures are millions of them.
fn is_base64(bytes: &[u8]) -> bool {
    let one = |b: &u8| {
        let letter = (b | 0x20).wrapping_sub(b'a') < 26;
        let digit = b.wrapping_sub(b'/') < 11;
        letter | digit | (*b == b'+') | (*b == b'=') | matches!(b, b' ' | b'\t' | b'\n' | b'\r')
    };
    bytes.chunks(4096).all(|part| part.iter().fold(true, |all, b| all & one(b)))
}

/// Decodes XML as [`decode`] does, with texts of base64 put aside before.
pub(crate) fn lift(bytes: &[u8]) -> Lifted<'_> {
    let plain = || Lifted { text: decode(bytes), pieces: Vec::new() };
    // In two bytes a character there is no base64 to be seen.
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return plain();
    }
    let (mut out, mut pieces) = (Vec::new(), Vec::new());
    let mut rest = bytes;
    while let Some(start) = memchr(b'>', rest).map(|i| i + 1) {
        let end = memchr(b'<', &rest[start..]).map_or(rest.len(), |i| start + i);
        let piece = &rest[start..end];
        let long = piece.len() > LONG && is_base64(piece);
        match std::str::from_utf8(piece).ok().filter(|_| long) {
            Some(piece) => {
                out.extend_from_slice(&rest[..start]);
                out.push(LIFTED);
                out.extend_from_slice(pieces.len().to_string().as_bytes());
                out.push(LIFTED);
                pieces.push(piece);
            }
            None => out.extend_from_slice(&rest[..end]),
        }
        rest = &rest[end..];
    }
    if pieces.is_empty() {
        return plain();
    }
    out.extend_from_slice(rest);
    if out.iter().filter(|b| **b == LIFTED).count() != 2 * pieces.len() {
        return plain();
    }
    Lifted { text: decode(&out).into_owned().into(), pieces }
}

impl<'a> Lifted<'a> {
    /// What was put aside for a text.
    pub fn piece(&self, text: &str) -> Option<&'a str> {
        let around = char::from(LIFTED);
        let number = text.strip_prefix(around)?.strip_suffix(around)?;
        self.pieces.get(number.parse::<usize>().ok()?).copied()
    }

    /// As [`to_json`], with what was put aside.
    pub fn to_json(&self, node: roxmltree::Node) -> Result<Value, TooDeep> {
        convert(node, DEPTH, Some(self))
    }
}

/// A text, or the piece it stands for, with the line ends that XML has.
fn put_back(text: &str, lifted: Option<&Lifted>, out: &mut String) {
    match lifted.and_then(|lifted| lifted.piece(text)) {
        Some(piece) if piece.contains('\r') => {
            out.push_str(&piece.replace("\r\n", "\n").replace('\r', "\n"));
        }
        Some(piece) => out.push_str(piece),
        None => out.push_str(text),
    }
}

fn convert(node: roxmltree::Node, depth: usize, lifted: Option<&Lifted>) -> Result<Value, TooDeep> {
    let depth = depth.checked_sub(1).ok_or(TooDeep)?;
    let mut object = Map::new();
    for attribute in node.attributes() {
        object.insert(format!("@{}", attribute.name()), attribute.value().into());
    }
    let mut text = String::new();
    for child in node.children() {
        if child.is_text() {
            put_back(child.text().unwrap_or_default(), lifted, &mut text);
        } else if child.is_element() {
            let value = convert(child, depth, lifted)?;
            match object.get_mut(child.tag_name().name()) {
                None => {
                    // An array of one would not be told from a value, so arrays start at two.
                    object.insert(child.tag_name().name().to_owned(), value);
                }
                Some(Value::Array(list)) => list.push(value),
                Some(first) => {
                    let list = vec![first.take(), value];
                    *first = Value::Array(list);
                }
            }
        }
    }
    if text.trim().is_empty() {
        return Ok(if object.is_empty() { Value::String(text) } else { Value::Object(object) });
    }
    if object.is_empty() {
        return Ok(Value::String(text));
    }
    object.insert("#text".to_owned(), text.into());
    Ok(Value::Object(object))
}

/// The document, or the byte at which it stops to be XML.
pub(crate) fn parse<'a>(input: &Input, text: &'a str) -> Result<roxmltree::Document<'a>, IoError> {
    roxmltree::Document::parse(text).map_err(|error| {
        let position = error.pos();
        let line = (position.row as usize).saturating_sub(1);
        let before: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
        let offset = before as u64 + u64::from(position.col).saturating_sub(1);
        input.corrupt(offset, "XML", "a well-formed document", error)
    })
}

/// XML bytes as text, by the encoding their declaration names; windows-1252 where the bytes
/// are not UTF-8.
pub(crate) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if let Some(text) = utf16(bytes) {
        return text.into();
    }
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).to_ascii_lowercase();
    if bytes.is_ascii() {
        return String::from_utf8_lossy(bytes);
    }
    let legacy = head.contains("windows-1252") || head.contains("iso-8859-1");
    if !legacy && let Ok(text) = std::str::from_utf8(bytes) {
        return text.into();
    }
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 64);
    for piece in bytes.chunks(256) {
        match std::str::from_utf8(piece) {
            Ok(ascii) if ascii.is_ascii() => text.push_str(ascii),
            _ => text.extend(piece.iter().map(|&b| windows_1252(b))),
        }
    }
    text.into()
}

fn utf16(bytes: &[u8]) -> Option<String> {
    let wide = |order: fn([u8; 2]) -> u16| {
        let units = bytes[2..].chunks_exact(2).map(|b| order([b[0], b[1]]));
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    match bytes {
        [0xff, 0xfe, ..] => Some(wide(u16::from_le_bytes)),
        [0xfe, 0xff, ..] => Some(wide(u16::from_be_bytes)),
        _ => None,
    }
}

/// One byte of windows-1252.
pub(crate) fn windows_1252(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '\u{20ac}', '\u{81}', '\u{201a}', '\u{192}', '\u{201e}', '\u{2026}', '\u{2020}',
        '\u{2021}', '\u{2c6}', '\u{2030}', '\u{160}', '\u{2039}', '\u{152}', '\u{8d}', '\u{17d}',
        '\u{8f}', '\u{90}', '\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}', '\u{2022}', '\u{2013}',
        '\u{2014}', '\u{2dc}', '\u{2122}', '\u{161}', '\u{203a}', '\u{153}', '\u{9d}', '\u{17e}',
        '\u{178}',
    ];
    match byte {
        0x80..=0x9f => HIGH[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_document_is_lost() {
        let xml = "<a k='1'>t<b>2</b><b x='y'/><c/><d> </d></a>";
        let document = roxmltree::Document::parse(xml).unwrap();
        let json = to_json(document.root_element()).unwrap();
        let expected = serde_json::json!(
            {"@k": "1", "b": ["2", {"@x": "y"}], "c": "", "d": " ", "#text": "t"});
        assert_eq!(json, expected);
    }

    #[test]
    fn what_is_put_aside_comes_back() {
        let long = "QUJD\r\n".repeat(LONG);
        let half = "x".repeat(LONG + 1);
        let xml = format!(
            "<?xml version='1.0'?><!-- a > {half} --><a k='1 > 2'><b>{long}</b> t <c>{half}</c>\
             <d><![CDATA[>{half}]]></d><e>{half}&lt;</e>{half}</a>\r\n"
        );
        let whole = roxmltree::Document::parse(&xml).unwrap();
        let lifted = lift(xml.as_bytes());
        assert_eq!(lifted.pieces.len(), 3);
        let document = roxmltree::Document::parse(&lifted.text).unwrap();
        let json = lifted.to_json(document.root_element()).unwrap();
        assert_eq!(json, to_json(whole.root_element()).unwrap());
        assert!(matches!(lift(b"<a>short</a>").text, Cow::Borrowed(_)));
        let odd = format!("<a>{half}</a><!-- {} -->", char::from(LIFTED));
        assert!(lift(odd.as_bytes()).pieces.is_empty());
    }

    #[test]
    fn deep_nesting_is_refused() {
        let xml = "<a>".repeat(5000) + &"</a>".repeat(5000);
        if let Ok(document) = roxmltree::Document::parse(&xml) {
            assert!(to_json(document.root_element()).is_err());
        }
    }

    #[test]
    fn legacy_encodings_are_read() {
        let head = "<?xml version=\"1.0\" encoding=\"WINDOWS-1252\"?>";
        let bytes = [head.as_bytes(), b"<a>\xb5m \x80</a>"].concat();
        assert!(decode(&bytes).ends_with("<a>\u{b5}m \u{20ac}</a>"));
        assert_eq!(decode("<a>µ</a>".as_bytes()), "<a>µ</a>");
        assert_eq!(decode(&[0xff, 0xfe, 0x3c, 0, 0x61, 0]), "<a");
    }
}
