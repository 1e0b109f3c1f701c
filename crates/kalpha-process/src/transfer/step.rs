//! Steps `transfer.ds`, `transfer.pds`, `transfer.slope_bias`, `transfer.epo`, `transfer.coral`.
//!
//! `slave` names the rows of the standards on the instrument whose spectra are transferred. On the
//! instrument that is wanted they are rows `master` of the same data, or of a second file on the port
//! `standards` (all of its rows unless `master` names some), in the same order. Rows of the data in
//! `keep`, and in `master` without a second file, are the master's own; all others are transferred.

use super::{
    model::{
        TransferModel, coral, cross_validate, direct, least, orthogonal, orthogonal_errors,
        piecewise, simplest, slope_bias,
    },
    standards::{Standards, row_numbers, spectra},
};
use crate::row_method::{Block, FLAGS, RowMethod, RowStatus, SPECTRA, TABLE, Treat};
use kalpha_core::{
    InputMeta, Inputs, Metadata, NoiseModel, Passes, Port, Rows, RowsMeta, StepError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const STANDARDS: Port =
    Port::rows("standards", "spectra of the standards on the wanted instrument").optional();
const INPUTS: &[Port] = &[SPECTRA, STANDARDS, FLAGS.optional(), TABLE.optional()];

/// Fewest standards that a cross-validation can leave some out of.
const NEEDED: usize = 3;

/// Rows that a recipe names, in words.
struct Words<'a> {
    master: &'a str,
    slave: &'a str,
    keep: &'a str,
}

/// Rows of the standards.
#[derive(Debug)]
struct Named {
    master: Vec<usize>,
    slave: Vec<usize>,
    /// Rows of the data that are the master's own, ascending.
    own: Vec<usize>,
}

impl Words<'_> {
    fn named(&self, rows: &RowsMeta, second: Option<&RowsMeta>) -> Result<Named, StepError> {
        let master = match second {
            Some(second) if self.master.trim().is_empty() => (0..second.rows).collect(),
            Some(second) => row_numbers("master", self.master, second.rows)?,
            None => row_numbers("master", self.master, rows.rows)?,
        };
        let slave = row_numbers("slave", self.slave, rows.rows)?;
        let mut own = match self.keep.trim().is_empty() {
            true => Vec::new(),
            false => row_numbers("keep", self.keep, rows.rows)?,
        };
        if second.is_none() {
            own.extend_from_slice(&master);
        }
        own.sort_unstable();
        if master.len() != slave.len() || master.len() < NEEDED {
            return Err(StepError::Parameter {
                parameter: "master, slave",
                got: format!("{} and {} rows", master.len(), slave.len()),
                expected: format!("the same specimens on both instruments, {NEEDED} at least"),
            });
        }
        if let Some(second) = second
            && second.signal != rows.signal
        {
            return Err(StepError::Parameter {
                parameter: "standards",
                got: format!("{} channels on an axis of their own", second.channels),
                expected: "the axis of the spectra (hint: resample one of the files)".into(),
            });
        }
        Ok(Named { master, slave, own })
    }
}

/// A learned transfer and the rows it does not concern.
pub struct TransferMethod {
    slave: TransferModel,
    /// For the rows of the master, where they change too.
    master: Option<TransferModel>,
    own: Vec<usize>,
    /// Root mean square difference for standards left out.
    error: f64,
    /// What was chosen: rank, half-window, directions, shrinkage.
    chosen: f64,
    choice: &'static str,
}

impl RowMethod for TransferMethod {
    type Scratch = Vec<f64>;

    fn columns(&self) -> Vec<(&'static str, String)> {
        vec![("transferred", String::new()), (self.choice, String::new()), ("error", String::new())]
    }

    fn apply(&self, block: &mut Block<'_>, scratch: &mut Vec<f64>) {
        let mut row = block.first_row;
        block.each(|y, z, table| {
            let own = self.own.binary_search(&row).is_ok();
            row += 1;
            table.copy_from_slice(&[f64::from(!own), self.chosen, self.error]);
            match (own, &self.master) {
                (false, _) => self.slave.apply(y, z, scratch),
                (true, Some(master)) => master.apply(y, z, scratch),
                (true, None) => z.copy_from_slice(y),
            }
            match z.iter().all(|v| v.is_finite()) {
                true => RowStatus::Fine,
                false => {
                    z.fill(f64::NAN);
                    RowStatus::Refused
                }
            }
        });
    }
}

