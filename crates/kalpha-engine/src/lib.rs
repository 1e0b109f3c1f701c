//! Runs the primitives and the steps made of them.
//!
//! [`Engine`] spreads jobs over threads; what a job does never depends on how many there are.
//! [`Session`] holds the named artefacts of one dataset and remembers what it has computed, so
//! changing a late step re-runs only what follows.

mod engine;
mod session;

pub use engine::Engine;
pub use session::{Ran, Session, StepRun};
