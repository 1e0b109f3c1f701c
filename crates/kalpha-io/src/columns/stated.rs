//! What a text written by this program says of itself, in one line of its header.
//!
//! `kalpha: {"sidecar": .., "noise": .., "dtype": ..}` gives axes, metadata, vendor metadata and
//! history back exactly. Where the columns have been changed since, they are what counts.

use crate::{
    Input, IoError,
    gather::{Block, Gather},
    sidecar::Sidecar,
};
use kalpha_core::{
    DType, Dataset, DenseRows, DenseValues, Event, NoiseModel, Rows, RowsMeta, Source,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// Begins the line, behind the comment sign.
pub(crate) const KEY: &str = "kalpha: ";

/// What the line says.
pub(crate) struct Stated {
    sidecar: Sidecar,
    noise: NoiseModel,
    dtype: Option<String>,
}

/// The line that says all that columns cannot, without comment sign.
pub(crate) fn line(dataset: &Dataset, history: &[Event]) -> String {
    let stated = json!({
        "sidecar": Sidecar::json(dataset, history),
        "noise": dataset.meta().noise,
        "dtype": dataset.source.dtype,
    });
    format!("{KEY}{stated}")
}

impl Stated {
    /// Reads the line, where `lines` have it; a line that was damaged counts as none.
    pub fn find<'a>(input: &Input, lines: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut bare = lines.into_iter().map(|l| l.trim_start_matches(['#', ' ']));
        let line = bare.find_map(|l| l.strip_prefix(KEY))?;
        let mut stated: Value = serde_json::from_str(line).ok()?;
        let sidecar = serde_json::to_vec(&stated.get_mut("sidecar")?.take()).ok()?;
        Some(Self {
            sidecar: Sidecar::parse(input, &sidecar).ok()?,
            noise: serde_json::from_value(stated.get_mut("noise")?.take()).ok()?,
            dtype: stated.get("dtype").and_then(Value::as_str).map(str::to_owned),
        })
    }

    /// The dataset with `x` and the rows `y` from the file; `None` where they are not what the
    /// line was written for.
    ///
    /// # Errors
    /// When the metadata of the line are not metadata.
    pub fn dataset(
        self,
        input: &Input,
        source: Source,
        x: &[f64],
        y: &[&[f64]],
    ) -> Result<Option<Dataset>, IoError> {
        let shape = |lengths: &[usize]| self.sidecar.axes(input, lengths).ok().flatten();
        let lengths = self.sidecar.lengths();
        let rows: Option<usize> = lengths
            .split_last()
            .map(|(_, n)| n.iter().product::<usize>())
            .filter(|n| *n == y.len());
        let (Some(rows), Some(mut axes)) = (rows, shape(&lengths)) else { return Ok(None) };
        let Some(signal) = axes.pop() else { return Ok(None) };
        let same = signal.len() == x.len()
            && x.iter().enumerate().all(|(i, x)| signal.at(i) == *x)
            && y.iter().all(|y| y.len() == x.len());
        if !same {
            return Ok(None);
        }
        let meta = RowsMeta {
            rows,
            channels: x.len(),
            dtype: DType::F64,
            navigation: axes,
            signal,
            noise: self.noise.clone(),
        };
        let Some(rows) = self.rows(input, meta, y)? else { return Ok(None) };
        Ok(Some(Dataset {
            metadata: self.sidecar.metadata(input)?,
            mask: self.sidecar.mask(input, y.len())?,
            rows,
            vendor: self.sidecar.vendor,
            source: Source {
                dtype: self.dtype,
                signal: self.sidecar.signal,
                history: self.sidecar.history,
                ..source
            },
            diagnostics: Vec::new(),
        }))
    }

    fn rows(&self, input: &Input, meta: RowsMeta, y: &[&[f64]]) -> Result<Option<Rows>, IoError> {
        if self.noise.is_counts() {
            let mut gather = Gather::new(meta.rows, meta.channels);
            y.iter().for_each(|row| gather.push(Block::F64(row)));
            let gathered =
                gather.finish(meta.navigation, meta.signal).map_err(|e| input.rows_error(e))?;
            let counts = gathered.rows.meta().noise.is_counts();
            return Ok(counts.then_some(gathered.rows));
        }
        let rows = DenseRows::new(meta, DenseValues::F64(y.concat().into()))
            .map_err(|e| input.rows_error(e))?;
        Ok(Some(Arc::new(rows)))
    }
}
