//! Cliff-Lorimer quantification of a thin film.
//!
//! `w_i = k_i A_i I_i / sum_j k_j A_j I_j` (Cliff and Lorimer 1975,
//! doi:10.1111/j.1365-2818.1975.tb03895.x): weight fractions `w`, k-factors `k` on weight basis,
//! absorption factors `A` (1 without correction, see [`crate::absorption`]) and line intensities
//! `I`. Atomic fractions follow by dividing by molar masses and closing to one again.
//!
//! Both are closures `c_i = q_i / S`, `S = sum q`, with derivative
//! `dc_i/dq_j = (delta_ij - c_i) / S`. Counting covariance goes through it in full. Each k-factor
//! is a cause of its own, `dc_i/dln k_j = c_j (delta_ij - c_i)`: a common factor of all k cancels,
//! so the result depends on k ratios alone and no reference element is singled out.
//!
//! Intensities stay signed. Where `S <= 0` there is no composition: a spectrum is
//! [`NotQuantified`], a pixel is masked (see [`map`]).
//!
//! Complexity: O(n^2) per spectrum of n lines, O(n) per pixel; with absorption times iterations.
//! Tested against eXSpy 0.3.2 on FePt (`CL_atomic`, `CL_weight`, `CL_ratio_test`).

pub mod coverage;
pub mod map;
mod step;

pub use step::{CliffLorimerParams, CliffLorimerStep, DensityRule, Intensities, Quantified};

use crate::{
    absorption::{AbsorptionReport, ThinFilm},
    error::{NotQuantified, QuantifyError, RefusalReason},
    k_factors::KFactor,
};
use kalpha_core::{Cause, Quantity, Systematics};
use serde::{Deserialize, Serialize};

/// Net intensities of one line per element, with their uncertainties.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LineIntensities {
    /// Lines such as `Fe_Ka`.
    pub lines: Vec<String>,
    /// Net counts, signed.
    pub counts: Vec<f64>,
    /// Covariance of the counts, `n x n` row-major; empty if unknown.
    pub covariance: Vec<f64>,
    /// Signed one-sigma shifts of all lines together, per cause.
    pub shifts: Vec<(Cause, Vec<f64>)>,
}

/// Composition of one spectrum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Composition {
    /// Lines used, one per element.
    pub lines: Vec<String>,
    /// Element symbols.
    pub elements: Vec<String>,
    /// Weight percent.
    pub weight_percent: Vec<Quantity>,
    /// Atomic percent.
    pub atomic_percent: Vec<Quantity>,
    /// Counting covariance of weight percent, `n x n` row-major.
    pub weight_covariance: Vec<f64>,
    /// Counting covariance of atomic percent, `n x n` row-major.
    pub atomic_covariance: Vec<f64>,
    /// The k-factors used.
    pub k_factors: Vec<KFactor>,
    /// What the absorption correction did; `None` if none was asked for.
    pub absorption: Option<AbsorptionReport>,
}

/// A composition, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The composition.
    Composition(Composition),
    /// The refusal.
    NotQuantified(NotQuantified),
}

impl Outcome {
    /// The composition, if there is one.
    pub fn composition(&self) -> Option<&Composition> {
        match self {
            Self::Composition(composition) => Some(composition),
            Self::NotQuantified(_) => None,
        }
    }
}

/// `q_i / sum q`; `None` unless the sum is positive and finite.
pub fn closure(q: &[f64]) -> Option<Vec<f64>> {
    let sum: f64 = q.iter().sum();
    (sum.is_finite() && sum > 0.0).then(|| q.iter().map(|x| x / sum).collect())
}

/// Atomic fractions from weight fractions and molar masses (g/mol).
pub fn weight_to_atomic(weight: &[f64], molar_mass: &[f64]) -> Option<Vec<f64>> {
    closure(&weight.iter().zip(molar_mass).map(|(w, m)| w / m).collect::<Vec<_>>())
}

/// Weight fractions from atomic fractions and molar masses (g/mol).
pub fn atomic_to_weight(atomic: &[f64], molar_mass: &[f64]) -> Option<Vec<f64>> {
    closure(&atomic.iter().zip(molar_mass).map(|(a, m)| a * m).collect::<Vec<_>>())
}

/// Weight fractions from k-weighted intensities, with the film's absorption.
struct Solved {
    weight: Vec<f64>,
    factors: Vec<f64>,
    iterations: usize,
    converged: bool,
}

fn solve(q: &[f64], film: Option<&ThinFilm>, tolerance_percent: f64) -> Option<Solved> {
    let mut weight = closure(q)?;
    let mut factors = vec![1.0; q.len()];
    let Some(film) = film else {
        return Some(Solved { weight, factors, iterations: 0, converged: true });
    };
    for iterations in 1..=film.max_iterations {
        factors = film.factors(&weight);
        let next = closure(&q.iter().zip(&factors).map(|(q, a)| q * a).collect::<Vec<_>>())?;
        let moved = next.iter().zip(&weight).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        weight = next;
        if 100.0 * moved <= tolerance_percent {
            return Some(Solved { weight, factors, iterations, converged: true });
        }
    }
    Some(Solved { weight, factors, iterations: film.max_iterations, converged: false })
}

