//! Axis calibration on features of known position.
//!
//! 1. Near each reference the strongest peak (or, for edges, the steepest rise) is fitted with a
//!    Gaussian on a constant: place and standard deviation.
//! 2. A polynomial takes measured places to true ones. Where there are more references than the
//!    polynomial needs, it starts from the subset with the least median residual (Rousseeuw 1984,
//!    doi:10.1080/01621459.1984.10477105) and leaves out references further off than 4 robust
//!    standard deviations; the rest is fitted by weighted least squares.
//! 3. The covariance is multiplied by the reduced chi² where that exceeds 1: references that do not
//!    agree make the axis less certain.
//!
//! Known positions: zero-loss peak 0 eV; Si first-order Raman line 520.7 cm⁻¹; reflections of Si
//! (a = 5.43109 Å) and LaB6
//! (a = 4.15683 Å) from `lambda = 2 d sin theta`, SRM 640 and 660 certificates; X-ray lines from the
//! line tables. Complexity O(n). Tested on axes that are known.

pub mod step;

use kalpha_core::ArtefactType;
use kalpha_num::least_squares::{levenberg_marquardt, weighted_linear};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Silicon's first-order Raman line, cm⁻¹.
pub const SILICON_RAMAN: f64 = 520.7;
/// Lattice parameter of silicon, Å.
pub const SILICON_A: f64 = 5.431_09;
/// Lattice parameter of LaB6, Å.
pub const LAB6_A: f64 = 4.156_83;

/// What marks a reference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// A maximum.
    #[default]
    Peak,
    /// The steepest rise.
    Edge,
}

/// Reflections of a cubic crystal up to `two_theta_max` degrees: degrees 2theta, ascending.
/// `diamond` leaves out what the diamond structure extinguishes.
pub fn reflections(a: f64, wavelength: f64, two_theta_max: f64, diamond: bool) -> Vec<f64> {
    let mut found = Vec::new();
    for sum in 1..200u32 {
        let allowed = (0..15u32).any(|h| {
            (0..=h).any(|k| {
                (0..=k).any(|l| {
                    let all_odd = h % 2 == 1 && k % 2 == 1 && l % 2 == 1;
                    let all_even = h % 2 == 0 && k % 2 == 0 && l % 2 == 0;
                    let seen = all_odd || (all_even && (h + k + l) % 4 == 0);
                    h * h + k * k + l * l == sum && (!diamond || seen)
                })
            })
        });
        let sine = 0.5 * wavelength * f64::from(sum).sqrt() / a;
        if allowed && sine < 1.0 {
            found.push(2.0 * sine.asin().to_degrees());
        }
    }
    found.retain(|t| *t <= two_theta_max);
    found
}

/// A reference and where it was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// True position.
    pub expected: f64,
    /// Measured position, on the axis as it is.
    pub measured: f64,
    /// Standard deviation of the measured position.
    pub sigma: f64,
    /// Used, not left out as an outlier.
    pub used: bool,
}

