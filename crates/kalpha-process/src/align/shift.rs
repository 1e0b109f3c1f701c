//! Shift of a spectrum against a reference, to a fraction of a channel.
//!
//! 1. Pearson's coefficient of the reference in a window and the spectrum under it, at every
//!    whole shift. The window is never moved beyond the data, so no edge enters.
//! 2. Least squares of `y(x + s) = b r(x) + o` for shift, height and offset: at each iteration y is
//!    read between its channels by a cubic spline and regressed on `r`, `1` and `r'`.
//! 3. The spectrum is read at `x + s` by the same spline. Channels that the data do not reach are
//!    cropped, or hold the last value.
//!
//! Source: Lucas and Kanade (1981), Proc. IJCAI 674 (step 2, with the reference's derivative);
//! Unser (1999), IEEE Signal Process. Mag. 16(6), 22, doi:10.1109/79.799930 (splines).
//! Complexity O(n + window shifts). Tested against shifts that are known.

pub mod step;

use crate::instructions::{dot, for_each_instruction_set};

/// Pole of the cubic B-spline filter, `sqrt(3) - 2`.
const POLE: f64 = -0.267_949_192_431_122_7;
/// Iterations of step 2; two or three are usual.
const ITERATIONS: usize = 20;
/// Channels at which step 2 rests.
const REST: f64 = 1e-6;

/// A reference and where to look for it.
#[derive(Clone, Debug)]
pub struct Shift {
    channels: usize,
    first: usize,
    max_shift: usize,
    /// Reference in the window, without its mean.
    template: Vec<f64>,
    template_norm: f64,
    /// Rows of the pseudo-inverse of (r, 1, r'): what gives b and the coefficient of r'.
    height: Vec<f64>,
    slope: Vec<f64>,
}

/// What was found for a spectrum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShiftFit {
    /// Channels by which the spectrum lies higher than the reference.
    pub shift: f64,
    /// Pearson's coefficient at the best whole shift.
    pub correlation: f64,
    /// What it is worth.
    pub outcome: ShiftOutcome,
}

/// What a shift is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShiftOutcome {
    /// A maximum inside the range that was searched.
    Found,
    /// The best shift is the largest that was searched.
    AtBound,
    /// Step 2 did not rest within a channel of step 1; its shift is given to half a channel.
    NotConverged,
    /// The spectrum is constant in the window.
    Constant,
}

/// A reference cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ShiftError {
    /// The window and the shifts do not fit into the data.
    #[error(
        "window {first}..{end} shifted by {max_shift} leaves the {channels} channels (hint: a \
         narrower window or smaller shifts)"
    )]
    Window {
        /// First channel of the window.
        first: usize,
        /// Channel after the last.
        end: usize,
        /// Largest shift.
        max_shift: usize,
        /// Channels there are.
        channels: usize,
    },
    /// The reference has no shape in the window.
    #[error("the reference has no feature in the window (hint: choose a window around a peak)")]
    Featureless,
}

/// Working memory.
#[derive(Clone, Debug, Default)]
pub struct ShiftScratch {
    coefficients: Vec<f64>,
    read: Vec<f64>,
    scores: Vec<f64>,
}

impl Shift {
    /// Prepares to look for `reference[window]` up to `max_shift` channels away.
    ///
    /// # Errors
    /// When window and shifts leave the data, or the reference is featureless there.
    pub fn new(
        reference: &[f64],
        window: std::ops::Range<usize>,
        max_shift: usize,
    ) -> Result<Self, ShiftError> {
        let (channels, first, end) = (reference.len(), window.start, window.end);
        // Step 2 reads one channel beyond step 1, and splines two more.
        if end < first + 5 || first < max_shift + 3 || end + max_shift + 3 > channels {
            return Err(ShiftError::Window { first, end, max_shift, channels });
        }
        let here = &reference[window];
        let n = here.len() as f64;
        let mean = here.iter().sum::<f64>() / n;
        let template: Vec<f64> = here.iter().map(|v| v - mean).collect();
        let template_norm = dot(&template, &template).sqrt();
        let mut coefficients = Vec::new();
        spline(reference, &mut coefficients);
        let derivative: Vec<f64> =
            (first..end).map(|i| 0.5 * (coefficients[i + 1] - coefficients[i - 1])).collect();
        let columns = [template.clone(), vec![1.0; here.len()], derivative];
        let size = reference.iter().fold(0.0, |a: f64, v| a.max(v.abs()));
        let weights = vec![1.0; here.len()];
        let fit = kalpha_num::least_squares::weighted_linear(&columns, here, &weights);
        let (true, Ok(fit)) = (template_norm > 1e-12 * size * n.sqrt(), fit) else {
            return Err(ShiftError::Featureless);
        };
        let m = here.len();
        let estimator = fit.estimator;
        Ok(Self {
            channels,
            first,
            max_shift,
            template,
            template_norm,
            height: estimator[..m].to_vec(),
            slope: estimator[2 * m..].to_vec(),
        })
    }