/// `[weight fractions, atomic fractions]`, fully converged, for derivatives.
fn fractions(q: &[f64], film: Option<&ThinFilm>, molar_mass: &[f64]) -> Option<[Vec<f64>; 2]> {
    let weight = solve(q, film, 1e-11)?.weight;
    let atomic = weight_to_atomic(&weight, molar_mass)?;
    Some([weight, atomic])
}

/// Derivative of fractions by k-weighted intensities: `[weight, atomic]`, `n x n` row-major.
///
/// Analytic without absorption; with it, central differences of the converged fixed point, so
/// that the dependence of the absorption on the composition is in it.
fn jacobians(q: &[f64], film: Option<&ThinFilm>, molar_mass: &[f64]) -> Option<[Vec<f64>; 2]> {
    let n = q.len();
    let sum: f64 = q.iter().sum();
    let [weight, atomic] = fractions(q, film, molar_mass)?;
    let mut out = [vec![0.0; n * n], vec![0.0; n * n]];
    for j in 0..n {
        if film.is_none() {
            let atoms: f64 = q.iter().zip(molar_mass).map(|(q, m)| q / m).sum();
            for i in 0..n {
                let delta = if i == j { 1.0 } else { 0.0 };
                out[0][i * n + j] = (delta - weight[i]) / sum;
                out[1][i * n + j] = (delta - atomic[i]) / (atoms * molar_mass[j]);
            }
            continue;
        }
        let step = 1e-4 * sum;
        let at = |delta: f64| {
            let mut moved = q.to_vec();
            moved[j] += delta;
            fractions(&moved, film, molar_mass)
        };
        let (up, down) = (at(step)?, at(-step)?);
        for kind in 0..2 {
            for i in 0..n {
                out[kind][i * n + j] = (up[kind][i] - down[kind][i]) / (2.0 * step);
            }
        }
    }
    Some(out)
}

fn apply(matrix: &[f64], vector: &[f64]) -> Vec<f64> {
    matrix
        .chunks_exact(vector.len())
        .map(|row| row.iter().zip(vector).map(|(a, b)| a * b).sum())
        .collect()
}

/// `J C J^T`, row-major.
fn sandwich(jacobian: &[f64], covariance: &[f64], n: usize) -> Vec<f64> {
    let mut out = vec![0.0; n * n];
    for a in 0..n {
        let left: Vec<f64> = (0..n)
            .map(|j| (0..n).map(|i| jacobian[a * n + i] * covariance[i * n + j]).sum())
            .collect();
        for b in 0..n {
            out[a * n + b] = (0..n).map(|j| left[j] * jacobian[b * n + j]).sum();
        }
    }
    out
}

fn refuse(reason: RefusalReason, detail: &str, hint: &str) -> Outcome {
    Outcome::NotQuantified(NotQuantified { reason, detail: detail.into(), hint: hint.into() })
}

