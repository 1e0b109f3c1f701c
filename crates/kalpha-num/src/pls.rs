//! Partial least squares regression of one property (PLS1, NIPALS).
//!
//! Component a: `w = Xᵀy / |Xᵀy|`, `t = X w`, `p = Xᵀt / tᵀt`, `q = yᵀt / tᵀt`; X and y lose `t pᵀ` and
//! `q t`. With `r_a = w_a - sum_{b<a} (p_bᵀ w_a) r_b` the coefficients after a components are
//! `sum_{b<=a} q_b r_b`, so all numbers of components come from one fit. Centred, not scaled.
//!
//! Source: Wold, Sjöström and Eriksson (2001), Chemom. Intell. Lab. Syst. 58, 109,
//! doi:10.1016/S0169-7439(01)00155-1. Complexity O(rows columns components). Tested against
//! scikit-learn 1.9 `PLSRegression(scale=False)` to 1e-8.

/// A calibration with every number of components up to the one asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Pls {
    columns: usize,
    x_mean: Vec<f64>,
    y_mean: f64,
    /// Coefficients after 1, 2, .. components, one after the other.
    coefficients: Vec<f64>,
    /// `r` of each component: scores are `(x - mean) . r`.
    rotations: Vec<f64>,
    /// Sum of the squared scores of each component.
    score_squares: Vec<f64>,
    rows: usize,
}

/// Why there is no calibration.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlsError {
    /// Values do not fill the shape.
    #[error("{got} values do not fill {rows} rows of {columns} (hint: one spectrum per property)")]
    Shape {
        /// Values given.
        got: usize,
        /// Properties given.
        rows: usize,
        /// Channels stated.
        columns: usize,
    },
    /// Values are not finite.
    #[error("spectra or properties hold NaN or infinity (hint: leave those rows out)")]
    NotFinite,
    /// Spectra say nothing of the property.
    #[error(
        "no component beyond {found} of {wanted} (hint: fewer components; what is left of spectra \
         and property is unrelated)"
    )]
    Exhausted {
        /// Components found.
        found: usize,
        /// Components asked for.
        wanted: usize,
    },
}

impl Pls {
    /// Fits `components` to `y`, one property per row of `x` (rows x columns, row-major).
    ///
    /// # Errors
    /// For values that do not fit, or where fewer components exist.
    pub fn fit(x: &[f64], y: &[f64], columns: usize, components: usize) -> Result<Self, PlsError> {
        let rows = y.len();
        if x.len() != rows * columns || rows == 0 || columns == 0 {
            return Err(PlsError::Shape { got: x.len(), rows, columns });
        }
        if x.iter().chain(y).any(|v| !v.is_finite()) {
            return Err(PlsError::NotFinite);
        }
        let n = rows as f64;
        let mut x_mean = vec![0.0; columns];
        for row in x.chunks_exact(columns) {
            x_mean.iter_mut().zip(row).for_each(|(m, v)| *m += v / n);
        }
        let y_mean = y.iter().sum::<f64>() / n;
        let mut e: Vec<f64> = x
            .chunks_exact(columns)
            .flat_map(|r| r.iter().zip(&x_mean).map(|(v, m)| v - m))
            .collect();
        let mut f: Vec<f64> = y.iter().map(|v| v - y_mean).collect();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
        let (mut loadings, mut turned) = (Vec::<Vec<f64>>::new(), Vec::<Vec<f64>>::new());
        let mut coefficients = Vec::with_capacity(columns * components);
        let mut so_far = vec![0.0; columns];
        let against = |e: &[f64], t: &[f64]| {
            let mut sum = vec![0.0; columns];
            for (row, t) in e.chunks_exact(columns).zip(t) {
                sum.iter_mut().zip(row).for_each(|(s, v)| *s += t * v);
            }
            sum
        };
        let mut score_squares = Vec::with_capacity(components);
        let (x_size, y_size) = (dot(&e, &e).sqrt(), dot(&f, &f).sqrt());
        for found in 0..components {
            let mut w = against(&e, &f);
            let norm = dot(&w, &w).sqrt();
            let exhausted = PlsError::Exhausted { found, wanted: components };
            if norm.is_nan() || norm <= 1e-14 * x_size * y_size {
                return Err(exhausted);
            }
            w.iter_mut().for_each(|v| *v /= norm);
            let t: Vec<f64> = e.chunks_exact(columns).map(|row| dot(row, &w)).collect();
            let tt = dot(&t, &t);
            if tt.is_nan() || tt <= 1e-28 * x_size * x_size {
                return Err(exhausted);
            }
            let mut p = against(&e, &t);
            p.iter_mut().for_each(|v| *v /= tt);
            let q = dot(&f, &t) / tt;
            for (row, t) in e.chunks_exact_mut(columns).zip(&t) {
                row.iter_mut().zip(&p).for_each(|(v, p)| *v -= t * p);
            }
            f.iter_mut().zip(&t).for_each(|(f, t)| *f -= q * t);
            let mut r = w.clone();
            for (p, before) in loadings.iter().zip(&turned) {
                let share = dot(p, &w);
                r.iter_mut().zip(before).for_each(|(r, b)| *r -= share * b);
            }
            so_far.iter_mut().zip(&r).for_each(|(c, r)| *c += q * r);
            coefficients.extend_from_slice(&so_far);
            loadings.push(p);
            turned.push(r);
            score_squares.push(tt);
        }
        let rotations = turned.concat();
        Ok(Self { columns, x_mean, y_mean, coefficients, rotations, score_squares, rows })
    }

