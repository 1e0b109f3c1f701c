//! Alignment: kalpha on one thread against tslearn, cowarp and eXSpy, interleaved.
//!
//! The peers get one thread too. Every method is given what lies in memory, and its figure of merit
//! (distance, correlation, spread of the aligned peaks) stands beside the time.

use super::{Common, lower_bound, median};
use anyhow::{Context, bail, ensure};
use kalpha_num::rng::Stream;
use kalpha_process::align::{
    cow::{Cow, CowScratch, Criterion},
    dtw::{DtwScratch, dtw},
    shift::{Shift, ShiftScratch},
};
use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Instant,
};

const PEERS: &str = include_str!("align_peers.py");
/// Zero-loss spectra: 1,024 channels of 0.1 eV.
const CHANNELS: usize = 1024;
const SPECTRA: usize = 400;
const CASES: [(&str, &str, f64); 5] = [
    ("dtw 512", "tslearn dtw_path", 4.0),
    ("dtw 1024", "tslearn dtw_path", 4.0),
    ("cow 512", "cowarp, 10 segments, slack 8", 20.0),
    ("cow 1024", "cowarp, 10 segments, slack 8", 20.0),
    ("zero_loss", "eXSpy align_zero_loss_peak", 1.0),
];

/// Options of `bench align`.
#[derive(clap::Args)]
pub struct AlignArgs {
    #[command(flatten)]
    common: Common,
}

/// Ten lines on n points, and the same drawn out here and pressed together there, with noise.
fn pair(n: usize) -> (Vec<f64>, Vec<f64>) {
    let noise = Stream::new(1, "bench align", 0);
    let curve = |warp: f64, row: usize| {
        (0..n)
            .map(|i| {
                let x = i as f64 / n as f64;
                let x = x + warp * (std::f64::consts::TAU * x).sin();
                let lines = (1..=10).map(|k| {
                    let k = f64::from(k);
                    (1.0 + (1.7 * k).sin()) * (-0.5 * ((x - k / 11.0) / 0.008).powi(2)).exp()
                });
                lines.sum::<f64>() + 0.002 * noise.at(row, i).normal()
            })
            .collect()
    };
    (curve(0.0, 0), curve(0.008, 1))
}

/// A zero-loss peak of 1 eV that wanders by up to 2 eV, and a plasmon.
fn zero_loss() -> Vec<f64> {
    let noise = Stream::new(2, "bench align", 0);
    (0..SPECTRA * CHANNELS)
        .map(|i| {
            let (r, c) = (i / CHANNELS, i % CHANNELS);
            let energy = -20.0 + 0.1 * c as f64 - 2.0 * (0.37 * r as f64).sin();
            let peak = |at: f64, s: f64| (-0.5 * ((energy - at) / s).powi(2)).exp();
            let mean = 5.0 + 2e4 * peak(0.0, 0.4) + 900.0 * peak(17.0, 2.5);
            noise.at(r, c).poisson(mean) as f64
        })
        .collect()
}

/// Seconds per item, repeated for long enough to be read off the clock.
fn repeat(mut work: impl FnMut() -> f64) -> (f64, f64) {
    let mut merit = work();
    let (start, mut n) = (Instant::now(), 0);
    while start.elapsed().as_secs_f64() < 0.15 {
        merit = work();
        n += 1;
    }
    (start.elapsed().as_secs_f64() / f64::from(n.max(1)), merit)
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let (ma, mb) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let dot = |u: &[f64], mu: f64, v: &[f64], mv: f64| -> f64 {
        u.iter().zip(v).map(|(x, y)| (x - mu) * (y - mv)).sum()
    };
    dot(a, ma, b, mb) / (dot(a, ma, a, ma) * dot(b, mb, b, mb)).sqrt()
}

fn ours(case: &str, spectra: &[f64]) -> anyhow::Result<(f64, f64)> {
    match case.split_once(' ') {
        Some(("dtw", n)) => {
            let (a, b) = pair(n.parse()?);
            let mut scratch = DtwScratch::default();
            Ok(repeat(|| dtw(&a, &b, None, &mut scratch).unwrap_or(f64::NAN)))
        }
        Some(("cow", n)) => {
            let (a, b) = pair(n.parse()?);
            let (mut scratch, mut out) = (CowScratch::default(), vec![0.0; b.len()]);
            // As the peer, which prepares its reference in every call.
            let mut last = Ok(());
            let timed = repeat(|| match Cow::new(&a, 10, 8, Criterion::LeastSquares, 2.0) {
                Ok(cow) => {
                    cow.search(&b, &mut scratch);
                    cow.warp(&b, scratch.nodes(), false, &mut out);
                    correlation(&a, &out)
                }
                Err(error) => {
                    last = Err(error);
                    f64::NAN
                }
            });
            last?;
            Ok(timed)
        }
        _ => {
            let start = Instant::now();
            let reference = &spectra[..CHANNELS];
            // 3 eV on both sides of the peak, and up to 5 eV of shift.
            let shift = Shift::new(reference, 170..231, 50)?;
            let (mut scratch, mut all) = (ShiftScratch::default(), vec![0.0; spectra.len()]);
            for (y, z) in spectra.chunks_exact(CHANNELS).zip(all.chunks_exact_mut(CHANNELS)) {
                let fit = shift.find(y, &mut scratch);
                shift.apply(y, fit.shift, 0, z, &mut scratch);
            }
            let seconds = start.elapsed().as_secs_f64() / SPECTRA as f64;
            let centres: Vec<f64> = all
                .chunks_exact(CHANNELS)
                .map(|y| {
                    let sum: f64 = y.iter().sum();
                    y.iter().enumerate().map(|(c, v)| c as f64 * v).sum::<f64>() / sum
                })
                .collect();
            let mean = centres.iter().sum::<f64>() / SPECTRA as f64;
            let square: f64 = centres.iter().map(|c| (c - mean).powi(2)).sum();
            Ok((seconds, (square / SPECTRA as f64).sqrt()))
        }
    }
}

