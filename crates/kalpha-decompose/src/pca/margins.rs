//! Row and channel sums.

use kalpha_core::{Cell, CellData, Fold, Merge, Passes, Rows, StepError, ValuesView};

/// Sums along both directions.
pub(crate) struct Margins {
    /// Sum of each row.
    pub rows: Vec<f64>,
    /// Sum of each channel.
    pub channels: Vec<f64>,
}

struct ChannelSums(usize);

impl Fold for ChannelSums {
    type State = Vec<f64>;
    type Scratch = ();
    // Counts sum exactly below 2^53; intensities need the order.
    const MERGE: Merge = Merge::Ordered;

    fn start(&self) -> Vec<f64> {
        vec![0.0; self.0]
    }

    fn absorb(&self, state: &mut Vec<f64>, cell: &Cell<'_>, (): &mut ()) {
        cell.for_each_nonzero(|_, c, x| state[c] += x);
    }

    fn merge(&self, state: &mut Vec<f64>, later: Vec<f64>) {
        state.iter_mut().zip(later).for_each(|(a, b)| *a += b);
    }
}

fn row_sums(cell: &Cell<'_>, out: &mut [f64]) {
    if let CellData::Csr(view) = cell.data {
        // Whole numbers: any order gives the same sum.
        for (r, sum) in out.iter_mut().enumerate() {
            let entries = view.entries(r);
            *sum = match view.values {
                ValuesView::U8(v) => v[entries].iter().map(|&x| u64::from(x)).sum::<u64>() as f64,
                ValuesView::U16(v) => v[entries].iter().map(|&x| u64::from(x)).sum::<u64>() as f64,
                ValuesView::U32(v) => v[entries].iter().map(|&x| u64::from(x)).sum::<u64>() as f64,
            };
        }
    } else {
        cell.for_each_nonzero(|r, _, x| out[r] += x);
    }
}

/// Sums of rows and of channels.
pub(crate) fn margins(rows: &Rows, passes: &dyn Passes) -> Result<Margins, StepError> {
    let mut sums = vec![0.0; rows.meta().rows];
    passes.map_rows(rows, 1, &mut sums, |(): &mut (), cell, out| row_sums(cell, out))?;
    let channels = passes.fold(&ChannelSums(rows.meta().channels), rows)?;
    Ok(Margins { rows: sums, channels })
}
