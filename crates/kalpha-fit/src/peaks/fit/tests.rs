use super::*;
use crate::peaks::{Component, Parameter};
use kalpha_num::rng::Stream;

fn axis(n: usize) -> Vec<f64> {
    (0..n).map(|i| 0.1 * i as f64).collect()
}

fn draw(x: &[f64], draw: usize, mean: impl Fn(f64) -> f64) -> Vec<f64> {
    let stream = Stream::new(9, "peak fit", 0);
    x.iter().enumerate().map(|(i, x)| stream.at(draw, i).poisson(mean(*x)) as f64).collect()
}

fn gauss(x: f64, area: f64, c: f64, w: f64) -> f64 {
    area / (w * 1.064_467_019_4) * (-2.772_588_722_2 * ((x - c) / w).powi(2)).exp()
}

fn peak(name: &str, shape: &str) -> Component {
    Component::new(name, shape).unwrap()
}

#[test]
fn two_peaks_on_a_slope_from_the_data_alone() {
    let x = axis(300);
    let y = draw(&x, 0, |x| 50.0 - x + gauss(x, 800.0, 10.0, 1.5) + gauss(x, 400.0, 13.0, 2.0));
    let model =
        PeakModel::new(vec![peak("a", "gaussian"), peak("b", "gaussian"), peak("base", "linear")])
            .unwrap();
    for noise in [Noise::Poisson, Noise::Unknown] {
        let fit = model.fit(&x, &y, noise, &FitOptions::default()).unwrap();
        assert!(fit.converged && fit.warnings.is_empty(), "{:?}", fit.warnings);
        for (name, want) in [
            ("a.area", 800.0),
            ("a.center", 10.0),
            ("a.fwhm", 1.5),
            ("b.area", 400.0),
            ("b.center", 13.0),
            ("b.fwhm", 2.0),
        ] {
            let (value, sigma) = (fit.value(name).unwrap(), fit.sigma(name).unwrap());
            assert!((value - want).abs() < 4.0 * sigma, "{name} {value} {sigma}");
            assert!(sigma < 0.2 * want, "{name} {sigma}");
        }
        let row = &fit.peaks[0];
        let height = row.height.value;
        assert!(
            (height - fit.value("a.area").unwrap() / (row.fwhm.value * 1.064_467)).abs() < 1e-4
        );
        assert!((row.area_in_range.value / row.area.unwrap().value - 1.0).abs() < 1e-6);
        let (a, b) = (row.area_in_range.sigma.unwrap(), row.area.unwrap().sigma.unwrap());
        assert!((a / b - 1.0).abs() < 1e-4);
        let sum: f64 = fit.components.iter().map(|c| c[77]).sum();
        assert!((sum - fit.model[77]).abs() < 1e-9);
    }
}

#[test]
fn poisson_likelihood_keeps_the_counts() {
    // With a free constant the likelihood makes the model's sum that of the counts.
    let x = axis(200);
    let y = draw(&x, 1, |x| 0.3 + gauss(x, 20.0, 10.0, 2.0));
    let constant = peak("base", "constant").between("c0", 0.0, f64::INFINITY).unwrap();
    let model = PeakModel::new(vec![peak("a", "gaussian"), constant]).unwrap();
    let fit = model.fit(&x, &y, Noise::Poisson, &FitOptions::default()).unwrap();
    let (sum, total): (f64, f64) = (fit.model.iter().sum(), y.iter().sum());
    assert!((sum / total - 1.0).abs() < 1e-9, "{sum} {total} {:?}", fit.warnings);
}

