//! Methods that treat each row by itself: one spectrum or a million, the same numbers.
//!
//! A method implements [`RowMethod`] for a block of rows; [`Treatment`] makes it a step that
//! replaces `spectra`, [`Background`] one that finds a `background` and takes it off. Rows that
//! could not be treated come back flagged, in [`RowFlags`]; what a method learns of each row
//! (a shift, a factor, an iteration count) goes to [`RowTable`]. Both grow along a recipe.

use kalpha_core::{
    ArtefactType, Axis, Cell, Code, DenseRows, DenseValues, Diagnostic, InputMeta, Inputs, Map,
    Mapped, Metadata, NoiseModel, Outputs, Passes, Plan, Port, Rows, RowsMeta, Step, StepError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    marker::PhantomData,
    sync::{Arc, Mutex, PoisonError},
};

mod background;

pub use background::Background;

/// Treated rows above this size are made again on every pass instead of being kept.
const KEEP_BYTES: usize = 1 << 30;
/// Rows named in a diagnostic.
const ROWS_NAMED: usize = 5;

/// How a row fared.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RowStatus {
    /// Treated as asked.
    #[default]
    Fine,
    /// NaN or infinity among its values: the result is NaN.
    NotFinite,
    /// Iteration stopped before the result rested; the last one is given.
    NotConverged,
    /// The result ran into a bound of the method.
    AtBound,
    /// The row holds nothing the method could work on; the result is NaN.
    Refused,
    /// A spread or a sum that must not vanish does: the result is NaN.
    Constant,
    /// Values the method is not defined for, such as negative counts.
    Negative,
    /// Counts too low for the approximation the method makes.
    LowCounts,
    /// Neither noise nor a peak to tell a baseline from: the spectrum itself is given.
    Featureless,
}

impl RowStatus {
    /// What happened and what it means, after "17 of 100 spectra: ".
    fn message(self) -> &'static str {
        match self {
            Self::Fine => "treated",
            Self::NotFinite => "NaN or infinity among the values; the result is NaN",
            Self::NotConverged => "not converged; the last iterate is given",
            Self::AtBound => "stopped at a bound of the method",
            Self::Refused => "nothing there the method could work on; the result is NaN",
            Self::Constant => "constant or zero where a spread is needed; the result is NaN",
            Self::Negative => "negative values, which the method is not defined for",
            Self::LowCounts => "fewer counts than the method's approximation needs",
            Self::Featureless => {
                "neither noise nor peaks to tell a baseline from; the baseline is the spectrum itself"
            }
        }
    }

    fn code(self) -> Code {
        match self {
            Self::NotConverged => Code::NotConverged,
            Self::LowCounts => Code::LowCounts,
            _ => Code::NotIdentifiable,
        }
    }
}

/// A row that was not treated as asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RowFlag {
    /// Row, zero-based, in the order of the file.
    pub row: usize,
    /// Step that says it.
    pub step: String,
    /// How the row fared.
    pub status: RowStatus,
}

/// Rows that were not treated as asked, by all steps so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RowFlags(pub Vec<RowFlag>);

impl ArtefactType for RowFlags {
    const KIND: &'static str = "row_flags";
}

/// One value per row that a step has found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowColumn {
    /// Step that found it.
    pub step: String,
    /// Name: `shift`, `iterations`.
    pub name: String,
    /// Unit; empty for none.
    pub unit: String,
    /// One value per row.
    pub values: Vec<f64>,
}

/// What all steps so far have found for each row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RowTable(pub Vec<RowColumn>);

impl ArtefactType for RowTable {
    const KIND: &'static str = "row_table";
}

/// Some complete rows and the places for what comes of them.
pub struct Block<'a> {
    /// Absolute number of the first row.
    pub first_row: usize,
    /// Rows.
    pub rows: usize,
    /// Values of a row.
    pub channels: usize,
    /// Rows x channels. Rows with a value that is not finite have been zeroed.
    pub values: &'a [f64],
    /// Rows x output channels, zeroed.
    pub out: &'a mut [f64],
    /// One per row.
    pub status: &'a mut [RowStatus],
    /// Rows x [`RowMethod::columns`], zeroed.
    pub table: &'a mut [f64],
}

