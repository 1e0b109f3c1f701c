//! Which instructions to use, decided at run time.

use std::sync::OnceLock;

/// Portable work that is compiled once per instruction set, so that its loops become as wide
/// as the processor allows.
///
/// Plain Rust arithmetic is not reordered or fused, so every set gives the same bits.
pub trait Kernel {
    /// What the work gives.
    type Output;
    /// The work. Mark it `#[inline(always)]`, and all that it calls in its loops.
    fn run(self) -> Self::Output;
}

/// Runs `kernel` with the best instructions there are.
pub fn run<K: Kernel>(kernel: K) -> K::Output {
    run_with(Simd::detect(), kernel)
}

/// Runs `kernel` with the instructions of `simd`, or those the processor has where that is less.
pub fn run_with<K: Kernel>(simd: Simd, kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    match simd.min(Simd::best()) {
        // SAFETY: the processor has AVX-512 F, BW and VNNI, as `Simd::best` says.
        Simd::Avx512 => return unsafe { avx512(kernel) },
        // SAFETY: the processor has AVX2, as `Simd::best` says.
        Simd::Avx2 => return unsafe { avx2(kernel) },
        Simd::Scalar => {}
    }
    let _ = simd;
    kernel.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw")]
fn avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}

/// An instruction set, in ascending order of what it can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Simd {
    /// Portable code.
    Scalar,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 F, BW and VNNI.
    Avx512,
}

impl Simd {
    /// The best set this processor has, or the one named by `KALPHA_SIMD`
    /// (`scalar`, `avx2`, `avx512`) where the processor has that too. Decided once.
    pub fn detect() -> Self {
        static CHOSEN: OnceLock<Simd> = OnceLock::new();
        *CHOSEN.get_or_init(|| {
            let best = Self::best();
            match std::env::var("KALPHA_SIMD").as_deref() {
                Ok("scalar") => Self::Scalar,
                Ok("avx2") => best.min(Self::Avx2),
                _ => best,
            }
        })
    }

    /// Every set this processor has, for tests of one against the other.
    pub fn available() -> Vec<Self> {
        let best = Self::best();
        [Self::Scalar, Self::Avx2, Self::Avx512].into_iter().filter(|s| *s <= best).collect()
    }

    #[cfg(target_arch = "x86_64")]
    fn best() -> Self {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vnni");
        match (avx2, avx512) {
            (true, true) => Self::Avx512,
            (true, false) => Self::Avx2,
            _ => Self::Scalar,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn best() -> Self {
        Self::Scalar
    }
}
