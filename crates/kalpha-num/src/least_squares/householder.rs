//! Triangular form of a tall matrix by Householder reflections.
//!
//! Source: Golub and Van Loan, Matrix Computations, 4th ed., section 5.2. Complexity O(m n²).

use crate::simd::{self, Kernel};

/// Columns reflected together: the reflector is read once for all of them.
const TOGETHER: usize = 4;
/// Sums kept apart, so that a dot product fills wide registers in a fixed order.
const SUMS: usize = 8;

/// Turns `a` (n columns of m values, `m >= n`) into its triangular factor: `triangle` receives n x n
/// values column by column, zero below the diagonal. `b` (m values) is reflected along. `a` is
/// used up.
pub(super) fn triangular(a: &mut [f64], b: &mut [f64], n: usize, triangle: &mut [f64]) {
    simd::run(Reflect { a, b, n, triangle });
}

struct Reflect<'a> {
    a: &'a mut [f64],
    b: &'a mut [f64],
    n: usize,
    triangle: &'a mut [f64],
}

impl Kernel for Reflect<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { a, b, n, triangle } = self;
        let m = b.len();
        triangle.fill(0.0);
        for k in 0..n {
            let (head, rest) = a.split_at_mut((k + 1) * m);
            let column = &mut head[k * m..];
            triangle[k * n..k * n + k].copy_from_slice(&column[..k]);
            let v = &mut column[k..];
            let norm = dot(v, v).sqrt();
            if norm == 0.0 {
                continue;
            }
            let alpha = if v[0] > 0.0 { -norm } else { norm };
            v[0] -= alpha;
            triangle[k * n + k] = alpha;
            // H = I + v vᵀ / (alpha v0).
            let factor = (alpha * v[0]).recip();
            let mut several = rest.chunks_exact_mut(TOGETHER * m);
            for four in several.by_ref() {
                let (one, others) = four.split_at_mut(m);
                let (two, others) = others.split_at_mut(m);
                let (three, four) = others.split_at_mut(m);
                reflect_four(
                    v,
                    [&mut one[k..], &mut two[k..], &mut three[k..], &mut four[k..]],
                    factor,
                );
            }
            for column in several.into_remainder().chunks_exact_mut(m) {
                reflect(v, &mut column[k..], factor);
            }
            reflect(v, &mut b[k..], factor);
        }
    }
}

/// Reflects `b` as [`triangular`] would have, had it been there: `a` and `triangle` as it left them.
pub(super) fn reflect_along(a: &[f64], triangle: &[f64], n: usize, b: &mut [f64]) {
    let m = b.len();
    for (k, column) in a.chunks_exact(m).enumerate().take(n) {
        let v = &column[k..];
        let alpha = triangle[k * n + k];
        if alpha != 0.0 {
            reflect(v, &mut b[k..], (alpha * v[0]).recip());
        }
    }
}

#[inline(always)]
fn reflect(v: &[f64], x: &mut [f64], factor: f64) {
    let s = factor * dot(v, x);
    x.iter_mut().zip(v).for_each(|(x, v)| *x += s * v);
}

#[inline(always)]
fn reflect_four(v: &[f64], x: [&mut [f64]; TOGETHER], factor: f64) {
    let m = v.len();
    let [p, q, r, t] = x;
    let (p, q, r, t) = (&mut p[..m], &mut q[..m], &mut r[..m], &mut t[..m]);
    let mut sums = [[0.0; SUMS]; TOGETHER];
    let whole = m - m % SUMS;
    for i in (0..whole).step_by(SUMS) {
        for l in 0..SUMS {
            let u = v[i + l];
            sums[0][l] += u * p[i + l];
            sums[1][l] += u * q[i + l];
            sums[2][l] += u * r[i + l];
            sums[3][l] += u * t[i + l];
        }
    }
    let mut s = [0.0; TOGETHER];
    for (s, sums) in s.iter_mut().zip(&sums) {
        *s = sums.iter().sum::<f64>();
    }
    for i in whole..m {
        s[0] += v[i] * p[i];
        s[1] += v[i] * q[i];
        s[2] += v[i] * r[i];
        s[3] += v[i] * t[i];
    }
    for s in &mut s {
        *s *= factor;
    }
    for i in 0..m {
        let u = v[i];
        p[i] += s[0] * u;
        q[i] += s[1] * u;
        r[i] += s[2] * u;
        t[i] += s[3] * u;
    }
}

/// Dot product in independent sums: a fixed order that the compiler can make wide.
#[inline(always)]
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; SUMS];
    let (ca, cb) = (a.chunks_exact(SUMS), b.chunks_exact(SUMS));
    let tail: f64 = ca.remainder().iter().zip(cb.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in ca.zip(cb) {
        for k in 0..SUMS {
            sums[k] += x[k] * y[k];
        }
    }
    sums.iter().sum::<f64>() + tail
}

/// Solves `R x = b` in place for the leading `n` unknowns; `r` is n x n, column by column.
/// A pivot of zero gives zero.
pub(super) fn back_substitute(r: &[f64], n: usize, b: &mut [f64]) {
    for k in (0..n).rev() {
        let pivot = r[k * n + k];
        b[k] = if pivot == 0.0 { 0.0 } else { b[k] / pivot };
        let x = b[k];
        b[..k].iter_mut().zip(&r[k * n..k * n + k]).for_each(|(b, r)| *b -= x * r);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_triangle_has_the_gram_matrix_of_the_columns() {
        for (m, n) in [(5, 5), (17, 6), (64, 11)] {
            let a: Vec<f64> = (0..m * n).map(|k| ((k * k + 3 * k) as f64 * 0.37).sin()).collect();
            let b: Vec<f64> = (0..m).map(|k| (k as f64).cos()).collect();
            let (mut work, mut c, mut r) = (a.clone(), b.clone(), vec![0.0; n * n]);
            triangular(&mut work, &mut c, n, &mut r);
            let column = |k: usize| &a[k * m..(k + 1) * m];
            for i in 0..n {
                for j in 0..n {
                    let want: f64 = column(i).iter().zip(column(j)).map(|(x, y)| x * y).sum();
                    let got: f64 = (0..n).map(|k| r[i * n + k] * r[j * n + k]).sum();
                    assert!((want - got).abs() < 1e-12 * m as f64, "{m} {n}: {want} {got}");
                }
                assert!(r[i * n + i + 1..(i + 1) * n].iter().all(|v| *v == 0.0));
            }
            let mut later = b.clone();
            reflect_along(&work, &r, n, &mut later);
            assert!(later.iter().zip(&c).all(|(a, b)| (a - b).abs() < 1e-14));
            let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>();
            assert!((norm(&b) - norm(&c)).abs() < 1e-12 * m as f64);
        }
    }
}
