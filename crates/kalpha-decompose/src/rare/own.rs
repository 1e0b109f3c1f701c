//! End-members of flagged places.
//!
//! Flagged pixels that touch make a group. A group is explained by an end-member of an earlier
//! group where, with that one beside the null's, the counts in all windows that flagged it are as
//! expected; otherwise it gets an end-member of its own, if it holds enough pixels and counts to
//! fix one. What neither explains keeps its raw counts. An own spectrum q and the abundances are
//! fitted together by expectation-maximisation over the group's pixels, the null's spectra fixed,
//! with ten counts of the map's mean spectrum as prior, so that channels that happen to be empty
//! are not impossible.
//!
//! Every other pixel is then tested for q with its whole spectrum, by universal inference
//! (Wasserman, Ramdas and Balakrishnan 2020, doi:10.1073/pnas.1922664117): given its number of
//! counts, the likelihood of a mixture of q with what surrounds the pixel, averaged over shares of
//! q, over the largest likelihood under the null has an expectation of at most one, because the
//! mixture was not fitted to the pixel. By Markov's inequality its inverse is a p-value. Its
//! logarithm is divided by the inflation of the families, and Bonferroni runs over pixels and own
//! end-members, weighted by the pixels that were flagged for each (Genovese, Roeder and Wasserman
//! 2006, doi:10.1093/biomet/93.3.509). A map without rare phases reaches this test no more often than it is flagged.

use super::flags::{Flag, Test};
use super::scan::ScanMap;
use super::tail::{Null, PatchSpectrum};
use super::windows::{ScanFamily, Windows};
use crate::nmf_kl::MAX_COMPONENTS;
use crate::nmf_kl::kernel::{Fit, Row, Single, csr_of, fit_one};
use crate::nmf_kl::table::Table;
use kalpha_core::{CellBuffer, Passes, Rows, StepError};
use kalpha_num::statistics::ln_poisson_sf;
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, PoisonError};

/// An end-member that flagged pixels have and the others lack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OwnEndMember {
    /// Elements whose families were flagged in its first group.
    pub elements: Vec<String>,
    /// Spectrum, summing to 1.
    pub spectrum: Vec<f64>,
    /// Rows that hold it, ascending.
    pub rows: Vec<usize>,
}

/// Fewest pixels and counts that fix a spectrum.
const LEAST_PIXELS: usize = 4;
const LEAST_COUNTS: f64 = 200.0;
/// Counts of the map's mean spectrum in the prior of an own spectrum.
const PRIOR: f64 = 10.0;
/// Updates of an own spectrum.
const UPDATES: usize = 60;
/// Pixels whose abundances one job fits.
const PIXELS_PER_JOB: usize = 8;
/// Shares of the pixel that are tried when other pixels are tested.
const SHARES: [f64; 4] = [0.15, 0.3, 0.5, 0.8];
/// Up to so many counts are multiplied one by one; the logarithm is taken of more.
const MOST_FACTORS: f64 = 6.0;
/// Pixels around the tested one whose mean is its host: next to it, and farther out.
const AROUND: [usize; 2] = [1, 4];
/// An earlier own end-member explains a group where none of its flagged windows holds so much
/// that chance gives it less often than this.
const EXPLAINED: f64 = 1e-3;

/// Everything a flagged place is fitted with.
#[derive(Clone, Copy)]
pub(super) struct Places<'a> {
    pub rows: &'a Rows,
    pub map: ScanMap<'a>,
    pub null: Null<'a>,
    pub windows: &'a Windows,
    pub families: &'a [ScanFamily],
    pub level: f64,
}

/// Flagged pixels that touch.
struct Group {
    rows: Vec<usize>,
    /// Numbers of flags and of families.
    flags: Vec<usize>,
    families: Vec<usize>,
}

/// Counts of one pixel, channel by channel.
struct Pixel {
    row: usize,
    channels: Vec<u16>,
    counts: Vec<u32>,
}

impl Pixel {
    fn total(&self) -> f64 {
        self.counts.iter().map(|x| f64::from(*x)).sum()
    }
}

