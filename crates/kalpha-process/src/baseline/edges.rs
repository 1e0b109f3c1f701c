//! Continuing a spectrum past its ends, and moving means that need it.

/// Puts `y`, continued by `pad` values on each side, into `out`.
///
/// The continuation is the straight line through the first (last) `pad` values, as pybaselines
/// pads by default; through one value it is level.
pub(crate) fn extrapolate(y: &[f64], pad: usize, out: &mut Vec<f64>) {
    out.clear();
    let fitted = pad.min(y.len());
    let (first, last) = (&y[..fitted], &y[y.len() - fitted..]);
    let (level, slope) = line(first);
    // Distances are from the middle of the fitted values.
    let middle = 0.5 * (fitted as f64 - 1.0);
    out.extend((0..pad).map(|i| level + slope * (i as f64 - pad as f64 - middle)));
    out.extend_from_slice(y);
    let (level, slope) = line(last);
    out.extend((0..pad).map(|i| level + slope * (i as f64 + fitted as f64 - middle)));
}

/// Mean and slope per index of some values.
fn line(y: &[f64]) -> (f64, f64) {
    let n = y.len() as f64;
    let mean = y.iter().sum::<f64>() / n.max(1.0);
    let middle = 0.5 * (n - 1.0);
    let (mut top, mut bottom) = (0.0, 0.0);
    for (i, v) in y.iter().enumerate() {
        let d = i as f64 - middle;
        top += d * (v - mean);
        bottom += d * d;
    }
    (mean, if bottom > 0.0 { top / bottom } else { 0.0 })
}

/// Index of a point off the end of n points when the signal is mirrored, each end value twice.
pub(crate) fn mirrored(i: isize, n: usize) -> usize {
    let period = 2 * n as isize;
    let j = i.rem_euclid(period.max(1)) as usize;
    if j < n { j } else { 2 * n - 1 - j }
}

/// Mean over `2 half + 1` values, mirrored at the ends, by a running sum.
///
/// Adds and divides in the order of SciPy's `uniform_filter1d`: the same bits.
pub(crate) fn moving_mean(y: &[f64], half: usize, out: &mut [f64]) {
    let n = y.len();
    let size = (2 * half + 1) as f64;
    let at = |i: isize| match y.get(i.unsigned_abs()) {
        Some(v) if i >= 0 => *v,
        _ => y[mirrored(i, n)],
    };
    let h = half as isize;
    let mut sum: f64 = (-h..=h).map(at).sum();
    for (i, out) in out.iter_mut().enumerate().take(n) {
        if i > 0 {
            sum += at(i as isize + h) - at(i as isize - h - 1);
        }
        *out = sum / size;
    }
}

/// Working memory of [`smoothed`].
#[derive(Default)]
pub struct Padded {
    long: Vec<f64>,
    mean: Vec<f64>,
}

/// Mean over `2 half + 1` values of `y` continued past its ends by straight lines.
pub(crate) fn smoothed(y: &[f64], half: usize, out: &mut [f64], scratch: &mut Padded) {
    extrapolate(y, half, &mut scratch.long);
    scratch.mean.resize(scratch.long.len(), 0.0);
    moving_mean(&scratch.long, half, &mut scratch.mean);
    out.copy_from_slice(&scratch.mean[half..half + y.len()]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_continue_and_means_are_mirrored() {
        let y: Vec<f64> = (0..7).map(|i| 2.0 - 0.5 * f64::from(i)).collect();
        let mut out = Vec::new();
        extrapolate(&y, 3, &mut out);
        for (i, v) in out.iter().enumerate() {
            assert!((v - (2.0 - 0.5 * (i as f64 - 3.0))).abs() < 1e-14, "{i}");
        }
        extrapolate(&[4.0, 8.0], 1, &mut out);
        assert_eq!(out, [4.0, 4.0, 8.0, 8.0]);
        let mut mean = [0.0; 4];
        moving_mean(&[1.0, 2.0, 4.0, 8.0], 1, &mut mean);
        assert_eq!(mean, [4.0 / 3.0, 7.0 / 3.0, 14.0 / 3.0, 20.0 / 3.0]);
        let mut wide = [0.0; 2];
        moving_mean(&[1.0, 3.0], 3, &mut wide);
        // Mirrored: 3 3 1 | 1 3 | 3 1 1.
        assert_eq!(wide, [15.0 / 7.0, 13.0 / 7.0]);
    }
}
