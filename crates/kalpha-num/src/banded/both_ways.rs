//! Banded systems of several spectra side by side, eliminated from both ends towards the middle.
//!
//! The two halves do not depend on each other: while one waits for a division the other goes on.
//! Elimination and substitution are two sweeps, and what is done for each channel on the way (new
//! weights, sums of residuals) costs no sweep of its own. Inlined, for use inside a
//! [`Kernel`](crate::simd::Kernel). A matrix that is not positive definite shows as NaN or
//! infinity in the solution of its lane.

use crate::lanes::Lanes;

/// What elimination leaves for [`substitute`]: arrays of n values.
pub struct Factors<'a, const B: usize, const L: usize> {
    /// Reciprocal pivots.
    pub inverse: &'a mut [[f64; L]],
    /// Factors of the B neighbours towards the middle.
    pub lower: [&'a mut [[f64; L]]; B],
    /// Right side after elimination; the solution in the middle.
    pub rest: &'a mut [[f64; L]],
}

/// The last B rows of an elimination.
struct Side<const B: usize, const L: usize> {
    /// `before[j][m]`: factor m of the row j + 1 rows back.
    before: [[Lanes<L>; B]; B],
    pivots: [Lanes<L>; B],
    rest: [Lanes<L>; B],
}

impl<const B: usize, const L: usize> Side<B, L> {
    const START: Self =
        Self { before: [[Lanes::ZERO; B]; B], pivots: [Lanes::ZERO; B], rest: [Lanes::ZERO; B] };

    /// Eliminates a row with diagonal `d`, right side `b` and neighbours `off`; gives the
    /// reciprocal pivot.
    #[inline(always)]
    fn eliminate(&mut self, [d, b]: [Lanes<L>; 2], off: [Lanes<L>; B]) -> Lanes<L> {
        let (mut d, mut b, mut own) = (d, b, off);
        for j in 0..B {
            let scaled = self.before[j][j] * self.pivots[j];
            d = d - self.before[j][j] * scaled;
            b = b - self.before[j][j] * self.rest[j];
            for k in 0..B - j - 1 {
                own[k] = own[k] - self.before[j][k + j + 1] * scaled;
            }
        }
        let inverse = Lanes::splat(1.0) / d;
        for l in &mut own {
            *l = *l * inverse;
        }
        for j in (1..B).rev() {
            self.before[j] = self.before[j - 1];
            self.pivots[j] = self.pivots[j - 1];
            self.rest[j] = self.rest[j - 1];
        }
        self.before[0] = own;
        self.pivots[0] = d;
        self.rest[0] = b;
        inverse
    }

    /// What the rows eliminated take from row r, column c and right side r of the middle.
    #[inline(always)]
    fn taken(&self, r: usize, c: usize) -> Lanes<L> {
        let mut sum = Lanes::ZERO;
        for j in 0..B - r.max(c) {
            sum = sum + self.before[j][r + j] * self.before[j][c + j] * self.pivots[j];
        }
        sum
    }

    #[inline(always)]
    fn taken_right(&self, r: usize) -> Lanes<L> {
        let mut sum = Lanes::ZERO;
        for j in 0..B - r {
            sum = sum + self.before[j][r + j] * self.rest[j];
        }
        sum
    }
}

/// First row of the B in the middle.
#[inline(always)]
fn middle<const B: usize>(n: usize) -> usize {
    n.saturating_sub(B) / 2
}

/// `(diag(w) + P) z = b`, row by row.
///
/// A trait and not closures: these are called in several places, and a closure that is not
/// inlined is compiled for the least instruction set. Mark both `#[inline(always)]`.
pub trait System<const L: usize> {
    /// Diagonal and right side of row i; asked once for each row.
    fn row(&mut self, i: usize) -> [Lanes<L>; 2];
    /// `P[i, i + k]`.
    fn off(&self, k: usize, i: usize) -> Lanes<L>;
}

/// Takes a solution, from the middle outwards.
pub trait Solution<const L: usize> {
    /// The value of channel i. Mark it `#[inline(always)]`.
    fn found(&mut self, i: usize, value: Lanes<L>);
}

impl<const B: usize, const L: usize> Factors<'_, B, L> {
    /// Keeps row i, the last that `side` has eliminated.
    #[inline(always)]
    fn keep(&mut self, i: usize, inverse: Lanes<L>, side: &Side<B, L>) {
        self.inverse[i] = inverse.0;
        for k in 0..B {
            self.lower[k][i] = side.before[0][k].0;
        }
        self.rest[i] = side.rest[0].0;
    }

    /// The value of row i, `after` being those between it and the middle, nearest first.
    #[inline(always)]
    fn value(&self, i: usize, after: &mut [Lanes<L>; B]) -> Lanes<L> {
        let mut x = Lanes(self.rest[i]) * Lanes(self.inverse[i]);
        for k in (0..B).rev() {
            x = x - Lanes(self.lower[k][i]) * after[k];
        }
        for k in (1..B).rev() {
            after[k] = after[k - 1];
        }
        after[0] = x;
        x
    }
}

