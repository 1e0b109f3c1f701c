use super::{map::map, *};
use crate::{
    absorption::Density,
    k_factors::{KFactors, ratio_covariance},
};

const FE: f64 = 55.845;
const PT: f64 = 195.084;

fn fept(counts: [f64; 2]) -> LineIntensities {
    LineIntensities {
        lines: vec!["Fe_Ka".into(), "Pt_La".into()],
        counts: counts.to_vec(),
        covariance: vec![counts[0].abs(), 0.0, 0.0, counts[1].abs()],
        shifts: Vec::new(),
    }
}

fn k() -> Vec<KFactor> {
    "Fe_Ka=1.450226,Pt_La=5.075602".parse::<KFactors>().unwrap().0
}

fn quantify(intensities: &LineIntensities, film: Option<&ThinFilm>) -> Composition {
    let outcome = cliff_lorimer(intensities, &k(), &[FE, PT], film).unwrap();
    outcome.composition().expect("a composition").clone()
}

fn values(quantities: &[Quantity]) -> Vec<f64> {
    quantities.iter().map(|q| q.value().unwrap()).collect()
}

fn parts(quantity: &Quantity) -> (f64, f64, &Systematics) {
    match quantity {
        Quantity::Measured { value, stat, syst } => (*value, *stat, syst),
        Quantity::UpperLimit { .. } => panic!("a limit"),
    }
}

