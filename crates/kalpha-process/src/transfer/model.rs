//! Spectra of one instrument as another would have measured them.
//!
//! Every method here is an affine map of spectra, learned from standards:
//! - [`direct`] (DS): `z = m + F (x - s)`, F of rank k by principal components of the standards on
//!   the slave. Wang, Veltkamp and Kowalski (1991), doi:10.1021/ac00023a016.
//! - [`piecewise`] (PDS): each channel from the channels around it, by k principal components.
//!   The same source.
//! - [`slope_bias`]: each channel by a line of its own; PDS without neighbours.
//! - [`orthogonal`] (EPO): k directions in which the instruments differ are taken out of all
//!   spectra. Roger, Chauchard and Bellon-Maurel (2003), doi:10.1016/S0169-7439(03)00051-0.
//! - [`coral`]: the covariance of the slave becomes that of the master, without pairs. Sun, Feng and
//!   Saenko (2016), Proc. AAAI 30, arXiv:1511.05547.
//!
//! Complexity: DS, EPO and CORAL O(n² channels) to learn, O(rank channels) a spectrum.

use super::standards::{Standards, centred, partitions};
use crate::instructions::dot;
use kalpha_num::svd::thin_svd;

/// An affine map of spectra.
#[derive(Clone, Debug, PartialEq)]
pub struct TransferModel {
    /// Taken off the spectrum.
    from: Vec<f64>,
    /// Added to the result.
    to: Vec<f64>,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    /// `identity x + sum_k outs_k (ins_k . x)`.
    LowRank { identity: f64, ins: Vec<f64>, outs: Vec<f64> },
    /// Weights of the window around each channel: (first channel, weights).
    Banded(Vec<(usize, Vec<f64>)>),
}

impl TransferModel {
    /// The spectrum `x` as the master would have measured it.
    pub fn apply(&self, x: &[f64], out: &mut [f64], scratch: &mut Vec<f64>) {
        let n = x.len();
        scratch.clear();
        scratch.extend(x.iter().zip(&self.from).map(|(a, b)| a - b));
        match &self.kind {
            Kind::LowRank { identity, ins, outs } => {
                for c in 0..n {
                    out[c] = self.to[c] + identity * scratch[c];
                }
                for (i, o) in ins.chunks_exact(n).zip(outs.chunks_exact(n)) {
                    let score = dot(i, scratch);
                    out.iter_mut().zip(o).for_each(|(z, o)| *z += score * o);
                }
            }
            Kind::Banded(rows) => {
                for (c, (first, weights)) in rows.iter().enumerate() {
                    let window = &scratch[*first..*first + weights.len()];
                    out[c] =
                        self.to[c] + weights.iter().zip(window).map(|(w, v)| w * v).sum::<f64>();
                }
            }
        }
    }

    /// A linear model of the master's spectra as one of the slave's: `b . z(x) + a`.
    pub fn pull_back(&self, intercept: f64, coefficients: &[f64]) -> (f64, Vec<f64>) {
        let n = coefficients.len();
        let mut back = vec![0.0; n];
        match &self.kind {
            Kind::LowRank { identity, ins, outs } => {
                back.iter_mut().zip(coefficients).for_each(|(b, c)| *b = identity * c);
                for (i, o) in ins.chunks_exact(n).zip(outs.chunks_exact(n)) {
                    let share = dot(o, coefficients);
                    back.iter_mut().zip(i).for_each(|(b, i)| *b += share * i);
                }
            }
            Kind::Banded(rows) => {
                for ((first, weights), c) in rows.iter().zip(coefficients) {
                    let window = &mut back[*first..*first + weights.len()];
                    window.iter_mut().zip(weights).for_each(|(b, w)| *b += c * w);
                }
            }
        }
        (intercept + dot(&self.to, coefficients) - dot(&self.from, &back), back)
    }
}

/// Direct standardisation with `rank` components; fewer where the standards hold fewer.
pub fn direct(standards: &Standards, rank: usize) -> TransferModel {
    let n = standards.channels;
    let (to, master) = centred(&standards.master, n);
    let (from, slave) = centred(&standards.slave, n);
    let svd = thin_svd(&slave, standards.len(), n);
    let rank = rank.min(svd.rank());
    let (mut ins, mut outs) = (Vec::new(), Vec::new());
    for k in 0..rank {
        ins.extend(svd.right(k).iter().map(|v| v / svd.values[k]));
        let mut out = vec![0.0; n];
        for (row, u) in master.chunks_exact(n).zip(svd.left(k)) {
            out.iter_mut().zip(row).for_each(|(o, v)| *o += u * v);
        }
        outs.extend(out);
    }
    TransferModel { from, to, kind: Kind::LowRank { identity: 0.0, ins, outs } }
}

