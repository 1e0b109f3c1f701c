//! k-factors on weight basis: `w_A / w_B = (k_A / k_B) (I_A / I_B)`.
//!
//! Only ratios of k-factors matter. Each k-factor carries its own relative sigma; ratios to a
//! common reference are then correlated through the reference, see [`ratio_covariance`].
//!
//! Given by the user as `Fe_Ka=1.450226,Pt_La=5.075602`, optionally with a sigma
//! (`Fe_Ka=1.45+-0.03`), or computed from first principles:
//!
//! `k_A = M_A / (Q_A omega_A a_A epsilon_A)`, relative to Si Ka
//!
//! with ionisation cross-section `Q`, fluorescence yield `omega`, share `a` of the line and
//! detector efficiency `epsilon` (Goldstein, Costley, Lorimer and Reed 1977, SEM/1977 I, 315;
//! Williams and Goldstein 1981).
//!
//! A k-factor without a sigma takes 10 % (K), 15 % (L) or 20 % (M lines) and is marked
//! `assumed`. Tested against k-factors delivered with microscopes at 200 kV.

mod computed;

pub use computed::computed;

use crate::error::QuantifyError;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// A line such as `Fe_Ka`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LineName {
    /// Element symbol.
    pub element: String,
    /// Shell: `K`, `L` or `M`.
    pub shell: char,
}

impl FromStr for LineName {
    type Err = QuantifyError;

    fn from_str(name: &str) -> Result<Self, QuantifyError> {
        let wrong = || QuantifyError::LineName { name: name.to_owned() };
        let (element, line) = name.split_once('_').ok_or_else(wrong)?;
        let shell = line.chars().next().filter(|c| "KLM".contains(*c)).ok_or_else(wrong)?;
        let plausible = (1..=2).contains(&element.len())
            && element.starts_with(|c: char| c.is_ascii_uppercase())
            && element.chars().skip(1).all(|c| c.is_ascii_lowercase());
        if !plausible {
            return Err(wrong());
        }
        Ok(Self { element: element.to_owned(), shell })
    }
}

/// Where a k-factor comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KOrigin {
    /// The user or the microscope's maker.
    Given,
    /// Cross-sections, yields and detector efficiency.
    Computed,
}

/// One k-factor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KFactor {
    /// The line, such as `Fe_Ka`.
    pub line: String,
    /// Value, weight basis, any common scale.
    pub value: f64,
    /// Relative one-sigma uncertainty.
    pub relative_sigma: f64,
    /// The sigma is a default, not a measurement.
    pub assumed: bool,
    /// Where the value comes from.
    pub origin: KOrigin,
}

impl KFactor {
    /// A k-factor; without a sigma it takes the default of its shell.
    ///
    /// # Errors
    /// On a malformed line name or a value that is not positive.
    pub fn new(
        line: &str,
        value: f64,
        sigma: Option<f64>,
        origin: KOrigin,
    ) -> Result<Self, QuantifyError> {
        let name: LineName = line.parse()?;
        if !(value.is_finite() && value > 0.0) {
            return Err(QuantifyError::OutOfRange { what: "k-factor", value, range: "(0, inf)" });
        }
        if let Some(value) = sigma.filter(|s| !(s.is_finite() && *s >= 0.0)) {
            let what = "sigma of a k-factor";
            return Err(QuantifyError::OutOfRange { what, value, range: "[0, inf)" });
        }
        Ok(Self {
            line: line.to_owned(),
            value,
            relative_sigma: sigma.map_or_else(|| assumed_sigma(name.shell), |s| s / value),
            assumed: sigma.is_none(),
            origin,
        })
    }
}

/// Relative sigma of a k-factor that came without one.
fn assumed_sigma(shell: char) -> f64 {
    match shell {
        'K' => 0.10,
        'L' => 0.15,
        _ => 0.20,
    }
}

/// A set of k-factors.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KFactors(pub Vec<KFactor>);

impl KFactors {
    /// True where none is given.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The k-factor of a line.
    ///
    /// # Errors
    /// [`QuantifyError::KFactorMissing`], naming the line and the flags.
    pub fn get(&self, line: &str) -> Result<&KFactor, QuantifyError> {
        self.0
            .iter()
            .find(|k| k.line == line)
            .ok_or_else(|| QuantifyError::KFactorMissing { line: line.to_owned() })
    }