fn exspy() -> Option<serde_json::Value> {
    let path = kalpha_reference::path("reference/eds/ref_eds.json")?;
    Some(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
}

fn numbers(json: &serde_json::Value) -> Vec<f64> {
    json.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn assert_close(got: &[f64], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len());
    for (g, w) in got.iter().zip(want) {
        assert!((g - w).abs() <= tolerance, "{got:?} {want:?}");
    }
}

#[test]
fn fept_equals_exspy() {
    let Some(json) = exspy() else { return };
    let spectrum = &json["FePt_spectrum"];
    let counts = numbers(&spectrum["bw_[5.0, 2.0]"]["intensities"]);
    let composition = quantify(&fept([counts[0], counts[1]]), None);
    assert_close(&values(&composition.atomic_percent), &numbers(&spectrum["CL_atomic"]), 1e-6);
    assert_close(&values(&composition.weight_percent), &numbers(&spectrum["CL_weight"]), 1e-6);
}

#[test]
fn three_elements_equal_exspy() {
    // k-weighted intensities in the ratio 49.1 : 33 : 16.
    let Some(json) = exspy() else { return };
    let want = numbers(&json["formulae"]["CL_ratio_test"]);
    let k: KFactors = "Al_Ka=0.5,Cr_Ka=1.1,Ni_Ka=2".parse().unwrap();
    let intensities = LineIntensities {
        lines: vec!["Al_Ka".into(), "Cr_Ka".into(), "Ni_Ka".into()],
        counts: vec![982.0, 300.0, 80.0],
        ..LineIntensities::default()
    };
    let outcome = cliff_lorimer(&intensities, &k.0, &[26.98, 51.996, 58.693], None).unwrap();
    let got = values(&outcome.composition().unwrap().weight_percent);
    assert_close(&got.iter().map(|w| w / 100.0).collect::<Vec<_>>(), &want, 1e-12);
}

/// Attenuation as eXSpy tabulates it, so that only the method is compared.
fn film(json: &serde_json::Value, thickness_nm: f64) -> ThinFilm {
    let mac = |absorber: &str, line: &str| {
        json["formulae"]["MAC_cm2_g"][format!("('{absorber}', '{line}')")].as_f64().unwrap()
    };
    let table =
        vec![mac("Fe", "Fe_Ka"), mac("Pt", "Fe_Ka"), mac("Fe", "Pt_La"), mac("Pt", "Pt_La")];
    let elements = vec!["Fe".to_owned(), "Pt".to_owned()];
    ThinFilm::new(thickness_nm, 18.0, elements, vec![7.874, 21.09], table)
}

#[test]
fn absorption_equals_exspy_under_its_density() {
    let Some(json) = exspy() else { return };
    let intensities = fept([2754.0, 15090.0]);
    for thickness in [10, 50, 100, 200] {
        let mut film = film(&json, f64::from(thickness));
        // eXSpy stops as soon as nothing moves by half a percent.
        film.tolerance_percent = 0.5;
        film.density = Density::Exspy;
        let composition = quantify(&intensities, Some(&film));
        let key = |what: &str| format!("CL_abs_t{thickness}nm_{what}");
        let want = numbers(&json["FePt_spectrum"][key("atomic")]);
        assert_close(&values(&composition.atomic_percent), &want, 1e-6);
        let report = composition.absorption.unwrap();
        let want = json["FePt_spectrum"][key("mt")].as_f64().unwrap();
        assert!((report.mass_thickness_kg_m2 / want - 1.0).abs() < 2e-4, "{report:?}");

        film.density = Density::Harmonic;
        film.tolerance_percent = 1e-9;
        let ours = values(&quantify(&intensities, Some(&film)).atomic_percent);
        let plain = values(&quantify(&intensities, None).atomic_percent);
        let exspy = numbers(&json["FePt_spectrum"][key("atomic")]);
        assert!(plain[0] < ours[0] && ours[0] < exspy[0], "{plain:?} {ours:?} {exspy:?}");
    }
}

#[test]
fn absorption_has_its_own_budget() {
    let Some(json) = exspy() else { return };
    let mut film = film(&json, 100.0);
    film.thickness_sigma_nm = 20.0;
    let intensities = fept([2754.0, 15090.0]);
    let composition = quantify(&intensities, Some(&film));
    let (iron, _, syst) = parts(&composition.atomic_percent[0]);
    let shift = syst.shift(&Cause::Absorption);
    film.thickness_nm = 120.0;
    let thicker = values(&quantify(&intensities, Some(&film)).atomic_percent)[0];
    assert!(shift > 0.0 && (shift - (thicker - iron)).abs() < 0.02 * shift);
    let coefficients = syst.shift(&Cause::Other("mass_attenuation".into()));
    assert!((coefficients / shift - 0.25).abs() < 0.01);
}

#[test]
fn covariance_matches_small_changes() {
    let Some(json) = exspy() else { return };
    let film = film(&json, 100.0);
    for film in [None, Some(&film)] {
        let base = fept([2754.0, 15090.0]);
        let composition = quantify(&base, film);
        let mut variance = [0.0; 2];
        for j in 0..2 {
            let mut moved = base.clone();
            moved.counts[j] += 1.0;
            let moved = values(&quantify(&moved, film).atomic_percent);
            for i in 0..2 {
                let derivative = moved[i] - composition.atomic_percent[i].value().unwrap();
                variance[i] += derivative * derivative * base.counts[j];
            }
        }
        for i in 0..2 {
            let (_, stat, _) = parts(&composition.atomic_percent[i]);
            assert!((stat / variance[i].sqrt() - 1.0).abs() < 1e-3);
        }
        // Fractions add to 100, so their errors cancel in the sum.
        assert!(composition.atomic_covariance.iter().sum::<f64>().abs() < 1e-6);
    }
}

#[test]
fn k_factor_budget_equals_ratio_covariance_for_every_reference() {
    let k: Vec<KFactor> =
        "Fe_Ka=1.2+-0.1,Ni_Ka=1.4+-0.2,Au_La=4+-0.9".parse::<KFactors>().unwrap().0;
    let intensities = LineIntensities {
        lines: k.iter().map(|k| k.line.clone()).collect(),
        counts: vec![3000.0, 1000.0, 2000.0],
        ..LineIntensities::default()
    };
    let masses = [FE, 58.693, 196.967];
    let outcome = cliff_lorimer(&intensities, &k, &masses, None).unwrap();
    let composition = outcome.composition().unwrap();
    for reference in 0..3 {
        let covariance = ratio_covariance(&k, reference);
        let others: Vec<usize> = (0..3).filter(|&i| i != reference).collect();
        for i in 0..3 {
            let (value, _, syst) = parts(&composition.atomic_percent[i]);
            // da_i/dln r_j = a_j (delta_ij - a_i) with the reference's ratio fixed at one.
            let derivative: Vec<f64> = others
                .iter()
                .map(|&j| {
                    let aj = composition.atomic_percent[j].value().unwrap();
                    aj * (f64::from(i == j) - value / 100.0)
                })
                .collect();
            let mut variance = 0.0;
            for a in 0..2 {
                for b in 0..2 {
                    variance += derivative[a] * covariance[a * 2 + b] * derivative[b];
                }
            }
            assert!((variance.sqrt() - syst.total()).abs() < 1e-9);
        }
    }
}

#[test]
fn a_common_k_scale_and_its_error_cancel() {
    let scaled: Vec<KFactor> =
        k().iter().map(|k| KFactor { value: 7.0 * k.value, ..k.clone() }).collect();
    let a = quantify(&fept([2754.0, 15090.0]), None);
    let b = cliff_lorimer(&fept([2754.0, 15090.0]), &scaled, &[FE, PT], None).unwrap();
    assert_close(
        &values(&a.atomic_percent),
        &values(&b.composition().unwrap().atomic_percent),
        1e-12,
    );
    let (_, _, syst) = parts(&a.atomic_percent[0]);
    let (_, _, other) = parts(&a.atomic_percent[1]);
    for line in ["Fe_Ka", "Pt_La"] {
        let cause = Cause::KFactor(line.into());
        // What one element gains the other loses.
        assert!((syst.shift(&cause) + other.shift(&cause)).abs() < 1e-12);
    }
}

#[test]
fn background_shift_keeps_its_sign() {
    let mut intensities = fept([2754.0, 15090.0]);
    intensities.shifts = vec![(Cause::BackgroundModel, vec![100.0, 0.0])];
    let composition = quantify(&intensities, None);
    let shift = |i: usize| parts(&composition.atomic_percent[i]).2.shift(&Cause::BackgroundModel);
    assert!(shift(0) > 0.4 && (shift(0) + shift(1)).abs() < 1e-12);
}

#[test]
fn no_signal_is_refused_not_invented() {
    for counts in [[0.0, 0.0], [-10.0, 1.0], [f64::NAN, 5.0], [f64::INFINITY, 5.0]] {
        let outcome = cliff_lorimer(&fept(counts), &k(), &[FE, PT], None).unwrap();
        let Outcome::NotQuantified(refusal) = outcome else { panic!("{counts:?}") };
        assert_eq!(refusal.reason, RefusalReason::NoSignal);
    }
    let one =
        LineIntensities { lines: vec!["Fe_Ka".into()], counts: vec![5.0], ..Default::default() };
    let outcome = cliff_lorimer(&one, &k()[..1], &[FE], None).unwrap();
    assert!(
        matches!(outcome, Outcome::NotQuantified(r) if r.reason == RefusalReason::TooFewElements)
    );
}

#[test]
fn a_negative_estimate_stays_negative() {
    let composition = quantify(&fept([-20.0, 15090.0]), None);
    let got = values(&composition.atomic_percent);
    assert!(got[0] < 0.0 && got[1] > 100.0 && (got[0] + got[1] - 100.0).abs() < 1e-9);
}

#[test]
fn pixels_are_signed_masked_and_never_nan() {
    let lines: Vec<String> = vec!["Fe_Ka".into(), "Pt_La".into()];
    let counts = [10.0, 5.0, -3.0, 4.0, 0.0, 0.0, -3.0, -4.0, 7.0, -3.0, f64::NAN, 1.0];
    let variances = [10.0, 5.0, 3.0, 4.0, 1.0, 1.0, 3.0, 4.0, 7.0, 2.0, 1.0, 1.0];
    let out = map(&lines, &counts, &variances, &k(), &[FE, PT], 0.0).unwrap();
    assert_eq!(out.quantified, [true, true, false, false, false, false]);
    for maps in [&out.weight_percent, &out.atomic_percent, &out.weight_sigma, &out.atomic_sigma] {
        assert!(maps.iter().all(|x| x.is_finite()), "{maps:?}");
    }
    assert!(out.weight_percent[2] < 0.0);
    assert_eq!(&out.atomic_percent[4..6], &[0.0, 0.0]);
    assert!(out.weight_percent[6] < 0.0 && out.weight_percent[7] < 0.0);
    let strict = map(&lines, &counts, &variances, &k(), &[FE, PT], 3.0).unwrap();
    assert!(!strict.quantified[1]);
    // Two noisy lines can cancel to a sum that is barely positive: only its noise tells.
    let nearly = map(&lines, &[7.0, -2.0], &[7.0, 2.0], &k(), &[FE, PT], 3.0).unwrap();
    assert!(!nearly.quantified[0] && nearly.weight_percent[0] > 1e6);
}

#[test]
fn one_pixel_equals_one_spectrum() {
    let composition = quantify(&fept([2754.0, 15090.0]), None);
    let counts = [2754.0, 15090.0];
    let out = map(&composition.lines, &counts, &counts, &k(), &[FE, PT], 0.0).unwrap();
    assert_close(&out.atomic_percent, &values(&composition.atomic_percent), 1e-9);
    for i in 0..2 {
        let (_, stat, syst) = parts(&composition.atomic_percent[i]);
        assert!((out.atomic_sigma[i] / stat - 1.0).abs() < 1e-9);
        for j in 0..2 {
            let cause = Cause::KFactor(composition.lines[j].clone());
            assert!((out.k_shift(0, j)[i] - syst.shift(&cause)).abs() < 1e-9);
        }
    }
}

#[test]
fn lengths_are_checked() {
    let mut intensities = fept([1.0, 1.0]);
    intensities.covariance.pop();
    assert!(cliff_lorimer(&intensities, &k(), &[FE, PT], None).is_err());
    assert!(cliff_lorimer(&fept([1.0, 1.0]), &k()[..1], &[FE, PT], None).is_err());
    let lines = fept([1.0, 1.0]).lines;
    assert!(map(&lines, &[1.0, 2.0, 3.0], &[], &k(), &[FE, PT], 0.0).is_err());
    assert!(map(&lines, &[], &[], &k(), &[FE, PT], 0.0).unwrap().quantified.is_empty());
}