impl Places<'_> {
    fn family(&self, name: &str) -> Option<usize> {
        self.families.iter().position(|f| f.family == name)
    }

    /// Finds the own end-members, says in `flags` which explains what, and adds flags for pixels
    /// that hold one beyond doubt.
    pub fn own_end_members(
        &self,
        passes: &dyn Passes,
        flags: &mut Vec<Flag>,
        inflation: impl Fn(usize) -> f64,
    ) -> Result<Vec<OwnEndMember>, StepError> {
        // One more end-member must fit into the kernels.
        if flags.is_empty() || self.null.components == MAX_COMPONENTS {
            return Ok(Vec::new());
        }
        let table = Table::new(self.null.spectra, self.null.components, self.rows.meta().channels);
        let mean = self.mean(&table);
        let mut members: Vec<(OwnEndMember, Vec<usize>)> = Vec::new();
        let mut pixels_of: Vec<(usize, Vec<Pixel>)> = Vec::new();
        let mut spectrum = PatchSpectrum::new(self.rows.meta().channels);
        for group in self.groups(flags) {
            passes.ctx().checkpoint()?;
            let pixels = group
                .rows
                .iter()
                .map(|&row| {
                    let counts = spectrum.gather(self.rows, std::iter::once(row..row + 1))?;
                    let (channels, counts) = counts.unzip();
                    Ok(Pixel { row, channels, counts })
                })
                .collect::<Result<Vec<_>, StepError>>()?;
            let explains = |q: &[f64]| self.explains(q, &pixels, &group.families);
            let known = members.iter().position(|(m, _)| explains(&m.spectrum));
            let which = match known {
                Some(which) => which,
                None => {
                    let counts: f64 = pixels.iter().map(Pixel::total).sum();
                    if pixels.len() < LEAST_PIXELS || counts < LEAST_COUNTS {
                        continue;
                    }
                    let q = self.fitted(passes, &mean, &pixels)?;
                    if !explains(&q) {
                        continue;
                    }
                    let mut elements: Vec<String> =
                        group.flags.iter().map(|&f| flags[f].element.clone()).collect();
                    elements.sort();
                    elements.dedup();
                    let own = OwnEndMember { elements, spectrum: q, rows: Vec::new() };
                    members.push((own, group.families.clone()));
                    pixels_of.push((0, Vec::new()));
                    members.len() - 1
                }
            };
            members[which].0.rows.extend(&group.rows);
            pixels_of[which].0 += 1;
            pixels_of[which].1.extend(pixels);
            group.flags.iter().for_each(|&f| flags[f].own = Some(which));
        }
        for ((own, _), (groups, pixels)) in members.iter_mut().zip(&pixels_of) {
            if *groups > 1 {
                own.spectrum = self.fitted(passes, &mean, pixels)?;
            }
        }
        self.elsewhere(passes, &table, &mut members, flags, inflation)?;
        Ok(members
            .into_iter()
            .map(|(mut own, _)| {
                own.rows.sort_unstable();
                own.rows.dedup();
                own
            })
            .collect())
    }

    /// The null's mean spectrum of the map, summing to 1.
    fn mean(&self, table: &Table) -> Vec<f64> {
        let total: f64 = self.null.totals.iter().sum();
        let channels = self.rows.meta().channels;
        let of =
            |c: usize| table.of(c).iter().zip(self.null.totals).map(|(h, t)| h * t).sum::<f64>();
        (0..channels).map(|c| of(c) / total.max(1e-300)).collect()
    }

    /// Groups in the order of their most significant flag.
    fn groups(&self, flags: &[Flag]) -> Vec<Group> {
        let width = self.map.width;
        let mut group_of = std::collections::BTreeMap::<usize, usize>::new();
        let mut groups: Vec<Group> = Vec::new();
        for (i, flag) in flags.iter().enumerate() {
            let rows: Vec<usize> = flag.rows(width).collect();
            let touching: std::collections::BTreeSet<usize> = rows
                .iter()
                .flat_map(|&row| {
                    let (y, x) = (row / width, row % width);
                    let lines = y.saturating_sub(1)..(y + 2).min(self.map.height);
                    lines.flat_map(move |y| {
                        (x.saturating_sub(1)..(x + 2).min(width)).map(move |x| y * width + x)
                    })
                })
                .filter_map(|row| group_of.get(&row).copied())
                .collect();
            let home = touching.first().copied().unwrap_or(groups.len());
            if home == groups.len() {
                groups.push(Group { rows: vec![], flags: vec![], families: vec![] });
            }
            for &other in touching.iter().skip(1) {
                let absorbed = std::mem::take(&mut groups[other].rows);
                group_of.extend(absorbed.iter().map(|&row| (row, home)));
                groups[home].rows.extend(absorbed);
                let absorbed = std::mem::take(&mut groups[other].flags);
                groups[home].flags.extend(absorbed);
                let absorbed = std::mem::take(&mut groups[other].families);
                groups[home].families.extend(absorbed);
            }
            group_of.extend(rows.iter().map(|&row| (row, home)));
            groups[home].rows.extend(rows);
            groups[home].flags.push(i);
            groups[home].families.extend(self.family(&flag.family));
        }
        groups.retain(|g| !g.flags.is_empty());
        for group in &mut groups {
            for list in [&mut group.rows, &mut group.flags, &mut group.families] {
                list.sort_unstable();
                list.dedup();
            }
        }
        groups
    }

    /// The null's end-members with `q` beside them.
    fn with_own(&self, q: &[f64]) -> Table {
        let spectra = [self.null.spectra, q].concat();
        Table::new(&spectra, self.null.components + 1, q.len())
    }

    /// Abundances of the end-members of `table` in one pixel, from `start` where given.
    fn abundances(
        &self,
        table: &Table,
        pixel: &Pixel,
        start: Option<&Vec<f64>>,
        row: &mut Row,
    ) -> Vec<f64> {
        let mut w = vec![0.0; table.width];
        match start {
            Some(start) => w.copy_from_slice(start),
            None => w[..table.components].fill(pixel.total() / table.components as f64),
        }
        let fixed = (self.null.fixed, self.null.fixed.of(pixel.row));
        let single = Single { table, channels: &pixel.channels, counts: &pixel.counts, fixed };
        let cost = table.norm.clone();
        let mut fit = [Fit { cost, pull: Vec::new(), w, log: 0.0, hessian: Vec::new() }];
        fit_one(row, single, &mut fit);
        let [fit] = fit;
        fit.w
    }

    /// The own spectrum of some pixels.
    fn fitted(
        &self,
        passes: &dyn Passes,
        mean: &[f64],
        pixels: &[Pixel],
    ) -> Result<Vec<f64>, StepError> {
        let k = self.null.components;
        let mut q: Vec<f64> = mean.iter().map(|m| PRIOR * m).collect();
        for pixel in pixels {
            let counts = pixel.channels.iter().zip(&pixel.counts);
            counts.for_each(|(&c, &x)| q[usize::from(c)] += f64::from(x));
        }
        let normalise = |q: &mut Vec<f64>| {
            let sum: f64 = q.iter().sum();
            q.iter_mut().for_each(|q| *q /= sum.max(1e-300));
        };
        normalise(&mut q);
        let parts: Vec<Mutex<Part>> =
            pixels.chunks(PIXELS_PER_JOB).map(|_| Mutex::default()).collect();
        for _ in 0..UPDATES {
            let table = self.with_own(&q);
            passes.parallel(parts.len(), &|job| {
                let mut part = parts[job].lock().unwrap_or_else(PoisonError::into_inner);
                let Part { held, before } = &mut *part;
                held.clear();
                held.resize(q.len(), 0.0);
                let mut row = Row::default();
                let first = job * PIXELS_PER_JOB;
                let last = (first + PIXELS_PER_JOB).min(pixels.len());
                for (i, pixel) in pixels[first..last].iter().enumerate() {
                    let w = self.abundances(&table, pixel, before.get(i), &mut row);
                    let amounts = self.null.fixed.of(pixel.row);
                    for (&c, &x) in pixel.channels.iter().zip(&pixel.counts) {
                        let c = usize::from(c);
                        let fitted = table.of(c).iter().zip(&w).map(|(h, w)| h * w).sum::<f64>();
                        let model = (fitted + self.null.fixed.at(amounts, c)).max(1e-100);
                        held[c] += f64::from(x) * w[k] * q[c] / model;
                    }
                    match before.get_mut(i) {
                        Some(before) => *before = w,
                        None => before.push(w),
                    }
                }
                Ok(())
            })?;
            let mut next: Vec<f64> = mean.iter().map(|m| PRIOR * m).collect();
            for part in &parts {
                let part = part.lock().unwrap_or_else(PoisonError::into_inner);
                next.iter_mut().zip(&part.held).for_each(|(n, h)| *n += h);
            }
            normalise(&mut next);
            q = next;
        }
        Ok(q)
    }

    /// True when, with `q`, no window of `families` holds more than expected.
    fn explains(&self, q: &[f64], pixels: &[Pixel], families: &[usize]) -> bool {
        let (k, lanes) = (self.null.components, self.map.lanes);
        let (table, mut row) = (self.with_own(q), Row::default());
        let mut expected = vec![0.0; families.len()];
        let mut counts = vec![0u64; families.len()];
        for pixel in pixels {
            let w = self.abundances(&table, pixel, None, &mut row);
            for (i, &f) in families.iter().enumerate() {
                let own: f64 = self.windows.channels[f].iter().map(|&c| q[usize::from(c)]).sum();
                let mixed: f64 = (0..k).map(|j| w[j] * self.map.shares[j * lanes + f]).sum();
                expected[i] += mixed + w[k] * own + self.map.known_at(pixel.row, f);
                counts[i] += u64::from(self.map.counts[pixel.row * lanes + f]);
            }
        }
        let bound = (EXPLAINED / families.len().max(1) as f64).ln();
        counts.iter().zip(&expected).all(|(&n, &m)| ln_poisson_sf(n, m.max(1e-9)) > bound)
    }

    /// Mean abundances around a pixel, summing to 1, without it and without flagged ones.
    fn around(&self, row: usize, reach: usize, flagged: &[bool]) -> Vec<f64> {
        let (k, width) = (self.null.components, self.map.width);
        let (y, x) = (row / width, row % width);
        let mut mean = vec![1e-6; k];
        for y in y.saturating_sub(reach)..(y + reach + 1).min(self.map.height) {
            for p in x.saturating_sub(reach)..(x + reach + 1).min(width) {
                let p = y * width + p;
                if p != row && !flagged[p] {
                    let w = &self.map.abundances[p * k..(p + 1) * k];
                    mean.iter_mut().zip(w).for_each(|(m, w)| *m += w);
                }
            }
        }
        let sum: f64 = mean.iter().sum();
        mean.iter().map(|m| m / sum).collect()
    }

    /// Tests all other pixels for the own end-members.
    fn elsewhere(
        &self,
        passes: &dyn Passes,
        table: &Table,
        members: &mut [(OwnEndMember, Vec<usize>)],
        flags: &mut Vec<Flag>,
        inflation: impl Fn(usize) -> f64,
    ) -> Result<(), StepError> {
        if members.is_empty() {
            return Ok(());
        }
        let spread: Vec<f64> = members
            .iter()
            .map(|(_, families)| families.iter().map(|&f| inflation(f)).fold(1.0, f64::max))
            .collect();
        let k = self.null.components;
        let n = members.len();
        let spectra: Vec<&[f64]> = members.iter().map(|(m, _)| m.spectrum.as_slice()).collect();
        let mut flagged = vec![false; self.rows.meta().rows];
        flags.iter().flat_map(|f| f.rows(self.map.width)).for_each(|row| flagged[row] = true);
        let mut ln_p = vec![0.0; self.rows.meta().rows * n];
        passes.map_rows(self.rows, n, &mut ln_p, |buffer: &mut CellBuffer, cell, out| {
            let csr = csr_of(cell, buffer);
            let mut entries: Vec<Entry> = Vec::new();
            for (r, out) in out.chunks_exact_mut(n).enumerate() {
                let row = cell.first_row + r;
                let w = &self.map.abundances[row * k..(row + 1) * k];
                let amounts = self.null.fixed.of(row);
                let fitted: f64 = table.norm.iter().zip(w).map(|(n, w)| n * w).sum();
                let total = fitted + self.null.fixed.total(row);
                if total <= 0.0 || flagged[row] {
                    continue;
                }
                let hosts = AROUND.map(|reach| self.around(row, reach, &flagged));
                entries.clear();
                entries.extend(csr.entries(r).map(|e| {
                    let c = usize::from(csr.indices[e]);
                    let of = |w: &[f64]| table.of(c).iter().zip(w).map(|(h, w)| h * w).sum::<f64>();
                    let known = self.null.fixed.at(amounts, c);
                    Entry {
                        channel: c,
                        counts: f64::from(csr.values.get(e)),
                        null: ((of(w) + known) / total).max(1e-100),
                        known: known / total,
                        hosts: [of(&hosts[0]), of(&hosts[1])],
                    }
                }));
                let specimen = fitted / total;
                for ((out, q), spread) in out.iter_mut().zip(&spectra).zip(&spread) {
                    *out = -ln_universal(&entries, q, specimen, *spread).max(0.0);
                }
            }
        })?;
        // Weighted Bonferroni: end-members that hold more flagged pixels get more of the level.
        let held: f64 = members.iter().map(|(own, _)| own.rows.len() as f64).sum();
        let tests: Vec<f64> = members
            .iter()
            .map(|(own, _)| self.rows.meta().rows as f64 * held / own.rows.len().max(1) as f64)
            .collect();
        let mut found: Vec<(usize, usize, f64)> = Vec::new();
        for (row, ln_p) in ln_p.chunks_exact(n).enumerate() {
            let all = |j: usize| ln_p[j] + tests[j].ln();
            let best = (0..n).min_by(|&a, &b| all(a).total_cmp(&all(b)));
            if let Some(best) = best.filter(|&b| all(b) <= self.level.ln()) {
                found.push((row, best, ln_p[best]));
            }
        }
        found.sort_by(|a, b| a.2.total_cmp(&b.2).then(a.0.cmp(&b.0)));
        for (rank, (row, which, ln_p)) in found.into_iter().enumerate() {
            let tests = tests[which];
            let (own, families) = &mut members[which];
            own.rows.push(row);
            let Some(&family) = families.first() else { continue };
            let w = &self.map.abundances[row * k..(row + 1) * k];
            let mixed: f64 =
                (0..k).map(|j| w[j] * self.map.shares[j * self.map.lanes + family]).sum();
            let pixel = [row / self.map.width, row % self.map.width];
            flags.push(Flag {
                pixel,
                corner: pixel,
                neighbourhood: [1, 1],
                element: self.families[family].symbol.clone(),
                family: self.families[family].family.clone(),
                alternatives: Vec::new(),
                counts: f64::from(self.map.counts[row * self.map.lanes + family]),
                expected: mixed + self.map.known_at(row, family),
                p: ln_p.exp(),
                p_family_wise: (ln_p + tests.ln()).exp().min(1.0),
                q: (ln_p + (tests / (rank + 1) as f64).ln()).exp().min(1.0),
                test: Test::OwnEndMember,
                own: Some(which),
            });
        }
        Ok(())
    }
}