    /// Finds the shift of `y`, finite and as long as the reference.
    pub fn find(&self, y: &[f64], scratch: &mut ShiftScratch) -> ShiftFit {
        let ShiftScratch { coefficients, read, scores } = scratch;
        let (w, shifts) = (self.template.len(), 2 * self.max_shift + 1);
        let start = self.first - self.max_shift;
        let around = &y[start..start + w + shifts - 1];
        scores.clear();
        scores.resize(shifts, 0.0);
        correlate(&self.template, around, scores);
        // Running sums about one of the values: they stay small beside the spread.
        let zero = around[0];
        let (mut sum, mut square) = (0.0, 0.0);
        for v in &around[..w] {
            sum += v - zero;
            square += (v - zero) * (v - zero);
        }
        let (mut best, mut best_score) = (None, f64::NEG_INFINITY);
        for k in 0..shifts {
            let spread = square - sum * sum / w as f64;
            if spread > 1e-12 * square {
                let score = scores[k] / (self.template_norm * spread.sqrt());
                scores[k] = score;
                if score > best_score {
                    (best, best_score) = (Some(k), score);
                }
            }
            if k + 1 < shifts {
                let (out, new) = (around[k] - zero, around[k + w] - zero);
                sum += new - out;
                square += new * new - out * out;
            }
        }
        let Some(best) = best else {
            return ShiftFit {
                shift: f64::NAN,
                correlation: f64::NAN,
                outcome: ShiftOutcome::Constant,
            };
        };
        let whole = best as f64 - self.max_shift as f64;
        let mut fit =
            ShiftFit { shift: whole, correlation: best_score, outcome: ShiftOutcome::Found };
        if best == 0 || best + 1 == shifts {
            fit.outcome = ShiftOutcome::AtBound;
            return fit;
        }
        spline(y, coefficients);
        read.resize(w, 0.0);
        fit.outcome = ShiftOutcome::NotConverged;
        let mut shift = whole;
        for _ in 0..ITERATIONS {
            sample(coefficients, self.first as f64 + shift, &mut read[..w]);
            let (height, slope) = (dot(&self.height, &read[..w]), dot(&self.slope, &read[..w]));
            let step = -slope / height;
            shift += step.clamp(-0.5, 0.5);
            if !shift.is_finite() || (shift - whole).abs() > 1.0 {
                break;
            }
            if step.abs() < REST {
                fit.outcome = ShiftOutcome::Found;
                fit.shift = shift;
                break;
            }
        }
        fit
    }

    /// Reads `y` at `channel + shift` for the channels `crop..channels - crop`.
    pub fn apply(
        &self,
        y: &[f64],
        shift: f64,
        crop: usize,
        out: &mut [f64],
        scratch: &mut ShiftScratch,
    ) {
        spline(y, &mut scratch.coefficients);
        let n = self.channels;
        // Whole channels on which the spline stands within the data.
        let low = (-shift).ceil().max(crop as f64) as usize;
        let high = ((n - 1) as f64 - shift).floor().min((n - 1 - crop) as f64) as usize;
        out[..low - crop].fill(y[0]);
        sample(&scratch.coefficients, low as f64 + shift, &mut out[low - crop..=high - crop]);
        out[high + 1 - crop..].fill(y[n - 1]);
    }
}

