//! Peaks that stand out of the noise, with their significance.
//!
//! The spectrum is filtered by the negative second derivative of a Gaussian, of many widths: a filter
//! that sees neither constant nor sloping backgrounds. The response over its standard deviation is
//! the significance. From narrow filters to wide ones, a maximum over the axis is a peak if it is
//! significant, if the valleys to higher maxima are significantly deep, and if no narrower peak
//! stands within its width: neighbours that a narrow filter resolves are not joined again. Its
//! place and width then come from the filter that responds most before the next peak. For a
//! Gaussian peak that is the one sqrt 5 times as wide.
//!
//! With noise given, the chance that noise alone exceeds `z` somewhere is about the number of
//! independent places and widths times that of one; [`FindOptions::significance`] of 5 keeps it below
//! 1e-3 for a thousand channels.
//!
//! Source: Mariscotti (1967), Nucl. Instrum. Methods 50, 309, doi:10.1016/0029-554X(67)90058-4;
//! scales: Du, Kibbe, Lin (2006), Bioinformatics 22, 2059, doi:10.1093/bioinformatics/btl355.
//! Complexity O(n²) in the channels at worst. Tested on simulated spectra with and without peaks.

use super::{PeakError, data::check_axis};

/// What counts as a peak.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FindOptions {
    /// Response over its standard deviation.
    pub significance: f64,
    /// Smallest full width at half maximum, in channels.
    pub narrowest: f64,
    /// Largest full width at half maximum, as a share of the axis.
    pub widest: f64,
    /// Most peaks to report.
    pub most: usize,
}

impl Default for FindOptions {
    fn default() -> Self {
        Self { significance: 5.0, narrowest: 2.0, widest: 0.3, most: 100 }
    }
}

/// A peak that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FoundPeak {
    /// Place.
    pub center: f64,
    /// Height above the background, from the response: right to a factor of two.
    pub height: f64,
    /// Full width at half maximum, that of the filter: right to a factor of two.
    pub fwhm: f64,
    /// Response over its standard deviation.
    pub significance: f64,
}

/// Full width at half maximum over standard deviation of a Gaussian.
const WIDTHS: f64 = 2.354_820_045_030_949_3;

/// Standard deviation of white noise from second differences, which slow signals hardly enter.
pub(super) fn noise_of(y: &[f64]) -> f64 {
    let mut differences: Vec<f64> =
        y.windows(3).map(|w| (w[0] - 2.0 * w[1] + w[2]).abs()).collect();
    if differences.is_empty() {
        return 0.0;
    }
    differences.sort_by(f64::total_cmp);
    // Median of |N(0, 6 s²)|.
    differences[differences.len() / 2] / (0.674_489_75 * 6f64.sqrt())
}

/// Peaks of `y` over the ascending axis `x`, strongest first. `sigma` holds the standard deviation of
/// each point; infinite where a point does not count.
///
/// # Errors
/// [`PeakError`] for unequal lengths, a wrong axis, values that are not finite.
pub fn find_peaks(
    x: &[f64],
    y: &[f64],
    sigma: &[f64],
    options: &FindOptions,
) -> Result<Vec<FoundPeak>, PeakError> {
    check_axis(x)?;
    let n = x.len();
    for (what, got) in [("the spectrum", y.len()), ("the noise", sigma.len())] {
        if got != n {
            return Err(PeakError::Length { what, got, expected: n });
        }
    }
    for (index, &value) in y.iter().enumerate() {
        if !value.is_finite() && sigma[index].is_finite() {
            return Err(PeakError::NotFinite { what: "the spectrum", index, value });
        }
    }
    if n < 5 {
        return Ok(Vec::new());
    }
    let floor =
        1e-12 * y.iter().fold(0.0_f64, |a, v| if v.is_finite() { a.max(v.abs()) } else { a });
    let widest = (options.widest * n as f64).max(options.narrowest);
    let mut scales: Vec<Filtered> = Vec::new();
    let mut fwhm = options.narrowest;
    while fwhm <= widest {
        scales.push(Filtered::new(y, sigma, fwhm, floor));
        fwhm *= 2f64.powf(0.25);
    }
    // Narrow to wide.
    let mut places: Vec<(f64, f64)> = Vec::new();
    for filtered in &scales {
        for i in filtered.maxima(options.significance) {
            let near = |(at, width): &(f64, f64)| {
                (at - i as f64).abs() < 0.75 * filtered.fwhm.max(*width)
                    || !filtered.valley(i, *at as usize, options.significance)
            };
            if !places.iter().any(near) {
                places.push((i as f64, filtered.fwhm));
            }
        }
    }
    let mut found: Vec<Response> = places
        .iter()
        .map(|&(at, width)| {
            let room = places
                .iter()
                .map(|(other, _)| (other - at).abs())
                .filter(|d| *d > 0.0)
                .fold(f64::INFINITY, f64::min);
            let mut best: Option<Response> = None;
            let most = width.max(0.6 * room);
            for filtered in scales.iter().filter(|f| f.fwhm >= width && f.fwhm <= most) {
                let reach = (0.5 * filtered.fwhm).min(0.2 * room).max(1.0);
                let Some(response) = filtered.near(at, reach) else { continue };
                if best.is_none_or(|b| response.z > b.z) {
                    best = Some(response);
                }
            }
            best.unwrap_or(Response { at, fwhm: width, z: 0.0, height: 0.0 })
        })
        .collect();
    found.sort_by(|a, b| b.z.total_cmp(&a.z).then(a.at.total_cmp(&b.at)));
    found.truncate(options.most);
    let place = |at: f64| {
        let i = (at.floor() as usize).min(n - 2);
        x[i] + (at - i as f64) * (x[i + 1] - x[i])
    };
    Ok(found
        .iter()
        .map(|f| {
            let i = (f.at.round() as usize).clamp(1, n - 2);
            let channel = 0.5 * (x[i + 1] - x[i - 1]);
            FoundPeak {
                center: place(f.at),
                height: f.height,
                fwhm: f.fwhm * channel,
                significance: f.z,
            }
        })
        .collect())
}

