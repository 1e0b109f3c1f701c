//! The Whittaker family of baselines: penalised least squares whose weights learn where the
//! peaks are.
//!
//! `z = argmin sum_i w_i (y_i - z_i)² + lam sum (difference of z of order diff_order)²`, solved
//! again with new weights until they rest. The methods differ in the rule for the weights, and
//! some in the matrix ([`Form`]). A banded system of n unknowns is solved in O(n); eight
//! spectra at a time run side by side in the lanes of wide registers, and a lane that has
//! converged takes the next spectrum. A spectrum gets the same bits alone or in company.
//!
//! Smoothness is a matter of channels, not of axis units: `lam` belongs to one channel width.

use crate::row_method::{Block, RowMethod, RowStatus, Treat};
use kalpha_core::{Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError};
use kalpha_num::{
    banded::interleaved::difference_penalty,
    lanes::{Lanes, Mask, Planes},
    simd::{self, Kernel},
};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

mod banded;
mod two_sweeps;
pub mod weights;

use banded::Banded;
use two_sweeps::TwoSweeps;
use weights::Below;

/// Spectra side by side.
const SIDE_BY_SIDE: usize = 8;

/// What the matrix looks like; w are the weights, P is the penalty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `(W + P) z = W y`.
    Weighted,
    /// `(W² + P + lam_1 D₁'D₁) z = W² y + lam_1 D₁'D₁ y`.
    Squared,
    /// `(W + diag(s) P + q D₁'D₁) z = W y`, with a factor s per channel.
    ScaledRows,
}

/// Spectra of one iteration, side by side.
pub struct Pass<'a, const L: usize> {
    /// Number of the iteration, from 1.
    pub iteration: Lanes<L>,
    /// [`Rule::scale`] of each spectrum.
    pub scale: Lanes<L>,
    /// Data.
    pub y: &'a [[f64; L]],
    /// Baselines of this iteration.
    pub z: &'a [[f64; L]],
    /// Weights, to be replaced.
    pub w: &'a mut [[f64; L]],
    /// Factors of the rows of the penalty, to be replaced ([`Form::ScaledRows`] only).
    pub s: &'a mut [[f64; L]],
}

/// How an iteration went.
pub struct Judged<const L: usize> {
    /// Size of the change.
    pub change: Lanes<L>,
    /// What it is compared to: converged when `change < tol x norm`.
    pub norm: Lanes<L>,
    /// The rule has nothing left to learn from.
    pub stop: Mask<L>,
}

/// A rule that turns residuals into weights.
pub trait Rule: Send + Sync + 'static {
    /// The matrix it works with.
    const FORM: Form = Form::Weighted;

    /// One number per spectrum, found once from its data.
    fn scale(&self, _y: &[f64]) -> f64 {
        0.0
    }

    /// Weights of the first solve.
    fn first_weights(&self, _y: &[f64], w: &mut [f64]) {
        w.fill(1.0);
    }

    /// Row factor of the first solve.
    fn first_row_factor(&self) -> f64 {
        1.0
    }

    /// Factor of the first-order penalty `D₁'D₁`.
    fn first_difference(&self) -> f64 {
        0.0
    }

    /// New weights. Mark it `#[inline(always)]`.
    fn reweight<const L: usize>(&self, pass: Pass<'_, L>) -> Judged<L>;

    /// True where the weights follow from the residuals by a law of two numbers, and the law
    /// from the residuals below the baseline. [`Rule::learn`] and [`Rule::weight`] then stand for
    /// [`Rule::reweight`], and an iteration takes two sweeps over the channels instead of five.
    fn two_sweeps(&self) -> bool {
        false
    }

    /// With [`Rule::two_sweeps`]: converged when the weights rest. Otherwise when the sum of the
    /// residuals below is small compared to [`Rule::scale`].
    const RESTS_BY_WEIGHTS: bool = true;

    /// The law. Mark it `#[inline(always)]`.
    fn learn<const L: usize>(&self, _: &Below<L>, _iteration: Lanes<L>) -> [Lanes<L>; 2] {
        [Lanes::ZERO; 2]
    }

    /// Weights by the law. Mark it `#[inline(always)]`.
    fn weight<const L: usize>(&self, _law: &[Lanes<L>; 2], _residual: Lanes<L>) -> Lanes<L> {
        Lanes::splat(1.0)
    }
}

