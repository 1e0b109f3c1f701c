//! Elements, rejected candidates, calibration and intensities.

use crate::eds::{
    BackgroundEstimate, Calibration, EdsDocument, Element, Estimate, FoundIn, Intensity, Line,
    Rejected, Role,
};
use kalpha_core::{Axis, Cause, Quantity, Systematics};
use kalpha_fit::eds::families::FamilyEstimate;
use kalpha_fit::eds::identify::{self, Detected, Identification, Reason};
use kalpha_physics::elements::element;
use kalpha_physics::lines::LineFamily;

/// What identification found, in the document's terms.
pub(super) fn fill(lines: &Identification, axis: &Axis, given: &[String], doc: &mut EdsDocument) {
    doc.calibration = calibration(lines, axis);
    doc.elements = lines.elements.iter().map(|d| detected(d, lines, given)).collect();
    doc.elements.sort_by(|a, b| b.significance.total_cmp(&a.significance));
    doc.rejected = lines.rejected.iter().map(rejected).collect();
    doc.intensities = lines.fit.estimates.iter().map(intensity).collect();
}

/// Net counts of a family with their budget.
fn quantity(estimate: &FamilyEstimate) -> Quantity {
    let syst = Systematics::none()
        .with(Cause::BackgroundModel, estimate.background)
        .with(Cause::Calibration, estimate.calibration);
    Quantity::measured(estimate.counts, estimate.stat, syst)
}

/// A family's intensity as the document writes it.
pub(super) fn intensity(estimate: &FamilyEstimate) -> Intensity {
    let model = |(model, counts): &(kalpha_fit::eds::families::BackgroundModel, f64)| {
        BackgroundEstimate { model: model.to_string(), counts: *counts }
    };
    Intensity {
        family: estimate.line.clone(),
        counts: quantity(estimate),
        critical_level: Some(estimate.critical_level),
        detection_limit: Some(estimate.detection_limit),
        detected: estimate.counts > estimate.critical_level,
        by_background: estimate.by_background.iter().map(model).collect(),
    }
}

fn detected(found: &Detected, lines: &Identification, given: &[String]) -> Element {
    let estimate = lines.fit.estimate(&found.family);
    let family = lines.families.iter().find(|f| f.name() == found.family);
    let role = match found.role {
        identify::Role::Specimen => Role::Specimen,
        identify::Role::Grid => Role::Grid,
        identify::Role::Support => Role::Support,
        identify::Role::Instrument => Role::Detector,
    };
    Element {
        symbol: found.symbol.clone(),
        z: element(&found.symbol).map_or(0, |e| e.z as u8),
        family: estimate.map_or_else(|| found.family.clone(), |e| e.line.clone()),
        significance: found.significance,
        counts: estimate.map_or_else(
            || Quantity::measured(found.counts, found.sigma, Systematics::none()),
            quantity,
        ),
        found_in: if found.in_sum { FoundIn::Sum } else { FoundIn::MaxPixel },
        role,
        rule: match role {
            Role::Specimen => String::new(),
            _ => found.role.describe().to_owned(),
        },
        given: given.contains(&found.symbol),
        lines: family.map(members).unwrap_or_default(),
    }
}

/// Lines of a family, those above a thousandth of the strongest.
fn members(family: &LineFamily) -> Vec<Line> {
    let top = family.lines.iter().fold(f64::MIN_POSITIVE, |top, line| top.max(line.weight));
    family
        .lines
        .iter()
        .filter(|line| line.weight > 1e-3 * top)
        .map(|line| Line {
            name: format!("{}_{}", family.symbol, line.name),
            energy_kev: line.energy,
            relative: line.weight / top,
        })
        .collect()
}

fn rejected(candidate: &identify::Rejected) -> Rejected {
    let reason = match &candidate.reason {
        Reason::PileUp { lines: [a, b] } => {
            format!("what stands at {:.2} keV is pile-up of {a} and {b}", candidate.energy)
        }
        Reason::Escape { of } => {
            format!("what stands at {:.2} keV is the silicon escape peak of {of}", candidate.energy)
        }
        Reason::Overlap { with } => {
            format!("{with} covers its main line and explains the counts")
        }
        Reason::InnerFamilyMissing { family } => {
            format!("{family} is absent, which the beam must excite too")
        }
        Reason::Background => "the background models disagree about it".to_owned(),
        Reason::NotSignificant => "no counts above the background".to_owned(),
    };
    let significance = match (candidate.counts, candidate.stat) {
        (Some(counts), Some(stat)) if stat > 0.0 => Some(counts / stat),
        _ => None,
    };
    Rejected { candidate: candidate.family.replace('_', " "), reason, significance }
}

fn calibration(lines: &Identification, axis: &Axis) -> Calibration {
    if let Some(reason) = &lines.calibration_refused {
        return Calibration::Refused {
            reason: reason.clone(),
            hint: "check the residuals of the sum spectrum before trusting weak lines".to_owned(),
        };
    }
    let (Some(found), Some((offset, scale))) = (&lines.calibration, axis.offset_scale()) else {
        return Calibration::AsFile;
    };
    let ev = if axis.unit == kalpha_core::Unit::Ev { 1.0 } else { 1000.0 };
    let (shift, gain) = (found.offset, found.gain);
    let factor = 1.0 + gain.value;
    let resolution = found.resolution_mn_ka;
    Calibration::Fitted {
        offset_ev: Estimate {
            value: (offset * ev - shift.value * 1000.0) / factor,
            sigma: shift.sigma * 1000.0 / factor,
        },
        gain_ev: Estimate {
            value: scale * ev / factor,
            sigma: scale * ev * gain.sigma / factor.powi(2),
        },
        resolution_mn_ka_ev: Estimate { value: resolution.value, sigma: resolution.sigma },
        lines: lines.fit.estimates.iter().map(|e| e.line.clone()).collect(),
    }
}
