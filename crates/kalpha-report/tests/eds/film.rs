//! A synthetic thin film, quantified.

use crate::sample::*;
use kalpha_core::{Code, Diagnostic, Metadata, Mode, Source, Specimen};
use kalpha_report::eds::*;

/// A thin film: core-shell particles of iron and platinum on carbon over a copper grid.
pub fn film() -> (EdsDocument, EdsFigures) {
    let mut noise = Noise(7);
    let (rows, cols) = (64, 64);
    let source = Source {
        path: "FePt_core_shell.hspy".into(),
        format: "HyperSpy HDF5".into(),
        version: Some("3.1".into()),
        bytes: Some(1_843_201),
        dtype: None,
        signal: None,
        history: Vec::new(),
    };
    let size = PixelSize { x: 0.55, y: 0.55, unit: "nm".into() };
    let shape = Shape { rows, cols, channels: 992, pixel_size: Some(size) };
    let mut document = EdsDocument::new(source, "FePt core-shell nanoparticles", shape);
    document.program = "kalpha 0.1.0".into();
    document.metadata = Metadata {
        beam_energy_kev: Some(200.0),
        acquisition_mode: Some(Mode::Stem),
        detector: Some("Super-X".into()),
        elevation_angle: Some(22.0),
        live_time_s: Some(188.0),
        ..Metadata::default()
    };
    document.specimen = Some(SpecimenKind {
        kind: Specimen::Thin,
        because: "STEM at 200 kV".into(),
        inferred: true,
    });

    let energies: Vec<f64> = (0..992).map(|i| 0.169315 + 0.020028 * i as f64).collect();
    let families: Vec<Family> = vec![
        ("C_Ka", FamilyKind::Other, &[(0.277, 1.0)], 9_800.0),
        ("O_Ka", FamilyKind::Specimen, &[(0.525, 1.0)], 2_100.0),
        ("Fe_La", FamilyKind::Specimen, &[(0.705, 1.0), (0.718, 0.3)], 3_300.0),
        ("Cu_La", FamilyKind::Other, &[(0.930, 1.0)], 2_000.0),
        ("Pt_Ma", FamilyKind::Specimen, &[(2.050, 1.0), (2.127, 0.6)], 21_000.0),
        ("Fe_Ka", FamilyKind::Specimen, &[(6.404, 1.0), (7.058, 0.13)], 8_900.0),
        ("Cu_Ka", FamilyKind::Other, &[(8.046, 1.0), (8.905, 0.13)], 14_500.0),
        ("Pt_La", FamilyKind::Specimen, &[(9.442, 1.0), (11.07, 0.7), (12.94, 0.12)], 24_100.0),
        ("Fe+Pt", FamilyKind::Artefact, &[(8.46, 1.0)], 90.0),
    ];
    let continuum = (200.0, 9.0);
    let sum = spectrum(&energies, &families, continuum, 1.0, &mut noise);

    let centres = [(18.0, 20.0, 11.0), (42.0, 40.0, 14.0), (50.0, 12.0, 8.0), (12.0, 50.0, 9.0)];
    let (mut labels, mut iron, mut platinum, mut copper, mut deviance) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for row in 0..rows {
        for col in 0..cols {
            let inside = centres
                .iter()
                .map(|&(r, c, radius)| f64::hypot(row as f64 - r, col as f64 - c) / radius)
                .fold(f64::INFINITY, f64::min);
            let (label, fe, pt) = match inside {
                d if d < 0.62 => (1, 4.0, 14.0),
                d if d < 0.72 => (LabelMap::MIXED, 5.0, 8.0),
                d if d < 1.0 => (0, 7.0, 3.0),
                d if d < 1.08 => (LabelMap::MIXED, 2.0, 1.0),
                _ => (2, 0.2, 0.3),
            };
            labels.push(label);
            iron.push(noise.poisson(fe) - 0.3);
            platinum.push(noise.poisson(pt) - 0.4);
            copper.push(noise.poisson(3.5));
            deviance
                .push(0.9 + 0.08 * noise.normal() + if (row, col) == (31, 7) { 0.9 } else { 0.0 });
        }
    }
    let pixels = |label: u16| labels.iter().filter(|&&l| l == label).count();
    let total = (rows * cols) as f64;

    document.counts = Counts {
        total: 152_918,
        used: 148_200,
        per_pixel: 148_200.0 / total,
        occupied: Some(0.0231),
        masked_pixels: 0,
        strobe: None,
    };
    document.elements = vec![
        element("Pt", 78, "Pt_La", 9.442, 24_100.0, 170.0, Role::Specimen),
        element("Cu", 29, "Cu_Ka", 8.046, 14_500.0, 140.0, Role::Grid),
        element("Fe", 26, "Fe_Ka", 6.404, 8_900.0, 110.0, Role::Specimen),
        element("C", 6, "C_Ka", 0.277, 9_800.0, 240.0, Role::Support),
        element("O", 8, "O_Ka", 0.525, 2_100.0, 190.0, Role::Specimen),
    ];
    document.elements[2].given = true;
    document.elements[0].given = true;
    document.rejected = vec![Rejected {
        candidate: "Co_Ka".into(),
        reason: "at 6.93 keV stands the Kb line of iron; with it, 40 +- 61 counts are left".into(),
        significance: Some(0.6),
    }];
    document.calibration = Calibration::Fitted {
        offset_ev: Estimate { value: 1.4, sigma: 0.6 },
        gain_ev: Estimate { value: 20.0281, sigma: 0.0007 },
        resolution_mn_ka_ev: Estimate { value: 133.1, sigma: 1.2 },
        lines: vec!["Fe_Ka".into(), "Cu_Ka".into(), "Pt_La".into()],
    };
    let phase = |name: &str, label: usize, color: &str, iron_at: f64| Phase {
        name: name.into(),
        label,
        color: color.into(),
        pixels: pixels(label as u16),
        area_fraction: interval(pixels(label as u16) as f64 / total, 0.011),
        quantification: iron_platinum(iron_at, 1.8),
        intensities: vec![
            intensity("Fe_Ka", 40.0 * iron_at, 62.0, 30.0),
            intensity("Pt_La", 60.0 * (100.0 - iron_at), 80.0, 40.0),
        ],
    };
    document.phases = vec![
        phase("Fe-rich", 0, "#2a78d6", 71.2),
        phase("Pt-rich", 1, "#eb6834", 24.6),
        Phase {
            quantification: Quantification::NotQuantified(NotQuantified {
                reason: "no_signal".into(),
                message: "neither Fe nor Pt is above its critical level here".into(),
                hint: String::new(),
            }),
            intensities: vec![
                intensity("Fe_Ka", 31.0, 48.0, 12.0),
                intensity("Pt_La", -20.0, 55.0, 9.0),
            ],
            ..phase("background", 2, "#1baf7a", 50.0)
        },
    ];
    document.mixed_fraction = Some(interval(pixels(LabelMap::MIXED) as f64 / total, 0.014));
    document.quantification = iron_platinum(46.3, 1.0);
    document.intensities = vec![
        intensity("Fe_Ka", 8_900.0, 110.0, 84.0),
        intensity("Pt_La", 24_100.0, 170.0, 120.0),
        intensity("Cu_Ka", 14_500.0, 140.0, 60.0),
        intensity("O_Ka", 2_100.0, 190.0, 410.0),
    ];
    document.k_factors = vec![
        KFactor {
            line: "Fe_Ka".into(),
            value: 1.450226,
            sigma: 0.145,
            source: KFactorSource::Given,
            assumed: true,
        },
        KFactor {
            line: "Pt_La".into(),
            value: 5.075602,
            sigma: 0.761,
            source: KFactorSource::Given,
            assumed: true,
        },
    ];
    let eigenvalues: Vec<f64> = (0..24)
        .map(|k| [310.0, 41.0, 9.6].get(k).copied().unwrap_or(1.32 - 0.012 * k as f64))
        .collect();
    document.rank = Some(Rank {
        chosen: 3,
        chosen_by: "thinning, one-standard-error rule".into(),
        thinning: Some(ThinningCurve {
            components: (0..=10).collect(),
            error: (0..=10)
                .map(|k| match k {
                    0 => 1.42,
                    1 => 1.118,
                    2 => 1.031,
                    _ => 1.0089 + 0.0011 * (k as f64 - 3.0) - if k == 4 { 0.0014 } else { 0.0 },
                })
                .collect(),
            standard_error: vec![0.0021; 11],
            thinnings: 5,
        }),
        dispersion: Some(Dispersion { index: 1.003, sigma: 0.004, passed: true }),
        elbow: Some(3),
        cumulative_variance: Some(CumulativeVariance { threshold: 0.99, components: 1 }),
        parallel_analysis: Some(3),
        malinowski_ind: Some(4),
    });
    document.flagged = vec![Flagged {
        pixel: [31, 7],
        element: Some("Au".into()),
        family: Some("Au_Ma".into()),
        test: "matched scan".into(),
        neighbourhood: [1, 1],
        counts: 19.0,
        expected: 1.7,
        p: 3.1e-14,
        p_family_wise: 8.8e-9,
        refit: Refit::RawCounts,
    }];
    document.guard = Some(Guard {
        level: 0.05,
        tests: 286_720,
        inflation: vec![
            Inflation { family: "Fe_Ka".into(), factor: 1.02 },
            Inflation { family: "Pt_La".into(), factor: 1.05 },
            Inflation { family: "Au_Ma".into(), factor: 0.98 },
        ],
        bootstrap: Some(Bootstrap { draws: 200, maps_with_flags: 9, flags: 11 }),
        own_end_members: vec![],
        pile_up_counts: 0.0,
    });
    document.warnings = vec![
        Diagnostic::warning(Code::Assumed, "no sigma was given for the k-factors of Fe_Ka and Pt_La: 10 % and 15 % are assumed. They carry most of the budget.")
            .hint("give one: --k-factors Fe_Ka=1.450226+-0.03")
            .step("cliff_lorimer"),
        Diagnostic::warning(Code::PostSelection, "1 pixel was chosen because it is extreme: its counts overstate what is there.")
            .hint("confirm it with a new measurement")
            .step("rare"),
        Diagnostic::note(Code::Assumed, "the specimen is taken for thin: STEM at 200 kV").hint("--specimen thin|bulk").step("cliff_lorimer"),
    ];
    document.outputs = vec![
        Output { file: "report.html".into(), about: "this report".into() },
        Output { file: "intensities.csv".into(), about: "line intensities".into() },
    ];
    document.truth = Some(Truth {
        about: "core-shell particles on carbon".into(),
        rows: vec![
            TruthRow {
                what: "Fe in the shell".into(),
                unit: "at.%".into(),
                truth: 70.0,
                found: Some(71.2),
                sigma: Some(3.9),
                agrees: true,
            },
            TruthRow {
                what: "components".into(),
                unit: String::new(),
                truth: 3.0,
                found: Some(3.0),
                sigma: None,
                agrees: true,
            },
            TruthRow {
                what: "planted gold pixel at [31, 7]".into(),
                unit: "counts".into(),
                truth: 17.0,
                found: None,
                sigma: None,
                agrees: false,
            },
        ],
    });

    let phase_families = |fe: f64, pt: f64| -> Vec<Family> {
        families
            .iter()
            .map(|&(name, kind, lines, counts)| {
                let factor = if name.starts_with("Fe") {
                    fe
                } else if name.starts_with("Pt") {
                    pt
                } else {
                    1.0
                };
                (name, kind, lines, factor * counts)
            })
            .collect()
    };
    let figures = EdsFigures {
        excluded: None,
        max_pixel: Some(sum.counts.iter().map(|c| (c / 300.0).ceil() + 1.0).collect()),
        phases: [(0, 2.4, 0.6), (1, 1.1, 2.6), (2, 0.01, 0.01)]
            .into_iter()
            .map(|(label, fe, pt)| PhaseSpectrum {
                label,
                spectrum: spectrum(
                    &energies,
                    &phase_families(fe, pt),
                    continuum,
                    1.0 / 900.0,
                    &mut noise,
                ),
            })
            .collect(),
        flagged: vec![FlagSpectrum {
            pixel: [31, 7],
            counts: energies
                .iter()
                .map(|&e| {
                    noise.poisson(
                        0.02 + 0.5 * peak(e, 2.12, 0.133) + 0.2 * peak(e, 8.046, 0.133) * 0.3,
                    )
                })
                .collect(),
            expected: energies.iter().map(|&e| 0.02 + 0.06 * peak(e, 8.046, 0.133)).collect(),
        }],
        scree: Some(ScreeFigure {
            eigenvalues,
            noise: (0..24).map(|k| 1.34 - 0.011 * k as f64).collect(),
        }),
        maps: vec![
            map("Fe_Ka", "", (rows, cols), iron),
            map("Pt_La", "", (rows, cols), platinum),
            map("Cu_Ka", "", (rows, cols), copper),
        ],
        labels: Some(LabelMap { rows, cols, labels }),
        deviance: Some(MapFigure {
            unit: "deviance per degree of freedom".into(),
            ..map("deviance", "Poisson deviance", (rows, cols), deviance)
        }),
        recipe_toml: RECIPE.into(),
        provenance_json: PROVENANCE.into(),
        sum,
        energies,
    };
    (document, figures)
}
