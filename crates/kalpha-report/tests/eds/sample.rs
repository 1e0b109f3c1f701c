//! Two synthetic runs, with numbers of the size real ones have.

use kalpha_core::{
    Cause, Code, Diagnostic, Metadata, Mode, Quantity, Source, Specimen, Systematics,
};
use kalpha_report::{colour_scale::ColourScale, eds::*};

/// Reproducible noise: a linear congruential generator and a Poisson draw.
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    fn poisson(&mut self, mean: f64) -> f64 {
        if mean > 50.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0);
        }
        let (bound, mut product, mut count) = ((-mean).exp(), self.uniform(), 0.0);
        while product > bound {
            product *= self.uniform();
            count += 1.0;
        }
        count
    }
}

/// Name, kind, lines (keV, relative), counts.
type Family = (&'static str, FamilyKind, &'static [(f64, f64)], f64);

fn peak(energy: f64, at: f64, fwhm_mn: f64) -> f64 {
    let sigma = ((fwhm_mn * fwhm_mn + 2.5e-3 * (at - 5.895)).max(1e-3)).sqrt() / 2.3548;
    let z = (energy - at) / sigma;
    (-0.5 * z * z).exp() / (sigma * (std::f64::consts::TAU).sqrt())
}

/// A fitted spectrum of families on a bremsstrahlung-like background, drawn with noise.
fn spectrum(
    energies: &[f64],
    families: &[Family],
    (beam, background): (f64, f64),
    scale: f64,
    noise: &mut Noise,
) -> SpectrumFigure {
    let step = energies[1] - energies[0];
    let continuum: Vec<f64> = energies
        .iter()
        .map(|&e| {
            let e = e.max(0.05);
            let absorbed = (-0.9 / e.powf(2.2)).exp();
            scale * background * step * (beam / e - 1.0).max(0.0) * absorbed
        })
        .collect();
    let curves: Vec<FamilyCurve> = families
        .iter()
        .map(|&(name, kind, lines, counts)| {
            let total: f64 = lines.iter().map(|l| l.1).sum();
            let curve = energies
                .iter()
                .map(|&e| {
                    let shape: f64 = lines.iter().map(|l| l.1 / total * peak(e, l.0, 0.133)).sum();
                    scale * counts * step * shape
                })
                .collect();
            FamilyCurve { name: name.to_owned(), kind, energy_kev: lines[0].0, curve }
        })
        .collect();
    let model: Vec<f64> = (0..energies.len())
        .map(|i| continuum[i] + curves.iter().map(|f| f.curve[i]).sum::<f64>())
        .collect();
    let counts: Vec<f64> = model
        .iter()
        .map(|&m| if scale < 1.0 { noise.poisson(m / scale) * scale } else { noise.poisson(m) })
        .collect();
    let residual = model
        .iter()
        .zip(&counts)
        .map(|(m, c)| (c - m) / (m * scale.min(1.0)).max(1e-9).sqrt())
        .collect();
    SpectrumFigure {
        counts,
        model: Some(model),
        background: Some(continuum),
        families: curves,
        residual: Some(residual),
    }
}

fn counts(value: f64, stat: f64, background: f64) -> Quantity {
    Quantity::measured(value, stat, Systematics::none().with(Cause::BackgroundModel, background))
}

fn intensity(family: &str, value: f64, stat: f64, background: f64) -> Intensity {
    Intensity {
        family: family.to_owned(),
        counts: counts(value, stat, background),
        critical_level: Some(1.645 * stat * 0.8),
        detection_limit: Some(2.71 + 3.29 * stat * 0.8),
        detected: value > 1.645 * stat * 0.8,
        by_background: vec![
            BackgroundEstimate { model: "snip".into(), counts: value - background },
            BackgroundEstimate { model: "asls".into(), counts: value + 0.4 * background },
            BackgroundEstimate { model: "bremsstrahlung".into(), counts: value + background },
        ],
    }
}

