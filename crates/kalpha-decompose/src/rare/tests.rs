use super::*;
use kalpha_core::Serial;

#[test]
fn a_twentieth_of_the_study() {
    let params = Params { bootstrap_rows: 4096, bootstrap_maps: 1, ..Params::default() };
    let (mut oracle, mut guard, mut alarms, mut maps) = (0, 0, 0, 0);
    for setting in study::settings(0.05) {
        // The bright half costs ten times more; CI runs the dim half.
        if setting.counts_per_pixel > 100.0 {
            continue;
        }
        let outcome = study::run(&Serial::default(), setting, &params).unwrap();
        oracle += outcome.oracle_found;
        guard += outcome.guard_found;
        alarms += outcome.false_alarm_maps;
        maps += setting.draws;
    }
    // 200 planted pixels: 0.95 within two standard deviations of the paired difference.
    assert!(guard as f64 >= 0.91 * oracle as f64, "{guard} of {oracle}");
    assert!(oracle > 110, "{oracle}");
    assert!(alarms <= 12 && maps == 110, "{alarms} of {maps}");
}

/// One pixel in a dull map holds a spectrum of its own, bright enough to become an end-member.
#[test]
fn a_pure_pixel_cannot_explain_itself() {
    use crate::nmf_kl::tests::as_rows;
    use kalpha_core::CsrBuilder;
    let stream = Stream::new(3, "test.pure", 0);
    let (side, d) = (32, 60);
    let pure = 10 * side + 20;
    let mut csr = CsrBuilder::new(d).unwrap();
    for p in 0..side * side {
        for c in 0..d {
            let peak = |at: f64| (-0.5 * ((c as f64 - at) / 2.0).powi(2)).exp();
            let host = 3.0 * peak(12.0 + 8.0 * f64::from(u8::from(p % side > 16))) + 0.5;
            let mean = if p == pure { 150.0 * peak(45.0) + 0.1 } else { host };
            csr.push(c as u16, stream.at(p, c).poisson(mean) as u32);
        }
        csr.end_row();
    }
    let rows = as_rows(csr.finish(), &[side, side]);
    let profile = |at: f64| -> Vec<f64> {
        let raw: Vec<f64> =
            (0..d).map(|c| (-0.5 * ((c as f64 - at) / 2.0).powi(2)).exp()).collect();
        let sum: f64 = raw.iter().sum();
        raw.iter().map(|x| x / sum).collect()
    };
    let families: Vec<ScanFamily> = [12.0, 20.0, 33.0, 45.0]
        .iter()
        .map(|&at| ScanFamily {
            symbol: format!("at{at}"),
            family: format!("at{at}_K"),
            profile: profile(at),
            known: false,
        })
        .collect();
    let passes = Serial::default();
    let params = crate::nmf_kl::Params { starts: 3, ..Default::default() };
    let factors = crate::nmf_kl::nmf_kl(&passes, &rows, 3, &params, Fixed::default()).unwrap();
    let own = (0..3).map(|k| factors.end_members.spectrum(k)[45]).fold(0.0, f64::max);
    assert!(own > 0.1, "the pixel made no end-member: {own}");
    let spectra = &factors.end_members.spectra;
    let none = Fixed::default();
    let grid = [side, side];
    let found =
        guard(&passes, &rows, grid, spectra, 3, &families, none, &Params::default()).unwrap();
    assert_eq!(found.flags.few_pixels.len(), 1, "{:?}", found.flags.few_pixels);
    assert_eq!(found.flags.few_pixels[0].pixel, [10, 20]);
    let flag = &found.flags.flags[0];
    assert_eq!((flag.pixel, flag.element.as_str()), ([10, 20], "at45"));
    let others = found.flags.flags.iter().filter(|f| f.rows(side).all(|r| r != pure));
    assert_eq!(others.count(), 0, "{:?}", found.flags.flags);
    // It survives the reconstruction as raw counts.
    let w: Arc<[f64]> = factors.abundances.clone().into();
    let back = reconstruction(&rows, &factors.end_members, w, &found.flags);
    let read = crate::nmf_kl::step::read_rows(&passes, &back).unwrap();
    let raw = crate::nmf_kl::step::read_rows(&passes, &rows).unwrap();
    assert_eq!(read[pure * d..(pure + 1) * d], raw[pure * d..(pure + 1) * d]);
    assert_ne!(read[..d], raw[..d]);
}

#[test]
fn wrong_input_is_an_error() {
    let mut csr = kalpha_core::CsrBuilder::new(4).unwrap();
    csr.push(1, 2);
    csr.end_row();
    let rows = crate::nmf_kl::tests::as_rows(csr.finish(), &[1]);
    let family = |n| ScanFamily {
        symbol: "X".into(),
        family: "X_K".into(),
        profile: vec![0.25; n],
        known: false,
    };
    let run = |grid, families: &[ScanFamily]| {
        let none = Fixed::default();
        guard(&Serial::default(), &rows, grid, &[0.25; 4], 1, families, none, &Params::default())
    };
    assert!(run([2, 2], &[family(4)]).is_err());
    assert!(run([1, 1], &[]).is_err());
    assert!(run([1, 1], &[family(3)]).is_err());
    let one = run([1, 1], &[family(4)]).unwrap();
    assert!(one.flags.flags.is_empty() && one.flags.tests == 1);
}
