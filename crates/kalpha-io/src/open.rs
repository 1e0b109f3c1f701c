//! Opening a file whose format is found from its bytes and its name.

use crate::{
    error::IoError,
    format::{Confidence, FormatId, READERS, Reader, known_formats, reader},
    input::Input,
    series,
};
use kalpha_core::{
    Axis, Cell, CellBuffer, Code, CsrCounts, Dataset, Diagnostic, RowSource, Rows, RowsError,
    RowsMeta, Unit,
};
use std::{ops::Range, path::Path, str::FromStr, sync::Arc};

/// How to open a file.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// The format, where it shall not be guessed (`--format`).
    pub format: Option<FormatId>,
    /// The signal, where the file holds several (`--signal`); default: the first of spectra.
    pub signal: Option<String>,
    /// The axis along a spectrum, where the file gives none or a wrong one (`--energy-axis`).
    pub energy_axis: Option<EnergyAxis>,
}

/// The energy axis given by the user: `OFFSET,SCALE,UNIT`, or `UNIT` alone for the points of
/// the file.
///
/// ```
/// use kalpha_io::EnergyAxis;
/// let axis: EnergyAxis = "-0.47,0.01,keV".parse()?;
/// assert_eq!(axis.offset_scale, Some((-0.47, 0.01)));
/// let axis: EnergyAxis = "eV".parse()?;
/// assert_eq!(axis.offset_scale, None);
/// # Ok::<(), kalpha_io::IoError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct EnergyAxis {
    /// Energy of channel 0, and from one channel to the next; `None`: as in the file.
    pub offset_scale: Option<(f64, f64)>,
    /// Unit of both.
    pub unit: Unit,
}

impl FromStr for EnergyAxis {
    type Err = IoError;
    fn from_str(text: &str) -> Result<Self, IoError> {
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        let number = |text: &str| text.parse::<f64>().ok().filter(|x| x.is_finite());
        match parts[..] {
            [offset, scale, unit] => number(offset)
                .zip(number(scale).filter(|s| *s != 0.0))
                .map(|numbers| Self { offset_scale: Some(numbers), unit: Unit::parse(unit) }),
            [unit] if !unit.is_empty() && number(unit).is_none() => {
                Some(Self { offset_scale: None, unit: Unit::parse(unit) })
            }
            _ => None,
        }
        .ok_or_else(|| IoError::EnergyAxis { got: text.to_owned() })
    }
}

/// Rows under another signal axis or noise model.
pub(crate) struct Relabelled {
    pub meta: RowsMeta,
    pub source: Rows,
}

impl RowSource for Relabelled {
    fn meta(&self) -> &RowsMeta {
        &self.meta
    }

    fn cell<'a>(
        &'a self,
        range: Range<usize>,
        buffer: &'a mut CellBuffer,
    ) -> Result<Cell<'a>, RowsError> {
        self.source.cell(range, buffer)
    }

    fn as_csr(&self) -> Option<&CsrCounts> {
        self.source.as_csr()
    }
}

/// Puts the user's energy axis in the place of the file's.
fn relabel(mut dataset: Dataset, axis: &EnergyAxis, input: &Input) -> Result<Dataset, IoError> {
    let mut meta = dataset.rows.meta().clone();
    let EnergyAxis { offset_scale, unit } = axis;
    match offset_scale {
        Some((offset, scale)) => {
            meta.signal = Axis::linear("Energy", unit.clone(), *offset, *scale, meta.channels)
                .map_err(|error| {
                    let (file, source) = (input.path().to_owned(), Box::new(error));
                    IoError::Axis { file, source }
                })?;
        }
        None => {
            meta.signal.unit = unit.clone();
            if meta.signal.name == "x" && matches!(unit, Unit::Ev | Unit::KeV) {
                "Energy".clone_into(&mut meta.signal.name);
            }
        }
    }
    dataset.rows = Arc::new(Relabelled { meta, source: dataset.rows });
    let message = match offset_scale {
        Some((offset, scale)) => {
            format!("the energy axis is {offset} + {scale} i {}, as given", unit.symbol())
        }
        None => format!("the axis is in {}, as given", unit.symbol()),
    };
    dataset.diagnostics.push(Diagnostic::note(Code::Assumed, message));
    Ok(dataset)
}

/// Formats a file could have, the most plausible first.
///
/// # Errors
/// When the file cannot be read.
pub fn detect(path: &Path) -> Result<Vec<(FormatId, Confidence)>, IoError> {
    Ok(candidates(&representative(path)?))
}

