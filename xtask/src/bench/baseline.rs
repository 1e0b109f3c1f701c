//! Baselines: kalpha against pybaselines and eXSpy, interleaved, on the same spectra.
//!
//! Both sides run on one core, alone (one spectrum) and in batches; the peers take a batch one
//! spectrum after the other, as they have no other way.

use super::{Common, lower_bound, median};
use anyhow::{Context, bail, ensure};
use kalpha_core::{
    Axis, DType, DenseRows, DenseValues, Metadata, NoiseModel, Rows, RowsMeta, Serial, Unit,
};
use kalpha_num::rng::Stream;
use kalpha_process::{
    baseline,
    row_method::{Block, RowMethod, RowStatus, Treat},
};
use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Write as _},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Arc,
    time::Instant,
};

const PEERS: &str = include_str!("baseline_peers.py");

/// Options of `bench baseline`.
#[derive(clap::Args)]
pub struct BaselineArgs {
    #[command(flatten)]
    common: Common,
    /// Channels of a spectrum
    #[arg(long, default_values_t = [1024, 2048])]
    channels: Vec<usize>,
    /// Spectra of a batch
    #[arg(long, default_value_t = 256)]
    batch: usize,
}

struct Case {
    method: &'static str,
    params: Value,
    /// Spectra of a batch that the peer is given; its time per spectrum does not depend on it.
    peer_batch: usize,
}

fn cases() -> Vec<Case> {
    let case = |method, params| Case { method, params, peer_batch: 32 };
    vec![
        case("snip", json!({"max_half_window": 40, "decreasing": true})),
        case("asls", json!({"lam": 1e6, "p": 0.01})),
        case("airpls", json!({"lam": 1e6})),
        case("arpls", json!({"lam": 1e5})),
        Case { peer_batch: 256, ..case("power_law", json!({"first": 110.0, "last": 399.0})) },
    ]
}

/// A falling background with peaks, counted.
fn spectra(rows: usize, channels: usize) -> Vec<f64> {
    let mut all = Vec::with_capacity(rows * channels);
    for row in 0..rows {
        let mut draw = Stream::new(3, "bench baseline", 0).at(row, 0);
        let peaks: Vec<[f64; 3]> = (0..12)
            .map(|_| {
                let at = 0.3 + 0.7 * draw.uniform();
                [at * channels as f64, 3.0 + 9.0 * draw.uniform(), 1500.0 * draw.uniform()]
            })
            .collect();
        for c in 0..channels {
            let x = c as f64;
            let background = 1e7 * (100.0 + x).powf(-1.6) + 300.0;
            let peaks: f64 = peaks
                .iter()
                .map(|[at, width, height]| height * (-0.5 * ((x - at) / width).powi(2)).exp())
                .sum();
            all.push(draw.poisson(background + peaks) as f64);
        }
    }
    all
}

/// Times the method `T` on the first `count` rows: seconds and sum of the backgrounds.
fn time<T: Treat>(
    params: &Value,
    rows: &Rows,
    values: &[f64],
    count: usize,
) -> anyhow::Result<(f64, f64)> {
    let params: T = serde_json::from_value(params.clone())?;
    let method = params.method(rows, &Metadata::default(), &Serial::default())?;
    let channels = rows.meta().channels;
    let mut scratch = <T::Method as RowMethod>::Scratch::default();
    let mut out = vec![0.0; count * channels];
    let mut status = vec![RowStatus::Fine; count];
    let mut table = vec![0.0; count * method.columns().len()];
    let mut run = || {
        let start = Instant::now();
        method.apply(
            &mut Block {
                first_row: 0,
                rows: count,
                channels,
                values: &values[..count * channels],
                out: &mut out,
                status: &mut status,
                table: &mut table,
            },
            &mut scratch,
        );
        start.elapsed().as_secs_f64()
    };
    // The first run pays for memory; the peer is warm as well.
    run();
    let seconds = run();
    // Both sides stop at the same number of iterations where one does not rest before.
    let treated = |s: &RowStatus| matches!(s, RowStatus::Fine | RowStatus::NotConverged);
    if let Some(row) = status.iter().position(|s| !treated(s)) {
        bail!("row {row} is flagged: {:?}", status[row]);
    }
    Ok((seconds, out.iter().sum()))
}

fn ours(case: &Case, rows: &Rows, values: &[f64], count: usize) -> anyhow::Result<(f64, f64)> {
    let params = &case.params;
    match case.method {
        "snip" => time::<baseline::snip::Snip>(params, rows, values, count),
        "asls" => time::<baseline::asls::Asls>(params, rows, values, count),
        "airpls" => time::<baseline::airpls::Airpls>(params, rows, values, count),
        "arpls" => time::<baseline::arpls::Arpls>(params, rows, values, count),
        _ => {
            let (seconds, mut sum) =
                time::<baseline::power_law::PowerLaw>(params, rows, values, count)?;
            // Below the window the background is the spectrum; the peer's is nothing there.
            let channels = rows.meta().channels;
            sum -=
                (0..count).map(|r| values[r * channels..][..10].iter().sum::<f64>()).sum::<f64>();
            Ok((seconds, sum))
        }
    }
}