/// Some pixels of a group, between two updates of its spectrum.
#[derive(Default)]
struct Part {
    /// Counts of the own spectrum that they hold, by channel.
    held: Vec<f64>,
    /// Their abundances.
    before: Vec<Vec<f64>>,
}

/// One channel with counts of a tested pixel; probabilities of one count to fall into it.
struct Entry {
    channel: usize,
    counts: f64,
    /// Under the null, pile-up included.
    null: f64,
    /// By pile-up alone.
    known: f64,
    /// In the surroundings.
    hosts: [f64; 2],
}

/// Logarithm of the likelihood ratio for one share of `q` in one of the surroundings.
fn ln_ratio(entries: &[Entry], q: &[f64], specimen: f64, share: f64, host: usize) -> f64 {
    // Ratios are multiplied up as long as the product is of moderate size.
    let (mut ln, mut product) = (0.0, 1.0f64);
    for e in entries {
        let mixed = (1.0 - share) * e.hosts[host] + share * q[e.channel];
        let ratio = ((specimen * mixed + e.known) / e.null).max(1e-100);
        if e.counts > MOST_FACTORS {
            ln += e.counts * ratio.ln();
            continue;
        }
        for _ in 0..e.counts as usize {
            product *= ratio;
            if !(1e-100..1e100).contains(&product) {
                ln += product.ln();
                product = 1.0;
            }
        }
    }
    ln + product.ln()
}

/// Logarithm of the mean likelihood ratio over shares of `q` and surroundings, over `spread`.
///
/// Zero where two of the shares show nothing: most pixels hold none of q.
fn ln_universal(entries: &[Entry], q: &[f64], specimen: f64, spread: f64) -> f64 {
    let at = |share: f64, host: usize| ln_ratio(entries, q, specimen, share, host) / spread;
    if at(SHARES[1], 0).max(at(SHARES[2], 0)) < 0.0 {
        return 0.0;
    }
    let mut logs = [0.0; SHARES.len() * AROUND.len()];
    for (i, ln) in logs.iter_mut().enumerate() {
        *ln = at(SHARES[i / AROUND.len()], i % AROUND.len());
    }
    let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logs.iter().map(|l| (l - top).exp()).sum();
    top + (sum / logs.len() as f64).ln()
}
