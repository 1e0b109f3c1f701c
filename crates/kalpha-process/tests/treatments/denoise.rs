//! Denoising measured absorption spectra with 1 % noise added.
//!
//! Every second compound is for choosing (the window of Savitzky-Golay), the others are for
//! judging. PyWavelets 1.9, sym8, universal soft threshold at its deepest level, leaves 0.0071 of
//! 0.0100 on the same grid.

use kalpha_num::rng::Stream;
use kalpha_process::denoise::{
    savitzky_golay::SavitzkyGolay,
    wavelet::{Rule, Threshold, Wavelet, WaveletScratch},
    whittaker::{Whittaker, WhittakerScratch},
};

const CHANNELS: usize = 240;
const NOISE: f64 = 0.01;

/// Iron K edges from 7100 to 7160 eV in steps of 0.25 eV, edge step 1.
fn minerals() -> Option<Vec<Vec<f64>>> {
    let folder = kalpha_reference::path("data/xas/Fe_minerals_ALS")?;
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut spectra = Vec::new();
    for file in files.iter().filter(|f| f.extension().is_some_and(|e| e == "e")) {
        let bytes = std::fs::read(file).unwrap();
        let mut points: Vec<(f64, f64)> = String::from_utf8_lossy(&bytes)
            .lines()
            .filter_map(|line| {
                let mut numbers = line.split_whitespace().map(str::parse::<f64>);
                Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
            })
            .collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let on_grid: Option<Vec<f64>> = (0..CHANNELS)
            .map(|i| {
                let e = 7100.0 + 0.25 * i as f64;
                let k = points.partition_point(|p| p.0 <= e);
                let (a, b) = (points.get(k.checked_sub(1)?)?, points.get(k)?);
                Some(a.1 + (b.1 - a.1) * (e - a.0) / (b.0 - a.0))
            })
            .collect();
        spectra.extend(on_grid.filter(|_| points.len() < 5000));
    }
    Some(spectra)
}

fn noisy(spectra: &[Vec<f64>], draw: u64) -> Vec<Vec<f64>> {
    let noise = Stream::new(draw, "denoise", 0);
    let add = |(r, y): (usize, &Vec<f64>)| {
        y.iter().enumerate().map(|(c, v)| v + NOISE * noise.at(r, c).normal()).collect()
    };
    spectra.iter().enumerate().map(add).collect()
}

/// Root mean square error over the spectra with `part` in the remainder of their number by 2.
fn rmse(
    truth: &[Vec<f64>],
    noisy: &[Vec<f64>],
    part: usize,
    mut denoise: impl FnMut(&[f64], &mut [f64]),
) -> f64 {
    let mut out = vec![0.0; CHANNELS];
    let (mut sum, mut n) = (0.0, 0.0);
    for (truth, noisy) in truth.iter().zip(noisy).skip(part).step_by(2) {
        denoise(noisy, &mut out);
        sum += truth.iter().zip(&out).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        n += CHANNELS as f64;
    }
    (sum / n).sqrt()
}

fn wavelet(params: Wavelet) -> impl FnMut(&[f64], &mut [f64]) {
    let (method, mut scratch) = (params.planned(CHANNELS).unwrap(), WaveletScratch::default());
    move |y, out| {
        method.row(y, out, &mut scratch);
    }
}

#[test]
fn wavelets_beat_the_best_window() {
    let Some(truth) = minerals() else { return };
    assert!(truth.len() > 60, "{}", truth.len());
    for draw in 0..3 {
        let noisy = noisy(&truth, draw);
        let smooth = |window, degree| {
            let params = SavitzkyGolay { window, degree, derivative: 0 };
            let method = params.planned(CHANNELS, 0.25).unwrap();
            move |y: &[f64], out: &mut [f64]| method.row(y, out)
        };
        let windows = (5..41).step_by(2).flat_map(|w| (2..w.min(7)).map(move |d| (w, d)));
        let (window, degree) = windows
            .min_by(|a, b| {
                let error = |(w, d): (usize, usize)| rmse(&truth, &noisy, 0, smooth(w, d));
                error(*a).total_cmp(&error(*b))
            })
            .unwrap();
        let peer = rmse(&truth, &noisy, 1, smooth(window, degree));
        let ours = rmse(&truth, &noisy, 1, wavelet(Wavelet::default()));
        let by_rule = [Rule::Universal, Rule::Sure, Rule::Bayes].map(|rule| {
            [Threshold::Soft, Threshold::Hard].map(|threshold| {
                rmse(&truth, &noisy, 1, wavelet(Wavelet { rule, threshold, ..Wavelet::default() }))
            })
        });
        let mut scratch = WhittakerScratch::default();
        let whittaker = Whittaker::default().planned();
        let penalised = rmse(&truth, &noisy, 1, |y, out| {
            whittaker.row(y, out, &mut scratch).unwrap();
        });
        eprintln!(
            "draw {draw}: wavelet {ours:.5}, Savitzky-Golay {window}/{degree} {peer:.5}, Whittaker \
             {penalised:.5}, universal, SURE, Bayes (soft, hard) {by_rule:.5?}"
        );
        assert!(ours < peer, "{ours} {peer}");
        assert!(ours <= 0.0055, "{ours}");
    }
}
