//! What numbers come from.

use crate::{
    recipe::Recipe,
    registry,
    run::{Further, RunError},
};
use kalpha_core::{Cell, Dataset, Fold, Merge, Metadata, Passes, Source};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Everything needed to get the same numbers again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Provenance {
    /// Schema of this document.
    pub schema: String,
    /// Version of kalpha.
    pub kalpha: String,
    /// Where the data come from.
    pub source: Source,
    /// SHA-256 of the values, their shape and their axes (see [`fingerprint`]).
    pub fingerprint: String,
    /// Further files, by the name they were bound to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, InputFile>,
    /// Metadata as used, after `--set`.
    pub metadata: Metadata,
    /// Step ids and revisions, in order.
    pub steps: Vec<(String, u32)>,
    /// Instruction set the kernels ran on: same bits are promised on one set only.
    pub simd: String,
}

/// A further file of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InputFile {
    /// Where it comes from.
    pub source: Source,
    /// As [`Provenance::fingerprint`].
    pub fingerprint: String,
}

impl Provenance {
    /// Schema name.
    pub const SCHEMA: &'static str = "kalpha.provenance/1";

    /// The provenance of a run.
    pub fn new(dataset: &Dataset, fingerprint: &str, recipe: &Recipe) -> Self {
        let metadata = recipe.metadata_over(&dataset.metadata);
        Self {
            schema: Self::SCHEMA.to_owned(),
            kalpha: env!("CARGO_PKG_VERSION").to_owned(),
            source: dataset.source.without_folder(),
            fingerprint: fingerprint.to_owned(),
            inputs: BTreeMap::new(),
            metadata: metadata.unwrap_or_else(|_| dataset.metadata.clone()),
            steps: recipe
                .step
                .iter()
                .map(|step| {
                    let revision = registry::find(&step.id).map_or(0, |s| s.revision());
                    (step.id.clone(), revision)
                })
                .collect(),
            simd: simd().to_owned(),
        }
    }
}

impl Provenance {
    /// Adds further files.
    #[must_use]
    pub fn with(mut self, further: &[Further]) -> Self {
        self.inputs.extend(further.iter().map(|Further { name, dataset, fingerprint }| {
            let source = dataset.source.without_folder();
            (name.clone(), InputFile { source, fingerprint: fingerprint.clone() })
        }));
        self
    }
}

/// SHA-256 of a dataset's shape, axes and non-zero values, whatever file they came from.
///
/// Cells are hashed apart and their hashes together, so that all threads take part.
///
/// # Errors
/// When rows cannot be read, or the run is cancelled.
pub fn fingerprint(passes: &dyn Passes, dataset: &Dataset) -> Result<String, RunError> {
    let meta = dataset.meta();
    let mut hash = Sha256::new();
    hash.update(serde_json::to_vec(&(&meta.navigation, &meta.signal)).unwrap_or_default());
    if let Some(mask) = &dataset.mask {
        hash.update(mask.iter().map(|masked| u8::from(*masked)).collect::<Vec<_>>());
    }
    let cells = passes.fold(&CellHashes, &dataset.rows).map_err(RunError::reading)?;
    cells.iter().for_each(|cell| hash.update(cell));
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Row, channel and value of all that is not zero, hashed cell by cell.
struct CellHashes;

impl Fold for CellHashes {
    type State = Vec<[u8; 32]>;
    type Scratch = Vec<u8>;
    const MERGE: Merge = Merge::Ordered;

    fn start(&self) -> Self::State {
        Vec::new()
    }

    fn absorb(&self, state: &mut Self::State, cell: &Cell<'_>, bytes: &mut Vec<u8>) {
        bytes.clear();
        cell.for_each_nonzero(|row, channel, x| {
            let mut entry = [0; 16];
            entry[..4].copy_from_slice(&(row as u32).to_le_bytes());
            entry[4..8].copy_from_slice(&(channel as u32).to_le_bytes());
            entry[8..].copy_from_slice(&x.to_le_bytes());
            bytes.extend_from_slice(&entry);
        });
        state.push(Sha256::digest(&*bytes).into());
    }

    fn merge(&self, state: &mut Self::State, later: Self::State) {
        state.extend(later);
    }
}

/// The instruction set the kernels use here, `KALPHA_SIMD` heeded.
pub fn simd() -> &'static str {
    use kalpha_num::simd::Simd;
    match Simd::detect() {
        Simd::Avx512 => "avx512",
        Simd::Avx2 => "avx2",
        Simd::Scalar => "scalar",
    }
}
