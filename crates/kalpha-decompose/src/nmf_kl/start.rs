//! Starting end-members: clusters of pooled spectra.
//!
//! Neighbouring rows are pooled until a spectrum holds a few hundred counts, channels are binned
//! to equal counts, and square roots of the shares are compared (Hellinger distance, in which
//! counting noise is the same everywhere). The first start takes the spectra that lie farthest
//! apart (Gonzalez 1985, doi:10.1016/0304-3975(85)90224-5); the others draw seeds with
//! probability proportional to the squared distance (Arthur and Vassilvitskii 2007) and move
//! them by Lloyd's rule.

use kalpha_core::CsrCounts;
use kalpha_num::rng::Stream;

const GROUPS: u64 = 1024;
const COUNTS_PER_GROUP: u64 = 300;
const BINS: usize = 128;

/// Pooled spectra of a sample of rows.
pub(crate) struct Pooled {
    group_of_row: Vec<u32>,
    groups: usize,
    bins: usize,
    /// groups x bins, square roots of shares
    roots: Vec<f64>,
    weights: Vec<f64>,
    channel_sums: Vec<f64>,
}

impl Pooled {
    pub fn new(csr: &CsrCounts, components: usize) -> Self {
        let channels = csr.channels();
        let count = |e: usize| match csr.values() {
            kalpha_core::CountValues::U8(v) => u64::from(v[e]),
            kalpha_core::CountValues::U16(v) => u64::from(v[e]),
            kalpha_core::CountValues::U32(v) => u64::from(v[e]),
        };
        let mut sums = vec![0u64; channels];
        for (e, &c) in csr.indices().iter().enumerate() {
            sums[usize::from(c)] += count(e);
        }
        let total: u64 = sums.iter().sum();
        let least = COUNTS_PER_GROUP.min(total / (8 * components as u64).max(1));
        let target = (total / GROUPS).max(least).max(1);
        let mut group_of_row = Vec::with_capacity(csr.rows());
        let (mut group, mut held) = (0u32, 0u64);
        for r in 0..csr.rows() {
            group_of_row.push(group);
            let entries = csr.indptr()[r] as usize..csr.indptr()[r + 1] as usize;
            held += entries.map(count).sum::<u64>();
            if held >= target {
                group += 1;
                held = 0;
            }
        }
        let groups = group_of_row.last().map_or(0, |&g| g as usize + 1);
        let (bin_of, bins) = equal_bins(&sums, total);
        let mut roots = vec![0.0; groups * bins];
        for (r, &g) in group_of_row.iter().enumerate() {
            for e in csr.indptr()[r] as usize..csr.indptr()[r + 1] as usize {
                let bin = bin_of[usize::from(csr.indices()[e])];
                roots[g as usize * bins + bin] += count(e) as f64;
            }
        }
        let mut weights = Vec::with_capacity(groups);
        for row in roots.chunks_exact_mut(bins) {
            let n: f64 = row.iter().sum();
            weights.push(n);
            row.iter_mut().for_each(|x| *x = if n > 0.0 { (*x / n).sqrt() } else { 0.0 });
        }
        let channel_sums = sums.iter().map(|&s| s as f64).collect();
        Self { group_of_row, groups, bins, roots, weights, channel_sums }
    }

    fn distance(&self, group: usize, centre: &[f64]) -> f64 {
        let row = &self.roots[group * self.bins..(group + 1) * self.bins];
        row.iter().zip(centre).map(|(a, b)| (a - b) * (a - b)).sum()
    }

    fn row(&self, group: usize) -> Vec<f64> {
        self.roots[group * self.bins..(group + 1) * self.bins].to_vec()
    }

