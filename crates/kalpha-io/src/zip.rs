//! Members of a ZIP file (PKWARE APPNOTE 6.3.10), stored or deflated, ZIP64 included.
//!
//! The central directory is read once; a name that stands there twice means its last entry.

mod inflated;

pub(crate) use inflated::Inflated;

use crate::{Input, IoError, codec};
use std::{borrow::Cow, collections::BTreeMap, ops::Range};

/// First bytes of every ZIP file that has a member.
pub(crate) const MAGIC: &[u8] = b"PK\x03\x04";

const END: &[u8] = b"PK\x05\x06";
const END64: &[u8] = b"PK\x06\x06";
const DIRECTORY: &[u8] = b"PK\x01\x02";

#[derive(Clone, Debug)]
struct Member {
    method: u16,
    packed: u64,
    size: u64,
    local: u64,
}

/// The directory of a ZIP file.
#[derive(Clone, Debug)]
pub(crate) struct Zip {
    input: Input,
    members: BTreeMap<String, Member>,
}

/// Little-endian numbers of a record.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn get<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..)?.first_chunk().copied()
    }
    fn u16(&self, at: usize) -> Option<u16> {
        self.get(at).map(u16::from_le_bytes)
    }
    fn u32(&self, at: usize) -> Option<u64> {
        self.get(at).map(|b| u32::from_le_bytes(b).into())
    }
    fn u64(&self, at: usize) -> Option<u64> {
        self.get(at).map(u64::from_le_bytes)
    }
}

/// Where the directory starts and how many members it has.
fn directory(bytes: &[u8]) -> Option<(usize, u64)> {
    // The end record is 22 bytes and a comment of at most 65 535.
    let from = bytes.len().saturating_sub(22 + 65_535);
    let at = from + bytes[from..].windows(4).rposition(|w| w == END)?;
    let end = Fields(&bytes[at..]);
    let (mut members, mut start) = (u64::from(end.u16(10)?), end.u32(16)?);
    if (members == 0xffff || start == 0xffff_ffff)
        && let Some(locator) = at.checked_sub(20)
    {
        let record = usize::try_from(Fields(&bytes[locator..]).u64(8)?).ok()?;
        let record = Fields(bytes.get(record..)?);
        if record.0.starts_with(END64) {
            (members, start) = (record.u64(32)?, record.u64(48)?);
        }
    }
    Some((usize::try_from(start).ok()?, members))
}

/// One entry of the directory and its length.
fn member(bytes: &[u8]) -> Option<(String, Member, usize)> {
    let entry = Fields(bytes.strip_prefix(DIRECTORY).map(|_| bytes)?);
    let lengths = [entry.u16(28)?, entry.u16(30)?, entry.u16(32)?].map(usize::from);
    let name = String::from_utf8_lossy(bytes.get(46..46 + lengths[0])?).into_owned();
    let mut found = Member {
        method: entry.u16(10)?,
        packed: entry.u32(20)?,
        size: entry.u32(24)?,
        local: entry.u32(42)?,
    };
    // ZIP64: fields that do not fit stand in an extra record, in this order.
    let mut extra = bytes.get(46 + lengths[0]..46 + lengths[0] + lengths[1])?;
    while extra.len() >= 4 {
        let header = Fields(extra);
        let (id, length) = (header.u16(0)?, usize::from(header.u16(2)?));
        if id == 1 {
            let mut at = 4;
            for field in [&mut found.size, &mut found.packed, &mut found.local] {
                if *field == 0xffff_ffff {
                    *field = header.u64(at)?;
                    at += 8;
                }
            }
        }
        extra = extra.get(4 + length..).unwrap_or_default();
    }
    Some((name, found, 46 + lengths.iter().sum::<usize>()))
}

