//! Statistics-sensitive non-linear iterative peak clipping (SNIP).
//!
//! For half-windows p the baseline becomes `min(z_i, (z_{i-p} + z_{i+p}) / 2)`.
//!
//! Source: Ryan et al. (1988), Nucl. Instrum. Methods B 34, 396,
//! doi:10.1016/0168-583X(88)90063-8; Morháč (2009), doi:10.1016/j.nima.2008.11.132 for
//! decreasing windows and differences of higher order. Complexity O(n max_half_window). Tested
//! against pybaselines 1.2.1 `snip`, ends and all filter orders included.

mod clip;

pub use clip::{Scratch, Snip};

/// Order of the half-windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Windows {
    /// 1, 2, ... up to the maximum.
    Increasing,
    /// From the maximum down to 1: smoother.
    Decreasing,
}

/// Clips peaks narrower than `2 half_window` channels from `y`.
///
/// Plain second-order clipping on the values as they are; channels closer to an end than the
/// current half-window keep their value. Equal to pybaselines 1.2.1 `snip` (filter_order 2, no
/// smoothing) away from the ends, where that pads by extrapolation.
pub fn snip(y: &[f64], half_window: usize, windows: Windows) -> Vec<f64> {
    let n = y.len();
    let mut z = y.to_vec();
    let mut clipped = z.clone();
    let widest = half_window.min(n.saturating_sub(1) / 2);
    for step in 1..=widest {
        let p = match windows {
            Windows::Increasing => step,
            Windows::Decreasing => widest + 1 - step,
        };
        for i in p..n - p {
            clipped[i] = z[i].min(0.5 * (z[i - p] + z[i + p]));
        }
        z[p..n - p].copy_from_slice(&clipped[p..n - p]);
    }
    z
}

/// `ln(ln(sqrt(v + 1) + 1) + 1)`.
fn compress(v: f64) -> f64 {
    (((v + 1.0).sqrt() + 1.0).ln() + 1.0).ln()
}

/// What [`compress`] has made of a value, undone.
fn expand(v: f64) -> f64 {
    ((v.exp() - 1.0).exp() - 1.0).powi(2) - 1.0
}

/// SNIP for counts with a window that follows the detector's resolution.
///
/// `half_windows[i]` is the half-window of channel i, usually 1.5 to 2 times the FWHM in
/// channels. The counts are first averaged over `smooth` channels on each side, because
/// clipping follows the lower edge of the noise, and compressed by
/// `ln(ln(sqrt(y + 1) + 1) + 1)`. Windows run from wide to narrow. Values that are not finite
/// or negative count as zero.
pub fn snip_counts(y: &[f64], half_windows: &[usize], smooth: usize) -> Vec<f64> {
    let n = y.len();
    let clean: Vec<f64> = y.iter().map(|&v| if v.is_finite() { v.max(0.0) } else { 0.0 }).collect();
    let mut z: Vec<f64> = (0..n)
        .map(|i| {
            let reach = smooth.min(i).min(n - 1 - i);
            let window = &clean[i - reach..=i + reach];
            compress(window.iter().sum::<f64>() / window.len() as f64)
        })
        .collect();
    let widest = half_windows.iter().copied().max().unwrap_or(0);
    let mut clipped = z.clone();
    for p in (1..=widest.min(n.saturating_sub(1) / 2)).rev() {
        for i in p..n - p {
            clipped[i] = if half_windows.get(i).is_some_and(|&w| p <= w) {
                z[i].min(0.5 * (z[i - p] + z[i + p]))
            } else {
                z[i]
            };
        }
        z[p..n - p].copy_from_slice(&clipped[p..n - p]);
    }
    z.into_iter().map(|v| expand(v).max(0.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::asls;

    fn spectrum() -> Vec<f64> {
        asls::test_spectrum()
    }

    #[test]
    fn equals_pybaselines_inside() {
        // pybaselines 1.2.1, Baseline().snip(y, max_half_window=20, decreasing=..).
        let (increasing, decreasing) = include!("snip_expected.in");
        for (windows, expected) in
            [(Windows::Increasing, increasing), (Windows::Decreasing, decreasing)]
        {
            let got = snip(&spectrum(), 20, windows);
            for (i, want) in expected {
                let got: f64 = got[i];
                assert!((got - want).abs() < 1e-9, "{windows:?} {i}: {got} {want}");
            }
        }
    }

    #[test]
    fn keeps_the_continuum_and_removes_the_peaks() {
        let smooth: Vec<f64> = (0..400).map(|i| 500.0 * (-f64::from(i) / 250.0).exp()).collect();
        let with: Vec<f64> = (0..400)
            .map(|i| smooth[i] + 5000.0 * (-0.5 * ((i as f64 - 200.0) / 4.0).powi(2)).exp())
            .collect();
        let got = snip_counts(&with, &vec![25; 400], 2);
        for i in 30..370 {
            assert!((got[i] / smooth[i] - 1.0).abs() < 0.03, "{i}: {}", got[i] / smooth[i]);
        }
    }

    #[test]
    fn edge_cases() {
        assert!(snip(&[], 5, Windows::Increasing).is_empty());
        assert_eq!(snip(&[3.0], 5, Windows::Decreasing), [3.0]);
        assert!(snip_counts(&[], &[], 2).is_empty());
        let z = snip_counts(&[f64::NAN, -3.0, 4.0, f64::INFINITY], &[1; 4], 1);
        assert!(z.iter().all(|v| v.is_finite() && *v >= 0.0));
    }
}
