//! Files of named arrays without axes, as `.npz` and `.mat` are: which array is the signal, and
//! which of the others are its axes.

use crate::{
    Input, IoError, OpenOptions,
    axis_guess::{axis_among, is_spectral},
    dense::Layout,
    plain::Number,
    sidecar::default_name,
};
use kalpha_core::{Axis, Code, Diagnostic, Unit};

/// Longer arrays are no axis.
pub(crate) const MOST_POINTS: usize = 1 << 20;

/// An array of a file.
pub(crate) trait NamedArray {
    /// Its name.
    fn name(&self) -> &str;

    /// Lengths along its indices, as the program that wrote it counts them.
    fn shape(&self) -> Vec<usize>;

    /// All values of one that has one index and at most [`MOST_POINTS`] of them.
    fn points(&self) -> Option<Vec<f64>>;

    /// Number of values.
    fn len(&self) -> usize {
        self.shape().iter().fold(1usize, |n, &d| n.saturating_mul(d))
    }
}

/// The largest array first, the others as they stood.
pub(crate) fn largest_first<A: NamedArray>(arrays: &mut Vec<A>) {
    let largest = arrays.iter().map(NamedArray::len).max();
    if let Some(first) = arrays.iter().position(|a| Some(a.len()) == largest) {
        let chosen = arrays.remove(first);
        arrays.insert(0, chosen);
    }
}

/// The number of the array asked for, else of the first; `kind` is what the format calls them.
pub(crate) fn choose<A: NamedArray>(
    input: &Input,
    options: &OpenOptions,
    arrays: &[A],
    kind: &str,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<usize, IoError> {
    let names = || arrays.iter().map(|a| a.name().to_owned()).collect::<Vec<_>>();
    let Some(first) = arrays.first() else {
        let found = format!("no {kind} of numbers");
        return Err(IoError::NoSpectra { file: input.path().to_owned(), found });
    };
    if let Some(asked) = &options.signal {
        return arrays.iter().position(|a| a.name() == asked).ok_or_else(|| IoError::NoSignal {
            file: input.path().to_owned(),
            asked: asked.clone(),
            available: names(),
        });
    }
    if arrays.len() > 1 {
        let (n, name) = (arrays.len(), first.name());
        let message = format!("{n} arrays, the largest, {name:?}, was read");
        let hint = format!("--signal takes {}", names().join(", "));
        diagnostics.push(Diagnostic::note(Code::Assumed, message).hint(hint));
    }
    Ok(0)
}

/// An array with its axes.
pub(crate) struct Placed {
    pub navigation: Vec<Axis>,
    pub signal: Axis,
    pub layout: Layout,
    /// The spectra lie one behind the other.
    pub in_order: bool,
}

/// How the values of an array lie in its file.
pub(crate) struct Stored {
    pub number: Number,
    /// First byte.
    pub offset: usize,
    /// The first index is the fastest, not the last.
    pub fortran_order: bool,
}

/// Axes for the array `chosen`: those stated, the last along the spectrum; else those of the
/// others that fit one index only.
pub(crate) fn place<A: NamedArray>(
    chosen: &A,
    others: &[A],
    stored: &Stored,
    stated: Option<Vec<Axis>>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Placed {
    let shape = chosen.shape();
    let last = shape.len().saturating_sub(1);
    let (mut axes, place) = match stated {
        Some(axes) => (axes.into_iter().map(Some).collect(), last),
        None => {
            let alone = |n: usize| shape.iter().filter(|&&m| m == n).count() == 1;
            let among = |n: usize| {
                let fitting = others.iter().filter(|a| a.len() == n);
                axis_among(fitting.filter_map(|a| Some((a.name(), a.points()?))), n)
            };
            let axes: Vec<Option<Axis>> =
                shape.iter().map(|&n| alone(n).then(|| among(n)).flatten()).collect();
            let spectral = axes.iter().position(|a| a.as_ref().is_some_and(is_spectral));
            (axes, spectral.unwrap_or(last))
        }
    };
    let hint = "--energy-axis OFFSET,SCALE,UNIT gives it";
    let signal = match axes.get_mut(place).and_then(Option::take) {
        Some(axis) => axis,
        None => {
            let message = "no array is the axis along the spectrum: its channels are numbered";
            diagnostics.push(Diagnostic::warning(Code::MissingMetadata, message).hint(hint));
            Axis::index("channel", shape.get(place).copied().unwrap_or(0))
        }
    };
    if signal.unit == Unit::None && signal.name != "channel" {
        let message = format!("axis {:?} has no unit", signal.name);
        let hint = "--energy-axis UNIT states it";
        diagnostics.push(Diagnostic::warning(Code::MissingMetadata, message).hint(hint));
    }
    if place != last {
        let message = format!("the spectra lie along axis {place} of {}", shape.len());
        diagnostics.push(Diagnostic::note(Code::Assumed, message));
    }
    let in_order = place == last && (!stored.fortran_order || shape.len() == 1);
    let layout = match in_order {
        true => Layout::contiguous(stored.number, stored.offset),
        false => {
            // Values from one point to the next along each axis, the spectrum last.
            let mut strides = vec![1usize; shape.len()];
            let mut order: Vec<usize> = (0..shape.len()).collect();
            if !stored.fortran_order {
                order.reverse();
            }
            for pair in order.windows(2) {
                strides[pair[1]] = strides[pair[0]].saturating_mul(shape[pair[0]]);
            }
            let spectrum = strides.remove(place);
            strides.push(spectrum);
            Layout::strided(stored.number, stored.offset, strides)
        }
    };
    let kept = axes.into_iter().zip(&shape).enumerate().filter(|(i, _)| *i != place);
    let navigation = kept
        .enumerate()
        .map(|(i, (_, (axis, &n)))| axis.unwrap_or_else(|| Axis::index(default_name(last - i), n)))
        .collect();
    Placed { navigation, signal, layout, in_order }
}
