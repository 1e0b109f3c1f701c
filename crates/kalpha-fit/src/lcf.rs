//! Linear combination fitting: a spectrum as a sum of reference spectra.
//!
//! `min (y - R w)ᵀ V⁻¹ (y - R w)` with bounds on the weights w and, if asked for, `sum w = 1`, found
//! exactly ([`kalpha_num::quadratic`]). V holds the noise of the channels and what spectra of one
//! compound differ by from one measurement to the next, each with a prior standard deviation: an
//! offset, a slope, and a shift of each reference along the axis. With `Sum::Near` the sum, an edge
//! step that was normalised imperfectly, is 1 within a prior standard deviation.
//!
//! The uncertainty of a weight is its standard deviation under V, with the weights at bounds held
//! there; one at a bound has that which it would have if it were free.
//!
//! Sources: Ravel and Newville (2005), J. Synchrotron Rad. 12, 537, doi:10.1107/S0909049505012719,
//! for the method; Aitken (1936), Proc. R. Soc. Edinburgh 55, 42, doi:10.1017/S0370164600014346, for
//! V. Complexity O(channels references) a spectrum. Tested against exact optima of eight gold spectra
//! to 1e-6, and against mixtures of real scans.

mod kernel;

pub mod search;
pub mod step;

use kalpha_num::{
    least_squares::Cholesky,
    quadratic::{ByKey, Known, Quadratic, QuadraticError, Set},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the weights sum to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sum {
    /// One, exactly.
    #[default]
    One,
    /// One, within the prior standard deviation `sum_sigma`.
    Near,
    /// Anything.
    Free,
}

/// How spectra of one compound differ from measurement to measurement: standard deviations, zero for
/// what is known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Systematics {
    /// Of a constant added to the spectrum.
    pub offset: f64,
    /// Of a slope, at either end of the window.
    pub slope: f64,
    /// Of the shift of each reference, in axis units.
    pub shift: f64,
}

/// Conditions of a fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Conditions {
    /// What the weights sum to.
    pub sum: Sum,
    /// For [`Sum::Near`].
    pub sum_sigma: f64,
    /// Least weight of every reference.
    pub lower: f64,
    /// Greatest weight of every reference.
    pub upper: f64,
    /// Differences between measurements.
    pub systematics: Systematics,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            sum: Sum::One,
            sum_sigma: 0.01,
            lower: 0.0,
            upper: f64::INFINITY,
            systematics: Systematics::default(),
        }
    }
}

/// References on the channels of the spectra.
#[derive(Clone, Debug, PartialEq)]
pub struct References {
    /// Positions of the channels.
    pub axis: Vec<f64>,
    /// References x channels.
    pub values: Vec<Vec<f64>>,
    /// First derivatives along the axis, references x channels.
    pub slopes: Vec<Vec<f64>>,
}

/// References or conditions allow no fit.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LcfError {
    /// No references, or shapes differ.
    #[error(
        "{references} references on {channels} channels (hint: fewer references than channels)"
    )]
    Shape {
        /// References.
        references: usize,
        /// Channels.
        channels: usize,
    },
    /// A reference or a standard deviation is not finite, or a deviation not positive.
    #[error("references and standard deviations must be finite, deviations positive")]
    NotFinite,
    /// A reference is a combination of the ones before it.
    #[error(
        "reference {reference} is a combination of the ones before it within rounding (hint: leave \
         it out, or widen the window)"
    )]
    Dependent {
        /// The reference, from zero.
        reference: usize,
    },
    /// Bounds and sum contradict each other.
    #[error(transparent)]
    Conditions(QuadraticError),
}

/// References ready to be fitted to spectra.
#[derive(Clone, Debug)]
pub struct Lcf {
    n: usize,
    channels: usize,
    /// Inverse standard deviation of each channel, and its variance.
    scale: Vec<f64>,
    variance: Vec<f64>,
    /// References x channels, in standard deviations.
    references: Vec<f64>,
    /// `V⁻¹ R`, for spectra as they are.
    filters: Vec<f64>,
    /// Orthonormal-like directions of the systematic differences, in standard deviations:
    /// `V⁻¹ = 1 - U Uᵀ` there.
    directions: Vec<f64>,
    /// Added to `b` by the prior of the sum.
    pull: f64,
    conditions: Conditions,
    quadratic: Quadratic,
}

