//! One test of all shapes.

use super::*;

/// Parameters a shape is tried at: what is seen of a peak, and a less symmetric neighbour.
fn trials(shape: &dyn LineShape) -> Vec<Vec<f64>> {
    let start = shape.start(Seen { center: 5.1, height: 7.0, fwhm: 1.3 });
    let mut other = start.clone();
    for (p, info) in other.iter_mut().zip(shape.parameters()) {
        *p = match info.role {
            Role::Share => 0.23,
            Role::Other => 0.17,
            _ => 1.1 * *p,
        };
    }
    vec![start, other]
}

#[test]
fn derivatives_are_those_of_the_values() {
    let x: Vec<f64> = (0..61).map(|i| 0.17 * f64::from(i)).collect();
    let m = x.len();
    // Scatterers have no values of their own: their test is that of a whole model.
    for shape in SHAPES.iter().filter(|s| s.scatterer().is_none()) {
        for p in trials(*shape) {
            let n = p.len();
            assert_eq!(n, shape.parameters().len(), "{}", shape.id());
            let (mut value, mut alone) = (vec![0.0; m], vec![0.0; m]);
            let mut slopes = vec![0.0; n * m];
            shape.evaluate(&x, &p, &mut value, Some(&mut slopes));
            shape.evaluate(&x, &p, &mut alone, None);
            assert_eq!(value, alone, "{}", shape.id());
            for k in 0..n {
                let step = 1e-5 * p[k].abs().max(0.1);
                let (mut up, mut down) = (p.clone(), p.clone());
                up[k] += step;
                down[k] -= step;
                let (mut ahead, mut behind) = (vec![0.0; m], vec![0.0; m]);
                shape.evaluate(&x, &up, &mut ahead, None);
                shape.evaluate(&x, &down, &mut behind, None);
                let column = &slopes[k * m..(k + 1) * m];
                let largest = column.iter().fold(0.0_f64, |a, v| a.max(v.abs()));
                assert!(largest > 0.0, "{} {k}", shape.id());
                for i in 0..m {
                    let want = (ahead[i] - behind[i]) / (up[k] - down[k]);
                    // Third derivatives times the square of the step, and rounding over it.
                    assert!(
                        (column[i] - want).abs() < 3e-8 * largest,
                        "{} parameter {k} at {}: {} {want}",
                        shape.id(),
                        x[i],
                        column[i]
                    );
                }
            }
        }
    }
}

#[test]
fn measures_are_those_of_the_curve() {
    // Wide and fine: Lorentzian tails beyond 4,000 widths hold 1e-4 of the area.
    let x: Vec<f64> = (0..2_000_001).map(|i| -5000.0 + 0.005 * f64::from(i)).collect();
    let mut value = vec![0.0; x.len()];
    for shape in SHAPES {
        for p in trials(*shape) {
            let Some(measures) = shape.measures(&p) else { continue };
            shape.evaluate(&x, &p, &mut value, None);
            let top = (0..x.len()).max_by(|a, b| value[*a].total_cmp(&value[*b])).unwrap();
            assert!((x[top] - measures.position).abs() < 0.006, "{} {measures:?}", shape.id());
            assert!((value[top] / measures.height - 1.0).abs() < 1e-4, "{}", shape.id());
            let half = 0.5 * value[top];
            let left = (0..top).rev().find(|i| value[*i] < half).unwrap();
            let right = (top..x.len()).find(|i| value[*i] < half).unwrap();
            let width = x[right] - x[left];
            assert!((width - measures.fwhm).abs() < 0.011, "{} {width} {measures:?}", shape.id());
            if measures.area.is_finite() {
                let area: f64 = value.iter().sum::<f64>() * 0.005;
                assert!((area / measures.area - 1.0).abs() < 4e-4, "{} {area}", shape.id());
            }
        }
    }
}

#[test]
fn unknown_shapes_are_listed() {
    let error = shape("gausian").unwrap_err().to_string();
    assert!(error.contains("gausian") && error.contains("pseudo_voigt"), "{error}");
}

#[test]
fn a_start_has_the_height_that_was_seen() {
    for shape in SHAPES.iter().filter(|s| s.is_peak()) {
        let start = shape.start(Seen { center: 5.0, height: 7.0, fwhm: 1.3 });
        let measures = shape.measures(&start).unwrap();
        assert!((measures.height / 7.0 - 1.0).abs() < 0.25, "{} {measures:?}", shape.id());
        assert!((measures.fwhm / 1.3 - 1.0).abs() < 0.25, "{} {measures:?}", shape.id());
    }
}
