//! Reading files into memory: kalpha, RosettaSciIO and larch, interleaved, on the reference files.
//!
//! Both sides end with the same: every value in a dense array of the type that the file stores.
//! kalpha keeps counts sparse by itself; spreading them out is part of its time here, and the time
//! until it has its own form is told beside it.

use super::{Common, lower_bound, median};
use anyhow::{Context, bail, ensure};
use kalpha_core::{CellBuffer, CellData, CellGrid, Dataset};
use kalpha_io::{Input, OpenOptions, open, open_all, read};
use memmap2::MmapMut;
use rayon::prelude::*;
use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Instant,
};

const PEERS: &str = include_str!("io_peers.py");

/// What is read of a file.
#[derive(Clone, Copy)]
enum Which {
    /// What kalpha reads where nothing is asked for.
    Default,
    /// Every signal.
    Every,
    /// These.
    Named(&'static [&'static str]),
    /// One column; the peer hands out all of them, and one of its sums is ours.
    OneColumn,
}

struct Case {
    file: &'static str,
    reader: &'static str,
    options: &'static str,
    which: Which,
}

const fn case(
    file: &'static str,
    reader: &'static str,
    options: &'static str,
    which: Which,
) -> Case {
    Case { file, reader, options, which }
}

const MAPS: &str = r#"{"select_type": "spectrum_image"}"#;
const SPECTRA: &str = r#"{"select_type": "spectrum_image", "sum_frames": true}"#;
const NO_FIT: &str = r#"{"do_preedge": false, "do_bkg": false}"#;
const VELOX: &str = "data/formats/velox_EELS_EDS.zip";

const CASES: [Case; 25] = [
    case("data/eds/P45_12bit_packed_8bit.bcf", "bruker", MAPS, Which::Default),
    case("data/eds/bcf_v2_50x50px.bcf", "bruker", MAPS, Which::Default),
    case("data/eds/test_TEM.bcf", "bruker", MAPS, Which::Default),
    case("data/formats/4on3_full.bcf", "bruker", MAPS, Which::Default),
    case(
        "data/eels/EELS_Spectrum_Image_16x16_0.2s_0.3eV_0offset.dm3",
        "digitalmicrograph",
        "{}",
        Which::Every,
    ),
    case(
        "data/eels/EELS_Spectrum_Image_16x16_1s_0.5eV_78offset.dm3",
        "digitalmicrograph",
        "{}",
        Which::Every,
    ),
    case("data/formats/EELS_STO.dm3", "digitalmicrograph", "{}", Which::Every),
    case("data/formats/test-EDS_spectrum.dm3", "digitalmicrograph", "{}", Which::Every),
    case("data/eels/TiO2_Ti_L23_0.025eV_high-loss.dm4", "digitalmicrograph", "{}", Which::Every),
    case("data/eels/Cu2O_deconv.dm4", "digitalmicrograph", "{}", Which::Every),
    case("data/formats/EELS_SI.dm4", "digitalmicrograph", "{}", Which::Every),
    case("data/formats/EDS-STO.emd", "emd", "{}", Which::Every),
    case(VELOX, "emd", SPECTRA, Which::Named(&["EDS", "EELS", "EELS.2", "EELS.3"])),
    case("data/formats/jeol/View000_0000006.pts", "jeol", "{}", Which::Every),
    case("data/formats/bruker_m6.spx", "bruker", "{}", Which::Default),
    case("data/eds/FePt_core_shell.hspy", "hspy", "{}", Which::Every),
    case("data/eels/CuZn_EELS_SI.hspy", "hspy", "{}", Which::Every),
    case("data/eels/LSMO_linescan.hspy", "hspy", "{}", Which::Every),
    case("data/eds/EDS_TEM_FePt_nanoparticles.hspy", "hspy", "{}", Which::Every),
    case("data/raman/wire/sp.wdf", "renishaw", "{}", Which::Every),
    case("data/xas/cu_metal_rt.xdi", "read_xdi", "{}", Which::OneColumn),
    case("data/xas/cu_150k.xmu", "read_ascii", "{}", Which::OneColumn),
    case("data/xas/PtH.dat", "read_ascii", "{}", Which::OneColumn),
    case("data/xas/Fe.prj", "read_athena", NO_FIT, Which::OneColumn),
    case("data/xas/cyanobacteria.prj", "read_athena", NO_FIT, Which::OneColumn),
];

