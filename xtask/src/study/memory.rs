//! Is a file of any size read and written in little memory?
//!
//! A made-up map is written to `.npy`, Zarr and `.hspy` and every cell of each is
//! read by two threads; each step is a process of its own, whose peak memory is the figure.

use super::Outcome;
use anyhow::{Context, bail};
use kalpha_core::{
    Axis, Cell, CellBuffer, CellData, CellGrid, Ctx, DType, Dataset, Metadata, NoiseModel, Passes,
    RowSource, RowsError, RowsMeta, Silent, Source, Unit,
};
use kalpha_engine::Engine;
use std::{
    fmt::Write as _,
    fs,
    ops::Range,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Peak memory allowed, in MB.
const BAR: f64 = 300.0;
const CHANNELS: usize = 2048;

/// A map of `rows` pixels whose counts follow from their place; nothing is stored.
struct MadeUp(RowsMeta);

/// Count of a voxel: about one in twenty is filled.
fn count(row: usize, channel: usize) -> u16 {
    let mut z = (row * CHANNELS + channel) as u64 ^ 0x9E37_79B9_7F4A_7C15;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z ^= z >> 27;
    if z.is_multiple_of(20) { 1 + (z >> 40) as u16 % 7 } else { 0 }
}

impl RowSource for MadeUp {
    fn meta(&self) -> &RowsMeta {
        &self.0
    }

    fn cell<'a>(
        &'a self,
        range: Range<usize>,
        buffer: &'a mut CellBuffer,
    ) -> Result<Cell<'a>, RowsError> {
        buffer.u16.clear();
        for row in range.clone() {
            buffer.u16.extend((0..CHANNELS).map(|channel| count(row, channel)));
        }
        Ok(Cell {
            first_row: range.start,
            rows: range.len(),
            channels: CHANNELS,
            data: CellData::U16(&buffer.u16),
        })
    }
}

fn made_up(side: usize) -> anyhow::Result<Dataset> {
    let axis = |name| Axis::linear(name, Unit::Nanometre, 0.0, 0.5, side);
    let meta = RowsMeta {
        rows: side * side,
        channels: CHANNELS,
        dtype: DType::U16,
        navigation: vec![axis("y")?, axis("x")?],
        signal: Axis::linear("Energy", Unit::KeV, -0.47, 0.01, CHANNELS)?,
        noise: NoiseModel::COUNTS,
    };
    Ok(Dataset {
        rows: Arc::new(MadeUp(meta)),
        metadata: Metadata::default(),
        vendor: serde_json::Value::Null,
        mask: None,
        source: Source { dtype: Some("uint16".to_owned()), ..Source::default() },
        diagnostics: Vec::new(),
    })
}

/// Peak memory of this process, in MB.
fn peak() -> anyhow::Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|l| l.trim().strip_suffix(" kB")).context("no VmHWM")?;
    Ok(kilobytes.trim().parse::<f64>()? / 1e3)
}

/// The part of a step's own process: `write` or `read`; prints what the study needs.
pub fn step(what: &str, file: &Path, side: usize) -> anyhow::Result<()> {
    match what {
        "write" => {
            kalpha_io::write::write_dataset(file, &made_up(side)?, None, false)?;
            println!("0 {}", peak()?);
        }
        "read" => {
            let dataset = kalpha_io::open(file, &kalpha_io::OpenOptions::default())?;
            let (rows, meta) = (&dataset.rows, dataset.meta());
            let grid = CellGrid::new(meta.rows, meta.channels);
            let engine = Engine::new(2, Ctx::new(0, Arc::new(Silent)))?;
            // A sum weighted by the place tells one voxel from another.
            let sum = AtomicU64::new(0);
            engine.parallel(grid.stretches(), &|stretch| {
                let mut buffer = CellBuffer::default();
                for i in grid.stretch(stretch) {
                    let cell = rows.cell(grid.rows(i), &mut buffer)?;
                    cell.for_each_nonzero(|r, c, x| {
                        let place = ((cell.first_row + r) * CHANNELS + c) as u64;
                        sum.fetch_add((place % 1009 + 1) * x as u64, Ordering::Relaxed);
                    });
                }
                Ok(())
            })?;
            println!("{} {}", sum.into_inner(), peak()?);
        }
        other => bail!("no step {other:?}"),
    }
    Ok(())
}

/// What the sum must be.
fn expected(side: usize) -> u64 {
    let voxels = side * side * CHANNELS;
    (0..voxels)
        .map(|at| (at as u64 % 1009 + 1) * u64::from(count(at / CHANNELS, at % CHANNELS)))
        .sum()
}

fn size_of(path: &Path) -> u64 {
    match fs::read_dir(path) {
        Ok(folder) => folder.flatten().map(|entry| size_of(&entry.path())).sum(),
        Err(_) => fs::metadata(path).map_or(0, |m| m.len()),
    }
}

/// Writes and reads every format; the files are removed.
pub fn memory(twentieth: bool, _: u64) -> anyhow::Result<Outcome> {
    // 1024 x 1024 x 2048 values of two bytes are 4.3 GB.
    let side: usize = if twentieth { 229 } else { 1024 };
    let dense = (side * side * CHANNELS * 2) as f64 / 1e9;
    let mut page = format!(
        "# Study: memory of reading and writing\n\nA map of {side} x {side} x {CHANNELS} counts, \
         uint16, {dense:.1} GB, one voxel in twenty filled. Each step is a process of its own; \
         two threads read every cell. Bar: {BAR} MB at the peak, mapped pages included.\n\n\
         | file | GB on disk | write, peak MB | read, peak MB |\n|---|---|---|---|\n"
    );
    let folder = std::env::temp_dir().join(format!("kalpha-memory-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let found = measure(&folder, side, &mut page);
    fs::remove_dir_all(&folder)?;
    Ok(Outcome { page, missed: found? })
}

fn measure(folder: &Path, side: usize, page: &mut String) -> anyhow::Result<Vec<String>> {
    let expected = expected(side);
    let mut missed = Vec::new();
    for name in ["map.npy", "map.zarr", "map.hspy"] {
        let file = folder.join(name);
        let run = |what: &str| -> anyhow::Result<(u64, f64)> {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["study", "memory", "--step", what, "--side", &side.to_string()]);
            let out = command.arg("--file").arg(&file).output()?;
            let text = String::from_utf8_lossy(&out.stdout).into_owned();
            let error = || format!("{what} {name}: {}", String::from_utf8_lossy(&out.stderr));
            let (sum, peak) = text.trim().split_once(' ').with_context(error)?;
            Ok((sum.parse()?, peak.parse()?))
        };
        let (_, written) = run("write")?;
        let (sum, read) = run("read")?;
        if sum != expected {
            missed.push(format!("{name}: sum {sum}, not {expected}"));
        }
        for (what, peak) in [("write", written), ("read", read)] {
            if peak > BAR {
                missed.push(format!("{name}: {peak:.0} MB to {what}"));
            }
        }
        let disk = size_of(&file) as f64 / 1e9;
        writeln!(page, "| `{name}` | {disk:.2} | {written:.0} | {read:.0} |")?;
        remove(&file)?;
    }
    Ok(missed)
}

fn remove(file: &PathBuf) -> anyhow::Result<()> {
    if file.is_dir() {
        fs::remove_dir_all(file)?
    } else {
        fs::remove_file(file)?
    }
    Ok(())
}