#[derive(Clone, Copy)]
struct Response {
    at: f64,
    fwhm: f64,
    z: f64,
    height: f64,
}

/// The spectrum as one filter sees it.
struct Filtered {
    /// Full width at half maximum of the peak the filter is best for, in channels.
    fwhm: f64,
    /// Estimated height and significance; zero where the filter does not fit on the axis.
    row: Vec<(f64, f64)>,
}

impl Filtered {
    fn new(y: &[f64], sigma: &[f64], fwhm: f64, floor: f64) -> Self {
        let n = y.len();
        let scale = 5f64.sqrt() * fwhm / WIDTHS;
        let full = (4.0 * scale).ceil() as usize;
        let core = (2.2 * scale).ceil() as usize;
        let ricker = |k: usize| {
            let u = k as f64 / scale;
            (1.0 - u * u) * (-0.5 * u * u).exp()
        };
        let half: Vec<f64> = (0..=full).map(ricker).collect();
        let bell: Vec<f64> =
            (0..=full).map(|k| (-0.5 * (WIDTHS * k as f64 / fwhm).powi(2)).exp()).collect();
        let usable = |i: usize| sigma[i].is_finite();
        let at = |i: usize| {
            // Even about its middle, so that a slope is not seen; near an end as far as it goes.
            let reach = full.min(i).min(n - 1 - i);
            if reach < core || !usable(i) {
                return (0.0, 0.0);
            }
            let sum_of = |v: &[f64]| v[0] + 2.0 * v[1..=reach].iter().sum::<f64>();
            let mean = sum_of(&half) / (2 * reach + 1) as f64;
            let (mut sum, mut variance, mut unit) = (0.0, 0.0, 0.0);
            for j in i - reach..=i + reach {
                let k = i.abs_diff(j);
                let v = half[k] - mean;
                unit += v * bell[k];
                if usable(j) {
                    sum += v * y[j];
                    variance += v * v * sigma[j] * sigma[j];
                }
            }
            (sum / unit, sum / variance.sqrt().max(floor).max(f64::MIN_POSITIVE))
        };
        Self { fwhm, row: (0..n).map(at).collect() }
    }

    /// Significant maxima, each parted from higher ones by a deep valley.
    fn maxima(&self, significance: f64) -> Vec<usize> {
        let z = |i: usize| self.row[i].1;
        let n = self.row.len();
        // A peak and a valley are two responses.
        let deep = std::f64::consts::SQRT_2 * significance;
        (1..n - 1)
            .filter(|&i| z(i) >= significance && z(i) > z(i - 1) && z(i) >= z(i + 1))
            .filter(|&i| {
                let parted = |mut side: Box<dyn Iterator<Item = usize>>| {
                    // Down into a valley before anything higher, or the end of the axis.
                    side.find(|j| z(*j) > z(i) || z(*j) < z(i) - deep).is_none_or(|j| z(j) < z(i))
                };
                parted(Box::new((0..i).rev())) && parted(Box::new(i + 1..n))
            })
            .collect()
    }

