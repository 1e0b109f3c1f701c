//! Progress, cancellation and the run's fixed choices.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Somebody asked the run to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cancelled; nothing was written")]
pub struct Cancelled;

/// Hears how far a run is.
pub trait Progress: Send + Sync {
    /// `done` of `total` units of `what` are finished.
    fn update(&self, what: &str, done: u64, total: u64);
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn update(&self, _: &str, _: u64, _: u64) {}
}

/// Travels with every step. Cloning shares the cancel flag.
#[derive(Clone)]
pub struct Ctx {
    cancel: Arc<AtomicBool>,
    progress: Arc<dyn Progress>,
    what: String,
    seed: u64,
}

impl Default for Ctx {
    fn default() -> Self {
        Self::new(0, Arc::new(Silent))
    }
}

impl Ctx {
    /// A context with a seed and a listener.
    pub fn new(seed: u64, progress: Arc<dyn Progress>) -> Self {
        Self { cancel: Arc::default(), progress, what: String::new(), seed }
    }

    /// The same context, its progress reported under another name.
    #[must_use]
    pub fn named(&self, what: &str) -> Self {
        Self { what: what.to_owned(), ..self.clone() }
    }

    /// The flag that cancels the run when set.
    pub fn cancel_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancel)
    }

    /// The seed of the run.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns an error when somebody asked the run to stop.
    ///
    /// Called per cell and per iteration, so a run stops within 200 ms.
    ///
    /// # Errors
    /// [`Cancelled`].
    pub fn checkpoint(&self) -> Result<(), Cancelled> {
        if self.cancel.load(Ordering::Relaxed) { Err(Cancelled) } else { Ok(()) }
    }

    /// Tells the listener how far the run is.
    pub fn progress(&self, done: u64, total: u64) {
        self.progress.update(&self.what, done, total);
    }
}
