//! The nonlinear sets of NIST StRD, all 27, from both published starts with one setting.

use super::{Bounds, LevenbergMarquardt, Options, Problem};
use crate::dual::{Dual, Real};
use serde_json::Value;
use std::f64::consts::PI;

fn polynomial<T: Real>(c: &[T], x: f64) -> T {
    c.iter().rev().fold(T::from(0.0), |sum, c| sum * x + *c)
}

fn model<T: Real>(set: &str, b: &[T], x: &[f64]) -> T {
    let t = x[0];
    let one = T::from(1.0);
    let cycle = |c: T, s: T, period: T| {
        let phase = one * (2.0 * PI * t) / period;
        c * phase.cos() + s * phase.sin()
    };
    let gauss = |a: T, c: T, w: T| a * (-((-c + t) / w).powi(2)).exp();
    match set {
        "Bennett5" => b[0] * (b[1] + t).pow(-one / b[2]),
        "BoxBOD" | "Misra1a" => b[0] * (one - (-b[1] * t).exp()),
        "Chwirut1" | "Chwirut2" => (-b[0] * t).exp() / (b[1] + b[2] * t),
        "DanWood" => b[0] * T::from(t).pow(b[1]),
        "ENSO" => {
            b[0] + cycle(b[1], b[2], T::from(12.0))
                + cycle(b[4], b[5], b[3])
                + cycle(b[7], b[8], b[6])
        }
        "Eckerle4" => b[0] / b[1] * (((-b[2] + t) / b[1]).powi(2) * -0.5).exp(),
        "Gauss1" | "Gauss2" | "Gauss3" => {
            b[0] * (-b[1] * t).exp() + gauss(b[2], b[3], b[4]) + gauss(b[5], b[6], b[7])
        }
        "Hahn1" | "Thurber" => polynomial(&b[..4], t) / (polynomial(&b[4..], t) * t + 1.0),
        "Kirby2" => polynomial(&b[..3], t) / (polynomial(&b[3..], t) * t + 1.0),
        "Lanczos1" | "Lanczos2" | "Lanczos3" => {
            b[0] * (-b[1] * t).exp() + b[2] * (-b[3] * t).exp() + b[4] * (-b[5] * t).exp()
        }
        "MGH09" => b[0] * (b[1] * t + t * t) / (b[2] * t + b[3] + t * t),
        "MGH10" => b[0] * (b[1] / (b[2] + t)).exp(),
        "MGH17" => b[0] + b[1] * (-b[3] * t).exp() + b[2] * (-b[4] * t).exp(),
        "Misra1b" => b[0] * (one - (b[1] * t / 2.0 + 1.0).powi(-2)),
        "Misra1c" => b[0] * (one - (b[1] * 2.0 * t + 1.0).powf(-0.5)),
        "Misra1d" => b[0] * b[1] * t / (b[1] * t + 1.0),
        "Nelson" => b[0] - b[1] * t * (-b[2] * x[1]).exp(),
        "Rat42" => b[0] / ((b[1] - b[2] * t).exp() + 1.0),
        "Rat43" => b[0] / ((b[1] - b[2] * t).exp() + 1.0).pow(one / b[3]),
        "Roszman1" => b[0] - b[1] * t - (b[2] / (-b[3] + t)).atan() / PI,
        _ => panic!("unknown set {set}"),
    }
}

/// Residuals of a set with the derivatives of its model.
struct Set {
    name: String,
    x: Vec<Vec<f64>>,
    y: Vec<f64>,
}

impl Set {
    fn columns<const P: usize>(&self, b: &[f64], jacobian: &mut [f64]) {
        let m = self.y.len();
        let dual = Dual::<P>::variables(std::array::from_fn(|k| b[k]));
        for (i, x) in self.x.iter().enumerate() {
            let value = model(&self.name, &dual, x);
            (0..P).for_each(|k| jacobian[k * m + i] = value.eps[k]);
        }
    }
}

impl Problem for Set {
    fn evaluate(&mut self, b: &[f64], residuals: &mut [f64]) -> f64 {
        for (r, (x, y)) in residuals.iter_mut().zip(self.x.iter().zip(&self.y)) {
            *r = model(&self.name, b, x) - y;
        }
        residuals.iter().map(|r| r * r).sum()
    }

    fn jacobian(&mut self, b: &[f64], _: &mut [f64], jacobian: &mut [f64]) {
        match b.len() {
            2 => self.columns::<2>(b, jacobian),
            3 => self.columns::<3>(b, jacobian),
            4 => self.columns::<4>(b, jacobian),
            5 => self.columns::<5>(b, jacobian),
            6 => self.columns::<6>(b, jacobian),
            7 => self.columns::<7>(b, jacobian),
            8 => self.columns::<8>(b, jacobian),
            _ => self.columns::<9>(b, jacobian),
        }
    }
}

fn read(name: &str) -> Option<Set> {
    let path = kalpha_reference::path(&format!("data/fit/nist_strd/{name}.dat"))?;
    let text = std::fs::read_to_string(path).unwrap();
    let numbers = text.lines().skip(60).map(|line| {
        line.split_whitespace().map(|v| v.parse::<f64>().unwrap()).collect::<Vec<f64>>()
    });
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for row in numbers.filter(|row| !row.is_empty()) {
        y.push(if name == "Nelson" { row[0].ln() } else { row[0] });
        x.push(row[1..].to_vec());
    }
    Some(Set { name: name.to_owned(), x, y })
}

/// Smallest log relative error, capped at 11.
fn lre(got: &[f64], want: &[f64]) -> f64 {
    got.iter().zip(want).fold(11.0, |least: f64, (q, c)| {
        let e = -((q - c).abs() / c.abs()).log10();
        // NaN is no digit at all.
        if e.is_nan() { f64::NEG_INFINITY } else { least.min(e) }
    })
}

#[test]
fn certified_values_from_both_starts() {
    let Some(path) = kalpha_reference::path("reference/fit/nist_strd.json") else { return };
    let reference: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let sets = reference.as_object().unwrap();
    assert_eq!(sets.len(), 27);
    let mut solver = LevenbergMarquardt::new();
    let mut short = Vec::new();
    for (name, expected) in sets {
        let list = |key: &str| -> Vec<f64> {
            expected[key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
        };
        let Some(mut set) = read(name) else { return };
        let m = set.y.len();
        assert_eq!(m as u64, expected["n"].as_u64().unwrap(), "{name}");
        for start in ["start1", "start2"] {
            let mut b = list(start);
            let n = b.len();
            let minimum =
                solver.minimise(&mut set, &mut b, m, Bounds::NONE, &Options::default()).unwrap();
            let covariance = solver.covariance(&mut set, &b, m, Bounds::NONE).unwrap();
            let variance = minimum.objective / (m - n) as f64;
            let sigma: Vec<f64> = (0..n).map(|j| covariance.sigma(j) * variance.sqrt()).collect();
            let (digits, sigma_digits) =
                (lre(&b, &list("certified")), lre(&sigma, &list("certified_sd")));
            println!(
                "{name:10} {start} {digits:6.2} {sigma_digits:6.2} pivot {:.1e} {minimum:?}",
                covariance.pivot
            );
            // The certified residuals of Lanczos1 are below the rounding of its data.
            let sigma_bar = if name == "Lanczos1" { 3.0 } else { 5.0 };
            let converged = minimum.reason.converged();
            if digits < 7.0 || sigma_digits < sigma_bar || !converged {
                short.push(format!("{name} {start}: {digits:.2} {sigma_digits:.2} {minimum:?}"));
            }
        }
    }
    assert!(short.is_empty(), "{short:#?}");
}
