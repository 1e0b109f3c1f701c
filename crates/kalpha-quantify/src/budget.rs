//! Where the uncertainty of a quantity comes from.
//!
//! Shifts of the same cause add linearly and with their signs, over pixels, lines and elements;
//! different causes add in quadrature (GUM, JCGM 100:2008, 5.1 and 5.2). Every k-factor is a
//! cause of its own; for printing they are joined into one line.

use kalpha_core::{Cause, Quantity, Systematics};
use serde::{Deserialize, Serialize};

/// One line of a budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BudgetLine {
    /// Name of the part: `counting`, `background`, `k_factors`, `absorption`, `denoiser`, ...
    pub part: String,
    /// Standard deviation, in the unit of the quantity.
    pub sigma: f64,
    /// Its share of the total variance, 0 to 1.
    pub share: f64,
}

/// Splits the uncertainty of a measured quantity into its parts, largest first.
///
/// `None` for a limit. The squares of `sigma` add up to the square of [`Quantity::sigma`].
pub fn budget(quantity: &Quantity) -> Option<Vec<BudgetLine>> {
    let Quantity::Measured { stat, syst, .. } = quantity else { return None };
    let mut parts: Vec<(String, f64)> = vec![("counting".to_owned(), stat * stat)];
    for (cause, shift) in syst.iter() {
        let name = match cause {
            Cause::KFactor(_) => "k_factors".to_owned(),
            Cause::Other(name) if name == "mass_attenuation" => Cause::Absorption.to_string(),
            Cause::Other(name) if name.starts_with("cross_section:") => "cross_sections".to_owned(),
            other => other.to_string(),
        };
        match parts.iter_mut().find(|(part, _)| *part == name) {
            Some((_, variance)) => *variance += shift * shift,
            None => parts.push((name, shift * shift)),
        }
    }
    let total: f64 = parts.iter().map(|(_, variance)| variance).sum();
    let mut lines: Vec<BudgetLine> = parts
        .into_iter()
        .map(|(part, variance)| BudgetLine {
            part,
            sigma: variance.sqrt(),
            share: if total > 0.0 { variance / total } else { 0.0 },
        })
        .collect();
    lines.sort_by(|a, b| b.sigma.total_cmp(&a.sigma));
    Some(lines)
}

/// `sum_i weight_i * quantity_i` for terms with a counting covariance (`n x n`, row-major).
///
/// Use it for sums over elements of one composition, whose counting errors are correlated;
/// [`Quantity::combine`] is for independent terms. `None` if a term is a limit or the
/// covariance has another size.
pub fn combine_correlated(
    weights: &[f64],
    quantities: &[Quantity],
    covariance: &[f64],
) -> Option<Quantity> {
    let n = quantities.len();
    if weights.len() != n || covariance.len() != n * n {
        return None;
    }
    let (mut value, mut terms) = (0.0, Vec::with_capacity(n));
    for (&weight, quantity) in weights.iter().zip(quantities) {
        let Quantity::Measured { value: term, syst, .. } = quantity else { return None };
        value += weight * term;
        terms.push((weight, syst));
    }
    let mut variance = 0.0;
    for i in 0..n {
        for j in 0..n {
            variance += weights[i] * covariance[i * n + j] * weights[j];
        }
    }
    Some(Quantity::measured(value, variance.max(0.0).sqrt(), Systematics::combine(terms)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantity() -> Quantity {
        let syst = Systematics::none()
            .with(Cause::BackgroundModel, -1.0)
            .with(Cause::KFactor("Fe_Ka".into()), 3.0)
            .with(Cause::KFactor("Pt_La".into()), -4.0)
            .with(Cause::Absorption, 0.3)
            .with(Cause::Other("mass_attenuation".into()), 0.4)
            .with(Cause::Denoiser, 0.1);
        Quantity::measured(15.0, 2.0, syst)
    }

    #[test]
    fn parts_add_up_and_are_sorted() {
        let lines = budget(&quantity()).unwrap();
        let sigma = |part: &str| lines.iter().find(|l| l.part == part).unwrap().sigma;
        assert_eq!(lines[0].part, "k_factors");
        assert!((sigma("k_factors") - 5.0).abs() < 1e-12);
        assert!((sigma("counting") - 2.0).abs() < 1e-12);
        assert!((sigma("background") - 1.0).abs() < 1e-12);
        assert!((sigma("absorption") - 0.5).abs() < 1e-12);
        assert!((sigma("denoiser") - 0.1).abs() < 1e-12);
        let total: f64 = lines.iter().map(|l| l.sigma * l.sigma).sum();
        assert!((total.sqrt() - quantity().sigma().unwrap()).abs() < 1e-12);
        assert!((lines.iter().map(|l| l.share).sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn elements_of_one_composition_add_to_an_exact_hundred() {
        let side = |sign: f64| {
            let syst = Systematics::none().with(Cause::KFactor("Fe_Ka".into()), sign * 3.0);
            Quantity::measured(50.0 + sign * 10.0, 2.0, syst)
        };
        let covariance = [4.0, -4.0, -4.0, 4.0];
        let sum = combine_correlated(&[1.0, 1.0], &[side(1.0), side(-1.0)], &covariance).unwrap();
        assert_eq!(sum.value(), Some(100.0));
        assert_eq!(sum.sigma(), Some(0.0));
    }

    #[test]
    fn limits_have_no_budget() {
        let limit =
            Quantity::UpperLimit { limit: 1.0, confidence: 0.95, syst: Systematics::none() };
        assert_eq!(budget(&limit), None);
        assert_eq!(combine_correlated(&[1.0], &[limit], &[1.0]), None);
    }
}
