//! How much pile-up there is: the sum peak of a rock, and spectra drawn from its model.

#![allow(clippy::unwrap_used)]

use kalpha_core::Serial;
use kalpha_fit::eds::families::{
    BackgroundModel, FamilyFit, FitOptions, family_columns, fit_families,
};
use kalpha_fit::eds::identify::{Identification, IdentifyOptions, identify};
use kalpha_num::least_squares::weighted_linear;
use kalpha_num::rng::Stream;
use kalpha_num::statistics::normal_sf;
use kalpha_physics::lines::LineFamily;
use kalpha_physics::profile::observed_lines;
use kalpha_process::strobe::find_strobe;
use kalpha_process::totals::totals;

/// Energies, sum without the strobe peak, identification of the rock.
fn rock() -> Option<(Vec<f64>, Identification)> {
    let path = kalpha_reference::path("data/eds/P45_12bit_packed_8bit.bcf")?;
    let dataset = kalpha_io::open(path, &kalpha_io::OpenOptions::default()).unwrap();
    let energies = dataset.meta().signal.energies_kev().unwrap();
    let sum = totals(&dataset.rows, &Serial::default()).unwrap().sum;
    let end = find_strobe(&energies, &sum).end;
    let options = IdentifyOptions::new(20.0, false);
    let id = identify(&Serial::default(), &energies[end..], &sum[end..], &[], &options).unwrap();
    Some((sum[end..].to_vec(), id))
}

/// Share of Si K counts in the alpha line, and its energy.
fn silicon_alpha(families: &[LineFamily], options: &FitOptions) -> (f64, f64) {
    let si = families.iter().find(|f| f.name() == "Si_K").unwrap();
    let lines = observed_lines(si, &options.detector).unwrap();
    let alpha: Vec<&(f64, f64)> = lines.iter().filter(|(e, _)| *e < 1.79).collect();
    let share: f64 = alpha.iter().map(|(_, w)| w).sum();
    (share, alpha.iter().map(|(e, w)| e * w).sum::<f64>() / share)
}

/// K edge of potassium, keV: between the sum peak and Ca Ka.
const POTASSIUM_EDGE: f64 = 3.608;

/// Counts of the peak at twice Si Ka and their deviation, by a fit of the neighbourhood: K and Ca
/// families, a free peak for Si+Si and one for Al+Si, a polynomial. Knows nothing of pairs. With
/// `edge` the peaks are Gaussians without tails, and the continuum may step at the K absorption
/// edge of potassium.
fn free_peak(
    counts: &[f64],
    id: &Identification,
    (low, high): (f64, f64),
    degree: i32,
    edge: bool,
) -> (f64, f64) {
    let mut options = id.options.clone();
    if edge {
        options.shape.tail = None;
    }
    let energies = &id.energies;
    let here: Vec<usize> =
        (0..energies.len()).filter(|&c| (low..high).contains(&energies[c])).collect();
    let local: Vec<LineFamily> = id
        .families
        .iter()
        .filter(|f| ["K_K", "Ca_K"].contains(&f.name().as_str()))
        .cloned()
        .collect();
    let (share, alpha) = silicon_alpha(&id.families, &options);
    let peak = |parts: &[(f64, f64)]| {
        let mut out = vec![0.0; energies.len()];
        parts.iter().for_each(|&(at, area)| options.shape.add(energies, at, area, &mut out));
        out
    };
    // Alpha + beta pairs follow the alpha pairs.
    let beta = 2.0 * (1.0 - share) / share;
    let mut columns = family_columns(energies, &local, &options).unwrap();
    columns.insert(0, peak(&[(2.0 * alpha, 1.0), (alpha + 1.836, beta)]));
    columns.push(peak(&[(alpha + 1.4866, 1.0)]));
    columns.extend((0..=degree).map(|k| energies.iter().map(|e| (e - 3.5).powi(k)).collect()));
    if edge {
        let sigma = id.options.shape.resolution.sigma(POTASSIUM_EDGE);
        let above = |e: &f64| -normal_sf((POTASSIUM_EDGE - e) / sigma);
        columns.push(energies.iter().map(above).collect());
    }
    let columns: Vec<Vec<f64>> =
        columns.iter().map(|column| here.iter().map(|&c| column[c]).collect()).collect();
    let y: Vec<f64> = here.iter().map(|&c| counts[c]).collect();
    let mut weights: Vec<f64> = y.iter().map(|v| 1.0 / v.max(1.0)).collect();
    for _ in 0..3 {
        let fit = weighted_linear(&columns, &y, &weights).unwrap();
        weights = (0..y.len())
            .map(|i| columns.iter().zip(&fit.x).map(|(c, x)| c[i] * x).sum::<f64>())
            .map(|m| 1.0 / m.max(1.0))
            .collect();
    }
    let fit = weighted_linear(&columns, &y, &weights).unwrap();
    (fit.x[0], fit.covariance[0].sqrt())
}

