//! `ImageTags` in the field's terms.
//!
//! | tag | meaning |
//! |---|---|
//! | Meta Data: Signal, Format | `EELS`, `X-ray`; `Spectrum`, `Spectrum image`, `Image` |
//! | Microscope Info: Voltage, Probe Current (nA), Illumination Mode, Stage Position | V, nA, degree |
//! | EDS: Live time, Real time, Detector Info | s, degree |
//! | EELS: Experimental Conditions, Acquisition | semi-angles in mrad, exposure in s |
//! | EELS Spectrometer: Instrument name | |

use kalpha_core::{Metadata, Modality, Mode};
use serde_json::Value;

/// Follows names through groups.
pub(super) fn at<'a>(tree: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(tree, |node, key| node.get(*key))
}

pub(super) fn text(tree: &Value, path: &[&str]) -> Option<String> {
    let text = at(tree, path)?.as_str()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

pub(super) fn number(tree: &Value, path: &[&str]) -> Option<f64> {
    at(tree, path)?.as_f64().filter(|x| x.is_finite())
}

fn positive(tree: &Value, path: &[&str]) -> Option<f64> {
    number(tree, path).filter(|x| *x > 0.0)
}

fn mode(tags: &Value) -> Option<Mode> {
    let said = |key| text(tags, &["Microscope Info", key]).unwrap_or_default().to_uppercase();
    let (illumination, operation) = (said("Illumination Mode"), said("Operation Mode"));
    if illumination.contains("STEM") || operation.contains("SCANNING") || operation == "STEM" {
        Some(Mode::Stem)
    } else if illumination.contains("TEM") || !illumination.is_empty() {
        Some(Mode::Tem)
    } else {
        None
    }
}

/// What the tags of an image say.
pub(super) fn metadata(tags: &Value, title: &str) -> Metadata {
    let modality = match text(tags, &["Meta Data", "Signal"]).as_deref() {
        Some("EELS") => Some(Modality::Eels),
        Some("X-ray") => Some(Modality::Eds),
        _ => None,
    };
    let eds = modality == Some(Modality::Eds);
    let angle = |key| number(tags, &["EDS", "Detector Info", key]);
    let conditions = |key| {
        positive(tags, &["EELS", "Experimental Conditions", key])
            .or_else(|| positive(tags, &["EELS", key]))
    };
    let microscope = |key| positive(tags, &["Microscope Info", key]);
    Metadata {
        title: (!title.is_empty()).then(|| title.to_owned()),
        modality,
        acquisition_mode: mode(tags),
        instrument: text(tags, &["Session Info", "Microscope"])
            .or_else(|| text(tags, &["Microscope Info", "Microscope"]))
            .or_else(|| text(tags, &["Microscope Info", "Name"])),
        beam_energy_kev: microscope("Voltage").map(|v| v / 1e3),
        beam_current_na: microscope("Probe Current (nA)"),
        live_time_s: positive(tags, &["EDS", "Live time"]),
        real_time_s: positive(tags, &["EDS", "Real time"]),
        elevation_angle: angle("Elevation angle"),
        azimuth_angle: angle("Azimuthal angle"),
        tilt_stage: number(tags, &["Microscope Info", "Stage Position", "Stage Alpha"]),
        detector: if eds {
            text(tags, &["EDS", "Detector Info", "Detector type"])
        } else {
            text(tags, &["EELS Spectrometer", "Instrument name"])
                .or_else(|| text(tags, &["Acquisition", "Device", "Name"]))
        },
        convergence_angle_mrad: conditions("Convergence semi-angle (mrad)"),
        collection_angle_mrad: conditions("Collection semi-angle (mrad)"),
        exposure_s: positive(tags, &["EELS", "Acquisition", "Exposure (s)"])
            .or_else(|| positive(tags, &["EELS", "Acquisition", "Integration time (s)"])),
        ..Metadata::default()
    }
}