/// What is learned from standards.
struct Learned {
    slave: TransferModel,
    master: Option<TransferModel>,
    error: f64,
    chosen: f64,
}

/// Learns with the candidate of least cross-validated error; each comes with the number that names it.
fn learn<P>(
    standards: &Standards,
    candidates: &[(P, f64)],
    fit: impl Fn(&Standards, &P) -> TransferModel,
) -> Learned {
    let errors = cross_validate(standards, candidates, |standards, (candidate, _)| {
        fit(standards, candidate)
    });
    let best = least(&errors);
    let (candidate, chosen) = &candidates[best];
    let slave = fit(standards, candidate);
    Learned { slave, master: None, error: errors[best], chosen: *chosen }
}

/// The ranks to try: the one given, or all up to what the smallest training set holds.
fn ranks(given: Option<usize>, standards: usize, most: usize) -> Vec<usize> {
    let highest = (standards - standards.div_ceil(5)).saturating_sub(1).clamp(1, most);
    given.map_or_else(|| (1..=highest).collect(), |rank| vec![rank])
}

fn not_zero(parameter: &'static str, given: Option<usize>) -> Result<(), StepError> {
    match given {
        Some(0) => Err(StepError::Parameter {
            parameter,
            got: "0".into(),
            expected: "at least 1; absent for cross-validation".into(),
        }),
        _ => Ok(()),
    }
}