/// Options of `bench io`.
#[derive(clap::Args)]
pub struct IoArgs {
    #[command(flatten)]
    common: Common,
    /// Python with larch, where it is another than that of RosettaSciIO
    #[arg(long)]
    larch: Option<PathBuf>,
    /// Only files whose name holds this
    #[arg(long)]
    only: Option<String>,
}

/// An array in memory: huge pages, as NumPy asks for them.
struct Dense {
    bytes: MmapMut,
    sum: fn(&[u8]) -> f64,
    width: usize,
}

/// What is left of an array when the clock has stopped.
struct Held {
    sum: f64,
    len: usize,
}

impl Dense {
    fn new(len: usize, width: usize, sum: fn(&[u8]) -> f64) -> anyhow::Result<Self> {
        let bytes = MmapMut::map_anon((len * width).max(1))?;
        // Where the system has none, pages are small.
        let _ = bytes.advise(memmap2::Advice::HugePage);
        Ok(Self { bytes, sum, width })
    }

    fn held(&self) -> Held {
        Held { sum: (self.sum)(&self.bytes), len: self.bytes.len() / self.width }
    }
}

/// All values in a dense array of the type `$type`.
macro_rules! hold {
    ($dataset:expr, $type:ty, $own:pat => $values:ident) => {{
        const WIDTH: usize = size_of::<$type>();
        let dataset: &Dataset = $dataset;
        let channels = dataset.meta().channels;
        let sum = |bytes: &[u8]| {
            let values = bytes.as_chunks::<WIDTH>().0.iter();
            values.map(|b| <$type>::from_le_bytes(*b) as f64).sum::<f64>()
        };
        let mut dense = Dense::new(dataset.meta().rows * channels, WIDTH, sum)?;
        let out = dense.bytes.as_chunks_mut::<WIDTH>().0;
        let grid = CellGrid::new(dataset.meta().rows, channels);
        let lay = |buffer: &mut CellBuffer, (i, part): (usize, &mut [[u8; WIDTH]])| {
            let cell = dataset.rows.cell(grid.rows(i), buffer)?;
            match cell.data {
                $own => {
                    part.iter_mut().zip($values).for_each(|(to, x)| *to = x.to_le_bytes());
                }
                _ => cell.for_each_nonzero(|r, c, x| {
                    part[r * channels + c] = (x as $type).to_le_bytes();
                }),
            }
            anyhow::Ok(())
        };
        match grid.cells() {
            // Not worth a thread.
            1 => lay(&mut CellBuffer::default(), (0, out))?,
            _ => out
                .par_chunks_mut((grid.rows_per_cell() * channels).max(1))
                .enumerate()
                .try_for_each_init(CellBuffer::default, lay)?,
        }
        Ok(dense)
    }};
}

#[allow(clippy::unnecessary_cast, reason = "one macro for all types")]
fn hold(dataset: &Dataset, dtype: &str) -> anyhow::Result<Dense> {
    match dtype {
        "uint8" => hold!(dataset, u8, CellData::U8(v) => v),
        "uint16" => hold!(dataset, u16, CellData::U16(v) => v),
        "uint32" => hold!(dataset, u32, CellData::U32(v) => v),
        "int16" => hold!(dataset, i16, CellData::I16(v) => v),
        "int32" => hold!(dataset, i32, CellData::I32(v) => v),
        "float32" => hold!(dataset, f32, CellData::F32(v) => v),
        "float64" => hold!(dataset, f64, CellData::F64(v) => v),
        // Cells have no such type.
        "uint64" => {
            let mut values = Vec::new();
            let mut buffer = CellBuffer::default();
            dataset.rows.cell(0..dataset.meta().rows, &mut buffer)?.to_f64(&mut values);
            let sum = |bytes: &[u8]| {
                bytes.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b) as f64).sum()
            };
            let mut dense = Dense::new(values.len(), 8, sum)?;
            let places = dense.bytes.as_chunks_mut::<8>().0.iter_mut();
            places.zip(values).for_each(|(to, x)| *to = (x as u64).to_le_bytes());
            Ok(dense)
        }
        other => bail!("no array of {other}"),
    }
}

