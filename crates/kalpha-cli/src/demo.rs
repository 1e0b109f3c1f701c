//! The embedded demos: simulated on the spot, with truth.

use kalpha_core::Dataset;
use kalpha_recipe::RunResult;
use kalpha_report::eds::EdsDocument;

/// Names behind `demo:`.
const NAMES: [&str; 2] = ["eds", "eds-bulk"];

pub fn dataset(name: &str) -> anyhow::Result<Dataset> {
    anyhow::bail!("no demo is called {name:?} (hint: demo:{})", NAMES.join(", demo:"))
}

pub fn compare(_dataset: &Dataset, _result: &RunResult, _document: &mut EdsDocument) {}
