//! Products of seldom-zero channels in f64: the dense part of a weighted Gram matrix.

use crate::simd::Simd;
use faer::{Accum, MatMut, MatRef, Par, linalg::matmul::matmul};

/// Channels side by side.
pub(super) const WIDTH: usize = 64;

/// A weighted count of one channel: row and value.
pub(super) type Share = (u32, f64);

/// Adds the products of one sparse channel with all hot ones, `stride` values per row of
/// `dense`, to `out`. Rows in the order given.
pub(super) fn add_sparse(
    simd: Simd,
    shares: &[Share],
    dense: &[f64],
    stride: usize,
    out: &mut [f64],
) {
    assert!(out.len() == stride && stride.is_multiple_of(WIDTH));
    #[cfg(target_arch = "x86_64")]
    match simd {
        // SAFETY: the processor has AVX-512 F and FMA, as `Simd::Avx512` says.
        Simd::Avx512 => return unsafe { avx512(shares, dense, stride, out) },
        // SAFETY: the processor has AVX2 and FMA, as `Simd::Avx2` says.
        Simd::Avx2 => return unsafe { avx2(shares, dense, stride, out) },
        Simd::Scalar => {}
    }
    let _ = simd;
    add::<false, 16>(shares, dense, stride, out);
}

/// # Safety
/// The processor has AVX-512 F and FMA.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
unsafe fn avx512(shares: &[Share], dense: &[f64], stride: usize, out: &mut [f64]) {
    add::<true, WIDTH>(shares, dense, stride, out);
}

/// # Safety
/// The processor has AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2(shares: &[Share], dense: &[f64], stride: usize, out: &mut [f64]) {
    add::<true, 32>(shares, dense, stride, out);
}

/// `N` sums at once, as many as stay in registers.
#[inline(always)]
fn add<const FMA: bool, const N: usize>(
    shares: &[Share],
    dense: &[f64],
    stride: usize,
    out: &mut [f64],
) {
    for (block, out) in out.chunks_exact_mut(N).enumerate() {
        let mut sums = [0.0; N];
        for &(row, factor) in shares {
            let at = row as usize * stride + block * N;
            for (sum, x) in sums.iter_mut().zip(&dense[at..at + N]) {
                *sum = if FMA { factor.mul_add(*x, *sum) } else { *sum + factor * x };
            }
        }
        out.iter_mut().zip(sums).for_each(|(o, s)| *o += s);
    }
}

/// Adds the products of hot channels `first..first + WIDTH` with all from `first` on: `out`
/// holds `stride` values for each of the former.
pub(super) fn add_dense(dense: &[f64], stride: usize, first: usize, out: &mut [f64]) {
    let x = MatRef::from_column_major_slice(dense, stride, dense.len() / stride);
    let mut out =
        MatMut::from_column_major_slice_mut(out, stride, WIDTH).subrows_mut(first, stride - first);
    let right = x.subrows(first, WIDTH).transpose();
    matmul(out.as_mut(), Accum::Add, x.subrows(first, stride - first), right, 1.0, Par::Seq);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    #[test]
    fn every_instruction_set_gives_the_scalar_sums() {
        let mut draws = Stream::new(3, "floats", 0).row(0);
        let (rows, stride) = (40, 3 * WIDTH);
        let dense: Vec<f64> = (0..rows * stride).map(|_| draws.normal()).collect();
        let shares: Vec<Share> =
            (0..rows as u32).step_by(3).map(|row| (row, draws.normal())).collect();
        let mut want = vec![0.25; stride];
        add::<false, 16>(&shares, &dense, stride, &mut want);
        for simd in Simd::available() {
            let mut got = vec![0.25; stride];
            add_sparse(simd, &shares, &dense, stride, &mut got);
            for (g, w) in got.iter().zip(&want) {
                assert!((g - w).abs() < 1e-13, "{simd:?}: {g} {w}");
            }
        }
    }
}
