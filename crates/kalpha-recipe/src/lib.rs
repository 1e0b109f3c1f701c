//! The step registry, recipes, checks and provenance.
//!
//! A recipe is an ordered list of steps in TOML. [`Recipe::check`] plans all of it on metadata
//! alone; [`run`] executes it and keeps what every step said.

mod check;
pub mod defaults;
mod diff;
mod provenance;
mod recipe;
mod registry;
mod run;

pub use check::{CheckError, Checked};
pub use diff::{Difference, diff};
pub use provenance::{InputFile, Provenance, fingerprint, simd};
pub use recipe::{Recipe, RecipeError, RecipeStep};
pub use registry::{find, steps};
pub use run::{Further, RunError, RunResult, run, run_with};
