//! From a `.npy` and its JSON file to a dataset.

use super::header;
use crate::{
    Input, IoError,
    dense::{Layout, Prefer, read_dense},
    sidecar::{beside, default_name},
};
use kalpha_core::{Axis, Code, Dataset, Diagnostic, Metadata, Source};
use serde_json::Value;

pub(super) fn read(input: &Input) -> Result<Dataset, IoError> {
    let header = header::read(input)?;
    let Some(last) = header.shape.len().checked_sub(1) else {
        return Err(IoError::NoSpectra {
            file: input.path().to_owned(),
            found: "a single number".to_owned(),
        });
    };
    let mut diagnostics = Vec::new();
    let sidecar = beside(input, &mut diagnostics)?;
    let stated = match &sidecar {
        Some(sidecar) => sidecar.axes(&header.shape)?,
        None => None,
    };
    let mut axes = match stated {
        Some(axes) => axes,
        None => {
            let name = input.path().with_extension("json");
            let message = "a .npy has no axes: channels and pixels are numbered".to_owned();
            diagnostics.push(Diagnostic::warning(Code::MissingMetadata, message).hint(format!(
                "--energy-axis OFFSET,SCALE,UNIT and --set beam_energy_keV=.. give what is \
                 needed, or {} with axes and metadata",
                name.file_name().unwrap_or_default().to_string_lossy()
            )));
            let shape = header.shape.iter().enumerate();
            shape.map(|(i, &n)| Axis::index(default_name(last - i), n)).collect()
        }
    };
    let signal = axes.pop().unwrap_or_else(|| Axis::index("channel", 0));
    let layout = if header.fortran_order && last > 0 {
        // The first axis is the fastest.
        let strides = header.shape.iter().scan(1usize, |stride, &n| {
            let this = *stride;
            *stride = stride.saturating_mul(n);
            Some(this)
        });
        Layout::strided(header.number, header.data, strides.collect())
    } else {
        Layout::contiguous(header.number, header.data)
    };
    let dense = read_dense(input, &layout, axes, signal, Prefer::Mapped)?;
    diagnostics.extend(dense.gathered.diagnostics);
    if !dense.mapped {
        let why = if header.fortran_order {
            "it is in Fortran order"
        } else {
            "its values lie otherwise than this program keeps them"
        };
        let message = format!("the array was copied into memory: {why}");
        diagnostics.push(
            Diagnostic::note(Code::Copied, message)
                .hint("numpy.ascontiguousarray and an unsigned type avoid the copy"),
        );
    }
    let source = Source {
        dtype: Some(header.number.dtype()),
        ..input.source("npy", Some(header.version.to_string()))
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
        Some(sidecar) => sidecar.apply(dataset),
        None => Ok(dataset),
    }
}