/// Piecewise direct standardisation from `half_window` channels on each side and `rank`
/// components; fewer where a window holds fewer.
pub fn piecewise(standards: &Standards, half_window: usize, rank: usize) -> TransferModel {
    let (n, m) = (standards.channels, standards.len());
    let (to, master) = centred(&standards.master, n);
    let (from, slave) = centred(&standards.slave, n);
    let rows = (0..n)
        .map(|c| {
            let (first, end) = (c.saturating_sub(half_window), (c + half_window + 1).min(n));
            let width = end - first;
            let window: Vec<f64> =
                slave.chunks_exact(n).flat_map(|row| row[first..end].iter().copied()).collect();
            let svd = thin_svd(&window, m, width);
            let mut weights = vec![0.0; width];
            for k in 0..rank.min(svd.rank()) {
                let share: f64 =
                    (0..m).map(|i| svd.left(k)[i] * master[i * n + c]).sum::<f64>() / svd.values[k];
                weights.iter_mut().zip(svd.right(k)).for_each(|(w, v)| *w += share * v);
            }
            (first, weights)
        })
        .collect();
    TransferModel { from, to, kind: Kind::Banded(rows) }
}

/// Each channel by a line of its own.
pub fn slope_bias(standards: &Standards) -> TransferModel {
    piecewise(standards, 0, 1)
}

/// The directions in which the instruments differ most, one after the other.
pub fn differences(standards: &Standards, rank: usize) -> Vec<f64> {
    let difference: Vec<f64> =
        standards.slave.iter().zip(&standards.master).map(|(s, m)| s - m).collect();
    let svd = thin_svd(&difference, standards.len(), standards.channels);
    svd.right[..rank.min(svd.rank()) * standards.channels].to_vec()
}

/// External parameter orthogonalisation with `rank` directions: for the slave, whose mean
/// becomes that of the master, and for the master.
pub fn orthogonal(standards: &Standards, rank: usize) -> [TransferModel; 2] {
    let n = standards.channels;
    let directions = differences(standards, rank);
    let project = |v: &[f64]| {
        let mut out = v.to_vec();
        for d in directions.chunks_exact(n) {
            let share = dot(d, v);
            out.iter_mut().zip(d).for_each(|(o, d)| *o -= share * d);
        }
        out
    };
    let (master, slave) = (centred(&standards.master, n).0, centred(&standards.slave, n).0);
    let outs: Vec<f64> = directions.iter().map(|v| -v).collect();
    let kind = Kind::LowRank { identity: 1.0, ins: directions.clone(), outs };
    let to = project(&master);
    [slave, master].map(|from| TransferModel { from, to: to.clone(), kind: kind.clone() })
}

/// Alignment of covariances. `shrinkage`, in units of the mean variance of both sets, is added to
/// both; directions that neither set spans stay as they are.
pub fn coral(standards: &Standards, shrinkage: f64) -> TransferModel {
    let n = standards.channels;
    let free = (standards.len() - 1).max(1) as f64;
    let (to, master) = centred(&standards.master, n);
    let (from, slave) = centred(&standards.slave, n);
    let square = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>();
    let ridge = shrinkage * 0.5 * (square(&master) + square(&slave)) / (free * n as f64);
    let (s, m) = (thin_svd(&slave, standards.len(), n), thin_svd(&master, standards.len(), n));
    // Whitening (1 + sum a_k v_k v_kᵀ) / root ridge, then colouring root ridge (1 + sum b_l u_l u_lᵀ).
    let factor =
        |value: f64, power: f64| ((value * value / free + ridge) / ridge).powf(power) - 1.0;
    let (mut ins, mut outs) = (Vec::new(), Vec::new());
    for k in 0..s.rank() {
        let v = s.right(k);
        let a = factor(s.values[k], -0.5);
        let mut out: Vec<f64> = v.iter().map(|v| a * v).collect();
        for l in 0..m.rank() {
            let share = a * factor(m.values[l], 0.5) * dot(v, m.right(l));
            out.iter_mut().zip(m.right(l)).for_each(|(o, u)| *o += share * u);
        }
        ins.extend_from_slice(v);
        outs.extend(out);
    }
    for l in 0..m.rank() {
        let b = factor(m.values[l], 0.5);
        ins.extend_from_slice(m.right(l));
        outs.extend(m.right(l).iter().map(|u| b * u));
    }
    TransferModel { from, to, kind: Kind::LowRank { identity: 1.0, ins, outs } }
}

