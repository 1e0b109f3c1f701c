//! Widths of the peaks of a spectrum, before anything is known of its baseline.

/// Standard deviations above which a bump is a peak.
const SIGNIFICANT: f64 = 6.0;
/// Ratio of one window to the next.
const RATIO: f64 = 1.3;

/// Widths of the peaks found, in channels, from narrow to wide.
///
/// Each window of s channels is compared to half of the s channels on either side; the
/// difference in units of its own noise is largest where s fits a peak. From each significant
/// bump, narrow ones first, the size is followed to wider windows until it falls; a bump that
/// grows up to a sixth of the spectrum is no peak but background.
pub(super) fn peak_widths(y: &[f64], sigma: &[f64]) -> Vec<f64> {
    let n = y.len();
    let mut windows: Vec<usize> = Vec::new();
    let mut window = 3.0;
    while window < n as f64 / 6.0 {
        let odd = (window.round() as usize) | 1;
        if windows.last() != Some(&odd) {
            windows.push(odd);
        }
        window *= RATIO;
    }
    let mut sums = vec![0.0; n + 1];
    for (i, v) in y.iter().enumerate() {
        sums[i + 1] = sums[i] + v;
    }
    let responses: Vec<Vec<f64>> =
        windows.iter().map(|window| response(&sums, sigma, *window)).collect();
    let mut claimed = vec![false; n];
    let mut widths = Vec::new();
    for (k, window) in windows.iter().enumerate() {
        let here = &responses[k];
        let mut bumps: Vec<usize> = (1..n.saturating_sub(1))
            .filter(|&i| here[i] > SIGNIFICANT && here[i] >= here[i - 1] && here[i] > here[i + 1])
            .collect();
        bumps.sort_by(|a, b| here[*b].total_cmp(&here[*a]));
        for bump in bumps {
            if claimed[bump] {
                continue;
            }
            let (mut claim, mut reach) = (bump, *window);
            let mut place = (bump, here[bump]);
            for next in k + 1..windows.len() {
                let near = windows[next] / 4 + 1;
                let (first, end) = (place.0.saturating_sub(near), (place.0 + near + 1).min(n));
                let best = (first..end)
                    .max_by(|a, b| responses[next][*a].total_cmp(&responses[next][*b]))
                    .map_or(place, |i| (i, responses[next][i]));
                if best.1 < place.1 {
                    (claim, reach) = (place.0, windows[next - 1]);
                    widths.push(reach as f64);
                    break;
                }
                place = best;
            }
            claimed[claim.saturating_sub(reach)..(claim + reach + 1).min(n)].fill(true);
        }
    }
    widths.sort_by(f64::total_cmp);
    widths
}

fn response(sums: &[f64], sigma: &[f64], window: usize) -> Vec<f64> {
    let n = sigma.len();
    let noise = (1.5 * window as f64).sqrt();
    let mut out = vec![0.0; n];
    for (i, out) in out.iter_mut().enumerate() {
        let (Some(a), b) = (i.checked_sub(window / 2 + window), i + 2 * window - window / 2) else {
            continue;
        };
        if b > n {
            break;
        }
        let (first, last) = (a + window, b - window);
        let middle = sums[last] - sums[first];
        let sides = (sums[first] - sums[a]) + (sums[b] - sums[last]);
        *out = (middle - 0.5 * sides) / (sigma[i] * noise);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use kalpha_num::rng::Stream;

    #[test]
    fn widths_of_peaks_on_a_hump() {
        let stream = Stream::new(2, "widths", 0);
        let y: Vec<f64> = (0..1200)
            .map(|i| {
                let bell =
                    |c: f64, fwhm: f64| (-2.772_588_722 * ((i as f64 - c) / fwhm).powi(2)).exp();
                900.0 * bell(600.0, 700.0)
                    + 400.0 * bell(200.0, 12.0)
                    + 300.0 * bell(420.0, 24.0)
                    + 500.0 * bell(900.0, 24.0)
                    + 10.0 * stream.at(0, i).normal()
            })
            .collect();
        let widths = peak_widths(&y, &vec![10.0; 1200]);
        // A window fits a Gaussian best at one and a half times its width.
        for fwhm in [12.0, 24.0] {
            let found = widths.iter().any(|w| (1.2..1.8).contains(&(w / fwhm)));
            assert!(found, "{fwhm}: {widths:?}");
        }
        // Shoulders may count once more; the hump is no peak.
        assert!((3..=4).contains(&widths.len()) && widths.iter().all(|w| *w < 100.0), "{widths:?}");
        assert!(peak_widths(&y[..4], &[10.0; 4]).is_empty());
    }
}
