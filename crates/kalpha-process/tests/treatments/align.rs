//! Warping against tslearn 0.10 and cowarp 0.2.2, on the reference pair.

use crate::arrays::npz;
use kalpha_process::align::{
    cow::{Cow, CowScratch, Criterion},
    dtw::{DtwScratch, dtw},
};

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let (ma, mb) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let dot = |u: &[f64], mu: f64, v: &[f64], mv: f64| -> f64 {
        u.iter().zip(v).map(|(x, y)| (x - mu) * (y - mv)).sum()
    };
    dot(a, ma, b, mb) / (dot(a, ma, a, ma) * dot(b, mb, b, mb)).sqrt()
}

#[test]
fn time_warping_is_that_of_tslearn() {
    let Some(file) = kalpha_reference::path("reference/align/align_512.npz") else { return };
    let (target, sample) = (npz(&file, "target"), npz(&file, "sample"));
    let mut scratch = DtwScratch::default();
    let distance = dtw(&target, &sample, None, &mut scratch).unwrap();
    assert!((distance - 0.218_654_119_757_934_14).abs() < 1e-12, "{distance}");
    let path: Vec<f64> = scratch.path().iter().flat_map(|&(i, j)| [i as f64, j as f64]).collect();
    assert_eq!(path, npz(&file, "dtw_path"));
}

/// cowarp, 10 segments and slack 8: correlation 0.9538, area + 5.5 %. It maximises the sum of
/// the segments' correlations, in which segments of noise count as much as lines.
#[test]
fn optimised_warping_beats_cowarp() {
    let Some(file) = kalpha_reference::path("reference/align/align_512.npz") else { return };
    let (target, sample) = (npz(&file, "target"), npz(&file, "sample"));
    let peer = npz(&file, "cow_aligned");
    let sum = |y: &[f64]| y.iter().sum::<f64>();
    let cow = Cow::new(&target, 10, 8, Criterion::LeastSquares, 2.0).unwrap();
    let (mut scratch, mut out) = (CowScratch::default(), vec![0.0; 512]);
    assert!(cow.search(&sample, &mut scratch));
    cow.warp(&sample, scratch.nodes(), false, &mut out);
    let (ours, theirs) = (correlation(&target, &out), correlation(&target, &peer));
    let area = sum(&out) / sum(&sample) - 1.0;
    eprintln!("correlation {ours}, cowarp {theirs}; area change {area}");
    assert!((theirs - 0.9538).abs() < 1e-4 && ours >= 0.998, "{ours} {theirs}");
    assert!(area.abs() <= 0.02, "{area}");
    // The lines themselves are 2.4 % smaller in the target: nothing is lost to the warp.
    assert!((sum(&target) / sum(&sample) - 1.0 - area).abs() < 0.01);
}
