//! What can be typed.

use clap::{Args as ClapArgs, Parser, Subcommand};
use std::path::PathBuf;

/// From detector counts to quantities one can defend.
#[derive(Debug, Parser)]
#[command(name = "kalpha", version, propagate_version = true)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a recipe on a file: an EDS map becomes elements, phases and composition with budgets
    Run(RunArgs),
    /// Show what a file holds, without analysing it
    Inspect(InspectArgs),
    /// Write a file in another format, with axes, units, metadata and history
    Convert(ConvertArgs),
    /// Make, check or compare recipes
    Recipe(RecipeArgs),
    /// About this program: what it runs on, completions for your shell
    #[command(name = "self")]
    Own(OwnArgs),
}

/// How to read a file.
#[derive(Clone, Debug, ClapArgs)]
pub struct ReadArgs {
    /// The file (.bcf .hspy .msa .rpl .npy), or demo:eds, demo:eds-bulk
    pub file: String,
    /// Read the file as this format, whatever it looks like
    #[arg(long)]
    pub format: Option<String>,
    /// The signal to read, where a file holds several
    #[arg(long)]
    pub signal: Option<String>,
    /// The energy axis, where the file gives none or a wrong one; UNIT alone keeps its points
    #[arg(long, value_name = "[OFFSET,SCALE,]UNIT", allow_hyphen_values = true)]
    pub energy_axis: Option<String>,
    /// Metadata the file lacks or has wrong, such as beam_energy_keV=200
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

#[derive(Debug, ClapArgs)]
pub struct RunArgs {
    #[command(flatten)]
    pub read: ReadArgs,
    /// Run this recipe, a file or the name of a default one, instead of the file's own default
    #[arg(long, value_name = "FILE|NAME")]
    pub recipe: Option<PathBuf>,
    /// A further file for the steps that read this name, such as references=foils.prj
    #[arg(long = "input", value_name = "NAME=FILE")]
    pub inputs: Vec<String>,
    /// Run these steps, in this order, such as baseline.arpls (kalpha recipe steps lists them)
    #[arg(long = "step", value_name = "ID", conflicts_with = "recipe", value_delimiter = ',')]
    pub steps: Vec<String>,
    /// Elements to quantify; all that are found are fitted anyway
    #[arg(long, value_delimiter = ',', value_name = "Fe,Pt")]
    pub elements: Vec<String>,
    /// k-factors by line on weight basis; value or value+-sigma
    #[arg(long = "k-factors", value_delimiter = ',', value_name = "Fe_Ka=1.45,Pt_La=5.08")]
    pub k_factors: Vec<String>,
    /// What the beam meets: thin, bulk or layered
    #[arg(long)]
    pub specimen: Option<kalpha_core::Specimen>,
    /// Any parameter of the recipe, such as pca.components=3
    #[arg(long = "param", value_name = "STEP.NAME=VALUE")]
    pub params: Vec<String>,
    /// Seed of everything random
    #[arg(long)]
    pub seed: Option<u64>,
    /// Output folder; default: <file stem>.kalpha
    #[arg(short, long, value_name = "FOLDER")]
    pub output: Option<PathBuf>,
    /// Replace an output folder that kalpha did not write
    #[arg(long)]
    pub force: bool,
    /// Print one JSON document (schema kalpha.eds/1 or kalpha.spectra/1) instead of the short answer
    #[arg(long)]
    pub json: bool,
    /// Threads; default: one per core. The numbers do not depend on it
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// No progress on stderr
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Debug, ClapArgs)]
pub struct InspectArgs {
    #[command(flatten)]
    pub read: ReadArgs,
    /// Print one JSON document (schema kalpha.inspect/1)
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, ClapArgs)]
pub struct ConvertArgs {
    #[command(flatten)]
    pub read: ReadArgs,
    /// The file to write; its extension chooses the format
    pub output: PathBuf,
    /// The format to write, whatever the extension says
    #[arg(long, value_name = "FORMAT")]
    pub to: Option<String>,
    /// Replace what is there
    #[arg(long)]
    pub force: bool,
    /// No notes on stderr
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Debug, ClapArgs)]
pub struct RecipeArgs {
    #[command(subcommand)]
    pub command: RecipeCommand,
}

#[derive(Debug, Subcommand)]
pub enum RecipeCommand {
    /// Print a default recipe with every parameter
    New {
        /// Name of the recipe: eds
        name: String,
    },
    /// Check a recipe against a file, without running it
    Check {
        /// The recipe
        recipe: PathBuf,
        #[command(flatten)]
        read: ReadArgs,
        /// A further file, as for `kalpha run`
        #[arg(long = "input", value_name = "NAME=FILE")]
        inputs: Vec<String>,
    },
    /// Say what differs between two recipes, and which results it touches
    Diff {
        /// The first recipe
        first: PathBuf,
        /// The second recipe
        second: PathBuf,
    },
    /// List the registered steps
    Steps,
}

#[derive(Debug, ClapArgs)]
pub struct OwnArgs {
    #[command(subcommand)]
    pub command: OwnCommand,
}

#[derive(Debug, Subcommand)]
pub enum OwnCommand {
    /// Show version, instruction set, threads, memory: what belongs into a bug report
    Doctor,
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}
