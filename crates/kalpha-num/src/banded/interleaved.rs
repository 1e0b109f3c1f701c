//! Banded systems of several spectra side by side, solved without pivoting.
//!
//! The arithmetic follows [`solve_pentadiagonal`](super::solve_pentadiagonal) step by step, so
//! one lane of a half-bandwidth of two gives the same bits. Inlined, for use inside a
//! [`Kernel`](crate::simd::Kernel). A matrix that is not positive definite (symmetric) or has a
//! vanishing pivot (general) shows as NaN or infinity in the solution of its lane.

use crate::lanes::Lanes;

/// Difference penalty `lam D'D` of order B on n points: `bands[k][i] = A[i, i + k]`.
///
/// With fewer than B + 1 points there is nothing to penalise: all zero.
pub fn difference_penalty<const B: usize>(n: usize, lam: f64) -> Vec<Vec<f64>> {
    let mut difference = vec![1.0];
    for _ in 0..B {
        let mut next = vec![0.0; difference.len() + 1];
        for (i, d) in difference.iter().enumerate() {
            next[i] -= d;
            next[i + 1] += d;
        }
        difference = next;
    }
    let mut bands = vec![vec![0.0; n]; B + 1];
    for row in 0..n.saturating_sub(B) {
        for j in 0..=B {
            for k in j..=B {
                bands[k - j][row + j] += difference[j] * difference[k] * lam;
            }
        }
    }
    bands
}

/// Solves `(diag(w_i) + P) z = b` by LDL'.
///
/// `diagonal(i)` and `rhs(i)` give the whole diagonal and the right side of all lanes;
/// `off(k, i)` is `P[i, i + k]`. `factors[i]` and `z[i]` are filled; z holds the solution.
#[inline(always)]
pub fn solve_symmetric<const B: usize, const L: usize>(
    diagonal: impl Fn(usize) -> Lanes<L>,
    off: impl Fn(usize, usize) -> Lanes<L>,
    rhs: impl Fn(usize) -> Lanes<L>,
    inverse: &mut [[f64; L]],
    lower: &mut [&mut [[f64; L]]; B],
    z: &mut [[f64; L]],
) {
    let n = z.len().min(inverse.len());
    let zero = Lanes::<L>::ZERO;
    // before[j][m]: factor m + 1 of the row j + 1 rows back.
    let mut before = [[zero; B]; B];
    let mut pivots = [zero; B];
    let mut t = [zero; B];
    for i in 0..n {
        let mut d = diagonal(i);
        let mut b = rhs(i);
        for j in 0..B {
            d = d - before[j][j] * before[j][j] * pivots[j];
            b = b - before[j][j] * t[j];
        }
        let recip = Lanes::splat(1.0) / d;
        let mut own = [zero; B];
        for k in 0..B {
            let mut l = off(k + 1, i);
            for j in 0..B {
                if k + j + 1 < B {
                    l = l - before[j][k + j + 1] * before[j][j] * pivots[j];
                }
            }
            own[k] = if i + k + 1 < n { l * recip } else { zero };
            lower[k][i] = own[k].0;
        }
        inverse[i] = recip.0;
        z[i] = b.0;
        for j in (1..B).rev() {
            before[j] = before[j - 1];
            pivots[j] = pivots[j - 1];
            t[j] = t[j - 1];
        }
        before[0] = own;
        pivots[0] = d;
        t[0] = b;
    }
    let mut after = [zero; B];
    for i in (0..n).rev() {
        let mut x = Lanes(z[i]) * Lanes(inverse[i]);
        for k in 0..B {
            x = x - Lanes(lower[k][i]) * after[k];
        }
        z[i] = x.0;
        for k in (1..B).rev() {
            after[k] = after[k - 1];
        }
        after[0] = x;
    }
}

