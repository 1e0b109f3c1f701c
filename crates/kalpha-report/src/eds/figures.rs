//! What the report draws and the JSON does not hold: spectra, maps, recipe, provenance.

use crate::colour_scale::ColourScale;

/// Everything the report draws. Empty or absent parts are left out of the report.
#[derive(Clone, Debug, Default)]
pub struct EdsFigures {
    /// Energies of the channels, keV.
    pub energies: Vec<f64>,
    /// Channels left out of every fit, first and last: the strobe peak.
    pub excluded: Option<(usize, usize)>,
    /// The sum of all pixels.
    pub sum: SpectrumFigure,
    /// Maximum of every channel over the pixels.
    pub max_pixel: Option<Vec<f64>>,
    /// Mean or summed spectra of the phases.
    pub phases: Vec<PhaseSpectrum>,
    /// Spectra of the flagged pixels, in the order of `EdsDocument::flagged`; may be fewer.
    pub flagged: Vec<FlagSpectrum>,
    /// Eigenvalues of the weighted counts.
    pub scree: Option<ScreeFigure>,
    /// Element maps and others, in the order shown.
    pub maps: Vec<MapFigure>,
    /// Which phase each pixel belongs to.
    pub labels: Option<LabelMap>,
    /// Poisson deviance per pixel.
    pub deviance: Option<MapFigure>,
    /// The resolved recipe.
    pub recipe_toml: String,
    /// The provenance.
    pub provenance_json: String,
}

/// A spectrum with its fit. Every curve has one value per channel.
#[derive(Clone, Debug, Default)]
pub struct SpectrumFigure {
    /// Counts.
    pub counts: Vec<f64>,
    /// Background and families together.
    pub model: Option<Vec<f64>>,
    /// The background.
    pub background: Option<Vec<f64>>,
    /// Each family alone, without background.
    pub families: Vec<FamilyCurve>,
    /// (counts - model) / sigma; 0 where a channel was not fitted.
    pub residual: Option<Vec<f64>>,
}

/// What a fitted family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FamilyKind {
    /// An element of the specimen.
    Specimen,
    /// Grid, support or detector: fitted, not quantified.
    Other,
    /// Pile-up, escape: made by the detector.
    Artefact,
}

/// A fitted line family.
#[derive(Clone, Debug)]
pub struct FamilyCurve {
    /// Name such as `Fe_Ka` or `Si+Si`.
    pub name: String,
    /// What it is.
    pub kind: FamilyKind,
    /// Energy of its strongest line, keV: where the label stands.
    pub energy_kev: f64,
    /// Counts per channel.
    pub curve: Vec<f64>,
}

/// The spectrum of a phase.
#[derive(Clone, Debug)]
pub struct PhaseSpectrum {
    /// `Phase::label`.
    pub label: usize,
    /// Counts per pixel, with fit.
    pub spectrum: SpectrumFigure,
}

/// The spectrum of a flagged pixel against what the model expects.
#[derive(Clone, Debug)]
pub struct FlagSpectrum {
    /// `[row, column]`, zero-based.
    pub pixel: [usize; 2],
    /// Counts of the neighbourhood.
    pub counts: Vec<f64>,
    /// Counts expected there.
    pub expected: Vec<f64>,
}

/// Eigenvalues, largest first.
#[derive(Clone, Debug, Default)]
pub struct ScreeFigure {
    /// Of the data.
    pub eigenvalues: Vec<f64>,
    /// Of noise alone (parallel analysis); may be empty.
    pub noise: Vec<f64>,
}

/// A map. Not-a-number is a pixel without a value.
#[derive(Clone, Debug, Default)]
pub struct MapFigure {
    /// File-name stem and identity, such as `Fe_Ka`.
    pub name: String,
    /// What it shows, such as `Fe Kα`.
    pub title: String,
    /// Unit of the values, such as `counts`.
    pub unit: String,
    /// Lines.
    pub rows: usize,
    /// Pixels of a line.
    pub cols: usize,
    /// Values, row after row.
    pub values: Vec<f64>,
    /// How values become colours.
    pub scale: ColourScale,
}

/// Which phase each pixel belongs to.
#[derive(Clone, Debug, Default)]
pub struct LabelMap {
    /// Lines.
    pub rows: usize,
    /// Pixels of a line.
    pub cols: usize,
    /// `Phase::label` of each pixel; `MIXED` on boundaries, `MASKED` where not used.
    pub labels: Vec<u16>,
}

impl LabelMap {
    /// A pixel on a boundary.
    pub const MIXED: u16 = u16::MAX;
    /// A pixel that was not used.
    pub const MASKED: u16 = u16::MAX - 1;
}
