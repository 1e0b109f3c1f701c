//! `cargo xtask`: chores.

mod bench;
mod generate;
mod study;

use clap::{Parser, Subcommand};

/// Project chores.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write the pages that follow from the code (docs/reference)
    Gen {
        /// Only say whether they are up to date
        #[arg(long)]
        check: bool,
    },
    /// Run power, coverage and accuracy studies
    Study(study::Study),
    /// Time kalpha against its peers (benches/results)
    #[command(subcommand)]
    Bench(bench::Bench),
}

fn main() -> anyhow::Result<()> {
    match Args::parse().command {
        Command::Study(study) => study::run(&study),
        Command::Bench(bench) => bench::run(bench),
        Command::Gen { check } => generate::generate(check),
    }
}
