//! What the normalisations share: the end of a row.

use crate::row_method::RowStatus;

/// Fine, or NaN and refused where a value left the range of numbers.
pub(crate) fn finished(z: &mut [f64]) -> RowStatus {
    match z.iter().all(|v| v.is_finite()) {
        true => RowStatus::Fine,
        false => refused(z, RowStatus::Refused),
    }
}

/// NaN for a row that has no answer.
pub(crate) fn refused(z: &mut [f64], status: RowStatus) -> RowStatus {
    z.fill(f64::NAN);
    status
}
