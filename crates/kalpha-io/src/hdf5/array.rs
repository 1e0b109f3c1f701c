//! A dataset of an HDF5 file by rows.

use super::{DEFLATE_FACTOR, ZEROS_FACTOR, fail, whole};
use crate::{
    Input, IoError,
    blocks::{Blocks, Stored},
    gather::Block,
};
use hdf5_reader::{Dataset, Datatype, SliceInfo, SliceInfoElem, group::Group};
use std::ops::Range;

/// A numeric dataset, by rows along one of its axes.
pub(crate) struct Hdf5Array {
    input: Input,
    object: String,
    data: Dataset,
    shape: Vec<usize>,
    stored: Stored,
    /// The axis of the spectra; `None`: a grid of single values.
    spectrum: Option<usize>,
    /// The other axes, the slowest first.
    navigation: Vec<usize>,
    /// Their lengths.
    grid: Vec<usize>,
}

/// The number type of a dataset, if it is one.
fn stored(datatype: &Datatype) -> Option<Stored> {
    Some(match datatype {
        Datatype::FixedPoint { size: 1, signed: false, .. } => Stored::U8,
        Datatype::FixedPoint { size: 2, signed: false, .. } => Stored::U16,
        Datatype::FixedPoint { size: 4, signed: false, .. } => Stored::U32,
        Datatype::FixedPoint { size: 8, signed: false, .. } => Stored::U64,
        Datatype::FixedPoint { size: 1, .. } => Stored::I8,
        Datatype::FixedPoint { size: 2, .. } => Stored::I16,
        Datatype::FixedPoint { size: 4, .. } => Stored::I32,
        Datatype::FixedPoint { size: 8, .. } => Stored::I64,
        Datatype::FloatingPoint { size: 4, .. } => Stored::F32,
        Datatype::FloatingPoint { size: 8, .. } => Stored::F64,
        Datatype::Enum { .. } => Stored::Bool,
        _ => return None,
    })
}

/// Lengths of a dataset, where this machine can count so far.
pub(crate) fn shape_of(data: &Dataset) -> Option<Vec<usize>> {
    data.shape().iter().map(|&n| usize::try_from(n).ok()).collect()
}

impl Hdf5Array {
    /// Checks type and size of `group/name`; nothing is read.
    ///
    /// # Errors
    /// When there is no such dataset, it holds no numbers, or claims more than the file holds.
    pub fn open(input: &Input, group: &Group, path: &str, name: &str) -> Result<Self, IoError> {
        let object = format!("{path}/{name}");
        let data = group.dataset(name).map_err(|e| fail(input, &object, e))?;
        let Some(stored) = stored(data.dtype()) else {
            return Err(IoError::Unsupported {
                file: input.path().to_owned(),
                field: object,
                got: format!("{:?}", data.dtype()),
                supported: "integers and floating-point numbers".to_owned(),
                hint: "ragged and object arrays hold no spectra of one length",
            });
        };
        let Some(shape) = shape_of(&data) else {
            return Err(input.too_large(object, u64::MAX, usize::MAX as u64));
        };
        let elements = shape.iter().try_fold(1u64, |n, &d| n.checked_mul(d as u64));
        let bytes = elements.and_then(|n| n.checked_mul(stored.width() as u64));
        let bytes = bytes.unwrap_or(u64::MAX);
        // A dataset of zeros packs very well; what is held of it is limited elsewhere.
        let factor = if data.chunks().is_some() { ZEROS_FACTOR } else { DEFLATE_FACTOR };
        let limit = (input.bytes().len() as u64).saturating_mul(factor as u64);
        if bytes > limit {
            return Err(input.too_large(object, bytes, limit));
        }
        if bytes == 0 {
            return Err(IoError::NoSpectra {
                file: input.path().to_owned(),
                found: format!("{object} of shape {shape:?}"),
            });
        }
        let last = shape.len().checked_sub(1);
        let array = Self {
            input: input.clone(),
            object,
            data,
            shape,
            stored,
            spectrum: None,
            navigation: Vec::new(),
            grid: Vec::new(),
        };
        Ok(array.along(last))
    }

    /// With spectra along another axis than the last; `None`: a grid of single values.
    pub fn along(self, spectrum: Option<usize>) -> Self {
        let others = (0..self.shape.len()).filter(|i| Some(*i) != spectrum).collect();
        self.ordered(others, spectrum)
    }

    /// With all other axes in the order given, the slowest first.
    pub fn ordered(self, navigation: Vec<usize>, spectrum: Option<usize>) -> Self {
        let grid = navigation.iter().filter_map(|&i| self.shape.get(i).copied()).collect();
        Self { spectrum, navigation, grid, ..self }
    }

