//! A thin specimen in a STEM: Fe-Pt core-shell particles and Ni-Al grains on a carbon film.

use kalpha_core::{Metadata, Modality, Mode, Specimen};
use kalpha_num::rng::{Draws, Stream};

use super::{EdsSimulation, EdsTruth, Material, RarePixel, Setup, scale, total};
use crate::{
    PhysicsError,
    elements::element,
    lines::Shell,
    pileup::Content,
    simulate::mixture::{EndMembers, simulate_mixture},
};

const HEIGHT: usize = 96;
const WIDTH: usize = 96;
const CHANNELS: usize = 1024;
const BEAM_ENERGY: f64 = 200.0;
/// Axis as stated; the truth is off by a little, as in any real file.
const STATED: (f64, f64) = (-0.2, 0.02);
const TRUE: (f64, f64) = (-0.1985, 0.020_006);
const MN_KA: f64 = 130.0;

const FILM: usize = 0;
const SHELL: usize = 1;
const CORE: usize = 2;
const ALLOY: usize = 3;
const PHASES: [Material; 4] = [
    Material { name: "carbon film", atoms: &[("C", 0.97), ("O", 0.03)] },
    Material { name: "Fe-rich shell", atoms: &[("Fe", 0.80), ("Pt", 0.20)] },
    Material { name: "Pt-rich core", atoms: &[("Fe", 0.25), ("Pt", 0.75)] },
    Material { name: "Ni3Al", atoms: &[("Ni", 0.75), ("Al", 0.25)] },
];
/// The unexpected material and the expected counts of it per planted pixel.
const RARE: (Material, f64) = (Material { name: "silver", atoms: &[("Ag", 1.0)] }, 70.0);
/// Elements of the specimen and the line each is quantified with.
const LINES: [(&str, Shell); 4] =
    [("Fe", Shell::K), ("Pt", Shell::L), ("Ni", Shell::K), ("Al", Shell::K)];
/// Counts per pixel: the film alone, and the thickest specimen on top of it.
const FILM_COUNTS: f64 = 50.0;
const THICKEST_COUNTS: f64 = 900.0;
/// Counts of the copper grid per pixel, and per count of the specimen.
const GRID_COUNTS: (f64, f64) = (1.5, 0.02);
const CONTINUUM: f64 = 0.012;

/// Draws `demo:eds`.
///
/// 96 x 96 pixels of 2 nm, 1,024 channels of 20 eV, 200 kV, about 1.5 million counts. Line
/// intensities are `mass x weight fraction / k` with the k-factors of the truth; the counts are
/// Poisson. Two pixels hold silver that is nowhere else.
///
/// # Errors
/// Only if the atomic tables lack an element used here.
pub fn simulate(seed: u64) -> Result<EdsSimulation, PhysicsError> {
    let setup = Setup::new(BEAM_ENERGY, None, MN_KA, (TRUE.0, TRUE.1, CHANNELS))?;
    let stream = Stream::new(seed, "simulate.eds.thin", 0);
    let mass = mass_thickness(&mut stream.row(usize::MAX));

    let mut spectra = Vec::new();
    let mut brightness = Vec::new();
    for phase in &PHASES {
        let content = setup.content(&phase.weight_fractions()?, CONTINUUM)?;
        brightness.push(total(&content));
        spectra.push(setup.spectrum(&content));
    }
    let brightest = (0..HEIGHT * WIDTH)
        .map(|p| (SHELL..=ALLOY).map(|k| mass[p][k] * brightness[k]).sum::<f64>())
        .fold(0.0, f64::max);
    let dose = THICKEST_COUNTS / brightest;
    let film = FILM_COUNTS / brightness[FILM];

    let grid = Content {
        lines: setup.content(&[("Cu".to_owned(), 1.0)], 0.0)?.lines,
        continuum: Vec::new(),
    };
    spectra.push(unit(&setup, grid));
    spectra.push(unit(&setup, setup.content(&RARE.0.weight_fractions()?, CONTINUUM)?));

    let rare_pixels = plant(&stream, &mass);
    let abundance = |pixel: usize, out: &mut [f64]| {
        out[FILM] = film;
        let mut specimen = 0.0;
        for k in SHELL..=ALLOY {
            out[k] = dose * mass[pixel][k];
            specimen += out[k] * brightness[k];
        }
        out[PHASES.len()] = GRID_COUNTS.0 + GRID_COUNTS.1 * specimen;
        let planted = rare_pixels.iter().find(|r| r.row * WIDTH + r.column == pixel);
        out[PHASES.len() + 1] = planted.map_or(0.0, |r| r.counts);
    };
    let counts = simulate_mixture(&EndMembers::new(&spectra)?, HEIGHT * WIDTH, &stream, abundance)?;

    let mut truth = truth(seed, &setup, &mass, &brightness, (film, dose))?;
    truth.rare_pixels = rare_pixels;
    Ok(EdsSimulation {
        counts,
        height: HEIGHT,
        width: WIDTH,
        pixel_size_nm: 2.0,
        energy_offset: STATED.0,
        energy_scale: STATED.1,
        metadata: Metadata {
            title: Some("Simulated core-shell particles".to_owned()),
            modality: Some(Modality::Eds),
            acquisition_mode: Some(Mode::Stem),
            specimen: Some(Specimen::Thin),
            beam_energy_kev: Some(BEAM_ENERGY),
            elevation_angle: Some(22.0),
            azimuth_angle: Some(0.0),
            tilt_stage: Some(0.0),
            take_off_angle: Some(22.0),
            energy_resolution_mn_ka_ev: Some(133.0),
            live_time_s: Some(600.0),
            listed_elements: ["Fe", "Pt", "Ni", "Al"].map(String::from).into(),
            detector: Some("simulated SDD, polymer window".to_owned()),
            ..Metadata::default()
        },
        truth,
    })
}

