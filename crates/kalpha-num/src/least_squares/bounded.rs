//! Levenberg-Marquardt with bounds, working memory that is kept, and a reason for stopping.
//!
//! A step `p` minimises `|J p + r|² + lambda |D p|²` over the parameters that are free, `D` being
//! the norms of the columns of J, or what is left of larger ones before (Moré's scaling with a
//! memory that fades: units do not matter, and a valley that a steep slope led to is not walked in
//! the steps of the slope). J is brought to
//! triangular form by Householder reflections, never to normal equations, so that nearly dependent
//! parameters keep their digits. A parameter at a bound whose gradient points outwards is held;
//! one that a step would carry beyond its bound is put there and the others are solved again.
//! `lambda` follows the ratio of actual to predicted gain (Nielsen 1999).
//!
//! Along curved valleys a step is bent by the second derivative of the residuals along it, taken by
//! finite differences; a step whose bend is not small beside it is refused, which keeps parameters
//! from running off to where the model goes flat ([`Options::bend`], Transtrum and Sethna 2012).
//!
//! At the minimum the objective is flat to rounding while parameters still lack half their digits;
//! undamped steps therefore go on as long as each is shorter than the one before ([`Options::polish`]).
//!
//! Sources: Moré (1978), doi:10.1007/BFb0067700; Nielsen (1999), report IMM-REP-1999-05; Kanzow,
//! Yamashita, Fukushima (2004), doi:10.1016/j.cam.2004.02.013; Transtrum and Sethna (2012),
//! arXiv:1201.5885. Complexity O(m n²) per iteration.
//! Tested against the certified values of NIST StRD, all 27 sets from both starts.

use super::{
    LeastSquaresError, Problem,
    householder::{back_substitute, dot, reflect_along, triangular},
    products::products,
};

/// Where parameters may go. Empty slices bound nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds<'a> {
    /// Smallest values.
    pub lower: &'a [f64],
    /// Largest values.
    pub upper: &'a [f64],
}

impl Bounds<'_> {
    /// No bounds.
    pub const NONE: Self = Self { lower: &[], upper: &[] };

    pub(super) fn lower(&self, j: usize) -> f64 {
        self.lower.get(j).copied().unwrap_or(f64::NEG_INFINITY)
    }

    pub(super) fn upper(&self, j: usize) -> f64 {
        self.upper.get(j).copied().unwrap_or(f64::INFINITY)
    }

    /// `x` moved into the bounds of parameter `j`.
    pub fn clip(&self, j: usize, x: f64) -> f64 {
        x.max(self.lower(j)).min(self.upper(j))
    }

    /// True where `x` is one of the bounds of parameter `j`.
    pub fn touches(&self, j: usize, x: f64) -> bool {
        x <= self.lower(j) || x >= self.upper(j)
    }
}

/// When to stop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Jacobians allowed.
    pub max_iterations: usize,
    /// Relative gain of the objective, predicted and actual, that ends the search.
    pub objective: f64,
    /// Length of a step relative to that of the parameters, both scaled, that ends the search.
    pub step: f64,
    /// Cosine between the residuals and any column of the Jacobian that ends the search.
    pub gradient: f64,
    /// First damping, relative to the scaled normal matrix.
    pub damping: f64,
    /// Bends steps along curved valleys. Two more evaluations per step; only for residuals that
    /// are smooth functions of the parameters, not for likelihoods or robust losses.
    pub bend: bool,
    /// Goes on with undamped steps until rounding stops them.
    pub polish: bool,
    /// Uses normal equations where their Cholesky factor keeps half the digits, reflections
    /// elsewhere: several times faster.
    pub normal: bool,
}

impl Default for Options {
    /// As many digits as the problem gives.
    fn default() -> Self {
        Self {
            max_iterations: 5000,
            objective: 1e-14,
            step: 1e-12,
            gradient: 1e-13,
            damping: 1e-3,
            bend: true,
            polish: true,
            normal: false,
        }
    }
}