/// What all methods of the family have in common.
#[derive(Clone, Copy, Debug)]
pub struct Control {
    /// Smoothness.
    pub lam: f64,
    /// Order of the penalised difference.
    pub diff_order: usize,
    /// Solves allowed beyond the first.
    pub max_iter: usize,
    /// Relative change at which iteration stops.
    pub tol: f64,
}

impl Control {
    /// Checks the ranges, and that there are enough channels.
    ///
    /// # Errors
    /// Names the parameter that is out of range.
    pub fn check(&self, channels: usize) -> Result<(), StepError> {
        positive("lam", self.lam)?;
        positive("tol", self.tol)?;
        if !(1..=3).contains(&self.diff_order) {
            return Err(parameter("diff_order", self.diff_order, "1, 2 or 3"));
        }
        if self.max_iter == 0 {
            return Err(parameter("max_iter", 0, "at least 1"));
        }
        at_least(channels, 2 * self.diff_order + 1)
    }
}

/// Refuses a parameter that is not a positive number.
pub(crate) fn positive(name: &'static str, value: f64) -> Result<(), StepError> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(parameter(name, value, "a positive number"))
}

/// Refuses a parameter outside the open interval from 0 to 1.
pub(crate) fn fraction(name: &'static str, value: f64) -> Result<(), StepError> {
    if value > 0.0 && value < 1.0 {
        return Ok(());
    }
    Err(parameter(name, value, "between 0 and 1, both excluded"))
}

/// The error of a parameter out of range.
pub(crate) fn parameter(
    parameter: &'static str,
    got: impl ToString,
    expected: impl Into<String>,
) -> StepError {
    StepError::Parameter { parameter, got: got.to_string(), expected: expected.into() }
}

/// Refuses spectra with fewer channels than a method needs.
pub(crate) fn at_least(channels: usize, needed: usize) -> Result<(), StepError> {
    if channels >= needed {
        return Ok(());
    }
    Err(StepError::TooLittle {
        what: format!("{channels} channels, {needed} are needed"),
        hint: "give longer spectra, or a smaller window or order".into(),
    })
}

/// Parameters of a method of the family.
pub trait Whittaker: Serialize + DeserializeOwned + JsonSchema + Default + Send + 'static {
    /// Name in recipes.
    const ID: &'static str;
    /// Rises whenever the numbers change.
    const REVISION: u32 = 1;
    /// One line: what it does.
    const ABOUT: &'static str;
    /// The rule for the weights.
    type Rule: Rule;

    /// Smoothness and stopping.
    fn control(&self) -> Control;

    /// Checks what [`Control`] does not hold.
    ///
    /// # Errors
    /// Names the parameter that is out of range.
    fn check_own(&self) -> Result<(), StepError> {
        Ok(())
    }

    /// The rule on an axis with these values.
    fn rule(&self, x: &[f64]) -> Self::Rule;
}

impl<T: Whittaker> Treat for T {
    const ID: &'static str = <T as Whittaker>::ID;
    const REVISION: u32 = <T as Whittaker>::REVISION;
    const ABOUT: &'static str = <T as Whittaker>::ABOUT;
    type Method = Smoother<T::Rule>;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        self.check_own()?;
        rows.signal.ascending()?;
        let control = self.control();
        control.check(rows.channels)?;
        if T::Rule::FORM == Form::ScaledRows && control.diff_order != 2 {
            return Err(parameter("diff_order", control.diff_order, "2 for this method"));
        }
        Ok(())
    }

    fn method(self, rows: &Rows, _: &Metadata, _: &dyn Passes) -> Result<Self::Method, StepError> {
        let axis = &rows.meta().signal;
        let x: Vec<f64> = (0..axis.len()).map(|i| axis.at(i)).collect();
        Ok(Smoother::new(self.rule(&x), self.control(), x.len()))
    }

    fn noise(&self, _: &NoiseModel) -> NoiseModel {
        NoiseModel::Correlated
    }
}

