//! Simulated EDS counts: six phases, lines on a continuum, as dense bytes in an `.npy` file.

use anyhow::{Context, bail};
use kalpha_num::rng::{Draws, Stream};
use std::{
    fs::File,
    io::{BufWriter, Read, Write},
    path::Path,
};

/// Shape and dose of a cube.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Size {
    /// Lines and columns.
    pub side: usize,
    /// Channels over 20 keV.
    pub channels: usize,
    /// Mean counts per pixel.
    pub dose: f64,
}

const PHASES: usize = 6;
/// Lines of each phase: (keV, share of the line counts).
const LINES: [&[(f64, f64)]; PHASES] = [
    &[(1.740, 0.6), (0.525, 0.4)],
    &[(6.404, 0.6), (7.058, 0.08), (0.705, 0.12), (0.525, 0.2)],
    &[(1.487, 0.5), (1.740, 0.3), (0.525, 0.2)],
    &[(3.692, 0.5), (4.013, 0.07), (2.013, 0.25), (0.525, 0.18)],
    &[(4.511, 0.5), (4.932, 0.07), (6.404, 0.2), (0.525, 0.23)],
    &[(3.314, 0.3), (3.590, 0.04), (1.740, 0.4), (1.487, 0.1), (0.525, 0.16)],
];
/// Share of all counts in lines.
const IN_LINES: f64 = 0.6;
/// Entries of the table that a uniform number is looked up in.
const GUIDE: usize = 1 << 14;

/// Channel of a photon from a uniform number: guide table and a short walk.
struct Inverse {
    cumulative: Vec<f64>,
    guide: Vec<usize>,
}

impl Inverse {
    fn new(shape: &[f64]) -> Self {
        let total: f64 = shape.iter().sum();
        let mut sum = 0.0;
        let cumulative: Vec<f64> = shape
            .iter()
            .map(|s| {
                sum += s / total;
                sum
            })
            .collect();
        let find = |g: usize| cumulative.partition_point(|&c| c < g as f64 / GUIDE as f64);
        let guide = (0..GUIDE).map(find).collect();
        Self { cumulative, guide }
    }

    fn draw(&self, draws: &mut Draws) -> usize {
        let u = draws.uniform();
        let mut at = self.guide[(u * GUIDE as f64) as usize];
        while at + 1 < self.cumulative.len() && self.cumulative[at] < u {
            at += 1;
        }
        at
    }
}

fn spectrum(phase: usize, channels: usize) -> Vec<f64> {
    let width = 20.0 / channels as f64;
    let energy = |c: usize| (c as f64 + 0.5) * width;
    let mut continuum: Vec<f64> = (0..channels)
        .map(|c| {
            let e = energy(c);
            ((20.0 - e) / e) * (-1.2 / e.powf(1.5)).exp()
        })
        .collect();
    let sum: f64 = continuum.iter().sum();
    continuum.iter_mut().for_each(|x| *x *= (1.0 - IN_LINES) / sum);
    for &(at, share) in LINES[phase] {
        // Fano and electronic noise, 130 eV at 5.9 keV.
        let sigma = (0.0026 * at + 0.0015_f64).sqrt() * 0.425;
        let line: Vec<f64> =
            (0..channels).map(|c| (-0.5 * ((energy(c) - at) / sigma).powi(2)).exp()).collect();
        let sum: f64 = line.iter().sum();
        continuum.iter_mut().zip(line).for_each(|(x, l)| *x += IN_LINES * share * l / sum);
    }
    continuum
}

/// The header of a two-dimensional array of bytes.
fn header(rows: usize, channels: usize) -> Vec<u8> {
    let mut text =
        format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({rows}, {channels}), }}");
    while (text.len() + 11) % 64 != 0 {
        text.push(' ');
    }
    text.push('\n');
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((text.len() as u16).to_le_bytes());
    out.extend(text.as_bytes());
    out
}

/// Writes the cube; counts above 127 do not occur at these doses and are cut there.
pub fn write(size: Size, path: &Path) -> anyhow::Result<()> {
    let (n, d) = (size.side, size.channels);
    let inverse: Vec<Inverse> = (0..PHASES).map(|p| Inverse::new(&spectrum(p, d))).collect();
    let stream = Stream::new(1, "bench.cube", 0);
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    file.write_all(&header(n * n, d))?;
    let mut row = vec![0u8; d];
    for pixel in 0..n * n {
        let (y, x) = ((pixel / n) as f64 / n as f64, (pixel % n) as f64 / n as f64);
        let mut draws = stream.row(pixel);
        let mut weights = [0.0; PHASES];
        for (p, w) in weights.iter_mut().enumerate() {
            let p = p as f64;
            let field = (7.0 * x + 2.1 * p).sin() + (5.0 * y - 1.3 * p).cos();
            *w = (3.0 * field + (11.0 * (x + y) + p).sin()).exp();
        }
        let abundance = Inverse::new(&weights);
        row.fill(0);
        for _ in 0..draws.poisson(size.dose) {
            let phase = abundance.cumulative.partition_point(|&c| c < draws.uniform());
            let channel = inverse[phase.min(PHASES - 1)].draw(&mut draws);
            row[channel] = (row[channel] + 1).min(127);
        }
        file.write_all(&row)?;
    }
    Ok(file.flush()?)
}

/// Shape of a cube written by `write`, and a reader at its first value.
pub fn open(path: &Path) -> anyhow::Result<(usize, usize, File)> {
    let mut file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut start = [0u8; 10];
    file.read_exact(&mut start)?;
    let mut text = vec![0u8; usize::from(u16::from_le_bytes([start[8], start[9]]))];
    file.read_exact(&mut text)?;
    let text = String::from_utf8(text)?;
    let inside = text.split_once("'shape': (").and_then(|(_, rest)| rest.split_once(')'));
    let shape: Vec<usize> = inside
        .map(|(inside, _)| inside.split(',').filter_map(|x| x.trim().parse().ok()).collect())
        .unwrap_or_default();
    match shape[..] {
        [rows, channels] if text.contains("'|u1'") => Ok((rows, channels, file)),
        _ => bail!("{} is no two-dimensional array of bytes", path.display()),
    }
}
