//! From a `.npz` to a dataset.

use crate::{
    Input, IoError, OpenOptions,
    blocks::{self, Blocks, HELD_BYTES, rows_of},
    dense::{Prefer, read_dense},
    gather::{Block, Gathered},
    named_arrays::{MOST_POINTS, NamedArray, Placed, Stored, choose, largest_first, place},
    npy::{self, Header},
    plain::with_block,
    sidecar::beside,
    zip::{Inflated, Zip},
};
use kalpha_core::{Dataset, Metadata, Source};
use serde_json::Value;
use std::ops::Range;

/// Deflate shrinks by at most so much.
const DEFLATE_FACTOR: usize = 1032;

/// More than the header of any array takes.
const HEADER_BYTES: usize = 1 << 16;

/// One array of the file.
struct Member {
    name: String,
    /// All of it where it is stored, else its beginning.
    input: Input,
    packed: Option<Inflated>,
    header: Header,
}

impl NamedArray for Member {
    fn name(&self) -> &str {
        &self.name
    }

    fn shape(&self) -> Vec<usize> {
        self.header.shape.clone()
    }

    fn points(&self) -> Option<Vec<f64>> {
        let &[n] = &self.header.shape[..] else { return None };
        let whole = self.whole().ok().filter(|_| n <= MOST_POINTS)?;
        let bytes = whole.bytes().get(self.header.data..self.bytes())?;
        let mut values = Vec::new();
        with_block(self.header.number, bytes, |block| block.append_to(&mut values));
        Some(values)
    }
}

impl Member {
    /// Bytes of the header and all values.
    fn bytes(&self) -> usize {
        self.len().saturating_mul(self.header.number.width).saturating_add(self.header.data)
    }

    /// The array as a file of its own; a deflated one is unpacked.
    fn whole(&self) -> Result<Input, IoError> {
        match &self.packed {
            None => Ok(self.input.clone()),
            Some(packed) => {
                Ok(Input::from_bytes(self.input.path(), packed.beginning(self.bytes())?))
            }
        }
    }
}

/// Rows of a deflated array, unpacked when wanted.
struct DeflatedRows {
    packed: Inflated,
    header: Header,
    row_bytes: usize,
}

impl Blocks for DeflatedRows {
    fn dtype(&self) -> blocks::Stored {
        blocks::Stored::of(self.header.number)
    }

    fn read(&self, range: Range<usize>, take: &mut dyn FnMut(Block<'_>)) -> Result<(), IoError> {
        let place = |row: usize| self.header.data + row * self.row_bytes;
        let bytes = self.packed.read(place(range.start)..place(range.end))?;
        with_block(self.header.number, &bytes, take);
        Ok(())
    }
}

/// The local header of the first member names a `.npy`.
pub(super) fn first_is_npy(input: &Input) -> bool {
    let head = input.head(1024);
    let length = head.get(26..28).map_or(0, |b| usize::from(u16::from_le_bytes([b[0], b[1]])));
    head.get(30..30 + length).is_some_and(|name| name.ends_with(b".npy"))
}

/// Arrays of numbers; what is none is left out.
fn members(input: &Input) -> Result<Vec<Member>, IoError> {
    let zip = Zip::open(input)?;
    let mut found = Vec::new();
    for file in zip.names() {
        let Some(name) = file.strip_suffix(".npy") else { continue };
        let path = input.path().join(file);
        let (member, packed) = match (zip.stored(file)?, zip.inflated(file)?) {
            (Some(range), _) => (input.part(&path, range), None),
            (None, Some(packed)) => {
                (Input::from_bytes(&path, packed.beginning(HEADER_BYTES)?), Some(packed))
            }
            (None, None) => {
                let bytes = zip.read(file, HEADER_BYTES)?.unwrap_or_default();
                (Input::from_bytes(&path, bytes.into_owned()), None)
            }
        };
        match npy::header(&member) {
            Ok(header) => {
                let name = name.to_owned();
                found.push(Member { name, input: member, packed, header });
            }
            // Texts and objects.
            Err(IoError::Unsupported { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Arrays of more than one value, the largest first.
fn sorted(input: &Input) -> Result<Vec<Member>, IoError> {
    let mut arrays = members(input)?;
    arrays.retain(|m| !m.header.shape.is_empty() && m.len() > 1);
    largest_first(&mut arrays);
    Ok(arrays)
}

pub(super) fn signals(input: &Input) -> Result<Vec<String>, IoError> {
    Ok(sorted(input)?.into_iter().map(|m| m.name).collect())
}

/// The rows of the chosen array.
///
/// A large deflated one stays in its file where its spectra lie in order.
fn rows(input: &Input, chosen: Member, placed: Placed) -> Result<Gathered, IoError> {
    let Placed { navigation, signal, layout, in_order } = placed;
    if in_order
        && chosen.bytes() as u64 > HELD_BYTES
        && chosen.bytes() / DEFLATE_FACTOR <= input.bytes().len()
        && let Some(packed) = chosen.packed
    {
        let row_bytes = signal.len() * chosen.header.number.width;
        let rows = DeflatedRows { packed, header: chosen.header, row_bytes };
        return rows_of(input, rows, navigation, signal);
    }
    Ok(read_dense(&chosen.whole()?, &layout, navigation, signal, Prefer::Sparse)?.gathered)
}

pub(super) fn read(input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
    let mut arrays = sorted(input)?;
    let mut diagnostics = Vec::new();
    let number = choose(input, options, &arrays, "array", &mut diagnostics)?;
    // It describes the default array.
    let sidecar = match number {
        0 => beside(input, &mut diagnostics)?,
        _ => None,
    };
    let chosen = arrays.swap_remove(number);
    let header = &chosen.header;
    let stated = match &sidecar {
        Some(sidecar) => sidecar.axes(&header.shape)?,
        None => None,
    };
    let stored =
        Stored { number: header.number, offset: header.data, fortran_order: header.fortran_order };
    let placed = place(&chosen, &arrays, &stored, stated, &mut diagnostics);
    let source = Source {
        dtype: Some(header.number.dtype()),
        signal: Some(chosen.name.clone()),
        ..input.source("npz", Some(header.version.to_string()))
    };
    let gathered = rows(input, chosen, placed)?;
    diagnostics.extend(gathered.diagnostics);
    let dataset = Dataset {
        rows: gathered.rows,
        metadata: Metadata::default(),
        vendor: Value::Null,
        mask: None,
        source,
        diagnostics,
    };
    match sidecar {
        Some(sidecar) => sidecar.apply(dataset),
        None => Ok(dataset),
    }
}
