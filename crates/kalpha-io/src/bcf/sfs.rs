//! The SFS container: a small file system inside one file.
//!
//! Everything is little-endian. Byte 0: magic `AAMVHFSS`. From byte 0x118 on the file is cut
//! into chunks of equal size (u32 at 0x128); each starts with a 32-byte header whose first u32
//! names the next chunk where a structure spans several. Chunk 0's payload tells where the
//! directory stands (u32 at 0x140) and how many entries it has (u32 at 0x144).
//!
//! A directory entry fills 512 bytes: u32 first chunk of the pointer table, u64 size, three
//! u64 times, u32 permissions, i32 parent (-1: root), byte 0xdc: 1 for a directory, name from
//! 0xe0 (256 bytes, NUL-ended). The pointer table lists the u32 numbers of the chunks that
//! hold the file.
//!
//! A file may be packed: magic `AACS`, u32 at 12 number of blocks, blocks from byte 128 on,
//! each u32 packed size, u32 unpacked size, 8 more bytes, and a zlib stream.

use crate::{Input, IoError};
use flate2::{Decompress, FlushDecompress, Status};
use rayon::prelude::*;

pub(super) const MAGIC: &[u8] = b"AAMVHFSS";
const FIRST_CHUNK: usize = 0x118;
const CHUNK_HEADER: usize = 32;
const ENTRY: usize = 512;
const PACKED_MAGIC: &[u8] = b"AACS";
const PACKED_HEADER: usize = 128;
const BLOCK_HEADER: usize = 16;

pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

/// One file of the container.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Path inside the container, `EDSDatabase/HeaderData`.
    pub path: String,
    table: u32,
    size: u64,
}

/// An opened container.
#[derive(Debug)]
pub(super) struct Container<'a> {
    input: &'a Input,
    chunk: usize,
    chunks: u64,
    /// Version the container states.
    pub version: f32,
    /// Files, directories left out.
    pub files: Vec<Entry>,
}

impl<'a> Container<'a> {
    pub fn open(input: &'a Input) -> Result<Self, IoError> {
        let bytes = input.bytes();
        if input.head(8) != MAGIC {
            let got = input.head(8).escape_ascii().to_string();
            return Err(input.corrupt(0, "SFS magic", "AAMVHFSS", got));
        }
        if bytes.len() < FIRST_CHUNK + CHUNK_HEADER + 24 {
            return Err(input.corrupt(0, "file length", "a whole SFS header", bytes.len()));
        }
        let version = f32::from_bits(u32_at(bytes, 0x124));
        let chunk = u32_at(bytes, 0x128) as usize;
        if !(CHUNK_HEADER + 4..=bytes.len()).contains(&chunk) {
            return Err(input.corrupt(0x128, "SFS chunk size", "36 .. file length", chunk));
        }
        let chunks = (bytes.len() - FIRST_CHUNK).div_ceil(chunk) as u64;
        let mut container = Self { input, chunk, chunks, version, files: Vec::new() };
        container.read_directory(u32_at(bytes, 0x140), u32_at(bytes, 0x144))?;
        Ok(container)
    }

    fn payload(&self) -> usize {
        self.chunk - CHUNK_HEADER
    }

    fn offset(&self, number: u32) -> u64 {
        FIRST_CHUNK as u64 + u64::from(number) * self.chunk as u64
    }

    /// Number of the next chunk, and the payload of this one; the file's last chunk may be short.
    fn read_chunk(&self, number: u32, what: &str) -> Result<(u32, &'a [u8]), IoError> {
        let beyond = || {
            let expected = format!("a chunk below {}", self.chunks);
            self.input.corrupt(self.offset(number), format!("chunk of {what}"), expected, number)
        };
        if u64::from(number) >= self.chunks {
            return Err(beyond());
        }
        let bytes: &'a [u8] = self.input.bytes();
        let start = usize::try_from(self.offset(number)).map_err(|_| beyond())?;
        let whole = &bytes[start..bytes.len().min(start.saturating_add(self.chunk))];
        let payload = whole.get(CHUNK_HEADER..).ok_or_else(beyond)?;
        Ok((u32_at(whole, 0), payload))
    }

