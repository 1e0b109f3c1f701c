//! How much of what: phases, compositions, intensities, k-factors.

use kalpha_core::Quantity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A value with its standard deviation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// One standard deviation.
    pub sigma: f64,
}

/// A value with an interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    /// The estimate.
    pub value: f64,
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
    /// Confidence of the interval, 0 to 1.
    pub confidence: f64,
}

/// A phase: pixels of one composition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Phase {
    /// Name such as `Fe-rich`.
    pub name: String,
    /// Its value in the label map, zero-based.
    pub label: usize,
    /// Colour in the map and the figures, `#rrggbb`.
    pub color: String,
    /// Pixels assigned to it.
    pub pixels: usize,
    /// Share of the map, with interval.
    pub area_fraction: Interval,
    /// `composition` or `not_quantified`, fitted to the summed counts of its pixels.
    #[serde(flatten)]
    pub quantification: Quantification,
    /// Line family intensities of the summed counts of its pixels.
    #[serde(default)]
    pub intensities: Vec<Intensity>,
}

/// A composition or the reason why there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Quantification {
    /// The composition.
    Composition(Composition),
    /// Why there is none.
    NotQuantified(NotQuantified),
}

impl Quantification {
    /// The composition, where there is one.
    pub fn composition(&self) -> Option<&Composition> {
        match self {
            Self::Composition(composition) => Some(composition),
            Self::NotQuantified(_) => None,
        }
    }
}

/// A composition with its budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Composition {
    /// The method, such as `Cliff-Lorimer`.
    pub method: String,
    /// One entry per quantified element.
    pub elements: Vec<ElementFraction>,
    /// Elements detected but left out of the normalisation.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
    /// Absorption was corrected for this thickness, nm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thickness_nm: Option<f64>,
    /// Density used with the thickness, g/cm3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub density_g_cm3: Option<f64>,
    /// Iterations of a correction that is iterated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub convergence: Option<Convergence>,
    /// Statistical covariance of the at.%, in the order of `elements`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub atomic_covariance: Option<Vec<Vec<f64>>>,
}

/// How an iterated correction ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Convergence {
    /// Iterations done.
    pub iterations: usize,
    /// It converged.
    pub converged: bool,
}

/// One element of a composition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ElementFraction {
    /// Chemical symbol.
    pub symbol: String,
    /// The family it was quantified with.
    pub family: String,
    /// Weight percent.
    pub weight_percent: Quantity,
    /// Atomic percent.
    pub atomic_percent: Quantity,
}

/// An element left out of the normalisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOut {
    /// Chemical symbol.
    pub symbol: String,
    /// The rule that leaves it out.
    pub rule: String,
}

/// Why there is no composition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotQuantified {
    /// A stable key: `bulk`, `layered`, `unknown_specimen`, `too_few_elements`, ...
    pub reason: String,
    /// The reason in one sentence.
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

/// The intensity of a line family.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Intensity {
    /// The family, such as `Fe_Ka`.
    pub family: String,
    /// Net counts, signed, with budget.
    pub counts: Quantity,
    /// Currie's critical level `L_C`, counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critical_level: Option<f64>,
    /// Currie's detection limit `L_D`, counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detection_limit: Option<f64>,
    /// The counts exceed the critical level.
    pub detected: bool,
    /// Net counts with each background model.
    #[serde(default)]
    pub by_background: Vec<BackgroundEstimate>,
}

/// Net counts with one background model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BackgroundEstimate {
    /// The model, such as `snip`.
    pub model: String,
    /// Net counts, signed.
    pub counts: f64,
}

/// Where a k-factor comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KFactorSource {
    /// The user gave it.
    Given,
    /// It was computed from tables.
    Computed,
}

/// A k-factor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KFactor {
    /// The line, such as `Fe_Ka`.
    pub line: String,
    /// The factor, mass based.
    pub value: f64,
    /// Its standard deviation.
    pub sigma: f64,
    /// Where the value comes from.
    pub source: KFactorSource,
    /// The standard deviation is assumed, not measured.
    pub assumed: bool,
}
