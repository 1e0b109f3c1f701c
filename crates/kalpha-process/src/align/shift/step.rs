//! Step `align.shift`.

use super::{Shift, ShiftOutcome, ShiftScratch};
use crate::{
    reference,
    row_method::{Block, RowMethod, RowStatus, Treat},
};
use kalpha_core::{Axis, Metadata, NoiseModel, Passes, Points, Rows, RowsMeta, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// What becomes of channels at the ends that a shifted spectrum does not reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ends {
    /// All spectra lose `max_shift` channels at both ends: nothing is invented.
    #[default]
    Crop,
    /// The last value is held.
    Hold,
}

/// Parameters of `align.shift`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ShiftParams {
    /// `mean`, or the number of the row that is the reference.
    pub reference: String,
    /// Where the window that is compared begins, in units of the axis. It is cut to what no shift
    /// moves beyond the data.
    pub first: Option<f64>,
    /// Where it ends, in units of the axis.
    pub last: Option<f64>,
    /// Largest shift looked for, in channels.
    pub max_shift: usize,
    /// What becomes of channels at the ends.
    pub ends: Ends,
}

impl Default for ShiftParams {
    fn default() -> Self {
        Self { reference: "mean".into(), first: None, last: None, max_shift: 10, ends: Ends::Crop }
    }
}

impl ShiftParams {
    /// The window, and channel widths of the axis.
    fn window(&self, rows: &RowsMeta) -> Result<(Range<usize>, f64), StepError> {
        let scale = uniform(&rows.signal, "align.shift")?;
        let margin = self.max_shift + 3;
        let n = rows.channels;
        // What no shift moves beyond the data.
        let found = rows.signal.window("first, last", self.first, self.last)?;
        let window = found.start.max(margin)..found.end.min(n.saturating_sub(margin));
        if window.start + 5 > window.end {
            return Err(StepError::TooLittle {
                what: format!(
                    "{n} channels with shifts of up to {} leave a window of {} channels",
                    self.max_shift,
                    window.end.saturating_sub(window.start)
                ),
                hint: "a wider window or a smaller max_shift; 5 channels are needed".into(),
            });
        }
        Ok((window, scale))
    }
}

/// Channel width of an axis that must be uniform.
pub(crate) fn uniform(axis: &Axis, what: &str) -> Result<f64, StepError> {
    axis.ascending()?;
    let n = axis.len();
    let scale = match axis.points {
        Points::Linear { scale, .. } => scale,
        Points::Values(_) => {
            (axis.at(n.max(1) - 1) - axis.at(0)) / n.saturating_sub(1).max(1) as f64
        }
    };
    let off =
        (0..n).map(|i| (axis.at(i) - axis.at(0) - scale * i as f64).abs()).fold(0.0, f64::max);
    match off <= 1e-3 * scale.abs() {
        true => Ok(scale),
        false => Err(StepError::TooLittle {
            what: format!("{what} shifts whole channels, and those of {:?} are uneven", axis.name),
            hint: "put the spectra on an even axis first".into(),
        }),
    }
}

impl Treat for ShiftParams {
    const ID: &'static str = "align.shift";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Shifts each spectrum onto a reference, to a fraction of a channel";
    type Method = ShiftMethod;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        reference::check(&self.reference, rows.rows)?;
        self.window(rows).map(|_| ())
    }

    fn method(
        self,
        rows: &Rows,
        _: &Metadata,
        passes: &dyn Passes,
    ) -> Result<ShiftMethod, StepError> {
        let (window, scale) = self.window(rows.meta())?;
        let reference = reference::reference(&self.reference, rows, passes)?;
        let shift = Shift::new(&reference, window, self.max_shift).map_err(StepError::method)?;
        let unit = rows.meta().signal.unit.symbol().to_owned();
        let crop = if self.ends == Ends::Crop { self.max_shift } else { 0 };
        Ok(ShiftMethod { shift, scale, unit, crop })
    }

    fn signal(&self, rows: &RowsMeta) -> Axis {
        let axis = &rows.signal;
        if self.ends == Ends::Hold {
            return axis.clone();
        }
        let crop = self.max_shift.min(axis.len() / 2);
        let n = axis.len() - 2 * crop;
        let points = match &axis.points {
            Points::Linear { offset, scale, .. } => {
                Points::Linear { offset: offset + scale * crop as f64, scale: *scale, n }
            }
            Points::Values(values) => Points::Values(values[crop..crop + n].to_vec()),
        };
        Axis { points, ..axis.clone() }
    }

    fn noise(&self, _: &NoiseModel) -> NoiseModel {
        // Reading between channels ties neighbours together.
        NoiseModel::Correlated
    }
}

/// `align.shift` against a known reference.
pub struct ShiftMethod {
    shift: Shift,
    scale: f64,
    unit: String,
    crop: usize,
}

impl RowMethod for ShiftMethod {
    type Scratch = ShiftScratch;

    fn columns(&self) -> Vec<(&'static str, String)> {
        vec![("shift", self.unit.clone()), ("correlation", String::new())]
    }

    fn apply(&self, block: &mut Block<'_>, scratch: &mut ShiftScratch) {
        block.each(|y, z, table| {
            let fit = self.shift.find(y, scratch);
            table.copy_from_slice(&[fit.shift * self.scale, fit.correlation]);
            if fit.outcome == ShiftOutcome::Constant {
                z.fill(f64::NAN);
                return RowStatus::Constant;
            }
            self.shift.apply(y, fit.shift, self.crop, z, scratch);
            match fit.outcome {
                _ if z.iter().any(|v| !v.is_finite()) => {
                    z.fill(f64::NAN);
                    RowStatus::Refused
                }
                ShiftOutcome::AtBound => RowStatus::AtBound,
                ShiftOutcome::NotConverged => RowStatus::NotConverged,
                _ => RowStatus::Fine,
            }
        });
    }
}
