//! Plain loops compiled for each instruction set, chosen at run time.
//!
//! The loops are written so that the compiler can vectorise them; nothing in them depends on the
//! width of a register, so every set gives the same bits.

/// Defines `fn $name` as the plain function `$plain` compiled for each instruction set.
macro_rules! for_each_instruction_set {
    ($(#[$about:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?)
     $(-> $result:ty)? = $plain:ident) => {
        $(#[$about])*
        $vis fn $name($($arg: $type),*) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn avx2($($arg: $type),*) $(-> $result)? {
                    $plain($($arg),*)
                }
                #[target_feature(enable = "avx512f")]
                fn avx512($($arg: $type),*) $(-> $result)? {
                    $plain($($arg),*)
                }
                match kalpha_num::simd::Simd::detect() {
                    // SAFETY: `detect` has found AVX-512 F on this processor.
                    kalpha_num::simd::Simd::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: `detect` has found AVX2 on this processor.
                    kalpha_num::simd::Simd::Avx2 => return unsafe { avx2($($arg),*) },
                    kalpha_num::simd::Simd::Scalar => {}
                }
            }
            $plain($($arg),*)
        }
    };
}

pub(crate) use for_each_instruction_set;

#[inline(always)]
fn plain_dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (ca, cb) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f64 = ca.remainder().iter().zip(cb.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in ca.zip(cb) {
        for k in 0..8 {
            sums[k] += x[k] * y[k];
        }
    }
    sums.iter().sum::<f64>() + tail
}

for_each_instruction_set! {
    /// Dot product in eight independent sums.
    pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 = plain_dot
}

/// [`dot`] for use inside another function compiled for each set.
#[inline(always)]
pub(crate) fn inline_dot(a: &[f64], b: &[f64]) -> f64 {
    plain_dot(a, b)
}
