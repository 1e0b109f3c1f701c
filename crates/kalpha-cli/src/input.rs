//! From an argument to a dataset.

use crate::args::ReadArgs;
use anyhow::{Context, bail};
use kalpha_core::Dataset;
use kalpha_io::{FormatId, OpenOptions, formats};
use kalpha_recipe::Recipe;

/// Opens the file or makes the demo, with `--set` on top.
pub fn open(args: &ReadArgs) -> anyhow::Result<Dataset> {
    let format = format(args)?;
    let mut dataset = match args.file.strip_prefix("demo:") {
        Some(name) => crate::demo::dataset(name)?,
        None => kalpha_io::open(
            &args.file,
            &OpenOptions {
                format,
                signal: args.signal.clone(),
                energy_axis: args.energy_axis.as_deref().map(str::parse).transpose()?,
            },
        )?,
    };
    for assignment in &args.set {
        dataset.metadata.set(assignment)?;
    }
    Ok(dataset)
}

/// Opens the further files of `NAME=FILE` that `recipe` reads.
pub fn further(inputs: &[String], recipe: &Recipe) -> anyhow::Result<Vec<(String, Dataset)>> {
    let mut all: Vec<(String, Dataset)> = Vec::new();
    for given in inputs {
        let (name, file) = given.split_once('=').with_context(|| {
            format!("{given:?} is not NAME=FILE (hint: --input references=foils.prj)")
        })?;
        let name = name.trim();
        if matches!(name, "" | "counts" | "spectra") || all.iter().any(|(other, _)| other == name) {
            bail!("{given:?}: {name:?} is taken (hint: counts and spectra are the first file's)");
        }
        // A misspelt name would bind a file that nothing reads.
        let mut known = recipe.reads();
        if !known.remove(name) {
            known.retain(|name| !matches!(name.as_str(), "counts" | "spectra"));
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            bail!("no step of the recipe reads {name:?} (hint: they read {known})");
        }
        all.push((name.to_owned(), kalpha_io::open(file, &OpenOptions::default())?));
    }
    Ok(all)
}

/// The format named by `--format`.
fn format(args: &ReadArgs) -> anyhow::Result<Option<FormatId>> {
    let Some(name) = &args.format else { return Ok(None) };
    match formats().find(|format| format.name() == name.as_str()) {
        Some(format) => Ok(Some(format)),
        None => {
            let known: Vec<_> = formats().map(FormatId::name).collect();
            bail!("no format is called {name:?} (hint: one of {})", known.join(", "))
        }
    }
}
