//! The work on each spectrum.

use super::{Fit, Lcf, Scratch};
use kalpha_num::simd::{self, Kernel};

/// Dot product in eight sums: a fixed order that is the same for every instruction set.
#[inline(always)]
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (ca, cb) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f64 = ca.remainder().iter().zip(cb.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in ca.zip(cb) {
        for k in 0..8 {
            sums[k] += x[k] * y[k];
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + e) + (b + f)) + ((c + g) + (d + h)) + tail
}

/// `sum a² w`, in the order of [`dot`].
#[inline(always)]
fn dot_squares(a: &[f64], w: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (ca, cw) = (a.chunks_exact(8), w.chunks_exact(8));
    let tail: f64 = ca.remainder().iter().zip(cw.remainder()).map(|(x, w)| x * x * w).sum();
    for (x, w) in ca.zip(cw) {
        for k in 0..8 {
            sums[k] += x[k] * x[k] * w[k];
        }
    }
    sums.iter().sum::<f64>() + tail
}

struct Rows<'a> {
    lcf: &'a Lcf,
    rows: &'a [f64],
    take: &'a mut dyn FnMut(usize, &Fit),
    scratch: &'a mut Scratch,
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { lcf, rows, take, scratch: Scratch { known, sigma, b, left } } = self;
        let (n, m) = (lcf.n, lcf.channels);
        let mut fit = Fit { weights: vec![0.0; n], ..Fit::default() };
        b.resize(n, 0.0);
        left.resize(m, 0.0);
        for (row, y) in rows.chunks_exact(m).enumerate() {
            for (b, filter) in b.iter_mut().zip(lcf.filters.chunks_exact(m)) {
                *b = dot(filter, y) + lcf.pull;
            }
            fit.converged = lcf.quadratic.solve(b, &mut fit.weights, known);
            if let Some(found) = sigma.get(&known.set().key()) {
                fit.sigma.clone_from(found);
            } else {
                fit.sigma = lcf.sigma_of(known.set());
                sigma.insert(known.set().key(), fit.sigma.clone());
            }
            for ((left, y), s) in left.iter_mut().zip(y).zip(&lcf.scale) {
                *left = y * s;
            }
            for (w, reference) in fit.weights.iter().zip(lcf.references.chunks_exact(m)) {
                left.iter_mut().zip(reference).for_each(|(l, r)| *l -= w * r);
            }
            let along: f64 = lcf.directions.chunks_exact(m).map(|u| dot(u, left).powi(2)).sum();
            fit.chi2 = dot(left, left) - along;
            // In the units of the data.
            fit.r_factor = dot_squares(left, &lcf.variance) / dot(y, y);
            take(row, &fit);
        }
    }
}

/// Fits the rows of `rows` with the best instructions there are.
pub(super) fn fit_rows(
    lcf: &Lcf,
    rows: &[f64],
    take: &mut dyn FnMut(usize, &Fit),
    scratch: &mut Scratch,
) {
    simd::run(Rows { lcf, rows, take, scratch });
}
