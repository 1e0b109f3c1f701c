//! The embedded demos.
use kalpha_core::Dataset;
pub fn dataset(name: &str) -> anyhow::Result<Dataset> { anyhow::bail!("{name}") }
