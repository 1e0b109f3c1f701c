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

fn in_unit(unit: &str) -> String {
    if unit.is_empty() { "states no unit".to_owned() } else { format!("is in {unit}") }
}

fn unit_hint(unit: &str) -> &'static str {
    match unit {
        "" => {
            "--energy-axis OFFSET,SCALE,UNIT gives the axis, --energy-axis UNIT the unit of its points"
        }
        _ => "convert it explicitly",
    }
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
    #[error("axis {axis} {}, {expected} is needed (hint: {})", in_unit(got), unit_hint(got))]
    Unit {
        /// Name of the axis.
        axis: String,
        /// Unit needed.
        expected: &'static str,
        /// Unit found.
        got: String,
    },
    /// A window lies off the axis or holds no point.
    #[error(
        "{window}: no point of axis {axis} lies from {first} to {last} {unit} (hint: it runs from {low} to {high})"
    )]
    Window {
        /// Parameters that give the window.
        window: &'static str,
        /// Name of the axis.
        axis: String,
        /// Where the window begins.
        first: f64,
        /// Where it ends.
        last: f64,
        /// Unit of the axis.
        unit: String,
        /// Lowest value of the axis.
        low: f64,
        /// Highest value of the axis.
        high: f64,
    },
    /// Neither ascending nor descending.
    #[error(
        "axis {axis} turns around at point {index} (hint: sort the spectrum by its axis first)"
    )]
    NotMonotonic {
        /// Name of the axis.
        axis: String,
        /// First point that breaks the order.
        index: usize,
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

    /// True where values rise with the index.
    ///
    /// # Errors
    /// [`AxisError::NotMonotonic`] where values stand still, turn around or are not finite.
    pub fn ascending(&self) -> Result<bool, AxisError> {
        let n = self.len();
        let up = n < 2 || self.at(1) > self.at(0);
        for index in 0..n {
            let step = if index == 0 { 0.0 } else { self.at(index) - self.at(index - 1) };
            let good = self.at(index).is_finite() && (index == 0 || (step > 0.0) == up);
            if !good || (index > 0 && step == 0.0) {
                return Err(AxisError::NotMonotonic { axis: self.name.clone(), index });
            }
        }
        Ok(up)
    }

    /// Indices of the points from `first` to `last`, both included, in units of the axis; an
    /// absent limit is the end of the axis. `parameters` names the two for the error.
    ///
    /// # Errors
    /// When no point lies there, or the axis is not monotonic.
    pub fn window(
        &self,
        parameters: &'static str,
        first: Option<f64>,
        last: Option<f64>,
    ) -> Result<std::ops::Range<usize>, AxisError> {
        let up = self.ascending()?;
        let n = self.len();
        let (a, b) = (first.unwrap_or(f64::NEG_INFINITY), last.unwrap_or(f64::INFINITY));
        let inside = |i: &usize| (a..=b).contains(&self.at(*i));
        match ((0..n).find(inside), (0..n).rfind(inside)) {
            (Some(start), Some(end)) => Ok(start..end + 1),
            _ => {
                let (start, end) = (self.at(0), self.at(n.saturating_sub(1)));
                let (low, high) = if up { (start, end) } else { (end, start) };
                Err(AxisError::Window {
                    window: parameters,
                    axis: self.name.clone(),
                    first: a,
                    last: b,
                    unit: self.unit.symbol().to_owned(),
                    low,
                    high,
                })
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_include_both_ends_in_either_direction() {
        let up = Axis::linear("E", Unit::Ev, 10.0, 0.5, 11).unwrap();
        assert_eq!(up.window("w", Some(11.0), Some(12.0)).unwrap(), 2..5);
        assert_eq!(up.window("w", None, Some(10.0)).unwrap(), 0..1);
        assert_eq!(up.window("w", None, None).unwrap(), 0..11);
        let down =
            Axis::values("E", Unit::Ev, (0..11).map(|i| 15.0 - 0.5 * f64::from(i)).collect());
        assert_eq!(down.window("w", Some(11.0), Some(12.0)).unwrap(), 6..9);
        assert!(!down.ascending().unwrap());
        for window in [(Some(15.1), None), (Some(12.0), Some(11.0)), (Some(11.1), Some(11.2))] {
            assert!(matches!(up.window("w", window.0, window.1), Err(AxisError::Window { .. })));
        }
        for values in [vec![1.0, 1.0], vec![1.0, 2.0, 1.5], vec![1.0, f64::NAN]] {
            let axis = Axis::values("E", Unit::Ev, values);
            assert!(matches!(axis.window("w", None, None), Err(AxisError::NotMonotonic { .. })));
        }
    }
}
