//! What a minimum says of its parameters.

use super::{
    Bounds, LeastSquaresError, LevenbergMarquardt, Problem,
    householder::{back_substitute, dot, triangular},
};

/// A direction this much shorter than its columns, after all others are projected out, is not
/// determined: a hundred thousand times the rounding of a Jacobian.
const DEPENDENT: f64 = 1e-11;
/// Share of the undetermined direction from which a parameter is part of it.
const PART: f64 = 1e-3;

/// Covariance at a minimum, for residuals in units of their standard deviations.
#[derive(Clone, Debug, PartialEq)]
pub struct Covariance {
    /// Parameters.
    pub n: usize,
    /// `(JᵀJ)⁻¹` over the parameters that the data determine, n x n row-major. NaN in the rows and
    /// columns of the others: those at a bound and those not identified.
    pub matrix: Vec<f64>,
    /// True for a parameter at one of its bounds.
    pub at_bound: Vec<bool>,
    /// True for a parameter that the data do not determine: without effect, or with the same
    /// effect as others.
    pub unidentified: Vec<bool>,
    /// Smallest pivot of the scaled Jacobian, between 0 and 1: how far the parameters that are left
    /// are from dependent.
    pub pivot: f64,
}

impl Covariance {
    /// Standard deviation of parameter `j`; NaN where there is none.
    pub fn sigma(&self, j: usize) -> f64 {
        self.matrix.get(j * self.n + j).map_or(f64::NAN, |v| v.sqrt())
    }

    /// Correlation of two parameters; NaN where there is none.
    pub fn correlation(&self, i: usize, j: usize) -> f64 {
        let c = self.matrix.get(i * self.n + j).copied().unwrap_or(f64::NAN);
        c / (self.sigma(i) * self.sigma(j))
    }
}

impl LevenbergMarquardt {
    /// Covariance of `problem` at `x`, a minimum. Parameters at a bound count as known.
    ///
    /// # Errors
    /// [`LeastSquaresError::NotFinite`] where the Jacobian is not.
    pub fn covariance(
        &mut self,
        problem: &mut dyn Problem,
        x: &[f64],
        m: usize,
        bounds: Bounds<'_>,
    ) -> Result<Covariance, LeastSquaresError> {
        let n = x.len();
        self.residuals.resize(m, 0.0);
        self.jacobian.resize(m * n, 0.0);
        (self.m, self.n) = (m, n);
        let objective = problem.evaluate(x, &mut self.residuals);
        problem.jacobian(x, &mut self.residuals, &mut self.jacobian);
        if !objective.is_finite() || self.jacobian.iter().any(|v| !v.is_finite()) {
            return Err(LeastSquaresError::NotFinite);
        }
        let at_bound: Vec<bool> = (0..n).map(|j| bounds.touches(j, x[j])).collect();
        let mut unidentified = vec![false; n];
        // A column that is zero beside what its parameter could do is caught here, before scaling.
        let norms: Vec<f64> =
            self.jacobian.chunks_exact(m.max(1)).map(|c| dot(c, c).sqrt()).collect();
        let mut kept: Vec<usize> = Vec::new();
        for j in 0..n {
            if norms[j] == 0.0 {
                unidentified[j] = !at_bound[j];
            } else if !at_bound[j] {
                kept.push(j);
            }
        }
        for &j in &kept {
            let inverse = norms[j].recip();
            self.jacobian[j * m..(j + 1) * m].iter_mut().for_each(|v| *v *= inverse);
        }
        let (order, triangle, rank) = pivoted(&mut self.jacobian, m, &kept);
        let size = kept.len();
        // Null vectors: which parameters may move together without changing the model.
        for k in rank..size {
            let mut v: Vec<f64> = triangle[k * size..k * size + rank].to_vec();
            let square: Vec<f64> = leading(&triangle, size, rank);
            back_substitute(&square, rank, &mut v);
            unidentified[order[k]] = true;
            for (i, share) in v.iter().enumerate() {
                if share.abs() > PART {
                    unidentified[order[i]] = true;
                }
            }
        }
        let pivot = if rank == 0 { 0.0 } else { triangle[(rank - 1) * (size + 1)].abs() };
        let mut matrix = vec![f64::NAN; n * n];
        let square = leading(&triangle, size, rank);
        // Columns of R⁻¹ as rows.
        let mut inverse = vec![0.0; rank * rank];
        for (k, row) in inverse.chunks_exact_mut(rank.max(1)).enumerate() {
            row[k] = 1.0;
            back_substitute(&square, rank, row);
        }
        for a in 0..rank {
            for b in 0..rank {
                let (i, j) = (order[a], order[b]);
                if unidentified[i] || unidentified[j] {
                    continue;
                }
                let sum: f64 =
                    (0..rank).map(|k| inverse[k * rank + a] * inverse[k * rank + b]).sum();
                matrix[i * n + j] = sum / (norms[i] * norms[j]);
            }
        }
        Ok(Covariance { n, matrix, at_bound, unidentified, pivot })
    }
}

