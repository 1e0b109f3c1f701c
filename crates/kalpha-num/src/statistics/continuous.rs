//! Normal, chi-squared and Student distributions.

use super::special::{
    erfc, ln_gamma_q_fraction, regularized_beta, regularized_gamma_p, regularized_gamma_q,
};
use std::f64::consts::{LN_2, SQRT_2};

/// P(Z <= z) of the standard normal.
pub fn normal_cdf(z: f64) -> f64 {
    0.5 * erfc(-z / SQRT_2)
}

/// P(Z >= z) of the standard normal, accurate far out.
pub fn normal_sf(z: f64) -> f64 {
    0.5 * erfc(z / SQRT_2)
}

/// `ln P(Z >= z)` of the standard normal.
pub fn ln_normal_sf(z: f64) -> f64 {
    if z > 2.0 { ln_gamma_q_fraction(0.5, 0.5 * z * z) - LN_2 } else { normal_sf(z).ln() }
}

/// `P(|Z| >= |z|)`.
pub fn two_sided_normal(z: f64) -> f64 {
    erfc(z.abs() / SQRT_2)
}

/// z with P(Z <= z) = p; infinite at 0 and 1, NaN outside.
///
/// Source: Wichura (1988), AS 241 PPND16, doi:10.2307/2347330; relative error 1e-16.
pub fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 8] = [
        3.387_132_872_796_366_5,
        1.331_416_678_917_843_8e2,
        1.971_590_950_306_551_3e3,
        1.373_169_376_550_946e4,
        4.592_195_393_154_987e4,
        6.726_577_092_700_87e4,
        3.343_057_558_358_813e4,
        2.509_080_928_730_122_7e3,
    ];
    const B: [f64; 8] = [
        1.0,
        4.231_333_070_160_091e1,
        6.871_870_074_920_579e2,
        5.394_196_021_424_751e3,
        2.121_379_430_158_66e4,
        3.930_789_580_009_271e4,
        2.872_908_573_572_194_3e4,
        5.226_495_278_852_545e3,
    ];
    const C: [f64; 8] = [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        2.417_807_251_774_506e-1,
        2.272_384_498_926_918_4e-2,
        7.745_450_142_783_414e-4,
    ];
    const D: [f64; 8] = [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        6.897_673_349_851e-1,
        1.481_039_764_274_800_8e-1,
        1.519_866_656_361_645_7e-2,
        5.475_938_084_995_345e-4,
        1.050_750_071_644_416_9e-9,
    ];
    const E: [f64; 8] = [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        2.965_605_718_285_048_7e-1,
        2.653_218_952_657_612_4e-2,
        1.242_660_947_388_078_4e-3,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288_1e-7,
    ];
    const F: [f64; 8] = [
        1.0,
        5.998_322_065_558_88e-1,
        1.369_298_809_227_358e-1,
        1.487_536_129_085_061_5e-2,
        7.868_691_311_456_133e-4,
        1.846_318_317_510_054_8e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_8e-15,
    ];
    let poly = |c: &[f64; 8], x: f64| c.iter().rev().fold(0.0, |acc, c| acc * x + c);
    if !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180_625 - q * q;
        return q * poly(&A, r) / poly(&B, r);
    }
    let tail = if q < 0.0 { p } else { 1.0 - p };
    if tail == 0.0 {
        return if q < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    let r = (-tail.ln()).sqrt();
    let z = if r <= 5.0 {
        poly(&C, r - 1.6) / poly(&D, r - 1.6)
    } else {
        poly(&E, r - 5.0) / poly(&F, r - 5.0)
    };
    if q < 0.0 { -z } else { z }
}

/// P(T <= t) of Student's t with `freedom` > 0 degrees.
pub fn student_t_cdf(t: f64, freedom: f64) -> f64 {
    let tail = 0.5 * regularized_beta(freedom / (freedom + t * t), 0.5 * freedom, 0.5);
    if t > 0.0 { 1.0 - tail } else { tail }
}

/// t with P(T <= t) = p for Student's t with `freedom` > 0 degrees; NaN for p outside [0, 1].
///
/// Bisection to the last bits.
pub fn student_t_quantile(p: f64, freedom: f64) -> f64 {
    if !(0.0..=1.0).contains(&p) || freedom.is_nan() || freedom <= 0.0 {
        return f64::NAN;
    }
    if p < 0.5 {
        return -student_t_quantile(1.0 - p, freedom);
    }
    if p == 0.5 {
        return 0.0;
    }
    if p == 1.0 {
        return f64::INFINITY;
    }
    let (mut low, mut high) = (0.0, 1.0);
    while student_t_cdf(high, freedom) < p && high < 1e300 {
        (low, high) = (high, 2.0 * high);
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if student_t_cdf(middle, freedom) < p { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// P(X <= x) of chi-squared with `freedom` degrees.
pub fn chi2_cdf(x: f64, freedom: f64) -> f64 {
    regularized_gamma_p(0.5 * freedom, 0.5 * x)
}

/// P(X >= x) of chi-squared with `freedom` degrees.
pub fn chi2_sf(x: f64, freedom: f64) -> f64 {
    regularized_gamma_q(0.5 * freedom, 0.5 * x)
}

/// x with P(X <= x) = p for chi-squared with `freedom` > 0 degrees; NaN for p outside [0, 1].
///
/// Wilson and Hilferty (1931) start, then bisection to the last bits.
pub fn chi2_quantile(p: f64, freedom: f64) -> f64 {
    if !(0.0..=1.0).contains(&p) || freedom.is_nan() || freedom <= 0.0 {
        return f64::NAN;
    }
    if p == 0.0 {
        return 0.0;
    }
    if p == 1.0 {
        return f64::INFINITY;
    }
    let s = 2.0 / (9.0 * freedom);
    let guess = freedom * (1.0 - s + normal_quantile(p) * s.sqrt()).max(0.01).powi(3);
    let (mut low, mut high) = (0.5 * guess, 2.0 * guess);
    while chi2_cdf(low, freedom) > p {
        low *= 0.5;
    }
    while chi2_cdf(high, freedom) < p {
        high *= 2.0;
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if chi2_cdf(middle, freedom) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}
