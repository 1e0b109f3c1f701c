//! The largest eigenpairs of a symmetric positive semi-definite matrix.
//!
//! Block Krylov iteration with full reorthogonalisation and thick restarts (Golub and Underwood
//! 1977, doi:10.1016/B978-0-12-587260-7.50018-2; Wu and Simon 2000,
//! doi:10.1137/S0895479898334605). The projection V^T A V is formed in full, so the residuals
//! ||A v - theta v|| are those of the real matrix. A pair is accepted when its residual is below
//! 1e-10 of the largest eigenvalue, which bounds the eigenvalue's error, or when the bound
//! residual^2 / gap (Kato 1949, doi:10.1143/JPSJ.4.334) is below 1e-11 of it. Without
//! convergence, and for small matrices, the full decomposition is taken.
//!
//! Products are split by the shape of the matrix, so the result is the same for any number of
//! threads. Complexity: D^2 per vector of the basis, some 100-200 vectors. Tested against the
//! full decomposition and against matrices of known spectrum.

use crate::rng::Stream;
use faer::{Accum, Mat, MatMut, MatRef, Par, Side, linalg::matmul::matmul};
use kalpha_core::{Passes, StepError};
use std::sync::{Mutex, PoisonError};

/// Vectors added at once.
const BLOCK: usize = 8;
/// Largest basis before a restart, beside the wanted pairs.
const BASIS: usize = 24 * BLOCK;
/// Blocks before the full decomposition is taken instead.
const MAX_BLOCKS: usize = 160;
/// Below this size the full decomposition is quicker.
const SMALL: usize = 160;
/// Rows of one job of a product.
const PANEL: usize = 128;

/// Eigenvalues could not be found.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EigenError {
    /// The matrix is not D x D.
    #[error("{got} values are no {size} x {size} matrix")]
    Shape {
        /// D.
        size: usize,
        /// Values given.
        got: usize,
    },
    /// The matrix holds NaN or infinite values.
    #[error("the matrix is not finite in row {row} (hint: drop channels that are not numbers)")]
    NotFinite {
        /// First such row.
        row: usize,
    },
    /// The full decomposition did not converge.
    #[error("the eigenvalues of a {size} x {size} matrix did not converge")]
    NotConverged {
        /// D.
        size: usize,
    },
}

/// The largest eigenvalues and their vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct Eigenpairs {
    /// Eigenvalues, descending.
    pub values: Vec<f64>,
    /// Unit vectors, one after the other; the entry of largest magnitude is positive.
    pub vectors: Vec<f64>,
}

impl Eigenpairs {
    /// Vector `i`.
    pub fn vector(&self, i: usize) -> &[f64] {
        let d = self.vectors.len() / self.values.len().max(1);
        &self.vectors[i * d..(i + 1) * d]
    }
}

/// Relative accuracy of [`largest`].
pub const TOLERANCE: f64 = 1e-10;

/// The `k` largest eigenpairs of a symmetric positive semi-definite `size` x `size` matrix.
///
/// `k` is cut to `size`.
///
/// # Errors
/// When the matrix has the wrong shape, is not finite, or no method converges; cancellation.
pub fn largest(
    passes: &dyn Passes,
    matrix: &[f64],
    size: usize,
    k: usize,
) -> Result<Eigenpairs, StepError> {
    largest_within(passes, matrix, size, k, TOLERANCE)
}

/// Like [`largest`], with eigenvalues within `tolerance` of the largest one: a noise floor has
/// no gaps, and the height of its edge needs no ten digits.
///
/// # Errors
/// As [`largest`].
pub fn largest_within(
    passes: &dyn Passes,
    matrix: &[f64],
    size: usize,
    k: usize,
    tolerance: f64,
) -> Result<Eigenpairs, StepError> {
    if matrix.len() != size * size {
        let got = matrix.len();
        return Err(StepError::method(EigenError::Shape { size, got }));
    }
    if let Some(at) = matrix.iter().position(|x| !x.is_finite()) {
        return Err(StepError::method(EigenError::NotFinite { row: at / size }));
    }
    let k = k.min(size);
    if k == 0 {
        return Ok(Eigenpairs { values: Vec::new(), vectors: Vec::new() });
    }
    // Decompositions run on one thread: their bits must not depend on how many there are.
    faer::set_global_parallelism(Par::Seq);
    let found = match size <= SMALL || 4 * k > size {
        true => None,
        false => krylov(passes, matrix, size, k, tolerance)?,
    };
    let mut pairs = match found {
        Some(found) => found,
        None => full(matrix, size, k)?,
    };
    for vector in pairs.vectors.chunks_exact_mut(size) {
        let largest = vector.iter().fold(0.0, |a: f64, &b| if b.abs() > a.abs() { b } else { a });
        if largest < 0.0 {
            vector.iter_mut().for_each(|x| *x = -*x);
        }
    }
    Ok(pairs)
}

