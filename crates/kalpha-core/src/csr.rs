//! Sparse counts in compressed rows.
//!
//! Real EDS and XRF maps hold 0.1-7 % non-zero voxels, so counts are kept as
//! (channel, count) pairs per row, in the narrowest integer that holds them.

use crate::rows::RowsError;

/// An unsigned count.
pub trait Count: Copy + Send + Sync + 'static {
    /// The count as `u32`.
    fn get(self) -> u32;
}

impl Count for u8 {
    #[inline(always)]
    fn get(self) -> u32 {
        u32::from(self)
    }
}

impl Count for u16 {
    #[inline(always)]
    fn get(self) -> u32 {
        u32::from(self)
    }
}

impl Count for u32 {
    #[inline(always)]
    fn get(self) -> u32 {
        self
    }
}

/// Counts in the narrowest type that holds them.
#[derive(Clone, Debug)]
pub enum CountValues {
    /// All counts are <= 255.
    U8(Vec<u8>),
    /// All counts are <= 65 535.
    U16(Vec<u16>),
    /// Anything larger.
    U32(Vec<u32>),
}

impl CountValues {
    /// Number of stored counts.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(v) => v.len(),
            Self::U16(v) => v.len(),
            Self::U32(v) => v.len(),
        }
    }

    /// True when nothing is stored.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends a count, widening the type when needed.
    #[inline]
    pub fn push(&mut self, value: u32) {
        match self {
            Self::U8(v) if value <= 0xff => v.push(value as u8),
            _ => self.push_wide(value),
        }
    }

    fn push_wide(&mut self, value: u32) {
        if let Self::U8(v) = self {
            *self = Self::U16(v.iter().map(|&x| u16::from(x)).collect());
        }
        if let Self::U16(v) = self {
            match u16::try_from(value) {
                Ok(x) => return v.push(x),
                Err(_) => *self = Self::U32(v.iter().map(|&x| u32::from(x)).collect()),
            }
        }
        if let Self::U32(v) = self {
            v.push(value);
        }
    }

    fn shrink(&mut self) {
        match self {
            Self::U8(v) => v.shrink_to_fit(),
            Self::U16(v) => v.shrink_to_fit(),
            Self::U32(v) => v.shrink_to_fit(),
        }
    }
}

/// Sparse counts, rows x channels. Channels ascend within a row; no zero is stored.
#[derive(Clone, Debug)]
pub struct CsrCounts {
    channels: usize,
    indptr: Vec<u64>,
    indices: Vec<u16>,
    values: CountValues,
}

impl CsrCounts {
    /// The largest number of channels sparse counts can address.
    pub const MAX_CHANNELS: usize = 1 << 16;

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.indptr.len() - 1
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Row `r` holds entries `indptr[r]..indptr[r + 1]`.
    pub fn indptr(&self) -> &[u64] {
        &self.indptr
    }

    /// Channel of each entry.
    pub fn indices(&self) -> &[u16] {
        &self.indices
    }

    /// Count of each entry.
    pub fn values(&self) -> &CountValues {
        &self.values
    }

    /// Number of stored (non-zero) entries.
    pub fn nnz(&self) -> usize {
        self.indices.len()
    }

    /// Stored entries over rows x channels.
    pub fn density(&self) -> f64 {
        self.nnz() as f64 / (self.rows() as f64 * self.channels as f64).max(1.0)
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let width = match self.values {
            CountValues::U8(_) => 1,
            CountValues::U16(_) => 2,
            CountValues::U32(_) => 4,
        };
        self.indptr.len() * 8 + self.nnz() * (2 + width)
    }
}

/// Builds [`CsrCounts`] row by row.
///
/// ```
/// # use kalpha_core::CsrBuilder;
/// let mut rows = CsrBuilder::new(1024)?;
/// rows.push(3, 1);
/// rows.push(700, 2);
/// rows.end_row();
/// assert_eq!(rows.finish().nnz(), 2);
/// # Ok::<(), kalpha_core::RowsError>(())
/// ```
#[derive(Clone, Debug)]
pub struct CsrBuilder {
    csr: CsrCounts,
}

