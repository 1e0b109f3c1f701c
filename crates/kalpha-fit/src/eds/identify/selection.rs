//! Forward selection of families under non-negativity.
//!
//! At each step the candidate that improves the weighted fit most is added,
//! `t = (b_j - g_jA x_A) / sqrt(g_jj - g_jA G_AA⁻¹ g_Aj)`, and the set is fitted again without
//! negative members. Orthogonal matching pursuit on the Gram matrix: a step costs one small
//! Cholesky factor.
//!
//! Source: Pati et al. (1993), doi:10.1109/ACSSC.1993.342465.

use kalpha_num::least_squares::Cholesky;
use kalpha_num::nnls::nnls;
use kalpha_physics::lines::LineFamily;
use kalpha_physics::pileup::{Content, pileup_spectrum};
use kalpha_physics::profile::observed_lines;

use crate::eds::FitError;
use crate::eds::families::{
    BackgroundModel, FamilyFit, FitOptions, background_columns, family_columns,
};

/// Two families whose weighted profiles have a larger cosine cannot be told apart; the one that
/// explains more is kept (Br L against Al K: 6 eV at a resolution of 75 eV).
const INSEPARABLE: f64 = 0.9;

/// `start` and families chosen from `candidates`, at most `limit`, each new one with t above `threshold` when it
/// was added.
///
/// # Errors
/// Those of the column functions, [`FitError::TooFewChannels`], [`FitError::NoCounts`].
pub(super) fn forward(
    energies: &[f64],
    counts: &[f64],
    candidates: &[LineFamily],
    start: &[LineFamily],
    options: &FitOptions,
    threshold: f64,
    limit: usize,
) -> Result<Vec<LineFamily>, FitError> {
    let range = options.range(energies);
    let (low, high) = (options.low, options.high);
    if range.len() < 20 {
        return Err(FitError::TooFewChannels { channels: range.len(), low, high, needed: 20 });
    }
    let y = &counts[range.clone()];
    if y.iter().sum::<f64>() <= 0.0 {
        return Err(FitError::NoCounts { low, high });
    }
    let background =
        background_columns(BackgroundModel::Bremsstrahlung, energies, counts, options)?;
    let b = background.len();
    let families = family_columns(energies, candidates, options)?;
    let mut columns: Vec<Vec<f64>> =
        background.iter().chain(&families).map(|c| c[range.clone()].to_vec()).collect();
    columns.push(vec![0.0; y.len()]);
    let pile = columns.len() - 1;
    let width = 5;
    let weights: Vec<f64> = (0..y.len())
        .map(|i| {
            let w = &y[i.saturating_sub(width)..(i + width + 1).min(y.len())];
            1.0 / (w.iter().sum::<f64>() / w.len() as f64).max(y[i]).max(0.5)
        })
        .collect();
    let mut gram = Gram::new(&columns, y, &weights);
    let in_start = |f: &LineFamily| start.iter().any(|s| s.name() == f.name());
    let mut chosen: Vec<usize> =
        (0..candidates.len()).filter(|&c| in_start(&candidates[c])).collect();
    // A start without pile-up is brought up to date at once.
    let mut since_pileup = chosen.len();
    // Pruning may drop and re-add families in turn: the number of steps is bounded as well.
    let mut steps = 0;
    while chosen.len() < limit && steps < 3 * limit {
        steps += 1;
        let mut set: Vec<usize> = (0..b).chain(chosen.iter().map(|&c| b + c)).collect();
        if gram.diagonal(pile) > 0.0 {
            set.push(pile);
        }
        let Some(state) = gram.state(&set) else { break };
        let best = (0..candidates.len())
            .filter(|c| !chosen.contains(c))
            .filter(|&c| chosen.iter().all(|&d| gram.cosine(b + c, b + d) < INSEPARABLE))
            .filter_map(|c| state.gain(&gram, b + c).map(|t| (t, c)))
            .filter(|(t, _)| t.is_finite())
            .max_by(|x, y| x.0.total_cmp(&y.0));
        let Some((t, c)) = best else { break };
        if t < threshold {
            if since_pileup == 0 || !options.pileup {
                break;
            }
            // Nothing more on the old pile-up: bring it up to date and look again.
            since_pileup = 0;
            update_pileup(
                energies,
                &range,
                candidates,
                &chosen,
                &state,
                &set,
                b,
                &mut columns,
                options,
            )?;
            gram.replace(&columns, y, &weights, pile);
            continue;
        }
        chosen.push(c);
        since_pileup += 1;
        prune(&gram, &mut chosen, b, pile, c);
    }
    chosen.sort_unstable();
    Ok(chosen.into_iter().map(|c| candidates[c].clone()).collect())
}

