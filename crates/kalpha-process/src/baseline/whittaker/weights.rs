//! What the weight rules have in common.

use kalpha_num::lanes::{Lanes, Mask};

/// Mean and standard deviation of the residuals below the baseline.
pub struct Below<const L: usize> {
    /// Their sum.
    pub sum: Lanes<L>,
    /// Their mean.
    pub mean: Lanes<L>,
    /// Their standard deviation (n - 1 in the denominator), at least the smallest number.
    pub std: Lanes<L>,
    /// Fewer than two: nothing to learn from.
    pub too_few: Mask<L>,
}

/// Sums over the negative residuals.
#[derive(Clone, Copy)]
pub(crate) struct Sums<const L: usize> {
    count: Lanes<L>,
    sum: Lanes<L>,
    squares: Lanes<L>,
}

impl<const L: usize> Sums<L> {
    pub(crate) const NONE: Self =
        Self { count: Lanes::ZERO, sum: Lanes::ZERO, squares: Lanes::ZERO };

    #[inline(always)]
    pub(crate) fn add(&mut self, residual: Lanes<L>) {
        let zero = Lanes::<L>::ZERO;
        let negative = residual.lt(zero);
        let residual = negative.select(residual, zero);
        self.count = self.count + negative.select(Lanes::splat(1.0), zero);
        self.sum = self.sum + residual;
        self.squares = self.squares + residual * residual;
    }

    #[inline(always)]
    pub(crate) fn below(self) -> Below<L> {
        let Self { count, sum, squares } = self;
        let (zero, one) = (Lanes::ZERO, Lanes::splat(1.0));
        let mean = sum / count.max(one);
        let variance = (squares - sum * mean).max(zero) / (count - one).max(one);
        let std = variance.sqrt().max(Lanes::splat(f64::MIN_POSITIVE));
        Below { sum, mean, std, too_few: count.lt(Lanes::splat(2.0)) }
    }
}

/// Moments of `y - z` where negative.
#[inline(always)]
pub(crate) fn below<const L: usize>(y: &[[f64; L]], z: &[[f64; L]]) -> Below<L> {
    let mut sums = Sums::NONE;
    for (y, z) in y.iter().zip(z) {
        sums.add(Lanes(*y) - Lanes(*z));
    }
    sums.below()
}

/// Replaces the weights by `new(residual)` and returns the sizes of the change and of the old
/// weights.
#[inline(always)]
pub(crate) fn replace<const L: usize>(
    y: &[[f64; L]],
    z: &[[f64; L]],
    w: &mut [[f64; L]],
    mut new: impl FnMut(Lanes<L>, Lanes<L>, Lanes<L>) -> Lanes<L>,
) -> (Lanes<L>, Lanes<L>) {
    let (mut change, mut norm) = (Lanes::<L>::ZERO, Lanes::<L>::ZERO);
    for ((y, z), w) in y.iter().zip(z).zip(w) {
        let (y, z, old) = (Lanes(*y), Lanes(*z), Lanes(*w));
        let new = new(y, z, y - z);
        let step = new - old;
        change = change + step * step;
        norm = norm + old * old;
        *w = new.0;
    }
    (change.sqrt(), norm.sqrt())
}
