//! Improved modified polynomial fit (IModPoly).
//!
//! As modpoly, but the data are cut at the polynomial plus `num_std` standard deviations of what
//! is left, so that noise does not pull the baseline down; first peaks are left out. Ends when
//! the standard deviation rests.
//!
//! Source: Zhao, Lui, McLean and Zeng (2007), Appl. Spectrosc. 61, 1225,
//! doi:10.1366/000370207782597003. O(n poly_order) per iteration. Tested against pybaselines
//! 1.2.1 `imodpoly` to 1e-6 of the range.

use super::modpoly::{Scratch, check, on_axis};
use super::polynomial::{Polynomial, deviation};
use super::whittaker::parameter;
use crate::row_method::{Block, RowMethod, RowStatus, Treat};
use kalpha_core::{Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `baseline.imodpoly`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Imodpoly {
    /// Order of the polynomial.
    pub poly_order: usize,
    /// Relative change of the standard deviation at which iteration stops.
    pub tol: f64,
    /// Iterations allowed.
    pub max_iter: usize,
    /// Cut the data themselves each time, not the data as cut before.
    pub use_original: bool,
    /// Leave out what lies a standard deviation above the first polynomial.
    pub mask_initial_peaks: bool,
    /// Standard deviations above the polynomial at which data are cut.
    pub num_std: f64,
}

impl Default for Imodpoly {
    fn default() -> Self {
        Self {
            poly_order: 2,
            tol: 1e-3,
            max_iter: 250,
            use_original: false,
            mask_initial_peaks: true,
            num_std: 1.0,
        }
    }
}

impl Treat for Imodpoly {
    const ID: &'static str = "baseline.imodpoly";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Improved modified polynomial baseline";
    type Method = ImodpolyMethod;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        if !self.num_std.is_finite() || self.num_std < 0.0 {
            return Err(parameter("num_std", self.num_std, "0 or more"));
        }
        check(self.poly_order, self.tol, self.max_iter, rows)
    }

    fn method(
        self,
        rows: &Rows,
        _: &Metadata,
        _: &dyn Passes,
    ) -> Result<ImodpolyMethod, StepError> {
        let polynomial = on_axis(rows, self.poly_order);
        Ok(ImodpolyMethod { params: self, polynomial })
    }

    fn noise(&self, _: &NoiseModel) -> NoiseModel {
        NoiseModel::Correlated
    }
}

/// `baseline.imodpoly` on one axis.
pub struct ImodpolyMethod {
    params: Imodpoly,
    polynomial: Polynomial,
}

impl RowMethod for ImodpolyMethod {
    type Scratch = Scratch;

    fn columns(&self) -> Vec<(&'static str, String)> {
        vec![("iterations", String::new())]
    }

    fn apply(&self, block: &mut Block<'_>, scratch: &mut Scratch) {
        block.each(|y, z, table| self.fit(y, z, &mut table[0], scratch));
    }
}

impl ImodpolyMethod {
    fn fit(&self, y: &[f64], z: &mut [f64], solves: &mut f64, s: &mut Scratch) -> RowStatus {
        let (polynomial, masking) = (&self.polynomial, self.params.mask_initial_peaks);
        s.start(y);
        polynomial.smooth(y, z);
        let mut spread = deviation(y, z);
        if masking && !s.keep_below(polynomial, y, z, spread) {
            z.fill(f64::NAN);
            return RowStatus::Refused;
        }
        for iteration in 1..=self.params.max_iter {
            *solves = iteration as f64;
            let above = self.params.num_std * spread;
            for i in 0..y.len() {
                let top = if self.params.use_original { y[i] } else { s.cut[i] };
                let ceiling = z[i] + above;
                s.cut[i] = if ceiling < top { ceiling } else { top };
            }
            if masking {
                s.masked.smooth(polynomial, &s.keep, &s.cut, z);
            } else {
                polynomial.smooth(&s.cut, z);
            }
            let new = deviation(&s.cut, z);
            if (spread - new).abs() < self.params.tol * new.max(f64::MIN_POSITIVE) {
                return RowStatus::Fine;
            }
            spread = new;
        }
        RowStatus::NotConverged
    }
}
