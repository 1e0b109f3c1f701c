//! From blocks of values to the storage that suits them, without knowing them beforehand.
//!
//! Counts stay sparse while less than a fifth of the values is non-zero, else they become the
//! narrowest dense integer that holds them; anything but counts keeps its own type. What was
//! gathered so far is converted when a block shows otherwise, so one pass is enough and at
//! most one fifth of the values is ever held twice.

use kalpha_core::{
    Axis, Code, CsrBuilder, CsrCounts, DType, DenseRows, DenseValues, Diagnostic, NoiseModel, Rows,
    RowsError, RowsMeta, ValuesView,
};
use std::sync::Arc;

/// Denser counts are kept dense: sparse kernels do not pay there.
const SPARSE_BELOW: f64 = 0.2;

/// Some complete rows as a file stores them.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub(crate) enum Block<'a> {
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
    U64(&'a [u64]),
    I8(&'a [i8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    F32(&'a [f32]),
    F64(&'a [f64]),
}

impl Block<'_> {
    /// Appends the values as f64.
    pub fn append_to(&self, out: &mut Vec<f64>) {
        macro_rules! each {
            ($($kind:ident),*) => {
                match self { $(Self::$kind(v) => out.extend(v.iter().map(|x| x.f64())),)* }
            };
        }
        each!(U8, U16, U32, U64, I8, I16, I32, I64, F32, F64);
    }
}

/// A stored value.
trait Value: Copy {
    /// The value as a count, if it is one.
    fn count(self) -> Option<u32>;
    fn f64(self) -> f64;
}

macro_rules! integer_value {
    ($($type:ty),*) => {$(
        impl Value for $type {
            #[inline]
            fn count(self) -> Option<u32> {
                u32::try_from(self).ok()
            }
            #[inline]
            fn f64(self) -> f64 {
                self as f64
            }
        }
    )*};
}
integer_value!(u8, u16, u32, u64, i8, i16, i32, i64);

macro_rules! float_value {
    ($($type:ty),*) => {$(
        impl Value for $type {
            #[inline]
            fn count(self) -> Option<u32> {
                let count = self as u32;
                (count as $type == self && !(count == u32::MAX)).then_some(count)
            }
            #[inline]
            fn f64(self) -> f64 {
                self as f64
            }
        }
    )*};
}
float_value!(f32, f64);

/// Dense counts, widened when a value asks for it.
#[derive(Debug)]
enum Counts {
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
}

impl Counts {
    fn push(&mut self, value: u32) {
        if let Self::U8(v) = self {
            match u8::try_from(value) {
                Ok(x) => return v.push(x),
                Err(_) => *self = Self::U16(v.iter().map(|&x| x.into()).collect()),
            }
        }
        if let Self::U16(v) = self {
            match u16::try_from(value) {
                Ok(x) => return v.push(x),
                Err(_) => *self = Self::U32(v.iter().map(|&x| x.into()).collect()),
            }
        }
        if let Self::U32(v) = self {
            v.push(value);
        }
    }

    fn for_each(&self, mut f: impl FnMut(f64)) {
        match self {
            Self::U8(v) => v.iter().for_each(|&x| f(x.into())),
            Self::U16(v) => v.iter().for_each(|&x| f(x.into())),
            Self::U32(v) => v.iter().for_each(|&x| f(x.into())),
        }
    }
}

/// Values that are not counts, in the type nearest to the file's.
#[derive(Debug)]
enum Intensities {
    I16(Vec<i16>),
    I32(Vec<i32>),
    F32(Vec<f32>),
    F64(Vec<f64>),
}

impl Intensities {
    fn new(block: Block) -> Self {
        match block {
            Block::I8(_) | Block::I16(_) => Self::I16(Vec::new()),
            Block::I32(_) => Self::I32(Vec::new()),
            Block::F32(_) => Self::F32(Vec::new()),
            _ => Self::F64(Vec::new()),
        }
    }

    fn push(&mut self, value: f64) {
        match self {
            Self::I16(v) => v.push(value as i16),
            Self::I32(v) => v.push(value as i32),
            Self::F32(v) => v.push(value as f32),
            Self::F64(v) => v.push(value),
        }
    }
}

#[derive(Debug)]
enum State {
    Sparse(CsrBuilder),
    Counts(Counts),
    Intensities(Intensities),
}

/// What gathered rows turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    SparseCounts,
    DenseCounts,
    Intensities,
}

/// Gathers rows block by block.
#[derive(Debug)]
pub(crate) struct Gather {
    channels: usize,
    most_nonzero: usize,
    nonzero: usize,
    state: State,
    floats: bool,
}