#[inline(always)]
fn plain_correlate(template: &[f64], around: &[f64], scores: &mut [f64]) {
    let n = scores.len();
    for (k, &t) in template.iter().enumerate() {
        for (score, v) in scores.iter_mut().zip(&around[k..k + n]) {
            *score += t * v;
        }
    }
}

for_each_instruction_set! {
    /// `scores[k] = sum over i of template[i] around[i + k]`.
    fn correlate(template: &[f64], around: &[f64], scores: &mut [f64]) = plain_correlate
}

/// Coefficients of the interpolating cubic B-spline, mirrored at the ends.
pub(crate) fn spline(y: &[f64], c: &mut Vec<f64>) {
    let n = y.len();
    c.clear();
    c.extend_from_slice(y);
    if n < 2 {
        return;
    }
    // The mirror image's sum converges to 1e-17 within 30 terms.
    let mut power = 1.0;
    let mut first = 0.0;
    for v in y.iter().take(30) {
        first += power * v;
        power *= POLE;
    }
    c[0] = 6.0 * first;
    for i in 1..n {
        c[i] = 6.0 * y[i] + POLE * c[i - 1];
    }
    c[n - 1] = POLE / (POLE * POLE - 1.0) * (c[n - 1] + POLE * c[n - 2]);
    for i in (0..n - 1).rev() {
        c[i] = POLE * (c[i + 1] - c[i]);
    }
}

/// The spline at `channel`, between 0 and the last one.
pub(crate) fn spline_at(c: &[f64], channel: f64) -> f64 {
    let mut out = [0.0];
    sample(c, channel, &mut out);
    out[0]
}

#[inline(always)]
fn plain_sample(c: &[f64], from: f64, out: &mut [f64]) {
    let n = c.len();
    let whole = from.floor();
    let f = from - whole;
    let (g, first) = (1.0 - f, whole as isize - 1);
    let weights = [
        g * g * g / 6.0,
        2.0 / 3.0 - 0.5 * f * f * (2.0 - f),
        2.0 / 3.0 - 0.5 * g * g * (2.0 - g),
        f * f * f / 6.0,
    ];
    let m = out.len();
    let inside = first >= 0 && first as usize + m + 3 <= n;
    if inside {
        let c = &c[first as usize..first as usize + m + 3];
        for i in 0..m {
            out[i] = weights[0] * c[i]
                + weights[1] * c[i + 1]
                + weights[2] * c[i + 2]
                + weights[3] * c[i + 3];
        }
        return;
    }
    // Mirrored at the ends, as the coefficients are.
    let at = |i: isize| {
        let last = n as isize - 1;
        let i = if i < 0 { -i } else { i };
        c[(if i > last { 2 * last - i } else { i }).clamp(0, last) as usize]
    };
    for (i, out) in out.iter_mut().enumerate() {
        let i = first + i as isize;
        *out = weights[0] * at(i)
            + weights[1] * at(i + 1)
            + weights[2] * at(i + 2)
            + weights[3] * at(i + 3);
    }
}

for_each_instruction_set! {
    /// The spline at `from`, `from + 1`, ...
    fn sample(c: &[f64], from: f64, out: &mut [f64]) = plain_sample
}

#[cfg(test)]
mod tests {
    use super::*;
    use kalpha_num::rng::Stream;

    fn peak(n: usize, centre: f64, sigma: f64) -> Vec<f64> {
        (0..n).map(|i| 5.0 + 1e4 * (-0.5 * ((i as f64 - centre) / sigma).powi(2)).exp()).collect()
    }

    #[test]
    fn splines_pass_through_the_data() {
        let y: Vec<f64> = (0..40).map(|i| (0.9 * f64::from(i)).sin() + f64::from(i % 3)).collect();
        let (mut c, mut out) = (Vec::new(), vec![0.0; 40]);
        spline(&y, &mut c);
        sample(&c, 0.0, &mut out);
        for i in 0..40 {
            assert!((out[i] - y[i]).abs() < 1e-12, "{i}");
        }
    }

