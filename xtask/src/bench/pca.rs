//! PCA of simulated counts: kalpha and its peers, interleaved, on the same counts.

use super::{
    Common, lower_bound, median,
    simulate::{self, Size},
};
use anyhow::{Context, bail, ensure};
use kalpha_core::{
    Axis, CsrBuilder, Ctx, DType, DenseRows, DenseValues, NoiseModel, Passes, Rows, RowsMeta, Unit,
};
use kalpha_decompose::pca::{PcaParams, Weighting, pca};
use kalpha_engine::Engine;
use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Read, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    str::FromStr,
    sync::Arc,
    time::Instant,
};

const K: usize = 10;
const PEERS: &str = include_str!("peers.py");
/// What kalpha is timed at: (name, weighting, dense input).
const OURS: [(&str, Weighting, bool); 3] = [
    ("kalpha exact integer", Weighting::None, false),
    ("kalpha exact integer, dense input", Weighting::None, true),
    ("kalpha Poisson", Weighting::Poisson, false),
];
const METHODS: [&str; 5] =
    ["numpy_gram", "numpy_weighted", "sklearn_covariance", "numpy_randomized", "hyperspy_poisson"];

/// Options of `bench pca`.
#[derive(clap::Args)]
pub struct PcaArgs {
    #[command(flatten)]
    common: Common,
    /// Side x channels x counts per pixel
    #[arg(long, default_values = ["256x1024x300", "256x1024x50", "512x2048x120"])]
    size: Vec<Size>,
    /// Runs of HyperSpy, which needs 13 GB at the largest size
    #[arg(long)]
    hyperspy_runs: Option<usize>,
    /// Leave the peers' peak memory out: five more runs
    #[arg(long)]
    skip_peer_memory: bool,
    /// Time one of kalpha's methods once, in this process, and print its peak memory in MB
    #[arg(long, hide = true)]
    once: Option<usize>,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('x').collect();
        let wrong = || format!("{text} is no SIDExCHANNELSxCOUNTS, such as 256x1024x300");
        let [side, channels, dose] = parts[..] else { return Err(wrong()) };
        Ok(Self {
            side: side.parse().map_err(|_| wrong())?,
            channels: channels.parse().map_err(|_| wrong())?,
            dose: dose.parse().map_err(|_| wrong())?,
        })
    }
}

fn meta(rows: usize, channels: usize, dtype: DType) -> anyhow::Result<RowsMeta> {
    Ok(RowsMeta {
        rows,
        channels,
        dtype,
        navigation: vec![Axis::index("pixel", rows)],
        signal: Axis::linear("Energy", Unit::KeV, 0.0, 20.0 / channels as f64, channels)?,
        noise: NoiseModel::COUNTS,
    })
}

/// The counts as sparse rows, read in blocks so that the dense cube is never held.
fn sparse(path: &Path) -> anyhow::Result<Rows> {
    let (rows, channels, file) = simulate::open(path)?;
    let mut file = BufReader::with_capacity(1 << 20, file);
    let (mut csr, mut row) = (CsrBuilder::new(channels)?, vec![0u8; channels]);
    for _ in 0..rows {
        file.read_exact(&mut row)?;
        csr.push_dense_row(&row);
    }
    Ok(Arc::new((meta(rows, channels, DType::Csr)?, csr.finish())))
}

fn dense(path: &Path) -> anyhow::Result<Rows> {
    let (rows, channels, mut file) = simulate::open(path)?;
    let mut values = Vec::new();
    file.read_to_end(&mut values)?;
    Ok(Arc::new(DenseRows::new(meta(rows, channels, DType::U8)?, DenseValues::U8(values.into()))?))
}

/// Gram matrix, eigenpairs and scores; the eigenvalues.
fn decompose(rows: &Rows, engine: &Engine, weighting: Weighting) -> anyhow::Result<Vec<f64>> {
    let params = PcaParams { components: K, weighting, centred: false };
    let found = pca(rows, engine, &params)?;
    let scores = (engine as &dyn Passes).map(&found.to_scores(K), rows, K)?;
    ensure!(scores.len() == rows.meta().rows * K);
    Ok(found.eigenvalues)
}

/// Peak resident memory of this process in MB.
fn peak_memory() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kb: f64 = line
        .and_then(|line| line.split_whitespace().next())
        .context("no VmHWM in /proc/self/status")?
        .parse()?;
    Ok(kb / 1024.0)
}