/// What was gathered.
pub(crate) struct Gathered {
    pub rows: Rows,
    pub diagnostics: Vec<Diagnostic>,
}

/// Says that the noise of the values is unknown.
pub(crate) fn not_counts() -> Diagnostic {
    let message = "the values are not counts (negative, fractional or not a number): \
                   their noise is unknown";
    Diagnostic::warning(Code::Assumed, message)
        .hint("give the counts as the detector recorded them where there are any")
}

fn for_each_stored(csr: &CsrCounts, mut f: impl FnMut(u32)) {
    let mut row = vec![0u32; csr.channels()];
    for r in 0..csr.rows() {
        let view = kalpha_core::CsrView::of(csr, r..r + 1);
        let values: ValuesView = view.values;
        for e in 0..view.indices.len() {
            row[usize::from(view.indices[e])] = values.get(e);
        }
        row.iter().for_each(|&x| f(x));
        view.indices.iter().for_each(|&c| row[usize::from(c)] = 0);
    }
}

impl Gather {
    /// For `rows` rows of `channels` channels; nothing is allocated for them yet.
    pub fn new(rows: usize, channels: usize) -> Self {
        let state = match CsrBuilder::new(channels) {
            Ok(builder) => State::Sparse(builder),
            Err(_) => State::Counts(Counts::U8(Vec::new())),
        };
        let most_nonzero = (rows as f64 * channels as f64 * SPARSE_BELOW) as usize;
        Self { channels, most_nonzero, nonzero: 0, state, floats: false }
    }

    /// What the rows so far turned out to be.
    pub fn kind(&self) -> Kind {
        match self.state {
            State::Sparse(_) => Kind::SparseCounts,
            State::Counts(_) => Kind::DenseCounts,
            State::Intensities(_) => Kind::Intensities,
        }
    }

    /// Adds complete rows.
    pub fn push(&mut self, block: Block) {
        match block {
            Block::U8(v) => self.push_values(v, block),
            Block::U16(v) => self.push_values(v, block),
            Block::U32(v) => self.push_values(v, block),
            Block::U64(v) => self.push_values(v, block),
            Block::I8(v) => self.push_values(v, block),
            Block::I16(v) => self.push_values(v, block),
            Block::I32(v) => self.push_values(v, block),
            Block::I64(v) => self.push_values(v, block),
            Block::F32(v) => self.push_values(v, block),
            Block::F64(v) => self.push_values(v, block),
        }
    }

    fn push_values<V: Value>(&mut self, values: &[V], block: Block) {
        self.floats |= matches!(block, Block::F32(_) | Block::F64(_));
        if !matches!(self.state, State::Intensities(_))
            && values.iter().any(|v| v.count().is_none())
        {
            self.become_intensities(Intensities::new(block));
        }
        for row in values.chunks_exact(self.channels.max(1)) {
            match &mut self.state {
                State::Sparse(builder) => {
                    for (channel, value) in row.iter().enumerate() {
                        let count = value.count().unwrap_or_default();
                        if count != 0 {
                            builder.push(channel as u16, count);
                            self.nonzero += 1;
                        }
                    }
                    builder.end_row();
                    if self.nonzero > self.most_nonzero {
                        self.become_dense();
                    }
                }
                State::Counts(counts) => {
                    row.iter().for_each(|v| counts.push(v.count().unwrap_or_default()));
                }
                State::Intensities(out) => row.iter().for_each(|v| out.push(v.f64())),
            }
        }
    }

    fn take_state(&mut self) -> State {
        std::mem::replace(&mut self.state, State::Counts(Counts::U8(Vec::new())))
    }

    fn become_dense(&mut self) {
        if let State::Sparse(builder) = self.take_state() {
            let mut counts = Counts::U8(Vec::new());
            for_each_stored(&builder.finish(), |x| counts.push(x));
            self.state = State::Counts(counts);
        }
    }

    fn become_intensities(&mut self, mut out: Intensities) {
        match self.take_state() {
            State::Sparse(builder) => for_each_stored(&builder.finish(), |x| out.push(x.into())),
            State::Counts(counts) => counts.for_each(|x| out.push(x)),
            State::Intensities(same) => out = same,
        }
        self.state = State::Intensities(out);
    }