/// Counts of the Si Ka + Si Ka peak and their deviation, by the pairs of a family fit.
fn peak_of_pairs(fit: &FamilyFit, share: f64) -> (f64, f64) {
    let pileup = fit.pileup.unwrap();
    let si = fit.counts[fit.families.iter().position(|f| f == "Si_K").unwrap()];
    let peak = pileup.scale * (share * si).powi(2);
    (peak, peak * pileup.sigma / pileup.scale)
}

fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let square: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    (mean, (square / (n - 1.0)).sqrt())
}

/// The peak at 3.48 keV: 1,504 +- 72 by pairs, whose rate O+Si, Al+Si and Si+Si fix together, on
/// the default background; an independent analysis gives 1,200 to 1,350.
///
/// A free peak beside K and Ca agrees with the pairs where lines have the calibrated low-energy
/// tail, and with the independent figure where they have none and the continuum steps down at the
/// absorption edge of potassium instead: both put counts between the sum peak and Ca Ka. This
/// spectrum does not tell them apart, so what stands is 1,200 to 1,600, and the deviation of the
/// pairs is too small by what the background does there.
#[test]
fn silicon_sum_peak_of_a_rock() {
    let Some((sum, id)) = rock() else { return };
    let (share, _) = silicon_alpha(&id.families, &id.options);
    let (pairs, sigma) = peak_of_pairs(&id.fit.fits[0], share);
    assert!((1350.0..1620.0).contains(&pairs) && (50.0..90.0).contains(&sigma), "{pairs} {sigma}");
    for window in [(2.85, 4.3), (2.7, 4.35), (2.9, 4.2), (3.05, 4.3)] {
        for degree in 1..=3 {
            let (free, s) = free_peak(&sum, &id, window, degree, false);
            assert!((free - pairs).abs() < 1.5 * s.hypot(sigma), "{window:?} {degree}: {free} {s}");
        }
        let (free, s) = free_peak(&sum, &id, window, 1, true);
        assert!((free - 1275.0).abs() < 75.0 + s, "{window:?}: {free} +- {s}");
        assert!((free - pairs).abs() < 2.5 * s.hypot(sigma), "{window:?}: {free} +- {s}");
    }
}

/// Spectra drawn from the rock's fitted model, whose Si+Si is known: pairs are unbiased where the
/// background is right, with the deviation they state, and narrower than any free peak.
#[test]
fn pairs_are_unbiased_where_the_truth_is_known() {
    let Some((_, id)) = rock() else { return };
    let (share, _) = silicon_alpha(&id.families, &id.options);
    let fit = &id.fit.fits[0];
    let (truth, stated) = peak_of_pairs(fit, share);
    let stream = Stream::new(3, "test.si_si", 0);
    let draws = 40;
    let (mut pairs, mut free) = (Vec::new(), vec![Vec::new(); 3]);
    for draw in 0..draws {
        let mut y = vec![0.0; id.energies.len()];
        for (k, m) in fit.curves.total.iter().enumerate() {
            let channel = fit.curves.first_channel + k;
            y[channel] = stream.at(draw, channel).poisson(m.max(0.0)) as f64;
        }
        let model = BackgroundModel::Bremsstrahlung;
        let drawn = fit_families(&id.energies, &y, &id.families, model, &id.options).unwrap();
        pairs.push(peak_of_pairs(&drawn, share).0);
        for (i, free) in free.iter_mut().enumerate() {
            free.push(free_peak(&y, &id, (2.85, 4.3), 1 + i as i32, false).0);
        }
    }
    let (mean, deviation) = mean_and_deviation(&pairs);
    let error = deviation / (draws as f64).sqrt();
    assert!((mean - truth).abs() < 3.0 * error, "{mean} +- {error}, true {truth}");
    assert!((0.7..1.3).contains(&(deviation / stated)), "{deviation} {stated}");
    let free: Vec<(f64, f64)> = free.iter().map(|f| mean_and_deviation(f)).collect();
    assert!(free.iter().all(|(mean, _)| (mean / truth - 1.0).abs() < 0.06), "{free:?} {truth}");
    assert!(free[0].1 < free[2].1 && free[2].1 > deviation, "{free:?} {deviation}");
}
