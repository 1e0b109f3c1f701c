//! The registered steps of this room.
//!
//! | step | method |
//! |---|---|
//! | `eds.identify` | [`super::identify`] |
//! | `eds.family_fit` | [`super::families`] |
//! | `eds.line_windows` | [`super::windows`] |

mod family_fit;
mod identify;
mod line_windows;

pub use family_fit::{FamilyFitParams, FamilyFitStep, LineFits};
pub use identify::{IdentifyParams, IdentifyStep};
pub use line_windows::{LineWindowsParams, LineWindowsStep, WindowTable};

use kalpha_core::{Metadata, StepError};
use kalpha_physics::detector;
use kalpha_physics::elements::element;

/// Checks symbols the user typed; the error suggests the nearest element.
fn check_elements(symbols: &[String]) -> Result<(), StepError> {
    symbols.iter().try_for_each(|s| element(s).map(|_| ()).map_err(StepError::method))
}

/// Take-off angle in degrees: stated, or from elevation, azimuth and tilt; 35 where unknown.
fn take_off_angle(metadata: &Metadata) -> f64 {
    let known = metadata.take_off_angle.or_else(|| {
        let elevation = metadata.elevation_angle?;
        let (tilt, azimuth) = (metadata.tilt_stage, metadata.azimuth_angle);
        Some(detector::take_off_angle(tilt.unwrap_or(0.0), azimuth.unwrap_or(0.0), elevation, 0.0))
    });
    known.unwrap_or(35.0)
}
