//! From a `.mat` to a dataset.

use super::elements::{Matrix, Variable, variables};
use crate::{
    Input, IoError, OpenOptions,
    axis_guess::{axis_among, is_spectral},
    dense::{Layout, Prefer, read_dense},
    plain::with_block,
    sidecar::default_name,
};
use kalpha_core::{Axis, Code, Dataset, Diagnostic, Metadata, Source, Unit};
use serde_json::{Map, Value};

/// Longer vectors are no axis.
const POINTS: usize = 1 << 20;

/// Matrices of more than one value, the largest first; texts and what else there is.
fn sorted(input: &Input) -> Result<(Vec<Matrix>, Map<String, Value>), IoError> {
    let (mut matrices, mut rest) = (Vec::new(), Map::new());
    for variable in variables(input)? {
        match variable {
            Variable::Matrix(matrix) if matrix.len() > 1 => matrices.push(*matrix),
            Variable::Matrix(_) => {}
            Variable::Text(name, text) => {
                rest.insert(name, text.into());
            }
            Variable::Other(name, kind) => {
                rest.insert(name, format!("a {kind}, left out").into());
            }
        }
    }
    let largest = matrices.iter().map(Matrix::len).max();
    if let Some(first) = matrices.iter().position(|m| Some(m.len()) == largest) {
        let chosen = matrices.remove(first);
        matrices.insert(0, chosen);
    }
    Ok((matrices, rest))
}

pub(super) fn signals(input: &Input) -> Result<Vec<String>, IoError> {
    Ok(sorted(input)?.0.into_iter().map(|m| m.name).collect())
}

/// All values of a short vector.
fn points(input: &Input, matrix: &Matrix) -> Option<Vec<f64>> {
    let fits = matrix.is_vector() && matrix.len() <= POINTS;
    let (bytes, start) = fits.then(|| matrix.values(input).ok()).flatten()?;
    let bytes = bytes.bytes().get(start..start + matrix.len() * matrix.number.width)?;
    let mut values = Vec::new();
    with_block(matrix.number, bytes, |block| block.append_to(&mut values));
    Some(values)
}

pub(super) fn read(input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
    let (matrices, rest) = sorted(input)?;
    let names: Vec<String> = matrices.iter().map(|m| m.name.clone()).collect();
    let number = match &options.signal {
        Some(asked) => names.iter().position(|n| n == asked).ok_or_else(|| IoError::NoSignal {
            file: input.path().to_owned(),
            asked: asked.clone(),
            available: names.clone(),
        })?,
        None => 0,
    };
    let chosen = matrices.get(number).ok_or_else(|| IoError::NoSpectra {
        file: input.path().to_owned(),
        found: "no real matrix of numbers".to_owned(),
    })?;
    let mut diagnostics = Vec::new();
    if names.len() > 1 && options.signal.is_none() {
        let message = format!("{} matrices, the largest, {:?}, was read", names.len(), chosen.name);
        let hint = format!("--signal takes {}", names.join(", "));
        diagnostics.push(Diagnostic::note(Code::Assumed, message).hint(hint));
    }
    // A row or a column is one spectrum.
    let shape = match chosen.is_vector() {
        true => vec![chosen.len()],
        false => chosen.shape.clone(),
    };
    let mut strides = Vec::with_capacity(shape.len());
    let mut step = 1usize;
    for n in &shape {
        strides.push(step);
        step = step.saturating_mul(*n);
    }
    let alone = |n: usize| shape.iter().filter(|&&m| m == n).count() == 1;
    let among = |n: usize| {
        let others = matrices.iter().enumerate().filter(|(i, m)| *i != number && m.len() == n);
        axis_among(others.filter_map(|(_, m)| Some((m.name.as_str(), points(input, m)?))), n)
    };
    let mut axes: Vec<Option<Axis>> =
        shape.iter().map(|&n| alone(n).then(|| among(n)).flatten()).collect();
    let last = shape.len() - 1;
    let place = axes.iter().position(|a| a.as_ref().is_some_and(is_spectral)).unwrap_or(last);
    let signal = axes.get_mut(place).and_then(Option::take).unwrap_or_else(|| {
        let message = "no vector is the axis along the spectrum: its channels are numbered";
        let hint = "--energy-axis OFFSET,SCALE,UNIT gives it";
        diagnostics.push(Diagnostic::warning(Code::MissingMetadata, message).hint(hint));
        Axis::index("channel", shape.get(place).copied().unwrap_or(0))
    });
    if signal.unit == Unit::None && signal.name != "channel" {
        let message = format!("axis {:?} has no unit", signal.name);
        diagnostics.push(Diagnostic::warning(Code::MissingMetadata, message));
    }
    if place != last {
        let message = format!("the spectra lie along axis {place} of {}", shape.len());
        diagnostics.push(Diagnostic::note(Code::Assumed, message));
    }
    let spectrum = strides.remove(place);
    strides.push(spectrum);
    let navigation = axes
        .into_iter()
        .zip(&shape)
        .enumerate()
        .filter(|(i, _)| *i != place)
        .map(|(i, (axis, &n))| axis.unwrap_or_else(|| Axis::index(default_name(last - i), n)))
        .collect();
    let (bytes, start) = chosen.values(input)?;
    let layout = Layout::strided(chosen.number, start, strides).among_others();
    let dense = read_dense(&bytes, &layout, navigation, signal, Prefer::Sparse)?;
    diagnostics.extend(dense.gathered.diagnostics);
    let source = Source {
        dtype: Some(chosen.number.dtype()),
        signal: Some(chosen.name.clone()),
        ..input.source("mat", None)
    };
    Ok(Dataset {
        rows: dense.gathered.rows,
        metadata: Metadata::default(),
        vendor: if rest.is_empty() { Value::Null } else { Value::Object(rest) },
        mask: None,
        source,
        diagnostics,
    })
}
