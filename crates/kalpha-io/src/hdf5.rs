//! HDF5 files, for the formats that stand on them.
//!
//! The library reads the structure; the filters it lacks are our own (`filters.rs`). `array.rs`
//! reads datasets by rows, `whole.rs` small ones at once, `tree.rs` turns groups and attributes into
//! JSON.

mod array;
mod filters;
mod tree;
mod whole;

pub(crate) use array::{Hdf5Array, for_each_box, shape_of};
pub(crate) use tree::{at, attribute_json, group_json};

use crate::{Input, IoError};
use hdf5_reader::{Hdf5File, OpenOptions, group::Group};

/// First bytes of every HDF5 file.
pub(crate) const MAGIC: &[u8] = b"\x89HDF\r\n\x1a\n";

/// Deflate shrinks by at most so much; other filters get a share of their own.
pub(crate) const DEFLATE_FACTOR: usize = 1032;
/// What Zstandard and Blosc make of zeros.
const ZEROS_FACTOR: usize = 1 << 16;

/// Unpacked chunks kept at hand: two bands of a map in square chunks, as two threads read it.
const CHUNK_CACHE_BYTES: usize = 64 << 20;

/// An error of the library about `object`.
pub(crate) fn fail(
    input: &Input,
    object: &str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> IoError {
    IoError::Hdf5 {
        file: input.path().to_owned(),
        object: object.to_owned(),
        source: source.into(),
    }
}

/// The most bytes one chunk may unpack to.
fn chunk_limit(input: &Input) -> usize {
    // One chunk is held several times over while it is converted.
    (256 << 20).min((8 << 20) + 64 * input.bytes().len())
}

/// The most bytes read at once: a few chunks or a block of rows. A text whose length is a lie is
/// no longer than that either.
fn read_limit(input: &Input) -> usize {
    (1 << 30).min((40 << 20) + 64 * input.bytes().len())
}

/// Opens the file, with all filters and within the memory that its length allows.
pub(crate) fn open(input: &Input) -> Result<Hdf5File, IoError> {
    if let Some(file) = input.known().hdf5.get() {
        return Ok(file.clone());
    }
    let options = OpenOptions {
        max_chunk_bytes: chunk_limit(input),
        max_read_bytes: read_limit(input),
        max_object_header_bytes: 8 << 20,
        chunk_cache_bytes: CHUNK_CACHE_BYTES,
        chunk_cache_slots: 1 << 14,
        filter_registry: Some(filters::registry(chunk_limit(input))),
        ..OpenOptions::default()
    };
    let file = Hdf5File::from_owner(Bytes(input.bytes().clone()), options)
        .map_err(|e| fail(input, "/", e))?;
    // Behind the end that the file states nothing is missing; what is not there is.
    let (stated, length) = (file.superblock().eof_address, input.bytes().len());
    if stated != u64::MAX && stated > length as u64 {
        let expected = format!("{stated} bytes, as it says of itself");
        return Err(input.corrupt(length as u64, "end of the file", expected, length));
    }
    Ok(input.known().hdf5.get_or_init(|| file).clone())
}

/// What kalpha wrote into a group beside the values, as JSON.
pub(crate) fn own_json(group: &Group) -> Option<Vec<u8>> {
    let data = group.dataset("kalpha").ok()?;
    Some(data.read_array::<u8>().ok()?.iter().copied().collect())
}

struct Bytes(kalpha_core::Buffer<u8>);

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
