//! Labels, and which pixels lie between phases.

use super::kmeans::{Points, distance2, nearest};
use super::{EMPTY, MIXED};

/// Squared distance, in units of the noise, beyond which a pixel is not simply its phase:
/// Wilson and Hilferty's 0.999 quantile of chi2.
fn far(dimensions: usize) -> f64 {
    let d = dimensions as f64;
    let c = 2.0 / (9.0 * d);
    d * (1.0 - c + 3.090 * c.sqrt()).powi(3)
}

/// A pixel nearer than this to an end of the line between two phases is not mixed.
const END: f64 = 0.15;
/// A label less sure than this is left open.
const SURE: f64 = 0.8;

pub(super) struct Labelled {
    labels: Vec<i16>,
    /// Pixels of each phase, mixed ones by their share.
    pub(super) shares: Vec<f64>,
    /// Variance of that, from labels that noise leaves open.
    variance: Vec<f64>,
    /// Shares that come from mixed pixels.
    from_mixed: Vec<f64>,
    pub(super) inflation: f64,
}

pub(super) fn label(points: &Points, centres: &[Vec<f64>]) -> Labelled {
    let (k, d) = (centres.len(), points.dimensions);
    let inflation = inflation(points, centres);
    let mut out = Labelled {
        labels: vec![EMPTY; points.len()],
        shares: vec![0.0; k],
        variance: vec![0.0; k],
        from_mixed: vec![0.0; k],
        inflation,
    };
    for i in 0..points.len() {
        let n = points.dose[i];
        if n <= 0.0 {
            continue;
        }
        let (z, per_noise) = (points.at(i), n / inflation);
        let (home, d2) = nearest(z, centres);
        let chi2 = d2 * per_noise;
        let between = (chi2 > far(d)).then(|| between(z, centres, home, per_noise)).flatten();
        if let Some((other, share)) = between {
            out.labels[i] = MIXED;
            for (phase, share) in [(home, 1.0 - share), (other, share)] {
                out.shares[phase] += share;
                out.from_mixed[phase] += share;
            }
            continue;
        }
        let odds: Vec<f64> =
            centres.iter().map(|c| (0.5 * (chi2 - distance2(z, c) * per_noise)).exp()).collect();
        let total: f64 = odds.iter().sum();
        for (phase, odds) in odds.iter().enumerate() {
            let p = odds / total;
            out.shares[phase] += p;
            out.variance[phase] += p * (1.0 - p);
        }
        out.labels[i] = if odds[home] / total >= SURE { home as i16 } else { MIXED };
    }
    out
}

/// Leaves out clusters that are boundaries rather than phases.
///
/// Such a centre lies between two others, and its pixels scatter along the line between them
/// more than twice as widely (in variance) as noise explains. A phase of intermediate
/// composition scatters like noise and stays.
pub(super) fn without_bridges(points: &Points, mut centres: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    while centres.len() > 2 {
        let inflation = inflation(points, &centres);
        let Some(bridge) = (0..centres.len()).find(|&c| is_bridge(points, &centres, c, inflation))
        else {
            break;
        };
        centres.remove(bridge);
    }
    centres
}