/// Parameters of a transfer, and the step they are: what all have in common, and after it what is
/// each one's own.
macro_rules! transfer {
    (
        $(#[$doc:meta])* $name:ident, $id:literal, $revision:literal, $about:literal, $choice:literal,
        { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            /// Rows of the standards on the instrument that is wanted: `0-19`; all rows of the second
            /// file if that is given and this is not.
            pub master: String,
            /// Rows of the same standards on the other instrument, in the same order.
            pub slave: String,
            /// Further rows that come from the wanted instrument.
            pub keep: String,
            $($(#[$field_doc])* pub $field: $type,)*
            /// Standards of a second file.
            #[serde(skip)]
            second: Second,
        }

        impl Treat for $name {
            const ID: &'static str = $id;
            const REVISION: u32 = $revision;
            const ABOUT: &'static str = $about;
            const INPUTS: &'static [Port] = INPUTS;
            type Method = TransferMethod;

            fn announced(&mut self, inputs: &InputMeta) {
                self.second = Second(inputs.rows(STANDARDS.name).ok().cloned(), None);
            }

            fn given(&mut self, inputs: &Inputs) {
                self.second.1 = inputs.rows(STANDARDS.name).ok().map(Rows::clone);
            }

            fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
                self.own_check()?;
                let words = Words { master: &self.master, slave: &self.slave, keep: &self.keep };
                words.named(rows, self.second.0.as_ref()).map(|_| ())
            }

            fn method(
                self,
                rows: &Rows,
                _: &Metadata,
                _: &dyn Passes,
            ) -> Result<TransferMethod, StepError> {
                let words = Words { master: &self.master, slave: &self.slave, keep: &self.keep };
                let second = self.second.1.as_ref();
                let Named { master, slave, own } =
                    words.named(rows.meta(), second.map(|rows| rows.meta()))?;
                let standards = Standards::new(
                    spectra(second.unwrap_or(rows), &master)?,
                    spectra(rows, &slave)?,
                    rows.meta().channels,
                    NEEDED,
                )
                .map_err(StepError::method)?;
                let Learned { slave, master, error, chosen } = self.learned(&standards);
                Ok(TransferMethod { slave, master, own, error, chosen, choice: $choice })
            }

            fn noise(&self, noise: &NoiseModel) -> NoiseModel {
                Self::mixes(noise)
            }
        }
    };
}

/// What is known of a second file, and its rows.
#[derive(Clone, Default)]
struct Second(Option<RowsMeta>, Option<Rows>);

impl std::fmt::Debug for Second {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

transfer! {
    /// Parameters of `transfer.ds`.
    Direct, "transfer.ds", 1,
    "Direct standardisation: spectra of one instrument as another's", "rank",
    {
        /// Components; by cross-validation on the standards if absent.
        rank: Option<usize>,
    }
}

impl Direct {
    fn own_check(&self) -> Result<(), StepError> {
        not_zero("rank", self.rank)
    }

    fn learned(&self, standards: &Standards) -> Learned {
        let candidates: Vec<_> =
            ranks(self.rank, standards.len(), 15).iter().map(|r| (*r, *r as f64)).collect();
        learn(standards, &candidates, |s, rank| direct(s, *rank))
    }

    fn mixes(_: &NoiseModel) -> NoiseModel {
        NoiseModel::Correlated
    }
}

transfer! {
    /// Parameters of `transfer.pds`.
    Piecewise, "transfer.pds", 1,
    "Piecewise direct standardisation: each channel from its neighbours", "half_window",
    {
        /// Channels on each side; by cross-validation on the standards if absent.
        half_window: Option<usize>,
        /// Components of each window; by cross-validation on the standards if absent.
        rank: Option<usize>,
    }
}

impl Piecewise {
    fn own_check(&self) -> Result<(), StepError> {
        not_zero("rank", self.rank)
    }

    fn learned(&self, standards: &Standards) -> Learned {
        let windows = self.half_window.map_or_else(|| vec![0, 1, 2, 3, 5], |w| vec![w]);
        let ranks = self.rank.map_or_else(|| vec![1, 2, 3], |r| vec![r]);
        let mut candidates = Vec::new();
        for window in windows {
            for rank in ranks.iter().filter(|r| **r <= 2 * window + 1 || self.rank.is_some()) {
                candidates.push(((window, *rank), window as f64));
            }
        }
        learn(standards, &candidates, |s, (w, r)| piecewise(s, *w, *r))
    }

    fn mixes(_: &NoiseModel) -> NoiseModel {
        NoiseModel::Correlated
    }
}

transfer! {
    /// Parameters of `transfer.slope_bias`.
    SlopeBias, "transfer.slope_bias", 1,
    "Slope and bias of each channel between two instruments", "half_window",
    {}
}

impl SlopeBias {
    fn own_check(&self) -> Result<(), StepError> {
        Ok(())
    }

    fn learned(&self, standards: &Standards) -> Learned {
        learn(standards, &[((), 0.0)], |s, ()| slope_bias(s))
    }

    fn mixes(_: &NoiseModel) -> NoiseModel {
        NoiseModel::Unknown
    }
}

transfer! {
    /// Parameters of `transfer.epo`.
    Orthogonal, "transfer.epo", 2,
    "Takes the directions in which instruments differ out of all spectra", "rank",
    {
        /// Directions taken out of all spectra; by cross-validation on the standards if absent.
        rank: Option<usize>,
    }
}

impl Orthogonal {
    fn own_check(&self) -> Result<(), StepError> {
        not_zero("rank", self.rank)
    }

    fn learned(&self, standards: &Standards) -> Learned {
        let candidates = ranks(self.rank, standards.len(), 8);
        let errors = orthogonal_errors(standards, &candidates);
        let relative: Vec<f64> = errors.iter().map(|(error, spread)| error / spread).collect();
        let best = simplest(&relative);
        let [slave, master] = orthogonal(standards, candidates[best]);
        let chosen = candidates[best] as f64;
        Learned { slave, master: Some(master), error: errors[best].0, chosen }
    }

    fn mixes(_: &NoiseModel) -> NoiseModel {
        NoiseModel::Correlated
    }
}

transfer! {
    /// Parameters of `transfer.coral`.
    Coral, "transfer.coral", 1,
    "Gives spectra of one instrument the mean and covariance of another's", "shrinkage",
    {
        /// Variance added in all directions, in units of the mean variance; by cross-validation on
        /// the standards if absent.
        shrinkage: Option<f64>,
    }
}

impl Coral {
    fn own_check(&self) -> Result<(), StepError> {
        match self.shrinkage.is_some_and(|s| !s.is_finite() || s <= 0.0) {
            true => Err(StepError::Parameter {
                parameter: "shrinkage",
                got: format!("{:?}", self.shrinkage),
                expected: "a positive number; absent for cross-validation".into(),
            }),
            false => Ok(()),
        }
    }

    fn learned(&self, standards: &Standards) -> Learned {
        let candidates: Vec<(f64, f64)> = match self.shrinkage {
            Some(given) => vec![(given, given)],
            None => (-8..=1).map(|p| (10f64.powi(p), 10f64.powi(p))).collect(),
        };
        learn(standards, &candidates, |s, r| coral(s, *r))
    }

    fn mixes(_: &NoiseModel) -> NoiseModel {
        NoiseModel::Correlated
    }
}
