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
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, sync_channel},
    },
    thread::Scope,
};

pub(super) const MAGIC: &[u8] = b"AAMVHFSS";
const FIRST_CHUNK: usize = 0x118;
const CHUNK_HEADER: usize = 32;
const ENTRY: usize = 512;
const PACKED_MAGIC: &[u8] = b"AACS";
const PACKED_HEADER: usize = 128;

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

    /// Reads a file from its start, unpacking it where it is packed.
    pub fn stream(&'a self, entry: &Entry) -> Result<Stream<'a>, IoError> {
        let limit = self.chunks * self.payload() as u64;
        if entry.size > limit {
            return Err(self.input.too_large(format!("size of {}", entry.path), entry.size, limit));
        }
        let pointers = (entry.size as usize).div_ceil(self.payload());
        let what = format!("pointer table of {}", entry.path);
        let table =
            if pointers == 0 { Vec::new() } else { self.linked(entry.table, pointers * 4, &what)? };
        let table = table.chunks_exact(4).map(|b| u32_at(b, 0)).collect();
        let blocks = Blocks::Plain { table, next: 0, left: entry.size };
        let mut stream = Stream::new(self, &entry.path, blocks);
        if stream.peek(4)? != PACKED_MAGIC {
            return Ok(stream);
        }
        let head = stream.take(PACKED_HEADER)?;
        let left = u32_at(head, 12);
        // Spectra and XML shrink to a half or a fifth; 64 times is far beyond either.
        let budget = (self.input.bytes().len() as u64).saturating_mul(64).max(1 << 26);
        let blocks = Blocks::Packed { inner: Box::new(stream), left, budget };
        Ok(Stream::new(self, &entry.path, blocks))
    }
}

/// Unpacked blocks that wait for whoever decodes them.
const BLOCKS_AHEAD: usize = 4;

enum Blocks<'a> {
    Plain {
        table: Vec<u32>,
        next: usize,
        left: u64,
    },
    Packed {
        inner: Box<Stream<'a>>,
        left: u32,
        budget: u64,
    },
    /// Unpacked by another thread.
    Ahead(Receiver<Result<Vec<u8>, IoError>>),
}

/// A file of the container, read front to back.
pub(super) struct Stream<'a> {
    container: &'a Container<'a>,
    name: String,
    blocks: Blocks<'a>,
    buffer: Vec<u8>,
    at: usize,
    /// Bytes taken before the buffer starts.
    before: u64,
}

impl<'a> Stream<'a> {
    fn new(container: &'a Container<'a>, name: &str, blocks: Blocks<'a>) -> Self {
        Self { container, name: name.to_owned(), blocks, buffer: Vec::new(), at: 0, before: 0 }
    }

    /// The same file, unpacked by a thread of its own while it is read; as it is where it is not
    /// packed, or the system has no thread to give.
    pub fn ahead<'scope, 'env>(self, scope: &'scope Scope<'scope, 'env>) -> Self
    where
        'a: 'scope,
    {
        if !matches!(self.blocks, Blocks::Packed { .. }) {
            return self;
        }
        let (sender, receiver) = sync_channel(BLOCKS_AHEAD);
        let made = Self::new(self.container, &self.name, Blocks::Ahead(receiver));
        // Handed over through a lock, so that it is still there where no thread starts.
        let waiting = Arc::new(Mutex::new(Some(self)));
        let taken = Arc::clone(&waiting);
        let take =
            |from: &Mutex<Option<Self>>| from.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = std::thread::Builder::new().spawn_scoped(scope, move || {
            let Some(mut stream) = take(&taken) else { return };
            loop {
                let block = match stream.refill() {
                    Ok(false) => return,
                    Ok(true) => Ok(std::mem::take(&mut stream.buffer)),
                    Err(error) => Err(error),
                };
                // An error is the last that can be told; who reads no more has hung up.
                let ends = block.is_err();
                if sender.send(block).is_err() || ends {
                    return;
                }
            }
        });
        match thread {
            Ok(_) => made,
            Err(_) => take(&waiting).unwrap_or(made),
        }
    }

    /// Bytes taken so far.
    pub fn position(&self) -> u64 {
        self.before + self.at as u64
    }

    /// An error at the present position of this file.
    pub fn corrupt(&self, field: &str, expected: impl Into<String>, got: impl ToString) -> IoError {
        let field = format!("{} of {}", field, self.name);
        self.container.input.corrupt(self.position(), field, expected, got)
    }

    /// Appends the next block; false at the end.
    fn refill(&mut self) -> Result<bool, IoError> {
        if self.at > 0 {
            self.buffer.drain(..self.at);
            self.before += self.at as u64;
            self.at = 0;
        }
        match &mut self.blocks {
            Blocks::Ahead(blocks) => match blocks.recv() {
                Ok(block) => {
                    let block = block?;
                    match self.buffer.is_empty() {
                        true => self.buffer = block,
                        false => self.buffer.extend_from_slice(&block),
                    }
                    Ok(true)
                }
                // The other thread came to the end.
                Err(_) => Ok(false),
            },
            Blocks::Plain { table, next, left } => {
                let Some(&number) = table.get(*next) else { return Ok(false) };
                let (_, payload) = self.container.read_chunk(number, &self.name)?;
                let payload =
                    &payload[..payload.len().min(usize::try_from(*left).unwrap_or(usize::MAX))];
                self.buffer.extend_from_slice(payload);
                *left -= payload.len() as u64;
                *next += 1;
                Ok(!payload.is_empty())
            }
            Blocks::Packed { inner, left, budget } => {
                let Some(rest) = left.checked_sub(1) else { return Ok(false) };
                *left = rest;
                let head = inner.take(16)?;
                let (packed, unpacked) = (u32_at(head, 0) as usize, u32_at(head, 4) as usize);
                // A deflate stream cannot grow by more than a factor 1032.
                let limit = (packed as u64 * 1032).min(*budget);
                if unpacked as u64 > limit {
                    let what = format!("unpacked block of {}", self.name);
                    return Err(self.container.input.too_large(what, unpacked as u64, limit));
                }
                *budget -= unpacked as u64;
                let source = inner.take(packed)?;
                let start = self.buffer.len();
                self.buffer.reserve_exact(unpacked);
                let mut inflate = Decompress::new(true);
                let status =
                    inflate.decompress_vec(source, &mut self.buffer, FlushDecompress::Finish);
                if !matches!(status, Ok(Status::StreamEnd)) || self.buffer.len() - start != unpacked
                {
                    let got = match status {
                        Ok(_) => format!("{} bytes", inflate.total_out()),
                        Err(error) => error.to_string(),
                    };
                    return Err(inner.corrupt("zlib block", format!("{unpacked} bytes"), got));
                }
                Ok(true)
            }
        }
    }

    fn fill(&mut self, n: usize) -> Result<bool, IoError> {
        while self.buffer.len() - self.at < n {
            if !self.refill()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Up to `n` bytes that are taken later.
    pub fn peek(&mut self, n: usize) -> Result<&[u8], IoError> {
        self.fill(n)?;
        Ok(&self.buffer[self.at..self.buffer.len().min(self.at + n)])
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> Result<&[u8], IoError> {
        if !self.fill(n)? {
            let got = format!("{} before it ends", self.buffer.len() - self.at);
            return Err(self.corrupt("content", format!("{n} bytes"), got));
        }
        self.at += n;
        Ok(&self.buffer[self.at - n..self.at])
    }

    /// All bytes that are left.
    pub fn rest(mut self) -> Result<Vec<u8>, IoError> {
        while self.refill()? {}
        self.buffer.drain(..self.at);
        Ok(self.buffer)
    }
}
