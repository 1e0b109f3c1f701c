//! Why a step could not give its result.

use crate::{
    axis::AxisError, ctx::Cancelled, metadata::MetadataError, partial::PartialError,
    rows::RowsError,
};

/// A step failed. Methods wrap their own structured errors in [`StepError::Method`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// Somebody asked the run to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// Rows could not be read.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// An axis does not fit.
    #[error(transparent)]
    Axis(#[from] AxisError),
    /// Metadata is missing or wrong.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// Partial states do not fit together.
    #[error(transparent)]
    Partial(#[from] PartialError),
    /// An input port is not bound.
    #[error("no artefact named {port} (hint: put a step that makes it before this one)")]
    MissingInput {
        /// The port.
        port: String,
    },
    /// An input has another type than the port wants.
    #[error("artefact {port} is not {expected}")]
    WrongInput {
        /// The port.
        port: String,
        /// Type wanted.
        expected: &'static str,
    },
    /// A parameter is out of its range.
    #[error("{parameter} = {got} (hint: {expected})")]
    Parameter {
        /// Name of the parameter.
        parameter: &'static str,
        /// Value given.
        got: String,
        /// What would do.
        expected: String,
    },
    /// Parameters could not be read.
    #[error("parameters: {0} (hint: kalpha recipe new eds prints every parameter)")]
    Parameters(#[from] serde_json::Error),
    /// The noise model of an input does not suit the method.
    #[error("{port} has {got:?} noise, {expected} is needed (hint: {hint})")]
    Noise {
        /// The port.
        port: String,
        /// Noise found.
        got: crate::NoiseModel,
        /// What the method needs.
        expected: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// The data hold too little to work on.
    #[error("{what} (hint: {hint})")]
    TooLittle {
        /// What is lacking.
        what: String,
        /// What to do.
        hint: String,
    },
    /// The method's own error.
    #[error(transparent)]
    Method(Box<dyn std::error::Error + Send + Sync>),
}

impl StepError {
    /// Wraps a method's own error.
    pub fn method(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Method(Box::new(error))
    }
}
