//! Steps `transfer.ds`, `transfer.pds`, `transfer.slope_bias`, `transfer.epo`, `transfer.coral`.
//!
//! Standards are rows of the data: `master` names their rows on the instrument that is wanted,
//! `slave` those on the other, in the same order. Rows in `master` and `keep` are the master's own;
//! all others are transferred.

use super::{
    model::{
        TransferModel, coral, cross_validate, direct, least, orthogonal, piecewise, slope_bias,
    },
    standards::{Standards, row_numbers, spectra},
};
use crate::row_method::{Block, RowMethod, RowStatus, Treat};
use kalpha_core::{Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Rows of the standards.
struct Named {
    master: Vec<usize>,
    slave: Vec<usize>,
    keep: Vec<usize>,
}

/// Fewest standards that a cross-validation can leave some out of.
const NEEDED: usize = 3;

fn named(master: &str, slave: &str, keep: &str, rows: &RowsMeta) -> Result<Named, StepError> {
    let named = Named {
        master: row_numbers("master", master, rows.rows)?,
        slave: row_numbers("slave", slave, rows.rows)?,
        keep: if keep.trim().is_empty() { vec![] } else { row_numbers("keep", keep, rows.rows)? },
    };
    if named.master.len() != named.slave.len() || named.master.len() < NEEDED {
        return Err(StepError::Parameter {
            parameter: "master, slave",
            got: format!("{} and {} rows", named.master.len(), named.slave.len()),
            expected: format!("the same specimens on both instruments, {NEEDED} at least"),
        });
    }
    Ok(named)
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

/// Learns with the candidate of least cross-validated error.
fn learn<P: Clone>(
    named: Named,
    rows: &Rows,
    choice: &'static str,
    candidates: &[(P, f64)],
    fit: impl Fn(&Standards, &P) -> TransferModel,
) -> Result<(Standards, P, TransferMethod), StepError> {
    let standards = Standards::new(
        spectra(rows, &named.master)?,
        spectra(rows, &named.slave)?,
        rows.meta().channels,
        NEEDED,
    )
    .map_err(StepError::method)?;
    let errors = cross_validate(&standards, candidates, |standards, (candidate, _)| {
        fit(standards, candidate)
    });
    let best = least(&errors);
    let (candidate, chosen) = &candidates[best];
    let mut own: Vec<usize> = named.master.iter().chain(&named.keep).copied().collect();
    own.sort_unstable();
    let method = TransferMethod {
        slave: fit(&standards, candidate),
        master: None,
        own,
        error: errors[best],
        chosen: *chosen,
        choice,
    };
    Ok((standards, candidate.clone(), method))
}

/// Noise after a map that mixes channels.
fn mixed(_: &NoiseModel) -> NoiseModel {
    NoiseModel::Correlated
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

/// Parameters of `transfer.ds`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Direct {
    /// Rows of the standards on the instrument that is wanted: `0-19`.
    pub master: String,
    /// Rows of the same standards on the other instrument, in the same order.
    pub slave: String,
    /// Further rows that come from the wanted instrument and stay as they are.
    pub keep: String,
    /// Components; by cross-validation on the standards if absent.
    pub rank: Option<usize>,
}

impl Treat for Direct {
    const ID: &'static str = "transfer.ds";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Direct standardisation: spectra of one instrument as another's";
    type Method = TransferMethod;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        not_zero("rank", self.rank)?;
        named(&self.master, &self.slave, &self.keep, rows).map(|_| ())
    }

    fn method(
        self,
        rows: &Rows,
        _: &Metadata,
        _: &dyn Passes,
    ) -> Result<TransferMethod, StepError> {
        let named = named(&self.master, &self.slave, &self.keep, rows.meta())?;
        let candidates: Vec<_> =
            ranks(self.rank, named.master.len(), 15).iter().map(|r| (*r, *r as f64)).collect();
        learn(named, rows, "rank", &candidates, |s, rank| direct(s, *rank)).map(|(_, _, m)| m)
    }

    fn noise(&self, noise: &NoiseModel) -> NoiseModel {
        mixed(noise)
    }
}

/// Parameters of `transfer.pds`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Piecewise {
    /// Rows of the standards on the instrument that is wanted: `0-19`.
    pub master: String,
    /// Rows of the same standards on the other instrument, in the same order.
    pub slave: String,
    /// Further rows that come from the wanted instrument and stay as they are.
    pub keep: String,
    /// Channels on each side; by cross-validation on the standards if absent.
    pub half_window: Option<usize>,
    /// Components of each window; by cross-validation on the standards if absent.
    pub rank: Option<usize>,
}

