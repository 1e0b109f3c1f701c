//! Modified polynomial fit (ModPoly).
//!
//! Fits a polynomial, cuts the data down to it where they lie above, and repeats until the
//! polynomial rests.
//!
//! Source: Lieber and Mahadevan-Jansen (2003), Appl. Spectrosc. 57, 1363,
//! doi:10.1366/000370203322554518; masking of first peaks: Zhao et al. (2007),
//! doi:10.1366/000370207782597003. O(n poly_order) per iteration. Tested against pybaselines
//! 1.2.1 `modpoly` to 1e-6 of the range.

use super::polynomial::{Masked, Polynomial, deviation};
use super::whittaker::{at_least, parameter, positive};
use crate::row_method::{Block, RowMethod, RowStatus, Treat};
use kalpha_core::{Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `baseline.modpoly`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Modpoly {
    /// Order of the polynomial.
    pub poly_order: usize,
    /// Relative change of the polynomial at which iteration stops.
    pub tol: f64,
    /// Iterations allowed.
    pub max_iter: usize,
    /// Cut the data themselves each time, not the data as cut before.
    pub use_original: bool,
    /// Leave out what lies a standard deviation above the first polynomial.
    pub mask_initial_peaks: bool,
}

impl Default for Modpoly {
    fn default() -> Self {
        Self {
            poly_order: 2,
            tol: 1e-3,
            max_iter: 250,
            use_original: false,
            mask_initial_peaks: false,
        }
    }
}

/// What both polynomial methods demand of parameters and axis.
pub(super) fn check(
    poly_order: usize,
    tol: f64,
    max_iter: usize,
    rows: &RowsMeta,
) -> Result<(), StepError> {
    positive("tol", tol)?;
    if poly_order > 20 {
        return Err(parameter("poly_order", poly_order, "at most 20"));
    }
    if max_iter == 0 {
        return Err(parameter("max_iter", 0, "at least 1"));
    }
    rows.signal.ascending()?;
    at_least(rows.channels, poly_order + 2)
}

/// The polynomials on the axis of some rows.
pub(super) fn on_axis(rows: &Rows, order: usize) -> Polynomial {
    let axis = &rows.meta().signal;
    let x: Vec<f64> = (0..axis.len()).map(|i| axis.at(i)).collect();
    Polynomial::new(&x, order)
}

impl Treat for Modpoly {
    const ID: &'static str = "baseline.modpoly";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Modified polynomial baseline";
    type Method = ModpolyMethod;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        check(self.poly_order, self.tol, self.max_iter, rows)
    }

    fn method(self, rows: &Rows, _: &Metadata, _: &dyn Passes) -> Result<ModpolyMethod, StepError> {
        let polynomial = on_axis(rows, self.poly_order);
        Ok(ModpolyMethod { params: self, polynomial })
    }

    fn noise(&self, _: &NoiseModel) -> NoiseModel {
        NoiseModel::Correlated
    }
}

/// `baseline.modpoly` on one axis.
pub struct ModpolyMethod {
    params: Modpoly,
    polynomial: Polynomial,
}

/// Working memory of the polynomial methods.
#[derive(Default)]
pub struct Scratch {
    /// Data as cut so far.
    pub(super) cut: Vec<f64>,
    /// The polynomial before.
    pub(super) before: Vec<f64>,
    /// 1 where a point counts.
    pub(super) keep: Vec<f64>,
    /// Fit to these points.
    pub(super) masked: Masked,
}

impl Scratch {
    pub(super) fn start(&mut self, y: &[f64]) {
        self.cut.clear();
        self.cut.extend_from_slice(y);
        self.before.resize(y.len(), 0.0);
        self.keep.resize(y.len(), 1.0);
    }

    /// Keeps the points not above `z + spread`. False where they do not determine the fit.
    pub(super) fn keep_below(
        &mut self,
        polynomial: &Polynomial,
        y: &[f64],
        z: &[f64],
        spread: f64,
    ) -> bool {
        for ((keep, y), z) in self.keep.iter_mut().zip(y).zip(z) {
            *keep = if z + spread < *y { 0.0 } else { 1.0 };
        }
        self.masked.prepare(polynomial, &self.keep)
    }
}

impl RowMethod for ModpolyMethod {
    type Scratch = Scratch;

    fn columns(&self) -> Vec<(&'static str, String)> {
        vec![("iterations", String::new())]
    }

    fn apply(&self, block: &mut Block<'_>, scratch: &mut Scratch) {
        block.each(|y, z, table| self.fit(y, z, &mut table[0], scratch));
    }
}

impl ModpolyMethod {
    fn fit(&self, y: &[f64], z: &mut [f64], solves: &mut f64, s: &mut Scratch) -> RowStatus {
        let (polynomial, masking) = (&self.polynomial, self.params.mask_initial_peaks);
        s.start(y);
        polynomial.smooth(y, z);
        if masking && !s.keep_below(polynomial, y, z, deviation(y, z)) {
            z.fill(f64::NAN);
            return RowStatus::Refused;
        }
        for iteration in 1..=self.params.max_iter {
            *solves = iteration as f64;
            s.before.copy_from_slice(z);
            for i in 0..y.len() {
                let top = if self.params.use_original { y[i] } else { s.cut[i] };
                s.cut[i] = if z[i] < top { z[i] } else { top };
            }
            if masking {
                s.masked.smooth(polynomial, &s.keep, &s.cut, z);
            } else {
                polynomial.smooth(&s.cut, z);
            }
            let (mut change, mut norm) = (0.0, 0.0);
            for (z, before) in z.iter().zip(&s.before) {
                change += (z - before) * (z - before);
                norm += before * before;
            }
            if change.sqrt() < self.params.tol * norm.sqrt().max(f64::MIN_POSITIVE) {
                return RowStatus::Fine;
            }
        }
        RowStatus::NotConverged
    }
}
