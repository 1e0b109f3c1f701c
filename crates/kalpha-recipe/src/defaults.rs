//! The recipe each modality runs without being told.

use crate::recipe::Recipe;

/// Names that `kalpha recipe new` knows.
pub const NAMES: &[&str] = &["eds"];

/// The default recipe called `name`.
pub fn recipe(name: &str) -> Option<Recipe> {
    match name {
        "eds" => Some(eds()),
        _ => None,
    }
}

/// EDS spectra and spectrum images.
pub fn eds() -> Recipe {
    Recipe::new("eds")
        .with("eds.strobe")
        .with("totals")
        .with("eds.calibrate")
        .with("eds.identify")
        .with("eds.family_fit")
        .with("eds.line_windows")
        .with("pca")
        .with("rank")
        .with("phases")
        .with("nmf")
        .with("rare")
        .with("reconstruction")
        .with("eds.phase_fit")
        .with("eds.cliff_lorimer")
}
