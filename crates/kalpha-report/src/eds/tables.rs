//! The tables of an EDS run.

use super::document::{EdsDocument, Intensity, Quantification};
use crate::tables::{Csv, Field};
use kalpha_core::{Cause, Quantity, Systematics};
use std::collections::BTreeSet;

const WHOLE: &str = "whole map";

/// The parts of a quantity as columns: value, stat, syst, then one column per cause.
fn parts(quantity: &Quantity, causes: &[Cause]) -> Vec<Field> {
    let (value, stat, limit, syst) = match quantity {
        Quantity::Measured { value, stat, syst } => (Some(*value), Some(*stat), None, syst),
        Quantity::UpperLimit { limit, syst, .. } => (None, None, Some(*limit), syst),
    };
    let head = [value, stat, Some(syst.total()), limit];
    let shifts = causes.iter().map(|cause| Some(syst.shift(cause)));
    head.into_iter().chain(shifts).map(Field::from).collect()
}

fn header(names: &[&str], causes: &[Cause]) -> Vec<String> {
    let parts = ["value", "stat", "syst", "upper_limit"];
    let names = names.iter().chain(&parts).map(|name| (*name).to_owned());
    names.chain(causes.iter().map(|cause| format!("syst:{cause}"))).collect()
}

fn causes<'a>(quantities: impl IntoIterator<Item = &'a Quantity>) -> Vec<Cause> {
    let systematics = quantities.into_iter().map(|quantity| match quantity {
        Quantity::Measured { syst, .. } | Quantity::UpperLimit { syst, .. } => syst,
    });
    let causes: BTreeSet<Cause> =
        systematics.flat_map(Systematics::iter).map(|(cause, _)| cause.clone()).collect();
    causes.into_iter().collect()
}

/// Whole map and phases, with their names.
fn scopes<'a, T: ?Sized>(
    document: &'a EdsDocument,
    whole: &'a T,
    of_phase: impl Fn(&'a super::Phase) -> &'a T,
) -> Vec<(&'a str, &'a T)> {
    let phases = document.phases.iter().map(|phase| (phase.name.as_str(), of_phase(phase)));
    std::iter::once((WHOLE, whole)).chain(phases).collect()
}

/// Line intensities of the whole map and of every phase, with Currie's limits.
pub fn intensities_csv(document: &EdsDocument) -> String {
    let scopes: Vec<(&str, &[Intensity])> =
        scopes(document, document.intensities.as_slice(), |phase| phase.intensities.as_slice());
    let causes = causes(scopes.iter().flat_map(|(_, list)| *list).map(|i| &i.counts));
    let mut header = header(&["scope", "family", "unit"], &causes);
    header.extend(["critical_level", "detection_limit", "detected"].map(str::to_owned));
    let models: BTreeSet<&str> = scopes
        .iter()
        .flat_map(|(_, list)| *list)
        .flat_map(|i| &i.by_background)
        .map(|b| b.model.as_str())
        .collect();
    header.extend(models.iter().map(|model| format!("value:{model}")));
    let mut csv = Csv::new(&header);
    for (scope, list) in scopes {
        for intensity in list {
            let mut row =
                vec![scope.into(), intensity.family.as_str().into(), Field::from("counts")];
            row.extend(parts(&intensity.counts, &causes));
            row.push(intensity.critical_level.into());
            row.push(intensity.detection_limit.into());
            row.push(intensity.detected.into());
            row.extend(models.iter().map(|model| {
                let found = intensity.by_background.iter().find(|b| b.model == *model);
                Field::from(found.map(|b| b.counts))
            }));
            csv.row(row);
        }
    }
    csv.finish()
}

/// Compositions of the whole map and of every phase, in wt% and at.%; empty but for the
/// header where nothing was quantified.
pub fn composition_csv(document: &EdsDocument) -> String {
    let scopes: Vec<(&str, &Quantification)> =
        scopes(document, &document.quantification, |phase| &phase.quantification);
    let fractions = |(scope, quantification): &(&'_ str, &'_ Quantification)| {
        let elements = quantification.composition().map(|c| c.elements.clone());
        let scope = (*scope).to_owned();
        elements.unwrap_or_default().into_iter().map(move |element| (scope.clone(), element))
    };
    let rows: Vec<_> = scopes.iter().flat_map(fractions).collect();
    let causes = causes(rows.iter().flat_map(|(_, e)| [&e.weight_percent, &e.atomic_percent]));
    let mut csv = Csv::new(&header(&["scope", "element", "family", "unit"], &causes));
    for (scope, element) in &rows {
        for (unit, quantity) in
            [("wt%", &element.weight_percent), ("at.%", &element.atomic_percent)]
        {
            let mut row = vec![
                scope.as_str().into(),
                element.symbol.as_str().into(),
                element.family.as_str().into(),
                Field::from(unit),
            ];
            row.extend(parts(quantity, &causes));
            csv.row(row);
        }
    }
    csv.finish()
}

/// Phases with pixels and area fractions.
pub fn phases_csv(document: &EdsDocument) -> String {
    let mut csv = Csv::new(&[
        "name",
        "label",
        "color",
        "pixels",
        "area_fraction",
        "lower",
        "upper",
        "confidence",
    ]);
    for phase in &document.phases {
        let area = &phase.area_fraction;
        csv.row([
            phase.name.as_str().into(),
            phase.label.into(),
            phase.color.as_str().into(),
            phase.pixels.into(),
            area.value.into(),
            area.lower.into(),
            area.upper.into(),
            area.confidence.into(),
        ]);
    }
    csv.finish()
}

/// Flagged pixels.
pub fn flagged_csv(document: &EdsDocument) -> String {
    let mut csv = Csv::new(&[
        "row",
        "col",
        "rows",
        "cols",
        "element",
        "family",
        "test",
        "counts",
        "expected",
        "p",
        "p_family_wise",
        "refit",
    ]);
    for flag in &document.flagged {
        csv.row([
            flag.pixel[0].into(),
            flag.pixel[1].into(),
            flag.neighbourhood[0].into(),
            flag.neighbourhood[1].into(),
            flag.element.as_deref().unwrap_or_default().into(),
            flag.family.as_deref().unwrap_or_default().into(),
            flag.test.as_str().into(),
            flag.counts.into(),
            flag.expected.into(),
            flag.p.into(),
            flag.p_family_wise.into(),
            flag.refit.as_str().into(),
        ]);
    }
    csv.finish()
}