pub(crate) fn candidates(input: &Input) -> Vec<(FormatId, Confidence)> {
    let mut found: Vec<_> = READERS
        .iter()
        .map(|r| (r.format(), r.recognise(input)))
        .filter(|(_, confidence)| *confidence > Confidence::No)
        .collect();
    found.sort_by_key(|(_, confidence)| std::cmp::Reverse(*confidence));
    found
}

/// The reader to use, and the formats the file could have as well.
fn choose(
    input: &Input,
    options: &OpenOptions,
) -> Result<(&'static dyn Reader, Vec<FormatId>), IoError> {
    let unknown =
        || IoError::UnknownFormat { file: input.path().to_owned(), known: known_formats() };
    if let Some(format) = options.format {
        return Ok((reader(format).ok_or_else(unknown)?, Vec::new()));
    }
    let found = candidates(input);
    let (format, best) = *found.first().ok_or_else(unknown)?;
    let rivals: Vec<_> = found.iter().filter(|(_, c)| *c == best).map(|(f, _)| *f).collect();
    if rivals.len() > 1 {
        return Err(IoError::Ambiguous { file: input.path().to_owned(), formats: rivals });
    }
    let others = found[1..].iter().filter(|(_, c)| *c >= Confidence::Likely).map(|(f, _)| *f);
    Ok((reader(format).ok_or_else(unknown)?, others.collect()))
}

/// Reads one signal of a file: counts or intensities with axes and metadata.
///
/// Sparse counts stay sparse, raw dense files stay memory-mapped. A folder of files, or a pattern
/// such as `scans/map_*.msa`, is a series: every file is a point of a new, slowest axis.
///
/// # Errors
/// When the file cannot be read, its format is unknown or ambiguous, or it is damaged. Any
/// bytes give a dataset or an error, never a panic.
pub fn open(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Dataset, IoError> {
    let path = path.as_ref();
    match series::files(path)? {
        Some(files) => series::open(path, &files, options),
        None => read(&Input::open(path)?, options),
    }
}

/// The file that stands for a path: itself, or the first of a series.
fn representative(path: &Path) -> Result<Input, IoError> {
    match series::files(path)?.and_then(|files| files.into_iter().next()) {
        Some(first) => Input::open(&first),
        None => Input::open(path),
    }
}

/// As [`open`], of bytes that are at hand already.
///
/// # Errors
/// As [`open`].
pub fn read(input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
    if input.bytes().is_empty() && !input.is_folder() {
        return Err(IoError::Empty { file: input.path().to_owned() });
    }
    let (reader, others) = choose(input, options)?;
    read_with(reader, &others, input, options)
}

/// Reads one signal, says what else the file could be, and puts the axis there that was given.
fn read_with(
    reader: &dyn Reader,
    others: &[FormatId],
    input: &Input,
    options: &OpenOptions,
) -> Result<Dataset, IoError> {
    let mut dataset = reader.read(input, options)?;
    if dataset.source.signal.is_none() {
        dataset.source.signal.clone_from(&options.signal);
    }
    for other in others {
        let message = format!("read as {}, but it could be {other} as well", reader.format());
        let hint = format!("--format {other} reads it so");
        dataset.diagnostics.push(Diagnostic::note(Code::Assumed, message).hint(hint));
    }
    match &options.energy_axis {
        Some(axis) => relabel(dataset, axis, input),
        None => Ok(dataset),
    }
}

/// Reads every signal of a file, in the order of [`signals`]; the file is opened once.
///
/// # Errors
/// As [`open`]. A series is one signal, which [`open`] reads.
pub fn open_all(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Vec<Dataset>, IoError> {
    let path = path.as_ref();
    if series::files(path)?.is_some() {
        return Ok(vec![open(path, options)?]);
    }
    let input = Input::open(path)?;
    if input.bytes().is_empty() && !input.is_folder() {
        return Err(IoError::Empty { file: path.to_owned() });
    }
    let (reader, others) = choose(&input, options)?;
    let names = reader.signals(&input)?.into_iter();
    let one = |name| OpenOptions { signal: Some(name), ..options.clone() };
    names.map(|name| read_with(reader, &others, &input, &one(name))).collect()
}

/// Names of the signals in a file, as [`OpenOptions::signal`] takes them.
///
/// # Errors
/// As [`open`].
pub fn signals(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Vec<String>, IoError> {
    let input = representative(path.as_ref())?;
    choose(&input, options)?.0.signals(&input)
}