impl Block<'_> {
    /// Calls `treat(row, out, table row) -> status` for each row.
    pub fn each(&mut self, mut treat: impl FnMut(&[f64], &mut [f64], &mut [f64]) -> RowStatus) {
        let (outs, columns) = (self.out.len() / self.rows, self.table.len() / self.rows);
        for r in 0..self.rows {
            self.status[r] = treat(
                &self.values[r * self.channels..(r + 1) * self.channels],
                &mut self.out[r * outs..(r + 1) * outs],
                &mut self.table[r * columns..(r + 1) * columns],
            );
        }
    }
}

/// Treats rows one by one; neighbouring rows are handed over together so that a kernel may
/// interleave them.
pub trait RowMethod: Send + Sync + 'static {
    /// Working memory of one thread.
    type Scratch: Default + Send;

    /// Names and units of the values found for each row.
    fn columns(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Fills `block.out`, `block.status` and `block.table`. A row's result may not depend on
    /// the other rows of the block.
    fn apply(&self, block: &mut Block<'_>, scratch: &mut Self::Scratch);
}

/// First row, statuses and table of a cell.
type Found = (usize, Vec<RowStatus>, Vec<f64>);

/// Treated rows with what was found on the way.
pub struct Treated {
    /// The rows.
    pub rows: Rows,
    /// One status per row.
    pub status: Vec<RowStatus>,
    /// Rows x columns of the method.
    pub table: Vec<f64>,
}

/// Memory of one thread around a method's own.
struct CellScratch<S> {
    values: Vec<f64>,
    status: Vec<RowStatus>,
    table: Vec<f64>,
    method: S,
}

impl<S: Default> Default for CellScratch<S> {
    fn default() -> Self {
        Self { values: Vec::new(), status: Vec::new(), table: Vec::new(), method: S::default() }
    }
}

/// A method as a [`Map`].
struct Applied<M>(Arc<M>);

impl<M: RowMethod> Map for Applied<M> {
    type Scratch = CellScratch<M::Scratch>;

    fn apply(&self, cell: &Cell<'_>, out: &mut [f64], scratch: &mut Self::Scratch) {
        apply(&*self.0, cell, out, scratch);
    }
}

fn apply<M: RowMethod>(
    method: &M,
    cell: &Cell<'_>,
    out: &mut [f64],
    scratch: &mut CellScratch<M::Scratch>,
) {
    if cell.rows == 0 || cell.channels == 0 {
        return;
    }
    let CellScratch { values, status, table, method: own } = scratch;
    cell.to_f64(values);
    status.clear();
    status.resize(cell.rows, RowStatus::Fine);
    table.clear();
    table.resize(cell.rows * method.columns().len(), 0.0);
    let broken: Vec<usize> = (0..cell.rows)
        .filter(|r| {
            values[r * cell.channels..(r + 1) * cell.channels].iter().any(|x| !x.is_finite())
        })
        .collect();
    for r in &broken {
        values[r * cell.channels..(r + 1) * cell.channels].fill(0.0);
    }
    let mut block = Block {
        first_row: cell.first_row,
        rows: cell.rows,
        channels: cell.channels,
        values,
        out,
        status,
        table,
    };
    method.apply(&mut block, own);
    let (outs, columns) = (block.out.len() / cell.rows, block.table.len() / cell.rows);
    for &r in &broken {
        block.out[r * outs..(r + 1) * outs].fill(f64::NAN);
        block.table[r * columns..(r + 1) * columns].fill(f64::NAN);
        block.status[r] = RowStatus::NotFinite;
    }
}

/// Runs `method` over all rows. `signal` and `noise` are those of the result.
///
/// Results above 1 GB are not kept but made again whenever they are read.
///
/// # Errors
/// When rows cannot be read or the run is cancelled.
pub fn treat<M: RowMethod>(
    method: M,
    rows: &Rows,
    signal: Axis,
    noise: NoiseModel,
    passes: &dyn Passes,
) -> Result<Treated, StepError> {
    let n = rows.meta().rows;
    let keep = n.saturating_mul(signal.len()).saturating_mul(8) <= KEEP_BYTES;
    let method = Arc::new(method);
    let outs = signal.len();
    let found: Mutex<Vec<Found>> = Mutex::new(Vec::new());
    let note = |cell: &Cell<'_>, scratch: &CellScratch<M::Scratch>| {
        let part = (cell.first_row, scratch.status.clone(), scratch.table.clone());
        found.lock().unwrap_or_else(PoisonError::into_inner).push(part);
    };
    let rows = if keep {
        let mut out = vec![0.0; n * outs];
        passes.map_rows(rows, outs, &mut out, |scratch, cell, out| {
            apply(&*method, cell, out, scratch);
            note(cell, scratch);
        })?;
        let meta = RowsMeta { channels: outs, signal, noise, ..rows.meta().clone() };
        Arc::new(DenseRows::new(meta, DenseValues::F64(out.into()))?) as Rows
    } else {
        let mut nothing: Vec<u8> = vec![0; n];
        passes.map_rows(rows, 1, &mut nothing, |(out, scratch): &mut (Vec<f64>, _), cell, _| {
            out.clear();
            out.resize(cell.rows * outs, 0.0);
            apply(&*method, cell, out, scratch);
            note(cell, scratch);
        })?;
        Arc::new(Mapped::new(Rows::clone(rows), Applied(Arc::clone(&method)), signal, noise))
    };
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_by_key(|(first, _, _)| *first);
    let status = found.iter().flat_map(|(_, status, _)| status.iter().copied()).collect();
    let table = found.into_iter().flat_map(|(_, _, table)| table).collect();
    Ok(Treated { rows, status, table })
}

