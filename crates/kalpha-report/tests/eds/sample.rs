//! Parts of synthetic runs, with numbers of the size real ones have.

use kalpha_core::{Cause, Quantity, Systematics};
use kalpha_report::{colour_scale::ColourScale, eds::*};

/// Reproducible noise: a linear congruential generator and a Poisson draw.
pub struct Noise(pub u64);

impl Noise {
    pub fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    pub fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    pub fn poisson(&mut self, mean: f64) -> f64 {
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
pub type Family = (&'static str, FamilyKind, &'static [(f64, f64)], f64);

pub fn peak(energy: f64, at: f64, fwhm_mn: f64) -> f64 {
    let sigma = ((fwhm_mn * fwhm_mn + 2.5e-3 * (at - 5.895)).max(1e-3)).sqrt() / 2.3548;
    let z = (energy - at) / sigma;
    (-0.5 * z * z).exp() / (sigma * (std::f64::consts::TAU).sqrt())
}

/// A fitted spectrum of families on a bremsstrahlung-like background, drawn with noise.
pub fn spectrum(
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

pub fn counts(value: f64, stat: f64, background: f64) -> Quantity {
    Quantity::measured(value, stat, Systematics::none().with(Cause::BackgroundModel, background))
}

pub fn intensity(family: &str, value: f64, stat: f64, background: f64) -> Intensity {
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

pub fn element(
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

pub fn fraction(symbol: &str, family: &str, wt: f64, at: f64, scale: f64) -> ElementFraction {
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

pub fn iron_platinum(iron_at: f64, scale: f64) -> Quantification {
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

pub fn interval(value: f64, half: f64) -> Interval {
    Interval { value, lower: value - half, upper: value + half, confidence: 0.95 }
}

pub fn map(name: &str, title: &str, (rows, cols): (usize, usize), values: Vec<f64>) -> MapFigure {
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

pub const RECIPE: &str = r#"format = "kalpha.recipe/1"
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

pub const PROVENANCE: &str = r#"{
  "program": "kalpha 0.1.0",
  "input": { "path": "FePt_core_shell.hspy", "sha256": "9d5e...c1" },
  "simd": "avx512"
}"#;