/// What kalpha takes.
struct Ours {
    /// Seconds until it has its own form.
    opened: f64,
    /// Seconds until all values are dense.
    dense: f64,
    held: Vec<Held>,
}

fn ours(path: &Path, which: Which, dtype: &str) -> anyhow::Result<Ours> {
    let options = OpenOptions::default();
    let start = Instant::now();
    let datasets = match which {
        Which::Default | Which::OneColumn => vec![open(path, &options)?],
        Which::Every => open_all(path, &options)?,
        Which::Named(names) => {
            let input = Input::open(path)?;
            let one = |name: &&str| {
                read(&input, &OpenOptions { signal: Some((*name).to_owned()), ..options.clone() })
            };
            names.iter().map(one).collect::<Result<_, _>>()?
        }
    };
    let opened = start.elapsed().as_secs_f64();
    let mut held = Vec::new();
    for dataset in &datasets {
        let dtype = dataset.source.dtype.clone().unwrap_or_else(|| dtype.to_owned());
        held.push(hold(dataset, &dtype)?);
    }
    let dense = start.elapsed().as_secs_f64();
    Ok(Ours { opened, dense, held: held.iter().map(Dense::held).collect() })
}

/// A peer, waiting for orders.
struct Peer {
    child: Child,
    orders: ChildStdin,
    replies: BufReader<ChildStdout>,
    version: String,
}

impl Peer {
    fn start(python: &Path, script: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(python);
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().context("starting the peer's Python")?;
        let (Some(orders), Some(replies)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("the peer's Python has no pipes")
        };
        let replies = BufReader::new(replies);
        let mut peer = Self { child, orders, replies, version: String::new() };
        peer.version = peer.reply()?.as_str().unwrap_or_default().to_owned();
        Ok(peer)
    }

    fn reply(&mut self) -> anyhow::Result<Value> {
        let mut line = String::new();
        self.replies.read_line(&mut line)?;
        ensure!(!line.is_empty(), "the peer's Python has ended");
        Ok(serde_json::from_str(&line)?)
    }