fn element(
    symbol: &str,
    z: u8,
    family: &str,
    at: f64,
    value: f64,
    stat: f64,
    role: Role,
) -> Element {
    Element {
        symbol: symbol.to_owned(),
        z,
        family: family.to_owned(),
        significance: value / stat.hypot(0.01 * value),
        counts: counts(value, stat, 0.01 * value),
        found_in: FoundIn::Sum,
        role,
        rule: match role {
            Role::Grid => "copper is in every phase and in the hole alike".to_owned(),
            Role::Support => "carbon film".to_owned(),
            _ => String::new(),
        },
        given: false,
        lines: vec![Line { name: format!("{family}1"), energy_kev: at, relative: 1.0 }],
    }
}

fn fraction(symbol: &str, family: &str, wt: f64, at: f64, scale: f64) -> ElementFraction {
    let quantity = |value: f64| {
        let sign = if symbol == "Pt" { -1.0 } else { 1.0 };
        let shift = sign * value * (100.0 - value) / 100.0;
        let syst = Systematics::none()
            .with(Cause::BackgroundModel, 0.011 * shift)
            .with(Cause::KFactor("Fe_Ka".into()), 0.1 * shift)
            .with(Cause::KFactor("Pt_La".into()), -0.15 * shift)
            .with(Cause::Absorption, 0.02 * shift);
        Quantity::measured(value, 0.021 * shift.abs() * scale, syst)
    };
    ElementFraction {
        symbol: symbol.to_owned(),
        family: family.to_owned(),
        weight_percent: quantity(wt),
        atomic_percent: quantity(at),
    }
}

fn iron_platinum(iron_at: f64, scale: f64) -> Quantification {
    let (fe, pt) = (55.845 * iron_at, 195.084 * (100.0 - iron_at));
    let wt = 100.0 * fe / (fe + pt);
    Quantification::Composition(Composition {
        method: "Cliff-Lorimer".to_owned(),
        elements: vec![
            fraction("Fe", "Fe_Ka", wt, iron_at, scale),
            fraction("Pt", "Pt_La", 100.0 - wt, 100.0 - iron_at, scale),
        ],
        left_out: vec![
            LeftOut { symbol: "Cu".into(), rule: "grid".into() },
            LeftOut { symbol: "C".into(), rule: "support film".into() },
        ],
        thickness_nm: None,
        density_g_cm3: None,
        convergence: None,
        atomic_covariance: Some(vec![vec![0.27, -0.27], vec![-0.27, 0.27]]),
    })
}

fn interval(value: f64, half: f64) -> Interval {
    Interval { value, lower: value - half, upper: value + half, confidence: 0.95 }
}

fn map(name: &str, title: &str, (rows, cols): (usize, usize), values: Vec<f64>) -> MapFigure {
    MapFigure {
        name: name.to_owned(),
        title: title.to_owned(),
        unit: "counts".to_owned(),
        rows,
        cols,
        values,
        scale: ColourScale::Sequential,
    }
}

const RECIPE: &str = r#"format = "kalpha.recipe/1"
modality = "eds"
seed = 1

[[step]]
id = "eds.identify"
backgrounds = ["snip", "asls", "bremsstrahlung"]
significance = 5.0

[[step]]
id = "pca"
weighting = "poisson"

[[step]]
id = "cliff_lorimer"
k_factors = { Fe_Ka = 1.450226, Pt_La = 5.075602 }
"#;

const PROVENANCE: &str = r#"{
  "program": "kalpha 0.1.0",
  "input": { "path": "FePt_core_shell.hspy", "sha256": "9d5e...c1" },
  "simd": "avx512"
}"#;

/// A thin film: core-shell particles of iron and platinum on carbon over a copper grid.
pub fn film() -> (EdsDocument, EdsFigures) {
    let mut noise = Noise(7);
    let (rows, cols) = (64, 64);
    let source = Source {
        path: "FePt_core_shell.hspy".into(),
        format: "HyperSpy HDF5".into(),
        version: Some("3.1".into()),
        bytes: Some(1_843_201),
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

/// A bulk rock: eleven elements, not quantified, grains of apatite.
pub fn rock() -> (EdsDocument, EdsFigures) {
    let mut noise = Noise(11);
    let (rows, cols) = (75, 100);
    let source = Source {
        path: "P45_12bit_packed_8bit.bcf".into(),
        format: "Bruker composite".into(),
        version: None,
        bytes: Some(2_310_144),
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
