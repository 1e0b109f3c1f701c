//! Sum spectrum, maximum-pixel spectrum and counts per pixel.
//!
//! `sum[c] = sum_p x[p, c]`, `max_pixel[c] = max_p x[p, c]` (Bright and Newbury 2004,
//! doi:10.1111/j.0022-2720.2004.01412.x): the sum shows what is common, the maximum what is
//! rare. Sums of counts are exact.

use kalpha_core::{
    ArtefactType, Cell, Fold, InputMeta, Inputs, Merge, Outputs, Passes, Plan, Port, Rows, Step,
    StepError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sum and maximum-pixel spectra of all rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Rows, empty ones included.
    pub rows: usize,
    /// Rows without any count.
    pub empty_rows: usize,
    /// Sum over rows, per channel.
    pub sum: Vec<f64>,
    /// Maximum over rows, per channel.
    pub max_pixel: Vec<f64>,
}

impl Totals {
    /// Sum of everything.
    pub fn total(&self) -> f64 {
        self.sum.iter().sum()
    }

    /// Mean counts per row that holds any.
    pub fn counts_per_row(&self) -> f64 {
        self.total() / (self.rows - self.empty_rows).max(1) as f64
    }
}

impl ArtefactType for Totals {
    const KIND: &'static str = "totals";
}

/// The pass that sums.
pub struct SumRows {
    channels: usize,
}

impl Fold for SumRows {
    type State = Totals;
    type Scratch = Vec<bool>;
    // Integer counts below 2^53 sum exactly in f64; intensities need the order.
    const MERGE: Merge = Merge::Ordered;

    fn start(&self) -> Totals {
        Totals {
            rows: 0,
            empty_rows: 0,
            sum: vec![0.0; self.channels],
            max_pixel: vec![0.0; self.channels],
        }
    }

    fn absorb(&self, state: &mut Totals, cell: &Cell<'_>, seen: &mut Vec<bool>) {
        seen.clear();
        seen.resize(cell.rows, false);
        cell.for_each_nonzero(|row, channel, x| {
            seen[row] = true;
            if x.is_finite() {
                state.sum[channel] += x;
                state.max_pixel[channel] = state.max_pixel[channel].max(x);
            }
        });
        state.rows += cell.rows;
        state.empty_rows += seen.iter().filter(|seen| !**seen).count();
    }

    fn merge(&self, state: &mut Totals, later: Totals) {
        state.rows += later.rows;
        state.empty_rows += later.empty_rows;
        for (a, b) in state.sum.iter_mut().zip(later.sum) {
            *a += b;
        }
        for (a, b) in state.max_pixel.iter_mut().zip(later.max_pixel) {
            *a = a.max(b);
        }
    }
}

/// Sums all rows.
///
/// # Errors
/// When rows cannot be read or the run is cancelled.
pub fn totals(rows: &Rows, passes: &dyn Passes) -> Result<Totals, StepError> {
    passes.fold(&SumRows { channels: rows.meta().channels }, rows)
}

/// Step `totals`.
pub struct TotalsStep;

/// Parameters of `totals`: none.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TotalsParams {}

impl Step for TotalsStep {
    type Params = TotalsParams;
    const ID: &'static str = "totals";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Sum spectrum and maximum-pixel spectrum";
    const INPUTS: &'static [Port] = &[Port::rows("spectra", "rows to sum")];
    const OUTPUTS: &'static [Port] =
        &[Port::whole("totals", Totals::KIND, "sum and maximum-pixel spectra")];

    fn plan(TotalsParams {}: TotalsParams, inputs: &InputMeta) -> Result<Plan, StepError> {
        inputs.rows("spectra")?;
        Ok(Plan::new(|inputs: &Inputs, passes: &dyn Passes| {
            let totals = totals(inputs.rows("spectra")?, passes)?;
            Ok(Outputs::new().whole("totals", totals))
        })
        .whole("totals", Totals::KIND))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kalpha_core::{Axis, CsrBuilder, DType, NoiseModel, RowsMeta, Serial};
    use std::sync::Arc;

    #[test]
    fn sums_maxima_and_empty_rows() {
        let mut csr = CsrBuilder::new(3).unwrap();
        for row in [[1u16, 0, 2], [0, 0, 0], [5, 0, 1]] {
            csr.push_dense_row(&row);
        }
        let meta = RowsMeta {
            rows: 3,
            channels: 3,
            dtype: DType::Csr,
            navigation: vec![Axis::index("y", 3)],
            signal: Axis::index("Energy", 3),
            noise: NoiseModel::COUNTS,
        };
        let rows: Rows = Arc::new((meta, csr.finish()));
        let got = totals(&rows, &Serial::default()).unwrap();
        assert_eq!(
            got,
            Totals {
                rows: 3,
                empty_rows: 1,
                sum: vec![6.0, 0.0, 3.0],
                max_pixel: vec![5.0, 0.0, 2.0]
            }
        );
        assert_eq!(got.counts_per_row(), 4.5);
    }
}
