//! Progress on stderr, for runs that take longer than half a second.

use kalpha_core::Progress;
use std::{
    io::{IsTerminal, Write},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// One line that is written over, with the time this step still needs.
pub struct Line {
    state: Mutex<State>,
}

struct State {
    what: String,
    began: Instant,
    shown: Option<Instant>,
}

impl Line {
    /// A progress line, or `None` where nobody would see it.
    pub fn new(quiet: bool) -> Option<Self> {
        if quiet || !std::io::stderr().is_terminal() {
            return None;
        }
        let state = State { what: String::new(), began: Instant::now(), shown: None };
        Some(Self { state: Mutex::new(state) })
    }
}

/// Wipes the line.
pub fn clear() {
    if std::io::stderr().is_terminal() {
        let _ = write!(std::io::stderr(), "\r\x1b[2K");
    }
}

impl Progress for Line {
    fn update(&self, what: &str, done: u64, total: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if state.what != what {
            *state = State { what: what.to_owned(), began: now, shown: None };
        }
        let age = now - state.began;
        let due = state.shown.is_none_or(|shown| now - shown > Duration::from_millis(100));
        if age < Duration::from_millis(500) || !due || total == 0 {
            return;
        }
        state.shown = Some(now);
        let left = age.as_secs_f64() * (total.saturating_sub(done)) as f64 / done.max(1) as f64;
        let percent = 100 * done / total;
        let _ = write!(std::io::stderr(), "\r\x1b[2K{what} {percent} % (pass ends in {left:.0} s)");
    }
}
