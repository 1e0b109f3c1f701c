//! One side of the alternation: many small least-squares problems with one Gram matrix.

use kalpha_num::quadratic::{Known, Quadratic, Set};

/// Share of the largest diagonal element that is added to a Gram matrix of dependent components.
const RIDGE: f64 = 1e-10;

/// Dot product in eight sums: a fixed order that is the same for every instruction set.
#[inline(always)]
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (ca, cb) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f64 = ca.remainder().iter().zip(cb.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in ca.zip(cb) {
        for k in 0..8 {
            sums[k] += x[k] * y[k];
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + e) + (b + f)) + ((c + g) + (d + h)) + tail
}

/// Rows or channels, with what is fixed of each.
pub(super) struct Side {
    k: usize,
    lower: f64,
    total: Option<f64>,
    /// Fixed components of each item, as bits.
    fixed: Vec<u32>,
    sets: Vec<Set>,
    /// One programme for each pattern of fixed components.
    patterns: Vec<Pattern>,
}

struct Pattern {
    fixed: u32,
    free: Vec<usize>,
    known: Known,
    quadratic: Option<Quadratic>,
}

impl Side {
    pub fn new(items: usize, k: usize, lower: f64, total: Option<f64>) -> Self {
        let (fixed, sets) = (vec![0; items], vec![Set::default(); items]);
        Self { k, lower, total, fixed, sets, patterns: Vec::new() }
    }

    /// Holds a component of an item at the value it has.
    pub fn fix(&mut self, item: usize, component: usize) {
        self.fixed[item] |= 1 << component;
    }

    /// Minimises `½ xᵀ G x - bᵀ x` for every item; `pulls` and `out` are items x components.
    pub fn solve(&mut self, gram: &[f64], pulls: &[f64], out: &mut [f64]) {
        let k = self.k;
        let Self { fixed, sets, patterns, .. } = self;
        for pattern in fixed.iter() {
            if patterns.iter().all(|p| p.fixed != *pattern) {
                let free = (0..k).filter(|i| pattern >> i & 1 == 0).collect();
                let known = Known::default();
                patterns.push(Pattern { fixed: *pattern, free, known, quadratic: None });
            }
        }
        for pattern in patterns.iter_mut() {
            pattern.known.forget();
            pattern.quadratic = programme(gram, k, &pattern.free, self.lower, self.total);
        }
        let (mut b, mut x) = (Vec::with_capacity(k), vec![0.0; k]);
        for (item, (pull, out)) in pulls.chunks_exact(k).zip(out.chunks_exact_mut(k)).enumerate() {
            let Some(at) = patterns.iter().position(|p| p.fixed == fixed[item]) else { continue };
            let Pattern { fixed, free, known, quadratic } = &mut patterns[at];
            let Some(quadratic) = quadratic else { continue };
            b.clear();
            for &i in free.iter() {
                let held: f64 =
                    (0..k).filter(|j| *fixed >> j & 1 == 1).map(|j| gram[i * k + j] * out[j]).sum();
                b.push(pull[i] - held);
            }
            let x = &mut x[..free.len()];
            quadratic.solve_near(&b, x, &mut sets[item], known);
            free.iter().zip(x.iter()).for_each(|(&i, v)| out[i] = *v);
        }
    }
}

/// The programme of the free components; nothing where none is free. Components that have become
/// alike, or nothing, are told apart by a ridge far below all others.
fn programme(
    gram: &[f64],
    k: usize,
    free: &[usize],
    lower: f64,
    total: Option<f64>,
) -> Option<Quadratic> {
    let q = free.len();
    if q == 0 {
        return None;
    }
    let mut sub: Vec<f64> = (0..q * q).map(|e| gram[free[e / q] * k + free[e % q]]).collect();
    let (lower, upper) = (vec![lower; q], vec![f64::INFINITY; q]);
    let largest = (0..q).map(|i| sub[i * (q + 1)]).fold(f64::MIN_POSITIVE, f64::max);
    for power in 0..6 {
        if let Ok(found) = Quadratic::new(&sub, &lower, &upper, total) {
            return Some(found);
        }
        (0..q).for_each(|i| sub[i * (q + 1)] += RIDGE * 10f64.powi(power) * largest);
    }
    None
}
