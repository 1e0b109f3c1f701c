//! Dense f64 products, for rows that are not sparse counts.

use faer::{Accum, MatMut, MatRef, Par, linalg::matmul::matmul};
use kalpha_core::{CellBuffer, CellGrid, Passes, Rows, StepError};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Cells multiplied at once, and channels of one job.
const CELLS: usize = 4;
const WIDTH: usize = 128;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sum over rows of factor x x^T, in blocks of cells and panels of the result: the order of
/// the additions depends on the shape alone.
pub(super) fn weighted(
    passes: &dyn Passes,
    rows: &Rows,
    grid: CellGrid,
    factors: &[f64],
) -> Result<Vec<f64>, StepError> {
    let d = rows.meta().channels;
    let mut values = vec![0.0; d * d];
    // Column panel c holds columns c * WIDTH.., as d values each, from row c * WIDTH on.
    let panels: Vec<_> = values.chunks_mut((WIDTH * d).max(1)).map(Mutex::new).collect();
    let most = grid.rows_per_cell() * d;
    let blocks: Vec<_> = (0..CELLS.min(grid.cells()))
        .map(|_| Mutex::new((CellBuffer::default(), vec![0.0; most])))
        .collect();
    for first in (0..grid.cells()).step_by(CELLS) {
        let n = CELLS.min(grid.cells() - first);
        passes.parallel(n, &|job| {
            let (buffer, out) = &mut *lock(&blocks[job]);
            let cell = rows.cell(grid.rows(first + job), buffer)?;
            out.fill(0.0);
            cell.for_each_nonzero(|r, c, x| {
                // A row that is left out may hold anything, NaN too.
                let factor = factors[cell.first_row + r];
                out[r * d + c] = if factor == 0.0 { 0.0 } else { factor.sqrt() * x };
            });
            Ok(())
        })?;
        passes.parallel(panels.len(), &|job| {
            let panel = &mut *lock(&panels[job]);
            let (start, width) = (job * WIDTH, panel.len() / d);
            let mut out =
                MatMut::from_column_major_slice_mut(panel, d, width).subrows_mut(start, d - start);
            for block in &blocks[..n] {
                let block = lock(block);
                let x = MatRef::from_column_major_slice(&block.1, d, grid.rows_per_cell());
                let right = x.subrows(start, width).transpose();
                matmul(out.as_mut(), Accum::Add, x.subrows(start, d - start), right, 1.0, Par::Seq);
            }
            Ok(())
        })?;
    }
    drop(panels);
    for i in 0..d {
        for j in 0..i {
            values[i * d + j] = values[j * d + i];
        }
    }
    // Column panels filled the lower triangle by columns, which is the upper one by rows; the
    // loop above mirrored it. Inside a panel both triangles were filled alike.
    Ok(values)
}
