//! Which references a spectrum needs: all combinations up to a size, compared honestly.
//!
//! Each combination is fitted exactly. The best of each size is compared with the best of the next
//! one by an F-test whose p-value is multiplied by the number of references that could have been
//! added, by cross-validation over ten stretches of the axis, and by
//! `BIC = n ln(chi² / n) + p ln n`. n is the number of independent points: residuals that hang together
//! count as fewer, `N (1 - ρ) / (1 + ρ)` with ρ their first autocorrelation in the largest fit. The
//! size grows while the next one is significant (5 %) and predicts better what it was not fitted to.
//!
//! Sources: Calvin (2013), XAFS for Everyone, chapter 9; Schwarz (1978), Ann. Stat. 6, 461,
//! doi:10.1214/aos/1176344136; Bretherton et al. (1999), J. Climate 12, 1990,
//! doi:10.1175/1520-0442(1999)012<1990:TENOSD>2.0.CO;2, for n. Complexity O(combinations channels
//! size). Tested on mixtures of known references.

use super::{Conditions, Fit, Lcf, LcfError, References, Scratch, Sum};
use kalpha_num::statistics::regularized_beta;
use serde::{Deserialize, Serialize};

/// Most combinations that are tried.
const MOST: usize = 50_000;
/// Combinations that are told.
const TOLD: usize = 20;
/// Stretches of the axis that are left out in turn.
const STRETCHES: usize = 10;
/// Difference of BIC below which combinations of one size are as good.
const AS_GOOD: f64 = 2.0;
/// Level of the F-test.
const LEVEL: f64 = 0.05;

/// A combination of references, fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Combination {
    /// References, from zero.
    pub references: Vec<usize>,
    /// Their weights.
    pub weights: Vec<f64>,
    /// `(y - R w)ᵀ V⁻¹ (y - R w)`.
    pub chi2: f64,
    /// `sum (y - R w)² / sum y²`.
    pub r_factor: f64,
    /// Bayesian information criterion, from independent points.
    pub bic: f64,
}

/// The step from one size to the next.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Size {
    /// References in the combination.
    pub references: usize,
    /// BIC of the best one.
    pub bic: f64,
    /// Root mean square error, in standard deviations, on stretches left out.
    pub left_out: f64,
    /// Probability of so large a gain over the size before by chance, times the references that
    /// could have been added; 1 for the first.
    pub p: f64,
}

/// What a search has found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Search {
    /// Independent points.
    pub independent_points: f64,
    /// The best of each size, from one reference.
    pub sizes: Vec<Size>,
    /// The recommended combination.
    pub recommended: Combination,
    /// Others of its size whose BIC is within 2.
    pub as_good: Vec<Combination>,
    /// The best of all sizes by BIC, 20 at most.
    pub best: Vec<Combination>,
}

/// A search is not possible.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// Too many combinations.
    #[error(
        "{references} references in combinations of up to {size} are more than {MOST} (hint: a smaller \
         search, or fewer references)"
    )]
    Many {
        /// References.
        references: usize,
        /// Largest combination.
        size: usize,
    },
    /// No combination can be fitted.
    #[error(transparent)]
    Fit(#[from] LcfError),
    /// The spectrum is not finite or zero everywhere.
    #[error("the spectrum to search for holds NaN, infinity or nothing but zeros")]
    Spectrum,
}

impl References {
    /// Some of the references, in the order given.
    #[must_use]
    pub fn of(&self, chosen: &[usize]) -> Self {
        let pick = |from: &[Vec<f64>]| chosen.iter().map(|i| from[*i].clone()).collect();
        Self { axis: self.axis.clone(), values: pick(&self.values), slopes: pick(&self.slopes) }
    }

    /// Without the channels of `left_out`.
    fn without(&self, left_out: &std::ops::Range<usize>) -> Self {
        let rows = |from: &[Vec<f64>]| from.iter().map(|row| without(row, left_out)).collect();
        Self {
            axis: without(&self.axis, left_out),
            values: rows(&self.values),
            slopes: rows(&self.slopes),
        }
    }
}

fn without(values: &[f64], left_out: &std::ops::Range<usize>) -> Vec<f64> {
    [&values[..left_out.start], &values[left_out.end..]].concat()
}

/// All subsets of `n` with `size` members, in lexical order.
fn subsets(n: usize, size: usize) -> Vec<Vec<usize>> {
    let mut all = Vec::new();
    let mut current: Vec<usize> = (0..size).collect();
    if size > n {
        return all;
    }
    loop {
        all.push(current.clone());
        let Some(i) = (0..size).rev().find(|i| current[*i] < n - size + i) else { break };
        current[i] += 1;
        for j in i + 1..size {
            current[j] = current[j - 1] + 1;
        }
    }
    all
}

/// Free parameters of a combination.
fn parameters(size: usize, sum: Sum) -> f64 {
    (size - usize::from(sum == Sum::One)) as f64
}

