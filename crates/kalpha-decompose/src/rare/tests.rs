use super::*;
use crate::reconstruction::reconstruction;
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
    let grid = [side, side];
    let found = guard(&passes, &rows, grid, (spectra, &[]), 3, &families, None, &Params::default())
        .unwrap();
    assert_eq!(found.flags.few_pixels.len(), 1, "{:?}", found.flags.few_pixels);
    assert_eq!(found.flags.few_pixels[0].pixel, [10, 20]);
    let flag = &found.flags.flags[0];
    assert_eq!((flag.pixel, flag.element.as_str()), ([10, 20], "at45"));
    let others = found.flags.flags.iter().filter(|f| f.rows(side).all(|r| r != pure));
    assert_eq!(others.count(), 0, "{:?}", found.flags.flags);
    // It survives the reconstruction as raw counts: one pixel fixes no spectrum.
    assert_eq!(flag.own, None);
    let w = factors.abundances.clone();
    let back = reconstruction(&passes, &rows, &factors.end_members, w, &found.flags).unwrap();
    let read = crate::nmf_kl::step::read_rows(&passes, &back).unwrap();
    let raw = crate::nmf_kl::step::read_rows(&passes, &rows).unwrap();
    assert_eq!(read[pure * d..(pure + 1) * d], raw[pure * d..(pure + 1) * d]);
    assert_ne!(read[..d], raw[..d]);
}

/// A grain of nine pixels and, far away, two pixels of the same phase too weak for the scan.
#[test]
fn a_grain_gets_an_end_member_that_finds_its_like() {
    use crate::nmf_kl::tests::as_rows;
    use kalpha_core::CsrBuilder;
    let stream = Stream::new(5, "test.grain", 0);
    let (side, d) = (48, 80);
    let peak = |c: usize, at: f64| (-0.5 * ((c as f64 - at) / 2.0).powi(2)).exp() / 5.01;
    let grain = |p: usize| (20..23).contains(&(p / side)) && (30..33).contains(&(p % side));
    let weak = [5 * side + 7, 40 * side + 11];
    // Two lines of the grain, 40 counts each; the weak ones hold 9 of each.
    let own = |c: usize, counts: f64| counts * (peak(c, 40.0) + peak(c, 60.0));
    let mut csr = CsrBuilder::new(d).unwrap();
    for p in 0..side * side {
        for c in 0..d {
            let host = 60.0 * peak(c, 12.0 + 8.0 * f64::from(u8::from(p % side > 20))) + 0.3;
            let mean = match (grain(p), weak.contains(&p)) {
                (true, _) => own(c, 40.0) + 0.1,
                (_, true) => 0.8 * host + own(c, 9.0),
                _ => host,
            };
            csr.push(c as u16, stream.at(p, c).poisson(mean) as u32);
        }
        csr.end_row();
    }
    let rows = as_rows(csr.finish(), &[side, side]);
    let families: Vec<ScanFamily> = [12.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0]
        .iter()
        .map(|&at| ScanFamily {
            symbol: format!("at{at}"),
            family: format!("at{at}_K"),
            profile: (0..d).map(|c| peak(c, at)).collect(),
            known: false,
        })
        .collect();
    let passes = Serial::default();
    let params = crate::nmf_kl::Params { starts: 2, ..Default::default() };
    let none = Fixed::default();
    let factors = crate::nmf_kl::nmf_kl(&passes, &rows, 2, &params, none).unwrap();
    let spectra = &factors.end_members.spectra;
    let params = Params { bootstrap_rows: side * side, bootstrap_maps: 1, ..Params::default() };
    let found = guard(&passes, &rows, [side; 2], (spectra, &[]), 2, &families, None, &params)
        .unwrap()
        .flags;
    assert_eq!(found.own.len(), 1, "{:?}", found.flags);
    let member = &found.own[0];
    assert_eq!(member.elements, ["at40", "at60"]);
    let share = |at: usize| member.spectrum[at - 5..at + 6].iter().sum::<f64>();
    assert!(share(40) > 0.4 && share(60) > 0.4 && share(12) < 0.05, "{:?}", member.spectrum);
    for row in weak {
        assert!(member.rows.contains(&row), "{:?}", found.flags);
    }
    let strangers = member.rows.iter().filter(|&&row| {
        let (y, x) = (row / side, row % side);
        !weak.contains(&row) && (y.abs_diff(21) > 4 || x.abs_diff(31) > 4)
    });
    assert_eq!(strangers.count(), 0, "{:?}", member.rows);
    // Reconstructed, the grain keeps its lines, without their noise.
    let w = factors.abundances.clone();
    let back = reconstruction(&passes, &rows, &factors.end_members, w, &found).unwrap();
    let read = crate::nmf_kl::step::read_rows(&passes, &back).unwrap();
    let raw = crate::nmf_kl::step::read_rows(&passes, &rows).unwrap();
    for row in (0..side * side).filter(|&p| grain(p)) {
        let of = |values: &[f64]| values[row * d + 35..row * d + 46].iter().sum::<f64>();
        let (model, counts) = (of(&read), of(&raw));
        assert!((model - counts).abs() < 4.0 * counts.sqrt(), "{model} {counts}");
        assert_ne!(read[row * d..(row + 1) * d], raw[row * d..(row + 1) * d]);
    }
}