/// A rule with its penalty: a method ready for spectra of one length.
pub struct Smoother<R> {
    rule: R,
    control: Control,
    penalty: Vec<Vec<f64>>,
}

impl<R: Rule> Smoother<R> {
    /// The method for spectra of `channels` channels.
    pub fn new(rule: R, control: Control, channels: usize) -> Self {
        let mut penalty = match control.diff_order {
            1 => difference_penalty::<1>(channels, control.lam),
            2 => difference_penalty::<2>(channels, control.lam),
            _ => difference_penalty::<3>(channels, control.lam),
        };
        if R::FORM == Form::Squared {
            let first = difference_penalty::<1>(channels, rule.first_difference());
            for (p, f) in penalty.iter_mut().zip(first) {
                p.iter_mut().zip(f).for_each(|(p, f)| *p += f);
            }
        }
        Self { rule, control, penalty }
    }

    /// Fits the baselines of the rows of `values` into `out`. `iterations` holds the number of
    /// solves of each row.
    pub fn fit(
        &self,
        values: &[f64],
        out: &mut [f64],
        status: &mut [RowStatus],
        iterations: &mut [f64],
        scratch: &mut Scratch,
    ) {
        let found = Found { out, status, iterations };
        match self.control.diff_order {
            1 => self.fit_order::<1>(values, found, scratch),
            2 => self.fit_order::<2>(values, found, scratch),
            _ => self.fit_order::<3>(values, found, scratch),
        }
    }

    fn fit_order<const B: usize>(&self, values: &[f64], found: Found<'_>, scratch: &mut Scratch) {
        let (rule, control, penalty) = (&self.rule, &self.control, &self.penalty[..]);
        if rule.two_sweeps() {
            simd::run(TwoSweeps::<R, B> { rule, control, penalty, values, found, scratch });
        } else {
            fit_rows(rule, control, &Banded::<B>(penalty), values, found, scratch);
        }
    }
}

impl<R: Rule> RowMethod for Smoother<R> {
    type Scratch = Scratch;

    fn columns(&self) -> Vec<(&'static str, String)> {
        vec![("iterations", String::new())]
    }

    fn apply(&self, block: &mut Block<'_>, scratch: &mut Scratch) {
        self.fit(block.values, block.out, block.status, block.table, scratch);
    }
}

/// Working memory of one thread.
#[derive(Default)]
pub struct Scratch {
    state: Planes,
    memory: Memory,
    row: Vec<f64>,
}

/// Memory of a solve.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) inverse: Planes,
    pub(crate) factors: Planes,
    pub(crate) sums: Planes,
}

/// Where the results of rows go.
pub(crate) struct Found<'a> {
    pub(crate) out: &'a mut [f64],
    pub(crate) status: &'a mut [RowStatus],
    pub(crate) iterations: &'a mut [f64],
}

/// Finds baselines for given weights.
pub(crate) trait System {
    /// Worth a path of its own for one spectrum; others run it in company of empty lanes.
    const ALONE: bool;

    /// Solves for z. Mark it `#[inline(always)]`.
    fn solve<R: Rule, const L: usize>(
        &self,
        rule: &R,
        y: &[[f64; L]],
        w: &[[f64; L]],
        s: &[[f64; L]],
        z: &mut [[f64; L]],
        memory: &mut Memory,
    );
}

/// Fits all rows of `values` with the best instructions there are.
pub(crate) fn fit_rows<R: Rule, S: System>(
    rule: &R,
    control: &Control,
    system: &S,
    values: &[f64],
    found: Found<'_>,
    scratch: &mut Scratch,
) {
    simd::run(Run { rule, control, system, values, found, scratch });
}

