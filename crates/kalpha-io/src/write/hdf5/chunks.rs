//! Chunks and their index, a B-tree of version 1.

use super::{Hdf5Writer, NOWHERE};
use crate::plain::Number;
use flate2::{Compression, write::ZlibEncoder};
use std::io::{self, Write};

/// Chunks below one node of the index.
const PER_NODE: usize = 64;

/// Numbers of the filters.
const DEFLATE: u16 = 1;
const SHUFFLE: u16 = 2;

/// An array in chunks, while it is written.
pub(in crate::write) struct Chunked {
    pub shape: Vec<usize>,
    pub chunk: Vec<usize>,
    pub number: Number,
    /// First point, packed length and address of each chunk, in their order.
    written: Vec<(Vec<u64>, u32, u64)>,
}

/// Byte `j` of all elements together, then byte `j + 1`.
fn shuffled(bytes: &[u8], width: usize) -> Vec<u8> {
    (0..width).flat_map(|j| bytes.iter().skip(j).step_by(width).copied()).collect()
}

impl Chunked {
    pub fn new(shape: Vec<usize>, chunk: Vec<usize>, number: Number) -> Self {
        Self { shape, chunk, number, written: Vec::new() }
    }

    /// Packs and writes the next chunk, the one at `position` in the grid of chunks.
    pub fn write(
        &mut self,
        file: &mut Hdf5Writer<'_>,
        position: &[usize],
        bytes: &[u8],
    ) -> io::Result<()> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(4));
        encoder.write_all(&shuffled(bytes, self.number.width))?;
        let packed = encoder.finish()?;
        let address = file.put(&packed)?;
        let first = position.iter().zip(&self.chunk).map(|(p, c)| (p * c) as u64).collect();
        self.written.push((first, packed.len() as u32, address));
        Ok(())
    }
}

impl Hdf5Writer<'_> {
    /// Writes the index; returns the layout and the filters.
    pub(super) fn index(&mut self, chunked: &Chunked) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let rank = chunked.shape.len();
        let key = |size: u32, first: &[u64]| {
            let mut key = size.to_le_bytes().to_vec();
            key.extend([0; 4]);
            first.iter().for_each(|x| key.extend(x.to_le_bytes()));
            // The last is the offset within an element.
            key.extend([0; 8]);
            key
        };
        // Behind all chunks.
        let mut beyond = vec![0; rank];
        if let (Some(end), Some(&n), Some(&c)) =
            (beyond.first_mut(), chunked.shape.first(), chunked.chunk.first())
        {
            *end = n.next_multiple_of(c) as u64;
        }
        let end = key(0, &beyond);
        let mut level: Vec<(Vec<u8>, u64)> = chunked
            .written
            .iter()
            .map(|(first, size, address)| (key(*size, first), *address))
            .collect();
        let node_bytes = 24 + PER_NODE * 8 + (PER_NODE + 1) * end.len();
        let mut height = 0;
        loop {
            let nodes: Vec<_> = level.chunks(PER_NODE).collect();
            let start = self.at.next_multiple_of(8);
            let stride = node_bytes.next_multiple_of(8) as u64;
            let address = |i: usize| start + i as u64 * stride;
            let mut above = Vec::new();
            for (i, children) in nodes.iter().enumerate() {
                let mut node = b"TREE\x01".to_vec();
                node.push(height);
                node.extend((children.len() as u16).to_le_bytes());
                let left = if i == 0 { NOWHERE } else { address(i - 1) };
                let right = if i + 1 == nodes.len() { NOWHERE } else { address(i + 1) };
                node.extend(left.to_le_bytes());
                node.extend(right.to_le_bytes());
                for (key, child) in *children {
                    node.extend(key);
                    node.extend(child.to_le_bytes());
                }
                // The key behind the last child is the first of the next node.
                let next = nodes.get(i + 1).and_then(|next| next.first());
                node.extend(next.map_or(&end, |(key, _)| key));
                node.resize(node_bytes, 0);
                let first = children.first().map_or_else(|| end.clone(), |(key, _)| key.clone());
                above.push((first, self.put(&node)?));
            }
            match above[..] {
                [(_, root)] => {
                    let mut layout = vec![3, 2, rank as u8 + 1];
                    layout.extend(root.to_le_bytes());
                    chunked.chunk.iter().for_each(|&c| layout.extend((c as u32).to_le_bytes()));
                    layout.extend((chunked.number.width as u32).to_le_bytes());
                    return Ok((layout, filters(chunked.number.width)));
                }
                [] => return Err(io::Error::other("an array without chunks")),
                _ => level = above,
            }
            height += 1;
        }
    }
}

/// Shuffle, then deflate.
fn filters(width: usize) -> Vec<u8> {
    let mut filters = vec![2, 2];
    for (id, value) in [(SHUFFLE, width as u32), (DEFLATE, 4)] {
        filters.extend(id.to_le_bytes());
        // Optional, one value of its own.
        filters.extend([1, 0, 1, 0]);
        filters.extend(value.to_le_bytes());
    }
    filters
}
