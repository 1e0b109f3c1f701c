//! Products of byte panels: the dense part of an integer Gram matrix.
//!
//! A panel holds [`WIDTH`] channels x rows of counts <= 127, four rows side by side:
//! `panel[row / 4][channel][row % 4]`. That is the layout in which one instruction multiplies
//! four rows of 16 (AVX-512 VNNI) or 8 (AVX2) channels and adds them up.

use crate::simd::Simd;

/// Channels in a panel.
pub(super) const WIDTH: usize = 32;
/// Bytes of one panel for four rows.
pub(super) const STEP: usize = WIDTH * 4;
/// The largest count: two products of it fit i16, as AVX2 needs.
pub(super) const MAX: u32 = 127;

/// Adds the products of panels `a` and `b` over all rows to `out[i][j]`, a tile of
/// `WIDTH` rows that are `stride` apart.
///
/// Exact as long as the sums stay below 2^31.
pub(super) fn add_products(simd: Simd, a: &[u8], b: &[u8], out: &mut [i32], stride: usize) {
    assert!(a.len() == b.len() && a.len().is_multiple_of(STEP));
    assert!(stride >= WIDTH && out.len() >= (WIDTH - 1) * stride + WIDTH);
    #[cfg(target_arch = "x86_64")]
    match simd {
        // SAFETY: the processor has AVX-512 F, BW and VNNI, as `Simd::Avx512` says, and the
        // lengths were checked above.
        Simd::Avx512 => return unsafe { x86::vnni(a, b, out, stride) },
        // SAFETY: the processor has AVX2, as `Simd::Avx2` says; lengths checked above.
        Simd::Avx2 => return unsafe { x86::avx2(a, b, out, stride) },
        Simd::Scalar => {}
    }
    let _ = simd;
    scalar(a, b, out, stride);
}

/// A few counts of one channel: the number of the four rows in the high half, the counts of
/// these rows as bytes in the low half.
pub(super) type Quad = u64;

/// Adds the products of one sparse channel with all hot channels to `out`.
///
/// `packed` holds the panels of the hot channels, `panel` bytes each. Exact as long as the sums
/// stay below 2^31.
pub(super) fn add_sparse(simd: Simd, quads: &[Quad], packed: &[u8], panel: usize, out: &mut [i32]) {
    let panels = out.len() / WIDTH;
    assert!(panel.is_multiple_of(STEP) && packed.len() == panels * panel);
    let steps = panel / STEP;
    assert!(quads.iter().all(|quad| ((quad >> 32) as usize) < steps));
    for first in (0..panels).step_by(4) {
        let n = (panels - first).min(4);
        let packed = &packed[first * panel..(first + n) * panel];
        let out = &mut out[first * WIDTH..(first + n) * WIDTH];
        add_sparse_panels(simd, quads, packed, panel, out);
    }
}

/// Up to four panels, whose sums stay in registers.
fn add_sparse_panels(simd: Simd, quads: &[Quad], packed: &[u8], panel: usize, out: &mut [i32]) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the processor has what `simd` says; `add_sparse` has checked that every quad
    // points into a panel, and `packed` and `out` hold the same number of whole panels.
    unsafe {
        match (simd, out.len() / WIDTH) {
            (Simd::Avx512, 1) => return x86::sparse_vnni::<1>(quads, packed, panel, out),
            (Simd::Avx512, 2) => return x86::sparse_vnni::<2>(quads, packed, panel, out),
            (Simd::Avx512, 3) => return x86::sparse_vnni::<3>(quads, packed, panel, out),
            (Simd::Avx512, 4) => return x86::sparse_vnni::<4>(quads, packed, panel, out),
            (Simd::Avx2, _) => return x86::sparse_avx2(quads, packed, panel, out),
            _ => {}
        }
    }
    let _ = simd;
    sparse_scalar(quads, packed, panel, out);
}

fn sparse_scalar(quads: &[Quad], packed: &[u8], panel: usize, out: &mut [i32]) {
    for (packed, out) in packed.chunks_exact(panel.max(1)).zip(out.chunks_exact_mut(WIDTH)) {
        for quad in quads {
            let counts = (*quad as u32).to_le_bytes();
            let step = &packed[(quad >> 32) as usize * STEP..][..STEP];
            for (sum, b) in out.iter_mut().zip(step.chunks_exact(4)) {
                let products = counts.iter().zip(b).map(|(&x, &y)| i32::from(x) * i32::from(y));
                *sum += products.sum::<i32>();
            }
        }
    }
}