impl Options {
    /// Far within the statistical error: the objective to 1e-10 of itself, by normal equations,
    /// without bending or polishing.
    pub fn statistical() -> Self {
        Self {
            max_iterations: 200,
            objective: 1e-10,
            step: 1e-8,
            gradient: 1e-9,
            bend: false,
            polish: false,
            normal: true,
            ..Self::default()
        }
    }
}

/// Why the search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The residuals are orthogonal to every column.
    Gradient,
    /// The objective neither fell nor was to fall.
    Objective,
    /// The step is short beside the parameters.
    Step,
    /// No shorter step is better, although the gradient does not vanish: an edge of the domain of
    /// the model, or a Jacobian that is not its derivative.
    Stalled,
    /// Out of iterations.
    Iterations,
}

impl Reason {
    /// True where the place is a minimum.
    pub fn converged(self) -> bool {
        matches!(self, Self::Gradient | Self::Objective | Self::Step)
    }
}

/// Where a search ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Minimum {
    /// Objective there.
    pub objective: f64,
    /// Jacobians taken.
    pub iterations: usize,
    /// Times the residuals were computed.
    pub evaluations: usize,
    /// Why it ended.
    pub reason: Reason,
}

/// The minimiser with its memory: nothing is allocated while shapes stay the same.
#[derive(Clone, Debug, Default)]
pub struct LevenbergMarquardt {
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) residuals: Vec<f64>,
    trial_residuals: Vec<f64>,
    /// Second derivative of the residuals along a step.
    curvature: Vec<f64>,
    pub(super) jacobian: Vec<f64>,
    /// n x n triangle, column by column.
    pub(super) triangle: Vec<f64>,
    /// Reflected residuals.
    reflected: Vec<f64>,
    pub(super) norms: Vec<f64>,
    scale: Vec<f64>,
    gradient: Vec<f64>,
    step: Vec<f64>,
    trial: Vec<f64>,
    pub(super) free: Vec<usize>,
    held: Vec<bool>,
    /// Products of all columns, residuals last; (n + 1) x (n + 1).
    pub(super) gram: Vec<f64>,
    /// The triangle is the Cholesky factor of the products.
    by_gram: bool,
    pub(super) small: Vec<f64>,
    small_right: Vec<f64>,
    small_triangle: Vec<f64>,
}

/// A gain below this share of the objective is rounding.
const ROUNDING: f64 = 1e-13;
/// Share of its square that must be left of a column when the others are taken out, for normal
/// equations: less costs more than half the digits.
const LOST: f64 = 1e-8;
/// Undamped steps at the end.
const POLISH_STEPS: usize = 60;
/// Steps at the end that may fail to shrink.
const POLISH_PATIENCE: usize = 3;
/// What is left of the scale of a parameter after an iteration, unless its column is longer.
const FADE: f64 = 0.5;
/// Share of a step over which its second derivative is taken.
const DIFFERENCE: f64 = 0.1;
/// Steps shorter than this beside the parameters are not bent.
const STRAIGHT: f64 = 1e-4;
/// Twice the bend of a step beside its length.
const LARGEST_BEND: f64 = 0.75;

impl LevenbergMarquardt {
    /// An empty memory.
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn resize(&mut self, m: usize, n: usize) {
        (self.m, self.n) = (m, n);
        self.residuals.resize(m, 0.0);
        self.trial_residuals.resize(m, 0.0);
        self.curvature.resize(m, 0.0);
        self.reflected.resize(m, 0.0);
        self.jacobian.resize(m * n, 0.0);
        self.triangle.resize(n * n, 0.0);
        for v in
            [&mut self.norms, &mut self.scale, &mut self.gradient, &mut self.step, &mut self.trial]
        {
            v.resize(n, 0.0);
        }
        self.held.resize(n, false);
        self.gram.resize((n + 1) * (n + 1), 0.0);
        self.free.clear();
        self.free.reserve(n);
        self.small.resize(2 * n * n, 0.0);
        self.small_right.resize(2 * n, 0.0);
        self.small_triangle.resize(n * n, 0.0);
    }

