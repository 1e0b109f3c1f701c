//! The systems with one unknown per channel.

use super::{Form, Memory, Rule, System};
use kalpha_num::{
    banded::interleaved::{solve_general, solve_symmetric},
    lanes::Lanes,
};

/// One unknown per channel, with a penalty of half-bandwidth B.
pub(super) struct Banded<'a, const B: usize>(pub(super) &'a [Vec<f64>]);

impl<const B: usize> System for Banded<'_, B> {
    const ALONE: bool = B == 2;

    #[inline(always)]
    fn solve<R: Rule, const L: usize>(
        &self,
        rule: &R,
        y: &[[f64; L]],
        w: &[[f64; L]],
        s: &[[f64; L]],
        z: &mut [[f64; L]],
        memory: &mut Memory,
    ) {
        let n = z.len();
        let Memory { inverse, factors, .. } = memory;
        let penalty = self.0;
        match R::FORM {
            Form::Weighted => {
                let [inverse] = inverse.split::<L, 1>(n);
                let mut lower = factors.split::<L, B>(n);
                solve_symmetric::<B, L>(
                    |i| Lanes::splat(penalty[0][i]) + Lanes(w[i]),
                    |k, i| Lanes::splat(penalty[k][i]),
                    |i| Lanes(w[i]) * Lanes(y[i]),
                    inverse,
                    &mut lower,
                    z,
                );
            }
            Form::Squared => {
                let lam_1 = Lanes::splat(rule.first_difference());
                let [inverse] = inverse.split::<L, 1>(n);
                let mut lower = factors.split::<L, B>(n);
                solve_symmetric::<B, L>(
                    |i| Lanes::splat(penalty[0][i]) + Lanes(w[i]) * Lanes(w[i]),
                    |k, i| Lanes::splat(penalty[k][i]),
                    |i| {
                        let own = Lanes(y[i]);
                        let mut d = Lanes::ZERO;
                        if i > 0 {
                            d = d + (own - Lanes(y[i - 1]));
                        }
                        if i + 1 < n {
                            d = d + (own - Lanes(y[i + 1]));
                        }
                        Lanes(w[i]) * Lanes(w[i]) * own + lam_1 * d
                    },
                    inverse,
                    &mut lower,
                    z,
                );
            }
            Form::ScaledRows => {
                let q = rule.first_difference();
                let [inverse, u1, u2] = factors.split::<L, 3>(n);
                solve_general::<L>(
                    |i| {
                        let p = |k: usize, at: usize| Lanes::splat(penalty[k][at]);
                        let own = Lanes(s[i]);
                        let ends = f64::from(u8::from(i > 0)) + f64::from(u8::from(i + 1 < n));
                        let before = |k: usize| if i >= k { p(k, i - k) } else { Lanes::ZERO };
                        let near = |there: bool| Lanes::splat(if there { -q } else { 0.0 });
                        [
                            own * before(2),
                            own * before(1) + near(i > 0),
                            own * p(0, i) + Lanes(w[i]) + Lanes::splat(q * ends),
                            own * p(1, i) + near(i + 1 < n),
                            own * p(2, i),
                        ]
                    },
                    |i| Lanes(w[i]) * Lanes(y[i]),
                    inverse,
                    &mut [u1, u2],
                    z,
                );
            }
        }
    }
}
