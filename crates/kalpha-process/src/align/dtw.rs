//! Dynamic time warping.
//!
//! Finds the path of steps (1,1), (1,0), (0,1) through all pairs of points of two curves with
//! the least sum of squared differences; the distance is the root of that sum. A radius keeps
//! the path within so many channels of the diagonal. Ties go to (1,1), then (1,0).
//!
//! Anti-diagonals are computed whole, so that all their cells are independent. Source: Sakoe and
//! Chiba (1978), IEEE Trans. Acoust. Speech Signal Process. 26, 43,
//! doi:10.1109/TASSP.1978.1163055. Complexity O(n m), or O(n radius), in time and memory.
//! Tested against tslearn 0.10 (distance and path).

pub mod step;

use crate::instructions::for_each_instruction_set;

/// Working memory, and the path last found.
#[derive(Clone, Debug, Default)]
pub struct DtwScratch {
    /// Anti-diagonals one after the other, each with a guard at both ends.
    costs: Vec<f64>,
    /// Where each starts in `costs`, and the first row index it covers.
    starts: Vec<(usize, usize)>,
    reversed: Vec<f64>,
    path: Vec<(usize, usize)>,
}

impl DtwScratch {
    /// Pairs of matched points (index in `a`, index in `b`), from the first to the last.
    pub fn path(&self) -> &[(usize, usize)] {
        &self.path
    }
}

/// Bytes of working memory for curves of `n` and `m` points.
pub fn memory(n: usize, m: usize, radius: Option<usize>) -> usize {
    let wide = radius.map_or(n.min(m), |r| (r + n.abs_diff(m) + 3).min(n.min(m)));
    (n + m).saturating_mul(wide + 2).saturating_mul(8)
}

/// Distance of `a` and `b`; the path is left in `scratch`. `None` for an empty curve.
pub fn dtw(a: &[f64], b: &[f64], radius: Option<usize>, scratch: &mut DtwScratch) -> Option<f64> {
    let (n, m) = (a.len(), b.len());
    scratch.path.clear();
    if n == 0 || m == 0 {
        return None;
    }
    let DtwScratch { costs, starts, reversed, path } = scratch;
    reversed.clear();
    reversed.extend(b.iter().rev());
    // i - j lies between -below and above.
    let (below, above) = match radius {
        Some(r) => (r + m.saturating_sub(n), r + n.saturating_sub(m)),
        None => (m, n),
    };
    starts.clear();
    let mut total = 4;
    for d in 0..n + m - 1 {
        let low = (d + 1).saturating_sub(m).max(d.saturating_sub(below).div_ceil(2));
        let high = d.min(n - 1).min((d + above) / 2);
        starts.push((total, low));
        total += (high + 3).saturating_sub(low);
    }
    starts.push((total, 0));
    costs.clear();
    costs.resize(total, f64::INFINITY);
    // Two anti-diagonals before the first: the origin stands before (0, 0).
    costs[0] = 0.0;
    let (mut before, mut last) = ((0, 0), (2, 0));
    for d in 0..n + m - 1 {
        let (start, low) = starts[d];
        let len = starts[d + 1].0 - start - 2;
        let (old, new) = costs.split_at_mut(start);
        let (p2, p1) = (&old[before.0 + low - before.1..], &old[last.0 + low - last.1..]);
        if len > 0 {
            let from = m - 1 + low - d;
            anti_diagonal(
                &a[low..low + len],
                &reversed[from..from + len],
                &p2[..len],
                &p1[..len + 1],
                &mut new[1..1 + len],
            );
        }
        (before, last) = (last, (start, low));
    }
    let at = |i: usize, d: usize| {
        let (start, low) = starts[d];
        costs[start + 1 + i - low]
    };
    let distance = at(n - 1, n + m - 2).sqrt();
    let (mut i, mut j) = (n - 1, m - 1);
    path.push((i, j));
    while i > 0 || j > 0 {
        (i, j) = if i == 0 {
            (i, j - 1)
        } else if j == 0 {
            (i - 1, j)
        } else {
            let d = i + j;
            // A guard stands before the first cell, so i - 1 is there even at the edge.
            let (start, low) = starts[d - 1];
            let (up, left) = (costs[start + i - low], costs[start + 1 + i - low]);
            let (start, low) = starts[d - 2];
            let diagonal = costs[start + i - low];
            if diagonal <= up && diagonal <= left {
                (i - 1, j - 1)
            } else if up <= left {
                (i - 1, j)
            } else {
                (i, j - 1)
            }
        };
        path.push((i, j));
    }
    path.reverse();
    Some(distance)
}