/// Eliminates all rows but B in the middle, and solves these. Needs n >= B.
#[inline(always)]
pub fn eliminate<const B: usize, const L: usize, S: System<L>>(
    n: usize,
    system: &mut S,
    factors: &mut Factors<'_, B, L>,
) {
    let h = middle::<B>(n);
    let (mut top, mut bottom) = (Side::<B, L>::START, Side::<B, L>::START);
    // With an odd number of rows to eliminate the far side has one more.
    let odd = n - h - B > h;
    for step in 0..h + usize::from(odd) {
        let last = n - 1 - step;
        let row = system.row(last);
        let mut off = [Lanes::ZERO; B];
        for (k, off) in off.iter_mut().enumerate() {
            *off = system.off(k + 1, last - k - 1);
        }
        let inverse = bottom.eliminate(row, off);
        factors.keep(last, inverse, &bottom);
        if step < h {
            let row = system.row(step);
            for (k, off) in off.iter_mut().enumerate() {
                *off = system.off(k + 1, step);
            }
            let inverse = top.eliminate(row, off);
            factors.keep(step, inverse, &top);
        }
    }
    let mut a = [[Lanes::<L>::ZERO; B]; B];
    let mut b = [Lanes::<L>::ZERO; B];
    for r in 0..B {
        let [d, right] = system.row(h + r);
        b[r] = right - top.taken_right(r) - bottom.taken_right(B - 1 - r);
        for c in 0..B {
            let own = if c == r { d } else { system.off(r.abs_diff(c), h + r.min(c)) };
            a[r][c] = own - top.taken(r, c) - bottom.taken(B - 1 - r, B - 1 - c);
        }
    }
    for r in 0..B {
        for s in r + 1..B {
            let factor = a[s][r] / a[r][r];
            for c in r..B {
                a[s][c] = a[s][c] - factor * a[r][c];
            }
            b[s] = b[s] - factor * b[r];
        }
    }
    for r in (0..B).rev() {
        for c in r + 1..B {
            b[r] = b[r] - a[r][c] * b[c];
        }
        b[r] = b[r] / a[r][r];
        factors.rest[h + r] = b[r].0;
    }
}

/// Finds the solution from the middle outwards.
#[inline(always)]
pub fn substitute<const B: usize, const L: usize, S: Solution<L>>(
    n: usize,
    factors: &Factors<'_, B, L>,
    solution: &mut S,
) {
    let h = middle::<B>(n);
    let (mut up, mut down) = ([Lanes::<L>::ZERO; B], [Lanes::<L>::ZERO; B]);
    for k in 0..B {
        let value = Lanes(factors.rest[h + k]);
        up[k] = value;
        down[B - 1 - k] = value;
        solution.found(h + k, value);
    }
    for step in (0..n - h - B).rev() {
        let last = n - 1 - step;
        let value = factors.value(last, &mut down);
        solution.found(last, value);
        if step < h {
            let value = factors.value(step, &mut up);
            solution.found(step, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{banded::interleaved::difference_penalty, lanes::Planes};

    const L: usize = 8;

    fn weight(i: usize, k: usize) -> f64 {
        0.5 + 0.4 * ((i * (k + 3)) as f64).sin()
    }

    fn right(i: usize, k: usize) -> f64 {
        (i as f64 * 0.3 + k as f64).cos()
    }

    struct Sample<'a> {
        p: &'a [Vec<f64>],
        calls: Vec<usize>,
    }

    impl System<L> for Sample<'_> {
        fn row(&mut self, i: usize) -> [Lanes<L>; 2] {
            self.calls[i] += 1;
            let diagonal = std::array::from_fn(|k| self.p[0][i] + weight(i, k));
            [Lanes(diagonal), Lanes(std::array::from_fn(|k| right(i, k)))]
        }
        fn off(&self, k: usize, i: usize) -> Lanes<L> {
            Lanes::splat(self.p[k][i])
        }
    }

    struct Kept(Vec<[f64; L]>);

    impl Solution<L> for Kept {
        fn found(&mut self, i: usize, value: Lanes<L>) {
            self.0[i] = value.0;
        }
    }

    /// All lanes against the residual of the system.
    fn solves<const B: usize>() {
        for n in [B, B + 1, B + 2, 2 * B + 1, 40, 41] {
            let p = difference_penalty::<B>(n, 37.0);
            let (mut planes, mut lower) = (Planes::default(), Planes::default());
            let [inverse, rest] = planes.split::<L, 2>(n);
            let mut factors = Factors { inverse, lower: lower.split::<L, B>(n), rest };
            let mut system = Sample { p: &p, calls: vec![0; n] };
            eliminate::<B, L, _>(n, &mut system, &mut factors);
            assert!(system.calls.iter().all(|c| *c == 1), "B={B} n={n}: {:?}", system.calls);
            let mut z = Kept(vec![[f64::NAN; L]; n]);
            substitute::<B, L, _>(n, &factors, &mut z);
            let z = z.0;
            for k in 0..L {
                for i in 0..n {
                    let mut r = (p[0][i] + weight(i, k)) * z[i][k] - right(i, k);
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
        }
    }

    #[test]
    fn residuals_vanish() {
        solves::<1>();
        solves::<2>();
        solves::<3>();
    }
}
