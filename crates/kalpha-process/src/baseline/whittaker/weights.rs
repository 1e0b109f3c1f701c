//! What the weight rules have in common.

use kalpha_num::lanes::{Lanes, Mask};

/// Mean and standard deviation of the residuals below the baseline.
pub(crate) struct Below<const L: usize> {
    /// Their sum.
    pub sum: Lanes<L>,
    /// Their mean.
    pub mean: Lanes<L>,
    /// Their standard deviation (n - 1 in the denominator), at least the smallest number.
    pub std: Lanes<L>,
    /// Fewer than two: nothing to learn from.
    pub too_few: Mask<L>,
}

/// Moments of `y - z` where negative.
#[inline(always)]
pub(crate) fn below<const L: usize>(y: &[[f64; L]], z: &[[f64; L]]) -> Below<L> {
    let zero = Lanes::<L>::ZERO;
    let one = Lanes::splat(1.0);
    let (mut count, mut sum, mut squares) = (zero, zero, zero);
    for (y, z) in y.iter().zip(z) {
        let residual = Lanes(*y) - Lanes(*z);
        let negative = residual.lt(zero);
        let residual = negative.select(residual, zero);
        count = count + negative.select(one, zero);
        sum = sum + residual;
        squares = squares + residual * residual;
    }
    let mean = sum / count.max(one);
    let variance = (squares - sum * mean).max(zero) / (count - one).max(one);
    let std = variance.sqrt().max(Lanes::splat(f64::MIN_POSITIVE));
    Below { sum, mean, std, too_few: count.lt(Lanes::splat(2.0)) }
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
