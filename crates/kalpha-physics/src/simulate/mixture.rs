//! Poisson counts of a mixture of spectra, drawn count by count.
//!
//! A row whose expectation is `sum_k a_k s_k` (abundances a, spectra s) is the sum of
//! independent Poisson rows, one per end-member. So the number of counts of end-member k is
//! Poisson of mean `a_k sum(s_k)`, and each count takes a channel with probability `s_k / sum`:
//! by Walker's alias method (1977, doi:10.1145/355744.355749), constant time per count. The cost
//! is proportional to the counts, not to rows x channels.
//!
//! Every row has its own counter in the random stream: rows can be drawn in any order.

use kalpha_core::{CsrBuilder, CsrCounts};
use kalpha_num::rng::{Draws, Stream};

use crate::PhysicsError;

/// Alias table of one spectrum.
#[derive(Debug, Clone)]
struct Alias {
    total: f64,
    threshold: Vec<u32>,
    other: Vec<u16>,
}

impl Alias {
    fn new(spectrum: &[f64]) -> Self {
        let (n, total) = (spectrum.len(), spectrum.iter().sum::<f64>());
        let mut alias =
            Self { total, threshold: vec![u32::MAX; n], other: (0..n as u16).collect() };
        if total <= 0.0 {
            return alias;
        }
        let mut scaled: Vec<f64> = spectrum.iter().map(|x| x * n as f64 / total).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..n).partition(|&i| scaled[i] < 1.0);
        while let (Some(s), Some(&l)) = (small.pop(), large.last()) {
            alias.threshold[s] = (scaled[s] * f64::from(u32::MAX)) as u32;
            alias.other[s] = l as u16;
            scaled[l] -= 1.0 - scaled[s];
            if scaled[l] < 1.0 {
                large.pop();
                small.push(l);
            }
        }
        alias
    }

    #[inline]
    fn draw(&self, draws: &mut Draws) -> u16 {
        let n = self.other.len() as u64;
        let i = ((u64::from(draws.next_u32()) * n) >> 32) as usize;
        if draws.next_u32() <= self.threshold[i] { i as u16 } else { self.other[i] }
    }
}

/// Spectra to mix, ready to draw from.
#[derive(Debug, Clone)]
pub struct EndMembers {
    channels: usize,
    tables: Vec<Alias>,
}

impl EndMembers {
    /// Prepares `spectra` (expected counts per channel at abundance 1, all of one length).
    ///
    /// # Errors
    /// [`PhysicsError::OutOfRange`] for unequal lengths, negative or non-finite values, or more
    /// channels than sparse counts address.
    pub fn new(spectra: &[Vec<f64>]) -> Result<Self, PhysicsError> {
        let channels = spectra.first().map_or(0, Vec::len);
        if channels > CsrCounts::MAX_CHANNELS {
            return Err(PhysicsError::OutOfRange {
                quantity: "number of channels",
                value: channels as f64,
                range: "0 to 65536",
            });
        }
        for spectrum in spectra {
            if spectrum.len() != channels {
                return Err(PhysicsError::OutOfRange {
                    quantity: "channels of an end-member",
                    value: spectrum.len() as f64,
                    range: "the same for all end-members",
                });
            }
            if let Some(&value) = spectrum.iter().find(|x| !(x.is_finite() && **x >= 0.0)) {
                return Err(PhysicsError::OutOfRange {
                    quantity: "expected counts",
                    value,
                    range: "finite, not negative",
                });
            }
        }
        Ok(Self { channels, tables: spectra.iter().map(|s| Alias::new(s)).collect() })
    }

    /// Number of end-members.
    pub fn len(&self) -> usize {
        self.tables.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }
}

