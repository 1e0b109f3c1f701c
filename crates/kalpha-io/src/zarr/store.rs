//! Where the parts of a Zarr hierarchy lie: in a folder, or in a ZIP file.

use crate::{Input, IoError, zip::Zip};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::PathBuf,
};

/// Metadata of one node holds at most so many bytes.
pub(super) const METADATA_BYTES: usize = 16 << 20;

/// A folder or a ZIP file of keys like `Experiments/a/data/0.0`.
#[derive(Clone, Debug)]
pub(crate) enum Store {
    Folder(Input),
    Zip(Zip),
}

impl Store {
    /// The store of an input, where it is one.
    pub fn open(input: &Input) -> Result<Self, IoError> {
        match input.is_folder() {
            true => Ok(Self::Folder(input.clone())),
            false => Zip::open(input).map(Self::Zip),
        }
    }

    fn path(input: &Input, key: &str) -> PathBuf {
        key.split('/')
            .filter(|part| !part.is_empty())
            .fold(input.path().to_owned(), |p, k| p.join(k))
    }

    fn file(input: &Input, key: &str) -> Result<Option<(File, u64)>, IoError> {
        let path = Self::path(input, key);
        let opened = File::open(&path).and_then(|file| {
            let metadata = file.metadata()?;
            Ok(metadata.is_file().then_some((file, metadata.len())))
        });
        match opened {
            Ok(opened) => Ok(opened),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(None),
                _ => Err(IoError::Open { file: path, source: error }),
            },
        }
    }

    /// The bytes under a key; `None` where there is none.
    pub fn get(&self, key: &str, limit: usize) -> Result<Option<Vec<u8>>, IoError> {
        match self {
            Self::Zip(zip) => Ok(zip.read(key, limit)?.map(|bytes| bytes.into_owned())),
            Self::Folder(input) => {
                let Some((file, length)) = Self::file(input, key)? else { return Ok(None) };
                if length > limit as u64 {
                    return Err(input.too_large(key, length, limit as u64));
                }
                let mut bytes = Vec::new();
                file.take(limit as u64)
                    .read_to_end(&mut bytes)
                    .map_err(|source| IoError::Open { file: Self::path(input, key), source })?;
                Ok(Some(bytes))
            }
        }
    }

    /// Length of what stands under a key.
    pub fn length(&self, key: &str) -> Result<Option<u64>, IoError> {
        match self {
            Self::Folder(input) => Ok(Self::file(input, key)?.map(|(_, length)| length)),
            Self::Zip(zip) => Ok(zip.stored(key)?.map(|range| range.len() as u64)),
        }
    }

    /// `length` bytes from `offset` on; the caller knows that they are there.
    pub fn part(&self, key: &str, offset: u64, length: usize) -> Result<Vec<u8>, IoError> {
        match self {
            Self::Folder(input) => {
                let missing = || io::Error::from(io::ErrorKind::NotFound);
                let fail = |source| IoError::Open { file: Self::path(input, key), source };
                let (mut file, _) = Self::file(input, key)?.ok_or_else(|| fail(missing()))?;
                file.seek(SeekFrom::Start(offset)).map_err(fail)?;
                let mut bytes = Vec::new();
                file.take(length as u64).read_to_end(&mut bytes).map_err(fail)?;
                Ok(bytes)
            }
            Self::Zip(zip) => zip.part(key, offset, length),
        }
    }

    /// Names of what stands directly under a key.
    pub fn children(&self, key: &str) -> Vec<String> {
        let found: BTreeSet<String> = match self {
            Self::Folder(input) => fs::read_dir(Self::path(input, key))
                .into_iter()
                .flatten()
                .flatten()
                .filter(|entry| entry.path().is_dir())
                .filter_map(|entry| entry.file_name().into_string().ok())
                .collect(),
            Self::Zip(zip) => {
                let prefix = if key.is_empty() { String::new() } else { format!("{key}/") };
                let inside = zip.names().filter_map(|name| name.strip_prefix(&prefix));
                inside
                    .filter_map(|rest| rest.split_once('/'))
                    .map(|(child, _)| child.to_owned())
                    .collect()
            }
        };
        found.into_iter().filter(|name| !name.is_empty() && !name.starts_with('.')).collect()
    }
}

/// Key of `name` under `path`.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
}