/// Two phases with a line each and a broad boundary: where they mix, pairs of both lines pile up
/// at an energy that neither phase shows. A host brightens towards the top.
#[test]
fn pile_up_of_two_phases_is_no_discovery_and_hides_none() {
    use crate::nmf_kl::tests::as_rows;
    use kalpha_core::CsrBuilder;
    use kalpha_physics::pileup::{Content, SumPileUp, pileup_spectrum};
    use kalpha_physics::profile::PeakShape;
    let (side, d) = (48, 110);
    let energies: Vec<f64> = (0..d).map(|c| 0.11 + 0.04 * c as f64).collect();
    let shape = PeakShape::gaussian(130.0);
    let peak = |at: f64, area: f64| {
        let mut out = vec![0.0; d];
        shape.add(&energies, at, area, &mut out);
        out
    };
    let continuum = |counts: f64| vec![counts / d as f64; d];
    // Scale per pair; a planted pixel of its own line where A + B pile up.
    let (scale, lines, planted) = (4e-5, [1.0, 1.74], (30 * side + 24, 2.74));
    let stream = Stream::new(7, "test.pile_up", 0);
    let mut sum_pile_up = vec![0.0; d];
    let mut csr = CsrBuilder::new(d).unwrap();
    for p in 0..side * side {
        let (y, x) = (p / side, p % side);
        let b = ((x as f64 - 14.0) / 20.0).clamp(0.0, 1.0);
        let dose = 450.0 * (1.6 - 0.8 * y as f64 / side as f64);
        let content = Content {
            lines: vec![(lines[0], 0.8 * dose * (1.0 - b)), (lines[1], 0.8 * dose * b)],
            continuum: continuum(0.2 * dose),
        };
        let mut mean = continuum(0.2 * dose);
        for &(at, area) in &content.lines {
            mean.iter_mut().zip(peak(at, area)).for_each(|(m, v)| *m += v);
        }
        let pile_up = pileup_spectrum(&energies, &content, &shape);
        for c in 0..d {
            mean[c] += scale * pile_up[c];
            sum_pile_up[c] += scale * pile_up[c];
        }
        if p == planted.0 {
            mean.iter_mut().zip(peak(planted.1, 45.0)).for_each(|(m, v)| *m += v);
        }
        for (c, m) in mean.iter().enumerate() {
            csr.push(c as u16, stream.at(p, c).poisson(*m) as u32);
        }
        csr.end_row();
    }
    let rows = as_rows(csr.finish(), &[side, side]);
    let families: Vec<ScanFamily> = [1.0, 1.74, 2.0, 2.74, 3.48]
        .iter()
        .map(|&at| ScanFamily {
            symbol: format!("at{at}"),
            family: format!("at{at}_K"),
            profile: peak(at, 1.0),
            known: at < 1.8,
        })
        .collect();
    let passes = Serial::default();
    let params = crate::nmf_kl::Params { starts: 2, ..Default::default() };
    let none = Fixed::default();
    let factors = crate::nmf_kl::nmf_kl(&passes, &rows, 2, &params, none).unwrap();
    let found = |of_sum: &SumPileUp| {
        let pile_up = Some(PileUp { energies: &energies, of_sum });
        let spectra = &factors.end_members.spectra;
        let params = Params { bootstrap_rows: side * side, bootstrap_maps: 1, ..Params::default() };
        guard(&passes, &rows, [side; 2], (spectra, &[]), 2, &families, pile_up, &params)
            .unwrap()
            .flags
    };
    let of_sum = SumPileUp {
        first_channel: 0,
        counts: sum_pile_up.clone(),
        relative_sigma: 0.03,
        noise_squared: shape.resolution.noise_squared,
    };
    let away = |f: &&Flag| f.rows(side).all(|row| row != planted.0);
    let without = found(&SumPileUp { counts: vec![], ..of_sum.clone() });
    assert!(without.flags.iter().filter(away).count() > 0, "pile-up must matter here");
    assert_eq!(without.pile_up_counts, 0.0);
    let with = found(&of_sum);
    assert_eq!(with.flags.iter().filter(away).count(), 0, "{:?}", with.flags);
    let planted_flags: Vec<&Flag> = with.flags.iter().filter(|f| !away(f)).collect();
    assert_eq!(planted_flags[0].element, "at2.74", "{planted_flags:?}");
    let all: f64 = sum_pile_up.iter().sum();
    assert!((with.pile_up_counts / all - 1.0).abs() < 0.02, "{} {all}", with.pile_up_counts);
    assert!(with.mean_deviance < without.mean_deviance);
    // A scale that is not sure is no scale.
    let unsure = found(&SumPileUp { relative_sigma: 0.5, ..of_sum });
    assert_eq!(unsure.pile_up_counts, 0.0);
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
        guard(
            &Serial::default(),
            &rows,
            grid,
            (&[0.25; 4], &[]),
            1,
            families,
            None,
            &Params::default(),
        )
    };
    assert!(run([2, 2], &[family(4)]).is_err());
    assert!(run([1, 1], &[]).is_err());
    assert!(run([1, 1], &[family(3)]).is_err());
    let one = run([1, 1], &[family(4)]).unwrap();
    assert!(one.flags.flags.is_empty() && one.flags.tests == 1);
}