/// Adds flags, table and warnings of treated rows to `outputs`, after those of the steps before:
/// `columns` are the names and units of the table.
///
/// # Errors
/// When the artefacts of the steps before are of another type.
pub fn report<N: AsRef<str>>(
    step: &str,
    inputs: &Inputs,
    columns: &[(N, String)],
    treated: &Treated,
    outputs: Outputs,
) -> Result<Outputs, StepError> {
    let mut flags = inputs.optional::<RowFlags>("row_flags")?.cloned().unwrap_or_default();
    let mut table = inputs.optional::<RowTable>("row_table")?.cloned().unwrap_or_default();
    let mut seen: BTreeMap<RowStatus, Vec<usize>> = BTreeMap::new();
    for (row, &status) in treated.status.iter().enumerate() {
        if status != RowStatus::Fine {
            seen.entry(status).or_default().push(row);
            flags.0.push(RowFlag { row, step: step.to_owned(), status });
        }
    }
    for (c, (name, unit)) in columns.iter().enumerate() {
        let values = treated.table.iter().skip(c).step_by(columns.len()).copied().collect();
        table.0.push(RowColumn {
            step: step.to_owned(),
            name: name.as_ref().to_owned(),
            unit: unit.clone(),
            values,
        });
    }
    let mut outputs = outputs.whole("row_flags", flags).whole("row_table", table);
    for (status, rows) in seen {
        let named: Vec<String> = rows.iter().take(ROWS_NAMED).map(ToString::to_string).collect();
        let more = if rows.len() > ROWS_NAMED { ", .." } else { "" };
        let of = treated.status.len();
        let said = match of {
            1 => format!("the spectrum: {}", status.message()),
            _ => format!(
                "{} of {of} spectra (rows {}{more}): {}",
                rows.len(),
                named.join(", "),
                status.message()
            ),
        };
        outputs = outputs.warn(Diagnostic::warning(status.code(), said));
    }
    Ok(outputs)
}

