//! What the rare-phase guard found.

use super::{shape, values, whole};
use crate::colour_scale::ColourScale;
use crate::eds::assemble::AssembleError;
use crate::eds::{
    Bootstrap, EdsDocument, EdsFigures, FlagSpectrum, Flagged, Guard, Inflation, MapFigure,
    OwnEndMember, Refit,
};
use kalpha_core::{Artefact, CellBuffer, Dataset};
use kalpha_decompose::nmf_kl::EndMembers;
use kalpha_decompose::rare::{Flag, Flags, Test};
use kalpha_recipe::RunResult;

/// Flagged pixels whose spectra are drawn.
const SPECTRA: usize = 6;

pub(super) fn fill(
    result: &RunResult,
    dataset: &Dataset,
    doc: &mut EdsDocument,
    figures: &mut EdsFigures,
) -> Result<(), AssembleError> {
    let Some(found) = whole::<Flags>(result, "flags") else { return Ok(()) };
    doc.flagged = found.flags.iter().map(flagged).collect();
    doc.guard = Some(Guard {
        level: found.level,
        tests: found.tests,
        inflation: found
            .inflation
            .iter()
            .map(|i| Inflation {
                family: i.family.replace('_', " "),
                factor: i.measured.first().copied().unwrap_or(1.0),
            })
            .collect(),
        bootstrap: Some(Bootstrap {
            draws: found.bootstrap.maps,
            maps_with_flags: found.bootstrap.maps_with_flags,
            flags: found.bootstrap.flags,
        }),
        own_end_members: found
            .own
            .iter()
            .map(|own| OwnEndMember { elements: own.elements.clone(), pixels: own.rows.len() })
            .collect(),
        pile_up_counts: found.pile_up_counts,
    });
    if let Some(Artefact::Rows(rows)) = result.session.get("deviance")
        && rows.meta().rows > 1
    {
        let size = shape(dataset);
        figures.deviance = Some(MapFigure {
            name: "deviance".to_owned(),
            title: "Deviance".to_owned(),
            unit: "from the end-members".to_owned(),
            rows: size.rows,
            cols: size.cols,
            values: values(rows)?,
            scale: ColourScale::Sequential,
        });
    }
    if let (Some(Artefact::Rows(spectra)), Some(Artefact::Rows(abundances)), Some(members)) = (
        result.session.get("spectra"),
        result.session.get("abundances"),
        whole::<EndMembers>(result, "end_members"),
    ) {
        for flag in found.flags.iter().take(SPECTRA) {
            let mut counts = vec![0.0; members.channels];
            let mut expected = vec![0.0; members.channels];
            let mut buffer = CellBuffer::default();
            for row in flag.rows(found.grid[1]) {
                spectra.cell(row..row + 1, &mut buffer)?.for_each_nonzero(|_, c, x| counts[c] += x);
                abundances.cell(row..row + 1, &mut buffer)?.for_each_nonzero(|_, k, w| {
                    let h = members.spectrum(k);
                    expected.iter_mut().zip(h).for_each(|(m, h)| *m += w * h);
                });
            }
            figures.flagged.push(FlagSpectrum { pixel: flag.pixel, counts, expected });
        }
    }
    Ok(())
}

fn flagged(flag: &Flag) -> Flagged {
    Flagged {
        pixel: flag.pixel,
        element: Some(flag.element.clone()),
        family: Some(flag.family.replace('_', " ")),
        test: match flag.test {
            Test::Scan => "matched scan".to_owned(),
            Test::FlaggedFamily => "scan of flagged families".to_owned(),
            Test::OwnEndMember => "own end-member".to_owned(),
        },
        neighbourhood: flag.neighbourhood,
        counts: flag.counts,
        expected: flag.expected,
        p: flag.p,
        p_family_wise: flag.p_family_wise,
        refit: if flag.own.is_some() { Refit::OwnEndMember } else { Refit::RawCounts },
    }
}