struct Peer {
    child: Child,
    orders: ChildStdin,
    replies: BufReader<ChildStdout>,
    versions: String,
}

impl Peer {
    fn start(mut command: Command) -> anyhow::Result<Self> {
        for name in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"] {
            command.env(name, "1");
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("starting the peers' Python")?;
        let (orders, replies) = (child.stdin.take(), child.stdout.take());
        let mut peer = Self {
            orders: orders.context("no pipe to the peers' Python")?,
            replies: BufReader::new(replies.context("no pipe from the peers' Python")?),
            child,
            versions: String::new(),
        };
        let line = peer.line()?;
        let versions = line.trim().strip_prefix("ready ");
        peer.versions = versions.context("the peers' Python is not ready")?.to_owned();
        Ok(peer)
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.replies.read_line(&mut line)?;
        ensure!(!line.is_empty(), "the peers' Python has ended");
        Ok(line)
    }

    fn time(&mut self, case: &Case, count: usize) -> anyhow::Result<(f64, f64)> {
        writeln!(self.orders, "{} {} {count}", case.method, case.params)?;
        let line = self.line()?;
        let numbers: Vec<f64> =
            line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        ensure!(numbers.len() == 2, "reply of the peers' Python: {line}");
        Ok((numbers[0], numbers[1]))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It ends by itself when its input closes; this one is ours to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// "12.3x (11.9x)": median ratio and its lower 90 % bound.
fn ratio(theirs: &[f64], ours: &[f64]) -> String {
    let ratios: Vec<f64> = theirs.iter().zip(ours).map(|(a, b)| a / b).collect();
    let bound = lower_bound(&ratios).map_or(String::new(), |b| format!(" ({b:.1}x)"));
    format!("{:.1}x{bound}", median(&ratios))
}

/// Runs the benchmark and prints its section for `benches/results/<date>.md`.
pub fn run(args: BaselineArgs) -> anyhow::Result<()> {
    std::fs::create_dir_all(&args.common.scratch)?;
    let script = args.common.scratch.join("baseline_peers.py");
    std::fs::write(&script, PEERS)?;
    let mut text = String::new();
    for &channels in &args.channels {
        let values = spectra(args.batch, channels);
        let file: PathBuf = args.common.scratch.join(format!("baselines-{channels}.f64"));
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        std::fs::write(&file, bytes)?;
        let meta = RowsMeta {
            rows: args.batch,
            channels,
            dtype: DType::F64,
            navigation: vec![Axis::index("index", args.batch)],
            signal: Axis::linear("Energy", Unit::Ev, 100.0, 1.0, channels)?,
            noise: NoiseModel::COUNTS,
        };
        let rows: Rows = Arc::new(DenseRows::new(meta, DenseValues::F64(values.clone().into()))?);
        let mut peer = match &args.common.python {
            Some(python) => {
                let mut command = Command::new(python);
                command.arg(&script).arg(&file);
                command.args([args.batch.to_string(), channels.to_string()]);
                Some(Peer::start(command)?)
            }
            None => None,
        };
        let versions = peer.as_ref().map_or("no peers", |peer| &peer.versions);
        let _ = write!(
            text,
            "\n### {channels} channels ({versions}, {:?})\n\n\
             | method | alone, us | ratio | batch of {}, us a spectrum | ratio | spectra/s |\n\
             |---|---|---|---|---|---|\n",
            kalpha_num::simd::Simd::detect(),
            args.batch
        );
        for case in cases() {
            let mut all = [const { Vec::new() }; 4];
            for _ in 0..args.common.runs {
                let (alone, sum) = ours(&case, &rows, &values, 1)?;
                let (batch, _) = ours(&case, &rows, &values, args.batch)?;
                all[0].push(alone);
                all[1].push(batch / args.batch as f64);
                if let Some(peer) = &mut peer {
                    let (alone, theirs) = peer.time(&case, 1)?;
                    let agree = (sum / theirs - 1.0).abs();
                    ensure!(
                        agree.is_nan() || agree < 1e-4,
                        "{}: {sum} is not {theirs}",
                        case.method
                    );
                    let (batch, _) = peer.time(&case, case.peer_batch)?;
                    all[2].push(alone);
                    all[3].push(batch / case.peer_batch as f64);
                }
            }
            let [alone, batch, peer_alone, peer_batch] = &all;
            let _ = writeln!(
                text,
                "| {} | {:.1} | {} | {:.2} | {} | {:.0} |",
                case.method,
                1e6 * median(alone),
                ratio(peer_alone, alone),
                1e6 * median(batch),
                ratio(peer_batch, batch),
                1.0 / median(batch)
            );
        }
    }
    println!("{text}");
    Ok(())
}