    /// Lengths, slowest first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Reads one box of the navigation grid with whole spectra.
    fn read_box(
        &self,
        navigation: &[Range<usize>],
        take: &mut dyn FnMut(Block<'_>),
    ) -> Result<(), IoError> {
        let mut selection = SliceInfo::all(self.shape.len());
        for (axis, range) in self.navigation.iter().zip(navigation) {
            let (start, end) = (range.start as u64, range.end as u64);
            if let Some(element) = selection.selections.get_mut(*axis) {
                *element = SliceInfoElem::Slice { start, end, step: 1 };
            }
        }
        let order: Vec<usize> = self.navigation.iter().copied().chain(self.spectrum).collect();
        macro_rules! read {
            ($type:ty, $block:ident) => {{
                let values = self.data.read_slice::<$type>(&selection);
                let values = values.map_err(|e| fail(&self.input, &self.object, e))?;
                self.input.used(values.len() * size_of::<$type>());
                let values = values.permuted_axes(order);
                match values.as_slice() {
                    Some(values) => take(Block::$block(values)),
                    None => take(Block::$block(&values.iter().copied().collect::<Vec<_>>())),
                }
            }};
        }
        match self.stored {
            Stored::Bool if matches!(self.data.dtype(), Datatype::Enum { .. }) => {
                read!(u8, U8);
            }
            Stored::Bool | Stored::U8 => read!(u8, U8),
            Stored::U16 => read!(u16, U16),
            Stored::U32 => read!(u32, U32),
            Stored::U64 => read!(u64, U64),
            Stored::I8 => read!(i8, I8),
            Stored::I16 => read!(i16, I16),
            Stored::I32 => read!(i32, I32),
            Stored::I64 => read!(i64, I64),
            Stored::F32 => read!(f32, F32),
            Stored::F64 => read!(f64, F64),
        }
        Ok(())
    }
}

/// What is done with a box of a grid.
pub(crate) type Visit<'a, E> = dyn FnMut(&[Range<usize>]) -> Result<(), E> + 'a;

/// Cuts a range of rows into boxes of the grid, in order; calls `f` with each.
pub(crate) fn for_each_box<E>(
    grid: &[usize],
    range: Range<usize>,
    f: &mut Visit<'_, E>,
) -> Result<(), E> {
    fn cut<E>(
        grid: &[usize],
        range: Range<usize>,
        outer: &mut Vec<Range<usize>>,
        f: &mut Visit<'_, E>,
    ) -> Result<(), E> {
        if range.is_empty() {
            return Ok(());
        }
        let Some((_, inner)) = grid.split_first() else { return f(outer) };
        let size: usize = inner.iter().product();
        let mut go = |lines: Range<usize>, rows: Range<usize>, outer: &mut Vec<_>| {
            let depth = outer.len();
            outer.push(lines);
            let done = if rows == (0..size) {
                outer.extend(inner.iter().map(|&n| 0..n));
                f(outer)
            } else {
                cut(inner, rows, outer, f)
            };
            outer.truncate(depth);
            done
        };
        let (first, last) = (range.start / size, (range.end - 1) / size);
        if first == last {
            return go(
                first..first + 1,
                range.start - first * size..range.end - first * size,
                outer,
            );
        }
        let head = range.start - first * size;
        let tail = range.end - last * size;
        let full = first + usize::from(head > 0)..last + usize::from(tail == size);
        if head > 0 {
            go(first..first + 1, head..size, outer)?;
        }
        if !full.is_empty() {
            go(full, 0..size, outer)?;
        }
        if tail < size {
            go(last..last + 1, 0..tail, outer)?;
        }
        Ok(())
    }
    cut(grid, range, &mut Vec::new(), f)
}

impl Blocks for Hdf5Array {
    fn dtype(&self) -> Stored {
        self.stored
    }

    fn read(&self, range: Range<usize>, take: &mut dyn FnMut(Block<'_>)) -> Result<(), IoError> {
        for_each_box(&self.grid, range, &mut |part| self.read_box(part, take))
    }

    fn read_whole(&self, take: &mut dyn FnMut(Block<'_>)) -> Result<bool, IoError> {
        let order: Vec<usize> = self.navigation.iter().copied().chain(self.spectrum).collect();
        whole::read(&self.input, &self.object, &self.data, &self.shape, &order, take)
    }

    fn rows_at_once(&self) -> usize {
        let chunks = self.data.chunks().unwrap_or_default();
        let slowest = self.navigation.first().and_then(|&axis| chunks.get(axis));
        match (self.grid.split_first(), slowest) {
            (Some((&n, inner)), Some(&chunk)) => {
                (chunk as usize).clamp(1, n.max(1)).saturating_mul(inner.iter().product())
            }
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_cover_a_range_in_order() {
        for grid in [vec![], vec![7], vec![3, 5], vec![2, 3, 4]] {
            let rows: usize = grid.iter().product();
            for start in 0..rows {
                for end in start + 1..=rows {
                    let mut seen = Vec::new();
                    let mut boxes = 0;
                    for_each_box::<()>(&grid, start..end, &mut |part| {
                        boxes += 1;
                        assert_eq!(part.len(), grid.len());
                        let mut numbers = vec![0];
                        for (range, n) in part.iter().zip(&grid) {
                            numbers = numbers
                                .iter()
                                .flat_map(|outer| range.clone().map(move |i| outer * n + i))
                                .collect();
                        }
                        seen.extend(numbers);
                        Ok(())
                    })
                    .unwrap();
                    assert_eq!(seen, (start..end).collect::<Vec<_>>(), "{grid:?}");
                    assert!(boxes <= 2 * grid.len().max(1), "{boxes} of {grid:?}");
                }
            }
        }
    }
}