    /// Seeds for start `start`.
    fn seeds(&self, components: usize, start: usize, stream: &Stream) -> Vec<Vec<f64>> {
        let full = |g: &usize| self.weights[*g] > 0.5 * self.weights[0];
        let usable: Vec<usize> = (0..self.groups).filter(full).collect();
        let mut mean = vec![0.0; self.bins];
        for &g in &usable {
            let row = &self.roots[g * self.bins..(g + 1) * self.bins];
            mean.iter_mut().zip(row).for_each(|(m, x)| *m += x / usable.len() as f64);
        }
        let mut nearest: Vec<f64> = usable.iter().map(|&g| self.distance(g, &mean)).collect();
        let mut seeds = Vec::with_capacity(components);
        for k in 0..components {
            let mut draws = stream.at(start, k);
            let pick = if start == 0 {
                (0..usable.len()).max_by(|&a, &b| nearest[a].total_cmp(&nearest[b])).unwrap_or(0)
            } else {
                let total: f64 = nearest.iter().sum();
                let mut left = draws.uniform() * total;
                let hit = nearest.iter().position(|d| {
                    left -= d;
                    left < 0.0
                });
                hit.unwrap_or(nearest.len().saturating_sub(1))
            };
            let seed = usable.get(pick).map_or_else(|| mean.clone(), |&g| self.row(g));
            for (n, &g) in nearest.iter_mut().zip(&usable) {
                let d = self.distance(g, &seed);
                // The first seed replaces the distance to the mean.
                *n = if k == 0 { d } else { n.min(d) };
            }
            seeds.push(seed);
        }
        seeds
    }

    /// End-members for start `start`: components x channels, each summing to 1.
    pub fn end_members(
        &self,
        csr: &CsrCounts,
        components: usize,
        start: usize,
        stream: &Stream,
    ) -> Vec<f64> {
        let channels = csr.channels();
        let mut centres = self.seeds(components, start, stream);
        let mut labels = vec![0usize; self.groups];
        for round in 0..if start == 0 { 2 } else { 8 } {
            for (g, label) in labels.iter_mut().enumerate() {
                let best = (0..components).min_by(|&a, &b| {
                    self.distance(g, &centres[a]).total_cmp(&self.distance(g, &centres[b]))
                });
                *label = best.unwrap_or(0);
            }
            if round + 1 == if start == 0 { 2 } else { 8 } {
                break;
            }
            for (k, centre) in centres.iter_mut().enumerate() {
                let members: Vec<usize> = (0..self.groups).filter(|&g| labels[g] == k).collect();
                if members.is_empty() {
                    continue;
                }
                centre.fill(0.0);
                for g in &members {
                    let row = &self.roots[g * self.bins..(g + 1) * self.bins];
                    let n = members.len() as f64;
                    centre.iter_mut().zip(row).for_each(|(c, x)| *c += x / n);
                }
            }
        }
        let total: f64 = self.channel_sums.iter().sum();
        let mut spectra = vec![0.0; components * channels];
        for (r, &g) in self.group_of_row.iter().enumerate() {
            let k = labels[g as usize];
            for e in csr.indptr()[r] as usize..csr.indptr()[r + 1] as usize {
                let x = match csr.values() {
                    kalpha_core::CountValues::U8(v) => f64::from(v[e]),
                    kalpha_core::CountValues::U16(v) => f64::from(v[e]),
                    kalpha_core::CountValues::U32(v) => f64::from(v[e]),
                };
                spectra[k * channels + usize::from(csr.indices()[e])] += x;
            }
        }
        for (k, spectrum) in spectra.chunks_exact_mut(channels).enumerate() {
            let n: f64 = spectrum.iter().sum();
            // No channel may start at zero: EM cannot leave it. An empty cluster starts near
            // the mean, tilted so that it differs from another empty one.
            for (c, s) in spectrum.iter_mut().enumerate() {
                let own = if n > 0.0 { *s / n } else { 0.0 };
                let mean = self.channel_sums[c] / total.max(1.0);
                let tilt =
                    if n > 0.0 { 1.0 } else { 1.0 + 0.1 * ((k + 1) as f64 * c as f64).sin() };
                let share = if n > 0.0 { 0.02 } else { 1.0 };
                *s = (1.0 - share) * own + share * mean * tilt;
            }
            let n: f64 = spectrum.iter().sum();
            spectrum.iter_mut().for_each(|s| *s /= n.max(1e-300));
        }
        spectra
    }
}

/// Bin of each channel, so that bins hold about the same counts, and the number of bins.
fn equal_bins(sums: &[u64], total: u64) -> (Vec<usize>, usize) {
    let per_bin = total as f64 / BINS as f64;
    let mut seen = 0.0;
    let mut bins = Vec::with_capacity(sums.len());
    for &s in sums {
        let middle = seen + 0.5 * s as f64;
        bins.push(((middle / per_bin.max(1e-300)) as usize).min(BINS - 1));
        seen += s as f64;
    }
    (bins, BINS)
}
