use super::*;
use kalpha_core::{CsrBuilder, ValuesView};

fn counts() -> kalpha_core::CsrCounts {
    let mut b = CsrBuilder::new(64).unwrap();
    for r in 0..50usize {
        for c in 0..64usize {
            b.push(c as u16, ((r * 31 + c * 17) % 11 / 8) as u32 * (1 + (r % 3) as u32));
        }
        b.end_row();
    }
    b.finish()
}

fn table(components: usize) -> Table {
    let spectra: Vec<f64> = (0..components * 64).map(|i| ((i * 37) % 101) as f64 + 1.0).collect();
    let mut table = Table::new(&spectra, components, 64);
    table.normalise();
    table
}

#[test]
#[cfg(target_arch = "x86_64")]
fn simd_gives_the_bits_of_the_plain_form() {
    bits_agree::<4>(1);
    bits_agree::<4>(3);
    bits_agree::<4>(4);
    bits_agree::<8>(7);
    bits_agree::<16>(9);
}

#[cfg(target_arch = "x86_64")]
fn bits_agree<const W: usize>(components: usize) {
    let csr = counts();
    let view = CsrView::of(&csr, 0..50);
    let table = table(components);
    assert_eq!(table.width, W);
    let solve = Work::Solve { cost: &[], tolerance: 1e-9, steps: 20 };
    for work in [solve, Work::Accumulate, Work::Round { tolerance: 1e-9, steps: 20 }] {
        let run = |simd: Simd| {
            let mut w = vec![3.0; 50 * W];
            w.chunks_exact_mut(W).for_each(|w| w[components..].fill(0.0));
            let mut num = Sums::new(&table);
            let f = Fixed::default();
            let g = match simd {
                // SAFETY: the processor has these instructions.
                Simd::Avx512 => unsafe { avx512::<W>(view, 0, &table, f, work, &mut w, &mut num) },
                // SAFETY: as above.
                Simd::Avx2 => unsafe { avx2::<W>(view, 0, &table, f, work, &mut w, &mut num) },
                Simd::Scalar => plain::<W>(view, 0, &table, f, work, &mut w, &mut num),
            };
            (w, num.pull, num.hessian, g.log.to_bits(), g.total.to_bits())
        };
        for simd in Simd::available() {
            assert_eq!(run(simd), run(Simd::Scalar), "{simd:?}, {components} components");
        }
    }
}

#[test]
fn the_solution_meets_the_optimality_conditions_from_any_start() {
    let csr = counts();
    let view = CsrView::of(&csr, 0..50);
    let ValuesView::U8(values) = view.values else { panic!("u8 expected") };
    for components in [1, 2, 7, 8] {
        let table = table(components);
        let width = table.width;
        let mut reached: Vec<Vec<f64>> = Vec::new();
        for start in 0..3 {
            let mut w = vec![0.0; 50 * width];
            for (i, w) in w.chunks_exact_mut(width).enumerate() {
                for (k, w) in w[..components].iter_mut().enumerate() {
                    *w = [1.0, 200.0 * f64::from(k == i % components), 1e-12][start];
                }
            }
            let work = Work::Solve { cost: &[], tolerance: 1e-10, steps: 60 };
            rows(view, 0, &table, Fixed::default(), work, &mut w, &mut Sums::default());
            for (r, w) in w.chunks_exact(width).enumerate() {
                for k in 0..components {
                    let mut slope = table.norm[k];
                    for e in view.entries(r) {
                        let h = table.of(usize::from(view.indices[e]));
                        let m: f64 = h.iter().zip(w).map(|(h, w)| h * w).sum();
                        slope -= f64::from(values[e]) / m * h[k];
                    }
                    let none = view.entries(r).is_empty();
                    assert!(none || slope > -1e-4, "start {start} row {r} {slope} {w:?}");
                    assert!((slope * w[k]).abs() < 1e-3, "start {start} row {r} {slope} {w:?}");
                }
            }
            reached.push(w);
        }
        for other in &reached[1..] {
            for (a, b) in reached[0].iter().zip(other) {
                assert!((a - b).abs() < 1e-3 * (1.0 + a), "{components}: {a} {b}");
            }
        }
    }
}

