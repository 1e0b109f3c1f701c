//! Standards: the same specimens on two instruments.

use kalpha_core::{CellBuffer, Rows, StepError};

/// Spectra of the same specimens on the instrument of a calibration (master) and on another one
/// (slave), in the same order; each specimens x channels, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Standards {
    /// Channels.
    pub channels: usize,
    /// On the instrument whose spectra are wanted.
    pub master: Vec<f64>,
    /// On the instrument whose spectra are to be transferred.
    pub slave: Vec<f64>,
}

/// Standards cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StandardsError {
    /// The two sets differ in size.
    #[error(
        "{master} values on the master and {slave} on the other instrument (hint: the same specimens, in the same order)"
    )]
    Unpaired {
        /// Values on the master.
        master: usize,
        /// Values on the other instrument.
        slave: usize,
    },
    /// Too few.
    #[error(
        "{got} standards, {needed} are needed (hint: measure more specimens on both instruments)"
    )]
    Few {
        /// Standards given.
        got: usize,
        /// Standards needed.
        needed: usize,
    },
    /// Values are not finite.
    #[error("a standard holds NaN or infinity (hint: leave it out on both instruments)")]
    NotFinite,
    /// All standards are alike.
    #[error(
        "the standards do not differ from each other (hint: choose specimens that span the range)"
    )]
    Alike,
}

impl Standards {
    /// Pairs two sets of spectra.
    ///
    /// # Errors
    /// When they are not pairs of finite spectra, or fewer than `needed`.
    pub fn new(
        master: Vec<f64>,
        slave: Vec<f64>,
        channels: usize,
        needed: usize,
    ) -> Result<Self, StandardsError> {
        if master.len() != slave.len() || channels == 0 || !master.len().is_multiple_of(channels) {
            return Err(StandardsError::Unpaired { master: master.len(), slave: slave.len() });
        }
        let got = master.len() / channels;
        if got < needed {
            return Err(StandardsError::Few { got, needed });
        }
        if master.iter().chain(&slave).any(|v| !v.is_finite()) {
            return Err(StandardsError::NotFinite);
        }
        Ok(Self { channels, master, slave })
    }

    /// Number of specimens.
    pub fn len(&self) -> usize {
        self.master.len() / self.channels
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.master.is_empty()
    }

    /// Those for which `keep` holds.
    #[must_use]
    pub fn subset(&self, keep: impl Fn(usize) -> bool) -> Self {
        let pick = |values: &[f64]| {
            values
                .chunks_exact(self.channels)
                .enumerate()
                .filter(|(i, _)| keep(*i))
                .flat_map(|(_, row)| row.iter().copied())
                .collect()
        };
        Self { channels: self.channels, master: pick(&self.master), slave: pick(&self.slave) }
    }
}

/// Mean of rows, and the rows less their mean.
pub(crate) fn centred(values: &[f64], channels: usize) -> (Vec<f64>, Vec<f64>) {
    let n = (values.len() / channels) as f64;
    let mut mean = vec![0.0; channels];
    for row in values.chunks_exact(channels) {
        mean.iter_mut().zip(row).for_each(|(m, v)| *m += v / n);
    }
    let less = values
        .chunks_exact(channels)
        .flat_map(|row| row.iter().zip(&mean).map(|(v, m)| v - m))
        .collect();
    (mean, less)
}

/// Folds of a cross-validation: which of five each of `n` standards belongs to, three times over
/// (every fifth, in blocks, mixed by a fixed stride).
pub(crate) fn partitions(n: usize) -> [Vec<usize>; 3] {
    let folds = 5.min(n);
    let stride = [7, 11, 13, 17].into_iter().find(|s| !n.is_multiple_of(*s)).unwrap_or(1);
    [
        (0..n).map(|i| i % folds).collect(),
        (0..n).map(|i| i * folds / n).collect(),
        (0..n).map(|i| (i * stride % n) * folds / n).collect(),
    ]
}

/// Row numbers written as `0-19, 25`.
///
/// # Errors
/// When the text is no list of rows, or one is beyond `rows`.
pub(crate) fn row_numbers(
    parameter: &'static str,
    text: &str,
    rows: usize,
) -> Result<Vec<usize>, StepError> {
    let wrong =
        |expected: String| StepError::Parameter { parameter, got: format!("{text:?}"), expected };
    let mut numbers = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (a, b) = part.split_once('-').unwrap_or((part, part));
        let parsed = (a.trim().parse::<usize>(), b.trim().parse::<usize>());
        let (Ok(a), Ok(b)) = parsed else {
            return Err(wrong("row numbers, such as 0-19, 25".into()));
        };
        if a > b || b >= rows {
            return Err(wrong(format!("ascending rows; there are {rows}, counted from 0")));
        }
        numbers.extend(a..=b);
    }
    match numbers.is_empty() {
        true => Err(wrong("the rows of the standards, such as 0-19".into())),
        false => Ok(numbers),
    }
}

/// The spectra of some rows.
///
/// # Errors
/// When they cannot be read.
pub(crate) fn spectra(rows: &Rows, numbers: &[usize]) -> Result<Vec<f64>, StepError> {
    let (mut buffer, mut values, mut all) = (CellBuffer::default(), Vec::new(), Vec::new());
    for &row in numbers {
        rows.cell(row..row + 1, &mut buffer)?.to_f64(&mut values);
        all.extend_from_slice(&values);
    }
    Ok(all)
}
