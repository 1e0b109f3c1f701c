//! The spectrum that others are compared with.

use kalpha_core::{Cell, CellBuffer, Fold, Merge, Passes, Rows, StepError};

/// What stands for the reference, before the rows are read.
#[derive(Clone, Debug, PartialEq)]
enum Choice {
    Mean,
    Row(usize),
}

fn choice(parameter: &str, rows: usize) -> Result<Choice, StepError> {
    let wrong = |expected: String| StepError::Parameter {
        parameter: "reference",
        got: parameter.to_owned(),
        expected,
    };
    if parameter == "mean" {
        return Ok(Choice::Mean);
    }
    let row: usize =
        parameter.parse().map_err(|_| wrong("\"mean\", or the number of a row".into()))?;
    match row < rows {
        true => Ok(Choice::Row(row)),
        false => Err(wrong(format!("there are {rows} rows, counted from 0"))),
    }
}

/// Checks the parameter against the number of rows.
///
/// # Errors
/// When it is neither `mean` nor a row there is.
pub(crate) fn check(parameter: &str, rows: usize) -> Result<(), StepError> {
    choice(parameter, rows).map(|_| ())
}

/// Sums of the finite rows.
struct Mean(usize);

impl Fold for Mean {
    type State = (u64, Vec<f64>);
    type Scratch = Vec<f64>;
    const MERGE: Merge = Merge::Ordered;

    fn start(&self) -> Self::State {
        (0, vec![0.0; self.0])
    }

    fn absorb(&self, state: &mut Self::State, cell: &Cell<'_>, values: &mut Vec<f64>) {
        cell.to_f64(values);
        for row in values.chunks_exact(self.0.max(1)) {
            if row.iter().all(|v| v.is_finite()) {
                state.0 += 1;
                state.1.iter_mut().zip(row).for_each(|(sum, v)| *sum += v);
            }
        }
    }

    fn merge(&self, state: &mut Self::State, later: Self::State) {
        state.0 += later.0;
        state.1.iter_mut().zip(later.1).for_each(|(a, b)| *a += b);
    }
}

/// To 40 bits: the order in which rows were summed does not show, so that discrete choices
/// (a path, a node) made against the reference do not depend on it.
fn rounded(value: f64) -> f64 {
    f64::from_bits((value.to_bits().wrapping_add(1 << 11)) & !0xfff)
}

/// Mean of the finite rows.
///
/// # Errors
/// When there is none, or rows cannot be read.
pub fn mean(rows: &Rows, passes: &dyn Passes) -> Result<Vec<f64>, StepError> {
    let (n, mut sum) = passes.fold(&Mean(rows.meta().channels), rows)?;
    if n == 0 {
        return Err(StepError::TooLittle {
            what: "no spectrum without NaN or infinity to take a mean of".into(),
            hint: "check the file, or mask what is broken".into(),
        });
    }
    sum.iter_mut().for_each(|v| *v = rounded(*v / n as f64));
    Ok(sum)
}

/// The reference that `parameter` names: `mean`, or the number of a row.
///
/// # Errors
/// When there is no such row, or it holds values that are not finite.
pub(crate) fn reference(
    parameter: &str,
    rows: &Rows,
    passes: &dyn Passes,
) -> Result<Vec<f64>, StepError> {
    match choice(parameter, rows.meta().rows)? {
        Choice::Mean => mean(rows, passes),
        Choice::Row(row) => {
            let (mut buffer, mut values) = (CellBuffer::default(), Vec::new());
            rows.cell(row..row + 1, &mut buffer)?.to_f64(&mut values);
            match values.iter().all(|v| v.is_finite()) {
                true => Ok(values),
                false => Err(StepError::TooLittle {
                    what: format!("row {row} holds NaN or infinity and can be no reference"),
                    hint: "name another row, or take the mean".into(),
                }),
            }
        }
    }
}