/// Counts and standard deviation of each of `extra` when it alone joins a finished fit; `None`
/// where it cannot be told from the families of the fit.
///
/// # Errors
/// Those of the column functions.
pub(super) fn additions(
    energies: &[f64],
    counts: &[f64],
    fit: &FamilyFit,
    families: &[LineFamily],
    extra: &[LineFamily],
    options: &FitOptions,
) -> Result<Vec<Option<(f64, f64)>>, FitError> {
    let range = options.range(energies);
    let background = background_columns(fit.background, energies, counts, options)?;
    let known = family_columns(energies, families, options)?;
    let new = family_columns(energies, extra, options)?;
    let cut = |c: &Vec<f64>| c[range.clone()].to_vec();
    let mut columns: Vec<Vec<f64>> = background.iter().chain(&known).map(cut).collect();
    if fit.pileup.is_some() {
        columns.push(fit.curves.pileup.clone());
    }
    columns.extend(new.iter().map(cut));
    let known = columns.len() - extra.len();
    let weights: Vec<f64> = fit.curves.total.iter().map(|v| 1.0 / v.max(0.3)).collect();
    Ok(one_by_one(&columns, known, &fit.curves.counts, &weights))
}

/// Coefficient and standard deviation of each column from `known` on, when it alone joins the
/// first `known` ones.
pub(super) fn one_by_one(
    columns: &[Vec<f64>],
    known: usize,
    y: &[f64],
    weights: &[f64],
) -> Vec<Option<(f64, f64)>> {
    let gram = Gram::new(columns, y, weights);
    let set: Vec<usize> = (0..known).collect();
    match gram.state(&set) {
        Some(state) => (known..columns.len()).map(|j| state.addition(&gram, j)).collect(),
        None => vec![None; columns.len() - known],
    }
}

/// Drops members that a non-negative fit sets to zero; never the one just added.
fn prune(gram: &Gram, chosen: &mut Vec<usize>, b: usize, pile: usize, added: usize) {
    // Both signs of the background columns make it free under non-negativity.
    let mut index: Vec<(usize, f64)> = (0..b).flat_map(|k| [(k, 1.0), (k, -1.0)]).collect();
    index.extend(chosen.iter().map(|&c| (b + c, 1.0)));
    if gram.diagonal(pile) > 0.0 {
        index.push((pile, 1.0));
    }
    let n = index.len();
    let g: Vec<f64> = (0..n * n)
        .map(|k| {
            let ((i, s), (j, t)) = (index[k / n], index[k % n]);
            s * t * gram.at(i, j)
        })
        .collect();
    let rhs: Vec<f64> = index.iter().map(|&(i, s)| s * gram.rhs[i]).collect();
    let fit = nnls(&g, &rhs);
    if !fit.converged {
        return;
    }
    let alive: Vec<bool> = (0..chosen.len()).map(|k| fit.x[2 * b + k] > 0.0).collect();
    let mut k = 0;
    chosen.retain(|&c| {
        k += 1;
        alive[k - 1] || c == added
    });
}

