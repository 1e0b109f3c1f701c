//! Orthogonal wavelet filters: the low-pass filter of the reconstruction.
//!
//! Source: Daubechies (1992), Ten Lectures on Wavelets, doi:10.1137/1.9781611970104. Tested by
//! their definition: unit norm, orthogonal to their even shifts, vanishing moments.

use std::f64::consts::FRAC_1_SQRT_2;

/// Haar.
pub const HAAR: [f64; 2] = [FRAC_1_SQRT_2, FRAC_1_SQRT_2];

/// Daubechies, 4 vanishing moments.
pub const DB4: [f64; 8] = [
    0.2303778133088965,
    0.7148465705529157,
    0.6308807679298589,
    -0.027983769416859854,
    -0.18703481171909309,
    0.030841381835560764,
    0.0328830116668852,
    -0.010597401785069032,
];

/// Least asymmetric, 4 vanishing moments.
pub const SYM4: [f64; 8] = [
    0.0322231006040427,
    -0.012603967262037833,
    -0.09921954357684722,
    0.29785779560527736,
    0.8037387518059161,
    0.49761866763201545,
    -0.02963552764599851,
    -0.07576571478927333,
];

/// Least asymmetric, 8 vanishing moments.
pub const SYM8: [f64; 16] = [
    0.0018899503327594609,
    -0.0003029205147213668,
    -0.01495225833704823,
    0.003808752013890615,
    0.049137179673607506,
    -0.027219029917056003,
    -0.05194583810770904,
    0.3644418948353314,
    0.7771857517005235,
    0.4813596512583722,
    -0.061273359067658524,
    -0.1432942383508097,
    0.007607487324917605,
    0.03169508781149298,
    -0.0005421323317911481,
    -0.0033824159510061256,
];

/// Coiflet, 6 vanishing moments.
pub const COIF3: [f64; 18] = [
    -0.003793512864380802,
    0.007782596425672746,
    0.023452696142077168,
    -0.06577191128146936,
    -0.06112339000297255,
    0.40517690240911824,
    0.7937772226260872,
    0.42848347637737,
    -0.07179982161915484,
    -0.08230192710629983,
    0.03455502757329774,
    0.015880544863669452,
    -0.009007976136730624,
    -0.0025745176881367972,
    0.0011175187708306303,
    0.0004662169598204029,
    -7.0983302506379e-05,
    -3.459977319727278e-05,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_orthogonal_wavelets() {
        let all: [(&[f64], i32); 5] = [(&HAAR, 1), (&DB4, 4), (&SYM4, 4), (&SYM8, 8), (&COIF3, 6)];
        for (h, moments) in all {
            let n = h.len();
            for shift in 0..n / 2 {
                let dot: f64 = (0..n - 2 * shift).map(|i| h[i] * h[i + 2 * shift]).sum();
                let want = if shift == 0 { 1.0 } else { 0.0 };
                assert!((dot - want).abs() < 1e-8, "{n} {shift} {dot}");
            }
            assert!((h.iter().sum::<f64>() - 2f64.sqrt()).abs() < 1e-8);
            for m in 0..moments {
                let moment: f64 = (0..n)
                    .map(|i| {
                        (if i % 2 == 0 { h[i] } else { -h[i] }) * (i as f64 / n as f64).powi(m)
                    })
                    .sum();
                assert!(moment.abs() < 1e-6, "{n} {m} {moment}");
            }
        }
    }
}