/// Cross-validation of a method: for each candidate the root mean square difference between
/// transferred and true spectra of standards that were left out.
pub fn cross_validate<P>(
    standards: &Standards,
    candidates: &[P],
    fit: impl Fn(&Standards, &P) -> TransferModel,
) -> Vec<f64> {
    let n = standards.channels;
    let (mut out, mut scratch) = (vec![0.0; n], Vec::new());
    let mut squares = vec![0.0; candidates.len()];
    let mut count = 0;
    for folds in partitions(standards.len()) {
        for fold in 0..=folds.iter().copied().max().unwrap_or(0) {
            let (kept, left) =
                (standards.subset(|i| folds[i] != fold), standards.subset(|i| folds[i] == fold));
            if kept.len() < 2 {
                continue;
            }
            count += left.master.len();
            for (candidate, square) in candidates.iter().zip(&mut squares) {
                let model = fit(&kept, candidate);
                for (s, m) in left.slave.chunks_exact(n).zip(left.master.chunks_exact(n)) {
                    model.apply(s, &mut out, &mut scratch);
                    *square += out.iter().zip(m).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
                }
            }
        }
    }
    squares.iter().map(|s| (s / count.max(1) as f64).sqrt()).collect()
}

/// Cross-validation of [`orthogonal`]: for each rank the root mean square difference between the
/// instruments for standards that were left out, and the spread of these standards that is left. The
/// difference alone falls with every direction; what tells how many are worth it is the difference
/// relative to the spread, which holds what is wanted.
pub fn orthogonal_errors(standards: &Standards, ranks: &[usize]) -> Vec<(f64, f64)> {
    let n = standards.channels;
    let (mut a, mut b, mut scratch) = (vec![0.0; n], vec![0.0; n], Vec::new());
    let mut sums = vec![(0.0, 0.0); ranks.len()];
    let mut count = 0;
    for folds in partitions(standards.len()) {
        for fold in 0..=folds.iter().copied().max().unwrap_or(0) {
            let (kept, left) =
                (standards.subset(|i| folds[i] != fold), standards.subset(|i| folds[i] == fold));
            if kept.len() < 2 {
                continue;
            }
            count += left.master.len();
            for (rank, (error, spread)) in ranks.iter().zip(&mut sums) {
                let [slave, master] = orthogonal(&kept, *rank);
                for (s, m) in left.slave.chunks_exact(n).zip(left.master.chunks_exact(n)) {
                    slave.apply(s, &mut a, &mut scratch);
                    master.apply(m, &mut b, &mut scratch);
                    for ((a, b), mean) in a.iter().zip(&b).zip(&master.to) {
                        *error += (a - b) * (a - b);
                        *spread += (b - mean) * (b - mean);
                    }
                }
            }
        }
    }
    let root = |sum: f64| (sum / count.max(1) as f64).sqrt();
    sums.into_iter().map(|(error, spread)| (root(error), root(spread))).collect()
}

/// The first of the candidates with the least error.
pub fn least(errors: &[f64]) -> usize {
    (0..errors.len()).min_by(|a, b| errors[*a].total_cmp(&errors[*b])).unwrap_or(0)
}

/// Errors within this factor of the least are as good: on a plateau the least is chance.
const AS_GOOD: f64 = 1.02;