/// Solves `A z = b` for a pentadiagonal A without symmetry by LU.
///
/// `row(i)` gives `A[i, i - 2 ..= i + 2]`, `rhs(i)` the right side. Entries outside the matrix
/// must be zero. `upper` and `inverse` are filled on the way; z holds the solution.
#[inline(always)]
pub fn solve_general<const L: usize>(
    row: impl Fn(usize) -> [Lanes<L>; 5],
    rhs: impl Fn(usize) -> Lanes<L>,
    inverse: &mut [[f64; L]],
    upper: &mut [&mut [[f64; L]]; 2],
    z: &mut [[f64; L]],
) {
    let n = z.len().min(inverse.len());
    let zero = Lanes::<L>::ZERO;
    let (mut inv1, mut inv2, mut u11, mut u12, mut u21, mut u22) =
        (zero, zero, zero, zero, zero, zero);
    let (mut t1, mut t2) = (zero, zero);
    for i in 0..n {
        // u1x: upper factors of the row before, u2x: of the one before that.
        let [a2, a1, a0, b1, b2] = row(i);
        let l2 = a2 * inv2;
        let l1 = (a1 - l2 * u21) * inv1;
        let d = a0 - l1 * u11 - l2 * u22;
        let recip = Lanes::splat(1.0) / d;
        let own1 = b1 - l1 * u12;
        let t = rhs(i) - l1 * t1 - l2 * t2;
        inverse[i] = recip.0;
        upper[0][i] = own1.0;
        upper[1][i] = b2.0;
        z[i] = t.0;
        (inv2, inv1) = (inv1, recip);
        (u21, u22) = (u11, u12);
        (u11, u12) = (own1, b2);
        (t2, t1) = (t1, t);
    }
    let (mut z1, mut z2) = (zero, zero);
    for i in (0..n).rev() {
        let x =
            (Lanes(z[i]) - Lanes(upper[0][i]) * z1 - Lanes(upper[1][i]) * z2) * Lanes(inverse[i]);
        z[i] = x.0;
        (z2, z1) = (z1, x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::banded::{Pentadiagonal, solve_pentadiagonal};
    use crate::lanes::Planes;

    #[test]
    fn penalties_of_each_order() {
        let p = difference_penalty::<2>(5, 3.0);
        assert_eq!(p[0], [3.0, 15.0, 18.0, 15.0, 3.0]);
        assert_eq!(p[1], [-6.0, -12.0, -12.0, -6.0, 0.0]);
        assert_eq!(p[2], [3.0, 3.0, 3.0, 0.0, 0.0]);
        assert_eq!(difference_penalty::<1>(3, 1.0), [[1.0, 2.0, 1.0], [-1.0, -1.0, 0.0]]);
        assert_eq!(difference_penalty::<3>(4, 1.0)[0], [1.0, 9.0, 9.0, 1.0]);
        assert_eq!(difference_penalty::<3>(3, 1.0)[0], [0.0; 3]);
    }

    fn weights(n: usize, lane: usize) -> Vec<f64> {
        (0..n).map(|i| 0.5 + 0.4 * ((i * (lane + 3)) as f64).sin()).collect()
    }

    /// All lanes of a symmetric solve against the residual, and the first against the solver
    /// for one system.
    fn symmetric<const B: usize>() {
        const L: usize = 8;
        for n in [B + 1, B + 2, 40] {
            let p = difference_penalty::<B>(n, 37.0);
            let w: Vec<Vec<f64>> = (0..L).map(|k| weights(n, k)).collect();
            let b = |i: usize, k: usize| (i as f64 * 0.3 + k as f64).cos();
            let mut planes = Planes::default();
            let mut factors = Planes::default();
            let [inverse, z] = planes.split::<L, 2>(n);
            solve_symmetric::<B, L>(
                |i| Lanes(std::array::from_fn(|k| p[0][i] + w[k][i])),
                |k, i| Lanes::splat(p[k][i]),
                |i| Lanes(std::array::from_fn(|k| b(i, k))),
                inverse,
                &mut factors.split::<L, B>(n),
                z,
            );
            for k in 0..L {
                for i in 0..n {
                    let mut r = (p[0][i] + w[k][i]) * z[i][k] - b(i, k);
                    for m in 1..=B {
                        if i + m < n {
                            r += p[m][i] * z[i + m][k];
                        }
                        if i >= m {
                            r += p[m][i - m] * z[i - m][k];
                        }
                    }
                    assert!(r.abs() < 1e-10, "B={B} n={n} lane {k} channel {i}: {r}");
                }
            }
            if B == 2 {
                let diagonal: Vec<f64> = (0..n).map(|i| p[0][i] + w[0][i]).collect();
                let mut one: Vec<f64> = (0..n).map(|i| b(i, 0)).collect();
                let mut scratch = Pentadiagonal::default();
                assert!(solve_pentadiagonal(&diagonal, &p[1], &p[2], &mut one, &mut scratch));
                assert!(one.iter().zip(&*z).all(|(a, b)| a.to_bits() == b[0].to_bits()));
            }
        }
    }

    #[test]
    fn symmetric_systems() {
        symmetric::<1>();
        symmetric::<2>();
        symmetric::<3>();
    }

    #[test]
    fn general_system() {
        let n = 30;
        let p = difference_penalty::<2>(n, 11.0);
        let s: Vec<f64> = (0..n).map(|i| 0.6 + 0.3 * (i as f64).cos()).collect();
        let w = weights(n, 1);
        let at = |i: usize, m: isize| {
            let j = i as isize + m;
            if j < 0 || j >= n as isize {
                return 0.0;
            }
            let own = if m == 0 { w[i] } else { 0.0 };
            s[i] * p[m.unsigned_abs()][i.min(j as usize)] + own
        };
        let mut planes = Planes::default();
        let [inverse, z, u1, u2] = planes.split::<1, 4>(n);
        solve_general::<1>(
            |i| std::array::from_fn(|m| Lanes::splat(at(i, m as isize - 2))),
            |i| Lanes::splat(i as f64 - 4.0),
            inverse,
            &mut [u1, u2],
            z,
        );
        for i in 0..n {
            let mut r = 4.0 - i as f64;
            for m in -2..=2isize {
                let j = i as isize + m;
                if (0..n as isize).contains(&j) {
                    r += at(i, m) * z[j as usize][0];
                }
            }
            assert!(r.abs() < 1e-11, "{i}: {r}");
        }
    }
}
