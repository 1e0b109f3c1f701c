//! Polynomial background in powers of the axis: `c0 + c1 x + c2 x² + c3 x³`.
//!
//! Names: `constant` (c0), `linear`, `quadratic`, `cubic`. Tested by the conformance test.

use super::*;

/// Polynomial of a degree up to three.
pub(super) struct Polynomial {
    pub(super) degree: usize,
}

const COEFFICIENTS: &[ShapeParameter] = &[
    ShapeParameter::new("c0", Role::Amplitude),
    ShapeParameter::new("c1", Role::Amplitude),
    ShapeParameter::new("c2", Role::Amplitude),
    ShapeParameter::new("c3", Role::Amplitude),
];

impl LineShape for Polynomial {
    fn id(&self) -> &'static str {
        ["constant", "linear", "quadratic", "cubic"][self.degree.min(3)]
    }

    fn about(&self) -> &'static str {
        ["c0", "c0 + c1 x", "c0 + c1 x + c2 x²", "c0 + c1 x + c2 x² + c3 x³"][self.degree.min(3)]
    }

    fn parameters(&self) -> &'static [ShapeParameter] {
        &COEFFICIENTS[..=self.degree.min(3)]
    }

    fn evaluate(&self, x: &[f64], p: &[f64], value: &mut [f64], slopes: Option<&mut [f64]>) {
        for (v, x) in value.iter_mut().zip(x) {
            *v = p.iter().rev().fold(0.0, |sum, c| sum * x + c);
        }
        if let Some(slopes) = slopes {
            let (first, mut rest) = slopes.split_at_mut(x.len());
            first.fill(1.0);
            let mut before: &[f64] = first;
            while !rest.is_empty() {
                let (column, later) = rest.split_at_mut(x.len());
                for ((s, x), b) in column.iter_mut().zip(x).zip(before) {
                    *s = x * b;
                }
                (before, rest) = (column, later);
            }
        }
    }

    fn start(&self, seen: Seen) -> Vec<f64> {
        let mut p = vec![0.0; self.degree + 1];
        p[0] = seen.height;
        p
    }

    fn measures(&self, _: &[f64]) -> Option<Measures> {
        None
    }

    fn is_peak(&self) -> bool {
        false
    }
}
