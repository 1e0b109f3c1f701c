//! Several spectra side by side: lane k of every value belongs to spectrum k.
//!
//! A recursion along the channels cannot use wide registers for one spectrum, but it can for
//! eight at once. Lanes never mix, so a spectrum gets the same bits alone or in company. All
//! functions are inlined, for use inside a [`Kernel`](crate::simd::Kernel).

use std::ops::{Add, Div, Mul, Neg, Sub};

/// L numbers, one per spectrum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lanes<const L: usize>(pub [f64; L]);

/// L answers, one per spectrum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mask<const L: usize>(pub [bool; L]);

impl<const L: usize> Mask<L> {
    /// `yes` where true, `no` elsewhere.
    #[inline(always)]
    pub fn select(self, yes: Lanes<L>, no: Lanes<L>) -> Lanes<L> {
        let mut out = no.0;
        for k in 0..L {
            out[k] = if self.0[k] { yes.0[k] } else { no.0[k] };
        }
        Lanes(out)
    }
}

impl<const L: usize> Lanes<L> {
    /// Zero in every lane.
    pub const ZERO: Self = Self([0.0; L]);

    /// The same value in every lane.
    #[inline(always)]
    pub fn splat(value: f64) -> Self {
        Self([value; L])
    }

    #[inline(always)]
    fn map(self, f: impl Fn(f64) -> f64) -> Self {
        let mut out = self.0;
        for k in 0..L {
            out[k] = f(out[k]);
        }
        Self(out)
    }

    /// `self < other`; false for NaN.
    #[inline(always)]
    pub fn lt(self, other: Self) -> Mask<L> {
        let mut out = [false; L];
        for k in 0..L {
            out[k] = self.0[k] < other.0[k];
        }
        Mask(out)
    }

    /// `self > other`; false for NaN.
    #[inline(always)]
    pub fn gt(self, other: Self) -> Mask<L> {
        other.lt(self)
    }

    /// The smaller of each pair; `other` where `self` is NaN.
    #[inline(always)]
    pub fn min(self, other: Self) -> Self {
        self.lt(other).select(self, other)
    }

    /// The larger of each pair; `other` where `self` is NaN.
    #[inline(always)]
    pub fn max(self, other: Self) -> Self {
        other.lt(self).select(self, other)
    }

    /// Magnitudes.
    #[inline(always)]
    pub fn abs(self) -> Self {
        self.map(f64::abs)
    }

    /// Square roots.
    #[inline(always)]
    pub fn sqrt(self) -> Self {
        self.map(f64::sqrt)
    }

    /// Exponentials, by [`exp`].
    #[inline(always)]
    pub fn exp(self) -> Self {
        self.map(exp)
    }

    /// Sines and cosines, by [`sin_cos`].
    #[inline(always)]
    pub fn sin_cos(self) -> (Self, Self) {
        let (mut sine, mut cosine) = (self.0, self.0);
        for k in 0..L {
            (sine[k], cosine[k]) = sin_cos(self.0[k]);
        }
        (Self(sine), Self(cosine))
    }

    /// The part above the next smaller integer, for magnitudes below 2^51.
    #[inline(always)]
    pub fn fraction(self) -> Self {
        self.map(|x| {
            let nearest = (x + ROUND) - ROUND;
            let part = x - nearest;
            if part < 0.0 { part + 1.0 } else { part }
        })
    }

    /// `1 / (1 + exp(-self))`.
    #[inline(always)]
    pub fn logistic(self) -> Self {
        Self::splat(1.0) / (Self::splat(1.0) + (-self).exp())
    }
}

macro_rules! operator {
    ($trait:ident, $name:ident, $assign:tt) => {
        impl<const L: usize> $trait for Lanes<L> {
            type Output = Self;
            #[inline(always)]
            fn $name(self, other: Self) -> Self {
                let mut out = self.0;
                for k in 0..L {
                    out[k] $assign other.0[k];
                }
                Self(out)
            }
        }
    };
}
operator!(Add, add, +=);
operator!(Sub, sub, -=);
operator!(Mul, mul, *=);
operator!(Div, div, /=);

impl<const L: usize> Neg for Lanes<L> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        self.map(|x| -x)
    }
}

/// Adding 1.5 * 2^52 rounds to an integer and leaves it in the low bits.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// `e^x` without branches or tables, so that loops over it become wide.
///
/// `x = n ln 2 + r`, a polynomial of degree 13 for `e^r`. Within 2 units in the last place for
/// `-708 <= x <= 709`; below, 0 and, above, the value at 709. NaN gives NaN. Tested against
/// `f64::exp`.
#[inline(always)]
pub fn exp(x: f64) -> f64 {
    const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    let small = x < -708.0;
    let x = if x > 709.0 { 709.0 } else { x };
    let x = if small { -708.0 } else { x };
    let t = x * std::f64::consts::LOG2_E + ROUND;
    let n = t - ROUND;
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    let mut p = 1.0 / 6_227_020_800.0;
    p = p * r + 1.0 / 479_001_600.0;
    p = p * r + 1.0 / 39_916_800.0;
    p = p * r + 1.0 / 3_628_800.0;
    p = p * r + 1.0 / 362_880.0;
    p = p * r + 1.0 / 40_320.0;
    p = p * r + 1.0 / 5_040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    let scale = f64::from_bits((t.to_bits() << 52).wrapping_add(1023 << 52));
    let out = p * scale;
    if small { 0.0 } else { out }
}

