//! The iteration of rules whose weights need nothing but a few sums over the channels: two
//! sweeps instead of five.
//!
//! Weights are made while the system is eliminated, and what they learn from is summed while the
//! solution is found. Only the weights of the next iteration tell that those of the last one
//! rest: a lane that is done has then been eliminated once too often, and the spectrum that
//! takes its place waits for one substitution.

use super::{Control, Found, Memory, Rule, SIDE_BY_SIDE, Scratch, finish, verdict, weights::Sums};
use crate::row_method::RowStatus;
use kalpha_num::{
    banded::both_ways::{Factors, Solution, System, eliminate, substitute},
    lanes::{Lanes, Mask},
    simd::Kernel,
};

/// Fits all rows of `values`; B is the order of the differences.
pub(super) struct TwoSweeps<'a, R, const B: usize> {
    pub rule: &'a R,
    pub control: &'a Control,
    pub penalty: &'a [Vec<f64>],
    pub values: &'a [f64],
    pub found: Found<'a>,
    pub scratch: &'a mut Scratch,
}

impl<R: Rule, const B: usize> Kernel for TwoSweeps<'_, R, B> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        if self.found.status.len() == 1 {
            self.drive::<1>();
        } else {
            self.drive::<SIDE_BY_SIDE>();
        }
    }
}

/// Which spectrum a lane works on, and how far it is.
struct Desk<const L: usize> {
    of: [Option<usize>; L],
    /// The weights are the first ones: nothing has been solved with this spectrum.
    fresh: [bool; L],
    /// The next solution of this lane means nothing: its weights came too late for it.
    late: [bool; L],
    iteration: Lanes<L>,
    scale: Lanes<L>,
}

impl<R: Rule, const B: usize> TwoSweeps<'_, R, B> {
    #[inline(always)]
    fn drive<const L: usize>(self) {
        let Self { rule, control, penalty, values, found, scratch } = self;
        let Found { out, status, iterations } = found;
        let rows = status.len();
        let n = values.len() / rows.max(1);
        let Scratch { state, memory, row } = scratch;
        row.resize(n, 0.0);
        let [y, w, z] = state.split::<L, 3>(n);
        for plane in [&mut *y, &mut *z] {
            plane.fill([0.0; L]);
        }
        w.fill([1.0; L]);
        let Memory { inverse, factors, .. } = memory;
        let [inverse, rest] = inverse.split::<L, 2>(n);
        let mut factors = Factors { inverse, lower: factors.split::<L, B>(n), rest };
        let mut desk = Desk {
            of: [None; L],
            fresh: [true; L],
            late: [false; L],
            iteration: Lanes::ZERO,
            scale: Lanes::ZERO,
        };
        let mut waiting = 0..rows;
        let mut law = [Lanes::<L>::ZERO; 2];
        let mut load = |desk: &mut Desk<L>, k: usize, y: &mut [[f64; L]], w: &mut [[f64; L]]| {
            desk.of[k] = waiting.next();
            desk.fresh[k] = true;
            desk.iteration.0[k] = 0.0;
            let Some(r) = desk.of[k] else { return };
            let data = &values[r * n..(r + 1) * n];
            desk.scale.0[k] = rule.scale(data);
            rule.first_weights(data, row);
            for i in 0..n {
                y[i][k] = data[i];
                w[i][k] = row[i];
            }
        };
        for k in 0..L {
            load(&mut desk, k, y, w);
        }
        let mut hand_over = |r: usize, k: usize, z: &[[f64; L]], how: RowStatus, iteration: f64| {
            let own = &mut out[r * n..(r + 1) * n];
            status[r] = finish(&values[r * n..(r + 1) * n], z.iter().map(|z| z[k]), own, how);
            iterations[r] = iteration;
        };
        while desk.of.iter().any(Option::is_some) {
            let fresh = Mask(desk.fresh);
            let (change, norm) = (Lanes::<L>::ZERO, Lanes::<L>::ZERO);
            let mut sweep = Sweep { rule, law, fresh, penalty, y, z, w, change, norm };
            eliminate::<B, L, _>(n, &mut sweep, &mut factors);
            let (change, norm) = (sweep.change, sweep.norm);
            let (change, norm) = (change.sqrt(), norm.sqrt());
            desk.late = [false; L];
            if R::RESTS_BY_WEIGHTS {
                for k in 0..L {
                    let Some(r) = desk.of[k] else { continue };
                    if desk.fresh[k] {
                        continue;
                    }
                    let iteration = desk.iteration.0[k];
                    if let Some(how) = verdict(control, iteration, change.0[k], norm.0[k]) {
                        hand_over(r, k, z, how, iteration);
                        load(&mut desk, k, y, w);
                        desk.late[k] = true;
                    }
                }
                if desk.of.iter().all(Option::is_none) {
                    return;
                }
            }
            let mut residuals = Residuals { y, z, sums: Sums::NONE };
            substitute::<B, L, _>(n, &factors, &mut residuals);
            let below = residuals.sums.below();
            for k in 0..L {
                if desk.of[k].is_some() && !desk.late[k] {
                    desk.iteration.0[k] += 1.0;
                    desk.fresh[k] = false;
                }
            }
            law = rule.learn(&below, desk.iteration);
            for k in 0..L {
                let Some(r) = desk.of[k] else { continue };
                if desk.late[k] {
                    continue;
                }
                let iteration = desk.iteration.0[k];
                let how = if below.too_few.0[k] {
                    Some(RowStatus::NotConverged)
                } else if R::RESTS_BY_WEIGHTS {
                    None
                } else {
                    verdict(control, iteration, below.sum.0[k].abs(), desk.scale.0[k])
                };
                if let Some(how) = how {
                    hand_over(r, k, z, how, iteration);
                    load(&mut desk, k, y, w);
                }
            }
        }
    }
}

/// Makes the weights of each row as it is eliminated.
struct Sweep<'a, R, const L: usize> {
    rule: &'a R,
    law: [Lanes<L>; 2],
    fresh: Mask<L>,
    penalty: &'a [Vec<f64>],
    y: &'a [[f64; L]],
    z: &'a [[f64; L]],
    w: &'a mut [[f64; L]],
    change: Lanes<L>,
    norm: Lanes<L>,
}

impl<R: Rule, const L: usize> System<L> for Sweep<'_, R, L> {
    #[inline(always)]
    fn row(&mut self, i: usize) -> [Lanes<L>; 2] {
        let (data, old) = (Lanes(self.y[i]), Lanes(self.w[i]));
        let new = self.fresh.select(old, self.rule.weight(&self.law, data - Lanes(self.z[i])));
        let step = new - old;
        self.change = self.change + step * step;
        self.norm = self.norm + old * old;
        self.w[i] = new.0;
        [Lanes::splat(self.penalty[0][i]) + new, new * data]
    }

    #[inline(always)]
    fn off(&self, k: usize, i: usize) -> Lanes<L> {
        Lanes::splat(self.penalty[k][i])
    }
}

/// Keeps a solution and sums its residuals.
struct Residuals<'a, const L: usize> {
    y: &'a [[f64; L]],
    z: &'a mut [[f64; L]],
    sums: Sums<L>,
}

impl<const L: usize> Solution<L> for Residuals<'_, L> {
    #[inline(always)]
    fn found(&mut self, i: usize, value: Lanes<L>) {
        self.z[i] = value.0;
        self.sums.add(Lanes(self.y[i]) - value);
    }
}
