//! From a `.npz` to a dataset.

use crate::{
    Input, IoError, OpenOptions,
    axis_guess::{axis_among, is_spectral},
    blocks::{Blocks, HELD_BYTES, Stored, rows_of},
    dense::{Layout, Prefer, read_dense},
    gather::{Block, Gathered},
    npy::{self, Header},
    plain::with_block,
    sidecar::{beside, default_name},
    zip::{Inflated, Zip},
};
use kalpha_core::{Axis, Code, Dataset, Diagnostic, Metadata, Source, Unit};
use serde_json::Value;
use std::ops::Range;

/// Deflate shrinks by at most so much.
const DEFLATE_FACTOR: usize = 1032;

/// Longer arrays are no axis.
const POINTS: usize = 1 << 20;

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

impl Member {
    fn len(&self) -> usize {
        self.header.shape.iter().fold(1usize, |n, &d| n.saturating_mul(d))
    }

    /// Bytes of the header and all values.
    fn bytes(&self) -> usize {
        self.len().saturating_mul(self.header.number.width).saturating_add(self.header.data)
    }

    /// All values of a short one-dimensional array.
    fn points(&self) -> Option<Vec<f64>> {
        let &[n] = &self.header.shape[..] else { return None };
        let whole = self.whole().ok().filter(|_| n <= POINTS)?;
        let bytes = whole.bytes().get(self.header.data..self.bytes())?;
        let mut values = Vec::new();
        with_block(self.header.number, bytes, |block| block.append_to(&mut values));
        Some(values)
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
    fn dtype(&self) -> Stored {
        Stored::of(self.header.number)
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

/// Signals, the largest first, the others in the order of their names.
fn sorted(input: &Input) -> Result<(Vec<Member>, Vec<Member>), IoError> {
    let all = members(input)?;
    let (mut signals, others): (Vec<Member>, Vec<Member>) =
        all.into_iter().partition(|m| !m.header.shape.is_empty() && m.len() > 1);
    let largest = signals.iter().map(Member::len).max();
    if let Some(first) = signals.iter().position(|m| Some(m.len()) == largest) {
        let chosen = signals.remove(first);
        signals.insert(0, chosen);
    }
    Ok((signals, others))
}

pub(super) fn signals(input: &Input) -> Result<Vec<String>, IoError> {
    Ok(sorted(input)?.0.into_iter().map(|m| m.name).collect())
}

/// The rows of the chosen array.
///
/// A large deflated one stays in its file where its spectra lie in order.
fn rows(
    input: &Input,
    chosen: Member,
    layout: &Layout,
    navigation: Vec<Axis>,
    signal: Axis,
    in_order: bool,
) -> Result<Gathered, IoError> {
    if in_order
        && chosen.bytes() as u64 > HELD_BYTES
        && chosen.bytes() / DEFLATE_FACTOR <= input.bytes().len()
        && let Some(packed) = chosen.packed
    {
        let row_bytes = signal.len() * chosen.header.number.width;
        let rows = DeflatedRows { packed, header: chosen.header, row_bytes };
        return rows_of(input, rows, navigation, signal);
    }
    Ok(read_dense(&chosen.whole()?, layout, navigation, signal, Prefer::Sparse)?.gathered)
}

pub(super) fn read(input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
    let (mut signals, _) = sorted(input)?;
    let names: Vec<String> = signals.iter().map(|m| m.name.clone()).collect();
    let number = match &options.signal {
        Some(asked) => names.iter().position(|n| n == asked).ok_or_else(|| IoError::NoSignal {
            file: input.path().to_owned(),
            asked: asked.clone(),
            available: names.clone(),
        })?,
        None => 0,
    };
    let chosen = signals.get(number).ok_or_else(|| IoError::NoSpectra {
        file: input.path().to_owned(),
        found: "no array of numbers".to_owned(),
    })?;
    let mut diagnostics = Vec::new();
    if names.len() > 1 && options.signal.is_none() {
        let message = format!("{} arrays, the largest, {:?}, was read", names.len(), chosen.name);
        let hint = format!("--signal takes {}", names.join(", "));
        diagnostics.push(Diagnostic::note(Code::Assumed, message).hint(hint));
    }
    let header = &chosen.header;
    let shape = &header.shape;
    let last = shape.len().saturating_sub(1);
    let sidecar = beside(input)?.filter(|_| number == 0);
    let stated = match &sidecar {
        Some((file, sidecar)) => sidecar.axes(file, shape)?,
        None => None,
    };
    let mut axes: Vec<Option<Axis>> = match stated {
        Some(axes) => axes.into_iter().map(Some).collect(),
        None => {
            let alone = |n: usize| shape.iter().filter(|&&m| m == n).count() == 1;
            let among = |n: usize| {
                let others = signals.iter().filter(|m| m.name != chosen.name && m.len() == n);
                axis_among(others.filter_map(|m| Some((m.name.as_str(), m.points()?))), n)
            };
            shape.iter().map(|&n| alone(n).then(|| among(n)).flatten()).collect()
        }
    };
    let spectral = axes.iter().position(|a| a.as_ref().is_some_and(is_spectral));
    let place = if sidecar.is_some() { last } else { spectral.unwrap_or(last) };
    let signal = match axes.get_mut(place).and_then(Option::take) {
        Some(axis) => axis,
        None => {
            let message = "no array is the axis along the spectrum: its channels are numbered";
            let hint = "--energy-axis OFFSET,SCALE,UNIT, or a JSON file beside it, gives it";
            diagnostics.push(Diagnostic::warning(Code::MissingMetadata, message).hint(hint));
            Axis::index("channel", shape.get(place).copied().unwrap_or(0))
        }
    };
    if signal.unit == Unit::None && signal.name != "channel" {
        let message = format!("axis {:?} has no unit", signal.name);
        let hint = "a JSON file beside it gives axes with units";
        diagnostics.push(Diagnostic::warning(Code::MissingMetadata, message).hint(hint));
    }
    // Values from one point to the next along each axis.
    let mut strides = vec![1usize; shape.len()];
    let order: Vec<usize> = if header.fortran_order {
        (0..shape.len()).collect()
    } else {
        (0..shape.len()).rev().collect()
    };
    for pair in order.windows(2) {
        strides[pair[1]] = strides[pair[0]].saturating_mul(shape[pair[0]]);
    }
    let in_order = place == last && !header.fortran_order;
    let layout = if in_order {
        Layout::contiguous(header.number, header.data)
    } else {
        let spectrum = strides.remove(place);
        strides.push(spectrum);
        Layout::strided(header.number, header.data, strides)
    };
    if place != last {
        let message = format!("the spectra lie along axis {place} of {}", shape.len());
        diagnostics.push(Diagnostic::note(Code::Assumed, message));
    }
    let kept = axes.into_iter().zip(shape).enumerate().filter(|(i, _)| *i != place);
    let navigation = kept
        .enumerate()
        .map(|(i, (_, (axis, &n)))| axis.unwrap_or_else(|| Axis::index(default_name(last - i), n)))
        .collect();
    let source = Source {
        dtype: Some(header.number.dtype()),
        signal: Some(chosen.name.clone()),
        ..input.source("npz", Some(header.version.to_string()))
    };
    let chosen = signals.swap_remove(number);
    let gathered = rows(input, chosen, &layout, navigation, signal, in_order)?;
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
        Some((file, sidecar)) => sidecar.apply(&file, dataset),
        None => Ok(dataset),
    }
}
