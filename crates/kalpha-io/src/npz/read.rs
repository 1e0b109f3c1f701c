//! From a `.npz` to a dataset.

use crate::{
    Input, IoError, OpenOptions,
    dense::{Layout, Prefer, read_dense},
    npy::{self, Header},
    plain::with_block,
    sidecar::{beside, default_name},
    zip::Zip,
};
use kalpha_core::{Axis, Code, Dataset, Diagnostic, Metadata, Source, Unit};
use serde_json::Value;

/// Longer arrays are no axis.
const POINTS: usize = 1 << 20;

/// Names of the axis along a spectrum.
const SPECTRAL: [&str; 7] =
    ["energy", "wavenumber", "wavelength", "raman_shift", "two_theta", "channel", "shift"];

/// One array of the file.
struct Member {
    name: String,
    input: Input,
    header: Header,
}

impl Member {
    fn len(&self) -> usize {
        self.header.shape.iter().fold(1usize, |n, &d| n.saturating_mul(d))
    }

    /// All values of a short one-dimensional array.
    fn points(&self) -> Option<Vec<f64>> {
        let &[n] = &self.header.shape[..] else { return None };
        let end = n.checked_mul(self.header.number.width)?.checked_add(self.header.data)?;
        let bytes = self.input.bytes().get(self.header.data..end).filter(|_| n <= POINTS)?;
        let mut values = Vec::new();
        with_block(self.header.number, bytes, |block| block.append_to(&mut values));
        Some(values)
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
        let member = match zip.stored(file)? {
            Some(range) => input.part(&path, range),
            None => {
                let limit = input.bytes().len().saturating_mul(1032);
                let bytes = zip.read(file, limit)?.unwrap_or_default();
                Input::from_bytes(&path, bytes.into_owned())
            }
        };
        match npy::header(&member) {
            Ok(header) => found.push(Member { name: name.to_owned(), input: member, header }),
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

/// The unit that a name ends in: `energy_eV`.
fn unit(name: &str) -> Unit {
    match name.rsplit_once('_').map(|(_, unit)| Unit::parse(unit)) {
        Some(Unit::Other(_)) | None => Unit::None,
        Some(unit) => unit,
    }
}

/// An axis of `n` points, where exactly one other array can be it.
fn guess(others: &[&Member], n: usize) -> Option<Axis> {
    let mut fitting = others.iter().filter_map(|m| {
        let values = m.points().filter(|v| v.len() == n && n > 1)?;
        let rising = values.windows(2).all(|w| w[0] < w[1]);
        let falling = values.windows(2).all(|w| w[0] > w[1]);
        (rising || falling).then(|| Axis::values(&m.name, unit(&m.name), values))
    });
    let first = fitting.next()?;
    fitting.next().is_none().then_some(first)
}

fn is_spectral(axis: &Axis) -> bool {
    let name = axis.name.to_lowercase();
    SPECTRAL.iter().any(|word| name.contains(word))
}

pub(super) fn read(input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
    let (signals, _) = sorted(input)?;
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
            let others: Vec<&Member> = signals.iter().filter(|m| m.name != chosen.name).collect();
            let alone = |n: usize| shape.iter().filter(|&&m| m == n).count() == 1;
            shape.iter().map(|&n| alone(n).then(|| guess(&others, n)).flatten()).collect()
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
    let layout = if place == last && !header.fortran_order {
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
        .map(|(i, (_, (axis, &n)))| axis.unwrap_or_else(|| Axis::index(default_name(last - i), n)));
    let dense = read_dense(&chosen.input, &layout, navigation.collect(), signal, Prefer::Sparse)?;
    diagnostics.extend(dense.gathered.diagnostics);
    let source = Source {
        dtype: Some(header.number.dtype()),
        ..input.source("npz", Some(header.version.to_string()))
    };
    let dataset = Dataset {
        rows: dense.gathered.rows,
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
