//! Which quantification the specimen allows.
//!
//! Cliff-Lorimer ratios hold where electrons pass through the specimen and lose little energy.
//! In bulk they do not: absorption, atomic-number and fluorescence effects change intensities by
//! factors. A map of quartz measured at 20 kV in an SEM, quantified with thin-film k-factors,
//! would read 75 wt% Si instead of 47. So bulk and layered specimens are refused, and an unknown
//! one is asked for.

use crate::error::{NotQuantified, RefusalReason};
use kalpha_core::Specimen;

pub use kalpha_physics::specimen::{SpecimenDecision, decide};

/// Refuses what thin-film quantification cannot do.
///
/// # Errors
/// [`NotQuantified`] with the reason and what to do, unless the specimen is thin.
pub fn require_thin(decision: &SpecimenDecision) -> Result<(), NotQuantified> {
    let because = &decision.because;
    match decision.specimen {
        Some(Specimen::Thin) => Ok(()),
        Some(Specimen::Bulk) => Err(NotQuantified {
            reason: RefusalReason::Bulk,
            detail: format!(
                "{}: thin-film k-factors do not hold in bulk, where absorption and \
                 atomic-number effects change intensities by factors.",
                capitalised(because)
            ),
            hint: "Intensities, detection limits and phases are given; if the specimen is a \
                   film, say --specimen thin."
                .to_owned(),
        }),
        Some(Specimen::Layered) => Err(NotQuantified {
            reason: RefusalReason::Layered,
            detail: format!(
                "{}: lines of film and substrate mix, so neither thin-film nor bulk formulae hold.",
                capitalised(because)
            ),
            hint: "Intensities, detection limits and phases are given.".to_owned(),
        }),
        _ => Err(NotQuantified {
            reason: RefusalReason::UnknownSpecimen,
            detail: format!("{}.", capitalised(because)),
            hint: "Say --specimen thin, --specimen bulk or --specimen layered.".to_owned(),
        }),
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kalpha_core::{Metadata, Mode};

    fn metadata(mode: Option<Mode>, energy: Option<f64>, stated: Option<Specimen>) -> Metadata {
        Metadata {
            acquisition_mode: mode,
            beam_energy_kev: energy,
            specimen: stated,
            ..Metadata::default()
        }
    }

    #[test]
    fn evidence_decides() {
        use Specimen::{Bulk, Layered, Thin};
        for (mode, energy, stated, want) in [
            (Some(Mode::Stem), Some(200.0), None, Some(Thin)),
            (Some(Mode::Tem), None, None, Some(Thin)),
            (Some(Mode::Sem), Some(20.0), None, Some(Bulk)),
            (Some(Mode::Sem), None, None, Some(Bulk)),
            (Some(Mode::Sem), Some(200.0), None, None),
            (None, Some(200.0), None, Some(Thin)),
            (None, Some(20.0), None, None),
            (None, None, None, None),
            (Some(Mode::Sem), Some(15.0), Some(Layered), Some(Layered)),
            (Some(Mode::Sem), Some(30.0), Some(Thin), Some(Thin)),
        ] {
            let decision = decide(&metadata(mode, energy, stated));
            assert_eq!(decision.specimen, want, "{mode:?} {energy:?} {stated:?}");
            assert_eq!(decision.inferred, stated.is_none() && want.is_some());
        }
    }

    #[test]
    fn refusals_say_why_and_what_to_do() {
        let refuse = |mode, energy, stated| {
            require_thin(&decide(&metadata(mode, energy, stated))).unwrap_err()
        };
        let bulk = refuse(Some(Mode::Sem), Some(20.0), None);
        assert_eq!(bulk.reason.as_str(), "bulk");
        assert!(bulk.hint.contains("--specimen thin"));
        let layered = refuse(Some(Mode::Sem), Some(10.0), Some(Specimen::Layered));
        assert_eq!(layered.reason.as_str(), "layered");
        let unknown = refuse(None, Some(20.0), None);
        assert_eq!(unknown.reason.as_str(), "unknown_specimen");
        assert!(unknown.hint.contains("--specimen"));
        let thin = decide(&metadata(Some(Mode::Tem), Some(200.0), None));
        assert_eq!(require_thin(&thin), Ok(()));
    }
}
