use super::*;
use crate::lines::line_energy;
use kalpha_core::CountValues;

fn dense_sum(s: &EdsSimulation, keep: impl Fn(usize) -> bool) -> Vec<f64> {
    let mut sum = vec![0.0; s.counts.channels()];
    let value = |i: usize| match s.counts.values() {
        CountValues::U8(v) => f64::from(v[i]),
        CountValues::U16(v) => f64::from(v[i]),
        CountValues::U32(v) => f64::from(v[i]),
    };
    for row in (0..s.counts.rows()).filter(|&r| keep(r)) {
        for i in s.counts.indptr()[row] as usize..s.counts.indptr()[row + 1] as usize {
            sum[usize::from(s.counts.indices()[i])] += value(i);
        }
    }
    sum
}

/// Counts within one FWHM of a line, less the mean of two side windows.
fn net(s: &EdsSimulation, spectrum: &[f64], line: &str) -> f64 {
    let centre = line_energy(line).unwrap();
    let half = 1.2 * PeakShape::gaussian(s.truth.mn_ka_ev).resolution.fwhm(centre);
    let window = |low: f64, high: f64| {
        let inside = |k: &usize| {
            let e = s.truth.energy_offset + s.truth.energy_scale * *k as f64;
            e >= low && e < high
        };
        let channels: Vec<usize> = (0..spectrum.len()).filter(inside).collect();
        let sum: f64 = channels.iter().map(|&k| spectrum[k]).sum();
        (sum, channels.len() as f64)
    };
    let (peak, width) = window(centre - half, centre + half);
    let (left, nl) = window(centre - 2.0 * half, centre - 1.2 * half);
    let (right, nr) = window(centre + 1.2 * half, centre + 2.0 * half);
    peak - (left + right) / (nl + nr) * width
}

#[test]
fn thin_intensities_follow_cliff_lorimer() {
    let s = thin::simulate(1).unwrap();
    let sum = dense_sum(&s, |_| true);
    assert!((1.0e6..3.0e6).contains(&sum.iter().sum::<f64>()), "{}", sum.iter().sum::<f64>());
    // Fe and Pt are free of overlap: their ratio gives back the composition.
    let k = |line: &str| s.truth.k_factors.iter().find(|(l, _)| l == line).unwrap().1;
    let w = |e: &str| s.truth.weight_percent[s.truth.elements.iter().position(|x| x == e).unwrap()];
    let measured = net(&s, &sum, "Fe_Ka") * k("Fe_Ka") / (net(&s, &sum, "Pt_La") * k("Pt_La"));
    let true_ratio = w("Fe") / w("Pt");
    assert!((measured / true_ratio - 1.0).abs() < 0.06, "{measured} {true_ratio}");
    for total in [&s.truth.atomic_percent, &s.truth.weight_percent] {
        assert!((total.iter().sum::<f64>() - 100.0).abs() < 1e-9);
    }
    assert!(net(&s, &sum, "Cu_Ka") > 1000.0);
}

#[test]
fn same_seed_same_map() {
    let (a, b, c) =
        (thin::simulate(3).unwrap(), thin::simulate(3).unwrap(), thin::simulate(4).unwrap());
    assert_eq!((a.counts.indices(), &a.truth), (b.counts.indices(), &b.truth));
    assert_ne!(a.counts.indices(), c.counts.indices());
}

#[test]
fn thin_map_holds_its_phases_and_silver_twice() {
    let s = thin::simulate(7).unwrap();
    assert_eq!(s.truth.labels.len(), s.height * s.width);
    for phase in &s.truth.phases {
        assert!(phase.area_fraction > 0.02, "{}: {}", phase.name, phase.area_fraction);
        assert!((phase.atomic_percent.iter().sum::<f64>() - 100.0).abs() < 1e-9);
    }
    assert_eq!(s.truth.rare_pixels.len(), 2);
    for rare in &s.truth.rare_pixels {
        let pixel = rare.row * s.width + rare.column;
        let here = net(&s, &dense_sum(&s, |r| r == pixel), "Ag_La");
        assert!(here > 10.0, "{here}");
    }
    let json = serde_json::to_string(&s.truth).unwrap();
    assert!(json.contains("Fe-rich shell"));
}

#[test]
fn bulk_has_strobe_pileup_and_planted_grain() {
    let s = bulk::simulate(1).unwrap();
    let sum = dense_sum(&s, |_| true);
    let energy = |k: usize| s.truth.energy_offset + s.truth.energy_scale * k as f64;
    let near = |e: f64, half: f64| -> f64 {
        (0..sum.len()).filter(|&k| (energy(k) - e).abs() < half).map(|k| sum[k]).sum()
    };
    let per_pixel = sum.iter().sum::<f64>() / (s.height * s.width) as f64;
    assert!((100.0..180.0).contains(&per_pixel), "{per_pixel}");
    let strobe = near(0.0, 0.09) / (s.height * s.width) as f64;
    assert!((strobe - s.truth.strobe_counts).abs() < 1.5, "{strobe}");
    let rare = &s.truth.rare_pixels;
    assert_eq!(rare.len(), 2);
    let pixels: Vec<usize> = rare.iter().map(|r| r.row * s.width + r.column).collect();
    let here = dense_sum(&s, |r| pixels.contains(&r));
    assert!(net(&s, &here, "S_Ka") > 20.0);
    assert!(s.truth.atomic_percent.is_empty() && s.truth.k_factors.is_empty());
}

/// Si + Si stands at 3.48 keV, where quartz has no line. Eight maps bring the noise of the net
/// counts to a tenth of what is expected.
#[test]
fn silicon_pairs_stand_at_twice_the_line() {
    let (mut pixels, mut silicon, mut pairs, mut scale) = (0.0, 0.0, 0.0, 0.0);
    for seed in 1..=8 {
        let s = bulk::simulate(seed).unwrap();
        let phases = s.truth.phases.len();
        let pure = |r: usize| {
            s.truth.abundances[r * phases + 1..(r + 1) * phases].iter().all(|&a| a == 0.0)
        };
        pixels += (0..s.counts.rows()).filter(|&r| pure(r)).count() as f64;
        let spectrum = dense_sum(&s, pure);
        let energy = |k: usize| s.truth.energy_offset + s.truth.energy_scale * k as f64;
        let window = |e: f64, half: f64| -> f64 {
            (0..spectrum.len()).filter(|&k| (energy(k) - e).abs() < half).map(|k| spectrum[k]).sum()
        };
        silicon += window(1.74, 0.12);
        pairs += window(3.48, 0.15) - 0.5 * (window(3.1, 0.15) + window(3.86, 0.15));
        scale = s.truth.pileup_scale;
    }
    let expected = scale * (silicon / pixels).powi(2) * pixels;
    assert!(pixels > 8000.0 && (pairs / expected - 1.0).abs() < 0.3, "{pairs} {expected}");
}
