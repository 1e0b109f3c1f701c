//! A synthetic bulk rock, not quantified.

use crate::sample::*;
use kalpha_core::{Code, Diagnostic, Mode, Source, Specimen};
use kalpha_report::eds::*;

/// A bulk rock: eleven elements, not quantified, grains of apatite.
pub fn rock() -> (EdsDocument, EdsFigures) {
    let mut noise = Noise(11);
    let (rows, cols) = (75, 100);
    let source = Source {
        path: "P45_12bit_packed_8bit.bcf".into(),
        format: "Bruker composite".into(),
        version: None,
        bytes: Some(2_310_144),
        dtype: None,
        signal: None,
        history: Vec::new(),
    };
    let size = PixelSize { x: 1.66, y: 1.66, unit: "um".into() };
    let shape = Shape { rows, cols, channels: 2048, pixel_size: Some(size) };
    let mut document = EdsDocument::new(source, "P45", shape);
    document.program = "kalpha 0.1.0".into();
    document.metadata.beam_energy_kev = Some(20.0);
    document.metadata.acquisition_mode = Some(Mode::Sem);
    document.metadata.take_off_angle = Some(35.0);
    document.specimen =
        Some(SpecimenKind { kind: Specimen::Bulk, because: "SEM at 20 kV".into(), inferred: true });
    let energies: Vec<f64> = (0..2048).map(|i| -0.472 + 0.01 * i as f64).collect();
    let families: Vec<Family> = vec![
        ("C_Ka", FamilyKind::Specimen, &[(0.277, 1.0)], 7_100.0),
        ("O_Ka", FamilyKind::Specimen, &[(0.525, 1.0)], 181_000.0),
        ("Fe_La", FamilyKind::Specimen, &[(0.705, 1.0)], 6_300.0),
        ("Na_Ka", FamilyKind::Specimen, &[(1.041, 1.0)], 17_800.0),
        ("Mg_Ka", FamilyKind::Specimen, &[(1.254, 1.0)], 9_650.0),
        ("Al_Ka", FamilyKind::Specimen, &[(1.487, 1.0), (1.557, 0.02)], 61_400.0),
        ("Si_Ka", FamilyKind::Specimen, &[(1.740, 1.0), (1.836, 0.03)], 204_000.0),
        ("P_Ka", FamilyKind::Specimen, &[(2.013, 1.0), (2.139, 0.05)], 732.0),
        ("O+Al", FamilyKind::Artefact, &[(2.010, 1.0)], 380.0),
        ("O+Si", FamilyKind::Artefact, &[(2.264, 1.0)], 1_240.0),
        ("K_Ka", FamilyKind::Specimen, &[(3.313, 1.0), (3.590, 0.11)], 15_100.0),
        ("Si+Si", FamilyKind::Artefact, &[(3.480, 1.0)], 1_270.0),
        ("Ca_Ka", FamilyKind::Specimen, &[(3.692, 1.0), (4.013, 0.13)], 18_300.0),
        ("Ti_Ka", FamilyKind::Specimen, &[(4.510, 1.0), (4.932, 0.14)], 2_420.0),
        ("Fe_Ka", FamilyKind::Specimen, &[(6.404, 1.0), (7.058, 0.13)], 11_200.0),
    ];
    let continuum = (20.0, 4_600.0);
    let mut sum = spectrum(&energies, &families, continuum, 1.0, &mut noise);
    for i in 30..66 {
        let z = (energies[i] - 0.0) / 0.035;
        sum.counts[i] = 14_000.0 * (-0.5 * z * z).exp();
        if let Some(residual) = &mut sum.residual {
            residual[i] = 0.0;
        }
    }
    document.counts = Counts {
        total: 1_119_400,
        used: 925_700,
        per_pixel: 123.4,
        occupied: Some(0.0462),
        masked_pixels: 0,
        strobe: Some(Strobe {
            first_channel: 30,
            last_channel: 65,
            counts: 193_700,
            fraction: 0.173,
        }),
    };
    let specimen = Role::Specimen;
    document.elements = vec![
        element("Si", 14, "Si_Ka", 1.740, 204_000.0, 480.0, specimen),
        element("O", 8, "O_Ka", 0.525, 181_000.0, 510.0, specimen),
        element("Al", 13, "Al_Ka", 1.487, 61_400.0, 300.0, specimen),
        element("Fe", 26, "Fe_Ka", 6.404, 11_200.0, 150.0, specimen),
        element("Ca", 20, "Ca_Ka", 3.692, 18_300.0, 190.0, specimen),
        element("K", 19, "K_Ka", 3.313, 15_100.0, 180.0, specimen),
        element("Na", 11, "Na_Ka", 1.041, 17_800.0, 240.0, specimen),
        element("Mg", 12, "Mg_Ka", 1.254, 9_650.0, 230.0, specimen),
        element("Ti", 22, "Ti_Ka", 4.510, 2_420.0, 110.0, specimen),
        element("C", 6, "C_Ka", 0.277, 7_100.0, 420.0, specimen),
        element("P", 15, "P_Ka", 2.013, 732.0, 105.0, specimen),
    ];
    document.elements[10].found_in = FoundIn::Phase(3);
    document.rejected = vec![
        Rejected { candidate: "Cl".into(), reason: "listed by the vendor, but nothing stands at 2.62 keV".into(), significance: Some(0.4) },
        Rejected { candidate: "S".into(), reason: "the bump at 2.26 keV is pile-up of O Ka and Si Ka; without it nothing is left at 2.31 keV".into(), significance: Some(-0.8) },
    ];
    document.calibration = Calibration::Refused {
        reason: "the fit gives a resolution of 1479 eV at Mn Ka, outside 90-250 eV".into(),
        hint: "the file's axis is used; check the elements given with --elements".into(),
    };
    let refusal = Quantification::NotQuantified(NotQuantified {
        reason: "bulk".into(),
        message: "This is a bulk specimen (SEM at 20 kV). Thin-film k-factors do not hold there: they would turn quartz from 47 into 75 wt% Si.".into(),
        hint: "Use the intensities, detection limits and phases below. If the specimen is thin, say so with --specimen thin.".into(),
    });
    document.quantification = refusal.clone();
    let names = [
        "quartz-like (Si O)",
        "feldspar-like (K Al Si O)",
        "plagioclase-like (Na Ca Al Si O)",
        "Ca P (apatite-like)",
        "Fe Mg silicate",
        "Ti Fe oxide",
    ];
    let colors = ["#2a78d6", "#eb6834", "#1baf7a", "#eda100", "#e87ba4", "#008300"];
    let labels: Vec<u16> = (0..rows * cols)
        .map(|i| {
            let (r, c) = ((i / cols) as f64, (i % cols) as f64);
            let f = (r * 0.11).sin() + (c * 0.083).cos() + (0.05 * (r + c)).sin();
            let f = f + 0.05 * noise.normal();
            match f {
                f if f > 1.6 => 4,
                f if f > 0.62 => 1,
                f if f > 0.5 => LabelMap::MIXED,
                f if f > -0.5 => 0,
                f if f > -0.62 => LabelMap::MIXED,
                f if f > -1.7 => 2,
                _ => {
                    if (i * 7) % 11 < 5 {
                        3
                    } else {
                        5
                    }
                }
            }
        })
        .collect();
    let total = (rows * cols) as f64;
    let pixels = |label: u16| labels.iter().filter(|&&l| l == label).count();
    document.phases = (0..6)
        .map(|label| Phase {
            name: names[label].into(),
            label,
            color: colors[label].into(),
            pixels: pixels(label as u16),
            area_fraction: interval(pixels(label as u16) as f64 / total, 0.008),
            quantification: refusal.clone(),
            intensities: families
                .iter()
                .filter(|f| f.1 == FamilyKind::Specimen)
                .map(|f| {
                    intensity(
                        f.0,
                        f.3 * (0.02 + noise.uniform().powi(3)),
                        f.3.sqrt() * 0.6,
                        f.3.sqrt() * 0.4,
                    )
                })
                .collect(),
        })
        .collect();
    document.phases.sort_by_key(|phase| std::cmp::Reverse(phase.pixels));
    document.mixed_fraction = Some(interval(pixels(LabelMap::MIXED) as f64 / total, 0.01));
    document.intensities = families
        .iter()
        .filter(|f| f.1 == FamilyKind::Specimen)
        .map(|f| intensity(f.0, f.3, f.3.sqrt() * 1.1 + 60.0, f.3.sqrt() * 0.5 + 40.0))
        .collect();
    document.rank = Some(Rank {
        chosen: 5,
        chosen_by: "thinning, one-standard-error rule".into(),
        thinning: Some(ThinningCurve {
            components: (0..=12).collect(),
            error: (0..=12)
                .map(|k| 1.004 + 0.8 * (-0.95 * k as f64).exp() + 0.0006 * k as f64)
                .collect(),
            standard_error: (0..=12).map(|k| 0.004 + 0.0002 * k as f64).collect(),
            thinnings: 5,
        }),
        dispersion: Some(Dispersion { index: 1.021, sigma: 0.003, passed: false }),
        elbow: Some(4),
        cumulative_variance: Some(CumulativeVariance { threshold: 0.99, components: 3 }),
        parallel_analysis: Some(6),
        malinowski_ind: None,
    });
    document.flagged = (0..24)
        .map(|i| Flagged {
            pixel: if i == 0 { [50, 28] } else { [(i * 13) % rows, (i * 29) % cols] },
            element: (i != 5).then(|| ["P", "Ca", "Ti"][i % 3].into()),
            family: (i != 5).then(|| ["P_Ka", "Ca_Ka", "Ti_Ka"][i % 3].into()),
            test: if i == 5 { "deviance".into() } else { "matched scan".into() },
            neighbourhood: [[1, 1], [3, 3], [2, 2]][i % 3],
            counts: 22.0 - 0.4 * i as f64,
            expected: 0.83,
            p: 2.2e-25 * 10f64.powi(i as i32 / 2),
            p_family_wise: 1.4e-19 * 10f64.powi(i as i32 / 2),
            refit: if i < 4 { Refit::OwnEndMember } else { Refit::RawCounts },
        })
        .collect();
    document.guard = Some(Guard {
        level: 0.05,
        tests: 2_475_000,
        inflation: families
            .iter()
            .filter(|f| f.1 == FamilyKind::Specimen)
            .map(|f| Inflation { family: f.0.into(), factor: 1.0 + 0.3 * noise.uniform() })
            .collect(),
        bootstrap: Some(Bootstrap { draws: 100, maps_with_flags: 4, flags: 4 }),
        own_end_members: vec![OwnEndMember { elements: vec!["P".into()], pixels: 9 }],
        pile_up_counts: 1234.0,
    });
    document.warnings = vec![
        Diagnostic::warning(Code::StrobePeak, "The strobe peak at 0 keV holds 193,700 counts, 17.3 % of all. It is no photon signal: it is left out of totals, decomposition and tests.").step("eds.strobe"),
        Diagnostic::warning(Code::VendorDisagrees, "The file lists Cl; nothing stands at its lines.").hint("the vendor's list is a claim, not evidence").step("eds.identify"),
        Diagnostic::warning(Code::PixelSize, "Pixels (1.66 um) are smaller than the X-ray range of Fe Ka at 20 kV (1.9 um): neighbouring phases leak into each other.").hint("read the boundaries with care, or lower the beam energy").step("cliff_lorimer"),
        Diagnostic::warning(Code::Overdispersed, "The counts are not quite Poisson (index 1.021 +- 0.003): p-values are corrected.").step("rank"),
    ];
    document.outputs = vec![Output { file: "report.html".into(), about: "this report".into() }];

    let element_map = |name: &str, mean: [f64; 6], noise: &mut Noise| {
        let values = labels
            .iter()
            .map(|&l| noise.poisson(mean.get(l as usize).copied().unwrap_or(8.0)))
            .collect();
        map(name, "", (rows, cols), values)
    };
    let maps = [
        ("O_Ka", [30.0, 22.0, 20.0, 18.0, 16.0, 12.0]),
        ("Na_Ka", [0.2, 1.0, 6.0, 0.3, 0.5, 0.2]),
        ("Mg_Ka", [0.1, 0.1, 0.2, 0.5, 7.0, 1.0]),
        ("Al_Ka", [0.3, 9.0, 13.0, 0.4, 3.0, 1.0]),
        ("Si_Ka", [55.0, 34.0, 30.0, 1.0, 14.0, 2.0]),
        ("P_Ka", [0.05, 0.05, 0.05, 14.0, 0.1, 0.1]),
        ("K_Ka", [0.2, 7.0, 0.4, 0.2, 0.3, 0.2]),
        ("Ca_Ka", [0.2, 0.4, 4.0, 22.0, 2.0, 0.8]),
        ("Fe_Ka", [0.1, 0.2, 0.3, 0.4, 8.0, 14.0]),
    ]
    .map(|(name, mean)| element_map(name, mean, &mut noise));
    let deviance = map(
        "deviance",
        "Poisson deviance",
        (rows, cols),
        labels
            .iter()
            .map(|&l| 0.4 + 0.05 * noise.normal() + if l == 3 { 0.2 } else { 0.0 })
            .collect(),
    );
    let flagged = document.flagged[..6]
        .iter()
        .map(|f| FlagSpectrum {
            pixel: f.pixel,
            counts: energies
                .iter()
                .map(|&e| {
                    noise
                        .poisson(0.01 + 0.22 * peak(e, 2.013, 0.133) + 0.27 * peak(e, 3.692, 0.133))
                })
                .collect(),
            expected: energies
                .iter()
                .map(|&e| 0.01 + 0.05 * peak(e, 1.74, 0.133) + 0.02 * peak(e, 3.692, 0.133))
                .collect(),
        })
        .collect();
    let figures = EdsFigures {
        excluded: Some((30, 65)),
        max_pixel: Some(sum.counts.iter().map(|c| (c / 900.0).ceil() + 1.0).collect()),
        phases: (0..6)
            .map(|label| PhaseSpectrum {
                label,
                spectrum: spectrum(
                    &energies,
                    &families,
                    continuum,
                    1.0 / (900.0 + 300.0 * label as f64),
                    &mut noise,
                ),
            })
            .collect(),
        flagged,
        scree: Some(ScreeFigure {
            eigenvalues: (0..30)
                .map(|k| 1.1 + 200.0 * (-1.1 * k as f64).exp() - 0.006 * k as f64)
                .collect(),
            noise: Vec::new(),
        }),
        maps: maps.into(),
        labels: Some(LabelMap { rows, cols, labels }),
        deviance: Some(MapFigure { unit: "deviance per degree of freedom".into(), ..deviance }),
        recipe_toml: RECIPE.into(),
        provenance_json: PROVENANCE.into(),
        sum,
        energies,
    };
    (document, figures)
}