    #[test]
    fn known_shifts_are_found() {
        for sigma in [1.5, 3.0, 8.0] {
            let reference = peak(300, 150.0, sigma);
            let plan = Shift::new(&reference, 120..180, 12).unwrap();
            let mut scratch = ShiftScratch::default();
            for shift in [-9.3, -1.0, -0.5, 0.0, 0.01, 0.37, 4.62] {
                let y: Vec<f64> =
                    peak(300, 150.0 + shift, sigma).iter().map(|v| 0.3 * v + 70.0).collect();
                let fit = plan.find(&y, &mut scratch);
                assert_eq!(fit.outcome, ShiftOutcome::Found, "{sigma} {shift}");
                // Error of a cubic spline through a Gaussian, in units of its height.
                let spline = (0.35f64 / sigma).powi(4);
                let limit = 0.2 * sigma * spline + 1e-6;
                assert!((fit.shift - shift).abs() < limit, "{sigma} {shift} {}", fit.shift);
                let mut out = vec![0.0; 276];
                plan.apply(&y, fit.shift, 12, &mut out, &mut scratch);
                for (i, v) in out.iter().enumerate() {
                    let want = 0.3 * reference[i + 12] + 70.0;
                    assert!(
                        (v - want).abs() < 3e4 * spline + 1e-2,
                        "{sigma} {shift} {i} {v} {want}"
                    );
                }
            }
        }
    }

    /// The spread of shifts found in Poisson noise against the Cramer-Rao bound of a fit of
    /// height, offset and shift with equal weights.
    #[test]
    fn noise_is_used_as_well_as_it_can_be() {
        let (sigma, height) = (3.0, 1e4);
        let reference = peak(200, 100.0, sigma);
        let plan = Shift::new(&reference, 80..120, 6).unwrap();
        let (mut squares, mut scratch) = (0.0, ShiftScratch::default());
        let draws = 400;
        for draw in 0..draws {
            let noise = Stream::new(3, "shift", 0);
            let y: Vec<f64> = (0..200)
                .map(|i| {
                    let mean = peak(200, 100.4, sigma)[i];
                    noise.at(draw, i).poisson(mean)
                })
                .map(|v| v as f64)
                .collect();
            squares += (plan.find(&y, &mut scratch).shift - 0.4).powi(2);
        }
        let spread = (squares / f64::from(draws as u32)).sqrt();
        // Shift alone, every channel weighted by its variance: sigma / sqrt(counts). Equal
        // weights lose a factor sqrt(int g g'² int 1/..): 1.24 for a Gaussian.
        let counts = height * sigma * (2.0 * std::f64::consts::PI).sqrt();
        let bound = sigma / counts.sqrt();
        assert!(spread < 1.4 * bound && spread > 0.9 * bound, "{spread} {bound}");
    }

    #[test]
    fn trouble_is_named() {
        let reference = peak(100, 50.0, 3.0);
        assert!(Shift::new(&reference, 5..90, 12).is_err());
        assert!(Shift::new(&reference, 40..42, 2).is_err());
        assert_eq!(Shift::new(&[2.0; 100], 30..70, 5).err(), Some(ShiftError::Featureless));
        let plan = Shift::new(&reference, 35..65, 5).unwrap();
        let mut scratch = ShiftScratch::default();
        assert_eq!(plan.find(&[4.0; 100], &mut scratch).outcome, ShiftOutcome::Constant);
        let far = plan.find(&peak(100, 58.0, 3.0), &mut scratch);
        assert_eq!((far.outcome, far.shift), (ShiftOutcome::AtBound, 5.0));
    }

    #[test]
    fn ends_hold_on_request() {
        let y: Vec<f64> =
            (0..60).map(|i| f64::from(i) + if i == 30 { 50.0 } else { 0.0 }).collect();
        let plan = Shift::new(&y, 20..40, 10).unwrap();
        let mut out = vec![0.0; 60];
        plan.apply(&y, 2.5, 0, &mut out, &mut ShiftScratch::default());
        assert_eq!(out[58..], [59.0, 59.0]);
        plan.apply(&y, -2.5, 0, &mut out, &mut ShiftScratch::default());
        assert_eq!(out[..3], [0.0; 3]);
    }
}
