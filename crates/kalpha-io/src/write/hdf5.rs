//! HDF5 files (HDF5 File Format Specification 3.0), as much of them as a dataset needs: groups,
//! attributes, arrays in gzipped chunks.
//!
//! Everything is written once, children before their parents; only strings and the first 48
//! bytes are filled in behind. So memory does not grow with the array. Checked against h5py and
//! HyperSpy (tests/golden/written.py).

mod chunks;
mod encode;

pub(super) use chunks::Chunked;
pub(super) use encode::Attribute;

use crate::plain::Number;
use encode::{checksum, dataspace, datatype, fixed_datatype, message, string_datatype};
use std::{
    fs::File,
    io::{self, BufWriter, Seek, SeekFrom, Write},
};

/// An address that is none.
const NOWHERE: u64 = u64::MAX;

/// Room for strings that is laid out at once.
const HEAP_BYTES: usize = 16 << 10;

/// Where an object stands in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address(u64);

/// Strings of any length, in a place of its own.
struct Heap {
    address: u64,
    bytes: Vec<u8>,
    capacity: usize,
    objects: u16,
}

/// Writes objects one after the other.
pub(super) struct Hdf5Writer<'a> {
    out: &'a mut BufWriter<File>,
    at: u64,
    heap: Option<Heap>,
}

impl<'a> Hdf5Writer<'a> {
    /// Starts a file.
    pub fn new(out: &'a mut BufWriter<File>) -> io::Result<Self> {
        out.write_all(&[0; 48])?;
        Ok(Self { out, at: 48, heap: None })
    }

    /// Appends bytes at the next multiple of eight.
    fn put(&mut self, bytes: &[u8]) -> io::Result<u64> {
        let gap = self.at.next_multiple_of(8) - self.at;
        self.out.write_all(&[0; 8][..gap as usize])?;
        let address = self.at + gap;
        self.out.write_all(bytes)?;
        self.at = address + bytes.len() as u64;
        Ok(address)
    }

    /// Fills in what was left open before.
    fn fill(&mut self, address: u64, bytes: &[u8]) -> io::Result<()> {
        self.out.seek(SeekFrom::Start(address))?;
        self.out.write_all(bytes)?;
        self.out.seek(SeekFrom::Start(self.at))?;
        Ok(())
    }

    fn close_heap(&mut self) -> io::Result<()> {
        let Some(heap) = self.heap.take() else { return Ok(()) };
        let mut bytes = b"GCOL\x01\0\0\0".to_vec();
        bytes.extend((heap.capacity as u64).to_le_bytes());
        bytes.extend(&heap.bytes);
        // What is left is object 0, the free space.
        let free = heap.capacity - bytes.len();
        if free >= 16 {
            bytes.extend([0; 8]);
            bytes.extend((free as u64).to_le_bytes());
        }
        bytes.resize(heap.capacity, 0);
        self.fill(heap.address, &bytes)
    }

    /// Keeps a string; returns the 16 bytes that stand for it.
    fn string(&mut self, text: &str) -> io::Result<Vec<u8>> {
        let need = 16 + text.len().next_multiple_of(8);
        let fits =
            |heap: &Heap| heap.bytes.len() + need + 32 <= heap.capacity && heap.objects < 60_000;
        if !self.heap.as_ref().is_some_and(fits) {
            self.close_heap()?;
            let capacity = HEAP_BYTES.max(need + 48).next_multiple_of(8);
            let address = self.put(&vec![0; capacity])?;
            self.heap = Some(Heap { address, bytes: Vec::new(), capacity, objects: 0 });
        }
        let Some(heap) = &mut self.heap else { return Ok(Vec::new()) };
        heap.objects += 1;
        heap.bytes.extend(heap.objects.to_le_bytes());
        heap.bytes.extend([1, 0, 0, 0, 0, 0]);
        heap.bytes.extend((text.len() as u64).to_le_bytes());
        heap.bytes.extend(text.as_bytes());
        heap.bytes.resize(heap.bytes.len().next_multiple_of(8), 0);
        let mut reference = (text.len() as u32).to_le_bytes().to_vec();
        reference.extend(heap.address.to_le_bytes());
        reference.extend(u32::from(heap.objects).to_le_bytes());
        Ok(reference)
    }