    /// `len` bytes of a structure that starts in chunk `first` and follows the chunk headers.
    fn linked(&self, first: u32, len: usize, what: &str) -> Result<Vec<u8>, IoError> {
        let limit = self.input.bytes().len();
        if len > limit {
            return Err(self.input.too_large(what, len as u64, limit as u64));
        }
        let mut out = Vec::with_capacity(len);
        let mut number = first;
        loop {
            let (next, payload) = self.read_chunk(number, what)?;
            out.extend_from_slice(&payload[..payload.len().min(len - out.len())]);
            if out.len() == len {
                return Ok(out);
            }
            if payload.len() < self.payload() {
                let expected = format!("{len} bytes of {what}");
                let got = format!("{} before the file ends", out.len());
                return Err(self.input.corrupt(self.offset(number), what, expected, got));
            }
            number = next;
        }
    }

    fn read_directory(&mut self, first: u32, entries: u32) -> Result<(), IoError> {
        let limit = (self.input.bytes().len() / ENTRY) as u64;
        if u64::from(entries) > limit {
            return Err(self.input.too_large("SFS directory", entries.into(), limit));
        }
        let table = self.linked(first, entries as usize * ENTRY, "SFS directory")?;
        let records: Vec<&[u8]> = table.chunks_exact(ENTRY).collect();
        let name = |record: &[u8]| -> String {
            let raw = &record[0xe0..0x1e0];
            let raw = raw.split(|&b| b == 0).next().unwrap_or_default();
            raw.iter().map(|&b| crate::xml::windows_1252(b)).collect()
        };
        for record in &records {
            if record[0xdc] == 1 {
                continue;
            }
            let mut path = name(record);
            let mut parent = u32_at(record, 0x28) as i32;
            // Directories cannot nest deeper than there are entries, unless they form a ring.
            for _ in 0..records.len() {
                let Some(above) = usize::try_from(parent).ok().and_then(|p| records.get(p)) else {
                    break;
                };
                if path.len() > 4096 {
                    break;
                }
                path = format!("{}/{path}", name(above));
                parent = u32_at(above, 0x28) as i32;
            }
            let size = u64::from(u32_at(record, 4)) | u64::from(u32_at(record, 8)) << 32;
            self.files.push(Entry { path, table: u32_at(record, 0), size });
        }
        Ok(())
    }

    /// The file at `path`, if there is one.
    pub fn find(&self, path: &str) -> Option<&Entry> {
        self.files.iter().find(|f| f.path == path)
    }

    /// A file from its start.
    pub fn content(&'a self, entry: &Entry) -> Result<Content<'a>, IoError> {
        let limit = self.chunks * self.payload() as u64;
        if entry.size > limit {
            return Err(self.input.too_large(format!("size of {}", entry.path), entry.size, limit));
        }
        let pointers = (entry.size as usize).div_ceil(self.payload());
        let what = format!("pointer table of {}", entry.path);
        let table =
            if pointers == 0 { Vec::new() } else { self.linked(entry.table, pointers * 4, &what)? };
        let mut content = Content {
            container: self,
            name: entry.path.clone(),
            table: table.chunks_exact(4).map(|b| u32_at(b, 0)).collect(),
            next: 0,
            left: entry.size,
            bytes: Vec::new(),
            before: 0,
            packed: None,
        };
        if !content.fill(PACKED_MAGIC.len())? || !content.bytes.starts_with(PACKED_MAGIC) {
            return Ok(content);
        }
        content.need(PACKED_HEADER)?;
        let blocks = u32_at(&content.bytes, 12);
        content.drop_first(PACKED_HEADER);
        // Spectra and XML shrink to a half or a fifth; 64 times is far beyond either.
        let budget = (self.input.bytes().len() as u64).saturating_mul(64).max(1 << 26);
        content.packed = Some(Packed { blocks, budget });
        Ok(content)
    }
}

/// About so many bytes of a file are handed out at once.
const PART: usize = 16 << 20;

/// What is left of a packed file.
#[derive(Clone, Copy)]
struct Packed {
    blocks: u32,
    /// Bytes that may still be unpacked.
    budget: u64,
}

/// A file of the container, read front to back.
pub(super) struct Content<'a> {
    container: &'a Container<'a>,
    name: String,
    /// The chunks that hold it.
    table: Vec<u32>,
    next: usize,
    /// Bytes that are not yet gathered.
    left: u64,
    /// Gathered bytes that are not yet handed out.
    bytes: Vec<u8>,
    /// Bytes of the file before these.
    before: u64,
    packed: Option<Packed>,
}