/// Looks for a feature within `search` of `expected` on the axis `x` (ascending, even enough that a
/// channel is a channel): place and its standard deviation. `None` where there is no feature inside.
pub fn locate(x: &[f64], y: &[f64], expected: f64, search: f64, feature: Feature) -> Option<Found> {
    let curve: Vec<f64> = match feature {
        Feature::Peak => y.to_vec(),
        Feature::Edge => (0..y.len())
            .map(|i| {
                let (a, b) = (i.saturating_sub(1), (i + 1).min(y.len() - 1));
                (y[b] - y[a]) / (x[b] - x[a])
            })
            .collect(),
    };
    let first = x.partition_point(|v| *v < expected - search);
    let end = x.partition_point(|v| *v <= expected + search);
    if end < first + 5 {
        return None;
    }
    let window = &curve[first..end];
    let top = (0..window.len()).max_by(|a, b| window[*a].total_cmp(&window[*b]))?;
    if top == 0 || top + 1 == window.len() {
        return None;
    }
    let floor = window.iter().copied().fold(f64::INFINITY, f64::min);
    let height = window[top] - floor;
    let half = floor + 0.5 * height;
    let left = (0..top).rev().take_while(|i| window[*i] > half).count();
    let right = (top + 1..window.len()).take_while(|i| window[*i] > half).count();
    // Three half-widths on both sides, nine channels at least.
    let reach = (3 * left.max(right) / 2 + 2).max(4);
    let (a, b) = ((first + top).saturating_sub(reach), (first + top + reach + 1).min(x.len()));
    let (xs, ys) = (&x[a..b], &curve[a..b]);
    let channel = (xs[xs.len() - 1] - xs[0]) / (xs.len() - 1) as f64;
    let width = channel * (left + right + 1) as f64 / 2.355;
    if height.is_nan() || height <= 0.0 {
        return None;
    }
    let start = [1.0, 0.0, 1.0, 0.0];
    let fit = levenberg_marquardt(
        |p| {
            xs.iter()
                .zip(ys)
                .map(|(x, y)| {
                    let t = (x - x_at(first + top, xs, a) - p[1] * width) / (p[2] * width);
                    (y - floor) / height - p[3] - p[0] * (-0.5 * t * t).exp()
                })
                .collect()
        },
        &start,
        &[1e-4; 4],
        60,
        1e-10,
    )
    .ok()?;
    let free = xs.len().checked_sub(4).filter(|f| *f > 0)?;
    let measured = x_at(first + top, xs, a) + fit.x[1] * width;
    let sigma = width * (fit.covariance[5] * fit.chi2 / free as f64).sqrt();
    // A centre that left the window, or a width beyond it, is no fit of this feature.
    let inside = (measured - expected).abs() <= search && fit.x[0] > 0.05;
    let sane = fit.converged && sigma.is_finite() && fit.x[2].abs() < 5.0;
    (inside && sane).then_some(Found { expected, measured, sigma, used: true })
}

fn x_at(channel: usize, xs: &[f64], first: usize) -> f64 {
    xs[channel - first]
}

/// A polynomial from measured to true positions.
#[derive(Clone, Debug, PartialEq)]
pub struct AxisFit {
    /// References found, in the order given.
    pub references: Vec<Found>,
    /// Reduced chi² of those used; NaN where none is left to test.
    pub reduced_chi2: f64,
    centre: f64,
    scale: f64,
    coefficients: Vec<f64>,
    covariance: Vec<f64>,
}

/// A coefficient of a polynomial.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coefficient {
    /// Value, in units of the axis.
    pub value: f64,
    /// Standard deviation.
    pub sigma: f64,
}

/// A reference and what the calibration leaves of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// True position.
    pub expected: f64,
    /// Position found.
    pub measured: f64,
    /// Standard deviation of the position found.
    pub sigma: f64,
    /// True position less the calibrated one.
    pub residual: f64,
    /// Part of the fit; false for an outlier.
    pub used: bool,
}

/// How an axis was calibrated:
/// `true = measured + sum_d c_d ((measured - centre) / scale)^d`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AxisCalibration {
    /// Unit of the axis.
    pub unit: String,
    /// Centre of the polynomial.
    pub centre: f64,
    /// Scale of the polynomial.
    pub scale: f64,
    /// Coefficients from degree 0 on.
    pub coefficients: Vec<Coefficient>,
    /// Their covariance, row by row.
    pub covariance: Vec<f64>,
    /// Reduced chi² of the references used; absent where none is left to test.
    pub reduced_chi2: Option<f64>,
    /// References found.
    pub references: Vec<Reference>,
}

impl ArtefactType for AxisCalibration {
    const KIND: &'static str = "axis_calibration";
}