/// Draws `rows` rows. `abundance(row, out)` fills the abundance of every end-member in a row;
/// values that are not above zero give no counts.
///
/// Returns rows x channels sparse counts. Deterministic for one stream.
///
/// # Errors
/// [`PhysicsError::OutOfRange`] when there are too many channels.
pub fn simulate_mixture(
    end_members: &EndMembers,
    rows: usize,
    stream: &Stream,
    mut abundance: impl FnMut(usize, &mut [f64]),
) -> Result<CsrCounts, PhysicsError> {
    let channels = end_members.channels;
    let mut csr = CsrBuilder::new(channels).map_err(|_| PhysicsError::OutOfRange {
        quantity: "number of channels",
        value: channels as f64,
        range: "0 to 65536",
    })?;
    let mut mix = vec![0.0; end_members.len()];
    let mut counts = vec![0u32; channels];
    let mut hit = vec![0u64; channels.div_ceil(64)];
    for row in 0..rows {
        abundance(row, &mut mix);
        let mut draws = stream.row(row);
        for (table, a) in end_members.tables.iter().zip(&mix) {
            for _ in 0..draws.poisson(a * table.total) {
                let channel = usize::from(table.draw(&mut draws));
                counts[channel] += 1;
                hit[channel / 64] |= 1 << (channel % 64);
            }
        }
        for (word, bits) in hit.iter_mut().enumerate() {
            while *bits != 0 {
                let channel = word * 64 + bits.trailing_zeros() as usize;
                csr.push(channel as u16, std::mem::take(&mut counts[channel]));
                *bits &= *bits - 1;
            }
        }
        csr.end_row();
    }
    Ok(csr.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kalpha_core::CountValues;

    fn values(csr: &CsrCounts) -> Vec<u32> {
        match csr.values() {
            CountValues::U8(v) => v.iter().map(|&x| u32::from(x)).collect(),
            CountValues::U16(v) => v.iter().map(|&x| u32::from(x)).collect(),
            CountValues::U32(v) => v.clone(),
        }
    }

    #[test]
    fn counts_are_poisson_of_the_mixture() {
        let spectra = vec![vec![4.0, 0.0, 1.0, 0.5], vec![0.0, 2.0, 1.0, 0.0]];
        let members = EndMembers::new(&spectra).unwrap();
        let rows = 40_000;
        let csr = simulate_mixture(&members, rows, &Stream::new(5, "mixture", 0), |_, a| {
            a.copy_from_slice(&[1.0, 0.5]);
        })
        .unwrap();
        let (mut sum, mut square) = ([0.0; 4], [0.0; 4]);
        for (&channel, value) in csr.indices().iter().zip(values(&csr)) {
            sum[usize::from(channel)] += f64::from(value);
            square[usize::from(channel)] += f64::from(value).powi(2);
        }
        for (channel, want) in [4.0, 1.0, 1.5, 0.5].into_iter().enumerate() {
            let mean = sum[channel] / rows as f64;
            let variance = square[channel] / rows as f64 - mean * mean;
            assert!((mean - want).abs() < 4.5 * (want / rows as f64).sqrt(), "{channel}: {mean}");
            assert!((variance / want - 1.0).abs() < 0.05, "{channel}: {variance}");
        }
    }

    #[test]
    fn rows_are_sorted_and_depend_on_seed_and_row_alone() {
        let members = EndMembers::new(&[vec![1.0; 300]]).unwrap();
        let draw = |seed, rows| {
            let stream = Stream::new(seed, "mixture", 0);
            simulate_mixture(&members, rows, &stream, |row, a| a[0] = 0.1 * row as f64).unwrap()
        };
        let (a, b, short) = (draw(1, 20), draw(2, 20), draw(1, 10));
        assert_ne!(a.indices(), b.indices());
        let end = short.nnz();
        assert_eq!(short.indices(), &a.indices()[..end]);
        for row in a.indptr().windows(2) {
            let row = &a.indices()[row[0] as usize..row[1] as usize];
            assert!(row.windows(2).all(|w| w[0] < w[1]));
        }
    }

    #[test]
    fn nonsense_is_refused_and_nothing_gives_nothing() {
        assert!(EndMembers::new(&[vec![1.0, -1.0]]).is_err());
        assert!(EndMembers::new(&[vec![1.0, f64::NAN]]).is_err());
        assert!(EndMembers::new(&[vec![1.0], vec![1.0, 2.0]]).is_err());
        let members = EndMembers::new(&[vec![0.0; 8]]).unwrap();
        let stream = Stream::new(0, "mixture", 0);
        let csr = simulate_mixture(&members, 3, &stream, |_, a| a[0] = 10.0).unwrap();
        assert_eq!((csr.rows(), csr.nnz()), (3, 0));
    }
}