impl Treat for Piecewise {
    const ID: &'static str = "transfer.pds";
    const REVISION: u32 = 1;
    const ABOUT: &'static str =
        "Piecewise direct standardisation: each channel from its neighbours";
    type Method = TransferMethod;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        not_zero("rank", self.rank)?;
        named(&self.master, &self.slave, &self.keep, rows).map(|_| ())
    }

    fn method(
        self,
        rows: &Rows,
        _: &Metadata,
        _: &dyn Passes,
    ) -> Result<TransferMethod, StepError> {
        let named = named(&self.master, &self.slave, &self.keep, rows.meta())?;
        let windows = self.half_window.map_or_else(|| vec![0, 1, 2, 3, 5], |w| vec![w]);
        let ranks = self.rank.map_or_else(|| vec![1, 2, 3], |r| vec![r]);
        let mut candidates = Vec::new();
        for window in windows {
            for rank in ranks.iter().filter(|r| **r <= 2 * window + 1 || self.rank.is_some()) {
                candidates.push(((window, *rank), window as f64));
            }
        }
        learn(named, rows, "half_window", &candidates, |s, (w, r)| piecewise(s, *w, *r))
            .map(|(_, _, m)| m)
    }

    fn noise(&self, noise: &NoiseModel) -> NoiseModel {
        mixed(noise)
    }
}

/// Parameters of `transfer.slope_bias`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SlopeBias {
    /// Rows of the standards on the instrument that is wanted: `0-19`.
    pub master: String,
    /// Rows of the same standards on the other instrument, in the same order.
    pub slave: String,
    /// Further rows that come from the wanted instrument and stay as they are.
    pub keep: String,
}

impl Treat for SlopeBias {
    const ID: &'static str = "transfer.slope_bias";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Slope and bias of each channel between two instruments";
    type Method = TransferMethod;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        named(&self.master, &self.slave, &self.keep, rows).map(|_| ())
    }

    fn method(
        self,
        rows: &Rows,
        _: &Metadata,
        _: &dyn Passes,
    ) -> Result<TransferMethod, StepError> {
        let named = named(&self.master, &self.slave, &self.keep, rows.meta())?;
        learn(named, rows, "half_window", &[((), 0.0)], |s, ()| slope_bias(s)).map(|(_, _, m)| m)
    }

    fn noise(&self, _: &NoiseModel) -> NoiseModel {
        NoiseModel::Unknown
    }
}

/// Parameters of `transfer.epo`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Orthogonal {
    /// Rows of the standards on the instrument that is wanted: `0-19`.
    pub master: String,
    /// Rows of the same standards on the other instrument, in the same order.
    pub slave: String,
    /// Further rows that come from the wanted instrument.
    pub keep: String,
    /// Directions taken out of all spectra.
    pub rank: usize,
}

impl Default for Orthogonal {
    fn default() -> Self {
        Self { master: String::new(), slave: String::new(), keep: String::new(), rank: 2 }
    }
}

impl Treat for Orthogonal {
    const ID: &'static str = "transfer.epo";
    const REVISION: u32 = 1;
    const ABOUT: &'static str =
        "Takes the directions in which instruments differ out of all spectra";
    type Method = TransferMethod;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        not_zero("rank", Some(self.rank))?;
        named(&self.master, &self.slave, &self.keep, rows).map(|_| ())
    }

    fn method(
        self,
        rows: &Rows,
        _: &Metadata,
        _: &dyn Passes,
    ) -> Result<TransferMethod, StepError> {
        let named = named(&self.master, &self.slave, &self.keep, rows.meta())?;
        let [slave, master] = [0, 1];
        let candidates = [(self.rank, self.rank as f64)];
        let (standards, rank, mut method) =
            learn(named, rows, "rank", &candidates, |s, r| orthogonal(s, *r)[slave].clone())?;
        method.master = Some(orthogonal(&standards, rank)[master].clone());
        Ok(method)
    }

    fn noise(&self, noise: &NoiseModel) -> NoiseModel {
        mixed(noise)
    }
}

/// Parameters of `transfer.coral`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Coral {
    /// Rows of the standards on the instrument that is wanted: `0-19`.
    pub master: String,
    /// Rows of the same standards on the other instrument, in the same order.
    pub slave: String,
    /// Further rows that come from the wanted instrument and stay as they are.
    pub keep: String,
    /// Variance added in all directions, in units of the mean variance; by cross-validation on the
    /// standards if absent.
    pub shrinkage: Option<f64>,
}

impl Treat for Coral {
    const ID: &'static str = "transfer.coral";
    const REVISION: u32 = 1;
    const ABOUT: &'static str =
        "Gives spectra of one instrument the mean and covariance of another's";
    type Method = TransferMethod;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        if self.shrinkage.is_some_and(|s| !s.is_finite() || s <= 0.0) {
            return Err(StepError::Parameter {
                parameter: "shrinkage",
                got: format!("{:?}", self.shrinkage),
                expected: "a positive number; absent for cross-validation".into(),
            });
        }
        named(&self.master, &self.slave, &self.keep, rows).map(|_| ())
    }

    fn method(
        self,
        rows: &Rows,
        _: &Metadata,
        _: &dyn Passes,
    ) -> Result<TransferMethod, StepError> {
        let named = named(&self.master, &self.slave, &self.keep, rows.meta())?;
        let candidates: Vec<(f64, f64)> = match self.shrinkage {
            Some(given) => vec![(given, given)],
            None => (-8..=1).map(|p| (10f64.powi(p), 10f64.powi(p))).collect(),
        };
        learn(named, rows, "shrinkage", &candidates, |s, r| coral(s, *r)).map(|(_, _, m)| m)
    }

    fn noise(&self, noise: &NoiseModel) -> NoiseModel {
        mixed(noise)
    }
}
