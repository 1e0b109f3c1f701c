//! From an argument to a dataset.

use crate::args::ReadArgs;
use kalpha_core::Dataset;

/// Opens the file or makes the demo, with `--set` on top.
pub fn open(args: &ReadArgs) -> anyhow::Result<Dataset> {
    let mut dataset = match args.file.strip_prefix("demo:") {
        Some(_name) => anyhow::bail!("demo not wired"),
        None => anyhow::bail!("io not wired"),
    };
    #[allow(unreachable_code)]
    for assignment in &args.set {
        let dataset: &mut Dataset = &mut dataset;
        dataset.metadata.set(assignment)?;
    }
    Ok(dataset)
}