#[test]
fn a_tied_doublet_is_the_same_fit_by_hand() {
    let x = axis(300);
    let y = draw(&x, 2, |x| 20.0 + gauss(x, 900.0, 10.0, 1.5) + gauss(x, 675.0, 13.3, 1.5));
    let main = peak("p", "gaussian").start("center", 10.4).unwrap();
    let split = Parameter::variable("splitting", 3.0, 2.5, 4.0);
    let model = PeakModel::with_variables(
        vec![main.clone(), main.partner("q", "splitting", "0.75").unwrap(), peak("b", "constant")],
        vec![split],
    )
    .unwrap();
    let fit = model.fit(&x, &y, Noise::Unknown, &FitOptions::default()).unwrap();
    assert!(fit.converged, "{:?}", fit.warnings);
    let v = |name: &str| fit.value(name).unwrap();
    assert!((v("q.center") - v("p.center") - v("splitting")).abs() < 1e-12);
    assert!((v("q.area") - 0.75 * v("p.area")).abs() < 1e-9);
    assert!((v("splitting") - 3.3).abs() < 4.0 * fit.sigma("splitting").unwrap());
    assert_eq!(fit.parameter("q.fwhm").unwrap().state, State::Tied);
    assert_eq!(fit.sigma("q.fwhm"), fit.sigma("p.fwhm"));
    assert_eq!(fit.correlation("q.area", "p.area").map(|r| (r * 1e9).round()), Some(1e9));
    // Var(q.center) = Var(p.center) + Var(splitting) + 2 Cov.
    let n = fit.parameters.len();
    let at = |name: &str| fit.parameters.iter().position(|p| p.name == name).unwrap();
    let c = |a: &str, b: &str| fit.covariance[at(a) * n + at(b)];
    let want =
        c("p.center", "p.center") + c("splitting", "splitting") + 2.0 * c("p.center", "splitting");
    assert!((c("q.center", "q.center") / want - 1.0).abs() < 1e-9);
}

#[test]
fn what_the_data_do_not_tell_is_said() {
    let x = axis(300);
    let y = draw(&x, 3, |x| 20.0 + gauss(x, 900.0, 10.0, 1.5));
    // Two peaks in the same place with the same width.
    let a = peak("a", "gaussian").start("center", 10.2).unwrap();
    let b = peak("b", "gaussian").tie("center", "a.center").unwrap().tie("fwhm", "a.fwhm").unwrap();
    let model = PeakModel::new(vec![a, b, peak("base", "constant")]).unwrap();
    let fit = model.fit(&x, &y, Noise::Unknown, &FitOptions::default()).unwrap();
    for name in ["a.area", "b.area"] {
        let p = fit.parameter(name).unwrap();
        assert_eq!((p.state, p.sigma), (State::Unidentified, None), "{name}");
    }
    assert_eq!(fit.parameter("a.center").unwrap().state, State::Free);
    assert!(fit.sigma("a.center").unwrap() < 0.1);
    // A width at its bound.
    let narrow = peak("a", "gaussian").start("center", 10.2).unwrap();
    let narrow = narrow.between("fwhm", 0.1, 1.0).unwrap();
    let model = PeakModel::new(vec![narrow, peak("base", "constant")]).unwrap();
    let fit = model.fit(&x, &y, Noise::Poisson, &FitOptions::default()).unwrap();
    let width = fit.parameter("a.fwhm").unwrap();
    assert_eq!((width.state, width.value, width.sigma), (State::AtBound, 1.0, None));
    assert!(fit.warnings.iter().any(|w| matches!(w, PeakWarning::AtBound { bound: 1.0, .. })));
    assert!(fit.warnings.iter().any(|w| matches!(w, PeakWarning::Misfit { .. })));
    assert!(fit.sigma("a.area").is_some());
}

