//! A calibration of one instrument for use on another, from a few standards.
//!
//! Candidates: the calibration as it is, direct standardisation of rank 1 to 15, piecewise
//! standardisation from 0 to 3 channels on each side, orthogonalisation of 1 to 8 directions with a
//! new calibration, and each of these followed by slope and bias of the predictions. Each is
//! cross-validated on the standards: those left out are left out of the calibration as well. The
//! answer is the mean of all candidates with weights `RMSE^-n` for n standards (Akaike weights of
//! normal errors; Buckland, Burnham and Augustin 1997, doi:10.2307/2533961): the best rank and
//! window where one is clearly best, several where the standards cannot tell them apart.
//!
//! The interval is `± t(n - 1) s sqrt(1 + h(x))`. h is the leverage of the spectrum in the calibration
//! ([`Pls::leverage`]), after slope and bias of each channel; `s² = mean of e² / (1 + h)` over standards
//! left out, e the error of the mean of the candidates. Standards are chosen to span the range: left
//! out, they stand far outside of what is left, and their errors alone would make the interval too
//! wide for a specimen inside. All candidates are linear in the spectrum, so the mean is one linear
//! model. Tested on the corn spectra of three instruments.

use super::{
    model::{TransferModel, direct, orthogonal, piecewise, slope_bias},
    standards::{Standards, StandardsError, partitions},
};
use crate::instructions::dot;
use kalpha_num::pls::{Pls, PlsError};

/// Largest rank of direct standardisation.
const DIRECT_RANKS: usize = 15;
/// Largest half-window of piecewise standardisation.
const HALF_WINDOW: usize = 3;
/// Most directions taken out.
const DIRECTIONS: usize = 8;

/// How a candidate moves the calibration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// Not at all.
    Raw,
    /// Direct standardisation of this rank.
    Direct(usize),
    /// Piecewise standardisation from so many channels on each side.
    Piecewise(usize),
    /// So many directions taken out.
    Orthogonal(usize),
}

/// One way to move the calibration.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// How.
    pub means: Means,
    /// Followed by slope and bias of the predictions.
    pub slope_bias: bool,
    /// Root mean square error for standards left out.
    pub rmse: f64,
    /// Share in the answer.
    pub weight: f64,
}

/// A calibration moved to another instrument.
#[derive(Clone, Debug, PartialEq)]
pub struct MovedCalibration {
    /// All candidates, with their errors and weights.
    pub candidates: Vec<Candidate>,
    /// Root mean square error of the answer for standards left out.
    pub rmse: f64,
    /// Standards used.
    pub standards: usize,
    intercept: f64,
    coefficients: Vec<f64>,
    place: Place,
    /// Root mean square error where the leverage is zero.
    spread: f64,
}

/// Where spectra stand among those of a calibration.
#[derive(Clone, Debug, PartialEq)]
struct Place {
    lines: TransferModel,
    pls: Pls,
}

impl Place {
    /// Leverage of a spectrum of the other instrument.
    fn leverage(&self, x: &[f64]) -> f64 {
        let mut z = vec![0.0; x.len()];
        self.lines.apply(x, &mut z, &mut Vec::new());
        self.pls.leverage(&z)
    }
}

