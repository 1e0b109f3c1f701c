//! Fitted curves for the figures.

use crate::eds::{FamilyCurve, FamilyKind, SpectrumFigure};
use kalpha_fit::eds::families::FamilyFit;
use kalpha_fit::eds::identify::{Identification, Role};

/// The fit of a spectrum over all channels; `per` divides counts (pixels of a phase).
pub(super) fn figure(
    counts: &[f64],
    fit: &FamilyFit,
    lines: &Identification,
    per: f64,
) -> SpectrumFigure {
    let n = counts.len();
    let curves = &fit.curves;
    let spread = |curve: &[f64], scale: f64| {
        let mut all = vec![0.0; n];
        for (slot, value) in all.iter_mut().skip(curves.first_channel).zip(curve) {
            *slot = value * scale;
        }
        all
    };
    let mut families: Vec<FamilyCurve> = fit
        .families
        .iter()
        .zip(&curves.families)
        .map(|(name, curve)| {
            let family = lines.families.iter().find(|f| f.name() == *name);
            let role = lines.elements.iter().find(|e| e.families.contains(name)).map(|e| e.role);
            FamilyCurve {
                name: family.map_or_else(|| name.clone(), |f| f.line_name()),
                kind: match role {
                    Some(Role::Specimen) => FamilyKind::Specimen,
                    _ => FamilyKind::Other,
                },
                energy_kev: family.map_or(0.0, |f| f.energy),
                curve: spread(curve, 1.0 / per),
            }
        })
        .collect();
    if fit.pileup.is_some() {
        let top = curves.pileup.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        families.push(FamilyCurve {
            name: "pile-up".to_owned(),
            kind: FamilyKind::Artefact,
            energy_kev: top.and_then(|(i, _)| curves.energies.get(i)).copied().unwrap_or(0.0),
            curve: spread(&curves.pileup, 1.0 / per),
        });
    }
    SpectrumFigure {
        counts: counts.iter().map(|c| c / per).collect(),
        model: Some(spread(&curves.total, 1.0 / per)),
        background: Some(spread(&curves.background, 1.0 / per)),
        families,
        residual: Some(spread(&curves.residual(), 1.0)),
    }
}
