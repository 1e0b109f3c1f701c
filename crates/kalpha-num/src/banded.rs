//! Banded systems, as penalised smoothers make them: one at a time, or several side by side.

pub mod both_ways;
pub mod interleaved;

/// Solves `A z = b` for a symmetric positive definite pentadiagonal A by LDLᵀ.
///
/// `diagonal[i] = A[i,i]`, `first[i] = A[i,i+1]`, `second[i] = A[i,i+2]`; all four slices have
/// length n (the last entries of `first` and `second` are not read). The solution replaces
/// `rhs`. Complexity O(n). Returns false, with `rhs` undefined, for a matrix that is not
/// positive definite or for slices of unequal length.
#[must_use]
pub fn solve_pentadiagonal(
    diagonal: &[f64],
    first: &[f64],
    second: &[f64],
    rhs: &mut [f64],
    scratch: &mut Pentadiagonal,
) -> bool {
    let n = rhs.len();
    if diagonal.len() != n || first.len() != n || second.len() != n {
        return false;
    }
    let (inverse, l1, l2) = scratch.resized(n);
    let (mut d1, mut d2) = (0.0, 0.0);
    let (mut a1, mut a2, mut b2) = (0.0, 0.0, 0.0);
    let (mut t1, mut t2) = (0.0, 0.0);
    for i in 0..n {
        let d = diagonal[i] - a1 * a1 * d1 - b2 * b2 * d2;
        if d.is_nan() || d <= 0.0 {
            return false;
        }
        inverse[i] = 1.0 / d;
        l1[i] = if i + 1 < n { (first[i] - a2 * a1 * d1) * inverse[i] } else { 0.0 };
        l2[i] = if i + 2 < n { second[i] * inverse[i] } else { 0.0 };
        let t = rhs[i] - a1 * t1 - b2 * t2;
        rhs[i] = t;
        (t2, t1) = (t1, t);
        (d2, d1) = (d1, d);
        (b2, a2, a1) = (a2, l2[i], l1[i]);
    }
    let (mut z1, mut z2) = (0.0, 0.0);
    for i in (0..n).rev() {
        let z = rhs[i] * inverse[i] - l1[i] * z1 - l2[i] * z2;
        rhs[i] = z;
        (z2, z1) = (z1, z);
    }
    true
}

/// Working memory of [`solve_pentadiagonal`], reusable.
#[derive(Debug, Default, Clone)]
pub struct Pentadiagonal(Vec<f64>, Vec<f64>, Vec<f64>);

impl Pentadiagonal {
    fn resized(&mut self, n: usize) -> (&mut [f64], &mut [f64], &mut [f64]) {
        for v in [&mut self.0, &mut self.1, &mut self.2] {
            v.resize(n, 0.0);
        }
        (&mut self.0, &mut self.1, &mut self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn residual_vanishes() {
        for n in [1, 2, 3, 50] {
            let d: Vec<f64> = (0..n).map(|i| 9.0 + (i as f64).sin()).collect();
            let f: Vec<f64> = (0..n).map(|i| -2.0 + 0.3 * (i as f64).cos()).collect();
            let s: Vec<f64> = (0..n).map(|i| 0.7 + 0.1 * (i as f64).sin()).collect();
            let b: Vec<f64> = (0..n).map(|i| i as f64 - 3.0).collect();
            let mut z = b.clone();
            assert!(solve_pentadiagonal(&d, &f, &s, &mut z, &mut Pentadiagonal::default()));
            for i in 0..n {
                let mut r = d[i] * z[i] - b[i];
                if i + 1 < n {
                    r += f[i] * z[i + 1];
                }
                if i + 2 < n {
                    r += s[i] * z[i + 2];
                }
                if i >= 1 {
                    r += f[i - 1] * z[i - 1];
                }
                if i >= 2 {
                    r += s[i - 2] * z[i - 2];
                }
                assert!(r.abs() < 1e-12, "{n} {i} {r}");
            }
        }
    }

    #[test]
    fn refuses_indefinite_and_unequal() {
        let mut z = [1.0, 1.0];
        let mut s = Pentadiagonal::default();
        assert!(!solve_pentadiagonal(&[1.0, -1.0], &[0.0; 2], &[0.0; 2], &mut z, &mut s));
        assert!(!solve_pentadiagonal(&[1.0], &[0.0; 2], &[0.0; 2], &mut z, &mut s));
        assert!(!solve_pentadiagonal(&[f64::NAN; 2], &[0.0; 2], &[0.0; 2], &mut z, &mut s));
    }
}
