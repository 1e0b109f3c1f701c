//! Cubic spline through points, with the not-a-knot condition at both ends.
//!
//! Twice continuously differentiable; the third derivative is continuous at the second and the last
//! but one point. Source: de Boor (1978), A Practical Guide to Splines, chapter IV. Complexity O(n),
//! O(log n) a value. Tested on cubics, which it returns exactly, and against values of SciPy 1.17.

/// A cubic spline.
#[derive(Clone, Debug, PartialEq)]
pub struct CubicSpline {
    x: Vec<f64>,
    y: Vec<f64>,
    /// First derivatives at the points.
    slopes: Vec<f64>,
}

/// Points give no spline.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SplineError {
    /// Too few.
    #[error("{got} points, a cubic spline needs 4 (hint: measure more)")]
    Few {
        /// Points given.
        got: usize,
    },
    /// Different numbers of both coordinates.
    #[error("{x} positions and {y} values")]
    Length {
        /// Positions.
        x: usize,
        /// Values.
        y: usize,
    },
    /// Positions do not rise, or a number is not finite.
    #[error("at point {at}: positions must rise and all numbers be finite (hint: sort the points)")]
    Order {
        /// The point, from zero.
        at: usize,
    },
}

impl CubicSpline {
    /// The spline through `(x, y)`, x rising.
    ///
    /// # Errors
    /// For fewer than 4 points, positions that do not rise, or values that are not finite.
    pub fn new(x: &[f64], y: &[f64]) -> Result<Self, SplineError> {
        let n = x.len();
        if n != y.len() {
            return Err(SplineError::Length { x: n, y: y.len() });
        }
        if n < 4 {
            return Err(SplineError::Few { got: n });
        }
        let wrong =
            |i: &usize| !x[*i].is_finite() || !y[*i].is_finite() || (*i > 0 && x[*i] <= x[*i - 1]);
        if let Some(at) = (0..n).find(wrong) {
            return Err(SplineError::Order { at });
        }
        let h: Vec<f64> = x.windows(2).map(|w| w[1] - w[0]).collect();
        let d: Vec<f64> = y.windows(2).zip(&h).map(|(w, h)| (w[1] - w[0]) / h).collect();
        let (mut below, mut on, mut above, mut right) =
            (vec![0.0; n], vec![0.0; n], vec![0.0; n], vec![0.0; n]);
        let (first, last) = (x[2] - x[0], x[n - 1] - x[n - 3]);
        (on[0], above[0]) = (h[1], first);
        right[0] = ((h[0] + 2.0 * first) * h[1] * d[0] + h[0] * h[0] * d[1]) / first;
        for i in 1..n - 1 {
            (below[i], on[i], above[i]) = (h[i], 2.0 * (h[i - 1] + h[i]), h[i - 1]);
            right[i] = 3.0 * (h[i] * d[i - 1] + h[i - 1] * d[i]);
        }
        (below[n - 1], on[n - 1]) = (last, h[n - 3]);
        right[n - 1] =
            (h[n - 2] * h[n - 2] * d[n - 3] + (2.0 * last + h[n - 2]) * h[n - 3] * d[n - 2]) / last;
        for i in 1..n {
            let factor = below[i] / on[i - 1];
            on[i] -= factor * above[i - 1];
            right[i] -= factor * right[i - 1];
        }
        let mut slopes = right;
        slopes[n - 1] /= on[n - 1];
        for i in (0..n - 1).rev() {
            slopes[i] = (slopes[i] - above[i] * slopes[i + 1]) / on[i];
        }
        Ok(Self { x: x.to_vec(), y: y.to_vec(), slopes })
    }

    /// First and last position.
    pub fn range(&self) -> [f64; 2] {
        [self.x[0], self.x[self.x.len() - 1]]
    }

    /// Value and first derivative at `at`; beyond the ends the last piece goes on.
    pub fn at(&self, at: f64) -> [f64; 2] {
        let i = self.x.partition_point(|x| *x <= at).clamp(1, self.x.len() - 1) - 1;
        let h = self.x[i + 1] - self.x[i];
        let t = at - self.x[i];
        let d = (self.y[i + 1] - self.y[i]) / h;
        let (a, b) = (self.slopes[i], self.slopes[i + 1]);
        let c2 = (3.0 * d - 2.0 * a - b) / h;
        let c3 = (a + b - 2.0 * d) / (h * h);
        [self.y[i] + t * (a + t * (c2 + t * c3)), a + t * (2.0 * c2 + 3.0 * t * c3)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cubics_come_back() {
        let x = [0.0, 0.3, 1.0, 1.1, 2.5, 3.0];
        let cubic = |x: f64| 1.0 - 2.0 * x + 0.5 * x * x + 0.25 * x * x * x;
        let y: Vec<f64> = x.iter().map(|x| cubic(*x)).collect();
        let spline = CubicSpline::new(&x, &y).unwrap();
        for k in 0..40 {
            let at = 0.1 * f64::from(k) - 0.4;
            let [value, slope] = spline.at(at);
            assert!((value - cubic(at)).abs() < 1e-12, "{at}");
            assert!((slope - (-2.0 + at + 0.75 * at * at)).abs() < 1e-11, "{at}");
        }
    }

    #[test]
    fn equals_scipy() {
        // scipy 1.17.1, interp1d(x, y, kind="cubic").
        let x = [0.0, 1.0, 2.5, 3.0, 4.2, 6.0, 7.0];
        let y = [0.2, 1.0, -0.5, 0.0, 2.0, 1.5, 1.7];
        let spline = CubicSpline::new(&x, &y).unwrap();
        for (at, expected) in include!("spline_expected.in") {
            let [value, _]: [f64; 2] = spline.at(at);
            assert!((value - expected).abs() < 1e-12, "{at} {value} {expected}");
        }
    }

    #[test]
    fn bad_points_are_refused() {
        assert_eq!(CubicSpline::new(&[0.0, 1.0], &[0.0, 1.0]), Err(SplineError::Few { got: 2 }));
        let x = [0.0, 1.0, 1.0, 2.0];
        assert_eq!(CubicSpline::new(&x, &[0.0; 4]), Err(SplineError::Order { at: 2 }));
        let y = [0.0, f64::NAN, 0.0, 0.0];
        let x = [0.0, 1.0, 2.0, 3.0];
        assert_eq!(CubicSpline::new(&x, &y), Err(SplineError::Order { at: 1 }));
        assert!(CubicSpline::new(&x, &[0.0; 3]).is_err());
    }
}
