//! Registered methods.
//!
//! A step declares its ports and plans itself on metadata alone, so a whole recipe is checked
//! before a byte is read. Adding a method is one file, one registry line, one reference test.

use crate::{
    artefact::{Inputs, Outputs},
    diagnostic::Diagnostic,
    error::StepError,
    metadata::Metadata,
    primitives::Passes,
    rows::RowsMeta,
};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, marker::PhantomData};

/// What a port carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PortKind {
    /// Rows on the navigation grid of the dataset.
    Rows,
    /// A whole artefact of the named type.
    Whole(&'static str),
}

/// A named input or output.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Port {
    /// Default name of the artefact.
    pub name: &'static str,
    /// What it carries.
    pub kind: PortKind,
    /// The step does without it.
    pub optional: bool,
    /// One line for the reference page.
    pub about: &'static str,
}

impl Port {
    /// Rows.
    pub const fn rows(name: &'static str, about: &'static str) -> Self {
        Self { name, kind: PortKind::Rows, optional: false, about }
    }

    /// A whole artefact.
    pub const fn whole(name: &'static str, kind: &'static str, about: &'static str) -> Self {
        Self { name, kind: PortKind::Whole(kind), optional: false, about }
    }

    /// The same port, optional.
    #[must_use]
    pub const fn optional(self) -> Self {
        Self { optional: true, ..self }
    }
}

/// What is known of an artefact before the run.
#[derive(Clone, Debug)]
pub enum PortMeta {
    /// Rows of this shape.
    Rows(RowsMeta),
    /// A whole artefact of this type.
    Whole(&'static str),
}

/// What is known before the run.
#[derive(Clone, Debug, Default)]
pub struct InputMeta {
    /// Artefacts bound to the input ports.
    pub ports: BTreeMap<String, PortMeta>,
    /// Metadata of the dataset.
    pub metadata: Metadata,
}

impl InputMeta {
    /// Shape of the rows on a port.
    ///
    /// # Errors
    /// When nothing or something else is bound to it.
    pub fn rows(&self, port: &str) -> Result<&RowsMeta, StepError> {
        match self.ports.get(port) {
            Some(PortMeta::Rows(meta)) => Ok(meta),
            Some(PortMeta::Whole(_)) => {
                Err(StepError::WrongInput { port: port.to_owned(), expected: "rows" })
            }
            None => Err(StepError::MissingInput { port: port.to_owned() }),
        }
    }

    /// Shape of rows of raw counts; anything else is refused.
    ///
    /// # Errors
    /// As [`InputMeta::rows`], and when the noise is not that of raw counts.
    pub fn counts(&self, port: &str) -> Result<&RowsMeta, StepError> {
        let meta = self.rows(port)?;
        if meta.noise.is_counts() {
            return Ok(meta);
        }
        Err(StepError::Noise {
            port: port.to_owned(),
            got: meta.noise.clone(),
            expected: "raw Poisson counts",
            hint: "scaling, subtracting and smoothing end the equality of variance and mean that a \
                   Poisson likelihood rests on: put this step before such steps, or bind it to the \
                   counts as the detector recorded them",
        })
    }
}

/// The work of a planned step.
pub type StepFn = Box<dyn FnOnce(&Inputs, &dyn Passes) -> Result<Outputs, StepError> + Send>;

/// A step that has been checked against its inputs.
pub struct Plan {
    /// What it will make, by output port.
    pub outputs: Vec<(&'static str, PortMeta)>,
    /// What is worth saying before the run.
    pub diagnostics: Vec<Diagnostic>,
    /// The work.
    pub run: StepFn,
}

impl Plan {
    /// A plan that runs `run`.
    pub fn new(
        run: impl FnOnce(&Inputs, &dyn Passes) -> Result<Outputs, StepError> + Send + 'static,
    ) -> Self {
        Self { outputs: Vec::new(), diagnostics: Vec::new(), run: Box::new(run) }
    }

    /// Declares a whole output.
    #[must_use]
    pub fn whole(mut self, port: &'static str, kind: &'static str) -> Self {
        self.outputs.push((port, PortMeta::Whole(kind)));
        self
    }

    /// Declares a row output with its axes and noise.
    #[must_use]
    pub fn rows(mut self, port: &'static str, meta: RowsMeta) -> Self {
        self.outputs.push((port, PortMeta::Rows(meta)));
        self
    }

    /// Adds a diagnostic.
    #[must_use]
    pub fn warn(mut self, diagnostic: Diagnostic) -> Self {
        self.diagnostics.push(diagnostic);
        self
    }
}

/// A method with parameters and ports.
pub trait Step: Send + Sync + 'static {
    /// Parameters: flat, with defaults; doc comments become the reference page.
    type Params: Serialize + DeserializeOwned + JsonSchema + Default;
    /// Name in recipes: `pca`, `eds.identify`.
    const ID: &'static str;
    /// Rises whenever the step's numbers change.
    const REVISION: u32;
    /// One line: what it does.
    const ABOUT: &'static str;
    /// Input ports.
    const INPUTS: &'static [Port];
    /// Output ports.
    const OUTPUTS: &'static [Port];

    /// Checks parameters and inputs, and says what will come out.
    ///
    /// # Errors
    /// When the step cannot run on these inputs.
    fn plan(params: Self::Params, inputs: &InputMeta) -> Result<Plan, StepError>;
}

/// A step with its types erased.
pub trait AnyStep: Send + Sync {
    /// Name in recipes.
    fn id(&self) -> &'static str;
    /// Revision of its numbers.
    fn revision(&self) -> u32;
    /// What it does.
    fn about(&self) -> &'static str;
    /// Input ports.
    fn inputs(&self) -> &'static [Port];
    /// Output ports.
    fn outputs(&self) -> &'static [Port];
    /// JSON schema of the parameters.
    fn schema(&self) -> serde_json::Value;
    /// `given` with defaults filled in.
    ///
    /// # Errors
    /// When a parameter is unknown or of another type.
    fn resolve(&self, given: &serde_json::Value) -> Result<serde_json::Value, StepError>;
    /// Plans with resolved parameters.
    ///
    /// # Errors
    /// When the step cannot run on these inputs.
    fn plan(&self, params: &serde_json::Value, inputs: &InputMeta) -> Result<Plan, StepError>;
}

/// A registry entry.
pub struct Registered<S>(PhantomData<fn() -> S>);

impl<S> Registered<S> {
    /// The entry of step `S`.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<S> Default for Registered<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Step> AnyStep for Registered<S> {
    fn id(&self) -> &'static str {
        S::ID
    }
    fn revision(&self) -> u32 {
        S::REVISION
    }
    fn about(&self) -> &'static str {
        S::ABOUT
    }
    fn inputs(&self) -> &'static [Port] {
        S::INPUTS
    }
    fn outputs(&self) -> &'static [Port] {
        S::OUTPUTS
    }
    fn schema(&self) -> serde_json::Value {
        schemars::schema_for!(S::Params).to_value()
    }
    fn resolve(&self, given: &serde_json::Value) -> Result<serde_json::Value, StepError> {
        let params: S::Params = serde_json::from_value(given.clone())?;
        Ok(serde_json::to_value(params)?)
    }
    fn plan(&self, params: &serde_json::Value, inputs: &InputMeta) -> Result<Plan, StepError> {
        S::plan(serde_json::from_value(params.clone())?, inputs)
    }
}
