//! End-members as the kernels read them, and the part of the model that is known.

/// End-members, channel by channel, padded to `width` lanes.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub components: usize,
    pub width: usize,
    /// channels x width
    pub values: Vec<f64>,
    /// Sum over channels of each end-member; 1 in padding lanes.
    pub norm: Vec<f64>,
    /// The end-members one by one.
    pub columns: Columns,
}

/// Values one by one for every channel a `u16` can name: no index needs a check. Memory that is
/// never used is never touched.
#[derive(Clone, Debug, Default)]
pub(crate) struct Columns(Vec<f64>);

/// Channels that a `u16` can name.
const NAMED: usize = 1 << 16;

impl Columns {
    /// The first `columns` of `values`, channels x `width`.
    pub fn new(values: &[f64], width: usize, columns: usize) -> Self {
        let mut out = vec![0.0; columns * NAMED];
        for (k, column) in out.chunks_exact_mut(NAMED).enumerate() {
            for (x, row) in column.iter_mut().zip(values.chunks_exact(width.max(1))) {
                *x = row[k];
            }
        }
        Self(out)
    }

    /// Column `k`.
    #[inline(always)]
    pub fn of(&self, k: usize) -> &[f64; NAMED] {
        match self.0[k * NAMED..].first_chunk() {
            Some(column) => column,
            // There is no such column.
            None => &[0.0; NAMED],
        }
    }
}

/// Lanes that hold `components`, at most 64.
pub(crate) fn width(components: usize) -> usize {
    match components {
        0..=4 => 4,
        5..=8 => 8,
        9..=16 => 16,
        17..=32 => 32,
        _ => 64,
    }
}

impl Table {
    /// From component-major spectra, components x channels.
    pub fn new(spectra: &[f64], components: usize, channels: usize) -> Self {
        let width = width(components);
        let mut values = vec![0.0; channels * width];
        for k in 0..components {
            for c in 0..channels {
                values[c * width + k] = spectra[k * channels + c];
            }
        }
        Self::of_values(values, components)
    }

    /// From values channel by channel, as wide as tables of `components` are.
    pub fn of_values(values: Vec<f64>, components: usize) -> Self {
        let (width, columns) = (width(components), Columns::default());
        let mut table = Self { components, width, values, norm: Vec::new(), columns };
        table.renew();
        table
    }

    /// Recomputes what follows from the values.
    fn renew(&mut self) {
        let mut norm = vec![0.0; self.width];
        for row in self.values.chunks_exact(self.width) {
            norm.iter_mut().zip(row).for_each(|(n, v)| *n += v);
        }
        norm[self.components..].fill(1.0);
        self.norm = norm;
        self.columns = Columns::new(&self.values, self.width, self.components);
    }

    /// Scales every end-member to sum 1.
    pub fn normalise(&mut self) {
        self.renew();
        for row in self.values.chunks_exact_mut(self.width) {
            for k in 0..self.components {
                if self.norm[k] > 0.0 {
                    row[k] /= self.norm[k];
                }
            }
        }
        self.renew();
    }

    /// End-members in channel `c`.
    pub fn of(&self, c: usize) -> &[f64] {
        &self.values[c * self.width..c * self.width + self.components]
    }

    /// Component-major spectra, components x channels.
    pub fn spectra(&self) -> Vec<f64> {
        let channels = self.values.len() / self.width;
        let mut out = vec![0.0; self.components * channels];
        for (c, row) in self.values.chunks_exact(self.width).enumerate() {
            for k in 0..self.components {
                out[k * channels + c] = row[k];
            }
        }
        out
    }
}

/// A known part of the model that is not fitted, such as pile-up:
/// `sum_q amounts[row, q] spectra[channel, q]`.
#[derive(Clone, Copy, Debug)]
pub struct Fixed<'a> {
    /// Number of spectra; 0 for none.
    pub parts: usize,
    /// rows x parts.
    pub amounts: &'a [f64],
    /// channels x parts.
    pub spectra: &'a [f64],
    /// Sum over channels of each spectrum.
    pub sums: &'a [f64],
    /// The spectra one by one.
    pub(crate) columns: &'a Columns,
}

impl Default for Fixed<'_> {
    fn default() -> Self {
        static NONE: Columns = Columns(Vec::new());
        Self { parts: 0, amounts: &[], spectra: &[], sums: &[], columns: &NONE }
    }
}

impl<'a> Fixed<'a> {
    /// Amounts of a row; empty where nothing is known.
    #[inline(always)]
    pub fn of(&self, row: usize) -> &'a [f64] {
        &self.amounts[row * self.parts..(row + 1) * self.parts]
    }

    /// The known part in `channel` for these amounts.
    #[inline(always)]
    pub fn at(&self, amounts: &[f64], channel: usize) -> f64 {
        let spectra = &self.spectra[channel * self.parts..(channel + 1) * self.parts];
        amounts.iter().zip(spectra).map(|(a, g)| a * g).sum()
    }

    /// The known part of a row over all channels.
    #[inline(always)]
    pub fn total(&self, row: usize) -> f64 {
        self.of(row).iter().zip(self.sums).map(|(a, s)| a * s).sum()
    }

    /// The same for some of the rows.
    pub fn of_rows(&self, rows: std::ops::Range<usize>) -> Self {
        let amounts = &self.amounts[rows.start * self.parts..rows.end * self.parts];
        Self { amounts, ..*self }
    }
}
