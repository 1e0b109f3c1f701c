//! Bounds, losses, what is not identified.

use super::*;

fn decay(x: &[f64], r: &mut [f64]) {
    for (i, r) in r.iter_mut().enumerate() {
        let t = 0.2 * i as f64;
        *r = x[0] * (-x[1] * t).exp() - 3.0 * (-0.7 * t).exp();
    }
}

#[test]
fn differences_find_the_same_minimum() {
    let mut x = [1.0, 2.0];
    let mut problem = Numerical::new(decay, 1e-3);
    let minimum = LevenbergMarquardt::new()
        .minimise(&mut problem, &mut x, 20, Bounds::NONE, &Options::default())
        .unwrap();
    assert!(minimum.reason.converged(), "{minimum:?}");
    assert!((x[0] - 3.0).abs() < 1e-9 && (x[1] - 0.7).abs() < 1e-9, "{x:?}");
}

#[test]
fn a_bound_is_kept_and_the_rest_is_the_minimum_on_it() {
    let upper = [f64::INFINITY, 0.5];
    let bounds = Bounds { lower: &[], upper: &upper };
    let mut solver = LevenbergMarquardt::new();
    let mut x = [10.0, 0.2];
    let mut problem = Numerical::new(decay, 1e-3);
    let options = Options::default();
    let found = solver.minimise(&mut problem, &mut x, 20, bounds, &options).unwrap();
    assert!(found.reason.converged() && x[1] == 0.5, "{found:?} {x:?}");
    // With the rate held the amplitude is a linear fit.
    let (mut up, mut down) = (0.0, 0.0);
    for i in 0..20 {
        let t = 0.2 * f64::from(i);
        let column = (-0.5 * t).exp();
        up += column * 3.0 * (-0.7 * t).exp();
        down += column * column;
    }
    assert!((x[0] - up / down).abs() < 1e-9, "{x:?}");
    let covariance = solver.covariance(&mut problem, &x, 20, bounds).unwrap();
    assert_eq!(covariance.at_bound, [false, true]);
    assert!((covariance.sigma(0) - down.sqrt().recip()).abs() < 1e-8);
    assert!(covariance.sigma(1).is_nan() && covariance.unidentified == [false, false]);
    let mut matrix = [0.0; 4];
    assert!(solver.covariance_into(&mut problem, &x, 20, bounds, &mut matrix));
    assert_eq!(matrix[1..], [0.0; 3]);
    assert!((matrix[0].sqrt() / covariance.sigma(0) - 1.0).abs() < 1e-9);
    // Without the bound: both, as the other way.
    let free = solver.covariance(&mut problem, &x, 20, Bounds::NONE).unwrap();
    assert!(solver.covariance_into(&mut problem, &x, 20, Bounds::NONE, &mut matrix));
    for (a, b) in matrix.iter().zip(&free.matrix) {
        assert!((a / b - 1.0).abs() < 1e-9, "{matrix:?} {free:?}");
    }
}

#[test]
fn what_is_not_identified_is_named() {
    // Only the sum of the first two matters, the fourth not at all.
    let mut problem = Numerical::new(
        |x: &[f64], r: &mut [f64]| {
            for (i, r) in r.iter_mut().enumerate() {
                *r = (x[0] + x[1]) * i as f64 + x[2] - 2.0 * i as f64 - 5.0;
            }
        },
        1.0,
    );
    let mut x = [0.3, 0.1, 1.0, 7.0];
    let mut solver = LevenbergMarquardt::new();
    let found =
        solver.minimise(&mut problem, &mut x, 9, Bounds::NONE, &Options::default()).unwrap();
    assert!(found.objective < 1e-18, "{found:?}");
    let covariance = solver.covariance(&mut problem, &x, 9, Bounds::NONE).unwrap();
    assert_eq!(covariance.unidentified, [true, true, false, true]);
    assert!(covariance.sigma(0).is_nan() && covariance.sigma(2).is_finite());
    let mut matrix = [0.0; 16];
    assert!(!solver.covariance_into(&mut problem, &x, 9, Bounds::NONE, &mut matrix));
    assert!(matrix.iter().all(|v| v.is_nan()));
}

#[test]
fn what_cannot_be_minimised_is_refused() {
    let mut solver = LevenbergMarquardt::new();
    let options = Options::default();
    let mut nothing = Numerical::new(|_: &[f64], r: &mut [f64]| r.fill(f64::NAN), 1.0);
    let error = solver.minimise(&mut nothing, &mut [1.0], 3, Bounds::NONE, &options);
    assert_eq!(error, Err(LeastSquaresError::NotFinite));
    let mut problem = Numerical::new(decay, 1.0);
    let error = solver.minimise(&mut problem, &mut [1.0, 1.0], 1, Bounds::NONE, &options);
    assert_eq!(error, Err(LeastSquaresError::Few { residuals: 1, parameters: 2 }));
    let bounds = Bounds { lower: &[0.0, 2.0], upper: &[1.0, 1.0] };
    let error = solver.minimise(&mut problem, &mut [1.0, 1.0], 9, bounds, &options);
    assert!(matches!(error, Err(LeastSquaresError::Bounds { parameter: 1, .. })));
    let bounds = Bounds { lower: &[0.0], upper: &[] };
    let error = solver.minimise(&mut problem, &mut [1.0, 1.0], 9, bounds, &options);
    assert!(matches!(error, Err(LeastSquaresError::Length { what: "lower", .. })));
}

#[test]
fn losses_have_the_derivatives_they_say() {
    for loss in [
        Loss::Square,
        Loss::Huber { scale: 1.3 },
        Loss::SoftL1 { scale: 1.3 },
        Loss::Cauchy { scale: 1.3 },
    ] {
        for z in [1e-6, 0.5, 1.5, 4.0, 1e3] {
            let step = 1e-6 * z;
            let slope = (loss.rho(z + step).0 - loss.rho(z - step).0) / (2.0 * step);
            let (value, given) = loss.rho(z);
            assert!((slope - given).abs() < 1e-7 && value <= z * (1.0 + 1e-15), "{loss:?} {z}");
        }
    }
}

#[test]
fn a_line_through_outliers() {
    let data: Vec<f64> =
        (0..40).map(|i| 0.5 * f64::from(i) + if i % 7 == 3 { 30.0 } else { 0.0 }).collect();
    let slope = |loss| {
        let line = |x: &[f64], r: &mut [f64]| {
            for (i, (r, y)) in r.iter_mut().zip(&data).enumerate() {
                *r = x[0] + x[1] * i as f64 - y;
            }
        };
        let mut problem = Robust { problem: Numerical::new(line, 1.0), loss };
        let mut x = [0.0, 0.0];
        let options = Options { bend: false, ..Options::default() };
        let found = LevenbergMarquardt::new()
            .minimise(&mut problem, &mut x, 40, Bounds::NONE, &options)
            .unwrap();
        assert!(found.reason.converged(), "{loss:?} {found:?}");
        x[0].abs()
    };
    let square = slope(Loss::Square);
    assert!(square > 3.0);
    for loss in
        [Loss::Huber { scale: 0.1 }, Loss::SoftL1 { scale: 0.1 }, Loss::Cauchy { scale: 0.5 }]
    {
        assert!(slope(loss) < 0.05 * square, "{loss:?} {}", slope(loss));
    }
}
