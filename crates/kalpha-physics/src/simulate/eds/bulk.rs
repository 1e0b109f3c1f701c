//! A rock in an SEM: grains of rock-forming minerals, with everything bulk spectra suffer from.

use kalpha_core::{Metadata, Modality, Mode, Specimen};
use kalpha_num::rng::Stream;

use super::{EdsSimulation, EdsTruth, Material, RarePixel, Setup, scale, total};
use crate::{
    PhysicsError,
    pileup::{Content, pileup_spectrum},
    simulate::mixture::{EndMembers, simulate_mixture},
};

const HEIGHT: usize = 75;
const WIDTH: usize = 100;
const CHANNELS: usize = 2048;
const BEAM_ENERGY: f64 = 20.0;
const TAKE_OFF: f64 = 35.0;
const STATED: (f64, f64) = (-0.4725, 0.01);
const TRUE: (f64, f64) = (-0.4725, 0.010_001);
const MN_KA: f64 = 128.0;
const COUNTS: f64 = 110.0;
const STROBE: f64 = 20.0;
const PILEUP: f64 = 5e-5;
const CONTINUUM: f64 = 0.05;
const GRAINS: usize = 60;
/// Probability that a count of the strobe lies in the peak's width, keV.
const STROBE_SIGMA: f64 = 0.022;

/// Minerals and the share of grains that are made of them, in percent.
const PHASES: [(Material, usize); 6] = [
    (Material { name: "quartz", atoms: &[("Si", 1.0), ("O", 2.0)] }, 42),
    (Material { name: "albite", atoms: &[("Na", 1.0), ("Al", 1.0), ("Si", 3.0), ("O", 8.0)] }, 20),
    (
        Material { name: "orthoclase", atoms: &[("K", 1.0), ("Al", 1.0), ("Si", 3.0), ("O", 8.0)] },
        18,
    ),
    (
        Material {
            name: "biotite",
            atoms: &[
                ("K", 1.0),
                ("Mg", 1.5),
                ("Fe", 1.4),
                ("Ti", 0.1),
                ("Al", 1.0),
                ("Si", 3.0),
                ("O", 12.0),
            ],
        },
        12,
    ),
    (Material { name: "apatite", atoms: &[("Ca", 5.0), ("P", 3.0), ("O", 12.0), ("F", 1.0)] }, 5),
    (Material { name: "ilmenite", atoms: &[("Fe", 1.0), ("Ti", 1.0), ("O", 3.0)] }, 3),
];
const RARE: Material =
    Material { name: "chalcopyrite", atoms: &[("Cu", 1.0), ("Fe", 1.0), ("S", 2.0)] };

