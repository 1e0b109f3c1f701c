//! `kalpha self`: what the program runs on, and completions.

use crate::args::{Args, OwnArgs, OwnCommand};
use clap::CommandFactory;
use std::io::Write;

pub fn own(args: &OwnArgs) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match args.command {
        OwnCommand::Doctor => doctor(&mut out)?,
        OwnCommand::Completions { shell } => {
            // Written in one piece: a closed pipe must not panic inside the generator.
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "kalpha", &mut text);
            out.write_all(&text)?;
        }
    }
    Ok(())
}

fn doctor(out: &mut impl Write) -> anyhow::Result<()> {
    let build = if cfg!(debug_assertions) { "debug build: slow" } else { "release build" };
    let line = |out: &mut dyn Write, name: &str, text: &str| writeln!(out, "{name:<11}{text}");
    line(out, "kalpha", &format!("{} ({build})", env!("CARGO_PKG_VERSION")))?;
    let system = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
    line(out, "system", &system)?;
    let limit = match std::env::var("KALPHA_SIMD") {
        Ok(limit) => format!("limited by KALPHA_SIMD={limit}"),
        Err(_) => "the widest that the processor has and kalpha uses".to_owned(),
    };
    line(out, "kernels", &format!("{}: {limit}", kalpha_recipe::simd()))?;
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    line(out, "threads", &format!("{threads}, one per core; --threads takes fewer"))?;
    let memory = match (memory("MemTotal:"), memory("MemAvailable:")) {
        (Some(total), Some(free)) => format!("{total:.1} GB, {free:.1} GB free"),
        _ => "not known on this system".to_owned(),
    };
    line(out, "memory", &memory)?;
    let iron = kalpha_physics::lines::line_energy("Fe_Ka");
    let tables = match iron {
        Ok(energy) => format!("embedded; Fe Ka at {energy:.4} keV"),
        Err(error) => format!("broken: {error}"),
    };
    line(out, "tables", &tables)?;
    let formats: Vec<String> = kalpha_io::formats().map(|f| f.name().to_owned()).collect();
    line(out, "reads", &formats.join(" "))?;
    line(out, "steps", &kalpha_recipe::steps().len().to_string())?;
    let reference = match std::env::var_os("KALPHA_REFERENCE") {
        Some(folder) if std::path::Path::new(&folder).is_dir() => "found in $KALPHA_REFERENCE",
        Some(_) => "$KALPHA_REFERENCE is set and names no folder",
        None => "$KALPHA_REFERENCE is not set: tests look for `shared` beside the checkout",
    };
    line(out, "reference", &format!("{reference}; only tests need it"))?;
    writeln!(out)?;
    writeln!(
        out,
        "For a bug report: these lines, the command you gave, what it printed, and the\n\
         provenance.json of the output folder. They name no folder."
    )?;
    Ok(())
}

/// An entry of `/proc/meminfo` in GB.
fn memory(entry: &str) -> Option<f64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with(entry))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024.0 / 1e9)
}
