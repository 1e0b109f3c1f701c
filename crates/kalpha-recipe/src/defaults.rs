//! The recipe each modality runs without being told.

use crate::recipe::Recipe;

/// Names that `kalpha recipe new` knows.
pub const NAMES: &[&str] = &["eds", "xps", "raman-peaks"];

/// The default recipe called `name`.
pub fn recipe(name: &str) -> Option<Recipe> {
    match name {
        "eds" => Some(eds()),
        "xps" => Some(xps()),
        "raman-peaks" => Some(raman_peaks()),
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

/// Photoelectron spectra: peaks on an active Shirley background over binding energy.
pub fn xps() -> Recipe {
    let recipe = Recipe::new("xps").with("xps.binding_energy").with("fit.peaks");
    let mut recipe = with_background(recipe.with("xps.quantify"), "shirley");
    // Photoelectron lines are narrower; what is wider is Auger lines and losses.
    for step in recipe.step.iter_mut().filter(|step| step.id == "fit.peaks") {
        step.params.insert("widest".to_owned(), 8.0.into());
    }
    recipe
}

/// Raman spectra: peaks on an automatic baseline.
pub fn raman_peaks() -> Recipe {
    let recipe = Recipe::new("raman-peaks").with("denoise.despike").with("baseline.auto");
    with_background(recipe.with("fit.peaks"), "constant")
}

/// What lies under the peaks of `fit.peaks`.
fn with_background(mut recipe: Recipe, background: &str) -> Recipe {
    for step in recipe.step.iter_mut().filter(|step| step.id == "fit.peaks") {
        step.params.insert("background".to_owned(), background.into());
    }
    recipe
}
