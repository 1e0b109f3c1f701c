//! Multivariate curve resolution by alternating least squares (MCR-ALS).
//!
//! `D = C S + E`: C (rows x components) and S (components x channels) in turn, each the exact optimum
//! under its bounds ([`kalpha_num::quadratic`]): not negative, closed (every row of C sums to a given
//! total), spectra that are known, components that are absent from some rows. Profiles with one maximum
//! are projected after that. An iteration is one update of C and one of S; it ends when the sum of
//! squares falls by less than `tolerance` of itself.
//!
//! What the data and constraints do not decide is not decided by the algorithm either: see
//! [`ambiguity`] for the range of solutions that fit as well.
//!
//! Sources: Tauler (1995), Chemom. Intell. Lab. Syst. 30, 133, doi:10.1016/0169-7439(95)00047-X; Jaumot
//! et al. (2005), Chemom. Intell. Lab. Syst. 76, 101, doi:10.1016/j.chemolab.2004.12.007. Complexity
//! O(rows channels components) an iteration. Tested on a chromatogram with diode-array detection, to the
//! lack of fit of exact alternating least squares.

pub mod ambiguity;
mod side;
pub mod step;
mod unimodal;

use kalpha_num::simd::{self, Kernel};
use side::{Side, dot};
use std::ops::Range;

/// What alternates, from where.
#[derive(Clone, Debug, PartialEq)]
pub enum Start {
    /// Spectra, components x channels.
    Spectra(Vec<f64>),
    /// Concentrations, rows x components.
    Concentrations(Vec<f64>),
}

/// What a solution must fulfil.
#[derive(Clone, Debug, PartialEq)]
pub struct Constraints {
    /// No concentration is negative.
    pub concentrations: bool,
    /// No spectrum is negative.
    pub spectra: bool,
    /// Every row of concentrations sums to this.
    pub closure: Option<f64>,
    /// Components whose concentrations have one maximum in each run.
    pub unimodal: Vec<usize>,
    /// Rows of each run, one after the other; one run if empty.
    pub runs: Vec<usize>,
    /// Known spectra, by component: kept as they are.
    pub known: Vec<(usize, Vec<f64>)>,
    /// Components that are absent from some rows.
    pub absent: Vec<(usize, Range<usize>)>,
}

impl Default for Constraints {
    fn default() -> Self {
        Self {
            concentrations: true,
            spectra: true,
            closure: None,
            unimodal: Vec::new(),
            runs: Vec::new(),
            known: Vec::new(),
            absent: Vec::new(),
        }
    }
}

/// When iteration ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Control {
    /// Iterations allowed.
    pub max_iterations: usize,
    /// Relative fall of the sum of squares that counts as rest.
    pub tolerance: f64,
}

impl Default for Control {
    fn default() -> Self {
        Self { max_iterations: 500, tolerance: 1e-7 }
    }
}

/// A resolved matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// Number of components.
    pub components: usize,
    /// Rows x components.
    pub concentrations: Vec<f64>,
    /// Components x channels; of unit length unless closed or known.
    pub spectra: Vec<f64>,
    /// `100 |D - C S| / |D|`.
    pub lack_of_fit: f64,
    /// Iterations done.
    pub iterations: usize,
    /// False where the limit was met first.
    pub converged: bool,
}

/// A matrix cannot be resolved.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum McrError {
    /// Shapes do not agree.
    #[error("{what}: {got} values, {expected} are needed")]
    Shape {
        /// What is wrong.
        what: &'static str,
        /// Values given.
        got: usize,
        /// Values needed.
        expected: usize,
    },
    /// A number of components that the matrix cannot have.
    #[error("{components} components of {rows} spectra with {channels} channels (hint: fewer)")]
    Components {
        /// Components.
        components: usize,
        /// Rows.
        rows: usize,
        /// Channels.
        channels: usize,
    },
    /// NaN, infinity, or nothing but zeros.
    #[error("{what} (hint: {hint})")]
    Values {
        /// What is wrong.
        what: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// A constraint names what is not there.
    #[error("{what} (hint: {hint})")]
    Constraint {
        /// What is wrong.
        what: String,
        /// What to do.
        hint: &'static str,
    },
}

