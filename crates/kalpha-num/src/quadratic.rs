//! Convex quadratic programmes of few variables, solved for many right-hand sides.
//!
//! `min ½ xᵀG x - bᵀx` with `lower <= x <= upper` and, if asked for, `sum x = total`; G positive
//! definite, the same for all. On a given set of variables at their bounds, the others and the
//! gradients of those at bounds are affine in b: `w = M (b, 1)`. M is made once per set and kept, so
//! that most solutions cost a few products. Sets are found by exchanging all variables that violate
//! their conditions at once (block principal pivoting), and by a primal active-set method where that
//! does not end in a few rounds. The result depends on the final set alone, not on the way to it.
//!
//! Sources: Júdice and Pires (1994), Comput. Oper. Res. 21, 587, doi:10.1016/0305-0548(94)90106-6;
//! Nocedal and Wright (2006), Numerical Optimization, algorithm 16.3. Tested against the optimality
//! conditions.

use crate::least_squares::Cholesky;
use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

/// Rounds of exchanging all at once.
const ROUNDS: usize = 10;
/// Sets whose map is kept.
const KEPT: usize = 4096;
/// How far beyond a bound is on it, in units of the size of the solution.
const ON: f64 = 1e-13;
/// Gradient that counts as zero, in units of the largest right-hand side.
const FLAT: f64 = 1e-11;

/// A programme without its right-hand side.
#[derive(Clone, Debug, PartialEq)]
pub struct Quadratic {
    n: usize,
    gram: Vec<f64>,
    lower: Vec<f64>,
    upper: Vec<f64>,
    total: Option<f64>,
}

/// Conditions that make no programme.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QuadraticError {
    /// Lengths do not agree, or there are too many variables.
    #[error("{n} variables with {gram} matrix elements and {bounds} bounds (at most {most})")]
    Shape {
        /// Variables.
        n: usize,
        /// Elements of the matrix.
        gram: usize,
        /// Bounds.
        bounds: usize,
        /// Most variables.
        most: usize,
    },
    /// A column depends on those before it.
    #[error("variable {column} depends on the ones before it (hint: leave one of them out)")]
    Dependent {
        /// The variable, from zero.
        column: usize,
    },
    /// No values fulfil the bounds and the sum.
    #[error("no values from the lower to the upper bounds sum to {total} (hint: widen the bounds)")]
    Infeasible {
        /// The sum asked for; NaN where a lower bound is above its upper bound.
        total: f64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    Free,
    Lower,
    Upper,
}

/// Which variables are at their bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Set(Vec<At>);

impl Set {
    /// True where variable `i` is at neither bound.
    pub fn is_free(&self, i: usize) -> bool {
        self.0[i] == At::Free
    }

    /// The same with variable `i` free.
    #[must_use]
    pub fn freed(&self, i: usize) -> Self {
        let mut other = self.clone();
        other.0[i] = At::Free;
        other
    }

    /// A number that no other set of as many variables has.
    pub fn key(&self) -> u64 {
        self.0.iter().fold(0, |key, at| 3 * key + *at as u64)
    }
}

/// Values by [`Set::key`].
pub type ByKey<T> = HashMap<u64, T, BuildHasherDefault<KeyHasher>>;

