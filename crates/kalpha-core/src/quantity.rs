//! Numbers with an error budget.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// What a systematic shift comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(with = "String")]
pub enum Cause {
    /// The choice of background model.
    BackgroundModel,
    /// The k-factor of a line.
    KFactor(String),
    /// Thickness, density and absorption.
    Absorption,
    /// Energy scale and resolution.
    Calibration,
    /// A denoiser or low-rank model.
    Denoiser,
    /// The choice of references.
    ReferenceSet,
    /// Anything else, by name.
    Other(String),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BackgroundModel => f.write_str("background"),
            Self::KFactor(line) => write!(f, "k_factor:{line}"),
            Self::Absorption => f.write_str("absorption"),
            Self::Calibration => f.write_str("calibration"),
            Self::Denoiser => f.write_str("denoiser"),
            Self::ReferenceSet => f.write_str("reference_set"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

impl From<&str> for Cause {
    fn from(text: &str) -> Self {
        match text {
            "background" => Self::BackgroundModel,
            "absorption" => Self::Absorption,
            "calibration" => Self::Calibration,
            "denoiser" => Self::Denoiser,
            "reference_set" => Self::ReferenceSet,
            other => match other.strip_prefix("k_factor:") {
                Some(line) => Self::KFactor(line.to_owned()),
                None => Self::Other(other.to_owned()),
            },
        }
    }
}

impl Serialize for Cause {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cause {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Ok(Self::from(text.as_str()))
    }
}

/// Signed one-sigma shifts per cause.
///
/// The same cause adds linearly, with its sign; different causes add in quadrature. So an
/// average over pixels never reduces a systematic, and a difference can cancel it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Systematics(#[schemars(with = "BTreeMap<String, f64>")] BTreeMap<Cause, f64>);

impl Systematics {
    /// No systematics.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a shift to what the same cause has already.
    pub fn add(&mut self, cause: Cause, shift: f64) {
        *self.0.entry(cause).or_insert(0.0) += shift;
    }

    /// The same with one more shift.
    #[must_use]
    pub fn with(mut self, cause: Cause, shift: f64) -> Self {
        self.add(cause, shift);
        self
    }

    /// Shift of one cause; 0 where it has none.
    pub fn shift(&self, cause: &Cause) -> f64 {
        self.0.get(cause).copied().unwrap_or(0.0)
    }

    /// Causes and shifts, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = (&Cause, f64)> {
        self.0.iter().map(|(cause, &shift)| (cause, shift))
    }

    /// All causes together: the root of the sum of squares.
    pub fn total(&self) -> f64 {
        self.0.values().map(|s| s * s).sum::<f64>().sqrt()
    }

    /// `sum_i weight_i * systematics_i`, cause by cause.
    pub fn combine<'a>(terms: impl IntoIterator<Item = (f64, &'a Self)>) -> Self {
        let mut out = Self::none();
        for (weight, systematics) in terms {
            for (cause, shift) in systematics.iter() {
                out.add(cause.clone(), weight * shift);
            }
        }
        out
    }
}

/// A number that can be defended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Quantity {
    /// A signed estimate.
    Measured {
        /// The estimate; never clipped at zero.
        value: f64,
        /// Statistical standard deviation.
        stat: f64,
        /// Systematic shifts by cause.
        syst: Systematics,
    },
    /// The value is below what the data can show.
    UpperLimit {
        /// The value is below this.
        limit: f64,
        /// Confidence of the limit, 0 to 1.
        confidence: f64,
        /// Systematic shifts by cause, included in the limit.
        syst: Systematics,
    },
}

impl Quantity {
    /// A signed estimate with its budget.
    pub fn measured(value: f64, stat: f64, syst: Systematics) -> Self {
        Self::Measured { value, stat, syst }
    }

    /// The estimate, where there is one.
    pub fn value(&self) -> Option<f64> {
        match self {
            Self::Measured { value, .. } => Some(*value),
            Self::UpperLimit { .. } => None,
        }
    }

    /// Statistical and systematic parts in quadrature, where there is an estimate.
    pub fn sigma(&self) -> Option<f64> {
        match self {
            Self::Measured { stat, syst, .. } => Some(stat.hypot(syst.total())),
            Self::UpperLimit { .. } => None,
        }
    }

    /// `sum_i weight_i * quantity_i` for statistically independent measured terms.
    ///
    /// `None` if any term is a limit.
    pub fn combine<'a>(terms: impl IntoIterator<Item = (f64, &'a Self)>) -> Option<Self> {
        let (mut total, mut variance, mut syst) = (0.0, 0.0, Systematics::none());
        for (weight, term) in terms {
            let Self::Measured { value, stat, syst: shifts } = term else { return None };
            total += weight * value;
            variance += (weight * stat).powi(2);
            for (cause, shift) in shifts.iter() {
                syst.add(cause.clone(), weight * shift);
            }
        }
        Some(Self::measured(total, variance.sqrt(), syst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averaging_reduces_the_statistical_part_only() {
        let pixel =
            Quantity::measured(10.0, 2.0, Systematics::none().with(Cause::BackgroundModel, 0.5));
        let n = 100;
        let mean = Quantity::combine((0..n).map(|_| (1.0 / f64::from(n), &pixel))).unwrap();
        let Quantity::Measured { value, stat, syst } = mean else { panic!("a limit") };
        assert!((value - 10.0).abs() < 1e-12);
        assert!((stat - 0.2).abs() < 1e-12);
        assert!((syst.total() - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_difference_cancels_a_common_cause_but_not_two_causes() {
        let a = Quantity::measured(5.0, 0.0, Systematics::none().with(Cause::Absorption, 1.0));
        let b = Quantity::measured(3.0, 0.0, Systematics::none().with(Cause::Absorption, 1.0));
        let c = Quantity::measured(3.0, 0.0, Systematics::none().with(Cause::Denoiser, 1.0));
        let same = Quantity::combine([(1.0, &a), (-1.0, &b)]).unwrap();
        let other = Quantity::combine([(1.0, &a), (-1.0, &c)]).unwrap();
        assert_eq!(same.sigma(), Some(0.0));
        assert!((other.sigma().unwrap() - 2f64.sqrt()).abs() < 1e-15);
    }

    #[test]
    fn causes_survive_json() {
        let syst = Systematics::none()
            .with(Cause::KFactor("Fe_Ka".into()), 0.1)
            .with(Cause::Other("drift".into()), -0.2);
        let text = serde_json::to_string(&syst).unwrap();
        assert_eq!(text, r#"{"k_factor:Fe_Ka":0.1,"drift":-0.2}"#);
        assert_eq!(serde_json::from_str::<Systematics>(&text).unwrap(), syst);
    }
}