fn scalar(a: &[u8], b: &[u8], out: &mut [i32], stride: usize) {
    for (a, b) in a.chunks_exact(STEP).zip(b.chunks_exact(STEP)) {
        for (i, a) in a.chunks_exact(4).enumerate() {
            if a == [0; 4] {
                continue;
            }
            let row = &mut out[i * stride..i * stride + WIDTH];
            for (sum, b) in row.iter_mut().zip(b.chunks_exact(4)) {
                *sum += a.iter().zip(b).map(|(&x, &y)| i32::from(x) * i32::from(y)).sum::<i32>();
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Quad, STEP, WIDTH};
    use std::arch::x86_64::*;

    /// # Safety
    /// The processor has AVX-512 F and VNNI; `a` and `b` are equally long whole panels; `out`
    /// holds `WIDTH` rows `stride` apart.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub(super) unsafe fn vnni(a: &[u8], b: &[u8], out: &mut [i32], stride: usize) {
        const ROWS: usize = 8;
        let steps = a.len() / STEP;
        for first in (0..WIDTH).step_by(ROWS) {
            let mut sums = [[_mm512_setzero_si512(); 2]; ROWS];
            // SAFETY: step `s` reads bytes `s * STEP .. (s + 1) * STEP` of either panel, and
            // row `first + r < WIDTH` of `out` is touched in its first WIDTH values.
            unsafe {
                for s in 0..steps {
                    let left = a.as_ptr().add(s * STEP + first * 4).cast::<i32>();
                    let right = b.as_ptr().add(s * STEP).cast::<__m512i>();
                    let (b0, b1) = (_mm512_loadu_si512(right), _mm512_loadu_si512(right.add(1)));
                    for r in 0..ROWS {
                        let four = _mm512_set1_epi32(left.add(r).read_unaligned());
                        sums[r][0] = _mm512_dpbusd_epi32(sums[r][0], four, b0);
                        sums[r][1] = _mm512_dpbusd_epi32(sums[r][1], four, b1);
                    }
                }
                for r in 0..ROWS {
                    for half in 0..2 {
                        let at = out.as_mut_ptr().add((first + r) * stride + half * 16);
                        let old = _mm512_loadu_si512(at.cast());
                        _mm512_storeu_si512(at.cast(), _mm512_add_epi32(old, sums[r][half]));
                    }
                }
            }
        }
    }

    /// # Safety
    /// The processor has AVX-512 F and VNNI; `packed` holds `N` panels of `panel` bytes, `out`
    /// `N * WIDTH` sums, and the row number of each quad lies inside a panel.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub(super) unsafe fn sparse_vnni<const N: usize>(
        quads: &[Quad],
        packed: &[u8],
        panel: usize,
        out: &mut [i32],
    ) {
        let mut sums = [[_mm512_setzero_si512(); 2]; N];
        // SAFETY: reads stay inside the panels and `out`, as the caller promises.
        unsafe {
            for &quad in quads {
                let four = _mm512_set1_epi32(quad as i32);
                let step = packed.as_ptr().add((quad >> 32) as usize * STEP);
                for j in 0..N {
                    let right = step.add(j * panel).cast::<__m512i>();
                    sums[j][0] = _mm512_dpbusd_epi32(sums[j][0], four, _mm512_loadu_si512(right));
                    sums[j][1] =
                        _mm512_dpbusd_epi32(sums[j][1], four, _mm512_loadu_si512(right.add(1)));
                }
            }
            for j in 0..N {
                for half in 0..2 {
                    let at = out.as_mut_ptr().add(j * WIDTH + half * 16);
                    let old = _mm512_loadu_si512(at.cast());
                    _mm512_storeu_si512(at.cast(), _mm512_add_epi32(old, sums[j][half]));
                }
            }
        }
    }

    /// # Safety
    /// The processor has AVX2; `packed` holds panels of `panel` bytes, `out` `WIDTH` sums for
    /// each, and the row number of each quad lies inside a panel.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn sparse_avx2(quads: &[Quad], packed: &[u8], panel: usize, out: &mut [i32]) {
        let ones = _mm256_set1_epi16(1);
        for j in 0..out.len() / WIDTH {
            let mut sums = [_mm256_setzero_si256(); 4];
            // SAFETY: reads stay inside panel `j` and `out`, as the caller promises.
            unsafe {
                for &quad in quads {
                    let four = _mm256_set1_epi32(quad as i32);
                    let step = packed.as_ptr().add(j * panel + (quad >> 32) as usize * STEP);
                    for q in 0..4 {
                        let right = _mm256_loadu_si256(step.cast::<__m256i>().add(q));
                        let quads = _mm256_madd_epi16(_mm256_maddubs_epi16(four, right), ones);
                        sums[q] = _mm256_add_epi32(sums[q], quads);
                    }
                }
                for q in 0..4 {
                    let at = out.as_mut_ptr().add(j * WIDTH + q * 8);
                    let old = _mm256_loadu_si256(at.cast());
                    _mm256_storeu_si256(at.cast(), _mm256_add_epi32(old, sums[q]));
                }
            }
        }
    }

    /// # Safety
    /// The processor has AVX2; `a` and `b` are equally long whole panels; `out` holds `WIDTH`
    /// rows `stride` apart.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn avx2(a: &[u8], b: &[u8], out: &mut [i32], stride: usize) {
        const ROWS: usize = 2;
        let steps = a.len() / STEP;
        let ones = _mm256_set1_epi16(1);
        for first in (0..WIDTH).step_by(ROWS) {
            let mut sums = [[_mm256_setzero_si256(); 4]; ROWS];
            // SAFETY: step `s` reads bytes `s * STEP .. (s + 1) * STEP` of either panel, and
            // row `first + r < WIDTH` of `out` is touched in its first WIDTH values.
            unsafe {
                for s in 0..steps {
                    let left = a.as_ptr().add(s * STEP + first * 4).cast::<i32>();
                    let right = b.as_ptr().add(s * STEP).cast::<__m256i>();
                    for r in 0..ROWS {
                        let four = _mm256_set1_epi32(left.add(r).read_unaligned());
                        for q in 0..4 {
                            let pairs =
                                _mm256_maddubs_epi16(four, _mm256_loadu_si256(right.add(q)));
                            let quads = _mm256_madd_epi16(pairs, ones);
                            sums[r][q] = _mm256_add_epi32(sums[r][q], quads);
                        }
                    }
                }
                for r in 0..ROWS {
                    for q in 0..4 {
                        let at = out.as_mut_ptr().add((first + r) * stride + q * 8);
                        let old = _mm256_loadu_si256(at.cast());
                        _mm256_storeu_si256(at.cast(), _mm256_add_epi32(old, sums[r][q]));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    #[test]
    fn every_instruction_set_gives_the_scalar_sums() {
        let mut draws = Stream::new(1, "dot", 0).row(0);
        for steps in [0, 1, 7, 64] {
            let mut panel = |top: usize| -> Vec<u8> {
                (0..steps * STEP).map(|_| draws.below(top + 1) as u8).collect()
            };
            for (a, b) in [(panel(127), panel(127)), (vec![127; steps * STEP], panel(1))] {
                let stride = WIDTH + 5;
                let mut want = vec![3; WIDTH * stride];
                scalar(&a, &b, &mut want, stride);
                for simd in Simd::available() {
                    let mut got = vec![3; WIDTH * stride];
                    add_products(simd, &a, &b, &mut got, stride);
                    assert_eq!(got, want, "{simd:?}, {steps} steps");
                }
            }
        }
    }

    #[test]
    fn sparse_channels_give_the_scalar_sums() {
        let mut draws = Stream::new(2, "sparse", 0).row(0);
        for panels in [1, 2, 3, 4, 5, 9] {
            let steps = 16;
            let packed: Vec<u8> =
                (0..panels * steps * STEP).map(|_| draws.below(128) as u8).collect();
            let quads: Vec<Quad> = (0..steps as u64)
                .filter(|step| step % 3 != 1)
                .map(|step| step << 32 | u64::from(draws.next_u32() & 0x7F7F_7F7F))
                .collect();
            let mut want = vec![5; panels * WIDTH];
            sparse_scalar(&quads, &packed, steps * STEP, &mut want);
            for simd in Simd::available() {
                let mut got = vec![5; panels * WIDTH];
                add_sparse(simd, &quads, &packed, steps * STEP, &mut got);
                assert_eq!(got, want, "{simd:?}, {panels} panels");
            }
        }
    }
}