impl CsrBuilder {
    /// An empty matrix with `channels` columns.
    ///
    /// # Errors
    /// When there are more channels than sparse counts can address.
    pub fn new(channels: usize) -> Result<Self, RowsError> {
        if channels > CsrCounts::MAX_CHANNELS {
            return Err(RowsError::TooManyChannels { channels, max: CsrCounts::MAX_CHANNELS });
        }
        Ok(Self {
            csr: CsrCounts {
                channels,
                indptr: vec![0],
                indices: Vec::new(),
                values: CountValues::U8(Vec::new()),
            },
        })
    }

    /// Adds a count to the open row. Channels must ascend; zero counts are dropped.
    #[inline]
    pub fn push(&mut self, channel: u16, count: u32) {
        debug_assert!(usize::from(channel) < self.csr.channels);
        if count != 0 {
            self.csr.indices.push(channel);
            self.csr.values.push(count);
        }
    }

    /// Adds entries of the open row: ascending channels, counts above zero.
    pub fn extend(&mut self, channels: &[u16], counts: &[u32]) {
        debug_assert!(channels.len() == counts.len() && counts.iter().all(|&c| c > 0));
        self.csr.indices.extend_from_slice(channels);
        match &mut self.csr.values {
            CountValues::U8(v) if counts.iter().fold(0, |all, c| all | c) <= 0xff => {
                v.extend(counts.iter().map(|&c| c as u8));
            }
            values => counts.iter().for_each(|&c| values.push(c)),
        }
    }

    /// Adds the non-zero values of a dense row and closes it.
    pub fn push_dense_row<V: Count>(&mut self, row: &[V]) {
        for (channel, &value) in row.iter().enumerate() {
            self.push(channel as u16, value.get());
        }
        self.end_row();
    }

    /// Closes the open row.
    pub fn end_row(&mut self) {
        self.csr.indptr.push(self.csr.indices.len() as u64);
    }

    /// Adds all rows of another builder with as many columns; no row may be open here.
    pub fn append(&mut self, other: Self) {
        debug_assert!(other.csr.channels <= self.csr.channels);
        if self.rows() == 0 {
            let channels = self.csr.channels;
            *self = other;
            self.csr.channels = channels;
            return;
        }
        let first = self.csr.indices.len() as u64;
        self.csr.indptr.extend(other.csr.indptr.iter().skip(1).map(|entry| first + entry));
        self.csr.indices.extend_from_slice(&other.csr.indices);
        match (&mut self.csr.values, other.csr.values) {
            (CountValues::U8(own), CountValues::U8(more)) => own.extend_from_slice(&more),
            (own, CountValues::U8(more)) => more.iter().for_each(|&x| own.push(x.into())),
            (own, CountValues::U16(more)) => more.iter().for_each(|&x| own.push(x.into())),
            (own, CountValues::U32(more)) => more.iter().for_each(|&x| own.push(x)),
        }
    }

    /// Rows closed so far.
    pub fn rows(&self) -> usize {
        self.csr.rows()
    }

    /// The same rows with another number of columns, for readers that learn it late.
    ///
    /// # Errors
    /// When there are more channels than sparse counts can address.
    pub fn with_channels(mut self, channels: usize) -> Result<Self, RowsError> {
        if channels > CsrCounts::MAX_CHANNELS {
            return Err(RowsError::TooManyChannels { channels, max: CsrCounts::MAX_CHANNELS });
        }
        debug_assert!(self.csr.indices.iter().all(|&c| usize::from(c) < channels));
        self.csr.channels = channels;
        Ok(self)
    }

    /// The matrix.
    pub fn finish(mut self) -> CsrCounts {
        self.csr.indices.shrink_to_fit();
        self.csr.values.shrink();
        self.csr
    }
}
