//! `kalpha run`.

use crate::args::RunArgs;

pub fn run(args: &RunArgs) -> anyhow::Result<()> {
    let _dataset = crate::input::open(&args.read)?;
    anyhow::bail!("not wired")
}