impl LevenbergMarquardt {
    /// The matrix of [`LevenbergMarquardt::covariance`] alone, into memory that is kept: zero for
    /// parameters at a bound. False, and NaN everywhere, where the data do not determine all
    /// others.
    pub fn covariance_into(
        &mut self,
        problem: &mut dyn Problem,
        x: &[f64],
        m: usize,
        bounds: Bounds<'_>,
        matrix: &mut [f64],
    ) -> bool {
        let n = x.len();
        self.resize(m, n);
        matrix.fill(f64::NAN);
        if !problem.evaluate(x, &mut self.residuals).is_finite() {
            return false;
        }
        problem.jacobian(x, &mut self.residuals, &mut self.jacobian);
        self.free.clear();
        self.free.extend((0..n).filter(|j| !bounds.touches(*j, x[*j])));
        let size = self.free.len();
        for k in 0..size {
            let j = self.free[k];
            if j != k {
                self.jacobian.copy_within(j * m..(j + 1) * m, k * m);
            }
            let column = &self.jacobian[k * m..(k + 1) * m];
            self.norms[k] = dot(column, column).sqrt();
        }
        let triangle = &mut self.triangle[..size * size];
        triangular(&mut self.jacobian[..size * m], &mut self.residuals, size, triangle);
        let fine = (0..size).all(|k| {
            let pivot = triangle[k * size + k].abs();
            self.norms[k].is_finite() && pivot > DEPENDENT * self.norms[k]
        });
        if !fine {
            return false;
        }
        let inverse = &mut self.small[..size * size];
        inverse.fill(0.0);
        for (k, row) in inverse.chunks_exact_mut(size.max(1)).enumerate() {
            row[k] = 1.0;
            back_substitute(triangle, size, row);
        }
        matrix.fill(0.0);
        for a in 0..size {
            for b in a..size {
                // Row k of the inverse's transpose ends at k.
                let sum: f64 =
                    (b..size).map(|k| inverse[k * size + a] * inverse[k * size + b]).sum();
                let (i, j) = (self.free[a], self.free[b]);
                matrix[i * n + j] = sum;
                matrix[j * n + i] = sum;
            }
        }
        true
    }
}

fn leading(triangle: &[f64], size: usize, rank: usize) -> Vec<f64> {
    (0..rank).flat_map(|k| triangle[k * size..k * size + rank].iter().copied()).collect()
}

/// Gram-Schmidt, twice per column, taking the longest column left at each step: order of the
/// columns, triangle (column by column in that order), rank.
fn pivoted(a: &mut [f64], m: usize, columns: &[usize]) -> (Vec<usize>, Vec<f64>, usize) {
    let size = columns.len();
    let mut order = columns.to_vec();
    let mut triangle = vec![0.0; size * size];
    let mut rank = size;
    for k in 0..size {
        let norm = |j: usize, a: &[f64]| {
            let c = &a[j * m..(j + 1) * m];
            dot(c, c).sqrt()
        };
        let best = (k..size)
            .max_by(|&p, &q| norm(order[p], a).total_cmp(&norm(order[q], a)).then(q.cmp(&p)))
            .unwrap_or(k);
        order.swap(k, best);
        for i in 0..k {
            triangle.swap(k * size + i, best * size + i);
        }
        let length = norm(order[k], a);
        if length <= DEPENDENT {
            rank = k;
            break;
        }
        triangle[k * size + k] = length;
        let q: Vec<f64> = a[order[k] * m..(order[k] + 1) * m].iter().map(|v| v / length).collect();
        for c in k + 1..size {
            let column = &mut a[order[c] * m..(order[c] + 1) * m];
            for _ in 0..2 {
                let s = dot(&q, column);
                triangle[c * size + k] += s;
                column.iter_mut().zip(&q).for_each(|(x, q)| *x -= s * q);
            }
        }
    }
    (order, triangle, rank)
}
