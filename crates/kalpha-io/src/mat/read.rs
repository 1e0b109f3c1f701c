//! From a `.mat` to a dataset.

use super::elements::{Matrix, Variable, variables};
use crate::{
    Input, IoError, OpenOptions,
    dense::{Prefer, read_dense},
    named_arrays::{MOST_POINTS, NamedArray, Placed, Stored, choose, largest_first, place},
    plain::with_block,
};
use kalpha_core::{Dataset, Metadata, Source};
use serde_json::{Map, Value};

/// A matrix of a file.
struct InFile<'a> {
    input: &'a Input,
    matrix: Matrix,
}

impl NamedArray for InFile<'_> {
    fn name(&self) -> &str {
        &self.matrix.name
    }

    /// A row or a column is one spectrum.
    fn shape(&self) -> Vec<usize> {
        match self.matrix.is_vector() {
            true => vec![self.matrix.len()],
            false => self.matrix.shape.clone(),
        }
    }

    fn points(&self) -> Option<Vec<f64>> {
        let Self { input, matrix } = self;
        let fits = matrix.is_vector() && matrix.len() <= MOST_POINTS;
        let (bytes, start) = fits.then(|| matrix.values(input).ok()).flatten()?;
        let bytes = bytes.bytes().get(start..start + matrix.len() * matrix.number.width)?;
        let mut values = Vec::new();
        with_block(matrix.number, bytes, |block| block.append_to(&mut values));
        Some(values)
    }
}

/// Matrices of more than one value, the largest first; texts and what else there is.
fn sorted(input: &Input) -> Result<(Vec<InFile<'_>>, Map<String, Value>), IoError> {
    let (mut matrices, mut rest) = (Vec::new(), Map::new());
    for variable in variables(input)? {
        match variable {
            Variable::Matrix(matrix) if matrix.len() > 1 => {
                matrices.push(InFile { input, matrix: *matrix });
            }
            Variable::Matrix(_) => {}
            Variable::Text(name, text) => {
                rest.insert(name, text.into());
            }
            Variable::Other(name, kind) => {
                rest.insert(name, format!("a {kind}, left out").into());
            }
        }
    }
    largest_first(&mut matrices);
    Ok((matrices, rest))
}

pub(super) fn signals(input: &Input) -> Result<Vec<String>, IoError> {
    Ok(sorted(input)?.0.into_iter().map(|m| m.matrix.name).collect())
}

pub(super) fn read(input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
    let (mut matrices, rest) = sorted(input)?;
    let mut diagnostics = Vec::new();
    let number = choose(input, options, &matrices, "real matrix", &mut diagnostics)?;
    let chosen = matrices.swap_remove(number);
    let (bytes, offset) = chosen.matrix.values(input)?;
    let stored = Stored { number: chosen.matrix.number, offset, fortran_order: true };
    let placed = place(&chosen, &matrices, &stored, None, &mut diagnostics);
    let Placed { navigation, signal, layout, .. } = placed;
    let layout = layout.among_others();
    let dense = read_dense(&bytes, &layout, navigation, signal, Prefer::Sparse)?;
    diagnostics.extend(dense.gathered.diagnostics);
    let source = Source {
        dtype: Some(chosen.matrix.number.dtype()),
        signal: Some(chosen.matrix.name),
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
