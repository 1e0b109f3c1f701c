//! Peak fits: kalpha on one thread against scipy and lmfit, interleaved, from the same starts.
//!
//! Five pseudo-Voigts on 512 channels, every parameter 20 % from the truth at the start (positions
//! 20 % of a width). All methods minimise the same sum of squares; the largest excess of theirs over
//! the smallest found stands beside the time. The map is 256 x 256 two-peak spectra on all threads.

use super::{Common, lower_bound, median};
use anyhow::{Context, bail, ensure};
use kalpha_fit::peaks::{BatchFitter, Component, Noise, PeakModel};
use kalpha_num::rng::Stream;
use rayon::prelude::*;
use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Instant,
};

const PEERS: &str = include_str!("fit_peers.py");
const CHANNELS: usize = 512;
const SPECTRA: usize = 64;
const PEAKS: usize = 5;
/// Area, center, fwhm, fraction.
const TRUTH: [[f64; 4]; PEAKS] = [
    [4000.0, 90.0, 20.0, 0.3],
    [2500.0, 150.0, 26.0, 0.5],
    [5000.0, 240.0, 18.0, 0.4],
    [3000.0, 290.0, 30.0, 0.6],
    [4500.0, 400.0, 24.0, 0.2],
];
const METHODS: [&str; 3] = ["scipy analytic", "curve_fit", "lmfit"];
const MAP_CHANNELS: usize = 256;
const MAP_SIDE: usize = 256;

/// Options of `bench fit`.
#[derive(clap::Args)]
pub struct FitArgs {
    #[command(flatten)]
    common: Common,
}

fn pseudo_voigt(x: f64, [area, center, fwhm, fraction]: [f64; 4]) -> f64 {
    let u = (x - center) / fwhm;
    let ln2 = std::f64::consts::LN_2;
    let gauss = 2.0 / fwhm * (ln2 / std::f64::consts::PI).sqrt() * (-4.0 * ln2 * u * u).exp();
    let lorentz = 2.0 / (std::f64::consts::PI * fwhm * (1.0 + 4.0 * u * u));
    area * (fraction * lorentz + (1.0 - fraction) * gauss)
}

/// Counts with normal noise of one standard deviation, so that all methods have one objective.
fn spectra() -> Vec<f64> {
    let noise = Stream::new(1, "bench fit", 0);
    (0..SPECTRA * CHANNELS)
        .map(|i| {
            let (row, c) = (i / CHANNELS, i % CHANNELS);
            let mean: f64 = TRUTH.iter().map(|p| pseudo_voigt(c as f64, *p)).sum();
            mean + 3.0 * noise.at(row, c).normal()
        })
        .collect()
}

/// Twenty per cent from the truth, up and down in turn.
fn starts() -> Vec<f64> {
    let mut start = Vec::new();
    for (k, [area, center, fwhm, fraction]) in TRUTH.iter().enumerate() {
        let sign = if k % 2 == 0 { 1.0 } else { -1.0 };
        start.extend([
            area * (1.0 + 0.2 * sign),
            center + 0.2 * sign * fwhm,
            fwhm * (1.0 - 0.2 * sign),
            fraction * (1.0 + 0.2 * sign),
        ]);
    }
    start
}

/// Seconds this thread has spent on a processor, as the peers count theirs; the clock on the wall
/// where the system does not say.
fn processor_seconds() -> f64 {
    static BEGIN: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let spent = spent.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
    spent.map_or_else(|| BEGIN.elapsed().as_secs_f64(), |nanoseconds| 1e-9 * nanoseconds)
}

/// Seconds per fit, and the sum of squares of each.
fn ours(model: &PeakModel, x: &[f64], all: &[f64]) -> anyhow::Result<(f64, Vec<f64>)> {
    let start = starts();
    let mut fitter = BatchFitter::new(model, x, &all[..CHANNELS], Noise::Unknown)?;
    fitter.start_at(&start, false);
    let (mut values, mut sigmas) = (vec![0.0; start.len()], vec![0.0; start.len()]);
    let (mut squares, mut iterations) = (Vec::new(), 0);
    let clock = processor_seconds();
    for y in all.chunks_exact(CHANNELS) {
        let fit = fitter.fit(y, &[], &mut values, &mut sigmas);
        squares.push(fit.objective);
        iterations += fit.iterations;
    }
    let seconds = (processor_seconds() - clock) / SPECTRA as f64;
    eprintln!("{:.1} iterations per fit", iterations as f64 / SPECTRA as f64);
    Ok((seconds, squares))
}