/// CPU seconds of this process, all threads, in ticks of 10 ms.
fn cpu_seconds() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The name in parentheses may hold spaces; user and system time are 12th and 13th after it.
    let (_, rest) = stat.rsplit_once(')').context("/proc/self/stat")?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut ticks = || fields.next().and_then(|x| x.parse::<f64>().ok()).context("/proc/self/stat");
    Ok((ticks()? + ticks()?) / 100.0)
}

/// A peer that waits for orders.
struct Peer {
    child: Child,
    orders: ChildStdin,
    replies: BufReader<ChildStdout>,
}

impl Peer {
    fn start(python: &Path, script: &Path, counts: &Path, forced: bool) -> anyhow::Result<Self> {
        let mut command = python_command(python, script, forced);
        let mut child = command
            .arg(counts)
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

    /// Seconds, CPU seconds and eigenvalues.
    fn time(&mut self, method: &str) -> anyhow::Result<(f64, f64, Vec<f64>)> {
        writeln!(self.orders, "{method}")?;
        let line = self.line()?;
        let numbers: Vec<f64> =
            line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        ensure!(numbers.len() > 2, "reply of the peers' Python: {line}");
        Ok((numbers[0], numbers[1], numbers[2..].to_vec()))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It ends by itself when its input closes; this one is ours to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn python_command(python: &Path, script: &Path, forced: bool) -> Command {
    let mut command = Command::new(python);
    command.arg(script);
    if forced {
        command.env("OPENBLAS_CORETYPE", "SkylakeX");
    }
    command
}

/// Timings of one method.
#[derive(Default)]
struct Timed {
    name: String,
    seconds: Vec<f64>,
    /// CPU seconds of all threads: what a busy machine distorts less.
    cpu: Vec<f64>,
    memory: Option<f64>,
}

fn measure(args: &PcaArgs, size: Size, script: &Path) -> anyhow::Result<String> {
    let name = format!("{}x{}x{}", size.side, size.channels, size.dose);
    let counts = args.common.scratch.join(format!("counts-{name}.npy"));
    if !counts.exists() {
        eprintln!("simulating {name}");
        simulate::write(size, &counts)?;
    }
    let engine = Engine::new(0, Ctx::default())?;
    let inputs = [sparse(&counts)?, dense(&counts)?];
    let density = inputs[0].as_csr().map_or(f64::NAN, |csr| csr.density());
    let mut peers = Vec::new();
    if let Some(python) = &args.common.python {
        for forced in [false, true] {
            peers.push(Peer::start(python, script, &counts, forced)?);
        }
    }
    let mut ours: Vec<Timed> = OURS
        .iter()
        .map(|&(name, ..)| Timed { name: name.to_owned(), ..Timed::default() })
        .collect();
    let mut theirs: Vec<Timed> = METHODS
        .iter()
        .flat_map(|method| [method.to_string(), format!("{method}, forced")])
        .map(|name| Timed { name, ..Timed::default() })
        .collect();
    for run in 0..args.common.runs {
        eprintln!("{name}: run {} of {}", run + 1, args.common.runs);
        let mut values = Vec::new();
        for (timed, (_, weighting, from_dense)) in ours.iter_mut().zip(OURS) {
            let (start, cpu) = (Instant::now(), cpu_seconds()?);
            values.push(decompose(&inputs[usize::from(from_dense)], &engine, weighting)?);
            timed.seconds.push(start.elapsed().as_secs_f64());
            timed.cpu.push(cpu_seconds()? - cpu);
        }
        for (i, method) in METHODS.iter().enumerate() {
            for (forced, peer) in peers.iter_mut().enumerate() {
                if i == 4 && run >= args.hyperspy_runs.unwrap_or(usize::MAX) {
                    continue;
                }
                let (seconds, cpu, found) = peer.time(method)?;
                theirs[2 * i + forced].seconds.push(seconds);
                theirs[2 * i + forced].cpu.push(cpu);
                // The same answer, or the times mean nothing: f32 sums hold four digits.
                let same = match i {
                    0 => Some(&values[0]),
                    1 => Some(&values[2]),
                    _ => None,
                };
                if let Some(same) = same {
                    for (a, b) in same.iter().zip(&found).take(4) {
                        ensure!(
                            (a - b).abs() < 1e-3 * same[0],
                            "{method}: {found:?}, not {same:?}"
                        );
                    }
                }
            }
        }
    }
    drop(peers);
    drop(inputs);
    for (i, timed) in ours.iter_mut().enumerate() {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bench", "pca", "--once", &i.to_string(), "--size", &name]);
        command.arg("--scratch").arg(&args.common.scratch);
        timed.memory = Some(memory_of(&mut command)?);
    }
    if let (Some(python), false) = (&args.common.python, args.skip_peer_memory) {
        for (i, method) in METHODS.iter().enumerate() {
            if !theirs[2 * i].seconds.is_empty() {
                let mut command = python_command(python, script, false);
                theirs[2 * i].memory = Some(memory_of(command.arg(&counts).arg(method))?);
            }
        }
    }
    Ok(table(&name, density, &ours, &theirs))
}

fn memory_of(command: &mut Command) -> anyhow::Result<f64> {
    let output = command.stderr(Stdio::null()).output()?;
    ensure!(output.status.success(), "{command:?} failed");
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// Each method's time, and how much faster each of ours is: median (lower 90 % bound).
fn table(name: &str, density: f64, ours: &[Timed], theirs: &[Timed]) -> String {
    let mut out = format!("\n## {name}\n\nNon-zero: {:.2} % of the voxels.\n\n", 100.0 * density);
    out.push_str("| method | median s | median CPU s | runs | peak MB |");
    for timed in ours {
        let _ = write!(out, " / {} |", timed.name);
    }
    out.push_str("\n|---|---|---|---|---|");
    out.push_str(&"---|".repeat(ours.len()));
    out.push('\n');
    for timed in ours.iter().chain(theirs).filter(|timed| !timed.seconds.is_empty()) {
        let memory = timed.memory.map_or(String::new(), |m| format!("{m:.0}"));
        let (seconds, cpu) = (median(&timed.seconds), median(&timed.cpu));
        let runs = timed.seconds.len();
        let _ = write!(out, "| {} | {seconds:.4} | {cpu:.3} | {runs} | {memory} |", timed.name);
        for own in ours {
            let ratios: Vec<f64> =
                timed.seconds.iter().zip(&own.seconds).map(|(a, b)| a / b).collect();
            let bound = lower_bound(&ratios).map_or(String::new(), |b| format!(" ({b:.2})"));
            let _ = write!(out, " {:.2}{bound} |", median(&ratios));
        }
        out.push('\n');
    }
    out
}

fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find(|line| line.starts_with("model name"));
    let name = name.and_then(|line| line.split_once(": ")).map_or("unknown", |(_, name)| name);
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    format!("{name}, {threads} threads, {:?}", kalpha_num::simd::Simd::detect())
}

/// Runs the benchmark and writes `benches/results/pca-<date>.md`.
pub fn run(args: PcaArgs) -> anyhow::Result<()> {
    std::fs::create_dir_all(&args.common.scratch)?;
    if let (Some(i), [size]) = (args.once, &args.size[..]) {
        let name = format!("counts-{}x{}x{}.npy", size.side, size.channels, size.dose);
        let (_, weighting, from_dense) = *OURS.get(i).context("no such method")?;
        let counts = args.common.scratch.join(name);
        let rows = if from_dense { dense(&counts)? } else { sparse(&counts)? };
        decompose(&rows, &Engine::new(0, Ctx::default())?, weighting)?;
        println!("{}", peak_memory()?);
        return Ok(());
    }
    let script = args.common.scratch.join("peers.py");
    std::fs::write(&script, PEERS)?;
    let versions = match &args.common.python {
        Some(python) => {
            let output = python_command(python, &script, false).arg("--versions").output()?;
            String::from_utf8(output.stdout)?.trim().to_owned()
        }
        None => "no peers".to_owned(),
    };
    let date = args.common.date.clone().unwrap_or_else(super::today);
    let mut text = format!(
        "# PCA, {date}\n\nK = {K}: Gram matrix, eigenpairs, scores. kalpha {}, {versions}. {}.\n\
         Peers as shipped and with OPENBLAS_CORETYPE=SkylakeX (forced). Columns \"/ kalpha\": how\n\
         many times longer a method takes, median of paired runs (lower 90 % bound). Memory: peak of\n\
         a fresh process that loads the counts and runs once.\n",
        env!("CARGO_PKG_VERSION"),
        processor(),
    );
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../benches/results");
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(format!("pca-{date}.md"));
    for &size in &args.size {
        let part = measure(&args, size, &script)?;
        println!("{part}");
        text.push_str(&part);
        // A peer may run out of memory at the next size.
        std::fs::write(&path, &text)?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}
