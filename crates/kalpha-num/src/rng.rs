//! Counter-based random numbers: the same draw for the same key, whatever the order.
//!
//! Philox4x32-10 (Salmon, Moraes, Dror and Shaw, 2011, doi:10.1145/2063384.2063405) turns a
//! 64-bit key and a 128-bit counter into four 32-bit words. The key comes from the seed, the
//! name of the stream (a step) and the pass; the counter holds row, channel and block. So a
//! draw does not depend on cells, threads or what else was drawn.
//!
//! Tested against the known answers of Random123 1.14.

mod discrete;

/// Weyl increments and multipliers of Philox4x32.
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const MULTIPLIER: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];

/// Philox4x32-10: four words from a counter and a key.
///
/// Source: Salmon et al. 2011, doi:10.1145/2063384.2063405.
#[inline]
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let ([mut a, mut b, mut c, mut d], [mut k0, mut k1]) = (counter, key);
    for _ in 0..10 {
        let x = u64::from(MULTIPLIER[0]) * u64::from(a);
        let y = u64::from(MULTIPLIER[1]) * u64::from(c);
        (a, b, c, d) = ((y >> 32) as u32 ^ b ^ k0, y as u32, (x >> 32) as u32 ^ d ^ k1, x as u32);
        k0 = k0.wrapping_add(WEYL[0]);
        k1 = k1.wrapping_add(WEYL[1]);
    }
    [a, b, c, d]
}

/// All the randomness of one pass of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    key: [u32; 2],
}

impl Stream {
    /// The stream of `name` (a step's id, perhaps with a purpose: `rank.thin`) in `pass`.
    pub fn new(seed: u64, name: &str, pass: u32) -> Self {
        // FNV-1a: names only have to differ.
        let hash = name.bytes().fold(0xCBF2_9CE4_8422_2325u64, |h, byte| {
            (h ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
        });
        let words = philox([hash as u32, (hash >> 32) as u32, pass, 0], split(seed));
        Self { key: [words[0], words[1]] }
    }

    /// The draws of a row as a whole.
    #[inline]
    pub fn row(&self, row: usize) -> Draws {
        self.counter(row as u64, u32::MAX)
    }

    /// The draws of one channel of one row. `channel` is below 2^32 - 1.
    #[inline]
    pub fn at(&self, row: usize, channel: usize) -> Draws {
        debug_assert!(channel < u32::MAX as usize);
        self.counter(row as u64, channel as u32)
    }

    #[inline]
    fn counter(&self, row: u64, channel: u32) -> Draws {
        let [low, high] = split(row);
        Draws {
            key: self.key,
            counter: [0, channel, low, high],
            words: [0; 4],
            used: 4,
            spare_normal: None,
            bits: 0,
            bits_left: 0,
        }
    }
}

fn split(x: u64) -> [u32; 2] {
    [x as u32, (x >> 32) as u32]
}

/// A sequence of draws for one key and counter.
#[derive(Clone, Debug)]
pub struct Draws {
    key: [u32; 2],
    counter: [u32; 4],
    words: [u32; 4],
    used: usize,
    spare_normal: Option<f64>,
    bits: u64,
    bits_left: u32,
}

/// Above this many coins one binomial draw is quicker than their bits.
const MOST_COINS: u32 = 4096;

impl Draws {
    /// 32 random bits.
    #[inline]
    pub fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            self.words = philox(self.counter, self.key);
            self.counter[0] = self.counter[0].wrapping_add(1);
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }

