//! What every document of a run has in common.

use kalpha_core::Metadata;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The document cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// A number is NaN or infinite, which JSON cannot say.
    #[error("{path} is not a finite number (hint: leave the field out where there is no value)")]
    NotFinite {
        /// Place in the document, such as `elements[2].significance`.
        path: String,
    },
    /// The text is another schema or a newer version of this one.
    #[error("schema {got:?} is not {expected} (hint: read it with the version that wrote it)")]
    Schema {
        /// The schema found.
        got: String,
        /// The schema of this version.
        expected: &'static str,
    },
    /// The text is not such a document.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// `Metadata` writes what the file does not give as `null`; absent says the same better.
pub(crate) fn without_nulls<S: serde::Serializer>(
    metadata: &Metadata,
    s: S,
) -> Result<S::Ok, S::Error> {
    let value = serde_json::to_value(metadata).map_err(serde::ser::Error::custom)?;
    match value {
        serde_json::Value::Object(map) => {
            s.collect_map(map.into_iter().filter(|(_, value)| !value.is_null()))
        }
        other => other.serialize(s),
    }
}

/// A file of the output folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// Name relative to the folder.
    pub file: String,
    /// What it holds.
    pub about: String,
}

/// A document as indented JSON, with a final newline.
///
/// # Errors
/// When a number is not finite, naming the field.
pub(crate) fn finite_json<T: Serialize>(document: &T) -> Result<String, DocumentError> {
    let mut value = serde_json::to_value(document)?;
    // Only a NaN or an infinity becomes a null here, except where a file gives no value.
    if let Some(source) = value.get_mut("source").and_then(|s| s.as_object_mut()) {
        source.retain(|_, field| !field.is_null());
    }
    if let Some(path) = null_path(&value) {
        return Err(DocumentError::NotFinite { path });
    }
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}

/// Place of the first null, in the notation `elements[2].significance`.
fn null_path(value: &serde_json::Value) -> Option<String> {
    use serde_json::Value;
    let child = |key: String, value: &Value| {
        null_path(value).map(|rest| match rest.as_str() {
            "" => key,
            rest if rest.starts_with('[') => key + rest,
            rest => format!("{key}.{rest}"),
        })
    };
    match value {
        Value::Null => Some(String::new()),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(i, item)| child(format!("[{i}]"), item))
        }
        Value::Object(map) => map.iter().find_map(|(key, item)| child(key.clone(), item)),
        _ => None,
    }
}