impl Zip {
    /// Reads the directory.
    pub fn open(input: &Input) -> Result<Self, IoError> {
        let bytes = input.bytes();
        let (mut at, n) = directory(bytes)
            .ok_or_else(|| input.corrupt(0, "ZIP end record", "at the end of the file", "none"))?;
        let mut members = BTreeMap::new();
        for i in 0..n {
            let found = bytes.get(at..).and_then(member);
            let (name, found, length) = found.ok_or_else(|| {
                input.corrupt(at as u64, "ZIP directory", format!("{n} members"), i)
            })?;
            members.insert(name, found);
            at += length;
        }
        Ok(Self { input: input.clone(), members })
    }

    /// Names of all members, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.keys().map(String::as_str)
    }

    /// True when there is such a member.
    pub fn contains(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// Bytes that a member says it takes in the file.
    pub fn packed_length(&self, name: &str) -> Option<usize> {
        self.members.get(name).and_then(|m| usize::try_from(m.packed).ok())
    }

    /// Where the packed bytes of a member lie in the file.
    fn range(&self, name: &str, member: &Member) -> Result<Range<usize>, IoError> {
        let bytes = self.input.bytes();
        let find = || {
            let local = usize::try_from(member.local).ok()?;
            let header = Fields(bytes.get(local..).filter(|b| b.starts_with(MAGIC))?);
            let start = local + 30 + usize::from(header.u16(26)?) + usize::from(header.u16(28)?);
            let end = start.checked_add(usize::try_from(member.packed).ok()?)?;
            (end <= bytes.len()).then_some(start..end)
        };
        find().ok_or_else(|| {
            let got = format!("{} bytes", member.packed);
            self.input.corrupt(member.local, format!("ZIP member {name}"), "in the file", got)
        })
    }

    /// Where a member lies that is stored as it is.
    pub fn stored(&self, name: &str) -> Result<Option<Range<usize>>, IoError> {
        match self.members.get(name) {
            Some(member) if member.method == 0 => self.range(name, member).map(Some),
            _ => Ok(None),
        }
    }

    /// A deflated member, to be read in parts.
    pub fn inflated(&self, name: &str) -> Result<Option<Inflated>, IoError> {
        match self.members.get(name) {
            Some(member) if member.method == 8 => {
                let range = self.range(name, member)?;
                Ok(Some(Inflated::new(&self.input, name, range)))
            }
            _ => Ok(None),
        }
    }

    /// The bytes of a member, at most `limit`; `None` where there is no such member.
    pub fn read(&self, name: &str, limit: usize) -> Result<Option<Cow<'_, [u8]>>, IoError> {
        let Some(member) = self.members.get(name) else { return Ok(None) };
        let range = self.range(name, member)?;
        let packed = &self.input.bytes()[range.clone()];
        if member.size.max(packed.len() as u64 * u64::from(member.method == 0)) > limit as u64 {
            return Err(self.input.too_large(name, member.size, limit as u64));
        }
        match member.method {
            0 => Ok(Some(packed.into())),
            8 => {
                let unpacked = codec::deflate(packed, limit).map_err(|error| {
                    self.input.corrupt(range.start as u64, name, "deflated bytes", error)
                })?;
                Ok(Some(unpacked.into()))
            }
            method => Err(IoError::Unsupported {
                file: self.input.path().to_owned(),
                field: format!("ZIP method of {name}"),
                got: method.to_string(),
                supported: "0 (stored) and 8 (deflated)".to_owned(),
                hint: "unpack it and zip it again with the usual method",
            }),
        }
    }

    /// `length` bytes from `offset` on, of a member that is stored as it is.
    pub fn part(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, IoError> {
        let range = self.stored(name)?.unwrap_or_default();
        let start = usize::try_from(offset).ok().and_then(|o| o.checked_add(range.start));
        let part = start.and_then(|start| Some(start..start.checked_add(length)?));
        let part = part.filter(|part| part.end <= range.end);
        let bytes = part.and_then(|part| self.input.bytes().get(part));
        bytes.map(<[u8]>::to_vec).ok_or_else(|| {
            let expected = format!("{length} bytes from {offset} on, not packed");
            self.input.corrupt(range.start as u64, name, expected, format!("{}", range.len()))
        })
    }
}