/// Searches combinations of up to `largest` references for the spectrum `y`.
///
/// # Errors
/// For too many combinations, references that allow no fit, or a spectrum that is not finite.
pub fn search(
    references: &References,
    y: &[f64],
    sigma: &[f64],
    conditions: &Conditions,
    largest: usize,
) -> Result<Search, SearchError> {
    let (n, m) = (references.values.len(), y.len());
    let largest = largest.clamp(1, n.max(1));
    if y.iter().any(|v| !v.is_finite()) || y.iter().all(|v| *v == 0.0) {
        return Err(SearchError::Spectrum);
    }
    let count = (1..=largest).try_fold(0usize, |sum, size| {
        let ways = (0..size).try_fold(1usize, |w, i| Some(w.checked_mul(n - i)? / (i + 1)))?;
        sum.checked_add(ways).filter(|sum| *sum <= MOST)
    });
    if count.is_none() {
        return Err(SearchError::Many { references: n, size: largest });
    }
    let fit = |chosen: &[usize]| -> Result<Fit, LcfError> {
        let lcf = Lcf::new(&references.of(chosen), sigma, conditions)?;
        let mut fit = Fit::default();
        lcf.fit(y, &mut fit, &mut Scratch::default());
        Ok(fit)
    };
    let mut failed = None;
    let mut by_size: Vec<Vec<(Vec<usize>, Fit)>> = Vec::new();
    for size in 1..=largest {
        let mut all = Vec::new();
        for chosen in subsets(n, size) {
            match fit(&chosen) {
                Ok(found) => all.push((chosen, found)),
                Err(error) => failed = Some(error),
            }
        }
        all.sort_by(|a, b| a.1.chi2.total_cmp(&b.1.chi2));
        if all.is_empty() {
            break;
        }
        by_size.push(all);
    }
    let Some(last) = by_size.last().and_then(|all| all.first()) else {
        return Err(failed.map_or(SearchError::Spectrum, SearchError::Fit));
    };
    let independent = independent_points(references, y, sigma, last);
    let bic = |size: usize, chi2: f64| {
        independent * (chi2.max(f64::MIN_POSITIVE) / m as f64).ln()
            + parameters(size, conditions.sum) * independent.ln()
    };
    let combination = |(chosen, fit): &(Vec<usize>, Fit)| Combination {
        references: chosen.clone(),
        weights: fit.weights.clone(),
        chi2: fit.chi2,
        r_factor: fit.r_factor,
        bic: bic(chosen.len(), fit.chi2),
    };
    let mut sizes: Vec<Size> = Vec::new();
    for (k, all) in by_size.iter().enumerate() {
        let (chosen, best) = &all[0];
        let left_out = cross_validate(&references.of(chosen), y, sigma, conditions)?;
        let p = match k.checked_sub(1) {
            None => 1.0,
            Some(before) => {
                let gain = by_size[before][0].1.chi2 - best.chi2;
                let free = (independent - parameters(k + 1, conditions.sum)).max(1.0);
                let f = (gain * free / best.chi2.max(f64::MIN_POSITIVE)).max(0.0);
                let once = regularized_beta(free / (free + f), 0.5 * free, 0.5);
                (once * (n - k) as f64).min(1.0)
            }
        };
        sizes.push(Size { references: k + 1, bic: bic(k + 1, best.chi2), left_out, p });
    }
    let mut size = 0;
    while size + 1 < sizes.len()
        && sizes[size + 1].p < LEVEL
        && sizes[size + 1].left_out < sizes[size].left_out
    {
        size += 1;
    }
    let recommended = combination(&by_size[size][0]);
    let as_good = by_size[size][1..]
        .iter()
        .map(combination)
        .take_while(|c| c.bic - recommended.bic < AS_GOOD)
        .collect();
    let mut best: Vec<Combination> =
        by_size.iter().flat_map(|all| all.iter().take(TOLD).map(combination)).collect();
    best.sort_by(|a, b| a.bic.total_cmp(&b.bic));
    best.truncate(TOLD);
    Ok(Search { independent_points: independent, sizes, recommended, as_good, best })
}

/// Points that the residuals of a fit stand for.
fn independent_points(
    references: &References,
    y: &[f64],
    sigma: &[f64],
    (chosen, fit): &(Vec<usize>, Fit),
) -> f64 {
    let m = y.len();
    let left: Vec<f64> = (0..m)
        .map(|c| {
            let model: f64 =
                chosen.iter().zip(&fit.weights).map(|(i, w)| w * references.values[*i][c]).sum();
            (y[c] - model) / sigma[c]
        })
        .collect();
    let square: f64 = left.iter().map(|l| l * l).sum();
    let product: f64 = left.windows(2).map(|w| w[0] * w[1]).sum();
    let rho = if square > 0.0 { (product / square).clamp(0.0, 0.99) } else { 0.0 };
    (m as f64 * (1.0 - rho) / (1.0 + rho)).max(chosen.len() as f64 + 2.0)
}

/// Root mean square error, in standard deviations, on stretches left out of the fit.
fn cross_validate(
    references: &References,
    y: &[f64],
    sigma: &[f64],
    conditions: &Conditions,
) -> Result<f64, LcfError> {
    let (n, m) = (references.values.len(), y.len());
    let mut squares = 0.0;
    let mut count = 0;
    for stretch in 0..STRETCHES.min(m) {
        let left_out = stretch * m / STRETCHES.min(m)..(stretch + 1) * m / STRETCHES.min(m);
        if m - left_out.len() < n.max(2) {
            continue;
        }
        let inside =
            Lcf::new(&references.without(&left_out), &without(sigma, &left_out), conditions);
        // Without that stretch the references cannot be told apart: nothing is learned from it.
        let Ok(lcf) = inside else { continue };
        let mut fit = Fit::default();
        lcf.fit(&without(y, &left_out), &mut fit, &mut Scratch::default());
        for c in left_out {
            let model: f64 =
                references.values.iter().zip(&fit.weights).map(|(r, w)| w * r[c]).sum();
            squares += ((y[c] - model) / sigma[c]).powi(2);
            count += 1;
        }
    }
    Ok(if count == 0 { f64::INFINITY } else { (squares / f64::from(count)).sqrt() })
}
