//! One file, whole or not at all.

use crate::IoError;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

pub(super) const HINT: &str = "check that the folder exists, is writable and has room";

pub(super) fn failed(path: &Path, source: io::Error) -> IoError {
    IoError::Write { path: path.to_owned(), source, hint: HINT }
}

/// A hidden name beside `path` that no other writer of this machine uses now.
pub(super) fn sibling(path: &Path, purpose: &str) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}-{number}.{purpose}", std::process::id()))
}

/// Makes a rename survive a power cut, where the system lets a folder be synced.
pub(super) fn sync_parent(path: &Path) {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Ok(folder) = File::open(parent) {
        let _ = folder.sync_all();
    }
}

/// Writes a file through `fill`: into a hidden sibling, synced, then renamed to `path`.
///
/// A file that was there is replaced; on any error it stays as it was and nothing is left.
///
/// # Errors
/// When the file cannot be created, written, synced or renamed.
pub fn write_file(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), IoError> {
    let temporary = sibling(path, "partial");
    let written = (|| {
        let file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
        let mut writer = BufWriter::with_capacity(1 << 16, file);
        fill(&mut writer)?;
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if let Err(source) = written {
        let _ = fs::remove_file(&temporary);
        return Err(failed(path, source));
    }
    sync_parent(path);
    Ok(())
}

/// Writes a file that is at hand as bytes. See [`write_file`].
///
/// # Errors
/// As [`write_file`].
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), IoError> {
    write_file(path, |w| w.write_all(bytes))
}