/// There is no calibration.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PeaksError {
    /// Too few references.
    #[error(
        "{found} of {given} references were found, degree {degree} needs {needed} (hint: a wider \
         search, a lower degree, or other references)"
    )]
    Few {
        /// References found.
        found: usize,
        /// References given.
        given: usize,
        /// Degree of the polynomial.
        degree: usize,
        /// References needed.
        needed: usize,
    },
    /// The polynomial does not rise everywhere.
    #[error(
        "the polynomial turns back on the axis (hint: a lower degree, or references over the whole axis)"
    )]
    Turns,
}

impl AxisFit {
    /// Fits a polynomial of `degree` to references found among `given`; degree 0 is a shift.
    ///
    /// # Errors
    /// With fewer references than the polynomial has coefficients.
    pub fn new(
        mut references: Vec<Found>,
        given: usize,
        degree: usize,
    ) -> Result<Self, PeaksError> {
        let (found, needed) = (references.len(), degree + 1);
        if found < needed {
            return Err(PeaksError::Few { found, given, degree, needed });
        }
        let (low, high) =
            references.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), r| {
                (a.min(r.measured), b.max(r.measured))
            });
        let centre = 0.5 * (low + high);
        let scale = if high > low { 0.5 * (high - low) } else { 1.0 };
        // The correction true - measured is what is fitted: degree 0 keeps the width of channels.
        let powers = |m: f64| {
            let u = (m - centre) / scale;
            (0..=degree as i32).map(move |d| u.powi(d)).collect::<Vec<f64>>()
        };
        let fit_of = |chosen: &[usize]| {
            let columns: Vec<Vec<f64>> = (0..=degree)
                .map(|d| chosen.iter().map(|i| powers(references[*i].measured)[d]).collect())
                .collect();
            let y: Vec<f64> =
                chosen.iter().map(|i| references[*i].expected - references[*i].measured).collect();
            let floor = 1e-12 * scale;
            let w: Vec<f64> =
                chosen.iter().map(|i| references[*i].sigma.max(floor).powi(-2)).collect();
            weighted_linear(&columns, &y, &w).ok()
        };
        let residual = |x: &[f64], r: &Found| {
            let p: f64 = powers(r.measured).iter().zip(x).map(|(p, c)| p * c).sum();
            r.expected - r.measured - p
        };
        let all: Vec<usize> = (0..found).collect();
        let mut used = all.clone();
        if found >= needed + 2 {
            let mut best: Option<(f64, Vec<f64>)> = None;
            for_each_subset(found, needed, 3000, &mut |subset| {
                let Some(fit) = fit_of(subset) else { return };
                let mut squares: Vec<f64> =
                    references.iter().map(|r| residual(&fit.x, r).powi(2)).collect();
                squares.sort_by(f64::total_cmp);
                let median = squares[(found + needed) / 2];
                if best.as_ref().is_none_or(|(least, _)| median < *least) {
                    best = Some((median, fit.x));
                }
            });
            if let Some((median, x)) = best {
                // Rousseeuw's factor for few points.
                let robust = 1.4826 * (1.0 + 5.0 / (found - needed) as f64) * median.sqrt();
                used = all
                    .iter()
                    .copied()
                    .filter(|i| {
                        let r = &references[*i];
                        residual(&x, r).abs() <= 4.0 * robust.hypot(r.sigma)
                    })
                    .collect();
            }
        }
        let few = PeaksError::Few { found: used.len(), given, degree, needed };
        let fit = fit_of(&used).ok_or(few)?;
        for (i, r) in references.iter_mut().enumerate() {
            r.used = used.contains(&i);
        }
        let free = used.len() - needed;
        let reduced_chi2 = if free > 0 { fit.chi2 / free as f64 } else { f64::NAN };
        let widen = if reduced_chi2 > 1.0 { reduced_chi2 } else { 1.0 };
        let covariance = fit.covariance.iter().map(|c| c * widen).collect();
        Ok(Self { references, reduced_chi2, centre, scale, coefficients: fit.x, covariance })
    }

    /// The true position of what stands at `measured`, and its standard deviation.
    pub fn at(&self, measured: f64) -> (f64, f64) {
        let u = (measured - self.centre) / self.scale;
        let n = self.coefficients.len();
        let powers: Vec<f64> = (0..n as i32).map(|d| u.powi(d)).collect();
        let value: f64 = powers.iter().zip(&self.coefficients).map(|(p, c)| p * c).sum();
        let mut variance = 0.0;
        for i in 0..n {
            for j in 0..n {
                variance += powers[i] * powers[j] * self.covariance[i * n + j];
            }
        }
        (measured + value, variance.max(0.0).sqrt())
    }

    /// The fit with all its numbers, for an axis in `unit`.
    pub fn calibration(&self, unit: &str) -> AxisCalibration {
        let n = self.coefficients.len();
        let coefficient = |(d, value): (usize, &f64)| Coefficient {
            value: *value,
            sigma: self.covariance[d * n + d].max(0.0).sqrt(),
        };
        let reference = |found: &Found| Reference {
            expected: found.expected,
            measured: found.measured,
            sigma: found.sigma,
            residual: found.expected - self.at(found.measured).0,
            used: found.used,
        };
        AxisCalibration {
            unit: unit.to_owned(),
            centre: self.centre,
            scale: self.scale,
            coefficients: self.coefficients.iter().enumerate().map(coefficient).collect(),
            covariance: self.covariance.clone(),
            reduced_chi2: Some(self.reduced_chi2).filter(|c| c.is_finite()),
            references: self.references.iter().map(reference).collect(),
        }
    }

    /// Where on the axis as it is the true position `expected` stands; the axis runs from `low` to
    /// `high`.
    pub fn inverse(&self, expected: f64, low: f64, high: f64) -> f64 {
        // The correction is small beside the axis, and the polynomial was checked to rise.
        let margin = high - low;
        let (mut a, mut b) = (low - margin, high + margin);
        for _ in 0..200 {
            let middle = 0.5 * (a + b);
            if self.at(middle).0 < expected {
                a = middle
            } else {
                b = middle
            }
            if b - a <= 1e-13 * margin {
                break;
            }
        }
        0.5 * (a + b)
    }
}

