//! Bremsstrahlung background: the physical continuum times a polynomial.
//!
//! `B(E) = sum_k c_k P_k(x) K(E)`, with K the Kramers-Lifshin continuum after self-absorption
//! and detector (blurred by the resolution, so that absorption edges are as wide as in the
//! data), P_k the Legendre polynomials and x the energy mapped to [-1, 1] over the fitted
//! range. The columns enter a linear fit together with the lines.

pub mod step;

use kalpha_physics::PhysicsError;
use kalpha_physics::bremsstrahlung::{Source, continuum_basis};
use kalpha_physics::detector::Detector;
use kalpha_physics::profile::PeakShape;

/// Background columns for a linear fit, `degree + 1` of them, counts per channel up to a
/// factor.
///
/// `energies` are channel centres in keV; the polynomial variable covers `low` to `high` keV.
///
/// # Errors
/// Those of [`continuum_basis`].
pub fn continuum_columns(
    energies: &[f64],
    beam_energy: f64,
    source: &Source,
    detector: &Detector,
    shape: &PeakShape,
    degree: usize,
    low: f64,
    high: f64,
) -> Result<Vec<Vec<f64>>, PhysicsError> {
    let [kramers, _] = continuum_basis(energies, beam_energy, source, detector)?;
    let blurred = shape.blur(energies, &kramers);
    let mut columns = Vec::with_capacity(degree + 1);
    for k in 0..=degree {
        let column = energies.iter().zip(&blurred).map(|(&e, &b)| {
            let x = (2.0 * e - low - high) / (high - low);
            b * legendre(k, x)
        });
        columns.push(column.collect());
    }
    Ok(columns)
}

fn legendre(k: usize, x: f64) -> f64 {
    let (mut previous, mut current) = (1.0, x);
    if k == 0 {
        return 1.0;
    }
    for n in 1..k {
        let n = n as f64;
        let next = ((2.0 * n + 1.0) * x * current - n * previous) / (n + 1.0);
        (previous, current) = (current, next);
    }
    current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legendre_polynomials() {
        for x in [-0.9, 0.0, 0.3, 1.0] {
            assert_eq!(legendre(0, x), 1.0);
            assert_eq!(legendre(1, x), x);
            assert!((legendre(2, x) - (1.5 * x * x - 0.5)).abs() < 1e-15);
            assert!((legendre(3, x) - (2.5 * x * x * x - 1.5 * x)).abs() < 1e-15);
        }
    }

    #[test]
    fn columns_are_smooth_over_an_edge() {
        let e: Vec<f64> = (0..1200).map(|i| 0.1 + 0.01 * f64::from(i)).collect();
        let source =
            Source::Bulk { mass_fractions: vec![("Fe".into(), 1.0)], take_off_angle: 35.0 };
        let d = Detector::polymer_window();
        let shape = PeakShape::gaussian(130.0);
        let c = continuum_columns(&e, 20.0, &source, &d, &shape, 2, 0.2, 12.0).unwrap();
        assert_eq!(c.len(), 3);
        let [raw, _] = continuum_basis(&e, 20.0, &source, &d).unwrap();
        let jump = |v: &[f64]| {
            v.windows(2)
                .zip(&e)
                .filter(|(_, x)| (6.9..7.3).contains(*x))
                .map(|(w, _)| (w[1] / w[0] - 1.0).abs())
                .fold(0.0, f64::max)
        };
        assert!(jump(&raw) > 0.1 && jump(&c[0]) < 0.03);
    }
}
