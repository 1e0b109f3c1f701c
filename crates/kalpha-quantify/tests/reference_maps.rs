//! Quantification on real maps: pixel by pixel against eXSpy, and what bulk does to thin-film
//! k-factors.

#![allow(clippy::unwrap_used)]

use kalpha_core::{CellBuffer, Dataset, Metadata, Mode, Serial, Specimen};
use kalpha_fit::eds::families::{BackgroundModel, fit_families};
use kalpha_fit::eds::identify::{Identification, IdentifyOptions, identify};
use kalpha_fit::eds::windows::{WindowOptions, line_windows, window_intensities};
use kalpha_process::strobe::find_strobe;
use kalpha_process::totals::totals;
use kalpha_quantify::cliff_lorimer::map::map;
use kalpha_quantify::interaction::small_pixels;
use kalpha_quantify::k_factors::{KFactors, computed};

fn open(file: &str) -> Option<Dataset> {
    let path = kalpha_reference::path(&format!("data/eds/{file}"))?;
    Some(kalpha_io::open(path, &kalpha_io::OpenOptions::default()).unwrap())
}

/// Dense spectra of all rows.
fn spectra(dataset: &Dataset) -> Vec<f64> {
    let (mut buffer, mut all) = (CellBuffer::default(), Vec::new());
    let rows = dataset.meta().rows;
    dataset.rows.cell(0..rows, &mut buffer).unwrap().to_f64(&mut all);
    all
}

/// The rock, its identification, and the first channel above the strobe peak.
fn rock() -> Option<(Dataset, Identification, usize)> {
    let dataset = open("P45_12bit_packed_8bit.bcf")?;
    let energies = dataset.meta().signal.energies_kev().unwrap();
    let sum = totals(&dataset.rows, &Serial::default()).unwrap().sum;
    let end = find_strobe(&energies, &sum).end;
    let options = IdentifyOptions::new(20.0, false);
    let id = identify(&Serial::default(), &energies[end..], &sum[end..], &[], &options).unwrap();
    Some((dataset, id, end))
}

/// eXSpy 0.3.2, `FePt_core_shell.hspy`, Fe Ka and Pt La, side windows at 5 and 7 FWHM, k-factors
/// of the microscope: intensities and at.% of 4,096 pixels.
///
/// Intensities are defined alike and agree in every pixel. Compositions agree wherever no
/// intensity is negative. Where one is, eXSpy clips it at zero and returns 0 or 100 at.%; we keep
/// the sign.
#[test]
fn pixels_of_core_shell_particles_against_exspy() {
    let Some(dataset) = open("FePt_core_shell.hspy") else { return };
    let Some(file) = kalpha_reference::path("reference/eds/FePt_core_shell_CL_atomic.npz") else {
        return;
    };
    let [intensities, atomic] = ["I", "atomic"].map(|name| {
        let options =
            kalpha_io::OpenOptions { signal: Some(name.to_owned()), ..Default::default() };
        spectra(&kalpha_io::open(&file, &options).unwrap())
    });
    let energies = dataset.meta().signal.energies_kev().unwrap();
    let lines = ["Fe_Ka".to_owned(), "Pt_La".to_owned()];
    let options = WindowOptions { line_width: (5.0, 7.0), ..WindowOptions::default() };
    let windows = line_windows(&lines, 130.0, &options).unwrap();
    let mut net = Vec::new();
    for spectrum in spectra(&dataset).chunks_exact(energies.len()) {
        net.extend(window_intensities(&energies, spectrum, &windows).iter().map(|w| w.net));
    }
    assert_eq!(net.len(), intensities.len());
    assert!(net.iter().zip(&intensities).all(|(a, b)| (a - b).abs() < 1e-9));
    let k: KFactors = "Fe_Ka=1.450226,Pt_La=5.075602".parse().unwrap();
    let ours = map(&lines, &intensities, &[], &k.0, &[55.845, 195.084], 0.0).unwrap();
    assert!(ours.atomic_percent.iter().all(|v| v.is_finite()));
    // The pixel that was masked by hand when the reference was made.
    let masked = 1;
    let (mut same, mut clipped) = (0, 0);
    for (pixel, counts) in intensities.chunks_exact(2).enumerate() {
        let at = 2 * pixel..2 * pixel + 2;
        let (mine, theirs) = (&ours.atomic_percent[at.clone()], &atomic[at]);
        let agree = mine.iter().zip(theirs).all(|(a, b)| (a - b).abs() < 1e-6);
        if pixel == masked {
            assert_eq!(theirs, [0.0, 0.0]);
        } else if counts.iter().all(|&n| n >= 0.0) {
            same += 1;
            assert!(agree, "{pixel}: {mine:?} {theirs:?}");
            // Nothing measured: both give zeros, and we say that it is no composition.
            assert_eq!(ours.quantified[pixel], counts.iter().sum::<f64>() > 0.0);
        } else {
            clipped += 1;
            let expected: Vec<f64> =
                counts.iter().map(|n| if *n > 0.0 { 100.0 } else { 0.0 }).collect();
            assert_eq!(theirs, expected, "{pixel}");
        }
    }
    assert_eq!((same, clipped), (3442, 653));
    // What clipping does: where a line is negative, platinum has -1.0 counts in the mean, and the
    // clipped map still gives it 2 at.%.
    let mean = |values: &[f64]| {
        let pixels = values.chunks_exact(2).zip(intensities.chunks_exact(2));
        let negative = pixels.filter(|(_, n)| n.iter().any(|n| *n < 0.0));
        negative.map(|(v, _)| v[1]).sum::<f64>() / f64::from(clipped)
    };
    assert!(mean(&intensities) < -1.0 && mean(&atomic) > 1.5);
}

