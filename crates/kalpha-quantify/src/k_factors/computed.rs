//! k-factors from first principles.

use super::{KFactor, KOrigin, LineName};
use crate::error::QuantifyError;
use kalpha_physics::detector::Detector;
use kalpha_physics::elements::element;
use kalpha_physics::ionization::alpha_production;
use kalpha_physics::lines::{Shell, line_energy};

/// k-factor of an alpha line such as `Fe_Ka`, on weight basis, for a thin film:
///
/// `k = M / (Q omega a epsilon)`
///
/// with molar mass `M` (g/mol), ionisation cross-section times yield times share of the line
/// `Q omega a` (1e-24 cm2, [`alpha_production`]) and the detector's efficiency `epsilon` at the
/// line. Only ratios matter. The sigma is the assumed one of the shell.
///
/// # Errors
/// [`QuantifyError::KFactorNotComputable`] where the tables do not reach or the beam does not
/// excite the line.
pub fn computed(
    line: &str,
    beam_energy: f64,
    detector: &Detector,
) -> Result<KFactor, QuantifyError> {
    let name: LineName = line.parse()?;
    let fail = |problem| QuantifyError::KFactorNotComputable { line: line.to_owned(), problem };
    let shell = match name.shell {
        'K' => Shell::K,
        'L' => Shell::L,
        _ => Shell::M,
    };
    let known = element(&name.element)
        .map_err(|_| QuantifyError::Element { symbol: name.element.clone() })?;
    let energy = line_energy(line).map_err(|_| fail("the line is not tabulated"))?;
    let production = alpha_production(&name.element, shell, beam_energy)
        .map_err(|_| fail("its cross-section or yield is not tabulated"))?;
    let efficiency = detector
        .efficiency(energy)
        .map_err(|_| fail("the detector's efficiency is not tabulated there"))?;
    let photons = production * efficiency;
    if !(photons > 0.0 && photons.is_finite()) {
        return Err(fail("the beam does not excite it, or the detector does not see it"));
    }
    KFactor::new(line, known.atomic_weight / (photons * 1e24), None, KOrigin::Computed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ratios to Fe Ka at 200 kV of k-factors delivered with the microscope that took the FePt
    /// data (Fe 1.450226, Pt 5.075602): computed ratios agree within the assumed sigma.
    #[test]
    fn platinum_over_iron_agrees_with_a_delivered_k_factor() {
        let detector = Detector::windowless();
        let k = |line| computed(line, 200.0, &detector).unwrap();
        let (fe, pt) = (k("Fe_Ka"), k("Pt_La"));
        let ratio = pt.value / fe.value;
        let delivered = 5.075602 / 1.450226;
        let sigma = delivered * fe.relative_sigma.hypot(pt.relative_sigma);
        assert!((ratio - delivered).abs() < sigma, "{ratio} {delivered} +- {sigma}");
        assert!(fe.assumed && fe.origin == KOrigin::Computed);
    }

    #[test]
    fn what_cannot_be_computed_says_why() {
        let detector = Detector::windowless();
        assert!(computed("Pt_Ka", 20.0, &detector).is_err());
        assert!(computed("Xx_Ka", 200.0, &detector).is_err());
        assert!(computed("FeKa", 200.0, &detector).is_err());
    }
}