    /// Minimises `problem` with `m` residuals from `x`, which receives the answer.
    ///
    /// # Errors
    /// [`LeastSquaresError::Few`], [`LeastSquaresError::Bounds`], [`LeastSquaresError::Length`],
    /// [`LeastSquaresError::NotFinite`].
    pub fn minimise(
        &mut self,
        problem: &mut dyn Problem,
        x: &mut [f64],
        m: usize,
        bounds: Bounds<'_>,
        options: &Options,
    ) -> Result<Minimum, LeastSquaresError> {
        let n = x.len();
        check(n, m, bounds)?;
        self.resize(m, n);
        for (j, x) in x.iter_mut().enumerate() {
            *x = bounds.clip(j, *x);
        }
        problem.project(x);
        let mut objective = problem.evaluate(x, &mut self.residuals);
        if !objective.is_finite() {
            return Err(LeastSquaresError::NotFinite);
        }
        let mut evaluations = 1;
        let mut iterations = 0;
        let mut lambda = options.damping;
        let mut growth = 2.0;
        self.scale.fill(0.0);
        let reason = 'search: loop {
            if iterations >= options.max_iterations {
                break Reason::Iterations;
            }
            iterations += 1;
            if !self.linearise(problem, x, options.normal) {
                if iterations == 1 {
                    return Err(LeastSquaresError::NotFinite);
                }
                break Reason::Stalled;
            }
            let cosine = self.cosine(x, bounds);
            if cosine <= options.gradient {
                break Reason::Gradient;
            }
            self.reduce();
            loop {
                self.damped(x, bounds, lambda);
                let gain = self.predicted();
                if options.bend && !self.bend(problem, x, bounds, lambda, &mut evaluations) {
                    lambda = (lambda * growth).max(1e-16);
                    growth *= 2.0;
                    continue;
                }
                for j in 0..n {
                    self.trial[j] = bounds.clip(j, x[j] + self.step[j]);
                }
                problem.project(&mut self.trial);
                let after = problem.evaluate(&self.trial, &mut self.trial_residuals);
                evaluations += 1;
                let actual = objective - after;
                let short = self.length() <= options.step * self.norm(x);
                let flat = gain <= options.objective * objective
                    && actual.abs() <= options.objective * objective;
                // Below rounding the objective cannot tell steps apart.
                let better = actual > 1e-4 * gain
                    || (actual >= -f64::EPSILON * objective && gain <= ROUNDING * objective);
                if after.is_finite() && better {
                    x.copy_from_slice(&self.trial);
                    std::mem::swap(&mut self.residuals, &mut self.trial_residuals);
                    objective = after;
                    let ratio = if gain > 0.0 { actual / gain } else { 1.0 };
                    lambda *= (1.0 - (2.0 * ratio - 1.0).powi(3)).clamp(0.1, 2.0);
                    growth = 2.0;
                    if flat {
                        break 'search Reason::Objective;
                    }
                    if short {
                        break 'search Reason::Step;
                    }
                    break;
                }
                if flat {
                    break 'search Reason::Objective;
                }
                if short {
                    // Short by itself, not because the damping made it so.
                    let minimum = lambda < 1.0 || cosine <= 1e-6 || gain <= ROUNDING * objective;
                    break 'search if minimum { Reason::Step } else { Reason::Stalled };
                }
                lambda = (lambda * growth).max(1e-16);
                growth *= 2.0;
            }
        };
        if reason.converged() && options.polish {
            self.polish(problem, x, bounds, &mut objective, &mut evaluations);
        }
        Ok(Minimum { objective, iterations, evaluations, reason })
    }

    /// Adds half the second-order correction to the step; false where it is not small beside it.
    fn bend(
        &mut self,
        problem: &mut dyn Problem,
        x: &[f64],
        bounds: Bounds<'_>,
        lambda: f64,
        evaluations: &mut usize,
    ) -> bool {
        let length = self.length();
        // Differences over shorter steps are rounding.
        if length <= STRAIGHT * self.norm(x) || !length.is_finite() {
            return true;
        }
        self.curvature.copy_from_slice(&self.residuals);
        self.curvature.iter_mut().for_each(|c| *c *= -2.0);
        let mut finite = true;
        for sign in [DIFFERENCE, -DIFFERENCE] {
            for j in 0..self.n {
                self.trial[j] = x[j] + sign * self.step[j];
            }
            finite &= problem.evaluate(&self.trial, &mut self.trial_residuals).is_finite();
            *evaluations += 1;
            self.curvature.iter_mut().zip(&self.trial_residuals).for_each(|(c, r)| *c += r);
        }
        if !finite {
            return false;
        }
        let n = self.n;
        self.curvature.iter_mut().for_each(|c| *c *= 0.5 / (DIFFERENCE * DIFFERENCE));
        reflect_along(&self.jacobian, &self.triangle, n, &mut self.curvature);
        let free = self.free.len();
        for (slot, c) in self.small_right.iter_mut().zip(&self.curvature[..n]) {
            *slot = -c;
        }
        self.small_right[n..n + free].fill(0.0);
        self.solve_free(lambda);
        let bend =
            self.free.iter().zip(&self.small_right).map(|(j, a)| (a * self.scale[*j]).powi(2));
        if 2.0 * bend.sum::<f64>().sqrt() > LARGEST_BEND * length {
            return false;
        }
        for (k, &j) in self.free.iter().enumerate() {
            self.step[j] = bounds.clip(j, x[j] + self.step[j] + self.small_right[k]) - x[j];
        }
        true
    }

    /// Undamped steps while they shrink.
    fn polish(
        &mut self,
        problem: &mut dyn Problem,
        x: &mut [f64],
        bounds: Bounds<'_>,
        objective: &mut f64,
        evaluations: &mut usize,
    ) {
        let mut last = f64::INFINITY;
        let mut failed = 0;
        for _ in 0..POLISH_STEPS {
            *objective = problem.evaluate(x, &mut self.residuals);
            *evaluations += 1;
            if !self.linearise(problem, x, false) {
                return;
            }
            self.cosine(x, bounds);
            self.reduce();
            self.damped(x, bounds, 0.0);
            let length = self.length() / self.norm(x);
            // A singular triangle, or steps that no longer shrink: rounding.
            failed = if length < 0.9 * last { 0 } else { failed + 1 };
            if failed == POLISH_PATIENCE || length.is_nan() || length > 1e-2 {
                return;
            }
            last = last.min(length);
            for j in 0..self.n {
                self.trial[j] = bounds.clip(j, x[j] + self.step[j]);
            }
            let after = problem.evaluate(&self.trial, &mut self.trial_residuals);
            *evaluations += 1;
            // A step of length 1e-2 may not climb; what is left is rounding of the objective.
            if after.is_nan() || after > *objective * (1.0 + 1e-10) {
                return;
            }
            x.copy_from_slice(&self.trial);
            *objective = after;
            if length <= f64::EPSILON {
                return;
            }
        }
    }

    /// Jacobian, norms and scale at `x`; false where not finite.
    fn linearise(&mut self, problem: &mut dyn Problem, x: &[f64], normal: bool) -> bool {
        problem.jacobian(x, &mut self.residuals, &mut self.jacobian);
        self.by_gram = normal;
        let n = self.n;
        if normal {
            products(&self.jacobian, &self.residuals, &mut self.gram);
        }
        for j in 0..n {
            let (square, along) = match normal {
                true => (self.gram[j * (n + 1) + j], self.gram[n * (n + 1) + j]),
                false => {
                    let column = &self.jacobian[j * self.m..(j + 1) * self.m];
                    (dot(column, column), dot(column, &self.residuals))
                }
            };
            let norm = square.sqrt();
            if !norm.is_finite() {
                return false;
            }
            self.norms[j] = norm;
            self.scale[j] = (FADE * self.scale[j]).max(norm);
            self.gradient[j] = along;
        }
        true
    }

    /// Notes what is held at a bound; the largest cosine between residuals and a free column.
    fn cosine(&mut self, x: &[f64], bounds: Bounds<'_>) -> f64 {
        let size = dot(&self.residuals, &self.residuals).sqrt();
        let mut largest = 0.0_f64;
        for j in 0..self.n {
            let g = self.gradient[j];
            self.held[j] =
                (x[j] <= bounds.lower(j) && g >= 0.0) || (x[j] >= bounds.upper(j) && g <= 0.0);
            if !self.held[j] && self.norms[j] > 0.0 && size > 0.0 {
                largest = largest.max(g.abs() / (self.norms[j] * size));
            }
        }
        largest
    }

    /// Triangle and reflected residuals.
    fn reduce(&mut self) {
        if self.by_gram && self.factor() {
            return;
        }
        self.by_gram = false;
        self.reflected.copy_from_slice(&self.residuals);
        triangular(&mut self.jacobian, &mut self.reflected, self.n, &mut self.triangle);
    }

    /// Triangle and reflected residuals from the products; false where they have lost too much.
    fn factor(&mut self) -> bool {
        let n = self.n;
        let (r, g) = (&mut self.triangle, &self.gram);
        r.fill(0.0);
        for k in 0..n {
            // Column k of R: Rᵀ R = G.
            for i in 0..=k {
                let (done, column) = r.split_at_mut(k * n);
                let rest: f64 = match i == k {
                    true => column[..k].iter().map(|v| v * v).sum(),
                    false => column[..i].iter().zip(&done[i * n..]).map(|(a, b)| a * b).sum(),
                };
                let left = g[k * (n + 1) + i] - rest;
                if i < k {
                    column[i] = left / done[i * n + i];
                } else {
                    // NaN fails too.
                    let fine = left > LOST * g[k * (n + 1) + k];
                    if !fine {
                        return false;
                    }
                    column[i] = left.sqrt();
                }
            }
        }
        // Rᵀ c = Jᵀ r.
        for k in 0..n {
            let column = &r[k * n..k * n + k];
            let rest: f64 = column.iter().zip(&self.reflected).map(|(a, b)| a * b).sum();
            self.reflected[k] = (self.gradient[k] - rest) / r[k * n + k];
        }
        true
    }

    /// The step for one damping, within the bounds.
    fn damped(&mut self, x: &[f64], bounds: Bounds<'_>, lambda: f64) {
        let n = self.n;
        self.step.fill(0.0);
        self.free.clear();
        self.free.extend((0..n).filter(|j| !self.held[*j] && self.scale[*j] > 0.0));
        loop {
            let free = self.free.len();
            let right = &mut self.small_right[..n + free];
            for (slot, c) in right.iter_mut().zip(&self.reflected[..n]) {
                *slot = -c;
            }
            right[n..].fill(0.0);
            // What is put at its bound has its share already.
            for j in (0..n).filter(|j| self.step[*j] != 0.0) {
                let column = &self.triangle[j * n..(j + 1) * n];
                let p = self.step[j];
                right.iter_mut().zip(column).for_each(|(r, c)| *r -= p * c);
            }
            self.solve_free(lambda);
            for (k, &j) in self.free.iter().enumerate() {
                self.step[j] = self.small_right[k];
            }
            let step = &mut self.step;
            let before = self.free.len();
            self.free.retain(|&j| {
                let to = x[j] + step[j];
                let clipped = bounds.clip(j, to);
                if clipped != to {
                    step[j] = clipped - x[j];
                }
                clipped == to
            });
            if self.free.len() == before {
                return;
            }
            for &j in &self.free {
                self.step[j] = 0.0;
            }
        }
    }

    /// Solves for the free parameters; the right side, n + free values, receives the answer.
    fn solve_free(&mut self, lambda: f64) {
        let (n, free) = (self.n, self.free.len());
        let root = lambda.sqrt();
        let right = &mut self.small_right[..n + free];
        if free == n && lambda == 0.0 {
            back_substitute(&self.triangle, n, right);
        } else if self.by_gram {
            self.solve_normal(lambda);
        } else {
            let rows = n + free;
            let small = &mut self.small[..rows * free];
            for (k, &j) in self.free.iter().enumerate() {
                let column = &mut small[k * rows..(k + 1) * rows];
                column[..n].copy_from_slice(&self.triangle[j * n..(j + 1) * n]);
                column[n..].fill(0.0);
                column[n + k] = root * self.scale[j];
            }
            let triangle = &mut self.small_triangle[..free * free];
            triangular(small, right, free, triangle);
            back_substitute(triangle, free, right);
        }
    }

    /// The same by Cholesky's method.
    fn solve_normal(&mut self, lambda: f64) {
        let (n, free) = (self.n, self.free.len());
        let Self { small, small_right, small_triangle: b, triangle, gram, scale, .. } = self;
        for (k, &j) in self.free.iter().enumerate() {
            let column = &triangle[j * n..j * n + j + 1];
            b[k] = column.iter().zip(small_right.iter()).map(|(r, v)| r * v).sum();
        }
        for k in 0..free {
            let j = self.free[k];
            for i in 0..=k {
                let (done, row) = small.split_at_mut(k * free);
                let other = match i == k {
                    true => &row[..i],
                    false => &done[i * free..i * free + i],
                };
                let rest: f64 = row[..i].iter().zip(other).map(|(a, b)| a * b).sum();
                let mut left = gram[j * (n + 1) + self.free[i]] - rest;
                if i == k {
                    left += lambda * scale[j] * scale[j];
                    row[i] = left.max(0.0).sqrt();
                } else {
                    row[i] = left / done[i * free + i];
                }
            }
        }
        for k in 0..free {
            let row = &small[k * free..k * free + k];
            let rest: f64 = row.iter().zip(b.iter()).map(|(a, b)| a * b).sum();
            b[k] = (b[k] - rest) / small[k * free + k];
        }
        for k in (0..free).rev() {
            let value = b[k] / small[k * free + k];
            b[k] = value;
            for i in 0..k {
                b[i] -= value * small[k * free + i];
            }
            small_right[k] = value;
        }
    }

    /// Gain of the linear model for the present step.
    fn predicted(&mut self) -> f64 {
        let n = self.n;
        let after = &mut self.small_right[..n];
        after.copy_from_slice(&self.reflected[..n]);
        for j in (0..n).filter(|j| self.step[*j] != 0.0) {
            let column = &self.triangle[j * n..(j + 1) * n];
            let p = self.step[j];
            after.iter_mut().zip(column).for_each(|(r, c)| *r += p * c);
        }
        let before = &self.reflected[..n];
        // (a² - b²) as (a - b)(a + b): the gain may be far below either.
        before.iter().zip(after.iter()).map(|(a, b)| (a - b) * (a + b)).sum()
    }

    fn length(&self) -> f64 {
        self.step.iter().zip(&self.scale).map(|(p, d)| (p * d).powi(2)).sum::<f64>().sqrt()
    }

    fn norm(&self, x: &[f64]) -> f64 {
        x.iter().zip(&self.scale).map(|(p, d)| (p * d).powi(2)).sum::<f64>().sqrt()
    }
}

fn check(n: usize, m: usize, bounds: Bounds<'_>) -> Result<(), LeastSquaresError> {
    for (what, given) in [("lower", bounds.lower), ("upper", bounds.upper)] {
        if !given.is_empty() && given.len() != n {
            return Err(LeastSquaresError::Length { what, got: given.len(), expected: n });
        }
    }
    if m < n {
        return Err(LeastSquaresError::Few { residuals: m, parameters: n });
    }
    for parameter in 0..n {
        let (lower, upper) = (bounds.lower(parameter), bounds.upper(parameter));
        if lower.is_nan() || upper.is_nan() || lower > upper {
            return Err(LeastSquaresError::Bounds { parameter, lower, upper });
        }
    }
    Ok(())
}
