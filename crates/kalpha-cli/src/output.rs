//! The output folder: written beside its place, renamed into it.

mod eds;
mod spectra;

use crate::{args::RunArgs, interrupt::Interrupt};
use kalpha_core::Dataset;
use kalpha_io::write::OutputFolder;
use kalpha_recipe::RunResult;
use std::{
    io::{IsTerminal, Write},
    path::Path,
};

/// Checks, before the run, that the folder may be written.
pub fn begin(target: &Path, force: bool) -> anyhow::Result<OutputFolder> {
    Ok(OutputFolder::create(target, force)?)
}

/// A few lines for the terminal, given whether they are coloured and where the report is.
type Answer = dyn Fn(bool, &str) -> String;

/// What a run says on stdout.
struct Said {
    /// One document.
    json: String,
    /// A few lines.
    answer: Box<Answer>,
}

/// Writes everything, renames the folder into place and answers on stdout.
pub fn finish(
    args: &RunArgs,
    dataset: &Dataset,
    result: &RunResult,
    folder: OutputFolder,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    // A recipe with an EDS step gives the EDS document, any other that of treated spectra.
    let eds = result.recipe.step.iter().any(|step| step.id.starts_with("eds."));
    let said = match eds {
        true => eds::write(folder.path(), result, dataset)?,
        false => spectra::write(folder.path(), result, dataset)?,
    };
    let report = folder.target().join("report.html");
    interrupt.commit()?;
    folder.commit()?;

    let mut out = std::io::stdout().lock();
    if args.json {
        out.write_all(said.json.as_bytes())?;
    } else {
        let color = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        writeln!(out, "{}", (said.answer)(color, &report.to_string_lossy()))?;
    }
    Ok(())
}