/// Draws `demo:eds-bulk`.
///
/// 75 x 100 pixels of 2 um, 2,048 channels of 10 eV, 20 kV, about 130 counts per pixel with the
/// strobe peak at zero energy. Pile-up is quadratic in each pixel's own spectrum. Spectra of
/// neighbouring grains mix over 3 x 3 pixels, as the X-ray source volume does. A grain of
/// chalcopyrite fills two pixels.
///
/// # Errors
/// Only if the atomic tables lack an element used here.
pub fn simulate(seed: u64) -> Result<EdsSimulation, PhysicsError> {
    let setup = Setup::new(BEAM_ENERGY, Some(TAKE_OFF), MN_KA, (TRUE.0, TRUE.1, CHANNELS))?;
    let stream = Stream::new(seed, "simulate.eds.bulk", 0);
    let n = PHASES.len() + 1;

    let mut contents = Vec::with_capacity(n);
    for material in PHASES.iter().map(|(m, _)| m).chain([&RARE]) {
        contents.push(setup.content(&material.weight_fractions()?, CONTINUUM)?);
    }
    let mean: f64 = contents[..PHASES.len()].iter().map(total).sum::<f64>() / PHASES.len() as f64;
    contents.iter_mut().for_each(|c| scale(c, COUNTS / mean));
    let brightness: Vec<f64> = contents.iter().map(total).collect();

    let mut spectra: Vec<Vec<f64>> = contents.iter().map(|c| setup.spectrum(c)).collect();
    let pairs = pileup_pairs(&setup, &contents, &mut spectra);
    let mut strobe = vec![0.0; CHANNELS];
    for (k, &e) in setup.energies.iter().enumerate() {
        strobe[k] = (-0.5 * (e / STROBE_SIGMA).powi(2)).exp();
    }
    let sum: f64 = strobe.iter().sum();
    strobe.iter_mut().for_each(|x| *x /= sum);
    spectra.push(strobe);

    let grain = grains(&stream);
    let rare_pixels = plant(&stream, brightness[PHASES.len()]);
    let share = shares(&grain, &rare_pixels);
    let counts =
        simulate_mixture(&EndMembers::new(&spectra)?, HEIGHT * WIDTH, &stream, |pixel, out| {
            out[..n].copy_from_slice(&share[pixel]);
            for (slot, &(i, j)) in pairs.iter().enumerate() {
                out[n + slot] = PILEUP * share[pixel][i] * share[pixel][j];
            }
            out[n + pairs.len()] = STROBE;
        })?;

    Ok(EdsSimulation {
        counts,
        height: HEIGHT,
        width: WIDTH,
        pixel_size_nm: 2000.0,
        energy_offset: STATED.0,
        energy_scale: STATED.1,
        metadata: Metadata {
            title: Some("Simulated granite".to_owned()),
            modality: Some(Modality::Eds),
            acquisition_mode: Some(Mode::Sem),
            specimen: Some(Specimen::Bulk),
            beam_energy_kev: Some(BEAM_ENERGY),
            elevation_angle: Some(TAKE_OFF),
            take_off_angle: Some(TAKE_OFF),
            energy_resolution_mn_ka_ev: Some(MN_KA),
            live_time_s: Some(330.0),
            detector: Some("simulated SDD, polymer window".to_owned()),
            ..Metadata::default()
        },
        truth: truth(seed, &share, &brightness, rare_pixels)?,
    })
}

/// Adds the pile-up spectra of all pairs of materials, for scale 1; returns the pairs.
///
/// The pairs of a mixture are quadratic, so those between two materials are what their sum makes
/// beyond each alone.
fn pileup_pairs(
    setup: &Setup,
    contents: &[Content],
    spectra: &mut Vec<Vec<f64>>,
) -> Vec<(usize, usize)> {
    let pile = |content: &Content| pileup_spectrum(&setup.energies, content, &setup.shape);
    let alone: Vec<Vec<f64>> = contents.iter().map(pile).collect();
    let mut pairs = Vec::new();
    for i in 0..contents.len() {
        for j in i..contents.len() {
            pairs.push((i, j));
            spectra.push(if i == j {
                alone[i].clone()
            } else {
                let both = Content {
                    lines: [&contents[i].lines[..], &contents[j].lines[..]].concat(),
                    continuum: contents[i]
                        .continuum
                        .iter()
                        .zip(&contents[j].continuum)
                        .map(|(a, b)| a + b)
                        .collect(),
                };
                let both = pile(&both);
                (0..both.len()).map(|k| (both[k] - alone[i][k] - alone[j][k]).max(0.0)).collect()
            });
        }
    }
    pairs
}