/// Resolves `data` (rows x channels) into components, from `start`.
///
/// `checkpoint` is called before each iteration and may end it with an error.
///
/// # Errors
/// When shapes, numbers or constraints do not fit, and what `checkpoint` says.
pub fn resolve<E: From<McrError>>(
    data: &[f64],
    channels: usize,
    components: usize,
    start: &Start,
    constraints: &Constraints,
    control: Control,
    checkpoint: &mut dyn FnMut(usize) -> Result<(), E>,
) -> Result<Resolved, E> {
    let rows = check(data, channels, components, start, constraints)?;
    let k = components;
    let mut all = Matrices {
        data,
        channels,
        k,
        concentrations: vec![0.0; rows * k],
        spectra: vec![0.0; k * channels],
        pulls: vec![0.0; rows.max(channels) * k],
        gram: vec![0.0; k * k],
        wide: vec![0.0; k * channels],
    };
    let mut rows_side = Side::new(rows, k, bound(constraints.concentrations), constraints.closure);
    for (component, range) in &constraints.absent {
        range.clone().for_each(|row| rows_side.fix(row, *component));
    }
    let mut channels_side = Side::new(channels, k, bound(constraints.spectra), None);
    let mut by_channel = vec![0.0; channels * k];
    for (component, spectrum) in &constraints.known {
        for (c, v) in spectrum.iter().enumerate() {
            channels_side.fix(c, *component);
            by_channel[c * k + component] = *v;
        }
    }
    let size: f64 = dot(data, data);
    match start {
        Start::Spectra(spectra) => all.spectra.copy_from_slice(spectra),
        Start::Concentrations(concentrations) => {
            all.concentrations.copy_from_slice(concentrations);
            for (component, range) in &constraints.absent {
                range.clone().for_each(|row| all.concentrations[row * k + component] = 0.0);
            }
            all.update_spectra(&mut channels_side, &mut by_channel);
        }
    }
    for (component, spectrum) in &constraints.known {
        all.spectra[component * channels..(component + 1) * channels].copy_from_slice(spectrum);
    }
    let scaled = constraints.closure.is_none();
    let mut squares = f64::INFINITY;
    let (mut iterations, mut converged) = (0, false);
    while iterations < control.max_iterations && !converged {
        checkpoint(iterations)?;
        iterations += 1;
        if scaled {
            all.scale(constraints);
        }
        all.update_concentrations(&mut rows_side);
        for &component in &constraints.unimodal {
            all.unimodal(component, &constraints.runs);
        }
        all.update_spectra(&mut channels_side, &mut by_channel);
        let left = all.squares(size, &by_channel);
        converged = (squares - left).abs() <= control.tolerance * left.max(1e-14 * size);
        squares = left;
    }
    if scaled {
        all.scale_both(constraints);
    }
    let lack_of_fit = 100.0 * (all.left() / size).sqrt();
    let Matrices { concentrations, spectra, .. } = all;
    Ok(Resolved { components, concentrations, spectra, lack_of_fit, iterations, converged })
}

fn bound(non_negative: bool) -> f64 {
    if non_negative { 0.0 } else { f64::NEG_INFINITY }
}