/// The fit of one spectrum.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fit {
    /// Weights of the references.
    pub weights: Vec<f64>,
    /// Standard deviations of the weights.
    pub sigma: Vec<f64>,
    /// `(y - R w)ᵀ V⁻¹ (y - R w)`.
    pub chi2: f64,
    /// `sum (y - R w)² / sum y²`.
    pub r_factor: f64,
    /// False where the optimum was not found in the allowed rounds.
    pub converged: bool,
}

/// Memory of one thread.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    known: Known,
    sigma: ByKey<Vec<f64>>,
    b: Vec<f64>,
    left: Vec<f64>,
}

impl Lcf {
    /// References with the standard deviation of each channel.
    ///
    /// # Errors
    /// When shapes differ, numbers are not finite, references depend on each other, or bounds and sum
    /// contradict each other.
    pub fn new(
        references: &References,
        sigma: &[f64],
        conditions: &Conditions,
    ) -> Result<Self, LcfError> {
        let (n, m) = (references.values.len(), references.axis.len());
        let all = || references.values.iter().chain(&references.slopes);
        let shape = sigma.len() == m && references.slopes.len() == n && all().all(|r| r.len() == m);
        if n == 0 || n > m || n > Quadratic::MOST || !shape {
            return Err(LcfError::Shape { references: n, channels: m });
        }
        let fine = |s: &f64| s.is_finite() && *s > 0.0;
        if !all().flatten().all(|v| v.is_finite()) || !sigma.iter().all(fine) {
            return Err(LcfError::NotFinite);
        }
        let scale: Vec<f64> = sigma.iter().map(|s| s.recip()).collect();
        let scaled: Vec<f64> = references
            .values
            .iter()
            .flat_map(|r| r.iter().zip(&scale).map(|(r, s)| r * s))
            .collect();
        let directions = directions(references, &scale, conditions.systematics);
        // V⁻¹ R in standard deviations, then for spectra that are not.
        let mut filters = scaled.clone();
        for (filter, reference) in filters.chunks_exact_mut(m).zip(scaled.chunks_exact(m)) {
            for u in directions.chunks_exact(m) {
                let share = kernel::dot(u, reference);
                filter.iter_mut().zip(u).for_each(|(f, u)| *f -= share * u);
            }
        }
        let pull = match conditions.sum {
            Sum::Near => conditions.sum_sigma.powi(-2),
            _ => 0.0,
        };
        let mut gram = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let g = kernel::dot(&filters[i * m..(i + 1) * m], &scaled[j * m..(j + 1) * m]);
                (gram[i * n + j], gram[j * n + i]) = (g, g);
            }
        }
        // The prior of the sum could hide that references depend on each other.
        dependent(&gram, n)?;
        gram.iter_mut().for_each(|g| *g += pull);
        for filter in filters.chunks_exact_mut(m) {
            filter.iter_mut().zip(&scale).for_each(|(f, s)| *f *= s);
        }
        let total = (conditions.sum == Sum::One).then_some(1.0);
        let quadratic =
            Quadratic::new(&gram, &vec![conditions.lower; n], &vec![conditions.upper; n], total)
                .map_err(|error| match error {
                    QuadraticError::Dependent { column } => {
                        LcfError::Dependent { reference: column }
                    }
                    other => LcfError::Conditions(other),
                })?;
        let conditions = conditions.clone();
        Ok(Self {
            n,
            channels: m,
            scale,
            variance: sigma.iter().map(|s| s * s).collect(),
            references: scaled,
            filters,
            directions,
            pull,
            conditions,
            quadratic,
        })
    }

    /// References.
    pub fn references(&self) -> usize {
        self.n
    }

    /// Degrees of freedom of chi².
    pub fn freedom(&self) -> f64 {
        let weights = self.n - usize::from(self.conditions.sum == Sum::One);
        (self.channels - weights).max(1) as f64
    }

    /// Fits one spectrum.
    pub fn fit(&self, y: &[f64], fit: &mut Fit, scratch: &mut Scratch) {
        kernel::fit_rows(self, y, &mut |_, found| fit.clone_from(found), scratch);
    }

    /// Fits the spectra of `rows` (rows x channels); calls `take(row, fit)` for each.
    pub fn fit_rows(&self, rows: &[f64], take: &mut dyn FnMut(usize, &Fit), scratch: &mut Scratch) {
        kernel::fit_rows(self, rows, take, scratch);
    }

    /// Standard deviations of the weights where those of `set` are at bounds.
    fn sigma_of(&self, set: &Set) -> Vec<f64> {
        let deviation = |i: usize| {
            let covariance = self.quadratic.covariance(&set.freed(i));
            covariance.map_or(f64::INFINITY, |c| c[i * self.n + i].max(0.0).sqrt())
        };
        (0..self.n).map(deviation).collect()
    }

    /// Standard deviation of the weight that can move from one reference to another with all others
    /// held: `1 / |r_i - r_j|` in the metric of `V⁻¹`. Where it is large, the data do not say which of
    /// the two is there. References x references, zero on the diagonal.
    pub fn exchange_sigma(&self) -> Vec<f64> {
        let (n, m) = (self.n, self.channels);
        let row = |i: usize| &self.references[i * m..(i + 1) * m];
        let mut all = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..n {
                if i != j {
                    let d: Vec<f64> = row(i).iter().zip(row(j)).map(|(a, b)| a - b).collect();
                    let along: f64 =
                        self.directions.chunks_exact(m).map(|u| kernel::dot(u, &d).powi(2)).sum();
                    all[i * n + j] = (kernel::dot(&d, &d) - along).max(0.0).sqrt().recip();
                }
            }
        }
        all
    }
}