    /// The rows with their axes.
    ///
    /// # Errors
    /// When the rows gathered do not fill the navigation axes.
    pub fn finish(self, navigation: Vec<Axis>, signal: Axis) -> Result<Gathered, RowsError> {
        let rows = navigation.iter().map(Axis::len).product();
        let mut diagnostics = Vec::new();
        let is_counts = !matches!(self.state, State::Intensities(_));
        if is_counts && self.floats {
            let message = "floating-point values are all whole numbers and were taken for counts";
            diagnostics.push(Diagnostic::note(Code::Assumed, message));
        }
        if !is_counts {
            diagnostics.push(not_counts());
        }
        let meta = RowsMeta {
            rows,
            channels: self.channels,
            dtype: DType::Csr,
            navigation,
            signal,
            noise: if is_counts { NoiseModel::COUNTS } else { NoiseModel::Unknown },
        };
        let values = match self.state {
            State::Sparse(builder) => {
                let csr = builder.finish();
                if csr.rows() != rows {
                    let (channels, got) = (meta.channels, csr.rows() * meta.channels);
                    return Err(RowsError::Shape { rows, channels, got });
                }
                return Ok(Gathered { rows: Arc::new((meta, csr)), diagnostics });
            }
            State::Counts(Counts::U8(v)) => DenseValues::U8(v.into()),
            State::Counts(Counts::U16(v)) => DenseValues::U16(v.into()),
            State::Counts(Counts::U32(v)) => DenseValues::U32(v.into()),
            State::Intensities(Intensities::I16(v)) => DenseValues::I16(v.into()),
            State::Intensities(Intensities::I32(v)) => DenseValues::I32(v.into()),
            State::Intensities(Intensities::F32(v)) => DenseValues::F32(v.into()),
            State::Intensities(Intensities::F64(v)) => DenseValues::F64(v.into()),
        };
        Ok(Gathered { rows: Arc::new(DenseRows::new(meta, values)?), diagnostics })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kalpha_core::{CellBuffer, DType};

    fn gathered(blocks: &[Block], rows: usize, channels: usize) -> (DType, NoiseModel, Vec<f64>) {
        let mut gather = Gather::new(rows, channels);
        blocks.iter().for_each(|b| gather.push(*b));
        let made =
            gather.finish(vec![Axis::index("x", rows)], Axis::index("Energy", channels)).unwrap();
        let mut buffer = CellBuffer::default();
        let mut values = Vec::new();
        made.rows.cell(0..rows, &mut buffer).unwrap().to_f64(&mut values);
        let meta = made.rows.meta();
        (meta.dtype, meta.noise.clone(), values)
    }

    #[test]
    fn sparse_counts_stay_sparse_and_dense_ones_take_the_narrowest_type() {
        let mut sparse = [0u16; 20];
        sparse[7] = 300;
        let (dtype, noise, values) = gathered(&[Block::U16(&sparse)], 2, 10);
        assert_eq!((dtype, noise), (DType::Csr, NoiseModel::COUNTS));
        assert_eq!(values, sparse.map(f64::from));

        let dense: Vec<i32> = (0..20).collect();
        let (dtype, noise, values) = gathered(&[Block::I32(&dense)], 2, 10);
        assert_eq!((dtype, noise), (DType::U8, NoiseModel::COUNTS));
        assert_eq!(values, (0..20).map(f64::from).collect::<Vec<_>>());
        let wide: Vec<f64> = (0..20).map(|i| f64::from(i * 100)).collect();
        assert_eq!(gathered(&[Block::F64(&wide)], 2, 10).0, DType::U16);
    }

    #[test]
    fn a_late_block_that_is_not_counts_changes_everything_without_loss() {
        let first: Vec<f32> = (0..30).map(|i| (i % 7 == 0) as u8 as f32).collect();
        let second = [0.0f32, -1.5, f32::NAN, 1e12, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let (dtype, noise, values) = gathered(&[Block::F32(&first), Block::F32(&second)], 4, 10);
        assert_eq!((dtype, noise), (DType::F32, NoiseModel::Unknown));
        let expected: Vec<f64> = first.iter().chain(&second).map(|&x| f64::from(x)).collect();
        let same = |a: &f64, b: &f64| a == b || (a.is_nan() && b.is_nan());
        assert!(values.iter().zip(&expected).all(|(a, b)| same(a, b)), "{values:?}");
        let signed = [1i16, -2, 0, 4];
        assert_eq!(gathered(&[Block::I16(&signed)], 2, 2).0, DType::I16);
        let huge = [1u64 << 40, 0];
        assert_eq!(gathered(&[Block::U64(&huge)], 1, 2).0, DType::F64);
    }

    #[test]
    fn missing_rows_are_an_error() {
        let mut gather = Gather::new(3, 2);
        gather.push(Block::U8(&[0, 0, 0, 1]));
        assert!(gather.finish(vec![Axis::index("x", 3)], Axis::index("Energy", 2)).is_err());
    }
}