/// Calls `visit` with subsets of `size` of `n` numbers, at most `limit` of them, spread evenly.
fn for_each_subset(n: usize, size: usize, limit: usize, visit: &mut dyn FnMut(&[usize])) {
    let mut subset: Vec<usize> = (0..size).collect();
    let total = (0..size).fold(1.0f64, |t, i| t * (n - i) as f64 / (i + 1) as f64);
    let every = (total / limit as f64).ceil().max(1.0) as usize;
    let mut count = 0usize;
    loop {
        if count.is_multiple_of(every) {
            visit(&subset);
        }
        count += 1;
        let Some(i) = (0..size).rev().find(|i| subset[*i] < n - size + i) else { return };
        subset[i] += 1;
        for k in i + 1..size {
            subset[k] = subset[k - 1] + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kalpha_num::rng::Stream;

    fn spectrum(x: &[f64], at: &[f64], width: f64, draw: usize) -> Vec<f64> {
        let noise = Stream::new(6, "calibrate peaks", 0);
        x.iter()
            .enumerate()
            .map(|(i, x)| {
                let peaks: f64 =
                    at.iter().map(|c| 4000.0 * (-0.5 * ((x - c) / width).powi(2)).exp()).sum();
                noise.at(draw, i).poisson(20.0 + peaks) as f64
            })
            .collect()
    }

    #[test]
    fn places_have_the_spread_they_claim() {
        let x: Vec<f64> = (0..400).map(|i| 500.0 + 0.1 * f64::from(i)).collect();
        let pulls: Vec<f64> = (0..300)
            .map(|draw| {
                let y = spectrum(&x, &[520.93], 0.5, draw);
                let found = locate(&x, &y, SILICON_RAMAN, 2.0, Feature::Peak).unwrap();
                (found.measured - 520.93) / found.sigma
            })
            .collect();
        let rms = (pulls.iter().map(|p| p * p).sum::<f64>() / 300.0).sqrt();
        // Equal weights on Poisson counts: the claimed spread is right to some 20 %.
        assert!(rms > 0.7 && rms < 1.3, "{rms}");
    }

    #[test]
    fn a_wrong_axis_is_put_right_in_spite_of_an_outlier() {
        let truth = reflections(LAB6_A, 1.540_593, 103.0, false);
        assert!(
            (truth[0] - 21.358).abs() < 0.002 && (truth[1] - 30.385).abs() < 0.002,
            "{truth:?}"
        );
        let x: Vec<f64> = (0..9000).map(|i| 15.0 + 0.01 * f64::from(i)).collect();
        let wrong = |t: f64| t + 0.05 - 0.0008 * t + 3e-6 * t * t;
        let mut at: Vec<f64> = truth.iter().map(|t| wrong(*t)).collect();
        // One reflection of another phase stands where the fifth is looked for.
        at[4] += 0.13;
        let y = spectrum(&x, &at, 0.05, 0);
        let found: Vec<Found> =
            truth.iter().filter_map(|t| locate(&x, &y, *t, 0.3, Feature::Peak)).collect();
        assert_eq!(found.len(), truth.len());
        let fit = AxisFit::new(found, truth.len(), 2).unwrap();
        assert!(!fit.references[4].used, "{fit:?}");
        assert!(fit.references.iter().filter(|r| r.used).count() >= truth.len() - 2);
        for t in [25.0, 60.0, 100.0] {
            let (value, sigma) = fit.at(wrong(t));
            assert!((value - t).abs() < 4.0 * sigma && sigma < 1e-3, "{t} {value} {sigma}");
            assert!((fit.inverse(t, 15.0, 105.0) - wrong(t)).abs() < 4e-3);
        }
        // The numbers handed out are those of the fit.
        let given = fit.calibration("degree");
        for t in [25.0, 60.0, 100.0] {
            let u = (t - given.centre) / given.scale;
            let c = given.coefficients.iter().rev().fold(0.0, |sum, c| sum * u + c.value);
            assert!((t + c - fit.at(t).0).abs() < 1e-10);
        }
        assert!(given.coefficients.iter().all(|c| c.sigma > 0.0 && c.sigma < 1e-2), "{given:?}");
        for (i, reference) in given.references.iter().enumerate() {
            let far = reference.residual.abs() > 0.1;
            assert_eq!(far, i == 4, "{reference:?}");
        }
    }

    #[test]
    fn edges_and_missing_features() {
        let x: Vec<f64> = (0..500).map(|i| 7000.0 + 0.5 * f64::from(i)).collect();
        let y: Vec<f64> = x.iter().map(|e| 1.0 / (1.0 + (-(e - 7113.3) / 1.2).exp())).collect();
        let edge = locate(&x, &y, 7112.0, 8.0, Feature::Edge).unwrap();
        assert!((edge.measured - 7113.3).abs() < 0.05, "{edge:?}");
        assert_eq!(locate(&x, &y, 7050.0, 8.0, Feature::Peak), None);
        assert_eq!(locate(&x, &y, 9000.0, 8.0, Feature::Peak), None);
        assert!(matches!(AxisFit::new(vec![], 3, 1), Err(PeaksError::Few { found: 0, .. })));
    }

    #[test]
    fn silicon_reflections() {
        // SRM 640c with Cu Ka1: 111, 220, 311.
        let si = reflections(SILICON_A, 1.540_593, 60.0, true);
        for (got, want) in si.iter().zip([28.441, 47.301, 56.120]) {
            assert!((got - want).abs() < 2e-3, "{si:?}");
        }
        assert_eq!(si.len(), 3);
    }
}