/// Refuses references that depend on each other within rounding.
fn dependent(gram: &[f64], n: usize) -> Result<(), LcfError> {
    let scaled: Vec<f64> = (0..n * n)
        .map(|k| gram[k] / (gram[k / n * (n + 1)] * gram[k % n * (n + 1)]).sqrt())
        .collect();
    match Cholesky::new(&scaled, n) {
        Ok(_) => Ok(()),
        Err(kalpha_num::least_squares::LeastSquaresError::Dependent { column }) => {
            Err(LcfError::Dependent { reference: column })
        }
        Err(_) => Err(LcfError::NotFinite),
    }
}

/// U of `V⁻¹ = 1 - U Uᵀ`, rows of channels: `V = 1 + C Cᵀ` gives `U = C L⁻ᵀ`, `L Lᵀ = 1 + Cᵀ C`.
fn directions(references: &References, scale: &[f64], systematics: Systematics) -> Vec<f64> {
    let m = scale.len();
    let (first, last) = (references.axis[0], references.axis[m - 1]);
    let place = |x: f64| (2.0 * x - first - last) / (last - first);
    let mut columns: Vec<Vec<f64>> = Vec::new();
    if systematics.offset > 0.0 {
        columns.push(scale.iter().map(|s| systematics.offset * s).collect());
    }
    if systematics.slope > 0.0 && m > 1 {
        let of = |(x, s): (&f64, &f64)| systematics.slope * place(*x) * s;
        columns.push(references.axis.iter().zip(scale).map(of).collect());
    }
    if systematics.shift > 0.0 {
        for slope in &references.slopes {
            columns.push(slope.iter().zip(scale).map(|(d, s)| systematics.shift * d * s).collect());
        }
    }
    let p = columns.len();
    let mut inner: Vec<f64> =
        (0..p * p).map(|k| kernel::dot(&columns[k / p], &columns[k % p])).collect();
    (0..p).for_each(|k| inner[k * (p + 1)] += 1.0);
    // Columns against L, one after the other: what is left of each is orthogonal to the others in the
    // metric of 1 + CᵀC.
    let mut l = vec![0.0; p * p];
    for i in 0..p {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|k| l[i * p + k] * l[j * p + k]).sum();
            let v = inner[i * p + j] - sum;
            // Never below one: a unit matrix and squares.
            l[i * p + j] = if i == j { v.max(f64::MIN_POSITIVE).sqrt() } else { v / l[j * p + j] };
        }
    }
    let mut all: Vec<f64> = Vec::with_capacity(p * m);
    for i in 0..p {
        let mut u = columns[i].clone();
        for j in 0..i {
            let share = l[i * p + j];
            u.iter_mut().zip(&all[j * m..(j + 1) * m]).for_each(|(u, v)| *u -= share * v);
        }
        u.iter_mut().for_each(|u| *u /= l[i * p + i]);
        all.extend(u);
    }
    all
}

#[cfg(test)]
mod tests;