    /// True where a significantly deep valley parts two places.
    fn valley(&self, a: usize, b: usize, significance: f64) -> bool {
        let z = |i: usize| self.row[i].1;
        let lowest = (a.min(b)..=a.max(b)).map(z).fold(f64::INFINITY, f64::min);
        lowest < z(a) - std::f64::consts::SQRT_2 * significance
    }

    /// The maximum nearest to `at`, within `reach`.
    fn near(&self, at: f64, reach: f64) -> Option<Response> {
        let n = self.row.len();
        let first = (at - reach).floor().max(1.0) as usize;
        let last = ((at + reach).ceil() as usize).min(n - 2);
        let z = |i: usize| self.row[i].1;
        let best = (first..=last)
            .filter(|&i| z(i) > z(i - 1) && z(i) >= z(i + 1))
            .min_by(|a, b| (*a as f64 - at).abs().total_cmp(&(*b as f64 - at).abs()))?;
        // Parabola through three responses: a place between channels.
        let (a, b, c) = (self.row[best - 1].0, self.row[best].0, self.row[best + 1].0);
        let bend = a - 2.0 * b + c;
        let shift = if bend < 0.0 { (0.5 * (a - c) / bend).clamp(-0.5, 0.5) } else { 0.0 };
        Some(Response { at: best as f64 + shift, fwhm: self.fwhm, z: z(best), height: b })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kalpha_num::rng::Stream;

    fn counts(n: usize, draw: usize, mean: impl Fn(f64) -> f64) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
        let stream = Stream::new(3, "find peaks", 0);
        let x: Vec<f64> = (0..n).map(|i| 10.0 + 0.1 * i as f64).collect();
        let y: Vec<f64> = (0..n).map(|i| stream.at(draw, i).poisson(mean(x[i])) as f64).collect();
        let sigma = y.iter().map(|c| c.max(1.0).sqrt()).collect();
        (x, y, sigma)
    }

    #[test]
    fn peaks_are_found_where_they_are() {
        let bell = |x: f64, c: f64, w: f64| (-2.772_588_7 * ((x - c) / w).powi(2)).exp();
        for draw in 0..20 {
            let (x, y, sigma) = counts(600, draw, |x| {
                100.0 - x
                    + 300.0 * bell(x, 25.0, 1.0)
                    + 120.0 * bell(x, 40.0, 3.0)
                    + 200.0 * bell(x, 42.9, 1.2)
            });
            let mut found = find_peaks(&x, &y, &sigma, &FindOptions::default()).unwrap();
            found.sort_by(|a, b| a.center.total_cmp(&b.center));
            let centers: Vec<f64> = found.iter().map(|f| f.center).collect();
            assert_eq!(found.len(), 3, "{draw}: {found:?}");
            // A fifth of the width: neighbours pull.
            for (got, (want, width)) in centers.iter().zip([(25.0, 1.0), (40.0, 3.0), (42.9, 1.2)])
            {
                assert!((got - want).abs() < 0.2 * width, "{draw}: {centers:?}");
            }
            // Starts, not measurements: right to a factor of two.
            let (width, height) = (found[0].fwhm, found[0].height / 300.0);
            assert!(width > 0.5 && width < 2.0 && height > 0.5 && height < 2.0, "{found:?}");
        }
    }

    #[test]
    fn noise_alone_gives_none() {
        let total: usize = (0..100)
            .map(|draw| {
                let (x, y, sigma) = counts(500, draw, |x| 400.0 - 3.0 * x);
                find_peaks(&x, &y, &sigma, &FindOptions::default()).unwrap().len()
            })
            .sum();
        assert!(total <= 1, "{total}");
    }

    #[test]
    fn odd_input() {
        let found =
            |x: &[f64], y: &[f64]| find_peaks(x, y, &vec![1.0; y.len()], &FindOptions::default());
        assert_eq!(found(&[], &[]), Ok(vec![]));
        assert_eq!(found(&[1.0, 2.0], &[1.0, 2.0]), Ok(vec![]));
        let x: Vec<f64> = (0..50).map(f64::from).collect();
        assert_eq!(found(&x, &[0.0; 50]), Ok(vec![]));
        assert!(found(&x, &[f64::NAN; 50]).is_err());
        assert!(found(&[1.0, 1.0, 2.0, 3.0, 4.0], &[0.0; 5]).is_err());
        assert!(noise_of(&[]) == 0.0);
    }
}