/// A peer, waiting for orders.
struct Peer {
    child: Child,
    orders: ChildStdin,
    replies: BufReader<ChildStdout>,
}

impl Peer {
    fn start(python: &Path, script: &Path, curves: &Path, spectra: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(python);
        for threads in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"] {
            command.env(threads, "1");
        }
        let mut child = command
            .args([script, curves, spectra])
            .arg(CHANNELS.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("starting the peers' Python")?;
        let (Some(orders), Some(replies)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("the peers' Python has no pipes")
        };
        let mut peer = Self { child, orders, replies: BufReader::new(replies) };
        ensure!(peer.line()?.trim() == "ready", "the peers' Python is not ready");
        Ok(peer)
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.replies.read_line(&mut line)?;
        ensure!(!line.is_empty(), "the peers' Python has ended");
        Ok(line)
    }

    /// Seconds per item and figure of merit.
    fn time(&mut self, case: &str) -> anyhow::Result<(f64, f64)> {
        writeln!(self.orders, "{case}")?;
        let line = self.line()?;
        let numbers: Vec<f64> =
            line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        match numbers[..] {
            [seconds, merit] => Ok((seconds, merit)),
            _ => bail!("reply of the peers' Python: {line}"),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It ends by itself when its input closes; this one is ours to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write(path: &Path, values: &[f64]) -> anyhow::Result<()> {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    Ok(std::fs::write(path, bytes)?)
}

/// Runs the benchmark and writes `benches/results/align-<date>.md`.
pub fn run(args: AlignArgs) -> anyhow::Result<()> {
    let scratch = &args.common.scratch;
    std::fs::create_dir_all(scratch)?;
    let paths = ["align_peers.py", "curves.f64", "zero_loss.f64"].map(|name| scratch.join(name));
    std::fs::write(&paths[0], PEERS)?;
    let curves: Vec<f64> =
        [512, 1024].into_iter().flat_map(|n| [pair(n).0, pair(n).1].concat()).collect();
    write(&paths[1], &curves)?;
    let spectra = zero_loss();
    write(&paths[2], &spectra)?;
    let (mut peer, versions) = match &args.common.python {
        Some(python) => {
            let output = Command::new(python).arg(&paths[0]).arg("--versions").output()?;
            let versions = String::from_utf8(output.stdout)?.trim().to_owned();
            (Some(Peer::start(python, &paths[0], &paths[1], &paths[2])?), versions)
        }
        None => (None, "no peers".into()),
    };
    let date = args.common.date.clone().unwrap_or_else(super::today);
    let mut text = format!(
        "# Alignment, {date}\n\nOne thread each, {} interleaved runs, {:?}. kalpha {}, {versions}.\nRatio: median of paired runs (lower 90 % bound). Merit: DTW distance, COW correlation,\nstandard deviation of the aligned centres of mass in channels.\n\n\
         | case | peer | peer ms | kalpha ms | per second | ratio | bar | peer merit | kalpha merit |\n|---|---|---|---|---|---|---|---|---|\n",
        args.common.runs,
        kalpha_num::simd::Simd::detect(),
        env!("CARGO_PKG_VERSION"),
    );
    for (case, name, bar) in CASES {
        let (mut own, mut other, mut merits) = (Vec::new(), Vec::new(), [f64::NAN; 2]);
        for _ in 0..args.common.runs {
            if let Some(peer) = &mut peer {
                let (seconds, merit) = peer.time(case)?;
                other.push(seconds);
                merits[0] = merit;
            }
            let (seconds, merit) = ours(case, &spectra)?;
            own.push(seconds);
            merits[1] = merit;
        }
        let ratios: Vec<f64> = other.iter().zip(&own).map(|(a, b)| a / b).collect();
        let bound = lower_bound(&ratios).map_or(String::new(), |b| format!(" ({b:.1})"));
        let bar = if case == "zero_loss" { "5e4 / s".into() } else { format!("{bar}") };
        let row = format!(
            "| {case} | {name} | {:.3} | {:.4} | {:.0} | {:.1}{bound} | {bar} | {:.5} | {:.5} |",
            1e3 * median(&other),
            1e3 * median(&own),
            1.0 / median(&own),
            median(&ratios),
            merits[0],
            merits[1],
        );
        println!("{row}");
        let _ = writeln!(text, "{row}");
    }
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../benches/results");
    let path = folder.join(format!("align-{date}.md"));
    std::fs::write(&path, text)?;
    eprintln!("wrote {}", path.display());
    Ok(())
}
