//! The number of phases that half of the pixels predict for the other half.

use super::Stability;
use super::kmeans::{Points, kmeans, nearest};
use kalpha_core::{Passes, StepError};
use kalpha_num::rng::Stream;
use std::sync::Mutex;

/// Pixels the stability is judged on; more do not change it.
const PIXELS: usize = 6_000;

/// Prediction strength of 1, 2, .. `most` phases.
pub(super) fn strengths(
    sample: &Points,
    passes: &dyn Passes,
    most: usize,
    splits: usize,
) -> Result<Vec<Stability>, StepError> {
    let sample = sample.sample(PIXELS, passes.ctx().seed() ^ 1);
    let most = most.min(sample.len() / 8).max(1);
    let found = Mutex::new(vec![1.0; splits * most]);
    passes.parallel(splits * (most - 1), &|job| {
        let (split, k) = (job % splits, 2 + job / splits);
        let mut order: Vec<usize> = (0..sample.len()).collect();
        Stream::new(passes.ctx().seed(), "phases split", split as u32).row(0).shuffle(&mut order);
        let (a, b) = order.split_at(order.len() / 2);
        let (a, b) = (sample.select(a), sample.select(b));
        let pass = (1 + split * most + k) as u32;
        let theirs = kmeans(&a, k, passes.ctx(), pass)?;
        let own = kmeans(&b, k, passes.ctx(), pass)?;
        let strength = prediction_strength(&b, &own, &theirs);
        found.lock().unwrap_or_else(std::sync::PoisonError::into_inner)[(k - 1) * splits + split] =
            strength;
        Ok(())
    })?;
    let found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let n = splits as f64;
    Ok(found
        .chunks_exact(splits)
        .enumerate()
        .map(|(i, s)| {
            let mean = s.iter().sum::<f64>() / n;
            let variance = s.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
            Stability { phases: i + 1, strength: mean, standard_error: (variance / n).sqrt() }
        })
        .collect())
}

/// Share of pixel pairs of a cluster that the other centres keep together; the worst cluster.
fn prediction_strength(points: &Points, own: &[Vec<f64>], theirs: &[Vec<f64>]) -> f64 {
    let mut table = vec![0.0; own.len() * theirs.len()];
    for i in 0..points.len() {
        let (a, b) = (nearest(points.at(i), own).0, nearest(points.at(i), theirs).0);
        table[a * theirs.len() + b] += 1.0;
    }
    let pairs = |n: f64| n * (n - 1.0);
    let share = |row: &[f64]| {
        let all = pairs(row.iter().sum());
        // A cluster of one pixel predicts nothing.
        if all > 0.0 { row.iter().map(|&n| pairs(n)).sum::<f64>() / all } else { 0.0 }
    };
    table.chunks_exact(theirs.len()).map(share).fold(1.0, f64::min)
}

/// The largest number whose strength reaches the threshold.
pub(super) fn choose(stability: &[Stability], threshold: f64) -> usize {
    let reaches = |s: &&Stability| s.strength >= threshold;
    stability.iter().rfind(reaches).map_or(1, |s| s.phases)
}