fn full(matrix: &[f64], size: usize, k: usize) -> Result<Eigenpairs, StepError> {
    let eigen = MatRef::from_column_major_slice(matrix, size, size)
        .self_adjoint_eigen(Side::Lower)
        .map_err(|_| StepError::method(EigenError::NotConverged { size }))?;
    let (s, u) = (eigen.S(), eigen.U());
    let last = |i: usize| size - 1 - i;
    let values = (0..k).map(|i| s[last(i)]).collect();
    let vectors = (0..k).flat_map(|i| (0..size).map(move |r| u[(r, last(i))])).collect();
    Ok(Eigenpairs { values, vectors })
}

/// out = A x, both D x n by columns, in panels of rows.
fn apply(
    passes: &dyn Passes,
    matrix: &[f64],
    size: usize,
    x: MatRef<'_, f64>,
) -> Result<Mat<f64>, StepError> {
    let n = x.ncols();
    let panels: Vec<_> = (0..size.div_ceil(PANEL)).map(|_| Mutex::new(Mat::zeros(0, 0))).collect();
    passes.parallel(panels.len(), &|job| {
        let (first, last) = (job * PANEL, ((job + 1) * PANEL).min(size));
        // The matrix is symmetric: its rows are its columns.
        let rows =
            MatRef::from_column_major_slice(&matrix[first * size..last * size], size, last - first);
        let mut out = Mat::zeros(last - first, n);
        matmul(out.as_mut(), Accum::Replace, rows.transpose(), x, 1.0, Par::Seq);
        *panels[job].lock().unwrap_or_else(PoisonError::into_inner) = out;
        Ok(())
    })?;
    let mut out = Mat::zeros(size, n);
    for (job, panel) in panels.into_iter().enumerate() {
        let panel = panel.into_inner().unwrap_or_else(PoisonError::into_inner);
        out.as_mut().subrows_mut(job * PANEL, panel.nrows()).copy_from(&panel);
    }
    Ok(out)
}

fn product(left: MatRef<'_, f64>, right: MatRef<'_, f64>) -> Mat<f64> {
    let mut out = Mat::zeros(left.nrows(), right.ncols());
    matmul(out.as_mut(), Accum::Replace, left, right, 1.0, Par::Seq);
    out
}

/// Makes the columns of `x` orthonormal, and orthogonal to `basis`: twice, which is enough.
fn orthonormal(mut x: Mat<f64>, basis: MatRef<'_, f64>) -> Mat<f64> {
    for _ in 0..2 {
        let inside = product(basis.transpose(), x.as_ref());
        matmul(x.as_mut(), Accum::Add, basis, inside.as_ref(), -1.0, Par::Seq);
        // Columns of very different length would lose the short ones.
        for mut column in x.col_iter_mut() {
            let norm = column.norm_l2();
            if norm > 0.0 {
                column *= faer::Scale(1.0 / norm);
            }
        }
        x = x.qr().compute_thin_Q();
    }
    x
}

/// Copies `x` into the columns of `out` from `at` on.
fn put(out: MatMut<'_, f64>, at: usize, x: &Mat<f64>) {
    out.subcols_mut(at, x.ncols()).copy_from(x);
}

