//! Non-negative least squares by active sets on the normal equations.
//!
//! Minimises `|A x - y|²` under `x >= 0` from the Gram matrix `AᵀA` and `Aᵀy` alone.
//!
//! Source: Bro and de Jong (1997), J. Chemometrics 11, 393,
//! doi:10.1002/(SICI)1099-128X(199709/10)11:5<393::AID-CEM483>3.0.CO;2-L.

use crate::least_squares::Cholesky;

/// Solution of a non-negative fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Nnls {
    /// Coefficients, none below zero.
    pub x: Vec<f64>,
    /// False when the iteration limit was met first; `x` is then feasible but not optimal.
    pub converged: bool,
}

/// Fits with `gram = AᵀA` (n x n, row-major, symmetric) and `aty = Aᵀy`.
///
/// Columns are scaled to unit norm first, so the answer does not depend on their units.
/// Columns with a norm that is not positive keep zero. Complexity O(n³) per change of the
/// active set. Tested against its optimality conditions: gradient zero on the support and not
/// positive off it.
pub fn nnls(gram: &[f64], aty: &[f64]) -> Nnls {
    let n = aty.len();
    let scale: Vec<f64> = (0..n)
        .map(|i| {
            let g = gram[i * n + i];
            if g > 0.0 { g.sqrt().recip() } else { 0.0 }
        })
        .collect();
    let g: Vec<f64> = (0..n * n).map(|k| gram[k] * scale[k / n] * scale[k % n]).collect();
    let b: Vec<f64> = aty.iter().zip(&scale).map(|(v, s)| v * s).collect();
    let tolerance = 1e-10 * b.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    let mut x = vec![0.0; n];
    let mut free = vec![false; n];
    let mut blocked = vec![false; n];
    let limit = 3 * n + 30;
    let mut steps = 0;
    loop {
        let gradient = |i: usize| b[i] - (0..n).map(|j| g[i * n + j] * x[j]).sum::<f64>();
        let entering = (0..n)
            .filter(|&i| !free[i] && !blocked[i] && scale[i] > 0.0)
            .map(|i| (gradient(i), i))
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let Some((slope, entering)) = entering else { break };
        if slope <= tolerance || slope.is_nan() {
            break;
        }
        free[entering] = true;
        loop {
            steps += 1;
            let support: Vec<usize> = (0..n).filter(|&i| free[i]).collect();
            let Some(s) = solve_on(&g, &b, n, &support) else {
                // A column that depends on the support brings nothing.
                free[entering] = false;
                blocked[entering] = true;
                break;
            };
            if s.iter().all(|&v| v > 0.0) {
                x.iter_mut().for_each(|v| *v = 0.0);
                support.iter().zip(&s).for_each(|(&i, &v)| x[i] = v);
                blocked.iter_mut().for_each(|v| *v = false);
                break;
            }
            let mut step = 1.0_f64;
            for (&i, &v) in support.iter().zip(&s) {
                if v <= 0.0 {
                    step = step.min(x[i] / (x[i] - v));
                }
            }
            for (&i, &v) in support.iter().zip(&s) {
                x[i] += step * (v - x[i]);
                if v <= 0.0 && x[i] <= 1e-14 {
                    x[i] = 0.0;
                    free[i] = false;
                }
            }
            if steps > limit {
                break;
            }
        }
        if steps > limit {
            x.iter_mut().zip(&scale).for_each(|(v, s)| *v = v.max(0.0) * s);
            return Nnls { x, converged: false };
        }
    }
    x.iter_mut().zip(&scale).for_each(|(v, s)| *v *= s);
    Nnls { x, converged: true }
}

fn solve_on(g: &[f64], b: &[f64], n: usize, support: &[usize]) -> Option<Vec<f64>> {
    let q = support.len();
    let sub: Vec<f64> = (0..q * q).map(|k| g[support[k / q] * n + support[k % q]]).collect();
    let rhs: Vec<f64> = support.iter().map(|&i| b[i]).collect();
    Cholesky::new(&sub, q).ok().map(|c| c.solve(&rhs))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(seed: u64, rows: usize, n: usize) -> (Vec<f64>, Vec<f64>) {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as f64 / (1u64 << 31) as f64 - 0.3
        };
        let a: Vec<f64> = (0..rows * n).map(|_| next()).collect();
        let y: Vec<f64> = (0..rows).map(|_| next()).collect();
        let mut gram = vec![0.0; n * n];
        let mut aty = vec![0.0; n];
        for r in 0..rows {
            for i in 0..n {
                aty[i] += a[r * n + i] * y[r];
                for j in 0..n {
                    gram[i * n + j] += a[r * n + i] * a[r * n + j];
                }
            }
        }
        (gram, aty)
    }

    #[test]
    fn optimality_conditions_hold() {
        let mut zeros = 0;
        for seed in 0..40 {
            let n = 12;
            let (gram, aty) = problem(seed, 30, n);
            let fit = nnls(&gram, &aty);
            assert!(fit.converged);
            for i in 0..n {
                let g = aty[i] - (0..n).map(|j| gram[i * n + j] * fit.x[j]).sum::<f64>();
                assert!(fit.x[i] >= 0.0);
                if fit.x[i] > 0.0 {
                    assert!(g.abs() < 1e-9, "{seed} {i} {g}");
                } else {
                    zeros += 1;
                    assert!(g < 1e-9, "{seed} {i} {g}");
                }
            }
        }
        assert!(zeros > 20);
    }

    #[test]
    fn duplicate_and_empty_columns_are_harmless() {
        let gram = [2.0, 2.0, 0.0, 2.0, 2.0, 0.0, 0.0, 0.0, 0.0];
        let fit = nnls(&gram, &[4.0, 4.0, 1.0]);
        assert!(fit.converged);
        assert!((fit.x[0] + fit.x[1] - 2.0).abs() < 1e-12);
        assert_eq!(fit.x[2], 0.0);
        assert_eq!(nnls(&[], &[]).x.len(), 0);
    }
}