    fn attribute(&mut self, name: &str, attribute: &Attribute) -> io::Result<Vec<u8>> {
        let (datatype, dataspace, data) = match attribute {
            Attribute::Text(text) => (string_datatype(), dataspace(None), self.string(text)?),
            Attribute::Texts(texts) => {
                let mut data = Vec::new();
                for text in texts {
                    data.extend(self.string(text)?);
                }
                (string_datatype(), dataspace(Some(&[texts.len()])), data)
            }
            other => {
                let (datatype, data) = fixed_datatype(other);
                (datatype, dataspace(None), data)
            }
        };
        let mut body = vec![3, 0];
        body.extend((name.len() as u16 + 1).to_le_bytes());
        body.extend((datatype.len() as u16).to_le_bytes());
        body.extend((dataspace.len() as u16).to_le_bytes());
        body.push(1);
        body.extend(name.as_bytes());
        body.push(0);
        body.extend(datatype.iter().chain(&dataspace).chain(&data));
        Ok(message(0x0C, &body))
    }

    /// Writes an object of some messages and attributes.
    fn object(
        &mut self,
        mut messages: Vec<u8>,
        attributes: &[(&str, Attribute)],
    ) -> io::Result<Address> {
        for (name, value) in attributes {
            messages.extend(self.attribute(name, value)?);
        }
        let mut header = b"OHDR\x02\x02".to_vec();
        header.extend((messages.len() as u32).to_le_bytes());
        header.extend(messages);
        header.extend(checksum(&header).to_le_bytes());
        self.put(&header).map(Address)
    }

    /// Writes a group of objects that stand in the file already.
    pub fn group(
        &mut self,
        attributes: &[(&str, Attribute)],
        members: &[(&str, Address)],
    ) -> io::Result<Address> {
        let mut info = vec![0, 0];
        info.extend(NOWHERE.to_le_bytes());
        info.extend(NOWHERE.to_le_bytes());
        let mut messages = message(0x02, &info);
        messages.extend(message(0x0A, &[0, 0]));
        for (name, Address(address)) in members {
            // Name in UTF-8, its length in two bytes, a hard link.
            let mut link = vec![1, 0x11, 1];
            link.extend((name.len() as u16).to_le_bytes());
            link.extend(name.as_bytes());
            link.extend(address.to_le_bytes());
            messages.extend(message(0x06, &link));
        }
        self.object(messages, attributes)
    }

    fn array(
        &mut self,
        datatype: &[u8],
        shape: &[usize],
        layout: &[u8],
        more: &[u8],
        attributes: &[(&str, Attribute)],
    ) -> io::Result<Address> {
        let mut messages = message(0x01, &dataspace(Some(shape)));
        messages.extend(message(0x03, datatype));
        // Zeros where nothing is stored, written when an element is.
        messages.extend(message(0x05, &[3, 0x0A]));
        messages.extend(message(0x08, layout));
        messages.extend(more);
        self.object(messages, attributes)
    }

    fn contiguous(
        &mut self,
        datatype: &[u8],
        shape: &[usize],
        bytes: &[u8],
        attributes: &[(&str, Attribute)],
    ) -> io::Result<Address> {
        let address = self.put(bytes)?;
        let mut layout = vec![3, 1];
        layout.extend(address.to_le_bytes());
        layout.extend((bytes.len() as u64).to_le_bytes());
        self.array(datatype, shape, &layout, &[], attributes)
    }

    /// Writes a small array as it is.
    pub fn numbers(
        &mut self,
        number: Number,
        bytes: &[u8],
        attributes: &[(&str, Attribute)],
    ) -> io::Result<Address> {
        let shape = [bytes.len() / number.width];
        self.contiguous(&datatype(number), &shape, bytes, attributes)
    }

    /// Writes a list of strings.
    pub fn strings(&mut self, texts: &[String]) -> io::Result<Address> {
        let mut bytes = Vec::new();
        for text in texts {
            bytes.extend(self.string(text)?);
        }
        self.contiguous(&string_datatype(), &[texts.len()], &bytes, &[])
    }

    /// Writes an array whose chunks are there already.
    pub fn chunked(
        &mut self,
        chunked: &Chunked,
        attributes: &[(&str, Attribute)],
    ) -> io::Result<Address> {
        let (layout, filters) = self.index(chunked)?;
        let filters = message(0x0B, &filters);
        self.array(&datatype(chunked.number), &chunked.shape, &layout, &filters, attributes)
    }

    /// Ends the file, `root` being its first group.
    pub fn finish(mut self, Address(root): Address) -> io::Result<()> {
        self.close_heap()?;
        let mut block = b"\x89HDF\r\n\x1a\n\x02\x08\x08\0".to_vec();
        for field in [0, NOWHERE, self.at, root] {
            block.extend(field.to_le_bytes());
        }
        block.extend(checksum(&block).to_le_bytes());
        self.fill(0, &block)
    }
}