/// Composition of one spectrum of a thin film.
///
/// `intensities` (n lines), `k` and `molar_mass` (g/mol) are in the same order; `film` asks for
/// the absorption correction. Values are percent. Systematics: every shift of the intensities by
/// its cause, `k_factor:LINE` per line, `absorption` for thickness and `mass_attenuation` for
/// the coefficients.
///
/// # Errors
/// [`QuantifyError`] when arrays do not fit together or the film is ill defined. Data that give
/// no composition are not an error but [`Outcome::NotQuantified`].
pub fn cliff_lorimer(
    intensities: &LineIntensities,
    k: &[KFactor],
    molar_mass: &[f64],
    film: Option<&ThinFilm>,
) -> Result<Outcome, QuantifyError> {
    let n = intensities.lines.len();
    check_lengths(intensities, k, molar_mass)?;
    if let Some(film) = film {
        film.validate(n)?;
    }
    if n < 2 {
        return Ok(refuse(
            RefusalReason::TooFewElements,
            "Ratios need at least two elements.",
            "Name more with --elements.",
        ));
    }
    let values: Vec<f64> = k.iter().map(|k| k.value).collect();
    let q: Vec<f64> = intensities.counts.iter().zip(&values).map(|(i, k)| i * k).collect();
    let no_signal = || {
        refuse(
            RefusalReason::NoSignal,
            "The k-weighted intensities do not sum to a positive number.",
            "Check the elements, the background and the counts.",
        )
    };
    let tolerance = film.map_or(0.0, |f| f.tolerance_percent);
    let Some(solved) = solve(&q, film, tolerance) else { return Ok(no_signal()) };
    if !solved.converged {
        return Ok(refuse(
            RefusalReason::NotConverged,
            "The absorption correction did not settle.",
            "The film may be too thick for it; check thickness and take-off angle.",
        ));
    }
    let Some(jacobian) = jacobians(&q, film, molar_mass) else { return Ok(no_signal()) };
    let Some(atomic) = weight_to_atomic(&solved.weight, molar_mass) else { return Ok(no_signal()) };

    let in_counts = jacobian.clone().map(|j| scale_columns(&j, &values));
    let covariance = in_counts.clone().map(|j| match intensities.covariance.is_empty() {
        true => vec![f64::NAN; n * n],
        false => sandwich(&j, &intensities.covariance, n).iter().map(|c| c * 1e4).collect(),
    });
    let mut syst = [vec![Systematics::none(); n], vec![Systematics::none(); n]];
    let mut shift = |cause: &Cause, by: [Vec<f64>; 2]| {
        for kind in 0..2 {
            for i in 0..n {
                syst[kind][i].add(cause.clone(), 100.0 * by[kind][i]);
            }
        }
    };
    for (cause, shifts) in &intensities.shifts {
        shift(cause, in_counts.clone().map(|j| apply(&j, shifts)));
    }
    for (i, k) in k.iter().enumerate() {
        let mut by = vec![0.0; n];
        by[i] = q[i] * k.relative_sigma;
        shift(&Cause::KFactor(k.line.clone()), jacobian.clone().map(|j| apply(&j, &by)));
    }
    if let Some(film) = film {
        for (cause, thicker) in [
            (Cause::Absorption, film.thickness_sigma_nm / film.thickness_nm),
            (Cause::Other("mass_attenuation".into()), film.mass_attenuation_relative_sigma),
        ] {
            if let Some(by) = absorption_shift(&q, film, molar_mass, thicker) {
                shift(&cause, by);
            }
        }
    }

    let quantities =
        |fractions: &[f64], covariance: &[f64], syst: &[Systematics]| -> Vec<Quantity> {
            (0..n)
                .map(|i| {
                    let stat = covariance[i * n + i].max(0.0).sqrt();
                    Quantity::measured(100.0 * fractions[i], stat, syst[i].clone())
                })
                .collect()
        };
    let [weight_covariance, atomic_covariance] = covariance;
    Ok(Outcome::Composition(Composition {
        elements: intensities.lines.iter().map(|line| element_of(line)).collect(),
        lines: intensities.lines.clone(),
        weight_percent: quantities(&solved.weight, &weight_covariance, &syst[0]),
        atomic_percent: quantities(&atomic, &atomic_covariance, &syst[1]),
        weight_covariance,
        atomic_covariance,
        k_factors: k.to_vec(),
        absorption: film.map(|film| AbsorptionReport {
            density_g_cm3: film.density(&solved.weight),
            mass_thickness_kg_m2: film.mass_thickness(&solved.weight),
            factors: solved.factors,
            iterations: solved.iterations,
            converged: solved.converged,
        }),
    }))
}

/// Half the difference between a film thicker and one thinner by a relative amount.
///
/// Thickness and attenuation enter as one product, so both are moved this way.
fn absorption_shift(
    q: &[f64],
    film: &ThinFilm,
    molar_mass: &[f64],
    relative: f64,
) -> Option<[Vec<f64>; 2]> {
    let at = |factor: f64| {
        let film = ThinFilm { thickness_nm: film.thickness_nm * factor, ..film.clone() };
        fractions(q, Some(&film), molar_mass)
    };
    // Below zero thickness there is no film; a large sigma is taken one-sided from zero.
    let (up, down) = (at(1.0 + relative)?, at((1.0 - relative).max(0.0))?);
    let half = |kind: usize| up[kind].iter().zip(&down[kind]).map(|(u, d)| (u - d) / 2.0).collect();
    Some([half(0), half(1)])
}

fn scale_columns(matrix: &[f64], by: &[f64]) -> Vec<f64> {
    matrix.chunks_exact(by.len()).flat_map(|row| row.iter().zip(by).map(|(a, b)| a * b)).collect()
}

fn element_of(line: &str) -> String {
    line.split('_').next().unwrap_or(line).to_owned()
}

fn check_lengths(
    intensities: &LineIntensities,
    k: &[KFactor],
    molar_mass: &[f64],
) -> Result<(), QuantifyError> {
    let expected = intensities.lines.len();
    let covariance = match intensities.covariance.len() {
        0 => expected * expected,
        got => got,
    };
    let shifts =
        intensities.shifts.iter().map(|(_, s)| ("shift of intensities", s.len(), expected));
    for (what, got, expected) in [
        ("intensities", intensities.counts.len(), expected),
        ("covariance of intensities", covariance, expected * expected),
        ("k-factors", k.len(), expected),
        ("molar masses", molar_mass.len(), expected),
    ]
    .into_iter()
    .chain(shifts)
    {
        if got != expected {
            return Err(QuantifyError::Length { what, got, expected });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
