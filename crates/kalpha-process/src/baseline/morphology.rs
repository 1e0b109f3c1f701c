//! Erosion, dilation and opening of spectra by a flat window.
//!
//! Windows of `2 half + 1` channels; spectra are mirrored at their ends. Van Herk (1992),
//! doi:10.1016/0167-8655(92)90069-C: three comparisons per channel whatever the window. Equal
//! to SciPy's `grey_erosion`, `grey_dilation` and `grey_opening` to the bit.

use super::edges::mirrored;

/// Working memory, reusable.
#[derive(Default)]
pub struct Scratch {
    long: Vec<f64>,
    from_left: Vec<f64>,
    from_right: Vec<f64>,
    between: Vec<f64>,
}

fn extreme(
    y: &[f64],
    half: usize,
    pick: impl Fn(f64, f64) -> f64 + Copy,
    out: &mut [f64],
    scratch: &mut Scratch,
) {
    let n = y.len();
    if n == 0 {
        return;
    }
    let width = 2 * half + 1;
    let Scratch { long, from_left, from_right, .. } = scratch;
    long.clear();
    let h = half as isize;
    long.extend((-h..0).map(|i| y[mirrored(i, n)]));
    long.extend_from_slice(y);
    long.extend((n as isize..n as isize + h).map(|i| y[mirrored(i, n)]));
    from_left.clear();
    from_left.extend_from_slice(long);
    from_right.clear();
    from_right.extend_from_slice(long);
    for (left, right) in from_left.chunks_mut(width).zip(from_right.chunks_mut(width)) {
        for i in 1..left.len() {
            left[i] = pick(left[i - 1], left[i]);
        }
        for i in (1..right.len()).rev() {
            right[i - 1] = pick(right[i - 1], right[i]);
        }
    }
    let ends = from_left.iter().skip(width - 1);
    for ((out, a), b) in out.iter_mut().zip(from_right.iter()).zip(ends) {
        *out = pick(*a, *b);
    }
}

/// Smallest value within `half` channels.
pub fn erosion(y: &[f64], half: usize, out: &mut [f64], scratch: &mut Scratch) {
    extreme(y, half, |a, b| if b < a { b } else { a }, out, scratch);
}

/// Largest value within `half` channels.
pub fn dilation(y: &[f64], half: usize, out: &mut [f64], scratch: &mut Scratch) {
    extreme(y, half, |a, b| if b > a { b } else { a }, out, scratch);
}

/// Erosion, then dilation: cuts what is narrower than the window.
pub fn opening(y: &[f64], half: usize, out: &mut [f64], scratch: &mut Scratch) {
    let mut between = std::mem::take(&mut scratch.between);
    between.resize(y.len(), 0.0);
    erosion(y, half, &mut between, scratch);
    dilation(&between, half, out, scratch);
    scratch.between = between;
}

/// The half-window from which the opening stays as it is for three windows in a row, as
/// pybaselines' `optimize_window` finds it; it fits the widest peak.
///
/// Perez-Pueyo, Soneira and Ruiz-Moreno (2010), Appl. Spectrosc. 64, 595,
/// doi:10.1366/000370210791414281.
pub fn optimal_half_window(y: &[f64], scratch: &mut Scratch) -> usize {
    let widest = y.len().saturating_sub(1) / 2;
    let (mut before, mut after) = (vec![0.0; y.len()], vec![0.0; y.len()]);
    opening(y, 1, &mut before, scratch);
    let (mut hits, mut best, mut last) = (0, 1, 1);
    for half in 2..widest {
        last = half;
        opening(y, half, &mut after, scratch);
        let (mut change, mut norm) = (0.0, 0.0);
        for (a, b) in after.iter().zip(&before) {
            change += (a - b) * (a - b);
            norm += b * b;
        }
        if change.sqrt() < 1e-6 * norm.sqrt().max(f64::MIN_POSITIVE) {
            if hits == 0 {
                best = half - 1;
            }
            hits += 1;
            if hits == 3 {
                return best;
            }
        } else {
            hits = 0;
        }
        std::mem::swap(&mut before, &mut after);
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_definition() {
        let y: Vec<f64> = (0..61).map(|i| (f64::from(i * i) * 0.37).sin() * 10.0).collect();
        let mut scratch = Scratch::default();
        for half in [0, 1, 2, 7, 30, 75] {
            let (mut low, mut high) = (vec![0.0; 61], vec![0.0; 61]);
            erosion(&y, half, &mut low, &mut scratch);
            dilation(&y, half, &mut high, &mut scratch);
            for i in 0..61isize {
                let h = half as isize;
                let window = (i - h..=i + h).map(|j| y[mirrored(j, 61)]);
                let min = window.clone().fold(f64::INFINITY, f64::min);
                let max = window.fold(f64::NEG_INFINITY, f64::max);
                assert_eq!((low[i as usize], high[i as usize]), (min, max), "{half} {i}");
            }
        }
    }

    #[test]
    fn opening_cuts_a_narrow_peak() {
        let mut y = vec![1.0; 50];
        y[20..25].fill(9.0);
        let (mut scratch, mut out) = (Scratch::default(), vec![0.0; 50]);
        opening(&y, 3, &mut out, &mut scratch);
        assert!(out.iter().all(|v| *v == 1.0));
        opening(&y, 2, &mut out, &mut scratch);
        assert_eq!(out, y);
        assert_eq!(optimal_half_window(&y, &mut scratch), 3);
        assert_eq!(optimal_half_window(&[1.0, 2.0], &mut scratch), 1);
    }
}