    /// 64 random bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        u64::from(self.next_u32()) | u64::from(self.next_u32()) << 32
    }

    /// Uniform on [0, 1), a multiple of 2^-53.
    #[inline]
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform on (0, 1): the odd multiples of 2^-53. Neither end can be drawn.
    #[inline]
    pub fn uniform_open(&mut self) -> f64 {
        ((self.next_u64() >> 12) as f64 + 0.5) * (1.0 / (1u64 << 52) as f64)
    }

    /// A whole number in `0..n`, each with the same probability. `n` is above 0.
    ///
    /// Source: Lemire 2019, doi:10.1145/3230636.
    pub fn below(&mut self, n: usize) -> usize {
        let n = (n as u64).max(1);
        let reject = n.wrapping_neg() % n;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            if product as u64 >= reject {
                return (product >> 64) as usize;
            }
        }
    }

    /// Puts `items` in random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let j = self.below(i + 1);
            items.swap(i, j);
        }
    }

    /// Standard normal (Box and Muller 1958, doi:10.1214/aoms/1177706645).
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare_normal.take() {
            return spare;
        }
        let radius = (-2.0 * self.uniform_open().ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * self.uniform()).sin_cos();
        self.spare_normal = Some(radius * sin);
        radius * cos
    }

    /// The number of ones among `n` fair coins: half of a count, thinned at random.
    ///
    /// Thinning a Poisson count with probability 1/2 gives two independent Poisson counts.
    #[inline]
    pub fn half(&mut self, n: u32) -> u32 {
        if n <= self.bits_left && n < 64 {
            let ones = (self.bits & ((1 << n) - 1)).count_ones();
            self.bits >>= n;
            self.bits_left -= n;
            return ones;
        }
        self.half_anew(n)
    }

    /// The same where the bits at hand do not suffice.
    fn half_anew(&mut self, n: u32) -> u32 {
        if n > MOST_COINS {
            return self.binomial(u64::from(n), 0.5) as u32;
        }
        let (mut left, mut ones) = (n, 0);
        while left > 0 {
            if self.bits_left == 0 {
                self.bits = self.next_u64();
                self.bits_left = 64;
            }
            let take = left.min(self.bits_left);
            ones += (self.bits & (u64::MAX >> (64 - take))).count_ones();
            // Two shifts: one by 64 would overflow.
            self.bits = self.bits >> (take - 1) >> 1;
            self.bits_left -= take;
            left -= take;
        }
        ones
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers_of_random123() {
        let max = u32::MAX;
        let cases = [
            ([0; 4], [0; 2], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]),
            ([max; 4], [max; 2], [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]),
            (
                [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
                [0xa4093822, 0x299f31d0],
                [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
            ),
        ];
        for (counter, key, words) in cases {
            assert_eq!(philox(counter, key), words);
        }
    }

    #[test]
    fn every_part_of_the_key_matters() {
        let first = |stream: Stream, row, channel| stream.at(row, channel).next_u64();
        let draws = [
            first(Stream::new(1, "a", 0), 0, 0),
            first(Stream::new(2, "a", 0), 0, 0),
            first(Stream::new(1, "b", 0), 0, 0),
            first(Stream::new(1, "a", 1), 0, 0),
            first(Stream::new(1, "a", 0), 1, 0),
            first(Stream::new(1, "a", 0), 1 << 32, 0),
            first(Stream::new(1, "a", 0), 0, 1),
            Stream::new(1, "a", 0).row(0).next_u64(),
        ];
        for i in 0..draws.len() {
            assert!(!draws[..i].contains(&draws[i]), "draw {i}");
        }
        assert_eq!(first(Stream::new(1, "a", 0), 5, 7), first(Stream::new(1, "a", 0), 5, 7));
    }

    fn moments(n: usize, mut draw: impl FnMut() -> f64) -> (f64, f64) {
        let values: Vec<f64> = (0..n).map(|_| draw()).collect();
        let mean = values.iter().sum::<f64>() / n as f64;
        (mean, values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64)
    }

    #[test]
    fn uniform_normal_and_half_have_their_moments() {
        let mut draws = Stream::new(7, "moments", 0).row(0);
        let n = 200_000;
        let within = |got: f64, want: f64, sigma: f64| (got - want).abs() < 4.5 * sigma;
        let root = (n as f64).sqrt();
        let (mean, variance) = moments(n, || draws.uniform());
        assert!(within(mean, 0.5, (1.0f64 / 12.0).sqrt() / root));
        assert!(within(variance, 1.0 / 12.0, (1.0f64 / 180.0).sqrt() / root));
        let (mean, variance) = moments(n, || draws.normal());
        assert!(within(mean, 0.0, 1.0 / root) && within(variance, 1.0, 2f64.sqrt() / root));
        for count in [1, 3, 64, 131] {
            let half = f64::from(count) / 2.0;
            let (mean, variance) = moments(n, || f64::from(draws.half(count)));
            assert!(within(mean, half, (half / 2.0).sqrt() / root), "{count}: {mean}");
            assert!((variance / (half / 2.0) - 1.0).abs() < 0.02, "{count}: {variance}");
        }
        assert_eq!(draws.half(0), 0);
    }

    #[test]
    fn below_and_shuffle_are_even() {
        let mut draws = Stream::new(3, "below", 0).row(0);
        let mut seen = [0.0; 7];
        (0..70_000).for_each(|_| seen[draws.below(7)] += 1.0);
        // Chi-squared with 6 degrees of freedom: above 27.9 once in 10 000.
        assert!(seen.iter().map(|s| (s - 1e4f64).powi(2) / 1e4).sum::<f64>() < 27.9);
        let mut items: Vec<u32> = (0..100).collect();
        draws.shuffle(&mut items);
        assert!(items.windows(2).any(|w| w[0] > w[1]));
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
