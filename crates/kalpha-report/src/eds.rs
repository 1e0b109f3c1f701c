//! EDS spectrum images: one document, its faces.

mod assemble;
mod document;
mod figures;
mod html;
mod image;
mod tables;
mod terminal;

pub use assemble::{AssembleError, assemble};
pub use document::{
    BackgroundEstimate, Bootstrap, Calibration, Composition, Convergence, Counts,
    CumulativeVariance, Dispersion, DocumentError, EdsDocument, Element, ElementFraction, Estimate,
    Flagged, FoundIn, Guard, Inflation, Intensity, Interval, KFactor, KFactorSource, LeftOut, Line,
    NotQuantified, Output, OwnEndMember, Phase, PixelSize, Quantification, Rank, Refit, Rejected,
    Role, Shape, SpecimenKind, Strobe, ThinningCurve, Truth, TruthRow,
};
pub use figures::{
    EdsFigures, FamilyCurve, FamilyKind, FlagSpectrum, LabelMap, MapFigure, PhaseSpectrum,
    ScreeFigure, SpectrumFigure,
};
pub use html::report_html;
pub use image::{PHASE_COLORS, label_png, label_raster, map_png};
pub use tables::{composition_csv, flagged_csv, intensities_csv, phases_csv};
pub use terminal::answer;
