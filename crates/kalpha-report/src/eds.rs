//! EDS spectrum images: one document, its faces.

mod document;
mod figures;

pub use document::{
    BackgroundEstimate, Bootstrap, Calibration, Composition, Convergence, Counts,
    CumulativeVariance, Dispersion, DocumentError, EdsDocument, Element, ElementFraction, Estimate,
    Flagged, FoundIn, Guard, Inflation, Intensity, Interval, KFactor, KFactorSource, LeftOut, Line,
    NotQuantified, Output, Phase, PixelSize, Quantification, Rank, Refit, Rejected, Role, Shape,
    SpecimenKind, Strobe, ThinningCurve, Truth, TruthRow,
};
pub use figures::{
    ColourScale, EdsFigures, FamilyCurve, FamilyKind, FlagSpectrum, LabelMap, MapFigure,
    PhaseSpectrum, ScreeFigure, SpectrumFigure,
};