fn update_pileup(
    energies: &[f64],
    range: &std::ops::Range<usize>,
    candidates: &[LineFamily],
    chosen: &[usize],
    state: &State,
    set: &[usize],
    b: usize,
    columns: &mut [Vec<f64>],
    options: &FitOptions,
) -> Result<(), FitError> {
    let mut lines = Vec::new();
    for &c in chosen {
        let Some(k) = set.iter().position(|&s| s == b + c) else { continue };
        if state.x[k] > 0.0 {
            let members = observed_lines(&candidates[c], &options.detector)?;
            lines.extend(members.into_iter().map(|(e, w)| (e, w * state.x[k])));
        }
    }
    let mut continuum = vec![0.0; energies.len()];
    for (k, column) in columns.iter().enumerate().take(b) {
        for (channel, v) in range.clone().zip(column) {
            continuum[channel] += state.x[k] * v;
        }
    }
    continuum.iter_mut().for_each(|v| *v = v.max(0.0));
    let spectrum = pileup_spectrum(energies, &Content { lines, continuum }, &options.shape);
    if let Some(last) = columns.last_mut() {
        last.copy_from_slice(&spectrum[range.clone()]);
    }
    Ok(())
}

/// Weighted Gram matrix of all columns and their products with the data.
struct Gram {
    n: usize,
    gram: Vec<f64>,
    rhs: Vec<f64>,
}

impl Gram {
    fn new(columns: &[Vec<f64>], y: &[f64], weights: &[f64]) -> Self {
        let n = columns.len();
        let mut new = Self { n, gram: vec![0.0; n * n], rhs: vec![0.0; n] };
        for j in 0..n {
            new.replace(columns, y, weights, j);
        }
        new
    }

    fn replace(&mut self, columns: &[Vec<f64>], y: &[f64], weights: &[f64], j: usize) {
        let weighted: Vec<f64> = columns[j].iter().zip(weights).map(|(v, w)| v * w).collect();
        let dot = |other: &[f64]| weighted.iter().zip(other).map(|(a, b)| a * b).sum::<f64>();
        for i in 0..self.n {
            let v = dot(&columns[i]);
            self.gram[i * self.n + j] = v;
            self.gram[j * self.n + i] = v;
        }
        self.rhs[j] = dot(y);
    }

    fn at(&self, i: usize, j: usize) -> f64 {
        self.gram[i * self.n + j]
    }

    fn cosine(&self, i: usize, j: usize) -> f64 {
        self.at(i, j) / (self.diagonal(i) * self.diagonal(j)).sqrt().max(f64::MIN_POSITIVE)
    }

    fn diagonal(&self, i: usize) -> f64 {
        self.at(i, i)
    }

    fn state(&self, set: &[usize]) -> Option<State> {
        let q = set.len();
        let scale: Vec<f64> = set.iter().map(|&i| self.diagonal(i).sqrt().recip()).collect();
        let sub: Vec<f64> = (0..q * q)
            .map(|k| self.at(set[k / q], set[k % q]) * scale[k / q] * scale[k % q])
            .collect();
        let rhs: Vec<f64> = set.iter().zip(&scale).map(|(&i, s)| self.rhs[i] * s).collect();
        let factor = Cholesky::new(&sub, q).ok()?;
        let x = factor.solve(&rhs).iter().zip(&scale).map(|(v, s)| v * s).collect();
        Some(State { set: set.to_vec(), scale, factor, x })
    }
}

/// A fit of some columns.
struct State {
    set: Vec<usize>,
    scale: Vec<f64>,
    factor: Cholesky,
    x: Vec<f64>,
}

impl State {
    /// Signed significance a column would have if it were added; `None` when it depends on the
    /// set.
    fn gain(&self, gram: &Gram, j: usize) -> Option<f64> {
        self.addition(gram, j).map(|(value, sigma)| value / sigma)
    }

    /// Coefficient and standard deviation a column would have if it were added.
    fn addition(&self, gram: &Gram, j: usize) -> Option<(f64, f64)> {
        let g: Vec<f64> =
            self.set.iter().zip(&self.scale).map(|(&i, s)| gram.at(i, j) * s).collect();
        let h = self.factor.solve(&g);
        let explained: f64 = g.iter().zip(&h).map(|(a, b)| a * b).sum();
        let rest = gram.diagonal(j) - explained;
        if rest.is_nan() || rest <= 1e-6 * gram.diagonal(j) {
            return None;
        }
        let predicted: f64 = self.set.iter().zip(&self.x).map(|(&i, x)| gram.at(i, j) * x).sum();
        Some(((gram.rhs[j] - predicted) / rest, rest.sqrt().recip()))
    }
}