/// Checks everything; gives the number of rows.
fn check(
    data: &[f64],
    channels: usize,
    k: usize,
    start: &Start,
    constraints: &Constraints,
) -> Result<usize, McrError> {
    if channels == 0 || !data.len().is_multiple_of(channels) {
        let expected = channels.max(1) * data.len().div_ceil(channels.max(1));
        return Err(McrError::Shape { what: "data", got: data.len(), expected });
    }
    let rows = data.len() / channels;
    if k == 0 || k > rows.min(channels) || k > 20 {
        return Err(McrError::Components { components: k, rows, channels });
    }
    let (given, expected, what) = match start {
        Start::Spectra(s) => (s, k * channels, "start spectra"),
        Start::Concentrations(c) => (c, rows * k, "start concentrations"),
    };
    if given.len() != expected {
        return Err(McrError::Shape { what, got: given.len(), expected });
    }
    let known = constraints.known.iter().flat_map(|(_, spectrum)| spectrum);
    if data.iter().chain(given).chain(known).any(|v| !v.is_finite()) {
        let what = "NaN or infinity among data, start or known spectra";
        return Err(McrError::Values { what, hint: "leave those rows out" });
    }
    if data.iter().all(|v| *v == 0.0) {
        return Err(McrError::Values { what: "all data are zero", hint: "check the file" });
    }
    let wrong = |what: String, hint| Err(McrError::Constraint { what, hint });
    let there = |component: &usize| *component < k;
    let (mut unimodal, mut known) = (constraints.unimodal.iter(), constraints.known.iter());
    let mut absent = constraints.absent.iter();
    if !unimodal.all(there) || !known.all(|(c, _)| there(c)) || !absent.all(|(c, _)| there(c)) {
        return wrong(format!("a constraint on a component beyond {k}"), "components count from 0");
    }
    for (_, spectrum) in &constraints.known {
        if spectrum.len() != channels {
            let (got, expected) = (spectrum.len(), channels);
            return Err(McrError::Shape { what: "known spectrum", got, expected });
        }
        if spectrum.iter().all(|v| *v == 0.0) {
            return wrong("a known spectrum is zero".into(), "leave it out");
        }
    }
    if constraints.absent.iter().any(|(_, range)| range.end > rows || range.is_empty()) {
        return wrong(format!("an absence beyond the {rows} rows"), "rows count from 0");
    }
    let runs: usize = constraints.runs.iter().sum();
    if !constraints.runs.is_empty() && runs != rows {
        return wrong(format!("runs of {runs} rows in all"), "they must add up to all rows");
    }
    if let Some(total) = constraints.closure
        && !(total.is_finite() && total > 0.0)
    {
        return wrong(format!("closure to {total}"), "a positive total");
    }
    Ok(rows)
}

/// Data, factors, and room for products.
struct Matrices<'a> {
    data: &'a [f64],
    channels: usize,
    k: usize,
    concentrations: Vec<f64>,
    spectra: Vec<f64>,
    /// Right-hand sides, items x components.
    pulls: Vec<f64>,
    gram: Vec<f64>,
    /// `Cᵀ D`, components x channels.
    wide: Vec<f64>,
}