/// A calibration cannot be moved.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MoveError {
    /// Standards do not fit.
    #[error(transparent)]
    Standards(#[from] StandardsError),
    /// No calibration.
    #[error(transparent)]
    Calibration(#[from] PlsError),
}

type Linear = (f64, Vec<f64>);
/// Candidates with what they make of a calibration.
type Found = Vec<(Means, bool, Linear)>;

fn predict((intercept, coefficients): &Linear, x: &[f64]) -> f64 {
    intercept + dot(coefficients, x)
}

/// Line through points; slope 1 where they have no spread.
fn line(x: &[f64], y: &[f64]) -> (f64, f64) {
    let n = x.len() as f64;
    let (mx, my) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let xx: f64 = x.iter().map(|v| (v - mx) * (v - mx)).sum();
    let xy: f64 = x.iter().zip(y).map(|(a, b)| (a - mx) * (b - my)).sum();
    let slope = if xx > 0.0 { xy / xx } else { 1.0 };
    (slope, my - slope * mx)
}

/// A calibration: spectra of the master, rows x channels, and one property for each.
#[derive(Clone, Debug)]
struct Calibration {
    spectra: Vec<f64>,
    property: Vec<f64>,
    components: usize,
}

impl Calibration {
    fn fit(&self, channels: usize) -> Result<Pls, PlsError> {
        Pls::fit(&self.spectra, &self.property, channels, self.components)
    }

    fn linear(&self, pls: &Pls) -> Linear {
        let (intercept, coefficients) = pls.coefficients(self.components);
        (intercept, coefficients.to_vec())
    }

    fn through(&self, model: &TransferModel, channels: usize) -> Self {
        let (mut scratch, mut spectra) = (Vec::new(), vec![0.0; self.spectra.len()]);
        let rows = self.spectra.chunks_exact(channels).zip(spectra.chunks_exact_mut(channels));
        rows.for_each(|(x, z)| model.apply(x, z, &mut scratch));
        Self { spectra, ..self.clone() }
    }
}

/// All candidates, from one set of standards with their property, and the place of spectra in the
/// calibration.
fn candidates(
    calibration: &Calibration,
    standards: &Standards,
    property: &[f64],
    ranks: usize,
) -> Result<(Found, Place), PlsError> {
    let n = standards.channels;
    let pls = calibration.fit(n)?;
    let raw = calibration.linear(&pls);
    let lines = slope_bias(standards);
    let mut plain = vec![(Means::Raw, raw.clone())];
    for rank in 1..=ranks.min(DIRECT_RANKS) {
        let model = direct(standards, rank);
        plain.push((Means::Direct(rank), model.pull_back(raw.0, &raw.1)));
    }
    for half in 0..=HALF_WINDOW {
        let model = if half == 0 { lines.clone() } else { piecewise(standards, half, 1) };
        plain.push((Means::Piecewise(half), model.pull_back(raw.0, &raw.1)));
    }
    for rank in 1..=ranks.min(DIRECTIONS) {
        let [slave, master] = orthogonal(standards, rank);
        let through = calibration.through(&master, n);
        let (a, b) = through.linear(&through.fit(n)?);
        plain.push((Means::Orthogonal(rank), slave.pull_back(a, &b)));
    }
    let mut all = Vec::with_capacity(2 * plain.len());
    for (means, linear) in plain {
        let there: Vec<f64> =
            standards.slave.chunks_exact(n).map(|x| predict(&linear, x)).collect();
        let (slope, bias) = line(&there, property);
        let after = (slope * linear.0 + bias, linear.1.iter().map(|b| slope * b).collect());
        all.push((means, false, linear));
        all.push((means, true, after));
    }
    Ok((all, Place { lines, pls }))
}

impl MovedCalibration {
    /// Moves a PLS calibration with `components` of `property` on `spectra` (specimens x channels)
    /// to the instrument that measured `slave`: specimens `standards` of the calibration, in this
    /// order.
    ///
    /// # Errors
    /// With fewer than 6 standards, values that do not fit, or no calibration.
    pub fn fit(
        spectra: &[f64],
        property: &[f64],
        channels: usize,
        components: usize,
        standards: &[usize],
        slave: &[f64],
    ) -> Result<Self, MoveError> {
        let specimens = property.len();
        if spectra.len() != specimens * channels || standards.iter().any(|i| *i >= specimens) {
            return Err(
                PlsError::Shape { got: spectra.len(), rows: specimens, columns: channels }.into()
            );
        }
        let row = |i: usize| &spectra[i * channels..(i + 1) * channels];
        let master = standards.iter().flat_map(|&i| row(i).iter().copied()).collect();
        let pairs = Standards::new(master, slave.to_vec(), channels, 6)?;
        let known: Vec<f64> = standards.iter().map(|&i| property[i]).collect();
        let n = pairs.len();
        // The smallest training set of the cross-validation holds four fifths of the standards.
        let ranks = (n - n.div_ceil(5)).saturating_sub(1).max(1);
        let whole =
            Calibration { spectra: spectra.to_vec(), property: property.to_vec(), components };
        let (all, place) = candidates(&whole, &pairs, &known, ranks)?;
        let mut errors: Vec<Vec<f64>> = vec![Vec::new(); all.len()];
        let mut leverages = Vec::new();
        for folds in partitions(n) {
            for fold in 0..=folds.iter().copied().max().unwrap_or(0) {
                let left: Vec<usize> = (0..n).filter(|i| folds[*i] == fold).collect();
                let out = |specimen: usize| left.iter().any(|i| standards[*i] == specimen);
                let kept: Vec<usize> = (0..specimens).filter(|i| !out(*i)).collect();
                let calibration = Calibration {
                    spectra: kept.iter().flat_map(|&i| row(i).iter().copied()).collect(),
                    property: kept.iter().map(|&i| property[i]).collect(),
                    components,
                };
                let train = pairs.subset(|i| folds[i] != fold);
                let train_known: Vec<f64> =
                    (0..n).filter(|i| folds[*i] != fold).map(|i| known[i]).collect();
                let (found, place) = candidates(&calibration, &train, &train_known, ranks)?;
                let slave = |i: usize| &pairs.slave[i * channels..(i + 1) * channels];
                leverages.extend(left.iter().map(|&i| place.leverage(slave(i))));
                for ((_, _, linear), errors) in found.iter().zip(&mut errors) {
                    for &i in &left {
                        errors.push(predict(linear, slave(i)) - known[i]);
                    }
                }
            }
        }
        let rms = |e: &[f64]| (e.iter().map(|v| v * v).sum::<f64>() / e.len() as f64).sqrt();
        let rmse: Vec<f64> = errors.iter().map(|e| rms(e)).collect();
        let best = rmse.iter().copied().fold(f64::INFINITY, f64::min);
        // Relative to the best, so that no power leaves the range of numbers.
        let shares: Vec<f64> = rmse
            .iter()
            .map(|e| if best > 0.0 { (e / best).powi(-(n as i32)) } else { f64::from(*e == 0.0) })
            .collect();
        let total: f64 = shares.iter().sum();
        let weights: Vec<f64> = shares.iter().map(|s| s / total).collect();
        let draws = errors[0].len();
        let mean_error: Vec<f64> =
            (0..draws).map(|d| weights.iter().zip(&errors).map(|(w, e)| w * e[d]).sum()).collect();
        let scaled: Vec<f64> =
            mean_error.iter().zip(&leverages).map(|(e, h)| e / (1.0 + h).sqrt()).collect();
        let (mut intercept, mut coefficients) = (0.0, vec![0.0; channels]);
        for ((_, _, (a, b)), w) in all.iter().zip(&weights) {
            intercept += w * a;
            coefficients.iter_mut().zip(b).for_each(|(c, b)| *c += w * b);
        }
        let candidates = all
            .iter()
            .zip(rmse)
            .zip(weights)
            .map(|(((means, slope_bias, _), rmse), weight)| Candidate {
                means: *means,
                slope_bias: *slope_bias,
                rmse,
                weight,
            })
            .collect();
        Ok(Self {
            candidates,
            rmse: rms(&mean_error),
            standards: n,
            intercept,
            coefficients,
            place,
            spread: rms(&scaled),
        })
    }

    /// The property of a spectrum of the other instrument.
    pub fn predict(&self, x: &[f64]) -> f64 {
        self.intercept + dot(&self.coefficients, x)
    }

    /// Half-width of the interval that covers the property of a specimen with the spectrum `x` of the
    /// other instrument in `level` of the cases.
    pub fn interval(&self, x: &[f64], level: f64) -> f64 {
        let t = kalpha_num::statistics::student_t_quantile(
            0.5 + 0.5 * level,
            self.standards as f64 - 1.0,
        );
        t * self.spread * (1.0 + self.place.leverage(x)).sqrt()
    }
}
