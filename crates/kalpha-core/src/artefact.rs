//! Typed, named results that steps read and write.

use crate::{diagnostic::Diagnostic, error::StepError, rows::Rows};
use serde::{Serialize, de::DeserializeOwned};
use std::{any::Any, collections::BTreeMap, sync::Arc};

/// A small, whole result that a step makes: a model, a table, a list of lines.
pub trait ArtefactType: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Name of the type, as ports state it.
    const KIND: &'static str;
}

/// One named result.
#[derive(Clone)]
pub enum Artefact {
    /// Rows, streamed.
    Rows(Rows),
    /// A whole value.
    Whole {
        /// Name of its type.
        kind: &'static str,
        /// The value.
        value: Arc<dyn Any + Send + Sync>,
        /// The value as JSON.
        json: fn(&(dyn Any + Send + Sync)) -> serde_json::Value,
    },
}

impl Artefact {
    /// Wraps a whole value.
    pub fn whole<T: ArtefactType>(value: T) -> Self {
        Self::Whole {
            kind: T::KIND,
            value: Arc::new(value),
            json: |any| {
                any.downcast_ref::<T>()
                    .and_then(|value| serde_json::to_value(value).ok())
                    .unwrap_or_default()
            },
        }
    }

    /// The whole value, if it is a `T`.
    pub fn get<T: ArtefactType>(&self) -> Option<&T> {
        match self {
            Self::Whole { value, .. } => value.downcast_ref(),
            Self::Rows(_) => None,
        }
    }

    /// The whole value as JSON; `null` for rows.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Whole { value, json, .. } => json(value.as_ref()),
            Self::Rows(_) => serde_json::Value::Null,
        }
    }
}

/// What a step finds on its input ports.
#[derive(Clone, Default)]
pub struct Inputs(BTreeMap<String, Artefact>);

impl Inputs {
    /// Binds an artefact to a port.
    pub fn bind(&mut self, port: &str, artefact: Artefact) {
        self.0.insert(port.to_owned(), artefact);
    }

    /// Rows on a port.
    ///
    /// # Errors
    /// When nothing or something else is bound to it.
    pub fn rows(&self, port: &str) -> Result<&Rows, StepError> {
        match self.0.get(port) {
            Some(Artefact::Rows(rows)) => Ok(rows),
            Some(_) => Err(StepError::WrongInput { port: port.to_owned(), expected: "rows" }),
            None => Err(StepError::MissingInput { port: port.to_owned() }),
        }
    }

    /// A whole value on a port.
    ///
    /// # Errors
    /// When nothing or something else is bound to it.
    pub fn whole<T: ArtefactType>(&self, port: &str) -> Result<&T, StepError> {
        let artefact =
            self.0.get(port).ok_or_else(|| StepError::MissingInput { port: port.to_owned() })?;
        artefact
            .get()
            .ok_or_else(|| StepError::WrongInput { port: port.to_owned(), expected: T::KIND })
    }

    /// A whole value on an optional port; `None` where nothing is bound.
    ///
    /// # Errors
    /// When something else is bound to it.
    pub fn optional<T: ArtefactType>(&self, port: &str) -> Result<Option<&T>, StepError> {
        if self.0.contains_key(port) { self.whole(port).map(Some) } else { Ok(None) }
    }
}

/// What a step gives back.
#[derive(Clone, Default)]
pub struct Outputs {
    /// Artefacts by port.
    pub artefacts: BTreeMap<String, Artefact>,
    /// Partial trouble.
    pub diagnostics: Vec<Diagnostic>,
}

impl Outputs {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds rows.
    #[must_use]
    pub fn rows(mut self, port: &str, rows: Rows) -> Self {
        self.artefacts.insert(port.to_owned(), Artefact::Rows(rows));
        self
    }

    /// Adds a whole value.
    #[must_use]
    pub fn whole<T: ArtefactType>(mut self, port: &str, value: T) -> Self {
        self.artefacts.insert(port.to_owned(), Artefact::whole(value));
        self
    }

    /// Adds a diagnostic.
    #[must_use]
    pub fn warn(mut self, diagnostic: Diagnostic) -> Self {
        self.diagnostics.push(diagnostic);
        self
    }
}