/// Spreads keys of sets, which are small numbers, over all bits.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.write_u64(u64::from(*b)));
    }

    fn write_u64(&mut self, key: u64) {
        let mixed = (self.0 ^ key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

/// Memory of one thread and one programme: maps of the sets met so far.
#[derive(Clone, Debug, Default)]
pub struct Known {
    maps: ByKey<Option<Vec<f64>>>,
    set: Set,
    w: Vec<f64>,
}

impl Known {
    /// Forgets the maps, for use with another programme.
    pub fn forget(&mut self) {
        self.maps.clear();
    }

    /// The set of the last solution of [`Quadratic::solve`].
    pub fn set(&self) -> &Set {
        &self.set
    }
}

impl Quadratic {
    /// Most variables.
    pub const MOST: usize = 40;

    /// A programme of `lower.len()` variables; bounds may be infinite.
    ///
    /// # Errors
    /// When shapes differ, G is not positive definite, or nothing fulfils the conditions.
    pub fn new(
        gram: &[f64],
        lower: &[f64],
        upper: &[f64],
        total: Option<f64>,
    ) -> Result<Self, QuadraticError> {
        let n = lower.len();
        if n == 0 || n > Self::MOST || gram.len() != n * n || upper.len() != n {
            let bounds = lower.len() + upper.len();
            return Err(QuadraticError::Shape { n, gram: gram.len(), bounds, most: Self::MOST });
        }
        if let Err(crate::least_squares::LeastSquaresError::Dependent { column }) =
            Cholesky::new(gram, n)
        {
            return Err(QuadraticError::Dependent { column });
        }
        if lower.iter().zip(upper).any(|(l, u)| l.is_nan() || u.is_nan() || l > u) {
            return Err(QuadraticError::Infeasible { total: f64::NAN });
        }
        if let Some(total) = total {
            let (least, most): (f64, f64) = (lower.iter().sum(), upper.iter().sum());
            if !(least <= total && total <= most) {
                return Err(QuadraticError::Infeasible { total });
            }
        }
        Ok(Self { n, gram: gram.to_vec(), lower: lower.to_vec(), upper: upper.to_vec(), total })
    }

    fn bound(&self, i: usize, at: At) -> f64 {
        match at {
            At::Free => 0.0,
            At::Lower => self.lower[i],
            At::Upper => self.upper[i],
        }
    }

    /// The map of a set, n x (n + 1): values of free variables, gradients of the others, from (b, 1).
    /// Nothing where the set leaves no freedom for the sum, or is dependent.
    fn map(&self, set: &Set) -> Option<Vec<f64>> {
        let (n, m) = (self.n, self.n + 1);
        let free: Vec<usize> = (0..n).filter(|i| set.is_free(*i)).collect();
        let q = free.len();
        let fixed: Vec<f64> = (0..n).map(|i| self.bound(i, set.0[i])).collect();
        let pull = |i: usize| -> f64 { (0..n).map(|j| self.gram[i * n + j] * fixed[j]).sum() };
        let mut map = vec![0.0; n * m];
        // The multiplier of the sum, affine in (b, 1).
        let mut multiplier = vec![0.0; m];
        if q == 0 {
            if self.total.is_some() {
                return None;
            }
        } else {
            let sub: Vec<f64> =
                (0..q * q).map(|k| self.gram[free[k / q] * n + free[k % q]]).collect();
            let mut inverse = Cholesky::new(&sub, q).ok()?.inverse();
            let mut constant: Vec<f64> = vec![0.0; q];
            if let Some(total) = self.total {
                let h: Vec<f64> = inverse.chunks_exact(q).map(|row| row.iter().sum()).collect();
                let s: f64 = h.iter().sum();
                for a in 0..q {
                    for b in 0..q {
                        inverse[a * q + b] -= h[a] * h[b] / s;
                    }
                }
                let rest = total - fixed.iter().sum::<f64>();
                for a in 0..q {
                    constant[a] = h[a] * rest / s;
                    multiplier[free[a]] = h[a] / s;
                }
                multiplier[n] = -((0..q).map(|a| h[a] * pull(free[a])).sum::<f64>() + rest) / s;
            }
            for a in 0..q {
                let row = &mut map[free[a] * m..(free[a] + 1) * m];
                for b in 0..q {
                    row[free[b]] = inverse[a * q + b];
                    constant[a] -= inverse[a * q + b] * pull(free[b]);
                }
                row[n] = constant[a];
            }
        }
        for i in (0..n).filter(|i| !set.is_free(*i)) {
            let mut row = vec![0.0; m];
            row[i] = 1.0;
            row[n] = -pull(i);
            for &j in &free {
                let g = self.gram[i * n + j];
                row.iter_mut().zip(&map[j * m..(j + 1) * m]).for_each(|(r, v)| *r -= g * v);
            }
            row.iter_mut().zip(&multiplier).for_each(|(r, v)| *r -= v);
            map[i * m..(i + 1) * m].copy_from_slice(&row);
        }
        Some(map)
    }

    /// `w = M (b, 1)` of a set; false where it has none.
    fn apply(
        &self,
        set: &Set,
        b: &[f64],
        known: &mut ByKey<Option<Vec<f64>>>,
        w: &mut [f64],
    ) -> bool {
        if known.len() >= KEPT {
            known.clear();
        }
        let map = known.entry(set.key()).or_insert_with(|| self.map(set));
        let Some(map) = map else { return false };
        for (w, row) in w.iter_mut().zip(map.chunks_exact(self.n + 1)) {
            *w = row[self.n] + row.iter().zip(b).map(|(m, b)| m * b).sum::<f64>();
        }
        true
    }

    /// Covariance of the free variables of a set for `cov(b) = G`, n x n with zeros for the others:
    /// that of the estimate where G and b come from weights that are inverse variances.
    pub fn covariance(&self, set: &Set) -> Option<Vec<f64>> {
        let (n, map) = (self.n, self.map(set)?);
        let element = |k: usize| match set.is_free(k / n) && set.is_free(k % n) {
            true => map[k / n * (n + 1) + k % n],
            false => 0.0,
        };
        Some((0..n * n).map(element).collect())
    }

    /// Solves for one right-hand side into `x`. False where the limit of rounds was met: x is then
    /// feasible, not optimal.
    pub fn solve(&self, b: &[f64], x: &mut [f64], known: &mut Known) -> bool {
        let mut set = std::mem::take(&mut known.set);
        set.0.clear();
        let found = self.solve_near(b, x, &mut set, known);
        known.set = set;
        found
    }

    /// [`Quadratic::solve`] from a set that may be near that of the solution, which it becomes; an
    /// empty one stands for no variable at a bound.
    pub fn solve_near(&self, b: &[f64], x: &mut [f64], set: &mut Set, known: &mut Known) -> bool {
        let Known { maps, w, .. } = known;
        let n = self.n;
        w.resize(n, 0.0);
        if set.0.len() != n {
            set.0.clear();
            set.0.resize(n, At::Free);
        }
        let largest = b.iter().fold(0.0, |m: f64, b| m.max(b.abs()));
        let mut found = false;
        for _ in 0..ROUNDS {
            if !self.apply(set, b, maps, w) {
                break;
            }
            let size = ON * self.size(set, w);
            let mut exchanged = false;
            for i in 0..n {
                let next = match set.0[i] {
                    At::Free if w[i] < self.lower[i] - size => At::Lower,
                    At::Free if w[i] > self.upper[i] + size => At::Upper,
                    At::Lower if w[i] > FLAT * largest => At::Free,
                    At::Upper if w[i] < -FLAT * largest => At::Free,
                    at => at,
                };
                exchanged |= next != set.0[i];
                set.0[i] = next;
            }
            if !exchanged {
                found = true;
                break;
            }
        }
        found = found || self.primal(b, FLAT * largest, maps, set, w);
        for i in 0..n {
            x[i] = match set.0[i] {
                At::Free => w[i].clamp(self.lower[i], self.upper[i]),
                at => self.bound(i, at),
            };
        }
        if let Some(total) = self.total {
            self.meet(total, set, x);
        }
        found
    }

    /// The product with a large right-hand side loses digits of the sum: the free variable farthest
    /// from its bounds takes up what is missing.
    fn meet(&self, total: f64, set: &Set, x: &mut [f64]) {
        let room = |i: usize| (x[i] - self.lower[i]).min(self.upper[i] - x[i]);
        let free = (0..self.n).filter(|i| set.is_free(*i));
        if let Some(i) = free.max_by(|a, b| room(*a).total_cmp(&room(*b))) {
            let rest = total - x.iter().sum::<f64>();
            x[i] = (x[i] + rest).clamp(self.lower[i], self.upper[i]);
        }
    }

    /// Size of a solution.
    fn size(&self, set: &Set, w: &[f64]) -> f64 {
        let free = (0..self.n).filter(|i| set.is_free(*i)).map(|i| w[i].abs());
        free.fold(self.total.unwrap_or(0.0).abs(), f64::max)
    }

    /// From a feasible point downhill, one variable at a time.
    fn primal(
        &self,
        b: &[f64],
        flat: f64,
        maps: &mut ByKey<Option<Vec<f64>>>,
        set: &mut Set,
        w: &mut [f64],
    ) -> bool {
        let n = self.n;
        let start = |i: usize| match (self.lower[i].is_finite(), self.upper[i].is_finite()) {
            (true, _) => self.lower[i],
            (false, true) => self.upper[i],
            (false, false) => 0.0,
        };
        let mut x: Vec<f64> = (0..n).map(start).collect();
        if let Some(total) = self.total {
            let mut rest = total - x.iter().sum::<f64>();
            for i in 0..n {
                let step = rest.clamp(self.lower[i] - x[i], self.upper[i] - x[i]);
                x[i] += step;
                rest -= step;
            }
        }
        for i in 0..n {
            set.0[i] = match x[i] {
                v if v == self.lower[i] => At::Lower,
                v if v == self.upper[i] => At::Upper,
                _ => At::Free,
            };
        }
        for _ in 0..50 * n + 100 {
            if !self.apply(set, b, maps, w) {
                // All at bounds: only an exchange of two keeps the sum.
                let gradient =
                    |i: usize| b[i] - (0..n).map(|j| self.gram[i * n + j] * x[j]).sum::<f64>();
                let less = |i: &usize, j: &usize| gradient(*i).total_cmp(&gradient(*j));
                let up = (0..n).filter(|i| set.0[*i] == At::Lower).max_by(less);
                let down = (0..n).filter(|i| set.0[*i] == At::Upper).min_by(less);
                match (up, down) {
                    (Some(i), Some(j)) if gradient(i) - gradient(j) > flat => {
                        set.0[i] = At::Free;
                        set.0[j] = At::Free;
                        continue;
                    }
                    _ => return true,
                }
            }
            let tolerance = ON * self.size(set, w);
            let mut step = 1.0;
            let mut blocking = None;
            for i in (0..n).filter(|i| set.is_free(*i)) {
                let (bound, at) = match w[i] {
                    v if v < self.lower[i] - tolerance => (self.lower[i], At::Lower),
                    v if v > self.upper[i] + tolerance => (self.upper[i], At::Upper),
                    _ => continue,
                };
                let share = ((bound - x[i]) / (w[i] - x[i])).clamp(0.0, 1.0);
                if blocking.is_none() || share < step {
                    (step, blocking) = (share, Some((i, at)));
                }
            }
            for i in (0..n).filter(|i| set.is_free(*i)) {
                x[i] += step * (w[i] - x[i]);
            }
            if let Some((i, at)) = blocking {
                set.0[i] = at;
                x[i] = self.bound(i, at);
                continue;
            }
            let wrong = |i: usize| match set.0[i] {
                At::Lower => w[i],
                At::Upper => -w[i],
                At::Free => 0.0,
            };
            let worst = (0..n).max_by(|i, j| wrong(*i).total_cmp(&wrong(*j)));
            match worst {
                Some(i) if wrong(i) > flat => set.0[i] = At::Free,
                _ => return true,
            }
        }
        // Feasible, not optimal.
        for i in 0..n {
            set.0[i] = At::Free;
            w[i] = x[i];
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    /// A Gram matrix of alike columns, and right-hand sides.
    fn problem(n: usize, draw: usize) -> (Vec<f64>, Vec<f64>) {
        let stream = Stream::new(3, "quadratic", 0);
        let rows = 2 * n + 2;
        let a: Vec<f64> =
            (0..rows * n).map(|k| 1.0 + 0.3 * stream.at(2 * draw, k).normal()).collect();
        let y: Vec<f64> =
            (0..rows).map(|k| 0.8 + 0.6 * stream.at(2 * draw + 1, k).normal()).collect();
        let at =
            |i: usize, j: usize| -> f64 { (0..rows).map(|r| a[r * n + i] * a[r * n + j]).sum() };
        let gram = (0..n * n).map(|k| at(k / n, k % n)).collect();
        let b = (0..n).map(|i| (0..rows).map(|r| a[r * n + i] * y[r]).sum()).collect();
        (gram, b)
    }

    /// Feasible, and no direction that stays feasible goes down.
    fn check(q: &Quadratic, b: &[f64], x: &[f64], name: &str) {
        let n = q.n;
        let g: Vec<f64> =
            (0..n).map(|i| b[i] - (0..n).map(|j| q.gram[i * n + j] * x[j]).sum::<f64>()).collect();
        let tiny = 1e-9 * b.iter().fold(0.0, |m: f64, b| m.max(b.abs()));
        let up = |i: &usize| x[*i] < q.upper[*i];
        let down = |i: &usize| x[*i] > q.lower[*i];
        for i in 0..n {
            assert!(x[i] >= q.lower[i] && x[i] <= q.upper[i], "{name} {x:?}");
        }
        let most_up = (0..n).filter(up).map(|i| g[i]).fold(f64::NEG_INFINITY, f64::max);
        let least_down = (0..n).filter(down).map(|i| g[i]).fold(f64::INFINITY, f64::min);
        match q.total {
            Some(total) => {
                let sum: f64 = x.iter().sum();
                assert!((sum - total).abs() < 1e-12 * (1.0 + total.abs()), "{name} {sum}");
                assert!(most_up - least_down < tiny, "{name}: {x:?} {g:?}");
            }
            None => assert!(most_up < tiny && least_down > -tiny, "{name}: {x:?} {g:?}"),
        }
    }

    #[test]
    fn optimality_conditions_hold() {
        let infinite = f64::INFINITY;
        let mut at_bounds = 0;
        for n in [1, 2, 3, 6, 12] {
            let conditions = [
                (0.0, infinite, None),
                (0.0, infinite, Some(1.0)),
                (0.0, 0.35, Some(1.0)),
                (-0.1, 0.4, None),
                (-infinite, infinite, Some(1.0)),
                (-infinite, 0.3, None),
            ];
            for (k, (low, high, total)) in conditions.into_iter().enumerate() {
                let mut known = Known::default();
                let (mut x, mut again) = (vec![0.0; n], vec![0.0; n]);
                for draw in 0..60 {
                    // The matrix of the first draw, so that maps are used again.
                    let (gram, (_, b)) = (problem(n, 0).0, problem(n, draw));
                    let Ok(q) = Quadratic::new(&gram, &vec![low; n], &vec![high; n], total) else {
                        assert!(n < 3, "{n} {k}");
                        continue;
                    };
                    let name = format!("{n} {k} {draw}");
                    assert!(q.solve(&b, &mut x, &mut known), "{name}");
                    check(&q, &b, &x, &name);
                    at_bounds += (0..n).filter(|i| !known.set().is_free(*i)).count();
                    // The other method ends at the same place, in the same bits.
                    let (mut set, mut w) = (Set(vec![At::Free; n]), vec![0.0; n]);
                    let flat = FLAT * b.iter().fold(0.0, |m: f64, b| m.max(b.abs()));
                    assert!(q.primal(&b, flat, &mut ByKey::default(), &mut set, &mut w), "{name}");
                    for i in 0..n {
                        again[i] = match set.0[i] {
                            At::Free => w[i].clamp(q.lower[i], q.upper[i]),
                            at => q.bound(i, at),
                        };
                    }
                    assert!(x.iter().zip(&again).all(|(a, b)| (a - b).abs() < 1e-9), "{name}");
                }
            }
        }
        assert!(at_bounds > 1000, "{at_bounds}");
    }

    /// Non-negative fits are those of [`crate::nnls`].
    #[test]
    fn equals_nnls() {
        for draw in 0..30 {
            let (gram, b) = problem(7, draw);
            let q = Quadratic::new(&gram, &[0.0; 7], &[f64::INFINITY; 7], None).unwrap();
            let mut x = [0.0; 7];
            assert!(q.solve(&b, &mut x, &mut Known::default()));
            let other = crate::nnls::nnls(&gram, &b);
            assert!(x.iter().zip(&other.x).all(|(a, b)| (a - b).abs() < 1e-9), "{x:?} {other:?}");
        }
    }

    #[test]
    fn covariance_is_that_of_the_estimate() {
        let (gram, _) = problem(4, 5);
        let q = Quadratic::new(&gram, &[0.0; 4], &[1.0; 4], Some(1.0)).unwrap();
        let covariance = q.covariance(&Set(vec![At::Free; 4])).unwrap();
        // A sum that is fixed has no variance.
        for row in covariance.chunks_exact(4) {
            assert!(row.iter().sum::<f64>().abs() < 1e-12 && row.iter().any(|v| *v > 1e-3));
        }
        let set = Set(vec![At::Free, At::Lower, At::Free, At::Free]);
        let bound = q.covariance(&set).unwrap();
        assert!(bound[5] == 0.0 && bound[0] <= covariance[0]);
        assert_eq!(set.freed(1), Set(vec![At::Free; 4]));
    }

    #[test]
    fn bad_programmes_are_refused() {
        let new = |gram: &[f64], total| Quadratic::new(gram, &[0.0; 2], &[0.4; 2], total);
        assert!(matches!(new(&[1.0; 3], None), Err(QuadraticError::Shape { .. })));
        assert_eq!(new(&[1.0; 4], None), Err(QuadraticError::Dependent { column: 1 }));
        let good = [1.0, 0.0, 0.0, 1.0];
        assert_eq!(new(&good, Some(1.0)), Err(QuadraticError::Infeasible { total: 1.0 }));
        assert!(new(&good, Some(0.5)).is_ok());
        assert!(Quadratic::new(&good, &[1.0; 2], &[0.0; 2], None).is_err());
        let far = new(&good, None).unwrap();
        let mut x = [0.0; 2];
        assert!(far.solve(&[0.0, f64::NAN], &mut x, &mut Known::default()) || x[1].is_nan());
    }
}
