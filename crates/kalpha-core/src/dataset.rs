//! What a reader gives.

use crate::{
    diagnostic::Diagnostic,
    metadata::Metadata,
    rows::{Rows, RowsMeta},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Something done to a dataset before it was stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// What did it: program and version.
    pub program: String,
    /// What was done: `converted`.
    pub action: String,
    /// The file it was done to.
    pub path: String,
    /// Format of that file.
    pub format: String,
}

/// Where a dataset comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Source {
    /// The path, or `demo:eds`.
    pub path: String,
    /// Name of the format.
    pub format: String,
    /// Version the file states, where it does.
    pub version: Option<String>,
    /// Bytes of the file.
    pub bytes: Option<u64>,
    /// Type of the values as the file stores them, in NumPy's words (`uint16`, `float32`);
    /// none where it stores events or text instead of an array.
    #[serde(default)]
    pub dtype: Option<String>,
    /// Name of the signal, where the file names what it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// What was done before, oldest first, where the file says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Event>,
}

impl Source {
    /// The same source by its file name alone: results are handed on, folders stay private.
    pub fn without_folder(&self) -> Self {
        let name = std::path::Path::new(&self.path).file_name();
        let path = name.map_or_else(|| self.path.clone(), |n| n.to_string_lossy().into_owned());
        Self { path, ..self.clone() }
    }
}

/// Counts or intensities with axes and metadata. The values are raw and never change.
#[derive(Clone)]
pub struct Dataset {
    /// The values, pixels x channels.
    pub rows: Rows,
    /// What the file says of the measurement, in the field's terms.
    pub metadata: Metadata,
    /// What the file says, verbatim.
    pub vendor: serde_json::Value,
    /// Rows that must not be used; `true` is masked.
    pub mask: Option<Arc<[bool]>>,
    /// Where it comes from.
    pub source: Source,
    /// What the reader noticed.
    pub diagnostics: Vec<Diagnostic>,
}

impl Dataset {
    /// Shape, axes and noise of the rows.
    pub fn meta(&self) -> &RowsMeta {
        self.rows.meta()
    }
}
