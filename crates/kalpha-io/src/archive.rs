//! Members of the ZIP archives in which some instruments pack their files.

use crate::{
    Input, IoError,
    zip::{MAGIC, Zip},
};
use std::borrow::Cow;

/// A member may unpack to this many times its packed size, and a little more.
///
/// XML packs by a factor of 10 to 50; deflate could reach 1032, which no instrument does.
const RATIO: usize = 200;
const ALWAYS: usize = 1 << 16;

/// An opened archive.
pub(crate) struct Archive {
    input: Input,
    zip: Zip,
}

/// True where the first bytes are those of an archive whose list of members names `word`.
pub(crate) fn is_archive_with(input: &Input, word: &str) -> bool {
    let bytes = input.bytes();
    let tail = &bytes[bytes.len().saturating_sub(1 << 16)..];
    bytes.starts_with(MAGIC) && tail.windows(word.len()).any(|w| w == word.as_bytes())
}

impl Archive {
    pub fn open(input: &Input) -> Result<Self, IoError> {
        Ok(Self { input: input.clone(), zip: Zip::open(input)? })
    }

    /// Names of the members, sorted as a person would: `Data2` before `Data10`.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.zip.names().map(str::to_owned).collect();
        names.sort_by_cached_key(|name| natural(name));
        names
    }

    /// The bytes of a member.
    pub fn read(&self, name: &str) -> Result<Cow<'_, [u8]>, IoError> {
        let packed = self.zip.packed_length(name).unwrap_or(0);
        let limit = packed.min(self.input.bytes().len()).saturating_mul(RATIO);
        let found = self.zip.read(name, limit.saturating_add(ALWAYS))?;
        found.ok_or_else(|| self.input.corrupt(0, format!("{name:.80}"), "a member", "none"))
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
