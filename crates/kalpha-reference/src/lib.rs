//! Finds the reference data for tests.
//!
//! Peers' values and real files live outside the repository, in `$KALPHA_REFERENCE`
//! (default: `shared` beside the checkout). A test that needs them starts with
//!
//! ```no_run
//! # fn test() {
//! let Some(path) = kalpha_reference::path("data/eds/FePt_core_shell.hspy") else { return };
//! # }
//! ```
//!
//! Absent data skips the test with a message. With `KALPHA_REQUIRE_REFERENCE=1`, as in CI,
//! absence fails it.

use std::path::{Path, PathBuf};

/// The folder that holds the reference data, whether it exists or not.
pub fn root() -> PathBuf {
    match std::env::var_os("KALPHA_REFERENCE") {
        Some(dir) => PathBuf::from(dir),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
    }
}

/// The path of one reference file, or `None` (with a message) where it is absent.
///
/// # Panics
/// When the file is absent and `KALPHA_REQUIRE_REFERENCE=1`.
pub fn path(relative: &str) -> Option<PathBuf> {
    let path = root().join(relative);
    if path.exists() {
        return Some(path);
    }
    let required = std::env::var("KALPHA_REQUIRE_REFERENCE").is_ok_and(|v| v == "1");
    assert!(!required, "reference data missing: {}", path.display());
    eprintln!("skipped: {} is absent (set KALPHA_REFERENCE)", path.display());
    None
}
