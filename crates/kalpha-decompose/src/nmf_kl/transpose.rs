//! Rows and channels exchanged: the end-members of the channels are solved for like the
//! abundances of the rows.

use super::table::{Columns, Fixed, Table};
use kalpha_core::{CsrBuilder, CsrCounts, StepError};

/// Rows and channels exchanged.
///
/// # Errors
/// When there are more rows than sparse counts can address.
pub(crate) fn transposed(csr: &CsrCounts) -> Result<CsrCounts, StepError> {
    let (rows, channels) = (csr.rows(), csr.channels());
    let mut ends = vec![0usize; channels + 1];
    csr.indices().iter().for_each(|&c| ends[usize::from(c) + 1] += 1);
    for c in 0..channels {
        ends[c + 1] += ends[c];
    }
    let mut entries = vec![(0u16, 0u32); csr.nnz()];
    let mut at = ends.clone();
    let count = |e: usize| match csr.values() {
        kalpha_core::CountValues::U8(v) => u32::from(v[e]),
        kalpha_core::CountValues::U16(v) => u32::from(v[e]),
        kalpha_core::CountValues::U32(v) => v[e],
    };
    for r in 0..rows {
        for e in csr.indptr()[r] as usize..csr.indptr()[r + 1] as usize {
            let c = usize::from(csr.indices()[e]);
            entries[at[c]] = (r as u16, count(e));
            at[c] += 1;
        }
    }
    let mut out = CsrBuilder::new(rows)?;
    for c in 0..channels {
        for &(r, x) in &entries[ends[c]..ends[c + 1]] {
            out.push(r, x);
        }
        out.end_row();
    }
    Ok(out.finish())
}

/// The known part with rows and channels exchanged; `sums` and `columns` are those of the rows.
pub(crate) fn exchanged<'a>(fixed: Fixed<'a>, sums: &'a [f64], columns: &'a Columns) -> Fixed<'a> {
    let (amounts, spectra) = (fixed.spectra, fixed.amounts);
    Fixed { parts: fixed.parts, amounts, spectra, sums, columns }
}

/// Abundances as a table, so that channels can be solved for like rows.
pub(crate) fn as_table(abundances: Vec<f64>, components: usize) -> Table {
    Table::of_values(abundances, components)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transpose_of_a_transpose_is_the_same() {
        let mut csr = CsrBuilder::new(9).unwrap();
        for r in 0..5u32 {
            for c in 0..9u32 {
                csr.push(c as u16, (r * 7 + c * 3) % 4 * 100);
            }
            csr.end_row();
        }
        let csr = csr.finish();
        let back = transposed(&transposed(&csr).unwrap()).unwrap();
        assert_eq!(back.indptr(), csr.indptr());
        assert_eq!(back.indices(), csr.indices());
        assert_eq!(format!("{:?}", back.values()), format!("{:?}", csr.values()));
    }
}
