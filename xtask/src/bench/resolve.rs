//! Linear combination fits and curve resolution against scipy's `nnls` in a loop and pyMCR.
//!
//! kalpha fits on two threads, as a step would; a resolution runs on one.

use super::{Common, lower_bound, median};
use anyhow::{Context, bail, ensure};
use kalpha_core::Axis;
use kalpha_decompose::mcr::{Constraints, Control, McrError, Resolved, Start, resolve};
use kalpha_fit::lcf::{Conditions, Lcf, References, Scratch, Sum};
use kalpha_num::rng::Stream;
use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Instant,
};

const PEERS: &str = include_str!("resolve_peers.py");
const THREADS: usize = 2;
/// Case, what it is, bar: times the peer, or none.
const CASES: [(&str, &str, &str); 3] = [
    ("lcf", "10,000 spectra of 200 channels by 6 references", "40x"),
    ("stxm", "15,625 spectra of 123 channels by 2 references", "10 ms"),
    ("mcr", "51 x 96 values, 4 components, an iteration", "5,000 / s"),
];

/// Options of `bench resolve`.
#[derive(clap::Args)]
pub struct ResolveArgs {
    #[command(flatten)]
    common: Common,
}

/// Spectra, references, channels.
struct Mixtures {
    spectra: Vec<f64>,
    references: Vec<f64>,
    channels: usize,
}

/// Edge-like references and mixtures of them with 1 % of noise.
fn mixtures(rows: usize, channels: usize, n: usize) -> Mixtures {
    let noise = Stream::new(1, "bench resolve", 0);
    let references: Vec<f64> = (0..n * channels)
        .map(|k| {
            let (i, c) = ((k / channels) as f64, (k % channels) as f64 / channels as f64);
            let edge = 1.0 / (1.0 + (-(c - 0.3 - 0.01 * i) / 0.02).exp());
            let line = (-0.5 * ((c - 0.36 - 0.02 * i) / (0.02 + 0.004 * i)).powi(2)).exp();
            edge * (1.0 + 0.05 * ((9.0 + i) * c).sin()) + (0.3 + 0.1 * i) * line
        })
        .collect();
    let spectra = (0..rows)
        .flat_map(|r| {
            let raw: Vec<f64> = (0..n).map(|i| noise.at(r, i).uniform().powi(3)).collect();
            let sum: f64 = raw.iter().sum();
            let references = &references;
            (0..channels).map(move |c| {
                let clean: f64 = (0..n).map(|i| raw[i] / sum * references[i * channels + c]).sum();
                clean + 0.01 * noise.at(r, n + c).normal()
            })
        })
        .collect();
    Mixtures { spectra, references, channels }
}

/// A run of a chromatogram: four profiles, four spectra, the purest channels as start.
fn chromatogram() -> (Vec<f64>, Vec<f64>) {
    let noise = Stream::new(3, "bench resolve", 0);
    let (rows, channels) = (51, 96);
    let band = |x: f64, at: f64, s: f64| (-0.5 * ((x - at) / s).powi(2)).exp();
    let data: Vec<f64> = (0..rows * channels)
        .map(|k| {
            let (r, c) = ((k / channels) as f64, (k % channels) as f64);
            let mixed: f64 = (0..4)
                .map(|i| {
                    let i = f64::from(i);
                    band(r, 14.0 + 7.0 * i, 5.0) * (0.1 + band(c, 12.0 + 22.0 * i, 14.0))
                })
                .sum();
            mixed + 0.005 * noise.at(k / channels, k % channels).normal()
        })
        .collect();
    let start = data
        .chunks_exact(channels)
        .flat_map(|row| [6, 34, 60, 88].map(|c| row[c].max(0.0)))
        .collect();
    (data, start)
}

fn lcf(m: &Mixtures) -> anyhow::Result<(f64, f64)> {
    let axis = Axis::index("channel", m.channels).to_vec();
    let values: Vec<Vec<f64>> =
        m.references.chunks_exact(m.channels).map(<[f64]>::to_vec).collect();
    let slopes = vec![vec![0.0; m.channels]; values.len()];
    let references = References { axis, values, slopes };
    // As the peer: not negative, nothing else.
    let conditions = Conditions { sum: Sum::Free, ..Conditions::default() };
    let start = Instant::now();
    let lcf = Lcf::new(&references, &vec![1.0; m.channels], &conditions)?;
    let rows = m.spectra.len() / m.channels;
    let part = rows.div_ceil(THREADS) * m.channels;
    let mut chi2 = vec![0.0; rows];
    std::thread::scope(|scope| {
        for (spectra, out) in m.spectra.chunks(part).zip(chi2.chunks_mut(rows.div_ceil(THREADS))) {
            let lcf = &lcf;
            scope.spawn(move || {
                let mut take = |row: usize, fit: &kalpha_fit::lcf::Fit| out[row] = fit.chi2;
                lcf.fit_rows(spectra, &mut take, &mut Scratch::default());
            });
        }
    });
    let seconds = start.elapsed().as_secs_f64();
    Ok((seconds, chi2.iter().sum::<f64>().sqrt()))
}

