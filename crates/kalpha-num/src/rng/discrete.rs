//! Poisson and binomial draws.

use super::Draws;

/// Below this mean, inversion is quicker than rejection, and rejection is not valid.
const INVERSION_MEAN: f64 = 10.0;

impl Draws {
    /// A Poisson count of this mean; 0 for means that are not above 0.
    ///
    /// Inversion below a mean of 10, transformed rejection with squeeze (PTRS) above: Hormann
    /// 1993, doi:10.1016/0167-6687(93)90997-4. Exact to rounding for means up to 1e15; above,
    /// the mean rounded.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        if mean.is_nan() || mean <= 0.0 {
            0
        } else if mean < INVERSION_MEAN {
            self.poisson_inversion(mean)
        } else if mean <= 1e15 {
            self.poisson_rejection(mean)
        } else {
            mean as u64
        }
    }

    #[inline]
    fn poisson_inversion(&mut self, mean: f64) -> u64 {
        let (mut rest, mut probability, mut k) = (self.uniform_open(), (-mean).exp(), 0);
        // The terms add up to 1 - 1e-16, so rounding could leave a rest for ever.
        while rest > probability && k < 200 {
            rest -= probability;
            k += 1;
            probability *= mean / k as f64;
        }
        k
    }

    fn poisson_rejection(&mut self, mean: f64) -> u64 {
        let (log_mean, root) = (mean.ln(), mean.sqrt());
        let b = 0.931 + 2.53 * root;
        let a = -0.059 + 0.02483 * b;
        let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
        let accept = 0.9277 - 3.6224 / (b - 2.0);
        loop {
            let u = self.uniform() - 0.5;
            let v = self.uniform_open();
            let us = 0.5 - u.abs();
            let k = ((2.0 * a / us + b) * u + mean + 0.43).floor();
            if us >= 0.07 && v <= accept {
                return k as u64;
            }
            if k < 0.0 || us < 0.013 && v > us {
                continue;
            }
            let bound = k * log_mean - mean - ln_factorial(k);
            if (v * inverse_alpha / (a / (us * us) + b)).ln() <= bound {
                return k as u64;
            }
        }
    }

    /// Successes among `n` trials of probability `p`; `p` outside [0, 1] is clamped to it.
    ///
    /// Thins an integer count: what stays of a Poisson count is Poisson, independent of what
    /// goes. Inversion for few successes, transformed rejection (BTRS) for many: Hormann 1993,
    /// doi:10.1080/00949659308811496.
    pub fn binomial(&mut self, n: u64, p: f64) -> u64 {
        if n == 0 || p.is_nan() || p <= 0.0 {
            return 0;
        }
        if p >= 1.0 {
            return n;
        }
        if p > 0.5 {
            return n - self.binomial(n, 1.0 - p);
        }
        if n as f64 * p < INVERSION_MEAN {
            self.binomial_inversion(n, p)
        } else {
            self.binomial_rejection(n, p)
        }
    }

    fn binomial_inversion(&mut self, n: u64, p: f64) -> u64 {
        let odds = p / (1.0 - p);
        let mut probability = (n as f64 * (-p).ln_1p()).exp();
        let (mut rest, mut k) = (self.uniform_open(), 0);
        while rest > probability && k < n {
            rest -= probability;
            k += 1;
            probability *= odds * (n - k + 1) as f64 / k as f64;
        }
        k
    }

    fn binomial_rejection(&mut self, n: u64, p: f64) -> u64 {
        let n = n as f64;
        let root = (n * p * (1.0 - p)).sqrt();
        let b = 1.15 + 2.53 * root;
        let a = -0.0873 + 0.0248 * b + 0.01 * p;
        let centre = n * p + 0.5;
        let alpha = (2.83 + 5.1 / b) * root;
        let accept = 0.92 - 4.2 / b;
        let log_odds = (p / (1.0 - p)).ln();
        let mode = ((n + 1.0) * p).floor();
        let at_mode = ln_factorial(mode) + ln_factorial(n - mode);
        loop {
            let u = self.uniform() - 0.5;
            let v = self.uniform_open();
            let us = 0.5 - u.abs();
            let k = ((2.0 * a / us + b) * u + centre).floor();
            if k < 0.0 || k > n {
                continue;
            }
            if us >= 0.07 && v <= accept {
                return k as u64;
            }
            let bound = at_mode - ln_factorial(k) - ln_factorial(n - k) + (k - mode) * log_odds;
            if (v * alpha / (a / (us * us) + b)).ln() <= bound {
                return k as u64;
            }
        }
    }
}