/// Quartz in an SEM at 20 kV, quantified as if it were a film: why bulk is refused.
///
/// O Ka is absorbed in the specimen far more than Si Ka, so thin-film k-factors turn 46.7 wt% Si
/// into some 75.
#[test]
fn bulk_quartz_would_be_three_quarters_silicon() {
    let Some((dataset, id, end)) = rock() else { return };
    let channels = dataset.meta().channels;
    let energies = &id.energies;
    let mut quartz = vec![0.0; energies.len()];
    let mut pixels = 0;
    for spectrum in spectra(&dataset).chunks_exact(channels).map(|s| &s[end..]) {
        let window = |low: f64, high: f64| -> f64 {
            let inside = energies.iter().zip(spectrum);
            inside.filter(|(e, _)| (low..high).contains(*e)).map(|(_, x)| x).sum()
        };
        let others = window(0.98, 1.55) + window(3.2, 3.42) + window(3.6, 3.8);
        if window(1.66, 1.82) >= 45.0 && others <= 9.0 {
            quartz.iter_mut().zip(spectrum).for_each(|(q, x)| *q += x);
            pixels += 1;
        }
    }
    let model = BackgroundModel::Bremsstrahlung;
    let fit = fit_families(energies, &quartz, &id.families, model, &id.options).unwrap();
    let counts = |name: &str| {
        let alpha = id.families.iter().find(|f| f.name() == name).unwrap().alpha_fraction();
        alpha * fit.counts[fit.families.iter().position(|f| f == name).unwrap()]
    };
    let k = |line: &str| computed(line, 20.0, &id.options.detector).unwrap().value;
    let (o, si) = (k("O_Ka") * counts("O_K"), k("Si_Ka") * counts("Si_K"));
    let percent = 100.0 * si / (o + si);
    assert!(pixels > 20, "{pixels} pixels of quartz");
    // SiO2 is 46.7 wt% Si.
    assert!((70.0..80.0).contains(&percent), "{percent}");
}

#[test]
fn small_pixels_are_said() {
    let Some((dataset, id, _)) = rock() else { return };
    let metadata = Metadata {
        acquisition_mode: Some(Mode::Sem),
        beam_energy_kev: Some(20.0),
        ..Metadata::default()
    };
    // 8.7 um pixels are larger than the 3.6 um that X-rays come from.
    assert!(small_pixels(dataset.meta(), &metadata, &id).is_none());
    let mut meta = dataset.meta().clone();
    for axis in &mut meta.navigation {
        let n = axis.len();
        *axis =
            kalpha_core::Axis::linear("x", kalpha_core::Unit::Nanometre, 0.0, 500.0, n).unwrap();
    }
    let said = small_pixels(&meta, &metadata, &id).unwrap();
    assert!(said.message.contains("7.3 pixels") && said.message.contains("assumed"), "{said:?}");
    let stated = Metadata { density_g_cm3: Some(60.0), ..metadata.clone() };
    assert!(small_pixels(&meta, &stated, &id).is_none());
    let thin = Metadata { specimen: Some(Specimen::Thin), ..metadata };
    assert!(small_pixels(&meta, &thin, &id).is_none());
}