/// Two-peak spectra whose positions, widths and areas drift over the map; seconds for all, and the
/// share that converged.
fn map(threads: usize) -> anyhow::Result<(f64, f64)> {
    let noise = Stream::new(2, "bench fit", 0);
    let x: Vec<f64> = (0..MAP_CHANNELS).map(|c| c as f64).collect();
    let rows = MAP_SIDE * MAP_SIDE;
    let mut all = vec![0.0; rows * MAP_CHANNELS];
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    pool.install(|| {
        all.par_chunks_exact_mut(MAP_CHANNELS).enumerate().for_each(|(row, y)| {
            let (i, j) = ((row / MAP_SIDE) as f64, (row % MAP_SIDE) as f64);
            let wave = (i / 40.0).sin() + (j / 55.0).cos();
            let a = [3000.0 + 600.0 * wave, 100.0 + 3.0 * wave, 16.0, 0.3];
            let b = [2200.0 - 500.0 * wave, 140.0 - wave, 20.0, 0.5];
            for (c, y) in y.iter_mut().enumerate() {
                let mean = 10.0 + pseudo_voigt(c as f64, a) + pseudo_voigt(c as f64, b);
                *y = mean + mean.sqrt() * noise.at(row, c).normal();
            }
        });
    });
    let peak = |name: &str, center: f64| {
        Component::new(name, "pseudo_voigt")?.start("center", center)?.start("fwhm", 18.0)
    };
    let model = PeakModel::new(vec![
        peak("a", 100.0)?,
        peak("b", 140.0)?,
        Component::new("c", "constant")?,
    ])?;
    let n = model.names().len();
    let clock = Instant::now();
    let mut mean = vec![0.0; MAP_CHANNELS];
    for y in all.chunks_exact(MAP_CHANNELS) {
        mean.iter_mut().zip(y).for_each(|(m, y)| *m += y / rows as f64);
    }
    let fitter = BatchFitter::new(&model, &x, &mean, Noise::Unknown)?;
    let converged: usize = pool.install(|| {
        all.par_chunks(64 * MAP_CHANNELS)
            .map_init(
                || (fitter.clone(), vec![0.0; n], vec![0.0; n]),
                |(fitter, values, sigmas), cell| {
                    cell.chunks_exact(MAP_CHANNELS)
                        .filter(|y| {
                            let fit = fitter.fit(y, &[], values, sigmas);
                            fit.status == kalpha_fit::peaks::BatchStatus::Fine
                        })
                        .count()
                },
            )
            .sum()
    });
    Ok((clock.elapsed().as_secs_f64(), converged as f64 / rows as f64))
}

/// The peers, waiting for orders.
struct Peer {
    child: Child,
    orders: ChildStdin,
    replies: BufReader<ChildStdout>,
}

impl Peer {
    fn start(python: &Path, files: [&Path; 3]) -> anyhow::Result<Self> {
        let mut command = Command::new(python);
        for threads in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"] {
            command.env(threads, "1");
        }
        let mut child = command
            .args(files)
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