    /// How far a spectrum stands from those of the calibration: `1/n + sum_a t_a² / sum_i t_ia²` over
    /// its scores; the mean over the n of the calibration is `(1 + components) / n`.
    pub fn leverage(&self, x: &[f64]) -> f64 {
        let directions = self.rotations.chunks_exact(self.columns).zip(&self.score_squares);
        let scores = directions.map(|(r, squares)| {
            let t: f64 = r.iter().zip(x).zip(&self.x_mean).map(|((r, x), m)| r * (x - m)).sum();
            t * t / squares
        });
        1.0 / self.rows as f64 + scores.sum::<f64>()
    }

    /// Components fitted.
    pub fn components(&self) -> usize {
        self.coefficients.len() / self.columns
    }

    /// Coefficient of each channel after `components`, which must have been fitted; the property is
    /// `intercept + coefficients . spectrum`.
    pub fn coefficients(&self, components: usize) -> (f64, &[f64]) {
        let at = components.clamp(1, self.components().max(1)) - 1;
        let b = &self.coefficients[at * self.columns..(at + 1) * self.columns];
        (self.y_mean - b.iter().zip(&self.x_mean).map(|(b, m)| b * m).sum::<f64>(), b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> (Vec<f64>, Vec<f64>) {
        let x: Vec<f64> =
            (0..12 * 7).map(|i| ((i * i) as f64 * 0.13).sin() + 0.1 * (i % 7) as f64).collect();
        let y: Vec<f64> =
            (0..12).map(|r| 2.0 * x[r * 7] - x[r * 7 + 3] + 0.1 * (r as f64 * 1.3).cos()).collect();
        (x, y)
    }

    #[test]
    fn equals_scikit_learn() {
        // scikit-learn 1.9.1, PLSRegression(n_components=k, scale=False): see pls_expected.py.
        let expected: [(usize, f64, [f64; 7]); 3] = include!("pls_expected.in");
        let (x, y) = data();
        let pls = Pls::fit(&x, &y, 7, 5).unwrap();
        for (k, intercept, coefficients) in expected {
            let (a, b) = pls.coefficients(k);
            assert!((a - intercept).abs() < 1e-10, "{k} {a} {intercept}");
            for c in 0..7 {
                assert!((b[c] - coefficients[c]).abs() < 1e-10, "{k} {c}");
            }
        }
    }

    /// With all components it is ordinary least squares.
    #[test]
    fn all_components_are_least_squares() {
        let (x, y) = data();
        let pls = Pls::fit(&x, &y, 7, 7).unwrap();
        let (a, b) = pls.coefficients(7);
        let left: Vec<f64> =
            (0..12).map(|r| y[r] - a - (0..7).map(|c| b[c] * x[r * 7 + c]).sum::<f64>()).collect();
        // Leverages of a calibration sum to its coefficients, the mean among them.
        let sum: f64 = x.chunks_exact(7).map(|row| pls.leverage(row)).sum();
        assert!((sum - 8.0).abs() < 1e-9, "{sum}");
        for c in 0..7 {
            let g: f64 = (0..12).map(|r| left[r] * x[r * 7 + c]).sum();
            assert!(g.abs() < 1e-9, "{c} {g}");
        }
    }

    #[test]
    fn bad_input_is_refused() {
        let (x, y) = data();
        assert!(matches!(Pls::fit(&x, &y[..5], 7, 2), Err(PlsError::Shape { .. })));
        assert!(matches!(
            Pls::fit(&x, &[1.0; 12], 7, 1),
            Err(PlsError::Exhausted { found: 0, .. })
        ));
        assert!(matches!(Pls::fit(&x, &y, 7, 9), Err(PlsError::Exhausted { found: 7, .. })));
        let mut bad = x.clone();
        bad[3] = f64::NAN;
        assert_eq!(Pls::fit(&bad, &y, 7, 1), Err(PlsError::NotFinite));
    }
}