#[test]
fn bad_input_is_refused() {
    let x = axis(50);
    let y: Vec<f64> = x.iter().map(|x| 1.0 + gauss(*x, 10.0, 2.0, 0.5)).collect();
    let model = |c: Component| PeakModel::new(vec![c, peak("base", "constant")]).unwrap();
    let plain = model(peak("a", "gaussian"));
    let options = FitOptions::default();
    fn error(m: &PeakModel, x: &[f64], y: &[f64], noise: Noise<'_>) -> PeakError {
        m.fit(x, y, noise, &FitOptions::default()).unwrap_err()
    }
    let few = error(&plain, &x[..3], &y[..3], Noise::Unknown);
    assert_eq!(few, PeakError::Few { points: 3, parameters: 4 });
    let mut hole = y.clone();
    hole[7] = f64::NAN;
    let found = error(&plain, &x, &hole, Noise::Unknown);
    assert!(matches!(found, PeakError::NotFinite { index: 7, .. }), "{found}");
    let zeros = vec![0.0; 50];
    assert_eq!(error(&plain, &x, &y, Noise::InverseVariance(&zeros)), PeakError::NoWeight);
    let mut weights = vec![1.0; 50];
    weights[3] = -1.0;
    let found = error(&plain, &x, &y, Noise::InverseVariance(&weights));
    assert!(matches!(found, PeakError::Weight { index: 3, .. }));
    // A hole that does not count is no obstacle, and three points with weight are too few.
    weights[3] = 1.0;
    weights[7] = 0.0;
    let fit = plain.fit(&x, &hole, Noise::InverseVariance(&weights), &options).unwrap();
    assert!((fit.value("a.center").unwrap() - 2.0).abs() < 1e-6);
    let mut three = zeros.clone();
    three[..3].fill(1.0);
    assert!(matches!(error(&plain, &x, &y, Noise::InverseVariance(&three)), PeakError::Few { .. }));
    let outside = model(peak("a", "gaussian").start("center", 7.0).unwrap());
    assert!(matches!(error(&outside, &x, &y, Noise::Unknown), PeakError::Outside { .. }));
    let never = model(peak("a", "gaussian").between("center", 6.0, 8.0).unwrap());
    assert!(matches!(error(&never, &x, &y, Noise::Unknown), PeakError::Outside { .. }));
    let zero = PeakModel::with_variables(
        vec![peak("a", "gaussian").tie("fwhm", "1 / v").unwrap()],
        vec![Parameter::variable("v", 0.0, -1.0, 1.0)],
    )
    .unwrap();
    let found = error(&zero, &x, &y, Noise::Unknown);
    assert!(matches!(found, PeakError::NotANumber { .. }), "{found}");
    let negative = model(peak("a", "gaussian").tie("fwhm", "0 - a.center").unwrap());
    let found = error(&negative, &x, &y, Noise::Unknown);
    assert!(matches!(found, PeakError::Contradiction { .. }), "{found}");
    let mut back = x.clone();
    back.reverse();
    assert!(matches!(error(&plain, &back, &y, Noise::Unknown), PeakError::Axis { index: 1 }));
    let minus: Vec<f64> = y.iter().map(|v| v - 5.0).collect();
    assert!(matches!(error(&plain, &x, &minus, Noise::Poisson), PeakError::Negative { .. }));
    assert!(matches!(error(&plain, &x, &y[..9], Noise::Poisson), PeakError::Length { .. }));
    let flat = vec![1.0; 50];
    assert!(matches!(error(&plain, &x, &flat, Noise::Unknown), PeakError::NoPeak { .. }));
}

#[test]
fn outliers_pull_less_with_a_robust_loss() {
    let x = axis(200);
    let stream = Stream::new(4, "robust", 0);
    let mut y: Vec<f64> =
        (0..200).map(|i| gauss(x[i], 50.0, 10.0, 2.0) + stream.at(0, i).normal()).collect();
    for i in (5..200).step_by(19) {
        y[i] += 40.0;
    }
    let weights = vec![1.0; 200];
    let start = peak("a", "gaussian").start("center", 10.3).unwrap().start("fwhm", 1.5).unwrap();
    let model = PeakModel::new(vec![start]).unwrap();
    let area = |loss| {
        let options = FitOptions { loss, ..FitOptions::default() };
        let fit = model.fit(&x, &y, Noise::InverseVariance(&weights), &options).unwrap();
        assert!(fit.converged);
        (fit.value("a.area").unwrap() - 50.0).abs()
    };
    let square = area(Loss::Square);
    for loss in
        [Loss::Huber { scale: 1.5 }, Loss::SoftL1 { scale: 1.5 }, Loss::Cauchy { scale: 2.0 }]
    {
        assert!(area(loss) < 0.5 * square, "{loss:?} {} {square}", area(loss));
    }
}
