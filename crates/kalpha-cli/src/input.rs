//! From an argument to a dataset.

use crate::args::ReadArgs;
use kalpha_core::Dataset;
use kalpha_io::{FormatId, OpenOptions, formats};

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

/// The format named by `--format`.
fn format(args: &ReadArgs) -> anyhow::Result<Option<FormatId>> {
    let Some(name) = &args.format else { return Ok(None) };
    match formats().find(|format| format.name() == name.as_str()) {
        Some(format) => Ok(Some(format)),
        None => {
            let known: Vec<_> = formats().map(FormatId::name).collect();
            anyhow::bail!("no format is called {name:?} (hint: one of {})", known.join(", "))
        }
    }
}
