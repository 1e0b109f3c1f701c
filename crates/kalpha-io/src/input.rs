//! A file whose bytes are at hand.

use crate::error::{DAMAGED, IoError};
use hdf5_reader::Hdf5File;
use kalpha_core::{Axis, AxisError, Buffer, RowsError, Source, Unit};
use std::{
    any::Any,
    fmt,
    fs::File,
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

/// A file and its bytes, memory-mapped or given.
#[derive(Clone, Debug)]
pub struct Input {
    path: PathBuf,
    bytes: Buffer<u8>,
    map: Option<Arc<Map>>,
    folder: bool,
    known: Arc<Known>,
}

/// What was found out about a file, for whoever wants it next: several readers look into it
/// before one reads it, each signal again.
#[derive(Default)]
pub(crate) struct Known {
    /// The file as HDF5.
    pub hdf5: OnceLock<Hdf5File>,
    /// What the reader of a format knows of all signals.
    contents: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Known")
    }
}

/// A mapped file whose pages are handed back to the system after use.
#[derive(Debug)]
struct Map {
    map: memmap2::Mmap,
    used: AtomicUsize,
}

/// So many mapped bytes may be held before they are handed back.
const MAPPED_BYTES: usize = 64 << 20;

/// Some of the bytes of a file.
struct Part {
    bytes: Buffer<u8>,
    range: Range<usize>,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(self.range.clone()).unwrap_or_default()
    }
}

struct Shared(Arc<Map>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0.map
    }
}

impl Input {
    /// Maps a file into memory.
    ///
    /// Pages are read when touched, so opening costs nothing. Who cuts a file short while it
    /// is mapped ends the program; every mapping reader has this trait.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn open(path: &Path) -> Result<Self, IoError> {
        let fail = |source| IoError::Open { file: path.to_owned(), source };
        let file = File::open(path).map_err(fail)?;
        let metadata = file.metadata().map_err(fail)?;
        if metadata.is_dir() {
            if !crate::zarr::HEADERS.iter().any(|name| path.join(name).is_file()) {
                return Err(fail(std::io::ErrorKind::IsADirectory.into()));
            }
            return Ok(Self {
                path: path.to_owned(),
                bytes: Vec::new().into(),
                map: None,
                folder: true,
                known: Arc::default(),
            });
        }
        if metadata.len() == 0 {
            return Ok(Self::from_bytes(path, Vec::new()));
        }
        // SAFETY: the map is read-only and shared; it stays valid while the file keeps its
        // length, which is the documented condition above.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(fail)?;
        let map = Arc::new(Map { map, used: AtomicUsize::new(0) });
        let bytes = Buffer::new(Shared(Arc::clone(&map)));
        let known = Arc::default();
        Ok(Self { path: path.to_owned(), bytes, map: Some(map), folder: false, known })
    }

    /// Bytes that are in memory already, under the name they would have as a file.
    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Self {
        let (bytes, known) = (Buffer::from(bytes), Arc::default());
        Self { path: path.to_owned(), bytes, map: None, folder: false, known }
    }

    /// A part of the file as a file of its own, without a copy; the caller has checked that it is
    /// there.
    pub(crate) fn part(&self, path: &Path, range: Range<usize>) -> Self {
        let part = Part { bytes: self.bytes.clone(), range };
        let (bytes, known) = (Buffer::new(part), Arc::default());
        Self { path: path.to_owned(), bytes, map: self.map.clone(), folder: false, known }
    }

    /// Tells that `bytes` of the file were read and will not be wanted soon.
    ///
    /// After every 64 MiB the pages of the map are handed back, so that the memory of the
    /// program does not grow with the file; who touches them again reads them again.
    pub(crate) fn used(&self, bytes: usize) {
        let Some(map) = &self.map else { return };
        let before = map.used.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) >= MAPPED_BYTES {
            map.used.store(0, Ordering::Relaxed);
            #[cfg(unix)]
            // SAFETY: the map is read-only and of a file: a page that is dropped is read from
            // the file again when it is touched, with the same bytes.
            let _ = unsafe { map.map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
        }
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes; cloning them is cheap.
    pub fn bytes(&self) -> &Buffer<u8> {
        &self.bytes
    }

    /// True for a folder that is one dataset, as Zarr has it; it has no bytes of its own.
    pub fn is_folder(&self) -> bool {
        self.folder
    }

    /// The extension, lower case; empty where there is none.
    pub fn extension(&self) -> String {
        self.path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default()
    }

    pub(crate) fn known(&self) -> &Known {
        &self.known
    }

    /// What the reader of a format knows of all signals, found once.
    ///
    /// # Errors
    /// When it cannot be found.
    pub(crate) fn contents<T: Send + Sync + 'static>(
        &self,
        find: impl FnOnce() -> Result<T, IoError>,
    ) -> Result<Arc<T>, IoError> {
        if let Some(known) = self.known.contents.get()
            && let Ok(known) = Arc::clone(known).downcast()
        {
            return Ok(known);
        }
        let found = Arc::new(find()?);
        // Another format of the same file may have been first.
        let _ = self.known.contents.set(Arc::clone(&found) as Arc<dyn Any + Send + Sync>);
        Ok(found)
    }

    /// The first bytes, at most `n`.
    pub fn head(&self, n: usize) -> &[u8] {
        &self.bytes[..n.min(self.bytes.len())]
    }

    /// Where a dataset made of this file comes from.
    pub(crate) fn source(&self, format: &str, version: Option<String>) -> Source {
        Source {
            path: self.path.to_string_lossy().into_owned(),
            format: format.to_owned(),
            version,
            bytes: (!self.folder).then_some(self.bytes.len() as u64),
            dtype: None,
            signal: None,
            history: Vec::new(),
        }
    }

    /// Refuses a signal by another name, for formats that hold one only.
    pub(crate) fn only_signal(
        &self,
        name: &str,
        options: &crate::OpenOptions,
    ) -> Result<(), IoError> {
        match &options.signal {
            Some(asked) if asked != name => Err(IoError::NoSignal {
                file: self.path.clone(),
                asked: asked.clone(),
                available: vec![name.to_owned()],
            }),
            _ => Ok(()),
        }
    }

    pub(crate) fn corrupt(
        &self,
        offset: u64,
        field: impl Into<String>,
        expected: impl Into<String>,
        got: impl ToString,
    ) -> IoError {
        IoError::Corrupt {
            file: self.path.clone(),
            offset,
            field: field.into(),
            expected: expected.into(),
            got: got.to_string(),
            hint: DAMAGED,
        }
    }

    pub(crate) fn too_large(&self, field: impl Into<String>, claimed: u64, limit: u64) -> IoError {
        IoError::TooLarge { file: self.path.clone(), field: field.into(), claimed, limit }
    }

    pub(crate) fn rows_error(&self, source: RowsError) -> IoError {
        IoError::Rows { file: self.path.clone(), source }
    }

    /// A linear axis, or the plain index where the file gives no usable calibration.
    ///
    /// Returns the axis and whether the calibration was usable.
    pub(crate) fn axis(
        &self,
        name: &str,
        unit: Unit,
        offset: f64,
        scale: f64,
        n: usize,
    ) -> (Axis, Option<AxisError>) {
        match Axis::linear(name, unit, offset, scale, n) {
            Ok(axis) => (axis, None),
            Err(error) => (Axis::index(name, n), Some(error)),
        }
    }
}
