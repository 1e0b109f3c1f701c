//! Runs a recipe on a dataset.

use crate::{
    check::{CheckError, Checked},
    provenance::Provenance,
    recipe::Recipe,
};
use kalpha_core::{Code, Dataset, Diagnostic, ExcludeChannels, Rows, StepError};
use kalpha_engine::{Engine, Session};
use std::sync::Arc;

/// A run did not finish.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The recipe does not fit the dataset.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// A step failed.
    #[error("step {step}: {source}")]
    Step {
        /// The step.
        step: String,
        /// What it says.
        source: StepError,
    },
}

impl RunError {
    /// True when somebody asked the run to stop.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Step { source: StepError::Cancelled(_), .. })
    }
}

/// What a run leaves.
pub struct RunResult {
    /// All artefacts, by name.
    pub session: Session,
    /// What the reader and every step said, in order.
    pub diagnostics: Vec<Diagnostic>,
    /// The recipe with all parameters written out.
    pub recipe: Recipe,
    /// What the numbers come from.
    pub provenance: Provenance,
}

/// The rows a recipe starts from: raw, with masked pixels emptied.
fn raw_counts(dataset: &Dataset, diagnostics: &mut Vec<Diagnostic>) -> Rows {
    let Some(mask) = &dataset.mask else { return Rows::clone(&dataset.rows) };
    let masked = mask.iter().filter(|masked| **masked).count();
    diagnostics.push(Diagnostic::note(
        Code::Masked,
        format!("{masked} of {} pixels are masked and left out of everything", mask.len()),
    ));
    Arc::new(ExcludeChannels::new(Rows::clone(&dataset.rows), 0..0, Some(Arc::clone(mask))))
}

/// Checks `recipe` against `dataset` and runs it.
///
/// `fingerprint` names the content of the dataset (see [`crate::Provenance`]).
///
/// # Errors
/// When the recipe does not fit, a step fails, or somebody asks the run to stop.
pub fn run(
    recipe: &Recipe,
    dataset: &Dataset,
    fingerprint: &str,
    engine: &Engine,
) -> Result<RunResult, RunError> {
    let mut diagnostics = dataset.diagnostics.clone();
    let counts = raw_counts(dataset, &mut diagnostics);
    let mut session = Session::new(counts, fingerprint, recipe.seed);
    let (recipe, diagnostics) = run_in(&mut session, recipe, dataset, engine, diagnostics)?;
    let provenance = Provenance::new(dataset, fingerprint, &recipe);
    Ok(RunResult { session, diagnostics, recipe, provenance })
}

/// Runs a recipe in a session that may know some of its results already.
fn run_in(
    session: &mut Session,
    recipe: &Recipe,
    dataset: &Dataset,
    engine: &Engine,
    mut diagnostics: Vec<Diagnostic>,
) -> Result<(Recipe, Vec<Diagnostic>), RunError> {
    let Checked { recipe, steps } = recipe.check(&dataset.metadata, session.meta())?;
    for step in steps {
        let name = step.name.clone();
        let ran =
            session.run(engine, step).map_err(|source| RunError::Step { step: name, source })?;
        diagnostics.extend(ran.diagnostics);
    }
    Ok((recipe, diagnostics))
}