/// `sin x` and `cos x` without branches or tables, for `|x| < 1e5`: absolute error below 3e-16.
///
/// `x = n pi/2 + r`, polynomials of degree 15 and 16 for `r`. NaN gives NaN. Tested against `f64`.
#[inline(always)]
pub fn sin_cos(x: f64) -> (f64, f64) {
    // Pi/2 in three parts, the first two with 33 bits.
    const HIGH: f64 = 1.570_796_326_734_125_6;
    const MIDDLE: f64 = 6.077_100_506_303_966e-11;
    const LOW: f64 = 2.022_266_248_795_950_7e-21;
    let t = x * std::f64::consts::FRAC_2_PI + ROUND;
    let n = t - ROUND;
    let r = ((x - n * HIGH) - n * MIDDLE) - n * LOW;
    let z = r * r;
    let mut s = -1.0 / 1_307_674_368_000.0;
    s = s * z + 1.0 / 6_227_020_800.0;
    s = s * z - 1.0 / 39_916_800.0;
    s = s * z + 1.0 / 362_880.0;
    s = s * z - 1.0 / 5_040.0;
    s = s * z + 1.0 / 120.0;
    s = s * z - 1.0 / 6.0;
    let sine = r + r * z * s;
    let mut c = 1.0 / 20_922_789_888_000.0;
    c = c * z - 1.0 / 87_178_291_200.0;
    c = c * z + 1.0 / 479_001_600.0;
    c = c * z - 1.0 / 3_628_800.0;
    c = c * z + 1.0 / 40_320.0;
    c = c * z - 1.0 / 720.0;
    c = c * z + 1.0 / 24.0;
    let cosine = 1.0 + z * (z * c - 0.5);
    let quadrant = t.to_bits();
    let swap = quadrant & 1 == 1;
    let (a, b) = if swap { (cosine, sine) } else { (sine, cosine) };
    let a = if quadrant & 2 == 2 { -a } else { a };
    let b = if quadrant.wrapping_add(1) & 2 == 2 { -b } else { b };
    (a, b)
}

/// Memory for arrays of lanes, aligned to cache lines and reused.
#[derive(Clone, Debug, Default)]
pub struct Planes(Vec<f64>);

impl Planes {
    /// K arrays of n values of L lanes; what they hold is left over from before.
    pub fn split<const L: usize, const K: usize>(&mut self, n: usize) -> [&mut [[f64; L]]; K] {
        // Arrays start on different cache sets, or eight of them would evict each other.
        let each = (n * L).next_multiple_of(8) + 8;
        if self.0.len() < each * K + 8 {
            self.0.resize(each * K + 8, 0.0);
        }
        let skip = self.0.as_ptr().align_offset(64).min(8);
        let mut rest = self.0.get_mut(skip..).unwrap_or_default();
        std::array::from_fn(|_| {
            let (array, after) = std::mem::take(&mut rest).split_at_mut(each);
            rest = after;
            array.as_chunks_mut::<L>().0.get_mut(..n).unwrap_or_default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Kernel, Simd, run_with};

    #[test]
    fn exponential_is_within_two_units() {
        let mut worst = 0.0f64;
        for i in -70_800..=70_900 {
            let x = f64::from(i) * 0.01 + 1e-5 * f64::from(i % 7);
            if !(-708.0..=709.0).contains(&x) {
                continue;
            }
            worst = worst.max((exp(x) / x.exp() - 1.0).abs() / f64::EPSILON);
        }
        assert!(worst <= 2.0, "{worst} units");
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(f64::NEG_INFINITY), 0.0);
        assert_eq!(exp(1e9), exp(709.0));
        assert!(exp(f64::NAN).is_nan());
    }

    struct Logistic([f64; 16]);
    impl Kernel for Logistic {
        type Output = [f64; 16];
        #[inline(always)]
        fn run(self) -> [f64; 16] {
            Lanes(self.0).logistic().0
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let x: [f64; 16] = std::array::from_fn(|k| (k as f64 - 7.3) * 3.1);
        let plain = run_with(Simd::Scalar, Logistic(x));
        for simd in Simd::available() {
            assert_eq!(run_with(simd, Logistic(x)), plain, "{simd:?}");
        }
        for (got, x) in plain.iter().zip(x) {
            assert!((got - 1.0 / (1.0 + (-x).exp())).abs() < 1e-15);
        }
    }

    #[test]
    fn sines_cosines_and_fractions() {
        for k in -20_000..20_000 {
            let x = f64::from(k) * 0.0171;
            let (sine, cosine) = sin_cos(x);
            assert!((sine - x.sin()).abs() < 3e-16, "{x}");
            assert!((cosine - x.cos()).abs() < 3e-16, "{x}");
            let part = Lanes([x]).fraction().0[0];
            assert!((part - (x - x.floor())).abs() < 1e-15, "{x} {part}");
        }
        assert!(sin_cos(f64::NAN).0.is_nan());
    }

    #[test]
    fn planes_are_disjoint_and_aligned() {
        let mut planes = Planes::default();
        let [a, b] = planes.split::<8, 2>(5);
        a.fill([1.0; 8]);
        b.fill([2.0; 8]);
        assert!(a.len() == 5 && b.len() == 5 && a[4] == [1.0; 8]);
        assert_eq!(a.as_ptr().align_offset(64), 0);
        assert_eq!(b.as_ptr().align_offset(64), 0);
    }
}