/// The first of the candidates, simplest first, whose error is as good as the least.
pub fn simplest(errors: &[f64]) -> usize {
    let bound = AS_GOOD * errors.get(least(errors)).copied().unwrap_or(f64::INFINITY);
    errors.iter().position(|e| *e <= bound).unwrap_or(0)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Mixtures of three bands; the other instrument has another gain, offset and band width.
    pub(crate) fn pair(n: usize) -> Standards {
        let channels = 60;
        let spectrum = |i: usize, slave: bool| -> Vec<f64> {
            (0..channels)
                .map(|c| {
                    let wide = if slave { 1.03 } else { 1.0 };
                    let band =
                        |at: f64, s: f64| (-0.5 * ((c as f64 - at) / (s * wide)).powi(2)).exp();
                    let share = |k: f64| 1.0 + (k * i as f64).sin();
                    let y = share(1.1) * band(15.0, 4.0)
                        + share(2.3) * band(33.0, 6.0)
                        + share(3.7) * band(47.0, 3.0);
                    if slave { 0.93 * y + 0.05 + 0.001 * c as f64 } else { y }
                })
                .collect()
        };
        let all = |slave| (0..n).flat_map(|i| spectrum(i, slave)).collect();
        Standards::new(all(false), all(true), channels, 2).unwrap()
    }

    #[test]
    fn transferred_spectra_are_close() {
        let standards = pair(24);
        let raw = {
            let square: f64 =
                standards.slave.iter().zip(&standards.master).map(|(a, b)| (a - b).powi(2)).sum();
            (square / standards.slave.len() as f64).sqrt()
        };
        let ranks = [1, 2, 3, 4, 5];
        let ds = cross_validate(&standards, &ranks, |s, r| direct(s, *r));
        assert_eq!(ranks[least(&ds)], 3, "{ds:?}");
        assert!(ds[2] < 1e-6 * raw, "{ds:?}");
        let pds =
            cross_validate(&standards, &[(0, 1), (2, 2), (3, 3)], |s, (w, r)| piecewise(s, *w, *r));
        assert!(pds[least(&pds)] < 0.2 * raw, "{pds:?} {raw}");
        let line = cross_validate(&standards, &[()], |s, ()| slope_bias(s));
        assert!(line[0] < 0.3 * raw, "{line:?} {raw}");
        let moved = cross_validate(&standards, &[1e-8, 1e-4], |s, r| coral(s, *r));
        assert!(moved[least(&moved)] < 0.2 * raw, "{moved:?} {raw}");
    }

    #[test]
    fn instruments_agree_in_what_is_left() {
        let standards = pair(24);
        let [slave, master] = orthogonal(&standards, 4);
        let (mut a, mut b, mut scratch) = (vec![0.0; 60], vec![0.0; 60], Vec::new());
        let (mut left, mut raw) = (0.0, 0.0);
        for (s, m) in standards.slave.chunks_exact(60).zip(standards.master.chunks_exact(60)) {
            slave.apply(s, &mut a, &mut scratch);
            master.apply(m, &mut b, &mut scratch);
            left += a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
            raw += s.iter().zip(m).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        }
        assert!(left < 1e-6 * raw, "{left} {raw}");
    }

    /// Specimens that vary in two bands, instruments that differ by two others of size that varies.
    #[test]
    fn as_many_directions_as_instruments_differ_in() {
        let (channels, n) = (60, 18);
        let stream = kalpha_num::rng::Stream::new(1, "directions", 0);
        let spectrum = |i: usize, slave: bool| -> Vec<f64> {
            let band = |c: f64, at: f64| (-0.5 * ((c - at) / 4.0).powi(2)).exp();
            let of = |k: f64| 1.0 + (k * i as f64).sin();
            (0..channels)
                .map(|c| {
                    let c = f64::from(c);
                    let y = of(1.1) * band(c, 12.0) + of(2.3) * band(c, 30.0);
                    let other = 0.5 * of(3.7) * band(c, 45.0) + 0.4 * of(5.1) * band(c, 24.0);
                    let noise = 1e-3 * stream.at(2 * i + usize::from(slave), c as usize).normal();
                    if slave { y + other + noise } else { y + noise }
                })
                .collect()
        };
        let all = |slave| (0..n).flat_map(|i| spectrum(i, slave)).collect();
        let standards = Standards::new(all(false), all(true), 60, 3).unwrap();
        let ranks = [1, 2, 3, 4, 5, 6];
        let errors = orthogonal_errors(&standards, &ranks);
        let relative: Vec<f64> = errors.iter().map(|(e, s)| e / s).collect();
        assert!(relative[1] < 0.1 * relative[0], "{errors:?}");
        assert_eq!(ranks[simplest(&relative)], 2, "{errors:?}");
    }

    #[test]
    fn pulled_back_models_predict_the_same() {
        let standards = pair(12);
        let b: Vec<f64> = (0..60).map(|c| (0.3 * f64::from(c)).cos()).collect();
        let models = [
            direct(&standards, 3),
            piecewise(&standards, 2, 2),
            slope_bias(&standards),
            orthogonal(&standards, 2)[0].clone(),
            coral(&standards, 1e-4),
        ];
        let x = &standards.slave[120..180];
        let (mut z, mut scratch) = (vec![0.0; 60], Vec::new());
        for model in models {
            model.apply(x, &mut z, &mut scratch);
            let (a, back) = model.pull_back(2.0, &b);
            let (there, here) = (2.0 + dot(&z, &b), a + dot(x, &back));
            assert!((there - here).abs() < 1e-9, "{there} {here}");
        }
    }

    #[test]
    fn standards_are_checked() {
        assert!(Standards::new(vec![1.0; 6], vec![1.0; 3], 3, 1).is_err());
        assert!(Standards::new(vec![1.0; 6], vec![1.0; 6], 3, 5).is_err());
        assert!(Standards::new(vec![1.0; 6], vec![f64::NAN; 6], 3, 2).is_err());
    }
}
