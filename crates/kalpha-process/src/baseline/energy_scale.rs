//! Which way the energy loss runs in a photoelectron spectrum.
//!
//! Electrons that lose energy on their way out appear at lower kinetic and higher binding
//! energy. A background of loss electrons computed on the wrong scale is plausible and wrong,
//! so the scale must be stated: by the name of the axis or by a parameter.

use kalpha_core::{Axis, StepError, Unit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The scale of the energy axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EnergyScale {
    /// As the name of the axis says; refused where it says nothing.
    #[default]
    Axis,
    /// Binding energy: losses lie at higher values.
    Binding,
    /// Kinetic energy: losses lie at lower values.
    Kinetic,
}

impl EnergyScale {
    /// Both ends of a region of which one, both or none are given.
    pub(crate) fn window(first: Option<f64>, last: Option<f64>) -> Option<[f64; 2]> {
        match (first, last) {
            (None, None) => None,
            (first, last) => {
                Some([first.unwrap_or(f64::NEG_INFINITY), last.unwrap_or(f64::INFINITY)])
            }
        }
    }

    /// The stated scale, or the one that the axis is named after.
    ///
    /// # Errors
    /// When neither says, or both say different things.
    pub fn resolve(self, axis: &Axis) -> Result<Self, StepError> {
        let name = axis.name.to_lowercase();
        let named = match (name.contains("binding"), name.contains("kinetic")) {
            (true, false) => Some(Self::Binding),
            (false, true) => Some(Self::Kinetic),
            _ => None,
        };
        let parameter = |expected: String| StepError::Parameter {
            parameter: "energy_scale",
            got: format!("{self:?}").to_lowercase(),
            expected,
        };
        match (self, named) {
            (Self::Axis, Some(named)) => Ok(named),
            (Self::Axis, None) => Err(parameter(format!(
                "the axis is named {:?}, which does not say binding or kinetic energy: give \
                 energy_scale = \"binding\" or \"kinetic\"",
                axis.name
            ))),
            (stated, Some(named)) if stated != named => Err(parameter(format!(
                "the axis is named {:?}: state the same scale, or correct the name",
                axis.name
            ))),
            (stated, _) => Ok(stated),
        }
    }
}

/// Points of a row in the order in which the loss grows, from the first without loss.
#[derive(Clone, Debug, PartialEq)]
pub struct LossOrder {
    /// Spectra run towards lower loss, so rows are read backwards.
    backwards: bool,
    /// First channel of the window.
    first: usize,
    /// Energy loss of each point of the window, in eV, ascending from 0.
    loss: Vec<f64>,
}

impl LossOrder {
    /// Orders the points of `axis` between the energies `window` (all where `None`).
    ///
    /// # Errors
    /// When the axis is not in eV or keV, does not run one way, when its scale is not stated,
    /// or when fewer than `least` points lie in the window.
    pub fn new(
        axis: &Axis,
        scale: EnergyScale,
        window: Option<[f64; 2]>,
        least: usize,
    ) -> Result<Self, StepError> {
        let to_ev = match axis.unit {
            Unit::Ev => 1.0,
            Unit::KeV => 1e3,
            _ => {
                return Err(kalpha_core::AxisError::Unit {
                    axis: axis.name.clone(),
                    expected: "eV or keV",
                    got: axis.unit.symbol().to_owned(),
                }
                .into());
            }
        };
        let scale = scale.resolve(axis)?;
        let x = axis.to_vec();
        let rising = x.windows(2).all(|w| w[1] > w[0]);
        let falling = x.windows(2).all(|w| w[1] < w[0]);
        if x.iter().any(|v| !v.is_finite()) || (x.len() > 1 && !rising && !falling) {
            return Err(StepError::TooLittle {
                what: format!(
                    "the energies of axis {:?} neither rise nor fall throughout",
                    axis.name
                ),
                hint: "sort the points by energy and leave out repeated ones".into(),
            });
        }
        let inside = |v: f64| match window {
            Some([a, b]) => v >= a.min(b) && v <= a.max(b),
            None => true,
        };
        let first = x.iter().position(|&v| inside(v)).unwrap_or(x.len());
        let n = x.iter().filter(|&&v| inside(v)).count();
        if n < least {
            return Err(StepError::TooLittle {
                what: match window {
                    Some([a, b]) => format!("{n} points between {a} and {b}, {least} are needed"),
                    None => format!("{n} points, {least} are needed"),
                },
                hint: "choose a window inside the data that holds the line and both its sides"
                    .into(),
            });
        }
        let backwards = (scale == EnergyScale::Binding) != rising;
        let mut energies = x[first..first + n].to_vec();
        if backwards {
            energies.reverse();
        }
        let zero = energies[0];
        let loss = energies.iter().map(|e| (e - zero).abs() * to_ev).collect();
        Ok(Self { backwards, first, loss })
    }

    /// Points in the window.
    pub fn len(&self) -> usize {
        self.loss.len()
    }

    /// True without points.
    pub fn is_empty(&self) -> bool {
        self.loss.is_empty()
    }

    /// Energy loss of each point, eV.
    pub fn loss(&self) -> &[f64] {
        &self.loss
    }

    /// The points of a row in the window, in order of loss.
    pub fn gather(&self, row: &[f64], ordered: &mut Vec<f64>) {
        ordered.clear();
        let window = &row[self.first..self.first + self.len()];
        match self.backwards {
            true => ordered.extend(window.iter().rev()),
            false => ordered.extend(window),
        }
    }

    /// Writes values in order of loss back to a row; the end values continue outside the window.
    pub fn scatter(&self, ordered: &[f64], row: &mut [f64]) {
        let n = self.len();
        let (mut before, mut after) = (ordered[0], ordered[n - 1]);
        let window = &mut row[self.first..self.first + n];
        window.copy_from_slice(ordered);
        if self.backwards {
            window.reverse();
            (before, after) = (after, before);
        }
        row[..self.first].fill(before);
        row[self.first + n..].fill(after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(name: &str, values: Vec<f64>) -> Axis {
        Axis::values(name, Unit::Ev, values)
    }

    #[test]
    fn the_scale_must_be_stated() {
        let bare = axis("Energy", vec![1.0, 2.0, 3.0]);
        assert!(EnergyScale::Axis.resolve(&bare).is_err());
        assert_eq!(EnergyScale::Kinetic.resolve(&bare).unwrap(), EnergyScale::Kinetic);
        let named = axis("Binding energy", vec![1.0, 2.0, 3.0]);
        assert_eq!(EnergyScale::Axis.resolve(&named).unwrap(), EnergyScale::Binding);
        assert!(EnergyScale::Kinetic.resolve(&named).is_err());
    }

    #[test]
    fn rows_come_in_order_of_loss_and_go_back() {
        for (scale, values, backwards) in [
            (EnergyScale::Binding, vec![1.0, 2.0, 4.0], false),
            (EnergyScale::Binding, vec![4.0, 2.0, 1.0], true),
            (EnergyScale::Kinetic, vec![1.0, 3.0, 4.0], true),
            (EnergyScale::Kinetic, vec![4.0, 3.0, 1.0], false),
        ] {
            let order = LossOrder::new(&axis("Energy", values), scale, None, 3).unwrap();
            assert_eq!(order.backwards, backwards);
            assert_eq!(order.loss(), [0.0, 1.0, 3.0]);
            let (mut ordered, mut back) = (Vec::new(), [0.0; 3]);
            order.gather(&[7.0, 8.0, 9.0], &mut ordered);
            order.scatter(&ordered, &mut back);
            assert_eq!(back, [7.0, 8.0, 9.0]);
        }
        let order = LossOrder::new(
            &axis("Energy", vec![1.0, 2.0, 3.0, 4.0]),
            EnergyScale::Kinetic,
            Some([3.5, 1.5]),
            2,
        )
        .unwrap();
        let (mut ordered, mut back) = (Vec::new(), [0.0; 4]);
        order.gather(&[7.0, 8.0, 9.0, 10.0], &mut ordered);
        assert_eq!(ordered, [9.0, 8.0]);
        order.scatter(&ordered, &mut back);
        assert_eq!(back, [8.0, 8.0, 9.0, 9.0]);
    }

    #[test]
    fn bad_axes_are_refused() {
        let new = |a: &Axis, w| LossOrder::new(a, EnergyScale::Binding, w, 3);
        assert!(new(&axis("E", vec![1.0, 3.0, 2.0]), None).is_err());
        assert!(new(&axis("E", vec![1.0, 2.0, f64::NAN]), None).is_err());
        assert!(new(&axis("E", vec![1.0, 2.0]), None).is_err());
        assert!(new(&axis("E", vec![1.0, 2.0, 3.0]), Some([50.0, 60.0])).is_err());
        assert!(new(&Axis::index("E", 5), None).is_err());
    }
}
