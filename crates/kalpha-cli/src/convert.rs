//! `kalpha convert`: one format in, another out, nothing lost on the way.

use crate::{args::ConvertArgs, input};
use kalpha_io::write::write_dataset;

pub fn convert(args: &ConvertArgs) -> anyhow::Result<()> {
    // What cannot be written is said before anything is read.
    kalpha_io::write::writer_for(&args.output, args.to.as_deref())?;
    let dataset = input::open(&args.read)?;
    let format = write_dataset(&args.output, &dataset, args.to.as_deref(), args.force)?;
    if !args.quiet {
        for diagnostic in &dataset.diagnostics {
            eprintln!("note: {diagnostic}");
        }
        let meta = dataset.meta();
        let shape: Vec<String> =
            meta.grid().iter().chain([&meta.channels]).map(ToString::to_string).collect();
        eprintln!("wrote {} ({format}), {}", args.output.display(), shape.join(" x "));
    }
    Ok(())
}
