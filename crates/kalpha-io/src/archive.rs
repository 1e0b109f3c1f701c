//! Members of the ZIP archives in which some instruments pack their files.

use crate::{Input, IoError};
use std::io::{Cursor, Read};
use zip::ZipArchive;

/// A member may unpack to this many times its packed size, and a little more.
///
/// XML packs by a factor of 10 to 50; deflate could reach 1032, which no instrument does.
const RATIO: u64 = 200;
const ALWAYS: u64 = 1 << 16;

/// An opened archive.
pub(crate) struct Archive<'a> {
    input: &'a Input,
    zip: ZipArchive<Cursor<&'a [u8]>>,
}

/// True where the first bytes are those of an archive whose list of members names `word`.
pub(crate) fn is_archive_with(input: &Input, word: &str) -> bool {
    let bytes = input.bytes();
    let tail = &bytes[bytes.len().saturating_sub(1 << 16)..];
    bytes.starts_with(b"PK\x03\x04") && tail.windows(word.len()).any(|w| w == word.as_bytes())
}

impl<'a> Archive<'a> {
    pub fn open(input: &'a Input) -> Result<Self, IoError> {
        let zip = ZipArchive::new(Cursor::new(&input.bytes()[..]))
            .map_err(|error| input.corrupt(0, "ZIP archive", "a list of members", error))?;
        Ok(Self { input, zip })
    }

    /// Names of the members, sorted as a person would: `Data2` before `Data10`.
    pub fn names(&self) -> Vec<String> {
        // A name that cannot be decoded is none that an instrument writes.
        let known = self.zip.file_names().filter_map(Result::ok);
        let mut names: Vec<String> = known.map(|name| name.into_owned()).collect();
        names.sort_by_cached_key(|name| natural(name));
        names
    }

    /// The bytes of a member.
    pub fn read(&mut self, name: &str) -> Result<Vec<u8>, IoError> {
        let input = self.input;
        let broken =
            |error: String| input.corrupt(0, format!("{name:.80}"), "a member that unpacks", error);
        let member = self.zip.by_name(name).map_err(|e| broken(e.to_string()))?;
        let limit = member
            .compressed_size()
            .min(input.bytes().len() as u64)
            .saturating_mul(RATIO)
            .saturating_add(ALWAYS);
        if member.size() > limit {
            return Err(input.too_large(format!("{name:.80}"), member.size(), limit));
        }
        let claimed = member.size();
        let mut bytes = Vec::new();
        member.take(limit + 1).read_to_end(&mut bytes).map_err(|e| broken(e.to_string()))?;
        if bytes.len() as u64 > limit {
            return Err(input.too_large(format!("{name:.80}"), claimed, limit));
        }
        Ok(bytes)
    }
}

/// Digits count as one number.
fn natural(name: &str) -> Vec<(u64, String)> {
    let mut key = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let text = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(text);
        let digits = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
        let (number, tail) = tail.split_at(digits);
        // The word first, then its number: both fit one tuple by order of pushing.
        key.push((0, word.to_owned()));
        key.push((number.parse().unwrap_or(0), String::new()));
        rest = tail;
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_are_ordered_by_value() {
        let mut names = ["Data10/a", "Data2/b", "Data2/a", "Data"];
        names.sort_by_cached_key(|n| natural(n));
        assert_eq!(names, ["Data", "Data2/a", "Data2/b", "Data10/a"]);
    }
}
