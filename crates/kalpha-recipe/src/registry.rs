//! Every step, one line each.

use kalpha_core::{AnyStep, Registered};
use kalpha_process::totals::TotalsStep;

static STEPS: &[&dyn AnyStep] = &[&Registered::<TotalsStep>::new()];

/// All registered steps.
pub fn steps() -> &'static [&'static dyn AnyStep] {
    STEPS
}

/// The step with this id.
pub fn find(id: &str) -> Option<&'static dyn AnyStep> {
    STEPS.iter().copied().find(|step| step.id() == id)
}