fn is_bridge(points: &Points, centres: &[Vec<f64>], c: usize, inflation: f64) -> bool {
    let own: Vec<usize> = (0..points.len())
        .filter(|&i| points.dose[i] > 0.0 && nearest(points.at(i), centres).0 == c)
        .collect();
    if own.len() < 2 {
        return true;
    }
    let others = || (0..centres.len()).filter(|&o| o != c);
    let mut best: Option<(f64, usize, usize)> = None;
    for a in others() {
        for b in others().filter(|&b| b > a) {
            let length2 = distance2(&centres[a], &centres[b]);
            let along = dot_from(&centres[c], &centres[a], &centres[b]);
            let share = along / length2.max(f64::MIN_POSITIVE);
            let off = distance2(&centres[c], &centres[a]) - share * along;
            let beside = off / length2.max(f64::MIN_POSITIVE);
            if (END..=1.0 - END).contains(&share) && best.is_none_or(|(least, ..)| beside < least) {
                best = Some((beside, a, b));
            }
        }
    }
    let Some((beside, a, b)) = best else { return false };
    let length = distance2(&centres[a], &centres[b]).sqrt();
    let (mut scatter, mut weight) = (0.0, 0.0);
    for &i in &own {
        let z = points.at(i);
        let ahead = (dot_from(z, &centres[a], &centres[b])
            - dot_from(&centres[c], &centres[a], &centres[b]))
            / length;
        scatter += points.dose[i] * ahead * ahead;
        weight += 1.0;
    }
    // 0.04: off the line by less than a fifth of its length.
    beside < 0.04 && scatter / weight > 2.0 * inflation
}

/// `(z - a) . (b - a)`.
fn dot_from(z: &[f64], a: &[f64], b: &[f64]) -> f64 {
    z.iter().zip(a).zip(b).map(|((z, a), b)| (z - a) * (b - a)).sum()
}

/// Median squared distance over that of pure counting noise, at least 1.
fn inflation(points: &Points, centres: &[Vec<f64>]) -> f64 {
    let mut ratios: Vec<f64> = (0..points.len())
        .filter(|&i| points.dose[i] > 0.0)
        .map(|i| nearest(points.at(i), centres).1 * points.dose[i])
        .collect();
    if ratios.is_empty() {
        return 1.0;
    }
    let middle = ratios.len() / 2;
    let (_, median, _) = ratios.select_nth_unstable_by(middle, f64::total_cmp);
    let d = points.dimensions as f64;
    // Median of chi2 with d degrees of freedom.
    (*median / (d * (1.0 - 2.0 / (9.0 * d)).powi(3))).max(1.0)
}

/// The other phase and its share, where a pixel lies on the line to it much better than at home.
fn between(z: &[f64], centres: &[Vec<f64>], home: usize, per_noise: f64) -> Option<(usize, f64)> {
    let mut best: Option<(usize, f64, f64)> = None;
    for other in (0..centres.len()).filter(|&c| c != home) {
        let (a, b) = (&centres[home], &centres[other]);
        let length2 = distance2(a, b);
        let along = dot_from(z, a, b);
        let share = along / length2.max(f64::MIN_POSITIVE);
        if !(END..=1.0 - END).contains(&share) {
            continue;
        }
        let off = (distance2(z, a) - share * share * length2).max(0.0) * per_noise;
        if best.is_none_or(|(_, _, least)| off < least) {
            best = Some((other, share, off));
        }
    }
    best.map(|(other, share, _)| (other, share))
}

impl Labelled {
    /// Old labels by falling area; phases without a pixel are left out.
    pub(super) fn order(&self) -> Vec<usize> {
        let has_pixel = |c: &usize| self.labels.contains(&(*c as i16));
        let mut order: Vec<usize> = (0..self.shares.len()).filter(has_pixel).collect();
        order.sort_by(|&a, &b| self.shares[b].total_cmp(&self.shares[a]).then(a.cmp(&b)));
        order
    }

    pub(super) fn relabelled(&self, order: &[usize]) -> Vec<i16> {
        let mut to = vec![MIXED; self.shares.len()];
        order.iter().enumerate().for_each(|(new, &old)| to[old] = new as i16);
        self.labels.iter().map(|&l| usize::try_from(l).map_or(l, |l| to[l])).collect()
    }

    /// 95 % interval of the area fraction of phase `c`.
    pub(super) fn interval(&self, c: usize, used: usize) -> (f64, f64) {
        let n = used.max(1) as f64;
        let half = 1.96 * self.variance[c].sqrt() + 0.5 * self.from_mixed[c];
        (((self.shares[c] - half) / n).max(0.0), ((self.shares[c] + half) / n).min(1.0))
    }
}
