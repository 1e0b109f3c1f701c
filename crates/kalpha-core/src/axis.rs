//! Axes and units. A unit never changes silently.

use serde::{Deserialize, Serialize};

/// The unit of an axis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// Electronvolt.
    #[serde(rename = "eV")]
    Ev,
    /// Kiloelectronvolt.
    #[serde(rename = "keV")]
    KeV,
    /// Degree of 2 theta.
    #[serde(rename = "degree 2theta")]
    Degree2Theta,
    /// Inverse angstrom.
    #[serde(rename = "1/A")]
    InverseAngstrom,
    /// Inverse centimetre.
    #[serde(rename = "cm-1")]
    InverseCentimetre,
    /// Nanometre.
    #[serde(rename = "nm")]
    Nanometre,
    /// Micrometre.
    #[serde(rename = "um")]
    Micrometre,
    /// Second.
    #[serde(rename = "s")]
    Second,
    /// No unit: a pixel or component number.
    #[serde(rename = "")]
    None,
    /// A unit kept as the file spells it.
    #[serde(untagged)]
    Other(String),
}

impl Unit {
    /// The unit a file spells as `text`; unknown spellings are kept.
    pub fn parse(text: &str) -> Self {
        match text.trim() {
            "eV" | "ev" => Self::Ev,
            "keV" | "kev" | "KeV" => Self::KeV,
            "deg" | "degree 2theta" | "2theta" => Self::Degree2Theta,
            "1/A" | "A-1" | "1/Å" | "Å^-1" => Self::InverseAngstrom,
            "cm-1" | "1/cm" | "cm^-1" => Self::InverseCentimetre,
            "nm" => Self::Nanometre,
            "um" | "µm" | "μm" | "micron" | "microns" => Self::Micrometre,
            "s" | "sec" => Self::Second,
            "" | "<undefined>" | "px" | "pixel" => Self::None,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The unit as people write it.
    pub fn symbol(&self) -> &str {
        match self {
            Self::Ev => "eV",
            Self::KeV => "keV",
            Self::Degree2Theta => "degree 2theta",
            Self::InverseAngstrom => "1/A",
            Self::InverseCentimetre => "cm-1",
            Self::Nanometre => "nm",
            Self::Micrometre => "um",
            Self::Second => "s",
            Self::None => "",
            Self::Other(text) => text,
        }
    }
}

/// Where the points of an axis lie.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Points {
    /// `offset + scale * i` for `i` in `0..n`.
    Linear {
        /// Value at index 0.
        offset: f64,
        /// Step from one index to the next; may be negative.
        scale: f64,
        /// Number of points.
        n: usize,
    },
    /// One value per point.
    Values(Vec<f64>),
}

/// An axis is wrong.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AxisError {
    /// A linear axis needs a finite offset and a finite, non-zero scale.
    #[error("axis {axis}: offset {offset}, scale {scale} do not make an axis")]
    NotLinear {
        /// Name of the axis.
        axis: String,
        /// Offset found.
        offset: f64,
        /// Scale found.
        scale: f64,
    },
    /// The unit is not the one needed.
    #[error("axis {axis} is in {got}, {expected} is needed (hint: convert it explicitly)")]
    Unit {
        /// Name of the axis.
        axis: String,
        /// Unit needed.
        expected: &'static str,
        /// Unit found.
        got: String,
    },
}

/// One axis of a dataset: name, unit, points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Axis {
    /// Name as HyperSpy spells it: `Energy`, `x`, `y`, `time`.
    pub name: String,
    /// Unit of the points.
    pub unit: Unit,
    /// The points.
    pub points: Points,
}

impl Axis {
    /// A linear axis `offset + scale * i`.
    ///
    /// # Errors
    /// When offset or scale is not finite, or scale is zero.
    pub fn linear(
        name: &str,
        unit: Unit,
        offset: f64,
        scale: f64,
        n: usize,
    ) -> Result<Self, AxisError> {
        if !offset.is_finite() || !scale.is_finite() || scale == 0.0 {
            return Err(AxisError::NotLinear { axis: name.to_owned(), offset, scale });
        }
        Ok(Self { name: name.to_owned(), unit, points: Points::Linear { offset, scale, n } })
    }

    /// An axis that counts `0, 1, 2, ..` without unit.
    pub fn index(name: &str, n: usize) -> Self {
        Self {
            name: name.to_owned(),
            unit: Unit::None,
            points: Points::Linear { offset: 0.0, scale: 1.0, n },
        }
    }

    /// An axis given point by point.
    pub fn values(name: &str, unit: Unit, values: Vec<f64>) -> Self {
        Self { name: name.to_owned(), unit, points: Points::Values(values) }
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        match &self.points {
            Points::Linear { n, .. } => *n,
            Points::Values(v) => v.len(),
        }
    }

    /// True when the axis has no point.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Value at index `i` (also between and beyond points on a linear axis).
    pub fn at(&self, i: usize) -> f64 {
        match &self.points {
            Points::Linear { offset, scale, .. } => offset + scale * i as f64,
            Points::Values(v) => v.get(i).copied().unwrap_or(f64::NAN),
        }
    }

    /// All values, in order.
    pub fn to_vec(&self) -> Vec<f64> {
        (0..self.len()).map(|i| self.at(i)).collect()
    }

    /// Offset and scale of a linear axis.
    pub fn offset_scale(&self) -> Option<(f64, f64)> {
        match self.points {
            Points::Linear { offset, scale, .. } => Some((offset, scale)),
            Points::Values(_) => None,
        }
    }

    /// Channel energies in keV.
    ///
    /// # Errors
    /// When the unit is neither keV nor eV.
    pub fn energies_kev(&self) -> Result<Vec<f64>, AxisError> {
        let factor = match self.unit {
            Unit::KeV => 1.0,
            Unit::Ev => 1e-3,
            _ => {
                return Err(AxisError::Unit {
                    axis: self.name.clone(),
                    expected: "keV or eV",
                    got: self.unit.symbol().to_owned(),
                });
            }
        };
        Ok((0..self.len()).map(|i| self.at(i) * factor).collect())
    }
}
