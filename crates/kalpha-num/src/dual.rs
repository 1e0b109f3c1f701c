//! Forward-mode dual numbers: a function written once gives value and derivatives.
//!
//! A model is a function over [`Real`]. With `f64` it computes; with [`Dual`] it also carries the
//! derivatives to N variables, exact to rounding.
//!
//! Source: Griewank and Walther (2008), Evaluating Derivatives, doi:10.1137/1.9780898717761.
//! Tested against closed forms.

use std::{
    fmt::Debug,
    ops::{Add, Div, Mul, Neg, Sub},
};

/// What a differentiable function may be asked with.
pub trait Real:
    Copy
    + Debug
    + From<f64>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + Add<f64, Output = Self>
    + Sub<f64, Output = Self>
    + Mul<f64, Output = Self>
    + Div<f64, Output = Self>
{
    /// The value without its derivatives.
    fn value(self) -> f64;
    /// A function with value `y` and derivative `slope` at this value.
    fn chain(self, y: f64, slope: f64) -> Self;

    /// `e^x`.
    fn exp(self) -> Self {
        let y = self.value().exp();
        self.chain(y, y)
    }
    /// Natural logarithm.
    fn ln(self) -> Self {
        self.chain(self.value().ln(), self.value().recip())
    }
    /// Square root.
    fn sqrt(self) -> Self {
        let y = self.value().sqrt();
        self.chain(y, 0.5 / y)
    }
    /// Sine.
    fn sin(self) -> Self {
        self.chain(self.value().sin(), self.value().cos())
    }
    /// Cosine.
    fn cos(self) -> Self {
        self.chain(self.value().cos(), -self.value().sin())
    }
    /// Arc tangent.
    fn atan(self) -> Self {
        let x = self.value();
        self.chain(x.atan(), (1.0 + x * x).recip())
    }
    /// Integer power.
    fn powi(self, n: i32) -> Self {
        let x = self.value();
        let slope = if n == 0 { 0.0 } else { f64::from(n) * x.powi(n - 1) };
        self.chain(x.powi(n), slope)
    }
    /// Power with a constant exponent.
    fn powf(self, e: f64) -> Self {
        let x = self.value();
        let slope = if e == 0.0 { 0.0 } else { e * x.powf(e - 1.0) };
        self.chain(x.powf(e), slope)
    }
    /// Power with an exponent that varies too; the base must be positive.
    fn pow(self, e: Self) -> Self {
        (self.ln() * e).exp()
    }
}

impl Real for f64 {
    fn value(self) -> f64 {
        self
    }
    fn chain(self, y: f64, _slope: f64) -> Self {
        y
    }
}

/// A value with its derivatives to N variables.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dual<const N: usize> {
    /// Value.
    pub re: f64,
    /// Derivatives.
    pub eps: [f64; N],
}

impl<const N: usize> Dual<N> {
    /// Variable number `k` with value `x`.
    pub fn variable(x: f64, k: usize) -> Self {
        let mut eps = [0.0; N];
        if let Some(slot) = eps.get_mut(k) {
            *slot = 1.0;
        }
        Self { re: x, eps }
    }

    /// All N variables.
    pub fn variables(x: [f64; N]) -> [Self; N] {
        std::array::from_fn(|k| Self::variable(x[k], k))
    }

    fn zip(self, other: Self, re: f64, f: impl Fn(f64, f64) -> f64) -> Self {
        Self { re, eps: std::array::from_fn(|k| f(self.eps[k], other.eps[k])) }
    }
}

impl<const N: usize> From<f64> for Dual<N> {
    fn from(x: f64) -> Self {
        Self { re: x, eps: [0.0; N] }
    }
}

impl<const N: usize> Real for Dual<N> {
    fn value(self) -> f64 {
        self.re
    }
    fn chain(self, y: f64, slope: f64) -> Self {
        Self { re: y, eps: self.eps.map(|e| e * slope) }
    }
}

impl<const N: usize> Add for Dual<N> {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        self.zip(o, self.re + o.re, |a, b| a + b)
    }
}
impl<const N: usize> Sub for Dual<N> {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        self.zip(o, self.re - o.re, |a, b| a - b)
    }
}
// The rules for products and quotients hold other operations than their own.
#[allow(clippy::suspicious_arithmetic_impl)]
impl<const N: usize> Mul for Dual<N> {
    type Output = Self;
    fn mul(self, o: Self) -> Self {
        self.zip(o, self.re * o.re, |a, b| a * o.re + self.re * b)
    }
}
#[allow(clippy::suspicious_arithmetic_impl)]
impl<const N: usize> Div for Dual<N> {
    type Output = Self;
    fn div(self, o: Self) -> Self {
        let y = self.re / o.re;
        self.zip(o, y, |a, b| (a - y * b) / o.re)
    }
}
impl<const N: usize> Neg for Dual<N> {
    type Output = Self;
    fn neg(self) -> Self {
        self.chain(-self.re, -1.0)
    }
}
impl<const N: usize> Add<f64> for Dual<N> {
    type Output = Self;
    fn add(self, o: f64) -> Self {
        self.chain(self.re + o, 1.0)
    }
}
impl<const N: usize> Sub<f64> for Dual<N> {
    type Output = Self;
    fn sub(self, o: f64) -> Self {
        self.chain(self.re - o, 1.0)
    }
}
impl<const N: usize> Mul<f64> for Dual<N> {
    type Output = Self;
    fn mul(self, o: f64) -> Self {
        self.chain(self.re * o, o)
    }
}
impl<const N: usize> Div<f64> for Dual<N> {
    type Output = Self;
    fn div(self, o: f64) -> Self {
        self.chain(self.re / o, o.recip())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<const N: usize>(got: Dual<N>, re: f64, eps: [f64; N]) {
        assert!((got.re - re).abs() < 1e-14 * re.abs().max(1.0), "{got:?} {re}");
        for (g, e) in got.eps.iter().zip(eps) {
            assert!((g - e).abs() < 1e-13 * e.abs().max(1.0), "{got:?} {e}");
        }
    }

    #[test]
    fn derivatives_are_those_of_the_closed_forms() {
        let [x, y] = Dual::variables([0.7, 1.3]);
        let (a, b) = (0.7_f64, 1.3_f64);
        check(x * y + x / y - 2.0, a * b + a / b - 2.0, [b + 1.0 / b, a - a / (b * b)]);
        check(
            (x * 2.0).exp() * y.ln(),
            (1.4_f64).exp() * b.ln(),
            [2.0 * (1.4_f64).exp() * b.ln(), (1.4_f64).exp() / b],
        );
        check(x.sin() - y.cos(), a.sin() - b.cos(), [a.cos(), b.sin()]);
        check(
            (x * y).atan(),
            (a * b).atan(),
            [b / (1.0 + a * a * b * b), a / (1.0 + a * a * b * b)],
        );
        check(x.pow(y), a.powf(b), [b * a.powf(b - 1.0), a.powf(b) * a.ln()]);
        check(
            x.powi(3) + y.powf(-0.5),
            a.powi(3) + b.powf(-0.5),
            [3.0 * a * a, -0.5 * b.powf(-1.5)],
        );
        check(-x.sqrt() + Dual::from(1.0), 1.0 - a.sqrt(), [-0.5 / a.sqrt(), 0.0]);
        assert_eq!(x.powi(0).eps, [0.0, 0.0]);
    }
}