impl Matrices<'_> {
    fn rows(&self) -> usize {
        self.data.len() / self.channels
    }

    fn update_concentrations(&mut self, side: &mut Side) {
        let (k, m) = (self.k, self.channels);
        for i in 0..k {
            for j in 0..=i {
                let g = dot(&self.spectra[i * m..(i + 1) * m], &self.spectra[j * m..(j + 1) * m]);
                (self.gram[i * k + j], self.gram[j * k + i]) = (g, g);
            }
        }
        simd::run(Project { data: self.data, spectra: &self.spectra, k, out: &mut self.pulls });
        side.solve(&self.gram, &self.pulls, &mut self.concentrations);
    }

    fn update_spectra(&mut self, side: &mut Side, by_channel: &mut [f64]) {
        let (k, m) = (self.k, self.channels);
        self.gram.fill(0.0);
        for row in self.concentrations.chunks_exact(k) {
            for i in 0..k {
                for j in 0..k {
                    self.gram[i * k + j] += row[i] * row[j];
                }
            }
        }
        simd::run(Gather {
            data: self.data,
            concentrations: &self.concentrations,
            channels: m,
            k,
            out: &mut self.wide,
        });
        for (c, pull) in self.pulls.chunks_exact_mut(k).take(m).enumerate() {
            pull.iter_mut().enumerate().for_each(|(i, p)| *p = self.wide[i * m + c]);
        }
        side.solve(&self.gram, &self.pulls, by_channel);
        for (c, values) in by_channel.chunks_exact(k).enumerate() {
            values.iter().enumerate().for_each(|(i, v)| self.spectra[i * m + c] = *v);
        }
    }

    /// `|D - C S|²` after an update of the spectra, from the products at hand.
    fn squares(&self, size: f64, by_channel: &[f64]) -> f64 {
        let k = self.k;
        let mut sum = size;
        for (s, b) in by_channel.chunks_exact(k).zip(self.pulls.chunks_exact(k)) {
            for i in 0..k {
                let through: f64 = (0..k).map(|j| self.gram[i * k + j] * s[j]).sum();
                sum += s[i] * (through - 2.0 * b[i]);
            }
        }
        sum.max(0.0)
    }

    /// `|D - C S|²`, by itself.
    fn left(&self) -> f64 {
        let (k, m) = (self.k, self.channels);
        let mut row = vec![0.0; m];
        let mut sum = 0.0;
        for (data, c) in self.data.chunks_exact(m).zip(self.concentrations.chunks_exact(k)) {
            row.copy_from_slice(data);
            for (c, s) in c.iter().zip(self.spectra.chunks_exact(m)) {
                row.iter_mut().zip(s).for_each(|(r, s)| *r -= c * s);
            }
            sum += dot(&row, &row);
        }
        sum
    }

    /// Spectra of unit length, unless known.
    fn scale(&mut self, constraints: &Constraints) {
        for (i, spectrum) in self.spectra.chunks_exact_mut(self.channels).enumerate() {
            let length = dot(spectrum, spectrum).sqrt();
            if length > 0.0 && constraints.known.iter().all(|(known, _)| *known != i) {
                spectrum.iter_mut().for_each(|v| *v /= length);
            }
        }
    }

    /// The same, with the product as it was.
    fn scale_both(&mut self, constraints: &Constraints) {
        let m = self.channels;
        let lengths: Vec<f64> = self.spectra.chunks_exact(m).map(|s| dot(s, s).sqrt()).collect();
        self.scale(constraints);
        for (i, length) in lengths.into_iter().enumerate() {
            if length > 0.0 && constraints.known.iter().all(|(known, _)| *known != i) {
                let column = self.concentrations.iter_mut().skip(i).step_by(self.k);
                column.for_each(|c| *c *= length);
            }
        }
    }

    fn unimodal(&mut self, component: usize, runs: &[usize]) {
        let whole = [self.rows()];
        let runs = if runs.is_empty() { &whole[..] } else { runs };
        let mut first = 0;
        for run in runs {
            let at = |row: usize| (first + row) * self.k + component;
            let mut profile: Vec<f64> = (0..*run).map(|row| self.concentrations[at(row)]).collect();
            unimodal::unimodal(&mut profile);
            profile.iter().enumerate().for_each(|(row, v)| self.concentrations[at(row)] = *v);
            first += run;
        }
    }
}

/// `D Sᵀ`, rows x components.
struct Project<'a> {
    data: &'a [f64],
    spectra: &'a [f64],
    k: usize,
    out: &'a mut [f64],
}

impl Kernel for Project<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let m = self.spectra.len() / self.k;
        for (row, out) in self.data.chunks_exact(m).zip(self.out.chunks_exact_mut(self.k)) {
            for (out, spectrum) in out.iter_mut().zip(self.spectra.chunks_exact(m)) {
                *out = dot(row, spectrum);
            }
        }
    }
}

/// `Cᵀ D`, components x channels.
struct Gather<'a> {
    data: &'a [f64],
    concentrations: &'a [f64],
    channels: usize,
    k: usize,
    out: &'a mut [f64],
}

impl Kernel for Gather<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { data, concentrations, channels: m, k, out } = self;
        out.fill(0.0);
        for (row, c) in data.chunks_exact(m).zip(concentrations.chunks_exact(k)) {
            for (out, c) in out.chunks_exact_mut(m).zip(c) {
                out.iter_mut().zip(row).for_each(|(o, d)| *o += c * d);
            }
        }
    }
}

#[cfg(test)]
mod tests;