impl Content<'_> {
    /// An error at a byte of this file.
    pub fn corrupt(
        &self,
        at: u64,
        field: &str,
        expected: impl Into<String>,
        got: impl ToString,
    ) -> IoError {
        let field = format!("{} of {}", field, self.name);
        self.container.input.corrupt(at, field, expected, got)
    }

    /// Gathers at least `n` bytes; false where the file has fewer.
    fn fill(&mut self, n: usize) -> Result<bool, IoError> {
        // The caller wants what lies in the file: the length of this file bounds it.
        let wanted = n.saturating_sub(self.bytes.len()).min(self.container.input.bytes().len());
        self.bytes.reserve(wanted.next_multiple_of(self.container.payload().max(1)));
        while self.bytes.len() < n {
            let Some(&number) = self.table.get(self.next) else { return Ok(false) };
            let (_, payload) = self.container.read_chunk(number, &self.name)?;
            let left = usize::try_from(self.left).unwrap_or(usize::MAX);
            let payload = &payload[..payload.len().min(left)];
            if payload.is_empty() {
                return Ok(false);
            }
            self.bytes.extend_from_slice(payload);
            self.left -= payload.len() as u64;
            self.next += 1;
        }
        Ok(true)
    }

    /// Gathers `n` bytes, which must be there.
    fn need(&mut self, n: usize) -> Result<(), IoError> {
        if self.fill(n)? {
            return Ok(());
        }
        let got = format!("{} before it ends", self.bytes.len());
        Err(self.corrupt(self.before, "content", format!("{n} bytes"), got))
    }

    fn drop_first(&mut self, n: usize) {
        self.bytes.drain(..n);
        self.before += n as u64;
    }

    /// The next bytes of the file, some megabytes of them, unpacked; `None` at the end.
    pub fn part(&mut self) -> Result<Option<Vec<u8>>, IoError> {
        let Some(packed) = self.packed else {
            self.fill(PART)?;
            self.before += self.bytes.len() as u64;
            return Ok(Some(std::mem::take(&mut self.bytes)).filter(|bytes| !bytes.is_empty()));
        };
        let Packed { mut blocks, mut budget } = packed;
        // The first byte of each packed block among those gathered, its length, what it holds.
        let mut found: Vec<(usize, usize, usize)> = Vec::new();
        let (mut at, mut total) = (0, 0);
        while blocks > 0 && total < PART {
            self.need(at + BLOCK_HEADER)?;
            let size = u32_at(&self.bytes, at) as usize;
            let unpacked = u32_at(&self.bytes, at + 4) as usize;
            // A deflate stream cannot grow by more than a factor 1032.
            let limit = (size as u64 * 1032).min(budget);
            if unpacked as u64 > limit {
                let what = format!("unpacked block of {}", self.name);
                return Err(self.container.input.too_large(what, unpacked as u64, limit));
            }
            let start = at + BLOCK_HEADER;
            self.need(start + size)?;
            found.push((start, size, unpacked));
            (blocks, budget) = (blocks - 1, budget - unpacked as u64);
            (at, total) = (start + size, total + unpacked);
        }
        if found.is_empty() {
            return Ok(None);
        }
        let mut out = vec![0; total];
        let mut rest = &mut out[..];
        let mut tasks = Vec::new();
        for (start, size, unpacked) in found {
            let (own, others) = std::mem::take(&mut rest).split_at_mut(unpacked);
            rest = others;
            tasks.push((start, &self.bytes[start..start + size], own));
        }
        // All end before the first error is told, so that it is always the same one.
        let unpack = |(start, source, out): (usize, &[u8], &mut [u8])| {
            let mut inflate = Decompress::new(true);
            let got = match inflate.decompress(source, out, FlushDecompress::Finish) {
                Ok(Status::StreamEnd) if inflate.total_out() == out.len() as u64 => return Ok(()),
                Ok(_) => format!("{} bytes", inflate.total_out()),
                Err(error) => error.to_string(),
            };
            let at = self.before + start as u64;
            Err(self.corrupt(at, "zlib block", format!("{} bytes", out.len()), got))
        };
        let done: Vec<Result<(), IoError>> = tasks.into_par_iter().map(unpack).collect();
        done.into_iter().collect::<Result<(), _>>()?;
        self.packed = Some(Packed { blocks, budget });
        self.drop_first(at);
        Ok(Some(out))
    }

    /// All bytes.
    pub fn whole(mut self) -> Result<Vec<u8>, IoError> {
        let mut all = self.part()?.unwrap_or_default();
        while let Some(part) = self.part()? {
            all.extend_from_slice(&part);
        }
        Ok(all)
    }
}