/// Port of flagged rows.
pub const FLAGS: Port = Port::whole("row_flags", RowFlags::KIND, "rows not treated as asked");
/// Port of what was found for each row.
pub const TABLE: Port = Port::whole("row_table", RowTable::KIND, "what was found for each row");
pub(crate) const SPECTRA: Port = Port::rows("spectra", "spectra to treat");
const TREATMENT_INPUTS: &[Port] = &[SPECTRA, FLAGS.optional(), TABLE.optional()];
pub(crate) const TREATED: Port = Port::rows("spectra", "treated spectra");
const TREATMENT_OUTPUTS: &[Port] = &[TREATED, FLAGS, TABLE];
/// Parameters that are a method: what a registered treatment of rows must say of itself.
pub trait Treat: Serialize + DeserializeOwned + JsonSchema + Default + Send + 'static {
    /// Name in recipes.
    const ID: &'static str;
    /// Rises whenever the numbers change.
    const REVISION: u32;
    /// One line: what it does.
    const ABOUT: &'static str;
    /// The method of a [`Background`] that also says how sure it is: it gives twice the channels,
    /// background first, its standard deviation after.
    const UNCERTAIN: bool = false;
    /// What a [`Treatment`] takes; [`Treat::announced`] and [`Treat::given`] look at more than spectra,
    /// flags and table.
    const INPUTS: &'static [Port] = TREATMENT_INPUTS;
    /// What a [`Treatment`] gives; with more than spectra, flags and table, [`Treat::declare`] and
    /// [`Treat::learned`] add it.
    const OUTPUTS: &'static [Port] = TREATMENT_OUTPUTS;
    /// The method with all it needs.
    type Method: RowMethod;

    /// Declares what the method has learned of all rows, as further outputs.
    fn declare(plan: Plan) -> Plan {
        plan
    }

    /// Adds what the method has learned of all rows.
    fn learned(_: &Self::Method, outputs: Outputs) -> Outputs {
        outputs
    }

    /// Looks at what stands on ports of its own, before [`Treat::check`].
    fn announced(&mut self, _: &InputMeta) {}

    /// Takes what stands on ports of its own, before [`Treat::method`].
    fn given(&mut self, _: &Inputs) {}

    /// Checks parameters, axis and metadata before a byte is read.
    ///
    /// # Errors
    /// When the method cannot work on such rows.
    fn check(&self, rows: &RowsMeta, metadata: &Metadata) -> Result<(), StepError>;

    /// The method, after as many passes over `rows` as it needs to learn of them (a mean
    /// spectrum, a range per channel).
    ///
    /// # Errors
    /// When the rows hold too little, or cannot be read.
    fn method(
        self,
        rows: &Rows,
        metadata: &Metadata,
        passes: &dyn Passes,
    ) -> Result<Self::Method, StepError>;

    /// Axis of the result.
    fn signal(&self, rows: &RowsMeta) -> Axis {
        rows.signal.clone()
    }

    /// Noise of the result.
    fn noise(&self, noise: &NoiseModel) -> NoiseModel;
}

/// Step that replaces `spectra` by what `T` makes of them.
pub struct Treatment<T>(PhantomData<fn() -> T>);

impl<T: Treat> Step for Treatment<T> {
    type Params = T;
    const ID: &'static str = T::ID;
    const REVISION: u32 = T::REVISION;
    const ABOUT: &'static str = T::ABOUT;
    const INPUTS: &'static [Port] = T::INPUTS;
    const OUTPUTS: &'static [Port] = T::OUTPUTS;

    fn plan(mut params: T, inputs: &InputMeta) -> Result<Plan, StepError> {
        let meta = inputs.rows("spectra")?;
        params.announced(inputs);
        params.check(meta, &inputs.metadata)?;
        let (signal, noise) = (params.signal(meta), params.noise(&meta.noise));
        let made = RowsMeta {
            channels: signal.len(),
            dtype: kalpha_core::DType::F64,
            signal,
            noise: noise.clone(),
            ..meta.clone()
        };
        let metadata = inputs.metadata.clone();
        let run = move |inputs: &Inputs, passes: &dyn Passes| {
            let rows = inputs.rows("spectra")?;
            let mut params = params;
            params.given(inputs);
            // The axis as it is now: a step before may have moved it.
            let signal = params.signal(rows.meta());
            let method = params.method(rows, &metadata, passes)?;
            let columns = method.columns();
            let outputs = T::learned(&method, Outputs::new());
            let treated = treat(method, rows, signal, noise, passes)?;
            let outputs = outputs.rows("spectra", Rows::clone(&treated.rows));
            report(T::ID, inputs, &columns, &treated, outputs)
        };
        let plan = Plan::new(run)
            .rows("spectra", made)
            .whole("row_flags", RowFlags::KIND)
            .whole("row_table", RowTable::KIND);
        Ok(T::declare(plan))
    }
}
