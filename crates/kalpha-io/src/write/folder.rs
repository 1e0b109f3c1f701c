//! A folder of results, whole or not at all.

use super::file::{failed, sibling, sync_parent};
use crate::IoError;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The file that marks a folder as ours. Its text names kalpha (`"kalpha`).
const MARK: &str = "provenance.json";

/// A folder being made beside its target and renamed into place by [`OutputFolder::commit`].
///
/// Dropped without commit, it removes what was written. A folder that was there is replaced
/// only if it is empty or holds our `provenance.json`, or if forced.
#[derive(Debug)]
pub struct OutputFolder {
    target: PathBuf,
    temporary: PathBuf,
    made_parents: Vec<PathBuf>,
    force: bool,
    committed: bool,
}

impl OutputFolder {
    /// Starts a folder that shall become `target`; missing parents are made.
    ///
    /// # Errors
    /// [`IoError::ForeignFolder`] when `target` holds something that is not ours and `force` is
    /// not set, [`IoError::Write`] when the system refuses.
    pub fn create(target: impl AsRef<Path>, force: bool) -> Result<Self, IoError> {
        let target =
            std::path::absolute(target.as_ref()).map_err(|e| failed(target.as_ref(), e))?;
        check_target(&target, force)?;
        let temporary = sibling(&target, "partial");
        let mut folder =
            Self { target, temporary, made_parents: Vec::new(), force, committed: false };
        folder.make_parents()?;
        fs::create_dir(&folder.temporary).map_err(|e| failed(&folder.target, e))?;
        Ok(folder)
    }

    fn make_parents(&mut self) -> Result<(), IoError> {
        let missing: Vec<PathBuf> = self
            .target
            .ancestors()
            .skip(1)
            .take_while(|parent| !parent.exists())
            .map(Path::to_owned)
            .collect();
        for parent in missing.into_iter().rev() {
            fs::create_dir(&parent).map_err(|e| failed(&self.target, e))?;
            self.made_parents.push(parent);
        }
        Ok(())
    }

    /// Where to write now.
    pub fn path(&self) -> &Path {
        &self.temporary
    }

    /// The final path.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Removes what was written so far, from any thread; for a process that ends at once.
    pub fn abandon(&self) -> impl Fn() + Send + 'static {
        let (temporary, parents) = (self.temporary.clone(), self.made_parents.clone());
        move || remove(&temporary, &parents)
    }

    /// Renames the folder into place and returns its final path.
    ///
    /// A folder that was there is moved aside first and removed afterwards, or moved back when
    /// the rename fails.
    ///
    /// # Errors
    /// As [`OutputFolder::create`].
    pub fn commit(mut self) -> Result<PathBuf, IoError> {
        check_target(&self.target, self.force)?;
        let old = sibling(&self.target, "old");
        let replaced = self.target.exists();
        if replaced {
            fs::rename(&self.target, &old).map_err(|e| failed(&self.target, e))?;
        }
        if let Err(source) = fs::rename(&self.temporary, &self.target) {
            if replaced {
                let _ = fs::rename(&old, &self.target);
            }
            return Err(failed(&self.target, source));
        }
        self.committed = true;
        sync_parent(&self.target);
        if replaced {
            fs::remove_dir_all(&old).map_err(|e| failed(&old, e))?;
        }
        Ok(self.target.clone())
    }
}

impl Drop for OutputFolder {
    fn drop(&mut self) {
        if self.committed {
            return;
        }
        remove(&self.temporary, &self.made_parents);
    }
}

fn remove(temporary: &Path, made_parents: &[PathBuf]) {
    // Another thread may still be writing into it.
    for _ in 0..10 {
        if fs::remove_dir_all(temporary).is_ok() || !temporary.exists() {
            break;
        }
    }
    // Only empty folders go: somebody else may have used them meanwhile.
    for parent in made_parents.iter().rev() {
        let _ = fs::remove_dir(parent);
    }
}

