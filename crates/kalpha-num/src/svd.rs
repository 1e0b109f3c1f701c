//! Thin singular value decomposition of small matrices.
//!
//! One-sided Jacobi rotations of the shorter side: small singular values keep their relative
//! accuracy, which the eigenpairs of a Gram matrix lose. Source: Hestenes (1958), J. SIAM 6, 51,
//! doi:10.1137/0106005. Complexity O(k² l) per sweep for k vectors of length l, k ≤ l. Tested
//! against its definition.

/// `A = sum_i values[i] left_i right_iᵀ`, values descending.
#[derive(Clone, Debug, PartialEq)]
pub struct Svd {
    /// Singular values above rounding, descending.
    pub values: Vec<f64>,
    /// Left vectors, one after the other, each of `rows` entries.
    pub left: Vec<f64>,
    /// Right vectors, one after the other, each of `columns` entries.
    pub right: Vec<f64>,
    rows: usize,
    columns: usize,
}

impl Svd {
    /// Number of singular values above rounding.
    pub fn rank(&self) -> usize {
        self.values.len()
    }

    /// Left vector i.
    pub fn left(&self, i: usize) -> &[f64] {
        &self.left[i * self.rows..(i + 1) * self.rows]
    }

    /// Right vector i.
    pub fn right(&self, i: usize) -> &[f64] {
        &self.right[i * self.columns..(i + 1) * self.columns]
    }
}

/// Sweeps allowed; six to ten are usual.
const SWEEPS: usize = 60;

/// Decomposes a rows x columns matrix, row-major and finite. Singular values below
/// `1e-13 x the largest x the longer side` are left out. Entries that do not fill the shape, or
/// are not finite, give no singular value.
pub fn thin_svd(matrix: &[f64], rows: usize, columns: usize) -> Svd {
    let none = || Svd { values: vec![], left: vec![], right: vec![], rows, columns };
    if matrix.len() != rows * columns || matrix.iter().any(|v| !v.is_finite()) {
        return none();
    }
    let flat = rows <= columns;
    let (k, l) = if flat { (rows, columns) } else { (columns, rows) };
    let mut vectors: Vec<Vec<f64>> = (0..k)
        .map(|i| match flat {
            true => matrix[i * columns..(i + 1) * columns].to_vec(),
            false => (0..rows).map(|r| matrix[r * columns + i]).collect(),
        })
        .collect();
    // Rotations so far: vectors = rotationsᵀ original.
    let mut rotations: Vec<Vec<f64>> =
        (0..k).map(|i| (0..k).map(|j| if i == j { 1.0 } else { 0.0 }).collect()).collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    for _ in 0..SWEEPS {
        let mut rotated = false;
        for i in 0..k {
            for j in i + 1..k {
                let (head, tail) = vectors.split_at_mut(j);
                let (a, b) = (&mut head[i], &mut tail[0]);
                let (aa, bb, ab) = (dot(a, a), dot(b, b), dot(a, b));
                if ab.abs() <= 1e-15 * (aa * bb).sqrt() {
                    continue;
                }
                rotated = true;
                let zeta = (bb - aa) / (2.0 * ab);
                let t = zeta.signum() / (zeta.abs() + (1.0 + zeta * zeta).sqrt());
                let c = 1.0 / (1.0 + t * t).sqrt();
                let s = c * t;
                let turn = |a: &mut [f64], b: &mut [f64]| {
                    for (x, y) in a.iter_mut().zip(b) {
                        (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
                    }
                };
                turn(a, b);
                let (head, tail) = rotations.split_at_mut(j);
                turn(&mut head[i], &mut tail[0]);
            }
        }
        if !rotated {
            break;
        }
    }
    let norms: Vec<f64> = vectors.iter().map(|v| dot(v, v).sqrt()).collect();
    let mut order: Vec<usize> = (0..k).collect();
    order.sort_by(|a, b| norms[*b].total_cmp(&norms[*a]));
    let largest = order.first().map_or(0.0, |i| norms[*i]);
    let mut svd = none();
    for i in order {
        if norms[i] <= 1e-13 * largest * l as f64 || norms[i] == 0.0 {
            break;
        }
        let long = vectors[i].iter().map(|v| v / norms[i]);
        svd.values.push(norms[i]);
        match flat {
            true => {
                svd.left.extend_from_slice(&rotations[i]);
                svd.right.extend(long);
            }
            false => {
                svd.left.extend(long);
                svd.right.extend_from_slice(&rotations[i]);
            }
        }
    }
    svd
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_product_is_the_matrix() {
        for (rows, columns) in [(1, 1), (4, 9), (9, 4), (6, 6)] {
            let a: Vec<f64> = (0..rows * columns)
                .map(|i| ((i * i + 1) as f64 * 0.37).sin() * 10f64.powi(-((i % columns) as i32)))
                .collect();
            let svd = thin_svd(&a, rows, columns);
            assert!(svd.values.windows(2).all(|w| w[0] >= w[1]));
            for r in 0..rows {
                for c in 0..columns {
                    let sum: f64 = (0..svd.rank())
                        .map(|i| svd.values[i] * svd.left(i)[r] * svd.right(i)[c])
                        .sum();
                    assert!((sum - a[r * columns + c]).abs() < 1e-14 * svd.values[0] * 20.0);
                }
            }
            for i in 0..svd.rank() {
                for j in 0..=i {
                    let dot =
                        |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(x, y)| x * y).sum() };
                    let want = if i == j { 1.0 } else { 0.0 };
                    assert!((dot(svd.left(i), svd.left(j)) - want).abs() < 1e-12);
                    assert!((dot(svd.right(i), svd.right(j)) - want).abs() < 1e-12);
                }
            }
        }
    }

    #[test]
    fn rank_and_bad_input() {
        let a: Vec<f64> = (0..12).map(|i| ((i / 4 + 1) * (i % 4 + 1)) as f64).collect();
        assert_eq!(thin_svd(&a, 3, 4).rank(), 1);
        assert_eq!(thin_svd(&[0.0; 6], 2, 3).rank(), 0);
        assert_eq!(thin_svd(&[1.0, f64::NAN], 1, 2).rank(), 0);
        assert_eq!(thin_svd(&[1.0], 1, 2).rank(), 0);
    }
}