/// A count that the start all but rules out must not freeze the other abundances.
#[test]
fn a_nearly_impossible_count_does_not_hold_the_others() {
    let mut spectra = vec![0.0; 3 * 40];
    for c in 0..39 {
        spectra[c] = 1.0 + c as f64;
        spectra[40 + c] = 40.0 - c as f64;
    }
    spectra[119] = 1.0;
    spectra[80] = 1e-12;
    let mut table = Table::new(&spectra, 3, 40);
    table.normalise();
    let mut b = CsrBuilder::new(40).unwrap();
    for c in 0..39u16 {
        b.push(c, 10 + u32::from(c));
    }
    b.push(39, 1);
    b.end_row();
    let csr = b.finish();
    let view = CsrView::of(&csr, 0..1);
    let mut w = vec![0.0; 4];
    let work = Work::Solve { cost: &[], tolerance: 1e-8, steps: 60 };
    rows(view, 0, &table, Fixed::default(), work, &mut w, &mut Sums::default());
    assert!((w[2] - 1.0).abs() < 1e-3, "{w:?}");
    assert!((w.iter().sum::<f64>() - 1132.0).abs() < 1e-3, "{w:?}");
    assert!(w[0] > w[1], "{w:?}");
}

#[test]
fn one_row_with_a_prior_is_solved_and_its_likelihood_is_the_sum() {
    for components in [1, 3, 4, 6, 12] {
        let table = table(components);
        let width = table.width;
        let channels: Vec<u16> = (0..61).filter(|c| c % 5 != 2).collect();
        // Small powers, counts that need a logarithm, and a block that is not full.
        let counts: Vec<u32> = channels.iter().map(|c| u32::from(c * 7 % 13 + 1)).collect();
        let mut pull = vec![0.0; width];
        pull[..components].fill(2.5);
        let mut w = vec![0.0; width];
        w[..components].fill(1.0);
        let mut cost = table.norm.clone();
        cost[..components].iter_mut().for_each(|c| *c += 0.3);
        let with = Fit { cost: cost.clone(), pull, w: w.clone(), log: 0.0, hessian: Vec::new() };
        let free = Fit { cost, pull: Vec::new(), w, log: 0.0, hessian: Vec::new() };
        let fixed = (Fixed::default(), &[][..]);
        let single = Single { table: &table, channels: &channels, counts: &counts, fixed };
        let mut fits = [with, free];
        fit_one(&mut Row::default(), single, &mut fits);
        for fit in &fits {
            let model = |c: &u16| -> f64 {
                table.of(usize::from(*c)).iter().zip(&fit.w).map(|(h, w)| h * w).sum()
            };
            let entries = || channels.iter().zip(&counts).map(|(c, x)| (c, f64::from(*x)));
            let log: f64 = entries().map(|(c, x)| x * model(c).ln()).sum();
            assert!((fit.log - log).abs() < 1e-9 * log.abs(), "{components}: {} {log}", fit.log);
            for k in 0..components {
                let h = |c: &u16| table.of(usize::from(*c))[k];
                let first: f64 = entries().map(|(c, x)| x / model(c) * h(c)).sum();
                let second: f64 = entries().map(|(c, x)| x / model(c).powi(2) * h(c) * h(c)).sum();
                let got = fit.hessian[k * width + k];
                assert!((got / second - 1.0).abs() < 1e-9, "{components}: {got} {second}");
                let pulled = fit.pull.get(k).map_or(0.0, |p| p / fit.w[k]);
                let slope = fit.cost[k] - first - pulled;
                assert!(slope > -0.05 && (slope * fit.w[k]).abs() < 0.1, "{components}: {slope}");
            }
        }
    }
}