    /// The k-factors of some lines, in their order.
    ///
    /// # Errors
    /// As [`KFactors::get`].
    pub fn select(&self, lines: &[String]) -> Result<Vec<KFactor>, QuantifyError> {
        lines.iter().map(|line| self.get(line).cloned()).collect()
    }
}

impl FromStr for KFactors {
    type Err = QuantifyError;

    fn from_str(text: &str) -> Result<Self, QuantifyError> {
        let mut factors: Vec<KFactor> = Vec::new();
        for entry in text.split(',').map(str::trim).filter(|e| !e.is_empty()) {
            let wrong = |problem| QuantifyError::KFactorSyntax { entry: entry.to_owned(), problem };
            let (line, number) = entry.split_once('=').ok_or_else(|| wrong("no `=`"))?;
            let (value, sigma) = match number.split_once("+-").or_else(|| number.split_once('±')) {
                Some((value, sigma)) => (value, Some(sigma)),
                None => (number, None),
            };
            let parse = |text: &str| text.trim().parse::<f64>().map_err(|_| wrong("not a number"));
            let line = line.trim();
            if factors.iter().any(|k| k.line == line) {
                return Err(wrong("given twice"));
            }
            let sigma = sigma.map(parse).transpose()?;
            factors.push(KFactor::new(line, parse(value)?, sigma, KOrigin::Given)?);
        }
        Ok(Self(factors))
    }
}

/// Covariance of `ln(k_i / k_r)` over the lines other than reference `r`, row-major.
///
/// Each k-factor has its own independent relative sigma `s`, so
/// `cov_ij = s_i^2 delta_ij + s_r^2`: the reference is common to all ratios.
pub fn ratio_covariance(k: &[KFactor], reference: usize) -> Vec<f64> {
    let others: Vec<usize> = (0..k.len()).filter(|&i| i != reference).collect();
    let common = k[reference].relative_sigma.powi(2);
    let mut covariance = Vec::with_capacity(others.len() * others.len());
    for &i in &others {
        for &j in &others {
            let own = if i == j { k[i].relative_sigma.powi(2) } else { 0.0 };
            covariance.push(own + common);
        }
    }
    covariance
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_factors_are_read() {
        let k: KFactors = "Fe_Ka=1.450226, Pt_La=5.075602+-0.2,Au_Ma=2".parse().unwrap();
        let fe = k.get("Fe_Ka").unwrap();
        assert_eq!((fe.value, fe.relative_sigma, fe.assumed), (1.450226, 0.10, true));
        let pt = k.get("Pt_La").unwrap();
        assert!((pt.relative_sigma - 0.2 / 5.075602).abs() < 1e-15 && !pt.assumed);
        assert_eq!(k.get("Au_Ma").unwrap().relative_sigma, 0.20);
        assert_eq!("".parse::<KFactors>().unwrap().0.len(), 0);
    }

    #[test]
    fn a_missing_factor_names_line_and_flag() {
        let error = KFactors::default().get("Cu_Ka").unwrap_err().to_string();
        assert!(error.contains("--k-factors Cu_Ka="));
    }

    #[test]
    fn malformed_factors_are_refused() {
        for wrong in [
            "Fe_Ka",
            "Fe_Ka=x",
            "Fe_Ka=-1",
            "Fe_Ka=NaN",
            "FeKa=1",
            "fe_Ka=1",
            "Fe_Xa=1",
            "Fe_Ka=1,Fe_Ka=2",
            "Fe_Ka=1+--1",
        ] {
            assert!(wrong.parse::<KFactors>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn ratios_share_the_reference() {
        let k: KFactors = "Fe_Ka=1+-0.1,Pt_La=2+-0.4,Au_Ma=1+-0.3".parse().unwrap();
        let cov = ratio_covariance(&k.0, 0);
        for (got, want) in cov.iter().zip([0.05, 0.01, 0.01, 0.10]) {
            assert!((got - want).abs() < 1e-12);
        }
    }
}