/// The phase of every pixel: the nearest of some random grain centres.
fn grains(stream: &Stream) -> Vec<usize> {
    let mut draws = stream.row(usize::MAX);
    let centres: Vec<(f64, f64, usize)> = (0..GRAINS)
        .map(|grain| {
            let (y, x) = (draws.uniform() * HEIGHT as f64, draws.uniform() * WIDTH as f64);
            // Every phase has a grain; the others follow the shares.
            let mut pick = draws.below(100);
            let phase = if grain < PHASES.len() {
                grain
            } else {
                let found = PHASES.iter().position(|(_, percent)| {
                    let hit = pick < *percent;
                    pick = pick.saturating_sub(*percent);
                    hit
                });
                found.unwrap_or(0)
            };
            (y, x, phase)
        })
        .collect();
    (0..HEIGHT * WIDTH)
        .map(|pixel| {
            let (y, x) = ((pixel / WIDTH) as f64, (pixel % WIDTH) as f64);
            let distance = |c: &(f64, f64, usize)| (c.0 - y).powi(2) + (c.1 - x).powi(2);
            let nearest = centres.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)));
            nearest.map_or(0, |c| c.2)
        })
        .collect()
}

fn plant(stream: &Stream, counts: f64) -> Vec<RarePixel> {
    let mut draws = stream.row(usize::MAX - 1);
    let (row, column) = (5 + draws.below(HEIGHT - 10), 5 + draws.below(WIDTH - 10));
    let elements: Vec<String> = RARE
        .atoms
        .iter()
        .map(|(symbol, _)| *symbol)
        .filter(|s| *s != "Fe")
        .map(str::to_owned)
        .collect();
    (0..2)
        .map(|i| RarePixel { row, column: column + i, elements: elements.clone(), counts })
        .collect()
}

/// Share of every material in every pixel: 3 x 3 neighbours, the planted pixels pure.
fn shares(grain: &[usize], rare: &[RarePixel]) -> Vec<Vec<f64>> {
    (0..HEIGHT * WIDTH)
        .map(|pixel| {
            let (row, column) = (pixel / WIDTH, pixel % WIDTH);
            let mut share = vec![0.0; PHASES.len() + 1];
            if rare.iter().any(|r| (r.row, r.column) == (row, column)) {
                share[PHASES.len()] = 1.0;
                return share;
            }
            let mut seen = 0.0;
            for y in row.saturating_sub(1)..(row + 2).min(HEIGHT) {
                for x in column.saturating_sub(1)..(column + 2).min(WIDTH) {
                    share[grain[y * WIDTH + x]] += 1.0;
                    seen += 1.0;
                }
            }
            share.iter_mut().for_each(|s| *s /= seen);
            share
        })
        .collect()
}

fn truth(
    seed: u64,
    share: &[Vec<f64>],
    brightness: &[f64],
    rare_pixels: Vec<RarePixel>,
) -> Result<EdsTruth, PhysicsError> {
    let materials: Vec<&Material> = PHASES.iter().map(|(m, _)| m).chain([&RARE]).collect();
    let mut abundances = Vec::with_capacity(share.len() * materials.len());
    let mut labels = Vec::with_capacity(share.len());
    let mut pixels = vec![0usize; materials.len()];
    for s in share {
        let counts: Vec<f64> = s.iter().zip(brightness).map(|(s, b)| s * b).collect();
        let best = (0..s.len()).max_by(|&a, &b| counts[a].total_cmp(&counts[b])).unwrap_or(0);
        pixels[best] += 1;
        labels.push(best as u8);
        abundances.extend(counts.iter().map(|&c| c as f32));
    }
    let mut phases = Vec::with_capacity(materials.len());
    let mut elements: Vec<String> = Vec::new();
    for (material, n) in materials.iter().zip(&pixels) {
        let phase = material.truth(*n as f64 / share.len() as f64)?;
        for symbol in &phase.elements {
            if !elements.contains(symbol) {
                elements.push(symbol.clone());
            }
        }
        phases.push(phase);
    }
    Ok(EdsTruth {
        seed,
        elements,
        atomic_percent: Vec::new(),
        weight_percent: Vec::new(),
        stray_elements: Vec::new(),
        phases,
        labels,
        abundances,
        rare_pixels,
        k_factors: Vec::new(),
        energy_offset: TRUE.0,
        energy_scale: TRUE.1,
        mn_ka_ev: MN_KA,
        pileup_scale: PILEUP,
        strobe_counts: STROBE,
    })
}