fn mcr(data: &[f64], start: &[f64]) -> anyhow::Result<(f64, f64)> {
    let iterations = 500;
    let control = Control { max_iterations: iterations, tolerance: 1e-300 };
    let begin = Start::Concentrations(start.to_vec());
    let clock = Instant::now();
    let found: Resolved = resolve::<McrError>(
        data,
        96,
        4,
        &begin,
        &Constraints::default(),
        control,
        &mut |_| Ok(()),
    )?;
    let seconds = clock.elapsed().as_secs_f64() / found.iterations as f64;
    // The fit that the peer's iterations reach.
    let control = Control { max_iterations: 50, tolerance: 1e-300 };
    let short: Resolved = resolve::<McrError>(
        data,
        96,
        4,
        &begin,
        &Constraints::default(),
        control,
        &mut |_| Ok(()),
    )?;
    Ok((seconds, short.lack_of_fit))
}

/// A peer, waiting for orders.
struct Peer {
    child: Child,
    orders: ChildStdin,
    replies: BufReader<ChildStdout>,
}

impl Peer {
    fn start(python: &Path, script: &Path, folder: &Path) -> anyhow::Result<Self> {
        let mut child = Command::new(python)
            .args([script, folder])
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

fn write(path: PathBuf, values: &[f64]) -> anyhow::Result<()> {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(&path, bytes).with_context(|| path.display().to_string())
}

/// Runs the benchmark and archives the table.
pub fn run(args: ResolveArgs) -> anyhow::Result<()> {
    let folder = args.common.scratch.join("resolve");
    std::fs::create_dir_all(&folder)?;
    let (six, two) = (mixtures(10_000, 200, 6), mixtures(15_625, 123, 2));
    let (data, start) = chromatogram();
    for (name, m) in [("lcf", &six), ("stxm", &two)] {
        write(folder.join(format!("{name}_spectra.f64")), &m.spectra)?;
        write(folder.join(format!("{name}_references.f64")), &m.references)?;
    }
    write(folder.join("mcr_data.f64"), &data)?;
    write(folder.join("mcr_start.f64"), &start)?;
    let script = folder.join("resolve_peers.py");
    std::fs::write(&script, PEERS)?;
    let (mut peer, versions) = match &args.common.python {
        Some(python) => {
            let output = Command::new(python).arg(&script).arg("--versions").output()?;
            let versions = String::from_utf8(output.stdout)?.trim().to_owned();
            (Some(Peer::start(python, &script, &folder)?), versions)
        }
        None => (None, "no peers".into()),
    };
    let date = args.common.date.clone().unwrap_or_else(super::today);
    let mut table = format!(
        "# Linear combination fits and curve resolution, {date}\n\n{THREADS} threads for fits, one for \
         resolution; {} interleaved runs, {:?}. kalpha {}, {versions}. scipy `nnls` in a loop, pyMCR \
         with NNLS. Ratio: median of paired runs (lower 90 % bound). Residual: norm of what the fits \
         leave; lack of fit in percent after 50 iterations.\n\n\
         | case | kalpha ms | peer ms | ratio | bar | kalpha residual | peer residual |\n\
         |---|---|---|---|---|---|---|\n",
        args.common.runs,
        kalpha_num::simd::Simd::detect(),
        env!("CARGO_PKG_VERSION"),
    );
    for (case, what, bar) in CASES {
        let (mut own, mut other, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        let (mut merit, mut peer_merit) = (0.0, f64::NAN);
        for _ in 0..args.common.runs {
            let (seconds, found) = match case {
                "lcf" => lcf(&six)?,
                "stxm" => lcf(&two)?,
                _ => mcr(&data, &start)?,
            };
            merit = found;
            own.push(seconds);
            if let Some(peer) = &mut peer {
                let (peer_seconds, found) = peer.time(case)?;
                peer_merit = found;
                other.push(peer_seconds);
                ratios.push(peer_seconds / seconds);
            }
        }
        let [a, b] = [&own, &other].map(|v| if v.is_empty() { f64::NAN } else { 1e3 * median(v) });
        let ratio = if ratios.is_empty() { f64::NAN } else { median(&ratios) };
        let low = lower_bound(&ratios).unwrap_or(f64::NAN);
        writeln!(
            table,
            "| {what} | {a:.4} | {b:.3} | {ratio:.1} ({low:.1}) | {bar} | {merit:.6} | {peer_merit:.6} |"
        )?;
    }
    print!("{table}");
    let results = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../benches/results");
    let path = results.join(format!("resolve-{date}.md"));
    std::fs::write(&path, table)?;
    eprintln!("wrote {}", path.display());
    Ok(())
}