/// `None` when the iteration does not converge.
fn krylov(
    passes: &dyn Passes,
    matrix: &[f64],
    size: usize,
    k: usize,
    tolerance: f64,
) -> Result<Option<Eigenpairs>, StepError> {
    let keep = k + BLOCK;
    let most = (keep + BASIS).min(size / BLOCK * BLOCK);
    if most < keep + 2 * BLOCK {
        return Ok(None);
    }
    let stream = Stream::new(0, "eigen.start", 0);
    let start = Mat::from_fn(size, BLOCK, |i, j| stream.at(i, j).normal());
    let mut basis: Mat<f64> = Mat::zeros(size, most);
    let mut image: Mat<f64> = Mat::zeros(size, most);
    let mut projected: Mat<f64> = Mat::zeros(most, most);
    let mut n = 0;
    let mut next = orthonormal(start, basis.as_ref().subcols(0, 0));
    for block in 0..MAX_BLOCKS {
        passes.ctx().checkpoint()?;
        let applied = apply(passes, matrix, size, next.as_ref())?;
        put(basis.as_mut(), n, &next);
        put(image.as_mut(), n, &applied);
        n += BLOCK;
        let columns = product(basis.as_ref().subcols(0, n).transpose(), applied.as_ref());
        for j in 0..BLOCK {
            for i in 0..n {
                projected[(i, n - BLOCK + j)] = columns[(i, j)];
                projected[(n - BLOCK + j, i)] = columns[(i, j)];
            }
        }
        let full_basis = n + BLOCK > most;
        // The small decomposition costs as much as a block: not every time.
        if n < keep + BLOCK || (block % 6 != 5 && !full_basis) {
            next = orthonormal(applied, basis.as_ref().subcols(0, n));
            continue;
        }
        let small = projected.as_ref().submatrix(0, 0, n, n);
        let Ok(eigen) = small.self_adjoint_eigen(Side::Lower) else { return Ok(None) };
        let theta: Vec<f64> = (0..n).map(|i| eigen.S()[n - 1 - i]).collect();
        let y = Mat::from_fn(n, keep, |i, j| eigen.U()[(i, n - 1 - j)]);
        let vectors = product(basis.as_ref().subcols(0, n), y.as_ref());
        let images = product(image.as_ref().subcols(0, n), y.as_ref());
        if (0..k).all(|i| {
            let residual = (images.col(i) - faer::Scale(theta[i]) * vectors.col(i)).norm_l2();
            let above = if i > 0 { theta[i - 1] - theta[i] } else { f64::INFINITY };
            let gap = above.min(theta[i] - theta[i + 1]);
            residual <= tolerance * theta[0]
                || residual * residual <= 0.1 * tolerance * theta[0] * gap
        }) {
            let values = theta[..k].to_vec();
            let vectors = vectors.col_iter().take(k).flat_map(|c| c.iter().copied()).collect();
            return Ok(Some(Eigenpairs { values, vectors }));
        }
        next = orthonormal(applied, basis.as_ref().subcols(0, n));
        if full_basis {
            put(basis.as_mut(), 0, &vectors);
            put(image.as_mut(), 0, &images);
            projected.fill(0.0);
            (0..keep).for_each(|i| projected[(i, i)] = theta[i]);
            n = keep;
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kalpha_core::Serial;

    /// Q diag(spectrum) Q^T for a random orthogonal Q.
    fn of_spectrum(spectrum: &[f64]) -> Vec<f64> {
        let d = spectrum.len();
        let stream = Stream::new(9, "spectrum", 0);
        let q = Mat::from_fn(d, d, |i, j| stream.at(i, j).normal()).qr().compute_thin_Q();
        let scaled = Mat::from_fn(d, d, |i, j| q[(i, j)] * spectrum[j]);
        let a = product(scaled.as_ref(), q.transpose());
        (0..d * d).map(|i| 0.5 * (a[(i % d, i / d)] + a[(i / d, i % d)])).collect()
    }

    #[test]
    fn a_known_spectrum_is_found() {
        let d = 300;
        type Spectrum = fn(usize) -> f64;
        let cases: [(&str, Spectrum); 4] = [
            ("separated", |i| 1e6 * 0.5f64.powi(i as i32)),
            ("signal on a noise floor", |i| match i {
                0..5 => 1e4 / (1 + i) as f64,
                _ => 1.0 + 0.3 * (1.0 - i as f64 / 300.0),
            }),
            ("equal pairs", |i| 100.0 - (i / 2) as f64),
            ("rank 4", |i| if i < 4 { 5.0 - i as f64 } else { 0.0 }),
        ];
        for (name, spectrum) in cases {
            let spectrum: Vec<f64> = (0..d).map(spectrum).collect();
            let a = of_spectrum(&spectrum);
            let pairs = largest(&Serial::default(), &a, d, 10).unwrap();
            for i in 0..10 {
                let error = (pairs.values[i] - spectrum[i]).abs() / spectrum[0];
                assert!(error < 1e-10, "{name}, {i}: {error:e}");
                let v = pairs.vector(i);
                let residual: f64 = (0..d)
                    .map(|r| {
                        let av: f64 = (0..d).map(|c| a[r * d + c] * v[c]).sum();
                        (av - pairs.values[i] * v[r]).powi(2)
                    })
                    .sum();
                assert!(residual.sqrt() < 1e-5 * spectrum[0], "{name}, {i}");
                for j in 0..i {
                    let dot: f64 = v.iter().zip(pairs.vector(j)).map(|(a, b)| a * b).sum();
                    assert!(dot.abs() < 1e-12);
                }
                let largest = v.iter().fold(0.0f64, |a, &b| if b.abs() > a.abs() { b } else { a });
                assert!(largest > 0.0);
            }
        }
    }

    #[test]
    fn krylov_and_the_full_decomposition_agree() {
        let spectrum: Vec<f64> = (0..400).map(|i| 50.0 / (1 + i) as f64).collect();
        let a = of_spectrum(&spectrum);
        let found = krylov(&Serial::default(), &a, 400, 12, TOLERANCE).unwrap();
        let values = found.expect("this spectrum converges").values;
        let all = full(&a, 400, 12).unwrap().values;
        for (x, y) in values.iter().zip(&all) {
            assert!((x - y).abs() < 1e-10 * all[0]);
        }
    }

    #[test]
    fn odd_input_is_defined() {
        let serial = Serial::default();
        assert_eq!(largest(&serial, &[], 0, 3).unwrap().values.len(), 0);
        assert_eq!(largest(&serial, &[4.0], 1, 3).unwrap().values, [4.0]);
        assert!(largest(&serial, &[1.0, 2.0], 2, 1).is_err());
        assert!(largest(&serial, &[f64::NAN], 1, 1).is_err());
        let zeros = largest(&serial, &vec![0.0; 200 * 200], 200, 3).unwrap();
        assert!(zeros.values.iter().all(|x| x.abs() < 1e-300));
    }
}