/// A spectrum that sums to one count.
fn unit(setup: &Setup, mut content: Content) -> Vec<f64> {
    let sum = total(&content);
    scale(&mut content, 1.0 / sum);
    setup.spectrum(&content)
}

/// Mass thickness of every phase in every pixel, any unit.
fn mass_thickness(draws: &mut Draws) -> Vec<[f64; 4]> {
    let mut mass = vec![[0.0; 4]; HEIGHT * WIDTH];
    let chord =
        |radius: f64, distance: f64| 2.0 * (radius * radius - distance * distance).max(0.0).sqrt();
    // Jittered grid: particles stay apart and inside.
    for cell in 0..16 {
        let at =
            |i: usize, draws: &mut Draws| 12.0 + 24.0 * i as f64 + 5.0 * (draws.uniform() - 0.5);
        let (y, x) = (at(cell / 4, draws), at(cell % 4, draws));
        let radius = 6.0 + 3.0 * draws.uniform();
        let alloy = cell % 5 == 2;
        for (pixel, m) in mass.iter_mut().enumerate() {
            let (dy, dx) = ((pixel / WIDTH) as f64 - y, (pixel % WIDTH) as f64 - x);
            let d = dy.hypot(dx);
            if alloy {
                // A flat grain of density 7.5.
                m[ALLOY] += if d < radius { 7.5 * 0.9 * radius } else { 0.0 };
            } else {
                let core = chord(0.62 * radius, d);
                m[CORE] += 18.0 * core;
                m[SHELL] += 11.0 * (chord(radius, d) - core);
            }
        }
    }
    mass
}

/// One pixel on bare film, one on an alloy grain.
fn plant(stream: &Stream, mass: &[[f64; 4]]) -> Vec<RarePixel> {
    let mut draws = stream.row(usize::MAX - 1);
    let mut find = |wanted: &dyn Fn(&[f64; 4]) -> bool| loop {
        let pixel = draws.below(HEIGHT * WIDTH);
        if wanted(&mass[pixel]) {
            return pixel;
        }
    };
    let bare = find(&|m| m[SHELL] + m[CORE] + m[ALLOY] == 0.0);
    let grain = find(&|m| m[ALLOY] > 0.0);
    let planted = |pixel: usize| RarePixel {
        row: pixel / WIDTH,
        column: pixel % WIDTH,
        elements: RARE.0.atoms.iter().map(|(symbol, _)| (*symbol).to_owned()).collect(),
        counts: RARE.1,
    };
    vec![planted(bare), planted(grain)]
}

fn truth(
    seed: u64,
    setup: &Setup,
    mass: &[[f64; 4]],
    brightness: &[f64],
    (film, dose): (f64, f64),
) -> Result<EdsTruth, PhysicsError> {
    let mut abundances = Vec::with_capacity(mass.len() * PHASES.len());
    let mut labels = Vec::with_capacity(mass.len());
    let mut pixels = [0usize; 4];
    for m in mass {
        let counts: Vec<f64> = (0..PHASES.len())
            .map(|k| brightness[k] * if k == FILM { film } else { dose * m[k] })
            .collect();
        let best = (0..PHASES.len()).max_by(|&a, &b| counts[a].total_cmp(&counts[b]));
        let best = best.unwrap_or(FILM);
        pixels[best] += 1;
        labels.push(best as u8);
        abundances.extend(counts.iter().map(|&c| c as f32));
    }
    let mut of_element = vec![0.0; LINES.len()];
    for (k, phase) in PHASES.iter().enumerate().skip(SHELL) {
        let total: f64 = mass.iter().map(|m| m[k]).sum();
        for (symbol, w) in phase.weight_fractions()? {
            if let Some(i) = LINES.iter().position(|(name, _)| *name == symbol) {
                of_element[i] += w * total;
            }
        }
    }
    let sum: f64 = of_element.iter().sum();
    let mut atoms = Vec::with_capacity(LINES.len());
    for ((symbol, _), m) in LINES.iter().zip(&of_element) {
        atoms.push(m / element(symbol)?.atomic_weight);
    }
    let atom_sum: f64 = atoms.iter().sum();
    let mut phases = Vec::with_capacity(PHASES.len());
    for (phase, n) in PHASES.iter().zip(pixels) {
        phases.push(phase.truth(n as f64 / mass.len() as f64)?);
    }
    Ok(EdsTruth {
        seed,
        elements: LINES.iter().map(|(symbol, _)| (*symbol).to_owned()).collect(),
        atomic_percent: atoms.iter().map(|a| 100.0 * a / atom_sum).collect(),
        weight_percent: of_element.iter().map(|m| 100.0 * m / sum).collect(),
        stray_elements: ["C", "O", "Cu"].map(str::to_owned).to_vec(),
        phases,
        labels,
        abundances,
        rare_pixels: Vec::new(),
        k_factors: setup.k_factors(&LINES)?,
        energy_offset: TRUE.0,
        energy_scale: TRUE.1,
        mn_ka_ev: MN_KA,
        pileup_scale: 0.0,
        strobe_counts: 0.0,
    })
}
