//! What diffraction formats share: the angle axis, the wavelength, counts behind an absorber.

use crate::{
    Input, IoError,
    signal_list::{Signal, Whole, axis_of_points},
};
use kalpha_core::{Axis, Code, Diagnostic, Metadata, Modality, Unit};

/// Wavelengths in angstrom that a diffractometer or a beamline has.
const WAVELENGTHS: std::ops::Range<f64> = 0.01..30.0;

/// An axis of scattering angles in degree.
pub(crate) fn two_theta(points: Vec<f64>) -> Axis {
    axis_of_points("2theta", Unit::Degree2Theta, points)
}

/// `n` points from `start` in steps of `step`; single points need no step.
pub(crate) fn stepped(name: &str, unit: Unit, start: f64, step: f64, n: usize) -> Axis {
    Axis::linear(name, unit.clone(), start, step, n)
        .unwrap_or_else(|_| Axis::values(name, unit, vec![start; n]))
}

/// `n` points from `start` to `end`, both included.
pub(crate) fn spanned(name: &str, unit: Unit, start: f64, end: f64, n: usize) -> Axis {
    stepped(name, unit, start, (end - start) / n.saturating_sub(1).max(1) as f64, n)
}

/// The unit of an angle that is not 2 theta, or of any other drive.
pub(crate) fn drive_unit(unit: &str) -> Unit {
    match unit.trim() {
        "deg" | "\u{b0}" | "degree" | "Degree" => Unit::Other("degree".to_owned()),
        other => Unit::parse(other),
    }
}

/// A wavelength in angstrom, if the number can be one.
pub(crate) fn wavelength(number: f64) -> Option<f64> {
    WAVELENGTHS.contains(&number).then_some(number)
}

/// Metadata of a diffraction pattern.
pub(crate) fn metadata(wavelength: Option<f64>) -> Metadata {
    Metadata { modality: Some(Modality::Xrd), wavelength_a: wavelength, ..Metadata::default() }
}

/// Numbers between blanks; `offset` is where `text` starts in the file.
pub(crate) fn numbers(
    input: &Input,
    text: &str,
    offset: u64,
    field: &str,
) -> Result<Vec<f64>, IoError> {
    let start = text.as_ptr() as usize;
    text.split_ascii_whitespace()
        .map(|word| {
            word.parse().map_err(|_| {
                let at = offset + (word.as_ptr() as usize - start) as u64;
                input.corrupt(at, field, "a number", format!("{word:.40}"))
            })
        })
        .collect()
}

/// A pattern of which some points were measured behind an absorber.
///
/// `recorded` are the counts of the detector, `factors` what each was or is to be multiplied
/// with. The corrected pattern is what one expects to see; the counts stay at hand beside it.
/// Where no factor differs from one there is but one signal.
pub(crate) fn behind_absorber(
    name: &str,
    axis: Axis,
    recorded: Vec<f64>,
    factors: Option<&[f64]>,
    whole: Whole,
) -> Vec<Signal> {
    let factors = factors
        .filter(|f| f.len() == recorded.len() && f.iter().any(|x| *x != 1.0))
        .filter(|f| f.iter().all(|x| x.is_finite() && *x > 0.0));
    let Some(factors) = factors else {
        return vec![Signal::spectrum(name, axis, recorded, whole)];
    };
    let corrected = recorded.iter().zip(factors).map(|(y, f)| y * f).collect();
    let mut intensity = Signal::spectrum(name, axis.clone(), corrected, Whole::NoCounts);
    let message = "some points were measured behind an absorber: the intensities are multiplied \
                   by its factor and are no counts there";
    intensity.diagnostics.push(
        Diagnostic::note(Code::Assumed, message)
            .hint(format!("--signal \"{}\" reads the counts as recorded", counts_name(name))),
    );
    vec![intensity, Signal::spectrum(counts_name(name), axis, recorded, whole)]
}

/// Name of the counts beside a corrected pattern.
pub(crate) fn counts_name(name: &str) -> String {
    if name == "intensity" { "counts".to_owned() } else { format!("{name} counts") }
}

/// A wavelength in angstrom stated in a comment: `wavelength = 0.413909`.
pub(crate) fn stated_wavelength(line: &str) -> Option<f64> {
    let lower = line.to_ascii_lowercase();
    let rest = &lower[lower.find("wavelength")? + "wavelength".len()..];
    let number = rest
        .split(|c: char| !(c.is_ascii_digit() || c == '.'))
        .find(|word| word.contains('.') && word.len() > 2)?;
    number.parse().ok().and_then(wavelength)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wavelength_is_found_in_a_comment() {
        assert_eq!(stated_wavelength("# Calibrated wavelength = 0.413909 "), Some(0.413909));
        assert_eq!(stated_wavelength("; Wavelength (A): 1.5406, Ka1"), Some(1.5406));
        assert_eq!(stated_wavelength("wavelength unknown"), None);
        assert_eq!(stated_wavelength("wavelength 632.8 nm"), None);
    }

    #[test]
    fn an_absorber_gives_two_signals_and_none_gives_one() {
        let axis = two_theta(vec![1.0, 2.0, 3.0]);
        let counts = vec![4.0, 5.0, 6.0];
        let one = behind_absorber("intensity", axis.clone(), counts.clone(), None, Whole::Counts);
        assert_eq!(one.len(), 1);
        let factors = [1.0, 8.5, 1.0];
        let two = behind_absorber("intensity", axis, counts, Some(&factors), Whole::Counts);
        assert_eq!((two[0].values[1], two[1].values[1]), (42.5, 5.0));
        assert_eq!(two[1].name, "counts");
    }
}