#[inline(always)]
fn plain_anti_diagonal(a: &[f64], b: &[f64], p2: &[f64], p1: &[f64], new: &mut [f64]) {
    let n = new.len();
    let (a, b, p2, up, left) = (&a[..n], &b[..n], &p2[..n], &p1[..n], &p1[1..=n]);
    for k in 0..n {
        let difference = a[k] - b[k];
        let best = if up[k] < left[k] { up[k] } else { left[k] };
        let best = if p2[k] < best { p2[k] } else { best };
        new[k] = difference * difference + best;
    }
}

for_each_instruction_set! {
    fn anti_diagonal(a: &[f64], b: &[f64], p2: &[f64], p1: &[f64], new: &mut [f64])
        = plain_anti_diagonal
}

/// `b` on the points of `a`: the mean of all values that a point is matched to.
pub fn warp(b: &[f64], path: &[(usize, usize)], out: &mut [f64]) {
    let mut at = 0;
    while let Some(&(i, _)) = path.get(at) {
        let matched = path[at..].iter().take_while(|(k, _)| *k == i);
        let (sum, n) = matched.fold((0.0, 0usize), |(sum, n), (_, j)| (sum + b[*j], n + 1));
        out[i] = sum / n as f64;
        at += n;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The recursion as it is written down, without anti-diagonals.
    fn plain(a: &[f64], b: &[f64], radius: Option<usize>) -> f64 {
        let (n, m) = (a.len(), b.len());
        let mut cost = vec![vec![f64::INFINITY; m + 1]; n + 1];
        cost[0][0] = 0.0;
        for i in 0..n {
            for j in 0..m {
                let (below, above) = match radius {
                    Some(r) => (r + m.saturating_sub(n), r + n.saturating_sub(m)),
                    None => (m, n),
                };
                if j > i + below || i > j + above {
                    continue;
                }
                let best = cost[i][j].min(cost[i][j + 1]).min(cost[i + 1][j]);
                cost[i + 1][j + 1] = (a[i] - b[j]).powi(2) + best;
            }
        }
        cost[n][m].sqrt()
    }

    #[test]
    fn equals_the_recursion() {
        let curve = |n: usize, s: f64| -> Vec<f64> {
            (0..n).map(|i| (s * i as f64).sin() + 0.3 * (1.7 * s * i as f64).cos()).collect()
        };
        let mut scratch = DtwScratch::default();
        for (n, m) in [(1, 1), (1, 5), (7, 1), (20, 20), (31, 17), (17, 31)] {
            let (a, b) = (curve(n, 0.31), curve(m, 0.37));
            for radius in [None, Some(0), Some(1), Some(4)] {
                let got = dtw(&a, &b, radius, &mut scratch).unwrap();
                assert!((got - plain(&a, &b, radius)).abs() < 1e-12, "{n} {m} {radius:?}");
                let along: f64 = scratch.path().iter().map(|&(i, j)| (a[i] - b[j]).powi(2)).sum();
                assert!((along.sqrt() - got).abs() < 1e-12, "{n} {m} {radius:?}");
                let steps = scratch.path().windows(2);
                assert!(steps.clone().all(|w| {
                    let step = (w[1].0 - w[0].0, w[1].1 - w[0].1);
                    [(1, 1), (1, 0), (0, 1)].contains(&step)
                }));
            }
        }
        assert_eq!(dtw(&[], &[1.0], None, &mut scratch), None);
    }

    #[test]
    fn a_curve_is_warped_onto_itself() {
        let a: Vec<f64> = (0..50).map(|i| (0.3 * f64::from(i)).sin()).collect();
        let mut scratch = DtwScratch::default();
        assert_eq!(dtw(&a, &a, Some(5), &mut scratch), Some(0.0));
        let mut out = vec![0.0; 50];
        warp(&a, scratch.path(), &mut out);
        assert_eq!(out, a);
    }
}
