//! Filters that the library lacks, by their registered numbers.

use crate::codec::{self, CodecError};
use hdf5_reader::{FilterRegistry, error::Error, messages::filter_pipeline::FilterDescription};

const LZF: u16 = 32_000;
const BLOSC: u16 = 32_001;
const BITSHUFFLE: u16 = 32_008;
const ZSTD: u16 = 32_015;

/// The library's filters and ours; a chunk unpacks to at most `limit` bytes.
pub(super) fn registry(limit: usize) -> FilterRegistry {
    type Decode = fn(&FilterDescription, &[u8], usize, usize) -> Result<Vec<u8>, CodecError>;
    let ours: [(u16, Decode); 4] = [
        (LZF, |_, bytes, _, limit| codec::lzf(bytes, limit)),
        (BLOSC, |_, bytes, _, limit| codec::blosc(bytes, limit)),
        (BITSHUFFLE, |filter, bytes, width, limit| {
            codec::bitshuffle(bytes, &filter.client_data, width, limit)
        }),
        (ZSTD, |_, bytes, _, limit| codec::zstd(bytes, limit)),
    ];
    let mut registry = FilterRegistry::new();
    for (id, decode) in ours {
        let decode = move |filter: &FilterDescription, bytes: &[u8], width: usize| {
            decode(filter, bytes, width, limit)
                .map_err(|error| Error::DecompressionError(error.to_string()))
        };
        registry.register(id, Box::new(decode));
    }
    registry
}
