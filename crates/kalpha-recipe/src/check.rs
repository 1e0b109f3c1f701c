//! A recipe is planned as a whole before a byte is read.

use crate::{
    recipe::{Recipe, RecipeError, unknown},
    registry,
};
use kalpha_core::{InputMeta, Metadata, PortKind, PortMeta, StepError};
use kalpha_engine::StepRun;
use serde_json::Value;
use std::collections::BTreeMap;

/// A recipe does not fit its input.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The recipe itself is wrong.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// A port name is wrong.
    #[error("step {step} has no port {port} (hint: it has {known})")]
    UnknownPort {
        /// The step.
        step: String,
        /// Port given.
        port: String,
        /// Ports it has.
        known: String,
    },
    /// A step refuses its inputs or parameters.
    #[error("step {step}: {source}")]
    Step {
        /// The step.
        step: String,
        /// What it says.
        source: Box<StepError>,
    },
}

/// A recipe whose every step has been planned.
pub struct Checked {
    /// The recipe with all parameters written out.
    pub recipe: Recipe,
    /// The planned steps, in order.
    pub steps: Vec<StepRun>,
}

impl Recipe {
    /// Plans every step on metadata alone.
    ///
    /// `ports` holds what is there before the first step, by artefact name.
    ///
    /// # Errors
    /// The first step that does not fit, with its reason.
    pub fn check(
        &self,
        metadata: &Metadata,
        mut ports: BTreeMap<String, PortMeta>,
    ) -> Result<Checked, CheckError> {
        let metadata = self.metadata_over(metadata)?;
        let recipe = self.resolved()?;
        let mut steps = Vec::with_capacity(recipe.step.len());
        let mut makers: BTreeMap<String, String> = BTreeMap::new();
        for step in &recipe.step {
            let registered = registry::find(&step.id).ok_or_else(|| unknown(&step.id))?;
            let fail =
                |source| CheckError::Step { step: step.id.clone(), source: Box::new(source) };
            let known = |ports: &[kalpha_core::Port], given: &BTreeMap<String, String>| match given
                .keys()
                .find(|name| ports.iter().all(|port| port.name != name.as_str()))
            {
                Some(port) => Err(CheckError::UnknownPort {
                    step: step.id.clone(),
                    port: port.clone(),
                    known: ports.iter().map(|p| p.name).collect::<Vec<_>>().join(", "),
                }),
                None => Ok(()),
            };
            known(registered.inputs(), &step.input)?;
            known(registered.outputs(), &step.output)?;

            let mut meta = InputMeta { metadata: metadata.clone(), ..InputMeta::default() };
            let mut inputs = Vec::new();
            for port in registered.inputs() {
                let name = step.input.get(port.name).map_or(port.name, String::as_str);
                match (ports.get(name), port.kind) {
                    (None, _) if port.optional => continue,
                    (None, _) => {
                        return Err(fail(StepError::MissingInput { port: name.to_owned() }));
                    }
                    (Some(PortMeta::Whole(_)), PortKind::Rows) => {
                        return Err(fail(StepError::WrongInput {
                            port: name.to_owned(),
                            expected: "rows",
                        }));
                    }
                    (Some(PortMeta::Whole(got)), PortKind::Whole(kind)) if *got != kind => {
                        return Err(fail(StepError::WrongInput {
                            port: name.to_owned(),
                            expected: kind,
                        }));
                    }
                    (Some(PortMeta::Rows(_)), PortKind::Whole(kind)) => {
                        return Err(fail(StepError::WrongInput {
                            port: name.to_owned(),
                            expected: kind,
                        }));
                    }
                    (Some(found), _) => {
                        meta.ports.insert(port.name.to_owned(), found.clone());
                        inputs.push((port.name.to_owned(), name.to_owned()));
                    }
                }
            }
            let params = Value::Object(step.params.clone());
            let plan = registered.plan(&params, &meta).map_err(|source| {
                let StepError::Noise { port, .. } = &source else { return fail(source) };
                let given = inputs.iter().find(|(name, _)| name == port);
                // Who made other than counts of it.
                match given.and_then(|(_, name)| makers.get_key_value(name)) {
                    Some((name, maker)) => CheckError::Step {
                        step: format!("{} ({name} are counts no more after {maker})", step.id),
                        source: Box::new(source),
                    },
                    None => fail(source),
                }
            })?;
            let mut outputs = Vec::new();
            for (port, made) in &plan.outputs {
                let name = step.output.get(*port).map_or(*port, String::as_str).to_owned();
                ports.insert(name.clone(), made.clone());
                makers.insert(name.clone(), step.id.clone());
                outputs.push(((*port).to_owned(), name));
            }
            let identity = format!(
                "{} {}\n{params}\n{}",
                registered.id(),
                registered.revision(),
                serde_json::to_string(&metadata).unwrap_or_default()
            );
            steps.push(StepRun { identity, name: step.id.clone(), inputs, outputs, plan });
        }
        Ok(Checked { recipe, steps })
    }
}