/// Refuses a target that must not be replaced.
fn check_target(target: &Path, force: bool) -> Result<(), IoError> {
    let refuse = |kind: io::ErrorKind, hint| {
        Err(IoError::Write { path: target.to_owned(), source: kind.into(), hint })
    };
    let own = "give the results a folder of their own";
    if target.file_name().is_none() {
        return refuse(io::ErrorKind::InvalidInput, own);
    }
    let metadata = match fs::symlink_metadata(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(target, error)),
        Ok(metadata) => metadata,
    };
    if !metadata.is_dir() {
        return refuse(io::ErrorKind::NotADirectory, own);
    }
    // Even forced, never the folder somebody works in or lives in.
    let inside = |path: Option<PathBuf>| {
        path.and_then(|p| p.canonicalize().ok())
            .is_some_and(|p| target.canonicalize().is_ok_and(|t| p.starts_with(t)))
    };
    let home = std::env::var_os("HOME").filter(|h| !h.is_empty()).map(PathBuf::from);
    if inside(std::env::current_dir().ok()) || inside(home) {
        return refuse(io::ErrorKind::InvalidInput, own);
    }
    let mut entries = fs::read_dir(target).map_err(|e| failed(target, e))?;
    if force || entries.next().is_none() || is_ours(target) {
        return Ok(());
    }
    Err(IoError::ForeignFolder { path: target.to_owned() })
}

fn is_ours(folder: &Path) -> bool {
    fs::read_to_string(folder.join(MARK)).is_ok_and(|text| text.contains("\"kalpha"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    fn fill(folder: &OutputFolder, text: &str) {
        fs::write(folder.path().join(MARK), "{\"kalpha\": 1}").unwrap();
        fs::write(folder.path().join("answer"), text).unwrap();
    }

    #[test]
    fn a_folder_appears_only_when_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a/b/out");
        let folder = OutputFolder::create(&target, false).unwrap();
        fill(&folder, "1");
        assert!(!target.exists());
        drop(folder);
        assert_eq!(listing(dir.path()), [""; 0]);
        let folder = OutputFolder::create(&target, false).unwrap();
        fill(&folder, "1");
        assert_eq!(folder.commit().unwrap(), target);
        assert_eq!(listing(&dir.path().join("a/b")), ["out"]);
    }

    #[test]
    fn ours_is_replaced_and_others_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out");
        for text in ["1", "2"] {
            let folder = OutputFolder::create(&target, false).unwrap();
            fill(&folder, text);
            folder.commit().unwrap();
        }
        assert_eq!(fs::read_to_string(target.join("answer")).unwrap(), "2");
        assert_eq!(listing(dir.path()), ["out"]);

        let foreign = dir.path().join("thesis");
        fs::create_dir(&foreign).unwrap();
        fs::write(foreign.join("chapter"), "years of work").unwrap();
        let error = OutputFolder::create(&foreign, false).unwrap_err();
        assert!(matches!(error, IoError::ForeignFolder { .. }));
        assert!(error.to_string().contains("--force"), "{error}");
        fs::write(foreign.join(MARK), "{\"tool\": \"another\"}").unwrap();
        assert!(OutputFolder::create(&foreign, false).is_err());
        assert_eq!(listing(&foreign), ["chapter", MARK]);
        let folder = OutputFolder::create(&foreign, true).unwrap();
        fill(&folder, "3");
        folder.commit().unwrap();
        assert_eq!(listing(&foreign), ["answer", MARK]);
    }

    #[test]
    fn a_folder_that_turned_foreign_meanwhile_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out");
        let folder = OutputFolder::create(&target, false).unwrap();
        fill(&folder, "1");
        fs::create_dir(&target).unwrap();
        fs::write(target.join("chapter"), "x").unwrap();
        assert!(folder.commit().is_err());
        assert_eq!(listing(&target), ["chapter"]);
        assert_eq!(listing(dir.path()), ["out"]);
    }

    #[test]
    fn files_and_folders_people_live_in_are_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(OutputFolder::create(&file, true).is_err());
        assert!(OutputFolder::create(std::env::current_dir().unwrap(), true).is_err());
        assert!(OutputFolder::create("/", true).is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "x");
    }
}
