//! Many tests at once.

/// Family-wise p-values: `min(1, p * m)` (Bonferroni).
pub fn bonferroni(p: &[f64]) -> Vec<f64> {
    p.iter().map(|x| (x * p.len() as f64).min(1.0)).collect()
}

/// Indices by rising p; NaN last.
fn order(p: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    order
}

/// Family-wise p-values by Holm's step-down rule (1979): never above Bonferroni's.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; p.len()];
    let mut running = 0.0f64;
    for (rank, i) in order(p).into_iter().enumerate() {
        running = running.max((p[i] * (p.len() - rank) as f64).min(1.0));
        out[i] = running;
    }
    out
}

/// False-discovery-rate q-values, valid for independent or positively dependent tests.
///
/// Source: Benjamini and Hochberg (1995), doi:10.1111/j.2517-6161.1995.tb02031.x.
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    step_up(p, 1.0)
}

/// False-discovery-rate q-values under any dependence.
///
/// Source: Benjamini and Yekutieli (2001), doi:10.1214/aos/1013699998.
pub fn benjamini_yekutieli(p: &[f64]) -> Vec<f64> {
    step_up(p, (1..=p.len()).map(|i| 1.0 / i as f64).sum())
}

fn step_up(p: &[f64], factor: f64) -> Vec<f64> {
    let mut out = vec![0.0; p.len()];
    let mut running = 1.0f64;
    for (rank, i) in order(p).into_iter().enumerate().rev() {
        running = running.min(p[i] * factor * p.len() as f64 / (rank + 1) as f64);
        out[i] = running;
    }
    out
}
