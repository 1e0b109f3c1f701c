//! Amplitudes for given positions and widths: the linear half of variable projection.
//!
//! Weighted linear least squares within bounds by an active set on the normal equations: what leaves
//! its bounds is put at the one it crosses; what would gain by coming back is freed.
//!
//! Source: Golub and Pereyra (1973), SIAM J. Numer. Anal. 10, 413, doi:10.1137/0710036; bounds:
//! Stark and Parker (1995), Comput. Stat. 10, 129.

use kalpha_num::least_squares::{Bounds, Cholesky};

/// Memory of the solution.
#[derive(Clone, Debug, Default)]
pub(super) struct LinearSolver {
    columns: Vec<f64>,
    target: Vec<f64>,
}

impl LinearSolver {
    /// Room for `n` columns of `m` values.
    pub(super) fn columns(&mut self, m: usize, n: usize) -> &mut [f64] {
        self.columns.resize(m * n, 0.0);
        &mut self.columns
    }

    /// Replaces those of `free` that `linear` marks by their best values. `model` is the model at
    /// `free`, of which the columns are derivatives.
    pub(super) fn solve(
        &mut self,
        linear: &[bool],
        root: &[f64],
        y: &[f64],
        model: &[f64],
        bounds: Bounds<'_>,
        free: &mut [f64],
    ) {
        let m = y.len();
        let chosen: Vec<usize> = (0..free.len()).filter(|f| linear[*f]).collect();
        self.target.clear();
        self.target.extend(y.iter().zip(model).map(|(y, f)| y - f));
        for &f in &chosen {
            let column = &mut self.columns[f * m..(f + 1) * m];
            let value = free[f];
            self.target.iter_mut().zip(column.iter()).for_each(|(t, c)| *t += value * c);
            column.iter_mut().zip(root).for_each(|(c, w)| *c *= w);
        }
        self.target.iter_mut().zip(root).for_each(|(t, w)| *t *= w);
        let column = |k: usize| &self.columns[chosen[k] * m..(chosen[k] + 1) * m];
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let n = chosen.len();
        let scale: Vec<f64> = (0..n)
            .map(|k| {
                let norm = dot(column(k), column(k)).sqrt();
                if norm > 0.0 && norm.is_finite() { norm.recip() } else { 0.0 }
            })
            .collect();
        let mut gram = vec![0.0; n * n];
        let mut right = vec![0.0; n];
        for i in 0..n {
            for j in 0..=i {
                let g = dot(column(i), column(j)) * scale[i] * scale[j];
                (gram[i * n + j], gram[j * n + i]) = (g, g);
            }
            right[i] = dot(column(i), &self.target) * scale[i];
        }
        // In scaled units.
        let low: Vec<f64> =
            (0..n).map(|k| bounds.clip(chosen[k], f64::NEG_INFINITY) / scale[k]).collect();
        let high: Vec<f64> =
            (0..n).map(|k| bounds.clip(chosen[k], f64::INFINITY) / scale[k]).collect();
        let mut x = vec![0.0; n];
        // What has no effect keeps its value.
        let mut active: Vec<bool> = scale.iter().map(|s| *s > 0.0).collect();
        let movable = active.clone();
        for _ in 0..4 * n + 4 {
            let support: Vec<usize> = (0..n).filter(|k| active[*k]).collect();
            let size = support.len();
            let mut part = Vec::with_capacity(size * size);
            for i in &support {
                part.extend(support.iter().map(|j| gram[i * n + j]));
            }
            let b: Vec<f64> = support
                .iter()
                .map(|&i| {
                    right[i]
                        - (0..n)
                            .filter(|j| !active[*j])
                            .map(|j| gram[i * n + j] * x[j])
                            .sum::<f64>()
                })
                .collect();
            let Ok(factor) = Cholesky::new(&part, size) else { return };
            let solved = factor.solve(&b);
            let mut crossed = false;
            for (&k, v) in support.iter().zip(&solved) {
                x[k] = v.max(low[k]).min(high[k]);
                if x[k] != *v {
                    active[k] = false;
                    crossed = true;
                }
            }
            if crossed {
                continue;
            }
            // The one whose gradient points inwards most.
            let inward = (0..n)
                .filter(|k| movable[*k] && !active[*k])
                .map(|k| {
                    let g = right[k] - (0..n).map(|j| gram[k * n + j] * x[j]).sum::<f64>();
                    (if x[k] <= low[k] { g } else { -g }, k)
                })
                .max_by(|a, b| a.0.total_cmp(&b.0));
            match inward {
                Some((gain, k)) if gain > 1e-10 * right[k].abs().max(1e-300) => active[k] = true,
                _ => break,
            }
        }
        for k in 0..n {
            if movable[k] {
                free[chosen[k]] = bounds.clip(chosen[k], x[k] * scale[k]);
            }
        }
    }
}