    /// Seconds per fit, and sums of squares of the spectra that were fitted, the first ones.
    fn time(&mut self, method: &str) -> anyhow::Result<(f64, Vec<f64>)> {
        writeln!(self.orders, "{method}")?;
        let line = self.line()?;
        let mut numbers = line.split_whitespace().map(str::parse);
        let seconds = numbers.next().context("an empty reply")??;
        Ok((seconds, numbers.collect::<Result<_, _>>()?))
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

/// Largest relative excess of `a` over the smaller of `a` and `b`.
fn excess(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a / a.min(*b) - 1.0).fold(0.0, f64::max)
}

/// Runs the benchmark and writes `benches/results/fit-<date>.md`.
pub fn run(args: FitArgs) -> anyhow::Result<()> {
    let scratch = &args.common.scratch;
    std::fs::create_dir_all(scratch)?;
    let paths = ["fit_peers.py", "fit.f64", "fit_start.f64"].map(|name| scratch.join(name));
    std::fs::write(&paths[0], PEERS)?;
    let all = spectra();
    write(&paths[1], &all)?;
    write(&paths[2], &starts())?;
    let (mut peer, versions) = match &args.common.python {
        Some(python) => {
            let output = Command::new(python).arg(&paths[0]).arg("--versions").output()?;
            let versions = String::from_utf8(output.stdout)?.trim().to_owned();
            (Some(Peer::start(python, [&paths[0], &paths[1], &paths[2]])?), versions)
        }
        None => (None, "no peers".into()),
    };
    let x: Vec<f64> = (0..CHANNELS).map(|c| c as f64).collect();
    let peaks = (0..PEAKS).map(|k| {
        let peak = Component::new(&format!("p{k}"), "pseudo_voigt")?;
        TRUTH[k]
            .iter()
            .zip(["area", "center", "fwhm", "fraction"])
            .try_fold(peak, |peak, (v, name)| peak.start(name, *v))
    });
    let model = PeakModel::new(peaks.collect::<Result<_, _>>()?)?;
    let date = args.common.date.clone().unwrap_or_else(super::today);
    let mut text = format!(
        "# Peak fits, {date}\n\nFive pseudo-Voigts on {CHANNELS} channels, start 20 % wrong, one thread each, per second of processor time, {} interleaved \
         runs, {:?}. kalpha {}, {versions}.\nRatio: median of paired runs (lower 90 % bound). \
         Excess: largest relative excess of a sum of squares over the better of the two.\n\n\
         | peer | peer fits / s | kalpha fits / s | ratio | peer excess | kalpha excess |\n|---|---|---|---|---|---|\n",
        args.common.runs,
        kalpha_num::simd::Simd::detect(),
        env!("CARGO_PKG_VERSION"),
    );
    for method in METHODS {
        let (mut own, mut other, mut excesses) = (Vec::new(), Vec::new(), [f64::NAN; 2]);
        for _ in 0..args.common.runs {
            let (seconds, squares) = ours(&model, &x, &all)?;
            own.push(seconds);
            if let Some(peer) = &mut peer {
                let (seconds, theirs) = peer.time(method)?;
                other.push(seconds);
                excesses = [excess(&theirs, &squares), excess(&squares, &theirs)];
            }
        }
        let ratios: Vec<f64> = other.iter().zip(&own).map(|(a, b)| a / b).collect();
        let bound = lower_bound(&ratios).map_or(String::new(), |b| format!(" ({b:.1})"));
        let row = format!(
            "| {method} | {:.1} | {:.0} | {:.1}{bound} | {:.1e} | {:.1e} |",
            1.0 / median(&other),
            1.0 / median(&own),
            median(&ratios),
            excesses[0],
            excesses[1],
        );
        println!("{row}");
        let _ = writeln!(text, "{row}");
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(2);
    let runs: Vec<(f64, f64)> =
        (0..args.common.runs.min(3)).map(|_| map(threads)).collect::<Result<_, _>>()?;
    let seconds: Vec<f64> = runs.iter().map(|r| r.0).collect();
    let line = format!(
        "\nA map of {MAP_SIDE} x {MAP_SIDE} fits of two pseudo-Voigts and a constant on {MAP_CHANNELS} channels: {:.2} s on {threads} threads \
         (median of {}), {:.3} % fitted without a flag. Bar: 10 s.",
        median(&seconds),
        seconds.len(),
        100.0 * runs[0].1,
    );
    println!("{line}");
    let _ = writeln!(text, "{line}");
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../benches/results");
    let path = folder.join(format!("fit-{date}.md"));
    std::fs::write(&path, text)?;
    eprintln!("wrote {}", path.display());
    Ok(())
}