    fn ask(&mut self, reader: &str, path: &Path, options: &Value) -> anyhow::Result<Value> {
        let order = json!({"reader": reader, "path": path, "options": options});
        writeln!(self.orders, "{order}")?;
        let reply = self.reply()?;
        if let Some(error) = reply["error"].as_str() {
            bail!("the peer cannot read {}: {error}", path.display());
        }
        Ok(reply)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // This child is ours to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The same values, or the times mean nothing.
fn same(case: &Case, ours: &[Held], reply: &Value) -> anyhow::Result<()> {
    let theirs: Vec<(f64, usize)> = reply["arrays"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|a| (a["sum"].as_f64().unwrap_or(f64::NAN), a["len"].as_u64().unwrap_or(0) as usize))
        .collect();
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-6 * b.abs();
    let agrees = match case.which {
        Which::OneColumn => {
            ours.iter().all(|o| theirs.iter().any(|(sum, len)| near(*sum, o.sum) && *len == o.len))
        }
        _ => {
            let total: f64 = ours.iter().map(|o| o.sum).sum();
            let values: usize = ours.iter().map(|o| o.len).sum();
            near(theirs.iter().map(|(sum, _)| sum).sum(), total)
                && theirs.iter().map(|(_, len)| len).sum::<usize>() == values
        }
    };
    let own: Vec<(f64, usize)> = ours.iter().map(|o| (o.sum, o.len)).collect();
    ensure!(agrees, "{}: kalpha holds {own:?}, its peer {theirs:?}", case.file);
    Ok(())
}

/// The file to read: of a ZIP file, what is in it.
fn unpacked(path: PathBuf, scratch: &Path, peer: &mut Peer) -> anyhow::Result<PathBuf> {
    if path.extension().is_none_or(|e| e != "zip") {
        return Ok(path);
    }
    let folder = scratch.join("unpacked");
    peer.ask("unzip", &path, &json!({"to": folder}))?;
    let mut found: Vec<PathBuf> = std::fs::read_dir(&folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<anyhow::Result<_>>()?;
    found.sort();
    found
        .into_iter()
        .find(|p| p.extension().is_some_and(|e| e == "emd"))
        .context("an empty ZIP file")
}

/// One line of the table.
fn row(case: &Case, path: &Path, peer: &mut Peer, runs: usize) -> anyhow::Result<String> {
    let options: Value = serde_json::from_str(case.options)?;
    let (mut opened, mut mine, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    let mut dtype = String::new();
    // One run of each to warm up.
    for run in 0..=runs {
        let reply = peer.ask(case.reader, path, &options)?;
        if run == 0 {
            dtype = reply["arrays"][0]["dtype"].as_str().unwrap_or_default().to_owned();
        }
        let ours = ours(path, case.which, &dtype)?;
        same(case, &ours.held, &reply)?;
        if run > 0 {
            opened.push(ours.opened * 1e3);
            mine.push(ours.dense * 1e3);
            theirs.push(reply["seconds"].as_f64().unwrap_or(f64::NAN) * 1e3);
        }
    }
    let ratios: Vec<f64> = theirs.iter().zip(&mine).map(|(a, b)| a / b).collect();
    let bound = lower_bound(&ratios).map_or(String::new(), |b| format!(" ({b:.1})"));
    let (ratio, mine, theirs) = (median(&ratios), median(&mine), median(&theirs));
    let opened = median(&opened);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let times = format!("{opened:.2} | {mine:.2} | {theirs:.2}");
    Ok(format!("| {name} | {} | {times} | {ratio:.1}{bound} |", case.reader))
}

/// Runs the benchmark and prints its section of `benches/results/<date>.md`.
pub fn run(args: IoArgs) -> anyhow::Result<()> {
    let Common { python, runs, scratch, date } = args.common;
    std::fs::create_dir_all(&scratch)?;
    let script = scratch.join("io_peers.py");
    std::fs::write(&script, PEERS)?;
    let python = python.context("--python PATH names a Python with RosettaSciIO")?;
    let mut rosetta = Peer::start(&python, &script)?;
    let mut larch = match &args.larch {
        Some(python) => Some(Peer::start(python, &script)?),
        None => None,
    };
    let versions: Vec<&str> = [Some(&rosetta), larch.as_ref()]
        .into_iter()
        .flatten()
        .map(|peer| peer.version.as_str())
        .filter(|version| !version.is_empty())
        .collect();
    let mut text = format!(
        "## Reading files (`cargo xtask bench io`, {})\n\n\
         kalpha {} against {}, {runs} interleaved runs in processes that have read the file \
         before. Both sides end with all values in dense arrays of the type that the file \
         stores, which is what the peers return; kalpha returns sparse counts or rows (first \
         column of times) and spreads them out here. kalpha uses all cores, the peers one. Of a \
         text, larch hands out all columns, kalpha the one it reads by default. The ratio is the \
         median of paired runs (lower 90 % bound).\n\n\
         | file | peer | kalpha returns, ms | dense, ms | peer ms | times faster |\n\
         |---|---|---|---|---|---|\n",
        date.unwrap_or_else(super::today),
        env!("CARGO_PKG_VERSION"),
        versions.join(" and "),
    );
    for case in &CASES {
        if args.only.as_ref().is_some_and(|only| !case.file.contains(only.as_str())) {
            continue;
        }
        let peer = match &mut larch {
            Some(larch) if case.reader.starts_with("read_") => larch,
            None if case.reader.starts_with("read_") => continue,
            _ => &mut rosetta,
        };
        let Some(path) = kalpha_reference::path(case.file) else { continue };
        let line = unpacked(path, &scratch, peer)
            .and_then(|path| row(case, &path, peer, runs))
            .unwrap_or_else(|error| format!("| {} | {error:#} | | | | |", case.file));
        eprintln!("{line}");
        writeln!(text, "{line}")?;
    }
    println!("{text}");
    Ok(())
}
