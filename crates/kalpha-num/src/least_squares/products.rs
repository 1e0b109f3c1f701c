//! Products of all columns of a Jacobian with one another and with the residuals.
//!
//! Tiles of four by four columns stay in registers over all rows. Complexity O(m n²) at half the
//! operations of a reflection. Tested against plain sums.

use super::householder::dot;
use crate::{
    lanes::Lanes,
    simd::{self, Kernel},
};

const TILE: usize = 4;
const WIDE: usize = 8;
type V = Lanes<WIDE>;

/// Fills `gram`, (n + 1) x (n + 1) and symmetric, from n columns of m values and the residuals.
pub(super) fn products(columns: &[f64], residuals: &[f64], gram: &mut [f64]) {
    simd::run(Products { columns, residuals, gram });
}

struct Products<'a> {
    columns: &'a [f64],
    residuals: &'a [f64],
    gram: &'a mut [f64],
}

impl Kernel for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { columns, residuals, gram } = self;
        let m = residuals.len();
        let n = columns.len().checked_div(m).unwrap_or(0);
        let size = n + 1;
        let column = |k: usize| if k < n { &columns[k * m..(k + 1) * m] } else { residuals };
        let tiles = size / TILE;
        for a in 0..tiles {
            for b in 0..=a {
                let rows: [&[f64]; TILE] = [0, 1, 2, 3].map(|i| column(a * TILE + i));
                let others: [&[f64]; TILE] = [0, 1, 2, 3].map(|j| column(b * TILE + j));
                let sums = tile(rows, others, m);
                for i in 0..TILE {
                    for j in 0..TILE {
                        let (p, q) = (a * TILE + i, b * TILE + j);
                        gram[p * size + q] = sums[i][j];
                        gram[q * size + p] = sums[i][j];
                    }
                }
            }
        }
        for p in tiles * TILE..size {
            for q in 0..=p {
                let sum = dot(column(p), column(q));
                gram[p * size + q] = sum;
                gram[q * size + p] = sum;
            }
        }
    }
}

#[inline(always)]
fn tile(a: [&[f64]; TILE], b: [&[f64]; TILE], m: usize) -> [[f64; TILE]; TILE] {
    let [a0, a1, a2, a3] = a.map(|v| &v[..m]);
    let [b0, b1, b2, b3] = b.map(|v| &v[..m]);
    let whole = m - m % WIDE;
    // Each on its own, so that all sixteen stay in registers.
    let mut s00 = V::ZERO;
    let mut s01 = V::ZERO;
    let mut s02 = V::ZERO;
    let mut s03 = V::ZERO;
    let mut s10 = V::ZERO;
    let mut s11 = V::ZERO;
    let mut s12 = V::ZERO;
    let mut s13 = V::ZERO;
    let mut s20 = V::ZERO;
    let mut s21 = V::ZERO;
    let mut s22 = V::ZERO;
    let mut s23 = V::ZERO;
    let mut s30 = V::ZERO;
    let mut s31 = V::ZERO;
    let mut s32 = V::ZERO;
    let mut s33 = V::ZERO;
    let mut r = 0;
    while r < whole {
        let (p0, p1, p2, p3) = (load(a0, r), load(a1, r), load(a2, r), load(a3, r));
        let q = load(b0, r);
        s00 = s00 + p0 * q;
        s10 = s10 + p1 * q;
        s20 = s20 + p2 * q;
        s30 = s30 + p3 * q;
        let q = load(b1, r);
        s01 = s01 + p0 * q;
        s11 = s11 + p1 * q;
        s21 = s21 + p2 * q;
        s31 = s31 + p3 * q;
        let q = load(b2, r);
        s02 = s02 + p0 * q;
        s12 = s12 + p1 * q;
        s22 = s22 + p2 * q;
        s32 = s32 + p3 * q;
        let q = load(b3, r);
        s03 = s03 + p0 * q;
        s13 = s13 + p1 * q;
        s23 = s23 + p2 * q;
        s33 = s33 + p3 * q;
        r += WIDE;
    }
    let sums =
        [[s00, s01, s02, s03], [s10, s11, s12, s13], [s20, s21, s22, s23], [s30, s31, s32, s33]];
    let mut out = [[0.0; TILE]; TILE];
    for (i, p) in [a0, a1, a2, a3].iter().enumerate() {
        for (j, q) in [b0, b1, b2, b3].iter().enumerate() {
            let tail: f64 = p[whole..].iter().zip(&q[whole..]).map(|(p, q)| p * q).sum();
            out[i][j] = sums[i][j].0.iter().sum::<f64>() + tail;
        }
    }
    out
}

#[inline(always)]
fn load(v: &[f64], r: usize) -> V {
    match v[r..r + WIDE].try_into() {
        Ok(eight) => Lanes(eight),
        Err(_) => V::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_product() {
        for (m, n) in [(5, 1), (16, 3), (37, 9), (64, 12)] {
            let columns: Vec<f64> = (0..m * n).map(|k| ((k * k) as f64 * 0.3).sin()).collect();
            let residuals: Vec<f64> = (0..m).map(|k| (k as f64).cos()).collect();
            let mut gram = vec![0.0; (n + 1) * (n + 1)];
            products(&columns, &residuals, &mut gram);
            let all = [columns.as_slice(), residuals.as_slice()].concat();
            for p in 0..=n {
                for q in 0..=n {
                    let want: f64 = (0..m).map(|i| all[p * m + i] * all[q * m + i]).sum();
                    let got = gram[p * (n + 1) + q];
                    assert!((got - want).abs() < 1e-12 * m as f64, "{m} {n} {p} {q}");
                }
            }
        }
    }
}