struct Run<'a, R, S> {
    rule: &'a R,
    control: &'a Control,
    system: &'a S,
    values: &'a [f64],
    found: Found<'a>,
    scratch: &'a mut Scratch,
}

impl<R: Rule, S: System> Kernel for Run<'_, R, S> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        if S::ALONE && self.found.status.len() == 1 {
            drive::<R, S, 1>(self);
        } else {
            drive::<R, S, SIDE_BY_SIDE>(self);
        }
    }
}

/// Iterates L spectra side by side; a lane that is done takes the next one.
#[inline(always)]
fn drive<R: Rule, S: System, const L: usize>(run: Run<'_, R, S>) {
    let Run { rule, control, system, values, found, scratch } = run;
    let Found { out, status, iterations } = found;
    let rows = status.len();
    let n = values.len() / rows.max(1);
    let Scratch { state, memory, row } = scratch;
    row.resize(n, 0.0);
    let [y, w, s, z] = state.split::<L, 4>(n);
    for plane in [&mut *y, &mut *s, &mut *z] {
        plane.fill([0.0; L]);
    }
    w.fill([1.0; L]);
    let mut of: [Option<usize>; L] = [None; L];
    let (mut iteration, mut scale) = (Lanes::<L>::ZERO, Lanes::<L>::ZERO);
    let mut waiting = 0..rows;
    loop {
        for k in 0..L {
            if of[k].is_none()
                && let Some(r) = waiting.next()
            {
                of[k] = Some(r);
                iteration.0[k] = 0.0;
                let data = &values[r * n..(r + 1) * n];
                scale.0[k] = rule.scale(data);
                rule.first_weights(data, row);
                let factor = rule.first_row_factor();
                for i in 0..n {
                    y[i][k] = data[i];
                    w[i][k] = row[i];
                    s[i][k] = factor;
                }
            }
        }
        if of.iter().all(Option::is_none) {
            return;
        }
        iteration = iteration + Lanes::splat(1.0);
        system.solve::<R, L>(rule, y, w, s, z, memory);
        let judged = rule.reweight(Pass { iteration, scale, y, z, w, s });
        for k in 0..L {
            let Some(r) = of[k] else { continue };
            let (change, norm) = (judged.change.0[k], judged.norm.0[k]);
            // Where nothing is left to learn from, the new weights mean nothing.
            let verdict = if judged.stop.0[k] {
                Some(RowStatus::NotConverged)
            } else {
                verdict(control, iteration.0[k], change, norm)
            };
            let Some(verdict) = verdict else { continue };
            let own = &mut out[r * n..(r + 1) * n];
            status[r] = finish(&values[r * n..(r + 1) * n], z.iter().map(|z| z[k]), own, verdict);
            iterations[r] = iteration.0[k];
            of[k] = None;
        }
    }
}

/// How a spectrum ends after an iteration; nothing while it goes on.
#[inline(always)]
fn verdict(control: &Control, iteration: f64, change: f64, norm: f64) -> Option<RowStatus> {
    if !change.is_finite() || !norm.is_finite() {
        Some(RowStatus::Refused)
    } else if change < control.tol * norm.max(f64::MIN_POSITIVE) {
        Some(RowStatus::Fine)
    } else if iteration > control.max_iter as f64 {
        Some(RowStatus::NotConverged)
    } else {
        None
    }
}

/// Hands a baseline over, with how its spectrum fared.
fn finish(
    y: &[f64],
    z: impl Iterator<Item = f64>,
    out: &mut [f64],
    verdict: RowStatus,
) -> RowStatus {
    let (mut finite, mut equal) = (true, true);
    for ((out, z), y) in out.iter_mut().zip(z).zip(y) {
        *out = z;
        finite &= z.is_finite();
        equal &= (z - y).abs() <= 1e-9 * y.abs();
    }
    match (finite, equal, verdict) {
        (false, ..) => {
            out.fill(f64::NAN);
            RowStatus::Refused
        }
        (true, true, RowStatus::NotConverged) => RowStatus::Featureless,
        _ => verdict,
    }
}
