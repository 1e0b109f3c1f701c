//! Runs a recipe on a dataset.

use crate::{
    check::{CheckError, Checked},
    provenance::Provenance,
    recipe::Recipe,
};
use kalpha_core::{
    Artefact, Cell, CellBuffer, CellGrid, Code, CsrBuilder, CsrCounts, DType, Dataset, Diagnostic,
    ExcludeChannels, Fold, Merge, Passes, Rows, RowsError, RowsMeta, StepError,
};
use kalpha_engine::{Engine, Session};
use std::sync::Arc;

/// A run did not finish.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The recipe does not fit the dataset.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// The counts cannot be read.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// A step failed.
    #[error("step {step}: {source}")]
    Step {
        /// The step.
        step: String,
        /// What it says.
        source: Box<StepError>,
    },
}

impl RunError {
    pub(crate) fn reading(error: StepError) -> Self {
        match error {
            StepError::Rows(error) => Self::Rows(error),
            other => Self::Step { step: "reading".to_owned(), source: Box::new(other) },
        }
    }

    /// True when somebody asked the run to stop.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Step { source, .. } if matches!(**source, StepError::Cancelled(_)))
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

/// Dense counts with a smaller share of non-zero values are held as sparse counts: every pass
/// over them is then shorter.
const SPARSE_BELOW: f64 = 0.2;
/// Cells looked at to guess the share.
const LOOK_AT: usize = 16;

/// Dense counts as sparse ones where that is shorter; anything else is shared.
fn compact(rows: &Rows, passes: &dyn Passes) -> Result<Rows, StepError> {
    let meta = rows.meta();
    let dense_counts = meta.noise.is_counts()
        && matches!(meta.dtype, DType::U8 | DType::U16 | DType::U32)
        && meta.channels <= CsrCounts::MAX_CHANNELS;
    if !dense_counts || meta.rows < 2 {
        return Ok(Rows::clone(rows));
    }
    let grid = CellGrid::new(meta.rows, meta.channels);
    let mut buffer = CellBuffer::default();
    let (mut seen, mut nonzero) = (0usize, 0usize);
    for i in (0..grid.cells()).step_by(grid.cells().div_ceil(LOOK_AT).max(1)) {
        let cell = rows.cell(grid.rows(i), &mut buffer)?;
        seen += cell.rows * cell.channels;
        cell.for_each_nonzero(|_, _, _| nonzero += 1);
    }
    if nonzero as f64 >= SPARSE_BELOW * seen as f64 {
        return Ok(Rows::clone(rows));
    }
    let parts = passes.fold(&Compact { channels: meta.channels }, rows)?;
    let mut parts = parts.into_iter();
    let mut all = match parts.next() {
        Some(first) => first,
        None => CsrBuilder::new(meta.channels)?,
    };
    parts.for_each(|part| all.append(part));
    Ok(Arc::new((RowsMeta { dtype: DType::Csr, ..meta.clone() }, all.finish())))
}

/// Stretches of rows as sparse counts.
struct Compact {
    channels: usize,
}

impl Fold for Compact {
    type State = Vec<CsrBuilder>;
    type Scratch = ();
    const MERGE: Merge = Merge::Ordered;

    fn start(&self) -> Vec<CsrBuilder> {
        CsrBuilder::new(self.channels).into_iter().collect()
    }

    fn absorb(&self, state: &mut Vec<CsrBuilder>, cell: &Cell<'_>, (): &mut ()) {
        let Some(csr) = state.last_mut() else { return };
        let mut row = 0;
        cell.for_each_nonzero(|r, channel, x| {
            while row < r {
                csr.end_row();
                row += 1;
            }
            csr.push(channel as u16, x as u32);
        });
        (row..cell.rows).for_each(|_| csr.end_row());
    }

    fn merge(&self, state: &mut Vec<CsrBuilder>, later: Vec<CsrBuilder>) {
        state.extend(later);
    }
}

/// The rows a recipe starts from: raw, with masked pixels emptied.
fn raw_counts(
    dataset: &Dataset,
    passes: &dyn Passes,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<Rows, StepError> {
    let rows = compact(&dataset.rows, passes)?;
    let Some(mask) = &dataset.mask else { return Ok(rows) };
    let masked = mask.iter().filter(|masked| **masked).count();
    diagnostics.push(Diagnostic::note(
        Code::Masked,
        format!("{masked} of {} pixels are masked and left out of everything", mask.len()),
    ));
    Ok(Arc::new(ExcludeChannels::new(rows, 0..0, Some(Arc::clone(mask)))))
}

/// A further dataset, bound to an artefact name that steps read: reference spectra, standards.
pub struct Further {
    /// Name of the artefact: `references`.
    pub name: String,
    /// The dataset.
    pub dataset: Dataset,
    /// Names its content (see [`crate::fingerprint`]).
    pub fingerprint: String,
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
    run_with(recipe, dataset, fingerprint, &[], engine)
}

/// [`run`] with further datasets.
///
/// # Errors
/// As [`run`].
pub fn run_with(
    recipe: &Recipe,
    dataset: &Dataset,
    fingerprint: &str,
    further: &[Further],
    engine: &Engine,
) -> Result<RunResult, RunError> {
    let mut diagnostics = dataset.diagnostics.clone();
    let counts = raw_counts(dataset, engine, &mut diagnostics).map_err(RunError::reading)?;
    let mut session = Session::new(counts, fingerprint, recipe.seed);
    for Further { name, dataset, fingerprint } in further {
        diagnostics.extend(dataset.diagnostics.iter().cloned());
        session.insert(name, fingerprint, Artefact::Rows(Rows::clone(&dataset.rows)));
    }
    let (recipe, diagnostics) = run_in(&mut session, recipe, dataset, engine, diagnostics)?;
    let provenance = Provenance::new(dataset, fingerprint, &recipe).with(further);
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
        let ran = session
            .run(engine, step)
            .map_err(|source| RunError::Step { step: name, source: Box::new(source) })?;
        diagnostics.extend(ran.diagnostics);
    }
    Ok((recipe, diagnostics))
}
