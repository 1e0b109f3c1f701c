//! Partial trouble, as data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How much a diagnostic matters.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// A number may be worse than it looks.
    Warning,
}

/// What kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum Code {
    NotConverged,
    MissingMetadata,
    LowCounts,
    Overlap,
    Extrapolated,
    NotIdentifiable,
    NotQuantified,
    CalibrationRefused,
    StrobePeak,
    Assumed,
    Masked,
    PostSelection,
    PixelSize,
    VendorDisagrees,
    RankUncertain,
    Overdispersed,
    Truncated,
    UnknownFormatVersion,
    Copied,
}

/// Partial trouble that does not stop a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnostic {
    /// Kind.
    pub code: Code,
    /// Weight.
    pub severity: Severity,
    /// Step or reader that says it; empty where the engine adds it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub step: String,
    /// What happened and what it means.
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

impl Diagnostic {
    /// A warning.
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Warning,
            step: String::new(),
            message: message.into(),
            hint: String::new(),
        }
    }

    /// A note.
    pub fn note(code: Code, message: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::warning(code, message) }
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Adds who says it.
    #[must_use]
    pub fn step(mut self, step: impl Into<String>) -> Self {
        self.step = step.into();
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if !self.hint.is_empty() {
            write!(f, " ({})", self.hint)?;
        }
        Ok(())
    }
}
