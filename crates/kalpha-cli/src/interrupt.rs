//! Ctrl-C: the run stops within 200 ms, whatever it does, and leaves nothing half-written.
//!
//! The steps look at the cancel flag at every cell and iteration and end in good order. What
//! does not look in time (a file being read, one long fit) is ended from outside: the
//! unfinished folder is removed and the process exits. Only the rename of a finished folder is
//! left alone.

use anyhow::Context;
use kalpha_core::Cancelled;
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Time the steps have to end in good order.
const GRACE: Duration = Duration::from_millis(120);

/// Removes what is half-written.
type Abandon = Box<dyn Fn() + Send>;

#[derive(Default)]
struct State {
    pressed: bool,
    cancel: Option<Arc<AtomicBool>>,
    abandon: Option<Abandon>,
    committing: bool,
}

/// Listens for Ctrl-C and SIGTERM while it lives.
#[derive(Clone)]
pub struct Interrupt(Arc<Mutex<State>>);

impl Interrupt {
    /// Starts to listen.
    pub fn listen() -> anyhow::Result<Self> {
        let interrupt = Self(Arc::default());
        let heard = interrupt.clone();
        ctrlc::set_handler(move || heard.pressed()).context("cannot listen for Ctrl-C")?;
        Ok(interrupt)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The run's cancel flag, once there is one.
    pub fn cancels(&self, flag: Arc<AtomicBool>) {
        let mut state = self.state();
        if state.pressed {
            flag.store(true, Ordering::Relaxed);
        }
        state.cancel = Some(flag);
    }

    /// What removes the unfinished folder, once there is one.
    pub fn abandons(&self, abandon: impl Fn() + Send + 'static) {
        self.state().abandon = Some(Box::new(abandon));
    }

    /// From here on the folder is renamed into place and nothing stops it.
    ///
    /// # Errors
    /// [`Cancelled`] when Ctrl-C came before.
    pub fn commit(&self) -> Result<(), Cancelled> {
        let mut state = self.state();
        if state.pressed {
            return Err(Cancelled);
        }
        state.committing = true;
        Ok(())
    }

    fn pressed(&self) {
        {
            let mut state = self.state();
            if state.committing {
                return;
            }
            state.pressed = true;
            if let Some(flag) = &state.cancel {
                flag.store(true, Ordering::Relaxed);
            }
        }
        std::thread::sleep(GRACE);
        // Whoever waits for this lock never gets it.
        let state = self.state();
        if let Some(abandon) = &state.abandon {
            abandon();
        }
        crate::progress::clear();
        eprintln!("error: {Cancelled}");
        std::process::exit(i32::from(crate::INTERRUPTED));
    }
}