/// ln k! for whole k >= 0, to 1e-15 relative: products up to 15, Stirling's series above.
fn ln_factorial(k: f64) -> f64 {
    if k < 16.0 {
        return (2..=k as u64).map(|i| i as f64).product::<f64>().ln();
    }
    let x = k + 1.0;
    let inverse = 1.0 / (x * x);
    let series = (1.0 / 12.0
        - inverse * (1.0 / 360.0 - inverse * (1.0 / 1260.0 - inverse * (1.0 / 1680.0))))
        / x;
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    /// Chi-squared of draws against a probability mass, cells of at least 10 expected; the
    /// statistic in standard deviations above its mean.
    fn excess(n: usize, draws: impl Iterator<Item = u64>, mass: impl Fn(u64) -> f64) -> f64 {
        let mut seen = std::collections::BTreeMap::<u64, f64>::new();
        draws.take(n).for_each(|k| *seen.entry(k).or_default() += 1.0);
        let (mut chi2, mut cells, mut rest) = (0.0, 0.0, (n as f64, n as f64));
        for k in 0..=*seen.keys().last().unwrap() {
            let expected = n as f64 * mass(k);
            if expected >= 10.0 {
                let got = seen.get(&k).copied().unwrap_or(0.0);
                chi2 += (got - expected).powi(2) / expected;
                cells += 1.0;
                rest = (rest.0 - expected, rest.1 - got);
            }
        }
        if rest.0 > 1.0 {
            chi2 += (rest.1 - rest.0).powi(2) / rest.0;
        }
        (chi2 - cells) / (2.0f64 * cells).sqrt()
    }

    #[test]
    fn poisson_counts_follow_their_mass() {
        for mean in [0.01, 0.3, 2.5, 9.99, 10.0, 31.7, 400.0] {
            let mut draws = Stream::new(11, "poisson", 0).row(0);
            let mass = |k: u64| (k as f64 * f64::ln(mean) - mean - ln_factorial(k as f64)).exp();
            let z = excess(300_000, std::iter::repeat_with(|| draws.poisson(mean)), mass);
            assert!(z < 4.0, "mean {mean}: {z}");
        }
    }

    #[test]
    fn binomial_counts_follow_their_mass() {
        for (n, p) in [(1, 0.5), (7, 0.3), (40, 0.1), (40, 0.5), (300, 0.9), (5000, 0.02)] {
            let mut draws = Stream::new(13, "binomial", 0).row(0);
            let mass = |k: u64| {
                if k > n {
                    return 0.0;
                }
                let (k, n) = (k as f64, n as f64);
                (ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
                    + k * f64::ln(p)
                    + (n - k) * f64::ln(1.0 - p))
                .exp()
            };
            let z = excess(300_000, std::iter::repeat_with(|| draws.binomial(n, p)), mass);
            assert!(z < 4.0, "{n}, {p}: {z}");
        }
    }

    #[test]
    fn the_ends_are_defined() {
        let mut draws = Stream::new(0, "ends", 0).row(0);
        assert_eq!(draws.poisson(0.0) + draws.poisson(-1.0) + draws.poisson(f64::NAN), 0);
        assert_eq!((draws.binomial(9, 0.0), draws.binomial(9, 1.0)), (0, 9));
        assert_eq!((draws.binomial(9, f64::NAN), draws.binomial(0, 0.5)), (0, 0));
        let large = draws.poisson(1e12) as f64;
        assert!((large - 1e12).abs() < 6e6);
    }

    #[test]
    fn thinned_halves_are_independent_poisson() {
        let (n, mean) = (100_000, 3.0);
        let stream = Stream::new(5, "thin", 0);
        let (mut product, mut first, mut second) = (0.0, 0.0, 0.0);
        for row in 0..n {
            let mut draws = stream.row(row);
            let count = draws.poisson(mean);
            let a = f64::from(draws.half(count as u32));
            let b = count as f64 - a;
            (product, first, second) = (product + a * b, first + a, second + b);
        }
        let n = n as f64;
        let covariance = product / n - first / n * second / n;
        // Standard error of a product of independent halves of mean and variance 1.5.
        assert!(covariance.abs() < 4.0 * 1.5 / n.sqrt(), "{covariance}");
    }
}
